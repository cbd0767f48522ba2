//! One forward pass over a ragged batch.

use std::sync::Arc;

use candle_core::{DType, Result, Tensor};

use super::{
    batch::TokenBatch,
    error::DecoderError,
    kernels::{
        attention::{AttentionHeads, AttentionOp},
        cross_entropy::{FrozenHeadLoss, HeadLoss, LossTargets},
        embedding::EmbeddingLookup,
        plain,
        residual::ResidualAdd,
        rope::{RopeAngles, RotaryEmbedding},
        swiglu::SwiGlu,
    },
    layer::{ForwardMode, LinearLayer, ModelParameter, PassParameter, rms_norm},
    network::{Decoder, DecoderBlock},
};

impl Decoder {
    /// Σ −log p over the batch's targets as an f32 scalar, and their number.
    pub fn loss_sum(
        &self,
        batch: &TokenBatch,
    ) -> std::result::Result<(Tensor, usize), DecoderError> {
        batch.check(&self.config)?;
        let targets = batch.learned();
        let count = targets.positions.len();
        let pass = ForwardPass::new(self, batch, self.mode());
        Ok((pass.loss(&pass.hidden()?, targets)?, count))
    }

    /// Logits `[positions, vocab]` in f32 for the token after each flat position of the batch. No
    /// gradients are tracked, and dropout is off.
    pub fn logits_at(
        &self,
        batch: &TokenBatch,
        positions: &[usize],
    ) -> std::result::Result<Tensor, DecoderError> {
        batch.check(&self.config)?;
        let tokens = batch.ids.len();
        if let Some(bad) = positions.iter().find(|&&position| position >= tokens) {
            let reason = format!("position {bad} is past its {tokens} tokens");
            return Err(DecoderError::Batch { reason });
        }
        let mode = ForwardMode {
            fused: self.fused,
            tracked: false,
            noise: None,
        };
        let hidden = ForwardPass::new(self, batch, mode).hidden()?;
        let positions: Vec<u32> = positions.iter().map(|&position| position as u32).collect();
        let rows = hidden.index_select(&Tensor::new(positions, hidden.device())?, 0)?;
        let weight = self.head_parameter().clone();
        let head = LinearLayer {
            path: String::new(),
            weight,
            bias: None,
            lora: None,
        };
        Ok(head.forward(&rows, mode)?)
    }
}

/// State shared by all layers of a pass.
struct ForwardPass<'a> {
    decoder: &'a Decoder,
    mode: ForwardMode,
    ids: Arc<Vec<u32>>,
    offsets: Arc<Vec<usize>>,
    positions: Arc<Vec<usize>>,
    angles: Arc<RopeAngles>,
}

impl<'a> ForwardPass<'a> {
    /// The caller must have checked the batch.
    pub fn new(decoder: &'a Decoder, batch: &TokenBatch, mode: ForwardMode) -> Self {
        let frequencies = decoder.config.rope_frequencies();
        Self {
            decoder,
            mode,
            ids: Arc::new(batch.ids.clone()),
            offsets: Arc::new(batch.offsets.clone()),
            positions: Arc::new(batch.positions()),
            angles: Arc::new(RopeAngles::new(&frequencies, batch.longest_row())),
        }
    }

    /// Hidden states after the final norm, `[tokens, hidden]`.
    pub fn hidden(&self) -> Result<Tensor> {
        let mut h = self.embed()?;
        for (block, window) in self.decoder.blocks.iter().zip(&self.decoder.config.windows) {
            h = self.add(&h, &self.attend(block, *window, &h)?)?;
            h = self.add(&h, &self.feed(block, &h)?)?;
        }
        self.norm(&h, &self.decoder.norm)
    }

