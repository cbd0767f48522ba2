//! The sums that the server's pages show of an adapter: a fold of the home's journal, brought up to
//! date when a page is asked for, at most once a second.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::board;
use openlora_chain::network::{Network, PaymentToken};
use openlora_core::{Address, Amount};
use openlora_journal::{Journal, JournalError};
use openlora_ledger::{DayRange, ReceiverKey, event::ReleaseDeployment, state::board::Board};
use openlora_serve::{
    payment::Currency,
    standings::{
        AdapterIncome, AdapterStanding, AgentIdentity, RecipientIncome, RegisteredRelease,
        StandingsSource,
    },
};

/// How old the sums of a page may be.
const FRESH: Duration = Duration::from_secs(1);

/// A token that calls are paid in, and its chain.
#[derive(Clone, Debug)]
pub struct PaidToken {
    pub network: String,
    pub chain_id: u64,
    pub token: PaymentToken,
}

impl PaidToken {
    /// The token of a network, if it has one.
    pub fn from_network(network: &Network) -> Option<Self> {
        Some(Self {
            network: network.name.clone(),
            chain_id: network.chain_id,
            token: network.token.clone()?,
        })
    }

    fn is_of(&self, receiver: &ReceiverKey) -> bool {
        receiver.chain_id == self.chain_id && receiver.token == self.token.address
    }
}

/// The standings by the journal of a home.
pub struct JournalStandings {
    journal: PathBuf,
    tokens: Vec<PaidToken>,
    state: Mutex<StandingsState>,
}

#[derive(Default)]
struct StandingsState {
    board: Board,
    /// When it was brought up to date last.
    at: Option<Instant>,
    /// What was computed since then, so that requests for pages cost no more than one computation
    /// of each adapter a second.
    known: BTreeMap<String, AdapterStanding>,
}

impl JournalStandings {
    /// Income is shown in these tokens.
    pub fn new(journal: PathBuf, tokens: Vec<PaidToken>) -> Self {
        Self {
            journal,
            tokens,
            state: Mutex::default(),
        }
    }

    fn renew(&self, state: &mut StandingsState) -> Result<(), JournalError> {
        if state.at.is_some_and(|at| at.elapsed() < FRESH) {
            return Ok(());
        }
        if let Some(mut journal) = Journal::open_existing(&self.journal)? {
            if state.at.is_none() {
                state.board = board::stored(&self.journal, &mut journal)?;
            }
            board::catch_up(&self.journal, &mut journal, &mut state.board, |_| {})?;
        }
        state.known.clear();
        state.at = Some(Instant::now());
        Ok(())
    }

    fn income(&self, board: &Board, adapter: &str) -> Vec<AdapterIncome> {
        let called = board.earnings.calls();
        let receivers = called.filter(|(key, _)| key.adapter == adapter);
        let receivers: BTreeSet<ReceiverKey> = receivers.map(|(key, _)| key.receiver).collect();
        let incomes = self.tokens.iter().filter_map(|token| {
            let receivers: Vec<_> = receivers.iter().filter(|it| token.is_of(it)).collect();
            (!receivers.is_empty()).then(|| income_in(board, adapter, token, &receivers))
        });
        incomes.collect()
    }
}

impl StandingsSource for JournalStandings {
    fn standing(&self, adapter: &str, weights_sha256: Option<&str>) -> AdapterStanding {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = self.renew(&mut state) {
            tracing::warn!(%error, "a page shows sums that are not up to date");
        }
        let key = format!("{adapter} {}", weights_sha256.unwrap_or_default());
        if let Some(known) = state.known.get(&key) {
            return known.clone();
        }
        let standing = self.computed(&state.board, adapter, weights_sha256);
        state.known.insert(key, standing.clone());
        standing
    }
}

impl JournalStandings {
    fn computed(
        &self,
        board: &Board,
        adapter: &str,
        weights_sha256: Option<&str>,
    ) -> AdapterStanding {
        let mut calls_of: BTreeMap<Address, u64> = BTreeMap::new();
        for (key, sum) in board.earnings.calls() {
            if key.adapter == adapter {
                *calls_of.entry(key.payer).or_default() += sum.calls;
            }
        }
        let release = weights_sha256.and_then(|weights| board.releases.get(weights));
        let agents = board.agents.iter().filter(|agent| {
            weights_sha256 == Some(agent.weights_sha256.as_str())
                || release.is_some_and(|it| it.adapter_id == agent.adapter_id)
        });
        AdapterStanding {
            calls: board.called.get(adapter).copied().unwrap_or_default(),
            payers: calls_of.len() as u64,
            returning: calls_of.values().filter(|calls| **calls > 1).count() as u64,
            incomes: self.income(board, adapter),
            registered: release.map(registered),
            agents: agents
                .map(|it| AgentIdentity {
                    chain_id: it.chain_id,
                    registry: it.registry.clone(),
                    agent_id: it.agent_id.clone(),
                })
                .collect(),
        }
    }
}

fn registered(release: &ReleaseDeployment) -> RegisteredRelease {
    RegisteredRelease {
        network: release.network.clone(),
        chain_id: release.chain_id,
        registry: release.registry.clone(),
        adapter_id: release.adapter_id.clone(),
        version: release.version,
        splitter: release.splitter.clone(),
    }
}

fn income_in(
    board: &Board,
    adapter: &str,
    token: &PaidToken,
    receivers: &[&ReceiverKey],
) -> AdapterIncome {
    let sums = board
        .earnings
        .sums_where(|key| key.adapter == adapter && receivers.contains(&&key.receiver));
    let mut recipients: BTreeMap<Address, RecipientIncome> = BTreeMap::new();
    for receiver in receivers {
        let accruals = board
            .earnings
            .accruals(**receiver, DayRange::ALL, &BTreeMap::new());
        for (account, accrual) in accruals {
            let income = recipients.entry(account).or_insert(RecipientIncome {
                account,
                earned: Amount::ZERO,
                paid: Amount::ZERO,
            });
            let claimed = claimed_from_pools(board, **receiver, account);
            let paid = accrual.released.saturating_add(claimed);
            income.earned = income.earned.saturating_add(accrual.charged);
            income.paid = income.paid.saturating_add(paid);
        }
    }
    AdapterIncome {
        network: token.network.clone(),
        currency: Currency {
            symbol: token.token.symbol.clone(),
            decimals: token.token.decimals,
        },
        charged: sums.charged,
        recipients: recipients.into_values().collect(),
    }
}

/// What a contributor has claimed from the pools of a receiver.
fn claimed_from_pools(board: &Board, receiver: ReceiverKey, account: Address) -> Amount {
    let facts = &board.earnings.facts;
    let split = facts.splits().get(&receiver);
    let pools: Vec<ReceiverKey> = split.into_iter().flat_map(|it| it.pools()).collect();
    let claims = facts.contributions_claimed();
    let theirs = claims.filter(|it| it.contributor == account && pools.contains(&it.pool));
    theirs.map(|it| it.amount).sum()
}
