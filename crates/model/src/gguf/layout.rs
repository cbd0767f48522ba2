//! What a GGUF file holds, in the terms of a checkpoint: the configuration, and which tensor of the
//! file is which of the model.

use std::{collections::BTreeSet, path::Path};

use serde_json::{Map, Value, json};

use super::{
    blocks::BlockType,
    header::{GgufHeader, GgufTensor, wrong},
    metadata::GgufMetadata,
};
use crate::{
    config::{ModelConfig, ModelFamily, RopeScaling},
    error::{GgufProblem, ModelError},
    shapes::{self, TensorShape},
};

/// Divisors of the rotary frequencies; llama3 scaling is stored so.
const ROPE_FACTORS: &str = "rope_freqs.weight";
const EMBEDDING: &str = "token_embd.weight";
const HEAD: &str = "output.weight";

/// A family as GGUF names it.
struct Architecture {
    name: &'static str,
    class: &'static str,
    /// Whether q and k have the two halves of each head interleaved.
    interleaved: bool,
    /// Whether the projections of attention may have biases that the family's name does not imply.
    optional_bias: bool,
}

const ARCHITECTURES: [Architecture; 3] = [
    Architecture {
        name: "llama",
        class: "LlamaForCausalLM",
        interleaved: true,
        optional_bias: true,
    },
    Architecture {
        name: "qwen2",
        class: "Qwen2ForCausalLM",
        interleaved: false,
        optional_bias: false,
    },
    Architecture {
        name: "qwen3",
        class: "Qwen3ForCausalLM",
        interleaved: false,
        optional_bias: true,
    },
];

/// Names in a block of a checkpoint, and in GGUF.
const BLOCK: [(&str, &str); 11] = [
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.o_proj", "attn_output"),
    ("self_attn.q_norm", "attn_q_norm"),
    ("self_attn.k_norm", "attn_k_norm"),
    ("mlp.gate_proj", "ffn_gate"),
    ("mlp.up_proj", "ffn_up"),
    ("mlp.down_proj", "ffn_down"),
    ("input_layernorm", "attn_norm"),
    ("post_attention_layernorm", "ffn_norm"),
];

/// Settings that change the computation in ways that are not implemented; 0 means that they are off.
const FOREIGN: [&str; 11] = [
    "expert_count",
    "attention.sliding_window",
    "attention.scale",
    "attention.clamp_kqv",
    "attention.max_alibi_bias",
    "attn_logit_softcapping",
    "final_logit_softcapping",
    "logit_scale",
    "residual_scale",
    "embedding_scale",
    "rope.scaling.yarn_log_multiplier",
];

/// A tensor of the checkpoint, and where its values are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedTensor {
    pub shape: TensorShape,
    pub source: GgufTensor,
    /// Rows of a head, if the two halves of each head are to be separated.
    pub interleaved: Option<usize>,
}

/// The model of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct GgufLayout {
    /// `config.json`.
    pub config: Value,
    /// Sorted by name.
    pub tensors: Vec<PlannedTensor>,
    pub vocabulary: usize,
}

/// Matches a header with the families that are known. Values that are not in the header, those of
/// the rotary factors, come from `floats`.
pub fn read_layout(
    header: &GgufHeader,
    path: &Path,
    floats: impl FnOnce(&GgufTensor) -> Result<Vec<f32>, ModelError>,
) -> Result<GgufLayout, ModelError> {
    let gguf = |problem: GgufProblem| ModelError::gguf(path)(problem);
    refuse_other_content(header).map_err(gguf)?;
    let metadata = GgufMetadata::new(&header.metadata).map_err(gguf)?;
    let reader = LayoutReader::new(header, metadata).map_err(gguf)?;
    let mut config = reader.config().map_err(gguf)?;
    if let Some(tensor) = header.tensors.get(ROPE_FACTORS) {
        let parsed = ModelConfig::parse(&json!(config).to_string(), path)?;
        let pairs = parsed.head_dim as u64 / 2;
        if tensor.shape != [pairs] || tensor.kind != BlockType::F32 {
            let (shape, kind) = (&tensor.shape, tensor.kind.name());
            let reason = format!("it has shape {shape:?} in {kind}; expected [{pairs}] in F32");
            return Err(gguf(rope_problem(&reason)));
        }
        let factors = floats(tensor)?;
        let scaling = llama3_scaling(&parsed, &factors).map_err(gguf)?;
        config.insert("rope_scaling".to_owned(), scaling);
    }
    let config = Value::Object(config);
    let parsed = ModelConfig::parse(&config.to_string(), path)?;
    Ok(GgufLayout {
        tensors: reader.tensors(&parsed).map_err(gguf)?,
        vocabulary: parsed.vocab_size,
        config,
    })
}

