//! Which request ids are in flight, and the answers that are still held for repeats.
//!
//! One entry per id: running, or held with its answer. The memory of held answers is bounded, what
//! the table needs for them included, and the least recently used one is removed first. Older calls
//! are only in the journal.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{body::Bytes, http::StatusCode};
use tokio::sync::watch;

use super::{answer::FinishedAnswer, api_error::ApiError, request_id::RequestId};

/// How long a repeat waits for the original call.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The fraction of the bound that a single answer may use.
const LARGEST_SHARE: usize = 8;

/// What the table takes for an answer beside its texts, in bytes: places in two maps, headers of four
/// allocations.
const ENTRY_BYTES: usize = 384;

/// Ids in flight and answers held.
#[derive(Debug)]
pub struct CallTable {
    table: Mutex<CallEntries>,
    bound: usize,
}

#[derive(Debug, Default)]
struct CallEntries {
    entries: HashMap<RequestId, CallEntry>,
    /// Held answers by last use.
    ages: BTreeMap<u64, RequestId>,
    clock: u64,
    bytes: usize,
}

#[derive(Debug)]
enum CallEntry {
    Running {
        hash: String,
        ended: watch::Receiver<()>,
    },
    Held {
        hash: String,
        answer: FinishedAnswer,
        age: u64,
    },
}

/// The state of an id when it is claimed.
#[derive(Debug)]
pub enum IdClaim {
    /// The id is free: the holder of the slot runs the call.
    Fresh(CallSlot),
    /// It was answered before.
    Held(FinishedAnswer),
}

/// The running entry of an id. Dropping it frees the id and wakes waiting repeats.
#[derive(Debug)]
pub struct CallSlot {
    calls: Arc<CallTable>,
    id: RequestId,
    hash: String,
    answer: Option<FinishedAnswer>,
    _ended: watch::Sender<()>,
}

enum IdLookup {
    Claim(IdClaim),
    Wait(watch::Receiver<()>),
}

impl CallTable {
    /// Holds answers up to `bound` bytes in all.
    pub fn new(bound: usize) -> Self {
        Self {
            table: Mutex::default(),
            bound,
        }
    }

    /// Claims an id for a request. A repeat of a running call waits for its end. An error names the
    /// id as the caller wrote it.
    pub async fn claim(
        self: &Arc<Self>,
        id: &RequestId,
        named: &RequestId,
        hash: &str,
    ) -> Result<IdClaim, ApiError> {
        let deadline = tokio::time::Instant::now() + LONGEST_WAIT;
        loop {
            match self.look(id, named, hash)? {
                IdLookup::Claim(claim) => return Ok(claim),
                IdLookup::Wait(mut ended) => {
                    // The sender sends nothing; dropping it is the signal.
                    let waited = tokio::time::timeout_at(deadline, ended.changed()).await;
                    waited.map_err(|_| in_flight(named))?.unwrap_or_default();
                }
            }
        }
    }

    fn look(
        self: &Arc<Self>,
        id: &RequestId,
        named: &RequestId,
        hash: &str,
    ) -> Result<IdLookup, ApiError> {
        let mut table = self.lock();
        match table.entries.get(id) {
            Some(CallEntry::Running { hash: first, .. } | CallEntry::Held { hash: first, .. })
                if first != hash =>
            {
                Err(mismatch(named))
            }
            Some(CallEntry::Running { ended, .. }) => Ok(IdLookup::Wait(ended.clone())),
            Some(CallEntry::Held { answer, .. }) => {
                let answer = answer.clone();
                table.touch(id);
                Ok(IdLookup::Claim(IdClaim::Held(answer)))
            }
            None => {
                let (sender, ended) = watch::channel(());
                let entry = CallEntry::Running {
                    hash: hash.to_owned(),
                    ended,
                };
                table.entries.insert(id.clone(), entry);
                Ok(IdLookup::Claim(IdClaim::Fresh(CallSlot {
                    calls: Arc::clone(self),
                    id: id.clone(),
                    hash: hash.to_owned(),
                    answer: None,
                    _ended: sender,
                })))
            }
        }
    }

    /// Whether a call with this id runs now.
    pub fn is_running(&self, id: &RequestId) -> bool {
        matches!(self.lock().entries.get(id), Some(CallEntry::Running { .. }))
    }

    /// Bytes of the largest answer that is held.
    pub fn largest(&self) -> usize {
        self.bound / LARGEST_SHARE
    }

    /// Memory of the held answers.
    pub fn held_bytes(&self) -> usize {
        self.lock().bytes
    }

    fn lock(&self) -> MutexGuard<'_, CallEntries> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CallEntries {
    fn touch(&mut self, id: &RequestId) {
        self.clock += 1;
        if let Some(CallEntry::Held { age, .. }) = self.entries.get_mut(id) {
            self.ages.remove(age);
            *age = self.clock;
            self.ages.insert(self.clock, id.clone());
        }
    }

    fn hold(&mut self, id: &RequestId, hash: String, answer: FinishedAnswer, bound: usize) {
        self.clock += 1;
        self.bytes += entry_bytes(id, &hash, &answer);
        self.ages.insert(self.clock, id.clone());
        self.entries.insert(
            id.clone(),
            CallEntry::Held {
                hash,
                answer,
                age: self.clock,
            },
        );
        while self.bytes > bound {
            let Some((_, oldest)) = self.ages.pop_first() else {
                break;
            };
            if let Some(CallEntry::Held { hash, answer, .. }) = self.entries.remove(&oldest) {
                self.bytes -= entry_bytes(&oldest, &hash, &answer);
            }
        }
    }
}

impl CallSlot {
    pub fn id(&self) -> &RequestId {
        &self.id
    }

    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Ends the call; a repeat gets the answer, if there is one and it is not too large to hold.
    pub fn complete(mut self, answer: Option<FinishedAnswer>) {
        let largest = self.calls.largest();
        let held = answer.filter(|answer| answer.body.len() <= largest);
        // The body may be a part of a larger piece of memory, which would stay with it.
        self.answer = held.map(|answer| FinishedAnswer {
            body: Bytes::copy_from_slice(&answer.body),
            ..answer
        });
    }
}

impl Drop for CallSlot {
    fn drop(&mut self) {
        let mut table = self.calls.lock();
        table.entries.remove(&self.id);
        if let Some(answer) = self.answer.take() {
            let hash = std::mem::take(&mut self.hash);
            table.hold(&self.id, hash, answer, self.calls.bound);
        }
    }
}

/// Memory that a held answer takes.
fn entry_bytes(id: &RequestId, hash: &str, answer: &FinishedAnswer) -> usize {
    let payment = answer.payment.as_ref().map_or(0, String::len);
    ENTRY_BYTES + 2 * id.as_str().len() + hash.len() + answer.body.len() + payment
}

fn in_flight(id: &RequestId) -> ApiError {
    let message = format!(
        "The call with request id '{}' is still running.",
        id.as_str()
    );
    ApiError::new(StatusCode::CONFLICT, "request_in_flight", message).retry_after(1)
}

/// The same id came with another body.
pub fn mismatch(id: &RequestId) -> ApiError {
    let message = format!(
        "Request id '{}' was used before with a different request; take a new id.",
        id.as_str()
    );
    ApiError::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "idempotency_mismatch",
        message,
    )
}
