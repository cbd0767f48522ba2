//! The desk of one chain: what it is made of, and the questions that it answers without sending
//! anything.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use alloy::{
    primitives::{B256, Bytes, U256, b256},
    rpc::types::TransactionReceipt,
    sol_types::SolCall,
};
use tokio::sync::{Notify, OwnedMutexGuard};

use super::{
    Deposit, Done, FRESH, Foreign, Refund, SettleError, Settlement, Transfer, Trouble,
    books::{Books, History, Mark, ask},
    facts,
    memory::Memory,
    queue::{Queue, Teller},
    watch::RETRY,
};
use crate::{
    runtime::{
        ledger::{Address, Amount, ChannelKey, ChannelView, Word},
        ports::FactLog,
    },
    wallet::{
        WalletError,
        keystore::Account,
        network::Network,
        provider::Chain,
        registry::SigningContract,
        transaction::{FactReader, Limits, Mined, Submission, TransactionError},
    },
};

/// How a desk behaves.
#[derive(Clone)]
pub struct Options {
    pub limits: Limits,
    /// Blocks on top of a deposit or a payment before it counts; 0 on local chains.
    pub confirmations: u64,
    /// Time between two looks.
    pub poll: Duration,
    /// How long a look is good for.
    pub fresh: Duration,
    /// How long a newest block below the last one may be an RPC's that lags, and no reorganisation.
    pub lag: Duration,
    /// Told what a person may want to know while waiting.
    pub tell: Teller,
    /// Reads what this account's transactions do beyond settling, such as anchoring; without it
    /// those facts are lost.
    pub reader: Option<FactReader>,
}

impl Options {
    /// What suits a network.
    pub fn of(network: &Network, limits: Limits) -> Self {
        let (poll, lag) = match network.is_local() {
            true => (Duration::from_millis(250), Duration::from_secs(1)),
            false => (Duration::from_secs(2), Duration::from_secs(30)),
        };
        Self {
            limits,
            confirmations: network.confirmations,
            poll,
            fresh: FRESH,
            lag,
            tell: Arc::new(|_| {}),
            reader: None,
        }
    }
}

/// Where a desk writes, and what it reads of what is written.
pub struct Records {
    pub facts: Arc<dyn FactLog>,
    /// Sees at once what `facts` has kept.
    pub books: Arc<dyn Books>,
    /// Of the journal so far.
    pub history: History,
}

/// One chain, through the account that claims and refunds there.
pub struct Desk {
    pub(super) chain: Chain,
    pub(super) queue: Arc<Queue>,
    pub(super) books: Arc<dyn Books>,
    pub(super) options: Options,
    pub(super) memory: Arc<Memory>,
    /// Held by whoever looks.
    pub(super) eye: tokio::sync::Mutex<()>,
    /// A payer started to withdraw.
    pub(super) alarm: Notify,
    turns: Turns,
}

impl Desk {
    pub fn new(chain: Chain, account: Account, records: Records, options: Options) -> Self {
        let Records {
            facts,
            books,
            history,
        } = records;
        let chain_id = chain.network.chain_id;
        let memory = Arc::new(Memory::default());
        for mark in history.marks(chain_id) {
            memory.lock().watch(mark.clone());
        }
        let (seen, read) = (Arc::clone(&memory), Arc::clone(&books));
        let beyond = options.reader.clone();
        let reader = move |receipt: &TransactionReceipt| {
            seen.lock().watch(Mark {
                chain_id,
                tx: receipt.transaction_hash.to_string(),
                block: receipt.block_number.unwrap_or_default(),
                hash: Word(receipt.block_hash.unwrap_or_default().0),
            });
            let mut told = ask(&*read, |book| facts::told_by(receipt, chain_id, book));
            if let Some(beyond) = &beyond {
                told.extend(beyond(receipt));
            }
            told
        };
        let queue = Queue::new(
            (chain.clone(), account),
            (facts, history),
            (options.limits, Arc::clone(&options.tell)),
            Arc::new(reader),
        );
        Self {
            chain,
            queue: Arc::new(queue),
            books,
            options,
            memory,
            eye: tokio::sync::Mutex::new(()),
            alarm: Notify::new(),
            turns: Turns::default(),
        }
    }

