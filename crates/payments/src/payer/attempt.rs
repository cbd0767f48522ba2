//! Paid calls whose answers have not been shown. Such a call is repeated with the same bytes and
//! the same payment, so a server that has already answered it gives the same answer and no call is
//! paid twice.

use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};

use super::{
    PayerError,
    budget::CallerAllowance,
    channel::SellerRoute,
    offer::PaymentOffer,
    store::{PayerStore, PaymentNumber, StoreFault},
};
use openlora_core::Amount;

/// The request that is paid for, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallOrder {
    pub request_id: String,
    pub seller: SellerRoute,
    /// The request's path on the server, without its query.
    pub path: String,
    pub body: String,
    /// Who asked for the call, where this payer pays for several callers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<CallerAllowance>,
}

/// A request and payment that were sent, with everything needed to send them again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PaymentAttempt {
    /// Unix milliseconds.
    pub time_ms: u64,
    pub order: CallOrder,
    pub offer: PaymentOffer,
    /// The value of `PAYMENT-SIGNATURE`.
    pub header: String,
    pub chain_id: u64,
    /// The most that it costs, in base units.
    pub quote: Amount,
}

impl PayerStore {
    /// Every call that waits for its answer, oldest first.
    pub fn attempts(&self) -> Result<Vec<PaymentAttempt>, PayerError> {
        self.read(|connection| {
            let query = "SELECT body FROM attempts ORDER BY number";
            let mut all = connection.prepare_cached(query)?;
            let rows = all.query_map([], |row| row.get::<_, String>(0))?;
            rows.map(|body| Ok(serde_json::from_str(&body?)?)).collect()
        })
    }

    /// The call that a text identifies: its request id, or a prefix of it.
    pub fn attempt_named(&self, text: &str) -> Result<PaymentAttempt, PayerError> {
        let mut all = self.attempts()?;
        let is = |it: &PaymentAttempt| it.order.request_id.starts_with(text);
        match all.iter().filter(|it| is(it)).count() {
            1 => {
                all.retain(is);
                Ok(all.remove(0))
            }
            _ => Err(PayerError::NoAttempt {
                wanted: text.to_owned(),
                known: all.into_iter().map(|it| it.order.request_id).collect(),
            }),
        }
    }

    /// The call needs no further answer.
    pub fn forget_attempt(&self, request_id: &str) -> Result<(), PayerError> {
        self.write(|transaction| remove(transaction, request_id))
    }

    pub(super) fn payment_of(&self, attempt: &PaymentAttempt) -> Result<PaymentNumber, PayerError> {
        let id = &attempt.order.request_id;
        let found = self.read(|connection| {
            let query = "SELECT number FROM attempts WHERE request_id = ?1";
            let number = connection.query_row(query, params![id], |row| row.get(0));
            Ok(number.optional()?)
        })?;
        found
            .map(PaymentNumber)
            .ok_or_else(|| PayerError::NoAttempt {
                wanted: id.clone(),
                known: Vec::new(),
            })
    }
}

/// The last payment of a call replaces the earlier ones.
pub(super) fn store_attempt(
    connection: &Connection,
    number: PaymentNumber,
    attempt: &PaymentAttempt,
) -> Result<(), StoreFault> {
    let insert = "INSERT OR REPLACE INTO attempts (request_id, number, body) VALUES (?1, ?2, ?3)";
    let body = serde_json::to_string(attempt)?;
    connection.execute(insert, params![attempt.order.request_id, number.0, body])?;
    Ok(())
}

/// Calls on a replaced chain get no answer.
pub(super) fn end(connection: &Connection, chain_id: u64) -> Result<(), StoreFault> {
    let delete = "DELETE FROM attempts WHERE number IN \
                  (SELECT number FROM spendings WHERE chain_id = ?1)";
    connection.execute(delete, params![chain_id.cast_signed()])?;
    Ok(())
}

pub(super) fn remove(connection: &Connection, request_id: &str) -> Result<(), StoreFault> {
    let delete = "DELETE FROM attempts WHERE request_id = ?1";
    connection.execute(delete, params![request_id])?;
    Ok(())
}
