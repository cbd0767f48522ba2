//! The attribution work before a call is counted: its tokens or pictures are stored durably, and the
//! spans that an answer shares with the training text are found.

use std::{sync::Arc, time::Duration};

use super::AttributionService;
use crate::adapter_registry::ServedAdapter;
use openlora_attribution::{
    AttributionIndex, Provenance, attribution_index, call_shares,
    queue::{CallPicture, CallTokens, PendingTokens},
    shares,
};
use openlora_core::Address;
use openlora_engine::Prompt;
use openlora_ledger::{
    event::{CallTraced, Event, FinishReason},
    publication::event_id,
};

/// Pause before tokens are written again after a disk error.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// A call that is about to be counted.
pub struct EndedCall {
    pub request_id: String,
    pub adapter: Arc<ServedAdapter>,
    pub prompts: Vec<Prompt>,
    /// One answer per prompt that was answered.
    pub answers: Vec<String>,
    /// What a call for pictures delivered, instead of answers.
    pub pictures: Vec<CallPicture>,
    pub finish: FinishReason,
    /// The payer requested no sketch, so neither tokens, pictures nor spans are kept.
    pub static_shares: bool,
    /// The party that pays for it.
    pub payer: Option<Address>,
}

impl AttributionService {
    /// Stores the tokens and returns the traced spans, or stores the pictures, which have no spans.
    /// Without an index it does nothing.
    pub async fn prove(&self, ended: EndedCall) -> Option<Event> {
        let index = ended.adapter.provenance.index.clone().ok()?;
        let token_store = self.inner.config.token_store.clone()?;
        let found = tokio::task::spawn_blocking(move || {
            if ended.static_shares {
                let declined = PendingTokens {
                    request_id: ended.request_id,
                    static_shares: true,
                    ..PendingTokens::default()
                };
                return Some((None, declined));
            }
            if !ended.pictures.is_empty() {
                let made = PendingTokens {
                    request_id: ended.request_id,
                    pictures: ended.pictures,
                    ..PendingTokens::default()
                };
                return Some((None, made));
            }
            let kept = kept(&ended);
            kept.map(|kept| (Some(traced(&ended, &*index, &kept)), kept))
        });
        let (traced, kept) = found.await.ok().flatten()?;
        let kept = Arc::new(kept);
        loop {
            let (token_store, kept) = (token_store.clone(), Arc::clone(&kept));
            let work = tokio::task::spawn_blocking(move || token_store.store_call(&kept));
            match work.await {
                Ok(Ok(())) => return traced.map(|traced| Event::Traced(Box::new(traced))),
                Ok(Err(error)) => {
                    tracing::error!(%error, "a call's tokens wait for the disk");
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
                // The process is ending.
                Err(_) => return None,
            }
        }
    }
}

/// The call's tokens; `None` if there is no answer or the engine cannot return them.
fn kept(ended: &EndedCall) -> Option<PendingTokens> {
    let stopped = ended.finish == FinishReason::Stop;
    let pairs = ended.prompts.iter().zip(&ended.answers);
    let mut exchanges = Vec::with_capacity(ended.answers.len());
    for (prompt, answer) in pairs.filter(|(_, answer)| !answer.is_empty()) {
        let (prompt, answer) = ended.adapter.engine.tokens(prompt, answer, stopped)?;
        exchanges.push(CallTokens { prompt, answer });
    }
    (!exchanges.is_empty()).then(|| PendingTokens {
        request_id: ended.request_id.clone(),
        exchanges,
        ..PendingTokens::default()
    })
}

fn traced(ended: &EndedCall, index: &dyn AttributionIndex, kept: &PendingTokens) -> CallTraced {
    let mut spans = Vec::new();
    let mut before = 0_u32;
    for exchange in &kept.exchanges {
        for mut span in index.trace(exchange) {
            span.start += before;
            spans.push(span);
        }
        before += exchange.answer.len() as u32;
    }
    let digest = &ended.adapter.digest;
    let Provenance { contributors, .. } = &ended.adapter.provenance;
    let table = shares::ShareTable {
        event: event_id(digest, &ended.request_id),
        contributors,
        payer: ended.payer,
    };
    let (found, covered_ppm) = shares::provisional(&table, index.examples(), &spans, before);
    CallTraced {
        request_id: ended.request_id.clone(),
        adapter_digest: digest.clone(),
        index: index.index().to_owned(),
        covered_ppm,
        spans: attribution_index::spans_to_event(index, &spans),
        shares: call_shares::shares_to_event(contributors, &found),
    }
}
