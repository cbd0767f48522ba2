//! Fixed-point shares of beneficial owners, and their rounding to millionths.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::{Contributor, OwnerShare, ShareTable, WHOLE, credit::ClusterCredits};
use openlora_core::Address;

/// The value of a whole share before rounding.
pub const ONE: u128 = 1_000_000_000_000_000_000;

/// Contributors grouped by beneficial owner.
pub(super) struct OwnerGroups<'a> {
    /// The owner of each contributor.
    owner: Vec<usize>,
    owners: Vec<ShareOwner<'a>>,
}

struct ShareOwner<'a> {
    /// Its first contributor.
    contributor: usize,
    /// Its identity.
    identity: OwnerIdentity<'a>,
    rest: u128,
    barred: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum OwnerIdentity<'a> {
    Account(Address),
    Name(&'a str),
}

impl OwnerIdentity<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Account(address) => &address.0,
            Self::Name(name) => name.as_bytes(),
        }
    }
}

impl<'a> OwnerGroups<'a> {
    pub fn from_table(table: &ShareTable<'a>) -> Self {
        let mut owners: Vec<ShareOwner<'a>> = Vec::new();
        let mut owner = Vec::with_capacity(table.contributors.len());
        let mut places: BTreeMap<OwnerIdentity<'_>, usize> = BTreeMap::new();
        for (index, contributor) in table.contributors.iter().enumerate() {
            let identity = identity(contributor);
            let at = *places.entry(identity).or_insert_with(|| {
                owners.push(ShareOwner {
                    contributor: index,
                    identity,
                    rest: 0,
                    barred: false,
                });
                owners.len() - 1
            });
            owners[at].rest += u128::from(contributor.static_ppm);
            owner.push(at);
        }
        let mut found = Self { owner, owners };
        found.bar(table);
        found
    }

    /// Excludes from a paid call its payer and owners that cannot be paid, unless no owner with a
    /// static share would remain. An owner that has only copies does not count as remaining, and
    /// takes no share in the payer's place.
    fn bar(&mut self, table: &ShareTable<'_>) {
        let Some(payer) = table.payer else { return };
        let mut payable = vec![false; self.owners.len()];
        let mut paying = vec![false; self.owners.len()];
        for (contributor, at) in table.contributors.iter().zip(&self.owner) {
            payable[*at] |= contributor.address.is_some();
            paying[*at] |= contributor.address == Some(payer) || contributor.owner == Some(payer);
        }
        let open = |at: usize| payable[at] && !paying[at];
        let unrated = self.owners.iter().all(|owner| owner.rest == 0);
        let others =
            (0..self.owners.len()).any(|at| open(at) && (unrated || self.owners[at].rest > 0));
        let anybody = payable.iter().any(|it| *it);
        for (at, owner) in self.owners.iter_mut().enumerate() {
            owner.barred = match (others, anybody) {
                (true, _) => !open(at),
                (false, true) => !payable[at],
                (false, false) => false,
            };
        }
    }

    pub fn contributor_count(&self) -> usize {
        self.owner.len()
    }

    pub fn count(&self) -> usize {
        self.owners.len()
    }

    /// The owner of a contributor, if it is eligible.
    pub fn open(&self, contributor: u32) -> Option<usize> {
        let at = *self.owner.get(contributor as usize)?;
        (!self.owners[at].barred).then_some(at)
    }

    /// Shares by credit; all zero if no eligible owner has credit.
    pub fn of_credits(&self, credits: &ClusterCredits) -> Vec<u128> {
        let mut sums = vec![0_u128; self.count()];
        for original in &credits.originals {
            if let Some(at) = self.open(original.contributor) {
                sums[at] += original.credit;
            }
        }
        normalised(&sums)
    }

