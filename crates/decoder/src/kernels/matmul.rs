//! Matrix products on slices, through the `gemm` crate that candle uses too.
//!
//! The crate splits a product over threads by tiles of the result and never along the summed
//! dimension, so the bits of a product do not depend on the number of threads (a test asserts it).

use gemm::Parallelism;

/// A strided view of a matrix.
#[derive(Clone, Copy)]
pub struct StridedMatrix<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> StridedMatrix<'a> {
    /// A row-major matrix that fills `data`.
    pub fn new(data: &'a [f32], rows: usize, columns: usize) -> Self {
        Self::strided(data, rows, columns, columns)
    }

    /// Rows whose starts are `row_stride` values apart.
    pub fn strided(data: &'a [f32], rows: usize, columns: usize, row_stride: usize) -> Self {
        assert!(
            fits(data.len(), rows, columns, row_stride),
            "a matrix view must lie in its slice"
        );
        Self {
            data,
            rows,
            columns,
            row_stride,
            column_stride: 1,
        }
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The transpose, without copying.
    pub fn t(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

/// A row-major matrix to write to.
pub struct MatmulTarget<'a> {
    data: &'a mut [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    add: bool,
}

impl<'a> MatmulTarget<'a> {
    /// Overwrites `data`.
    pub fn new(data: &'a mut [f32], rows: usize, columns: usize) -> Self {
        Self::strided(data, rows, columns, columns)
    }

    pub fn strided(data: &'a mut [f32], rows: usize, columns: usize, row_stride: usize) -> Self {
        assert!(
            fits(data.len(), rows, columns, row_stride),
            "a matrix view must lie in its slice"
        );
        Self {
            data,
            rows,
            columns,
            row_stride,
            add: false,
        }
    }

    /// Accumulates into `data` instead of overwriting it.
    pub fn adding(self) -> Self {
        Self { add: true, ..self }
    }
}

/// Whether a product may use all threads or stays on the calling thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatmulThreads {
    One,
    All,
}

fn fits(len: usize, rows: usize, columns: usize, row_stride: usize) -> bool {
    rows == 0 || columns == 0 || (rows - 1) * row_stride + columns <= len
}

/// target (+)= scale · a × b
pub fn multiply(
    target: MatmulTarget<'_>,
    scale: f32,
    a: StridedMatrix<'_>,
    b: StridedMatrix<'_>,
    threads: MatmulThreads,
) {
    let (m, n, k) = (target.rows, target.columns, a.columns);
    assert!(
        a.rows == m && b.columns == n && b.rows == k,
        "the shapes of a product must agree"
    );
    let parallelism = match threads {
        MatmulThreads::One => Parallelism::None,
        MatmulThreads::All => Parallelism::Rayon(0),
    };
    // SAFETY: the views' constructors checked that every element lies in its slice, the shapes
    // agree, and `target` is borrowed mutably, so it overlaps neither operand.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            target.data.as_mut_ptr(),
            1,
            target.row_stride as isize,
            target.add,
            a.data.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            1.0f32,
            scale,
            false,
            false,
            false,
            parallelism,
        );
    }
}
