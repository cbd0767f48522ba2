//! RMS norms.

use crate::{
    Cpu,
    lanes::{LANES, Lanes, ScalarLanes},
};

/// Norms each row of `x`, [rows, columns], by its root mean square and multiplies by `weight`,
/// [columns].
///
/// Squares are summed by fused multiply-add in 32 lanes (column modulo 32), the lanes by a tree:
/// lane l and l + 16, then l + 8, … `y = (x × (1 / √(sum / columns + eps))) × weight`.
///
/// # Panics
/// If `x` and `out` are not rows of as many values as `weight`.
pub fn rms_norm(cpu: &Cpu, x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
    assert!(x.len() == out.len() && x.len().is_multiple_of(weight.len()));
    let _ = cpu;
    for (x, out) in x.chunks(weight.len()).zip(out.chunks_mut(weight.len())) {
        norm_row::<ScalarLanes>(x, weight, eps, out);
    }
}

#[inline(always)]
fn norm_row<L: Lanes>(x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
    let mean = dot::<L>(x, x) / x.len() as f32;
    let inverse = L::splat(1.0 / (mean + eps).sqrt());
    let rows = x.chunks(LANES).zip(weight.chunks(LANES));
    for ((x, weight), out) in rows.zip(out.chunks_mut(LANES)) {
        let x = L::load_part(x, 0.0).mul(inverse);
        let mut block = [0.0; LANES];
        x.mul(L::load_part(weight, 0.0)).store(&mut block);
        out.copy_from_slice(&block[..out.len()]);
    }
}

/// The dot product in 32 lanes and a tree; rows are padded with zeros.
#[inline(always)]
pub(crate) fn dot<L: Lanes>(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [L::zero(); 2];
    for (index, (a, b)) in a.chunks(LANES).zip(b.chunks(LANES)).enumerate() {
        let (a, b) = (L::load_part(a, 0.0), L::load_part(b, 0.0));
        sums[index % 2] = a.mul_add(b, sums[index % 2]);
    }
    sums[0].add(sums[1]).sum()
}
