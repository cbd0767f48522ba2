//! Gradients of one optimizer step, summed over its micro-batches.

use candle_core::{Result, Tensor, Var, backprop::GradStore};
use rayon::prelude::*;

/// One gradient per trained tensor, in the optimizer's order; `None` until one arrived.
#[derive(Debug)]
pub struct ParameterGradients {
    tensors: Vec<Option<Tensor>>,
}

impl ParameterGradients {
    pub fn new(count: usize) -> Self {
        Self {
            tensors: vec![None; count],
        }
    }

    pub fn tensors(&self) -> &[Option<Tensor>] {
        &self.tensors
    }

    /// Adds the gradients of one micro-batch.
    pub fn add(&mut self, trainable: &[(String, Var)], store: &mut GradStore) -> Result<()> {
        for (sum, (_, var)) in self.tensors.iter_mut().zip(trainable) {
            let Some(gradient) = store.remove(var) else {
                continue;
            };
            *sum = Some(match sum.take() {
                None => gradient.contiguous()?,
                Some(sum) => (sum + gradient)?,
            });
        }
        Ok(())
    }

    /// Euclidean norm over all elements, summed in f64 and in a fixed order, so that it does not
    /// depend on the number of threads.
    pub fn norm(&self) -> Result<f64> {
        let squares = self
            .tensors
            .par_iter()
            .flatten()
            .map(|tensor| {
                let values = tensor.flatten_all()?.to_vec1::<f32>()?;
                Ok(values
                    .iter()
                    .map(|value| f64::from(*value) * f64::from(*value))
                    .sum())
            })
            .collect::<Result<Vec<f64>>>()?;
        Ok(squares.iter().sum::<f64>().sqrt())
    }
}

/// The factor that reduces a gradient of this norm to `limit`, as in torch's `clip_grad_norm_`;
/// `limit` 0 means no limit.
pub fn clip_factor(norm: f64, limit: f64) -> f64 {
    if limit > 0.0 {
        (limit / (norm + 1e-6)).min(1.0)
    } else {
        1.0
    }
}
