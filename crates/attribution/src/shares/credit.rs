//! The credit of each cluster of near-duplicates, from scores.
//!
//! Only the score of a cluster's original counts, so copies earn nothing and change nothing. The
//! noise is the median absolute deviation from zero, the score of an example without influence. The
//! excess over three times the noise counts, so raising a counted score never moves the noise. The
//! excess is squared, because the quality that an answer loses without its examples grows faster
//! than their scores; the ground-truth bench, which leaves contributors out, shows this. The
//! influence of a single example is bounded where rows are built, by
//! [`LEVERAGE`](openlora_influence::LEVERAGE).

use super::{ClusterExample, ShareFallback, WHOLE};

/// Credit starts above this multiple of the noise.
pub const CLIP: u128 = 3;

/// The largest absolute score that is summed; the sum of four billion of them still fits.
const LARGEST: u128 = 1 << 90;

/// Bits of an excess before squaring; the sum of four billion squares still fits.
const PRECISION: u32 = 47;

/// A cluster's original.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClusterCredit {
    /// Index of the original.
    pub example: usize,
    pub contributor: u32,
    pub score: i128,
    /// The score's excess over the noise threshold.
    pub excess: u128,
    /// The square of the excess, in a unit that is only meaningful within one call.
    pub credit: u128,
}

/// The credit of every cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterCredits {
    /// In the order of the originals.
    pub originals: Vec<ClusterCredit>,
    /// Position of each example's cluster among the originals.
    pub place: Vec<usize>,
    pub noise: u128,
}

/// Clips the scores of clusters.
///
/// # Errors
///
/// The number of scores differs from the number of examples, or a score is out of range.
pub fn credits(
    examples: &[ClusterExample],
    scores: &[i128],
) -> Result<ClusterCredits, ShareFallback> {
    if examples.len() != scores.len() {
        return Err(ShareFallback::Mismatch);
    }
    if scores.iter().any(|score| score.unsigned_abs() > LARGEST) {
        return Err(ShareFallback::OutOfRange);
    }
    let mut found = originals(examples, scores);
    let noise = noise(found.originals.iter().map(|it| it.score));
    found.noise = noise;
    for original in &mut found.originals {
        let positive = u128::try_from(original.score).unwrap_or(0);
        original.excess = positive.saturating_sub(CLIP * noise);
    }
    let largest = found.originals.iter().map(|it| it.excess).max();
    let bits = 128 - largest.unwrap_or(0).leading_zeros();
    let shift = bits.saturating_sub(PRECISION);
    for original in &mut found.originals {
        original.credit = (original.excess >> shift).pow(2);
    }
    Ok(found)
}

fn originals(examples: &[ClusterExample], scores: &[i128]) -> ClusterCredits {
    let mut first = std::collections::BTreeMap::new();
    let mut originals = Vec::new();
    let mut place = Vec::with_capacity(examples.len());
    for (index, (example, score)) in examples.iter().zip(scores).enumerate() {
        let at = *first.entry(example.cluster).or_insert_with(|| {
            originals.push(ClusterCredit {
                example: index,
                contributor: example.contributor,
                score: *score,
                excess: 0,
                credit: 0,
            });
            originals.len() - 1
        });
        place.push(at);
    }
    ClusterCredits {
        originals,
        place,
        noise: 0,
    }
}

/// The lower median of the absolute scores; zero of none.
pub fn noise(scores: impl Iterator<Item = i128>) -> u128 {
    let mut sizes: Vec<u128> = scores.map(i128::unsigned_abs).collect();
    if sizes.is_empty() {
        return 0;
    }
    let middle = (sizes.len() - 1) / 2;
    *sizes.select_nth_unstable(middle).1
}

impl ClusterCredits {
    /// Equal credit for every original, before anything is scored.
    pub fn equal(examples: &[ClusterExample]) -> Self {
        let mut found = originals(examples, &vec![0; examples.len()]);
        found.originals.iter_mut().for_each(|it| it.credit = 1);
        found
    }

    pub fn total(&self) -> u128 {
        self.originals.iter().map(|it| it.credit).sum()
    }

    /// The part of the total score that exceeds the noise. It is computed over whole clusters, so
    /// neither copies nor the division of data among names change it.
    pub fn strength_ppm(&self) -> u64 {
        let above: u128 = self.originals.iter().map(|it| it.excess).sum();
        let sizes = self.originals.iter().map(|it| it.score.unsigned_abs());
        let all: u128 = sizes.sum();
        // Fewer than 2^32 scores below 2^90 leave room for a factor of 2^6; a shift makes room for
        // more.
        let shift = 128_u32.saturating_sub(all.leading_zeros() + 100);
        let ppm = ((above >> shift) * u128::from(WHOLE)).checked_div(all >> shift);
        u64::try_from(ppm.unwrap_or(0)).unwrap_or(WHOLE)
    }

    /// The examples with the most credit, and their share of the total credit in millionths.
    pub fn largest(&self, count: usize) -> Vec<(usize, u32)> {
        let total = self.total();
        let mut order: Vec<&ClusterCredit> =
            self.originals.iter().filter(|it| it.credit > 0).collect();
        order.sort_by_key(|it| (std::cmp::Reverse(it.credit), it.example));
        let shift = 128_u32.saturating_sub(total.leading_zeros() + 100);
        let ppm = |it: &ClusterCredit| {
            ((it.credit >> shift) * u128::from(WHOLE)).checked_div(total >> shift)
        };
        let named = order.into_iter().take(count);
        named
            .map(|it| (it.example, u32::try_from(ppm(it).unwrap_or(0)).unwrap_or(0)))
            .collect()
    }
}
