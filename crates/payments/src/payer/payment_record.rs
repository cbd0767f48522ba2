//! Records of signed payments and their outcomes. A signature counts against its day's budget up to
//! its limit. It counts from before it leaves the process until the server or the chain shows its
//! outcome.
//!
//! On each day, a channel counts with its deposits or with the cost of its calls, whichever is
//! larger. Neither the money that leaves the account nor the calls exceed the budget.

use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    PayerError,
    attempt::{self, PaymentAttempt},
    budget::{BudgetDay, DAY_MS, DailyBudget, check_caller, spent, spent_by, within_budget},
    channel::{PayerChannel, put},
    deposit::{self, DepositRecord},
    store::{PayerStore, PaymentNumber, StoreFault, now_ms, records_of},
};
use openlora_core::{Address, Amount, Word};
use openlora_ledger::{CallCharge, PaymentScheme};

/// Prefix of the ids of refund fees.
pub(super) const FEE: &str = "refund-fee-";

/// The known outcome of a signed payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum PaymentStatus {
    /// No answer yet: it may cost up to its quote.
    Open,
    Charged {
        amount: Amount,
    },
    /// It cost nothing and never will.
    Void,
}

/// One signature that pays for one call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentRecord {
    /// The id under which the server keeps its receipt.
    pub request_id: String,
    /// Unix milliseconds.
    pub time_ms: u64,
    pub server: String,
    pub adapter: String,
    pub scheme: PaymentScheme,
    pub chain_id: u64,
    pub token: Address,
    pub receiver: Address,
    pub payer: Address,
    /// The channel, or the nonce of an `exact` authorization.
    pub word: Word,
    /// The amount charged to the channel before; zero for `exact`.
    pub before: Amount,
    /// The most that the call may cost.
    pub quote: Amount,
    /// The deposit that comes with it, until the chain shows that deposit.
    pub deposit: Amount,
    /// The signature of the voucher over `before + quote`, or of the authorization; 0x and hex
    /// digits.
    pub signature: String,
    /// When an `exact` authorization expires, Unix seconds; zero for vouchers, which do not expire.
    pub valid_before: u64,
    #[serde(rename = "fate")]
    pub status: PaymentStatus,
    /// The charge follows from the channel's total, since no answer states it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub inferred: bool,
    /// The server's own receipt.
    pub receipt: Option<Value>,
    /// A charge that the server stated and our signatures do not allow for.
    #[serde(default)]
    pub disputed: Option<DisputedCharge>,
    /// Who asked for the call, where this payer pays for several callers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
}

/// A charge as a server stated it, and the channel's total by our own records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct DisputedCharge {
    /// The stated charge of the call.
    pub charged: Option<Amount>,
    /// The stated total of the channel.
    pub total: Option<Amount>,
    /// The channel's total before the call plus the stated charge, at most the signed maximum.
    pub expected_total: Amount,
}

/// A payment and everything that is recorded with it.
#[derive(Clone, Copy, Debug)]
pub struct PaymentEntry<'a> {
    pub payment: &'a PaymentRecord,
    pub channel: Option<&'a PayerChannel>,
    /// One that was signed for this payment.
    pub deposit: Option<&'a DepositRecord>,
    pub attempt: &'a PaymentAttempt,
}

impl PaymentRecord {
    /// A payment from a channel's total as it is now, without a signature or an answer.
    pub(super) fn from_channel(channel: &PayerChannel, request_id: String, quote: Amount) -> Self {
        Self {
            request_id,
            time_ms: now_ms(),
            server: channel.seller.server.clone(),
            adapter: channel.seller.adapter.clone(),
            scheme: PaymentScheme::BatchSettlement,
            chain_id: channel.chain_id,
            token: channel.config.token,
            receiver: channel.config.receiver,
            payer: channel.config.payer,
            word: channel.id,
            before: channel.charged,
            quote,
            deposit: Amount::ZERO,
            signature: String::new(),
            valid_before: 0,
            status: PaymentStatus::Open,
            inferred: false,
            receipt: None,
            disputed: None,
            caller: None,
        }
    }

    fn counted(&self) -> Amount {
        match self.status {
            PaymentStatus::Open => self.quote,
            PaymentStatus::Charged { amount } => amount,
            PaymentStatus::Void => Amount::ZERO,
        }
    }

