//! LoRA branches (arXiv:2106.09685) of rows that belong to different adapters.

#![allow(
    clippy::needless_range_loop,
    reason = "tiles of registers are indexed by row and column"
)]

use std::ops::Range;

use half::bf16;

use crate::{
    ColumnsRef, Cpu, KernelError,
    lanes::{LANES, LaneKernel, Lanes},
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

/// The sizes of a branch, and its scale, alpha / rank for plain LoRA.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BranchShape {
    pub rank: usize,
    pub inputs: usize,
    pub outputs: usize,
    pub scale: f32,
}

/// The factors of one module of one adapter.
#[derive(Debug)]
pub struct LoraBranch {
    shape: BranchShape,
    factors: BranchFactors,
}

#[derive(Debug)]
enum BranchFactors {
    F32(FactorPair<f32>),
    Bf16(FactorPair<bf16>),
}

/// Blocks of sixteen values; the last one of each row is padded with zeros.
#[derive(Debug)]
struct FactorPair<T> {
    /// A, `[rank, blocks of inputs]`, and Bᵀ, `[rank, blocks of outputs]`, in one piece of memory.
    blocks: Vec<[T; LANES]>,
    /// Blocks of A.
    down: usize,
}

impl<T: Copy> FactorPair<T> {
    fn new(
        shape: BranchShape,
        a: &[f32],
        b: &[f32],
        round: impl Fn(&[f32; LANES]) -> [T; LANES],
    ) -> Self {
        let BranchShape {
            rank,
            inputs,
            outputs,
            ..
        } = shape;
        let blocks = rank * (inputs.div_ceil(LANES) + outputs.div_ceil(LANES));
        let mut blocks = Vec::with_capacity(blocks);
        for part in a.chunks(inputs.max(1)).flat_map(|row| row.chunks(LANES)) {
            let mut values = [0.0; LANES];
            values[..part.len()].copy_from_slice(part);
            blocks.push(round(&values));
        }
        // B is read a block of outputs at a time; strides through all of it would miss the cache at
        // every value.
        let (down, width) = (blocks.len(), outputs.div_ceil(LANES));
        blocks.resize(down + rank * width, round(&[0.0; LANES]));
        for (block, rows) in b.chunks(LANES * rank).enumerate() {
            for index in 0..rank {
                let mut values = [0.0; LANES];
                for (value, row) in values.iter_mut().zip(rows.chunks_exact(rank)) {
                    *value = row[index];
                }
                blocks[down + index * width + block] = round(&values);
            }
        }
        Self { blocks, down }
    }

    fn bytes(&self) -> usize {
        size_of_val(&*self.blocks)
    }

    fn upcoming(&self) -> Upcoming {
        Upcoming {
            start: self.blocks.as_ptr().cast(),
            bytes: self.bytes(),
            asked: 0,
        }
    }
}

/// As `bf16::from_f32` for each value, without branches, so that the compiler does all at once.
fn round_block(values: &[f32; LANES]) -> [bf16; LANES] {
    values.map(|value| {
        let bits = value.to_bits();
        let nearest = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
        // A quiet NaN stays one.
        let nan = bits >> 16 | 0x40;
        let is_nan = bits & 0x7fff_ffff > 0x7f80_0000;
        bf16::from_bits(if is_nan { nan } else { nearest } as u16)
    })
}

/// Factors that are needed next: asked for a few cache lines at a time, between other work. They come
/// from all over the memory, so that the CPU does not foresee them.
struct Upcoming {
    start: *const u8,
    bytes: usize,
    asked: usize,
}

/// As much as the first-level cache holds beside the present factors.
const MOST_PREFETCHED: usize = 24 << 10;
const CACHE_LINE: usize = 64;

impl Upcoming {
    #[inline(always)]
    fn ask<L: Lanes>(&mut self, lines: usize) {
        let end = (self.asked + lines * CACHE_LINE).min(self.bytes);
        while self.asked < end {
            L::prefetch(self.start.wrapping_add(self.asked));
            self.asked += CACHE_LINE;
        }
    }

    fn is_asked(&self) -> bool {
        self.asked >= self.bytes
    }
}

/// Factors of later products, asked for between the steps of an earlier one: with many adapters they
/// come from memory, and while a matrix product computes, memory has little to do.
pub(crate) struct FactorLookahead<'a> {
    branches: std::slice::Iter<'a, &'a LoraBranch>,
    present: Upcoming,
    /// Cache lines per step.
    lines: usize,
}

