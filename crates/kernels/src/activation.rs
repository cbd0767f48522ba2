//! Operations on each value of a row: gated SiLU, softmax, the residual sum.

use crate::{
    Cpu,
    exp::exp,
    lanes::{LANES, Lanes, ScalarLanes},
};

/// SwiGLU's product. Rows of `gate_up` are [gate | up], each `columns` wide; `out` is
/// [rows, columns]: `(gate / (1 + exp(−gate))) × up`.
///
/// # Panics
/// If the buffers are not as many rows.
pub fn silu_mul(cpu: &Cpu, gate_up: &[f32], columns: usize, out: &mut [f32]) {
    assert!(gate_up.len() == 2 * out.len() && out.len().is_multiple_of(columns));
    let _ = cpu;
    for (row, out) in gate_up.chunks(2 * columns).zip(out.chunks_mut(columns)) {
        let (gate, up) = row.split_at(columns);
        silu_row::<ScalarLanes>(gate, up, out);
    }
}

#[inline(always)]
fn silu_row<L: Lanes>(gate: &[f32], up: &[f32], out: &mut [f32]) {
    let rows = gate.chunks(LANES).zip(up.chunks(LANES));
    for ((gate, up), out) in rows.zip(out.chunks_mut(LANES)) {
        let gate = L::load_part(gate, 0.0);
        let below = exp(L::zero().sub(gate)).add(L::splat(1.0));
        let mut block = [0.0; LANES];
        gate.div(below).mul(L::load_part(up, 0.0)).store(&mut block);
        out.copy_from_slice(&block[..out.len()]);
    }
}

/// `x` = `x` + `y`, value by value.
///
/// # Panics
/// If they differ in length.
pub fn add_rows(cpu: &Cpu, x: &mut [f32], y: &[f32]) {
    assert_eq!(x.len(), y.len());
    let _ = cpu;
    for (x, y) in x.iter_mut().zip(y) {
        *x += y;
    }
}

/// Replaces a row of logits by its probabilities: `exp(x − m) / sum` with `m` the greatest logit.
/// Terms are summed in 16 lanes (index modulo 16), the lanes by a tree.
pub fn softmax(cpu: &Cpu, row: &mut [f32]) {
    let _ = cpu;
    let (greatest, sum) = exp_sum::<ScalarLanes>(row);
    for chunk in row.chunks_mut(LANES) {
        let terms =
            exp(ScalarLanes::load_part(chunk, f32::NEG_INFINITY).sub(ScalarLanes::splat(greatest)));
        let mut block = [0.0; LANES];
        terms.div(ScalarLanes::splat(sum)).store(&mut block);
        chunk.copy_from_slice(&block[..chunk.len()]);
    }
}

/// ln Σ exp(x) of a row of logits; a logit minus it is the token's log-probability. The sum is the
/// one of [`softmax`], its logarithm is taken in f64.
pub fn log_sum_exp(cpu: &Cpu, row: &[f32]) -> f64 {
    let _ = cpu;
    let (greatest, sum) = exp_sum::<ScalarLanes>(row);
    f64::from(greatest) + libm::log(f64::from(sum))
}

/// The greatest value, and the sum of exp(x − greatest).
#[inline(always)]
fn exp_sum<L: Lanes>(row: &[f32]) -> (f32, f32) {
    let blocks = || {
        row.chunks(LANES)
            .map(|chunk| L::load_part(chunk, f32::NEG_INFINITY))
    };
    let greatest = blocks()
        .fold(L::splat(f32::NEG_INFINITY), L::max)
        .greatest();
    let sum = blocks().fold(L::zero(), |sum, x| sum.add(exp(x.sub(L::splat(greatest)))));
    (greatest, sum.sum())
}