    fn budget_day(&self) -> BudgetDay {
        BudgetDay {
            chain_id: self.chain_id,
            token: self.token,
            day: self.time_ms / DAY_MS,
        }
    }

    pub fn charged(&self) -> Option<Amount> {
        match self.status {
            PaymentStatus::Charged { amount } => Some(amount),
            PaymentStatus::Open | PaymentStatus::Void => None,
        }
    }

    /// The charge, once it is known.
    pub fn charge(&self) -> Option<CallCharge> {
        let amount = self.charged()?;
        Some(CallCharge {
            scheme: self.scheme,
            chain_id: self.chain_id,
            token: self.token,
            receiver: self.receiver,
            payer: self.payer,
            id: self.word,
            amount,
            cumulative: self.before.saturating_add(amount),
        })
    }
}

impl PayerStore {
    /// Records a payment with everything that belongs to it, before it is sent.
    pub fn record(
        &self,
        record: &PaymentEntry<'_>,
        budget: DailyBudget<'_>,
    ) -> Result<PaymentNumber, PayerError> {
        self.write(|transaction| {
            let spending = record.payment;
            within_budget(transaction, spending.budget_day(), budget, |transaction| {
                if let Some(channel) = record.channel {
                    put(transaction, channel)?;
                }
                if let Some(deposit) = record.deposit {
                    deposit::insert(transaction, deposit)?;
                }
                let number = insert(transaction, spending)?;
                attempt::store_attempt(transaction, number, record.attempt)?;
                if let Some(allowance) = &record.attempt.order.caller {
                    let (day, price) = (spending.budget_day(), spending.counted());
                    check_caller(transaction, day, allowance, price, budget.token)?;
                }
                Ok(number)
            })
        })
    }

    /// Records the maximum cost of a refund, with its channel, before the refund is requested.
    pub(super) fn record_fee(
        &self,
        fee: &PaymentRecord,
        channel: &PayerChannel,
        budget: DailyBudget<'_>,
    ) -> Result<(), PayerError> {
        self.write(|transaction| {
            within_budget(transaction, fee.budget_day(), budget, |transaction| {
                put(transaction, channel)?;
                insert(transaction, fee).map(drop)
            })
        })
    }

    /// `exact` authorizations without an answer that expired before `time`, Unix seconds.
    pub fn expired(
        &self,
        chain_id: u64,
        time: u64,
    ) -> Result<Vec<(PaymentNumber, PaymentRecord)>, PayerError> {
        let open = self.read(|connection| {
            rows(
                connection,
                "WHERE open = 1 AND chain_id = ?1",
                params![chain_id.cast_signed()],
            )
        })?;
        let ended =
            |it: &PaymentRecord| it.scheme == PaymentScheme::Exact && it.valid_before < time;
        Ok(open.into_iter().filter(|(_, it)| ended(it)).collect())
    }

    /// The costs that count against the budget of the day of `time_ms`.
    pub fn spent(&self, chain_id: u64, token: Address, time_ms: u64) -> Result<Amount, PayerError> {
        self.read(|connection| {
            spent(
                connection,
                BudgetDay {
                    chain_id,
                    token,
                    day: time_ms / DAY_MS,
                },
            )
        })
    }

    /// What the calls of one caller have cost on the day of `time_ms`; calls without an answer count
    /// with their quote.
    pub fn spent_by(
        &self,
        chain_id: u64,
        token: Address,
        time_ms: u64,
        caller: &str,
    ) -> Result<Amount, PayerError> {
        let day = BudgetDay {
            chain_id,
            token,
            day: time_ms / DAY_MS,
        };
        self.read(|connection| spent_by(connection, day, caller))
    }

    /// The last signed payment for a request.
    pub fn payment_record(&self, request_id: &str) -> Result<Option<PaymentRecord>, PayerError> {
        let found =
            self.read(|connection| rows(connection, "WHERE request_id = ?1", params![request_id]))?;
        Ok(found.into_iter().next_back().map(|(_, record)| record))
    }

    /// Every signed payment, oldest first.
    pub fn payment_records(&self) -> Result<Vec<PaymentRecord>, PayerError> {
        let found = self.read(|connection| rows(connection, "", params![]))?;
        Ok(found.into_iter().map(|(_, record)| record).collect())
    }

