//! Compares a receipt with our signatures and with the chain.

use super::{PayerChannel, PayerError, PaymentRecord, PaymentStatus, chain, resync::check_voucher};
use openlora_chain::provider::Chain;
use openlora_core::Amount;
use openlora_ledger::{CallCharge, PaymentScheme};

/// The result of one comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ComparisonResult {
    Fits,
    Differs(String),
    /// The data for this comparison is not available here.
    Unknown(String),
}

/// Formats an amount of the token in which a call was paid.
pub type AmountFormat<'a> = &'a (dyn Fn(Amount) -> String + Sync);

/// A comparison's name and its result.
pub type ComparisonLine = (&'static str, ComparisonResult);

fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: &T, signed: &T) -> Option<String> {
    (found != signed).then(|| format!("`{what}`: expected {signed:?}, found {found:?}"))
}

/// Compares a receipt's charge with our own signature for the call.
pub fn against_signature(
    charge: &CallCharge,
    record: &PaymentRecord,
    channel: Option<&PayerChannel>,
    money: AmountFormat<'_>,
) -> Vec<ComparisonLine> {
    let parties = [
        same("scheme", &charge.scheme, &record.scheme),
        same("chain_id", &charge.chain_id, &record.chain_id),
        same("token", &charge.token, &record.token),
        same("receiver", &charge.receiver, &record.receiver),
        same("payer", &charge.payer, &record.payer),
        same("id", &charge.id, &record.word),
    ];
    let differs: Vec<String> = parties.into_iter().flatten().collect();
    let limit = record.quote;
    let amount = charge.amount;
    let total = record.before.saturating_add(amount);
    vec![
        ("parties", compare_result(differs.first().cloned())),
        (
            "limit",
            compare_result(
                (amount > limit)
                    .then(|| format!("{} is more than {} signed for", money(amount), money(limit))),
            ),
        ),
        (
            "total",
            compare_result((charge.cumulative != total).then(|| {
                let found = money(charge.cumulative);
                format!(
                    "the total of the channel: expected {}, found {found}",
                    money(total)
                )
            })),
        ),
        ("signature", signature(record, channel)),
    ]
}

/// Compares what the server stated when it answered with what our signatures allow.
pub fn against_statement(
    record: &PaymentRecord,
    money: AmountFormat<'_>,
) -> Option<ComparisonLine> {
    let disputed = record.disputed?;
    let (limit, expected) = (record.quote, money(disputed.expected_total));
    let problem = match (disputed.charged, disputed.total) {
        (Some(charged), _) if charged > limit => format!(
            "the server stated a charge of {}, more than {} signed for",
            money(charged),
            money(limit)
        ),
        (_, Some(total)) => format!(
            "the server stated a channel total of {}, expected {expected}",
            money(total)
        ),
        (_, None) => format!("the server stated no total, expected {expected}"),
    };
    Some(("statement", ComparisonResult::Differs(problem)))
}

fn compare_result(problem: Option<String>) -> ComparisonResult {
    problem.map_or(ComparisonResult::Fits, ComparisonResult::Differs)
}

fn signature(record: &PaymentRecord, channel: Option<&PayerChannel>) -> ComparisonResult {
    let Some(channel) = channel else {
        return match record.scheme {
            PaymentScheme::Exact => {
                ComparisonResult::Unknown("an `exact` payment has no voucher".to_owned())
            }
            PaymentScheme::BatchSettlement => {
                ComparisonResult::Unknown("its channel was not opened from here".to_owned())
            }
        };
    };
    let max = record.before.saturating_add(record.quote);
    let bytes = alloy::hex::decode(&record.signature).unwrap_or_default();
    match check_voucher(channel, max, &bytes.into()) {
        Ok(()) => ComparisonResult::Fits,
        Err(problem) => ComparisonResult::Differs(problem),
    }
}

/// How many seconds before a payment the search for its transaction starts, because clocks differ.
const EARLIER: u64 = 24 * 3600;

/// The most that all calls of a channel may have cost by our own records: the charged amounts, plus
/// the quotes of payments without an answer.
pub fn agreed(spendings: &[PaymentRecord], charge: &CallCharge) -> Amount {
    let of_channel = spendings
        .iter()
        .filter(|it| (it.chain_id, it.word) == (charge.chain_id, charge.id));
    let cost = of_channel.map(|it| match it.status {
        PaymentStatus::Charged { amount } => amount,
        PaymentStatus::Open => it.quote,
        PaymentStatus::Void => Amount::ZERO,
    });
    cost.sum()
}

/// Compares a charge with the chain's state of its channel or authorization. `agreed` is the most
/// that all calls of the channel may have cost.
pub async fn against_chain(
    charge: &CallCharge,
    record: &PaymentRecord,
    agreed: Amount,
    chain: &Chain,
    money: AmountFormat<'_>,
) -> Result<ComparisonLine, PayerError> {
    let finding = match charge.scheme {
        PaymentScheme::Exact => transferred(charge, record, chain, money).await?,
        PaymentScheme::BatchSettlement => {
            let held = chain::channel_balance(chain, charge.id).await?;
            // Vouchers allow for more than calls cost, so a seller could claim more than it charged.
            compare_result((held.claimed > agreed).then(|| {
                let (claimed, agreed) = (money(held.claimed), money(agreed));
                format!("{claimed} of the channel are claimed, more than {agreed} charged")
            }))
        }
    };
    Ok(("chain", finding))
}

/// A cancelled authorization counts as used too, so the transfer itself is looked for.
async fn transferred(
    charge: &CallCharge,
    record: &PaymentRecord,
    chain: &Chain,
    money: AmountFormat<'_>,
) -> Result<ComparisonResult, PayerError> {
    if !chain::is_used(chain, charge.token, charge.payer, charge.id).await? {
        let problem = "the chain has not seen its authorization";
        return Ok(ComparisonResult::Differs(problem.to_owned()));
    }
    let since = (record.time_ms / 1_000).saturating_sub(EARLIER);
    let moved = chain::transfers_by(chain, charge.token, charge.payer, charge.id, since).await?;
    let (receiver, quote) = (record.receiver, record.quote);
    Ok(compare_result((!moved.contains(&(receiver, quote))).then(|| {
        let shown = moved.iter().map(|(to, amount)| format!("{} to {to}", money(*amount)));
        let shown: Vec<String> = shown.collect();
        let shown = match shown.is_empty() {
            true => "none".to_owned(),
            false => shown.join(", "),
        };
        format!("its authorization was used: expected a transfer of {} to {receiver}, found {shown}", money(quote))
    })))
}
