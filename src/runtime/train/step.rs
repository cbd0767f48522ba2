//! One optimizer step: losses and gradients of the micro-batches, clipping, update.
//!
//! The loss of a step is the sum over all target tokens of its micro-batches divided by their
//! number, so that accumulating N batches of M rows is the same as one batch of N·M.

use candle_core::Var;

use super::{
    adamw::{AdamW, AdamWOptions},
    error::TrainError,
    gradients::{ParameterGradients, clip_factor},
};
use crate::runtime::decoder::{Decoder, TokenBatch};

/// Where dropout noise stands: a generator's seed, and micro-batches seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoiseState {
    pub seed: u64,
    pub counter: u64,
}

/// What a step found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepResult {
    /// Mean over target tokens, in nats.
    pub loss: f64,
    /// Before clipping.
    pub norm: f64,
    pub targets: u64,
    pub tokens: u64,
}

/// A decoder under training.
pub struct TrainStepper {
    pub decoder: Decoder,
    pub optimizer: AdamW,
    trainable: Vec<(String, Var)>,
    clip: f64,
}

impl TrainStepper {
    /// Trains what the decoder says is trainable. `clip` 0 means no clipping.
    pub fn new(decoder: Decoder, options: AdamWOptions, clip: f64) -> Result<Self, TrainError> {
        let trainable = decoder.trainable();
        let optimizer = AdamW::new(trainable.clone(), options)?;
        Ok(Self {
            decoder,
            optimizer,
            trainable,
            clip,
        })
    }

    pub fn trainable(&self) -> &[(String, Var)] {
        &self.trainable
    }

    /// Number of trained values.
    pub fn trained_values(&self) -> u64 {
        self.trainable
            .iter()
            .map(|(_, var)| var.elem_count() as u64)
            .sum()
    }

    /// Learns from `batches` at learning rate `lr`; `noise` places the dropout of the first of
    /// them. When loss or gradient is not finite nothing is updated, so that the weights stay
    /// those of the step before.
    pub fn step(
        &mut self,
        batches: &[TokenBatch],
        lr: f64,
        noise: NoiseState,
    ) -> Result<StepResult, TrainError> {
        let targets: usize = batches.iter().map(TokenBatch::target_count).sum();
        let mut gradients = ParameterGradients::new(self.trainable.len());
        let mut sum = 0.0;
        self.decoder.set_training(true);
        for (counter, batch) in (noise.counter..).zip(batches) {
            self.decoder.set_noise(noise.seed, counter);
            sum += self.accumulate(batch, targets, &mut gradients)?;
        }
        let tokens = batches.iter().map(|batch| batch.ids.len() as u64).sum();
        let (loss, norm) = (sum / targets as f64, gradients.norm()?);
        if loss.is_finite() && norm.is_finite() {
            self.optimizer
                .step(&gradients, lr, clip_factor(norm, self.clip))?;
        }
        Ok(StepResult {
            loss,
            norm,
            targets: targets as u64,
            tokens,
        })
    }

    /// Loss and gradients of one micro-batch without an update.
    fn accumulate(
        &mut self,
        batch: &TokenBatch,
        targets: usize,
        gradients: &mut ParameterGradients,
    ) -> Result<f64, TrainError> {
        let (loss, _) = self.decoder.loss_sum(batch)?;
        let mut store = (&loss / targets as f64)?.backward()?;
        gradients.add(&self.trainable, &mut store)?;
        Ok(f64::from(loss.to_scalar::<f32>()?))
    }

    /// As a step, but without an update: for measuring.
    pub fn measure_step(&mut self, batch: &TokenBatch) -> Result<(), TrainError> {
        self.decoder.set_training(true);
        let mut gradients = ParameterGradients::new(self.trainable.len());
        self.accumulate(batch, batch.target_count(), &mut gradients)?;
        Ok(())
    }
}
