//! LoRA branches (arXiv:2106.09685) of rows that belong to different adapters.

use std::ops::Range;

use half::bf16;

use crate::{
    ColumnsRef, Cpu, KernelError,
    lanes::{LANES, Lanes, ScalarLanes},
};

/// The greatest rank.
const MAX_RANK: usize = 256;

/// How factors are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FactorPrecision {
    F32,
    /// Rounded to nearest even.
    Bf16,
}

/// The factors of one module of one adapter.
#[derive(Debug)]
pub struct LoraBranch {
    rank: usize,
    inputs: usize,
    outputs: usize,
    scale: f32,
    factors: Factors,
}

#[derive(Debug)]
enum Factors {
    F32(FactorPair<f32>),
    Bf16(FactorPair<bf16>),
}

#[derive(Debug)]
struct FactorPair<T> {
    /// A, [rank, inputs].
    down: Vec<T>,
    /// Bᵀ, [rank, outputs].
    up: Vec<T>,
}

impl<T> FactorPair<T> {
    fn new(rank: usize, a: &[f32], b: &[f32], round: fn(f32) -> T) -> Self {
        let outputs = b.len() / rank;
        let up = (0..rank * outputs).map(|it| b[it % outputs * rank + it / outputs]);
        Self {
            down: a.iter().copied().map(round).collect(),
            up: up.map(round).collect(),
        }
    }
}

/// The sizes of a branch, and its scale, alpha / rank for plain LoRA.
#[derive(Clone, Copy, Debug)]
pub struct BranchShape {
    pub rank: usize,
    pub inputs: usize,
    pub outputs: usize,
    pub scale: f32,
}

impl LoraBranch {
    /// Packs PEFT's factors A, [rank, inputs], and B, [outputs, rank].
    ///
    /// # Errors
    /// A rank of 0 or above 256, and factors of other sizes.
    pub fn new(
        shape: BranchShape,
        a: &[f32],
        b: &[f32],
        precision: FactorPrecision,
    ) -> Result<Self, KernelError> {
        let BranchShape {
            rank,
            inputs,
            outputs,
            scale,
        } = shape;
        if rank == 0 || rank > MAX_RANK {
            return Err(KernelError::Rank { found: rank });
        }
        for (name, expected, found) in [
            ("A", rank * inputs, a.len()),
            ("B", rank * outputs, b.len()),
        ] {
            if expected != found {
                return Err(KernelError::FactorLength {
                    name,
                    expected,
                    found,
                });
            }
        }
        let factors = match precision {
            FactorPrecision::F32 => Factors::F32(FactorPair::new(rank, a, b, |it| it)),
            FactorPrecision::Bf16 => Factors::Bf16(FactorPair::new(rank, a, b, bf16::from_f32)),
        };
        Ok(Self {
            rank,
            inputs,
            outputs,
            scale,
            factors,
        })
    }

    /// Memory that the packed factors take.
    pub fn bytes(&self) -> usize {
        match &self.factors {
            Factors::F32(pair) => size_of_val(&*pair.down) + size_of_val(&*pair.up),
            Factors::Bf16(pair) => size_of_val(&*pair.down) + size_of_val(&*pair.up),
        }
    }
}

/// Rows of a batch to which a branch is added.
#[derive(Clone, Debug)]
pub struct LoraRows<'a> {
    pub rows: Range<usize>,
    pub branch: &'a LoraBranch,
    /// First output column, for modules that share a matrix.
    pub column: usize,
}

/// Adds `scale × (x Aᵀ) Bᵀ` to `out`, [rows, stride], for each entry's rows.
///
/// `x Aᵀ` is a dot product in 32 lanes (column modulo 32) and a tree, as in `rms_norm`. Each output
/// is the chain `s = fma(b, t, s)` over the rank from zero, then `out = fma(s, scale, out)`.
///
/// # Panics
/// If rows or columns are beyond the buffers.
pub fn add_lora(
    cpu: &Cpu,
    entries: &[LoraRows<'_>],
    x: ColumnsRef<'_>,
    out: &mut [f32],
    stride: usize,
) {
    let _ = cpu;
    for (row, out) in out.chunks_mut(stride).enumerate() {
        for entry in entries.iter().filter(|it| it.rows.contains(&row)) {
            let branch = entry.branch;
            let x = x.row(row, branch.inputs);
            let out = &mut out[entry.column..][..branch.outputs];
            match &branch.factors {
                Factors::F32(pair) => add_row::<ScalarLanes, _>(branch, pair, |it| it, x, out),
                Factors::Bf16(pair) => {
                    add_row::<ScalarLanes, _>(branch, pair, bf16::to_f32, x, out)
                }
            }
        }
    }
}

fn add_row<L: Lanes, T: Copy>(
    branch: &LoraBranch,
    pair: &FactorPair<T>,
    widen: fn(T) -> f32,
    x: &[f32],
    out: &mut [f32],
) {
    let mut inner = [0.0; MAX_RANK];
    for (inner, a) in inner.iter_mut().zip(pair.down.chunks(branch.inputs)) {
        let mut sums = [L::zero(); 2];
        for (index, (a, x)) in a.chunks(LANES).zip(x.chunks(LANES)).enumerate() {
            let mut wide = [0.0; LANES];
            for (wide, a) in wide.iter_mut().zip(a) {
                *wide = widen(*a);
            }
            sums[index % 2] = L::load(&wide).mul_add(L::load_part(x, 0.0), sums[index % 2]);
        }
        *inner = sums[0].add(sums[1]).sum();
    }
    for (output, out) in out.iter_mut().enumerate() {
        let rows = pair.up.chunks(branch.outputs).zip(&inner);
        let sum = rows.fold(0.0, |sum, (b, inner)| widen(b[output]).mul_add(*inner, sum));
        *out = f32::mul_add(sum, branch.scale, *out);
    }
}
