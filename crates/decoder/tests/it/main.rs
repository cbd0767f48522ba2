//! The tests of this crate; each module is a suite.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod merged_export;
mod model_base;
mod model_golden;
mod model_kernels;
mod oracle;
mod truncated;

#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../../../../tests/support/files.rs"]
mod files;

#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../../../../tests/support/golden.rs"]
mod golden;

#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../../../../tests/support/paths.rs"]
mod paths;
