//! The embedded EVM chain for development: instant blocks, accounts with published keys, state in
//! one SQLite file, JSON-RPC on loopback. Only this crate uses revm.
//!
//! Limitations: no network, no consensus, no blob transactions, no state proofs. A header's state
//! root is a hash chain over all changes, not a trie root. Transaction and receipt roots, blooms
//! and hashes are computed as specified.
//!
//! ```no_run
//! use openlora_devnet::{ChainOptions, DevChain, RunningNode, local_genesis};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let chain = DevChain::open(ChainOptions {
//!     path: "chain.sqlite".into(),
//!     chain_id: 31_337,
//!     genesis: local_genesis()?,
//! })?;
//! let node = RunningNode::start(chain, 8545, "token for /stop").await?;
//! println!("JSON-RPC at http://{}", node.address());
//! node.run().await?;
//! # Ok(())
//! # }
//! ```

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
