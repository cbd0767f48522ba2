//! Shared by all crates: accounts, amounts and 32-byte words, exit classes, atomic file
//! replacement, the handling of secrets, and the allocator's settings.
//!
//! ```
//! use openlora_core::{Address, Amount, from_units, in_units};
//!
//! let account: Address = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266".parse()?;
//! assert_eq!(
//!     account.to_string(),
//!     "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
//! );
//! let price = Amount(1_500_000);
//! assert_eq!(in_units(price, 6), "1.5");
//! assert_eq!(from_units("1.5", 6), Some(price.0));
//! assert_eq!(price.checked_sub(Amount(2_000_000)), None);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod address;
pub mod allocator;
pub mod amount;
pub mod atomic;
pub mod calendar;
pub mod disk;
pub mod error;
pub mod frozen;
pub mod private;
pub mod units;
pub mod word;

pub use address::{Address, AddressProblem};
pub use amount::{Amount, AmountProblem};
pub use units::{exact_percent, from_units, in_units};
pub use word::{Word, WordProblem};