    /// The largest owner's sum of scores divided by the sum of all absolute scores.
    pub fn confidence(&self, credits: &ClusterCredits) -> u32 {
        let mut sums = vec![0_i128; self.count()];
        for original in &credits.originals {
            if let Some(at) = self.owner.get(original.contributor as usize) {
                sums[*at] += original.score;
            }
        }
        let all: u128 = sums.iter().map(|sum| sum.unsigned_abs()).sum();
        let best = sums
            .iter()
            .copied()
            .max()
            .unwrap_or(0)
            .max(0)
            .unsigned_abs();
        let shift = 128_u32.saturating_sub(all.leading_zeros() + 100);
        let ppm = ((best >> shift) * u128::from(WHOLE)).checked_div(all >> shift);
        u32::try_from(ppm.unwrap_or(0)).unwrap_or(WHOLE as u32)
    }

    /// The static shares; equal ones if no eligible owner has a static share.
    pub fn static_parts(&self) -> Vec<u128> {
        let weights = |of: fn(&ShareOwner<'_>) -> u128| -> Vec<u128> {
            let each = self.owners.iter();
            each.map(|it| if it.barred { 0 } else { of(it) }).collect()
        };
        let rest = normalised(&weights(|owner| owner.rest));
        match rest.iter().any(|part| *part > 0) {
            true => rest,
            false => normalised(&weights(|_| 1)),
        }
    }

    /// A blend of evidence with weight `ppm` and the static shares with the rest.
    pub fn shrunk(&self, found: &[u128], ppm: u128) -> Vec<u128> {
        blend(found, &self.static_parts(), ppm)
    }

    /// Millionths by largest remainder. Ties go to the owner with the smaller hash with the event,
    /// which only the choice of the event could influence.
    pub fn rounded(&self, weights: &[u128], event: &[u8; 32]) -> Vec<OwnerShare> {
        let total: u128 = weights.iter().sum();
        if total == 0 {
            return Vec::new();
        }
        // Weights are below 2^80, so a factor of a million fits.
        let exact = |weight: u128| weight * u128::from(WHOLE);
        let mut parts: Vec<u128> = weights.iter().map(|it| exact(*it) / total).collect();
        let left = u128::from(WHOLE) - parts.iter().sum::<u128>();
        let mut order: Vec<usize> = (0..parts.len()).filter(|at| weights[*at] > 0).collect();
        order.sort_by_key(|at| {
            let remainder = exact(weights[*at]) % total;
            (std::cmp::Reverse(remainder), self.lot(*at, event))
        });
        for at in order.into_iter().take(usize::try_from(left).unwrap_or(0)) {
            parts[at] += 1;
        }
        let shares = self.owners.iter().zip(parts);
        let shares = shares.filter(|(_, part)| *part > 0);
        shares
            .map(|(owner, part)| OwnerShare {
                contributor: owner.contributor,
                ppm: u32::try_from(part).unwrap_or(0),
            })
            .collect()
    }

    fn lot(&self, at: usize, event: &[u8; 32]) -> [u8; 32] {
        let identity = self.owners[at].identity;
        let hash = Sha256::new().chain_update(event);
        hash.chain_update(identity.bytes()).finalize().into()
    }
}

fn identity(contributor: &Contributor) -> OwnerIdentity<'_> {
    match contributor.owner.or(contributor.address) {
        Some(account) => OwnerIdentity::Account(account),
        None => OwnerIdentity::Name(&contributor.name),
    }
}

/// Weights as fractions of [`ONE`], rounded down.
pub(super) fn normalised(weights: &[u128]) -> Vec<u128> {
    let total: u128 = weights.iter().sum();
    // The whole has 60 bits, which leaves 68 for a weight.
    let shift = 128_u32.saturating_sub(total.leading_zeros() + 66);
    let total = total >> shift;
    let part = |weight: &u128| ((weight >> shift) * ONE).checked_div(total).unwrap_or(0);
    weights.iter().map(part).collect()
}

/// A blend of `one` with weight `ppm` and `other` with the rest.
pub(super) fn blend(one: &[u128], other: &[u128], ppm: u128) -> Vec<u128> {
    let whole = u128::from(WHOLE);
    let both = one.iter().zip(other);
    both.map(|(a, b)| (a * ppm + b * (whole - ppm)) / whole)
        .collect()
}
