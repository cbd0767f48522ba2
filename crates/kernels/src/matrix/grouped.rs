//! Quantised weights: groups of 32 columns with an f16 scale, sixteen outputs together.

use std::fmt;

use half::f16;

use super::{PANEL, PanelShape};
use crate::{GROUP, KernelError};

/// The weights of one group in a panel.
pub trait GroupBlock: Copy + fmt::Debug {
    /// All weights zero.
    const ZERO: Self;
    /// Bytes of a GGUF block of the same values: the scale and 32 weights.
    const GGUF_BYTES: usize;

    /// The scale of a group, before it is rounded to f16.
    fn scale_of(weights: &[f32]) -> f32;

    /// A weight in units of its scale, rounded to nearest even within the values of this format.
    fn round(steps: f32) -> i8;

    /// The values of a GGUF block after its scale.
    fn unpack(bytes: &[u8]) -> [i8; GROUP];

    /// The values of an output.
    fn values(&self, output: usize) -> [i8; GROUP];

    fn set(&mut self, output: usize, column: usize, value: i8);
}

/// A matrix of quantised weights; see [`Int8Matrix`](super::Int8Matrix) and
/// [`Int4Matrix`](super::Int4Matrix).
#[derive(Debug)]
pub struct GroupedMatrix<B> {
    pub(crate) shape: PanelShape,
    /// `[panels, groups]`.
    pub(crate) blocks: Vec<B>,
    /// `[panels, groups]`, each of sixteen outputs.
    pub(crate) scales: Vec<[f16; PANEL]>,
}

impl<B: GroupBlock> GroupedMatrix<B> {
    /// Quantises the rows of `parts`; the last group of a row is padded with zeros. A weight is
    /// divided by the group's scale, already rounded to f16, and rounded to nearest even.
    ///
    /// # Errors
    /// Parts that are not whole rows, and weights outside of what an f16 scale holds.
    pub fn from_f32(columns: usize, parts: &[&[f32]]) -> Result<Self, KernelError> {
        let shape = PanelShape::of_parts(columns, parts)?;
        let mut matrix = Self::zeros(shape);
        let rows = parts.iter().flat_map(|part| part.chunks(columns));
        for (output, row) in rows.enumerate() {
            for (group, weights) in row.chunks(GROUP).enumerate() {
                let scale = f16::from_f32(B::scale_of(weights));
                check_scale(scale, output, group)?;
                let mut values = [0; GROUP];
                let wide = scale.to_f32();
                if wide != 0.0 {
                    for (value, weight) in values.iter_mut().zip(weights) {
                        *value = B::round(weight / wide);
                    }
                }
                matrix.set(output, group, scale, &values);
            }
        }
        Ok(matrix)
    }

    /// Takes over blocks of the GGUF type that has the same values, without loss.
    ///
    /// # Errors
    /// Rows that are not whole groups, parts that are not whole rows, scales that are not finite.
    pub fn from_gguf(columns: usize, parts: &[&[u8]]) -> Result<Self, KernelError> {
        let shape = PanelShape::of_blocks(columns, B::GGUF_BYTES, parts)?;
        let mut matrix = Self::zeros(shape);
        let blocks = parts.iter().flat_map(|part| part.chunks(B::GGUF_BYTES));
        for (index, block) in blocks.enumerate() {
            let (output, group) = (index / shape.groups(), index % shape.groups());
            let scale = f16::from_le_bytes([block[0], block[1]]);
            check_scale(scale, output, group)?;
            matrix.set(output, group, scale, &B::unpack(&block[2..]));
        }
        Ok(matrix)
    }

    fn zeros(shape: PanelShape) -> Self {
        let blocks = shape.panels() * shape.groups();
        Self {
            shape,
            blocks: vec![B::ZERO; blocks],
            scales: vec![[f16::ZERO; PANEL]; blocks],
        }
    }

    fn set(&mut self, output: usize, group: usize, scale: f16, values: &[i8; GROUP]) {
        let (block, lane) = self.place(output, group);
        self.scales[block][lane] = scale;
        for (column, value) in values.iter().enumerate() {
            self.blocks[block].set(lane, column, *value);
        }
    }

    fn place(&self, output: usize, group: usize) -> (usize, usize) {
        (output / PANEL * self.shape.groups() + group, output % PANEL)
    }

    pub(super) fn read_row(&self, output: usize, row: &mut [f32]) {
        let (first, lane) = self.place(output, 0);
        let groups = self.blocks[first..].iter().zip(&self.scales[first..]);
        for (row, (block, scales)) in row.chunks_mut(GROUP).zip(groups) {
            let scale = scales[lane].to_f32();
            for (wide, value) in row.iter_mut().zip(block.values(lane)) {
                *wide = scale * f32::from(value);
            }
        }
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.blocks) + size_of_val(&*self.scales)
    }
}

fn check_scale(scale: f16, row: usize, group: usize) -> Result<(), KernelError> {
    match scale.is_finite() {
        true => Ok(()),
        false => Err(KernelError::ScaleRange {
            row,
            column: group * GROUP,
            found: scale,
        }),
    }
}

/// The weight of greatest magnitude, with its sign; NaN counts as the greatest.
pub(super) fn extreme(weights: &[f32]) -> f32 {
    let greater = |a: f32, b: f32| match b.abs().to_bits() > a.abs().to_bits() {
        true => b,
        false => a,
    };
    weights.iter().copied().fold(0.0, greater)
}
