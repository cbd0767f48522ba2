//! What the spans say: never for anybody whose data has no influence on the answer, and at most so
//! much of the evidence as they cover of the answer.

use super::{
    ShareEvidence, SharedSpan, WHOLE,
    credit::ClusterCredits,
    divide::{self, OwnerGroups},
};

/// Shorter spans are everybody's.
pub const LEAST_SPAN: u32 = 6;
/// The most of the evidence that spans may decide, in millionths.
pub const TRACE_CEILING: u64 = 500_000;

/// Weights of spans are counted in parts of this.
const UNIT: u128 = 1 << 32;

pub(super) struct TraceShares {
    /// By owner, in units of [`divide::ONE`].
    pub parts: Vec<u128>,
    /// How much of the evidence they decide.
    pub ppm: u32,
}

/// A span's weight is its length over the number of documents that hold it. Each original among
/// them that influenced the answer gets one document's part, so that copies pay nobody more; and
/// only that part of the span counts as covered, so that a phrase which stands everywhere, or in
/// documents of no influence, decides next to nothing.
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

/// Copies do not make a phrase common; where not all documents are listed, they cannot be told.
fn documents(span: &SharedSpan, originals: &[usize]) -> u128 {
    let listed = span.examples.len() as u128;
    match u128::from(span.documents) > listed {
        true => u128::from(span.documents),
        false => originals.len() as u128,
    }
}
