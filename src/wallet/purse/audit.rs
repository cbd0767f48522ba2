//! Whether a receipt says what we signed and the chain shows.

use super::{Channel, PurseError, Spending, chain, resync::check_voucher};
use crate::{
    runtime::ledger::{Charge, Scheme},
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

/// Compares a charge with what the chain shows of its channel or authorization.
pub async fn against_chain(
    charge: &Charge,
    channel: Option<&Channel>,
    chain: &Chain,
) -> Result<Line, PurseError> {
    let finding = match charge.scheme {
        Scheme::Exact => {
            let used = chain::is_used(chain, charge.token, charge.payer, charge.id).await?;
            found((!used).then(|| "the chain has not seen its authorization".to_owned()))
        }
        Scheme::BatchSettlement => {
            let held = chain::held(chain, charge.id).await?;
            let signed = channel.and_then(|channel| channel.signed.as_ref());
            let signed = signed.map_or(charge.cumulative, |signed| signed.max);
            found((held.claimed > signed).then(|| {
                let claimed = held.claimed;
                format!("{claimed} of the channel are claimed, more than {signed} signed for")
            }))
        }
    };
    Ok(("chain", finding))
}
