//! The backward pass where nothing but LoRA factors learns, without a graph of tensor operations.
//!
//! A graph adds every gradient to zeros first and keeps a tensor for each result. Here, activations
//! and gradients are buffers that later blocks and passes use again, and gradients are added where
//! they meet, in the graph's order, so that both have the same values.

use std::sync::Arc;

use candle_core::{DType, Device, Result, Tensor, Var, backprop::GradStore};

use super::{
    batch::{LossTargets, TokenBatch},
    buffers::PooledBuffer,
    forward::{ForwardPass, GradientReceiver},
    kernels::{
        TensorRead,
        attention::{AttentionOp, RaggedRows},
        cross_entropy::frozen_head_loss,
        linear::{
            FrozenLinear, LoraLinear, LoraPair, add_to, frozen_backward_into, frozen_forward_into,
        },
        norm::{NormPass, norm_rows},
        swiglu::{swiglu_gradients, swiglu_into},
    },
    layer::{LinearLayer, LoraLayer, ModelParameter},
    network::{Decoder, DecoderBlock},
};

impl Decoder {
    /// Whether nothing but plain LoRA factors learns, and the fused kernels compute all of it.
    pub(super) fn is_direct(&self) -> bool {
        let is_plain = |linear: &LinearLayer| {
            let lora = linear.lora.as_ref();
            lora.is_none_or(|lora| lora.magnitude.is_none() && lora.tap.is_none())
        };
        let is_frozen = |parameter: &ModelParameter| match parameter {
            ModelParameter::Frozen(tensor) => tensor.device().is_cpu(),
            ModelParameter::Learning(_) => false,
        };
        let mode = self.mode();
        mode.fused
            && mode.tracked
            && self.linears().all(is_plain)
            && self.linears().any(|linear| linear.lora.is_some())
            && self.parameters().iter().all(|(_, it)| is_frozen(it))
    }
}

/// What the backward pass of a block needs of its forward pass.
struct BlockTrace {
    /// Normalised inputs of the attention, of all tokens and, in the last block, of those with
    /// queries.
    x: PooledBuffer,
    queried: Option<PooledBuffer>,
    /// Before the norms of heads, in families that have them.
    raw_query: Option<PooledBuffer>,
    raw_key: Option<PooledBuffer>,
    query: PooledBuffer,
    key: PooledBuffer,
    value: PooledBuffer,
    mixed: Vec<f32>,
    /// The residual stream after the attention, and normalised.
    middle: PooledBuffer,
    fed: PooledBuffer,
    gate: PooledBuffer,
    up: PooledBuffer,
    /// silu(gate) ∘ up, if it is the input of factors.
    wide: Option<PooledBuffer>,
}

/// A pass over a batch with targets.
pub(super) struct DirectPass<'p, 'a> {
    pass: &'p ForwardPass<'a>,
    targets: LossTargets,
    /// The rows with queries only at the targets.
    queries: Arc<RaggedRows>,
}

/// The gradients of factors, by their variables.
type FactorGradients = Vec<(Var, Tensor)>;

impl<'p, 'a> DirectPass<'p, 'a> {
    /// The caller must have checked the batch, and that the decoder is direct.
    pub fn new(pass: &'p ForwardPass<'a>, batch: &TokenBatch) -> Self {
        let targets = pass.packed.targets(batch);
        Self {
            queries: Arc::new(pass.packed.at(&targets.places)),
            pass,
            targets,
        }
    }

    /// As [`Decoder::backward`]: one part, or with checkpointed activations one for the loss and one
    /// for each block.
    pub fn backward(&self, scale: f64, receive: &mut GradientReceiver<'_>) -> Result<f64> {
        let decoder = self.pass.decoder;
        decoder.buffers.begin_pass();
        let lowest = decoder.lowest_learning();
        let (mut kept, mut h) = (Vec::new(), self.embedded()?);
        for layer in 0..decoder.blocks.len() {
            let (next, trace) = self.forward(layer, &h)?;
            if layer >= lowest {
                let trace = (!decoder.checkpointing).then_some(trace);
                kept.push((layer, std::mem::replace(&mut h, next), trace));
            } else {
                h = next;
            }
        }
        let (loss, mut grad) = self.loss(&h, scale as f32)?;
        drop(h);
        let mut found = FactorGradients::new();
        if decoder.checkpointing {
            receive(store_of(&mut found)?)?;
        }
        while let Some((layer, input, trace)) = kept.pop() {
            let trace = match trace {
                Some(trace) => trace,
                None => self.forward(layer, &input)?.1,
            };
            let block = BlockBackward {
                pass: self,
                layer,
                input: &input,
                trace,
                of_input: layer > lowest,
            };
            let below = block.run(grad, &mut found)?;
            if decoder.checkpointing {
                receive(store_of(&mut found)?)?;
            }
            match below {
                Some(below) => grad = below,
                None => break,
            }
        }
        if !decoder.checkpointing {
            receive(store_of(&mut found)?)?;
        }
        Ok(f64::from(loss))
    }

