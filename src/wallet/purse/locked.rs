//! What is in channels at the same time, whatever the day: money that was put in, or signed away
//! for that, and is neither charged nor back.

use rusqlite::{Connection, params};

use super::{
    Budget, Money, PurseError,
    channel::{Channel, ChannelState},
    pay::Payer,
    store::{Fault, Purse},
};
use crate::runtime::ledger::{Address, Amount};

impl Purse {
    /// All that is in channels, over every seller.
    pub fn locked(&self, chain_id: u64, token: Address) -> Result<Amount, PurseError> {
        self.read(|connection| locked(connection, chain_id, token))
    }
}

impl Payer {
    pub fn locked(&self) -> Result<Amount, PurseError> {
        self.purse.locked(self.chain_id(), self.token.address)
    }

    /// Whether so much more may go into channels, before anything is signed.
    ///
    /// # Errors
    /// It would be more than `call.max_locked`.
    pub fn check_locked(&self, deposit: Amount) -> Result<(), PurseError> {
        let before = self.locked()?;
        check(self.day(), (before, before.saturating_add(deposit)))
    }
}

/// What was put in before a limit was lowered stays; only more is refused.
pub(super) fn check(
    budget: Budget<'_>,
    (before, after): (Amount, Amount),
) -> Result<(), PurseError> {
    if after <= budget.locked || after <= before {
        return Ok(());
    }
    let money = |sum| Money::of(sum, budget.token);
    Err(PurseError::Locked {
        deposit: money(after.saturating_sub(before)),
        limit: money(budget.locked),
        locked: money(before),
    })
}

pub(super) fn locked(
    connection: &Connection,
    chain_id: u64,
    token: Address,
) -> Result<Amount, Fault> {
    let query = "SELECT body FROM channels WHERE chain_id = ?1 AND state <> ?2";
    let mut all = connection.prepare_cached(query)?;
    let key = params![chain_id.cast_signed(), ChannelState::Ended.name()];
    let rows = all.query_map(key, |row| row.get::<_, String>(0))?;
    let mut sum = Amount::ZERO;
    for body in rows {
        let channel: Channel = serde_json::from_str(&body?)?;
        if channel.config.token == token {
            sum = sum.saturating_add(channel.left());
        }
    }
    let query = "SELECT counted FROM deposits WHERE chain_id = ?1 AND token = ?2 AND open = 1";
    let mut all = connection.prepare_cached(query)?;
    let key = params![chain_id.cast_signed(), token.to_string()];
    let rows = all.query_map(key, |row| row.get::<_, String>(0))?;
    for counted in rows {
        let counted = serde_json::Value::String(counted?);
        sum = sum.saturating_add(serde_json::from_value(counted)?);
    }
    Ok(sum)
}
