//! Rewards of a server: attributed calls are published and anchored, and the amounts owed to
//! contributors are proposed to their pools. Everything is derived from the journal and the chain,
//! so the next round completes an interrupted one, and nothing is done twice.

mod publish;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use self::publish::RewardState;
use super::followers::now_ms;
use openlora_attribution::LogFolder;
use openlora_chain::{
    WalletError,
    registry::{AdapterId, PoolEntry, parse_id, shown_id},
};
use openlora_core::{
    Address, Amount, Word,
    calendar::moment,
    error::{ExitClass, Failure},
};
use openlora_journal::Journal;
use openlora_ledger::{
    PoolAllotment, ReceiverKey, StatedContributions, TxKey,
    event::ReleaseDeployment,
    publication::{
        AnchoredBatch, FORMAT, LogCatalogue, PoolContributions, PublishedCall, batch_file,
    },
    state::CurrentState,
};
use openlora_payments::{
    rewards::{
        PoolCall, PoolState, allot, batch_tree, entries_of, head, pool_of, proposal_of,
        publish_root, servers_among,
    },
    settlement::{ChainSettler, SettlementAccounts, SettlementClient},
};
use openlora_ports::PublishedLog;
use openlora_transparency::TransparencyView;

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
    /// The account that anchored it.
    #[serde(default)]
    pub server: String,
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

/// A reward that waits for an account whose key is not at hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct WaitingReward {
    pub adapter_id: String,
    /// The adapter's name.
    pub name: String,
    /// What is to be done, such as `anchoring 3 calls`.
    pub action: String,
    /// The account that may do it; null if this journal knows none.
    pub account: Option<String>,
}

/// The result of a round.
#[derive(Clone, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RewardRound {
    pub anchors: Vec<AnchoredRoot>,
    pub proposals: Vec<ProposedRoot>,
    #[serde(default)]
    pub pools: Vec<PoolTransaction>,
    /// What waits for other accounts.
    #[serde(default)]
    pub waiting: Vec<WaitingReward>,
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
    /// The transparency log whose size and root are anchored with each batch; absent where there is
    /// none.
    pub transparency: Option<TransparencyView>,
}

/// Consecutive calls that one account anchors.
struct AnchorRun {
    server: Address,
    calls: Vec<PublishedCall>,
}

/// What a pool is to promise next, and the sums behind it.
struct PoolTranche {
    contributions: PoolContributions,
    entries: Vec<PoolEntry>,
}

impl PoolTranche {
    fn total(&self) -> Amount {
        self.entries.iter().map(|entry| Amount(entry.amount)).sum()
    }
}

/// The publisher of one chain's rewards.
pub struct RewardPublisher {
    source: RewardSource,
    /// Each anchors what it served, and proposes to the pools that it operates.
    accounts: SettlementAccounts,
    /// The main account's, which reads the chain.
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
    pub fn new(
        source: RewardSource,
        accounts: impl Into<SettlementAccounts>,
        is_home: bool,
    ) -> Self {
        let seen = AtomicU64::new(source.state.read().attributed);
        let accounts = accounts.into();
        Self {
            source,
            client: Arc::clone(accounts.main()),
            accounts,
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
            self.tell_problem(&failure, &mut done);
        }
        done
    }

