//! Rewards of a server: attributed calls are published and anchored, and the amounts owed to
//! contributors are proposed to their pools. Everything is derived from the journal and the chain,
//! so the next round completes an interrupted one, and nothing is done twice.

mod publish;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use self::publish::RewardState;
use openlora_attribution::LogFolder;
use openlora_chain::{
    WalletError,
    network::Network,
    registry::{AdapterId, parse_id},
};
use openlora_core::{
    Address, Amount, Word,
    calendar::moment,
    error::{ExitClass, Failure},
    in_units,
};
use openlora_journal::Journal;
use openlora_ledger::{
    PoolAllotment, ReceiverKey, StatedContributions,
    publication::{AnchoredBatch, FORMAT, LogCatalogue, batch_file},
    state::CurrentState,
};
use openlora_payments::{
    rewards::{
        PoolCall, PoolState, allot, batch_tree, entries_of, head, pool_of, proposal_of,
        publish_root,
    },
    settlement::{ChainSettler, SettlementClient},
};
use openlora_ports::PublishedLog;

/// When reward rounds run automatically.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RewardSchedule {
    /// Number of attributed calls that trigger an anchored root.
    pub calls: u64,
    /// Longest time between two rounds.
    pub interval: Duration,
}

/// A root that was anchored.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct AnchoredRoot {
    pub tx: String,
    pub adapter_id: String,
    pub root: String,
    pub calls: u64,
    /// Their total charge in base units.
    pub charged: Amount,
    pub gas_used: u64,
}

/// A root that was proposed to a contributor pool.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ProposedRoot {
    pub tx: String,
    pub pool: String,
    /// ERC-20 contract of the token.
    pub token: String,
    pub root: String,
    /// The increase over earlier proposals, in base units.
    pub total: Amount,
    pub contributors: usize,
    pub gas_used: u64,
}

/// A transaction that became due in a contributor pool.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PoolTransaction {
    /// `activation`: a proposal took effect; `division`: an amount that was demanded and not
    /// answered in time was divided by static shares.
    pub deed: String,
    pub tx: String,
    pub pool: String,
    /// ERC-20 contract of the token.
    pub token: String,
    /// In base units.
    pub total: Amount,
    pub gas_used: u64,
}

/// The result of a round.
#[derive(Clone, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RewardRound {
    pub anchors: Vec<AnchoredRoot>,
    pub proposals: Vec<ProposedRoot>,
    #[serde(default)]
    pub pools: Vec<PoolTransaction>,
    /// Why the rest is left for the next round.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Where a home's rewards come from and where they are published.
#[derive(Clone)]
pub struct RewardSource {
    pub journal: Journal,
    /// The state of the journal.
    pub state: Arc<CurrentState>,
    pub log: LogFolder,
    /// The URL of the published log; empty if it is not served.
    pub address: String,
}

/// The publisher of one chain's rewards.
pub struct RewardPublisher {
    source: RewardSource,
    client: Arc<SettlementClient>,
    /// Roots over calls are anchored only on the home chain.
    is_home: bool,
    /// Allows one round at a time.
    turn: tokio::sync::Mutex<()>,
    /// How many calls were attributed when the last round began.
    seen: AtomicU64,
}

impl RewardPublisher {
    /// An earlier process counted the calls that are attributed by now.
    pub fn new(source: RewardSource, client: Arc<SettlementClient>, is_home: bool) -> Self {
        let seen = AtomicU64::new(source.state.read().attributed);
        Self {
            source,
            client,
            is_home,
            turn: tokio::sync::Mutex::new(()),
            seen,
        }
    }

    /// Anchors attributed calls and proposes collected amounts. An error is reported in the result
    /// and not returned, because settling does not depend on it.
    pub async fn round(&self) -> RewardRound {
        let _turn = self.turn.lock().await;
        let seen = self.source.state.read().attributed;
        self.seen.store(seen, Ordering::Relaxed);
        let mut done = RewardRound::default();
        let outcome = self.see_to(&mut done).await;
        if let Err(failure) = outcome {
            tracing::warn!("{}: rewards: {failure}", self.client.chain().network.name);
            done.problem = Some(failure.message);
        }
        done
    }

    async fn see_to(&self, done: &mut RewardRound) -> Result<(), Failure> {
        self.client.recover().await?;
        if self.is_home {
            self.anchor(done).await?;
        }
        self.propose(done).await?;
        let facts = self.read().facts;
        let catalogue = LogCatalogue {
            batches: facts.anchored().map(|it| it.root).collect(),
            contributions: facts.proposed().map(|it| it.root).collect(),
        };
        let log = &self.source.log;
        if catalogue != log.catalogue() {
            log.keep_catalogue(&catalogue)?;
        }
        Ok(())
    }

