//! Turns charges into money: claims, settles the claimed amounts, and pays out what arrived.
//!
//! Every amount comes from the chain's cumulative totals. An interrupted round is finished by the
//! next one, and nothing is done twice.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use alloy::sol_types::SolCall;
use tokio_util::sync::CancellationToken;

use super::{
    accounts::SettlementAccounts,
    claims::{self, ClaimBatch, ClaimRow, LeftOut, paid_receivers, receivers_of},
    client::SettlementClient,
    error::SettleError,
    facts,
    ledger_view::{ask, ask_state},
    purpose::TxPurpose,
    shares::{SplitterShare, shares},
};
use openlora_chain::{
    WalletError,
    registry::{BatchSettlementEscrow as Escrow, ContributorPool, RevenueSplitter},
    transaction::{MinedTx, TransactionError},
};
use openlora_contracts::ESCROW;
use openlora_core::{Address, Amount, Word};
use openlora_ledger::{
    Ledger, ReceiverKey, TxKey,
    event::{ClaimsDeferred, DeferredClaim, Event},
};

/// When settlement starts automatically.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SettleTriggers {
    /// The unclaimed amount of one receiver that is worth a transaction.
    pub threshold: Amount,
    /// Longest time between two rounds.
    pub interval: Duration,
}

/// A transaction that moved money.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MovedMoney {
    pub tx: String,
    pub receiver: ReceiverKey,
    pub amount: Amount,
    /// Channels of a claim; 0 for anything else.
    pub channels: usize,
    /// The recipient, if the money left a splitter.
    pub recipient: Option<Address>,
    /// Gas of the whole transaction.
    pub gas_used: u64,
    /// Wei.
    pub fee: u128,
}

/// The result of a round.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SettleRound {
    /// One per transaction and receiver.
    pub claims: Vec<MovedMoney>,
    pub settles: Vec<MovedMoney>,
    pub left_out: Vec<LeftOut>,
    /// Not claimed for now: that would cost more gas than it brings.
    pub deferred: Vec<DeferredClaim>,
}

/// Claims, settles and withdraws on one chain.
pub struct ChainSettler {
    /// Each claims its own channels and releases its own shares.
    accounts: SettlementAccounts,
    /// The main account's, which reads the chain and sends what any account may send.
    client: Arc<SettlementClient>,
    /// Held during a round, so that rounds do not overlap.
    round: tokio::sync::Mutex<()>,
    /// Amounts that the last round left out, so that they do not trigger another round.
    stuck: Mutex<BTreeMap<Word, Amount>>,
}

impl ChainSettler {
    pub fn new(accounts: impl Into<SettlementAccounts>) -> Self {
        let accounts = accounts.into();
        Self {
            client: Arc::clone(accounts.main()),
            accounts,
            round: tokio::sync::Mutex::new(()),
            stuck: Mutex::default(),
        }
    }

    /// Claims what is charged and settles what is claimed, as far as it is worth the gas.
    pub async fn settle_now(&self) -> Result<SettleRound, SettleError> {
        let _round = self.round.lock().await;
        self.accounts.recover().await?;
        let mut done = SettleRound::default();
        self.claim(&mut done).await?;
        for receiver in self.receivers(&done) {
            done.settles.extend(self.settle_receiver(receiver).await?);
        }
        let mut stuck: BTreeMap<Word, Amount> = BTreeMap::new();
        let left_out = done.left_out.iter().map(|out| (out.channel, out.amount));
        let deferred = done.deferred.iter().map(|it| (it.channel, it.amount));
        for (channel, amount) in left_out.chain(deferred) {
            let sum = stuck.entry(channel).or_default();
            *sum = sum.saturating_add(amount);
        }
        *self.stuck.lock().unwrap_or_else(PoisonError::into_inner) = stuck;
        Ok(done)
    }

