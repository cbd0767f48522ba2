//! Deposits into channels. Money in a channel cannot be withdrawn at once. A deposit therefore
//! counts against the budget of the day on which it was signed, until it is returned or can no
//! longer be submitted.

use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use super::{
    PayerError,
    budget::{BudgetDay, DAY_MS, DailyBudget, within_budget},
    channel::{PayerChannel, PendingDeposit, put},
    store::{PayerStore, PaymentNumber, StoreFault, now_ms, records_of},
};
use crate::x402::digest::deposit_nonce;
use openlora_core::{Address, Amount, Word};

/// The known outcome of a signed deposit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DepositStage {
    /// Not seen on the chain yet. A party that has the signature may still submit it.
    Open,
    Made,
    /// It expired unused.
    Void,
}

/// One signature that authorizes a deposit into a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DepositRecord {
    /// Unix milliseconds.
    pub time_ms: u64,
    pub chain_id: u64,
    pub token: Address,
    pub payer: Address,
    pub channel: Word,
    pub nonce: Word,
    pub amount: Amount,
    /// Unix seconds.
    pub valid_before: u64,
    /// The part of it that was returned on the day of the deposit.
    pub returned: Amount,
    pub stage: DepositStage,
}

impl DepositRecord {
    pub(super) fn from_pending(channel: &PayerChannel, pending: &PendingDeposit) -> Self {
        Self {
            time_ms: now_ms(),
            chain_id: channel.chain_id,
            token: channel.config.token,
            payer: channel.config.payer,
            channel: channel.id,
            nonce: deposit_nonce(channel.id, pending.salt),
            amount: pending.amount,
            valid_before: pending.valid_before,
            returned: Amount::ZERO,
            stage: DepositStage::Open,
        }
    }

    fn counted(&self) -> Amount {
        match self.stage {
            DepositStage::Open | DepositStage::Made => self.amount.saturating_sub(self.returned),
            DepositStage::Void => Amount::ZERO,
        }
    }

    pub(super) fn budget_day(&self) -> BudgetDay {
        BudgetDay {
            chain_id: self.chain_id,
            token: self.token,
            day: self.time_ms / DAY_MS,
        }
    }
}

impl PayerStore {
    /// Records a deposit that is not part of a call, before it is sent.
    pub fn record_deposit(
        &self,
        channel: &PayerChannel,
        budget: DailyBudget<'_>,
    ) -> Result<(), PayerError> {
        self.write(|transaction| {
            let Some(pending) = &channel.pending else {
                return put(transaction, channel);
            };
            let deposit = DepositRecord::from_pending(channel, pending);
            within_budget(transaction, deposit.budget_day(), budget, |transaction| {
                put(transaction, channel)?;
                insert(transaction, &deposit)
            })
        })
    }

    /// Signed deposits that are not on the chain and that expired before `time`, Unix seconds.
    pub fn expired_deposits(
        &self,
        chain_id: u64,
        time: u64,
    ) -> Result<Vec<(PaymentNumber, DepositRecord)>, PayerError> {
        let open = self.read(|connection| {
            let which = "WHERE open = 1 AND chain_id = ?1";
            rows(connection, which, params![chain_id.cast_signed()])
        })?;
        let ended = |it: &DepositRecord| it.valid_before < time;
        Ok(open.into_iter().filter(|(_, it)| ended(it)).collect())
    }

    /// Records the outcome of a deposit.
    pub fn settle_deposit(
        &self,
        number: PaymentNumber,
        deposit: &DepositRecord,
    ) -> Result<(), PayerError> {
        self.write(|transaction| update(transaction, number, deposit))
    }

    /// Money was returned from a channel, so today's deposits count that much less.
    pub fn returned(&self, channel: &PayerChannel, amount: Amount) -> Result<(), PayerError> {
        self.write(|transaction| {
            let today = now_ms() / DAY_MS;
            let mut left = amount;
            for (number, mut deposit) in of_channel(transaction, channel)? {
                if deposit.budget_day().day != today || deposit.stage == DepositStage::Void {
                    continue;
                }
                let part = left.min(deposit.counted());
                deposit.returned = deposit.returned.saturating_add(part);
                left = left.saturating_sub(part);
                update(transaction, number, &deposit)?;
            }
            put(transaction, channel)
        })
    }
}

/// The chain shows the deposit that the channel waited for.
pub(super) fn made(
    connection: &Connection,
    channel: &PayerChannel,
    pending: &PendingDeposit,
) -> Result<(), StoreFault> {
    let nonce = deposit_nonce(channel.id, pending.salt);
    for (number, mut deposit) in of_channel(connection, channel)? {
        if deposit.nonce == nonce {
            deposit.stage = DepositStage::Made;
            update(connection, number, &deposit)?;
        }
    }
    Ok(())
}

/// The deposits that format 1 stored only as parts of channels.
pub(super) fn take_over(connection: &Connection) -> Result<(), StoreFault> {
    let mut all = connection.prepare("SELECT body FROM channels")?;
    let bodies = all.query_map([], |row| row.get::<_, String>(0))?;
    for body in bodies {
        let channel: PayerChannel = serde_json::from_str(&body?)?;
        if let Some(pending) = &channel.pending {
            let time_ms = channel.used_ms;
            let deposit = DepositRecord::from_pending(&channel, pending);
            insert(connection, &DepositRecord { time_ms, ..deposit })?;
        }
    }
    Ok(())
}

/// Deposits into channels of a replaced chain count on no day.
pub(super) fn end(connection: &Connection, chain_id: u64) -> Result<(), StoreFault> {
    let key = params![chain_id.cast_signed()];
    for (number, mut deposit) in rows(connection, "WHERE chain_id = ?1", key)? {
        deposit.stage = DepositStage::Void;
        update(connection, number, &deposit)?;
    }
    Ok(())
}

fn of_channel(
    connection: &Connection,
    channel: &PayerChannel,
) -> Result<Vec<(PaymentNumber, DepositRecord)>, StoreFault> {
    let which = "WHERE chain_id = ?1 AND channel = ?2";
    let key = params![channel.chain_id.cast_signed(), channel.id.to_string()];
    rows(connection, which, key)
}

fn rows(
    connection: &Connection,
    which: &str,
    key: impl rusqlite::Params,
) -> Result<Vec<(PaymentNumber, DepositRecord)>, StoreFault> {
    records_of(connection, "deposits", which, key)
}

pub(super) fn insert(connection: &Connection, deposit: &DepositRecord) -> Result<(), StoreFault> {
    let insert = "INSERT INTO deposits \
                  (chain_id, token, channel, nonce, day, open, counted, body) \
                  VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    connection.execute(
        insert,
        params![
            deposit.chain_id.cast_signed(),
            deposit.token.to_string(),
            deposit.channel.to_string(),
            deposit.nonce.to_string(),
            deposit.budget_day().day.cast_signed(),
            deposit.stage == DepositStage::Open,
            deposit.counted().to_string(),
            serde_json::to_string(deposit)?
        ],
    )?;
    Ok(())
}

fn update(
    connection: &Connection,
    number: PaymentNumber,
    deposit: &DepositRecord,
) -> Result<(), StoreFault> {
    let update = "UPDATE deposits SET open = ?2, counted = ?3, body = ?4 WHERE number = ?1";
    connection.execute(
        update,
        params![
            number.0,
            deposit.stage == DepositStage::Open,
            deposit.counted().to_string(),
            serde_json::to_string(deposit)?
        ],
    )?;
    Ok(())
}
