//! Signing, submitting and awaiting transactions, and raising the fees of pending ones.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use alloy::{
    consensus::{SignableTransaction, TxEip1559, TxEnvelope},
    eips::eip2718::Encodable2718,
    primitives::{B256, Bytes, TxKind, U256},
    rpc::types::TransactionReceipt,
};

use super::error::TransactionError;
use crate::{
    WalletError,
    provider::{Chain, GasFees},
};
use openlora_core::{Address, Amount};
use openlora_ledger::{
    Sponsored, TxKey,
    event::{Event, TxIntent, TxOutcome},
};
use openlora_ports::FactLog;
use openlora_wallet::WalletAccount;

/// The fee limit, and how long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TxLimits {
    /// Most wei per gas; if `None`, twice the current fee.
    pub max_fee: Option<u128>,
    /// A transaction that is pending for this long offers higher fees.
    pub patience: Duration,
}

impl TxLimits {
    /// How many patience periods a transaction is awaited.
    const ROUNDS: u32 = 10;

    /// The first fee offer, and the maximum.
    ///
    /// # Errors
    ///
    /// The chain's current fee exceeds the maximum.
    pub async fn offer(&self, chain: &Chain) -> Result<(GasFees, u128), TransactionError> {
        let asked = chain.fees().await?;
        let cap = self
            .max_fee
            .unwrap_or_else(|| asked.max_fee.saturating_mul(2));
        if asked.max_fee > cap {
            return Err(TransactionError::FeeAboveCap {
                network: chain.network.name.clone(),
                found: asked.max_fee,
                cap,
            });
        }
        Ok((asked, cap))
    }
}

/// A call that changes the state of the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxSubmission {
    pub to: Address,
    pub data: Bytes,
    pub value: U256,
    /// What identifies it in the journal.
    pub key: TxKey,
    /// Its purpose in words: "registering tone 1.0.0".
    pub label: String,
    pub gas: u64,
    /// The party that requested it, if the account sponsors its gas.
    pub sponsored: Option<Sponsored>,
}

/// A transaction that was mined successfully.
#[derive(Clone, Debug)]
pub struct MinedTx {
    pub tx: B256,
    pub receipt: TransactionReceipt,
}

/// Progress that a user may want to see while waiting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TxEvent {
    Sent {
        tx: B256,
        deed: String,
    },
    /// Submitted again with the same nonce and higher fees.
    Replaced {
        tx: B256,
        deed: String,
        max_fee: u128,
    },
    AtCap {
        tx: B256,
        deed: String,
    },
    /// Left open by an earlier process.
    Resumed {
        tx: B256,
        deed: String,
    },
}

/// A submitted transaction.
#[derive(Debug)]
#[must_use = "nobody waits for it yet"]
pub struct SentTx {
    attempt: TxAttempt,
    cap: u128,
}

impl SentTx {
    pub fn tx(&self) -> B256 {
        self.attempt.hash
    }

    pub fn nonce(&self) -> u64 {
        self.attempt.transaction.nonce
    }
}

/// Extracts the facts of a receipt; in an `Arc`, so that it can be stored.
pub type FactReader = Arc<dyn Fn(&TransactionReceipt) -> Vec<Event> + Send + Sync>;

/// The facts in a mined transaction's logs, to be recorded before its end is.
pub type LogFacts<'a> = &'a (dyn Fn(&TransactionReceipt) -> Vec<Event> + Sync);

/// For transactions of which only the end is recorded.
pub fn no_facts(_: &TransactionReceipt) -> Vec<Event> {
    Vec::new()
}

/// One of the transactions that share a nonce.
#[derive(Clone, Debug)]
pub(super) struct TxAttempt {
    pub hash: B256,
    pub transaction: TxEip1559,
    pub record: TxRecord,
}

/// What the journal has of a transaction besides its bytes.
#[derive(Clone, Debug)]
pub(super) struct TxRecord {
    pub label: String,
    /// Absent if an earlier version recorded it.
    pub key: Option<TxKey>,
    pub sponsored: Option<Sponsored>,
}

/// Sends an account's transactions one after the other.
pub struct TxSender<'a> {
    pub chain: &'a Chain,
    pub account: &'a WalletAccount,
    pub facts: &'a dyn FactLog,
    pub limits: TxLimits,
    pub progress: &'a (dyn Fn(TxEvent) + Sync),
    pub harvest: LogFacts<'a>,
}

