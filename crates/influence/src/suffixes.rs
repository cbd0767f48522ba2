//! The training text as a suffix array, for finding occurrences of token sequences.
//!
//! Documents are concatenated with a zero between them. Tokens are renumbered to 16 bits; if there
//! are more distinct tokens, the rarest share one number that no search matches. Suffixes with
//! fewer than [`SHORTEST`] tokens left in their document are left out, because no span can start
//! there.

use std::collections::HashMap;

use libsais::SuffixArrayConstruction;

use super::error::AttributionError;

/// Minimum length of a span in tokens.
pub const SHORTEST: usize = 6;

/// Token numbers: 0 separates documents, the last one stands for all rare tokens.
const RARE: u16 = u16::MAX;
const MOST_KINDS: usize = RARE as usize - 1;

/// A searchable text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SuffixArray {
    /// Token ids, ascending; a token's number is its position here plus one.
    pub alphabet: Vec<u32>,
    pub text: Vec<u16>,
    /// Positions in `text`, in the order of their suffixes.
    pub suffixes: Vec<u32>,
    /// `suffixes[firsts[n]..firsts[n + 1]]` start with token number n + 1.
    pub firsts: Vec<u32>,
}

impl SuffixArray {
    pub fn build<'a>(
        documents: impl Iterator<Item = &'a [u32]> + Clone,
    ) -> Result<Self, AttributionError> {
        let alphabet = alphabet(documents.clone());
        let mut text = Vec::new();
        let mut begins = Vec::new();
        for document in documents {
            let count = document.len();
            begins.extend((0..=count).map(|at| at + SHORTEST <= count));
            text.extend(
                document
                    .iter()
                    .map(|token| number(&alphabet, *token).unwrap_or(RARE)),
            );
            text.push(0);
        }
        if text.len() > i32::MAX as usize {
            return Err(AttributionError::TooLarge {
                what: "the suffix array",
                found: text.len() as u64,
                limit: i32::MAX as u64,
            });
        }
        let suffixes = sorted(&text, &begins)?;
        let mut firsts = vec![0u32; alphabet.len() + 1];
        for place in &suffixes {
            let number = usize::from(text[*place as usize]);
            if number <= alphabet.len() {
                firsts[number] += 1;
            }
        }
        let mut sum = 0;
        for first in &mut firsts {
            sum += *first;
            *first = sum;
        }
        Ok(Self {
            alphabet,
            text,
            suffixes,
            firsts,
        })
    }
}

/// The number of a token, if it has one.
pub fn number(alphabet: &[u32], token: u32) -> Option<u16> {
    alphabet
        .binary_search(&token)
        .ok()
        .map(|place| place as u16 + 1)
}

fn alphabet<'a>(documents: impl Iterator<Item = &'a [u32]>) -> Vec<u32> {
    let mut counts: HashMap<u32, u64> = HashMap::new();
    for token in documents.flatten() {
        *counts.entry(*token).or_default() += 1;
    }
    let mut kinds: Vec<(std::cmp::Reverse<u64>, u32)> = counts
        .into_iter()
        .map(|(token, count)| (std::cmp::Reverse(count), token))
        .collect();
    kinds.sort_unstable();
    kinds.truncate(MOST_KINDS);
    let mut alphabet: Vec<u32> = kinds.into_iter().map(|(_, token)| token).collect();
    alphabet.sort_unstable();
    alphabet
}

fn sorted(text: &[u16], begins: &[bool]) -> Result<Vec<u32>, AttributionError> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let too_large = |_| AttributionError::TooLarge {
        what: "the suffix array",
        found: text.len() as u64,
        limit: i32::MAX as u64,
    };
    let sorted = SuffixArrayConstruction::for_text(text)
        .in_owned_buffer32()
        .single_threaded()
        .run()
        .map_err(too_large)?
        .into_vec();
    let kept = sorted.into_iter().map(|place: i32| place as u32);
    Ok(kept.filter(|place| begins[*place as usize]).collect())
}