    /// The account that claims and refunds.
    pub fn account(&self) -> Address {
        self.queue.account.address()
    }

    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// Finds out what became of the transactions that an earlier process left open.
    pub async fn recover(&self) -> Result<(), TransactionError> {
        self.check_chain().await?;
        self.queue.settle_lost().await
    }

    /// Returns once a payer has started to withdraw since the last time.
    pub async fn withdrawal_started(&self) {
        self.alarm.notified().await;
    }

    /// One at a time per authorization or channel.
    pub(super) async fn turn(&self, of: Word) -> OwnedMutexGuard<()> {
        self.turns.take(of).await
    }

    /// What became of an earlier attempt at a deed whose transaction had been lost from sight.
    pub(super) async fn earlier(&self, deed: &str) -> Result<Option<Mined>, Trouble> {
        self.queue.until_idle(deed).await;
        if self.queue.has_lost() {
            self.check_chain().await.map_err(Trouble::unreachable)?;
        }
        match self.queue.settle_lost().await {
            Ok(()) => Ok(self.queue.resolved(deed)),
            Err(error) => Err(match self.queue.open(deed) {
                Some(tx) => Trouble::Unknown { tx },
                None => Trouble::unreachable(error),
            }),
        }
    }

    /// A call with the gas that it takes now; one that would fail says why.
    pub(super) async fn prepared(
        &self,
        to: Address,
        data: Bytes,
        deed: String,
    ) -> Result<Submission, WalletError> {
        self.check_chain().await?;
        let from = self.account();
        let gas = self.chain.estimate(from, to, &data, &deed).await?;
        Ok(Submission {
            to,
            data,
            value: U256::ZERO,
            deed,
            // The chain may be in another state by then; what is not used is not paid.
            gas: gas + gas / 5,
        })
    }

    /// Prepares a call, sends it and waits until it is mined; the facts of its receipt are kept.
    pub async fn carry_out(
        &self,
        to: Address,
        data: Bytes,
        deed: String,
    ) -> Result<Mined, SettleError> {
        let call = self.prepared(to, data, deed).await?;
        Ok(self.queue.send(call).await?)
    }

    /// Sends a call and waits until it is mined and deep enough.
    pub(super) async fn done(
        &self,
        name: &'static str,
        call: Submission,
    ) -> Result<Mined, Trouble> {
        let sent = self.queue.send(call).await;
        let mined = sent.map_err(|error| Trouble::of(name, error))?;
        self.counted(&mined).await?;
        Ok(mined)
    }

    /// Waits until a mined transaction is deep enough; it is unknown again when its block goes.
    pub(super) async fn counted(&self, mined: &Mined) -> Result<(), Trouble> {
        if self.options.confirmations == 0 {
            return Ok(());
        }
        let (number, hash) = (mined.receipt.block_number, mined.receipt.block_hash);
        let deep = self.deep(number.unwrap_or_default(), hash.unwrap_or_default());
        match deep.await {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(Trouble::Unknown {
                tx: mined.tx.to_string(),
            }),
        }
    }

    /// A channel after a transaction: mined, so whatever fails now is no failure of it.
    pub(super) async fn after(&self, tx: String, channel: Word) -> Result<Done, Trouble> {
        match self.advance(&[channel]).await {
            Ok(views) => Ok(Done {
                tx,
                view: views.get(&channel).cloned(),
            }),
            Err(_) => Err(Trouble::Unknown { tx }),
        }
    }

    /// Looks again where the last look is too old to take money on.
    pub(super) async fn in_sight(&self) -> Result<(), Trouble> {
        match self.is_fresh() {
            true => Ok(()),
            false => self.refresh().await,
        }
    }

