//! The differentiable decoder: one config-driven forward pass for all supported families.
//!
//! A decoder is frozen (base weights get no gradient), frozen with trainable LoRA factors, or fully
//! trainable. It knows batches of tokens, but no text, data files or optimizers.

use std::{collections::BTreeMap, sync::Arc};

use candle_core::{DType, Device, Tensor, Var};
use half::bf16;
use openlora_kernels::{WeightFormat, WeightMatrix};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::{
    buffers::BufferPool,
    error::DecoderError,
    layer::{ForwardMode, LinearLayer, LinearWeight, ModelParameter, learns},
    noise::DropoutNoise,
};
use openlora_model::{
    BaseModel, ModelConfig, TensorShape, WeightFiles, WeightPrecision,
    shapes::{self, in_layer, projections},
};

/// A transformer block.
#[derive(Clone, Debug)]
pub(super) struct DecoderBlock {
    pub attention_norm: ModelParameter,
    pub feed_norm: ModelParameter,
    /// q, k, v, o, gate, up, down.
    pub linears: [LinearLayer; 7],
    pub query_norm: Option<ModelParameter>,
    pub key_norm: Option<ModelParameter>,
}

/// A base model that can be trained. Clones share the trainable variables.
#[derive(Clone, Debug)]
pub struct Decoder {
    pub(super) config: ModelConfig,
    /// `[vocab, hidden]`
    pub(super) embedding: ModelParameter,
    pub(super) blocks: Vec<DecoderBlock>,
    pub(super) norm: ModelParameter,
    /// `[vocab, hidden]`; tied models use the embedding.
    pub(super) head: Option<ModelParameter>,
    pub(super) fused: bool,
    pub(super) checkpointing: bool,
    training: bool,
    noise: DropoutNoise,
    /// Of the passes of training.
    pub(super) buffers: Arc<BufferPool>,
}

impl Decoder {
    /// Loads a base's weights; all are frozen.
    pub fn load(base: &BaseModel, precision: WeightPrecision) -> Result<Self, DecoderError> {
        let checkpoint = WeightFiles::open(&base.dir)?;
        let packed = match precision {
            WeightPrecision::Q8 => Some(WeightFormat::Int8),
            WeightPrecision::Q4 => Some(WeightFormat::Int4),
            WeightPrecision::F32 | WeightPrecision::Bf16 | WeightPrecision::Auto => None,
        };
        Self::build(&base.config, packed, |wanted| {
            let values = checkpoint.read(wanted)?;
            Ok(ModelParameter::Frozen(tensor(values, wanted, precision)?))
        })
    }