impl TxSender<'_> {
    /// Sends a transaction and waits until it is mined.
    pub async fn send(&self, call: &TxSubmission) -> Result<MinedTx, TransactionError> {
        let sent = self.dispatch(call, 0).await?;
        self.finish(sent).await
    }

    /// Sends a transaction with the account's next nonce, but at least `least`, because the chain
    /// may not know all pending transactions yet. Another process may send from the same account,
    /// such as a deployment beside a server: a transaction whose nonce that process has used is
    /// refused by the chain, and is signed anew.
    pub async fn dispatch(
        &self,
        call: &TxSubmission,
        least: u64,
    ) -> Result<SentTx, TransactionError> {
        /// How often another nonce is tried.
        const ATTEMPTS: u32 = 5;
        for _ in 1..ATTEMPTS {
            match self.dispatch_once(call, least).await {
                Err(TransactionError::Refused { reason, .. }) if is_used_nonce(&reason) => {}
                sent => return sent,
            }
        }
        self.dispatch_once(call, least).await
    }

    async fn dispatch_once(
        &self,
        call: &TxSubmission,
        least: u64,
    ) -> Result<SentTx, TransactionError> {
        let from = self.account.address();
        let (fees, cap) = self.limits.offer(self.chain).await?;
        let needed = U256::from(call.gas) * U256::from(fees.max_fee) + call.value;
        let held = self.chain.balance(from).await?;
        if held < needed {
            return Err(TransactionError::Funds {
                account: from,
                network: self.chain.network.name.clone(),
                deed: call.label.clone(),
                held,
                needed,
            });
        }
        let transaction = TxEip1559 {
            chain_id: self.chain.network.chain_id,
            nonce: self.chain.nonce(from, true).await?.max(least),
            gas_limit: call.gas,
            max_fee_per_gas: fees.max_fee,
            max_priority_fee_per_gas: fees.priority,
            to: TxKind::Call(call.to.into()),
            value: call.value,
            access_list: Default::default(),
            input: call.data.clone(),
        };
        let record = TxRecord {
            label: call.label.clone(),
            key: Some(call.key.clone()),
            sponsored: call.sponsored.clone(),
        };
        let (attempt, taken) = self.sign_and_submit(transaction, record, None).await?;
        if let Err(reason) = taken {
            return self.refuse(&attempt, &call.label, reason).await;
        }
        let tx = attempt.hash;
        (self.progress)(TxEvent::Sent {
            tx,
            deed: call.label.clone(),
        });
        Ok(SentTx { attempt, cap })
    }

    /// Waits until a transaction is mined.
    pub async fn finish(&self, sent: SentTx) -> Result<MinedTx, TransactionError> {
        let label = sent.attempt.record.label.clone();
        self.wait(vec![sent.attempt], &label, sent.cap).await
    }

    /// Records, signs and submits; the inner result is the node's response.
    async fn sign_and_submit(
        &self,
        mut transaction: TxEip1559,
        mut record: TxRecord,
        replaces: Option<B256>,
    ) -> Result<(TxAttempt, Result<(), String>), TransactionError> {
        let account = self.account.address();
        let genesis = Some(self.chain.genesis().await?);
        let signature = self.account.sign_transaction(&mut transaction).await;
        let signature = signature.map_err(|error| TransactionError::CannotSign {
            account,
            reason: error.to_string(),
        })?;
        let signed = transaction.clone().into_signed(signature);
        let hash = *signed.hash();
        let raw = TxEnvelope::from(signed).encoded_2718();
        let to = transaction.to.to().map(|to| Address::from(*to));
        let most = u128::from(transaction.gas_limit).saturating_mul(transaction.max_fee_per_gas);
        if let Some(sponsored) = &mut record.sponsored {
            sponsored.reserve = Amount(most);
        }
        self.keep(Event::TransactionIntended(Box::new(TxIntent {
            tx: hash.to_string(),
            chain_id: transaction.chain_id,
            genesis,
            from: account.to_string(),
            to: to.unwrap_or_default().to_string(),
            nonce: transaction.nonce,
            purpose: record.label.clone(),
            key: record.key.clone(),
            raw: alloy::hex::encode_prefixed(&raw),
            replaces: replaces.map(|hash| hash.to_string()),
            sponsored: record.sponsored.clone(),
        })))
        .await?;
        let taken = match self.chain.submit(&raw).await {
            Ok(Err(reason)) if is_known(&reason) => Ok(()),
            Ok(taken) => taken,
            Err(WalletError::Rpc { reason, .. }) => {
                return Err(self.unknown(hash, &record.label, reason));
            }
            Err(error) => return Err(error.into()),
        };
        let attempt = TxAttempt {
            hash,
            transaction,
            record,
        };
        Ok((attempt, taken))
    }

    fn unknown(&self, tx: B256, label: &str, reason: String) -> TransactionError {
        TransactionError::Unknown {
            network: self.chain.network.name.clone(),
            tx: tx.to_string(),
            deed: label.to_owned(),
            reason,
        }
    }

    /// A definite rejection by a node means that the transaction is not pending anywhere.
    async fn refuse(
        &self,
        attempt: &TxAttempt,
        label: &str,
        reason: String,
    ) -> Result<SentTx, TransactionError> {
        if !is_final(&reason) {
            return Err(self.unknown(attempt.hash, label, reason));
        }
        self.record_outcome(attempt.hash, TxOutcome::Refused, None)
            .await?;
        Err(TransactionError::Refused {
            network: self.chain.network.name.clone(),
            deed: label.to_owned(),
            reason,
        })
    }

    /// Waits until one of the attempts is mined; raises the fees whenever patience runs out.
    pub(super) async fn wait(
        &self,
        mut attempts: Vec<TxAttempt>,
        label: &str,
        cap: u128,
    ) -> Result<MinedTx, TransactionError> {
        let started = Instant::now();
        let mut bump_at = started + self.limits.patience;
        let mut pause = Duration::from_millis(10);
        loop {
            for attempt in &attempts {
                if let Some(receipt) = self.chain.receipt(attempt.hash).await? {
                    return self.mined(attempt, &attempts, receipt, label).await;
                }
            }
            if Instant::now() >= bump_at {
                self.check_nonce(&attempts).await?;
                if started.elapsed() >= self.limits.patience * TxLimits::ROUNDS {
                    return Err(self.still_waiting(&attempts, label, started));
                }
                self.offer_more(&mut attempts, label, cap).await?;
                bump_at += self.limits.patience;
            }
            // HTTP RPCs send no notifications: poll with growing intervals.
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(1));
        }
    }

    fn still_waiting(
        &self,
        attempts: &[TxAttempt],
        label: &str,
        since: Instant,
    ) -> TransactionError {
        let last = attempts.last();
        TransactionError::Waiting {
            tx: last.map_or_else(String::new, |last| last.hash.to_string()),
            deed: label.to_owned(),
            seconds: since.elapsed().as_secs(),
            offered: last.map_or(0, |last| last.transaction.max_fee_per_gas),
        }
    }

    /// Whether the account's nonce shows that another transaction is awaited or was mined.
    async fn check_nonce(&self, attempts: &[TxAttempt]) -> Result<(), TransactionError> {
        let Some(last) = attempts.last() else {
            return Ok(());
        };
        let (account, nonce) = (self.account.address(), last.transaction.nonce);
        let expected = self.chain.nonce(account, false).await?;
        if expected < nonce && self.chain.nonce(account, true).await? < nonce {
            return Err(TransactionError::NonceGap {
                tx: last.hash.to_string(),
                account,
                network: self.chain.network.name.clone(),
                nonce,
                expected,
            });
        }
        if expected <= nonce {
            return Ok(());
        }
        // It may have been mined meanwhile: the nonce was read after the receipts.
        for attempt in attempts {
            if self.chain.receipt(attempt.hash).await?.is_some() {
                return Ok(());
            }
        }
        for attempt in attempts {
            self.record_outcome(attempt.hash, TxOutcome::Replaced, None)
                .await?;
        }
        Err(TransactionError::NonceTaken { account, nonce })
    }

    async fn offer_more(
        &self,
        attempts: &mut Vec<TxAttempt>,
        label: &str,
        cap: u128,
    ) -> Result<(), TransactionError> {
        let Some(last) = attempts.last() else {
            return Ok(());
        };
        let asked = self.chain.fees().await?;
        let old = &last.transaction;
        let max_fee = raised(old.max_fee_per_gas).max(asked.max_fee);
        let priority = raised(old.max_priority_fee_per_gas).max(asked.priority);
        let label = label.to_owned();
        if max_fee > cap {
            (self.progress)(TxEvent::AtCap {
                tx: last.hash,
                deed: label,
            });
            return Ok(());
        }
        let next = TxEip1559 {
            max_fee_per_gas: max_fee,
            max_priority_fee_per_gas: priority.min(max_fee),
            ..old.clone()
        };
        let replaced = last.hash;
        let record = last.record.clone();
        let (attempt, taken) = self.sign_and_submit(next, record, Some(replaced)).await?;
        match taken {
            Ok(()) => {
                let tx = attempt.hash;
                (self.progress)(TxEvent::Replaced {
                    tx,
                    deed: label,
                    max_fee,
                });
                attempts.push(attempt);
            }
            // The earlier attempt was mined meanwhile, or the node requires a larger fee increase.
            Err(reason) if is_final(&reason) => {
                self.record_outcome(attempt.hash, TxOutcome::Refused, None)
                    .await?;
            }
            Err(_) => attempts.push(attempt),
        }
        Ok(())
    }

    pub(super) async fn mined(
        &self,
        attempt: &TxAttempt,
        attempts: &[TxAttempt],
        receipt: TransactionReceipt,
        label: &str,
    ) -> Result<MinedTx, TransactionError> {
        let tx = attempt.hash;
        let others = attempts.iter().filter(|other| other.hash != tx);
        for other in others {
            self.record_outcome(other.hash, TxOutcome::Replaced, None)
                .await?;
        }
        let block = receipt.block_number.unwrap_or_default();
        if receipt.status() {
            for fact in (self.harvest)(&receipt) {
                self.keep(fact).await?;
            }
            self.record_outcome(tx, TxOutcome::Succeeded, Some(&receipt))
                .await?;
            return Ok(MinedTx { tx, receipt });
        }
        self.record_outcome(tx, TxOutcome::Reverted, Some(&receipt))
            .await?;
        let to = attempt.transaction.to.to().map(|to| Address::from(*to));
        let (to, data) = (to.unwrap_or_default(), &attempt.transaction.input);
        let reason = self
            .chain
            .revert_reason(self.account.address(), to, data, block)
            .await;
        Err(TransactionError::Reverted {
            tx: tx.to_string(),
            deed: label.to_owned(),
            block,
            reason,
        })
    }

    pub(super) async fn record_outcome(
        &self,
        tx: B256,
        status: TxOutcome,
        receipt: Option<&TransactionReceipt>,
    ) -> Result<(), TransactionError> {
        self.keep(Event::TransactionConfirmed {
            tx: tx.to_string(),
            status,
            gas_used: receipt.map(|receipt| receipt.gas_used),
            block: receipt.and_then(|receipt| receipt.block_number),
            fee: receipt.map(fee),
        })
        .await
    }

    async fn keep(&self, event: Event) -> Result<(), TransactionError> {
        let kept = self.facts.keep(event).await;
        kept.map_err(TransactionError::Unrecorded)
    }
}

