//! Reads events in order, and what only views provide.

use std::collections::{BTreeMap, BTreeSet};

use alloy::{
    hex,
    primitives::{Address as RawAddress, U256},
    rpc::types::{Filter, Log},
    sol_types::SolEvent,
};

use super::{
    AdapterRevenue, AdapterView, AnchoredView, PoolView, RegistryReport, ReleaseView, ServerUrl,
    ShareView,
};
use crate::deploy::{self, DeployError};
use openlora_chain::{
    WalletError,
    provider::Chain,
    registry::{
        AttributionAnchor, ContributorPool, OpenLoraRegistry as Registry, RevenueSplitter,
        ServerDirectory, Share, Token, shown_id,
    },
};
use openlora_core::Address;

/// What to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExploreQuery {
    /// One adapter; all of them when `None`.
    pub adapter: Option<U256>,
    /// The first block to read; found automatically for one adapter.
    pub from_block: u64,
}

/// Reads the registry of the chain's network.
///
/// # Errors
///
/// The RPC fails, there is no registry, or no such adapter.
pub async fn explore(chain: &Chain, query: &ExploreQuery) -> Result<RegistryReport, DeployError> {
    let registry = chain.network.contracts.registry.unwrap_or_default();
    deploy::require(chain, "OpenLoraRegistry", registry).await?;
    let from = first_block(chain, registry, query).await?;
    let block = chain.height().await?;
    let mut found = history(chain, registry, query, from).await?;
    for (id, view) in &mut found {
        complete(chain, registry, *id, view).await?;
    }
    add_server_urls(chain, &mut found).await?;
    Ok(report(chain, registry, block, found))
}

/// The same from events alone, without owners, shares and revenue: what a buyer needs, for a
/// registry of any size in a few requests.
///
/// # Errors
///
/// The RPC fails, there is no registry, or no such adapter.
pub async fn registered_adapters(
    chain: &Chain,
    query: &ExploreQuery,
) -> Result<RegistryReport, DeployError> {
    let registry = chain.network.contracts.registry.unwrap_or_default();
    deploy::require(chain, "OpenLoraRegistry", registry).await?;
    let from = first_block(chain, registry, query).await?;
    let block = chain.height().await?;
    let mut found = history(chain, registry, query, from).await?;
    add_server_urls(chain, &mut found).await?;
    Ok(report(chain, registry, block, found))
}

fn report(
    chain: &Chain,
    registry: Address,
    block: u64,
    found: Vec<(U256, AdapterView)>,
) -> RegistryReport {
    RegistryReport {
        network: chain.network.name.clone(),
        chain_id: chain.network.chain_id,
        registry: registry.to_string(),
        block,
        adapters: found.into_iter().map(|(_, view)| view).collect(),
        verified: None,
    }
}

/// The most servers whose URLs are read, in all and of one adapter.
const MOST_SERVERS: usize = 1_024;
const MOST_OF_ADAPTER: usize = 32;

/// Adds where servers are reached. Chains from before the directory have none.
async fn add_server_urls(
    chain: &Chain,
    found: &mut [(U256, AdapterView)],
) -> Result<(), WalletError> {
    let directory = chain.network.contracts.directory.unwrap_or_default();
    // In the order of registration: nobody crowds the servers of older adapters out.
    let servers = found.iter();
    let servers = servers.flat_map(|(_, view)| view.servers.iter().take(MOST_OF_ADAPTER));
    let mut known = BTreeSet::new();
    let servers: Vec<String> = servers.filter(|it| known.insert(*it)).cloned().collect();
    if servers.is_empty() || !chain.has_code(directory).await? {
        return Ok(());
    }
    let mut urls = BTreeMap::new();
    for server in servers.into_iter().take(MOST_SERVERS) {
        if let Some(url) = server_url(chain, directory, &server).await? {
            urls.insert(server, url);
        }
    }
    for (_, view) in found {
        let known = view.servers.iter().filter_map(|server| {
            let (server, url) = (server.clone(), urls.get(server)?.clone());
            Some(ServerUrl { server, url })
        });
        view.server_urls = known.collect();
    }
    Ok(())
}

async fn server_url(
    chain: &Chain,
    directory: Address,
    server: &str,
) -> Result<Option<String>, WalletError> {
    let Ok(account) = server.parse::<Address>() else {
        return Ok(None);
    };
    let asked = ServerDirectory::urlOfCall {
        server: account.into(),
    };
    let url = chain
        .read("urlOf of the directory of servers", directory, &asked)
        .await?;
    Ok((!url.is_empty()).then_some(url))
}