impl<'a> FactorLookahead<'a> {
    /// Spreads `branches` over a product of so many steps.
    pub(crate) fn new(branches: &'a [&'a LoraBranch], steps: usize) -> Self {
        let bytes: usize = branches.iter().map(|it| it.bytes()).sum();
        Self {
            branches: branches.iter(),
            present: Upcoming {
                start: std::ptr::null(),
                bytes: 0,
                asked: 0,
            },
            lines: bytes.div_ceil(CACHE_LINE).div_ceil(steps.max(1)),
        }
    }

    #[inline(always)]
    pub(crate) fn step<L: Lanes>(&mut self) {
        for _ in 0..self.lines {
            if self.present.is_asked() {
                let Some(next) = self.branches.next() else {
                    self.lines = 0;
                    return;
                };
                self.present = next.upcoming();
            }
            L::prefetch_far(self.present.start.wrapping_add(self.present.asked));
            self.present.asked += CACHE_LINE;
        }
    }
}

impl LoraBranch {
    /// Packs PEFT's factors A, `[rank, inputs]`, and B, `[outputs, rank]`.
    ///
    /// # Errors
    /// A rank of 0 or above 256, and factors of other sizes.
    pub fn new(
        shape: BranchShape,
        a: &[f32],
        b: &[f32],
        precision: FactorPrecision,
    ) -> Result<Self, KernelError> {
        let rank = shape.rank;
        if rank == 0 || rank > MAX_RANK {
            return Err(KernelError::Rank { found: rank });
        }
        check_length("A", rank * shape.inputs, a)?;
        check_length("B", rank * shape.outputs, b)?;
        let factors = match precision {
            FactorPrecision::F32 => BranchFactors::F32(FactorPair::new(shape, a, b, |it| *it)),
            FactorPrecision::Bf16 => BranchFactors::Bf16(FactorPair::new(shape, a, b, round_block)),
        };
        Ok(Self { shape, factors })
    }

    pub fn shape(&self) -> BranchShape {
        self.shape
    }

    /// Memory that the packed factors take.
    pub fn bytes(&self) -> usize {
        match &self.factors {
            BranchFactors::F32(pair) => pair.bytes(),
            BranchFactors::Bf16(pair) => pair.bytes(),
        }
    }

    fn upcoming(&self) -> Upcoming {
        match &self.factors {
            BranchFactors::F32(pair) => pair.upcoming(),
            BranchFactors::Bf16(pair) => pair.upcoming(),
        }
    }
}

fn check_length(name: &'static str, expected: usize, values: &[f32]) -> Result<(), KernelError> {
    match values.len() == expected {
        true => Ok(()),
        false => Err(KernelError::FactorLength {
            name,
            expected,
            found: values.len(),
        }),
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

/// Adds `scale × (x Aᵀ) Bᵀ` to `out`, `[rows, stride]`, for each entry's rows, in the order of
/// entries.
///
/// `x Aᵀ` is a dot product by fused multiply-add in 32 lanes (column modulo 32) and the tree of
/// [`rms_norm`](crate::rms_norm). Each output is the chain `s = fma(b, t, s)` over the rank from
/// zero, then `out = fma(s, scale, out)`.
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
    let cost = |entry: &LoraRows<'_>| {
        let shape = entry.branch.shape;
        entry.rows.len() * shape.rank * (shape.inputs + shape.outputs)
    };
    let rows = out.len().checked_div(stride).unwrap_or(0).max(1);
    let cost = entries.iter().map(cost).sum::<usize>() / rows;
    cpu.for_row_blocks(out, stride, cost, |first, out| {
        let rows = first..first + out.len() / stride;
        for (index, entry) in entries.iter().enumerate() {
            let (start, end) = (
                entry.rows.start.max(rows.start),
                entry.rows.end.min(rows.end),
            );
            if start < end {
                let sum = BranchSum {
                    branch: entry.branch,
                    next: entries.get(index + 1).map(|it| it.branch),
                    x: ColumnsRef {
                        data: &x.data[start * x.stride..],
                        ..x
                    },
                    out: &mut out[(start - first) * stride..(end - first) * stride],
                    stride,
                    column: entry.column,
                };
                cpu.run(sum);
            }
        }
    });
}

struct BranchSum<'a> {
    branch: &'a LoraBranch,
    /// What is probably added after it.
    next: Option<&'a LoraBranch>,
    /// Begins with the first row of `out`.
    x: ColumnsRef<'a>,
    /// `[rows, stride]`.
    out: &'a mut [f32],
    stride: usize,
    column: usize,
}

impl LaneKernel for BranchSum<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let next = self.next.unwrap_or(self.branch);
        let mut upcoming = next.upcoming();
        upcoming.bytes = upcoming.bytes.min(MOST_PREFETCHED);
        match &self.branch.factors {
            BranchFactors::F32(pair) => self.add::<L, f32>(pair, upcoming),
            BranchFactors::Bf16(pair) => self.add::<L, bf16>(pair, upcoming),
        }
    }
}

/// A number that factors are kept in.
trait FactorValue: Copy {
    fn load<L: Lanes>(from: &[Self; LANES]) -> L;
}

impl FactorValue for f32 {
    #[inline(always)]
    fn load<L: Lanes>(from: &[Self; LANES]) -> L {
        L::load(from)
    }
}

