//! The product with f32 weights.

#![allow(
    clippy::needless_range_loop,
    reason = "tiles of registers are indexed by row and column"
)]

use super::{OutputPanels, PREFETCH};
use crate::{
    F32Matrix, GROUP, MatmulInput,
    lanes::{LANES, LaneKernel, Lanes, behind},
    matrix::FloatLine,
};

pub(super) struct FloatProduct<'a> {
    pub matrix: &'a F32Matrix,
    pub input: &'a MatmulInput,
    pub out: OutputPanels<'a>,
}

impl LaneKernel for FloatProduct<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let columns = self.matrix.shape.columns;
        let mut out = self.out;
        let panels = self.matrix.lines.chunks(columns);
        let panels = panels.skip(out.panels.start).take(out.panels.len());
        for (panel, lines) in panels.enumerate() {
            let block = PanelBlock {
                lines,
                inputs: &self.input.floats,
                column: panel * LANES,
            };
            block.product::<L>(&mut out.rows);
        }
    }
}

/// A panel, rows of activations, and where their products go.
#[derive(Clone, Copy)]
struct PanelBlock<'a> {
    /// `[columns]`.
    lines: &'a [FloatLine],
    /// `[rows, columns]`.
    inputs: &'a [f32],
    /// First column of the output.
    column: usize,
}

impl PanelBlock<'_> {
    #[inline(always)]
    fn product<L: Lanes>(self, out: &mut [&mut [f32]]) {
        let mut row = 0;
        if L::WIDE {
            while row + 8 <= out.len() {
                self.tile::<L, 8>(row, out);
                row += 8;
            }
        }
        while row + 4 <= out.len() {
            self.tile::<L, 4>(row, out);
            row += 4;
        }
        while row < out.len() {
            self.tile::<L, 1>(row, out);
            row += 1;
        }
    }

    #[inline(always)]
    fn tile<L: Lanes, const R: usize>(self, first: usize, out: &mut [&mut [f32]]) {
        let columns = self.lines.len();
        let mut inputs: [&[f32]; R] = [&[]; R];
        for row in 0..R {
            inputs[row] = &self.inputs[(first + row) * columns..][..columns];
        }
        let mut acc = [L::zero(); R];
        for start in (0..columns).step_by(GROUP) {
            let mut sums = [L::zero(); R];
            for column in start..(start + GROUP).min(columns) {
                let line = &self.lines[column].0;
                L::prefetch(behind(line, PREFETCH));
                let weights = L::load(line);
                for row in 0..R {
                    sums[row] = weights.mul_add(L::splat(inputs[row][column]), sums[row]);
                }
            }
            for row in 0..R {
                acc[row] = acc[row].add(sums[row]);
            }
        }
        for (acc, out) in acc.iter().zip(&mut out[first..]) {
            let to = out[self.column..].chunks_mut(LANES).next();
            acc.store_part(to.unwrap_or_default());
        }
    }
}
