//! Releases on a chain: signing, deployment, and exploration of a registry.
//!
//! ```no_run
//! use openlora_chain::{
//!     network::{Network, NetworkOptions},
//!     provider::Chain,
//! };
//! use openlora_release::explore::{ExploreQuery, explore};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let network = Network::resolve("local", &NetworkOptions::default())?;
//! let chain = Chain::connect(&network).await?;
//! let registry = explore(&chain, &ExploreQuery::default()).await?;
//! for adapter in &registry.adapters {
//!     println!("{} by {}", adapter.adapter_id, adapter.publisher);
//! }
//! # Ok(())
//! # }
//! ```

pub mod agent;
pub mod deploy;
pub mod eip712;
pub mod explore;
pub mod lookup;
