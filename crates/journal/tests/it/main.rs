//! The tests of this crate; each module is a suite.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod journal;
mod state;

#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../../../../tests/support/memory_journal.rs"]
mod memory_journal;

#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../../../../tests/support/small_disk.rs"]
mod small_disk;

#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../../../../tests/support/waiting.rs"]
mod waiting;
