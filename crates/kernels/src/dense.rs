//! Products of f32 rows with f32 weights that lie in memory row by row, as training multiplies them
//! forward and backward.
//!
//! Panels of the weights are rearranged as they are used, and the rearranged part stays in the cache
//! for all rows. The order of additions is that of blocked products in general: with a depth in
//! chunks, `s = fma(weight, x, s)` from zero within a chunk, and the chunks are added one by one.

#![allow(
    clippy::needless_range_loop,
    reason = "tiles of registers are indexed by row and column"
)]

use std::ops::Range;

use crate::{
    Cpu,
    lanes::{LANES, LaneKernel, Lanes},
};

/// Vectors of a panel.
const VECTORS: usize = 3;
/// Outputs of a panel.
const PANEL: usize = VECTORS * LANES;

/// How the weights lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DenseLayout {
    /// `[depth, outputs]`.
    ByDepth,
    /// `[outputs, depth]`.
    ByOutput,
}

/// A product: rows `[rows, depth]` times weights, into `[rows, outputs]`.
#[derive(Clone, Copy, Debug)]
pub struct DenseProduct<'a> {
    pub rows: &'a [f32],
    /// Values between the starts of rows.
    pub row_stride: usize,
    pub depth: usize,
    pub weights: &'a [f32],
    pub layout: DenseLayout,
    pub outputs: usize,
    /// Depth that is summed at a time, at least 1.
    pub chunk: usize,
    /// Adds to the output instead of overwriting it.
    pub adding: bool,
}

/// A part of a product's output.
pub struct DensePart<'a> {
    panels: Range<usize>,
    /// The part's columns of each row.
    rows: Vec<&'a mut [f32]>,
}

impl DenseProduct<'_> {
    /// Splits the output, rows `stride` values apart, into at most `parts` parts that can be computed
    /// in parallel.
    ///
    /// # Panics
    /// If rows or weights are shorter than the product needs.
    pub fn split<'o>(&self, out: &'o mut [f32], stride: usize, parts: usize) -> Vec<DensePart<'o>> {
        let rows = match out.len().checked_sub(self.outputs) {
            Some(more) if self.outputs > 0 => more / stride.max(1) + 1,
            _ => return Vec::new(),
        };
        let needed = (rows - 1) * self.row_stride + self.depth;
        assert!(self.rows.len() >= needed, "rows of a product");
        let needed = self.outputs * self.depth;
        assert!(self.weights.len() >= needed, "weights of a product");
        let panels = self.outputs.div_ceil(PANEL);
        let each = panels.div_ceil(parts.max(1));
        let mut split: Vec<DensePart<'o>> = (0..panels.div_ceil(each))
            .map(|part| DensePart {
                panels: part * each..((part + 1) * each).min(panels),
                rows: Vec::with_capacity(rows),
            })
            .collect();
        for row in out.chunks_mut(stride.max(1)) {
            let columns = row[..self.outputs].chunks_mut(each * PANEL);
            for (part, columns) in split.iter_mut().zip(columns) {
                part.rows.push(columns);
            }
        }
        split
    }

    /// Computes a part of the output on this thread.
    pub fn compute(&self, cpu: &Cpu, part: DensePart<'_>) {
        cpu.run(DenseKernel {
            product: self,
            part,
        });
    }
}

/// The weights of one position of the depth, for a panel's outputs.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct PanelLine([[f32; LANES]; VECTORS]);

struct DenseKernel<'p, 'a, 'o> {
    product: &'p DenseProduct<'a>,
    part: DensePart<'o>,
}

impl LaneKernel for DenseKernel<'_, '_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let product = self.product;
        let mut rows = self.part.rows;
        let longest = product.chunk.clamp(1, product.depth.max(1));
        let mut lines = vec![PanelLine([[0.0; LANES]; VECTORS]); longest];
        for (index, panel) in self.part.panels.enumerate() {
            for start in (0..product.depth).step_by(longest) {
                let depth = start..(start + longest).min(product.depth);
                let lines = &mut lines[..depth.len()];
                product.arrange::<L>(panel, depth.clone(), lines);
                let block = DenseBlock {
                    lines,
                    inputs: &product.rows[depth.start..],
                    stride: product.row_stride,
                    column: index * PANEL,
                    vectors: (product.outputs - panel * PANEL)
                        .div_ceil(LANES)
                        .min(VECTORS),
                    adding: product.adding || start > 0,
                };
                block.multiply::<L>(&mut rows);
            }
        }
    }
}

