//! The on-chain state of a release: its adapter and its pool.

use alloy::primitives::U256;

use super::{
    error::DeployError,
    plan::{
        DeployContext, DeployPlan, POOL_DELAY, POOL_QUORUM, RegistryState, RevenuePayout,
        SeenAdapter, id_of,
    },
    release_params::ReleaseParams,
};
use openlora_chain::{
    WalletError,
    network::Network,
    provider::Chain,
    registry::{
        self, ContributorPoolFactory, OpenLoraRegistry as Registry, Origin, RevenueSplitterFactory,
        shown_id,
    },
};
use openlora_core::Address;

/// The user's options, and the adapters known to the journal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeployOptions {
    /// The account that may serve; the publisher by default.
    pub server: Option<Address>,
    /// The adapter to publish a version of.
    pub adapter: Option<U256>,
    /// Adapters of this name that this journal has registered, newest first.
    pub remembered: Vec<U256>,
    /// Per 1 000 generated tokens, in base units of a token with six decimals.
    pub price: u128,
    /// Where the package can be fetched; empty if nowhere.
    pub uri: String,
}

impl DeployContext {
    /// The network's contracts, after checking that they have code.
    pub async fn observe(
        chain: &Chain,
        account: Address,
        options: &DeployOptions,
        needs_pool: bool,
    ) -> Result<Self, DeployError> {
        let contracts = &chain.network.contracts;
        let registry = contracts.registry.unwrap_or_default();
        let pool_factory = contracts.pool_factory.unwrap_or_default();
        require(chain, "OpenLoraRegistry", registry).await?;
        if needs_pool {
            require(chain, "ContributorPoolFactory", pool_factory).await?;
        }
        Ok(Self {
            registry,
            pool_factory,
            account,
            server: options.server.unwrap_or(account),
            price: options.price,
            uri: options.uri.clone(),
        })
    }
}

/// Fails if there is no code at `address`.
pub async fn require(
    chain: &Chain,
    contract: &'static str,
    address: Address,
) -> Result<(), DeployError> {
    if chain.has_code(address).await? {
        return Ok(());
    }
    let Network { name, .. } = &chain.network;
    Err(DeployError::NoContract {
        network: name.clone(),
        contract,
        address,
    })
}

/// The splitter address of the planned version, as computed by the registry's factory.
pub async fn splitter(
    chain: &Chain,
    registry: Address,
    plan: &DeployPlan,
) -> Result<Address, WalletError> {
    let asked = Registry::splitterFactoryCall {};
    let factory = chain.read("splitterFactory of the registry", registry, &asked);
    let asked = RevenueSplitterFactory::predictCall {
        origin: Origin {
            homeChainId: U256::from(chain.network.chain_id),
            registry: registry.into(),
            id: plan.adapter_id,
            version: plan.version,
        },
        shares: plan.shares.clone(),
    };
    let factory = Address::from(factory.await?);
    let found = chain.read("predict of the splitter factory", factory, &asked);
    Ok(found.await?.into())
}

/// The registry's entry of an adapter, if there is one.
pub async fn adapter(
    chain: &Chain,
    registry: Address,
    id: U256,
) -> Result<Option<registry::Adapter>, WalletError> {
    let asked = Registry::adapterCall { id };
    match chain
        .read("adapter of the registry", registry, &asked)
        .await
    {
        Ok(found) => Ok(Some(found)),
        Err(WalletError::Reverted { reason, .. }) if reason.starts_with("AdapterUnknown(") => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Reads the state of the release.
pub async fn observe(
    chain: &Chain,
    params: &ReleaseParams,
    payout: &RevenuePayout,
    place: &DeployContext,
    options: &DeployOptions,
) -> Result<RegistryState, DeployError> {
    let pool = match &payout.pool {
        None => None,
        Some((_, pool)) => {
            let asked = ContributorPoolFactory::predictCall {
                operator: pool.operator.into(),
                delay: POOL_DELAY,
                quorum: POOL_QUORUM,
                shares: pool.shares.clone(),
                salt: pool.salt,
            };
            let asked = chain.read("predict of the pool factory", place.pool_factory, &asked);
            let address = asked.await.map_err(|error| match error {
                // The contract does not support this call.
                WalletError::Reverted { reason, .. } if reason == "it gives no reason" => {
                    DeployError::EarlierFactory {
                        network: chain.network.name.clone(),
                        address: place.pool_factory,
                    }
                }
                error => error.into(),
            })?;
            let address = Address::from(address);
            Some((address, chain.has_code(address).await?))
        }
    };
    Ok(RegistryState {
        adapter: seen_adapter(chain, params, place, options).await?,
        pool,
    })
}

async fn seen_adapter(
    chain: &Chain,
    params: &ReleaseParams,
    place: &DeployContext,
    options: &DeployOptions,
) -> Result<Option<SeenAdapter>, DeployError> {
    let registry = place.registry;
    let own = id_of(place.account, params.weights_sha256);
    let candidates = match options.adapter {
        Some(id) => vec![id],
        None => options.remembered.iter().copied().chain([own]).collect(),
    };
    for id in candidates {
        if let Some(found) = adapter(chain, registry, id).await? {
            return Ok(Some(details(chain, place, id, &found).await?));
        }
    }
    match options.adapter {
        Some(id) => Err(DeployError::NoAdapter {
            registry,
            id: shown_id(id),
        }),
        None => Ok(None),
    }
}

async fn details(
    chain: &Chain,
    place: &DeployContext,
    id: U256,
    found: &registry::Adapter,
) -> Result<SeenAdapter, DeployError> {
    let version = found.latestVersion;
    let release = Registry::releaseCall { id, version };
    let release = chain.read("release of the registry", place.registry, &release);
    let owner = Registry::ownerOfCall { tokenId: id };
    let owner = chain.read("ownerOf of the registry", place.registry, &owner);
    let server = Registry::isServerCall {
        id,
        server: place.server.into(),
    };
    let server = chain.read("isServer of the registry", place.registry, &server);
    Ok(SeenAdapter {
        id,
        version,
        manifest_sha256: release.await?.manifestSha256,
        owner: owner.await?.into(),
        has_server: server.await?,
    })
}
