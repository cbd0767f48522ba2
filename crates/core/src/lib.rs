//! Shared by all crates: accounts, amounts and 32-byte words, exit classes, atomic file
//! replacement, and the handling of secrets.

pub mod address;
pub mod amount;
pub mod atomic;
pub mod calendar;
pub mod error;
pub mod frozen;
pub mod private;
pub mod units;
pub mod word;

pub use address::{Address, AddressProblem};
pub use amount::{Amount, AmountProblem};
pub use units::{from_units, in_units};
pub use word::{Word, WordProblem};