    async fn claim(&self, done: &mut SettleRound) -> Result<(), SettleError> {
        let (client, chain_id) = (&self.client, self.chain_id());
        let owed = ask(&*client.ledger, |ledger| {
            claims::owed_channels(ledger, chain_id)
        });
        let views = client.advance(&owed).await?;
        let accounts = self.accounts.addresses();
        let select = |ledger: &Ledger| claims::select(ledger, chain_id, &accounts, &views);
        let (rows, left_out) = ask(&*client.ledger, select);
        done.left_out = left_out;
        let (worth, price) = (client.options.worth, self.price().await?);
        let has_row = |row: &ClaimRow| worth.has_row(row.amount, row.by_contract, price);
        let (rows, dust): (Vec<_>, Vec<_>) = rows.into_iter().partition(has_row);
        done.deferred.extend(dust.iter().map(ClaimRow::deferred));
        let mut waiting = claims::batches(rows);
        waiting.reverse();
        let mut claimed = Vec::new();
        while let Some(batch) = waiting.pop() {
            let Some(batch) = self.worthwhile(batch, price, done).await? else {
                continue;
            };
            claimed.extend(batch.rows.iter().map(|row| row.channel));
            let (data, purpose) = (
                claims::data(&batch.rows),
                claims::claim_purpose(&client.chain.network, &batch.rows),
            );
            let sender = self.accounts.find(batch.claimer).unwrap_or(client);
            match sender.carry_out_claim(&batch.rows, data, purpose).await {
                Ok(mined) => done.claims.extend(self.claims_of(&mined)),
                // Rows that pass alone fail together, or one that passed now fails. Halving the batch
                // finds out which, so that no payer's contract holds up the others' claims.
                Err(
                    SettleError::Transaction(TransactionError::Reverted { reason, .. })
                    | SettleError::Wallet(WalletError::Reverted { reason, .. }),
                ) => {
                    halve(batch, reason, &mut waiting, &mut done.left_out);
                }
                // Another account, for example without gas, does not stop the main one.
                Err(error) if batch.claimer != client.account() => {
                    let rows = batch.rows.into_iter();
                    let left_out = rows.map(|row| row.left_out(error.to_string()));
                    done.left_out.extend(left_out);
                }
                Err(error) => return Err(error),
            }
        }
        for out in &done.left_out {
            tracing::warn!(
                "{} of channel {} cannot be claimed: {}",
                out.amount,
                out.channel,
                out.reason
            );
        }
        self.record_deferred(&done.deferred).await?;
        client.advance(&claimed).await?;
        Ok(())
    }

    /// The rows of a batch that the chain would claim; none if that costs more than it brings. The
    /// rest is noted in the round.
    async fn worthwhile(
        &self,
        batch: ClaimBatch,
        price: u128,
        done: &mut SettleRound,
    ) -> Result<Option<ClaimBatch>, SettleError> {
        let worth = self.client.options.worth;
        let is_worth = |batch: &ClaimBatch| batch.is_worth(worth, price);
        let mut batch = batch;
        if is_worth(&batch) {
            let left_out;
            (batch, left_out) = claims::filter_rows(&self.client.chain, batch).await?;
            done.left_out.extend(left_out);
            // The chain may refuse the rows that were worth the transaction.
            if is_worth(&batch) {
                return Ok(Some(batch));
            }
        }
        let deferred = batch.rows.iter().map(ClaimRow::deferred);
        done.deferred.extend(deferred);
        Ok(None)
    }

    /// The price of gas in wei, if the worth of claims depends on it.
    async fn price(&self) -> Result<u128, SettleError> {
        match self.client.options.worth.coin {
            Some(_) => Ok(self.client.chain.fees().await?.max_fee),
            None => Ok(0),
        }
    }