/// The fee of a mined transaction, in wei.
fn fee(receipt: &TransactionReceipt) -> Amount {
    Amount(u128::from(receipt.gas_used).saturating_mul(receipt.effective_gas_price))
}

/// Adds an eighth: the minimum increase that nodes require for a replacement, with a margin.
fn raised(fee: u128) -> u128 {
    fee.saturating_add(fee.div_ceil(8)).saturating_add(1)
}

/// Whether a node reports that it already has the transaction.
pub(super) fn is_known(reason: &str) -> bool {
    let reason = reason.to_lowercase();
    ["already known", "already imported", "known transaction"]
        .iter()
        .any(|word| reason.contains(word))
}

/// Whether a transaction was rejected because another one has its nonce.
fn is_used_nonce(reason: &str) -> bool {
    let reason = reason.to_lowercase();
    let words = ["nonce too low", "replacement transaction underpriced"];
    words.iter().any(|word| reason.contains(word))
}

/// Whether a rejection concerns the transaction itself, so that it can never be mined unchanged.
/// Any other error may come from a proxy that forwarded the transaction.
pub(super) fn is_final(reason: &str) -> bool {
    let reason = reason.to_lowercase();
    [
        "insufficient funds",
        "nonce too low",
        "underpriced",
        "intrinsic gas",
        "gas limit",
        "fee per gas less than block base fee",
        "max fee per gas",
        "chain id",
    ]
    .iter()
    .any(|word| reason.contains(word))
}