    fn read(&self) -> RewardState {
        RewardState::from_state(&self.source.state.read(), self.chain_id())
    }

    async fn anchor(&self, done: &mut RewardRound) -> Result<(), Failure> {
        let reading = self.read();
        let server = self.client.account();
        for adapter_id in reading.adapters() {
            let number = adapter_number(&adapter_id)?;
            let last = reading
                .facts
                .last_anchor(self.chain_id(), &adapter_id, server);
            let (mut previous, after) =
                last.map_or((Word::default(), 0), |it| (it.root, it.through));
            let calls = reading.calls(&self.source.journal, &adapter_id, after);
            let calls = calls.await?;
            for calls in calls.chunks(publish::LARGEST) {
                let stands = head(self.client.chain(), number, server).await?;
                if Word(stands.root.0) != previous {
                    return Err(foreign_root(&adapter_id, Word(stands.root.0), previous));
                }
                let mut batch = AnchoredBatch {
                    format: FORMAT,
                    chain_id: self.chain_id(),
                    adapter_id: adapter_id.clone(),
                    server,
                    root: Word::default(),
                    previous,
                    through: calls.last().map_or(after, |call| call.sequence),
                    calls: calls.to_vec(),
                };
                let tree = batch_tree(&batch).ok_or_else(|| no_tree(&adapter_id))?;
                batch.root = Word(tree.root().0);
                self.source.log.keep_batch(&batch)?;
                let uri = self.uri(&batch_file(batch.root));
                let mined = publish_root(&self.client, number, &batch, &uri).await?;
                previous = batch.root;
                done.anchors.push(AnchoredRoot {
                    tx: mined.tx.to_string(),
                    adapter_id: adapter_id.clone(),
                    root: batch.root.to_string(),
                    calls: batch.calls.len() as u64,
                    charged: batch.charged(),
                    gas_used: mined.receipt.gas_used,
                });
            }
        }
        Ok(())
    }

    /// For every pool that this account operates, executes what is due and proposes new earnings. A
    /// proposal also answers a pending demand.
    async fn propose(&self, done: &mut RewardRound) -> Result<(), Failure> {
        let reading = self.read();
        let chain = self.client.chain();
        for key in reading.pools() {
            let mut pool = match pool_of(chain, key).await {
                Err(error @ (WalletError::EarlierPool { .. } | WalletError::NoPool { .. })) => {
                    tracing::warn!("{}: {error}", chain.network.name);
                    continue;
                }
                found => found?,
            };
            if pool.operator != self.client.account() {
                continue;
            }
            while self.catch_up(&pool, done).await? {
                pool = pool_of(chain, key).await?;
            }
            if !pool.is_open() {
                continue;
            }
            if let Some(proposed) = self.proposal(&reading, &pool).await? {
                done.proposals.push(proposed);
            } else if let Some(time) = pool.answer_by() {
                tracing::warn!(
                    "{}: a contributor of the pool {} demands a proposal, and no published call \
                     earned the {} that is not allotted: its static shares divide it after {}",
                    chain.network.name,
                    key.receiver,
                    shown_sum(&chain.network, key.token, pool.unallotted()),
                    moment(time)
                );
            }
        }
        Ok(())
    }

    /// The allotments of a pool's contributors from collected calls. Calls count once they are
    /// anchored, because amounts must be recomputable from published data.
    fn allotment(
        &self,
        reading: &RewardState,
        pool: ReceiverKey,
    ) -> Result<PoolAllotment, Failure> {
        let through = reading.published_through(pool, self.client.account());
        let collected = reading.facts.collected();
        let mut allotment = PoolAllotment::new(pool);
        self.source.journal.replay(1, |record| {
            if record.sequence <= through {
                allotment.apply(record, &collected);
            }
        })?;
        Ok(allotment)
    }

    /// The contributions stated up to a root, as far as the published files go back.
    fn stated(&self, root: Option<Word>) -> StatedContributions {
        let mut files = Vec::new();
        let mut next = root;
        while let Some(file) = next.and_then(|root| self.source.log.contributions(root)) {
            next = file.source.as_ref().and_then(|source| source.previous);
            files.push(file);
        }
        let mut stated = StatedContributions::default();
        files.iter().rev().for_each(|file| stated.follow(file));
        stated
    }

