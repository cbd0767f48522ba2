//! The tests of this crate; each module is a suite.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod attention;
mod dense;
mod dora;
mod golden;
mod lora;
mod pointwise;
mod product;
mod reference;
mod support;
mod threads;
