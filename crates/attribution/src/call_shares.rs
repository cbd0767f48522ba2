//! The final attribution of a call from its evidence. The server that records it and the auditor
//! that recomputes it from the published log use the same function.

use super::{
    attribution_index::{self, AttributionIndex},
    shares::{
        Contributor, OwnerShare, ShareEvidence, ShareFallback, ShareOutcome, ShareTable,
        divide_call,
    },
};
use openlora_core::Address;
use openlora_ledger::event::{ContributorShare, ShapingExample, TracedSpan};

/// The inputs of a call's shares besides the sketch.
#[derive(Clone, Copy, Debug)]
pub struct ShareInputs<'a> {
    pub event: [u8; 32],
    pub payer: Option<Address>,
    pub spans: &'a [TracedSpan],
    pub answer_tokens: u32,
}

/// The shares with or without a sketch.
pub fn by_sketch(
    contributors: &[Contributor],
    known: ShareInputs<'_>,
    sketch: Result<(&dyn AttributionIndex, &str), ShareFallback>,
) -> ShareOutcome {
    let table = ShareTable {
        event: known.event,
        contributors,
        payer: known.payer,
    };
    let (index, scores) =
        match sketch.and_then(|(it, sketch)| Ok((it, attribution_index::scores(it, sketch)?))) {
            Ok(found) => found,
            Err(fallback) => return divide_call(&table, Err(fallback)),
        };
    let spans = attribution_index::spans_from_event(index, known.spans);
    let evidence = ShareEvidence {
        examples: index.examples(),
        scores: &scores,
        spans: &spans,
        answer_tokens: known.answer_tokens,
    };
    divide_call(&table, Ok(&evidence))
}

/// Shares in the form of events.
pub fn shares_to_event(
    contributors: &[Contributor],
    shares: &[OwnerShare],
) -> Vec<ContributorShare> {
    let told = |share: &OwnerShare| {
        let contributor = contributors.get(share.contributor)?;
        Some(ContributorShare {
            contributor: contributor.name.clone(),
            address: contributor.address,
            ppm: share.ppm,
        })
    };
    shares.iter().filter_map(told).collect()
}

/// The examples with the most credit, in the form of events.
pub fn shaping(
    contributors: &[Contributor],
    index: &dyn AttributionIndex,
    settled: &ShareOutcome,
) -> Vec<ShapingExample> {
    let told = |(example, ppm): &(usize, u32)| {
        let contributor = index.examples().get(*example)?.contributor as usize;
        Some(ShapingExample {
            example: index.content(*example),
            contributor: contributors.get(contributor)?.name.clone(),
            ppm: *ppm,
        })
    };
    settled.examples.iter().filter_map(told).collect()
}
