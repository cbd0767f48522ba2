//! SwiGLU: silu(gate) ∘ up (arXiv:2002.05202), without storing silu(gate).

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::{
    TensorRead,
    linear::{frozen_backward, frozen_forward},
    matrix,
    numeric::sigmoid,
    output, tensor, values,
    weight::FrozenWeight,
};

/// Values per task.
const BLOCK: usize = 16_384;

/// Arguments gate and up, of the same shape.
pub struct SwiGlu;

impl CustomOp2 for SwiGlu {
    fn name(&self) -> &'static str {
        "swiglu"
    }

    fn cpu_fwd(
        &self,
        gate: &CpuStorage,
        gate_layout: &Layout,
        up: &CpuStorage,
        up_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let wide = forward(values(gate, gate_layout)?, values(up, up_layout)?);
        output(wide, gate_layout.shape().clone())
    }

    fn bwd(
        &self,
        gate: &Tensor,
        up: &Tensor,
        _y: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        backward(gate, up, TensorRead::new(grad).values()?)
    }
}

/// (silu(gate) ∘ up)·Wᵀ + b without trainable parameters; the product of gate and up is not stored.
/// Arguments gate and up.
pub struct FrozenSwiGlu {
    pub weight: FrozenWeight,
    pub bias: Option<Tensor>,
}

impl CustomOp2 for FrozenSwiGlu {
    fn name(&self) -> &'static str {
        "frozen-swiglu"
    }

    fn cpu_fwd(
        &self,
        gate: &CpuStorage,
        gate_layout: &Layout,
        up: &CpuStorage,
        up_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let wide = forward(values(gate, gate_layout)?, values(up, up_layout)?);
        let (tokens, _) = matrix(gate_layout.shape());
        let y = frozen_forward(&self.weight, self.bias.as_ref(), &wide)?;
        output(y, (tokens, self.weight.dims()?.0))
    }

    fn bwd(
        &self,
        gate: &Tensor,
        up: &Tensor,
        _y: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let grad = TensorRead::new(grad);
        backward(gate, up, &frozen_backward(&self.weight, grad.values()?)?)
    }
}

fn forward(gate: &[f32], up: &[f32]) -> Vec<f32> {
    let mut out = vec![0f32; gate.len()];
    swiglu_into(gate, up, &mut out);
    out
}

/// Writes silu(gate) ∘ up to `out`.
pub fn swiglu_into(gate: &[f32], up: &[f32], out: &mut [f32]) {
    let inputs = gate.par_chunks(BLOCK).zip(up.par_chunks(BLOCK));
    out.par_chunks_mut(BLOCK)
        .zip(inputs)
        .for_each(|(out, (gate, up))| {
            for ((o, g), u) in out.iter_mut().zip(gate).zip(up) {
                *o = g * sigmoid(*g) * u;
            }
        });
}

/// Gradients of gate and up.
fn backward(gate: &Tensor, up: &Tensor, grads: &[f32]) -> Result<(Option<Tensor>, Option<Tensor>)> {
    let (gate_held, up_held) = (TensorRead::new(gate), TensorRead::new(up));
    let (gates, ups) = (gate_held.values()?, up_held.values()?);
    let (mut grad_gate, mut grad_up) = (vec![0f32; gates.len()], vec![0f32; gates.len()]);
    swiglu_gradients(gates, ups, grads, &mut grad_gate, &mut grad_up);
    let (grad_gate, grad_up) = (
        tensor(grad_gate, gate.shape())?,
        tensor(grad_up, up.shape())?,
    );
    Ok((Some(grad_gate), Some(grad_up)))
}

/// Writes the gradients of gates and ups, from those of silu(gate) ∘ up.
pub fn swiglu_gradients(
    gates: &[f32],
    ups: &[f32],
    grads: &[f32],
    grad_gate: &mut [f32],
    grad_up: &mut [f32],
) {
    let outputs = grad_gate
        .par_chunks_mut(BLOCK)
        .zip(grad_up.par_chunks_mut(BLOCK));
    let inputs = gates
        .par_chunks(BLOCK)
        .zip(ups.par_chunks(BLOCK))
        .zip(grads.par_chunks(BLOCK));
    outputs
        .zip(inputs)
        .for_each(|((grad_gate, grad_up), ((gate, up), grad))| {
            let outputs = grad_gate.iter_mut().zip(grad_up);
            let inputs = gate.iter().zip(up).zip(grad);
            for ((gg, gu), ((g, u), d)) in outputs.zip(inputs) {
                let s = sigmoid(*g);
                *gu = d * g * s;
                *gg = d * u * s * (1.0 + g * (1.0 - s));
            }
        });
}
