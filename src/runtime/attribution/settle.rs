//! From what is known of a call to its final attribution: the same function for the server that
//! writes it and for whoever recomputes it from the published log.

use super::{
    shares::{Evidence, Fallback, Party, Settled, Share, Table, settle},
    witness::{self, Witness},
};
use crate::runtime::{
    event::{ContributorShare, ShapingExample, TracedSpan},
    ledger::Address,
};

/// What a call's shares are computed from, once the sketch is there.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    pub event: [u8; 32],
    pub payer: Option<Address>,
    pub spans: &'a [TracedSpan],
    pub answer_tokens: u32,
}

/// The shares by a sketch, or by none.
pub fn by_sketch(
    parties: &[Party],
    known: Known<'_>,
    sketch: Result<(&dyn Witness, &str), Fallback>,
) -> Settled {
    let table = Table {
        event: known.event,
        parties,
        payer: known.payer,
    };
    let (witness, scores) =
        match sketch.and_then(|(it, sketch)| Ok((it, witness::scores(it, sketch)?))) {
            Ok(found) => found,
            Err(fallback) => return settle(&table, Err(fallback)),
        };
    let spans = witness::heard(witness, known.spans);
    let evidence = Evidence {
        examples: witness.examples(),
        scores: &scores,
        spans: &spans,
        answer_tokens: known.answer_tokens,
    };
    settle(&table, Ok(&evidence))
}

/// Shares as events tell them.
pub fn told(parties: &[Party], shares: &[Share]) -> Vec<ContributorShare> {
    let told = |share: &Share| {
        let party = parties.get(share.party)?;
        Some(ContributorShare {
            contributor: party.name.clone(),
            address: party.address,
            ppm: share.ppm,
        })
    };
    shares.iter().filter_map(told).collect()
}

/// The examples that counted most, as events tell them.
pub fn shaping(parties: &[Party], witness: &dyn Witness, settled: &Settled) -> Vec<ShapingExample> {
    let told = |(example, ppm): &(usize, u32)| {
        let party = witness.examples().get(*example)?.party as usize;
        Some(ShapingExample {
            example: witness.content(*example),
            contributor: parties.get(party)?.name.clone(),
            ppm: *ppm,
        })
    };
    settled.examples.iter().filter_map(told).collect()
}
