//! RMS norms.

use crate::{
    Cpu,
    lanes::{LANES, LaneKernel, Lanes},
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
    let columns = weight.len();
    assert!(
        x.len() == out.len() && columns > 0 && x.len().is_multiple_of(columns),
        "rows of {columns} values"
    );
    cpu.for_row_blocks(out, columns, columns, |first, out| {
        let x = &x[first * columns..][..out.len()];
        cpu.run(Norm {
            x,
            weight,
            eps,
            out,
        });
    });
}

struct Norm<'a> {
    x: &'a [f32],
    weight: &'a [f32],
    eps: f32,
    out: &'a mut [f32],
}

impl LaneKernel for Norm<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let columns = self.weight.len();
        for (x, out) in self.x.chunks(columns).zip(self.out.chunks_mut(columns)) {
            let mean = square_sum::<L>(x) / columns as f32;
            let inverse = L::splat(1.0 / (mean + self.eps).sqrt());
            let blocks = x.chunks(LANES).zip(self.weight.chunks(LANES));
            for ((x, weight), out) in blocks.zip(out.chunks_mut(LANES)) {
                let normed = L::load_part(x, 0.0).mul(inverse);
                normed.mul(L::load_part(weight, 0.0)).store_part(out);
            }
        }
    }
}

/// The sum of squares in 32 lanes and a tree.
#[inline(always)]
fn square_sum<L: Lanes>(x: &[f32]) -> f32 {
    let (mut even, mut odd) = (L::zero(), L::zero());
    for x in x.chunks(2 * LANES) {
        let (low, high) = x.split_at(x.len().min(LANES));
        let (low, high) = (L::load_part(low, 0.0), L::load_part(high, 0.0));
        even = low.mul_add(low, even);
        odd = high.mul_add(high, odd);
    }
    even.add(odd).sum()
}
