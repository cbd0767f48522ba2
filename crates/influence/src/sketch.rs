//! The sketch: an answer's gradient as 8-bit integers, the only input of scoring.
//!
//! ```text
//! u8 version (1)  u8 checkpoints  u32 width
//! per checkpoint: u32 scale, then width times i8
//! ```
//!
//! A gradient is its integers times its scale, up to a factor common to all checkpoints.
//!
//! All computation after a sketch uses integers and gives the same result on every machine. The
//! sketch itself is computed in floating point. If it is recomputed from the same tokens on another
//! processor, each integer differs by at most [`TOLERANCE`], and each scale by at most a fraction of
//! [`SCALE_TOLERANCE`].

use super::error::IndexError;

const VERSION: u8 = 1;
const HEAD: usize = 6;
/// The largest scale of a sketch.
const UNIT: f64 = (1u32 << 30) as f64;

/// Maximum difference of an integer between two computations of a sketch.
pub const TOLERANCE: u8 = 1;
/// Maximum relative difference of a scale.
pub const SCALE_TOLERANCE: f64 = 1e-3;

/// A quantised gradient per checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GradientSketch {
    width: usize,
    /// Scale and values.
    parts: Vec<(u32, Vec<i8>)>,
}

impl GradientSketch {
    /// Quantises gradients of equal width, one per checkpoint; all must be finite.
    pub fn quantise(gradients: &[Vec<f32>]) -> Self {
        let quantised: Vec<(f32, Vec<i8>)> = gradients.iter().map(|row| quantise(row)).collect();
        let largest = quantised
            .iter()
            .map(|(scale, _)| *scale)
            .fold(0.0, f32::max);
        let share = |scale: f32| match largest > 0.0 {
            true => (f64::from(scale) / f64::from(largest) * UNIT).round() as u32,
            false => 0,
        };
        Self {
            width: gradients.first().map_or(0, Vec::len),
            parts: quantised
                .into_iter()
                .map(|(scale, values)| (share(scale), values))
                .collect(),
        }
    }

    pub fn width(&self) -> usize {
        self.width
    }

    pub fn checkpoints(&self) -> usize {
        self.parts.len()
    }

    pub fn parts(&self) -> &[(u32, Vec<i8>)] {
        &self.parts
    }

    /// Whether both are sketches of the same answer, within the differences between processors.
    pub fn agrees(&self, other: &Self) -> bool {
        let near = |a: &(u32, Vec<i8>), b: &(u32, Vec<i8>)| {
            let apart = f64::from(a.0.abs_diff(b.0));
            apart <= SCALE_TOLERANCE * f64::from(a.0.max(b.0))
                && a.1
                    .iter()
                    .zip(&b.1)
                    .all(|(a, b)| a.abs_diff(*b) <= TOLERANCE)
        };
        let shape = |it: &Self| (it.width, it.parts.len());
        shape(self) == shape(other) && self.parts.iter().zip(&other.parts).all(|(a, b)| near(a, b))
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION, self.parts.len() as u8];
        bytes.extend_from_slice(&(self.width as u32).to_le_bytes());
        for (scale, values) in &self.parts {
            bytes.extend_from_slice(&scale.to_le_bytes());
            bytes.extend(values.iter().map(|value| value.to_le_bytes()[0]));
        }
        bytes
    }

    pub fn from_bytes(bytes: &[u8]) -> Result<Self, IndexError> {
        let bad = |expected: String| IndexError::Sketch {
            expected,
            found: format!("{} bytes", bytes.len()),
        };
        let [VERSION, checkpoints, a, b, c, d, rest @ ..] = bytes else {
            return Err(bad(format!("version {VERSION} and {HEAD} bytes of head")));
        };
        let (count, width) = (
            usize::from(*checkpoints),
            u32::from_le_bytes([*a, *b, *c, *d]),
        );
        let part = width as usize + 4;
        if rest.len() != count * part {
            return Err(bad(format!("{} bytes", HEAD + count * part)));
        }
        let read = |part: &[u8]| {
            let (scale, values) = part.split_at(4);
            let scale = u32::from_le_bytes([scale[0], scale[1], scale[2], scale[3]]);
            (
                scale,
                values.iter().map(|byte| byte.cast_signed()).collect(),
            )
        };
        Ok(Self {
            width: width as usize,
            parts: rest.chunks(part).map(read).collect(),
        })
    }
}

/// The scale, and the integers in ±127 whose products are closest to the values.
pub fn quantise(values: &[f32]) -> (f32, Vec<i8>) {
    let largest = values
        .iter()
        .fold(0f32, |most, value| most.max(value.abs()));
    if largest == 0.0 {
        return (0.0, vec![0; values.len()]);
    }
    let factor = 127.0 / f64::from(largest);
    let rounded = values
        .iter()
        .map(|value| (f64::from(*value) * factor).round() as i8);
    ((f64::from(largest) / 127.0) as f32, rounded.collect())
}
