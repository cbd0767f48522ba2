//! Everything that knows a chain: keys and signatures, networks, contracts, and the embedded
//! development chain. No other room names alloy or revm.
//!
//! The runtime knows this room through its ports only; settings, terminal and command line are
//! unknown here.

pub mod balance;
pub mod contracts;
pub mod deploy;
pub mod devchain;
pub mod development;
pub mod eip712;
mod error;
pub mod explore;
pub mod keystore;
pub mod merkle;
pub mod network;
pub mod payer;
pub mod provider;
pub mod registry;
pub mod rewards;
pub mod settlement;
pub mod transaction;
pub mod x402;

pub use error::WalletError;
