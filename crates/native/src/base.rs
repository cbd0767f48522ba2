//! The weights of a base, packed once for the kernels and shared by all its adapters.

use openlora_kernels::{
    AttentionShape, KernelError, KvPrecision, KvShape, RopeTable, WeightFormat, WeightMatrix,
};
use openlora_model::{
    BaseModel, ModelConfig, TensorShape, WeightError, WeightFiles,
    shapes::{EMBEDDING, FINAL_NORM, HEAD, LinearShape, in_layer, projections},
};

/// Why a base cannot be packed.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    #[error(transparent)]
    Weights(#[from] WeightError),
    #[error("tensor {name}: {source}")]
    Tensor { name: String, source: KernelError },
}

/// A linear layer, or several that read the same input.
#[derive(Debug)]
pub(crate) struct PackedLinear {
    pub matrix: WeightMatrix,
    /// `[outputs]`
    pub bias: Option<Vec<f32>>,
}

/// The matrices of a block; layers that read the same input are one matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BlockPart {
    /// Queries, keys and values.
    Qkv,
    /// The output projection of attention.
    Output,
    /// The gate and the up projection.
    GateUp,
    Down,
}

impl BlockPart {
    pub(crate) const ALL: [Self; 4] = [Self::Qkv, Self::Output, Self::GateUp, Self::Down];

    /// Its layers among those that `projections` lists.
    fn members(self) -> std::ops::Range<usize> {
        match self {
            Self::Qkv => 0..3,
            Self::Output => 3..4,
            Self::GateUp => 4..6,
            Self::Down => 6..7,
        }
    }
}

/// Where a linear layer of a block lies.
#[derive(Clone, Debug)]
pub(crate) struct ModulePlace {
    pub path: String,
    pub layer: usize,
    pub part: BlockPart,
    /// First output column in the part.
    pub column: usize,
}

/// Every linear layer of the blocks.
pub(crate) fn module_places(config: &ModelConfig) -> Vec<ModulePlace> {
    let shapes = projections(config);
    let mut places = Vec::with_capacity(config.layers * shapes.len());
    for layer in 0..config.layers {
        for part in BlockPart::ALL {
            let mut column = 0;
            for shape in &shapes[part.members()] {
                places.push(ModulePlace {
                    path: in_layer(layer, shape.name),
                    layer,
                    part,
                    column,
                });
                column += shape.out_dim;
            }
        }
    }
    places
}

/// A transformer block.
#[derive(Debug)]
pub(crate) struct PackedBlock {
    /// `[hidden]`
    pub attention_norm: Vec<f32>,
    /// `[hidden]`
    pub feed_norm: Vec<f32>,
    /// `[head_dim]` of queries and keys, if the family norms heads.
    pub head_norms: Option<[Vec<f32>; 2]>,
    /// By [`BlockPart`].
    pub parts: [PackedLinear; 4],
}

/// A base model in memory, ready to compute.
#[derive(Debug)]
pub struct NativeBase {
    pub(crate) config: ModelConfig,
    pub(crate) format: WeightFormat,
    /// `[vocab, hidden]`; also the head of a tied base.
    pub(crate) embedding: WeightMatrix,
    /// `[vocab, hidden]`
    pub(crate) head: Option<WeightMatrix>,
    pub(crate) blocks: Vec<PackedBlock>,
    /// `[hidden]`
    pub(crate) norm: Vec<f32>,
    pub(crate) rope: RopeTable,
}

impl NativeBase {
    /// Reads and packs the weights of `base`; positions from `context` on cannot be computed.
    ///
    /// # Errors
    ///
    /// Weight files that cannot be read or do not match the configuration, and weights that the
    /// format cannot hold.
    pub fn pack(base: &BaseModel, format: WeightFormat, context: usize) -> Result<Self, PackError> {
        let tensors = WeightFiles::open(&base.dir).map_err(WeightError::from)?;
        let packer = Packer {
            config: &base.config,
            tensors,
            format,
        };
        let config = &base.config;
        let table = [config.vocab_size, config.hidden_size];
        let head = TensorShape::new(HEAD, &table);
        Ok(Self {
            embedding: packer.matrix(&[TensorShape::new(EMBEDDING, &table)])?,
            head: (!config.tied).then(|| packer.matrix(&[head])).transpose()?,
            blocks: (0..config.layers)
                .map(|layer| packer.block(layer))
                .collect::<Result<_, _>>()?,
            norm: packer.vector(FINAL_NORM.to_owned(), config.hidden_size)?,
            rope: RopeTable::from_frequencies(&config.rope_frequencies(), context),
            config: config.clone(),
            format,
        })
    }

