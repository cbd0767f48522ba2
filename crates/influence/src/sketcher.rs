//! Computes sketches with the checkpoints' factors and the projection.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    error::{AttributionError, IndexError},
    gradients::GradientPass,
    index::{IndexBinding, IndexFile, IndexMethod},
    material::{GradientCheckpoint, GradientInputs, read_tensors},
    places::{AttributionDir, PRECONDITIONER, checkpoint_file},
    projection::Projector,
    sketch::GradientSketch,
};
use openlora_decoder::{Decoder, TokenBatch};
use openlora_model::{BaseModel, WeightPrecision};

/// The bases of sketchers. Each is in memory once for every precision, however many indexes are over
/// it.
#[derive(Default)]
pub struct SketchBases(Mutex<Vec<SketchBase>>);

struct SketchBase {
    digest: String,
    precision: WeightPrecision,
    decoder: Decoder,
}

impl SketchBases {
    /// How many are in memory.
    pub fn resident(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn decoder(
        &self,
        base: &BaseModel,
        precision: WeightPrecision,
    ) -> Result<Decoder, AttributionError> {
        let mut bases = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = bases
            .iter()
            .find(|it| it.digest == base.digest && it.precision == precision);
        if let Some(known) = known {
            return Ok(known.decoder.clone());
        }
        let decoder = Decoder::load(base, precision)?;
        bases.push(SketchBase {
            digest: base.digest.clone(),
            precision,
            decoder: decoder.clone(),
        });
        Ok(decoder)
    }
}

/// One model per checkpoint; they share the base's weights.
pub struct GradientSketcher {
    passes: Vec<GradientPass>,
    longest: usize,
}

impl GradientSketcher {
    /// Opens the files next to the index of an attribution folder.
    ///
    /// # Errors
    ///
    /// Base, checkpoints or preconditioner differ from those of the index.
    pub fn open(places: &AttributionDir, base: &BaseModel) -> Result<Self, AttributionError> {
        let index = IndexFile::open(&places.index())?;
        Self::from_binding(index.binding(), places, base, &SketchBases::default())
    }

    /// Like [`Self::open`], for an index that is already open. The base's weights are those of
    /// `bases`.
    ///
    /// # Errors
    ///
    /// Those of [`Self::open`].
    pub fn from_binding(
        binding: &IndexBinding,
        places: &AttributionDir,
        base: &BaseModel,
        bases: &SketchBases,
    ) -> Result<Self, AttributionError> {
        require_base(binding, &base.digest)?;
        let parameters = &binding.parameters;
        if parameters.pictures.is_some() {
            let detail = "it is over pictures, not over texts";
            return Err(IndexError::malformed(&places.index(), detail).into());
        }
        let decoder = bases.decoder(base, parameters.precision)?;
        let material = read(binding, places)?;
        let seed = seed(binding, places)?;
        let mut passes = Vec::new();
        for at in 0..material.checkpoints.len() {
            let placed = material.place(&decoder, at)?;
            let preconditioner = material.preconditioner()?;
            let modules = placed.adapted();
            let projector = Projector::new(&modules, parameters.width, &seed, &preconditioner);
            let projector = projector.ok_or_else(|| AttributionError::Tensors {
                path: places.dir.join(PRECONDITIONER),
                name: "of a factor".to_owned(),
            })?;
            passes.push(GradientPass::new(placed, Arc::new(projector)));
        }
        Ok(Self {
            passes,
            longest: base.config.max_positions,
        })
    }

    /// The projected gradient of the answer's loss at every checkpoint.
    pub fn gradients(
        &mut self,
        prompt: &[u32],
        answer: &[u32],
    ) -> Result<Vec<Vec<f32>>, AttributionError> {
        if answer.is_empty() {
            return Err(AttributionError::EmptyAnswer);
        }
        let batch = batch(prompt, answer, self.longest);
        if batch.target_count() == 0 {
            return Err(AttributionError::EmptyAnswer);
        }
        let gradients = self.passes.iter_mut().map(|pass| {
            let gradient = pass.project_batch(&batch)?;
            match gradient.iter().all(|value| value.is_finite()) {
                true => Ok(gradient),
                false => Err(AttributionError::NotFinite {
                    what: "the answer".to_owned(),
                }),
            }
        });
        gradients.collect()
    }

    pub fn sketch(
        &mut self,
        prompt: &[u32],
        answer: &[u32],
    ) -> Result<GradientSketch, AttributionError> {
        Ok(GradientSketch::quantise(&self.gradients(prompt, answer)?))
    }
}

/// Prompt and answer as one row with the answer as target; the beginning of the prompt is cut off
/// if the row is too long.
fn batch(prompt: &[u32], answer: &[u32], longest: usize) -> TokenBatch {
    let answer = &answer[..answer.len().min(longest)];
    let room = longest - answer.len();
    let prompt = &prompt[prompt.len().saturating_sub(room)..];
    let mut targets = vec![false; prompt.len()];
    targets.resize(prompt.len() + answer.len(), true);
    TokenBatch {
        ids: [prompt, answer].concat(),
        offsets: vec![0, targets.len()],
        targets,
    }
}

/// Refuses another base than that of the index.
pub fn require_base(binding: &IndexBinding, digest: &str) -> Result<(), IndexError> {
    match binding.base == digest {
        true => Ok(()),
        false => Err(IndexError::Stale {
            what: "base",
            expected: binding.base.clone(),
            found: digest.to_owned(),
        }),
    }
}

/// The seed of the projection.
pub fn seed(binding: &IndexBinding, places: &AttributionDir) -> Result<[u8; 32], IndexError> {
    let (mut seed, text) = ([0; 32], &binding.parameters.seed);
    match hex::decode_to_slice(text, &mut seed) {
        Ok(()) => Ok(seed),
        Err(_) => {
            let detail = format!("the projection seed is {text}");
            Err(IndexError::malformed(&places.index(), detail))
        }
    }
}

/// The material of an index from the files beside it.
pub fn read(
    binding: &IndexBinding,
    places: &AttributionDir,
) -> Result<GradientInputs, AttributionError> {
    let mut checkpoints = Vec::new();
    for facts in &binding.checkpoints {
        let path = places.dir.join(checkpoint_file(facts.step));
        checkpoints.push(GradientCheckpoint {
            step: facts.step,
            rate: facts.rate,
            weights: read_tensors(&path, &facts.sha256)?,
        });
    }
    let moments = match &binding.preconditioner {
        Some(sha256) => read_tensors(&places.dir.join(PRECONDITIONER), sha256)?,
        None if binding.parameters.method == IndexMethod::Influence => {
            let detail = "an index of influence has no preconditioner".to_owned();
            return Err(IndexError::malformed(&places.index(), detail).into());
        }
        None => BTreeMap::new(),
    };
    Ok(GradientInputs {
        checkpoints,
        moments,
        lora_scale: binding.parameters.lora_scale,
        lora_scales: binding.parameters.lora_scales.clone(),
    })
}
