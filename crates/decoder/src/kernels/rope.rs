//! Rotary position embedding in the half-split form of the HF checkpoints (arXiv:2104.09864): value
//! i of a head is rotated together with value i + head_dim/2.

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use super::{TensorRead, for_row_blocks, output, tensor, values};

/// Cosines and sines, `[positions, head_dim / 2]` each.
#[derive(Debug)]
pub struct RopeAngles {
    pub cos: Vec<f32>,
    pub sin: Vec<f32>,
    pub half: usize,
}

impl RopeAngles {
    /// The angles p·fᵢ of positions 0..`positions`, multiplied in f32 as transformers does.
    pub fn new(frequencies: &[f32], positions: usize) -> Self {
        let angles = (0..positions).flat_map(|p| frequencies.iter().map(move |f| p as f32 * f));
        let (cos, sin) = angles.map(|angle| (angle.cos(), angle.sin())).unzip();
        Self {
            cos,
            sin,
            half: frequencies.len(),
        }
    }
}

/// Rotates every head of x `[tokens, heads · head_dim]`.
pub struct RotaryEmbedding {
    pub angles: Arc<RopeAngles>,
    /// Position of every token in its row.
    pub positions: Arc<Vec<usize>>,
}

impl RotaryEmbedding {
    /// Rotates by the angle, or back by it.
    fn rotate(&self, x: &[f32], width: usize, back: bool) -> Vec<f32> {
        let half = self.angles.half;
        let direction = if back { -1.0 } else { 1.0 };
        let mut out = vec![0f32; x.len()];
        for_row_blocks(&mut out, width, |first, rows| {
            let inputs = x[first * width..].chunks_exact(width);
            let positions = &self.positions[first..];
            for ((out, x), &position) in rows.chunks_exact_mut(width).zip(inputs).zip(positions) {
                let cos = &self.angles.cos[position * half..][..half];
                let sin = &self.angles.sin[position * half..][..half];
                for (out, x) in out.chunks_exact_mut(2 * half).zip(x.chunks_exact(2 * half)) {
                    let (out_a, out_b) = out.split_at_mut(half);
                    let (a, b) = x.split_at(half);
                    for i in 0..half {
                        let s = direction * sin[i];
                        out_a[i] = a[i] * cos[i] - b[i] * s;
                        out_b[i] = b[i] * cos[i] + a[i] * s;
                    }
                }
            }
        });
        out
    }
}

impl CustomOp1 for RotaryEmbedding {
    fn name(&self) -> &'static str {
        "rope"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let width = layout.dims()[1];
        output(
            self.rotate(values(x, layout)?, width, false),
            layout.shape().clone(),
        )
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let width = x.dims()[1];
        let grad = TensorRead::new(grad);
        Ok(Some(tensor(
            self.rotate(grad.values()?, width, true),
            x.shape(),
        )?))
    }
}