/// Adapters, projectors, similar files and parts of split models are refused by what they are.
fn refuse_other_content(header: &GgufHeader) -> Result<(), GgufProblem> {
    let metadata = GgufMetadata {
        values: &header.metadata,
        architecture: "",
    };
    let parts = metadata.count("split.count")?.unwrap_or(1);
    if parts > 1 {
        let part = metadata.count("split.no")?.unwrap_or(0) + 1;
        return Err(GgufProblem::Split { part, parts });
    }
    let architecture = metadata.text("general.architecture")?;
    let what = match (metadata.text("general.type")?, architecture) {
        (Some("adapter"), _) => "a LoRA adapter",
        (Some("mmproj"), _) | (_, Some("clip")) => "the projector of a multimodal model (mmproj)",
        (Some("imatrix"), _) => "an importance matrix for quantising",
        (None | Some("model"), _) if header.tensors.is_empty() => "a vocabulary without weights",
        (None | Some("model"), _) => return Ok(()),
        (Some(other), _) => {
            let what = format!("something of type \"{other}\"");
            return Err(GgufProblem::Content { what });
        }
    };
    let what = what.to_owned();
    Err(GgufProblem::Content { what })
}

struct LayoutReader<'a> {
    header: &'a GgufHeader,
    metadata: GgufMetadata<'a>,
    architecture: &'static Architecture,
}

impl<'a> LayoutReader<'a> {
    fn new(header: &'a GgufHeader, metadata: GgufMetadata<'a>) -> Result<Self, GgufProblem> {
        let name = metadata.architecture;
        let known = ARCHITECTURES.iter().find(|known| known.name == name);
        let architecture = known.ok_or_else(|| GgufProblem::Architecture {
            found: name.to_owned(),
        })?;
        let reader = Self {
            header,
            metadata,
            architecture,
        };
        reader.refuse_unsupported()?;
        Ok(reader)
    }

    fn refuse_unsupported(&self) -> Result<(), GgufProblem> {
        let metadata = self.metadata;
        for key in FOREIGN.map(|key| metadata.own(key)) {
            if let Some(found) = metadata.number(&key)?.filter(|found| *found != 0.0) {
                return Err(wrong(&key, "0 or nothing", found));
            }
        }
        let key = metadata.own("rope.scaling.attn_factor");
        match metadata.number(&key)? {
            None | Some(0.0 | 1.0) => {}
            Some(found) => return Err(wrong(&key, "1 or nothing", found)),
        }
        let key = metadata.own("attention.causal");
        match metadata.boolean(&key)? {
            Some(false) => Err(wrong(&key, "true", false)),
            _ => Ok(()),
        }
    }

    /// `config.json`, without the scaling that a tensor describes.
    fn config(&self) -> Result<Map<String, Value>, GgufProblem> {
        let (metadata, family) = (self.metadata, self.architecture);
        let count = |key: &str| metadata.required(&metadata.own(key), GgufMetadata::count);
        let hidden = count("embedding_length")?;
        let (heads, kv_heads) = self.heads()?;
        let wide = metadata.own("feed_forward_length");
        let norm = metadata.own("attention.layer_norm_rms_epsilon");
        let biased = self.has("blk.0.attn_q.bias") && family.optional_bias;
        let token = |key: &str| metadata.count(&format!("tokenizer.ggml.{key}_token_id"));
        let config = json!({
            "architectures": [family.class],
            "model_type": family.name,
            "vocab_size": self.vocabulary()?,
            "hidden_size": hidden,
            "intermediate_size": metadata.required(&wide, GgufMetadata::count_of_layers)?,
            "num_hidden_layers": self.layers()?,
            "num_attention_heads": heads,
            "num_key_value_heads": kv_heads,
            "head_dim": self.head_dim(hidden, heads)?,
            "hidden_act": "silu",
            "max_position_embeddings": count("context_length")?,
            "rms_norm_eps": as_written(metadata.required(&norm, GgufMetadata::number)?),
            "rope_theta": as_written(
                metadata.number(&metadata.own("rope.freq_base"))?.unwrap_or(10_000.0),
            ),
            "rope_scaling": self.rope_scaling()?,
            "tie_word_embeddings": !self.has(HEAD),
            "attention_bias": biased,
            "mlp_bias": self.has("blk.0.ffn_up.bias"),
            "bos_token_id": token("bos")?,
            "eos_token_id": token("eos")?,
        });
        match config {
            Value::Object(config) => Ok(config),
            _ => Ok(Map::new()),
        }
    }