    /// Every payment signed for a channel, oldest first.
    pub fn payment_records_of(
        &self,
        channel: &PayerChannel,
    ) -> Result<Vec<PaymentRecord>, PayerError> {
        let key = params![channel.chain_id.cast_signed(), channel.id.to_string()];
        let which = "WHERE chain_id = ?1 AND word = ?2";
        let found = self.read(|connection| rows(connection, which, key))?;
        Ok(found.into_iter().map(|(_, record)| record).collect())
    }

    /// A signed payment by its row number.
    pub fn numbered(&self, number: PaymentNumber) -> Result<PaymentRecord, PayerError> {
        self.read(|connection| numbered(connection, number))
    }

    /// Stores the server's receipt with its payment, under the server's id unless another call has
    /// that id. Returns the id under which it is kept.
    pub fn keep_receipt(
        &self,
        number: PaymentNumber,
        id: &str,
        receipt: Option<Value>,
    ) -> Result<String, PayerError> {
        self.write(|transaction| {
            // Another process may have settled the payment meanwhile.
            let mut record = numbered(transaction, number)?;
            record.receipt = receipt;
            let others = rows(transaction, "WHERE request_id = ?1", params![id])?;
            if others.iter().all(|(other, _)| *other == number) {
                record.request_id = id.to_owned();
            }
            update(transaction, number, &record)?;
            Ok(record.request_id)
        })
    }
}

/// The id under which the fee of a channel's refund is kept.
pub(super) fn fee_id(channel: &PayerChannel, refund_nonce: u64) -> String {
    format!("{FEE}{}-{refund_nonce}", channel.id)
}

/// A channel's payments, those without an answer or the others, oldest first.
pub(super) fn of_channel(
    connection: &Connection,
    channel: &PayerChannel,
    is_open: bool,
) -> Result<Vec<(PaymentNumber, PaymentRecord)>, StoreFault> {
    let key = params![
        is_open,
        channel.chain_id.cast_signed(),
        channel.id.to_string()
    ];
    rows(
        connection,
        "WHERE open = ?1 AND chain_id = ?2 AND word = ?3",
        key,
    )
}

pub(super) fn numbered(
    connection: &Connection,
    number: PaymentNumber,
) -> Result<PaymentRecord, StoreFault> {
    let found = rows(connection, "WHERE number = ?1", params![number.0])?;
    let record = found.into_iter().next().map(|(_, record)| record);
    record.ok_or(StoreFault::Sql(rusqlite::Error::QueryReturnedNoRows))
}

fn rows(
    connection: &Connection,
    which: &str,
    key: impl rusqlite::Params,
) -> Result<Vec<(PaymentNumber, PaymentRecord)>, StoreFault> {
    records_of(connection, "spendings", which, key)
}

pub(super) fn insert(
    connection: &Connection,
    record: &PaymentRecord,
) -> Result<PaymentNumber, StoreFault> {
    let insert = "INSERT INTO spendings \
                  (request_id, chain_id, token, word, day, open, counted, body, caller) \
                  VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    connection.execute(
        insert,
        params![
            record.request_id,
            record.chain_id.cast_signed(),
            record.token.to_string(),
            record.word.to_string(),
            record.budget_day().day.cast_signed(),
            record.status == PaymentStatus::Open,
            record.counted().to_string(),
            serde_json::to_string(record)?,
            record.caller
        ],
    )?;
    Ok(PaymentNumber(connection.last_insert_rowid()))
}

/// Payments signed for a replaced chain cost nothing more and count on no day.
pub(super) fn end(connection: &Connection, chain_id: u64) -> Result<(), StoreFault> {
    let key = params![chain_id.cast_signed()];
    for (number, mut record) in rows(connection, "WHERE open = 1 AND chain_id = ?1", key)? {
        record.status = PaymentStatus::Void;
        update(connection, number, &record)?;
    }
    let uncounted = "UPDATE spendings SET counted = '0' WHERE chain_id = ?1";
    connection.execute(uncounted, params![chain_id.cast_signed()])?;
    Ok(())
}

pub(super) fn update(
    connection: &Connection,
    number: PaymentNumber,
    record: &PaymentRecord,
) -> Result<(), StoreFault> {
    let update = "UPDATE spendings SET request_id = ?2, open = ?3, counted = ?4, body = ?5 \
                  WHERE number = ?1";
    connection.execute(
        update,
        params![
            number.0,
            record.request_id,
            record.status == PaymentStatus::Open,
            record.counted().to_string(),
            serde_json::to_string(record)?
        ],
    )?;
    Ok(())
}
