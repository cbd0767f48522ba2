//! What a contributor can fetch from a pool now, and the calls that fetch or contest it. Whoever
//! asks trusts the published file no further than the root on the chain.

use alloy::{
    primitives::{Bytes, U256},
    sol_types::SolCall,
};

use super::{leaves::contributions_tree, pool::Pool};
use crate::{
    runtime::ledger::{Address, Amount, publication::Contributions},
    wallet::{WalletError, provider::Chain, registry::ContributorPool, transaction::Submission},
};

/// How a contributor is paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Due {
    /// Out of the allotment in force: the sum since the beginning and its proof.
    Allotted {
        cumulative: Amount,
        proof: Vec<alloy::primitives::B256>,
    },
    /// By its static share, because somebody contested.
    Static,
}

/// A sum that waits for a contributor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimable {
    pub amount: Amount,
    pub due: Due,
}

/// What waits for a contributor in a pool. `contributions` is the published file of the root in
/// force, where there is one.
///
/// # Errors
/// The chain cannot be asked.
pub async fn due(
    chain: &Chain,
    pool: &Pool,
    contributions: Option<&Contributions>,
    contributor: Address,
) -> Result<Vec<Claimable>, WalletError> {
    let mut found = Vec::new();
    if let Some(allotted) = contributions.and_then(|it| allotted(it, contributor)) {
        let (cumulative, proof) = allotted;
        let call = ContributorPool::paidToCall {
            token: pool.key.token.into(),
            contributor: contributor.into(),
        };
        let paid = chain.read("paidTo of the pool", pool.key.receiver, &call);
        let before = Amount(u128::try_from(paid.await?.claimed).unwrap_or(u128::MAX));
        let amount = cumulative.saturating_sub(before);
        if !amount.is_zero() {
            let due = Due::Allotted { cumulative, proof };
            found.push(Claimable { amount, due });
        }
    }
    if pool.account.contested {
        let call = ContributorPool::pendingStaticCall {
            token: pool.key.token.into(),
            contributor: contributor.into(),
        };
        let pending = chain.read("pendingStatic of the pool", pool.key.receiver, &call);
        let amount = Amount(u128::try_from(pending.await?).unwrap_or(u128::MAX));
        if !amount.is_zero() {
            let due = Due::Static;
            found.push(Claimable { amount, due });
        }
    }
    Ok(found)
}

/// A contributor's sum in a file, and its proof.
fn allotted(
    contributions: &Contributions,
    contributor: Address,
) -> Option<(Amount, Vec<alloy::primitives::B256>)> {
    let mut owed = contributions.owed.iter();
    let place = owed.position(|it| it.contributor == contributor)?;
    let proof = contributions_tree(contributions)?.proof(place)?;
    Some((contributions.owed[place].cumulative, proof))
}

/// What a contributor does in a pool.
#[derive(Clone, Copy, Debug)]
pub enum Deed<'a> {
    /// Fetches what waits for a contributor.
    Fetch(Address, &'a Claimable),
    /// Refuses what is proposed.
    Contest,
}

/// The transaction of a deed, with the gas that it takes now; one that would fail says why.
pub async fn submission(
    chain: &Chain,
    from: Address,
    pool: &Pool,
    deed: Deed<'_>,
) -> Result<Submission, WalletError> {
    let (at, token) = (pool.key.receiver, pool.key.token.into());
    let (data, deed) = match deed {
        Deed::Contest => (
            ContributorPool::contestCall { token }.abi_encode(),
            format!("contesting what is proposed to the pool {at}"),
        ),
        Deed::Fetch(contributor, claimable) => (
            claim_of(pool, contributor, &claimable.due),
            format!(
                "fetching {} for {contributor} from the pool {at}",
                claimable.amount
            ),
        ),
    };
    let data = Bytes::from(data);
    let gas = chain.estimate(from, at, &data, &deed).await?;
    Ok(Submission {
        to: at,
        data,
        value: U256::ZERO,
        deed,
        gas: gas + gas / 5,
    })
}

fn claim_of(pool: &Pool, contributor: Address, due: &Due) -> Vec<u8> {
    let token = pool.key.token.into();
    let contributor = contributor.into();
    match due {
        Due::Allotted { cumulative, proof } => ContributorPool::claimCall {
            token,
            contributor,
            cumulative: U256::from(cumulative.0),
            proof: proof.clone(),
        }
        .abi_encode(),
        Due::Static => ContributorPool::releaseStaticCall { token, contributor }.abi_encode(),
    }
}
