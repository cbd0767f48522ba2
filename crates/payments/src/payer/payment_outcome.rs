//! Decides what signed payments have cost, from what servers state and from the totals of channels.
//!
//! Each charged payment of a channel explains one range of the channel's total, and an honest server
//! charges no part of the total twice. Two payments that were signed from the same total can both be
//! without an answer, after a crash: what the total has grown by is then the charge of one of them.

use std::ops::Range;

use rusqlite::Connection;

use super::{
    PayerError,
    channel::{PayerChannel, PendingDeposit, put},
    deposit,
    payment_record::{FEE, PaymentRecord, PaymentStatus, insert, numbered, of_channel, update},
    store::{PayerStore, PaymentNumber, StoreFault},
};
use openlora_core::Amount;

impl PayerStore {
    /// A refund was refused. The next call's voucher replaces the voucher for its fee.
    pub(super) fn void_fees(&self, channel: &PayerChannel) -> Result<(), PayerError> {
        self.write(|transaction| {
            for (number, mut record) in of_channel(transaction, channel, true)? {
                if is_fee(&record) {
                    record.status = PaymentStatus::Void;
                    update(transaction, number, &record)?;
                }
            }
            put(transaction, channel)
        })
    }

    /// Records the outcome of a signed payment, with the channel's state after it. A server that
    /// charged for it agrees with the total before it, so this also decides the earlier payments
    /// without an answer.
    pub fn finish_payment(
        &self,
        number: PaymentNumber,
        record: &PaymentRecord,
        channel: Option<&PayerChannel>,
    ) -> Result<(), PayerError> {
        self.write(|transaction| finish(transaction, number, record, channel))
    }

    /// The same for a payment that was sent more than once. Another one may have been signed from
    /// the same total meanwhile, and its charge inferred.
    pub(super) fn finish_repeated(
        &self,
        number: PaymentNumber,
        record: &PaymentRecord,
        channel: Option<&PayerChannel>,
    ) -> Result<(), PayerError> {
        self.write(|transaction| {
            finish(transaction, number, record, channel)?;
            channel.map_or(Ok(()), |channel| {
                correct_inferred(transaction, channel, number)
            })
        })
    }

    /// Stores a channel whose total was recorded as `was` and is now known to be different. Earlier
    /// payments without an answer are charged the difference between their starting total and the
    /// new total. The part that they do not explain is recorded as a payment of its own.
    pub fn settle_doubts(&self, channel: &PayerChannel, was: Amount) -> Result<(), PayerError> {
        self.write(|transaction| {
            end_doubts(transaction, channel, channel.charged, &|_| true)?;
            let grown = was..channel.charged;
            let excess = unexplained(transaction, channel, grown, None)?;
            if !excess.is_zero() {
                insert(transaction, &unknown_charge(channel, was, excess))?;
            }
            put(transaction, channel)
        })
    }

    /// The chain shows the channel's deposit, so the deposit of open payments no longer counts.
    pub fn deposit_seen(
        &self,
        channel: &PayerChannel,
        pending: &PendingDeposit,
    ) -> Result<(), PayerError> {
        self.write(|transaction| {
            for (number, mut record) in of_channel(transaction, channel, true)? {
                record.deposit = Amount::ZERO;
                update(transaction, number, &record)?;
            }
            deposit::made(transaction, channel, pending)?;
            put(transaction, channel)
        })
    }

    /// Decides a payment that was sent again and refused. Returns it as it is now recorded.
    pub(super) fn infer_charge(
        &self,
        number: PaymentNumber,
        channel: &PayerChannel,
        total: Amount,
    ) -> Result<PaymentRecord, PayerError> {
        self.write(|transaction| {
            let mut record = numbered(transaction, number)?;
            if record.status == PaymentStatus::Open {
                infer(transaction, channel, total, number, &mut record)?;
            }
            put(transaction, channel)?;
            Ok(record)
        })
    }
}

fn is_fee(record: &PaymentRecord) -> bool {
    record.request_id.starts_with(FEE)
}

/// A charge beyond the server's own answers that the server proves by a signature of ours.
fn unknown_charge(channel: &PayerChannel, before: Amount, amount: Amount) -> PaymentRecord {
    let id = format!("resynchronised-{}-{before}", channel.id);
    PaymentRecord {
        before,
        signature: channel
            .signed
            .as_ref()
            .map_or_else(String::new, |signed| signed.signature.clone()),
        status: PaymentStatus::Charged { amount },
        inferred: true,
        ..PaymentRecord::from_channel(channel, id, amount)
    }
}

fn finish(
    connection: &Connection,
    number: PaymentNumber,
    record: &PaymentRecord,
    channel: Option<&PayerChannel>,
) -> Result<(), StoreFault> {
    update(connection, number, record)?;
    let Some(channel) = channel else {
        return Ok(());
    };
    put(connection, channel)?;
    match record.charged() {
        Some(_) => {
            let earlier = |other: PaymentNumber| other.0 < number.0;
            end_doubts(connection, channel, record.before, &earlier)
        }
        None => Ok(()),
    }
}

/// Decides payments without an answer by the total that a channel had.
fn end_doubts(
    connection: &Connection,
    channel: &PayerChannel,
    charged: Amount,
    which: &dyn Fn(PaymentNumber) -> bool,
) -> Result<(), StoreFault> {
    for (number, mut record) in of_channel(connection, channel, true)? {
        if which(number) {
            infer(connection, channel, charged, number, &mut record)?;
        }
    }
    Ok(())
}

/// How much of a range of a channel's total no charged payment other than `except` explains.
fn unexplained(
    connection: &Connection,
    channel: &PayerChannel,
    total: Range<Amount>,
    except: Option<PaymentNumber>,
) -> Result<Amount, StoreFault> {
    let mut explained: Vec<(Amount, Amount)> = of_channel(connection, channel, false)?
        .into_iter()
        .filter(|(number, _)| Some(*number) != except)
        .filter_map(|(_, record)| range(&record))
        .collect();
    explained.sort_unstable();
    let (mut left, mut reached) = (Amount::ZERO, total.start);
    for (start, end) in explained {
        left = left.saturating_add(start.min(total.end).saturating_sub(reached));
        reached = reached.max(end);
    }
    Ok(left.saturating_add(total.end.saturating_sub(reached)))
}

fn range(record: &PaymentRecord) -> Option<(Amount, Amount)> {
    let charged = record.charged()?;
    Some((record.before, record.before.saturating_add(charged)))
}

/// Decides a payment without an answer by a channel's total: it is charged what nothing else
/// explains of the range that it allows for.
fn infer(
    connection: &Connection,
    channel: &PayerChannel,
    total: Amount,
    number: PaymentNumber,
    record: &mut PaymentRecord,
) -> Result<(), StoreFault> {
    let allowed = record.before.saturating_add(record.quote);
    let range = record.before..total.min(allowed);
    let amount = unexplained(connection, channel, range, Some(number))?;
    record.inferred = !amount.is_zero();
    record.status = match record.inferred {
        true => PaymentStatus::Charged { amount },
        false => PaymentStatus::Void,
    };
    update(connection, number, record)
}

/// A server stated the charge of the payment `number`. What was inferred for others from the same
/// part of the total was not theirs.
fn correct_inferred(
    connection: &Connection,
    channel: &PayerChannel,
    number: PaymentNumber,
) -> Result<(), StoreFault> {
    for (other, mut record) in of_channel(connection, channel, false)? {
        if let (true, Some((_, end))) = (record.inferred && other != number, range(&record)) {
            infer(connection, channel, end, other, &mut record)?;
        }
    }
    Ok(())
}
