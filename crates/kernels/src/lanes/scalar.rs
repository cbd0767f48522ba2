//! The lanes as an array: what defines the arithmetic, and what runs where no vector path does.

use std::array::from_fn;

use half::{bf16, f16};

use super::{LANES, Lanes, NibbleQuads, WeightQuads};

#[derive(Clone, Copy)]
pub(crate) struct ScalarLanes([f32; LANES]);

impl ScalarLanes {
    #[inline(always)]
    fn zip(self, other: Self, op: impl Fn(f32, f32) -> f32) -> Self {
        Self(from_fn(|lane| op(self.0[lane], other.0[lane])))
    }
}

impl Lanes for ScalarLanes {
    const WIDE: bool = false;
    type Sums = [i32; LANES];
    type Weights = WeightQuads;
    type Nibbles = [WeightQuads; 2];
    type NibbleSums = [i32; LANES];

    #[inline(always)]
    fn splat(value: f32) -> Self {
        Self([value; LANES])
    }

    #[inline(always)]
    fn load(from: &[f32; LANES]) -> Self {
        Self(*from)
    }

    #[inline(always)]
    fn store(self, to: &mut [f32; LANES]) {
        *to = self.0;
    }

    #[inline(always)]
    fn load_f16(from: &[f16; LANES]) -> Self {
        Self(from.map(f16::to_f32))
    }

    #[inline(always)]
    fn load_bf16(from: &[bf16; LANES]) -> Self {
        Self(from.map(bf16::to_f32))
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }

    #[inline(always)]
    fn div(self, other: Self) -> Self {
        self.zip(other, |a, b| a / b)
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        self.zip(other, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        self.zip(other, |a, b| if a < b { a } else { b })
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        Self(from_fn(|lane| {
            self.0[lane].mul_add(factor.0[lane], addend.0[lane])
        }))
    }

    #[inline(always)]
    fn power_of_two(self) -> Self {
        let scale = |value: f32| (value.to_bits() << 23).wrapping_add(1.0_f32.to_bits());
        Self(self.0.map(|value| f32::from_bits(scale(value))))
    }

    #[inline(always)]
    fn zero_below(self, key: Self, limit: Self) -> Self {
        let keep = |lane: usize| match key.0[lane] < limit.0[lane] {
            true => 0.0,
            false => self.0[lane],
        };
        Self(from_fn(keep))
    }

    #[inline(always)]
    fn prefetch(_place: *const u8) {}

    #[inline(always)]
    fn prefetch_far(_place: *const u8) {}

    #[inline(always)]
    fn sums(_total: i32) -> Self::Sums {
        [0; LANES]
    }

    #[inline(always)]
    fn weights(quads: &WeightQuads) -> Self::Weights {
        *quads
    }

    #[inline(always)]
    fn add_products(mut sums: Self::Sums, weights: Self::Weights, quad: i32) -> Self::Sums {
        let quad = quad.to_le_bytes().map(|it| i32::from(it.cast_signed()));
        for (sum, weights) in sums.iter_mut().zip(weights.as_chunks::<4>().0) {
            for (weight, value) in weights.iter().zip(quad) {
                *sum += i32::from(*weight) * value;
            }
        }
        sums
    }

    #[inline(always)]
    fn finish(sums: Self::Sums) -> Self {
        Self(sums.map(|sum| sum as f32))
    }

    #[inline(always)]
    fn nibble_sums(_total: i32) -> Self::NibbleSums {
        [0; LANES]
    }

    #[inline(always)]
    fn nibbles(quads: &NibbleQuads) -> Self::Nibbles {
        [
            quads.map(|it| (it & 15).cast_signed() - 8),
            quads.map(|it| (it >> 4).cast_signed() - 8),
        ]
    }

    #[inline(always)]
    fn add_nibbles(
        sums: Self::NibbleSums,
        nibbles: Self::Nibbles,
        quads: [i32; 2],
    ) -> Self::NibbleSums {
        let sums = Self::add_products(sums, nibbles[0], quads[0]);
        Self::add_products(sums, nibbles[1], quads[1])
    }

    #[inline(always)]
    fn finish_nibbles(sums: Self::NibbleSums, _total: i32) -> Self {
        Self::finish(sums)
    }
}
