//! One optimizer step: losses and gradients of the micro-batches, clipping, update.
//!
//! The loss of a step is the sum over all target tokens of its micro-batches divided by their
//! number, so that accumulating N batches of M rows equals one batch of N·M.

use candle_core::Var;

use super::{
    adamw::{AdamW, AdamWOptions},
    error::TrainError,
    gradients::{ParameterGradients, clip_factor},
};
use openlora_decoder::{Decoder, TokenBatch};

/// The state of the dropout noise: a seed, and the number of micro-batches so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoiseState {
    pub seed: u64,
    pub counter: u64,
}

/// The result of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepResult {
    /// Mean over target tokens, in nats.
    pub loss: f64,
    /// Gradient norm before clipping.
    pub norm: f64,
    pub targets: u64,
    pub tokens: u64,
}

/// A decoder in training.
pub struct TrainStepper {
    pub decoder: Decoder,
    pub optimizer: AdamW,
    trainable: Vec<(String, Var)>,
    clip: f64,
}

impl TrainStepper {
    /// Trains the decoder's trainable variables. `clip` 0 disables clipping.
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

    /// Trains on `batches` with learning rate `lr`; `noise` is the dropout state of the first of
    /// them. If the loss or the gradient is not finite, nothing is updated.
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
        let scale = 1.0 / targets as f64;
        let trainable = &self.trainable;
        let mut receive = |mut part| gradients.add(trainable, &mut part);
        Ok(self.decoder.backward(batch, scale, &mut receive)?)
    }

    /// Like a step, but without an update: for measurements.
    pub fn measure_step(&mut self, batch: &TokenBatch) -> Result<(), TrainError> {
        self.decoder.set_training(true);
        let mut gradients = ParameterGradients::new(self.trainable.len());
        self.accumulate(batch, batch.target_count(), &mut gradients)?;
        Ok(())
    }
}
