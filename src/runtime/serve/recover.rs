//! Meters what a process that died left open.

use std::collections::HashMap;

use super::{ServeError, meter::counted, metrics::Metrics};
use crate::runtime::{
    event::{CallKind, Event, Finish, Usage},
    journal::Journal,
};

/// Records read at a time.
const PAGE: usize = 4096;

/// A reservation without its count.
#[derive(Debug)]
struct Orphan {
    adapter: String,
    adapter_digest: String,
    kind: CallKind,
    usage: Usage,
    request_hash: String,
    reserved_ms: u64,
    last_ms: u64,
}

/// Appends a `CallMetered` for every reservation that has none, with the tokens of its last
/// checkpoint, in the order of their ids. Returns how many there were.
pub async fn recover(journal: &Journal, metrics: &Metrics) -> Result<usize, ServeError> {
    let mut orphans: Vec<(String, Orphan)> = find(journal).await?.into_iter().collect();
    orphans.sort_by(|left, right| left.0.cmp(&right.0));
    let count = orphans.len();
    let nothing = empty_hash(journal.salt());
    for (request_id, orphan) in orphans {
        let event = Event::CallMetered {
            request_id,
            adapter: orphan.adapter,
            adapter_digest: orphan.adapter_digest,
            kind: orphan.kind,
            usage: counted(orphan.usage, Finish::Recovered),
            finish: Finish::Recovered,
            milliseconds: orphan.last_ms.saturating_sub(orphan.reserved_ms),
            first_token_milliseconds: None,
            request_hash: orphan.request_hash,
            response_hash: nothing.clone(),
        };
        let record = journal.append(event).await?;
        metrics.metered(&record.event);
    }
    Ok(count)
}

/// The delivered text died with the process: what is hashed is the empty text.
fn empty_hash(salt: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    hex::encode(Sha256::digest(salt))
}

async fn find(journal: &Journal) -> Result<HashMap<String, Orphan>, ServeError> {
    let mut open = HashMap::new();
    let mut next = 1;
    loop {
        let records = journal.read(next, PAGE).await?;
        let Some(last) = records.last() else {
            return Ok(open);
        };
        next = last.sequence + 1;
        for record in records {
            fold(&mut open, record.event, record.time_ms);
        }
    }
}

fn fold(open: &mut HashMap<String, Orphan>, event: Event, time_ms: u64) {
    match event {
        Event::CallReserved {
            request_id,
            adapter,
            adapter_digest,
            kind,
            prompt_tokens,
            request_hash,
            ..
        } => {
            let usage = Usage {
                prompt_tokens,
                completion_tokens: 0,
            };
            let orphan = Orphan {
                adapter,
                adapter_digest,
                kind,
                usage,
                request_hash,
                reserved_ms: time_ms,
                last_ms: time_ms,
            };
            open.insert(request_id, orphan);
        }
        Event::CallCheckpointed {
            request_id,
            completion_tokens,
        } => {
            if let Some(orphan) = open.get_mut(&request_id) {
                orphan.usage.completion_tokens = completion_tokens;
                orphan.last_ms = time_ms;
            }
        }
        Event::CallMetered { request_id, .. } => {
            open.remove(&request_id);
        }
        Event::ServerStarted { .. } | Event::ServerStopped { .. } | Event::AdapterLoaded { .. } => {
        }
    }
}
