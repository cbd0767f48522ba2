//! The material of a training for attribution: weights at checkpoints, and Adam's moments.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};

use candle_core::{Device, Tensor, safetensors as candle_safetensors};
use sha2::{Digest, Sha256};

use super::{
    error::AttributionError,
    index::IndexMethod,
    places::{AttributionDir, PRECONDITIONER, checkpoint_file},
    projection::tensor_names,
};
use openlora_decoder::{Decoder, LoraFactors};
use openlora_diffusion::{ImageAdapter, ImageModel, ModuleFactors};
use openlora_model::LoraConfig;
use openlora_train::{
    RateSchedule, RunDir, TrainConfig, TrainError,
    adamw::AdamWOptions,
    run::{checkpoint, files},
};

/// The weights at which gradients are computed.
#[derive(Clone, Debug)]
pub struct GradientCheckpoint {
    pub step: u64,
    /// Weight of its scores.
    pub rate: f64,
    /// PEFT's names.
    pub weights: BTreeMap<String, Tensor>,
}

/// Everything that determines gradients besides base and examples.
#[derive(Clone, Debug)]
pub struct GradientInputs {
    pub checkpoints: Vec<GradientCheckpoint>,
    /// Adam's second moments, bias-corrected, and those of B divided by the square of LoRA+'s ratio
    /// of learning rates, so that the preconditioner includes it; empty for methods without one.
    pub moments: BTreeMap<String, Tensor>,
    /// α / r.
    pub lora_scale: f64,
    /// That of the modules which have another one.
    pub lora_scales: BTreeMap<String, f64>,
}

impl GradientInputs {
    /// Reads the checkpoints that `method` needs from a finished run.
    pub fn of_run(
        run: &RunDir,
        config: &TrainConfig,
        method: IndexMethod,
    ) -> Result<Self, AttributionError> {
        let absent = || AttributionError::NoCheckpoint { run: run.id() };
        let newest = checkpoint::newest(run)?.ok_or_else(absent)?;
        let last = checkpoint::load(run, newest)?;
        let kept = match (config.patience, last.state.best) {
            (Some(_), Some(best)) => best.step,
            _ => newest,
        };
        let steps = match method {
            IndexMethod::Influence => milestones(run, last.state.steps, kept),
            IndexMethod::Datainf | IndexMethod::Gradient => vec![kept],
        };
        let schedule =
            RateSchedule::new(config.schedule, config.lr, config.warmup, last.state.steps);
        let mut checkpoints = Vec::new();
        for step in steps {
            let rate = match method {
                IndexMethod::Influence => schedule.at(step.saturating_sub(1)),
                IndexMethod::Datainf | IndexMethod::Gradient => 1.0,
            };
            let weights = checkpoint::load(run, step)?.weights.into_iter().collect();
            checkpoints.push(GradientCheckpoint {
                step,
                rate,
                weights,
            });
        }
        let moments = match method {
            IndexMethod::Influence => moments(
                &last.optimizer,
                newest,
                config.optimizer().loraplus_lr_ratio,
            )?,
            IndexMethod::Datainf | IndexMethod::Gradient => BTreeMap::new(),
        };
        let lora = config.lora().map_err(TrainError::from)?;
        let lora_scales = own_scales(&lora, &checkpoints)?;
        Ok(Self {
            checkpoints,
            moments,
            lora_scale: lora.scale(),
            lora_scales,
        })
    }

    /// 1 / √(√v + ε) of every value: half of Adam's preconditioner, applied on both sides.
    pub fn preconditioner(&self) -> Result<BTreeMap<String, Vec<f32>>, AttributionError> {
        let epsilon = AdamWOptions::default().epsilon;
        let half = |value: f32| (1.0 / (f64::from(value).max(0.0).sqrt() + epsilon).sqrt()) as f32;
        let of = |(name, tensor): (&String, &Tensor)| {
            let values = tensor.flatten_all()?.to_vec1::<f32>()?;
            Ok((name.clone(), values.into_iter().map(half).collect()))
        };
        self.moments.iter().map(of).collect()
    }

    /// The decoder with the factors of a checkpoint.
    pub fn place(&self, base: &Decoder, at: usize) -> Result<Decoder, AttributionError> {
        let mut decoder = base.clone();
        decoder.attach_factors(&self.factors(at)?)?;
        Ok(decoder)
    }

