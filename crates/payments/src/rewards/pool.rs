//! A contributor pool on its chain: its state, its operator's proposals, and the actions that any
//! account may take. All of this needs an RPC and the pool's address, and nothing from its
//! operator.

use std::{
    collections::BTreeMap,
    time::{SystemTime, UNIX_EPOCH},
};

use alloy::{
    primitives::{Bytes, U256},
    rpc::types::Filter,
    sol_types::{SolCall, SolEvent},
};

use super::leaves::contributions_tree;
use crate::settlement::{SettleError, SettlementClient};
use openlora_chain::{
    WalletError,
    provider::Chain,
    registry::{ContributorPool, PoolAccount, PoolEntry},
    transaction::{MinedTx, TxSubmission},
};
use openlora_core::{Address, Amount, Word};
use openlora_ledger::{
    PoolAllotment, ReceiverKey, StatedContributions, next_tranche,
    publication::{FORMAT, PoolContributions},
};

/// How a pool stands in one token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolState {
    pub key: ReceiverKey,
    pub operator: Address,
    /// Seconds between a proposal and its force.
    pub delay: u32,
    /// How many static shares refuse a proposal, in ppm.
    pub quorum: u32,
    pub account: PoolAccount,
    /// All that ever arrived.
    pub received: Amount,
    /// Unix seconds.
    now: u64,
}

/// What waits to take force, or is about to be activated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingProposal {
    pub round: u32,
    /// Names the published sums behind it.
    pub root: Word,
    pub total: Amount,
    /// When it takes force, Unix seconds.
    pub due: u64,
    pub entries: Vec<PoolEntry>,
}

impl PoolState {
    /// The received amount that is not promised to a contributor yet.
    pub fn unallotted(&self) -> Amount {
        self.received.saturating_sub(Amount(self.account.allotted))
    }

    /// Whether a proposal waits, or is due and not activated.
    pub fn has_proposal(&self) -> bool {
        !self.account.pending.is_zero()
    }

    /// Whether a proposal's time has come.
    pub fn is_due(&self) -> bool {
        self.has_proposal() && self.now >= self.account.due.to::<u64>()
    }

    /// Until when the operator must answer a demand, Unix seconds.
    pub fn answer_by(&self) -> Option<u64> {
        let time = self.account.answerBy.to::<u64>();
        (time != 0).then_some(time)
    }

    /// Whether a demand stayed unanswered.
    pub fn is_overdue(&self) -> bool {
        self.answer_by().is_some_and(|time| self.now > time)
    }

    /// Whether its operator may propose now.
    pub fn is_open(&self) -> bool {
        !self.has_proposal() && !self.is_overdue() && self.now >= self.account.due.to::<u64>()
    }
}

/// Asks a chain for a pool.
///
/// # Errors
/// The chain cannot be asked, the address is no pool's, or the pool's is of earlier contracts.
pub async fn pool_of(chain: &Chain, key: ReceiverKey) -> Result<PoolState, WalletError> {
    let (at, token) = (key.receiver, key.token.into());
    let none = || WalletError::NoPool {
        network: chain.network.name.clone(),
        address: at,
    };
    if !chain.has_code(at).await? {
        return Err(none());
    }
    let terms = chain.read("terms of the pool", at, &ContributorPool::termsCall {});
    let terms = terms.await.map_err(|error| match error {
        WalletError::Reverted { .. } => none(),
        error => error,
    })?;
    let quorum = chain.read("quorum of the pool", at, &ContributorPool::quorumCall {});
    let quorum = quorum.await.map_err(|error| match error {
        WalletError::Reverted { .. } => WalletError::EarlierPool { address: at },
        error => error,
    })?;
    let call = ContributorPool::accountOfCall { token };
    let account = chain.read("accountOf of the pool", at, &call).await?;
    let call = ContributorPool::receivedCall { token };
    let received = chain.read("received of the pool", at, &call).await?;
    // A development chain makes blocks only when it is asked to.
    let clock = SystemTime::now().duration_since(UNIX_EPOCH);
    let clock = clock.map_or(0, |since| since.as_secs());
    Ok(PoolState {
        key,
        operator: terms.operator.into(),
        delay: terms.delay,
        quorum,
        account,
        received: whole(received),
        now: chain.head().await?.time.max(clock),
    })
}

fn whole(amount: U256) -> Amount {
    Amount(u128::try_from(amount).unwrap_or(u128::MAX))
}

/// The proposal that waits, with its entries as its event has them.
///
/// # Errors
/// The chain cannot be asked, or does not have the event.
pub async fn proposal_of(
    chain: &Chain,
    pool: &PoolState,
) -> Result<Option<WaitingProposal>, WalletError> {
    if !pool.has_proposal() {
        return Ok(None);
    }
    let token: alloy::primitives::Address = pool.key.token.into();
    let filter = Filter::new()
        .address(alloy::primitives::Address::from(pool.key.receiver))
        .event_signature(ContributorPool::AllotmentProposed::SIGNATURE_HASH)
        .topic1(token.into_word());
    let block = pool.account.proposedIn.to::<u64>();
    let logs = chain.logs_in(&filter, block..=block).await?;
    let mut told = logs
        .iter()
        .filter_map(|log| ContributorPool::AllotmentProposed::decode_log(&log.inner).ok());
    let round = pool.account.round;
    let event = told.find(|event| event.round == U256::from(round));
    let event = event.ok_or_else(|| WalletError::Rpc {
        rpc: chain.network.rpc_shown(),
        method: "eth_getLogs",
        reason: format!("block {block} has no proposal {round} of the pool"),
    })?;
    Ok(Some(WaitingProposal {
        round,
        root: Word(event.root.0),
        total: whole(event.total),
        due: pool.account.due.to(),
        entries: event.data.entries,
    }))
}