async fn first_block(
    chain: &Chain,
    registry: Address,
    query: &ExploreQuery,
) -> Result<u64, DeployError> {
    let Some(id) = query.adapter else {
        return Ok(query.from_block);
    };
    match deploy::adapter(chain, registry, id).await? {
        Some(found) => Ok(chain.block_at(found.registeredAt.to::<u64>()).await?),
        None => Err(DeployError::NoAdapter {
            registry,
            id: shown_id(id),
        }),
    }
}

/// The history from events, in the order of registration.
async fn history(
    chain: &Chain,
    registry: Address,
    query: &ExploreQuery,
    from: u64,
) -> Result<Vec<(U256, AdapterView)>, WalletError> {
    let anchor = chain.network.contracts.anchor;
    let contracts: Vec<RawAddress> = [Some(registry), anchor]
        .into_iter()
        .flatten()
        .map(RawAddress::from)
        .collect();
    let mut filter = Filter::new().address(contracts).event_signature(vec![
        Registry::AdapterRegistered::SIGNATURE_HASH,
        Registry::ReleasePublished::SIGNATURE_HASH,
        Registry::ServerSet::SIGNATURE_HASH,
        Registry::ServersCleared::SIGNATURE_HASH,
        Registry::PauseSet::SIGNATURE_HASH,
        AttributionAnchor::Anchored::SIGNATURE_HASH,
    ]);
    if let Some(id) = query.adapter {
        filter = filter.topic1(id);
    }
    let mut found: Vec<(U256, AdapterView)> = Vec::new();
    for log in chain.logs(&filter, from).await? {
        if let Ok(event) = Registry::AdapterRegistered::decode_log(&log.inner) {
            found.push((event.id, registered(&event)));
            continue;
        }
        let id = log
            .topics()
            .get(1)
            .map(|topic| U256::from_be_bytes(topic.0));
        let view = found.iter_mut().rev().find(|(known, _)| Some(*known) == id);
        if let Some((_, view)) = view {
            fold(view, &log);
        }
    }
    Ok(found)
}

fn registered(event: &Registry::AdapterRegistered) -> AdapterView {
    let publisher = Address::from(event.publisher).to_string();
    AdapterView {
        adapter_id: shown_id(event.id),
        name: None,
        task: None,
        owner: publisher.clone(),
        publisher,
        weights_sha256: hex::encode(event.weightsHash),
        royalty_bps: event.royaltyBps,
        paused: false,
        registered_at: 0,
        releases: Vec::new(),
        servers: Vec::new(),
        server_urls: Vec::new(),
        anchored: Vec::new(),
    }
}

fn fold(view: &mut AdapterView, log: &Log) {
    if let Ok(event) = Registry::ReleasePublished::decode_log(&log.inner) {
        view.releases.push(published(&event, log));
    } else if let Ok(event) = Registry::ServerSet::decode_log(&log.inner) {
        let server = Address::from(event.server).to_string();
        view.servers.retain(|known| *known != server);
        if event.authorised {
            view.servers.push(server);
        }
    } else if Registry::ServersCleared::decode_log(&log.inner).is_ok() {
        view.servers.clear();
    } else if let Ok(event) = Registry::PauseSet::decode_log(&log.inner) {
        view.paused = event.paused;
    } else if let Ok(event) = AttributionAnchor::Anchored::decode_log(&log.inner) {
        anchored(&mut view.anchored, &event);
    }
}

fn published(event: &Registry::ReleasePublished, log: &Log) -> ReleaseView {
    ReleaseView {
        version: event.version,
        published_at: 0,
        manifest_sha256: hex::encode(event.manifestSha256),
        base_root: hex::encode(event.baseRoot),
        datasets_root: hex::encode(event.datasetsRoot),
        price: event.price.to_string(),
        uri: event.uri.clone(),
        splitter: Address::from(event.splitter).to_string(),
        shares: Vec::new(),
        revenue: None,
        tx: log.transaction_hash.unwrap_or_default().to_string(),
        block: log.block_number.unwrap_or_default(),
    }
}

fn anchored(all: &mut Vec<AnchoredView>, event: &AttributionAnchor::Anchored) {
    let server = Address::from(event.server).to_string();
    let known = all.iter().position(|it| it.server == server);
    let before = known.map(|index| all.remove(index));
    let charged = before
        .as_ref()
        .and_then(|it| it.charged.parse::<u128>().ok());
    let charged = charged.unwrap_or_default().saturating_add(event.charged);
    all.push(AnchoredView {
        anchors: event.sequence,
        calls: before.map_or(0, |it| it.calls).saturating_add(event.count),
        charged: charged.to_string(),
        root: event.root.to_string(),
        uri: event.uri.clone(),
        server,
    });
}

