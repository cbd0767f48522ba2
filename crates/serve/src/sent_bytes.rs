//! How much of its answers a connection has handed to the system.
//!
//! An answer is taken in pieces by the connection's writer, which passes them on when it flushes. What
//! is flushed reaches the client even if the process dies.

use tokio::sync::watch;

/// Bytes of answers, since the connection began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct SentCounts {
    taken: u64,
    sent: u64,
}

/// Counts the bytes of the answers of one connection.
#[derive(Debug, Default)]
pub struct SentBytes(watch::Sender<SentCounts>);

impl SentBytes {
    /// Counts bytes that the connection's writer takes; returns how many it took before.
    pub fn take(&self, count: u64) -> u64 {
        let mut before = 0;
        self.0.send_if_modified(|counts| {
            before = counts.taken;
            counts.taken += count;
            false
        });
        before
    }

    /// The writer has passed on everything that it took.
    pub fn flush(&self) {
        self.0.send_if_modified(|counts| {
            let is_new = counts.sent != counts.taken;
            counts.sent = counts.taken;
            is_new
        });
    }

    /// Bytes passed on.
    pub fn sent(&self) -> u64 {
        self.0.borrow().sent
    }

    /// Waits until more than `known` bytes are passed on.
    pub async fn sent_more(&self, known: u64) {
        let mut counts = self.0.subscribe();
        // The sender lives in `self`; waiting cannot fail.
        let _ = counts.wait_for(|counts| counts.sent > known).await;
    }
}
