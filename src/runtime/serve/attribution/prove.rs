//! What is done for a call's attribution before it is counted: its tokens are put away durably,
//! and the spans that the answer shares with the training text are found.

use std::{sync::Arc, time::Duration};

use super::Attributions;
use crate::runtime::{
    attribution::{
        Provenance, Witness,
        queue::{Exchange, Kept},
        settle, shares, witness,
    },
    engine::Prompt,
    event::{Event, Finish, Traced},
    ledger::{Address, publication::event_id},
    serve::hosted::Hosted,
};

/// Pause before tokens that the disk refused are offered again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// A call that is about to be counted.
pub struct Ended {
    pub request_id: String,
    pub adapter: Arc<Hosted>,
    pub prompts: Vec<Prompt>,
    /// One per prompt, as far as there was one.
    pub answers: Vec<String>,
    pub finish: Finish,
    /// Who pays for it.
    pub payer: Option<Address>,
}

impl Attributions {
    /// Puts the tokens away, and says what is traced. Without an index nothing is done.
    pub async fn prove(&self, ended: Ended) -> Option<Event> {
        let witness = ended.adapter.provenance.witness.clone().ok()?;
        let vault = self.inner.keeping.vault.clone()?;
        let found = tokio::task::spawn_blocking(move || {
            let kept = kept(&ended);
            kept.map(|kept| (traced(&ended, &*witness, &kept), kept))
        });
        let (traced, kept) = found.await.ok().flatten()?;
        let kept = Arc::new(kept);
        loop {
            let (vault, kept) = (vault.clone(), Arc::clone(&kept));
            let work = tokio::task::spawn_blocking(move || vault.keep(&kept));
            match work.await {
                Ok(Ok(())) => return Some(Event::Traced(Box::new(traced))),
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

/// The call's tokens; nothing where nothing was answered or the engine cannot tell them.
fn kept(ended: &Ended) -> Option<Kept> {
    let stopped = ended.finish == Finish::Stop;
    let pairs = ended.prompts.iter().zip(&ended.answers);
    let mut exchanges = Vec::with_capacity(ended.answers.len());
    for (prompt, answer) in pairs.filter(|(_, answer)| !answer.is_empty()) {
        let (prompt, answer) = ended.adapter.engine.tokens(prompt, answer, stopped)?;
        exchanges.push(Exchange { prompt, answer });
    }
    (!exchanges.is_empty()).then(|| Kept {
        request_id: ended.request_id.clone(),
        exchanges,
    })
}

fn traced(ended: &Ended, witness: &dyn Witness, kept: &Kept) -> Traced {
    let mut spans = Vec::new();
    let mut before = 0_u32;
    for exchange in &kept.exchanges {
        for mut span in witness.trace(exchange) {
            span.start += before;
            spans.push(span);
        }
        before += exchange.answer.len() as u32;
    }
    let digest = &ended.adapter.digest;
    let Provenance { parties, .. } = &ended.adapter.provenance;
    let table = shares::Table {
        event: event_id(digest, &ended.request_id),
        parties,
        payer: ended.payer,
    };
    let (found, covered_ppm) = shares::provisional(&table, (witness.examples(), &spans), before);
    Traced {
        request_id: ended.request_id.clone(),
        adapter_digest: digest.clone(),
        index: witness.index().to_owned(),
        covered_ppm,
        spans: witness::told(witness, &spans),
        shares: settle::told(parties, &found),
    }
}
