//! RMS normalisation: y = w ∘ x / √(mean(x²) + ε), over the last dimension (arXiv:1910.07467).

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::{BLOCK_ROWS, TensorRead, for_row_blocks, numeric, output, tensor, values};

/// With a weight that gets no gradient.
pub struct FrozenNorm {
    pub weight: Tensor,
    pub eps: f32,
}

impl CustomOp1 for FrozenNorm {
    fn name(&self) -> &'static str {
        "rms-norm"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let weight = TensorRead::new(&self.weight);
        forward(
            values(x, layout)?,
            weight.values()?,
            layout.shape(),
            self.eps,
        )
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let (x_held, weight, grad) = (
            TensorRead::new(x),
            TensorRead::new(&self.weight),
            TensorRead::new(grad),
        );
        let pass = NormPass {
            x: x_held.values()?,
            weight: weight.values()?,
            grad: grad.values()?,
            eps: self.eps,
        };
        Ok(Some(tensor(pass.grad_x(), x.shape())?))
    }
}

/// With a trainable weight: arguments x and weight.
pub struct RmsNorm {
    pub eps: f32,
}

impl CustomOp2 for RmsNorm {
    fn name(&self) -> &'static str {
        "rms-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let weight = values(weight, weight_layout)?;
        forward(values(x, x_layout)?, weight, x_layout.shape(), self.eps)
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _y: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (x_held, weight_held, grad) = (
            TensorRead::new(x),
            TensorRead::new(weight),
            TensorRead::new(grad),
        );
        let pass = NormPass {
            x: x_held.values()?,
            weight: weight_held.values()?,
            grad: grad.values()?,
            eps: self.eps,
        };
        let grad_x = x
            .track_op()
            .then(|| tensor(pass.grad_x(), x.shape()))
            .transpose()?;
        Ok((grad_x, Some(tensor(pass.grad_weight(), weight.shape())?)))
    }
}

fn inverse_rms(x: &[f32], eps: f32) -> f32 {
    1.0 / (numeric::dot(x, x) / x.len() as f32 + eps).sqrt()
}

fn forward(x: &[f32], weight: &[f32], shape: &Shape, eps: f32) -> Result<(CpuStorage, Shape)> {
    let mut y = vec![0f32; x.len()];
    norm_rows(x, weight, eps, &mut y);
    output(y, shape.clone())
}

/// Normalises rows as wide as the weight into `y`.
pub fn norm_rows(x: &[f32], weight: &[f32], eps: f32, y: &mut [f32]) {
    let width = weight.len();
    for_row_blocks(y, width, |first, rows| {
        let inputs = x[first * width..].chunks_exact(width);
        for (y, x) in rows.chunks_exact_mut(width).zip(inputs) {
            let scale = inverse_rms(x, eps);
            for ((y, x), w) in y.iter_mut().zip(x).zip(weight) {
                *y = w * (x * scale);
            }
        }
    });
}

/// The backward pass of rows.
pub struct NormPass<'a> {
    pub x: &'a [f32],
    pub weight: &'a [f32],
    pub grad: &'a [f32],
    pub eps: f32,
}

impl NormPass<'_> {
    /// With n = x·s and ĝ = g∘w: gx = s·(ĝ − n·mean(ĝ∘n)).
    pub fn grad_x_into(&self, out: &mut [f32]) {
        let width = self.weight.len();
        for_row_blocks(out, width, |first, rows| {
            let inputs = self.x[first * width..].chunks_exact(width);
            let grads = self.grad[first * width..].chunks_exact(width);
            for ((out, x), grad) in rows.chunks_exact_mut(width).zip(inputs).zip(grads) {
                for ((o, g), w) in out.iter_mut().zip(grad).zip(self.weight) {
                    *o = g * w;
                }
                let scale = inverse_rms(x, self.eps);
                let pull = numeric::dot(out, x) / width as f32 * scale * scale;
                for (o, x) in out.iter_mut().zip(x) {
                    *o = scale * (*o - pull * x);
                }
            }
        });
    }

    fn grad_x(&self) -> Vec<f32> {
        let mut out = vec![0f32; self.x.len()];
        self.grad_x_into(&mut out);
        out
    }

    /// Σ over rows of g∘n, in blocks summed in order.
    fn grad_weight(&self) -> Vec<f32> {
        let width = self.weight.len();
        let blocks: Vec<Vec<f32>> = self
            .x
            .par_chunks(width * BLOCK_ROWS)
            .zip(self.grad.par_chunks(width * BLOCK_ROWS))
            .map(|(xs, grads)| {
                let mut sums = vec![0f32; width];
                for (x, grad) in xs.chunks_exact(width).zip(grads.chunks_exact(width)) {
                    let scale = inverse_rms(x, self.eps);
                    for ((s, x), g) in sums.iter_mut().zip(x).zip(grad) {
                        *s += g * (x * scale);
                    }
                }
                sums
            })
            .collect();
        sum_blocks(&blocks, width)
    }
}

/// Sums partial results in order.
pub(super) fn sum_blocks(blocks: &[Vec<f32>], width: usize) -> Vec<f32> {
    blocks.iter().fold(vec![0f32; width], |mut total, block| {
        for (t, b) in total.iter_mut().zip(block) {
            *t += b;
        }
        total
    })
}
