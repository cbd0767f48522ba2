//! RMS norms of rows and of heads.

use std::ops::Range;

use crate::{
    Cpu, HeadColumns,
    lanes::{LANES, LaneKernel, Lanes},
};

/// Norms each row of `x`, `[rows, columns]`, by its root mean square and multiplies by `weight`,
/// `[columns]`.
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
            out.copy_from_slice(x);
            norm_row::<L>(out, self.weight, self.eps);
        }
    }
}

/// Norms each head of `columns` in place, in every row of `data`, `[rows, stride]`, as [`rms_norm`]
/// norms rows. `weight` is `[head_dim]`.
///
/// # Panics
/// If `data` is not whole rows or the heads are beyond a row.
pub fn rms_norm_heads(
    cpu: &Cpu,
    data: &mut [f32],
    stride: usize,
    columns: HeadColumns,
    weight: &[f32],
    eps: f32,
) {
    assert!(
        stride > 0 && data.len().is_multiple_of(stride),
        "rows of {stride} values"
    );
    let width = columns.heads * weight.len();
    cpu.for_row_blocks(data, stride, width, |_, rows| {
        cpu.run(HeadNorm {
            rows,
            stride,
            heads: columns.start..columns.start + width,
            weight,
            eps,
        });
    });
}

struct HeadNorm<'a> {
    rows: &'a mut [f32],
    stride: usize,
    heads: Range<usize>,
    weight: &'a [f32],
    eps: f32,
}

impl LaneKernel for HeadNorm<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        for row in self.rows.chunks_mut(self.stride) {
            for head in row[self.heads.clone()].chunks_mut(self.weight.len()) {
                norm_row::<L>(head, self.weight, self.eps);
            }
        }
    }
}

#[inline(always)]
fn norm_row<L: Lanes>(x: &mut [f32], weight: &[f32], eps: f32) {
    let mean = square_sum::<L>(x) / x.len() as f32;
    let inverse = L::splat(1.0 / (mean + eps).sqrt());
    for (x, weight) in x.chunks_mut(LANES).zip(weight.chunks(LANES)) {
        let normed = L::load_part(x, 0.0).mul(inverse);
        normed.mul(L::load_part(weight, 0.0)).store_part(x);
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