    /// Memory that the packed weights take.
    pub fn bytes(&self) -> usize {
        let parts = self.blocks.iter().flat_map(|block| &block.parts);
        let tables = [Some(&self.embedding), self.head.as_ref()];
        let matrices = parts.map(|part| &part.matrix);
        matrices
            .chain(tables.into_iter().flatten())
            .map(WeightMatrix::bytes)
            .sum()
    }

    pub(crate) fn head(&self) -> &WeightMatrix {
        self.head.as_ref().unwrap_or(&self.embedding)
    }

    pub(crate) fn kv_shape(&self) -> KvShape {
        kv_shape(&self.config, self.format)
    }

    pub(crate) fn attention_shape(&self, layer: usize) -> AttentionShape {
        AttentionShape {
            heads: self.config.heads,
            scale: 1.0 / (self.config.head_dim as f32).sqrt(),
            window: self.config.windows[layer],
        }
    }
}

/// Keys and values: exact beside exact weights, in half precision beside quantised ones.
pub(crate) fn kv_shape(config: &ModelConfig, format: WeightFormat) -> KvShape {
    KvShape {
        layers: config.layers,
        kv_heads: config.kv_heads,
        head_dim: config.head_dim,
        precision: match format {
            WeightFormat::F32 => KvPrecision::F32,
            WeightFormat::Int8 | WeightFormat::Int4 => KvPrecision::F16,
        },
    }
}

/// Reads tensors and packs them.
struct Packer<'a> {
    config: &'a ModelConfig,
    tensors: WeightFiles,
    format: WeightFormat,
}

impl Packer<'_> {
    fn block(&self, layer: usize) -> Result<PackedBlock, PackError> {
        let norm = |name: &str, width| self.vector(in_layer(layer, name), width);
        let (hidden, head) = (self.config.hidden_size, self.config.head_dim);
        let head_norms = match self.config.head_norms {
            true => Some([
                norm("self_attn.q_norm.weight", head)?,
                norm("self_attn.k_norm.weight", head)?,
            ]),
            false => None,
        };
        let [qkv, output, gate_up, down] = BlockPart::ALL.map(|part| self.linear(layer, part));
        Ok(PackedBlock {
            attention_norm: norm("input_layernorm.weight", hidden)?,
            feed_norm: norm("post_attention_layernorm.weight", hidden)?,
            head_norms,
            parts: [qkv?, output?, gate_up?, down?],
        })
    }

    fn linear(&self, layer: usize, part: BlockPart) -> Result<PackedLinear, PackError> {
        let members = &projections(self.config)[part.members()];
        let weight = |shape: &LinearShape| {
            let name = format!("{}.weight", in_layer(layer, shape.name));
            TensorShape::new(name, &[shape.out_dim, shape.in_dim])
        };
        let weights: Vec<TensorShape> = members.iter().map(weight).collect();
        let mut bias = Vec::new();
        for shape in members.iter().filter(|shape| shape.biased) {
            let name = format!("{}.bias", in_layer(layer, shape.name));
            bias.extend(self.vector(name, shape.out_dim)?);
        }
        Ok(PackedLinear {
            matrix: self.matrix(&weights)?,
            bias: (!bias.is_empty()).then_some(bias),
        })
    }

    fn vector(&self, name: String, width: usize) -> Result<Vec<f32>, PackError> {
        let shape = TensorShape::new(name, &[width]);
        Ok(self.tensors.read(&shape)?)
    }

    fn matrix(&self, shapes: &[TensorShape]) -> Result<WeightMatrix, PackError> {
        let values = shapes.iter().map(|shape| self.tensors.read(shape));
        let values: Vec<Vec<f32>> = values.collect::<Result<_, _>>()?;
        let parts: Vec<&[f32]> = values.iter().map(Vec::as_slice).collect();
        let (first, columns) = match shapes.first() {
            Some(first) => (first.name.clone(), first.shape[1]),
            None => (String::new(), 0),
        };
        WeightMatrix::from_f32(self.format, columns, &parts).map_err(|source| PackError::Tensor {
            name: first,
            source,
        })
    }
}
