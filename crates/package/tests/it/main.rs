//! The tests of this crate; each module is a suite.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod certificates;
mod derived;
mod imported;
mod model_signing;
mod mutations;
mod package;
mod package_bad;
mod pictures;
mod policy;

#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../../../../tests/support/golden.rs"]
mod golden;

#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../../../../tests/support/packages.rs"]
mod packages;

#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../../../../tests/support/paths.rs"]
mod paths;
