//! Reductions and exponentials that compilers can vectorise, with a fixed order of summation.

/// Number of partial sums; a power of two that fills the widest vector registers.
const LANES: usize = 16;

/// Σ aᵢ·bᵢ
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    fold2(a, b, |sum, x, y| x.mul_add(y, sum))
}

/// Σ aᵢ
pub fn sum(a: &[f32]) -> f32 {
    fold2(a, a, |sum, x, _| sum + x)
}

#[inline(always)]
fn fold2(a: &[f32], b: &[f32], step: impl Fn(f32, f32, f32) -> f32) -> f32 {
    let mut lanes = [0f32; LANES];
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let tail = a_chunks.remainder().iter().zip(b_chunks.remainder());
    let rest = tail.fold(0f32, |sum, (&x, &y)| step(sum, x, y));
    for (x, y) in a_chunks.zip(b_chunks) {
        for lane in 0..LANES {
            lanes[lane] = step(lanes[lane], x[lane], y[lane]);
        }
    }
    lanes.iter().sum::<f32>() + rest
}

/// The largest value; −∞ for an empty slice. The result with a NaN is unspecified, but the NaN
/// appears in the sum that follows.
pub fn max(a: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let chunks = a.chunks_exact(LANES);
    let tail = chunks
        .remainder()
        .iter()
        .copied()
        .fold(f32::NEG_INFINITY, larger);
    for chunk in chunks {
        for lane in 0..LANES {
            lanes[lane] = larger(lanes[lane], chunk[lane]);
        }
    }
    lanes.into_iter().fold(tail, larger)
}

#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    if b > a { b } else { a }
}

/// eˣ to within two units in the last place; 0 below −87, NaN for NaN.
///
/// Range reduction x = n·ln 2 + r with a polynomial on |r| ≤ ln 2 / 2 (Cephes `expf`). The standard
/// library's exponential is a call that prevents the vectorisation of loops.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5·2²³: adding it leaves the nearest integer in the low bits
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let low = x < -87.0;
    let bounded = if x > 88.0 { 88.0 } else { x };
    let shifted = bounded.mul_add(std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = n.mul_add(-LN2_HIGH, bounded);
    let r = n.mul_add(-LN2_LOW, r);
    let p = 1.987_569_1e-4f32;
    let p = p.mul_add(r, 1.398_2e-3);
    let p = p.mul_add(r, 8.333_452e-3);
    let p = p.mul_add(r, 4.166_579_6e-2);
    let p = p.mul_add(r, 1.666_666_5e-1);
    let p = p.mul_add(r, 0.5);
    let p = p.mul_add(r * r, r) + 1.0;
    let scaled = f32::from_bits(p.to_bits().wrapping_add(shifted.to_bits() << 23));
    if low { 0.0 } else { scaled }
}

/// Replaces xs by exp(xs − shift) and returns their sum.
pub fn exp_in_place(xs: &mut [f32], shift: f32) -> f32 {
    for x in xs.iter_mut() {
        *x = exp(*x - shift);
    }
    sum(xs)
}

/// xs ← softmax(xs); returns ln Σ exp(xs).
pub fn softmax_in_place(xs: &mut [f32]) -> f32 {
    let shift = max(xs);
    let total = exp_in_place(xs, shift);
    let scale = 1.0 / total;
    for x in xs.iter_mut() {
        *x *= scale;
    }
    shift + total.ln()
}

/// 1 / (1 + e⁻ˣ)
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}
