//! The division of a call's charge among the recipients of its splitter, exact to a millionth of a
//! base unit.

use sha2::{Digest, Sha256};

use super::{CallCharge, ReceiverKey, WHOLE_PPM};
use crate::event::{AttributedAmount, ContributorShare, SplitPart, SplitRead};
use openlora_core::Amount;

/// Role of the only recipient that the splitter pays directly.
const CREATOR: &str = "creator";
/// Role of each such recipient if there are several.
const RECIPIENT: &str = "recipient";
/// Role used if the recipients behind the receiver are unknown.
const RECEIVER: &str = "receiver";

/// Divides a charge. The share of every recipient is a whole number of millionths, so only a pool's
/// share is rounded further: by largest remainder; ties go to the smaller hash of contributor and
/// event. The parts sum to a million times the charge.
pub fn divide(
    charge: &CallCharge,
    split: Option<&SplitRead>,
    shares: &[ContributorShare],
    event: &[u8; 32],
) -> Vec<AttributedAmount> {
    let Some(split) = split else {
        return vec![AttributedAmount {
            recipient: RECEIVER.to_owned(),
            address: Some(charge.receiver),
            pool: None,
            micro: millionths(charge.amount, WHOLE_PPM),
        }];
    };
    let direct = split.parts.iter().filter(|it| it.members.is_empty());
    let role = match direct.count() {
        1 => CREATOR,
        _ => RECIPIENT,
    };
    let mut amounts = Vec::new();
    for part in &split.parts {
        let micro = millionths(charge.amount, u64::from(part.ppm));
        if part.members.is_empty() || shares.is_empty() {
            amounts.push(AttributedAmount {
                recipient: role.to_owned(),
                address: Some(part.recipient),
                pool: None,
                micro,
            });
        } else {
            amounts.extend(pooled(charge, part, micro, shares, event));
        }
    }
    amounts.retain(|it| !it.micro.is_zero());
    amounts
}

/// `ppm` millionths of an amount, in millionths of a base unit.
fn millionths(amount: Amount, ppm: u64) -> Amount {
    Amount(amount.0.saturating_mul(u128::from(ppm)))
}

fn pooled(
    charge: &CallCharge,
    part: &SplitPart,
    micro: Amount,
    shares: &[ContributorShare],
    event: &[u8; 32],
) -> Vec<AttributedAmount> {
    let whole = u128::from(WHOLE_PPM);
    let floor = |ppm: u32| {
        let ppm = u128::from(ppm);
        (micro.0 / whole * ppm) + (micro.0 % whole * ppm / whole)
    };
    let mut parts: Vec<u128> = shares.iter().map(|share| floor(share.ppm)).collect();
    let left = micro.0.saturating_sub(parts.iter().sum());
    let mut order: Vec<usize> = (0..shares.len()).filter(|at| shares[*at].ppm > 0).collect();
    order.sort_by_key(|at| {
        let share = &shares[*at];
        let remainder = micro.0 % whole * u128::from(share.ppm) % whole;
        (std::cmp::Reverse(remainder), lot(share, event))
    });
    for at in order.into_iter().take(usize::try_from(left).unwrap_or(0)) {
        parts[at] += 1;
    }
    let pool = ReceiverKey {
        receiver: part.recipient,
        ..charge.receiver_key()
    };
    let both = shares.iter().zip(parts);
    both.map(|(share, micro)| AttributedAmount {
        recipient: share.contributor.clone(),
        address: share.address,
        pool: Some(pool),
        micro: Amount(micro),
    })
    .collect()
}

fn lot(share: &ContributorShare, event: &[u8; 32]) -> [u8; 32] {
    let hash = Sha256::new().chain_update(event);
    let hash = match &share.address {
        Some(address) => hash.chain_update(address.0),
        None => hash.chain_update(&share.contributor),
    };
    hash.finalize().into()
}
