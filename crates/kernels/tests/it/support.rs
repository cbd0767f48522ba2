//! Deterministic numbers, every path of this CPU, and comparison to the bit.

use openlora_kernels::{Cpu, CpuPath};

/// A small generator (SplitMix64), so that the golden vectors need no library.
pub struct Numbers(u64);

impl Numbers {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.bits() % end as u64) as usize
    }

    /// Between −1 and 1, of very different magnitudes.
    pub fn float(&mut self) -> f32 {
        let bits = self.bits();
        let sign = if bits & 1 == 0 { 1.0 } else { -1.0 };
        let fraction = (bits >> 40) as f32 / (1_u32 << 24) as f32;
        sign * fraction / (1 << (bits >> 1 & 7)) as f32
    }

    pub fn floats(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.float()).collect()
    }
}

/// Every path of this CPU with one, two and three threads.
pub fn every_cpu() -> Vec<Cpu> {
    let paths = CpuPath::ALL.into_iter().filter(|it| it.is_supported());
    paths
        .flat_map(|path| [1, 2, 3].map(|threads| Cpu::with_path(path, threads).unwrap()))
        .collect()
}

pub fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|it| it.to_bits()).collect()
}

#[track_caller]
pub fn assert_same_bits(found: &[f32], expected: &[f32], cpu: &Cpu, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert_eq!(
            found.to_bits(),
            expected.to_bits(),
            "{what}, value {index}: {found} instead of {expected} with {} and {} threads",
            cpu.path(),
            cpu.threads()
        );
    }
}
