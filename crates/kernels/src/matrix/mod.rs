//! Weight matrices, packed once for the kernels.
//!
//! Sixteen outputs form a panel. Within a panel, the weights of one group of 32 columns are stored
//! together, four columns of each output at a time, so that a vector lane sums one output.

mod float;
mod grouped;
mod int4;
mod int8;

pub use float::F32Matrix;
pub(crate) use float::FloatLine;
pub use grouped::{GroupBlock, GroupedMatrix};
pub use int4::{Int4Block, Int4Matrix};
pub use int8::{Int8Block, Int8Matrix};

use crate::KernelError;

/// How weights are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightFormat {
    /// int8 in groups of 32 columns with an f16 scale: 8.5 bits per weight.
    Int8,
    /// −8 to 7 in groups of 32 columns with an f16 scale: 4.5 bits per weight.
    Int4,
    /// The weights as they are.
    F32,
}

/// A matrix of `[outputs, columns]` weights.
#[derive(Debug)]
pub enum WeightMatrix {
    Int8(Int8Matrix),
    Int4(Int4Matrix),
    F32(F32Matrix),
}

impl WeightMatrix {
    /// Packs the rows of `parts`, one after the other; each part is `[outputs, columns]`. Several parts
    /// make one matrix of, for example, the query, key and value projections.
    ///
    /// # Errors
    /// A part that is not whole rows; for the quantised formats, weights that are not finite or so
    /// large that no f16 scale holds them.
    pub fn from_f32(
        format: WeightFormat,
        columns: usize,
        parts: &[&[f32]],
    ) -> Result<Self, KernelError> {
        Ok(match format {
            WeightFormat::Int8 => Self::Int8(Int8Matrix::from_f32(columns, parts)?),
            WeightFormat::Int4 => Self::Int4(Int4Matrix::from_f32(columns, parts)?),
            WeightFormat::F32 => Self::F32(F32Matrix::from_f32(columns, parts)?),
        })
    }

    pub fn format(&self) -> WeightFormat {
        match self {
            Self::Int8(_) => WeightFormat::Int8,
            Self::Int4(_) => WeightFormat::Int4,
            Self::F32(_) => WeightFormat::F32,
        }
    }

    fn shape(&self) -> PanelShape {
        match self {
            Self::Int8(matrix) => matrix.shape,
            Self::Int4(matrix) => matrix.shape,
            Self::F32(matrix) => matrix.shape,
        }
    }

    /// Rows of weights: the width of a product's rows.
    pub fn outputs(&self) -> usize {
        self.shape().outputs
    }

    /// Weights per output: the width of a product's input rows.
    pub fn columns(&self) -> usize {
        self.shape().columns
    }

    /// Writes the weights of one output as f32, such as a token's embedding.
    ///
    /// # Panics
    /// If there is no such output, or `row` is not `[columns]`.
    pub fn read_row(&self, output: usize, row: &mut [f32]) {
        assert!(output < self.outputs() && row.len() == self.columns());
        match self {
            Self::Int8(matrix) => matrix.read_row(output, row),
            Self::Int4(matrix) => matrix.read_row(output, row),
            Self::F32(matrix) => matrix.read_row(output, row),
        }
    }

    /// Memory that the packed weights take.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Int8(matrix) => matrix.bytes(),
            Self::Int4(matrix) => matrix.bytes(),
            Self::F32(matrix) => matrix.bytes(),
        }
    }
}

/// Outputs per panel.
pub(crate) const PANEL: usize = 16;

/// Where a matrix's weights lie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PanelShape {
    pub outputs: usize,
    pub columns: usize,
}

impl PanelShape {
    pub(crate) fn panels(self) -> usize {
        self.outputs.div_ceil(PANEL)
    }

    pub(crate) fn groups(self) -> usize {
        self.columns.div_ceil(crate::GROUP)
    }

    /// The shape of `parts` of rows with `columns` values each.
    fn of_parts<T>(columns: usize, parts: &[&[T]]) -> Result<Self, KernelError> {
        let mut outputs = 0;
        for part in parts {
            if columns == 0 || !part.len().is_multiple_of(columns) {
                return Err(KernelError::PartLength {
                    columns,
                    found: part.len(),
                });
            }
            outputs += part.len() / columns;
        }
        Ok(Self { outputs, columns })
    }

    /// The shape of `parts` of GGUF blocks, each with one group in `block` bytes.
    fn of_blocks(columns: usize, block: usize, parts: &[&[u8]]) -> Result<Self, KernelError> {
        if columns == 0 || !columns.is_multiple_of(crate::GROUP) {
            return Err(KernelError::PartialGroup { columns });
        }
        let expected = columns / crate::GROUP * block;
        let mut outputs = 0;
        for part in parts {
            if !part.len().is_multiple_of(expected) {
                return Err(KernelError::PartBytes {
                    expected,
                    found: part.len(),
                });
            }
            outputs += part.len() / expected;
        }
        Ok(Self { outputs, columns })
    }
}