    async fn see_to(&self, done: &mut RewardRound) -> Result<(), Failure> {
        self.accounts.recover().await?;
        if self.is_home {
            self.anchor(done).await?;
        }
        self.propose(done).await?;
        let facts = self.read().facts;
        let catalogue = LogCatalogue {
            batches: facts.anchored().map(|it| it.root).collect(),
            contributions: facts.proposed().map(|it| it.root).collect(),
            pools: facts.proposed().map(|it| it.pool).collect(),
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
        for adapter_id in reading.adapters() {
            let anchored = self.anchor_adapter(&reading, &adapter_id, done).await;
            self.go_on_after(anchored, done)?;
        }
        Ok(())
    }

    /// One adapter or pool that fails does not stop the others, unless the chain cannot be reached.
    fn go_on_after(
        &self,
        outcome: Result<(), Failure>,
        done: &mut RewardRound,
    ) -> Result<(), Failure> {
        match outcome {
            Err(failure) if failure.class != ExitClass::Network => {
                self.tell_problem(&failure, done);
                Ok(())
            }
            outcome => outcome,
        }
    }

    fn tell_problem(&self, failure: &Failure, done: &mut RewardRound) {
        tracing::warn!("{}: rewards: {failure}", self.client.chain().network.name);
        let earlier = done.problem.take().into_iter();
        let all: Vec<String> = earlier.chain([failure.message.clone()]).collect();
        done.problem = Some(all.join("; "));
    }

    fn tell_waiting(&self, waiting: WaitingReward, done: &mut RewardRound) {
        let (network, account) = (&self.client.chain().network.name, &waiting.account);
        let account = account.as_deref().unwrap_or("none of this home");
        tracing::warn!(%network, adapter = %waiting.name, account, "{} waits for its account", waiting.action);
        done.waiting.push(waiting);
    }

    /// Anchors the calls of an adapter in the order of the journal. Each root covers everything up to
    /// it, whichever account signs it, so that no call is anchored twice.
    async fn anchor_adapter(
        &self,
        reading: &RewardState,
        adapter_id: &str,
        done: &mut RewardRound,
    ) -> Result<(), Failure> {
        let number = adapter_number(adapter_id)?;
        let after = reading.facts.anchored_through(self.chain_id(), adapter_id);
        let calls = reading.calls(&self.source.journal, adapter_id, after);
        let calls = calls.await?;
        if calls.is_empty() || reading.gathers(adapter_id, &calls, now_ms()) {
            return Ok(());
        }
        let at_hand = self.accounts.addresses();
        let servers = servers_among(self.client.chain(), number, &at_hand).await?;
        let unknown = self.open_anchor(adapter_id);
        let (None, Some(first)) = (&unknown, servers.first()) else {
            let account = match unknown {
                Some(account) => Some(account),
                None => self.missing_server(reading, number, &calls).await?,
            };
            let action = match calls.len() {
                1 => "anchoring 1 call".to_owned(),
                count => format!("anchoring {count} calls"),
            };
            self.tell_waiting(reading.waiting(adapter_id, action, account), done);
            return Ok(());
        };
        let mut heads: BTreeMap<Address, Word> = BTreeMap::new();
        for run in self.runs(calls, &servers, *first) {
            let server = run.server;
            let last = reading
                .facts
                .last_anchor(self.chain_id(), adapter_id, server);
            let last = last.map_or(Word::default(), |it| it.root);
            let previous = heads.get(&server).copied().unwrap_or(last);
            let batch = self.anchor_run(number, run, previous, done).await?;
            heads.insert(server, batch);
        }
        Ok(())
    }

    /// Divides calls into runs that one account anchors: the account that served them, if it may,
    /// otherwise that of the run before, or the first that may.
    fn runs(
        &self,
        calls: Vec<PublishedCall>,
        servers: &[Address],
        first: Address,
    ) -> Vec<AnchorRun> {
        let mut runs: Vec<AnchorRun> = Vec::new();
        for call in calls {
            // A call that was paid by a transfer names no server: it joins the run before it.
            let named = self.served_by(&call).filter(|it| servers.contains(it));
            let last = runs.last_mut();
            let before = last.as_ref().map(|it| it.server);
            let server = named.or(before).unwrap_or(first);
            match last.filter(|it| it.server == server && it.calls.len() < publish::LARGEST) {
                Some(run) => run.calls.push(call),
                None => runs.push(AnchorRun {
                    server,
                    calls: vec![call],
                }),
            }
        }
        runs
    }

    /// The account that served a call, if it was paid from a channel.
    fn served_by(&self, call: &PublishedCall) -> Option<Address> {
        let state = self.source.state.read();
        let channel = state.ledger.channels.get(&call.charge.channel_key())?;
        Some(channel.config.receiver_authorizer)
    }

    /// The account of an anchoring whose outcome cannot be looked up without its key.
    fn open_anchor(&self, adapter_id: &str) -> Option<Address> {
        let at_hand = self.accounts.addresses();
        let state = self.source.state.read();
        let here = state
            .unsettled
            .iter()
            .filter(|it| it.chain_id == self.chain_id());
        let mut anchorings = here.filter(|it| {
            let key = it.read_key();
            matches!(key, Ok(Some(TxKey::Anchor { adapter, .. })) if adapter == adapter_id)
        });
        anchorings.find_map(|it| {
            let account = it.from.parse::<Address>().ok()?;
            (!at_hand.contains(&account)).then_some(account)
        })
    }

    /// An account that may anchor the calls of an adapter, although its key is not at hand.
    async fn missing_server(
        &self,
        reading: &RewardState,
        number: AdapterId,
        calls: &[PublishedCall],
    ) -> Result<Option<Address>, Failure> {
        let served = calls.iter().find_map(|it| self.served_by(it));
        let publishers = calls.first().map(|it| reading.publishers(&it.adapter_id));
        let known = served.into_iter().chain(publishers.into_iter().flatten());
        let known: Vec<Address> = known.collect();
        let servers = servers_among(self.client.chain(), number, &known).await?;
        Ok(servers.first().copied())
    }

    /// Publishes and anchors a run after the previous root of its account. Returns its root.
    async fn anchor_run(
        &self,
        number: AdapterId,
        run: AnchorRun,
        previous: Word,
        done: &mut RewardRound,
    ) -> Result<Word, Failure> {
        let AnchorRun { server, calls } = run;
        let adapter_id = shown_id(number);
        let stands = head(self.client.chain(), number, server).await?;
        if Word(stands.root.0) != previous {
            return Err(foreign_root(&adapter_id, Word(stands.root.0), previous));
        }
        let mut batch = AnchoredBatch {
            format: FORMAT,
            chain_id: self.chain_id(),
            adapter_id,
            server,
            root: Word::default(),
            previous,
            through: calls.last().map_or(0, |call| call.sequence),
            calls,
        };
        let tree = batch_tree(&batch).ok_or_else(|| no_tree(&batch.adapter_id))?;
        batch.root = Word(tree.root().0);
        self.source.log.keep_batch(&batch)?;
        let uri = self.uri(&batch_file(batch.root)) + &self.log_head();
        let client = self.accounts.find(server).unwrap_or(&self.client);
        let mined = publish_root(client, number, &batch, &uri).await?;
        done.anchors.push(AnchoredRoot {
            tx: mined.tx.to_string(),
            root: batch.root.to_string(),
            server: server.to_string(),
            calls: batch.calls.len() as u64,
            charged: batch.charged(),
            gas_used: mined.receipt.gas_used,
            adapter_id: batch.adapter_id,
        });
        Ok(batch.root)
    }

    /// For every pool that these accounts operate, executes what is due and proposes new earnings. A
    /// proposal also answers a pending demand.
    async fn propose(&self, done: &mut RewardRound) -> Result<(), Failure> {
        let reading = self.read();
        for key in reading.pools() {
            let proposed = self.see_to_pool(&reading, key, done).await;
            self.go_on_after(proposed, done)?;
        }
        Ok(())
    }

    async fn see_to_pool(
        &self,
        reading: &RewardState,
        key: ReceiverKey,
        done: &mut RewardRound,
    ) -> Result<(), Failure> {
        let chain = self.client.chain();
        let mut pool = match pool_of(chain, key).await {
            Err(error @ (WalletError::EarlierPool { .. } | WalletError::NoPool { .. })) => {
                tracing::warn!("{}: {error}", chain.network.name);
                return Ok(());
            }
            found => found?,
        };
        let Some(operator) = self.accounts.find(pool.operator) else {
            return self.await_operator(reading, &pool, done).await;
        };
        while self.catch_up(operator, &pool, done).await? {
            pool = pool_of(chain, key).await?;
        }
        if !pool.is_open() {
            return Ok(());
        }
        if let Some(tranche) = self.tranche(reading, &pool).await? {
            let proposed = self.proposal(operator, &pool, tranche).await?;
            done.proposals.push(proposed);
        } else if let Some(time) = pool.answer_by() {
            tracing::warn!(
                "{}: a contributor of the pool {} demands a proposal, and no published call \
                 earned the {} that is not allotted: its static shares divide it after {}",
                chain.network.name,
                key.receiver,
                chain.network.token_amount(key.token, pool.unallotted()),
                moment(time)
            );
        }
        Ok(())
    }

    /// Notes what the operator of a pool would propose, if this home registered the release that pays
    /// the pool. Other publishers propose from their own homes.
    async fn await_operator(
        &self,
        reading: &RewardState,
        pool: &PoolState,
        done: &mut RewardRound,
    ) -> Result<(), Failure> {
        let release = reading.release_of(pool.key);
        let is_operators = |it: &&ReleaseDeployment| it.publisher.parse() == Ok(pool.operator);
        let Some(release) = release.filter(|it| reading.is_own(it)).filter(is_operators) else {
            return Ok(());
        };
        if !pool.is_open() {
            return Ok(());
        }
        if let Some(tranche) = self.tranche(reading, pool).await? {
            let network = &self.client.chain().network;
            let sum = network.token_amount(pool.key.token, tranche.total());
            let action = format!("proposing {sum} to the pool {}", pool.key.receiver);
            let waiting = reading.waiting(&release.adapter_id, action, Some(pool.operator));
            self.tell_waiting(waiting, done);
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
        let through = reading.published_through(pool);
        let collected = reading.facts.collected();
        let mut allotment = PoolAllotment::new(pool);
        self.source.journal.replay(1, |record| {
            if record.sequence <= through {
                allotment.apply(record, &collected);
            }
        })?;
        Ok(allotment)
    }

    /// A pool's contributions stated up to a root, as far as the published files go back.
    fn stated(&self, pool: ReceiverKey, root: Option<Word>) -> StatedContributions {
        let mut files = Vec::new();
        let mut next = root;
        while let Some(file) = next.and_then(|root| self.source.log.contributions(root, pool)) {
            next = file.source.as_ref().and_then(|source| source.previous);
            files.push(file);
        }
        let mut stated = StatedContributions::default();
        files.iter().rev().for_each(|file| stated.follow(file));
        stated
    }

    /// Executes what has become due in a pool.
    async fn catch_up(
        &self,
        operator: &SettlementClient,
        pool: &PoolState,
        done: &mut RewardRound,
    ) -> Result<bool, Failure> {
        let (chain, key) = (self.client.chain(), pool.key);
        let (deed, total) = if pool.is_due() {
            let Some(proposal) = proposal_of(chain, pool).await? else {
                return Ok(false);
            };
            let mined = PoolCall::Activate(&proposal)
                .carried_out(operator, pool)
                .await?;
            (("activation", mined), proposal.total)
        } else if pool.is_overdue() {
            let mined = PoolCall::Divide.carried_out(operator, pool).await?;
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

    /// The contributors' earnings beyond what the pool has already promised.
    async fn tranche(
        &self,
        reading: &RewardState,
        pool: &PoolState,
    ) -> Result<Option<PoolTranche>, Failure> {
        let key = pool.key;
        let last = reading.facts.proposed().rfind(|it| it.pool == key);
        let last = last.map(|it| it.root);
        let stated = self.stated(key, last);
        let allotment = self.allotment(reading, key)?;
        let Some(next) = allot(&allotment, &stated, pool.received) else {
            return Ok(None);
        };
        // A rejected or partly paid statement is proposed again under the current sums.
        let is_stated = Some(next.root) == last;
        let published = self
            .source
            .log
            .contributions(next.root, key)
            .filter(|_| is_stated);
        let contributions = published.unwrap_or(next);
        let entries = entries_of(self.client.chain(), pool, &contributions).await?;
        Ok((!entries.is_empty()).then_some(PoolTranche {
            contributions,
            entries,
        }))
    }

    /// Publishes and proposes a tranche.
    async fn proposal(
        &self,
        operator: &SettlementClient,
        pool: &PoolState,
        tranche: PoolTranche,
    ) -> Result<ProposedRoot, Failure> {
        let total = tranche.total();
        let PoolTranche {
            contributions,
            entries,
        } = tranche;
        self.source.log.keep_contributions(&contributions)?;
        let deed = PoolCall::Propose(contributions.root, &entries);
        let mined = deed.carried_out(operator, pool).await?;
        Ok(ProposedRoot {
            tx: mined.tx.to_string(),
            pool: pool.key.receiver.to_string(),
            token: pool.key.token.to_string(),
            root: contributions.root.to_string(),
            total,
            contributors: entries.len(),
            gas_used: mined.receipt.gas_used,
        })
    }

    fn chain_id(&self) -> u64 {
        self.client.chain().network.chain_id
    }

    /// The transparency log's size and root as the fragment of an address: the anchor keeps the text,
    /// and clients that fetch the address do not send it. Without a checkpoint, nothing is stated.
    fn log_head(&self) -> String {
        let view = self.source.transparency.as_ref();
        match view.map(TransparencyView::checkpoint) {
            Some(Ok(head)) => format!("#log={}:{}", head.size, head.root_hex()),
            Some(Err(error)) => {
                tracing::warn!("the transparency log is not anchored: {error}");
                String::new()
            }
            None => String::new(),
        }
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