    fn take(&self, len: usize) -> PooledBuffer {
        self.pass.decoder.buffers.take(len)
    }

    fn embedded(&self) -> Result<PooledBuffer> {
        let tensor = self.pass.untracked().embed()?.to_dtype(DType::F32)?;
        let held = TensorRead::new(&tensor);
        let mut h = self.take(tensor.elem_count());
        h.copy_from_slice(held.values()?);
        Ok(h)
    }

    /// The loss, and the gradient of the residual stream at the targets.
    fn loss(&self, h: &[f32], scale: f32) -> Result<(f32, PooledBuffer)> {
        let decoder = self.pass.decoder;
        let norm = decoder.norm.tensor();
        let normed = self.norm(h, norm)?;
        let head = decoder.head_parameter().tensor();
        let (loss, mut grad) = frozen_head_loss(&normed, head, &self.targets.tokens)?;
        if scale != 1.0 {
            grad.iter_mut().for_each(|g| *g *= scale);
        }
        Ok((loss, self.norm_backward(h, norm, &grad)?))
    }

    /// Normalised rows as wide as the weight.
    fn norm(&self, x: &[f32], weight: &Tensor) -> Result<PooledBuffer> {
        let mut y = self.take(x.len());
        let eps = self.pass.decoder.config.norm_eps as f32;
        norm_rows(x, TensorRead::new(weight).values()?, eps, &mut y);
        Ok(y)
    }

    fn norm_backward(&self, x: &[f32], weight: &Tensor, grad: &[f32]) -> Result<PooledBuffer> {
        let mut grad_x = self.take(x.len());
        let weight = TensorRead::new(weight);
        let pass = NormPass {
            x,
            weight: weight.values()?,
            grad,
            eps: self.pass.decoder.config.norm_eps as f32,
        };
        pass.grad_x_into(&mut grad_x);
        Ok(grad_x)
    }

    /// The normalised heads and, if there is a norm, what it was given.
    fn norm_heads(
        &self,
        raw: PooledBuffer,
        norm: &Option<ModelParameter>,
    ) -> Result<(PooledBuffer, Option<PooledBuffer>)> {
        match norm {
            None => Ok((raw, None)),
            Some(weight) => Ok((self.norm(&raw, weight.tensor())?, Some(raw))),
        }
    }

    fn is_last(&self, layer: usize) -> bool {
        layer + 1 == self.pass.decoder.blocks.len()
    }

    fn attention(&self, layer: usize) -> AttentionOp {
        let rows = match self.is_last(layer) {
            true => &self.queries,
            false => &self.pass.packed.rows,
        };
        AttentionOp {
            heads: self.pass.heads(self.pass.decoder.config.windows[layer]),
            rows: rows.clone(),
            angles: self.pass.angles.clone(),
        }
    }

    /// The rows of `x` at the targets.
    fn chosen(&self, x: &[f32]) -> PooledBuffer {
        let (places, width) = (&self.targets.places, self.pass.decoder.config.hidden_size);
        let mut rows = self.take(places.len() * width);
        for (row, &place) in rows.chunks_exact_mut(width).zip(places) {
            row.copy_from_slice(&x[place * width..][..width]);
        }
        rows
    }

    /// Adds rows at the targets to those of all tokens.
    fn add_chosen(&self, sum: &mut [f32], rows: &[f32]) {
        let width = self.pass.decoder.config.hidden_size;
        for (row, &place) in rows.chunks_exact(width).zip(&self.targets.places) {
            add_to(&mut sum[place * width..][..width], row);
        }
    }