    /// New random weights, all trainable. Matrices are normal with the config's initializer range;
    /// those that write to the residual stream are scaled by 1/√(2·layers). Norms are 1 and biases
    /// 0.
    pub fn random(config: &ModelConfig, seed: u64) -> Result<Self, DecoderError> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let narrow = 1.0 / (2.0 * config.layers as f64).sqrt();
        Self::build(config, None, |wanted| {
            let count = wanted.elements();
            let values: Vec<f32> = if wanted.shape.len() == 2 {
                let writes = ["o_proj.weight", "down_proj.weight"];
                let residual = writes.iter().any(|end| wanted.name.ends_with(end));
                let deviation = config.initializer_range * if residual { narrow } else { 1.0 };
                (0..count)
                    .map(|_| (normal(&mut rng) * deviation) as f32)
                    .collect()
            } else {
                vec![
                    if wanted.name.ends_with("bias") {
                        0.0
                    } else {
                        1.0
                    };
                    count
                ]
            };
            let var = Var::from_vec(values, wanted.shape.as_slice(), &Device::Cpu)?;
            Ok(ModelParameter::Learning(var))
        })
    }

    /// Linear layers are in the format `packed`, if there is one, or as `source` gives them.
    fn build(
        config: &ModelConfig,
        packed: Option<WeightFormat>,
        mut source: impl FnMut(&TensorShape) -> Result<ModelParameter, DecoderError>,
    ) -> Result<Self, DecoderError> {
        let table = [config.vocab_size, config.hidden_size];
        let embedding = source(&TensorShape::new(shapes::EMBEDDING, &table))?;
        let blocks = (0..config.layers)
            .map(|layer| DecoderBlock::build(config, layer, packed, &mut source))
            .collect::<Result<Vec<_>, _>>()?;
        let norm = source(&TensorShape::new(shapes::FINAL_NORM, &[config.hidden_size]))?;
        let head = (!config.tied).then(|| source(&TensorShape::new(shapes::HEAD, &table)));
        Ok(Self {
            config: config.clone(),
            embedding,
            blocks,
            norm,
            head: head.transpose()?,
            fused: true,
            checkpointing: false,
            training: false,
            noise: DropoutNoise::default(),
            buffers: Arc::default(),
        })
    }

    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Training mode builds the graph for backward passes and enables dropout. Outside it nothing
    /// is tracked, and losses have no gradients. Decoders start outside it.
    pub fn set_training(&mut self, training: bool) {
        self.training = training;
        if !training {
            self.buffers.clear();
        }
    }

    /// Sets the state of the dropout noise: the same seed and counter give the same noise. The
    /// trainer counts every micro-batch and stores the counter in its checkpoints.
    pub fn set_noise(&mut self, seed: u64, counter: u64) {
        self.noise = DropoutNoise { seed, counter };
    }

    /// Selects fused kernels (the default) or plain tensor operations.
    pub fn set_fused(&mut self, fused: bool) {
        self.fused = fused;
    }

    /// All trainable variables by name, sorted: PEFT's names for LoRA factors, the checkpoint's for
    /// base weights.
    pub fn trainable(&self) -> Vec<(String, Var)> {
        let learning = |(name, parameter): (String, &ModelParameter)| match parameter {
            ModelParameter::Learning(var) => Some((name, var.clone())),
            ModelParameter::Frozen(_) => None,
        };
        let base = self.parameters().into_iter().filter_map(learning);
        let factors = self.linears().flat_map(|linear| linear.factors());
        let sorted: BTreeMap<String, Var> = base.chain(factors).collect();
        sorted.into_iter().collect()
    }

    /// Makes every base weight trainable (full-parameter mode), expanding narrow ones to f32.
    pub fn unfreeze(&mut self) -> Result<(), DecoderError> {
        for linear in self.linears_mut() {
            if let LinearWeight::Packed(_) = linear.weight {
                let wide = ModelParameter::Frozen(linear.weight.frozen().expanded()?);
                linear.weight = LinearWeight::Whole(wide);
            }
        }
        self.for_parameters(|parameter| {
            if let ModelParameter::Frozen(tensor) = parameter {
                let wide = tensor.to_dtype(DType::F32)?;
                *parameter = ModelParameter::Learning(Var::from_tensor(&wide)?);
            }
            Ok(())
        })
    }

    /// Freezes every base weight.
    pub fn freeze(&mut self) -> Result<(), DecoderError> {
        self.for_parameters(|parameter| {
            if let ModelParameter::Learning(var) = parameter {
                *parameter = ModelParameter::Frozen(var.as_detached_tensor());
            }
            Ok(())
        })
    }

    /// Memory that the base's weights take, in bytes.
    pub fn weight_bytes(&self) -> usize {
        let whole = self.parameters().into_iter().map(|(_, parameter)| {
            let tensor = parameter.tensor();
            tensor.elem_count() * tensor.dtype().size_in_bytes()
        });
        let packed = self.linears().map(|linear| match &linear.weight {
            LinearWeight::Whole(_) => 0,
            LinearWeight::Packed(matrix) => matrix.bytes(),
        });
        whole.chain(packed).sum()
    }

    /// Base parameters by their checkpoint names, in checkpoint order, without packed weights.
    pub fn parameters(&self) -> Vec<(String, &ModelParameter)> {
        let mut all = vec![(shapes::EMBEDDING.to_owned(), &self.embedding)];
        for (layer, block) in self.blocks.iter().enumerate() {
            all.extend(block.parameters(layer));
        }
        all.push((shapes::FINAL_NORM.to_owned(), &self.norm));
        all.extend(self.head.iter().map(|head| (shapes::HEAD.to_owned(), head)));
        all
    }

    pub(super) fn for_parameters(
        &mut self,
        mut work: impl FnMut(&mut ModelParameter) -> Result<(), DecoderError>,
    ) -> Result<(), DecoderError> {
        work(&mut self.embedding)?;
        for block in &mut self.blocks {
            for linear in &mut block.linears {
                if let LinearWeight::Whole(weight) = &mut linear.weight {
                    work(weight)?;
                }
                linear.bias.iter_mut().try_for_each(&mut work)?;
            }
            let norms = [&mut block.query_norm, &mut block.key_norm];
            norms.into_iter().flatten().try_for_each(&mut work)?;
            work(&mut block.attention_norm)?;
            work(&mut block.feed_norm)?;
        }
        work(&mut self.norm)?;
        self.head.iter_mut().try_for_each(&mut work)
    }

    /// The lowest block with a parameter that learns; below it, gradients are of no use.
    pub(super) fn lowest_learning(&self) -> usize {
        match learns(&self.embedding) {
            true => 0,
            false => {
                let learning = self.blocks.iter().position(DecoderBlock::learns);
                learning.unwrap_or(self.blocks.len())
            }
        }
    }

    pub(super) fn linears(&self) -> impl Iterator<Item = &LinearLayer> {
        self.blocks.iter().flat_map(|block| &block.linears)
    }

    pub(super) fn linears_mut(&mut self) -> impl Iterator<Item = &mut LinearLayer> {
        self.blocks.iter_mut().flat_map(|block| &mut block.linears)
    }

    pub(super) fn head_parameter(&self) -> &ModelParameter {
        self.head.as_ref().unwrap_or(&self.embedding)
    }

    /// Whether the tokens with which all rows start may be computed once: not where each row has
    /// noise of its own, or where the gradient of each row is wanted.
    pub(super) fn rows_share(&self, mode: ForwardMode) -> bool {
        let mut factors = self.linears().filter_map(|linear| linear.lora.as_ref());
        factors.all(|lora| lora.tap.is_none() && lora.noise(mode).is_none())
    }

    pub(super) fn mode(&self) -> ForwardMode {
        let noise = self.training.then_some(self.noise);
        ForwardMode {
            fused: self.fused,
            tracked: self.training,
            noise,
        }
    }
}

