//! The contracts as Rust sees them: calls, events and what they answer, and the names of their
//! errors. A test compares every selector with the committed artifacts.

mod bindings;
mod errors;
mod escrow;
mod id;

pub use bindings::*;
pub use errors::explain;
pub use escrow::*;
pub use id::{AdapterId, parse_id, shown_id};
