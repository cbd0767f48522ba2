//! Weights in f32, column by column within a panel.

use super::{PANEL, PanelShape};
use crate::KernelError;

/// The weights of one column in a panel.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct FloatLine(pub [f32; PANEL]);

#[derive(Debug)]
pub struct F32Matrix {
    pub(crate) shape: PanelShape,
    /// `[panels, columns]`.
    pub(crate) lines: Vec<FloatLine>,
}

impl F32Matrix {
    /// Packs the rows of `parts`.
    ///
    /// # Errors
    /// [`KernelError::PartLength`] if a part is not whole rows of `columns` values.
    pub fn from_f32(columns: usize, parts: &[&[f32]]) -> Result<Self, KernelError> {
        let shape = PanelShape::of_parts(columns, parts)?;
        let mut lines = vec![FloatLine([0.0; PANEL]); shape.panels() * columns];
        let rows = parts.iter().flat_map(|part| part.chunks(columns));
        for (output, row) in rows.enumerate() {
            let panel = &mut lines[output / PANEL * columns..][..columns];
            for (line, weight) in panel.iter_mut().zip(row) {
                line.0[output % PANEL] = *weight;
            }
        }
        Ok(Self { shape, lines })
    }

    pub(super) fn read_row(&self, output: usize, row: &mut [f32]) {
        let lines = &self.lines[output / PANEL * self.shape.columns..];
        for (value, line) in row.iter_mut().zip(lines) {
            *value = line.0[output % PANEL];
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&*self.lines)
    }
}