    /// A block's output and what its backward pass needs.
    fn forward(&self, layer: usize, h: &[f32]) -> Result<(PooledBuffer, BlockTrace)> {
        let block = &self.pass.decoder.blocks[layer];
        let [
            q_proj,
            k_proj,
            v_proj,
            o_proj,
            gate_proj,
            up_proj,
            down_proj,
        ] = &block.linears;
        let x = self.norm(h, block.attention_norm.tensor())?;
        let queried = self.is_last(layer).then(|| self.chosen(&x));
        let raw_query = self.linear(q_proj, queried.as_deref().unwrap_or(&x))?;
        let (query, raw_query) = self.norm_heads(raw_query, &block.query_norm)?;
        let (key, raw_key) = self.norm_heads(self.linear(k_proj, &x)?, &block.key_norm)?;
        let value = self.linear(v_proj, &x)?;
        let mixed = self.attention(layer).mix(&query, &key, &value);
        let mut middle = self.linear(o_proj, &mixed)?;
        match &queried {
            None => add_to(&mut middle, h),
            Some(_) => add_to(&mut middle, &self.chosen(h)),
        }
        let fed = self.norm(&middle, block.feed_norm.tensor())?;
        let (gate, up) = (self.linear(gate_proj, &fed)?, self.linear(up_proj, &fed)?);
        let mut wide = self.take(gate.len());
        swiglu_into(&gate, &up, &mut wide);
        let mut output = self.linear(down_proj, &wide)?;
        add_to(&mut output, &middle);
        let trace = BlockTrace {
            x,
            queried,
            raw_query,
            raw_key,
            query,
            key,
            value,
            mixed,
            middle,
            fed,
            gate,
            up,
            wide: down_proj.lora.is_some().then_some(wide),
        };
        Ok((output, trace))
    }

    fn linear(&self, linear: &LinearLayer, x: &[f32]) -> Result<PooledBuffer> {
        let (out, width) = linear.weight.frozen().dims()?;
        let mut y = self.take(x.len() / width * out);
        match self.operation(linear) {
            LinearOperation::Frozen(op) => {
                frozen_forward_into(&op.weight, op.bias.as_ref(), x, &mut y)?;
            }
            LinearOperation::Adapted(op, lora) => {
                let (a, b) = (TensorRead::new(&lora.a), TensorRead::new(&lora.b));
                op.forward_into(x, &pair(&a, &b, lora)?, &mut y)?;
            }
        }
        Ok(y)
    }

    fn operation<'l>(&self, linear: &'l LinearLayer) -> LinearOperation<'l> {
        let (weight, bias) = (linear.weight.frozen(), &linear.bias);
        let bias = bias.as_ref().map(|bias| bias.tensor().detach());
        match &linear.lora {
            None => LinearOperation::Frozen(FrozenLinear { weight, bias }),
            Some(lora) => {
                let op = LoraLinear {
                    weight,
                    bias,
                    scale: lora.scale as f32,
                    dropout: lora.noise(self.pass.mode),
                    tap: None,
                };
                LinearOperation::Adapted(op, lora)
            }
        }
    }
}

/// What computes a linear layer.
enum LinearOperation<'l> {
    Frozen(FrozenLinear),
    Adapted(LoraLinear, &'l LoraLayer),
}

fn pair<'t>(
    a: &'t TensorRead<'_>,
    b: &'t TensorRead<'_>,
    lora: &LoraLayer,
) -> Result<LoraPair<'t>> {
    Ok(LoraPair {
        a: a.values()?,
        b: b.values()?,
        rank: lora.a.dims()[0],
    })
}

/// The backward pass of one block.
struct BlockBackward<'b, 'p, 'a> {
    pass: &'b DirectPass<'p, 'a>,
    layer: usize,
    input: &'b [f32],
    trace: BlockTrace,
    /// Whether the gradient of the input is wanted.
    of_input: bool,
}

