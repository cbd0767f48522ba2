//! The settlement client of one chain: its parts, and the queries that it answers without sending a
//! transaction.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use alloy::{
    primitives::{B256, Bytes, U256, b256, keccak256},
    rpc::types::TransactionReceipt,
    sol_types::SolCall,
};
use tokio::sync::{Notify, OwnedMutexGuard};

use super::{
    ChainFailure, MinedResult, SettleError,
    claim_worth::ClaimWorth,
    claims::ClaimRow,
    facts,
    ledger_view::{LedgerView, ask, ask_state},
    memory::ChainMemory,
    purpose::TxPurpose,
    questions::{ChainQuestions, QuestionKind, SIGNATURE_GAS, signature_key},
    queue::{ProgressListener, TxQueue, TxQueueConfig},
    sponsor::{SponsorGate, most_gas, most_gas_of_calls},
};
use openlora_chain::{
    WalletError,
    network::Network,
    provider::{Chain, PlannedTx},
    registry::SigningContract,
    transaction::{FactReader, MinedTx, TransactionError, TxLimits, TxSubmission},
};
use openlora_contracts::ESCROW;
use openlora_core::{Address, Word};
use openlora_ledger::{
    ChannelKey, ChannelView, EventLocation, SponsorAllowance, SponsorLimit, Sponsored,
    SponsoredDeed, TxKey,
    event::{Event, PublishedVoucher, VouchersPublished},
};
use openlora_ports::FactLog;
use openlora_wallet::WalletAccount;

/// How long a view may be served from memory: a small part of the shortest withdrawal delay.
pub const FRESH: Duration = Duration::from_secs(30);
/// For this long after a failed chain read, requests get its error without another read.
pub(super) const READ_ERROR_KEPT: Duration = Duration::from_secs(1);

/// Settings of a settlement client.
#[derive(Clone)]
pub struct SettlementOptions {
    pub limits: TxLimits,
    /// Blocks on top of a deposit or a payment before it counts; 0 on local chains.
    pub confirmations: u64,
    /// Time between two reads of the chain.
    pub poll: Duration,
    /// How long a read of the chain stays valid.
    pub fresh: Duration,
    /// How long a lower head counts as an RPC that lags, and not as a reorganisation.
    pub lag: Duration,
    /// Receives progress that a waiting user may want to see.
    pub progress: ProgressListener,
    /// Reads the facts of this account's other transactions, such as anchoring. Without it those
    /// facts are lost.
    pub reader: Option<FactReader>,
    /// Daily limits for sponsored transactions.
    pub allowance: SponsorAllowance,
    /// The claims that are made.
    pub worth: ClaimWorth,
    /// How long it is remembered that the chain refuses a payment; a contract's refusal of a
    /// signature is remembered for longer.
    pub remember: Duration,
}

impl SettlementOptions {
    /// The defaults for a network.
    pub fn for_network(network: &Network, limits: TxLimits) -> Self {
        let (poll, lag) = match network.is_local() {
            true => (Duration::from_millis(250), Duration::from_secs(1)),
            false => (Duration::from_secs(2), Duration::from_secs(30)),
        };
        // A development chain has its next block at any moment.
        let remember = match network.is_local() {
            true => Duration::ZERO,
            false => poll,
        };
        Self {
            limits,
            confirmations: network.confirmations,
            poll,
            fresh: FRESH,
            lag,
            progress: Arc::new(|_| {}),
            reader: None,
            allowance: SponsorAllowance::UNLIMITED,
            worth: ClaimWorth::default(),
            remember,
        }
    }
}

/// Where a settlement client writes its facts, and what it reads of them.
pub struct SettlementRecords {
    pub facts: Arc<dyn FactLog>,
    /// Includes every fact as soon as `facts` has stored it.
    pub ledger: Arc<dyn LedgerView>,
}

/// One chain, through the account that claims and refunds there.
pub struct SettlementClient {
    pub(super) chain: Chain,
    pub(super) queue: Arc<TxQueue>,
    pub(super) ledger: Arc<dyn LedgerView>,
    pub(super) options: SettlementOptions,
    pub(super) memory: Arc<ChainMemory>,
    /// Held while the chain is read.
    pub(super) eye: Arc<tokio::sync::Mutex<()>>,
    /// Notified when a payer starts a withdrawal.
    pub(super) alarm: Arc<Notify>,
    /// What unpaid requests ask.
    pub(super) questions: ChainQuestions,
    turns: NamedLocks,
}

