//! Builds an index from captioned pictures and the material of a training.

use std::{sync::Arc, time::Instant};

use openlora_diffusion::ImageModel;
use openlora_model::WeightPrecision;
use openlora_train::run::files;
use sha2::{Digest, Sha256};

use super::gradients::{PictureExample, PicturePass, adapted, picture_rows};
use crate::{
    build::{BuiltIndex, own_scores, written},
    draft::{IndexDraft, QuantisedRows},
    error::AttributionError,
    fisher::{Curvature, LEVERAGE, limit, precondition},
    index::{
        CheckpointFacts, IndexBinding, IndexContributor, IndexMethod, IndexParameters,
        IndexedExample, PICTURES_VERSION, PictureOutput, PictureParameters,
    },
    material::GradientInputs,
    places::{AttributionDir, PRECONDITIONER, checkpoint_file},
    projection::{Projector, parameters},
    suffixes::SuffixArray,
};

/// A folder of training pictures.
#[derive(Clone, Debug, PartialEq)]
pub struct PictureSource {
    pub contributor: IndexContributor,
    /// How often each of its pictures is drawn.
    pub weight: f64,
    /// Over its pictures, SHA-256, hex.
    pub digest: String,
}

/// The inputs of an index over pictures. Digests are SHA-256, hex.
pub struct PictureIndexJob<'a> {
    pub model: &'a Arc<ImageModel>,
    /// Digest of the base.
    pub base: String,
    /// Digest of the text encoder's tokenizer.
    pub tokenizer: String,
    /// Digest of the adapter.
    pub adapter: String,
    /// Digest of all training pictures.
    pub data: String,
    pub sources: &'a [PictureSource],
    /// As trained.
    pub examples: &'a [PictureExample],
    pub material: &'a GradientInputs,
    /// Number of values of a projected gradient.
    pub width: usize,
    /// λ divided by the mean squared norm of the gradients.
    pub damping: f64,
    pub output: PictureOutput,
    /// Number of pairs of a time and a noise.
    pub times: usize,
}

/// Builds the index and writes it with the files for sketches; `progress` receives the number of
/// completed checkpoints.
///
/// # Errors
///
/// Checkpoints that do not fit the model, gradients that are not finite, files that cannot be written.
pub fn build_pictures(
    job: &PictureIndexJob<'_>,
    places: &AttributionDir,
    progress: &mut dyn FnMut(usize),
) -> Result<BuiltIndex, AttributionError> {
    let began = Instant::now();
    files::create_folder(&places.dir)?;
    let digests = job.material.write(places)?;
    let weights = job.weights();
    let width = job.fitting_width()?;
    let (mut rows, mut selves) = (QuantisedRows::default(), vec![0f64; job.examples.len()]);
    for (at, checkpoint) in job.material.checkpoints.iter().enumerate() {
        let gradients = picture_rows_at(job, at)?;
        let curvature = Curvature {
            width,
            weights: &weights,
            damping: job.damping,
        };
        let mut found = gradients.clone();
        precondition(&mut found, curvature)?;
        limit(&mut found, &gradients, curvature);
        let own = own_scores(&gradients, &found, width);
        let sums = selves.iter_mut().zip(own);
        sums.for_each(|(sum, score)| *sum += checkpoint.rate * score);
        rows.push(&found, width, checkpoint.rate);
        progress(at + 1);
    }
    let digest = |name: &str| digests.get(name).cloned().unwrap_or_default();
    let checkpoints = job.material.checkpoints.iter().map(|kept| CheckpointFacts {
        step: kept.step,
        rate: kept.rate,
        sha256: digest(&checkpoint_file(kept.step)),
    });
    let draft = IndexDraft {
        binding: IndexBinding {
            base: job.base.clone(),
            adapter: job.adapter.clone(),
            tokenizer: job.tokenizer.clone(),
            data: job.data.clone(),
            sources: job.sources.iter().map(|it| it.digest.clone()).collect(),
            parameters: job.parameters(width),
            checkpoints: checkpoints.collect(),
            preconditioner: digests.get(PRECONDITIONER).cloned(),
        },
        contributors: job.contributors(),
        examples: job.indexed(&selves),
        rows,
        suffixes: SuffixArray::build(job.examples.iter().map(|_| &[] as &[u32]))?,
    };
    written(&draft, places, began)
}

