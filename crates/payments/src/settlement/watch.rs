//! Keeps the state of the chain up to date. Each poll reads the head, the events of our channels
//! since the last poll, and whether the blocks that we rely on still exist.
//!
//! Between polls, all readers use the state in memory. A view is refused if the chain has not
//! answered for long, if the RPC is behind what was seen before, or if its newest block is old.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Instant, SystemTime},
};

use alloy::{primitives::B256, rpc::types::Filter, sol_types::SolEvent};
use tokio_util::sync::CancellationToken;

use super::{
    ChainFailure,
    client::SettlementClient,
    ledger_view::ask,
    memory::{WatchedChannel, same_view},
    view,
};
use openlora_chain::{WalletError, provider::BlockHead, registry::BatchSettlementEscrow as Escrow};
use openlora_contracts::ESCROW;
use openlora_core::{Address, Amount, Word};
use openlora_ledger::{
    ChannelKey, ChannelView, EventLocation, LedgerChannel, ReceiverKey, ReceiverView,
    event::{ChannelObserved, Event, ReceiverObserved},
};
use openlora_ports::FactLog;

/// Age in seconds at which a head is too old, on chains that other parties operate.
const OLDEST: u64 = 300;
/// Number of polls per check of the gas balance.
const GAS_ROUNDS: u64 = 4;
/// How many channels and receivers one request for logs names.
const NAMED: usize = 256;

/// The difference between two heads.
enum HeadChange {
    /// There was no earlier poll.
    First,
    Nothing,
    Grown {
        after: u64,
    },
    /// Blocks that were seen no longer exist.
    Reorganised,
}

