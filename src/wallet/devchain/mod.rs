//! The embedded EVM chain for development: instant blocks, accounts with known keys, state in one
//! SQLite file, JSON-RPC on loopback. It is the only place that names revm.
//!
//! What it is not: there is no network, no consensus, no blob transaction, no proof of state. A
//! header's state root is a hash chain over all changes, not the root of a trie; the roots of
//! transactions and receipts, the blooms and the hashes are the real ones.

mod accounts;
mod chain;
mod changes;
mod edits;
mod error;
mod execute;
mod genesis;
mod header;
mod integrity;
mod notice;
mod pool;
mod query;
mod rpc;
mod rpc_error;
mod seal;
mod server;
mod simulate;
mod state;
mod store;
mod submit;
pub mod supervisor;

pub use accounts::ETHER;
pub use chain::{ChainOptions, DevChain};
pub use error::ChainError;
pub use genesis::{GenesisContract, GenesisState, local_genesis};
pub use header::GAS_LIMIT;
pub use rpc_error::RpcError;
pub use server::{NodeHandle, RunningNode, ServerError};
