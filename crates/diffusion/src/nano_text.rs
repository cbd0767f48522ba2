//! The hidden states of the embedded language model `nano`, which describe captions to `pico`.

use std::collections::BTreeMap;

use safetensors::SafeTensors;
use serde::Deserialize;

use crate::{
    caption::CaptionEmbedding,
    error::DiffusionError,
    model::decode_floats,
    numeric::{dot, softmax},
    ops::{Rows, Target, add_to, swiglu, times, times_transposed},
    tables::Angles,
};

/// The part of a Llama configuration that the computation needs.
#[derive(Clone, Debug, Deserialize)]
struct LlamaSizes {
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: usize,
    head_dim: usize,
    max_position_embeddings: usize,
    rms_norm_eps: f32,
    rope_theta: f64,
    vocab_size: usize,
}

struct LlamaLayer {
    attention_norm: Vec<f32>,
    feed_norm: Vec<f32>,
    query: Vec<f32>,
    key: Vec<f32>,
    value: Vec<f32>,
    out: Vec<f32>,
    gate: Vec<f32>,
    up: Vec<f32>,
    down: Vec<f32>,
}

/// A small Llama in f32 that reads token ids. Tokens see those before them; a token's values do not
/// depend on how many follow.
pub struct LlamaStates {
    sizes: LlamaSizes,
    embedding: Vec<f32>,
    layers: Vec<LlamaLayer>,
    norm: Vec<f32>,
    angles: Angles,
}

/// Captions are read up to here.
const POSITIONS: usize = 512;

impl LlamaStates {
    /// Reads `config.json` and `model.safetensors` of a base in Hugging Face's layout.
    ///
    /// # Errors
    ///
    /// Files that are malformed or hold another kind of model.
    pub fn read(config: &[u8], weights: &[u8]) -> Result<Self, DiffusionError> {
        let sizes: LlamaSizes = serde_json::from_slice(config).map_err(problem)?;
        let file = SafeTensors::deserialize(weights).map_err(problem)?;
        let mut tensors = LlamaTensors {
            found: file.tensors().into_iter().collect(),
        };
        let (hidden, inner) = (sizes.hidden_size, sizes.intermediate_size);
        let queries = sizes.num_attention_heads * sizes.head_dim;
        let keys = sizes.num_key_value_heads * sizes.head_dim;
        let mut layers = Vec::new();
        for at in 0..sizes.num_hidden_layers {
            let mut take = |name: &str, shape: &[usize]| {
                tensors.take(&format!("model.layers.{at}.{name}.weight"), shape)
            };
            layers.push(LlamaLayer {
                attention_norm: take("input_layernorm", &[hidden])?,
                feed_norm: take("post_attention_layernorm", &[hidden])?,
                query: take("self_attn.q_proj", &[queries, hidden])?,
                key: take("self_attn.k_proj", &[keys, hidden])?,
                value: take("self_attn.v_proj", &[keys, hidden])?,
                out: take("self_attn.o_proj", &[hidden, queries])?,
                gate: take("mlp.gate_proj", &[inner, hidden])?,
                up: take("mlp.up_proj", &[inner, hidden])?,
                down: take("mlp.down_proj", &[hidden, inner])?,
            });
        }
        Ok(Self {
            embedding: tensors.take("model.embed_tokens.weight", &[sizes.vocab_size, hidden])?,
            norm: tensors.take("model.norm.weight", &[hidden])?,
            angles: Angles::in_order(
                sizes.max_position_embeddings.min(POSITIONS),
                sizes.head_dim / 2,
                sizes.rope_theta,
            ),
            layers,
            sizes,
        })
    }

    /// Values per token of [`Self::caption`].
    pub fn width(&self) -> usize {
        2 * self.sizes.hidden_size
    }

    /// For each token its embedding and its hidden state after the last block, each divided by its
    /// root mean square.
    ///
    /// # Errors
    ///
    /// No tokens, too many, or one that is not in the vocabulary.
    pub fn caption(&self, ids: &[u32]) -> Result<CaptionEmbedding, DiffusionError> {
        let mut captions = self.captions(&[ids])?;
        captions.pop().ok_or(DiffusionError::EmptyCaption)
    }

    /// As [`Self::caption`], of several captions at once, which is faster.
    ///
    /// # Errors
    ///
    /// As [`Self::caption`], of any of them.
    pub fn captions(&self, ids: &[&[u32]]) -> Result<Vec<CaptionEmbedding>, DiffusionError> {
        let most = self.sizes.max_position_embeddings.min(POSITIONS);
        let hidden = self.sizes.hidden_size;
        let mut x = Vec::new();
        for ids in ids {
            match ids.len() {
                0 => return Err(DiffusionError::EmptyCaption),
                found if found > most => {
                    return Err(DiffusionError::CaptionTooLong { found, most });
                }
                _ => {}
            }
            for id in *ids {
                x.extend_from_slice(self.embedded(*id)?);
            }
        }
        let embedded = x.clone();
        let lengths: Vec<usize> = ids.iter().map(|ids| ids.len()).collect();
        for layer in &self.layers {
            self.attend(layer, &lengths, &mut x);
            self.feed(layer, &mut x);
        }
        let ones = vec![1.0; hidden];
        let last = self.normed(&self.normed(&x, &self.norm), &ones);
        let first = self.normed(&embedded, &ones);
        let mut rows = first.chunks_exact(hidden).zip(last.chunks_exact(hidden));
        let captions = lengths.into_iter().map(|length| {
            let own = rows.by_ref().take(length);
            let values = own
                .flat_map(|(first, last)| [first, last].concat())
                .collect();
            CaptionEmbedding::new(self.width(), values)
        });
        captions.collect()
    }

