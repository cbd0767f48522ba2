//! The limits on spending per day and on the total in channels. On each day, a channel counts with
//! its deposits or with the cost of its calls, whichever is larger.

use std::collections::BTreeMap;

use rusqlite::{Connection, Transaction, params};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    PayerError, TokenAmount,
    channel::{PayerChannel, PayerChannelState},
    store::{PayerStore, StoreFault},
};
use openlora_chain::network::PaymentToken;
use openlora_core::{Address, Amount};

pub(super) const DAY_MS: u64 = 86_400_000;

/// The spending that one limit applies to.
#[derive(Clone, Copy, Debug)]
pub(super) struct BudgetDay {
    pub chain_id: u64,
    pub token: Address,
    /// The day since 1970.
    pub day: u64,
}

/// The limits on spending in a day and on the total in channels.
#[derive(Clone, Copy, Debug)]
pub struct DailyBudget<'a> {
    pub limit: Amount,
    pub locked: Amount,
    pub token: &'a PaymentToken,
}

/// One of several callers that a payer pays for, and the limit on what the caller's calls may cost
/// in a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallerAllowance {
    /// The caller's name in records.
    pub caller: String,
    /// Without one, only the payer's own limits apply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daily: Option<Amount>,
}

/// The cost of a caller's calls on a day; calls without an answer count with their quote.
pub(super) fn spent_by(
    connection: &Connection,
    day: BudgetDay,
    caller: &str,
) -> Result<Amount, StoreFault> {
    let query = "SELECT counted FROM spendings \
                 WHERE chain_id = ?1 AND token = ?2 AND day = ?3 AND caller = ?4";
    let mut all = connection.prepare_cached(query)?;
    let key = params![
        day.chain_id.cast_signed(),
        day.token.to_string(),
        day.day.cast_signed(),
        caller
    ];
    let rows = all.query_map(key, |row| row.get::<_, String>(0))?;
    let mut sum = Amount::ZERO;
    for counted in rows {
        sum = sum.saturating_add(serde_json::from_value(Value::String(counted?))?);
    }
    Ok(sum)
}

/// Fails if a caller's calls, with one that was just recorded at `price`, exceed the caller's limit.
pub(super) fn check_caller(
    transaction: &Transaction,
    day: BudgetDay,
    allowance: &CallerAllowance,
    price: Amount,
    token: &PaymentToken,
) -> Result<(), StoreFault> {
    let Some(limit) = allowance.daily else {
        return Ok(());
    };
    let after = spent_by(transaction, day, &allowance.caller)?;
    if after <= limit {
        return Ok(());
    }
    let before = after.saturating_sub(price);
    let money = |sum| TokenAmount::from_base_units(sum, token);
    Err(StoreFault::Purse(PayerError::CallerBudget {
        caller: allowance.caller.clone(),
        price: money(price),
        budget: money(limit),
        spent: money(before),
        left: money(limit.saturating_sub(before)),
    }))
}

/// The costs that count against a day's budget. An `exact` payment has a nonce instead of a
/// channel.
pub(super) fn spent(connection: &Connection, day: BudgetDay) -> Result<Amount, StoreFault> {
    let query = "SELECT 0, word, counted FROM spendings \
                 WHERE chain_id = ?1 AND token = ?2 AND day = ?3 \
                 UNION ALL SELECT 1, channel, counted FROM deposits \
                 WHERE chain_id = ?1 AND token = ?2 AND day = ?3";
    let mut all = connection.prepare_cached(query)?;
    let key = params![
        day.chain_id.cast_signed(),
        day.token.to_string(),
        day.day.cast_signed()
    ];
    let rows = all.query_map(key, |row| {
        let put: bool = row.get(0)?;
        Ok((put, row.get::<_, String>(1)?, row.get::<_, String>(2)?))
    })?;
    let mut sums: BTreeMap<String, [Amount; 2]> = BTreeMap::new();
    for row in rows {
        let (put, word, counted) = row?;
        let counted: Amount = serde_json::from_value(Value::String(counted))?;
        let [cost, deposited] = sums.entry(word).or_default();
        let sum = if put { deposited } else { cost };
        *sum = sum.saturating_add(counted);
    }
    let each = sums.into_values().map(|[cost, put]| cost.max(put));
    Ok(each.fold(Amount::ZERO, Amount::saturating_add))
}

/// Makes a change, unless it exceeds the day's budget or the limit on the total in channels.
pub(super) fn within_budget<T>(
    transaction: &Transaction,
    day: BudgetDay,
    budget: DailyBudget<'_>,
    change: impl FnOnce(&Transaction) -> Result<T, StoreFault>,
) -> Result<T, StoreFault> {
    let in_channels = |transaction| locked(transaction, day.chain_id, day.token);
    let (before, locked_before) = (spent(transaction, day)?, in_channels(transaction)?);
    let changed = change(transaction)?;
    let after = spent(transaction, day)?;
    check_locked(budget, locked_before, in_channels(transaction)?)?;
    // If a limit is lowered, earlier spending stands; only further spending is refused.
    if after <= budget.limit || after <= before {
        return Ok(changed);
    }
    let money = |sum| TokenAmount::from_base_units(sum, budget.token);
    Err(StoreFault::Purse(PayerError::Budget {
        price: money(after.saturating_sub(before)),
        budget: money(budget.limit),
        spent: money(before),
        left: money(budget.limit.saturating_sub(before)),
    }))
}

impl PayerStore {
    /// The total in channels over all sellers.
    pub fn locked(&self, chain_id: u64, token: Address) -> Result<Amount, PayerError> {
        self.read(|connection| locked(connection, chain_id, token))
    }
}

/// If a limit is lowered, earlier deposits stand; only further deposits are refused.
pub(super) fn check_locked(
    budget: DailyBudget<'_>,
    before: Amount,
    after: Amount,
) -> Result<(), PayerError> {
    if after <= budget.locked || after <= before {
        return Ok(());
    }
    let money = |sum| TokenAmount::from_base_units(sum, budget.token);
    Err(PayerError::Locked {
        deposit: money(after.saturating_sub(before)),
        limit: money(budget.locked),
        locked: money(before),
    })
}

pub(super) fn locked(
    connection: &Connection,
    chain_id: u64,
    token: Address,
) -> Result<Amount, StoreFault> {
    let query = "SELECT body FROM channels WHERE chain_id = ?1 AND state <> ?2";
    let mut all = connection.prepare_cached(query)?;
    let key = params![chain_id.cast_signed(), PayerChannelState::Ended.name()];
    let rows = all.query_map(key, |row| row.get::<_, String>(0))?;
    let mut sum = Amount::ZERO;
    for body in rows {
        let channel: PayerChannel = serde_json::from_str(&body?)?;
        if channel.config.token == token {
            sum = sum.saturating_add(channel.left());
        }
    }
    let query = "SELECT counted FROM deposits WHERE chain_id = ?1 AND token = ?2 AND open = 1";
    let mut all = connection.prepare_cached(query)?;
    let key = params![chain_id.cast_signed(), token.to_string()];
    let rows = all.query_map(key, |row| row.get::<_, String>(0))?;
    for counted in rows {
        let counted = Value::String(counted?);
        sum = sum.saturating_add(serde_json::from_value(counted)?);
    }
    Ok(sum)
}
