//! The blocks of 4-bit weights.

use super::{
    PANEL,
    grouped::{GroupBlock, GroupedMatrix, extreme},
};
use crate::{GROUP, lanes::NibbleQuads};

/// Weights of −8 to 7. The scale is the group's weight of greatest magnitude over −8. `from_gguf`
/// takes Q4_0.
pub type Int4Matrix = GroupedMatrix<Int4Block>;

/// The low half of `quads[q][output × 4 + i]` is column `4 q + i` of the group, the high half column
/// `16 + 4 q + i`, each as the value plus 8.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Int4Block {
    pub(crate) quads: [NibbleQuads; GROUP / 8],
}

/// The byte of a column, and whether it is its high half.
fn place(output: usize, column: usize) -> (usize, usize, bool) {
    let pair = column % (GROUP / 2);
    (pair / 4, output * 4 + pair % 4, column != pair)
}

impl GroupBlock for Int4Block {
    const ZERO: Self = Self {
        quads: [[0x88; 4 * PANEL]; GROUP / 8],
    };
    const GGUF_BYTES: usize = 2 + GROUP / 2;

    fn scale_of(weights: &[f32]) -> f32 {
        extreme(weights) / -8.0
    }

    fn round(steps: f32) -> i8 {
        steps.round_ties_even().clamp(-8.0, 7.0) as i8
    }

    fn unpack(bytes: &[u8]) -> [i8; GROUP] {
        let mut values = [0; GROUP];
        let (low, high) = values.split_at_mut(GROUP / 2);
        for ((low, high), byte) in low.iter_mut().zip(high).zip(bytes) {
            *low = (byte & 15).cast_signed() - 8;
            *high = (byte >> 4).cast_signed() - 8;
        }
        values
    }

    fn values(&self, output: usize) -> [i8; GROUP] {
        let mut bytes = [0; GROUP / 2];
        for (four, quads) in bytes.chunks_exact_mut(4).zip(&self.quads) {
            four.copy_from_slice(&quads[output * 4..][..4]);
        }
        Self::unpack(&bytes)
    }

    fn set(&mut self, output: usize, column: usize, value: i8) {
        let (quad, index, high) = place(output, column);
        let nibble = (value + 8).cast_unsigned();
        let byte = &mut self.quads[quad][index];
        *byte = match high {
            true => *byte & 15 | nibble << 4,
            false => *byte & 0xf0 | nibble,
        };
    }
}
