//! Shares in parts per million, which always sum to the whole.

use openlora_core::{Address, exact_percent};

/// The whole, in parts per million.
pub const WHOLE_PPM: u64 = 1_000_000;

/// A recipient's share of the revenue. Without an address it goes to a contract that is not
/// deployed yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevenueShare {
    pub role: String,
    pub address: Option<Address>,
    pub ppm: u64,
}

/// Why shares cannot be paid out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SplitProblem {
    #[error("the shares sum to {} ({shown}), expected 100 %", exact_percent(*found))]
    Sum { found: u64, shown: String },
    #[error("the share of {role} is 0 %, expected at least 0.0001 %")]
    Nothing { role: String },
    #[error("{role} is paid at the zero address, which nobody can spend from")]
    ZeroAddress { role: String },
    #[error("{first} and {second} are paid at the same address {address}")]
    Duplicate {
        first: String,
        second: String,
        address: Address,
    },
}

/// Divides `whole` in proportion to `weights` by largest remainder: every part is rounded down, and
/// the rest is assigned one by one to the largest remainders; ties go to the earlier weight. If all
/// weights are zero, nothing is divided.
pub fn apportion(whole: u64, weights: &[u128]) -> Vec<u64> {
    let total: u128 = weights.iter().sum();
    if total == 0 {
        return vec![0; weights.len()];
    }
    let exact = |weight: &u128| u128::from(whole) * weight;
    // A part never exceeds the whole, so it fits.
    let mut parts: Vec<u64> = weights.iter().map(|w| (exact(w) / total) as u64).collect();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by_key(|index| (std::cmp::Reverse(exact(&weights[*index]) % total), *index));
    let left = (whole - parts.iter().sum::<u64>()) as usize;
    for index in order.into_iter().take(left) {
        parts[index] += 1;
    }
    parts
}

/// Checks that every share has one distinct recipient that can be paid, and that the shares sum to
/// the whole.
pub fn check_split(shares: &[RevenueShare]) -> Result<(), SplitProblem> {
    for (index, share) in shares.iter().enumerate() {
        let role = || share.role.clone();
        if share.ppm == 0 {
            return Err(SplitProblem::Nothing { role: role() });
        }
        let Some(address) = share.address else {
            continue;
        };
        if address.is_zero() {
            return Err(SplitProblem::ZeroAddress { role: role() });
        }
        let earlier = shares[..index].iter().find(|s| s.address == share.address);
        if let Some(first) = earlier {
            return Err(SplitProblem::Duplicate {
                first: first.role.clone(),
                second: role(),
                address,
            });
        }
    }
    let found = shares
        .iter()
        .fold(0u64, |sum, share| sum.saturating_add(share.ppm));
    if found == WHOLE_PPM {
        return Ok(());
    }
    let parts: Vec<String> = shares
        .iter()
        .map(|share| format!("{} {}", share.role, exact_percent(share.ppm)))
        .collect();
    let shown = parts.join(", ");
    Err(SplitProblem::Sum { found, shown })
}
