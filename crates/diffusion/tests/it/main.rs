//! The tests of this crate; each module is a suite.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod adapter_files;
mod golden;
mod same_bits;
mod texts;
