//! The tests of this crate; each module is a suite.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod engine;
mod untrusted;

use engine::under_test;

#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../../../../xtask/src/bpe.rs"]
mod bpe;

#[path = "../../../../tests/support/engine_suite.rs"]
mod engine_suite;

#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../../../../tests/support/golden.rs"]
mod golden;

#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../../../../tests/support/paths.rs"]
mod paths;

#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../../../../tests/support/scripted.rs"]
mod scripted;

#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../../../../tests/support/waiting.rs"]
mod waiting;