/// Adds the current state from views.
async fn complete(
    chain: &Chain,
    registry: Address,
    id: U256,
    view: &mut AdapterView,
) -> Result<(), WalletError> {
    if let Some(now) = deploy::adapter(chain, registry, id).await? {
        view.paused = now.paused;
        view.registered_at = now.registeredAt.to::<u64>();
    }
    let owner = Registry::ownerOfCall { tokenId: id };
    let owner = chain
        .read("ownerOf of the registry", registry, &owner)
        .await?;
    view.owner = Address::from(owner).to_string();
    let mut pools = BTreeMap::new();
    for release in &mut view.releases {
        let version = release.version;
        let record = Registry::releaseCall { id, version };
        let record = chain
            .read("release of the registry", registry, &record)
            .await?;
        release.published_at = record.publishedAt.to::<u64>();
        let splitter = Address::from(record.splitter);
        let shares = RevenueSplitter::sharesCall {};
        let shares = chain
            .read("shares of the splitter", splitter, &shares)
            .await?;
        for share in shares {
            release
                .shares
                .push(with_pool(chain, &mut pools, share).await?);
        }
        release.revenue = revenue(chain, splitter).await?;
        if release.revenue.is_some() {
            for share in &mut release.shares {
                share.pending = pending(chain, splitter, &share.recipient).await?;
            }
        }
    }
    Ok(())
}

fn share_view(share: &Share) -> ShareView {
    ShareView {
        recipient: Address::from(share.recipient).to_string(),
        ppm: share.ppm,
        pending: None,
        pool: None,
    }
}

/// A share, with its pool if its recipient is one.
async fn with_pool(
    chain: &Chain,
    pools: &mut BTreeMap<RawAddress, Option<PoolView>>,
    share: Share,
) -> Result<ShareView, WalletError> {
    let address = share.recipient;
    let pool = match pools.get(&address) {
        Some(known) => known.clone(),
        None => {
            let found = pool(chain, address.into()).await?;
            pools.insert(address, found.clone());
            found
        }
    };
    Ok(ShareView {
        pool,
        ..share_view(&share)
    })
}

async fn pool(chain: &Chain, address: Address) -> Result<Option<PoolView>, WalletError> {
    if !chain.has_code(address).await? {
        return Ok(None);
    }
    let asked = ContributorPool::termsCall {};
    let terms = match chain.read("terms of the pool", address, &asked).await {
        Ok(terms) => terms,
        // Some other contract.
        Err(WalletError::Reverted { .. } | WalletError::Rpc { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let shares = ContributorPool::sharesCall {};
    let shares = chain.read("shares of the pool", address, &shares).await?;
    let asked = ContributorPool::quorumCall {};
    let quorum_ppm = match chain.read("quorum of the pool", address, &asked).await {
        Ok(quorum) => Some(quorum),
        Err(WalletError::Reverted { .. }) => None,
        Err(error) => return Err(error),
    };
    Ok(Some(PoolView {
        operator: Address::from(terms.operator).to_string(),
        delay_seconds: terms.delay,
        quorum_ppm,
        shares: shares.iter().map(share_view).collect(),
    }))
}

/// What a splitter holds for a recipient; `None` if nothing.
async fn pending(
    chain: &Chain,
    splitter: Address,
    recipient: &str,
) -> Result<Option<String>, WalletError> {
    let (Some(token), Ok(recipient)) = (&chain.network.token, recipient.parse::<Address>()) else {
        return Ok(None);
    };
    let asked = RevenueSplitter::pendingCall {
        token: token.address.into(),
        recipient: recipient.into(),
    };
    let found = chain.read("pending of the splitter", splitter, &asked);
    let found = found.await?;
    Ok((!found.is_zero()).then(|| found.to_string()))
}

/// The amounts received and released by the splitter, if the network has a token.
async fn revenue(chain: &Chain, splitter: Address) -> Result<Option<AdapterRevenue>, WalletError> {
    let Some(token) = &chain.network.token else {
        return Ok(None);
    };
    if !chain.has_code(token.address).await? {
        return Ok(None);
    }
    let asked = RevenueSplitter::totalReleasedCall {
        token: token.address.into(),
    };
    let asked = chain.read("totalReleased of the splitter", splitter, &asked);
    let released = asked.await?;
    let held = Token::balanceOfCall {
        account: splitter.into(),
    };
    let held = chain
        .read("balanceOf of the token", token.address, &held)
        .await?;
    Ok(Some(AdapterRevenue {
        token: token.address.to_string(),
        symbol: token.symbol.clone(),
        decimals: token.decimals,
        received: released.saturating_add(held).to_string(),
        released: released.to_string(),
        pending: held.to_string(),
    }))
}
