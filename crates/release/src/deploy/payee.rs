//! The payees of an adapter version, checked against the chain before any payment is accepted.
//!
//! A splitter's address depends only on its origin and its shares. A splitter at the address that
//! the factory computes is therefore the right one, on every chain.

use alloy::{
    primitives::{B256, U256},
    sol_types::SolCall,
};

use super::{
    error::DeployError,
    observe::{adapter, require},
    plan::{CallValue, DeployStep},
};
use openlora_chain::{
    WalletError,
    provider::Chain,
    registry::{
        ContributorPool, OpenLoraRegistry as Registry, Origin, RevenueSplitter,
        RevenueSplitterFactory, Share, parse_id,
    },
};
use openlora_core::Address;
use openlora_ledger::{
    ReceiverKey, TxKey,
    event::{ReleaseDeployment, SplitMember, SplitPart, SplitRead},
};

/// The splitter of a registered adapter version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleasePayee {
    pub deployment: ReleaseDeployment,
    pub splitter: Address,
    origin: Origin,
    shares: Vec<Share>,
    /// The contributors of recipients that are pools.
    pools: Vec<(Address, Vec<Share>)>,
}

/// Checks a deployment against its home chain: the release, its splitter's origin and shares, and
/// that `server` may serve it.
///
/// # Errors
///
/// The chain contradicts the journal, the adapter is paused, or another account serves it.
pub async fn payee(
    home: &Chain,
    deployment: &ReleaseDeployment,
    server: Address,
) -> Result<ReleasePayee, DeployError> {
    let registry = address("registry", &deployment.registry)?;
    let splitter = address("splitter", &deployment.splitter)?;
    let id = parse_id(&deployment.adapter_id).ok_or_else(|| DeployError::LostAdapter {
        registry,
        id: deployment.adapter_id.clone(),
    })?;
    require(home, "OpenLoraRegistry", registry).await?;
    check_release(home, deployment, registry, id, splitter).await?;
    let asked = Registry::isServerCall {
        id,
        server: server.into(),
    };
    if !home
        .read("isServer of the registry", registry, &asked)
        .await?
    {
        return Err(DeployError::NotServer {
            name: deployment.name.clone(),
            publisher: deployment.publisher.clone(),
            account: server,
        });
    }
    let origin = Origin {
        homeChainId: U256::from(deployment.chain_id),
        registry: registry.into(),
        id,
        version: deployment.version,
    };
    let shares = RevenueSplitter::sharesCall {};
    let shares = home
        .read("shares of the splitter", splitter, &shares)
        .await?;
    let found = predicted(home, &origin, &shares).await?;
    if found != splitter {
        return Err(DeployError::Elsewhere {
            what: "the splitter of these shares",
            found,
            expected: splitter,
        });
    }
    let pools = pools(home, &shares).await?;
    Ok(ReleasePayee {
        deployment: deployment.clone(),
        splitter,
        origin,
        shares,
        pools,
    })
}

async fn check_release(
    home: &Chain,
    deployment: &ReleaseDeployment,
    registry: Address,
    id: U256,
    splitter: Address,
) -> Result<(), DeployError> {
    let known = adapter(home, registry, id).await?;
    let known = known.ok_or_else(|| DeployError::LostAdapter {
        registry,
        id: deployment.adapter_id.clone(),
    })?;
    if known.paused {
        return Err(DeployError::Paused {
            name: deployment.name.clone(),
        });
    }
    let asked = Registry::releaseCall {
        id,
        version: deployment.version,
    };
    let release = home
        .read("release of the registry", registry, &asked)
        .await?;
    let manifest: B256 = release.manifestSha256;
    if alloy::hex::encode(manifest) != deployment.manifest_sha256 {
        return Err(DeployError::OtherRelease {
            name: deployment.name.clone(),
            found: alloy::hex::encode(manifest),
            expected: deployment.manifest_sha256.clone(),
        });
    }
    if Address::from(release.splitter) != splitter {
        return Err(DeployError::Elsewhere {
            what: "the release's splitter",
            found: release.splitter.into(),
            expected: splitter,
        });
    }
    Ok(())
}

