//! Outputs of rows whose adapters also learned the norms of the weights' rows (DoRA,
//! arXiv:2402.09353).

use std::ops::Range;

use crate::{
    Cpu,
    lanes::{LaneKernel, Lanes},
};

/// Rows of a batch whose outputs of one module are scaled.
#[derive(Clone, Debug)]
pub struct ScaledRows<'a> {
    pub rows: Range<usize>,
    /// The learned norm of each output's weights over the norm that they have with their branch.
    pub factors: &'a [f32],
    /// First output column, for modules that share a matrix.
    pub column: usize,
}

/// Scales what products and branches gave, but not the bias that is part of it, in `out`,
/// `[rows, stride]`, for each entry's rows, in the order of entries.
///
/// `out = (out − bias) × factor + bias`, or `out × factor` without a bias, `[stride]`. Each operation
/// is rounded.
///
/// # Panics
/// If rows or columns are beyond the buffers.
pub fn scale_rows(
    cpu: &Cpu,
    entries: &[ScaledRows<'_>],
    bias: Option<&[f32]>,
    out: &mut [f32],
    stride: usize,
) {
    let cost = |entry: &ScaledRows<'_>| entry.rows.len() * entry.factors.len();
    let rows = out.len().checked_div(stride).unwrap_or(0).max(1);
    let cost = entries.iter().map(cost).sum::<usize>() / rows;
    cpu.for_row_blocks(out, stride, cost, |first, out| {
        let end = first + out.len() / stride;
        for entry in entries {
            let columns = entry.column..entry.column + entry.factors.len();
            let bias = bias.map(|bias| &bias[columns.clone()]);
            for row in entry.rows.start.max(first)..entry.rows.end.min(end) {
                cpu.run(RowScale {
                    out: &mut out[(row - first) * stride..][columns.clone()],
                    factors: entry.factors,
                    bias,
                });
            }
        }
    });
}

struct RowScale<'a> {
    out: &'a mut [f32],
    factors: &'a [f32],
    bias: Option<&'a [f32]>,
}

impl LaneKernel for RowScale<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let scaled = self.out.iter_mut().zip(self.factors);
        match self.bias {
            None => scaled.for_each(|(out, factor)| *out *= factor),
            Some(bias) => scaled
                .zip(bias)
                .for_each(|((out, factor), bias)| *out = (*out - bias) * factor + bias),
        }
    }
}