    fn has(&self, tensor: &str) -> bool {
        self.header.tensors.contains_key(tensor)
    }

    fn vocabulary(&self) -> Result<u64, GgufProblem> {
        let table = self.header.tensors.get(EMBEDDING);
        let table = table.ok_or_else(|| missing(EMBEDDING))?;
        Ok(table.shape[0])
    }

    fn layers(&self) -> Result<u64, GgufProblem> {
        let key = self.metadata.own("block_count");
        let layers = self.metadata.required(&key, GgufMetadata::count)?;
        // Names are made for every layer, so their number must not be invented.
        let most = self.header.tensors.len() as u64;
        if layers > most {
            let expected = format!("at most the number of tensors, {most}");
            return Err(wrong(&key, &expected, layers));
        }
        Ok(layers)
    }

    /// Heads of queries, and of keys and values.
    fn heads(&self) -> Result<(u64, u64), GgufProblem> {
        let metadata = self.metadata;
        let key = metadata.own("attention.head_count");
        let heads = metadata.required(&key, GgufMetadata::count_of_layers)?;
        if heads == 0 {
            return Err(wrong(&key, "a positive whole number", heads));
        }
        let kv = metadata.count_of_layers(&metadata.own("attention.head_count_kv"))?;
        Ok((heads, kv.unwrap_or(heads)))
    }

    fn head_dim(&self, hidden: u64, heads: u64) -> Result<u64, GgufProblem> {
        let metadata = self.metadata;
        let key = metadata.own("attention.key_length");
        let width = metadata.count(&key)?.unwrap_or(hidden / heads);
        for key in ["attention.value_length", "rope.dimension_count"] {
            let key = metadata.own(key);
            if let Some(found) = metadata.count(&key)?.filter(|found| *found != width) {
                return Err(wrong(&key, &format!("the width of a head, {width}"), found));
            }
        }
        Ok(width)
    }

    fn rope_scaling(&self) -> Result<Value, GgufProblem> {
        let metadata = self.metadata;
        let key = metadata.own("rope.scaling.type");
        let older = metadata.number(&metadata.own("rope.scale_linear"))?;
        let factor_key = metadata.own("rope.scaling.factor");
        let factor = match metadata.text(&key)? {
            None => metadata.number(&factor_key)?.or(older),
            Some("none") => None,
            Some("linear") => Some(metadata.required(&factor_key, GgufMetadata::number)?),
            Some(found) => return Err(wrong(&key, "none or linear", found)),
        };
        Ok(match factor {
            // A factor of 0 is off, as in llama.cpp.
            None | Some(0.0 | 1.0) => Value::Null,
            Some(factor) if factor > 0.0 => {
                json!({ "rope_type": "linear", "factor": as_written(factor) })
            }
            Some(found) => return Err(wrong(&factor_key, "a positive number", found)),
        })
    }

    /// The tensors of the checkpoint. Each must be there with its shape, and no other may be.
    fn tensors(&self, config: &ModelConfig) -> Result<Vec<PlannedTensor>, GgufProblem> {
        let mut planned = Vec::new();
        let mut left: BTreeSet<&str> = self.header.tensors.keys().map(String::as_str).collect();
        left.remove(ROPE_FACTORS);
        for shape in shapes::tensors(config) {
            let name = tensor_in_gguf(&shape.name);
            let source = self.header.tensors.get(&name);
            let source = source.ok_or_else(|| missing(&name))?;
            if !source
                .shape
                .iter()
                .map(|it| *it as usize)
                .eq(shape.shape.iter().copied())
            {
                return Err(GgufProblem::Tensor {
                    tensor: name,
                    reason: format!(
                        "its shape is {:?}; the metadata asks for {:?}",
                        source.shape, shape.shape
                    ),
                });
            }
            left.remove(name.as_str());
            planned.push(PlannedTensor {
                interleaved: self.is_interleaved(&name).then_some(config.head_dim),
                source: source.clone(),
                shape,
            });
        }
        if let Some(other) = left.first() {
            return Err(GgufProblem::Tensor {
                tensor: (*other).to_owned(),
                reason: format!(
                    "no model of architecture {} that is supported has it",
                    self.architecture.name
                ),
            });
        }
        planned.sort_by(|a, b| a.shape.name.cmp(&b.shape.name));
        Ok(planned)
    }

    fn is_interleaved(&self, name: &str) -> bool {
        let rest = name.strip_prefix("blk.").and_then(|it| it.split_once('.'));
        let is_rotated =
            |(_, name): (&str, &str)| name.starts_with("attn_q.") || name.starts_with("attn_k.");
        self.architecture.interleaved && rest.is_some_and(is_rotated)
    }
}

