//! Projection of a gradient of millions of values to k values: a seeded sketch that preserves dot
//! products.
//!
//! A tensor's values are cut into blocks of k. Each block is multiplied with random signs, rotated
//! by a random number of positions and added to the result (a count sketch whose buckets are a
//! rotation per block; Charikar et al. 2002). Dot products are preserved in expectation, with the
//! variance of dense random signs. Signs and rotations come from SHA-256 over the seed, the
//! tensor's name and the block number, so that anyone can reproduce them. If all values fit into k,
//! nothing is projected. The preconditioner is applied before.

use std::{collections::BTreeMap, ops::Range};

use sha2::{Digest, Sha256};

/// The projection of one tensor.
#[derive(Debug)]
struct TensorProjection {
    /// Sign times preconditioner.
    factors: Vec<f32>,
    /// The rotation of each block.
    turns: Vec<usize>,
}

/// Projects gradients of all adapted modules.
#[derive(Debug)]
pub struct Projector {
    width: usize,
    /// A and B of every module.
    modules: Vec<[TensorProjection; 2]>,
    grouped: bool,
    /// Every value has its own position.
    exact: bool,
}

/// The positions of a tensor's values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorRange {
    /// Values of its gradient before projection.
    pub size: usize,
    /// Position in a row that [`Projector::add`] fills.
    pub place: Range<usize>,
    /// Position in a row of the requested width.
    pub folded: Range<usize>,
}

/// A module's name and its rank, input and output width.
pub type ModuleDims = (String, [usize; 3]);

/// Names as in a checkpoint.
pub fn tensor_names(path: &str) -> [String; 2] {
    ["lora_A", "lora_B"].map(|factor| format!("base_model.model.{path}.{factor}.weight"))
}

/// Values of all factors.
pub fn parameters(modules: &[ModuleDims]) -> usize {
    modules.iter().flat_map(|(_, shape)| sizes(*shape)).sum()
}

fn sizes([rank, width, out]: [usize; 3]) -> [usize; 2] {
    [rank * width, out * rank]
}

impl Projector {
    /// Projects to `width` values. `preconditioner` has a factor for every value of every tensor;
    /// an empty one stands for factors of 1.
    pub fn new(
        modules: &[ModuleDims],
        width: usize,
        seed: &[u8; 32],
        preconditioner: &BTreeMap<String, Vec<f32>>,
    ) -> Option<Self> {
        let exact = parameters(modules) <= width;
        let (mut parts, mut start) = (Vec::with_capacity(modules.len()), 0);
        for (path, shape) in modules {
            let mut pair = Vec::with_capacity(2);
            for (name, size) in tensor_names(path).into_iter().zip(sizes(*shape)) {
                let factors = match preconditioner.get(&name) {
                    Some(factors) if factors.len() == size => factors.clone(),
                    None if preconditioner.is_empty() => vec![1.0; size],
                    _ => return None,
                };
                pair.push(match exact {
                    true => TensorProjection {
                        factors,
                        turns: vec![start; size.div_ceil(width).max(1)],
                    },
                    false => TensorProjection::drawn(&name, factors, width, seed),
                });
                start += size;
            }
            parts.push(<[TensorProjection; 2]>::try_from(pair).ok()?);
        }
        Some(Self {
            width,
            modules: parts,
            grouped: false,
            exact,
        })
    }

    /// Keeps the tensors separate: if they would share positions, the result has `width` values for
    /// each of them.
    pub fn grouped(self) -> Self {
        Self {
            grouped: !self.exact,
            ..self
        }
    }

    /// Number of values of a projected gradient.
    pub fn width(&self) -> usize {
        let groups = 2 * self.modules.len();
        self.width * if self.grouped { groups } else { 1 }
    }

    /// The tensors of a projector with separate tensors.
    pub fn groups(&self) -> Vec<TensorRange> {
        let sizes = self.modules.iter().flatten().map(|part| part.factors.len());
        let mut start = 0;
        let group = |(at, size): (usize, usize)| {
            let place = match self.exact {
                true => start..start + size,
                false => at * self.width..(at + 1) * self.width,
            };
            let folded = match self.exact {
                true => place.clone(),
                false => 0..self.width,
            };
            start += size;
            TensorRange {
                size,
                place,
                folded,
            }
        };
        sizes.enumerate().map(group).collect()
    }

    /// Adds the projected gradient of one factor (0 for A, 1 for B) of a module to `row`.
    pub fn add(&self, module: usize, factor: usize, gradient: &[f32], row: &mut [f32]) {
        let part = &self.modules[module][factor];
        let group = if self.grouped { 2 * module + factor } else { 0 };
        let row = &mut row[group * self.width..][..self.width];
        let runs = gradient
            .chunks(self.width)
            .zip(part.factors.chunks(self.width));
        for ((values, factors), turn) in runs.zip(&part.turns) {
            let (before, after) = row.split_at_mut(*turn);
            let head = values.len().min(after.len());
            fuse(after, &values[..head], &factors[..head]);
            fuse(before, &values[head..], &factors[head..]);
        }
    }
}

fn fuse(sums: &mut [f32], values: &[f32], factors: &[f32]) {
    for ((sum, value), factor) in sums.iter_mut().zip(values).zip(factors) {
        *sum += value * factor;
    }
}

impl TensorProjection {
    fn drawn(name: &str, mut factors: Vec<f32>, width: usize, seed: &[u8; 32]) -> Self {
        for (block, factors) in factors.chunks_mut(256).enumerate() {
            let bits = draw(seed, name, "signs", block);
            for (at, factor) in factors.iter_mut().enumerate() {
                if bits[at / 8] >> (at % 8) & 1 == 1 {
                    *factor = -*factor;
                }
            }
        }
        let turn = |run| {
            let bits = draw(seed, name, "turn", run);
            let mut low = [0; 8];
            low.copy_from_slice(&bits[..8]);
            (u64::from_le_bytes(low) % width as u64) as usize
        };
        let turns = (0..factors.len().div_ceil(width)).map(turn).collect();
        Self { factors, turns }
    }
}

/// SHA-256 of seed, name, purpose (each of the two followed by a zero byte) and number.
fn draw(seed: &[u8; 32], name: &str, purpose: &str, number: usize) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(seed);
    hash.update(name.as_bytes());
    hash.update([0]);
    hash.update(purpose.as_bytes());
    hash.update([0]);
    hash.update((number as u64).to_le_bytes());
    hash.finalize().into()
}
