//! Matrix products on slices, through the `gemm` crate that candle uses too.
//!
//! The crate splits a product over threads by tiles of the result and never along the summed
//! dimension, so the bits of a product do not depend on the number of threads (a test asserts it).
//! Products of some size take kernels of our own, which read weights with less work and add in the
//! crate's order, so that they give its bits (a test asserts that, too).

use std::sync::OnceLock;

use gemm::Parallelism;
use gemm_common::cache::kernel_params;
use openlora_kernels::{Cpu, CpuPath, DenseLayout, DenseProduct};
use rayon::prelude::*;

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
    let own = (scale == 1.0).then(OwnKernels::find).flatten();
    let target = match own {
        Some(own) => match own.multiply(target, a, b, threads) {
            Ok(()) => return,
            Err(target) => target,
        },
        None => target,
    };
    multiply_by_crate(target, scale, a, b, threads);
}

/// Our own kernels for products of a row-major matrix.
struct OwnKernels {
    cpu: Cpu,
    /// Rows and columns of the crate's tiles, which decide how it splits the summed dimension.
    tile: [usize; 2],
}

/// Smaller products are not worth rearranging the second factor.
const LEAST_ROWS: usize = 8;
const LEAST_COLUMNS: usize = 48;
const LEAST_DEPTH: usize = 64;

/// Multiplications that justify a task of their own.
const TASK: usize = 1 << 20;

impl OwnKernels {
    /// Where the crate's kernels and ours both multiply and add with one rounding.
    fn find() -> Option<&'static Self> {
        static FOUND: OnceLock<Option<OwnKernels>> = OnceLock::new();
        let find = || {
            let tile = crate_tile()?;
            let cpu = Cpu::new(1);
            let is_fused = matches!(
                cpu.path(),
                CpuPath::Avx2 | CpuPath::AvxVnni | CpuPath::Avx512
            );
            is_fused.then_some(Self { cpu, tile })
        };
        FOUND.get_or_init(find).as_ref()
    }

    /// Computes the product, or gives the target back.
    fn multiply<'a>(
        &self,
        target: MatmulTarget<'a>,
        a: StridedMatrix<'_>,
        b: StridedMatrix<'_>,
        threads: MatmulThreads,
    ) -> Result<(), MatmulTarget<'a>> {
        let (m, n, k) = (target.rows, target.columns, a.columns);
        let layout = match b {
            _ if m < LEAST_ROWS || n < LEAST_COLUMNS || k < LEAST_DEPTH => return Err(target),
            _ if a.column_stride != 1 => return Err(target),
            // The crate splits these otherwise.
            _ if m <= 64 && n <= 64 && k > 512 => return Err(target),
            b if b.column_stride == 1 && b.row_stride == n => DenseLayout::ByDepth,
            b if b.row_stride == 1 && b.column_stride == k => DenseLayout::ByOutput,
            _ => return Err(target),
        };
        let [tile_rows, tile_columns] = self.tile;
        let product = DenseProduct {
            rows: a.data,
            row_stride: a.row_stride,
            depth: k,
            weights: b.data,
            layout,
            outputs: n,
            chunk: kernel_params(n, m, k, tile_rows, tile_columns, size_of::<f32>()).kc,
            adding: target.add,
        };
        let out = &mut target.data[..(m - 1) * target.row_stride + n];
        let parts = match threads {
            MatmulThreads::One => 1,
            MatmulThreads::All => match rayon::current_num_threads() {
                1 => 1,
                threads => (m * n * k / TASK).clamp(1, 4 * threads),
            },
        };
        let mut parts = product.split(out, target.row_stride, parts);
        match parts.len() {
            1 => parts
                .drain(..)
                .for_each(|part| product.compute(&self.cpu, part)),
            _ => parts
                .into_par_iter()
                .for_each(|part| product.compute(&self.cpu, part)),
        }
        Ok(())
    }
}

/// The tile of the crate's kernels on this CPU, if they multiply and add with one rounding.
#[cfg(target_arch = "x86_64")]
fn crate_tile() -> Option<[usize; 2]> {
    if is_x86_feature_detected!("avx512f") {
        Some([64, 6])
    } else {
        is_x86_feature_detected!("fma").then_some([16, 6])
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn crate_tile() -> Option<[usize; 2]> {
    None
}

fn multiply_by_crate(
    target: MatmulTarget<'_>,
    scale: f32,
    a: StridedMatrix<'_>,
    b: StridedMatrix<'_>,
    threads: MatmulThreads,
) {
    let (m, n, k) = (target.rows, target.columns, a.columns);
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
