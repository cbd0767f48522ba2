//! Normal noise and times, as pure functions of seeds. Logarithms and sines are computed in
//! software, so that every system draws the same bits.

use rand_chacha::{
    ChaCha20Rng,
    rand_core::{RngCore, SeedableRng},
};

/// Fills a slice with independent standard normal values (Box and Muller 1958).
pub fn fill_normal(generator: &mut ChaCha20Rng, to: &mut [f32]) {
    for pair in to.chunks_mut(2) {
        // In (0, 1].
        let radius = (-2.0 * libm::log(1.0 - unit(generator))).sqrt();
        let angle = std::f64::consts::TAU * unit(generator);
        pair[0] = (radius * libm::cos(angle)) as f32;
        if let Some(second) = pair.get_mut(1) {
            *second = (radius * libm::sin(angle)) as f32;
        }
    }
}

/// A number in [0, 1) of 53 bits.
pub fn unit(generator: &mut ChaCha20Rng) -> f64 {
    (generator.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

/// The generator of one purpose of a seed; generators of different streams are independent.
pub fn generator(seed: u64, stream: u64) -> ChaCha20Rng {
    let mut generator = ChaCha20Rng::seed_from_u64(seed);
    generator.set_stream(stream);
    generator
}

/// The value below which a standard normal variable is with probability `p` in (0, 1); absolute
/// error below 2e-9 after one step of Halley's method on Acklam's approximation.
pub fn normal_quantile(p: f64) -> f64 {
    let x = rough_quantile(p);
    let error = 0.5 * libm::erfc(-x / std::f64::consts::SQRT_2) - p;
    let step = error * (std::f64::consts::TAU).sqrt() * libm::exp(x * x / 2.0);
    x - step / (1.0 + x * step / 2.0)
}

fn rough_quantile(p: f64) -> f64 {
    const A: [f64; 6] = [
        -3.969_683_028_665_376e1,
        2.209_460_984_245_205e2,
        -2.759_285_104_469_687e2,
        1.383_577_518_672_69e2,
        -3.066_479_806_614_716e1,
        2.506_628_277_459_239,
    ];
    const B: [f64; 6] = [
        -5.447_609_879_822_406e1,
        1.615_858_368_580_409e2,
        -1.556_989_798_598_866e2,
        6.680_131_188_771_972e1,
        -1.328_068_155_288_572e1,
        1.0,
    ];
    const C: [f64; 6] = [
        -7.784_894_002_430_293e-3,
        -3.223_964_580_411_365e-1,
        -2.400_758_277_161_838,
        -2.549_732_539_343_734,
        4.374_664_141_464_968,
        2.938_163_982_698_783,
    ];
    const D: [f64; 5] = [
        7.784_695_709_041_462e-3,
        3.224_671_290_700_398e-1,
        2.445_134_137_142_996,
        3.754_408_661_907_416,
        1.0,
    ];
    let value = |terms: &[f64], x: f64| terms.iter().fold(0.0, |sum, term| sum * x + term);
    const TAIL: f64 = 0.02425;
    if p < TAIL {
        let q = (-2.0 * libm::log(p)).sqrt();
        return value(&C, q) / value(&D, q);
    }
    if p > 1.0 - TAIL {
        let q = (-2.0 * libm::log(1.0 - p)).sqrt();
        return -value(&C, q) / value(&D, q);
    }
    let q = p - 0.5;
    q * value(&A, q * q) / value(&B, q * q)
}

/// The logistic function in double precision.
pub fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-x))
}
