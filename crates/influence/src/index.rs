//! An opened index: loaded and verified, for traces and scores.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use memmap2::Mmap;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    error::IndexError,
    format::{self, SectionRange},
    pairs::{PAIRS_VERSION, PairOverlap},
    scan,
    sketch::GradientSketch,
    trace::{AnswerTrace, TrainingCorpus},
};
use openlora_attribution::shares::noise;
use openlora_core::{error::describe_decoding, frozen};
use openlora_ledger::event::AttributionMethod;
use openlora_model::WeightPrecision;

/// The method by which the rows were computed.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum IndexMethod {
    /// Preconditioned gradients at checkpoints with a damped Fisher inverse.
    #[default]
    Influence,
    /// Gradients at the last checkpoint with DataInf's inverse.
    Datainf,
    /// Gradients at the last checkpoint.
    Gradient,
}

impl From<IndexMethod> for AttributionMethod {
    fn from(method: IndexMethod) -> Self {
        match method {
            IndexMethod::Influence => Self::Influence,
            IndexMethod::Datainf => Self::Datainf,
            IndexMethod::Gradient => Self::Gradient,
        }
    }
}

/// Version of the gradients of pictures, in the parameters of an index.
pub const PICTURES_VERSION: u32 = 1;

/// What the gradient of a picture is of.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum PictureOutput {
    /// The loss of training.
    #[default]
    Loss,
    /// The mean square of what the model predicts (D-TRAK, arXiv:2311.00500).
    Square,
}

/// The parameters of gradients of pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PictureParameters {
    pub version: u32,
    pub output: PictureOutput,
    /// Pairs of a time and a noise over which gradients are summed.
    pub times: usize,
    /// Seed of the pairs, from SHA-256 over the digests of data and adapter.
    pub noise: u64,
}

/// The parameters of the rows besides data and weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct IndexParameters {
    pub method: IndexMethod,
    /// Number of values of a projected gradient.
    pub width: usize,
    /// λ divided by the mean squared norm of the gradients.
    pub damping: f64,
    /// Self-influence, in multiples of the median, above which a row is scaled down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leverage: Option<f64>,
    /// Version of the evidence from shared pairs of tokens; absent where scores have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pairs: Option<u32>,
    /// Of an index over pictures; absent for texts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pictures: Option<PictureParameters>,
    /// Seed of the projection, hex: SHA-256 over the digests of data and adapter.
    pub seed: String,
    /// α / r of the factors.
    pub lora_scale: f64,
    /// That of the modules which have another one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub lora_scales: BTreeMap<String, f64>,
    #[schemars(with = "String")]
    pub precision: WeightPrecision,
}

/// A checkpoint at which gradients were computed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct CheckpointFacts {
    pub step: u64,
    /// Weight of its scores: the learning rate at that step.
    pub rate: f64,
    /// SHA-256 of its file, hex.
    pub sha256: String,
}

/// The data and weights that an index belongs to; digests are SHA-256, hex.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct IndexBinding {
    pub base: String,
    pub adapter: String,
    pub tokenizer: String,
    /// Over the training examples, as in the run's lock.
    pub data: String,
    /// Over each source's examples.
    pub sources: Vec<String>,
    pub parameters: IndexParameters,
    pub checkpoints: Vec<CheckpointFacts>,
    /// SHA-256 of the second moments' file; absent for methods without them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preconditioner: Option<String>,
}

impl IndexBinding {
    /// Refuses an adapter or a base for which the index was not built: merged, requantised or
    /// replaced weights have other gradients.
    pub fn require(&self, base: &str, adapter: &str) -> Result<(), IndexError> {
        let pairs = [
            ("base", &self.base, base),
            ("adapter", &self.adapter, adapter),
        ];
        for (what, expected, found) in pairs {
            if expected != found {
                return Err(IndexError::Stale {
                    what,
                    expected: expected.clone(),
                    found: found.to_owned(),
                });
            }
        }
        Ok(())
    }
}

/// A contributor of examples.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
pub struct IndexContributor {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

/// A training example.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct IndexedExample {
    /// SHA-256 of its canonical line.
    pub hash: [u8; 32],
    /// Position of its source in the project.
    pub dataset: u32,
    /// Position in [`IndexFile::contributors`].
    pub contributor: u32,
    /// The first example of its near-duplicate cluster, usually itself.
    pub cluster: u32,
    pub tokens: u32,
    /// Its score against itself, as a float with its own scale.
    pub self_influence: f32,
}

/// Bytes per example in the file.
const EXAMPLE: usize = 52;

