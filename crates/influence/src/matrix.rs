//! Matrices of doubles: products through the `gemm` crate, and inversion of positive definite
//! matrices.
//!
//! Products are split by tiles of the result, never along the summed dimension, so that their bits
//! do not depend on the number of threads.

use gemm::Parallelism;

/// A view of row-major values, or of their transpose.
#[derive(Clone, Copy)]
pub struct MatrixView<'a> {
    data: &'a [f64],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> MatrixView<'a> {
    pub fn new(data: &'a [f64], rows: usize, columns: usize) -> Self {
        assert!(data.len() >= rows * columns, "a view must lie in its slice");
        Self {
            data,
            rows,
            columns,
            row_stride: columns,
            column_stride: 1,
        }
    }

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

/// target ← keep·target + scale · a × b, with `keep` 0 or 1.
pub fn multiply(target: &mut [f64], keep: bool, scale: f64, a: MatrixView<'_>, b: MatrixView<'_>) {
    let (m, n, k) = (a.rows, b.columns, a.columns);
    assert!(
        b.rows == k && target.len() == m * n,
        "the shapes of a product must agree"
    );
    // SAFETY: `MatrixView::new` checked that every element lies in its slice, the shapes agree, and
    // `target` is borrowed mutably, so it overlaps neither operand.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            target.as_mut_ptr(),
            1,
            n as isize,
            keep,
            a.data.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            1.0,
            scale,
            false,
            false,
            false,
            Parallelism::Rayon(0),
        );
    }
}

/// Rows and columns eliminated at a time.
const BLOCK: usize = 64;

/// Inverts a symmetric positive definite matrix in place by blocked Gauss–Jordan, which needs no
/// pivoting here. `None` if the result is not finite.
pub fn invert(matrix: &mut [f64], size: usize) -> Option<()> {
    for first in (0..size).step_by(BLOCK) {
        let count = BLOCK.min(size - first);
        eliminate(matrix, size, first, count)?;
    }
    matrix.iter().all(|value| value.is_finite()).then_some(())
}

fn eliminate(matrix: &mut [f64], size: usize, first: usize, count: usize) -> Option<()> {
    let mut pivot = vec![0.0; count * count];
    let mut columns = vec![0.0; size * count];
    for (row, line) in matrix.chunks_mut(size).enumerate() {
        let block = &mut line[first..first + count];
        match row.checked_sub(first).filter(|row| *row < count) {
            Some(row) => pivot[row * count..][..count].copy_from_slice(block),
            None => columns[row * count..][..count].copy_from_slice(block),
        }
        block.fill(0.0);
    }
    invert_small(&mut pivot, count)?;
    let mut rows = vec![0.0; count * size];
    let band = first * size..(first + count) * size;
    multiply(
        &mut rows,
        false,
        1.0,
        MatrixView::new(&pivot, count, count),
        MatrixView::new(&matrix[band.clone()], count, size),
    );
    for (line, pivot) in rows.chunks_mut(size).zip(pivot.chunks(count)) {
        line[first..first + count].copy_from_slice(pivot);
    }
    matrix[band.clone()].fill(0.0);
    multiply(
        matrix,
        true,
        -1.0,
        MatrixView::new(&columns, size, count),
        MatrixView::new(&rows, count, size),
    );
    matrix[band].copy_from_slice(&rows);
    Some(())
}

/// Gauss–Jordan, one row at a time.
fn invert_small(matrix: &mut [f64], size: usize) -> Option<()> {
    for at in 0..size {
        let pivot = matrix[at * size + at];
        if pivot.is_nan() || pivot <= 0.0 {
            return None;
        }
        let inverse = 1.0 / pivot;
        matrix[at * size + at] = 1.0;
        let mut line = matrix[at * size..][..size].to_vec();
        line.iter_mut().for_each(|value| *value *= inverse);
        for (row, values) in matrix.chunks_mut(size).enumerate() {
            if row == at {
                values.copy_from_slice(&line);
                continue;
            }
            let factor = std::mem::take(&mut values[at]);
            for (value, pivot) in values.iter_mut().zip(&line) {
                *value -= factor * pivot;
            }
        }
    }
    Some(())
}
