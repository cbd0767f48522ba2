//! Dropout noise as a pure function of (seed, counter, site, element). A resumed run therefore has
//! the same noise as an uninterrupted one, on any number of threads, and the backward pass can
//! recompute the noise instead of storing it.

use rayon::prelude::*;

/// The state of a training run's noise; the trainer increments `counter` for every batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DropoutNoise {
    pub seed: u64,
    pub counter: u64,
}

/// The dropout of one site in one batch.
#[derive(Clone, Copy, Debug)]
pub struct DropoutMask {
    key: u64,
    /// An element is dropped when its 32 random bits are below this.
    threshold: u32,
    scale: f32,
}

/// Values per task.
const BLOCK: usize = 16_384;

impl DropoutMask {
    /// `probability` in [0, 1); kept values are scaled by 1 / (1 − probability).
    pub fn new(noise: DropoutNoise, site: u64, probability: f32) -> Self {
        let key = mix(mix(mix(noise.seed) ^ noise.counter) ^ site);
        let threshold = (f64::from(probability) * 4_294_967_296.0) as u32;
        Self {
            key,
            threshold,
            scale: 1.0 / (1.0 - probability),
        }
    }

    /// x ← mask ∘ x / (1 − p)
    pub fn apply(&self, xs: &mut [f32]) {
        xs.par_chunks_mut(BLOCK)
            .enumerate()
            .for_each(|(block, xs)| {
                let first = (block * BLOCK) as u64;
                for (index, x) in xs.iter_mut().enumerate() {
                    *x *= self.factor(first + index as u64);
                }
            });
    }

    /// The factor of element `index`: 0 or 1 / (1 − p).
    pub fn factor(&self, index: u64) -> f32 {
        let bits = (mix(self.key.wrapping_add(index)) >> 32) as u32;
        if bits < self.threshold {
            0.0
        } else {
            self.scale
        }
    }
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014) over its golden-ratio increment.
fn mix(x: u64) -> u64 {
    let x = x
        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
        .wrapping_add(0x9E37_79B9_7F4A_7C15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}
