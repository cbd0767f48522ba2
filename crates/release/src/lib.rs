//! Releases on a chain: what a package registers, how it is deployed, and what others have registered.

pub mod deploy;
pub mod eip712;
pub mod explore;
