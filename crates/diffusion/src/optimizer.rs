//! AdamW over a flat vector, with the arithmetic of `openlora-train`: decay is decoupled and applied
//! first, both moments are bias-corrected, ε is added outside the root. Elements are independent, so
//! the result does not depend on the number of threads.

use rayon::prelude::*;

/// Elements per task.
const CHUNK: usize = 64 * 1024;

/// The hyper-parameters of the optimizer.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ImageAdamW {
    pub beta1: f64,
    pub beta2: f64,
    pub epsilon: f64,
    /// Of matrices only.
    pub weight_decay: f64,
}

impl Default for ImageAdamW {
    /// torch's defaults, without decay.
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.0,
        }
    }
}

/// Means of gradients and of their squares.
#[derive(Clone, Debug, PartialEq)]
pub struct Moments {
    pub first: Vec<f32>,
    pub second: Vec<f32>,
    pub steps: u64,
}

impl Moments {
    pub fn new(len: usize) -> Self {
        Self {
            first: vec![0.0; len],
            second: vec![0.0; len],
            steps: 0,
        }
    }

    /// Updates values with gradients times `scale`. `decays` says which values are of matrices.
    pub fn step(
        &mut self,
        options: &ImageAdamW,
        rate: f64,
        values: &mut [f32],
        gradients: &[f32],
        scale: f32,
        decays: &[bool],
    ) {
        self.steps += 1;
        let power = i32::try_from(self.steps).unwrap_or(i32::MAX);
        let (beta1, beta2) = (options.beta1 as f32, options.beta2 as f32);
        let keep = (1.0 - rate * options.weight_decay) as f32;
        let root = (1.0 - options.beta2.powi(power)).sqrt() as f32;
        let epsilon = options.epsilon as f32;
        let rate = (rate / (1.0 - options.beta1.powi(power))) as f32;
        let moments = self
            .first
            .par_chunks_mut(CHUNK)
            .zip(self.second.par_chunks_mut(CHUNK));
        values
            .par_chunks_mut(CHUNK)
            .zip(gradients.par_chunks(CHUNK))
            .zip(moments)
            .zip(decays.par_chunks(CHUNK))
            .for_each(|(((values, gradients), (first, second)), decays)| {
                for at in 0..values.len() {
                    let gradient = gradients[at] * scale;
                    first[at] = beta1 * first[at] + (1.0 - beta1) * gradient;
                    second[at] = beta2 * second[at] + (1.0 - beta2) * (gradient * gradient);
                    let denominator = second[at].sqrt() / root + epsilon;
                    let kept = values[at] * if decays[at] { keep } else { 1.0 };
                    values[at] = kept - rate * (first[at] / denominator);
                }
            });
    }
}

/// The root of the sum of squares, summed in a fixed order.
pub fn length(values: &[f32]) -> f64 {
    let sums: Vec<f64> = values
        .par_chunks(CHUNK)
        .map(|chunk| {
            let mut lanes = [0.0f64; 8];
            for part in chunk.chunks(8) {
                for (lane, x) in lanes.iter_mut().zip(part) {
                    *lane += f64::from(*x) * f64::from(*x);
                }
            }
            lanes.iter().sum()
        })
        .collect();
    sums.iter().sum::<f64>().sqrt()
}
