//! Builds an index from the material of a training and its examples.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{
    datainf,
    draft::{IndexDraft, QuantisedRows as IndexRows},
    error::AttributionError,
    fisher::{Curvature, LEVERAGE, limit, precondition},
    gradients::{GradientPass, gradient_rows},
    index::{
        CheckpointFacts, IndexBinding, IndexContributor, IndexMethod, IndexParameters,
        IndexedExample,
    },
    material::GradientInputs,
    pairs::PAIRS_VERSION,
    places::{AttributionDir, PRECONDITIONER, checkpoint_file},
    projection::{Projector, parameters},
    suffixes::SuffixArray,
};
use openlora_decoder::Decoder;
use openlora_model::{
    BaseModel, WeightPrecision,
    dataset::{Dataset, duplicates},
};
use openlora_train::{TrainRows, run::files};

/// Default of λ divided by the mean squared norm of the gradients.
pub const DAMPING: f64 = 0.1;
/// Default number of values of a projected gradient.
pub const WIDTH: usize = 1024;

/// The inputs of an index.
pub struct IndexJob<'a> {
    pub base: &'a BaseModel,
    pub precision: WeightPrecision,
    pub dataset: &'a Dataset,
    /// The training rows.
    pub rows: &'a TrainRows,
    pub material: &'a GradientInputs,
    /// SHA-256 of the adapter, hex.
    pub adapter: String,
    pub method: IndexMethod,
    /// Number of values of a projected gradient.
    pub width: usize,
    /// λ divided by the mean squared norm of the gradients.
    pub damping: f64,
}

/// A written index.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct BuiltIndex {
    pub path: std::path::PathBuf,
    /// SHA-256 of the file, hex.
    pub digest: String,
    pub method: IndexMethod,
    pub examples: usize,
    pub contributors: usize,
    pub checkpoints: usize,
    pub width: usize,
    pub bytes: u64,
    /// Wall clock.
    pub seconds: f64,
}

/// Builds the index and writes it with the files for sketches; `progress` receives the number of
/// completed checkpoints.
pub fn build(
    job: &IndexJob<'_>,
    places: &AttributionDir,
    progress: &mut dyn FnMut(usize),
) -> Result<BuiltIndex, AttributionError> {
    let began = Instant::now();
    files::create_folder(&places.dir)?;
    let digests = job.material.write(places)?;
    let base = Decoder::load(job.base, job.precision)?;
    let width = job.fitting_width(&base)?;
    let weights = job.weights();
    let (mut rows, mut selves) = (IndexRows::default(), vec![0f64; job.rows.len()]);
    let projector = Arc::new(job.projector(&base, width)?);
    for (at, checkpoint) in job.material.checkpoints.iter().enumerate() {
        let pass = GradientPass::new(job.material.place(&base, at)?, projector.clone());
        let gradients = gradient_rows(&pass, &job.rows.encoded)?;
        let found = finish(job, &projector, &gradients, width, &weights)?;
        for (own, score) in selves.iter_mut().zip(own_scores(&gradients, &found, width)) {
            *own += checkpoint.rate * score;
        }
        rows.push(&found, width, checkpoint.rate);
        progress(at + 1);
    }
    let draft = IndexDraft {
        binding: job.binding(width, &digests),
        contributors: job.contributors(),
        examples: job.examples(&selves),
        rows,
        suffixes: SuffixArray::build(job.rows.encoded.iter().map(|row| row.ids.as_slice()))?,
    };
    written(&draft, places, began)
}

/// Writes an index that was begun at that time.
pub fn written(
    draft: &IndexDraft,
    places: &AttributionDir,
    began: Instant,
) -> Result<BuiltIndex, AttributionError> {
    let bytes = draft.encode();
    files::replace(&places.index(), &bytes)?;
    Ok(BuiltIndex {
        path: places.index(),
        digest: hex::encode(Sha256::digest(&bytes)),
        method: draft.binding.parameters.method,
        examples: draft.examples.len(),
        contributors: draft.contributors.len(),
        checkpoints: draft.binding.checkpoints.len(),
        width: draft.binding.parameters.width,
        bytes: bytes.len() as u64,
        seconds: began.elapsed().as_secs_f64(),
    })
}

