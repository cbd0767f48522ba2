//! The tests of this crate; each module is a suite.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod model_key;
mod wallet;

#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../../../../tests/support/keys.rs"]
mod keys;

#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../../../../tests/support/paths.rs"]
mod paths;

#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../../../../tests/support/waiting.rs"]
mod waiting;
