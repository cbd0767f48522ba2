//! Rotary position embeddings (RoPE, arXiv:2104.09864) in the half-rotated layout of Hugging Face's
//! llama and qwen: dimension i is rotated with i + head_dim / 2.

use std::ops::Range;

use crate::{
    Cpu, HeadColumns,
    lanes::{LANES, LaneKernel, Lanes},
};

/// Cosines and sines of every position.
#[derive(Debug)]
pub struct RopeTable {
    half: usize,
    /// `[positions, half]`.
    cosines: Vec<f32>,
    /// `[positions, half]`.
    sines: Vec<f32>,
}

impl RopeTable {
    /// Frequencies `theta^(−2i / head_dim)`, computed in f64 and rounded to f32.
    pub fn new(head_dim: usize, theta: f64, positions: usize) -> Self {
        let exponents = (0..head_dim / 2).map(|i| 2.0 * i as f64 / head_dim as f64);
        let frequencies = exponents.map(|it| (1.0 / libm::pow(theta, it)) as f32);
        Self::from_frequencies(&frequencies.collect::<Vec<f32>>(), positions)
    }

    /// Frequencies of a scaled variant, one for each pair of dimensions. The angle is position ×
    /// frequency in f32; its cosine and sine are taken in f64 and rounded to f32.
    pub fn from_frequencies(frequencies: &[f32], positions: usize) -> Self {
        let angles = (0..positions).flat_map(|position| {
            let angle = move |it: &f32| f64::from(position as f32 * it);
            frequencies.iter().map(angle)
        });
        let (cosines, sines) = angles
            .map(|angle| (libm::cos(angle) as f32, libm::sin(angle) as f32))
            .unzip();
        Self {
            half: frequencies.len(),
            cosines,
            sines,
        }
    }

    /// Positions of the table.
    pub fn positions(&self) -> usize {
        self.cosines.len().checked_div(self.half).unwrap_or(0)
    }

    /// Rotates the heads of each row of `data`, `[positions.len(), stride]`, to the row's position:
    /// `(a, b)` becomes `(fma(a, cos, b × −sin), fma(b, cos, a × sin))`.
    ///
    /// # Panics
    /// If a position is beyond the table or the heads are beyond the row.
    pub fn rotate(&self, cpu: &Cpu, positions: &[usize], data: &mut [f32], columns: HeadColumns) {
        let stride = data.len().checked_div(positions.len()).unwrap_or(0);
        assert_eq!(data.len(), positions.len() * stride, "whole rows");
        let width = columns.heads * 2 * self.half;
        cpu.for_row_blocks(data, stride, 2 * width, |first, rows| {
            cpu.run(Rotation {
                table: self,
                positions: &positions[first..][..rows.len() / stride],
                rows,
                stride,
                heads: columns.start..columns.start + width,
            });
        });
    }
}

struct Rotation<'a> {
    table: &'a RopeTable,
    positions: &'a [usize],
    /// `[positions, stride]`.
    rows: &'a mut [f32],
    stride: usize,
    heads: Range<usize>,
}

impl LaneKernel for Rotation<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let half = self.table.half;
        for (row, position) in self.rows.chunks_mut(self.stride).zip(self.positions) {
            let cosines = &self.table.cosines[position * half..][..half];
            let sines = &self.table.sines[position * half..][..half];
            for head in row[self.heads.clone()].chunks_mut(2 * half) {
                let (low, high) = head.split_at_mut(half);
                let angles = cosines.chunks(LANES).zip(sines.chunks(LANES));
                let pairs = low.chunks_mut(LANES).zip(high.chunks_mut(LANES));
                for ((low, high), (cos, sin)) in pairs.zip(angles) {
                    let (cos, sin) = (L::load_part(cos, 0.0), L::load_part(sin, 0.0));
                    let (a, b) = (L::load_part(low, 0.0), L::load_part(high, 0.0));
                    let below = b.mul(sin.mul(L::splat(-1.0)));
                    a.mul_add(cos, below).store_part(low);
                    b.mul_add(cos, a.mul(sin)).store_part(high);
                }
            }
        }
    }
}