    /// The factors of a checkpoint of an image model.
    ///
    /// # Errors
    ///
    /// Factors that do not fit the model, and those that it does not have: DoRA's magnitudes.
    pub fn place_picture(
        &self,
        model: &ImageModel,
        at: usize,
    ) -> Result<ImageAdapter, AttributionError> {
        let factors = self.factors(at)?;
        if let Some(found) = factors.iter().find(|found| found.magnitude.is_some()) {
            return Err(AttributionError::Tensors {
                path: checkpoint_file(self.checkpoints[at].step).into(),
                name: format!("{}.lora_magnitude_vector", found.module),
            });
        }
        let factors: Vec<ModuleFactors> = factors
            .into_iter()
            .map(|found| ModuleFactors {
                path: found.module,
                rank: found.rank,
                scale: found.scale,
                a: found.a,
                b: found.b,
            })
            .collect();
        Ok(ImageAdapter::from_factors(model, &factors)?)
    }

    /// Reads the checkpoints of a finished run on pictures, whose optimizer has the moments of all
    /// factors in one piece.
    ///
    /// # Errors
    ///
    /// A run without checkpoints, and files that are damaged or do not fit the model.
    pub fn of_picture_run(
        run: &RunDir,
        config: &TrainConfig,
        model: &ImageModel,
    ) -> Result<Self, AttributionError> {
        let found = Self::of_run(run, config, IndexMethod::Influence)?;
        let absent = || AttributionError::NoCheckpoint { run: run.id() };
        let newest = checkpoint::newest(run)?.ok_or_else(absent)?;
        let optimizer = checkpoint::load(run, newest)?.optimizer;
        let second = optimizer
            .get("second")
            .ok_or_else(|| AttributionError::Tensors {
                path: run.checkpoints(),
                name: "second".to_owned(),
            })?;
        let power = i32::try_from(newest).unwrap_or(i32::MAX);
        let correction = 1.0 - AdamWOptions::default().beta2.powi(power);
        let second = (second / correction)?.to_vec1::<f32>()?;
        let adapter = found.place_picture(model, 0)?;
        Ok(Self {
            moments: named(&adapter, &second)?,
            ..found
        })
    }

    /// The material of a training of an image model: step, weight of its scores and factors of each
    /// checkpoint, and Adam's second moments, bias-corrected, in the order of the factors' values.
    ///
    /// # Errors
    ///
    /// Another number of moments than of values.
    pub fn of_picture_adapters(
        kept: &[(u64, f64, &ImageAdapter)],
        moments: &[f32],
    ) -> Result<Self, AttributionError> {
        let mut checkpoints = Vec::new();
        let (mut lora_scales, mut named_moments) = (BTreeMap::new(), BTreeMap::new());
        for (step, rate, adapter) in kept {
            checkpoints.push(GradientCheckpoint {
                step: *step,
                rate: *rate,
                weights: named(adapter, adapter.values())?,
            });
            for place in adapter.places() {
                lora_scales.insert(place.path.clone(), f64::from(place.scale));
            }
            if !moments.is_empty() {
                named_moments = named(adapter, moments)?;
            }
        }
        let lora_scale = lora_scales.values().next().copied().unwrap_or(1.0);
        lora_scales.retain(|_, scale| *scale != lora_scale);
        Ok(Self {
            checkpoints,
            moments: named_moments,
            lora_scale,
            lora_scales,
        })
    }

    fn factors(&self, at: usize) -> Result<Vec<LoraFactors>, AttributionError> {
        let weights = &self.checkpoints[at].weights;
        let mut factors = Vec::new();
        for (name, a) in weights {
            let Some(module) = module_of(name) else {
                continue;
            };
            let other = name.replace(".lora_A.", ".lora_B.");
            let Some(b) = weights.get(&other) else {
                return Err(AttributionError::Tensors {
                    path: module.into(),
                    name: other,
                });
            };
            let magnitude = weights.get(&name.replace(".lora_A.weight", ".lora_magnitude_vector"));
            let magnitude = magnitude.map(|values| values.to_vec1()).transpose()?;
            let scale = self.lora_scales.get(module);
            factors.push(LoraFactors {
                module: module.to_owned(),
                rank: a.dims()[0],
                scale: scale.copied().unwrap_or(self.lora_scale),
                a: a.flatten_all()?.to_vec1()?,
                b: b.flatten_all()?.to_vec1()?,
                magnitude,
            });
        }
        Ok(factors)
    }

