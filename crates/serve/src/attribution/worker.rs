//! The one worker that gives every counted call its final attribution, oldest first.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::{AttributionService, backlog::UnattributedCall, lock, now_ms};
use openlora_attribution::{
    Provenance, attribution_index,
    call_shares::{ShareInputs, by_sketch, shaping, shares_to_event},
    queue::PendingTokens,
    shares::{ShareFallback, ShareOutcome},
};
use openlora_journal::{JournalError, UniqueKey};
use openlora_ledger as ledger;
use openlora_ledger::{
    event::{AttributionMethod, CallAttributed, CallTraced, Event, FinishReason},
    publication::event_id,
};

/// Maximum number of attributions in one transaction, and how long they are collected.
const BATCH: usize = 256;
const SOON: Duration = Duration::from_millis(20);

/// Pause before an attribution is written again after a journal error.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

impl AttributionService {
    /// Attributes waiting calls until `stop` is cancelled.
    pub async fn run(&self, stop: CancellationToken) {
        loop {
            if lock(&self.inner.backlog).count() == 0 {
                tokio::select! {
                    () = self.inner.news.notified() => continue,
                    () = stop.cancelled() => return,
                }
            }
            let done = tokio::select! {
                done = self.attribute() => done,
                () = stop.cancelled() => return,
            };
            // Tokens of a written attribution are also erased, however soon the process ends.
            let written = match done {
                Ok(done) => self.write(done).await,
                Err(error) => Err(error),
            };
            if let Err(error) = written {
                tracing::error!(%error, "attributions wait for the journal");
                tokio::time::sleep(RETRY_PAUSE).await;
            }
        }
    }

    /// Attributes the calls that have waited longest, as many as finish soon. Without an index,
    /// only the disk takes time.
    async fn attribute(&self) -> Result<Vec<CallAttributed>, JournalError> {
        let (began, mut place) = (Instant::now(), 0);
        let mut done = Vec::new();
        while done.len() < BATCH && began.elapsed() < SOON {
            let next = lock(&self.inner.backlog).next_waiting(place);
            let Some(at) = next else { break };
            place = at;
            let Some(waiting) = self.waiting_call(at).await? else {
                continue;
            };
            let asks = |it: &Provenance| it.index.is_ok();
            done.push(match self.provenance(&waiting.adapter_digest) {
                Some(it) if asks(&it) => self.attribution(waiting).await?,
                // Nothing was traced, and nothing takes long.
                _ => self.attributed(&waiting, None),
            });
        }
        Ok(done)
    }

    /// The waiting call at a position of the journal.
    async fn waiting_call(&self, place: u64) -> Result<Option<UnattributedCall>, JournalError> {
        let records = self.inner.journal.read(place, 1).await?;
        let found = records.into_iter().find(|it| it.sequence == place);
        let Some(mut waiting) = found.and_then(UnattributedCall::from_record) else {
            return Ok(None);
        };
        let backlog = lock(&self.inner.backlog);
        waiting.split = waiting.charge.as_ref().and_then(|it| backlog.split_of(it));
        Ok(Some(waiting))
    }

    /// Writes attributions in one transaction, and erases the tokens stored for them.
    async fn write(&self, done: Vec<CallAttributed>) -> Result<(), JournalError> {
        let ids: Vec<String> = done.iter().map(|it| it.request_id.clone()).collect();
        let mut events = done.into_iter().map(|it| Event::Attributed(Box::new(it)));
        let Some(first) = events.next() else {
            return Ok(());
        };
        match self
            .inner
            .journal
            .append_with(first, events.collect())
            .await
        {
            Ok(_) | Err(JournalError::Duplicate(_)) => {}
            Err(error) => return Err(error),
        }
        if let Some(token_store) = &self.inner.config.token_store {
            for id in ids {
                if let Err(error) = token_store.erase(&id) {
                    tracing::warn!(%error, "the tokens of an attributed call are not erased");
                }
            }
        }
        Ok(())
    }

