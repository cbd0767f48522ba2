//! An opened index as an attribution index: it maps its contributors to the caller's, and computes
//! sketches if the base is available.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{
    AttributionError, GradientSketch, GradientSketcher, IndexError, IndexFile, PairOverlap,
    PictureSketcher,
};
use openlora_attribution::{
    AttributionIndex,
    queue::{CallPicture, CallTokens},
    shares::{ClusterExample, Contributor, ShareFallback, SharedSpan},
};
use openlora_core::Address;
use openlora_ledger::event::AttributionMethod;
use openlora_pictures::Picture;

/// Separates the gradient from the shared pairs in the text of a sketch.
const PAIRS: char = '.';

/// An index, and the contributors of its examples.
pub struct ContributorIndex {
    index: IndexFile,
    examples: Vec<ClusterExample>,
    /// The first example of each content hash.
    places: HashMap<[u8; 32], u32>,
    /// Computes sketches of answers; without one, existing sketches can only be scored.
    sketcher: Option<CallSketcher>,
}

enum CallSketcher {
    Texts(Mutex<GradientSketcher>),
    Pictures(PictureSketcher),
}

impl ContributorIndex {
    /// Takes over an index. Its contributors are matched by name, and missing ones are added.
    pub fn new(
        index: IndexFile,
        sketcher: Option<GradientSketcher>,
        parties: &mut Vec<Contributor>,
    ) -> Self {
        let sketcher = sketcher.map(|it| CallSketcher::Texts(Mutex::new(it)));
        Self::with(index, sketcher, parties)
    }

    /// Takes over an index over pictures, like [`Self::new`].
    pub fn of_pictures(
        index: IndexFile,
        sketcher: Option<PictureSketcher>,
        parties: &mut Vec<Contributor>,
    ) -> Self {
        Self::with(index, sketcher.map(CallSketcher::Pictures), parties)
    }

    fn with(
        index: IndexFile,
        sketcher: Option<CallSketcher>,
        parties: &mut Vec<Contributor>,
    ) -> Self {
        let contributors = index.contributors().iter();
        let party: Vec<u32> = contributors
            .map(|contributor| {
                let known = parties.iter().position(|it| it.name == contributor.name);
                let at = known.unwrap_or_else(|| {
                    parties.push(Contributor {
                        name: contributor.name.clone(),
                        address: address(contributor.address.as_deref()),
                        owner: None,
                        static_ppm: 0,
                    });
                    parties.len() - 1
                });
                at as u32
            })
            .collect();
        let (mut examples, mut places) = (Vec::new(), HashMap::new());
        for (at, example) in index.examples().iter().enumerate() {
            places.entry(example.hash).or_insert(at as u32);
            examples.push(ClusterExample {
                // Opening the index has checked every contributor.
                contributor: party[example.contributor as usize],
                cluster: example.cluster,
            });
        }
        Self {
            index,
            examples,
            places,
            sketcher,
        }
    }
}

/// Why a call has no sketch.
fn unsketched(error: &AttributionError) -> ShareFallback {
    tracing::warn!(%error, "an answer has no sketch");
    match error {
        AttributionError::NotFinite { .. } => ShareFallback::NotANumber,
        AttributionError::EmptyAnswer => ShareFallback::EmptyAnswer,
        _ => ShareFallback::SketchFailed,
    }
}

fn address(text: Option<&str>) -> Option<Address> {
    text.and_then(|text| text.parse().ok())
}

impl AttributionIndex for ContributorIndex {
    fn index(&self) -> &str {
        self.index.digest()
    }

    fn method(&self) -> AttributionMethod {
        self.index.binding().parameters.method.into()
    }

    fn examples(&self) -> &[ClusterExample] {
        &self.examples
    }

    fn content(&self, example: usize) -> String {
        let example = self.index.examples().get(example);
        example.map_or_else(String::new, |it| hex::encode(it.hash))
    }

    fn example(&self, content: &str) -> Option<u32> {
        let mut hash = [0; 32];
        hex::decode_to_slice(content, &mut hash).ok()?;
        self.places.get(&hash).copied()
    }

    fn trace(&self, exchange: &CallTokens) -> Vec<SharedSpan> {
        self.index.trace(&exchange.prompt, &exchange.answer).spans
    }

    fn sketch(&self, exchange: &CallTokens) -> Result<String, ShareFallback> {
        let sketcher = match &self.sketcher {
            Some(CallSketcher::Texts(sketcher)) => sketcher,
            Some(CallSketcher::Pictures(_)) => return Err(ShareFallback::Mismatch),
            None => return Err(ShareFallback::SketchFailed),
        };
        let mut sketcher = sketcher.lock().unwrap_or_else(PoisonError::into_inner);
        let sketch = sketcher.sketch(&exchange.prompt, &exchange.answer);
        let sketch = sketch.map_err(|error| unsketched(&error))?;
        let gradient = STANDARD.encode(sketch.to_bytes());
        Ok(match self.index.has_pairs() {
            false => gradient,
            true => {
                let pairs = self.index.pairs(&exchange.prompt, &exchange.answer);
                format!("{gradient}{PAIRS}{}", STANDARD.encode(pairs.to_bytes()))
            }
        })
    }

    fn sketch_picture(&self, made: &CallPicture) -> Result<String, ShareFallback> {
        let sketcher = match &self.sketcher {
            Some(CallSketcher::Pictures(sketcher)) => sketcher,
            Some(CallSketcher::Texts(_)) => return Err(ShareFallback::Mismatch),
            None => return Err(ShareFallback::SketchFailed),
        };
        let picture = Picture {
            width: made.width,
            height: made.height,
            rgb: made.rgb.clone(),
        };
        let sketch = sketcher.sketch(&made.caption, &picture);
        let sketch = sketch.map_err(|error| unsketched(&error))?;
        Ok(STANDARD.encode(sketch.to_bytes()))
    }

    fn scores(&self, sketch: &str) -> Result<Vec<i128>, ShareFallback> {
        let (gradient, pairs) = match (sketch.split_once(PAIRS), self.index.has_pairs()) {
            (None, false) => (sketch, None),
            (Some((gradient, pairs)), true) => (gradient, Some(pairs)),
            _ => return Err(ShareFallback::Mismatch),
        };
        let mismatch = |_: IndexError| ShareFallback::Mismatch;
        let decoded = |text: &str| STANDARD.decode(text).map_err(|_| ShareFallback::Mismatch);
        let gradient = GradientSketch::from_bytes(&decoded(gradient)?).map_err(mismatch)?;
        let mut scores = self.index.scores(&gradient).map_err(mismatch)?;
        if let Some(pairs) = pairs {
            let pairs = PairOverlap::from_bytes(&decoded(pairs)?).map_err(mismatch)?;
            self.index.weigh(&pairs, &mut scores).map_err(mismatch)?;
        }
        Ok(scores)
    }
}
