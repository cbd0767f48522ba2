//! Linear layers y = x·Wᵀ + b with W `[out, in]`: frozen, frozen with LoRA, and trainable.
//!
//! A frozen weight is not an argument of its operation, so its gradient is never computed or
//! stored; candle's own matmul always computes both.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::{
    BLOCK_ROWS, TensorRead, for_row_blocks, matmul::*, matrix, norm::sum_blocks, output, tensor,
    values, weight::FrozenWeight,
};
use crate::{
    noise::DropoutMask,
    tap::{ModulePass, TappedModule},
};

/// y = x·Wᵀ + b without trainable parameters.
pub struct FrozenLinear {
    pub weight: FrozenWeight,
    pub bias: Option<Tensor>,
}

impl CustomOp1 for FrozenLinear {
    fn name(&self) -> &'static str {
        "frozen-linear"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (rows, _) = matrix(layout.shape());
        let y = frozen_forward(&self.weight, self.bias.as_ref(), values(x, layout)?)?;
        output(y, (rows, self.weight.dims()?.0))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let grad = TensorRead::new(grad);
        Ok(Some(tensor(
            frozen_backward(&self.weight, grad.values()?)?,
            x.shape(),
        )?))
    }
}

/// y = x·Wᵀ + b + s·(drop(x)·Aᵀ)·Bᵀ with W and b frozen; arguments x, A `[r, in]` and B `[out, r]`
/// (arXiv:2106.09685). The backward pass recomputes drop(x)·Aᵀ, which is cheap at small r.
pub struct LoraLinear {
    pub weight: FrozenWeight,
    pub bias: Option<Tensor>,
    pub scale: f32,
    pub dropout: Option<DropoutMask>,
    /// Receives the terms of the factors' gradients; the factors then get no gradients.
    pub tap: Option<TappedModule>,
}

impl LoraLinear {
    fn dropped(&self, x: &[f32]) -> Option<Vec<f32>> {
        self.dropout.map(|dropout| {
            let mut copy = x.to_vec();
            dropout.apply(&mut copy);
            copy
        })
    }
}

impl CustomOp3 for LoraLinear {
    fn name(&self) -> &'static str {
        "lora-linear"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        a: &CpuStorage,
        a_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, a, b) = (
            values(x, x_layout)?,
            values(a, a_layout)?,
            values(b, b_layout)?,
        );
        let (tokens, width) = matrix(x_layout.shape());
        let (rank, out) = (a_layout.dims()[0], b_layout.dims()[0]);
        let mut y = frozen_forward(&self.weight, self.bias.as_ref(), x)?;
        let dropped = self.dropped(x);
        let input = dropped.as_deref().unwrap_or(x);
        let low = product(
            StridedMatrix::new(input, tokens, width),
            StridedMatrix::new(a, rank, width).t(),
            1.0,
        );
        let target = MatmulTarget::new(&mut y, tokens, out).adding();
        let up = StridedMatrix::new(b, out, rank).t();
        multiply(
            target,
            self.scale,
            StridedMatrix::new(&low, tokens, rank),
            up,
            MatmulThreads::All,
        );
        output(y, (tokens, out))
    }

    fn bwd(
        &self,
        x: &Tensor,
        a: &Tensor,
        b: &Tensor,
        _y: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (tokens, width) = x.dims2()?;
        let (out, rank) = b.dims2()?;
        let (x_held, a_held, b_held) = (TensorRead::new(x), TensorRead::new(a), TensorRead::new(b));
        let grad_held = TensorRead::new(grad);
        let dropped = self.dropped(x_held.values()?);
        let input = StridedMatrix::new(
            dropped.as_deref().unwrap_or(x_held.values()?),
            tokens,
            width,
        );
        let grads = StridedMatrix::new(grad_held.values()?, tokens, out);
        let (a_values, b_values) = (a_held.values()?, b_held.values()?);
        let (a_matrix, b_matrix) = (
            StridedMatrix::new(a_values, rank, width),
            StridedMatrix::new(b_values, out, rank),
        );
        let low = product(input, a_matrix.t(), 1.0);
        let grad_low = product(grads, b_matrix, self.scale);
        if let Some(tap) = &self.tap {
            tap.pass(&ModulePass {
                input: dropped.as_deref().unwrap_or(x_held.values()?),
                grad: grad_held.values()?,
                low: &low,
                grad_low: &grad_low,
                scale: self.scale,
                rank,
            });
        }
        let grad_low = StridedMatrix::new(&grad_low, tokens, rank);
        let grad_x = match x.track_op() {
            true => Some(tensor(
                self.grad_x(grad_held.values()?, grad_low, a_matrix)?,
                x.shape(),
            )?),
            false => None,
        };
        if self.tap.is_some() {
            return Ok((grad_x, None, None));
        }
        let grad_b = product(
            grads.t(),
            StridedMatrix::new(&low, tokens, rank),
            self.scale,
        );
        let grad_a = product(grad_low.t(), input, 1.0);
        Ok((
            grad_x,
            Some(tensor(grad_a, a.shape())?),
            Some(tensor(grad_b, b.shape())?),
        ))
    }
}

