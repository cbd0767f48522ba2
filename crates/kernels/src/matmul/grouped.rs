//! The product with quantised weights.

#![allow(
    clippy::needless_range_loop,
    reason = "tiles of registers are indexed by row and column"
)]

use std::hint::black_box;

use half::f16;

use super::{OutputPanels, PREFETCH};
use crate::{
    GroupBlock, GroupedMatrix, Int4Block, Int8Block, LoraBranch, MatmulInput,
    input::InputGroup,
    lanes::{LANES, LaneKernel, Lanes, behind},
    lora::FactorLookahead,
};

/// How a block of weights is multiplied, step by step.
pub(super) trait BlockProduct: GroupBlock {
    const STEPS: usize;
    type Sums<L: Lanes>: Copy;
    type Weights<L: Lanes>: Copy;

    fn sums<L: Lanes>(total: i32) -> Self::Sums<L>;
    fn weights<L: Lanes>(&self, step: usize) -> Self::Weights<L>;
    fn add<L: Lanes>(
        sums: Self::Sums<L>,
        weights: Self::Weights<L>,
        group: &InputGroup,
        step: usize,
    ) -> Self::Sums<L>;
    fn finish<L: Lanes>(sums: Self::Sums<L>, total: i32) -> L;
}

impl BlockProduct for Int8Block {
    const STEPS: usize = 8;
    type Sums<L: Lanes> = L::Sums;
    type Weights<L: Lanes> = L::Weights;

    #[inline(always)]
    fn sums<L: Lanes>(total: i32) -> L::Sums {
        L::sums(total)
    }

    #[inline(always)]
    fn weights<L: Lanes>(&self, step: usize) -> L::Weights {
        L::prefetch(behind(&self.quads[step], PREFETCH));
        L::weights(&self.quads[step])
    }

    #[inline(always)]
    fn add<L: Lanes>(
        sums: L::Sums,
        weights: L::Weights,
        group: &InputGroup,
        step: usize,
    ) -> L::Sums {
        L::add_products(sums, weights, group.quads[step])
    }

    #[inline(always)]
    fn finish<L: Lanes>(sums: L::Sums, _total: i32) -> L {
        L::finish(sums)
    }
}

impl BlockProduct for Int4Block {
    const STEPS: usize = 4;
    type Sums<L: Lanes> = L::NibbleSums;
    type Weights<L: Lanes> = L::Nibbles;

    #[inline(always)]
    fn sums<L: Lanes>(total: i32) -> L::NibbleSums {
        L::nibble_sums(total)
    }

    #[inline(always)]
    fn weights<L: Lanes>(&self, step: usize) -> L::Nibbles {
        L::prefetch(behind(&self.quads[step], PREFETCH));
        L::nibbles(&self.quads[step])
    }

    #[inline(always)]
    fn add<L: Lanes>(
        sums: L::NibbleSums,
        weights: L::Nibbles,
        group: &InputGroup,
        step: usize,
    ) -> L::NibbleSums {
        L::add_nibbles(sums, weights, [group.quads[step], group.quads[step + 4]])
    }

    #[inline(always)]
    fn finish<L: Lanes>(sums: L::NibbleSums, total: i32) -> L {
        L::finish_nibbles(sums, total)
    }
}

/// Rows whose activations stay in the second-level cache while a task's weights pass.
const BLOCK_ROWS: usize = 64;

pub(super) struct GroupedProduct<'a, B> {
    pub matrix: &'a GroupedMatrix<B>,
    pub input: &'a MatmulInput,
    /// Factors to ask for meanwhile.
    pub ahead: &'a [&'a LoraBranch],
    pub out: OutputPanels<'a>,
}

impl<B: BlockProduct> LaneKernel for GroupedProduct<'_, B> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let groups = self.matrix.shape.groups();
        let mut out = self.out;
        // Each tile of at most eight rows and a panel asks once per group.
        let tiles = out.rows.len().div_ceil(8) * out.panels.len();
        let mut ahead = FactorLookahead::new(self.ahead, tiles * groups);
        let inputs = self.input.groups.chunks(BLOCK_ROWS * groups);
        for (inputs, out_rows) in inputs.zip(out.rows.chunks_mut(BLOCK_ROWS)) {
            let mut first = out.panels.start;
            while first < out.panels.end {
                let block = RowBlock {
                    inputs,
                    groups,
                    column: (first - out.panels.start) * LANES,
                };
                // Few rows wait for memory, which is read best as one stream.
                let two = L::WIDE && out_rows.len() > 32 && first + 1 < out.panels.end;
                if two {
                    block.product::<L, B, 2>(self.matrix, first, &mut ahead, out_rows);
                    first += 2;
                } else {
                    block.product::<L, B, 1>(self.matrix, first, &mut ahead, out_rows);
                    first += 1;
                }
            }
        }
    }
}

