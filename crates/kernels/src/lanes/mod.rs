//! Sixteen f32 lanes: the unit in which every floating-point kernel is written.
//!
//! A kernel is generic over [`Lanes`]; each `CpuPath` implements the same sixteen lanes with its own
//! registers. No operation here rounds differently between implementations, so a kernel gives the
//! same bits on all of them.

mod scalar;

use half::{bf16, f16};

pub(crate) use scalar::ScalarLanes;

pub(crate) const LANES: usize = 16;

/// Operations round once, to nearest even. `max` and `min` return the second operand unless the
/// first is greater (less), which decides NaN and signed zeros.
pub(crate) trait Lanes: Copy {
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

    fn zero() -> Self {
        Self::splat(0.0)
    }

    /// The sum as a tree: lane l and l + 8, then l + 4, l + 2, l + 1.
    fn sum(self) -> f32 {
        self.fold(|a, b| a + b)
    }

    /// The greatest lane.
    fn greatest(self) -> f32 {
        self.fold(|a, b| if a > b { a } else { b })
    }

    fn fold(self, merge: impl Fn(f32, f32) -> f32) -> f32 {
        let mut lanes = [0.0; LANES];
        self.store(&mut lanes);
        let mut half = LANES / 2;
        while half > 0 {
            for lane in 0..half {
                lanes[lane] = merge(lanes[lane], lanes[lane + half]);
            }
            half /= 2;
        }
        lanes[0]
    }
}

/// Values in blocks of sixteen, the last one padded with `padding`.
pub(crate) fn padded<T: Copy>(values: &[T], padding: T) -> [T; LANES] {
    let mut block = [padding; LANES];
    block[..values.len()].copy_from_slice(values);
    block
}
