//! Each charged payment of a channel explains one range of the channel's total, and an honest server
//! charges no part of the total twice. Two payments that were signed from the same total can both be
//! without an answer, after a crash: what the total has grown by is then the charge of one of them.

use rusqlite::{Connection, params};

use super::{
    PayerError,
    channel::{PayerChannel, put},
    payment_record::{PaymentRecord, PaymentStatus, numbered, rows, update},
    store::{PayerStore, PaymentNumber, StoreFault},
};
use openlora_core::Amount;

/// The part of a total from `from` up to `to` that no charged payment other than `except` explains.
pub(super) fn unexplained(
    connection: &Connection,
    channel: &PayerChannel,
    (from, to): (Amount, Amount),
    except: Option<PaymentNumber>,
) -> Result<Amount, StoreFault> {
    let mut explained: Vec<(Amount, Amount)> = charged_of(connection, channel)?
        .into_iter()
        .filter(|(number, _)| Some(*number) != except)
        .filter_map(|(_, record)| range(&record))
        .collect();
    explained.sort_unstable();
    let (mut left, mut reached) = (Amount::ZERO, from);
    for (start, end) in explained {
        left = left.saturating_add(start.min(to).saturating_sub(reached));
        reached = reached.max(end);
    }
    Ok(left.saturating_add(to.saturating_sub(reached)))
}

fn range(record: &PaymentRecord) -> Option<(Amount, Amount)> {
    let charged = record.charged()?;
    Some((record.before, record.before.saturating_add(charged)))
}

fn charged_of(
    connection: &Connection,
    channel: &PayerChannel,
) -> Result<Vec<(PaymentNumber, PaymentRecord)>, StoreFault> {
    let key = params![channel.chain_id.cast_signed(), channel.id.to_string()];
    rows(
        connection,
        "WHERE open = 0 AND chain_id = ?1 AND word = ?2",
        key,
    )
}

/// Decides a payment without an answer by a channel's total: it is charged what nothing else
/// explains of the range that it allows for.
pub(super) fn infer(
    connection: &Connection,
    channel: &PayerChannel,
    total: Amount,
    number: PaymentNumber,
    record: &mut PaymentRecord,
) -> Result<Amount, StoreFault> {
    let allowed = record.before.saturating_add(record.quote);
    let range = (record.before, total.min(allowed));
    let amount = unexplained(connection, channel, range, Some(number))?;
    record.inferred = !amount.is_zero();
    record.status = match record.inferred {
        true => PaymentStatus::Charged { amount },
        false => PaymentStatus::Void,
    };
    update(connection, number, record)?;
    Ok(amount)
}

impl PayerStore {
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

/// A server stated the charge of the payment `number`. What was inferred for others from the same
/// part of the total was not theirs.
pub(super) fn correct_inferred(
    connection: &Connection,
    channel: &PayerChannel,
    number: PaymentNumber,
) -> Result<(), StoreFault> {
    for (other, mut record) in charged_of(connection, channel)? {
        if let (true, Some((_, end))) = (record.inferred && other != number, range(&record)) {
            infer(connection, channel, end, other, &mut record)?;
        }
    }
    Ok(())
}
