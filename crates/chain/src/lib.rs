//! Access to EVM chains: networks, accounts, contracts, Merkle trees and transactions.
//!
//! The crates that know no chain reach this one through the port traits only. It does not know
//! settings, terminal or command line.
//!
//! ```
//! use openlora_chain::merkle::{MerkleTree, leaf};
//! use openlora_chain::network::{Network, NetworkOptions};
//!
//! let network = Network::resolve("base", &NetworkOptions::default())?;
//! assert_eq!(network.chain_id, 8453);
//!
//! let leaves = [leaf(b"first"), leaf(b"second"), leaf(b"third")];
//! let tree = MerkleTree::new(&leaves).ok_or("a tree has leaves")?;
//! let proof = tree.proof(1).ok_or("the tree has a second leaf")?;
//! // The first leaf beside it, and the third above both.
//! assert_eq!(proof.len(), 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod balance;
pub mod development;
mod error;
pub mod merkle;
pub mod network;
pub mod provider;
pub mod registry;
pub mod transaction;

pub use error::WalletError;
