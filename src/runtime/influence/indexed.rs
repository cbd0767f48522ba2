//! An opened index as a witness: parties by its contributors, and a model for sketches where the
//! base is at hand.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{AttributionError, Index, Sketch, Sketcher};
use crate::runtime::attribution::{
    Witness,
    queue::Exchange,
    shares::{Example, Fallback, Party, Span},
};
use crate::runtime::{event::AttributionMethod, ledger::Address};

/// An index, and who is behind its examples.
pub struct Indexed {
    index: Index,
    examples: Vec<Example>,
    /// The first example of each content.
    places: HashMap<[u8; 32], u32>,
    /// Where answers are sketched; elsewhere sketches are only scored.
    sketcher: Option<Mutex<Sketcher>>,
}

impl Indexed {
    /// Takes an index over; its contributors are found among the parties by name, and added where
    /// they are missing.
    pub fn new(index: Index, sketcher: Option<Sketcher>, parties: &mut Vec<Party>) -> Self {
        let contributors = index.contributors().iter();
        let party: Vec<u32> = contributors
            .map(|contributor| {
                let known = parties.iter().position(|it| it.name == contributor.name);
                let at = known.unwrap_or_else(|| {
                    parties.push(Party {
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
            examples.push(Example {
                // Opening the index has found every contributor.
                party: party[example.contributor as usize],
                cluster: example.cluster,
            });
        }
        Self {
            index,
            examples,
            places,
            sketcher: sketcher.map(Mutex::new),
        }
    }
}

fn address(text: Option<&str>) -> Option<Address> {
    text.and_then(|text| text.parse().ok())
}

impl Witness for Indexed {
    fn index(&self) -> &str {
        self.index.digest()
    }

    fn method(&self) -> AttributionMethod {
        self.index.binding().parameters.method.into()
    }

    fn examples(&self) -> &[Example] {
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

    fn trace(&self, exchange: &Exchange) -> Vec<Span> {
        self.index.trace(&exchange.prompt, &exchange.answer).spans
    }

    fn sketch(&self, exchange: &Exchange) -> Result<String, Fallback> {
        let sketcher = self.sketcher.as_ref().ok_or(Fallback::SketchFailed)?;
        let mut sketcher = sketcher.lock().unwrap_or_else(PoisonError::into_inner);
        let sketch = sketcher.sketch(&exchange.prompt, &exchange.answer);
        let sketch = sketch.map_err(|error| {
            tracing::warn!(%error, "an answer has no sketch");
            match error {
                AttributionError::NotFinite { .. } => Fallback::NotANumber,
                AttributionError::EmptyAnswer => Fallback::EmptyAnswer,
                _ => Fallback::SketchFailed,
            }
        })?;
        Ok(STANDARD.encode(sketch.to_bytes()))
    }

    fn scores(&self, sketch: &str) -> Result<Vec<i128>, Fallback> {
        let bytes = STANDARD.decode(sketch).map_err(|_| Fallback::Mismatch)?;
        let sketch = Sketch::from_bytes(&bytes).map_err(|_| Fallback::Mismatch)?;
        self.index.scores(&sketch).map_err(|_| Fallback::Mismatch)
    }
}