/// The rows `[n, width]` of one checkpoint before quantisation to 8 bits.
pub fn influence_rows(
    job: &IndexJob<'_>,
    at: usize,
) -> Result<(Vec<f32>, Arc<Projector>), AttributionError> {
    let base = Decoder::load(job.base, job.precision)?;
    let width = job.fitting_width(&base)?;
    let projector = Arc::new(job.projector(&base, width)?);
    let pass = GradientPass::new(job.material.place(&base, at)?, projector.clone());
    let gradients = gradient_rows(&pass, &job.rows.encoded)?;
    Ok((
        finish(job, &projector, &gradients, width, &job.weights())?,
        projector,
    ))
}

fn finish(
    job: &IndexJob<'_>,
    projector: &Projector,
    gradients: &[f32],
    width: usize,
    weights: &[f64],
) -> Result<Vec<f32>, AttributionError> {
    if job.method == IndexMethod::Datainf {
        return datainf::rows(gradients, width, &projector.groups(), weights);
    }
    let damping = match job.method {
        IndexMethod::Influence => job.damping,
        IndexMethod::Datainf | IndexMethod::Gradient => f64::INFINITY,
    };
    let curvature = Curvature {
        width,
        weights,
        damping,
    };
    let mut rows = gradients.to_vec();
    precondition(&mut rows, curvature)?;
    if job.method == IndexMethod::Influence {
        limit(&mut rows, gradients, curvature);
    }
    Ok(rows)
}

/// Each example's score against itself.
pub fn own_scores(gradients: &[f32], rows: &[f32], width: usize) -> Vec<f64> {
    let groups = gradients.len() / rows.len().max(1);
    let pairs = gradients
        .chunks(width * groups.max(1))
        .zip(rows.chunks(width));
    let own = |(gradient, row): (&[f32], &[f32])| {
        let values = gradient.iter().zip(row.iter().cycle());
        values.map(|(g, u)| f64::from(*g) * f64::from(*u)).sum()
    };
    pairs.map(own).collect()
}

