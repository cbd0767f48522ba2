//! Pairs of consecutive tokens that an answer shares with training examples.
//!
//! A pair counts for every example that contains it, with one divided by the number of such
//! examples. Of near-duplicates only the first counts, so copies neither gain nor make a pair
//! common. Tokens that the answer repeats from its prompt do not count. An example's weight is the
//! square root of its sum, so that an example stuffed with pairs gains little over one that has a
//! good part of them. The result is a list of integers, the same on every machine, and is kept with
//! the sketch, because the tokens of a call are not published:
//!
//! ```text
//! u8 version (1)
//! per example, ascending: u32 example  u16 weight
//! ```

use std::collections::HashMap;

use openlora_attribution::shares::CLIP;

use super::{error::IndexError, trace::TrainingCorpus};

/// Version of counting and weighing, in the parameters of an index.
pub const PAIRS_VERSION: u32 = 1;
const VERSION: u8 = 1;
const ENTRY: usize = 6;
/// Examples that are listed; others share almost nothing.
const LISTED: usize = 256;
/// What an example without shared pairs has beside [`PairOverlap::WHOLE`].
const FLOOR: i128 = 3_277;
/// Weight of a pair that one example has.
const UNIT: u64 = 1 << 24;

/// The examples that share the rarest pairs with an answer, ascending, and their weights relative
/// to the largest, which is [`PairOverlap::WHOLE`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PairOverlap(Vec<(u32, u16)>);

impl PairOverlap {
    /// The largest weight.
    pub const WHOLE: u16 = u16::MAX;

    /// The overlaps of an answer given as numbers of the corpus, 0 for what does not count.
    pub fn count(corpus: TrainingCorpus<'_>, answer: &[u16], originals: &[bool]) -> Self {
        let pairs = AnswerPairs::new(answer);
        let mut holders = vec![0u64; pairs.places.len()];
        pairs.in_originals(corpus, originals, &mut |pair, _| holders[pair] += 1);
        let mut sums: HashMap<u32, u64> = HashMap::new();
        pairs.in_originals(corpus, originals, &mut |pair, example| {
            *sums.entry(example).or_default() += UNIT / holders[pair].max(1);
        });
        Self::largest(sums)
    }

    fn largest(sums: HashMap<u32, u64>) -> Self {
        let mut found: Vec<(u32, u64)> = sums.into_iter().filter(|(_, sum)| *sum > 0).collect();
        found.sort_unstable_by_key(|(example, sum)| (std::cmp::Reverse(*sum), *example));
        found.truncate(LISTED);
        let most = found.first().map_or(1, |(_, sum)| *sum);
        let square = u128::from(Self::WHOLE).pow(2);
        let weight = |sum: u64| (u128::from(sum) * square / u128::from(most)).isqrt() as u16;
        let mut listed: Vec<(u32, u16)> = found
            .into_iter()
            .map(|(example, sum)| (example, weight(sum)))
            .filter(|(_, weight)| *weight > 0)
            .collect();
        listed.sort_unstable();
        Self(listed)
    }

    /// Example and weight, ascending by example.
    pub fn weights(&self) -> &[(u32, u16)] {
        &self.0
    }

    /// Multiplies the part of each score that exceeds the threshold of `noise` (the median absolute
    /// score of the originals) with a factor between a floor and 1 that grows with the example's
    /// weight. What the threshold leaves out stays as it is, and so does the noise of the scores:
    /// shared pairs decide between examples that helped, and give no share to others.
    ///
    /// # Errors
    ///
    /// An example is listed that has no score.
    pub fn weigh(&self, scores: &mut [i128], noise: u128) -> Result<(), IndexError> {
        let most = i128::from(Self::WHOLE);
        let threshold = i128::try_from(noise.saturating_mul(CLIP)).unwrap_or(i128::MAX);
        let mut factors = vec![FLOOR; scores.len()];
        for (example, weight) in &self.0 {
            let factor = factors.get_mut(*example as usize);
            let factor = factor.ok_or_else(|| IndexError::Sketch {
                expected: format!("{} examples", scores.len()),
                found: format!("shared pairs with example {example}"),
            })?;
            *factor += i128::from(*weight);
        }
        for (score, factor) in scores.iter_mut().zip(factors) {
            if *score > threshold {
                *score = threshold + (*score - threshold) * factor / (FLOOR + most);
            }
        }
        Ok(())
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        for (example, weight) in &self.0 {
            bytes.extend_from_slice(&example.to_le_bytes());
            bytes.extend_from_slice(&weight.to_le_bytes());
        }
        bytes
    }

    /// # Errors
    ///
    /// Another version, a torn entry, or examples that do not ascend.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, IndexError> {
        let bad = |expected: &str| IndexError::Sketch {
            expected: expected.to_owned(),
            found: format!("{} bytes", bytes.len()),
        };
        let [VERSION, rest @ ..] = bytes else {
            return Err(bad("version 1 of the shared pairs"));
        };
        if rest.len() % ENTRY != 0 {
            return Err(bad("6 bytes for each example with shared pairs"));
        }
        let read = |entry: &[u8]| {
            let example = u32::from_le_bytes([entry[0], entry[1], entry[2], entry[3]]);
            (example, u16::from_le_bytes([entry[4], entry[5]]))
        };
        let listed: Vec<(u32, u16)> = rest.chunks_exact(ENTRY).map(read).collect();
        match listed.is_sorted_by(|one, next| one.0 < next.0) {
            true => Ok(Self(listed)),
            false => Err(bad("examples with shared pairs in ascending order")),
        }
    }
}

/// The distinct pairs of an answer.
struct AnswerPairs {
    places: HashMap<[u16; 2], usize>,
    /// Whether a token starts a pair, by its number.
    starts: Vec<bool>,
}

impl AnswerPairs {
    fn new(answer: &[u16]) -> Self {
        let mut places = HashMap::new();
        for pair in answer.windows(2).filter(|pair| !pair.contains(&0)) {
            let next = places.len();
            places.entry([pair[0], pair[1]]).or_insert(next);
        }
        let mut starts = vec![false; usize::from(u16::MAX) + 1];
        places
            .keys()
            .for_each(|pair: &[u16; 2]| starts[usize::from(pair[0])] = true);
        Self { places, starts }
    }

    /// Calls `found` once for each pair of each original example.
    fn in_originals(
        &self,
        corpus: TrainingCorpus<'_>,
        originals: &[bool],
        found: &mut dyn FnMut(usize, u32),
    ) {
        let mut seen = vec![u32::MAX; self.places.len()];
        let ends = corpus.starts.iter().skip(1).map(|start| *start as usize);
        let ends = ends.chain([corpus.text.len()]);
        for ((example, start), (end, original)) in
            (0u32..).zip(corpus.starts).zip(ends.zip(originals))
        {
            // The separator behind a document is 0, which starts and ends no pair.
            let text = &corpus.text[*start as usize..end];
            for pair in text.windows(2).filter(|_| *original) {
                if self.starts[usize::from(pair[0])]
                    && let Some(at) = self.places.get(&[pair[0], pair[1]])
                    && seen[*at] != example
                {
                    seen[*at] = example;
                    found(*at, example);
                }
            }
        }
    }
}
