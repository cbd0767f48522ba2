//! Who is paid how much: accounts and integer shares.
//!
//! Pure: no files, clock, randomness or floats. Chains, keys and the terminal are unknown here.

mod address;
mod shares;

pub use address::{Address, AddressProblem};
pub use shares::{Share, SplitProblem, WHOLE_PPM, apportion, check_split};
