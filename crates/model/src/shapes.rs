//! The tensors of a model with a given config: names, shapes, counts and memory.

use super::config::ModelConfig;

/// A linear layer of a base: its weight has shape `[out_dim, in_dim]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleShape {
    /// Such as `model.layers.0.self_attn.q_proj`.
    pub path: String,
    pub in_dim: usize,
    pub out_dim: usize,
}

/// A tensor of the checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorShape {
    pub name: String,
    pub shape: Vec<usize>,
}

impl TensorShape {
    pub fn new(name: impl Into<String>, shape: &[usize]) -> Self {
        Self {
            name: name.into(),
            shape: shape.to_vec(),
        }
    }

    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }
}

pub const EMBEDDING: &str = "model.embed_tokens.weight";
pub const FINAL_NORM: &str = "model.norm.weight";
pub const HEAD: &str = "lm_head.weight";

/// A linear layer of every block: name below the block, input and output width, whether biased.
pub struct LinearShape {
    pub name: &'static str,
    pub in_dim: usize,
    pub out_dim: usize,
    pub biased: bool,
}

/// The seven linear layers of a block, in the order of the forward pass.
pub fn projections(config: &ModelConfig) -> [LinearShape; 7] {
    let (hidden, wide) = (config.hidden_size, config.intermediate_size);
    let (query, key) = (config.query_width(), config.key_width());
    let row = |name, in_dim, out_dim, biased| LinearShape {
        name,
        in_dim,
        out_dim,
        biased,
    };
    [
        row("self_attn.q_proj", hidden, query, config.qkv_bias),
        row("self_attn.k_proj", hidden, key, config.qkv_bias),
        row("self_attn.v_proj", hidden, key, config.qkv_bias),
        row("self_attn.o_proj", query, hidden, config.output_bias),
        row("mlp.gate_proj", hidden, wide, config.mlp_bias),
        row("mlp.up_proj", hidden, wide, config.mlp_bias),
        row("mlp.down_proj", wide, hidden, config.mlp_bias),
    ]
}

/// Path of a tensor or module in block `layer`.
pub fn in_layer(layer: usize, name: &str) -> String {
    format!("model.layers.{layer}.{name}")
}

/// Every linear layer of the blocks, which is what `all-linear` selects.
pub fn modules(config: &ModelConfig) -> Vec<ModuleShape> {
    (0..config.layers)
        .flat_map(|layer| {
            projections(config).map(
                |LinearShape {
                     name,
                     in_dim,
                     out_dim,
                     ..
                 }| ModuleShape {
                    path: in_layer(layer, name),
                    in_dim,
                    out_dim,
                },
            )
        })
        .collect()
}

/// Every tensor of the checkpoint.
pub fn tensors(config: &ModelConfig) -> Vec<TensorShape> {
    let table = [config.vocab_size, config.hidden_size];
    let mut all = vec![TensorShape::new(EMBEDDING, &table)];
    all.extend((0..config.layers).flat_map(|layer| layer_tensors(config, layer)));
    all.push(TensorShape::new(FINAL_NORM, &[config.hidden_size]));
    if !config.tied {
        all.push(TensorShape::new(HEAD, &table));
    }
    all
}

fn layer_tensors(config: &ModelConfig, layer: usize) -> Vec<TensorShape> {
    let mut all = Vec::new();
    for LinearShape {
        name,
        in_dim,
        out_dim,
        biased,
    } in projections(config)
    {
        let path = in_layer(layer, name);
        all.push(TensorShape::new(
            format!("{path}.weight"),
            &[out_dim, in_dim],
        ));
        if biased {
            all.push(TensorShape::new(format!("{path}.bias"), &[out_dim]));
        }
    }
    let mut norm = |name: &str, width| all.push(TensorShape::new(in_layer(layer, name), &[width]));
    norm("input_layernorm.weight", config.hidden_size);
    norm("post_attention_layernorm.weight", config.hidden_size);
    if config.head_norms {
        norm("self_attn.q_norm.weight", config.head_dim);
        norm("self_attn.k_norm.weight", config.head_dim);
    }
    all
}

/// Number of weights of the base.
pub fn parameters(config: &ModelConfig) -> u64 {
    tensors(config)
        .iter()
        .map(|tensor| tensor.elements() as u64)
        .sum()
}

/// Maximum logits in memory.
const LOGITS: usize = 1 << 23;
/// Maximum rows of logits in memory.
const ROWS: usize = 1024;

/// Rows of logits in memory at once.
pub fn rows_at_once(vocab: usize) -> usize {
    (LOGITS / vocab.max(1)).clamp(1, ROWS)
}