/// The gradients `[examples, width]` of one checkpoint, preconditioned and projected.
///
/// # Errors
///
/// A checkpoint that does not fit the model, and a gradient that is not finite.
pub fn picture_rows_at(job: &PictureIndexJob<'_>, at: usize) -> Result<Vec<f32>, AttributionError> {
    let width = job.fitting_width()?;
    let adapter = job.material.place_picture(job.model, at)?;
    let preconditioner = job.material.preconditioner()?;
    let projector = Projector::new(&adapted(&adapter), width, &job.seed(), &preconditioner);
    let projector = projector.ok_or_else(|| AttributionError::Tensors {
        path: PRECONDITIONER.into(),
        name: "of a factor".to_owned(),
    })?;
    let parameters = job.picture_parameters();
    let pass = PicturePass::new(
        Arc::clone(job.model),
        adapter,
        Arc::new(projector),
        &parameters,
    );
    picture_rows(&pass, job.examples)
}

impl PictureIndexJob<'_> {
    /// The requested width, or the number of factor values if that is smaller; nothing is projected
    /// then.
    fn fitting_width(&self) -> Result<usize, AttributionError> {
        let adapter = self.material.place_picture(self.model, 0)?;
        let most = parameters(&adapted(&adapter)).next_multiple_of(64);
        Ok(self.width.min(most).max(1))
    }

    /// Depends on the data and the trained adapter, so it cannot be known before.
    fn drawn(&self, purpose: &[u8]) -> [u8; 32] {
        let hash = Sha256::new().chain_update(purpose);
        let hash = hash.chain_update(&self.data).chain_update(&self.adapter);
        hash.finalize().into()
    }

    fn seed(&self) -> [u8; 32] {
        self.drawn(b"openlora attribution projection")
    }

    fn weights(&self) -> Vec<f64> {
        let examples = self.examples.iter();
        examples
            .map(|example| self.sources[example.source].weight)
            .collect()
    }

    fn picture_parameters(&self) -> PictureParameters {
        let [a, b, c, d, e, f, g, h, ..] = self.drawn(b"openlora attribution noise");
        PictureParameters {
            version: PICTURES_VERSION,
            output: self.output,
            times: self.times,
            noise: u64::from_le_bytes([a, b, c, d, e, f, g, h]),
        }
    }

    fn parameters(&self, width: usize) -> IndexParameters {
        IndexParameters {
            method: IndexMethod::Influence,
            width,
            damping: self.damping,
            leverage: Some(LEVERAGE),
            pairs: None,
            pictures: Some(self.picture_parameters()),
            seed: hex::encode(self.seed()),
            lora_scale: self.material.lora_scale,
            lora_scales: self.material.lora_scales.clone(),
            precision: WeightPrecision::F32,
        }
    }

    /// In the order in which the sources first name them.
    fn contributors(&self) -> Vec<IndexContributor> {
        let mut contributors: Vec<IndexContributor> = Vec::new();
        for source in self.sources {
            if !contributors.contains(&source.contributor) {
                contributors.push(source.contributor.clone());
            }
        }
        contributors
    }

    fn indexed(&self, selves: &[f64]) -> Vec<IndexedExample> {
        let contributors = self.contributors();
        let place = |source: &PictureSource| {
            let mut known = contributors.iter();
            known
                .position(|known| *known == source.contributor)
                .unwrap_or(0) as u32
        };
        let of_source: Vec<u32> = self.sources.iter().map(place).collect();
        let examples = self.examples.iter().zip(selves);
        examples
            .map(|(example, own)| IndexedExample {
                hash: example.hash,
                dataset: example.source as u32,
                contributor: of_source[example.credited],
                cluster: example.cluster as u32,
                tokens: 0,
                self_influence: *own as f32,
            })
            .collect()
    }
}
