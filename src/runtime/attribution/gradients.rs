//! Every example's own gradient, several examples to a pass.
//!
//! The examples of a batch never see each other, so one backward pass goes through all of them; a
//! tap takes each module's part of it and sums it per example, preconditions and projects it at
//! once. Loss and mask are those of training: the sum of −log p over an example's targets.

use std::sync::{Arc, Mutex, PoisonError};

use rayon::prelude::*;

use super::{error::AttributionError, projection::Projector};
use crate::runtime::{
    dataset::encode::Encoded,
    model::{
        Batch, Decoder, Passed, Tap,
        kernels::matmul::{Matrix, Target, Threads, multiply},
    },
};

/// Tokens that go through the model at once.
const BATCH_TOKENS: usize = 2048;

/// A model and where its gradients go.
pub struct Pass {
    decoder: Decoder,
    collector: Arc<Collector>,
}

struct Collector {
    projector: Arc<Projector>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    offsets: Vec<usize>,
    /// `[examples, width]`
    rows: Vec<f32>,
}

impl Tap for Collector {
    fn pass(&self, module: usize, passed: &Passed<'_>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { offsets, rows } = &mut *state;
        let (width, tokens) = (self.projector.width(), offsets.last().copied().unwrap_or(0));
        if tokens == 0 || width == 0 {
            return;
        }
        rows.par_chunks_mut(width)
            .zip(offsets.par_windows(2))
            .for_each(|(row, span)| {
                let parts = Parts {
                    tokens,
                    span: span[0]..span[1],
                };
                self.add(module, passed, &parts, row);
            });
    }
}

/// One example's tokens among those of a batch.
struct Parts {
    tokens: usize,
    span: std::ops::Range<usize>,
}

impl Parts {
    fn of<'a>(&self, values: &'a [f32]) -> Matrix<'a> {
        let width = values.len() / self.tokens;
        let own = &values[self.span.start * width..self.span.end * width];
        Matrix::new(own, self.span.len(), width)
    }
}

impl Collector {
    fn add(&self, module: usize, passed: &Passed<'_>, parts: &Parts, row: &mut [f32]) {
        let factors = [
            (passed.grad_low, passed.input, 1.0),
            (passed.grad, passed.low, passed.scale),
        ];
        for (factor, (left, right, scale)) in factors.into_iter().enumerate() {
            let (left, right) = (parts.of(left), parts.of(right));
            let mut gradient = vec![0f32; left.columns() * right.columns()];
            let target = Target::new(&mut gradient, left.columns(), right.columns());
            multiply(target, scale, left.t(), right, Threads::One);
            self.projector.add(module, factor, &gradient, row);
        }
    }
}

impl Pass {
    /// The decoder must have its factors, and no dropout.
    pub fn new(mut decoder: Decoder, projector: Arc<Projector>) -> Self {
        let collector = Arc::new(Collector {
            projector,
            state: Mutex::new(State::default()),
        });
        let tap: Arc<dyn Tap> = collector.clone();
        decoder.set_tap(&tap);
        decoder.set_training(true);
        Self { decoder, collector }
    }

    /// Projected gradients `[rows, width]` of the rows of one batch.
    pub fn of(&mut self, batch: &Batch) -> Result<Vec<f32>, AttributionError> {
        let count = batch.offsets.len().saturating_sub(1);
        let mut state = self.lock();
        state.offsets.clone_from(&batch.offsets);
        state.rows = vec![0.0; count * self.collector.projector.width()];
        drop(state);
        let (loss, targets) = self.decoder.loss_sum(batch)?;
        if targets > 0 {
            loss.backward()?;
        }
        Ok(std::mem::take(&mut self.lock().rows))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        let state = self.collector.state.lock();
        state.unwrap_or_else(PoisonError::into_inner)
    }
}

/// Projected gradients `[examples, width]`, in order.
///
/// # Errors
/// Names the first example whose gradient is not finite.
pub fn gradient_rows(pass: &mut Pass, examples: &[Encoded]) -> Result<Vec<f32>, AttributionError> {
    let width = pass.collector.projector.width();
    let mut rows = Vec::with_capacity(examples.len() * width);
    let mut start = 0;
    while start < examples.len() {
        let mut end = start;
        let mut tokens = 0;
        while end < examples.len()
            && (end == start || tokens + examples[end].ids.len() <= BATCH_TOKENS)
        {
            tokens += examples[end].ids.len();
            end += 1;
        }
        let chosen = examples[start..end].iter();
        let batch =
            Batch::from_rows(chosen.map(|row| (row.ids.as_slice(), row.targets.as_slice())));
        let found = pass.of(&batch)?;
        let bad = found
            .chunks(width)
            .position(|row| row.iter().any(|value| !value.is_finite()));
        if let Some(bad) = bad {
            return Err(AttributionError::NotFinite {
                what: format!("example {}", start + bad),
            });
        }
        rows.extend(found);
        start = end;
    }
    Ok(rows)
}
