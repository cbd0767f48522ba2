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
    /// [rows, groups × 32].
    pub(crate) values: Vec<i8>,
    /// [rows, groups].
    pub(crate) scales: Vec<f32>,
    /// Sums of the int8 values, [rows, groups].
    pub(crate) sums: Vec<i32>,
}

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
            "rows of {columns} values"
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
        self.values.resize(self.rows * groups * GROUP, 0);
        self.scales.resize(self.rows * groups, 0.0);
        self.sums.resize(self.rows * groups, 0);
        let rows = self.values.chunks_mut(groups * GROUP);
        let rows = rows
            .zip(self.scales.chunks_mut(groups))
            .zip(self.sums.chunks_mut(groups));
        for (((values, scales), sums), x) in rows.zip(x.chunks(columns)) {
            let parts = values.chunks_mut(GROUP).zip(scales).zip(sums);
            for (((values, scale), sum), x) in parts.zip(x.chunks(GROUP)) {
                (*scale, *sum) = quantise_group(x, values);
            }
        }
    }

    /// Rows held.
    pub fn rows(&self) -> usize {
        self.rows
    }
}

/// Returns the group's scale and the sum of its int8 values.
fn quantise_group(x: &[f32], values: &mut [i8]) -> (f32, i32) {
    values.fill(0);
    let magnitude = |x: &f32| x.to_bits() & 0x7fff_ffff;
    let greatest = f32::from_bits(x.iter().map(magnitude).max().unwrap_or(0));
    if !greatest.is_finite() {
        return (f32::NAN, 0);
    }
    if greatest < SMALLEST {
        return (0.0, 0);
    }
    let inverse = 127.0 / greatest;
    let mut sum = 0;
    for (value, x) in values.iter_mut().zip(x) {
        *value = (x * inverse).round_ties_even() as i8;
        sum += i32::from(*value);
    }
    (greatest / 127.0, sum)
}
