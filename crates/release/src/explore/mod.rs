//! Reads a registry from any RPC: events for the history, views for the current state.
//!
//! Local files are not trusted here; [`compare`] checks a package against what was read.

mod compare;
mod read;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use compare::{against_releases, compare};
pub use read::{ExploreQuery, explore, registered_adapters};

use openlora_package::verify::PackageVerification;

/// The registry's adapters at one block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RegistryReport {
    pub network: String,
    pub chain_id: u64,
    pub registry: String,
    /// Height of the chain when it was read.
    pub block: u64,
    pub adapters: Vec<AdapterView>,
    /// The checks of `--verify`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified: Option<PackageVerification>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AdapterView {
    pub adapter_id: String,
    /// Its name where it was deployed or packaged from here: a registry has no names.
    pub name: Option<String>,
    /// What it was trained for, such as `classify` or `chat`, where its package is here.
    pub task: Option<String>,
    pub publisher: String,
    /// The account that may publish versions.
    pub owner: String,
    /// Digest of the first release's weights.
    pub weights_sha256: String,
    pub royalty_bps: u16,
    pub paused: bool,
    /// Unix time in seconds.
    pub registered_at: u64,
    /// Oldest first.
    pub releases: Vec<ReleaseView>,
    /// Accounts that may serve it.
    pub servers: Vec<String>,
    /// Where those of them are reached that state it in the directory of servers.
    #[serde(default)]
    pub server_urls: Vec<ServerUrl>,
    pub anchored: Vec<AnchoredView>,
}

/// Where a server is reached, as its own account states it. Nothing checks that it is true.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServerUrl {
    pub server: String,
    pub url: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReleaseView {
    pub version: u32,
    /// Unix time in seconds.
    pub published_at: u64,
    pub manifest_sha256: String,
    pub base_root: String,
    pub datasets_root: String,
    /// Per 1 000 generated tokens, in base units of a token with six decimals.
    pub price: String,
    pub uri: String,
    pub splitter: String,
    pub shares: Vec<ShareView>,
    pub revenue: Option<AdapterRevenue>,
    pub tx: String,
    pub block: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ShareView {
    pub recipient: String,
    pub ppm: u32,
    /// What the splitter holds for the recipient, in base units of the network's token; absent if
    /// nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<String>,
    /// If the recipient is a contributor pool: its members and their static shares.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<PoolView>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PoolView {
    pub operator: String,
    pub delay_seconds: u32,
    /// The shares needed to reject an allotment; null for a pool of earlier contracts.
    pub quorum_ppm: Option<u32>,
    pub shares: Vec<ShareView>,
}

/// Base units of the network's token, as decimal texts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AdapterRevenue {
    pub token: String,
    pub symbol: String,
    pub decimals: u8,
    /// Total received by the splitter.
    pub received: String,
    /// Released to recipients.
    pub released: String,
    /// Still in the splitter.
    pub pending: String,
}

/// What one server has anchored for an adapter. The number of calls and their charge are the
/// server's claims: the chain has only the roots, and `audit` recomputes the rest from the
/// published log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AnchoredView {
    pub server: String,
    pub anchors: u64,
    /// As the server states it; not checked by the chain.
    pub calls: u64,
    /// As the server states it; base units of a token with six decimals.
    pub charged: String,
    /// The newest root.
    pub root: String,
    /// Where the server publishes its log, and so where it serves, as it states it; empty if it
    /// states nothing.
    pub uri: String,
}
