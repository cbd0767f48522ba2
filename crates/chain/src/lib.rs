//! Everything that knows a chain: keys and signatures, networks, contracts, and the embedded
//! development chain. No other room names alloy or revm.
//!
//! The runtime knows this room through its ports only; settings, terminal and command line are
//! unknown here.

pub mod balance;
pub mod development;
mod error;
pub mod merkle;
pub mod network;
pub mod provider;
pub mod registry;
pub mod transaction;

pub use error::WalletError;
