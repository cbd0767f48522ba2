//! Some columns of a matrix in row-major order.

/// Columns from `start` of rows that are `stride` values apart.
#[derive(Clone, Copy, Debug)]
pub struct ColumnsRef<'a> {
    pub data: &'a [f32],
    pub stride: usize,
    pub start: usize,
}

impl<'a> ColumnsRef<'a> {
    /// All columns of rows of `stride` values.
    pub fn all(data: &'a [f32], stride: usize) -> Self {
        Self {
            data,
            stride,
            start: 0,
        }
    }

    pub(crate) fn row(self, row: usize, width: usize) -> &'a [f32] {
        &self.data[row * self.stride + self.start..][..width]
    }
}

/// Heads that lie side by side in each row of a matrix.
#[derive(Clone, Copy, Debug)]
pub struct HeadColumns {
    /// First column.
    pub start: usize,
    pub heads: usize,
}