    fn embedded(&self, id: u32) -> Result<&[f32], DiffusionError> {
        let hidden = self.sizes.hidden_size;
        let first = id as usize * hidden;
        let row = self.embedding.get(first..first + hidden);
        row.ok_or_else(|| DiffusionError::TextEncoder {
            reason: format!(
                "token {id} is not in the vocabulary of {}",
                self.sizes.vocab_size
            ),
        })
    }

    fn normed(&self, x: &[f32], weight: &[f32]) -> Vec<f32> {
        let mut y = Vec::with_capacity(x.len());
        for row in x.chunks_exact(weight.len()) {
            let mean = dot(row, row) / weight.len() as f32;
            let inverse = 1.0 / (mean + self.sizes.rms_norm_eps).sqrt();
            y.extend(
                row.iter()
                    .zip(weight)
                    .map(|(x, weight)| x * inverse * weight),
            );
        }
        y
    }

    fn attend(&self, layer: &LlamaLayer, lengths: &[usize], x: &mut [f32]) {
        let sizes = &self.sizes;
        let (dim, heads) = (sizes.head_dim, sizes.num_attention_heads);
        let shared = sizes.num_key_value_heads;
        let normed = self.normed(x, &layer.attention_norm);
        let query = product(&normed, &layer.query, sizes.hidden_size);
        let key = product(&normed, &layer.key, sizes.hidden_size);
        let value = product(&normed, &layer.value, sizes.hidden_size);
        let mut mixed = vec![0.0; query.len()];
        let mut first = 0;
        for tokens in lengths {
            let of_head = |from: &[f32], head: usize, heads: usize| -> Vec<f32> {
                let rows = from.chunks_exact(heads * dim).skip(first).take(*tokens);
                rows.flat_map(|row| row[head * dim..][..dim].to_vec())
                    .collect()
            };
            for head in 0..heads {
                let group = head * shared / heads;
                let (mut q, mut k) = (of_head(&query, head, heads), of_head(&key, group, shared));
                let v = of_head(&value, group, shared);
                let rows = q.chunks_exact_mut(dim).zip(k.chunks_exact_mut(dim));
                for (at, (q, k)) in rows.enumerate() {
                    self.angles.turn(at, q);
                    self.angles.turn(at, k);
                }
                for at in 0..*tokens {
                    let seen = (at + 1) * dim;
                    let mut weights = vec![0.0; at + 1];
                    let row = Rows::new(&q[at * dim..seen], dim);
                    times_transposed(row, &k[..seen], Target::new(&mut weights, at + 1));
                    softmax(&mut weights, 1.0 / (dim as f32).sqrt());
                    let to = &mut mixed[((first + at) * heads + head) * dim..][..dim];
                    let row = Rows::new(&weights, at + 1);
                    times(row, &v[..seen], Target::new(to, dim));
                }
            }
            first += tokens;
        }
        add_to(x, &product(&mixed, &layer.out, heads * dim));
    }

    fn feed(&self, layer: &LlamaLayer, x: &mut [f32]) {
        let normed = self.normed(x, &layer.feed_norm);
        let gate = product(&normed, &layer.gate, self.sizes.hidden_size);
        let up = product(&normed, &layer.up, self.sizes.hidden_size);
        let mut wide = vec![0.0; gate.len()];
        swiglu(&gate, &up, &mut wide);
        add_to(
            x,
            &product(&wide, &layer.down, self.sizes.intermediate_size),
        );
    }
}

/// Rows times the transpose of weights `[outputs, depth]`.
fn product(x: &[f32], weights: &[f32], depth: usize) -> Vec<f32> {
    let outputs = weights.len() / depth;
    let mut y = vec![0.0; x.len() / depth * outputs];
    times_transposed(Rows::new(x, depth), weights, Target::new(&mut y, outputs));
    y
}

struct LlamaTensors<'t> {
    found: BTreeMap<String, safetensors::tensor::TensorView<'t>>,
}

impl LlamaTensors<'_> {
    fn take(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, DiffusionError> {
        let view = self.found.remove(name);
        let view = view.ok_or_else(|| problem(format!("tensor {name} is missing")))?;
        if view.shape() != shape {
            return Err(DiffusionError::Shape {
                name: name.to_owned(),
                expected: shape.to_vec(),
                found: view.shape().to_vec(),
            });
        }
        let mut values = vec![0.0; shape.iter().product()];
        decode_floats(view.dtype(), view.data(), &mut values)
            .ok_or_else(|| problem(format!("tensor {name} is {:?}", view.dtype())))?;
        Ok(values)
    }
}

fn problem(reason: impl ToString) -> DiffusionError {
    DiffusionError::TextEncoder {
        reason: reason.to_string(),
    }
}
