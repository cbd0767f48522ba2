//! Products, norms and activations on one thread. A row's result does not depend on the rows beside it.

use std::sync::OnceLock;

use openlora_kernels::{Cpu, DenseLayout, DenseProduct};

use crate::numeric::{dot, sigmoid, sum_pairs};

/// Depth that products sum at a time.
const CHUNK: usize = 256;
/// As MiniT2I's norms have it.
const EPSILON: f32 = 1e-6;

fn cpu() -> &'static Cpu {
    static CPU: OnceLock<Cpu> = OnceLock::new();
    CPU.get_or_init(|| Cpu::new(1))
}

/// Rows of a matrix that may lie apart.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    pub values: &'a [f32],
    pub stride: usize,
    pub depth: usize,
}

impl<'a> Rows<'a> {
    pub fn new(values: &'a [f32], depth: usize) -> Self {
        Self {
            values,
            stride: depth,
            depth,
        }
    }
}

/// Where a product goes.
pub struct Target<'a> {
    pub values: &'a mut [f32],
    pub stride: usize,
    pub outputs: usize,
    /// Adds instead of overwriting.
    pub adding: bool,
}

impl<'a> Target<'a> {
    pub fn new(values: &'a mut [f32], outputs: usize) -> Self {
        Self {
            values,
            stride: outputs,
            outputs,
            adding: false,
        }
    }

    pub fn adding(values: &'a mut [f32], outputs: usize) -> Self {
        Self {
            adding: true,
            ..Self::new(values, outputs)
        }
    }
}

fn product(rows: Rows<'_>, weights: &[f32], layout: DenseLayout, to: Target<'_>) {
    let product = DenseProduct {
        rows: rows.values,
        row_stride: rows.stride,
        depth: rows.depth,
        weights,
        layout,
        outputs: to.outputs,
        chunk: CHUNK,
        adding: to.adding,
    };
    for part in product.split(to.values, to.stride, 1) {
        product.compute(cpu(), part);
    }
}

/// rows · weightsᵀ, of weights `[outputs, depth]`.
pub fn times_transposed(rows: Rows<'_>, weights: &[f32], to: Target<'_>) {
    product(rows, weights, DenseLayout::ByOutput, to);
}

/// rows · weights, of weights `[depth, outputs]`.
pub fn times(rows: Rows<'_>, weights: &[f32], to: Target<'_>) {
    product(rows, weights, DenseLayout::ByDepth, to);
}

/// to += leftᵀ · right, of matrices `[rows, left]` and `[rows, right]`.
pub fn add_outer(left: &[f32], right: &[f32], rows: usize, to: &mut [f32], turned: &mut Vec<f32>) {
    let (left_width, right_width) = (left.len() / rows, right.len() / rows);
    turned.resize(left.len(), 0.0);
    transpose(left, left_width, turned);
    times(
        Rows::new(turned, rows),
        right,
        Target::adding(&mut to[..left_width * right_width], right_width),
    );
}

/// Writes the transpose of a matrix with rows of `width`.
pub fn transpose(from: &[f32], width: usize, to: &mut [f32]) {
    const BLOCK: usize = 16;
    let rows = from.len() / width;
    for first in (0..rows).step_by(BLOCK) {
        let last = (first + BLOCK).min(rows);
        for column in 0..width {
            let to = &mut to[column * rows..][first..last];
            for (to, row) in to.iter_mut().zip(first..last) {
                *to = from[row * width + column];
            }
        }
    }
}

/// Adds a bias to every row.
pub fn add_bias(rows: &mut [f32], bias: &[f32]) {
    for row in rows.chunks_exact_mut(bias.len()) {
        add_to(row, bias);
    }
}

/// Adds the sum of rows to `to`.
pub fn add_column_sums(rows: &[f32], to: &mut [f32]) {
    for row in rows.chunks_exact(to.len()) {
        add_to(to, row);
    }
}

pub fn add_to(to: &mut [f32], from: &[f32]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += from;
    }
}

/// Divides each row by its root mean square and multiplies it by the weight. `inverse` receives the
/// reciprocals of the roots.
pub fn norm(x: &[f32], weight: &[f32], y: &mut [f32], inverse: &mut [f32]) {
    let width = weight.len();
    let rows = x.chunks_exact(width).zip(y.chunks_exact_mut(width));
    for ((x, y), inverse) in rows.zip(inverse) {
        let mean = dot(x, x) / width as f32;
        *inverse = 1.0 / (mean + EPSILON).sqrt();
        for ((y, x), weight) in y.iter_mut().zip(x).zip(weight) {
            *y = x * *inverse * weight;
        }
    }
}

/// Adds the gradient of a norm's input to `to`, and that of its weight, if it learns, to `of_weight`.
pub fn norm_backward(
    x: &[f32],
    weight: &[f32],
    inverse: &[f32],
    grad: &[f32],
    to: &mut [f32],
    of_weight: Option<&mut [f32]>,
) {
    let width = weight.len();
    let rows = x.chunks_exact(width).zip(grad.chunks_exact(width));
    if let Some(of_weight) = of_weight {
        for ((x, grad), inverse) in rows.clone().zip(inverse) {
            for ((sum, x), grad) in of_weight.iter_mut().zip(x).zip(grad) {
                *sum += grad * (x * inverse);
            }
        }
    }
    for (((x, grad), inverse), to) in rows.zip(inverse).zip(to.chunks_exact_mut(width)) {
        let mut lanes = [0.0f32; 16];
        let mut sum = 0.0;
        let whole = width / 16 * 16;
        for at in (0..whole).step_by(16) {
            for lane in 0..16 {
                lanes[lane] += grad[at + lane] * weight[at + lane] * x[at + lane];
            }
        }
        for at in whole..width {
            sum += grad[at] * weight[at] * x[at];
        }
        sum += sum_pairs(&lanes, &lanes, |lane, _| lane);
        let common = sum * inverse * inverse * inverse / width as f32;
        for at in 0..width {
            to[at] += inverse * (grad[at] * weight[at]) - x[at] * common;
        }
    }
}

/// silu(gate) ∘ up.
pub fn swiglu(gate: &[f32], up: &[f32], to: &mut [f32]) {
    for ((to, gate), up) in to.iter_mut().zip(gate).zip(up) {
        *to = gate * sigmoid(*gate) * up;
    }
}

/// Replaces gate and up by their gradients, given that of silu(gate) ∘ up.
pub fn swiglu_backward(gate: &mut [f32], up: &mut [f32], grad: &[f32]) {
    for ((gate, up), grad) in gate.iter_mut().zip(up).zip(grad) {
        let s = sigmoid(*gate);
        let silu = *gate * s;
        let slope = s + silu * (1.0 - s);
        *gate = grad * *up * slope;
        *up = grad * silu;
    }
}
