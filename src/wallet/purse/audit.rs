//! Whether a receipt says what we signed and the chain shows.

use super::{Channel, Fate, PurseError, Spending, chain, resync::check_voucher};
use crate::{
    runtime::ledger::{Amount, Charge, Scheme},
    wallet::provider::Chain,
};

/// What one comparison found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    Fits,
    Differs(String),
    /// What it needs is not here.
    Unknown(String),
}

/// A comparison's name and what it found.
pub type Line = (&'static str, Finding);

fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: &T, signed: &T) -> Option<String> {
    (found != signed).then(|| format!("`{what}`: expected {signed:?}, found {found:?}"))
}

/// Compares a receipt's charge with our own signature for the call.
pub fn against_signature(
    charge: &Charge,
    spending: &Spending,
    channel: Option<&Channel>,
) -> Vec<Line> {
    let parties = [
        same("scheme", &charge.scheme, &spending.scheme),
        same("chain_id", &charge.chain_id, &spending.chain_id),
        same("token", &charge.token, &spending.token),
        same("receiver", &charge.receiver, &spending.receiver),
        same("payer", &charge.payer, &spending.payer),
        same("id", &charge.id, &spending.word),
    ];
    let differs: Vec<String> = parties.into_iter().flatten().collect();
    let limit = spending.quote;
    let amount = charge.amount;
    let total = spending.before.saturating_add(amount);
    vec![
        ("parties", found(differs.first().cloned())),
        (
            "limit",
            found((amount > limit).then(|| format!("{amount} is more than {limit} signed for"))),
        ),
        (
            "total",
            found(same("cumulative", &charge.cumulative, &total)),
        ),
        ("signature", signature(spending, channel)),
    ]
}

fn found(problem: Option<String>) -> Finding {
    problem.map_or(Finding::Fits, Finding::Differs)
}

fn signature(spending: &Spending, channel: Option<&Channel>) -> Finding {
    let Some(channel) = channel else {
        return match spending.scheme {
            Scheme::Exact => Finding::Unknown("an `exact` payment has no voucher".to_owned()),
            Scheme::BatchSettlement => {
                Finding::Unknown("its channel is not in the purse".to_owned())
            }
        };
    };
    let max = spending.before.saturating_add(spending.quote);
    let bytes = alloy::hex::decode(&spending.signature).unwrap_or_default();
    match check_voucher(channel, max, &bytes.into()) {
        Ok(()) => Finding::Fits,
        Err(problem) => Finding::Differs(problem),
    }
}

/// Seconds before a payment from which its transaction is looked for: clocks differ.
const EARLIER: u64 = 24 * 3600;

/// What all calls of a channel may have cost by our own records: what was charged, and the most
/// that those may cost that nobody has answered for.
pub fn agreed(spendings: &[Spending], charge: &Charge) -> Amount {
    let of_channel = spendings
        .iter()
        .filter(|it| (it.chain_id, it.word) == (charge.chain_id, charge.id));
    let cost = of_channel.map(|it| match it.fate {
        Fate::Charged { amount } => amount,
        Fate::Open => it.quote,
        Fate::Void => Amount::ZERO,
    });
    cost.sum()
}

/// Compares a charge with what the chain shows of its channel or authorization; `agreed` is what
/// all calls of the channel may have cost.
pub async fn against_chain(
    charge: &Charge,
    (spending, agreed): (&Spending, Amount),
    chain: &Chain,
) -> Result<Line, PurseError> {
    let finding = match charge.scheme {
        Scheme::Exact => transferred(charge, spending, chain).await?,
        Scheme::BatchSettlement => {
            let held = chain::held(chain, charge.id).await?;
            // Vouchers allow for more than calls cost, so a seller could claim more than it charged.
            found((held.claimed > agreed).then(|| {
                let claimed = held.claimed;
                format!("{claimed} of the channel are claimed, more than {agreed} charged")
            }))
        }
    };
    Ok(("chain", finding))
}

/// A cancelled authorization counts as used too, so the transfer itself is looked for.
async fn transferred(
    charge: &Charge,
    spending: &Spending,
    chain: &Chain,
) -> Result<Finding, PurseError> {
    if !chain::is_used(chain, charge.token, charge.payer, charge.id).await? {
        let problem = "the chain has not seen its authorization";
        return Ok(Finding::Differs(problem.to_owned()));
    }
    let since = (spending.time_ms / 1_000).saturating_sub(EARLIER);
    let authorization = (charge.token, charge.payer, charge.id);
    let moved = chain::transfers_by(chain, authorization, since).await?;
    let (receiver, quote) = (spending.receiver, spending.quote);
    Ok(found((!moved.contains(&(receiver, quote))).then(|| {
        let shown = moved.iter().map(|(to, amount)| format!("{amount} to {to}"));
        let shown: Vec<String> = shown.collect();
        let shown = match shown.is_empty() {
            true => "none".to_owned(),
            false => shown.join(", "),
        };
        format!("its authorization was used: expected a transfer of {quote} to {receiver}, found {shown}")
    })))
}
