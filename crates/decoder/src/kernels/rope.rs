//! Rotary position embedding in the half-split form of the HF checkpoints (arXiv:2104.09864): value
//! i of a head is rotated together with value i + head_dim/2.

/// Cosines and sines, `[positions, head_dim / 2]` each.
#[derive(Debug)]
pub struct RopeAngles {
    pub cos: Vec<f32>,
    pub sin: Vec<f32>,
    pub half: usize,
}

/// Direction of a rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RopeTurn {
    /// By the angle of the position.
    Forward,
    /// Back by it, as gradients are.
    Back,
}

impl RopeAngles {
    /// The angles p·fᵢ of positions 0..`positions`, multiplied in f32 as transformers does.
    pub fn new(frequencies: &[f32], positions: usize) -> Self {
        let angles = (0..positions).flat_map(|p| frequencies.iter().map(move |f| p as f32 * f));
        let (cos, sin) = angles.map(|angle| (angle.cos(), angle.sin())).unzip();
        Self {
            cos,
            sin,
            half: frequencies.len(),
        }
    }

    /// Rotates rows `[positions, head_dim]` of one head in place.
    pub fn rotate(&self, rows: &mut [f32], positions: impl Iterator<Item = usize>, turn: RopeTurn) {
        let half = self.half;
        let direction = match turn {
            RopeTurn::Forward => 1.0,
            RopeTurn::Back => -1.0,
        };
        for (row, position) in rows.chunks_exact_mut(2 * half).zip(positions) {
            let cos = &self.cos[position * half..][..half];
            let sin = &self.sin[position * half..][..half];
            let (a, b) = row.split_at_mut(half);
            for i in 0..half {
                let s = direction * sin[i];
                (a[i], b[i]) = (a[i] * cos[i] - b[i] * s, b[i] * cos[i] + a[i] * s);
            }
        }
    }
}
