//! The tests of this crate; each module is a suite.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod attribution;
mod pictures;
mod shares;
mod truncated;

#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../../../../tests/support/files.rs"]
mod files;

#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../../../../tests/support/paths.rs"]
mod paths;

#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../../../../tests/support/tiny.rs"]
mod tiny;
