//! Weights in int8, a group of 32 columns sharing an f16 scale.

use half::f16;

use super::{PANEL, PanelShape};
use crate::{GROUP, KernelError};

/// One group of a panel: `quads[q][output × 4 + i]` is column `4 q + i` of the group.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct Int8Block(pub [[i8; 4 * PANEL]; GROUP / 4]);

/// The scales of one group of a panel.
pub(crate) type PanelScales = [f16; PANEL];

#[derive(Debug)]
pub struct Int8Matrix {
    pub(crate) shape: PanelShape,
    /// [panels, groups].
    pub(crate) blocks: Vec<Int8Block>,
    /// [panels, groups].
    pub(crate) scales: Vec<PanelScales>,
}

impl Int8Matrix {
    /// Quantises the rows of `parts`: the scale is the group's greatest magnitude over 127, in f16;
    /// weights are divided by it and rounded to nearest even, within ±127. The last group of a row is
    /// padded with zeros.
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
                    found: greatest(weights),
                })?;
                matrix.set(output, group, scale, &values);
            }
        }
        Ok(matrix)
    }

    /// Takes over blocks of GGUF's type Q8_0 (an f16 scale and 32 int8 values) without loss.
    ///
    /// # Errors
    /// Rows that are not whole groups, parts that are not whole rows, scales that are not finite.
    pub fn from_q8_0(columns: usize, parts: &[&[u8]]) -> Result<Self, KernelError> {
        const BLOCK: usize = 2 + GROUP;
        let shape = PanelShape::of_blocks(columns, BLOCK, parts)?;
        let mut matrix = Self::zeros(shape);
        let blocks = parts.iter().flat_map(|part| part.chunks(BLOCK));
        for (index, block) in blocks.enumerate() {
            let (output, group) = (index / shape.groups(), index % shape.groups());
            let scale = block_scale(block, output, group)?;
            let mut values = [0; GROUP];
            for (value, byte) in values.iter_mut().zip(&block[2..]) {
                *value = byte.cast_signed();
            }
            matrix.set(output, group, scale, &values);
        }
        Ok(matrix)
    }

    fn zeros(shape: PanelShape) -> Self {
        let blocks = shape.panels() * shape.groups();
        Self {
            shape,
            blocks: vec![Int8Block([[0; 4 * PANEL]; GROUP / 4]); blocks],
            scales: vec![[f16::ZERO; PANEL]; blocks],
        }
    }

    fn set(&mut self, output: usize, group: usize, scale: f16, values: &[i8; GROUP]) {
        let (block, lane) = self.place(output, group);
        self.scales[block][lane] = scale;
        for (column, value) in values.iter().enumerate() {
            self.blocks[block].0[column / 4][lane * 4 + column % 4] = *value;
        }
    }

    fn place(&self, output: usize, group: usize) -> (usize, usize) {
        (output / PANEL * self.shape.groups() + group, output % PANEL)
    }

    pub(crate) fn weight(&self, output: usize, column: usize) -> f32 {
        let (block, lane) = self.place(output, column / GROUP);
        let column = column % GROUP;
        let value = self.blocks[block].0[column / 4][lane * 4 + column % 4];
        self.scales[block][lane].to_f32() * f32::from(value)
    }

    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&*self.blocks) + size_of_val(&*self.scales)
    }
}

/// The greatest magnitude; NaN counts as the greatest.
pub(super) fn greatest(weights: &[f32]) -> f32 {
    let bits = weights.iter().map(|it| it.abs().to_bits());
    f32::from_bits(bits.max().unwrap_or(0))
}

/// `None` if no f16 scale holds the weights.
fn quantise(weights: &[f32]) -> Option<(f16, [i8; GROUP])> {
    let scale = f16::from_f32(greatest(weights) / 127.0);
    if !scale.is_finite() {
        return None;
    }
    let mut values = [0; GROUP];
    if scale > f16::ZERO {
        for (value, weight) in values.iter_mut().zip(weights) {
            let steps = (weight / scale.to_f32()).round_ties_even();
            *value = steps.clamp(-127.0, 127.0) as i8;
        }
    }
    Some((scale, values))
}

/// The finite scale at the start of a GGUF block.
pub(super) fn block_scale(block: &[u8], row: usize, group: usize) -> Result<f16, KernelError> {
    let scale = f16::from_le_bytes([block[0], block[1]]);
    match scale.is_finite() {
        true => Ok(scale),
        false => Err(KernelError::WeightRange {
            row,
            column: group * GROUP,
            found: scale.to_f32(),
        }),
    }
}
