//! Frozen weights `[out, in]` in memory: f32, or narrower and expanded to f32 block by block when a
//! product needs them, forward and backward.
//!
//! Int8 and 4-bit weights are those of the native engine (`openlora-kernels`), so that a base can be
//! trained on with the weights that it is later served with.

use std::sync::Arc;

use candle_core::{CpuStorage, DType, Device, Result, Storage, Tensor};
use half::bf16;
use openlora_kernels::WeightMatrix;
use rayon::prelude::*;

/// Narrow weights are expanded in blocks of at most this many values, or of one row.
const EXPANDED: usize = 1 << 20;

/// The frozen weight of a linear layer.
#[derive(Clone, Debug)]
pub enum FrozenWeight {
    /// In f32 or bf16.
    Whole(Tensor),
    /// In int8 or 4 bits.
    Packed(Arc<WeightMatrix>),
}

impl FrozenWeight {
    /// Output and input width.
    pub fn dims(&self) -> Result<(usize, usize)> {
        match self {
            Self::Whole(weight) => weight.dims2(),
            Self::Packed(matrix) => Ok((matrix.outputs(), matrix.columns())),
        }
    }

    /// The same weight where the CPU's kernels can read it.
    pub fn in_main_memory(self) -> Result<Self> {
        match self {
            Self::Whole(weight) => Ok(Self::Whole(weight.to_device(&Device::Cpu)?)),
            packed @ Self::Packed(_) => Ok(packed),
        }
    }

    /// All values in f32, `[out, in]`.
    pub fn expanded(&self) -> Result<Tensor> {
        match self {
            Self::Whole(weight) => weight.to_dtype(DType::F32),
            Self::Packed(matrix) => {
                let (out, width) = self.dims()?;
                let mut values = vec![0f32; out * width];
                expand_rows(matrix, 0, &mut values);
                Tensor::from_vec(values, (out, width), &Device::Cpu)
            }
        }
    }

    /// Calls `work(first_row, rows, values)` over all rows: at once if they are f32, otherwise in
    /// expanded blocks.
    pub(super) fn for_blocks(&self, work: impl FnMut(usize, usize, &[f32])) -> Result<()> {
        match self {
            Self::Whole(weight) => for_weight_blocks(weight, work),
            Self::Packed(matrix) => {
                let expand = |first: usize, block: &mut [f32]| expand_rows(matrix, first, block);
                let (out, width) = self.dims()?;
                for_expanded_blocks(out, width, expand, work);
                Ok(())
            }
        }
    }
}

/// Calls `work(first_row, rows, values)` over a weight in f32 or bf16.
pub(super) fn for_weight_blocks(
    weight: &Tensor,
    mut work: impl FnMut(usize, usize, &[f32]),
) -> Result<()> {
    let (out, width) = weight.dims2()?;
    let (storage, layout) = weight.storage_and_layout();
    let (Storage::Cpu(storage), Some((start, end))) = (&*storage, layout.contiguous_offsets())
    else {
        candle_core::bail!("a frozen weight must lie contiguous in main memory")
    };
    if let CpuStorage::BF16(data) = storage {
        let data = &data[start..end];
        let expand = |first: usize, block: &mut [f32]| {
            widen(&data[first * width..][..block.len()], block);
        };
        for_expanded_blocks(out, width, expand, work);
    } else {
        work(0, out, &storage.as_slice::<f32>()?[start..end]);
    }
    Ok(())
}

/// Calls `work(first_row, rows, values)` over blocks of rows that `expand(first_row, values)` fills.
fn for_expanded_blocks(
    out: usize,
    width: usize,
    expand: impl Fn(usize, &mut [f32]),
    mut work: impl FnMut(usize, usize, &[f32]),
) {
    let rows_at_once = (EXPANDED / width.max(1)).max(1);
    let mut expanded = vec![0f32; rows_at_once.min(out) * width];
    for first in (0..out).step_by(rows_at_once) {
        let rows = rows_at_once.min(out - first);
        let block = &mut expanded[..rows * width];
        expand(first, block);
        work(first, rows, block);
    }
}

/// Writes the rows from `first` on that `block` has room for.
fn expand_rows(matrix: &WeightMatrix, first: usize, block: &mut [f32]) {
    block
        .par_chunks_exact_mut(matrix.columns().max(1))
        .enumerate()
        .for_each(|(row, values)| matrix.read_row(first + row, values));
}

fn widen(narrow: &[bf16], wide: &mut [f32]) {
    const BLOCK: usize = 65_536;
    wide.par_chunks_mut(BLOCK)
        .zip(narrow.par_chunks(BLOCK))
        .for_each(|(wide, narrow)| {
            for (w, n) in wide.iter_mut().zip(narrow) {
                *w = f32::from_bits(u32::from(n.to_bits()) << 16);
            }
        });
}
