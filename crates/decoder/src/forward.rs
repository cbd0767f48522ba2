//! One forward pass over a ragged batch.

use std::{collections::BTreeSet, sync::Arc};

use candle_core::{DType, Result, Tensor, backprop::GradStore};

use super::{
    batch::{PackedBatch, TokenBatch},
    error::DecoderError,
    kernels::{
        attention::{AttentionHeads, AttentionOp, RaggedRows},
        cross_entropy::{FrozenHeadLoss, HeadLoss},
        embedding::EmbeddingLookup,
        plain,
        residual::ResidualAdd,
        rope::RopeAngles,
        swiglu::{FrozenSwiGlu, SwiGlu},
    },
    layer::{ForwardMode, LinearLayer, LinearWeight, ModelParameter, PassParameter, rms_norm},
    network::{Decoder, DecoderBlock},
};

impl Decoder {
    /// Σ −log p over the batch's targets as an f32 scalar, and their number.
    ///
    /// Tokens with which all rows start are computed once, where each row then needs no noise or
    /// gradient of its own.
    pub fn loss_sum(
        &self,
        batch: &TokenBatch,
    ) -> std::result::Result<(Tensor, usize), DecoderError> {
        batch.check(&self.config)?;
        let pass = ForwardPass::new(self, batch, self.mode());
        let targets = pass.packed.targets(batch);
        let count = targets.places.len();
        if count == 0 {
            let device = self.norm.tensor().device();
            return Ok((Tensor::zeros((), DType::F32, device)?, 0));
        }
        let hidden = pass.hidden(&targets.places)?;
        Ok((pass.loss(&hidden, targets.tokens)?, count))
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
        let pass = ForwardPass::new(self, batch, mode);
        let wanted: Vec<usize> = positions.iter().map(|&at| pass.packed.place(at)).collect();
        let hidden = pass.hidden(&wanted)?;
        let weight = LinearWeight::Whole(self.head_parameter().clone());
        let head = LinearLayer {
            path: String::new(),
            weight,
            bias: None,
            lora: None,
        };
        Ok(head.forward(&hidden, mode)?)
    }
}

/// Receives gradients.
pub(super) type GradientReceiver<'a> = dyn FnMut(GradStore) -> Result<()> + 'a;

/// State shared by all layers of a pass.
pub(super) struct ForwardPass<'a> {
    pub decoder: &'a Decoder,
    pub mode: ForwardMode,
    pub packed: PackedBatch,
    pub angles: Arc<RopeAngles>,
}

/// The tokens whose hidden states the last block computes. It needs the keys and values of all.
pub(super) struct ChosenTokens {
    /// In rising order.
    places: Tensor,
    rows: Arc<RaggedRows>,
}

impl<'a> ForwardPass<'a> {
    /// The caller must have checked the batch.
    pub fn new(decoder: &'a Decoder, batch: &TokenBatch, mode: ForwardMode) -> Self {
        let frequencies = decoder.config.rope_frequencies();
        Self {
            decoder,
            mode,
            packed: PackedBatch::new(batch, decoder.rows_share(mode)),
            angles: Arc::new(RopeAngles::new(&frequencies, batch.longest_row())),
        }
    }

    /// The same pass without a graph.
    pub fn untracked(&self) -> Self {
        Self {
            mode: ForwardMode {
                tracked: false,
                ..self.mode
            },
            packed: self.packed.clone(),
            angles: self.angles.clone(),
            ..*self
        }
    }

    /// Hidden states after the final norm at `wanted` places of the packed batch, `[wanted, hidden]`.
    pub fn hidden(&self, wanted: &[usize]) -> Result<Tensor> {
        let distinct: BTreeSet<usize> = wanted.iter().copied().collect();
        let places: Vec<usize> = distinct.into_iter().collect();
        let chosen = self.chosen(&places)?;
        let mut h = self.embed()?;
        for layer in 0..self.decoder.blocks.len() {
            h = self.layer(layer, &h, &chosen)?;
        }
        let h = self.norm(&h, &self.decoder.norm)?;
        if places == wanted {
            return Ok(h);
        }
        let order: Vec<usize> = wanted
            .iter()
            .map(|wanted| places.partition_point(|place| place < wanted))
            .collect();
        h.index_select(&self.indices(&order)?, 0)
    }

    /// `places` rise.
    pub fn chosen(&self, places: &[usize]) -> Result<ChosenTokens> {
        Ok(ChosenTokens {
            places: self.indices(places)?,
            rows: Arc::new(self.packed.at(places)),
        })
    }

    /// One layer's output: for all tokens, or for those chosen if it is the last.
    pub fn layer(&self, layer: usize, h: &Tensor, chosen: &ChosenTokens) -> Result<Tensor> {
        let blocks = &self.decoder.blocks;
        let window = self.decoder.config.windows[layer];
        let last = layer + 1 == blocks.len();
        self.block(&blocks[layer], window, h, last.then_some(chosen))
    }

    fn indices(&self, rows: &[usize]) -> Result<Tensor> {
        let rows: Vec<u32> = rows.iter().map(|&row| row as u32).collect();
        Tensor::new(rows, self.decoder.norm.tensor().device())
    }

