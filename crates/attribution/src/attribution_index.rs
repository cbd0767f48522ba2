//! The interface of an attribution index, independent of its implementation.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    queue::{CallPicture, CallTokens, PendingTokens},
    shares::{ClusterExample, Contributor, ShareFallback, SharedSpan},
};
use openlora_ledger::event::{AttributionMethod, TracedSpan};

/// An index over an adapter's training data, bound to the weights that answer.
pub trait AttributionIndex: Send + Sync {
    /// SHA-256 of the index, hex.
    fn index(&self) -> &str;

    fn method(&self) -> AttributionMethod;

    /// Contributor and cluster of each example, in the index's order.
    fn examples(&self) -> &[ClusterExample];

    /// SHA-256 of an example, hex.
    fn content(&self, example: usize) -> String;

    /// The first example with this SHA-256.
    fn example(&self, content: &str) -> Option<u32>;

    /// Runs of tokens that an answer shares with the training text but not with its prompt.
    fn trace(&self, exchange: &CallTokens) -> Vec<SharedSpan>;

    /// The answer's projected gradient, as text. Takes seconds for a large base model.
    fn sketch(&self, exchange: &CallTokens) -> Result<String, ShareFallback>;

    /// The projected gradient of a picture that was made, as text. An index over texts has none.
    fn sketch_picture(&self, _made: &CallPicture) -> Result<String, ShareFallback> {
        Err(ShareFallback::Mismatch)
    }

    /// Each example's score against a sketch; identical on every machine.
    fn scores(&self, sketch: &str) -> Result<Vec<i128>, ShareFallback>;
}

/// Separates the sketches of a call with several texts or pictures.
const AND: &str = ",";

/// The sketches of all texts and pictures of a call.
pub fn sketches(
    index: &dyn AttributionIndex,
    kept: &PendingTokens,
) -> Result<String, ShareFallback> {
    let texts = kept.exchanges.iter().map(|it| index.sketch(it));
    let pictures = kept.pictures.iter().map(|it| index.sketch_picture(it));
    let each = texts.chain(pictures);
    Ok(each.collect::<Result<Vec<_>, _>>()?.join(AND))
}

/// The sum of the scores against all sketches of a call.
pub fn scores(index: &dyn AttributionIndex, sketches: &str) -> Result<Vec<i128>, ShareFallback> {
    let mut sums = vec![0_i128; index.examples().len()];
    for sketch in sketches.split(AND) {
        let scores = index.scores(sketch)?;
        if scores.len() != sums.len() {
            return Err(ShareFallback::Mismatch);
        }
        for (sum, score) in sums.iter_mut().zip(scores) {
            *sum = sum.checked_add(score).ok_or(ShareFallback::OutOfRange)?;
        }
    }
    Ok(sums)
}

/// Spans in the form of events.
pub fn spans_to_event(index: &dyn AttributionIndex, spans: &[SharedSpan]) -> Vec<TracedSpan> {
    let told = |span: &SharedSpan| TracedSpan {
        start: span.start,
        tokens: span.tokens,
        documents: span.documents,
        examples: span
            .examples
            .iter()
            .map(|example| index.content(*example as usize))
            .collect(),
    };
    spans.iter().map(told).collect()
}

/// Spans from events in the form that the shares need; examples that are not in the index are left
/// out.
pub fn spans_from_event(index: &dyn AttributionIndex, spans: &[TracedSpan]) -> Vec<SharedSpan> {
    let heard = |span: &TracedSpan| SharedSpan {
        start: span.start,
        tokens: span.tokens,
        documents: span.documents,
        examples: span
            .examples
            .iter()
            .filter_map(|content| index.example(content))
            .collect(),
    };
    spans.iter().map(heard).collect()
}

/// The contributors of an adapter, and the index over its training data.
#[derive(Clone)]
pub struct Provenance {
    pub contributors: Vec<Contributor>,
    /// Or the reason why there is none.
    pub index: Result<Arc<dyn AttributionIndex>, ShareFallback>,
    /// Texts of examples by SHA-256, only of those whose licence permits publication.
    pub texts: Arc<BTreeMap<String, String>>,
}

impl Default for Provenance {
    fn default() -> Self {
        Self {
            contributors: Vec::new(),
            index: Err(ShareFallback::MissingIndex),
            texts: Arc::default(),
        }
    }
}