impl SettlementClient {
    pub fn new(
        chain: Chain,
        account: WalletAccount,
        records: SettlementRecords,
        options: SettlementOptions,
    ) -> Self {
        let SettlementRecords { facts, ledger } = records;
        let chain_id = chain.network.chain_id;
        let memory = Arc::new(ChainMemory::default());
        for location in ask_state(&*ledger, |state| state.facts.locations(chain_id)) {
            memory.lock().watch(location);
        }
        let (seen, read) = (Arc::clone(&memory), Arc::clone(&ledger));
        let beyond = options.reader.clone();
        let reader = move |receipt: &TransactionReceipt| {
            seen.lock().watch(EventLocation {
                chain_id,
                tx: receipt.transaction_hash.to_string(),
                block: receipt.block_number.unwrap_or_default(),
                hash: Word(receipt.block_hash.unwrap_or_default().0),
            });
            let mut told = ask(&*read, |ledger| facts::told_by(receipt, chain_id, ledger));
            if let Some(beyond) = &beyond {
                told.extend(beyond(receipt));
            }
            told
        };
        let gate = SponsorGate {
            chain_id,
            account: account.address(),
            books: Arc::clone(&ledger),
            allowance: options.allowance,
            worth: options.worth,
        };
        let queue = TxQueue::new(TxQueueConfig {
            chain: chain.clone(),
            account,
            limits: options.limits,
            gate,
            facts,
            ledger: Arc::clone(&ledger),
            progress: Arc::clone(&options.progress),
            read: Arc::new(reader),
        });
        Self {
            chain,
            queue: Arc::new(queue),
            ledger,
            questions: ChainQuestions::new(options.remember),
            options,
            memory,
            eye: Arc::default(),
            alarm: Arc::default(),
            turns: NamedLocks::default(),
        }
    }

    /// The same chain through another account. Both share what they know of the chain, so each of
    /// its events is recorded once.
    pub fn of_account(&self, account: WalletAccount) -> Self {
        Self {
            chain: self.chain.clone(),
            queue: Arc::new(self.queue.of_account(account)),
            ledger: Arc::clone(&self.ledger),
            questions: ChainQuestions::new(self.options.remember),
            options: self.options.clone(),
            memory: Arc::clone(&self.memory),
            eye: Arc::clone(&self.eye),
            alarm: Arc::clone(&self.alarm),
            turns: NamedLocks::default(),
        }
    }

    /// The account that claims and refunds.
    pub fn account(&self) -> Address {
        self.queue.account.address()
    }

    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// Looks up the outcome of the transactions that an earlier process left open.
    pub async fn recover(&self) -> Result<(), TransactionError> {
        self.check_chain().await?;
        self.queue.settle_lost().await
    }

    /// Waits until a payer starts a withdrawal. Returns at once if one has started since the last
    /// call.
    pub async fn withdrawal_started(&self) {
        self.alarm.notified().await;
    }

    /// A lock per authorization or channel.
    pub(super) async fn turn(&self, of: Word) -> OwnedMutexGuard<()> {
        self.turns.take(of).await
    }

    /// The outcome of an earlier attempt with this key, if its transaction was no longer tracked.
    pub(super) async fn earlier(&self, key: &TxKey) -> Result<Option<MinedTx>, ChainFailure> {
        self.queue.until_idle(key).await;
        if self.queue.has_lost() {
            self.check_chain()
                .await
                .map_err(ChainFailure::unreachable)?;
        }
        match self.queue.settle_lost().await {
            Ok(()) => Ok(self.queue.resolved(key)),
            Err(error) => Err(match self.queue.open(key) {
                Some(tx) => ChainFailure::Unknown { tx },
                None => ChainFailure::unreachable(error),
            }),
        }
    }

    /// A call with its gas estimate. If it would fail, returns the reason.
    pub(super) async fn prepared(
        &self,
        to: Address,
        data: Bytes,
        purpose: TxPurpose,
    ) -> Result<TxSubmission, WalletError> {
        let TxPurpose { key, label } = purpose;
        self.check_chain().await?;
        let from = self.account();
        let gas = self.chain.estimate(from, to, &data, &label).await?;
        Ok(TxSubmission {
            to,
            data,
            value: U256::ZERO,
            key,
            label,
            // The chain's state may have changed by then. Unused gas is not paid.
            gas: gas + gas / 5,
            sponsored: None,
        })
    }

    /// A sponsored transaction, simulated as it will be sent, with no more gas than its limit.
    pub(super) async fn prepared_for(
        &self,
        name: &'static str,
        asked: Sponsored,
        to: Address,
        data: Bytes,
        purpose: TxPurpose,
    ) -> Result<TxSubmission, ChainFailure> {
        let TxPurpose { key, label } = purpose;
        let mut planned = self.admitted(name, &asked, to, &data).await?;
        let gas = self.chain.estimate_as_sent(&planned, &label);
        let gas = gas
            .await
            .map_err(|error| ChainFailure::of_read(name, &error))?;
        planned.gas = (gas + gas / 5).min(planned.gas);
        if !self.options.allowance.refuses_contracts {
            // A contract sees its gas limit, so it might succeed only in estimates.
            let tried = self.chain.simulate_as_sent(&planned, &label);
            tried
                .await
                .map_err(|error| ChainFailure::of_read(name, &error))?;
        }
        let gas = planned.gas;
        Ok(TxSubmission {
            to,
            data,
            value: U256::ZERO,
            key,
            label,
            gas,
            sponsored: Some(asked),
        })
    }

