//! What was signed away, and what became of it. A signature counts against its day's budget up to
//! its limit from before it leaves the process until the server or the chain says otherwise.
//!
//! A channel counts on a day with what was put into it or with what calls from it cost, whichever
//! is more: neither the money that leaves the account nor the calls exceed the budget.

use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    PurseError,
    attempt::{self, Attempt},
    budget::{Budget, DAY_MS, spent, within},
    channel::{Channel, Pending, put},
    deposit::{self, Deposit},
    store::{Fault, Number, Purse, now_ms},
};
use crate::runtime::ledger::{Address, Amount, Charge, Scheme, Word};

/// Begins ids of what refunds cost.
const FEE: &str = "refund-fee-";

/// What is known of a signature's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum Fate {
    /// Nobody has said yet: it may cost all that it allows.
    Open,
    Charged {
        amount: Amount,
    },
    /// It cost nothing and never will.
    Void,
}

/// One signature that pays for one call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spending {
    /// Under which the server keeps its receipt.
    pub request_id: String,
    /// Unix milliseconds.
    pub time_ms: u64,
    pub server: String,
    pub adapter: String,
    pub scheme: Scheme,
    pub chain_id: u64,
    pub token: Address,
    pub receiver: Address,
    pub payer: Address,
    /// The channel, or the nonce of an `exact` authorization.
    pub word: Word,
    /// What was charged to the channel before; zero for `exact`.
    pub before: Amount,
    /// The most that the call may cost.
    pub quote: Amount,
    /// What goes into the channel with it, until the chain shows it there.
    pub deposit: Amount,
    /// Of the voucher over `before + quote`, or of the authorization; 0x and hex digits.
    pub signature: String,
    /// When an `exact` authorization ends, Unix seconds; zero for vouchers, which do not.
    pub valid_before: u64,
    pub fate: Fate,
    /// The server's own receipt.
    pub receipt: Option<Value>,
}

/// A payment and all that is written down with it.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    pub spending: &'a Spending,
    pub channel: Option<&'a Channel>,
    /// One that was signed for this payment.
    pub deposit: Option<&'a Deposit>,
    pub attempt: &'a Attempt,
}

impl Spending {
    fn counted(&self) -> Amount {
        match self.fate {
            Fate::Open => self.quote,
            Fate::Charged { amount } => amount,
            Fate::Void => Amount::ZERO,
        }
    }

    fn day(&self) -> u64 {
        self.time_ms / DAY_MS
    }

    pub fn charged(&self) -> Option<Amount> {
        match self.fate {
            Fate::Charged { amount } => Some(amount),
            Fate::Open | Fate::Void => None,
        }
    }