impl DecoderBlock {
    fn build(
        config: &ModelConfig,
        layer: usize,
        packed: Option<WeightFormat>,
        source: &mut impl FnMut(&TensorShape) -> Result<ModelParameter, DecoderError>,
    ) -> Result<Self, DecoderError> {
        let mut linears = Vec::with_capacity(7);
        for projection in projections(config) {
            let path = in_layer(layer, projection.name);
            let shape = [projection.out_dim, projection.in_dim];
            let weight = TensorShape::new(format!("{path}.weight"), &shape);
            let whole = source(&weight)?;
            let weight = match packed {
                Some(format) => LinearWeight::Packed(pack(whole.tensor(), &weight, format)?),
                None => LinearWeight::Whole(whole),
            };
            let bias = TensorShape::new(format!("{path}.bias"), &shape[..1]);
            let bias = projection.biased.then(|| source(&bias)).transpose()?;
            linears.push(LinearLayer {
                path,
                weight,
                bias,
                lora: None,
            });
        }
        let Ok(linears) = linears.try_into() else {
            return Err(DecoderError::Batch {
                reason: "a block has seven linear layers".to_owned(),
            });
        };
        let mut norm =
            |name: &str, width| source(&TensorShape::new(in_layer(layer, name), &[width]));
        let head_norms = config.head_norms;
        Ok(Self {
            linears,
            attention_norm: norm("input_layernorm.weight", config.hidden_size)?,
            feed_norm: norm("post_attention_layernorm.weight", config.hidden_size)?,
            query_norm: head_norms
                .then(|| norm("self_attn.q_norm.weight", config.head_dim))
                .transpose()?,
            key_norm: head_norms
                .then(|| norm("self_attn.k_norm.weight", config.head_dim))
                .transpose()?,
        })
    }

    fn learns(&self) -> bool {
        let own = |linear: &LinearLayer| linear.weight.parameter().is_some_and(learns);
        let mut linears = self.linears.iter();
        linears.any(|linear| linear.lora.is_some() || own(linear))
    }

    fn parameters(&self, layer: usize) -> Vec<(String, &ModelParameter)> {
        let mut all = Vec::new();
        for linear in &self.linears {
            let weight = linear.weight.parameter();
            all.extend(weight.map(|weight| (format!("{}.weight", linear.path), weight)));
            all.extend(
                linear
                    .bias
                    .iter()
                    .map(|bias| (format!("{}.bias", linear.path), bias)),
            );
        }
        let mut norm = |name: &str, parameter| all.push((in_layer(layer, name), parameter));
        norm("input_layernorm.weight", &self.attention_norm);
        norm("post_attention_layernorm.weight", &self.feed_norm);
        let heads = [
            ("self_attn.q_norm.weight", &self.query_norm),
            ("self_attn.k_norm.weight", &self.key_norm),
        ];
        for (name, parameter) in heads {
            parameter.iter().for_each(|parameter| norm(name, parameter));
        }
        all
    }
}

/// A weight in memory; matrices in bf16 stay at two bytes per weight. Beside packed weights, that is
/// for matrices which bf16 holds exactly.
fn tensor(
    values: Vec<f32>,
    shape: &TensorShape,
    precision: WeightPrecision,
) -> Result<Tensor, DecoderError> {
    let shape = shape.shape.as_slice();
    let narrow = match precision {
        WeightPrecision::F32 | WeightPrecision::Auto => false,
        WeightPrecision::Bf16 => true,
        WeightPrecision::Q8 | WeightPrecision::Q4 => values
            .par_iter()
            .all(|&x| bf16::from_f32(x).to_f32().to_bits() == x.to_bits()),
    };
    if narrow && shape.len() == 2 {
        let narrow: Vec<bf16> = values.par_iter().map(|&x| bf16::from_f32(x)).collect();
        return Ok(Tensor::from_vec(narrow, shape, &Device::Cpu)?);
    }
    Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
}

/// A weight in a quantised format.
fn pack(
    weight: &Tensor,
    shape: &TensorShape,
    format: WeightFormat,
) -> Result<Arc<WeightMatrix>, DecoderError> {
    let (_, width) = weight.dims2()?;
    let values: Vec<f32> = weight.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?;
    match WeightMatrix::from_f32(format, width, &[&values]) {
        Ok(matrix) => Ok(Arc::new(matrix)),
        Err(source) => Err(DecoderError::Unpackable {
            name: shape.name.clone(),
            source,
        }),
    }
}

/// A standard normal sample (Box–Muller).
fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let (u, v): (f64, f64) = (rng.random(), rng.random());
    (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}
