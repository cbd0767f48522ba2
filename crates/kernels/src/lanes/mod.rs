//! Sixteen lanes: the unit in which every kernel is written.
//!
//! A kernel is generic over [`Lanes`]; each `CpuPath` implements the same sixteen lanes with its own
//! registers. No operation here rounds differently between implementations, and sums of integers are
//! exact, so a kernel gives the same bits on all of them.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
mod scalar;

use half::{bf16, f16};

#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::{run_avx_vnni, run_avx2};
#[cfg(target_arch = "x86_64")]
pub(crate) use avx512::run_avx512;
#[cfg(target_arch = "aarch64")]
pub(crate) use neon::run_neon;
pub(crate) use scalar::ScalarLanes;

pub(crate) const LANES: usize = 16;

/// Four int8 weights of each of the sixteen outputs of a panel.
pub(crate) type WeightQuads = [i8; 4 * LANES];

/// Eight 4-bit weights of each of the sixteen outputs, in two sets of four: the low and the high
/// halves of the bytes, each value plus 8.
pub(crate) type NibbleQuads = [u8; 4 * LANES];

/// Operations on f32 round once, to nearest even. `max` and `min` return the second operand unless
/// the first is greater (less), which decides NaN and signed zeros.
pub(crate) trait Lanes: Copy {
    /// Whether the registers hold a tile of 6 × 2 vectors of sixteen lanes.
    const WIDE: bool;
    /// Sums of int8 products, one in each lane.
    type Sums: Copy;
    /// Int8 weights, ready for `add_products`.
    type Weights: Copy;
    /// 4-bit weights, ready for `add_nibbles`.
    type Nibbles: Copy;
    /// Sums of products with 4-bit weights over at most one group.
    type NibbleSums: Copy;

    fn splat(value: f32) -> Self;
    fn load(from: &[f32; LANES]) -> Self;
    fn store(self, to: &mut [f32; LANES]);
    fn load_f16(from: &[f16; LANES]) -> Self;
    fn load_bf16(from: &[bf16; LANES]) -> Self;
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    fn div(self, other: Self) -> Self;
    fn max(self, other: Self) -> Self;
    fn min(self, other: Self) -> Self;
    /// `self × factor + addend`, rounded once.
    fn mul_add(self, factor: Self, addend: Self) -> Self;
    /// The float whose bits are `(bits(self) << 23) + bits(1.0)`, modulo 2³².
    fn power_of_two(self) -> Self;
    /// `self`, or zero in lanes where `key < limit`.
    fn zero_below(self, key: Self, limit: Self) -> Self;

    /// Sixteen rows as sixteen columns.
    #[inline(always)]
    fn transpose(rows: [Self; LANES]) -> [Self; LANES] {
        let mut from = [[0.0; LANES]; LANES];
        for row in 0..LANES {
            rows[row].store(&mut from[row]);
        }
        let mut columns = rows;
        for column in 0..LANES {
            let mut lanes = [0.0; LANES];
            for row in 0..LANES {
                lanes[row] = from[row][column];
            }
            columns[column] = Self::load(&lanes);
        }
        columns
    }

    /// Asks for the cache line of any address.
    fn prefetch(place: *const u8);
    /// The same, for a use that is many lines away: it leaves the first-level cache alone.
    fn prefetch_far(place: *const u8);

    /// Sums of one group, before any product; `total` is the sum of the group's activations.
    fn sums(total: i32) -> Self::Sums;
    fn weights(quads: &WeightQuads) -> Self::Weights;
    /// Adds the products of four weights per lane with the four int8 activations of `quad`, the
    /// lowest byte first.
    fn add_products(sums: Self::Sums, weights: Self::Weights, quad: i32) -> Self::Sums;
    /// The finished sums of one group; exact below 2²⁴.
    fn finish(sums: Self::Sums) -> Self;

    /// As `sums`, for 4-bit weights.
    fn nibble_sums(total: i32) -> Self::NibbleSums;
    fn nibbles(quads: &NibbleQuads) -> Self::Nibbles;
    /// The products of eight weights per lane with two quads, that of the low halves first.
    fn add_nibbles(
        sums: Self::NibbleSums,
        nibbles: Self::Nibbles,
        quads: [i32; 2],
    ) -> Self::NibbleSums;
    /// As `finish`, for 4-bit weights; `total` as in `nibble_sums`.
    fn finish_nibbles(sums: Self::NibbleSums, total: i32) -> Self;

    #[inline(always)]
    fn zero() -> Self {
        Self::splat(0.0)
    }

    /// The sum as a tree: lane l and l + 8, then l + 4, l + 2, l + 1.
    #[inline(always)]
    fn sum(self) -> f32 {
        let mut lanes = [0.0; LANES];
        self.store(&mut lanes);
        let mut half = LANES / 2;
        while half > 0 {
            for lane in 0..half {
                lanes[lane] += lanes[lane + half];
            }
            half /= 2;
        }
        lanes[0]
    }

    /// The greatest lane, by `max` in the order of `sum`.
    #[inline(always)]
    fn greatest(self) -> f32 {
        let mut lanes = [0.0; LANES];
        self.store(&mut lanes);
        let mut half = LANES / 2;
        while half > 0 {
            for lane in 0..half {
                if lanes[lane + half] > lanes[lane] {
                    lanes[lane] = lanes[lane + half];
                }
            }
            half /= 2;
        }
        lanes[0]
    }

    /// The first `values.len()` lanes, up to sixteen; the others hold `padding`.
    #[inline(always)]
    fn load_part(values: &[f32], padding: f32) -> Self {
        match values.first_chunk() {
            Some(block) => Self::load(block),
            None => {
                let mut block = [padding; LANES];
                block[..values.len()].copy_from_slice(values);
                Self::load(&block)
            }
        }
    }

    /// Stores the first `to.len()` lanes, up to sixteen.
    #[inline(always)]
    fn store_part(self, to: &mut [f32]) {
        match to.first_chunk_mut() {
            Some(block) => self.store(block),
            None => {
                let mut block = [0.0; LANES];
                self.store(&mut block);
                let filled = to.len();
                to.copy_from_slice(&block[..filled]);
            }
        }
    }
}

/// The address `bytes` behind the beginning of a value, to be prefetched.
#[inline(always)]
pub(crate) fn behind<T>(value: &T, bytes: usize) -> *const u8 {
    std::ptr::from_ref(value).cast::<u8>().wrapping_add(bytes)
}

/// Work that is compiled for every path. `run` must be `inline(always)`, so that it takes over the
/// instructions of the path's entry function.
pub(crate) trait LaneKernel {
    type Output;

    fn run<L: Lanes>(self) -> Self::Output;
}