impl SettlementClient {
    /// Reads the chain repeatedly until `stop` is cancelled.
    pub async fn watch(&self, stop: CancellationToken) {
        let mut blind = false;
        for round in 0_u64.. {
            let looked = self.advance(&[]).await;
            if let (false, Err(trouble)) = (blind, &looked) {
                tracing::warn!("{}: {trouble}", self.chain.network.name);
            }
            blind = looked.is_err();
            // The operator learns that gas is low before a payer does.
            if !blind
                && round % GAS_ROUNDS == 0
                && let Err(trouble) = self.queue.look_at_gas().await
            {
                tracing::debug!("{}: {trouble}", self.chain.network.name);
            }
            // An RPC over HTTP sends no notifications.
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(self.options.poll) => {}
            }
        }
    }

    /// Polls once, now.
    pub async fn refresh(&self) -> Result<(), ChainFailure> {
        self.advance(&[]).await.map(|_| ())
    }

    /// Polls once. Returns the state of the wanted channels.
    pub(super) async fn advance(
        &self,
        wanted: &[Word],
    ) -> Result<BTreeMap<Word, ChannelView>, ChainFailure> {
        let _eye = self.eye.lock().await;
        let looked = self.look(wanted).await;
        if let Err(trouble) = &looked {
            let reason = match trouble {
                ChainFailure::Unreachable { reason } => reason.clone(),
                other => other.to_string(),
            };
            self.memory.lock().failed = Some((Instant::now(), reason));
        }
        looked
    }

    async fn look(&self, wanted: &[Word]) -> Result<BTreeMap<Word, ChannelView>, ChainFailure> {
        let asked = self.chain.head().await;
        let head = asked.map_err(ChainFailure::unreachable)?;
        self.check_age(&head)?;
        let mut change = self.change(&head).await?;
        if matches!(change, HeadChange::Nothing | HeadChange::Grown { .. })
            && self.is_moved(&head).await?
        {
            change = HeadChange::Reorganised;
        }
        if matches!(change, HeadChange::First | HeadChange::Reorganised) {
            self.memory.lock().clear_views();
            self.check_chain()
                .await
                .map_err(ChainFailure::unreachable)?;
        }
        let mut ids: BTreeSet<Word> = wanted.iter().copied().collect();
        let mut unripe = Vec::new();
        let mut receivers = BTreeSet::new();
        match change {
            HeadChange::Nothing => {}
            HeadChange::First => {
                self.recheck().await?;
                ids.extend(self.unclaimed());
            }
            HeadChange::Grown { after } => {
                let (channels, touched) = self.touched(after, head.number).await?;
                ids.extend(channels);
                receivers = touched;
                unripe = self.unripe(head.number);
            }
            HeadChange::Reorganised => {
                self.recheck().await?;
                ids.extend(self.memory.lock().channels.keys());
                receivers = self.receivers();
            }
        }
        unripe.retain(|id| !ids.contains(id));
        let changed = ids.len();
        // Changed channels come first: their depth counts from this head on.
        let ids: Vec<Word> = ids.into_iter().chain(unripe).collect();
        let depth = self.options.confirmations;
        let views = view::channels(&self.chain, &head, depth, &ids).await;
        let views = views.map_err(ChainFailure::unreachable)?;
        self.take_in(head, changed, &ids, &views);
        self.append_channels(&ids).await?;
        for receiver in receivers {
            self.observe_receiver_at(&head, receiver).await?;
        }
        let views = ids.into_iter().zip(views);
        Ok(views.filter(|(id, _)| wanted.contains(id)).collect())
    }

    /// A chain that other parties operate has a new block every few seconds.
    fn check_age(&self, head: &BlockHead) -> Result<(), ChainFailure> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let age = now.unwrap_or_default().as_secs().saturating_sub(head.time);
        if age <= OLDEST || self.chain.network.is_local() {
            return Ok(());
        }
        let block = head.number;
        Err(ChainFailure::unreachable(format!(
            "its newest block {block} is {age} s old"
        )))
    }

    async fn change(&self, head: &BlockHead) -> Result<HeadChange, ChainFailure> {
        let Some(last) = self.memory.lock().head else {
            return Ok(HeadChange::First);
        };
        if head.hash == last.hash {
            return Ok(HeadChange::Nothing);
        }
        if head.number < last.number {
            if self.is_reorganised_below(last.number - head.number).await? {
                return Ok(HeadChange::Reorganised);
            }
            return Err(ChainFailure::unreachable(format!(
                "its newest block is {}, and block {} was seen before",
                head.number, last.number
            )));
        }
        let same = head.parent == last.hash || self.stands(last.number, last.hash).await?;
        Ok(match same {
            true => HeadChange::Grown { after: last.number },
            false => HeadChange::Reorganised,
        })
    }

    /// Interprets a head below the last one. It is another chain, a node that lags behind the one
    /// that answered before, or, if it stays so, a reorganisation. Until this is decided, views of
    /// the missing blocks are not served, unless those blocks are too new to count anyway.
    async fn is_reorganised_below(&self, missing: u64) -> Result<bool, ChainFailure> {
        let since = {
            let mut seen = self.memory.lock();
            if missing > self.options.confirmations {
                seen.clear_views();
            }
            *seen.lower.get_or_insert_with(Instant::now)
        };
        self.check_chain()
            .await
            .map_err(ChainFailure::unreachable)?;
        Ok(since.elapsed() >= self.options.lag)
    }

    async fn stands(&self, number: u64, hash: B256) -> Result<bool, ChainFailure> {
        let stands = self.chain.has_block(number, Word(hash.0)).await;
        stands.map_err(ChainFailure::unreachable)
    }

    /// Whether a fact was in a block that was replaced before a poll saw it.
    async fn is_moved(&self, head: &BlockHead) -> Result<bool, ChainFailure> {
        let unseen: Vec<EventLocation> = {
            let seen = self.memory.lock();
            let unseen = seen.marks.iter().filter(|it| seen.unseen.contains(&it.tx));
            unseen
                .filter(|it| it.block <= head.number)
                .cloned()
                .collect()
        };
        for location in unseen {
            if !self.stands(location.block, location.hash.0.into()).await? {
                return Ok(true);
            }
            self.memory.lock().unseen.remove(&location.tx);
        }
        Ok(false)
    }

    /// Checks every watched fact and records those that were undone.
    async fn recheck(&self) -> Result<(), ChainFailure> {
        let marks: Vec<EventLocation> = self.memory.lock().marks.iter().cloned().collect();
        let mut gone = Vec::new();
        for mark in marks {
            if self.stands(mark.block, mark.hash.0.into()).await? {
                self.memory.lock().unseen.remove(&mark.tx);
                continue;
            }
            let tx = mark.tx.parse::<B256>().unwrap_or_default();
            let receipt = self.chain.receipt(tx).await;
            match receipt.map_err(ChainFailure::unreachable)? {
                Some(receipt) => self.memory.lock().watch(EventLocation {
                    block: receipt.block_number.unwrap_or_default(),
                    hash: Word(receipt.block_hash.unwrap_or_default().0),
                    ..mark
                }),
                None => gone.push(mark.tx),
            }
        }
        if gone.is_empty() {
            return Ok(());
        }
        tracing::warn!("{}: undone: {}", self.chain.network.name, gone.join(", "));
        let chain_id = self.chain.network.chain_id;
        let txs = gone.clone();
        self.append_event(Event::Reorganised { chain_id, txs })
            .await?;
        let mut seen = self.memory.lock();
        seen.marks.retain(|location| !gone.contains(&location.tx));
        Ok(())
    }

    /// Channels and receivers that the escrow's logs name in these blocks.
    async fn touched(
        &self,
        after: u64,
        last: u64,
    ) -> Result<(BTreeSet<Word>, BTreeSet<ReceiverKey>), ChainFailure> {
        let receivers = self.receivers();
        let padded = |key: &ReceiverKey| Word(B256::left_padding_from(&key.receiver.0).0);
        let mut named: BTreeSet<Word> = receivers.iter().map(padded).collect();
        named.extend(self.memory.lock().channels.keys());
        let named: Vec<Word> = named.into_iter().collect();
        let mut found = BTreeSet::new();
        for some in named.chunks(NAMED) {
            let topics: Vec<B256> = some.iter().map(|word| word.0.into()).collect();
            let filter = Filter::new()
                .address(ESCROW)
                .event_signature(EVENTS.to_vec())
                .topic1(topics);
            let logs = self.chain.logs_in(&filter, after + 1..=last).await;
            let logs = logs.map_err(ChainFailure::unreachable)?;
            let subject = |log: &alloy::rpc::types::Log| log.topics().get(1).copied();
            found.extend(logs.iter().filter_map(subject).map(|topic| Word(topic.0)));
        }
        let receivers = receivers.into_iter();
        let receivers = receivers.filter(|key| found.contains(&padded(key)));
        let receivers = receivers.collect();
        let seen = self.memory.lock();
        found.retain(|word| seen.channels.contains_key(word));
        Ok((found, receivers))
    }

    /// Channels whose newest money was not deep enough at the last poll.
    fn unripe(&self, head: u64) -> Vec<Word> {
        let seen = self.memory.lock();
        let unripe = seen.channels.iter().filter(|(_, it)| head <= it.ripe_at);
        unripe.map(|(id, _)| *id).collect()
    }

    /// Channels of the ledger with unclaimed charges.
    fn unclaimed(&self) -> Vec<Word> {
        let here = self.chain.network.chain_id;
        ask(&*self.ledger, |ledger| {
            let channels = ledger.channels.iter();
            let owed = channels.filter(|(key, it)| key.chain_id == here && it.outstanding().0 > 0);
            owed.map(|(key, _)| key.channel).collect()
        })
    }

    fn receivers(&self) -> BTreeSet<ReceiverKey> {
        let here = self.chain.network.chain_id;
        ask(&*self.ledger, |ledger| {
            let keys = ledger.receivers.keys().copied();
            keys.filter(|key| key.chain_id == here).collect()
        })
    }

    fn take_in(&self, head: BlockHead, changed: usize, ids: &[Word], views: &[ChannelView]) {
        let here = self.chain.network.chain_id;
        let in_book: BTreeSet<Word> = ask(&*self.ledger, |ledger| {
            let known = |id: &&Word| ledger.channels.contains_key(&key(here, **id));
            ids.iter().filter(known).copied().collect()
        });
        let mut seen = self.memory.lock();
        let mut alarming = false;
        for (at, (id, view)) in ids.iter().zip(views).enumerate() {
            let before = seen.channels.get(id);
            // Clients can ask for any id, so an empty channel is not cached.
            let empty = view.balance.is_zero() && view.claimed.is_zero();
            if empty && before.is_none() && !in_book.contains(id) {
                continue;
            }
            let waited = before.is_some_and(|it| it.view.withdrawal.is_some());
            alarming |= view.withdrawal.is_some() && !waited;
            let told = before.is_some_and(|it| it.told && same_view(&it.view, view));
            let ripe_at = match before {
                Some(it) if at >= changed => it.ripe_at,
                _ => head.number + self.options.confirmations,
            };
            let known = WatchedChannel {
                view: view.clone(),
                told,
                ripe_at,
            };
            seen.channels.insert(*id, known);
        }
        seen.advance_head(head);
        drop(seen);
        if alarming {
            self.alarm.notify_one();
        }
    }

    /// Writes the changed state of the ledger's channels to the journal.
    pub(super) async fn append_channels(&self, ids: &[Word]) -> Result<(), ChainFailure> {
        let here = self.chain.network.chain_id;
        for id in ids {
            let view = {
                let seen = self.memory.lock();
                let untold = seen.channels.get(id).filter(|it| !it.told);
                untold.map(|it| it.view.clone())
            };
            let Some(view) = view else { continue };
            let key = key(here, *id);
            let written = ask(&*self.ledger, |ledger| {
                ledger.channels.get(&key).map(|it| it.view.clone())
            });
            match written {
                None => continue,
                Some(Some(written)) if same_view(&written, &view) => {}
                Some(_) => {
                    let before = self.written_off(&key);
                    let view = view.clone();
                    let fact = ChannelObserved { key, view };
                    self.append_event(Event::ChannelObserved(Box::new(fact)))
                        .await?;
                    let amount = self.written_off(&key).saturating_sub(before);
                    if !amount.is_zero() {
                        tracing::warn!(channel = %id, %amount, "written off: its claim was not worth the gas, and the payer has withdrawn it");
                    }
                }
            }
            if let Some(known) = self.memory.lock().channels.get_mut(id) {
                known.told = same_view(&known.view, &view);
            }
        }
        Ok(())
    }

    fn written_off(&self, key: &ChannelKey) -> Amount {
        ask(&*self.ledger, |ledger| {
            let channel = ledger.channels.get(key);
            channel.map(LedgerChannel::written_off).unwrap_or_default()
        })
    }

    /// A receiver's current state, recorded if it changed.
    pub async fn observe_receiver(&self, key: ReceiverKey) -> Result<ReceiverView, ChainFailure> {
        let head = self.chain.head().await;
        let head = head.map_err(ChainFailure::unreachable)?;
        self.observe_receiver_at(&head, key).await
    }

    async fn observe_receiver_at(
        &self,
        head: &BlockHead,
        key: ReceiverKey,
    ) -> Result<ReceiverView, ChainFailure> {
        let seen = view::receiver(&self.chain, head, key).await;
        let view = seen.map_err(ChainFailure::unreachable)?;
        let written = ask(&*self.ledger, |ledger| {
            ledger.receivers.get(&key).and_then(|it| it.view.clone())
        });
        let numbers = |view: &ReceiverView| [view.claimed, view.settled, view.released, view.held];
        if written.as_ref().map(numbers) != Some(numbers(&view)) {
            let view = view.clone();
            let fact = ReceiverObserved { key, view };
            self.append_event(Event::ReceiverObserved(Box::new(fact)))
                .await?;
        }
        Ok(view)
    }

    /// Waits until a block is deep enough. Returns `false` if it no longer exists.
    pub(super) async fn is_confirmed(&self, number: u64, hash: B256) -> Result<bool, ChainFailure> {
        let depth = self.options.confirmations;
        let started = Instant::now();
        let longest = self.queue.limits.patience * 10;
        loop {
            let head = self.chain.head().await;
            let head = head.map_err(ChainFailure::unreachable)?;
            if head.number >= number.saturating_add(depth) {
                return self.stands(number, hash).await;
            }
            if started.elapsed() > longest {
                let missing = number.saturating_add(depth) - head.number;
                return Err(ChainFailure::unreachable(format!(
                    "{missing} blocks are missing"
                )));
            }
            // An RPC over HTTP sends no notifications.
            tokio::time::sleep(self.options.poll).await;
        }
    }

    pub(super) async fn append_event(&self, event: Event) -> Result<(), ChainFailure> {
        let kept = self.queue.keep(event).await;
        kept.map_err(|failure| ChainFailure::unreachable(failure.message))
    }

    pub(super) async fn has_code(&self, account: Address) -> Result<bool, WalletError> {
        self.chain.has_code(account).await
    }
}

fn key(chain_id: u64, channel: Word) -> ChannelKey {
    ChannelKey { chain_id, channel }
}

/// What the escrow says about channels and receivers.
const EVENTS: [B256; 6] = [
    Escrow::Deposited::SIGNATURE_HASH,
    Escrow::Claimed::SIGNATURE_HASH,
    Escrow::Settled::SIGNATURE_HASH,
    Escrow::Refunded::SIGNATURE_HASH,
    Escrow::WithdrawInitiated::SIGNATURE_HASH,
    Escrow::WithdrawFinalized::SIGNATURE_HASH,
];