impl BlockBackward<'_, '_, '_> {
    /// The gradient of the block's input, if it is wanted, from that of its output. What no factor
    /// and no layer below needs is not computed.
    fn run(self, grad: PooledBuffer, found: &mut FactorGradients) -> Result<Option<PooledBuffer>> {
        let block = self.block();
        let [q_proj, k_proj, v_proj, ..] = &block.linears;
        let adapted = [q_proj, k_proj, v_proj].iter().any(|it| it.lora.is_some());
        let through_attention = self.of_input || adapted;
        let to_middle = through_attention || block.linears[3].lora.is_some();
        let Some(of_middle) = self.feed(grad, to_middle, found)? else {
            return Ok(None);
        };
        let trace = &self.trace;
        let of_mixed = self.linear(3, &trace.mixed, &of_middle, through_attention, found)?;
        let Some(of_mixed) = of_mixed else {
            return Ok(None);
        };
        let Some(of_x) = self.attend(&of_mixed, found)? else {
            return Ok(None);
        };
        let norm = block.attention_norm.tensor();
        let mut of_input = self.pass.norm_backward(self.input, norm, &of_x)?;
        match trace.queried {
            None => add_to(&mut of_input, &of_middle),
            Some(_) => self.pass.add_chosen(&mut of_input, &of_middle),
        }
        Ok(Some(of_input))
    }

    fn block(&self) -> &DecoderBlock {
        &self.pass.pass.decoder.blocks[self.layer]
    }

    /// From the gradient of the output to that of the residual stream after the attention.
    fn feed(
        &self,
        grad: PooledBuffer,
        wanted: bool,
        found: &mut FactorGradients,
    ) -> Result<Option<PooledBuffer>> {
        let (block, trace) = (self.block(), &self.trace);
        let adapted = block.linears[4..6].iter().any(|it| it.lora.is_some());
        let wide = trace.wide.as_deref().unwrap_or_default();
        let Some(of_wide) = self.linear(6, wide, &grad, wanted || adapted, found)? else {
            return Ok(None);
        };
        let (mut of_gate, mut of_up) =
            (self.pass.take(of_wide.len()), self.pass.take(of_wide.len()));
        swiglu_gradients(&trace.gate, &trace.up, &of_wide, &mut of_gate, &mut of_up);
        drop(of_wide);
        let through_up = self.linear(5, &trace.fed, &of_up, wanted, found)?;
        let through_gate = self.linear(4, &trace.fed, &of_gate, wanted, found)?;
        let (Some(mut of_fed), Some(through_gate)) = (through_up, through_gate) else {
            return Ok(None);
        };
        add_to(&mut of_fed, &through_gate);
        let norm = block.feed_norm.tensor();
        let mut of_middle = self.pass.norm_backward(&trace.middle, norm, &of_fed)?;
        add_to(&mut of_middle, &grad);
        Ok(Some(of_middle))
    }

    /// From the gradient of the attention's result to that of the normalised input.
    fn attend(
        &self,
        of_mixed: &[f32],
        found: &mut FactorGradients,
    ) -> Result<Option<PooledBuffer>> {
        let (block, trace) = (self.block(), &self.trace);
        let attention = self.pass.attention(self.layer);
        let of = attention.gradients(&trace.query, &trace.key, &trace.value, of_mixed);
        let through_value = self.linear(2, &trace.x, &of.v, self.of_input, found)?;
        let of_key = self.head_norm(of.k, &trace.raw_key, &block.key_norm)?;
        let through_key = self.linear(1, &trace.x, &of_key, self.of_input, found)?;
        let of_query = self.head_norm(of.q, &trace.raw_query, &block.query_norm)?;
        let queried = trace.queried.as_ref().unwrap_or(&trace.x);
        let through_query = self.linear(0, queried, &of_query, self.of_input, found)?;
        let (Some(mut of_x), Some(through_key), Some(through_query)) =
            (through_value, through_key, through_query)
        else {
            return Ok(None);
        };
        add_to(&mut of_x, &through_key);
        match trace.queried {
            None => add_to(&mut of_x, &through_query),
            Some(_) => self.pass.add_chosen(&mut of_x, &through_query),
        }
        Ok(Some(of_x))
    }

    fn head_norm(
        &self,
        grad: Vec<f32>,
        raw: &Option<PooledBuffer>,
        norm: &Option<ModelParameter>,
    ) -> Result<Vec<f32>> {
        match (raw, norm) {
            (Some(raw), Some(norm)) => {
                let grad = self.pass.norm_backward(raw, norm.tensor(), &grad)?;
                Ok(grad.to_vec())
            }
            _ => Ok(grad),
        }
    }

    /// The gradient of a linear layer's input, if it is wanted; adds those of its factors to `found`.
    fn linear(
        &self,
        index: usize,
        x: &[f32],
        grad: &[f32],
        wanted: bool,
        found: &mut FactorGradients,
    ) -> Result<Option<PooledBuffer>> {
        let linear = &self.block().linears[index];
        let (out, width) = linear.weight.frozen().dims()?;
        let mut of_x = wanted.then(|| self.pass.take(grad.len() / out * width));
        match (self.pass.operation(linear), &mut of_x) {
            (LinearOperation::Frozen(_), None) => {}
            (LinearOperation::Frozen(op), Some(of_x)) => {
                frozen_backward_into(&op.weight, grad, of_x)?;
            }
            (LinearOperation::Adapted(op, lora), of_x) => {
                let (a, b) = (TensorRead::new(&lora.a), TensorRead::new(&lora.b));
                let of_x = of_x.as_mut().map(|of_x| &mut **of_x);
                if let Some(of) = op.backward(x, &pair(&a, &b, lora)?, grad, of_x)? {
                    let tensor = |values, var: &Var| {
                        Tensor::from_vec(values, var.shape().clone(), &Device::Cpu)
                    };
                    found.push((lora.a.clone(), tensor(of.a, &lora.a)?));
                    found.push((lora.b.clone(), tensor(of.b, &lora.b)?));
                }
            }
        }
        Ok(of_x)
    }
}

/// The gradients as a graph would give them.
fn store_of(found: &mut FactorGradients) -> Result<GradStore> {
    // A store can only be made by a backward pass.
    let mut store = Tensor::zeros((), DType::F32, &Device::Cpu)?.backward()?;
    for (var, gradient) in found.drain(..) {
        store.insert(&var, gradient);
    }
    Ok(store)
}
