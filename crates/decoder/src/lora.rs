//! LoRA factors of a decoder: new ones for training, loaded ones for evaluation, and merging
//! (arXiv:2106.09685; initial values and names as in PEFT).

use std::sync::Arc;

use candle_core::{DType, Device, Tensor, Var};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{
    error::DecoderError,
    kernels::dora::row_norms,
    layer::{LinearLayer, LinearWeight, LoraLayer, ModelParameter},
    network::Decoder,
    tap::{GradientTap, TappedModule},
};
use openlora_model::{LoraConfig, ModuleLora, is_target};

/// The trained factors of one module.
#[derive(Clone, Debug, PartialEq)]
pub struct LoraFactors {
    /// As in the checkpoint: `model.layers.0.self_attn.q_proj`.
    pub module: String,
    pub rank: usize,
    pub scale: f64,
    /// `[rank, in]`
    pub a: Vec<f32>,
    /// `[out, rank]`
    pub b: Vec<f32>,
    /// `[out]`, of DoRA.
    pub magnitude: Option<Vec<f32>>,
}

impl Decoder {
    /// Freezes the base and attaches new factors to the targets: A uniform in ±1/√in (Kaiming with
    /// a = √5, as PEFT), B zero. The values depend only on the seed and each module's position.
    pub fn attach_lora(&mut self, config: &LoraConfig, seed: u64) -> Result<(), DecoderError> {
        if config.rank == 0 {
            return Err(DecoderError::Rank { found: config.rank });
        }
        if !(0.0..1.0).contains(&config.dropout) {
            return Err(DecoderError::Dropout {
                found: config.dropout,
            });
        }
        if config.dora && config.dropout > 0.0 {
            return Err(DecoderError::DoraDropout {
                found: config.dropout,
            });
        }
        self.check_targets(&config.targets)?;
        let wanted = |path: &str| config.targets.iter().any(|target| is_target(target, path));
        let paths = self.linears().map(|linear| linear.path.as_str());
        config.check_patterns(&paths.filter(|path| wanted(path)).collect::<Vec<_>>())?;
        self.freeze()?;
        for (site, linear) in self.linears_mut().enumerate() {
            linear.lora = wanted(&linear.path)
                .then(|| fresh(linear, config, site as u64, seed))
                .transpose()?;
        }
        Ok(())
    }

    /// Freezes the base and attaches trained factors, replacing any others.
    pub fn attach_factors(&mut self, factors: &[LoraFactors]) -> Result<(), DecoderError> {
        self.freeze()?;
        let known: Vec<String> = factors
            .iter()
            .map(|factors| factors.module.clone())
            .collect();
        self.check_targets(&known)?;
        for (site, linear) in self.linears_mut().enumerate() {
            let own = factors.iter().find(|factors| factors.module == linear.path);
            linear.lora = own
                .map(|factors| trained(linear, factors, site as u64))
                .transpose()?;
        }
        Ok(())
    }

    /// Passes the backward passes of all factors to `tap`, instead of computing the factors'
    /// gradients. Module numbers are those of [`Decoder::adapted`].
    pub fn set_tap(&mut self, tap: &Arc<dyn GradientTap>) {
        let adapted = self.linears_mut().filter_map(|linear| linear.lora.as_mut());
        for (module, lora) in adapted.enumerate() {
            lora.tap = Some(TappedModule::new(module, tap.clone()));
        }
    }

    /// Path, rank, input and output width of every module with factors.
    pub fn adapted(&self) -> Vec<(String, [usize; 3])> {
        let described = |linear: &LinearLayer| {
            let lora = linear.lora.as_ref()?;
            let (rank, width) = lora.a.dims2().ok()?;
            Some((linear.path.clone(), [rank, width, lora.b.dims()[0]]))
        };
        self.linears().filter_map(described).collect()
    }

    /// The base without factors; both share its weights.
    pub fn base_alone(&self) -> Self {
        let mut base = self.clone();
        base.linears_mut().for_each(|linear| linear.lora = None);
        base
    }

