//! The payees of an adapter version, as recorded on its home chain.

use alloy::primitives::U256;

use openlora_chain::{
    WalletError,
    provider::Chain,
    registry::{ContributorPool, OpenLoraRegistry as Registry, RevenueSplitter},
};
use openlora_core::Address;
use openlora_ledger::event::{SplitMember, SplitPart};

/// The splitter of a version and its shares.
pub async fn split_of(
    chain: &Chain,
    adapter: U256,
    version: u32,
) -> Result<(Address, Vec<SplitPart>), WalletError> {
    let registry = chain.network.contracts.registry.unwrap_or_default();
    let call = Registry::releaseCall {
        id: adapter,
        version,
    };
    let release = chain
        .read("release of the registry", registry, &call)
        .await?;
    let splitter = Address::from(release.splitter);
    let shares = chain.read(
        "shares of the splitter",
        splitter,
        &RevenueSplitter::sharesCall {},
    );
    let mut parts = Vec::new();
    for share in shares.await? {
        let recipient = Address::from(share.recipient);
        parts.push(SplitPart {
            recipient,
            ppm: share.ppm,
            members: members(chain, recipient).await?,
        });
    }
    Ok((splitter, parts))
}

/// The contributors of a pool; empty if the recipient is not a pool.
async fn members(chain: &Chain, recipient: Address) -> Result<Vec<SplitMember>, WalletError> {
    if !chain.has_code(recipient).await? {
        return Ok(Vec::new());
    }
    let asked = chain.read(
        "shares of the pool",
        recipient,
        &ContributorPool::sharesCall {},
    );
    match asked.await {
        Ok(members) => Ok(members
            .iter()
            .map(|member| SplitMember {
                account: member.recipient.into(),
                ppm: member.ppm,
            })
            .collect()),
        Err(WalletError::Reverted { .. }) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}