    /// Records the charges that are not claimed for now, once per total.
    async fn record_deferred(&self, deferred: &[DeferredClaim]) -> Result<(), SettleError> {
        let (client, chain_id) = (&self.client, self.chain_id());
        let is_new = |ledger: &Ledger, it: &DeferredClaim| {
            let channel = ledger.channels.get(&client.channel_key(it.channel));
            channel.is_some_and(|channel| channel.deferred < it.total)
        };
        let channels: Vec<DeferredClaim> = ask(&*client.ledger, |ledger| {
            let new = deferred.iter().filter(|it| is_new(ledger, it));
            new.copied().collect()
        });
        if channels.is_empty() {
            return Ok(());
        }
        let amount: Amount = deferred.iter().map(|it| it.amount).sum();
        tracing::info!(
            network = %client.chain.network.name,
            channels = deferred.len(),
            %amount,
            "not claimed for now: it would cost more gas than it brings"
        );
        let deferred = ClaimsDeferred { chain_id, channels };
        let event = Event::ClaimsDeferred(Box::new(deferred));
        Ok(client.append_event(event).await?)
    }

    async fn settle_receiver(
        &self,
        receiver: ReceiverKey,
    ) -> Result<Option<MovedMoney>, SettleError> {
        let view = self.client.observe_receiver(receiver).await?;
        let unsettled = view.claimed.saturating_sub(view.settled);
        let worth = self.client.options.worth;
        if !worth.has_settlement(unsettled, self.price().await?) {
            return Ok(None);
        }
        let call = Escrow::settleCall {
            receiver: receiver.receiver.into(),
            token: receiver.token.into(),
        };
        let purpose = TxPurpose {
            key: TxKey::Settle {
                receiver: receiver.receiver,
                token: receiver.token,
                claimed: view.claimed,
            },
            label: format!("settling what is claimed for {}", receiver.receiver),
        };
        let data = call.abi_encode().into();
        let mined = self.client.carry_out(ESCROW.into(), data, purpose).await?;
        self.client.observe_receiver(receiver).await?;
        let amount = self
            .mined_events(&mined)
            .into_iter()
            .find_map(|fact| match fact {
                Event::Settled(fact) if fact.receiver == receiver => Some(fact.amount),
                _ => None,
            });
        Ok(amount.map(|amount| moved(&mined, receiver, amount)))
    }

    /// Pays the accounts' shares out of every splitter, to `to` or each to itself, and the shares of
    /// contributor pools to the pools.
    pub async fn withdraw(&self, to: Option<Address>) -> Result<Vec<MovedMoney>, SettleError> {
        let _round = self.round.lock().await;
        self.accounts.recover().await?;
        let mut done = Vec::new();
        let known = self.receivers(&SettleRound::default());
        for receiver in self.paid_receivers() {
            let pending = self.pending_shares(receiver).await?;
            if pending.is_empty() && !known.contains(&receiver) {
                continue;
            }
            for share in pending {
                match self.release(&share, to).await {
                    // Another account, for example without gas, does not stop the main one.
                    Err(error) if share.own && share.recipient != self.client.account() => {
                        let network = &self.client.chain.network.name;
                        tracing::warn!(%network, account = %share.recipient, "{error}");
                    }
                    released => done.extend(released?),
                }
            }
            self.client.observe_receiver(receiver).await?;
        }
        Ok(done)
    }

    /// The shares that splitters hold now, besides those of contributor pools.
    pub async fn unreleased(&self) -> Result<Vec<SplitterShare>, SettleError> {
        let mut all = Vec::new();
        for receiver in self.paid_receivers() {
            let shares = self.pending_shares(receiver).await?.into_iter();
            all.extend(shares.filter(|share| !share.pool));
        }
        Ok(all)
    }

    /// The shares of a splitter that could be paid out now.
    async fn pending_shares(
        &self,
        receiver: ReceiverKey,
    ) -> Result<Vec<SplitterShare>, SettleError> {
        let accounts = self.accounts.addresses();
        let mut shares = shares(&self.client.chain, &accounts, receiver).await?;
        shares.retain(|share| !share.pending.is_zero());
        Ok(shares)
    }

    /// Collects the shares of contributor pools. Nothing else is paid out.
    pub async fn fill_pools(&self) -> Result<Vec<MovedMoney>, SettleError> {
        let _round = self.round.lock().await;
        self.client.recover().await?;
        let mut done = Vec::new();
        for receiver in self.receivers(&SettleRound::default()) {
            let shares = self.pending_shares(receiver).await?;
            for share in shares.into_iter().filter(|share| share.pool) {
                done.extend(self.release(&share, None).await?);
            }
        }
        Ok(done)
    }

