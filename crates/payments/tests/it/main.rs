//! The tests of this crate; each module is a suite.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod allotment;
mod digest;
mod ledger;
mod payer_store;
mod wire;

#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../../../../tests/support/keys.rs"]
mod keys;