    /// Executes what has become due in a pool.
    async fn catch_up(&self, pool: &PoolState, done: &mut RewardRound) -> Result<bool, Failure> {
        let (chain, key) = (self.client.chain(), pool.key);
        let (deed, total) = if pool.is_due() {
            let Some(proposal) = proposal_of(chain, pool).await? else {
                return Ok(false);
            };
            let mined = PoolCall::Activate(&proposal)
                .carried_out(&self.client, pool)
                .await?;
            (("activation", mined), proposal.total)
        } else if pool.is_overdue() {
            let mined = PoolCall::Divide.carried_out(&self.client, pool).await?;
            (("division", mined), Amount(pool.account.demanded))
        } else {
            return Ok(false);
        };
        let ((kind, mined), list) = (deed, &mut done.pools);
        list.push(PoolTransaction {
            deed: kind.to_owned(),
            tx: mined.tx.to_string(),
            pool: key.receiver.to_string(),
            token: key.token.to_string(),
            total,
            gas_used: mined.receipt.gas_used,
        });
        Ok(true)
    }

    /// Publishes and proposes the contributors' earnings beyond what the pool has already promised.
    async fn proposal(
        &self,
        reading: &RewardState,
        pool: &PoolState,
    ) -> Result<Option<ProposedRoot>, Failure> {
        let key = pool.key;
        let last = reading.facts.proposed().rfind(|it| it.pool == key);
        let last = last.map(|it| it.root);
        let stated = self.stated(last);
        let allotment = self.allotment(reading, key)?;
        let Some(next) = allot(&allotment, &stated, pool.received) else {
            return Ok(None);
        };
        // A rejected or partly paid statement is proposed again under the current sums.
        let is_stated = Some(next.root) == last;
        let published = self
            .source
            .log
            .contributions(next.root)
            .filter(|_| is_stated);
        let contributions = published.unwrap_or(next);
        let entries = entries_of(self.client.chain(), pool, &contributions).await?;
        if entries.is_empty() {
            return Ok(None);
        }
        self.source.log.keep_contributions(&contributions)?;
        let deed = PoolCall::Propose(contributions.root, &entries);
        let mined = deed.carried_out(&self.client, pool).await?;
        Ok(Some(ProposedRoot {
            tx: mined.tx.to_string(),
            pool: key.receiver.to_string(),
            token: key.token.to_string(),
            root: contributions.root.to_string(),
            total: entries.iter().map(|entry| Amount(entry.amount)).sum(),
            contributors: entries.len(),
            gas_used: mined.receipt.gas_used,
        }))
    }

    fn chain_id(&self) -> u64 {
        self.client.chain().network.chain_id
    }

    fn uri(&self, file: &str) -> String {
        match self.source.address.is_empty() {
            true => String::new(),
            false => format!("{}/attribution-log/{file}", self.source.address),
        }
    }

    /// Runs reward rounds when triggered, until stopped. Pools collect their shares first, so that
    /// what is owed can be covered.
    pub async fn run(
        &self,
        rounds: RewardSchedule,
        treasurer: Arc<ChainSettler>,
        stop: CancellationToken,
    ) {
        loop {
            let reason = async {
                tokio::select! {
                    () = tokio::time::sleep(rounds.interval) => {}
                    () = self.reached(rounds.calls) => {}
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = reason => {}
            }
            if let Err(error) = treasurer.fill_pools().await {
                tracing::warn!(
                    "{}: pools are not filled: {error}",
                    self.client.chain().network.name
                );
            }
            self.round().await;
        }
    }

    /// Waits until so many calls were attributed since the last round.
    async fn reached(&self, calls: u64) {
        let mut news = self.source.journal.subscribe();
        let seen = || self.seen.load(Ordering::Relaxed);
        while self.source.state.read().attributed.saturating_sub(seen()) < calls {
            // New records and missed ones both mean that the state must be read again.
            let _ = news.recv().await;
        }
    }
}

fn adapter_number(text: &str) -> Result<AdapterId, Failure> {
    parse_id(text).ok_or_else(|| {
        let message = format!("the journal names the adapter `{text}`, which is no id");
        Failure::new(ExitClass::Internal, message)
    })
}

fn foreign_root(adapter_id: &str, found: Word, expected: Word) -> Failure {
    let message = format!(
        "the anchor has the root {found} of adapter {adapter_id}, and this journal's last is \
         {expected}"
    );
    Failure::new(ExitClass::Verification, message)
        .with_hint("another journal anchors for this account: serve from one home only")
}

fn no_tree(adapter_id: &str) -> Failure {
    let message = format!("the calls of adapter {adapter_id} cannot be hashed");
    Failure::new(ExitClass::Internal, message)
}

/// A sum for the log; the decimals of a token that is not the network's are unknown.
fn shown_sum(network: &Network, token: Address, amount: Amount) -> String {
    match network.token.as_ref().filter(|it| it.address == token) {
        Some(token) => format!("{} {}", in_units(amount.0, token.decimals), token.symbol),
        None => format!("{amount} base units of {token}"),
    }
}