/// Rows of activations, and where their products go.
#[derive(Clone, Copy)]
struct RowBlock<'a> {
    /// `[rows, groups]`.
    inputs: &'a [InputGroup],
    groups: usize,
    /// First column of the output.
    column: usize,
}

/// The weights of `C` panels.
#[derive(Clone, Copy)]
struct PanelWeights<'a, B, const C: usize> {
    blocks: [&'a [B]; C],
    scales: [&'a [[f16; LANES]]; C],
}

impl RowBlock<'_> {
    #[inline(always)]
    fn product<L: Lanes, B: BlockProduct, const C: usize>(
        self,
        matrix: &GroupedMatrix<B>,
        first: usize,
        ahead: &mut FactorLookahead<'_>,
        out: &mut [&mut [f32]],
    ) {
        let mut weights: PanelWeights<'_, B, C> = PanelWeights {
            blocks: [&[]; C],
            scales: [&[]; C],
        };
        for panel in 0..C {
            let start = (first + panel) * self.groups;
            weights.blocks[panel] = &matrix.blocks[start..][..self.groups];
            weights.scales[panel] = &matrix.scales[start..][..self.groups];
        }
        let mut row = 0;
        // Eight rows of two panels and their weights are more than the registers.
        if L::WIDE && C == 1 {
            while row + 8 <= out.len() {
                self.tile::<L, B, 8, C>(&weights, row, ahead, out);
                row += 8;
            }
        }
        while row + 4 <= out.len() {
            self.tile::<L, B, 4, C>(&weights, row, ahead, out);
            row += 4;
        }
        if row + 2 <= out.len() {
            self.tile::<L, B, 2, C>(&weights, row, ahead, out);
            row += 2;
        }
        if row < out.len() {
            self.tile::<L, B, 1, C>(&weights, row, ahead, out);
        }
    }

    /// `R` rows by `C` panels in registers.
    #[inline(always)]
    fn tile<L: Lanes, B: BlockProduct, const R: usize, const C: usize>(
        self,
        weights: &PanelWeights<'_, B, C>,
        first: usize,
        ahead: &mut FactorLookahead<'_>,
        out: &mut [&mut [f32]],
    ) {
        let groups = self.groups;
        let mut inputs: [&[InputGroup]; R] = [&[]; R];
        for row in 0..R {
            inputs[row] = &self.inputs[(first + row) * groups..][..groups];
        }
        let mut acc = [[L::zero(); C]; R];
        let steps = match L::WIDE {
            true => B::STEPS,
            // Were the steps unrolled, the compiler would sum each row by itself and spill the
            // weights in between.
            false => black_box(B::STEPS),
        };
        for group in 0..groups {
            ahead.step::<L>();
            let mut sums = [[B::sums::<L>(0); C]; R];
            for row in 0..R {
                sums[row] = [B::sums::<L>(inputs[row][group].total); C];
            }
            for step in 0..steps {
                let step = step % B::STEPS;
                let mut block = [weights.blocks[0][group].weights::<L>(step); C];
                for panel in 1..C {
                    block[panel] = weights.blocks[panel][group].weights::<L>(step);
                }
                for row in 0..R {
                    for panel in 0..C {
                        sums[row][panel] =
                            B::add::<L>(sums[row][panel], block[panel], &inputs[row][group], step);
                    }
                }
            }
            for panel in 0..C {
                let scales = L::load_f16(&weights.scales[panel][group]);
                for row in 0..R {
                    let scale = L::splat(inputs[row][group].scale).mul(scales);
                    let sum = B::finish::<L>(sums[row][panel], inputs[row][group].total);
                    acc[row][panel] = scale.mul_add(sum, acc[row][panel]);
                }
            }
        }
        for (acc, out) in acc.iter().zip(&mut out[first..]) {
            let columns = out[self.column..].chunks_mut(LANES);
            for (acc, out) in acc.iter().zip(columns) {
                acc.store_part(out);
            }
        }
    }
}
