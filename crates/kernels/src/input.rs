//! The left operand of a matrix product, in the form that the matrix asks for.

use crate::{
    Cpu, GROUP, WeightFormat,
    exp::MAGIC,
    lanes::{LaneKernel, Lanes},
};

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
    /// `[rows, columns]`, unless quantised.
    pub(crate) floats: Vec<f32>,
    /// `[rows, groups]`, if quantised.
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
    /// Takes over `x`, `[rows, columns]`, for matrices of `format`.
    ///
    /// # Panics
    /// If `x` is not whole rows of `columns` values.
    pub fn fill(&mut self, cpu: &Cpu, format: WeightFormat, x: &[f32], columns: usize) {
        assert!(
            columns > 0 && x.len().is_multiple_of(columns),
            "{} values are not rows of {columns}",
            x.len()
        );
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
        cpu.for_row_blocks(&mut self.groups, groups, columns, |first, rows| {
            let x = &x[first * columns..][..rows.len() / groups * columns];
            cpu.run(Quantisation { x, columns, rows });
        });
    }

    /// Rows held.
    pub fn rows(&self) -> usize {
        self.rows
    }
}

struct Quantisation<'a> {
    /// `[rows, columns]`.
    x: &'a [f32],
    columns: usize,
    /// `[rows, groups]`.
    rows: &'a mut [InputGroup],
}

impl LaneKernel for Quantisation<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let groups = self.rows.chunks_mut(self.columns.div_ceil(GROUP));
        for (groups, x) in groups.zip(self.x.chunks(self.columns)) {
            let (whole, rest) = x.as_chunks();
            for (group, x) in groups.iter_mut().zip(whole) {
                *group = quantise_group(x);
            }
            if let Some(group) = groups.get_mut(whole.len()) {
                let mut padded = [0.0; GROUP];
                padded[..rest.len()].copy_from_slice(rest);
                *group = quantise_group(&padded);
            }
        }
    }
}

#[inline(always)]
fn quantise_group(x: &[f32; GROUP]) -> InputGroup {
    let mut greatest = 0;
    for x in x {
        // Magnitudes compare like the integers of their bits.
        greatest = greatest.max(x.to_bits() & 0x7fff_ffff);
    }
    let greatest = f32::from_bits(greatest);
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
    let mut bytes = [0_u8; GROUP];
    for (byte, x) in bytes.iter_mut().zip(x) {
        // The sum's lowest bits are the nearest whole number, ties to even.
        *byte = (x * inverse + MAGIC).to_bits() as u8;
    }
    let mut group = InputGroup {
        scale: greatest / 127.0,
        ..EMPTY
    };
    for byte in bytes {
        group.total = group.total.wrapping_add(i32::from(byte.cast_signed()));
    }
    for (quad, bytes) in group.quads.iter_mut().zip(bytes.as_chunks().0) {
        *quad = i32::from_le_bytes(*bytes);
    }
    group
}
