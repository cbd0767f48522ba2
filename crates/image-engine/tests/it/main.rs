//! The tests of this crate; each module is a suite.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod engine;

#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../../../../tests/support/tiny_pictures.rs"]
mod tiny_pictures;

#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../../../../tests/support/waiting.rs"]
mod waiting;