    /// The charge, once it is known.
    pub fn charge(&self) -> Option<Charge> {
        let amount = self.charged()?;
        Some(Charge {
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

impl Purse {
    /// Writes down a payment with all that it takes, before it is sent.
    pub fn record(&self, record: &Record<'_>, budget: Budget<'_>) -> Result<Number, PurseError> {
        self.write(|transaction| {
            let spending = record.spending;
            let key = (spending.chain_id, spending.token, spending.day());
            within(transaction, key, budget, |transaction| {
                if let Some(channel) = record.channel {
                    put(transaction, channel)?;
                }
                if let Some(deposit) = record.deposit {
                    deposit::insert(transaction, deposit)?;
                }
                let number = insert(transaction, spending)?;
                attempt::keep(transaction, number, record.attempt)?;
                Ok(number)
            })
        })
    }

    /// Writes down what a refund may cost, with its channel, before it is asked for.
    pub(super) fn record_fee(
        &self,
        fee: &Spending,
        channel: &Channel,
        budget: Budget<'_>,
    ) -> Result<(), PurseError> {
        self.write(|transaction| {
            let key = (fee.chain_id, fee.token, fee.day());
            within(transaction, key, budget, |transaction| {
                put(transaction, channel)?;
                insert(transaction, fee).map(drop)
            })
        })
    }

    /// A refund was refused: a voucher for its fee takes the place that the next call's has.
    pub(super) fn void_fees(&self, channel: &Channel) -> Result<(), PurseError> {
        self.write(|transaction| {
            for (number, mut spending) in in_doubt(transaction, channel)? {
                if is_fee(&spending) {
                    spending.fate = Fate::Void;
                    update(transaction, number, &spending)?;
                }
            }
            put(transaction, channel)
        })
    }

    /// Writes down how a signature ended, with the channel as it is then. A server that charged
    /// for it agrees with the total before it, which ends the doubts about earlier ones.
    pub fn settle(
        &self,
        number: Number,
        spending: &Spending,
        channel: Option<&Channel>,
    ) -> Result<(), PurseError> {
        self.write(|transaction| {
            update(transaction, number, spending)?;
            let Some(channel) = channel else {
                return Ok(());
            };
            put(transaction, channel)?;
            match spending.charged() {
                Some(_) => {
                    let earlier = |other: Number| other.0 < number.0;
                    end_doubts(transaction, channel, (spending.before, &earlier)).map(drop)
                }
                None => Ok(()),
            }
        })
    }

    /// The channel's total was `was` here and is known to be more or less now: signatures of
    /// earlier calls that nobody answered cost what lies between their beginning and it. What they
    /// do not explain is counted as a spending of its own.
    pub fn settle_doubts(&self, channel: &Channel, was: Amount) -> Result<(), PurseError> {
        self.write(|transaction| {
            let explained = end_doubts(transaction, channel, (channel.charged, &|_| true))?;
            let grown = channel.charged.saturating_sub(was);
            let excess = grown.saturating_sub(explained);
            if !excess.is_zero() {
                insert(transaction, &unexplained(channel, was, excess))?;
            }
            put(transaction, channel)
        })
    }

    /// The chain shows the channel's deposit: it is no longer on its way to somebody else.
    pub fn deposit_seen(&self, channel: &Channel, pending: &Pending) -> Result<(), PurseError> {
        self.write(|transaction| {
            for (number, mut spending) in in_doubt(transaction, channel)? {
                spending.deposit = Amount::ZERO;
                update(transaction, number, &spending)?;
            }
            deposit::made(transaction, channel, pending)?;
            put(transaction, channel)
        })
    }

    /// `exact` authorizations that nobody answered and that ended before `time`, Unix seconds.
    pub fn expired(&self, chain_id: u64, time: u64) -> Result<Vec<(Number, Spending)>, PurseError> {
        let open = self.read(|connection| {
            rows(
                connection,
                "WHERE open = 1 AND chain_id = ?1",
                params![chain_id.cast_signed()],
            )
        })?;
        let ended = |it: &Spending| it.scheme == Scheme::Exact && it.valid_before < time;
        Ok(open.into_iter().filter(|(_, it)| ended(it)).collect())
    }

    /// What counts against the budget of the day of `time_ms`.
    pub fn spent(&self, chain_id: u64, token: Address, time_ms: u64) -> Result<Amount, PurseError> {
        self.read(|connection| spent(connection, (chain_id, token, time_ms / DAY_MS)))
    }

    /// The last signature for a request.
    pub fn spending(&self, request_id: &str) -> Result<Option<Spending>, PurseError> {
        let found =
            self.read(|connection| rows(connection, "WHERE request_id = ?1", params![request_id]))?;
        Ok(found.into_iter().next_back().map(|(_, spending)| spending))
    }

    /// Every signature, the oldest first.
    pub fn spendings(&self) -> Result<Vec<Spending>, PurseError> {
        let found = self.read(|connection| rows(connection, "", params![]))?;
        Ok(found.into_iter().map(|(_, spending)| spending).collect())
    }

    /// A signature by its row.
    pub(super) fn numbered(&self, number: Number) -> Result<Spending, PurseError> {
        self.read(|connection| {
            let mut found = rows(connection, "WHERE number = ?1", params![number.0])?;
            match found.pop() {
                Some((_, spending)) => Ok(spending),
                None => Err(Fault::Sql(rusqlite::Error::QueryReturnedNoRows)),
            }
        })
    }

    /// Keeps the server's receipt with what was paid for it, under the server's id for it unless
    /// that is another call's.
    pub fn keep_receipt(
        &self,
        number: Number,
        mut spending: Spending,
        (id, receipt): (&str, Option<Value>),
    ) -> Result<(), PurseError> {
        spending.receipt = receipt;
        self.write(|transaction| {
            let others = rows(transaction, "WHERE request_id = ?1", params![id])?;
            if others.iter().all(|(other, _)| *other == number) {
                spending.request_id = id.to_owned();
            }
            update(transaction, number, &spending)
        })
    }
}

/// The id under which the fee of a channel's refund is kept.
pub(super) fn fee_id(channel: &Channel, refund_nonce: u64) -> String {
    format!("{FEE}{}-{refund_nonce}", channel.id)
}

fn is_fee(spending: &Spending) -> bool {
    spending.request_id.starts_with(FEE)
}

/// What a server proves to have been charged beyond its own answers, by a signature of ours.
fn unexplained(channel: &Channel, before: Amount, amount: Amount) -> Spending {
    Spending {
        request_id: format!("resynchronised-{}-{before}", channel.id),
        time_ms: now_ms(),
        server: channel.seller.server.clone(),
        adapter: channel.seller.adapter.clone(),
        scheme: Scheme::BatchSettlement,
        chain_id: channel.chain_id,
        token: channel.config.token,
        receiver: channel.config.receiver,
        payer: channel.config.payer,
        word: channel.id,
        before,
        quote: amount,
        deposit: Amount::ZERO,
        signature: channel
            .signed
            .as_ref()
            .map_or_else(String::new, |signed| signed.signature.clone()),
        valid_before: 0,
        fate: Fate::Charged { amount },
        receipt: None,
    }
}

/// Returns what the earlier calls have cost together.
fn end_doubts(
    connection: &Connection,
    channel: &Channel,
    (charged, which): (Amount, &dyn Fn(Number) -> bool),
) -> Result<Amount, Fault> {
    let mut sum = Amount::ZERO;
    for (number, mut spending) in in_doubt(connection, channel)? {
        if !which(number) {
            continue;
        }
        let cost = charged.saturating_sub(spending.before).min(spending.quote);
        sum = sum.saturating_add(cost);
        spending.fate = match cost.is_zero() {
            true => Fate::Void,
            false => Fate::Charged { amount: cost },
        };
        update(connection, number, &spending)?;
    }
    Ok(sum)
}

fn in_doubt(connection: &Connection, channel: &Channel) -> Result<Vec<(Number, Spending)>, Fault> {
    let key = params![channel.chain_id.cast_signed(), channel.id.to_string()];
    rows(
        connection,
        "WHERE open = 1 AND chain_id = ?1 AND word = ?2",
        key,
    )
}

fn rows(
    connection: &Connection,
    which: &str,
    key: impl rusqlite::Params,
) -> Result<Vec<(Number, Spending)>, Fault> {
    let query = format!("SELECT number, body FROM spendings {which} ORDER BY number");
    let mut all = connection.prepare_cached(&query)?;
    let rows = all.query_map(key, |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
    })?;
    rows.map(|row| {
        let (number, body) = row?;
        Ok((Number(number), serde_json::from_str(&body)?))
    })
    .collect()
}

fn insert(connection: &Connection, spending: &Spending) -> Result<Number, Fault> {
    let insert = "INSERT INTO spendings \
                  (request_id, chain_id, token, word, day, open, counted, body) \
                  VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    connection.execute(
        insert,
        params![
            spending.request_id,
            spending.chain_id.cast_signed(),
            spending.token.to_string(),
            spending.word.to_string(),
            spending.day().cast_signed(),
            spending.fate == Fate::Open,
            spending.counted().to_string(),
            serde_json::to_string(spending)?
        ],
    )?;
    Ok(Number(connection.last_insert_rowid()))
}

/// What was signed for a chain that is gone costs nothing more, and counts on no day.
pub(super) fn end(connection: &Connection, chain_id: u64) -> Result<(), Fault> {
    let key = params![chain_id.cast_signed()];
    for (number, mut spending) in rows(connection, "WHERE open = 1 AND chain_id = ?1", key)? {
        spending.fate = Fate::Void;
        update(connection, number, &spending)?;
    }
    let uncounted = "UPDATE spendings SET counted = '0' WHERE chain_id = ?1";
    connection.execute(uncounted, params![chain_id.cast_signed()])?;
    Ok(())
}

fn update(connection: &Connection, number: Number, spending: &Spending) -> Result<(), Fault> {
    let update = "UPDATE spendings SET request_id = ?2, open = ?3, counted = ?4, body = ?5 \
                  WHERE number = ?1";
    connection.execute(
        update,
        params![
            number.0,
            spending.request_id,
            spending.fate == Fate::Open,
            spending.counted().to_string(),
            serde_json::to_string(spending)?
        ],
    )?;
    Ok(())
}