impl LoraLinear {
    /// g·W + mask ∘ (gₗₒw·A)
    fn grad_x(
        &self,
        grad: &[f32],
        grad_low: StridedMatrix<'_>,
        a: StridedMatrix<'_>,
    ) -> Result<Vec<f32>> {
        let mut grad_x = frozen_backward(&self.weight, grad)?;
        let Some(dropout) = self.dropout else {
            let (tokens, width) = (grad_low.rows(), a.columns());
            let target = MatmulTarget::new(&mut grad_x, tokens, width).adding();
            multiply(target, 1.0, grad_low, a, MatmulThreads::All);
            return Ok(grad_x);
        };
        let mut through = product(grad_low, a, 1.0);
        dropout.apply(&mut through);
        for_row_blocks(&mut grad_x, a.columns(), |first, rows| {
            for (g, t) in rows.iter_mut().zip(&through[first * a.columns()..]) {
                *g += t;
            }
        });
        Ok(grad_x)
    }
}

/// y = x·Wᵀ with a trainable W: arguments x and W.
pub struct LinearOp;

impl CustomOp2 for LinearOp {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        w: &CpuStorage,
        w_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (tokens, width) = matrix(x_layout.shape());
        let out = w_layout.dims()[0];
        let weight = StridedMatrix::new(values(w, w_layout)?, out, width).t();
        let y = product(
            StridedMatrix::new(values(x, x_layout)?, tokens, width),
            weight,
            1.0,
        );
        output(y, (tokens, out))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        _y: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (tokens, width) = x.dims2()?;
        let out = w.dims()[0];
        let (x_held, w_held, grad) = (
            TensorRead::new(x),
            TensorRead::new(w),
            TensorRead::new(grad),
        );
        let grads = StridedMatrix::new(grad.values()?, tokens, out);
        let grad_w = product(
            grads.t(),
            StridedMatrix::new(x_held.values()?, tokens, width),
            1.0,
        );
        let weight = StridedMatrix::new(w_held.values()?, out, width);
        let grad_x = x
            .track_op()
            .then(|| tensor(product(grads, weight, 1.0), x.shape()));
        Ok((grad_x.transpose()?, Some(tensor(grad_w, w.shape())?)))
    }
}

/// y = x + b with a trainable b: arguments x and b.
pub struct AddBias;

impl CustomOp2 for AddBias {
    fn name(&self) -> &'static str {
        "add-bias"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let mut y = values(x, x_layout)?.to_vec();
        add_bias(&mut y, values(bias, bias_layout)?);
        output(y, x_layout.shape().clone())
    }

    fn bwd(
        &self,
        _x: &Tensor,
        bias: &Tensor,
        _y: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (held, width) = (TensorRead::new(grad), bias.elem_count());
        let blocks: Vec<Vec<f32>> = held
            .values()?
            .par_chunks(width * BLOCK_ROWS)
            .map(|rows| {
                let rows: Vec<Vec<f32>> = rows.chunks_exact(width).map(<[f32]>::to_vec).collect();
                sum_blocks(&rows, width)
            })
            .collect();
        Ok((
            Some(grad.clone()),
            Some(tensor(sum_blocks(&blocks, width), bias.shape())?),
        ))
    }
}

pub(super) fn add_bias(y: &mut [f32], bias: &[f32]) {
    for_row_blocks(y, bias.len(), |_, rows| {
        for row in rows.chunks_exact_mut(bias.len()) {
            for (y, b) in row.iter_mut().zip(bias) {
                *y += b;
            }
        }
    });
}

/// scale · a × b as a new row-major matrix.
fn product(a: StridedMatrix<'_>, b: StridedMatrix<'_>, scale: f32) -> Vec<f32> {
    let mut out = vec![0f32; a.rows() * b.columns()];
    multiply(
        MatmulTarget::new(&mut out, a.rows(), b.columns()),
        scale,
        a,
        b,
        MatmulThreads::All,
    );
    out
}

/// x·Wᵀ + b
pub(super) fn frozen_forward(
    weight: &FrozenWeight,
    bias: Option<&Tensor>,
    x: &[f32],
) -> Result<Vec<f32>> {
    let (out, width) = weight.dims()?;
    let tokens = x.len() / width;
    let mut y = vec![0f32; tokens * out];
    let x = StridedMatrix::new(x, tokens, width);
    weight.for_blocks(|first, rows, block| {
        let target = MatmulTarget::strided(&mut y[first..], tokens, rows, out);
        multiply(
            target,
            1.0,
            x,
            StridedMatrix::new(block, rows, width).t(),
            MatmulThreads::All,
        );
    })?;
    if let Some(bias) = bias {
        add_bias(&mut y, TensorRead::new(bias).values()?);
    }
    Ok(y)
}

/// g·W
pub(super) fn frozen_backward(weight: &FrozenWeight, grad: &[f32]) -> Result<Vec<f32>> {
    let (out, width) = weight.dims()?;
    let tokens = grad.len() / out;
    let mut grad_x = vec![0f32; tokens * width];
    weight.for_blocks(|first, rows, block| {
        let target = MatmulTarget::new(&mut grad_x, tokens, width);
        let target = if first == 0 { target } else { target.adding() };
        let grad = StridedMatrix::strided(&grad[first..], tokens, rows, out);
        multiply(
            target,
            1.0,
            grad,
            StridedMatrix::new(block, rows, width),
            MatmulThreads::All,
        );
    })?;
    Ok(grad_x)
}
