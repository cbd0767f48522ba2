//! The tests of this crate; each module is a suite.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod folder;
mod icons;
mod reading;
mod writing;
