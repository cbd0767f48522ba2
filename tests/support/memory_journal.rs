//! A journal in memory.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::UNIX_EPOCH,
};

use openlora_journal::{
    AppendOutcome, CachedResponse, Journal, JournalEntry, JournalError, JournalHead, JournalStore,
    StoreReader, StoredRow, UncountedCall, UniqueKey,
};
use openlora_ledger::event::{Event, EventRecord};

/// A journal that is lost when its last handle is dropped.
pub fn memory_journal() -> Journal {
    let now = || UNIX_EPOCH.elapsed().unwrap().as_millis() as u64;
    Journal::start(Box::new(MemoryStore::new()), Box::new(now)).unwrap()
}

/// Rows, and where the unique ones are.
#[derive(Default)]
struct MemoryRows {
    rows: Vec<StoredRow>,
    unique: HashMap<UniqueKey, usize>,
    enclosed: HashMap<String, Vec<u8>>,
}

pub struct MemoryStore {
    shared: Arc<Mutex<MemoryRows>>,
    salt: [u8; 32],
    head: JournalHead,
}

struct MemoryReader {
    shared: Arc<Mutex<MemoryRows>>,
    salt: [u8; 32],
    seen: Option<usize>,
}

/// No operation under the lock can leave the rows in an inconsistent state.
fn rows(shared: &Mutex<MemoryRows>) -> MutexGuard<'_, MemoryRows> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl MemoryStore {
    pub fn new() -> Self {
        let salt = rand::random();
        Self {
            shared: Arc::default(),
            salt,
            head: JournalHead::genesis(&salt),
        }
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl JournalStore for MemoryStore {
    fn append(
        &mut self,
        now_ms: u64,
        batch: &[JournalEntry],
    ) -> Result<Vec<AppendOutcome>, JournalError> {
        let bodies = batch
            .iter()
            .map(|entry| serde_json::to_vec(&entry.event))
            .collect::<Result<Vec<_>, _>>();
        let bodies = bodies.map_err(|error| JournalError::Unwritable(error.to_string()))?;
        let mut shared = rows(&self.shared);
        let mut outcomes = Vec::with_capacity(batch.len());
        for (JournalEntry { event, response }, body) in batch.iter().zip(bodies) {
            let unique = UniqueKey::from_event(event);
            if let Some(unique) = unique.clone().filter(|u| shared.unique.contains_key(u)) {
                outcomes.push(AppendOutcome::Duplicate(unique));
                continue;
            }
            self.head = self.head.next(now_ms, &body);
            let JournalHead {
                sequence,
                time_ms,
                hash,
            } = self.head;
            if let Some(unique) = unique {
                let at = shared.rows.len();
                shared.unique.insert(unique, at);
            }
            shared.rows.push(StoredRow {
                sequence,
                time_ms,
                body,
                hash,
            });
            if let Some(CachedResponse { request_id, bytes }) = response.clone() {
                shared.enclosed.insert(request_id, bytes);
            }
            let event = event.clone();
            outcomes.push(AppendOutcome::Stored(EventRecord {
                sequence,
                time_ms,
                event,
                hash: hex::encode(hash),
            }));
        }
        Ok(outcomes)
    }

    fn head(&self) -> JournalHead {
        self.head
    }

    fn reader(&self) -> Result<Box<dyn StoreReader>, JournalError> {
        let shared = Arc::clone(&self.shared);
        Ok(Box::new(MemoryReader {
            shared,
            salt: self.salt,
            seen: None,
        }))
    }
}

impl StoreReader for MemoryReader {
    fn salt(&self) -> &[u8] {
        &self.salt
    }

    fn read(&mut self, from: u64, limit: usize) -> Result<Vec<StoredRow>, JournalError> {
        let skipped = usize::try_from(from.saturating_sub(1)).unwrap_or(usize::MAX);
        Ok(rows(&self.shared)
            .rows
            .iter()
            .skip(skipped)
            .take(limit)
            .cloned()
            .collect())
    }

    fn head(&mut self) -> Result<JournalHead, JournalError> {
        let head = |row: &StoredRow| JournalHead {
            sequence: row.sequence,
            time_ms: row.time_ms,
            hash: row.hash,
        };
        Ok(rows(&self.shared)
            .rows
            .last()
            .map_or_else(|| JournalHead::genesis(&self.salt), head))
    }

    fn enclosed(&mut self, request_id: &str) -> Result<Option<Vec<u8>>, JournalError> {
        Ok(rows(&self.shared).enclosed.get(request_id).cloned())
    }

    fn unique(&mut self, unique: &UniqueKey) -> Result<Option<StoredRow>, JournalError> {
        let shared = rows(&self.shared);
        Ok(shared
            .unique
            .get(unique)
            .and_then(|at| shared.rows.get(*at))
            .cloned())
    }

    fn open_calls(&mut self) -> Result<Vec<UncountedCall>, JournalError> {
        let mut open: Vec<UncountedCall> = Vec::new();
        for row in self.read(1, usize::MAX)? {
            let record = row.decode()?;
            match &record.event {
                Event::CallReserved { .. } => open.extend(UncountedCall::from_record(record)),
                Event::CallCheckpointed {
                    request_id,
                    completion_tokens,
                } => {
                    let call = open.iter_mut().find(|call| call.request_id == *request_id);
                    if let Some(call) = call {
                        call.checkpoint = Some((*completion_tokens, record.time_ms));
                    }
                }
                Event::CallMetered { request_id, .. } => {
                    open.retain(|call| call.request_id != *request_id);
                }
                _ => {}
            }
        }
        Ok(open)
    }

    fn changed(&mut self) -> Result<bool, JournalError> {
        let length = rows(&self.shared).rows.len();
        Ok(self.seen.replace(length) != Some(length))
    }
}
