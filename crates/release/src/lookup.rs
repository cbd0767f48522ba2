//! Looks up what a registry registers, so that it can be fetched and served: the newest release of
//! each adapter, from events alone.

use std::collections::{BTreeMap, BTreeSet};

use alloy::{primitives::U256, rpc::types::Filter, sol_types::SolEvent};

use crate::deploy::{self, DeployError, DeployPlan, RegistryAction, ReleaseParams, find_release};
use openlora_chain::{
    WalletError,
    provider::Chain,
    registry::{AdapterId, OpenLoraRegistry as Registry},
};
use openlora_core::Address;
use openlora_ledger::event::ReleaseDeployment;
use openlora_package::{Package, manifest::Digest};

/// Blocks that are read again, because the last ones of a chain may be replaced.
const OVERLAP: u64 = 64;

/// The newest release of an adapter, as its events state it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainRelease {
    pub adapter_id: AdapterId,
    /// The registry's version number, from 1.
    pub version: u32,
    /// The account that registered the adapter.
    pub publisher: Address,
    /// Digest of `openlora.json`.
    pub manifest_sha256: Digest,
    /// Per 1 000 generated tokens, or per picture, in base units of a token with six decimals.
    pub price: u128,
    /// Where the package can be fetched; empty if the publisher states nothing.
    pub uri: String,
    /// Whom its calls pay.
    pub splitter: Address,
}

/// The releases that were read so far; reading goes on where it ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReleaseIndex {
    newest: BTreeMap<AdapterId, ChainRelease>,
    /// In the order of registration.
    order: Vec<AdapterId>,
    /// The accounts that may serve an adapter.
    servers: BTreeMap<AdapterId, BTreeSet<Address>>,
    next_block: u64,
}

impl ReleaseIndex {
    /// Reads what was registered since the last time.
    ///
    /// # Errors
    ///
    /// The RPC fails, or there is no registry.
    pub async fn refresh(&mut self, chain: &Chain) -> Result<(), DeployError> {
        let registry = chain.network.contracts.registry.unwrap_or_default();
        if self.next_block == 0 {
            deploy::require(chain, "OpenLoraRegistry", registry).await?;
        }
        let height = chain.height().await?;
        // A development chain that was reset begins anew.
        if height.saturating_add(OVERLAP) < self.next_block {
            *self = Self::default();
        }
        let filter = Filter::new()
            .address(alloy::primitives::Address::from(registry))
            .event_signature(vec![
                Registry::AdapterRegistered::SIGNATURE_HASH,
                Registry::ReleasePublished::SIGNATURE_HASH,
                Registry::ServerSet::SIGNATURE_HASH,
                Registry::ServersCleared::SIGNATURE_HASH,
            ]);
        let from = self.next_block.saturating_sub(OVERLAP);
        let logs = chain.logs_in(&filter, from..=height).await?;
        let mut publishers = BTreeMap::new();
        for log in &logs {
            if let Ok(event) = Registry::AdapterRegistered::decode_log(&log.inner) {
                publishers.insert(event.id, Address::from(event.publisher));
            } else if let Ok(event) = Registry::ReleasePublished::decode_log(&log.inner) {
                self.add(&publishers, &event.data);
            } else if let Ok(event) = Registry::ServerSet::decode_log(&log.inner) {
                let servers = self.servers.entry(event.id).or_default();
                let server = Address::from(event.server);
                match event.authorised {
                    true => servers.insert(server),
                    false => servers.remove(&server),
                };
            } else if let Ok(event) = Registry::ServersCleared::decode_log(&log.inner) {
                self.servers.remove(&event.id);
            }
        }
        self.next_block = height.saturating_add(1);
        Ok(())
    }

    fn add(&mut self, publishers: &BTreeMap<U256, Address>, event: &Registry::ReleasePublished) {
        let known = self.newest.get(&event.id);
        let publisher = publishers.get(&event.id).copied();
        let Some(publisher) = publisher.or(known.map(|it| it.publisher)) else {
            return;
        };
        if known.is_some_and(|it| it.version > event.version) {
            return;
        }
        if known.is_none() {
            self.order.push(event.id);
        }
        let release = ChainRelease {
            adapter_id: event.id,
            version: event.version,
            publisher,
            manifest_sha256: Digest(event.manifestSha256.0),
            price: event.price,
            uri: event.uri.clone(),
            splitter: event.splitter.into(),
        };
        self.newest.insert(event.id, release);
    }

    /// The newest releases, in the order in which their adapters were registered.
    pub fn releases(&self) -> impl Iterator<Item = &ChainRelease> {
        self.order.iter().filter_map(|id| self.newest.get(id))
    }

    /// Whether an account may serve an adapter, as the events state it.
    pub fn may_serve(&self, id: AdapterId, server: Address) -> bool {
        self.servers.get(&id).is_some_and(|it| it.contains(&server))
    }

    pub fn release(&self, id: AdapterId) -> Option<&ChainRelease> {
        self.newest.get(&id)
    }
}

/// Whether an adapter's owner has paused it.
///
/// # Errors
///
/// The RPC fails.
pub async fn is_paused(chain: &Chain, id: AdapterId) -> Result<bool, WalletError> {
    let registry = chain.network.contracts.registry.unwrap_or_default();
    let adapter = deploy::adapter(chain, registry, id).await?;
    Ok(adapter.is_none_or(|it| it.paused))
}

/// When an adapter was registered: Unix time in seconds; 0 if it is not there.
///
/// # Errors
///
/// The RPC fails.
pub async fn registered_at(chain: &Chain, id: AdapterId) -> Result<u64, WalletError> {
    let registry = chain.network.contracts.registry.unwrap_or_default();
    let adapter = deploy::adapter(chain, registry, id).await?;
    Ok(adapter.map_or(0, |it| it.registeredAt.to::<u64>()))
}

/// The registration of a release that somebody published, with its splitter.
///
/// # Errors
///
/// The RPC fails, or the release is not there.
pub async fn registered_release(
    chain: &Chain,
    package: &Package,
    release: &ChainRelease,
) -> Result<ReleaseDeployment, DeployError> {
    let params = ReleaseParams::from_package(package)?;
    let plan = DeployPlan {
        action: RegistryAction::Nothing,
        adapter_id: release.adapter_id,
        version: release.version,
        shares: Vec::new(),
        steps: Vec::new(),
        splitter: None,
    };
    find_release(chain, &params, &plan).await
}
