//! The training order of rows: a pure function of the seed and the position.
//!
//! There is no generator state between rows, so a checkpoint needs only a cursor of two numbers to
//! continue exactly.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The next row: `position` within the order of `epoch`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowCursor {
    pub epoch: u64,
    pub position: usize,
}

/// A random generator for one purpose, identified by name and numbers.
pub fn generator(seed: u64, purpose: &str, numbers: &[u64]) -> ChaCha8Rng {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update(purpose.as_bytes());
    for number in numbers {
        hash.update(number.to_le_bytes());
    }
    ChaCha8Rng::from_seed(hash.finalize().into())
}

/// Fisher–Yates with a bounded draw implemented here: the order must not change with a library's
/// version.
pub fn shuffle<T>(items: &mut [T], generator: &mut ChaCha8Rng) {
    for last in (1..items.len()).rev() {
        let draw = u128::from(generator.next_u64()) * (last as u128 + 1);
        items.swap(last, (draw >> 64) as usize);
    }
}

/// The rows of one source and their sampling weight.
#[derive(Clone, Debug)]
struct SourcePool {
    rows: Vec<usize>,
    draws: usize,
}

/// The order of rows in every epoch.
#[derive(Clone, Debug)]
pub struct RowOrder {
    pools: Vec<SourcePool>,
    seed: u64,
}

impl RowOrder {
    /// `sources[i]` is the source of row `i`; `weights[s]` is how often source `s` is drawn per
    /// epoch: 1 draws every row once, 2 twice, 0.5 half of them (the other half in the next epoch).
    pub fn new(sources: &[usize], weights: &[f64], seed: u64) -> Self {
        let mut pools: Vec<SourcePool> = weights
            .iter()
            .map(|_| SourcePool {
                rows: Vec::new(),
                draws: 0,
            })
            .collect();
        for (row, source) in sources.iter().enumerate() {
            pools[*source].rows.push(row);
        }
        for (pool, weight) in pools.iter_mut().zip(weights) {
            pool.draws = (pool.rows.len() as f64 * weight).round() as usize;
        }
        Self { pools, seed }
    }

    /// Rows drawn per epoch.
    pub fn rows_per_epoch(&self) -> usize {
        self.pools.iter().map(|pool| pool.draws).sum()
    }

    /// The rows of `epoch` in training order.
    pub fn epoch(&self, epoch: u64) -> Vec<usize> {
        let mut order = Vec::with_capacity(self.rows_per_epoch());
        for (source, pool) in self.pools.iter().enumerate() {
            self.draw(source as u64, pool, epoch, &mut order);
        }
        shuffle(&mut order, &mut generator(self.seed, "epoch", &[epoch]));
        order
    }

    /// Appends the source's draws of `epoch`: a window of an infinite sequence of permutations, so
    /// that every row is drawn equally often for any weight.
    fn draw(&self, source: u64, pool: &SourcePool, epoch: u64, order: &mut Vec<usize>) {
        let size = pool.rows.len() as u64;
        let (mut next, end) = (epoch * pool.draws as u64, (epoch + 1) * pool.draws as u64);
        while next < end {
            let round = next / size;
            let mut permutation = pool.rows.clone();
            shuffle(
                &mut permutation,
                &mut generator(self.seed, "source", &[source, round]),
            );
            let stop = end.min((round + 1) * size);
            order.extend_from_slice(
                &permutation[(next % size) as usize..(stop - round * size) as usize],
            );
            next = stop;
        }
    }
}

/// Iterates over the order in steps and keeps its position.
#[derive(Clone, Debug)]
pub struct OrderWalk {
    order: RowOrder,
    cursor: RowCursor,
    current: Vec<usize>,
}

impl OrderWalk {
    pub fn new(order: RowOrder, cursor: RowCursor) -> Self {
        let current = order.epoch(cursor.epoch);
        Self {
            order,
            cursor,
            current,
        }
    }

    pub fn cursor(&self) -> RowCursor {
        self.cursor
    }

    /// The next `count` rows, fewer at the end of an epoch: a step never spans two epochs.
    pub fn take(&mut self, count: usize) -> Vec<usize> {
        let end = self.current.len().min(self.cursor.position + count);
        let rows = self.current[self.cursor.position..end].to_vec();
        self.cursor.position = end;
        if end == self.current.len() {
            self.cursor = RowCursor {
                epoch: self.cursor.epoch + 1,
                position: 0,
            };
            self.current = self.order.epoch(self.cursor.epoch);
        }
        rows
    }
}
