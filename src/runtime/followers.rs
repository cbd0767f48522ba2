//! Followers of a journal: they feed its records to the dashboard, from this machine, from a server's
//! `/events` or from a recording.

mod local;
pub mod recording;
mod remote;

use std::time::{SystemTime, UNIX_EPOCH};

pub use self::{
    local::follow_journal,
    remote::{RemoteServer, ServerEvents},
};

/// The clock of the journal's records.
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}
