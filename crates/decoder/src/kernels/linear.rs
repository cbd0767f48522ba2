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
        let (tokens, _) = matrix(x_layout.shape());
        let (rank, out) = (a_layout.dims()[0], b_layout.dims()[0]);
        let factors = LoraPair { a, b, rank };
        let mut y = vec![0f32; tokens * out];
        self.forward_into(x, &factors, &mut y)?;
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
        let (_, rank) = b.dims2()?;
        let (x_held, a_held, b_held) = (TensorRead::new(x), TensorRead::new(a), TensorRead::new(b));
        let grad_held = TensorRead::new(grad);
        let factors = LoraPair {
            a: a_held.values()?,
            b: b_held.values()?,
            rank,
        };
        let mut grad_x = x.track_op().then(|| vec![0f32; x.elem_count()]);
        let found = self.backward(
            x_held.values()?,
            &factors,
            grad_held.values()?,
            grad_x.as_deref_mut(),
        )?;
        let grad_x = grad_x.map(|grad_x| tensor(grad_x, x.shape())).transpose()?;
        Ok(match found {
            None => (grad_x, None, None),
            Some(found) => (
                grad_x,
                Some(tensor(found.a, a.shape())?),
                Some(tensor(found.b, b.shape())?),
            ),
        })
    }
}

/// The factors of a module: A `[rank, in]` and B `[out, rank]`.
pub struct LoraPair<'a> {
    pub a: &'a [f32],
    pub b: &'a [f32],
    pub rank: usize,
}

/// The gradients of a module's factors, in their shapes.
pub struct PairGradients {
    pub a: Vec<f32>,
    pub b: Vec<f32>,
}

impl LoraLinear {
    /// Writes the result for x `[tokens, in]` to `y`.
    pub fn forward_into(&self, x: &[f32], factors: &LoraPair<'_>, y: &mut [f32]) -> Result<()> {
        let LoraPair { a, b, rank } = *factors;
        let (out, width) = self.weight.dims()?;
        let tokens = x.len() / width;
        frozen_forward_into(&self.weight, self.bias.as_ref(), x, y)?;
        let dropped = self.dropped(x);
        let input = dropped.as_deref().unwrap_or(x);
        let low = product(
            StridedMatrix::new(input, tokens, width),
            StridedMatrix::new(a, rank, width).t(),
            1.0,
        );
        multiply(
            MatmulTarget::new(y, tokens, out).adding(),
            self.scale,
            StridedMatrix::new(&low, tokens, rank),
            StridedMatrix::new(b, out, rank).t(),
            MatmulThreads::All,
        );
        Ok(())
    }

    /// Writes the gradient of x to `grad_x`, if it is wanted, and returns those of the factors, or
    /// passes their terms to the tap.
    pub fn backward(
        &self,
        x: &[f32],
        factors: &LoraPair<'_>,
        grad: &[f32],
        grad_x: Option<&mut [f32]>,
    ) -> Result<Option<PairGradients>> {
        let LoraPair { a, b, rank } = *factors;
        let (out, width) = self.weight.dims()?;
        let tokens = x.len() / width;
        let dropped = self.dropped(x);
        let x = dropped.as_deref().unwrap_or(x);
        let input = StridedMatrix::new(x, tokens, width);
        let grads = StridedMatrix::new(grad, tokens, out);
        let a = StridedMatrix::new(a, rank, width);
        let low = product(input, a.t(), 1.0);
        let grad_low = product(grads, StridedMatrix::new(b, out, rank), self.scale);
        if let Some(tap) = &self.tap {
            tap.pass(&ModulePass {
                input: x,
                grad,
                low: &low,
                grad_low: &grad_low,
                scale: self.scale,
                rank,
            });
        }
        let grad_low = StridedMatrix::new(&grad_low, tokens, rank);
        if let Some(grad_x) = grad_x {
            self.grad_x(grad, grad_low, a, grad_x)?;
        }
        if self.tap.is_some() {
            return Ok(None);
        }
        let low = StridedMatrix::new(&low, tokens, rank);
        Ok(Some(PairGradients {
            b: product(grads.t(), low, self.scale),
            a: product(grad_low.t(), input, 1.0),
        }))
    }

    /// g·W + mask ∘ (gₗₒw·A)
    fn grad_x(
        &self,
        grad: &[f32],
        grad_low: StridedMatrix<'_>,
        a: StridedMatrix<'_>,
        grad_x: &mut [f32],
    ) -> Result<()> {
        frozen_backward_into(&self.weight, grad, grad_x)?;
        let Some(dropout) = self.dropout else {
            let (tokens, width) = (grad_low.rows(), a.columns());
            let target = MatmulTarget::new(grad_x, tokens, width).adding();
            multiply(target, 1.0, grad_low, a, MatmulThreads::All);
            return Ok(());
        };
        let mut through = product(grad_low, a, 1.0);
        dropout.apply(&mut through);
        add_to(grad_x, &through);
        Ok(())
    }
}

/// Values per task of a sum.
const SUMMED: usize = 16_384;

/// sum += term
pub fn add_to(sum: &mut [f32], term: &[f32]) {
    sum.par_chunks_mut(SUMMED)
        .zip(term.par_chunks(SUMMED))
        .for_each(|(sum, term)| {
            for (s, t) in sum.iter_mut().zip(term) {
                *s += t;
            }
        });
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
    let mut y = vec![0f32; x.len() / width * out];
    frozen_forward_into(weight, bias, x, &mut y)?;
    Ok(y)
}

/// Writes x·Wᵀ + b to `y`.
pub fn frozen_forward_into(
    weight: &FrozenWeight,
    bias: Option<&Tensor>,
    x: &[f32],
    y: &mut [f32],
) -> Result<()> {
    let (out, width) = weight.dims()?;
    let tokens = x.len() / width;
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
        add_bias(y, TensorRead::new(bias).values()?);
    }
    Ok(())
}

/// g·W
pub(super) fn frozen_backward(weight: &FrozenWeight, grad: &[f32]) -> Result<Vec<f32>> {
    let (out, width) = weight.dims()?;
    let mut grad_x = vec![0f32; grad.len() / out * width];
    frozen_backward_into(weight, grad, &mut grad_x)?;
    Ok(grad_x)
}

/// Writes g·W to `grad_x`.
pub fn frozen_backward_into(weight: &FrozenWeight, grad: &[f32], grad_x: &mut [f32]) -> Result<()> {
    let (out, width) = weight.dims()?;
    let tokens = grad.len() / out;
    weight.for_blocks(|first, rows, block| {
        let target = MatmulTarget::new(grad_x, tokens, width);
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
    Ok(())
}