async fn predicted(
    chain: &Chain,
    origin: &Origin,
    shares: &[Share],
) -> Result<Address, DeployError> {
    let factory = chain.network.contracts.splitter_factory.unwrap_or_default();
    require(chain, "RevenueSplitterFactory", factory).await?;
    let asked = RevenueSplitterFactory::predictCall {
        origin: origin.clone(),
        shares: shares.to_vec(),
    };
    let found = chain.read("predict of the splitter factory", factory, &asked);
    Ok(found.await?.into())
}

/// The contributors of recipients that are contributor pools; any other contract counts as a single
/// recipient.
async fn pools(home: &Chain, shares: &[Share]) -> Result<Vec<(Address, Vec<Share>)>, DeployError> {
    let mut found = Vec::new();
    for share in shares {
        let recipient = Address::from(share.recipient);
        if !home.has_code(recipient).await? {
            continue;
        }
        let asked = ContributorPool::sharesCall {};
        match home.read("shares of the pool", recipient, &asked).await {
            Ok(members) => found.push((recipient, members)),
            Err(WalletError::Reverted { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(found)
}

impl ReleasePayee {
    /// All recipients of the splitter, with the contributors of pools.
    pub fn recipients(&self) -> impl Iterator<Item = (Address, Vec<Address>)> {
        self.shares.iter().map(|share| {
            let pool = self
                .pools
                .iter()
                .find(|(pool, _)| *pool == Address::from(share.recipient));
            let members = pool.into_iter().flat_map(|(_, members)| members);
            let members = members.map(|member| member.recipient.into());
            (share.recipient.into(), members.collect())
        })
    }

    /// The steps needed on a chain before it can accept payments; none if the splitter exists.
    ///
    /// # Errors
    ///
    /// The chain's factory computes another address, so money sent to this address would be lost.
    pub async fn missing_on(&self, chain: &Chain) -> Result<Option<DeployStep>, DeployError> {
        let found = predicted(chain, &self.origin, &self.shares).await?;
        if found != self.splitter {
            return Err(DeployError::Elsewhere {
                what: "the splitter on another chain",
                found,
                expected: self.splitter,
            });
        }
        if chain.has_code(self.splitter).await? {
            return Ok(None);
        }
        let call = RevenueSplitterFactory::createCall {
            origin: self.origin.clone(),
            shares: self.shares.clone(),
        };
        let name = &self.deployment.name;
        Ok(Some(DeployStep {
            to: chain.network.contracts.splitter_factory.unwrap_or_default(),
            contract: "RevenueSplitterFactory",
            data: call.abi_encode().into(),
            key: TxKey::Create {
                contract: self.splitter,
            },
            deed: format!("creating the splitter of {name} on {}", chain.network.name),
            call: "create".to_owned(),
            arguments: vec![
                ("home chain", CallValue::text(self.origin.homeChainId)),
                ("adapter", CallValue::text(&self.deployment.adapter_id)),
                ("version", CallValue::text(self.deployment.version)),
                ("makes", CallValue::text(self.splitter)),
            ],
        }))
    }

    /// The split as an event about the splitter on one chain.
    pub fn split(&self, chain_id: u64, token: Address) -> SplitRead {
        let part = |share: &Share| {
            let recipient = Address::from(share.recipient);
            let pool = self.pools.iter().find(|(pool, _)| *pool == recipient);
            SplitPart {
                recipient,
                ppm: share.ppm,
                members: pool.map_or_else(Vec::new, |(_, members)| {
                    members.iter().map(member).collect()
                }),
            }
        };
        SplitRead {
            receiver: ReceiverKey {
                chain_id,
                receiver: self.splitter,
                token,
            },
            adapter: self.deployment.name.clone(),
            version: self.deployment.version,
            parts: self.shares.iter().map(part).collect(),
        }
    }
}

fn member(share: &Share) -> SplitMember {
    SplitMember {
        account: share.recipient.into(),
        ppm: share.ppm,
    }
}

fn address(what: &'static str, text: &str) -> Result<Address, DeployError> {
    text.parse()
        .map_err(|problem| DeployError::NoAccount { what, problem })
}
