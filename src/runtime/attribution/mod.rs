//! Whose training examples are paid for an answer, and the proof of it.
//!
//! What an index says of a call (a [`AttributionIndex`]) goes in, integer shares come out: [`shares`] decides
//! what scores are worth, [`settle`] makes a call's final attribution of them, and [`recompute`] does
//! so again from a published log, which [`log`] keeps. The tokens that wait for attribution are in
//! [`queue`]. How an index is built and read, HTTP, chains and the terminal are unknown here.

pub mod attribution_index;
pub mod call_shares;
pub mod log;
pub mod queue;
pub mod recompute;
pub mod shares;

pub use attribution_index::{AttributionIndex, Provenance};
pub use log::LogFolder;
