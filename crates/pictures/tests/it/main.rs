//! The tests of this crate; each module is a suite.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod folder;
mod icons;
mod judge;
mod reading;
mod template;
mod terminal;
mod writing;
