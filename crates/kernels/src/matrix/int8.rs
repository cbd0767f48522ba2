//! The blocks of int8 weights.

use super::{
    PANEL,
    grouped::{GroupBlock, GroupedMatrix, extreme},
};
use crate::{GROUP, lanes::WeightQuads};

/// Weights in int8. The scale is the group's greatest magnitude over 127. `from_gguf` takes Q8_0.
pub type Int8Matrix = GroupedMatrix<Int8Block>;

/// `quads[q][output × 4 + i]` is column `4 q + i` of the group.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Int8Block {
    pub(crate) quads: [WeightQuads; GROUP / 4],
}

impl GroupBlock for Int8Block {
    const ZERO: Self = Self {
        quads: [[0; 4 * PANEL]; GROUP / 4],
    };
    const GGUF_BYTES: usize = 2 + GROUP;

    fn scale_of(weights: &[f32]) -> f32 {
        extreme(weights).abs() / 127.0
    }

    fn round(steps: f32) -> i8 {
        steps.round_ties_even().clamp(-127.0, 127.0) as i8
    }

    fn unpack(bytes: &[u8]) -> [i8; GROUP] {
        let mut values = [0; GROUP];
        for (value, byte) in values.iter_mut().zip(bytes) {
            *value = byte.cast_signed();
        }
        values
    }

    fn values(&self, output: usize) -> [i8; GROUP] {
        let mut values = [0; GROUP];
        for (four, quads) in values.chunks_exact_mut(4).zip(&self.quads) {
            four.copy_from_slice(&quads[output * 4..][..4]);
        }
        values
    }

    fn set(&mut self, output: usize, column: usize, value: i8) {
        self.quads[column / 4][output * 4 + column % 4] = value;
    }
}
