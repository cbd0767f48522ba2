//! Keys and chains: encrypted keystores, signatures over typed data, networks.
//!
//! The runtime knows this room through its ports only; settings, terminal and command line are
//! unknown here.

pub mod balance;
pub mod development;
pub mod eip712;
mod error;
pub mod keystore;
pub mod network;

pub use error::WalletError;