    /// Whether a sponsored transaction would be sent now and would succeed.
    pub(super) async fn rehearse(
        &self,
        name: &'static str,
        asked: &Sponsored,
        to: Address,
        data: &Bytes,
    ) -> Result<(), ChainFailure> {
        let planned = self.admitted(name, asked, to, data).await?;
        match self.chain.simulate_as_sent(&planned, name).await {
            Ok(_) => Ok(()),
            Err(error) => Err(ChainFailure::of_read(name, &error)),
        }
    }

    /// A sponsored transaction with its gas limit and fees, if it may be sent at all.
    async fn admitted<'a>(
        &self,
        name: &'static str,
        asked: &Sponsored,
        to: Address,
        data: &'a Bytes,
    ) -> Result<PlannedTx<'a>, ChainFailure> {
        self.check_chain()
            .await
            .map_err(ChainFailure::unreachable)?;
        let pays = matches!(
            asked.deed,
            SponsoredDeed::Deposit | SponsoredDeed::Transfer | SponsoredDeed::Clearing
        );
        if let Some(payer) = asked
            .party
            .filter(|_| pays && self.options.allowance.refuses_contracts)
            && self
                .has_code(payer)
                .await
                .map_err(ChainFailure::unreachable)?
        {
            return Err(ChainFailure::Limited(SponsorLimit::Contract));
        }
        let most = match asked.party {
            Some(_) => most_gas(asked.deed),
            None => most_gas_of_calls(data),
        };
        let fees = self.queue.admit(asked, most, name).await;
        let fees = fees.map_err(|error| ChainFailure::from_transaction(name, error))?;
        Ok(PlannedTx {
            from: self.account(),
            to,
            data,
            gas: most,
            fees,
        })
    }

    /// Allows one transaction in flight per payer and token, so that the next one is checked
    /// against a chain state that includes the last one.
    pub(super) async fn payer_turn(&self, token: Address, payer: Address) -> OwnedMutexGuard<()> {
        let both = keccak256([token.0, payer.0].concat());
        self.turns.take(Word(both.0)).await
    }

    /// Prepares a call, sends it and waits until it is mined. The facts of its receipt are
    /// recorded.
    pub async fn carry_out(
        &self,
        to: Address,
        data: Bytes,
        purpose: TxPurpose,
    ) -> Result<MinedTx, SettleError> {
        let call = self.prepared(to, data, purpose).await?;
        Ok(self.queue.send(call, Vec::new()).await?)
    }

    /// The same for a claim, which makes its vouchers public.
    pub(super) async fn carry_out_claim(
        &self,
        rows: &[ClaimRow],
        data: Bytes,
        purpose: TxPurpose,
    ) -> Result<MinedTx, SettleError> {
        let call = self.prepared(ESCROW.into(), data, purpose).await?;
        let first = self.publishing(rows.iter().map(ClaimRow::published));
        Ok(self.queue.send(call, first.into_iter().collect()).await?)
    }

    /// The event to record before a transaction with these vouchers in its calldata is sent; `None`
    /// if the journal has them.
    pub(super) fn publishing(
        &self,
        vouchers: impl IntoIterator<Item = PublishedVoucher>,
    ) -> Option<Event> {
        let chain_id = self.chain.network.chain_id;
        let vouchers = ask(&*self.ledger, |ledger| {
            let is_news = |it: &PublishedVoucher| {
                let channel = ledger.channels.get(&self.channel_key(it.channel));
                channel.is_some_and(|channel| !channel.has_announced(it.maximum))
            };
            vouchers.into_iter().filter(is_news).collect::<Vec<_>>()
        });
        let published = VouchersPublished { chain_id, vouchers };
        (!published.vouchers.is_empty()).then(|| Event::VouchersPublished(Box::new(published)))
    }

    /// Sends a call and waits until it is mined and deep enough. The events in `first` are recorded
    /// before.
    pub(super) async fn done(
        &self,
        name: &'static str,
        call: TxSubmission,
        first: Vec<Event>,
    ) -> Result<MinedTx, ChainFailure> {
        let sent = self.queue.send(call, first).await;
        let mined = sent.map_err(|error| ChainFailure::from_transaction(name, error))?;
        self.counted(&mined).await?;
        Ok(mined)
    }

    /// Waits until a mined transaction is deep enough. If its block is reorganised away, its
    /// outcome is unknown again.
    pub(super) async fn counted(&self, mined: &MinedTx) -> Result<(), ChainFailure> {
        if self.options.confirmations == 0 {
            return Ok(());
        }
        let (number, hash) = (mined.receipt.block_number, mined.receipt.block_hash);
        let deep = self.is_confirmed(number.unwrap_or_default(), hash.unwrap_or_default());
        match deep.await {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(ChainFailure::Unknown {
                tx: mined.tx.to_string(),
            }),
        }
    }

    /// Reads a channel after a mined transaction. A failure here is not a failure of the
    /// transaction.
    pub(super) async fn channel_after(
        &self,
        tx: String,
        channel: Word,
    ) -> Result<MinedResult, ChainFailure> {
        match self.advance(&[channel]).await {
            Ok(views) => Ok(MinedResult {
                tx,
                view: views.get(&channel).cloned(),
            }),
            Err(_) => Err(ChainFailure::Unknown { tx }),
        }
    }

    /// Reads the chain again if the last read is too old to take payments.
    pub(super) async fn in_sight(&self) -> Result<(), ChainFailure> {
        let fresh = self.memory.lock().is_fresh(self.options.fresh);
        match fresh {
            true => Ok(()),
            false => self.refresh().await,
        }
    }

    pub(super) fn channel_key(&self, channel: Word) -> ChannelKey {
        ChannelKey {
            chain_id: self.chain.network.chain_id,
            channel,
        }
    }

    pub(super) async fn viewed(&self, channel: Word) -> Result<ChannelView, ChainFailure> {
        let key = self.channel_key(channel);
        // A cached view is not enough to begin service on a channel that the ledger does not know.
        let in_use = ask(&*self.ledger, |ledger| ledger.channels.contains_key(&key));
        let known = {
            let seen = self.memory.lock();
            let fresh = in_use && seen.is_fresh(self.options.fresh);
            let known = seen.channels.get(&channel).filter(|_| fresh);
            let known = known.map(|it| (it.view.clone(), it.told));
            if let (None, Some(reason)) = (&known, seen.just_failed(READ_ERROR_KEPT)) {
                return Err(ChainFailure::Unreachable { reason });
            }
            known
        };
        if let Some((view, told)) = known {
            if !told {
                self.append_channels(&[channel]).await?;
            }
            return Ok(view);
        }
        let mut views = self.advance(&[channel]).await?;
        let view = views.remove(&channel);
        view.ok_or_else(|| ChainFailure::unreachable("it says nothing of the channel"))
    }

    /// Whether an account's contract accepts a signature. Fails with `Rejected` if it does not.
    pub(super) async fn asked_contract(
        &self,
        account: Address,
        digest: Word,
        signature: &[u8],
    ) -> Result<(), ChainFailure> {
        let key = signature_key(account, digest, signature);
        // One question at a time per contract, so that a slow one takes one place only.
        let turn = Word(keccak256([b"signatures of", &account.0[..]].concat()).0);
        let question = async {
            let _turn = self.turn(turn).await;
            self.asked_signature(account, digest, signature).await
        };
        self.questions
            .ask(QuestionKind::Signature, key, question)
            .await
    }

    async fn asked_signature(
        &self,
        account: Address,
        digest: Word,
        signature: &[u8],
    ) -> Result<(), ChainFailure> {
        const NAME: &str = "isValidSignature of the payer";
        let rejected = |reason: &str| ChainFailure::Rejected {
            deed: NAME,
            reason: reason.to_owned(),
        };
        let has_code = self.has_code(account).await;
        if !has_code.map_err(ChainFailure::unreachable)? {
            return Err(rejected("the account has no code"));
        }
        let call = SigningContract::isValidSignatureCall {
            hash: digest.0.into(),
            signature: Bytes::copy_from_slice(signature),
        };
        let (from, data) = (self.account(), Bytes::from(call.abi_encode()));
        let asked = self
            .chain
            .simulate_within(from, account, &data, NAME, SIGNATURE_GAS);
        let answer = asked.await;
        let answer = answer.map_err(|error| ChainFailure::of_read(NAME, &error))?;
        // Any other answer is a rejection.
        match answer.get(..32) == Some(VALID.as_slice()) {
            true => Ok(()),
            false => Err(rejected("the contract answers something else")),
        }
    }
}

/// The value by which ERC-1271 accepts a signature.
const VALID: B256 = b256!("0x1626ba7e00000000000000000000000000000000000000000000000000000000");

/// Locks by name. A lock is removed when no task holds it.
#[derive(Default)]
struct NamedLocks(Mutex<HashMap<Word, Arc<tokio::sync::Mutex<()>>>>);

impl NamedLocks {
    async fn take(&self, of: Word) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
            Arc::clone(turns.entry(of).or_default())
        };
        turn.lock_owned().await
    }
}