    /// One block's output for all tokens, or only for those chosen.
    fn block(
        &self,
        block: &DecoderBlock,
        window: Option<usize>,
        h: &Tensor,
        chosen: Option<&ChosenTokens>,
    ) -> Result<Tensor> {
        let x = self.norm(h, &block.attention_norm)?;
        let (h, queried, rows) = match chosen {
            None => (h.clone(), x.clone(), &self.packed.rows),
            Some(chosen) => (
                h.index_select(&chosen.places, 0)?,
                x.index_select(&chosen.places, 0)?,
                &chosen.rows,
            ),
        };
        let h = self.add(&h, &self.attend(block, window, &x, &queried, rows)?)?;
        self.add(&h, &self.feed(block, &h)?)
    }

    pub fn embed(&self) -> Result<Tensor> {
        let (table, tracked) = match self.decoder.embedding.for_pass(self.mode) {
            PassParameter::Frozen(table) => (table, false),
            PassParameter::Learning(table) => (table, true),
        };
        if tracked && self.mode.fused {
            return table.apply_op1(EmbeddingLookup {
                ids: Arc::new(self.packed.ids.clone()),
            });
        }
        let ids = Tensor::new(self.packed.ids.as_slice(), table.device())?;
        table.index_select(&ids, 0)?.to_dtype(DType::F32)
    }

    fn add(&self, h: &Tensor, update: &Tensor) -> Result<Tensor> {
        if self.mode.fused {
            h.apply_op2(update, ResidualAdd)
        } else {
            h + update
        }
    }

    pub fn norm(&self, x: &Tensor, weight: &ModelParameter) -> Result<Tensor> {
        rms_norm(x, weight, self.decoder.config.norm_eps, self.mode)
    }

    /// Attention of the queries of `queried`, a part of x, to the keys of x.
    fn attend(
        &self,
        block: &DecoderBlock,
        window: Option<usize>,
        x: &Tensor,
        queried: &Tensor,
        rows: &Arc<RaggedRows>,
    ) -> Result<Tensor> {
        let [q_proj, k_proj, v_proj, o_proj, ..] = &block.linears;
        let q = self.norm_heads(&q_proj.forward(queried, self.mode)?, &block.query_norm)?;
        let k = self.norm_heads(&k_proj.forward(x, self.mode)?, &block.key_norm)?;
        let v = v_proj.forward(x, self.mode)?;
        let heads = self.heads(window);
        let mixed = if self.mode.fused {
            let (rows, angles) = (rows.clone(), self.angles.clone());
            let attention = AttentionOp {
                heads,
                rows,
                angles,
            };
            q.apply_op3(&k, &v, attention)?
        } else {
            let q = plain::rope(&q, &self.angles, &rows.positions)?;
            let k = plain::rope(&k, &self.angles, &self.packed.rows.positions)?;
            plain::attention(&q, &k, &v, heads, rows)?
        };
        o_proj.forward(&mixed, self.mode)
    }

    pub fn heads(&self, window: Option<usize>) -> AttentionHeads {
        let config = &self.decoder.config;
        AttentionHeads {
            heads: config.heads,
            kv_heads: config.kv_heads,
            head_dim: config.head_dim,
            window,
        }
    }

    /// Normalises each head if the family does so.
    fn norm_heads(&self, x: &Tensor, norm: &Option<ModelParameter>) -> Result<Tensor> {
        let Some(weight) = norm else {
            return Ok(x.clone());
        };
        let (tokens, width) = x.dims2()?;
        let dim = self.decoder.config.head_dim;
        let heads = x.reshape((tokens * (width / dim), dim))?;
        self.norm(&heads, weight)?.reshape((tokens, width))
    }

    fn feed(&self, block: &DecoderBlock, h: &Tensor) -> Result<Tensor> {
        let x = self.norm(h, &block.feed_norm)?;
        let [.., gate_proj, up_proj, down_proj] = &block.linears;
        let (gate, up) = (
            gate_proj.forward(&x, self.mode)?,
            up_proj.forward(&x, self.mode)?,
        );
        if self.mode.fused
            && let Some(frozen) = down_proj.frozen(self.mode)
        {
            return gate.apply_op2(
                &up,
                FrozenSwiGlu {
                    weight: frozen.weight,
                    bias: frozen.bias,
                },
            );
        }
        let wide = match self.mode.fused {
            true => gate.apply_op2(&up, SwiGlu)?,
            false => plain::swiglu(&gate, &up)?,
        };
        down_proj.forward(&wide, self.mode)
    }

    /// Σ −log p over targets, from the hidden states at their positions.
    pub fn loss(&self, hidden: &Tensor, tokens: Arc<Vec<u32>>) -> Result<Tensor> {
        match self.decoder.head_parameter().for_pass(self.mode) {
            PassParameter::Frozen(weight) if self.mode.fused => {
                let with_gradients = hidden.track_op();
                hidden.apply_op1(FrozenHeadLoss::new(weight, tokens, with_gradients))
            }
            PassParameter::Learning(weight) if self.mode.fused => {
                hidden.apply_op2(&weight, HeadLoss::new(tokens))
            }
            PassParameter::Frozen(weight) | PassParameter::Learning(weight) => {
                plain::head_loss(hidden, &weight, &tokens)
            }
        }
    }
}
