//! Per-example gradients, with several examples per pass.
//!
//! The examples of a batch do not attend to each other, so one backward pass covers all of them. A
//! tap receives each module's part, sums it per example, and preconditions and projects it
//! immediately. Loss and mask are those of training: the sum of −log p over an example's targets.

use std::{
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

use rayon::prelude::*;

use super::{error::AttributionError, projection::Projector};
use openlora_decoder::{
    Decoder, GradientTap, ModulePass, TokenBatch,
    kernels::matmul::{MatmulTarget, MatmulThreads, StridedMatrix, multiply},
};
use openlora_model::dataset::encode::EncodedRow;

/// Tokens per pass. The grouping of examples into batches does not depend on the number of threads,
/// so neither do the gradients.
const BATCH_TOKENS: usize = 1024;
/// Concurrent batches, each with its own activations in memory.
const IN_FLIGHT: usize = 4;

/// A model, and the receiver of its gradients.
pub struct GradientPass {
    decoder: Decoder,
    collector: Arc<GradientCollector>,
}

struct GradientCollector {
    projector: Arc<Projector>,
    state: Mutex<CollectorState>,
}

#[derive(Default)]
struct CollectorState {
    /// The examples' tokens in a batch, and their learned positions.
    offsets: [Vec<usize>; 2],
    /// `[examples, width]`
    rows: Vec<f32>,
}

impl GradientTap for GradientCollector {
    fn pass(&self, module: usize, passed: &ModulePass<'_>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let CollectorState { offsets, rows } = &mut *state;
        let (width, tokens) = (self.projector.width(), passed.tokens());
        // The last token of an example is never learned, so the two differ in number.
        let offsets = offsets.iter().find(|of| of.last() == Some(&tokens));
        let Some(offsets) = offsets.filter(|_| tokens > 0 && width > 0) else {
            return;
        };
        rows.par_chunks_mut(width)
            .zip(offsets.par_windows(2))
            .for_each(|(row, span)| {
                let parts = ExampleTokens {
                    tokens,
                    span: span[0]..span[1],
                };
                self.add(module, passed, &parts, row);
            });
    }
}

/// One example's tokens within a batch.
struct ExampleTokens {
    tokens: usize,
    span: Range<usize>,
}

impl ExampleTokens {
    fn matrix_of<'a>(&self, values: &'a [f32]) -> StridedMatrix<'a> {
        let width = values.len() / self.tokens;
        let own = &values[self.span.start * width..self.span.end * width];
        StridedMatrix::new(own, self.span.len(), width)
    }
}

impl GradientCollector {
    fn add(&self, module: usize, passed: &ModulePass<'_>, parts: &ExampleTokens, row: &mut [f32]) {
        let factors = [
            (passed.grad_low, passed.input, 1.0),
            (passed.grad, passed.low, passed.scale),
        ];
        for (factor, (left, right, scale)) in factors.into_iter().enumerate() {
            let (left, right) = (parts.matrix_of(left), parts.matrix_of(right));
            let mut gradient = vec![0f32; left.columns() * right.columns()];
            let target = MatmulTarget::new(&mut gradient, left.columns(), right.columns());
            multiply(target, scale, left.t(), right, MatmulThreads::One);
            self.projector.add(module, factor, &gradient, row);
        }
    }
}

impl GradientPass {
    /// The decoder must have its factors attached and dropout off.
    pub fn new(mut decoder: Decoder, projector: Arc<Projector>) -> Self {
        let collector = Arc::new(GradientCollector {
            projector,
            state: Mutex::new(CollectorState::default()),
        });
        let tap: Arc<dyn GradientTap> = collector.clone();
        decoder.set_tap(&tap);
        decoder.set_training(true);
        Self { decoder, collector }
    }

    /// Another pass over the same weights, for concurrent use.
    fn beside(&self) -> Self {
        Self::new(self.decoder.clone(), Arc::clone(&self.collector.projector))
    }

    /// Projected gradients `[rows, width]` of the rows of one batch.
    pub fn project_batch(&mut self, batch: &TokenBatch) -> Result<Vec<f32>, AttributionError> {
        let count = batch.offsets.len().saturating_sub(1);
        let mut state = self.lock();
        state.offsets = [batch.offsets.clone(), batch.target_offsets()];
        state.rows = vec![0.0; count * self.collector.projector.width()];
        drop(state);
        let (loss, targets) = self.decoder.loss_sum(batch)?;
        if targets > 0 {
            loss.backward()?;
        }
        Ok(std::mem::take(&mut self.lock().rows))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, CollectorState> {
        let state = self.collector.state.lock();
        state.unwrap_or_else(PoisonError::into_inner)
    }
}

/// Projected gradients `[examples, width]`, in order.
///
/// # Errors
/// Names the first example whose gradient is not finite.
pub fn gradient_rows(
    pass: &GradientPass,
    examples: &[EncodedRow],
) -> Result<Vec<f32>, AttributionError> {
    let batches = batches(examples);
    // The model's own products are small: concurrent batches use more threads.
    let workers = rayon::current_num_threads().clamp(1, IN_FLIGHT);
    let work = |worker: usize| {
        let mut pass = pass.beside();
        let own = batches.iter().skip(worker).step_by(workers);
        own.map(|batch| batch_rows(&mut pass, examples, batch.clone()))
            .collect()
    };
    let mut found: Vec<std::vec::IntoIter<_>> = (0..workers)
        .into_par_iter()
        .map(|worker| -> Vec<Result<Vec<f32>, AttributionError>> { work(worker) })
        .map(Vec::into_iter)
        .collect();
    let mut rows = Vec::with_capacity(examples.len() * pass.collector.projector.width());
    for at in 0..batches.len() {
        // Collected in the order in which they were assigned.
        rows.extend(found[at % workers].next().transpose()?.unwrap_or_default());
    }
    Ok(rows)
}

/// Groups of consecutive examples with a limited number of tokens, at least one example each.
fn batches(examples: &[EncodedRow]) -> Vec<Range<usize>> {
    let mut batches = Vec::new();
    let (mut start, mut tokens) = (0, 0);
    for (at, example) in examples.iter().enumerate() {
        if at > start && tokens + example.ids.len() > BATCH_TOKENS {
            batches.push(start..at);
            (start, tokens) = (at, 0);
        }
        tokens += example.ids.len();
    }
    if start < examples.len() {
        batches.push(start..examples.len());
    }
    batches
}

fn batch_rows(
    pass: &mut GradientPass,
    examples: &[EncodedRow],
    range: Range<usize>,
) -> Result<Vec<f32>, AttributionError> {
    let chosen = examples[range.clone()].iter();
    let batch =
        TokenBatch::from_rows(chosen.map(|row| (row.ids.as_slice(), row.targets.as_slice())));
    let found = pass.project_batch(&batch)?;
    let width = pass.collector.projector.width();
    let bad = found
        .chunks(width)
        .position(|row| row.iter().any(|value| !value.is_finite()));
    match bad {
        None => Ok(found),
        Some(bad) => Err(AttributionError::NotFinite {
            what: format!("example {}", range.start + bad),
        }),
    }
}
