//! The lanes as an array: what defines the arithmetic, and what runs where no vector path does.

use std::array::from_fn;

use half::{bf16, f16};

use super::{LANES, Lanes};

#[derive(Clone, Copy)]
pub(crate) struct ScalarLanes([f32; LANES]);

impl ScalarLanes {
    fn zip(self, other: Self, op: impl Fn(f32, f32) -> f32) -> Self {
        Self(from_fn(|lane| op(self.0[lane], other.0[lane])))
    }
}

impl Lanes for ScalarLanes {
    fn splat(value: f32) -> Self {
        Self([value; LANES])
    }

    fn load(from: &[f32; LANES]) -> Self {
        Self(*from)
    }

    fn store(self, to: &mut [f32; LANES]) {
        *to = self.0;
    }

    fn load_f16(from: &[f16; LANES]) -> Self {
        Self(from.map(f16::to_f32))
    }

    fn load_bf16(from: &[bf16; LANES]) -> Self {
        Self(from.map(bf16::to_f32))
    }

    fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }

    fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }

    fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }

    fn div(self, other: Self) -> Self {
        self.zip(other, |a, b| a / b)
    }

    fn max(self, other: Self) -> Self {
        self.zip(other, |a, b| if a > b { a } else { b })
    }

    fn min(self, other: Self) -> Self {
        self.zip(other, |a, b| if a < b { a } else { b })
    }

    fn mul_add(self, factor: Self, addend: Self) -> Self {
        Self(from_fn(|lane| {
            self.0[lane].mul_add(factor.0[lane], addend.0[lane])
        }))
    }

    fn power_of_two(self) -> Self {
        let scale = |value: f32| (value.to_bits() << 23).wrapping_add(1.0_f32.to_bits());
        Self(self.0.map(|value| f32::from_bits(scale(value))))
    }

    fn zero_below(self, key: Self, limit: Self) -> Self {
        let keep = |lane: usize| match key.0[lane] < limit.0[lane] {
            true => 0.0,
            false => self.0[lane],
        };
        Self(from_fn(keep))
    }
}
