//! The backward pass of a batch: over the graph of the whole forward pass, or block by block.
//!
//! Block by block, the forward pass keeps only the inputs of the blocks (activation checkpointing,
//! arXiv:1604.06174). The backward pass computes each block again, so that the activations of one
//! block are in memory at a time. Both have the same results to the bit. Where only LoRA factors
//! learn, a direct pass gives these without a graph.

use candle_core::{Result, Tensor, Var, backprop::GradStore};

use super::{
    batch::TokenBatch,
    direct::DirectPass,
    error::DecoderError,
    forward::{ChosenTokens, ForwardPass, GradientReceiver},
    layer::learns,
    network::Decoder,
};

impl Decoder {
    /// Selects whether backward passes compute the activations of blocks again (off by default):
    /// less memory, about a third more time.
    pub fn set_checkpointing(&mut self, checkpointing: bool) {
        self.checkpointing = checkpointing;
    }

    /// Returns Σ −log p over the batch's targets, and passes the gradients of `scale` times it to
    /// `receive`, in parts: a variable's gradient is the sum of those in all parts.
    ///
    /// # Errors
    ///
    /// The batch does not fit the model, or `receive` failed.
    pub fn backward(
        &self,
        batch: &TokenBatch,
        scale: f64,
        receive: &mut GradientReceiver<'_>,
    ) -> std::result::Result<f64, DecoderError> {
        if self.is_direct() && batch.target_count() > 0 {
            batch.check(&self.config)?;
            let pass = ForwardPass::new(self, batch, self.mode());
            return Ok(DirectPass::new(&pass, batch).backward(scale, receive)?);
        }
        if self.checkpointing && batch.target_count() > 0 {
            batch.check(&self.config)?;
            let pass = ForwardPass::new(self, batch, self.mode());
            return Ok(pass.backward_by_block(batch, scale, receive)?);
        }
        let (loss, _) = self.loss_sum(batch)?;
        receive((&loss * scale)?.backward()?)?;
        Ok(f64::from(loss.to_scalar::<f32>()?))
    }
}

impl ForwardPass<'_> {
    fn backward_by_block(
        &self,
        batch: &TokenBatch,
        scale: f64,
        receive: &mut GradientReceiver<'_>,
    ) -> Result<f64> {
        let decoder = self.decoder;
        let targets = self.packed.targets(batch);
        let chosen = self.chosen(&targets.places)?;
        let untracked = self.untracked();
        let (mut inputs, mut h) = (Vec::new(), untracked.embed()?);
        for layer in 0..decoder.blocks.len() {
            inputs.push(h.clone());
            h = untracked.layer(layer, &h, &chosen)?;
        }
        let top = Var::from_tensor(&h)?;
        let loss = self.loss(&self.norm(&top, &decoder.norm)?, targets.tokens)?;
        let mut store = (&loss * scale)?.backward()?;
        let mut grad = store.remove(&top);
        receive(store)?;
        let lowest = decoder.lowest_learning();
        for (layer, input) in inputs.into_iter().enumerate().skip(lowest).rev() {
            let Some(of_output) = grad.take() else {
                break;
            };
            let below = layer > lowest || learns(&decoder.embedding);
            let store;
            (store, grad) = self.layer_backward(layer, &input, below, &chosen, &of_output)?;
            receive(store)?;
        }
        if let Some(grad) = grad.filter(|_| learns(&decoder.embedding)) {
            receive(seeded(&self.embed()?, &grad)?)?;
        }
        Ok(f64::from(loss.to_scalar::<f32>()?))
    }

    /// The gradients of one layer's parameters and, if wanted, of its input.
    fn layer_backward(
        &self,
        layer: usize,
        input: &Tensor,
        of_input: bool,
        chosen: &ChosenTokens,
        of_output: &Tensor,
    ) -> Result<(GradStore, Option<Tensor>)> {
        if !of_input {
            let store = seeded(&self.layer(layer, input, chosen)?, of_output)?;
            return Ok((store, None));
        }
        let input = Var::from_tensor(input)?;
        let mut store = seeded(&self.layer(layer, &input, chosen)?, of_output)?;
        let of_input = store.remove(&input);
        Ok((store, of_input))
    }
}

/// Backward from `output`, whose gradient is `grad`.
fn seeded(output: &Tensor, grad: &Tensor) -> Result<GradStore> {
    (output * grad)?.sum_all()?.backward()
}