    async fn release(
        &self,
        share: &SplitterShare,
        to: Option<Address>,
    ) -> Result<Option<MovedMoney>, SettleError> {
        let receiver = share.receiver;
        let (splitter, token) = (receiver.receiver, receiver.token.into());
        let to = to.unwrap_or(share.recipient).into();
        let (callee, data) = match (share.own, share.pool) {
            (true, _) => {
                let call = RevenueSplitter::releaseCall { token, to };
                (splitter, call.abi_encode())
            }
            (false, true) => {
                let splitter = splitter.into();
                let call = ContributorPool::pullCall { splitter, token };
                (share.recipient, call.abi_encode())
            }
            // Other recipients collect their own shares.
            (false, false) => return Ok(None),
        };
        let purpose = TxPurpose {
            key: TxKey::Release {
                splitter,
                token: receiver.token,
                recipient: share.recipient,
                released: share.released,
            },
            label: format!("releasing the share of {} from {splitter}", share.recipient),
        };
        let sender = self.accounts.find(share.recipient);
        let sender = sender.unwrap_or(&self.client);
        let mined = sender.carry_out(callee, data.into(), purpose).await?;
        let amount = self
            .mined_events(&mined)
            .into_iter()
            .find_map(|fact| match fact {
                Event::Released(fact) if fact.recipient == share.recipient => Some(fact.amount),
                _ => None,
            });
        let recipient = Some(share.recipient);
        Ok(amount.map(|amount| MovedMoney {
            recipient,
            ..moved(&mined, receiver, amount)
        }))
    }

    /// Settles on each trigger until `stop` is cancelled, and then once more. Returns whether the
    /// last round succeeded.
    pub async fn run(&self, triggers: SettleTriggers, stop: CancellationToken) -> bool {
        /// Minimum time from a failed round to the next one.
        const PAUSE: Duration = Duration::from_secs(10);
        let mut pause = Duration::ZERO;
        loop {
            let reason = async {
                tokio::time::sleep(pause).await;
                tokio::select! {
                    () = self.client.withdrawal_started() => {}
                    () = tokio::time::sleep(triggers.interval) => {}
                    () = self.until(triggers.threshold) => {}
                }
            };
            let stopping = tokio::select! {
                () = stop.cancelled() => true,
                () = reason => false,
            };
            let round = self.settle_now().await;
            if let Err(error) = &round {
                tracing::warn!("{}: not settled: {error}", self.client.chain.network.name);
            }
            pause = if round.is_ok() { Duration::ZERO } else { PAUSE };
            if stopping {
                return round.is_ok();
            }
        }
    }

    /// Waits until the unclaimed amount of one receiver reaches the threshold, any amount is
    /// unclaimed from a payer who withdraws, or the account can hardly pay for what is unclaimed. A
    /// call that was running when the withdrawal began is charged only when it ends.
    async fn until(&self, threshold: Amount) {
        while !self.is_reached(threshold) && !self.is_leaving() && !self.is_pressing() {
            // The ledger does not notify its readers.
            tokio::time::sleep(self.client.options.poll).await;
        }
    }

    fn is_pressing(&self) -> bool {
        !self.client.queue.affords_claim(false) && !self.unclaimed().is_empty()
    }

    /// The charged amounts that could be claimed and are not, by token.
    pub fn unclaimed(&self) -> BTreeMap<Address, Amount> {
        let mut sums = BTreeMap::new();
        for ((_, token), amount) in self.unclaimed_by_receiver() {
            let sum: &mut Amount = sums.entry(token).or_default();
            *sum = sum.saturating_add(amount);
        }
        sums.retain(|_, sum| !sum.is_zero());
        sums
    }

    fn is_reached(&self, threshold: Amount) -> bool {
        let sums = self.unclaimed_by_receiver();
        sums.values().any(|sum| !sum.is_zero() && *sum >= threshold)
    }

