//! DoRA (arXiv:2402.09353): y = (m / n) ∘ z + b, where z = W·x + s·B·A·x and n are the norms of the
//! rows of W + s·B·A.
//!
//! As in the paper (section 4.3) and in PEFT, the norms are constants in the backward pass.

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::{
    BLOCK_ROWS, TensorRead, for_row_blocks, linear::add_bias, matmul::*, matrix, norm::sum_blocks,
    output, tensor, values, weight::FrozenWeight,
};

/// y = (m / n) ∘ z + b: arguments z `[tokens, out]` and m `[out]`.
pub struct DoraScale {
    /// `[out]`
    pub norms: Vec<f32>,
    pub bias: Option<Tensor>,
}

impl DoraScale {
    fn factors(&self, magnitudes: &[f32]) -> Vec<f32> {
        let pairs = magnitudes.iter().zip(&self.norms);
        pairs.map(|(magnitude, norm)| magnitude / norm).collect()
    }
}

impl CustomOp2 for DoraScale {
    fn name(&self) -> &'static str {
        "dora-scale"
    }

    fn cpu_fwd(
        &self,
        z: &CpuStorage,
        z_layout: &Layout,
        magnitudes: &CpuStorage,
        magnitudes_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (tokens, out) = matrix(z_layout.shape());
        let mut y = values(z, z_layout)?.to_vec();
        scale_rows(
            &mut y,
            &self.factors(values(magnitudes, magnitudes_layout)?),
        );
        if let Some(bias) = &self.bias {
            add_bias(&mut y, TensorRead::new(bias).values()?);
        }
        output(y, (tokens, out))
    }

    fn bwd(
        &self,
        z: &Tensor,
        magnitudes: &Tensor,
        _y: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (z_held, grad_held) = (TensorRead::new(z), TensorRead::new(grad));
        let (z_values, grads, out) = (z_held.values()?, grad_held.values()?, self.norms.len());
        let blocks: Vec<Vec<f32>> = grads
            .par_chunks(out * BLOCK_ROWS)
            .zip(z_values.par_chunks(out * BLOCK_ROWS))
            .map(|(grads, z)| {
                let rows = grads.chunks_exact(out).zip(z.chunks_exact(out));
                let products: Vec<Vec<f32>> = rows
                    .map(|(grads, z)| grads.iter().zip(z).map(|(g, z)| g * z).collect())
                    .collect();
                sum_blocks(&products, out)
            })
            .collect();
        let mut grad_magnitudes = sum_blocks(&blocks, out);
        for (grad, norm) in grad_magnitudes.iter_mut().zip(&self.norms) {
            *grad /= norm;
        }
        let mut grad_z = grads.to_vec();
        let factors = self.factors(TensorRead::new(magnitudes).values()?);
        scale_rows(&mut grad_z, &factors);
        Ok((
            Some(tensor(grad_z, z.shape())?),
            Some(tensor(grad_magnitudes, magnitudes.shape())?),
        ))
    }
}

/// Multiplies every row by `factors`, element by element.
fn scale_rows(rows: &mut [f32], factors: &[f32]) {
    for_row_blocks(rows, factors.len(), |_, rows| {
        for row in rows.chunks_exact_mut(factors.len()) {
            for (value, factor) in row.iter_mut().zip(factors) {
                *value *= factor;
            }
        }
    });
}

/// Norms of the rows of W + s·B·A, `[out]`, with A `[rank, in]` and B `[out, rank]`.
pub fn row_norms(weight: &FrozenWeight, a: &Tensor, b: &Tensor, scale: f32) -> Result<Vec<f32>> {
    let (out, rank) = b.dims2()?;
    let width = a.dims()[1];
    let (a_held, b_held) = (TensorRead::new(a), TensorRead::new(b));
    let (a, b) = (a_held.values()?, b_held.values()?);
    let mut norms = Vec::with_capacity(out);
    weight.for_blocks(|first, _, block| {
        let parts: Vec<Vec<f32>> = block
            .par_chunks(width * BLOCK_ROWS)
            .enumerate()
            .map(|(at, part)| {
                let mut sum = part.to_vec();
                let rows = sum.len() / width;
                let b = &b[(first + at * BLOCK_ROWS) * rank..][..rows * rank];
                multiply(
                    MatmulTarget::new(&mut sum, rows, width).adding(),
                    scale,
                    StridedMatrix::new(b, rows, rank),
                    StridedMatrix::new(a, rank, width),
                    MatmulThreads::One,
                );
                sum.chunks_exact(width).map(norm).collect()
            })
            .collect();
        norms.extend(parts.into_iter().flatten());
    })?;
    Ok(norms)
}

fn norm(row: &[f32]) -> f32 {
    let square: f64 = row.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
    square.sqrt() as f32
}
