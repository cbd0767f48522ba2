//! Positions: the fixed embedding of patches, and the angles by which queries and keys are turned.

use crate::config::ImageModelConfig;

const THETA: f64 = 10_000.0;

/// Cosines and sines, `[positions, head_dim / 2]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Angles {
    half: usize,
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl Angles {
    fn new(half: usize, angles: impl Iterator<Item = f64>) -> Self {
        let (cos, sin) = angles
            .map(|angle| (libm::cos(angle) as f32, libm::sin(angle) as f32))
            .unzip();
        Self { half, cos, sin }
    }

    /// Of positions in a row: value i of a head of 2 `half` turns by position / θ^(i / half).
    pub fn in_order(positions: usize, half: usize, theta: f64) -> Self {
        let angles = (0..positions).flat_map(|position| {
            (0..half).map(move |at| position as f64 * frequency(at, half, theta))
        });
        Self::new(half, angles)
    }

    /// Turns a head at a position: value i with value i + half.
    pub fn turn(&self, position: usize, head: &mut [f32]) {
        let at = position * self.half..(position + 1) * self.half;
        let (low, high) = head.split_at_mut(self.half);
        let turns = self.cos[at.clone()].iter().zip(&self.sin[at]);
        for ((low, high), (cos, sin)) in low.iter_mut().zip(high).zip(turns) {
            let (x, y) = (*low, *high);
            *low = x * cos - y * sin;
            *high = y * cos + x * sin;
        }
    }

    /// The opposite of [`Self::turn`], which is also its gradient.
    pub fn turn_back(&self, position: usize, head: &mut [f32]) {
        let at = position * self.half..(position + 1) * self.half;
        let (low, high) = head.split_at_mut(self.half);
        let turns = self.cos[at.clone()].iter().zip(&self.sin[at]);
        for ((low, high), (cos, sin)) in low.iter_mut().zip(high).zip(turns) {
            let (x, y) = (*low, *high);
            *low = x * cos + y * sin;
            *high = y * cos - x * sin;
        }
    }
}

/// What depends on positions alone.
#[derive(Clone, Debug, PartialEq)]
pub struct PositionTables {
    /// Of the tokens of a caption.
    pub text: Angles,
    /// Of the patches of a picture, row by row.
    pub image: Angles,
    /// Added to embedded patches, `[patches, width]`.
    pub embedding: Vec<f32>,
}

impl PositionTables {
    pub fn new(config: &ImageModelConfig) -> Self {
        let (half, side) = (config.head_dim / 2, config.side());
        // The first half of the angles follows the row, the second the column.
        let axis = half / 2;
        let image = (0..side * side).flat_map(|patch| {
            (0..half).map(move |at| {
                let position = if at < axis {
                    patch / side
                } else {
                    patch % side
                };
                position as f64 * frequency(at % axis, axis, THETA)
            })
        });
        Self {
            text: Angles::in_order(config.prompt_length, half, THETA),
            image: Angles::new(half, image),
            embedding: embedding(config.width, side),
        }
    }
}

fn frequency(at: usize, count: usize, theta: f64) -> f64 {
    // Angles of MiniT2I are computed in f32 from frequencies in f32.
    f64::from(libm::pow(theta, -(at as f64) / count as f64) as f32)
}

/// Sines and cosines of the column, then of the row.
fn embedding(width: usize, side: usize) -> Vec<f32> {
    let quarter = width / 4;
    let mut values = Vec::with_capacity(side * side * width);
    for patch in 0..side * side {
        for position in [patch % side, patch / side] {
            let angle = |at: usize| position as f64 * frequency(at, quarter, THETA);
            values.extend((0..quarter).map(|at| libm::sin(angle(at)) as f32));
            values.extend((0..quarter).map(|at| libm::cos(angle(at)) as f32));
        }
    }
    values
}