    /// Adds every s·B·A to its weight, gives the rows DoRA's norms, and detaches the factors.
    pub fn merge_lora(&mut self) -> Result<(), DecoderError> {
        for linear in self.linears_mut() {
            if let Some(lora) = linear.lora.take() {
                let merged = ModelParameter::Frozen(linear.merged(&lora)?);
                linear.weight = LinearWeight::Whole(merged);
            }
        }
        Ok(())
    }

    fn check_targets(&self, targets: &[String]) -> Result<(), DecoderError> {
        let unknown =
            |target: &&String| !self.linears().any(|linear| is_target(target, &linear.path));
        match targets.iter().find(unknown) {
            Some(target) => {
                let names = self.linears().take(7).map(|linear| last_name(&linear.path));
                let available = names.collect::<Vec<_>>().join(", ");
                Err(DecoderError::UnknownTarget {
                    target: target.clone(),
                    available,
                })
            }
            None => Ok(()),
        }
    }
}

impl LinearLayer {
    /// The factors' variables with PEFT's names.
    pub(super) fn factors(&self) -> Vec<(String, Var)> {
        let name = |factor: &str| format!("base_model.model.{}.{factor}", self.path);
        let of = |lora: &LoraLayer| {
            let magnitude = lora.magnitude.iter();
            [
                (name("lora_A.weight"), lora.a.clone()),
                (name("lora_B.weight"), lora.b.clone()),
            ]
            .into_iter()
            .chain(magnitude.map(|magnitude| (name("lora_magnitude_vector"), magnitude.clone())))
            .collect::<Vec<_>>()
        };
        self.lora.iter().flat_map(of).collect()
    }
}

fn last_name(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

fn fresh(
    linear: &LinearLayer,
    config: &LoraConfig,
    site: u64,
    seed: u64,
) -> Result<LoraLayer, DecoderError> {
    let (out, width) = linear.weight.frozen().dims()?;
    let ModuleLora { rank, scale } = config.module(&linear.path)?;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(site + 1);
    let bound = 1.0 / (width as f32).sqrt();
    let a: Vec<f32> = (0..rank * width)
        .map(|_| (rng.random::<f32>() * 2.0 - 1.0) * bound)
        .collect();
    let a = Var::from_tensor(&Tensor::from_vec(a, (rank, width), &Device::Cpu)?)?;
    let b = Var::zeros((out, rank), DType::F32, &Device::Cpu)?;
    // The norms of the base's own rows, so that a new adapter changes nothing.
    let magnitude = match config.dora {
        true => {
            let weight = linear.weight.frozen().in_main_memory()?;
            let norms = row_norms(&weight, &a, &b, 0.0)?;
            Some(Var::from_vec(norms, out, &Device::Cpu)?)
        }
        false => None,
    };
    Ok(LoraLayer {
        a,
        b,
        magnitude,
        scale,
        dropout: config.dropout,
        site,
        tap: None,
    })
}

fn trained(
    linear: &LinearLayer,
    factors: &LoraFactors,
    site: u64,
) -> Result<LoraLayer, DecoderError> {
    let (out, width) = linear.weight.frozen().dims()?;
    let rank = factors.rank;
    let var = |factor: &str, values: &[f32], shape: [usize; 2]| {
        if values.len() != shape[0] * shape[1] {
            return Err(DecoderError::Shape {
                name: format!("{}.{factor}", factors.module),
                expected: shape.to_vec(),
                found: vec![values.len()],
            });
        }
        Ok(Var::from_slice(values, (shape[0], shape[1]), &Device::Cpu)?)
    };
    let a = var("lora_A", &factors.a, [rank, width])?;
    let b = var("lora_B", &factors.b, [out, rank])?;
    let magnitude = match &factors.magnitude {
        Some(values) if values.len() == out => Some(Var::from_slice(values, out, &Device::Cpu)?),
        Some(values) => {
            return Err(DecoderError::Shape {
                name: format!("{}.lora_magnitude_vector", factors.module),
                expected: vec![out],
                found: vec![values.len()],
            });
        }
        None => None,
    };
    Ok(LoraLayer {
        a,
        b,
        magnitude,
        scale: factors.scale,
        dropout: 0.0,
        site,
        tap: None,
    })
}
