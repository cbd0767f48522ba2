//! Attribution of answers to training examples, and its verification.
//!
//! An index's evidence about a call (an [`AttributionIndex`]) goes in, integer shares come out.
//! [`shares`] weighs the scores, [`call_shares`] makes a call's final attribution, and
//! [`recompute`] repeats it from a published log, which [`log`] stores. [`queue`] holds the tokens
//! that wait for attribution. This crate does not know how an index is built and read, HTTP, chains
//! or the terminal.
//!
//! ```
//! use openlora_attribution::shares::{Contributor, ShareFallback, ShareTable, divide_call};
//!
//! let contributor = |name: &str, static_ppm| Contributor {
//!     name: name.to_owned(),
//!     address: None,
//!     owner: None,
//!     static_ppm,
//! };
//! let table = ShareTable {
//!     event: [7; 32],
//!     contributors: &[contributor("ada", 750_000), contributor("bo", 250_000)],
//!     payer: None,
//! };
//! // Without evidence, the static shares apply.
//! let divided = divide_call(&table, Err(ShareFallback::MissingIndex));
//! let shares: Vec<u32> = divided.shares.iter().map(|share| share.ppm).collect();
//! assert_eq!(shares, [750_000, 250_000]);
//! ```

pub mod attribution_index;
pub mod call_shares;
pub mod log;
pub mod queue;
pub mod recompute;
pub mod shares;

pub use attribution_index::{AttributionIndex, Provenance};
pub use log::LogFolder;