impl IndexJob<'_> {
    /// The requested width, or the number of factor values if that is smaller; nothing is projected
    /// then.
    fn fitting_width(&self, base: &Decoder) -> Result<usize, AttributionError> {
        let modules = self.material.place(base, 0)?.adapted();
        Ok(self
            .width
            .min(parameters(&modules).next_multiple_of(64))
            .max(1))
    }

    fn projector(&self, base: &Decoder, width: usize) -> Result<Projector, AttributionError> {
        let modules = self.material.place(base, 0)?.adapted();
        let preconditioner = self.material.preconditioner()?;
        let projector = Projector::new(&modules, width, &self.seed(), &preconditioner);
        let projector = projector.ok_or_else(|| AttributionError::Tensors {
            path: PRECONDITIONER.into(),
            name: "of a factor".to_owned(),
        })?;
        Ok(match self.method {
            IndexMethod::Datainf => projector.grouped(),
            IndexMethod::Influence | IndexMethod::Gradient => projector,
        })
    }

    /// The seed depends on the data and the trained adapter, so it cannot be known before.
    fn seed(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(b"openlora attribution projection");
        hash.update(self.dataset.digest.as_bytes());
        hash.update(self.adapter.as_bytes());
        hash.finalize().into()
    }

    /// How often each example is drawn.
    fn weights(&self) -> Vec<f64> {
        let sources = &self.dataset.sources;
        self.rows
            .sources
            .iter()
            .map(|source| sources[*source].weight)
            .collect()
    }

    fn binding(&self, width: usize, digests: &BTreeMap<String, String>) -> IndexBinding {
        let digest = |name: &str| digests.get(name).cloned().unwrap_or_default();
        let checkpoints = self.material.checkpoints.iter();
        IndexBinding {
            base: self.base.digest.clone(),
            adapter: self.adapter.clone(),
            tokenizer: tokenizer_digest(self.base),
            data: self.dataset.digest.clone(),
            sources: self.dataset.source_digests.clone(),
            parameters: IndexParameters {
                method: self.method,
                width,
                damping: self.damping,
                leverage: match self.method {
                    IndexMethod::Influence => Some(LEVERAGE),
                    IndexMethod::Datainf | IndexMethod::Gradient => None,
                },
                pairs: match self.method {
                    IndexMethod::Influence => Some(PAIRS_VERSION),
                    IndexMethod::Datainf | IndexMethod::Gradient => None,
                },
                pictures: None,
                seed: hex::encode(self.seed()),
                lora_scale: self.material.lora_scale,
                lora_scales: self.material.lora_scales.clone(),
                precision: self.precision,
            },
            checkpoints: checkpoints
                .map(|checkpoint| CheckpointFacts {
                    step: checkpoint.step,
                    rate: checkpoint.rate,
                    sha256: digest(&checkpoint_file(checkpoint.step)),
                })
                .collect(),
            preconditioner: digests.get(PRECONDITIONER).cloned(),
        }
    }

    /// In the order in which the sources first name them.
    fn contributors(&self) -> Vec<IndexContributor> {
        let mut contributors: Vec<IndexContributor> = Vec::new();
        for source in &self.dataset.sources {
            let contributor = contributor(source);
            if !contributors.contains(&contributor) {
                contributors.push(contributor);
            }
        }
        contributors
    }

    fn examples(&self, selves: &[f64]) -> Vec<IndexedExample> {
        let contributors = self.contributors();
        let of_source: Vec<u32> = self
            .dataset
            .sources
            .iter()
            .map(|source| {
                let own = contributor(source);
                contributors
                    .iter()
                    .position(|known| *known == own)
                    .unwrap_or(0) as u32
            })
            .collect();
        let roots = duplicates::clusters(self.dataset);
        let clusters = clusters(&roots, self.rows);
        let rows = self
            .rows
            .encoded
            .iter()
            .zip(&self.rows.origins)
            .zip(clusters);
        (0u32..)
            .zip(rows.zip(selves))
            .map(|(at, (((encoded, origin), cluster), own))| {
                let row = &self.dataset.rows[*origin];
                // The cluster's credit belongs to the contributor of its first row, even if that
                // row was held out of the training.
                let first = match at == cluster {
                    true => roots[*origin],
                    false => *origin,
                };
                IndexedExample {
                    hash: row.example.content_hash(),
                    dataset: row.source as u32,
                    contributor: of_source[self.dataset.rows[first].source],
                    cluster,
                    tokens: encoded.ids.len() as u32,
                    self_influence: *own as f32,
                }
            })
            .collect()
    }
}

fn contributor(source: &openlora_model::dataset::DataSource) -> IndexContributor {
    IndexContributor {
        name: source.contributor.clone(),
        address: source.address.clone(),
    }
}

/// For each trained row, the first trained row of its cluster. The parts of a divided row are in
/// clusters of their own: each repeats only the same part of a duplicate.
fn clusters(roots: &[usize], rows: &TrainRows) -> Vec<u32> {
    let mut first: BTreeMap<(usize, usize), u32> = BTreeMap::new();
    let mut parts: BTreeMap<usize, usize> = BTreeMap::new();
    (0u32..)
        .zip(&rows.origins)
        .map(|(at, origin)| {
            let part = parts.entry(*origin).or_default();
            *part += 1;
            *first.entry((roots[*origin], *part)).or_insert(at)
        })
        .collect()
}

/// SHA-256 of the tokenizer's file, hex.
fn tokenizer_digest(base: &BaseModel) -> String {
    let bytes = std::fs::read(base.dir.join("tokenizer.json")).unwrap_or_default();
    hex::encode(Sha256::digest(bytes))
}