    /// Writes the inputs as files, and returns the SHA-256 of each by name.
    pub fn write(
        &self,
        places: &AttributionDir,
    ) -> Result<BTreeMap<String, String>, AttributionError> {
        let mut digests = BTreeMap::new();
        for (name, tensors) in self.files() {
            let path = places.dir.join(&name);
            let tensors: Vec<(String, Tensor)> = tensors
                .iter()
                .map(|(name, tensor)| (name.clone(), tensor.clone()))
                .collect();
            let bytes = checkpoint::encode(&tensors, &path)?;
            digests.insert(name, hex::encode(Sha256::digest(&bytes)));
            files::replace(&path, &bytes)?;
        }
        Ok(digests)
    }

    fn files(&self) -> Vec<(String, &BTreeMap<String, Tensor>)> {
        let checkpoints = self.checkpoints.iter();
        let mut files: Vec<_> = checkpoints
            .map(|checkpoint| (checkpoint_file(checkpoint.step), &checkpoint.weights))
            .collect();
        if !self.moments.is_empty() {
            files.push((PRECONDITIONER.to_owned(), &self.moments));
        }
        files
    }
}

/// Reads tensors, and refuses a file with another digest.
pub fn read_tensors(
    path: &Path,
    expected: &str,
) -> Result<BTreeMap<String, Tensor>, AttributionError> {
    let bytes = files::read(path)?;
    let found = hex::encode(Sha256::digest(&bytes));
    if found != expected {
        return Err(super::error::IndexError::Damaged {
            path: path.to_owned(),
            section: "checkpoint",
            expected: expected.to_owned(),
            found,
        }
        .into());
    }
    Ok(candle_safetensors::load_buffer(&bytes, &Device::Cpu)?
        .into_iter()
        .collect())
}

/// The milestone steps before the step of the adapter's weights; that step if there is none.
fn milestones(run: &RunDir, steps: u64, kept: u64) -> Vec<u64> {
    let mut found = checkpoint::milestones(steps);
    found.retain(|step| *step <= kept && checkpoint::load(run, *step).is_ok());
    found.dedup();
    if found.is_empty() {
        found.push(kept);
    }
    found
}

fn moments(
    optimizer: &HashMap<String, Tensor>,
    step: u64,
    loraplus_lr_ratio: f64,
) -> Result<BTreeMap<String, Tensor>, AttributionError> {
    let power = i32::try_from(step).unwrap_or(i32::MAX);
    let correction = 1.0 - AdamWOptions::default().beta2.powi(power);
    let corrected = |(name, tensor): (&String, &Tensor)| {
        let name = name.strip_prefix("v.")?.to_owned();
        let ratio = match name.ends_with(".lora_B.weight") {
            true => loraplus_lr_ratio,
            false => 1.0,
        };
        Some((tensor / (correction * ratio * ratio)).map(|tensor| (name, tensor)))
    };
    Ok(optimizer
        .iter()
        .filter_map(corrected)
        .collect::<Result<_, _>>()?)
}

/// Values in the order of an adapter's factors, by PEFT's names.
fn named(
    adapter: &ImageAdapter,
    values: &[f32],
) -> Result<BTreeMap<String, Tensor>, AttributionError> {
    let mut tensors = BTreeMap::new();
    for place in adapter.places() {
        let shapes = [(place.rank, place.inputs), (place.outputs, place.rank)];
        let parts = tensor_names(&place.path).into_iter().zip(shapes);
        for ((name, shape), range) in parts.zip([&place.a, &place.b]) {
            let Some(part) = values.get(range.clone()) else {
                let path = PRECONDITIONER.into();
                return Err(AttributionError::Tensors { path, name });
            };
            tensors.insert(name, Tensor::from_slice(part, shape, &Device::Cpu)?);
        }
    }
    Ok(tensors)
}

/// The path of the module whose factor A has this name.
fn module_of(name: &str) -> Option<&str> {
    let module = name.strip_prefix("base_model.model.")?;
    module.strip_suffix(".lora_A.weight")
}

/// The scales of the modules that a pattern gives another one.
fn own_scales(
    lora: &LoraConfig,
    checkpoints: &[GradientCheckpoint],
) -> Result<BTreeMap<String, f64>, AttributionError> {
    let mut scales = BTreeMap::new();
    let names = checkpoints.iter().flat_map(|kept| kept.weights.keys());
    for module in names.filter_map(|name| module_of(name)) {
        let scale = lora.module(module).map_err(TrainError::from)?.scale;
        if scale != lora.scale() {
            scales.insert(module.to_owned(), scale);
        }
    }
    Ok(scales)
}
