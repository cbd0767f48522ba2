//! Weights in four bits, a group of 32 columns sharing an f16 scale.

use half::f16;

use super::{
    PANEL, PanelShape,
    int8::{PanelScales, block_scale},
};
use crate::{GROUP, KernelError};

/// One group of a panel: the low half of `quads[q][output × 4 + i]` is column `4 q + i` of the group,
/// the high half column `16 + 4 q + i`, each as the value plus 8.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct Int4Block(pub [[u8; 4 * PANEL]; GROUP / 8]);

#[derive(Debug)]
pub struct Int4Matrix {
    pub(crate) shape: PanelShape,
    /// [panels, groups].
    pub(crate) blocks: Vec<Int4Block>,
    /// [panels, groups].
    pub(crate) scales: Vec<PanelScales>,
}

impl Int4Matrix {
    /// Quantises the rows of `parts`: the scale is the group's weight of greatest magnitude over −8,
    /// in f16; weights are divided by it and rounded to nearest even, within −8 and 7. The last group
    /// of a row is padded with zeros.
    ///
    /// # Errors
    /// Parts that are not whole rows, and weights outside of what an f16 scale holds.
    pub fn from_f32(columns: usize, parts: &[&[f32]]) -> Result<Self, KernelError> {
        let shape = PanelShape::of_parts(columns, parts)?;
        let mut matrix = Self::zeros(shape);
        let rows = parts.iter().flat_map(|part| part.chunks(columns));
        for (output, row) in rows.enumerate() {
            for (group, weights) in row.chunks(GROUP).enumerate() {
                let (scale, values) = quantise(weights).ok_or(KernelError::WeightRange {
                    row: output,
                    column: group * GROUP,
                    found: extreme(weights),
                })?;
                matrix.set(output, group, scale, &values);
            }
        }
        Ok(matrix)
    }

    /// Takes over blocks of GGUF's type Q4_0 (an f16 scale and 32 values of four bits) without loss.
    ///
    /// # Errors
    /// Rows that are not whole groups, parts that are not whole rows, scales that are not finite.
    pub fn from_q4_0(columns: usize, parts: &[&[u8]]) -> Result<Self, KernelError> {
        const BLOCK: usize = 2 + GROUP / 2;
        let shape = PanelShape::of_blocks(columns, BLOCK, parts)?;
        let mut matrix = Self::zeros(shape);
        let blocks = parts.iter().flat_map(|part| part.chunks(BLOCK));
        for (index, block) in blocks.enumerate() {
            let (output, group) = (index / shape.groups(), index % shape.groups());
            let scale = block_scale(block, output, group)?;
            let mut values = [0; GROUP];
            for (column, byte) in block[2..].iter().enumerate() {
                values[column] = byte & 15;
                values[column + GROUP / 2] = byte >> 4;
            }
            matrix.set(output, group, scale, &values);
        }
        Ok(matrix)
    }

    fn zeros(shape: PanelShape) -> Self {
        let blocks = shape.panels() * shape.groups();
        Self {
            shape,
            blocks: vec![Int4Block([[0x88; 4 * PANEL]; GROUP / 8]); blocks],
            scales: vec![[f16::ZERO; PANEL]; blocks],
        }
    }

    /// Values are given as 0 to 15.
    fn set(&mut self, output: usize, group: usize, scale: f16, values: &[u8; GROUP]) {
        let (block, lane) = self.place(output, group);
        self.scales[block][lane] = scale;
        let (low, high) = values.split_at(GROUP / 2);
        for (column, (low, high)) in low.iter().zip(high).enumerate() {
            self.blocks[block].0[column / 4][lane * 4 + column % 4] = low | high << 4;
        }
    }

    fn place(&self, output: usize, group: usize) -> (usize, usize) {
        (output / PANEL * self.shape.groups() + group, output % PANEL)
    }

    /// The value of a weight, −8 to 7, and its scale.
    pub(crate) fn weight(&self, output: usize, column: usize) -> f32 {
        let (block, lane) = self.place(output, column / GROUP);
        let column = column % GROUP;
        let pair = column % (GROUP / 2);
        let byte = self.blocks[block].0[pair / 4][lane * 4 + pair % 4];
        let half = if column == pair { byte & 15 } else { byte >> 4 };
        self.scales[block][lane].to_f32() * (f32::from(half) - 8.0)
    }

    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&*self.blocks) + size_of_val(&*self.scales)
    }
}

/// The weight of greatest magnitude, with its sign.
fn extreme(weights: &[f32]) -> f32 {
    let greater = |a: f32, b: f32| {
        if b.abs().to_bits() > a.abs().to_bits() {
            b
        } else {
            a
        }
    };
    weights.iter().copied().fold(0.0, greater)
}

/// `None` if no f16 scale holds the weights.
fn quantise(weights: &[f32]) -> Option<(f16, [u8; GROUP])> {
    let scale = f16::from_f32(extreme(weights) / -8.0);
    if !scale.is_finite() {
        return None;
    }
    let mut values = [8; GROUP];
    if scale.to_f32() != 0.0 {
        for (value, weight) in values.iter_mut().zip(weights) {
            let steps = (weight / scale.to_f32()).round_ties_even();
            *value = (steps.clamp(-8.0, 7.0) + 8.0) as u8;
        }
    }
    Some((scale, values))
}
