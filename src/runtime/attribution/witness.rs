//! What an index can say of a call, whatever it is made of.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    queue::Exchange,
    shares::{Example, Fallback, Party, Span},
};
use crate::runtime::event::{AttributionMethod, TracedSpan};

/// An index over an adapter's training data, bound to the weights that answer.
pub trait Witness: Send + Sync {
    /// SHA-256 of the index, hex.
    fn index(&self) -> &str;

    fn method(&self) -> AttributionMethod;

    /// By party and cluster, in the index's order.
    fn examples(&self) -> &[Example];

    /// SHA-256 of an example, hex.
    fn content(&self, example: usize) -> String;

    /// The first example with this SHA-256.
    fn example(&self, content: &str) -> Option<u32>;

    /// Runs of tokens that an answer shares with the training text and not with its prompt.
    fn trace(&self, exchange: &Exchange) -> Vec<Span>;

    /// The answer's projected gradient, as text. Takes seconds where the base is large.
    fn sketch(&self, exchange: &Exchange) -> Result<String, Fallback>;

    /// Each example's score against a sketch; the same on every machine.
    fn scores(&self, sketch: &str) -> Result<Vec<i128>, Fallback>;
}

/// Between the sketches of a call with several texts.
const AND: &str = ",";

/// The sketches of all texts of a call.
pub fn sketches(witness: &dyn Witness, exchanges: &[Exchange]) -> Result<String, Fallback> {
    let each = exchanges.iter().map(|it| witness.sketch(it));
    Ok(each.collect::<Result<Vec<_>, _>>()?.join(AND))
}

/// The sum of the scores against all sketches of a call.
pub fn scores(witness: &dyn Witness, sketches: &str) -> Result<Vec<i128>, Fallback> {
    let mut sums = vec![0_i128; witness.examples().len()];
    for sketch in sketches.split(AND) {
        let scores = witness.scores(sketch)?;
        if scores.len() != sums.len() {
            return Err(Fallback::Mismatch);
        }
        for (sum, score) in sums.iter_mut().zip(scores) {
            *sum = sum.checked_add(score).ok_or(Fallback::OutOfRange)?;
        }
    }
    Ok(sums)
}

/// Spans as events tell them.
pub fn told(witness: &dyn Witness, spans: &[Span]) -> Vec<TracedSpan> {
    let told = |span: &Span| TracedSpan {
        start: span.start,
        tokens: span.tokens,
        documents: span.documents,
        examples: span
            .examples
            .iter()
            .map(|example| witness.content(*example as usize))
            .collect(),
    };
    spans.iter().map(told).collect()
}

/// Spans as the shares take them, from what events tell; an example that the index has not is left
/// out.
pub fn heard(witness: &dyn Witness, spans: &[TracedSpan]) -> Vec<Span> {
    let heard = |span: &TracedSpan| Span {
        start: span.start,
        tokens: span.tokens,
        documents: span.documents,
        examples: span
            .examples
            .iter()
            .filter_map(|content| witness.example(content))
            .collect(),
    };
    spans.iter().map(heard).collect()
}

/// Whose data an adapter was trained on, and the index over it.
#[derive(Clone)]
pub struct Provenance {
    pub parties: Vec<Party>,
    /// Or why there is none.
    pub witness: Result<Arc<dyn Witness>, Fallback>,
    /// Texts of examples by SHA-256, of those alone whose licence lets anybody see them.
    pub texts: Arc<BTreeMap<String, String>>,
}

impl Default for Provenance {
    fn default() -> Self {
        Self {
            parties: Vec::new(),
            witness: Err(Fallback::MissingIndex),
            texts: Arc::default(),
        }
    }
}