    /// By receiver and token, without amounts that cannot be claimed.
    fn unclaimed_by_receiver(&self) -> BTreeMap<(Address, Address), Amount> {
        let here = self.chain_id();
        let stuck = self.stuck.lock().unwrap_or_else(PoisonError::into_inner);
        let stuck = stuck.clone();
        ask(&*self.client.ledger, |ledger| {
            let mut sums: BTreeMap<(Address, Address), Amount> = BTreeMap::new();
            for (key, channel) in ledger
                .channels
                .iter()
                .filter(|(key, _)| key.chain_id == here)
            {
                let stuck = stuck.get(&key.channel).copied().unwrap_or_default();
                let amount = channel.outstanding().saturating_sub(stuck);
                let of = (channel.config.receiver, channel.config.token);
                let sum = sums.entry(of).or_default();
                *sum = sum.saturating_add(amount);
            }
            sums
        })
    }

    fn is_leaving(&self) -> bool {
        let here = self.chain_id();
        let stuck = self.stuck.lock().unwrap_or_else(PoisonError::into_inner);
        let stuck = stuck.clone();
        ask(&*self.client.ledger, |ledger| {
            let mut channels = ledger.channels.iter();
            channels.any(|(key, channel)| {
                let stuck = stuck.get(&key.channel).copied().unwrap_or_default();
                let view = channel.view.as_ref();
                key.chain_id == here
                    && view.is_some_and(|view| view.withdrawal.is_some())
                    && channel.outstanding() > stuck
            })
        })
    }

    /// Receivers of this chain that money may be due to.
    fn receivers(&self, done: &SettleRound) -> BTreeSet<ReceiverKey> {
        let mut keys = known_receivers(&self.client);
        keys.extend(done.claims.iter().map(|claim| claim.receiver));
        keys
    }

    /// The same with the splitters of releases that were registered from here, by any server.
    fn paid_receivers(&self) -> BTreeSet<ReceiverKey> {
        let network = &self.client.chain.network;
        ask_state(&*self.client.ledger, |state| paid_receivers(state, network))
    }

    fn mined_events(&self, mined: &MinedTx) -> Vec<Event> {
        let chain_id = self.chain_id();
        ask(&*self.client.ledger, |ledger| {
            facts::told_by(&mined.receipt, chain_id, ledger)
        })
    }

    fn claims_of(&self, mined: &MinedTx) -> Vec<MovedMoney> {
        let told = self.mined_events(mined).into_iter();
        let claim = |fact| match fact {
            Event::Claimed(fact) => Some(MovedMoney {
                channels: fact.rows.len(),
                ..moved(
                    mined,
                    fact.receiver,
                    fact.rows.iter().map(|row| row.amount).sum(),
                )
            }),
            _ => None,
        };
        told.filter_map(claim).collect()
    }

    fn chain_id(&self) -> u64 {
        self.client.chain.network.chain_id
    }
}

/// Receivers in the ledger on a settlement client's chain.
fn known_receivers(client: &SettlementClient) -> BTreeSet<ReceiverKey> {
    let here = client.chain.network.chain_id;
    ask(&*client.ledger, |ledger| receivers_of(ledger, here))
}

fn moved(mined: &MinedTx, receiver: ReceiverKey, amount: Amount) -> MovedMoney {
    let gas_used = mined.receipt.gas_used;
    MovedMoney {
        tx: mined.tx.to_string(),
        receiver,
        amount,
        channels: 0,
        recipient: None,
        gas_used,
        fee: u128::from(gas_used).saturating_mul(mined.receipt.effective_gas_price),
    }
}

/// Splits a reverted claim into two. A single row is left out.
fn halve(
    batch: ClaimBatch,
    reason: String,
    waiting: &mut Vec<ClaimBatch>,
    left_out: &mut Vec<LeftOut>,
) {
    let ClaimBatch { claimer, mut rows } = batch;
    if rows.len() > 1 {
        let second = rows.split_off(rows.len() / 2);
        waiting.extend([second, rows].map(|rows| ClaimBatch { claimer, rows }));
        return;
    }
    left_out.extend(rows.into_iter().map(|row| row.left_out(reason.clone())));
}
