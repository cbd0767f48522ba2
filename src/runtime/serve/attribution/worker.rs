//! The one worker that gives every counted call its final attribution, oldest first.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::{Attributions, backlog::Waiting, lock, now_ms};
use crate::runtime::{
    attribution::{
        Provenance,
        queue::Kept,
        settle::{Known, by_sketch, shaping, told},
        shares::{Fallback, Settled},
        witness,
    },
    event::{Attributed, AttributionMethod, Event, Finish, Traced},
    journal::{JournalError, Unique},
    ledger::{self, publication::event_id},
};

/// Most attributions of one transaction, and how long they may gather.
const BATCH: usize = 256;
const SOON: Duration = Duration::from_millis(20);

/// Pause before an attribution that the journal refused is offered again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

impl Attributions {
    /// Attributes whatever waits until told to stop.
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
            // What is written is also erased, however soon the end comes.
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

    /// Attributes the calls that have waited longest, as many as are done soon: where there is no
    /// index to ask, the disk is all that takes time.
    async fn attribute(&self) -> Result<Vec<Attributed>, JournalError> {
        let (began, mut place) = (Instant::now(), 0);
        let mut done = Vec::new();
        while done.len() < BATCH && began.elapsed() < SOON {
            let next = lock(&self.inner.backlog).after(place);
            let Some((at, waiting)) = next else { break };
            place = at;
            let asks = |it: &Provenance| it.witness.is_ok();
            done.push(match self.provenance(&waiting.adapter_digest) {
                Some(it) if asks(it) => self.attribution(waiting).await?,
                // Nothing was traced, and nothing takes long.
                _ => self.attributed(&waiting, None),
            });
        }
        Ok(done)
    }

    /// Writes attributions in one transaction, and erases what waited for them.
    async fn write(&self, done: Vec<Attributed>) -> Result<(), JournalError> {
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
        if let Some(vault) = &self.inner.keeping.vault {
            for id in ids {
                if let Err(error) = vault.erase(&id) {
                    tracing::warn!(%error, "the tokens of an attributed call are not erased");
                }
            }
        }
        Ok(())
    }

    async fn attribution(&self, waiting: Waiting) -> Result<Attributed, JournalError> {
        let id = &waiting.request_id;
        let traced = self.inner.journal.unique(Unique::TRACED, id).await?;
        let traced = traced.and_then(|record| match record.event {
            Event::Traced(traced) => Some(*traced),
            _ => None,
        });
        let this = self.clone();
        let work = tokio::task::spawn_blocking(move || this.attributed(&waiting, traced.as_ref()));
        // A task that was not run to its end belongs to a process that ends.
        work.await.map_err(|_| JournalError::Closed)
    }

    fn attributed(&self, waiting: &Waiting, traced: Option<&Traced>) -> Attributed {
        let nobody = Provenance::default();
        let provenance = self.provenance(&waiting.adapter_digest).unwrap_or(&nobody);
        let event = event_id(&waiting.adapter_digest, &waiting.request_id);
        let paid = waiting.charge.as_ref().filter(|it| !it.amount.is_zero());
        let kept = self.kept(waiting, provenance);
        let length = |kept: &Kept| kept.exchanges.iter().map(|it| it.answer.len() as u32).sum();
        let known = Known {
            event,
            payer: paid.map(|charge| charge.payer),
            spans: traced.map_or(&[], |it| &it.spans),
            answer_tokens: kept.as_ref().map_or(0, length),
        };
        let sketch = kept.and_then(|kept| {
            let witness = provenance.witness.as_deref().map_err(|why| *why)?;
            witness::sketches(witness, &kept.exchanges)
        });
        let found = sketch.as_ref().map_err(|why| *why).and_then(|sketch| {
            let witness = provenance.witness.as_deref().map_err(|why| *why)?;
            Ok((witness, sketch.as_str()))
        });
        let settled = by_sketch(&provenance.parties, known, found);
        let shares = told(&provenance.parties, &settled.shares);
        let amounts = waiting
            .charge
            .as_ref()
            .map(|charge| ledger::divide(charge, waiting.split.as_ref(), &shares, &event));
        let examples = match &provenance.witness {
            Ok(witness) => shaping(&provenance.parties, &**witness, &settled),
            Err(_) => Vec::new(),
        };
        Attributed {
            request_id: waiting.request_id.clone(),
            adapter: waiting.adapter.clone(),
            adapter_digest: waiting.adapter_digest.clone(),
            index: provenance
                .witness
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

    /// The call's tokens, or why there are none.
    fn kept(&self, waiting: &Waiting, provenance: &Provenance) -> Result<Kept, Fallback> {
        if waiting.completion_tokens == 0 {
            return Err(Fallback::EmptyAnswer);
        }
        if let Err(why) = &provenance.witness {
            return Err(*why);
        }
        let found = match &self.inner.keeping.vault {
            Some(vault) => vault.find(&waiting.request_id),
            None => Ok(None),
        };
        let lost = match waiting.finish {
            Finish::Recovered => Fallback::Interrupted,
            _ => Fallback::NoTokens,
        };
        match found {
            Ok(Some(kept)) if kept.exchanges.iter().all(|it| it.answer.is_empty()) => {
                Err(Fallback::EmptyAnswer)
            }
            Ok(kept) => kept.ok_or(lost),
            Err(error) => {
                tracing::error!(%error, "the tokens of a call cannot be read");
                Err(lost)
            }
        }
    }
}

fn method(provenance: &Provenance, settled: &Settled) -> AttributionMethod {
    match (&provenance.witness, settled.fallback) {
        (Ok(witness), None) => witness.method(),
        _ => AttributionMethod::Static,
    }
}