impl IndexedExample {
    pub(super) fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.hash);
        for number in [self.dataset, self.contributor, self.cluster, self.tokens] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&self.self_influence.to_le_bytes());
    }

    fn decode(bytes: &[u8]) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(&bytes[..32]);
        let word = |at: usize| {
            let at = 32 + 4 * at;
            [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]
        };
        Self {
            hash,
            dataset: u32::from_le_bytes(word(0)),
            contributor: u32::from_le_bytes(word(1)),
            cluster: u32::from_le_bytes(word(2)),
            tokens: u32::from_le_bytes(word(3)),
            self_influence: f32::from_le_bytes(word(4)),
        }
    }
}

/// The first section.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct IndexMeta {
    pub binding: IndexBinding,
    pub contributors: Vec<IndexContributor>,
}

/// An open index.
#[derive(Clone)]
pub struct IndexFile {
    map: Arc<Mmap>,
    sections: [SectionRange; format::SECTIONS.len()],
    digest: String,
    meta: Arc<IndexMeta>,
    examples: Arc<Vec<IndexedExample>>,
    starts: Arc<Vec<u32>>,
}

impl IndexFile {
    /// Loads the file, verifies every section's hash and checks that the sections are consistent.
    /// Later changes of the file have no effect.
    pub fn open(path: &Path) -> Result<Self, IndexError> {
        let map = frozen::read(path).map_err(|error| IndexError::io("read", path, error))?;
        let sections = format::decode(&map, path)?;
        let meta: IndexMeta = serde_json::from_slice(&map[sections[0].clone()])
            .map_err(|error| IndexError::malformed(path, describe_decoding(&error)))?;
        let examples: Vec<IndexedExample> = map[sections[1].clone()]
            .chunks_exact(EXAMPLE)
            .map(IndexedExample::decode)
            .collect();
        let mut starts = Vec::with_capacity(examples.len());
        let mut start = 0u64;
        for example in &examples {
            starts.push(start as u32);
            start += u64::from(example.tokens) + 1;
        }
        let index = Self {
            digest: hex::encode(Sha256::digest(&map)),
            map: Arc::new(map),
            sections,
            meta: Arc::new(meta),
            examples: Arc::new(examples),
            starts: Arc::new(starts),
        };
        index.check(path, start)?;
        Ok(index)
    }

    fn check(&self, path: &Path, tokens: u64) -> Result<(), IndexError> {
        let (count, [checkpoints, width]) = (self.examples.len(), self.shape());
        let contributors = self.meta.contributors.len();
        let expected = [
            ("examples", count * EXAMPLE),
            ("scales", checkpoints * count * 4),
            ("rows", checkpoints * count * width),
            ("text", tokens as usize * 2),
        ];
        for (name, bytes) in expected {
            let at = format::SECTIONS.iter().position(|section| *section == name);
            let found = at.map_or(0, |at| self.sections[at].len());
            if found != bytes {
                let detail = format!("the {name} section has {found} bytes, {bytes} are expected");
                return Err(IndexError::malformed(path, detail));
            }
        }
        let lost = |example: &&IndexedExample| {
            example.contributor as usize >= contributors || example.cluster as usize >= count
        };
        if let Some(example) = self.examples.iter().find(lost) {
            let detail = format!(
                "example {} names contributor {} of {contributors} and cluster {} of {count}",
                hex::encode(example.hash),
                example.contributor,
                example.cluster
            );
            return Err(IndexError::malformed(path, detail));
        }
        match self.meta.binding.parameters.pairs {
            None | Some(PAIRS_VERSION) => self.check_trace(path),
            Some(found) => {
                let detail = format!(
                    "its pairs of tokens are of version {found}; this program reads {PAIRS_VERSION}"
                );
                Err(IndexError::malformed(path, detail))
            }
        }
    }

    fn check_trace(&self, path: &Path) -> Result<(), IndexError> {
        let corpus = self.corpus();
        let outside = |place: &u32| *place as usize >= corpus.text.len();
        let ends = corpus.firsts.last().map_or(0, |last| *last as usize);
        if corpus.suffixes.iter().any(outside)
            || corpus.firsts.len() != corpus.alphabet.len() + 1
            || !corpus.firsts.is_sorted()
            || ends > corpus.suffixes.len()
        {
            let detail = "its suffix array does not fit its text".to_owned();
            return Err(IndexError::malformed(path, detail));
        }
        Ok(())
    }

    /// SHA-256 of the file, hex.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Bytes of the file.
    pub fn size(&self) -> u64 {
        self.map.len() as u64
    }

    /// Bytes of each section, by name.
    pub fn sizes(&self) -> Vec<(&'static str, u64)> {
        let sizes = self.sections.iter().map(|span| span.len() as u64);
        format::SECTIONS.into_iter().zip(sizes).collect()
    }

    pub fn binding(&self) -> &IndexBinding {
        &self.meta.binding
    }