impl FactorValue for bf16 {
    #[inline(always)]
    fn load<L: Lanes>(from: &[Self; LANES]) -> L {
        L::load_bf16(from)
    }
}

impl BranchSum<'_> {
    #[inline(always)]
    fn add<L: Lanes, T: FactorValue>(self, pair: &FactorPair<T>, mut upcoming: Upcoming) {
        let (down, up) = pair.blocks.split_at(pair.down);
        let shape = self.branch.shape;
        let mut inner = [0.0; MAX_RANK];
        let inner = &mut inner[..shape.rank];
        for (row, out) in self.out.chunks_mut(self.stride).enumerate() {
            let x = self.x.row(row, shape.inputs);
            project_down::<L, T>(down, x, inner, &mut upcoming);
            let out = &mut out[self.column..][..shape.outputs];
            project_up::<L, T>(up, inner, shape.scale, out, &mut upcoming);
        }
    }
}

#[inline(always)]
fn project_down<L: Lanes, T: FactorValue>(
    down: &[[T; LANES]],
    x: &[f32],
    inner: &mut [f32],
    upcoming: &mut Upcoming,
) {
    let blocks = x.len().div_ceil(LANES);
    let mut done = 0;
    while done < inner.len() {
        let rows = match inner.len() - done {
            4.. if L::WIDE => 4,
            2.. => 2,
            _ => 1,
        };
        let part = &down[done * blocks..][..rows * blocks];
        let inner = &mut inner[done..done + rows];
        match rows {
            4 => inner.copy_from_slice(&dot_rows::<L, T, 4>(part, x, upcoming)),
            2 => inner.copy_from_slice(&dot_rows::<L, T, 2>(part, x, upcoming)),
            _ => inner.copy_from_slice(&dot_rows::<L, T, 1>(part, x, upcoming)),
        }
        done += rows;
    }
}

/// Dot products of `x` with `R` rows, side by side in registers.
#[inline(always)]
fn dot_rows<L: Lanes, T: FactorValue, const R: usize>(
    rows: &[[T; LANES]],
    x: &[f32],
    upcoming: &mut Upcoming,
) -> [f32; R] {
    let blocks = x.len().div_ceil(LANES);
    let mut parts: [&[[T; LANES]]; R] = [&[]; R];
    for row in 0..R {
        parts[row] = &rows[row * blocks..][..blocks];
    }
    let mut even = [L::zero(); R];
    let mut odd = [L::zero(); R];
    for (pair, x) in x.chunks(2 * LANES).enumerate() {
        upcoming.ask::<L>(R);
        let (low, high) = x.split_at(x.len().min(LANES));
        let low = L::load_part(low, 0.0);
        for row in 0..R {
            even[row] = T::load::<L>(&parts[row][2 * pair]).mul_add(low, even[row]);
        }
        if !high.is_empty() {
            let high = L::load_part(high, 0.0);
            for row in 0..R {
                odd[row] = T::load::<L>(&parts[row][2 * pair + 1]).mul_add(high, odd[row]);
            }
        }
    }
    let mut sums = [0.0; R];
    for row in 0..R {
        sums[row] = even[row].add(odd[row]).sum();
    }
    sums
}

/// Blocks of outputs whose sums run side by side.
const UP_BLOCKS: usize = 4;

#[inline(always)]
fn project_up<L: Lanes, T: FactorValue>(
    up: &[[T; LANES]],
    inner: &[f32],
    scale: f32,
    out: &mut [f32],
    upcoming: &mut Upcoming,
) {
    let blocks = out.len().div_ceil(LANES);
    for (index, out) in out.chunks_mut(UP_BLOCKS * LANES).enumerate() {
        let first = index * UP_BLOCKS;
        upcoming.ask::<L>(UP_BLOCKS * inner.len());
        if first + UP_BLOCKS <= blocks {
            add_outputs::<L, T, UP_BLOCKS>(&up[first..], blocks, inner, scale, out);
        } else {
            for (block, out) in out.chunks_mut(LANES).enumerate() {
                add_outputs::<L, T, 1>(&up[first + block..], blocks, inner, scale, out);
            }
        }
    }
}

#[inline(always)]
fn add_outputs<L: Lanes, T: FactorValue, const C: usize>(
    up: &[[T; LANES]],
    stride: usize,
    inner: &[f32],
    scale: f32,
    out: &mut [f32],
) {
    let mut sums = [L::zero(); C];
    for (rank, inner) in inner.iter().enumerate() {
        let row = &up[rank * stride..][..C];
        for block in 0..C {
            sums[block] = T::load::<L>(&row[block]).mul_add(L::splat(*inner), sums[block]);
        }
    }
    for (sum, out) in sums.iter().zip(out.chunks_mut(LANES)) {
        let before = L::load_part(out, 0.0);
        sum.mul_add(L::splat(scale), before).store_part(out);
    }
}
