//! Rotary position embeddings (RoPE, arXiv:2104.09864) in the half-rotated layout of Hugging Face's
//! llama and qwen: dimension i is rotated with i + head_dim / 2.

use crate::Cpu;

/// Cosines and sines of every position.
#[derive(Debug)]
pub struct RopeTable {
    half: usize,
    /// [positions, half].
    cosines: Vec<f32>,
    /// [positions, half].
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
        self.cosines.len() / self.half
    }

    /// Rotates `heads` heads from column `start` of each row of `data`, [rows, stride], to the row's
    /// position: `(fma(a, cos, −(b × sin)), fma(b, cos, a × sin))`.
    ///
    /// # Panics
    /// If a position is beyond the table or the heads are beyond the row.
    pub fn rotate(
        &self,
        cpu: &Cpu,
        positions: &[usize],
        data: &mut [f32],
        start: usize,
        heads: usize,
    ) {
        assert!(data.len().is_multiple_of(positions.len().max(1)));
        let _ = cpu;
        let stride = data.len() / positions.len().max(1);
        for (row, position) in data.chunks_mut(stride.max(1)).zip(positions) {
            let cosines = &self.cosines[position * self.half..][..self.half];
            let sines = &self.sines[position * self.half..][..self.half];
            for head in row[start..][..heads * 2 * self.half].chunks_mut(2 * self.half) {
                rotate_head(head, cosines, sines);
            }
        }
    }
}

#[inline(always)]
fn rotate_head(head: &mut [f32], cosines: &[f32], sines: &[f32]) {
    let (low, high) = head.split_at_mut(cosines.len());
    let pairs = low.iter_mut().zip(high);
    for ((a, b), (cos, sin)) in pairs.zip(cosines.iter().zip(sines)) {
        let rotated = a.mul_add(*cos, -(*b * sin));
        *b = b.mul_add(*cos, *a * sin);
        *a = rotated;
    }
}
