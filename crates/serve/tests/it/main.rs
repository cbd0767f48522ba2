//! The tests of this crate; each module is a suite.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod access;
mod adapters;
mod computation;
mod gate;
mod logprobs;
mod on_demand;
mod origins;
mod pages;
mod pictures;
mod proofs;
mod serve_bad_requests;
mod serve_hostile;
mod serve_metering;
mod serve_routes;

#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../../../../tests/support/memory_journal.rs"]
mod memory_journal;

#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../../../../tests/support/serve_support.rs"]
mod serve_support;

#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../../../../tests/support/waiting.rs"]
mod waiting;

#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../../../../tests/support/tiny_pictures.rs"]
mod tiny_pictures;
#[path = "../../../../tests/support/wrapped_engine.rs"]
mod wrapped_engine;