impl DenseProduct<'_> {
    /// Writes a panel's weights at `depth` to `lines`; lanes beyond the outputs hold anything.
    #[inline(always)]
    fn arrange<L: Lanes>(&self, panel: usize, depth: Range<usize>, lines: &mut [PanelLine]) {
        for vector in 0..VECTORS {
            let first = panel * PANEL + vector * LANES;
            let last = self.outputs.min(first + LANES);
            if first >= last {
                continue;
            }
            match self.layout {
                DenseLayout::ByDepth => {
                    self.copy_lines::<L>(first..last, depth.clone(), vector, lines);
                }
                DenseLayout::ByOutput => {
                    self.turn_lines::<L>(first..last, depth.clone(), vector, lines);
                }
            }
        }
    }

    #[inline(always)]
    fn copy_lines<L: Lanes>(
        &self,
        outputs: Range<usize>,
        depth: Range<usize>,
        vector: usize,
        lines: &mut [PanelLine],
    ) {
        for (line, at) in lines.iter_mut().zip(depth) {
            let from = &self.weights[at * self.outputs..][outputs.clone()];
            L::load_part(from, 0.0).store(&mut line.0[vector]);
        }
    }

    #[inline(always)]
    fn turn_lines<L: Lanes>(
        &self,
        outputs: Range<usize>,
        depth: Range<usize>,
        vector: usize,
        lines: &mut [PanelLine],
    ) {
        let row = |output: usize| &self.weights[output * self.depth..][depth.clone()];
        let mut rows: [&[f32]; LANES] = [&[]; LANES];
        for (at, output) in outputs.clone().enumerate() {
            rows[at] = row(output);
        }
        let whole = match outputs.len() {
            LANES => lines.len() / LANES * LANES,
            _ => 0,
        };
        for start in (0..whole).step_by(LANES) {
            let mut block = [L::zero(); LANES];
            for at in 0..LANES {
                block[at] = L::load_part(&rows[at][start..start + LANES], 0.0);
            }
            let turned = L::transpose(block);
            for at in 0..LANES {
                turned[at].store(&mut lines[start + at].0[vector]);
            }
        }
        for at in whole..lines.len() {
            for (lane, row) in rows[..outputs.len()].iter().enumerate() {
                lines[at].0[vector][lane] = row[at];
            }
        }
    }
}

/// A panel at some depth, rows of activations there, and where their products go.
#[derive(Clone, Copy)]
struct DenseBlock<'a> {
    lines: &'a [PanelLine],
    /// From the block's depth of the first row on.
    inputs: &'a [f32],
    stride: usize,
    /// First column of the output.
    column: usize,
    /// Those of the panel that hold outputs.
    vectors: usize,
    adding: bool,
}

impl DenseBlock<'_> {
    #[inline(always)]
    fn multiply<L: Lanes>(self, out: &mut [&mut [f32]]) {
        if L::WIDE {
            match self.vectors {
                1 => self.wide_tiles::<L, 1>(out),
                2 => self.wide_tiles::<L, 2>(out),
                _ => self.wide_tiles::<L, VECTORS>(out),
            }
            return;
        }
        let mut row = 0;
        while row + 6 <= out.len() {
            self.narrow_tiles::<L, 6>(row, out);
            row += 6;
        }
        while row < out.len() {
            self.narrow_tiles::<L, 1>(row, out);
            row += 1;
        }
    }

    #[inline(always)]
    fn wide_tiles<L: Lanes, const V: usize>(self, out: &mut [&mut [f32]]) {
        let mut row = 0;
        while row + 8 <= out.len() {
            self.tile::<L, 8, V>(row, 0, out);
            row += 8;
        }
        while row + 4 <= out.len() {
            self.tile::<L, 4, V>(row, 0, out);
            row += 4;
        }
        while row < out.len() {
            self.tile::<L, 1, V>(row, 0, out);
            row += 1;
        }
    }

    #[inline(always)]
    fn narrow_tiles<L: Lanes, const R: usize>(self, row: usize, out: &mut [&mut [f32]]) {
        for vector in 0..self.vectors {
            self.tile::<L, R, 1>(row, vector, out);
        }
    }

    /// R rows by V vectors, the first of which is `vector`.
    #[inline(always)]
    fn tile<L: Lanes, const R: usize, const V: usize>(
        self,
        first: usize,
        vector: usize,
        out: &mut [&mut [f32]],
    ) {
        let depth = self.lines.len();
        let mut inputs: [&[f32]; R] = [&[]; R];
        for row in 0..R {
            inputs[row] = &self.inputs[(first + row) * self.stride..][..depth];
        }
        let mut sums = [[L::zero(); V]; R];
        for at in 0..depth {
            let line = &self.lines[at].0;
            let mut weights = [L::zero(); V];
            for v in 0..V {
                weights[v] = L::load(&line[vector + v]);
            }
            for row in 0..R {
                let x = L::splat(inputs[row][at]);
                for v in 0..V {
                    sums[row][v] = weights[v].mul_add(x, sums[row][v]);
                }
            }
        }
        for (sums, out) in sums.iter().zip(&mut out[first..]) {
            let columns = out[self.column + vector * LANES..].chunks_mut(LANES);
            for (sum, to) in sums.iter().zip(columns) {
                let sum = match self.adding {
                    true => sum.add(L::load_part(to, 0.0)),
                    false => *sum,
                };
                sum.store_part(to);
            }
        }
    }
}
