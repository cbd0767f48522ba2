//! Fused CPU operations with explicit backward passes, as candle custom ops.
//!
//! Every operation works on f32, runs on rayon in blocks of fixed size, so that its bits do not
//! depend on the number of threads, and keeps no more than its inputs for the backward pass.
//! `plain` implements the same mathematics in tensor operations, for devices without these kernels;
//! tests compare the two. This module does not know models or files.

pub mod attention;
pub mod cross_entropy;
pub mod dora;
pub mod embedding;
pub mod linear;
pub mod matmul;
pub mod norm;
pub mod numeric;
pub mod plain;
pub mod residual;
pub mod rope;
pub mod swiglu;
pub mod weight;

use std::sync::RwLockReadGuard;

use candle_core::{CpuStorage, Device, Layout, Result, Shape, Storage, Tensor};
use rayon::prelude::*;

/// Rows per task: enough work to justify a task, and never a function of the number of threads.
const BLOCK_ROWS: usize = 32;

/// The f32 values behind an argument of a forward pass.
fn values<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&storage.as_slice::<f32>()?[start..end]),
        None => candle_core::bail!("a fused kernel needs contiguous values"),
    }
}

/// The f32 values of a tensor, locked for reading.
pub struct TensorRead<'a> {
    storage: RwLockReadGuard<'a, Storage>,
    layout: &'a Layout,
}

impl<'a> TensorRead<'a> {
    pub fn new(tensor: &'a Tensor) -> Self {
        let (storage, layout) = tensor.storage_and_layout();
        Self { storage, layout }
    }

    /// The values, row by row.
    pub fn values(&self) -> Result<&[f32]> {
        match &*self.storage {
            Storage::Cpu(storage) => values(storage, self.layout),
            _ => candle_core::bail!("a fused kernel needs values in main memory"),
        }
    }
}

/// A new CPU tensor.
fn tensor(data: Vec<f32>, shape: impl Into<Shape>) -> Result<Tensor> {
    Tensor::from_vec(data, shape.into(), &Device::Cpu)
}

/// The result of a forward pass.
fn output(data: Vec<f32>, shape: impl Into<Shape>) -> Result<(CpuStorage, Shape)> {
    Ok((CpuStorage::F32(data), shape.into()))
}

/// Rows and width of a matrix-shaped argument; leading dimensions count as rows.
fn matrix(shape: &Shape) -> (usize, usize) {
    let width = shape.dims().last().copied().unwrap_or(1);
    (shape.elem_count().checked_div(width).unwrap_or(0), width)
}

/// Runs `work(first_row, rows)` over blocks of rows in parallel.
fn for_row_blocks(out: &mut [f32], width: usize, work: impl Fn(usize, &mut [f32]) + Sync + Send) {
    if width == 0 {
        return;
    }
    out.par_chunks_mut(width * BLOCK_ROWS)
        .enumerate()
        .for_each(|(block, rows)| work(block * BLOCK_ROWS, rows));
}
