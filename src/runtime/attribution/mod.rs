//! Proof of Attribution: whose training data shaped an answer.
//!
//! The arithmetic from scores to shares is pure and lives in [`shares`]; the tokens that wait for
//! it are kept in [`queue`]; what an index says is asked through [`Witness`]. Nothing here knows
//! HTTP, chains or the terminal.

pub mod log;
pub mod queue;
pub mod recompute;
pub mod settle;
pub mod shares;
pub mod witness;

pub use log::LogFolder;
pub use witness::{Provenance, Witness};
