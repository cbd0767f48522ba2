//! Attribution of answers to training examples, and its verification.
//!
//! An index's evidence about a call (an [`AttributionIndex`]) goes in, integer shares come out.
//! [`shares`] weighs the scores, [`call_shares`] makes a call's final attribution, and
//! [`recompute`] repeats it from a published log, which [`log`] stores. [`queue`] holds the tokens
//! that wait for attribution. This crate does not know how an index is built and read, HTTP, chains
//! or the terminal.

pub mod attribution_index;
pub mod call_shares;
pub mod log;
pub mod queue;
pub mod recompute;
pub mod shares;

pub use attribution_index::{AttributionIndex, Provenance};
pub use log::LogFolder;
