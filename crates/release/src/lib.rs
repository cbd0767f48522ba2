//! Releases on a chain: signing, deployment, and exploration of a registry.

pub mod deploy;
pub mod eip712;
pub mod explore;
