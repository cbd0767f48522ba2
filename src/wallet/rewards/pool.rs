//! A contributor pool on its chain: how it stands, and what its operator proposes to it.

use alloy::{
    primitives::U256,
    rpc::types::Filter,
    sol_types::{SolCall, SolEvent},
};

use super::leaves::contributions_tree;
use crate::{
    runtime::ledger::{
        Address, Allotment, Amount, ReceiverKey, Stated, Word,
        publication::{Contributions, FORMAT},
    },
    wallet::{
        WalletError,
        provider::Chain,
        registry::{ContributorPool, PoolAccount},
        settlement::{Desk, SettleError},
        transaction::Mined,
    },
};

/// How a pool stands in one token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    pub key: ReceiverKey,
    pub operator: Address,
    pub account: PoolAccount,
    /// All that ever arrived.
    pub received: Amount,
}

impl Pool {
    /// The root in force.
    pub fn root(&self) -> Option<Word> {
        let root = Word(self.account.root.0);
        (root != Word::default()).then_some(root)
    }

    /// The root that waits, and when it takes force, in Unix seconds.
    pub fn pending(&self) -> Option<(Word, u64)> {
        let root = Word(self.account.pendingRoot.0);
        (root != Word::default()).then(|| (root, self.account.activatesAt.to()))
    }

    /// Whether its operator may propose now.
    pub fn is_open(&self) -> bool {
        !self.account.contested && self.account.pendingRoot.is_zero()
    }
}

/// Asks a chain for a pool.
pub async fn pool_of(chain: &Chain, key: ReceiverKey) -> Result<Pool, WalletError> {
    let (at, token) = (key.receiver, key.token.into());
    let terms = chain.read("terms of the pool", at, &ContributorPool::termsCall {});
    let operator = terms.await?.operator.into();
    let call = ContributorPool::accountOfCall { token };
    let account = chain.read("accountOf of the pool", at, &call).await?;
    let call = ContributorPool::receivedCall { token };
    let received = chain.read("received of the pool", at, &call).await?;
    Ok(Pool {
        key,
        operator,
        account,
        received: Amount(u128::try_from(received).unwrap_or(u128::MAX)),
    })
}

/// What an allotment states after what was stated, of a pool in which `received` ever arrived;
/// nothing where nobody is owed anything.
pub fn allot(allotment: &Allotment, stated: &Stated, received: Amount) -> Option<Contributions> {
    let (owed, source) = allotment.state(stated, received);
    let mut contributions = Contributions {
        format: FORMAT,
        pool: allotment.pool,
        root: Word::default(),
        total: owed.iter().map(|it| it.cumulative).sum(),
        through: allotment.through(),
        owed,
        source: Some(source),
    };
    contributions.root = Word(contributions_tree(&contributions)?.root().0);
    Some(contributions)
}

/// Proposes contributions whose file is published.
pub async fn propose_root(
    desk: &Desk,
    contributions: &Contributions,
) -> Result<Mined, SettleError> {
    let pool = contributions.pool;
    let call = ContributorPool::proposeCall {
        token: pool.token.into(),
        root: contributions.root.0.into(),
        total: U256::from(contributions.total.0),
    };
    let deed = format!(
        "proposing {} to the pool {}",
        contributions.root, pool.receiver
    );
    desk.carry_out(pool.receiver, call.abi_encode().into(), deed)
        .await
}

/// Every root that was proposed to a pool, with its sum, oldest first.
pub async fn proposed_on(
    chain: &Chain,
    pool: ReceiverKey,
) -> Result<Vec<(Word, Amount)>, WalletError> {
    let token: alloy::primitives::Address = pool.token.into();
    let filter = Filter::new()
        .address(alloy::primitives::Address::from(pool.receiver))
        .event_signature(ContributorPool::RootProposed::SIGNATURE_HASH)
        .topic1(token.into_word());
    let logs = chain.logs(&filter, 0).await?;
    let told = logs.iter().filter_map(|log| {
        let event = ContributorPool::RootProposed::decode_log(&log.inner).ok()?;
        let total = Amount(u128::try_from(event.total).ok()?);
        Some((Word(event.root.0), total))
    });
    Ok(told.collect())
}