    async fn attribution(&self, waiting: UnattributedCall) -> Result<CallAttributed, JournalError> {
        let id = &waiting.request_id;
        let traced = self.inner.journal.unique(UniqueKey::TRACED, id).await?;
        let traced = traced.and_then(|record| match record.event {
            Event::Traced(traced) => Some(*traced),
            _ => None,
        });
        let this = self.clone();
        let work = tokio::task::spawn_blocking(move || this.attributed(&waiting, traced.as_ref()));
        // A task that does not finish belongs to a process that is ending.
        work.await.map_err(|_| JournalError::Closed)
    }

    fn attributed(
        &self,
        waiting: &UnattributedCall,
        traced: Option<&CallTraced>,
    ) -> CallAttributed {
        let provenance = self.provenance(&waiting.adapter_digest);
        let provenance = &*provenance.unwrap_or_default();
        let event = event_id(&waiting.adapter_digest, &waiting.request_id);
        let paid = waiting.charge.as_ref().filter(|it| !it.amount.is_zero());
        let kept = self.kept(waiting, provenance);
        let length =
            |kept: &PendingTokens| kept.exchanges.iter().map(|it| it.answer.len() as u32).sum();
        let known = ShareInputs {
            event,
            payer: paid.map(|charge| charge.payer),
            spans: traced.map_or(&[], |it| &it.spans),
            answer_tokens: kept.as_ref().map_or(0, length),
        };
        let sketch = kept.and_then(|kept| {
            let index = provenance.index.as_deref().map_err(|why| *why)?;
            attribution_index::sketches(index, &kept)
        });
        let found = sketch.as_ref().map_err(|why| *why).and_then(|sketch| {
            let index = provenance.index.as_deref().map_err(|why| *why)?;
            Ok((index, sketch.as_str()))
        });
        let settled = by_sketch(&provenance.contributors, known, found);
        let shares = shares_to_event(&provenance.contributors, &settled.shares);
        let amounts = waiting
            .charge
            .as_ref()
            .map(|charge| ledger::divide(charge, waiting.split.as_ref(), &shares, &event));
        let examples = match &provenance.index {
            Ok(index) => shaping(&provenance.contributors, &**index, &settled),
            Err(_) => Vec::new(),
        };
        CallAttributed {
            request_id: waiting.request_id.clone(),
            adapter: waiting.adapter.clone(),
            adapter_digest: waiting.adapter_digest.clone(),
            index: provenance
                .index
                .as_ref()
                .ok()
                .map(|it| it.index().to_owned()),
            method: method(provenance, &settled),
            fallback: settled.fallback.map(|why| why.word().to_owned()),
            confidence_ppm: settled.confidence_ppm,
            evidence_ppm: settled.evidence_ppm,
            trace_ppm: settled.trace_ppm,
            answer_tokens: known.answer_tokens,
            sketch: sketch.ok(),
            examples,
            shares,
            amounts,
            lag_milliseconds: now_ms().saturating_sub(waiting.time_ms),
        }
    }

    /// The call's tokens, or the reason why there are none.
    fn kept(
        &self,
        waiting: &UnattributedCall,
        provenance: &Provenance,
    ) -> Result<PendingTokens, ShareFallback> {
        if waiting.completion_tokens == 0 {
            return Err(ShareFallback::EmptyAnswer);
        }
        if let Err(why) = &provenance.index {
            return Err(*why);
        }
        let found = match &self.inner.config.token_store {
            Some(token_store) => token_store.find(&waiting.request_id),
            None => Ok(None),
        };
        let lost = match waiting.finish {
            FinishReason::Recovered => ShareFallback::Interrupted,
            _ => ShareFallback::NoTokens,
        };
        match found {
            Ok(Some(kept)) if kept.static_shares => Err(ShareFallback::PayerChoice),
            Ok(Some(kept)) if kept.is_empty() => Err(ShareFallback::EmptyAnswer),
            Ok(kept) => kept.ok_or(lost),
            Err(error) => {
                tracing::error!(%error, "the tokens of a call cannot be read");
                Err(lost)
            }
        }
    }
}

fn method(provenance: &Provenance, settled: &ShareOutcome) -> AttributionMethod {
    match (&provenance.index, settled.fallback) {
        (Ok(index), None) => index.method(),
        _ => AttributionMethod::Static,
    }
}
