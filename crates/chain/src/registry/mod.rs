//! Rust bindings of the contracts: calls, events, return values and error names. A test compares
//! every selector with the committed artifacts.

mod bindings;
mod errors;
mod escrow;
mod id;

pub use bindings::*;
pub use errors::explain;
pub use escrow::*;
pub use id::{AdapterId, parse_id, shown_id};