    async fn viewed(&self, channel: Word) -> Result<ChannelView, Trouble> {
        let key = ChannelKey {
            chain_id: self.chain.network.chain_id,
            channel,
        };
        // Nobody begins to be served on what was so a moment ago.
        let in_use = ask(&*self.books, |book| book.channels.contains_key(&key));
        let known = {
            let seen = self.memory.lock();
            let fresh = in_use && seen.is_fresh(self.options.fresh);
            let known = seen.channels.get(&channel).filter(|_| fresh);
            let known = known.map(|it| (it.view.clone(), it.told));
            if let (None, Some(reason)) = (&known, seen.just_failed(RETRY)) {
                return Err(Trouble::Unreachable { reason });
            }
            known
        };
        if let Some((view, told)) = known {
            if !told {
                self.tell(&[channel]).await?;
            }
            return Ok(view);
        }
        let mut views = self.advance(&[channel]).await?;
        let view = views.remove(&channel);
        view.ok_or_else(|| Trouble::unreachable("it says nothing of the channel"))
    }

    async fn asked_contract(
        &self,
        account: Address,
        digest: Word,
        signature: &[u8],
    ) -> Result<bool, WalletError> {
        if !self.has_code(account).await? {
            return Ok(false);
        }
        let call = SigningContract::isValidSignatureCall {
            hash: digest.0.into(),
            signature: Bytes::copy_from_slice(signature),
        };
        let (from, data) = (self.account(), Bytes::from(call.abi_encode()));
        let what = "isValidSignature of the payer";
        match self.chain.simulate(from, account, &data, what).await {
            // Whatever else it says is no yes.
            Ok(answer) => Ok(answer.get(..32) == Some(VALID.as_slice())),
            Err(WalletError::Reverted { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// ERC-1271's yes.
const VALID: B256 = b256!("0x1626ba7e00000000000000000000000000000000000000000000000000000000");

#[async_trait::async_trait]
impl Settlement for Desk {
    fn network(&self) -> &Network {
        &self.chain.network
    }

    fn is_fresh(&self) -> bool {
        self.memory.lock().is_fresh(self.options.fresh)
    }

    async fn channel(&self, channel: Word) -> Result<ChannelView, Trouble> {
        self.viewed(channel).await
    }

    async fn check_deposit(&self, deposit: &Deposit) -> Result<(), Trouble> {
        self.would_deposit(deposit).await
    }

    async fn deposit(&self, deposit: &Deposit) -> Result<Done, Trouble> {
        self.put_in(deposit).await
    }

    fn has_begun(&self, transfer: &Transfer) -> bool {
        self.begun(transfer)
    }

    async fn check_transfer(&self, transfer: &Transfer) -> Result<bool, Trouble> {
        self.would_transfer(transfer).await
    }

    async fn transfer(&self, transfer: &Transfer) -> Result<Done, Trouble> {
        self.take_payment(transfer).await
    }

    async fn refund(&self, refund: &Refund) -> Result<Done, Trouble> {
        self.give_back(refund).await
    }

    async fn accepts(
        &self,
        account: Address,
        digest: Word,
        signature: &[u8],
    ) -> Result<bool, Trouble> {
        let asked = self.asked_contract(account, digest, signature).await;
        asked.map_err(Trouble::unreachable)
    }

    async fn clearable(&self, payment: Foreign<'_>, request: Word) -> Result<bool, Trouble> {
        self.could_clear(payment, request).await
    }

    async fn clear(&self, payment: Foreign<'_>, request: Word) -> Result<Done, Trouble> {
        self.clear_payment(payment, request).await
    }

    async fn relay(&self, name: &'static str, calls: Vec<Bytes>) -> Result<Done, Trouble> {
        self.pass_on(name, calls).await
    }

    async fn gas(&self) -> Result<Amount, Trouble> {
        let left = self.chain.balance(self.account()).await;
        let left = left.map_err(Trouble::unreachable)?;
        Ok(Amount(u128::try_from(left).unwrap_or(u128::MAX)))
    }

    async fn unsettled(&self, receiver: Address, token: Address) -> Result<Amount, Trouble> {
        self.unsettled_of(receiver, token).await
    }
}

/// Locks by name, gone when nobody holds them.
#[derive(Default)]
struct Turns(Mutex<HashMap<Word, Arc<tokio::sync::Mutex<()>>>>);

impl Turns {
    async fn take(&self, of: Word) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
            Arc::clone(turns.entry(of).or_default())
        };
        turn.lock_owned().await
    }
}