/// What a contributor may fetch now; a proposal counts once it is activated.
pub async fn owed(
    chain: &Chain,
    pool: &PoolState,
    contributor: Address,
) -> Result<Amount, WalletError> {
    let call = ContributorPool::owedCall {
        token: pool.key.token.into(),
        contributor: contributor.into(),
    };
    let found = chain.read("owed of the pool", pool.key.receiver, &call);
    Ok(whole(found.await?))
}

/// The contributions that an allotment states after `stated`, for a pool that has received
/// `received` in total; `None` if nothing is owed.
pub fn allot(
    allotment: &PoolAllotment,
    stated: &StatedContributions,
    received: Amount,
) -> Option<PoolContributions> {
    let (owed, source) = allotment.state(stated, received);
    let mut contributions = PoolContributions {
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

/// What contributions give beyond what the pool has promised to their contributors.
pub async fn entries_of(
    chain: &Chain,
    pool: &PoolState,
    contributions: &PoolContributions,
) -> Result<Vec<PoolEntry>, WalletError> {
    let mut had = BTreeMap::new();
    for owed in &contributions.owed {
        let call = ContributorPool::sumsOfCall {
            token: pool.key.token.into(),
            contributor: owed.contributor.into(),
        };
        let sums = chain.read("sumsOf of the pool", pool.key.receiver, &call);
        let sums = sums.await?;
        had.insert(
            owed.contributor,
            whole(sums.allotted.saturating_add(sums.divided)),
        );
    }
    let allotted = Amount(pool.account.allotted);
    Ok(entries(contributions, &had, allotted))
}

/// The same from what the pool had promised before, to each and together.
pub fn entries(
    contributions: &PoolContributions,
    had: &BTreeMap<Address, Amount>,
    allotted: Amount,
) -> Vec<PoolEntry> {
    let owed = contributions.owed.iter();
    let owed: Vec<_> = owed.map(|it| (it.contributor, it.cumulative)).collect();
    let budget = contributions.total.saturating_sub(allotted);
    let given = next_tranche(&owed, had, budget).into_iter();
    given
        .map(|(contributor, amount)| PoolEntry {
            contributor: contributor.into(),
            amount: amount.0,
        })
        .collect()
}

/// What is done in a pool.
#[derive(Clone, Debug)]
pub enum PoolCall<'a> {
    /// Fetches what a contributor is owed.
    Fetch(Address, Amount),
    /// Gives what is due.
    Activate(&'a WaitingProposal),
    /// Proposes entries whose sums are published under a root. Only for the operator.
    Propose(Word, &'a [PoolEntry]),
    /// Contests what waits.
    Contest,
    /// Asks the operator for a proposal.
    Demand,
    /// Has the static shares divide what stayed unanswered.
    Divide,
}

impl PoolCall<'_> {
    /// Its call, and what it is in words.
    fn call(&self, pool: ReceiverKey) -> (Bytes, String) {
        let (at, token) = (pool.receiver, pool.token.into());
        let (data, deed) = match self {
            Self::Fetch(contributor, amount) => (
                ContributorPool::claimCall {
                    token,
                    contributor: (*contributor).into(),
                }
                .abi_encode(),
                format!("fetching {amount} for {contributor} from the pool {at}"),
            ),
            Self::Activate(proposal) => (
                ContributorPool::activateCall {
                    token,
                    entries: proposal.entries.clone(),
                }
                .abi_encode(),
                format!("activating proposal {} of the pool {at}", proposal.round),
            ),
            Self::Propose(root, entries) => (
                ContributorPool::proposeCall {
                    token,
                    root: root.0.into(),
                    entries: entries.to_vec(),
                }
                .abi_encode(),
                format!("proposing {root} to the pool {at}"),
            ),
            Self::Contest => (
                ContributorPool::contestCall { token }.abi_encode(),
                format!("contesting what is proposed to the pool {at}"),
            ),
            Self::Demand => (
                ContributorPool::demandCall { token }.abi_encode(),
                format!("demanding a proposal to the pool {at}"),
            ),
            Self::Divide => (
                ContributorPool::divideStaticallyCall { token }.abi_encode(),
                format!("dividing by static shares what the pool {at} left unanswered"),
            ),
        };
        (data.into(), deed)
    }

    /// Sends it from a server, whose settlement client records the facts.
    pub async fn carried_out(
        &self,
        desk: &SettlementClient,
        pool: ReceiverKey,
    ) -> Result<MinedTx, SettleError> {
        let (data, deed) = self.call(pool);
        desk.carry_out(pool.receiver, data, deed).await
    }

    /// Its transaction, with the gas that it takes now; one that would fail says why.
    pub async fn submission(
        &self,
        chain: &Chain,
        from: Address,
        pool: ReceiverKey,
    ) -> Result<TxSubmission, WalletError> {
        let (data, deed) = self.call(pool);
        let gas = chain.estimate(from, pool.receiver, &data, &deed).await?;
        Ok(TxSubmission {
            to: pool.receiver,
            data,
            value: U256::ZERO,
            label: deed,
            gas: gas + gas / 5,
            sponsored: None,
        })
    }
}