    pub fn contributors(&self) -> &[IndexContributor] {
        &self.meta.contributors
    }

    pub fn examples(&self) -> &[IndexedExample] {
        &self.examples
    }

    /// Number of checkpoints, and of values per row.
    pub fn shape(&self) -> [usize; 2] {
        let binding = &self.meta.binding;
        [binding.checkpoints.len(), binding.parameters.width]
    }

    /// Maximal spans of the answer that occur in the training text but not in the prompt.
    pub fn trace(&self, prompt: &[u32], answer: &[u32]) -> AnswerTrace {
        self.corpus().trace(prompt, answer)
    }

    /// Whether scores are weighted by shared pairs of tokens.
    pub fn has_pairs(&self) -> bool {
        self.meta.binding.parameters.pairs.is_some()
    }

    /// How rare the pairs of tokens are that the answer shares with each example.
    pub fn pairs(&self, prompt: &[u32], answer: &[u32]) -> PairOverlap {
        let corpus = self.corpus();
        let originals: Vec<bool> = self.originals().collect();
        PairOverlap::count(corpus, &corpus.numbers(prompt, answer), &originals)
    }

    /// Weighs the scores of an answer by the pairs that it shares with the examples.
    ///
    /// # Errors
    ///
    /// The pairs are of an index with more examples.
    pub fn weigh(&self, pairs: &PairOverlap, scores: &mut [i128]) -> Result<(), IndexError> {
        let originals = self.originals().zip(scores.iter());
        let originals = originals.filter_map(|(original, score)| original.then_some(*score));
        let noise = noise(originals);
        pairs.weigh(scores, noise)
    }

    /// Whether each example is the first of its cluster.
    fn originals(&self) -> impl Iterator<Item = bool> {
        let numbered = (0u32..).zip(self.examples.iter());
        numbered.map(|(at, example)| example.cluster == at)
    }

    /// One score per example, positive if it helped; integers of a common scale.
    ///
    /// # Errors
    ///
    /// The sketch has another number of checkpoints or another width.
    pub fn scores(&self, sketch: &GradientSketch) -> Result<Vec<i128>, IndexError> {
        let (count, [checkpoints, width]) = (self.examples.len(), self.shape());
        let found = [sketch.checkpoints(), sketch.width()];
        if found != [checkpoints, width] {
            let shown = |[checkpoints, width]: [usize; 2]| {
                format!("{checkpoints} checkpoints of {width} values")
            };
            return Err(IndexError::Sketch {
                expected: shown([checkpoints, width]),
                found: shown(found),
            });
        }
        let mut scores = vec![0i128; count];
        let (rows, scales) = (self.rows(), self.scales());
        let kernel = scan::kernels()[0];
        for (at, (scale, values)) in sketch.parts().iter().enumerate() {
            let sum = scan::total(values);
            let rows = rows[at * count * width..][..count * width].chunks_exact(width.max(1));
            let scales = &scales[at * count..][..count];
            for ((score, row), row_scale) in scores.iter_mut().zip(rows).zip(scales) {
                let dot = i64::from(kernel.dot(row, values, sum)) * i64::from(*row_scale);
                *score += i128::from(dot) * i128::from(*scale);
            }
        }
        Ok(scores)
    }

    fn corpus(&self) -> TrainingCorpus<'_> {
        TrainingCorpus {
            alphabet: words(self.section(4)),
            text: halves(self.section(5)),
            suffixes: words(self.section(6)),
            firsts: words(self.section(7)),
            starts: &self.starts,
        }
    }

    fn scales(&self) -> &[u32] {
        words(self.section(2))
    }

    fn rows(&self) -> &[i8] {
        let bytes = self.section(3);
        // SAFETY: i8 and u8 have the same size and alignment, and every value is valid.
        unsafe { std::slice::from_raw_parts(bytes.as_ptr().cast(), bytes.len()) }
    }

    fn section(&self, at: usize) -> &[u8] {
        &self.map[self.sections[at].clone()]
    }
}

#[cfg(target_endian = "big")]
compile_error!("an index is read where it lies, which needs a little-endian processor");

fn words(bytes: &[u8]) -> &[u32] {
    // SAFETY: every value is valid, and sections start at multiples of 64 of a mapped page, so the
    // prefix is empty.
    unsafe { bytes.align_to().1 }
}

fn halves(bytes: &[u8]) -> &[u16] {
    // SAFETY: as above.
    unsafe { bytes.align_to().1 }
}

/// The digest of an adapter folder in bindings, as in serving.
pub fn adapter_digest(dir: &Path) -> Result<String, openlora_model::adapter::AdapterError> {
    openlora_model::adapter::read(dir).map(|adapter| adapter.digest)
}
