//! The exponential function, as a polynomial in a fixed order.

use crate::lanes::Lanes;

/// Below, the result is zero: it would not be a normal number.
const LOWEST: f32 = -87.336_54;
/// Above, the result stays at exp(88.37), which is finite.
const HIGHEST: f32 = 88.37;
/// 1.5 × 2²³: adding it rounds to a whole number, to nearest even.
pub(crate) const MAGIC: f32 = 12_582_912.0;
/// ln 2 as the sum of a short and a small constant.
const LN2_HIGH: f32 = 0.693_359_4;
const LN2_LOW: f32 = -2.121_944_4e-4;
/// Coefficients of r² · p(r) = eʳ − 1 − r for |r| ≤ ln 2 / 2, from Cephes (`expf`), highest first.
const COEFFICIENTS: [f32; 6] = [
    1.987_569_1e-4,
    1.398_199_9e-3,
    8.333_452e-3,
    4.166_579_6e-2,
    1.666_666_5e-1,
    0.5,
];

/// eˣ with a relative error below 2⁻²²; NaN stays NaN.
#[inline(always)]
pub(crate) fn exp<L: Lanes>(x: L) -> L {
    let bounded = L::splat(LOWEST).max(L::splat(HIGHEST).min(x));
    let shifted = bounded.mul_add(L::splat(std::f32::consts::LOG2_E), L::splat(MAGIC));
    let whole = shifted.sub(L::splat(MAGIC));
    let rest = whole.mul_add(L::splat(-LN2_HIGH), bounded);
    let rest = whole.mul_add(L::splat(-LN2_LOW), rest);
    let mut sum = L::splat(COEFFICIENTS[0]);
    for coefficient in &COEFFICIENTS[1..] {
        sum = sum.mul_add(rest, L::splat(*coefficient));
    }
    let sum = sum.mul_add(rest.mul(rest), rest).add(L::splat(1.0));
    sum.mul(shifted.power_of_two())
        .zero_below(x, L::splat(LOWEST))
}