    fn embed(&self) -> Result<Tensor> {
        let (table, tracked) = match self.decoder.embedding.for_pass(self.mode) {
            PassParameter::Frozen(table) => (table, false),
            PassParameter::Learning(table) => (table, true),
        };
        if tracked && self.mode.fused {
            return table.apply_op1(EmbeddingLookup {
                ids: self.ids.clone(),
            });
        }
        let ids = Tensor::new(self.ids.as_slice(), table.device())?;
        table.index_select(&ids, 0)?.to_dtype(DType::F32)
    }

    fn add(&self, h: &Tensor, update: &Tensor) -> Result<Tensor> {
        if self.mode.fused {
            h.apply_op2(update, ResidualAdd)
        } else {
            h + update
        }
    }

    fn norm(&self, x: &Tensor, weight: &ModelParameter) -> Result<Tensor> {
        rms_norm(x, weight, self.decoder.config.norm_eps, self.mode)
    }

    fn attend(&self, block: &DecoderBlock, window: Option<usize>, h: &Tensor) -> Result<Tensor> {
        let x = self.norm(h, &block.attention_norm)?;
        let [q_proj, k_proj, v_proj, o_proj, ..] = &block.linears;
        let q = self.turn(&q_proj.forward(&x, self.mode)?, block.query_norm.as_ref())?;
        let k = self.turn(&k_proj.forward(&x, self.mode)?, block.key_norm.as_ref())?;
        let v = v_proj.forward(&x, self.mode)?;
        let config = &self.decoder.config;
        let (heads, kv_heads, head_dim) = (config.heads, config.kv_heads, config.head_dim);
        let heads = AttentionHeads {
            heads,
            kv_heads,
            head_dim,
            window,
        };
        let mixed = if self.mode.fused {
            q.apply_op3(
                &k,
                &v,
                AttentionOp {
                    heads,
                    offsets: self.offsets.clone(),
                },
            )?
        } else {
            plain::attention(&q, &k, &v, heads, &self.offsets)?
        };
        o_proj.forward(&mixed, self.mode)
    }

    /// Normalises each head if the family does so, and applies the rotary embedding.
    fn turn(&self, x: &Tensor, norm: Option<&ModelParameter>) -> Result<Tensor> {
        let x = match norm {
            Some(weight) => {
                let (tokens, width) = x.dims2()?;
                let dim = self.decoder.config.head_dim;
                let heads = x.reshape((tokens * (width / dim), dim))?;
                self.norm(&heads, weight)?.reshape((tokens, width))?
            }
            None => x.clone(),
        };
        if self.mode.fused {
            let (angles, positions) = (self.angles.clone(), self.positions.clone());
            return x.apply_op1(RotaryEmbedding { angles, positions });
        }
        plain::rope(&x, &self.angles, &self.positions)
    }

    fn feed(&self, block: &DecoderBlock, h: &Tensor) -> Result<Tensor> {
        let x = self.norm(h, &block.feed_norm)?;
        let [.., gate_proj, up_proj, down_proj] = &block.linears;
        let (gate, up) = (
            gate_proj.forward(&x, self.mode)?,
            up_proj.forward(&x, self.mode)?,
        );
        let wide = match self.mode.fused {
            true => gate.apply_op2(&up, SwiGlu)?,
            false => plain::swiglu(&gate, &up)?,
        };
        down_proj.forward(&wide, self.mode)
    }

    /// Σ −log p over targets.
    pub fn loss(&self, hidden: &Tensor, targets: LossTargets) -> Result<Tensor> {
        match self.decoder.head_parameter().for_pass(self.mode) {
            PassParameter::Frozen(weight) if self.mode.fused => {
                let with_gradients = hidden.track_op();
                hidden.apply_op1(FrozenHeadLoss::new(weight, targets, with_gradients))
            }
            PassParameter::Learning(weight) if self.mode.fused => {
                hidden.apply_op2(&weight, HeadLoss::new(targets))
            }
            PassParameter::Frozen(weight) | PassParameter::Learning(weight) => {
                plain::head_loss(hidden, &weight, &targets.positions, &targets.tokens)
            }
        }
    }
}
