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
use crate::settlement::{SettleError, SettlementClient, TxPurpose};
use openlora_chain::{
    WalletError,
    network::Network,
    provider::Chain,
    registry::{ContributorPool, PoolAccount, PoolEntry},
    transaction::{MinedTx, TxSubmission},
};
use openlora_core::{Address, Amount, Word};
use openlora_ledger::{
    PoolAllotment, PoolTxAction, ReceiverKey, StatedContributions, TxKey, next_tranche,
    publication::{FORMAT, PoolContributions},
};

/// A pool's state in one token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolState {
    pub key: ReceiverKey,
    pub operator: Address,
    /// Seconds from a proposal until it takes effect.
    pub delay: u32,
    /// The sum of static shares that rejects a proposal, in ppm.
    pub quorum: u32,
    pub account: PoolAccount,
    /// The total received.
    pub received: Amount,
    /// Unix seconds.
    now: u64,
}

/// The proposal that waits to take effect, or is about to be activated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingProposal {
    pub round: u32,
    /// Identifies the published sums behind it.
    pub root: Word,
    pub total: Amount,
    /// When it takes effect, Unix seconds.
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

    /// Whether a proposal can be activated now.
    pub fn is_due(&self) -> bool {
        self.has_proposal() && self.now >= self.account.due.to::<u64>()
    }

    /// The operator's deadline to answer a demand, Unix seconds.
    pub fn answer_by(&self) -> Option<u64> {
        let time = self.account.answerBy.to::<u64>();
        (time != 0).then_some(time)
    }

    /// Whether a demand was left unanswered.
    pub fn is_overdue(&self) -> bool {
        self.answer_by().is_some_and(|time| self.now > time)
    }

    /// Whether the operator may propose now.
    pub fn is_open(&self) -> bool {
        !self.has_proposal() && !self.is_overdue() && self.now >= self.account.due.to::<u64>()
    }
}

/// Reads a pool's state from a chain.
///
/// # Errors
/// The chain cannot be read, the address is not a pool, or the pool uses earlier contracts.
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
    // A development chain makes blocks only on request.
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

/// The waiting proposal, with the entries of its event.
///
/// # Errors
/// The chain cannot be read, or does not have the event.
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
        root: event.root.into(),
        total: whole(event.total),
        due: pool.account.due.to(),
        entries: event.data.entries,
    }))
}

/// The amount that a contributor can collect now. A proposal counts once it is activated.
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
    contributions.root = Word::from(contributions_tree(&contributions)?.root());
    Some(contributions)
}

/// The increase of contributions over what the pool has promised to its contributors.
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

/// The same, from the pool's earlier promises, per contributor and in total.
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

/// An action on a pool.
#[derive(Clone, Debug)]
pub enum PoolCall<'a> {
    /// Collects what a contributor is owed.
    Fetch(Address, Amount),
    /// Activates a proposal that is due.
    Activate(&'a WaitingProposal),
    /// Proposes entries whose sums are published under a root. Only for the operator.
    Propose(Word, &'a [PoolEntry]),
    /// Contests the waiting proposal.
    Contest,
    /// Demands a proposal from the operator.
    Demand,
    /// Divides by static shares what the operator left unanswered.
    Divide,
}

impl PoolCall<'_> {
    /// The action's call, and its purpose.
    fn call(&self, network: &Network, pool: &PoolState) -> (Bytes, TxPurpose) {
        let (at, token) = (pool.key.receiver, pool.key.token.into());
        let (data, action, label) = match self {
            Self::Fetch(contributor, amount) => (
                ContributorPool::claimCall {
                    token,
                    contributor: (*contributor).into(),
                }
                .abi_encode(),
                PoolTxAction::Fetch {
                    contributor: *contributor,
                    paid: Amount(pool.account.paid),
                },
                format!(
                    "fetching {} for {contributor} from the pool {at}",
                    network.token_amount(pool.key.token, *amount)
                ),
            ),
            Self::Activate(proposal) => (
                ContributorPool::activateCall {
                    token,
                    entries: proposal.entries.clone(),
                }
                .abi_encode(),
                PoolTxAction::Activate,
                format!("activating proposal {} of the pool {at}", proposal.round),
            ),
            Self::Propose(root, entries) => (
                ContributorPool::proposeCall {
                    token,
                    root: (*root).into(),
                    entries: entries.to_vec(),
                }
                .abi_encode(),
                PoolTxAction::Propose { root: *root },
                format!("proposing {root} to the pool {at}"),
            ),
            Self::Contest => (
                ContributorPool::contestCall { token }.abi_encode(),
                PoolTxAction::Contest,
                format!("contesting what is proposed to the pool {at}"),
            ),
            Self::Demand => (
                ContributorPool::demandCall { token }.abi_encode(),
                PoolTxAction::Demand,
                format!("demanding a proposal to the pool {at}"),
            ),
            Self::Divide => (
                ContributorPool::divideStaticallyCall { token }.abi_encode(),
                PoolTxAction::Divide,
                format!("dividing by static shares what the pool {at} left unanswered"),
            ),
        };
        let key = TxKey::Pool {
            pool: at,
            token: pool.key.token,
            round: pool.account.round,
            action,
        };
        (data.into(), TxPurpose { key, label })
    }

    /// Sends it from a server, whose settlement client records the facts.
    pub async fn carried_out(
        &self,
        desk: &SettlementClient,
        pool: &PoolState,
    ) -> Result<MinedTx, SettleError> {
        let (data, purpose) = self.call(&desk.chain().network, pool);
        desk.carry_out(pool.key.receiver, data, purpose).await
    }

    /// The action's transaction, with a gas estimate. If it would fail, returns the reason.
    pub async fn submission(
        &self,
        chain: &Chain,
        from: Address,
        pool: &PoolState,
    ) -> Result<TxSubmission, WalletError> {
        let (data, TxPurpose { key, label }) = self.call(&chain.network, pool);
        let to = pool.key.receiver;
        let gas = chain.estimate(from, to, &data, &label).await?;
        Ok(TxSubmission {
            to,
            data,
            value: U256::ZERO,
            key,
            label,
            gas: gas + gas / 5,
            sponsored: None,
        })
    }
}