fn missing(tensor: &str) -> GgufProblem {
    GgufProblem::Tensor {
        tensor: tensor.to_owned(),
        reason: "it is missing".to_owned(),
    }
}

fn rope_problem(reason: &str) -> GgufProblem {
    GgufProblem::Tensor {
        tensor: ROPE_FACTORS.to_owned(),
        reason: reason.to_owned(),
    }
}

/// GGUF's name for the architecture of a family.
pub fn architecture_in_gguf(family: ModelFamily) -> &'static str {
    match family {
        ModelFamily::Llama | ModelFamily::Mistral => "llama",
        ModelFamily::Qwen2 => "qwen2",
        ModelFamily::Qwen3 => "qwen3",
    }
}

/// The rows of a module's weight, or of what is added to it, in the order that GGUF stores: of queries
/// and keys of llama, row `i` of half `s` of a head becomes row `2i + s`.
pub fn interleave_heads(config: &ModelConfig, module: &str, rows: Vec<f32>) -> Vec<f32> {
    let name = architecture_in_gguf(config.family);
    let family = ARCHITECTURES.iter().find(|known| known.name == name);
    let heads = match module.rsplit('.').next() {
        Some("q_proj") => config.heads,
        Some("k_proj") => config.kv_heads,
        _ => return rows,
    };
    let in_head = config.head_dim;
    let row = rows.len() / (heads * in_head);
    if row == 0 || !family.is_some_and(|family| family.interleaved) {
        return rows;
    }
    let mut out = vec![0.0; rows.len()];
    let heads = rows.chunks_exact(in_head * row);
    for (head, out) in heads.zip(out.chunks_exact_mut(in_head * row)) {
        for (at, target) in out.chunks_exact_mut(row).enumerate() {
            let from = at % 2 * (in_head / 2) + at / 2;
            target.copy_from_slice(&head[from * row..][..row]);
        }
    }
    out
}

/// The name of a checkpoint's tensor in GGUF.
pub fn tensor_in_gguf(name: &str) -> String {
    let whole = [
        (shapes::EMBEDDING, EMBEDDING),
        (shapes::FINAL_NORM, "output_norm.weight"),
        (shapes::HEAD, HEAD),
    ];
    if let Some((_, other)) = whole.iter().find(|(own, _)| *own == name) {
        return (*other).to_owned();
    }
    let rest = name.strip_prefix("model.layers.").unwrap_or(name);
    let (layer, rest) = rest.split_once('.').unwrap_or_default();
    let (path, kind) = rest.rsplit_once('.').unwrap_or_default();
    let module = BLOCK.iter().find(|(own, _)| *own == path);
    let module = module.map_or(path, |(_, other)| other);
    format!("blk.{layer}.{module}.{kind}")
}

/// The decimal number that was written as f32: 1e-5 instead of 9.999999747378752e-6.
fn as_written(number: f64) -> f64 {
    let single = number as f32;
    match f64::from(single) == number {
        true => single.to_string().parse().unwrap_or(number),
        false => number,
    }
}

/// The scaling whose frequencies are those of `config` divided by `factors`. Only the parameters of
/// Llama 3 but for the factor and the original context are tried, which are the same in all of its
/// models.
fn llama3_scaling(config: &ModelConfig, factors: &[f32]) -> Result<Value, GgufProblem> {
    let (low, high) = (1.0, 4.0);
    let frequencies = config.rope_frequencies();
    if factors.iter().all(|factor| *factor == 1.0) {
        return Ok(config
            .source
            .get("rope_scaling")
            .cloned()
            .unwrap_or_default());
    }
    if config.rope_scaling != RopeScaling::None {
        return Err(rope_problem("the metadata scales the frequencies as well"));
    }
    let factor = f64::from(factors.iter().copied().fold(1.0, f32::max));
    // 8 192 first; powers of two from 16 to 2^20.
    let contexts = std::iter::once(13)
        .chain(4..=20)
        .map(|power| f64::from(1 << power));
    for original in contexts {
        let scaling = RopeScaling::Llama3 {
            factor,
            low,
            high,
            original,
        };
        let fits = |(frequency, factor): (&f32, &f32)| {
            let expected = frequency / scaling.apply(*frequency);
            (expected - factor).abs() <= 1e-4 * factor.abs()
        };
        if frequencies.iter().zip(factors).all(fits) {
            return Ok(json!({
                "rope_type": "llama3",
                "factor": factor,
                "low_freq_factor": low,
                "high_freq_factor": high,
                "original_max_position_embeddings": original as u64,
            }));
        }
    }
    Err(rope_problem("its values are not those of llama3 scaling"))
}
