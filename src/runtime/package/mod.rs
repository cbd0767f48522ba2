//! Packages: an adapter with a manifest of where it came from and who is owed what.

pub mod release;
pub mod whole;
