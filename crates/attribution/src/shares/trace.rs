//! Evidence from spans. Only owners whose data influenced the answer gain from it, and its weight
//! is at most the part of the answer that the spans cover.

use super::{
    ShareEvidence, SharedSpan, WHOLE,
    credit::ClusterCredits,
    divide::{self, OwnerGroups},
};

/// Shorter spans are common phrases.
pub const LEAST_SPAN: u32 = 6;
/// The maximum weight of spans in the evidence, in millionths.
pub const TRACE_CEILING: u64 = 500_000;

/// Fixed-point unit of span weights.
const UNIT: u128 = 1 << 32;

pub(super) struct TraceShares {
    /// By owner, in units of [`divide::ONE`].
    pub parts: Vec<u128>,
    /// Their weight in the evidence.
    pub ppm: u32,
}

/// The weight of a span is its length divided by the number of documents that contain it. Each
/// original among them that influenced the answer gets one document's part, so copies earn nothing
/// more. Only that part of the span counts as covered, so a phrase that occurs everywhere, or in
/// documents without influence, has almost no weight.
pub(super) fn weigh_spans(
    owners: &OwnerGroups<'_>,
    evidence: &ShareEvidence<'_>,
    credits: &ClusterCredits,
) -> TraceShares {
    let mut sums = vec![0_u128; owners.count()];
    let mut covered = vec![0_u64; evidence.answer_tokens as usize];
    for span in evidence.spans.iter().filter(|it| it.tokens >= LEAST_SPAN) {
        let originals = clusters(span, credits);
        let documents = documents(span, &originals).max(1);
        let weight = u128::from(span.tokens) * UNIT / documents;
        let mut counted = 0;
        for at in originals {
            let original = credits.originals[at];
            let owner = owners
                .open(original.contributor)
                .filter(|_| original.credit > 0);
            if let Some(owner) = owner {
                sums[owner] += weight;
                counted += 1;
            }
        }
        let part = u64::try_from(counted * u128::from(WHOLE) / documents).unwrap_or(WHOLE);
        let held = covered.iter_mut().skip(span.start as usize);
        held.take(span.tokens as usize)
            .for_each(|it| *it = part.min(WHOLE).max(*it));
    }
    let of = u64::from(evidence.answer_tokens).max(1);
    let share = covered.iter().sum::<u64>() / of * TRACE_CEILING / WHOLE;
    TraceShares {
        parts: divide::normalised(&sums),
        ppm: u32::try_from(share).unwrap_or(0),
    }
}

/// Places of the originals that a span stands in, each once.
fn clusters(span: &SharedSpan, credits: &ClusterCredits) -> Vec<usize> {
    let places = span.examples.iter();
    let mut found: Vec<usize> = places
        .filter_map(|example| credits.place.get(*example as usize).copied())
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// Copies do not make a phrase common. If not all documents are listed, copies cannot be
/// recognised.
fn documents(span: &SharedSpan, originals: &[usize]) -> u128 {
    let listed = span.examples.len() as u128;
    match u128::from(span.documents) > listed {
        true => u128::from(span.documents),
        false => originals.len() as u128,
    }
}
