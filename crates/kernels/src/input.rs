//! The left operand of a matrix product, in the form that the matrix asks for.

use crate::{Cpu, GROUP, WeightFormat};

/// Rows of activations, kept as f32 or quantised to int8. Its buffers are reused by the next `fill`.
///
/// Quantisation works per row and group of 32 columns (the last group padded with zeros): with `m`
/// the greatest magnitude of the group, the scale is `m / 127` and each value becomes
/// `x × (127 / m)`, rounded to nearest even. A group below 1e-30 becomes zeros with scale 0; a group
/// with a value that is not finite becomes zeros with scale NaN, so that the damage shows.
#[derive(Debug, Default)]
pub struct MatmulInput {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) quantised: bool,
    /// [rows, columns], unless quantised.
    pub(crate) floats: Vec<f32>,
    /// [rows, groups], if quantised.
    pub(crate) groups: Vec<InputGroup>,
}

/// Thirty-two quantised activations of a row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InputGroup {
    /// Four int8 values each, the first one in the lowest byte.
    pub quads: [i32; GROUP / 4],
    pub scale: f32,
    /// Sum of the values.
    pub total: i32,
}

const EMPTY: InputGroup = InputGroup {
    quads: [0; GROUP / 4],
    scale: 0.0,
    total: 0,
};

/// A group whose greatest magnitude is below counts as zero: 127 / m must stay finite.
const SMALLEST: f32 = 1e-30;

impl MatmulInput {
    /// Takes over `x`, [rows, columns], for matrices of `format`.
    ///
    /// # Panics
    /// If `x` is not whole rows of `columns` values.
    pub fn fill(&mut self, cpu: &Cpu, format: WeightFormat, x: &[f32], columns: usize) {
        assert!(
            columns > 0 && x.len().is_multiple_of(columns),
            "{} values are not rows of {columns}",
            x.len()
        );
        let _ = cpu;
        self.rows = x.len() / columns;
        self.columns = columns;
        self.quantised = format != WeightFormat::F32;
        if !self.quantised {
            self.floats.clear();
            self.floats.extend_from_slice(x);
            return;
        }
        let groups = columns.div_ceil(GROUP);
        self.groups.resize(self.rows * groups, EMPTY);
        let rows = self.groups.chunks_mut(groups).zip(x.chunks(columns));
        for (groups, x) in rows {
            for (group, x) in groups.iter_mut().zip(x.chunks(GROUP)) {
                *group = quantise_group(x);
            }
        }
    }

    /// Rows held.
    pub fn rows(&self) -> usize {
        self.rows
    }
}

fn quantise_group(x: &[f32]) -> InputGroup {
    let magnitude = |x: &f32| x.to_bits() & 0x7fff_ffff;
    let greatest = f32::from_bits(x.iter().map(magnitude).max().unwrap_or(0));
    if !greatest.is_finite() {
        return InputGroup {
            scale: f32::NAN,
            ..EMPTY
        };
    }
    if greatest < SMALLEST {
        return EMPTY;
    }
    let inverse = 127.0 / greatest;
    let mut values = [0_i8; GROUP];
    for (value, x) in values.iter_mut().zip(x) {
        *value = (x * inverse).round_ties_even() as i8;
    }
    let mut group = InputGroup {
        scale: greatest / 127.0,
        total: values.iter().copied().map(i32::from).sum(),
        ..EMPTY
    };
    let quads = values.as_chunks::<4>().0;
    for (quad, values) in group.quads.iter_mut().zip(quads) {
        *quad = i32::from_le_bytes(values.map(i8::cast_unsigned));
    }
    group
}
