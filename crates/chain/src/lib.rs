//! Access to EVM chains: networks, accounts, contracts, Merkle trees and transactions.
//!
//! The crates that know no chain reach this one through the port traits only. It does not know
//! settings, terminal or command line.

pub mod balance;
pub mod development;
mod error;
pub mod merkle;
pub mod network;
pub mod provider;
pub mod registry;
pub mod transaction;

pub use error::WalletError;
