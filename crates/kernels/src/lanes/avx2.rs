//! The lanes as two AVX2 registers, with or without the dot products of AVX-VNNI.

use std::arch::x86_64::*;

use half::{bf16, f16};

use super::{LANES, LaneKernel, Lanes, NibbleQuads, WeightQuads};

/// `VNNI` tells whether sums of int8 products use AVX-VNNI.
#[derive(Clone, Copy)]
pub(crate) struct Avx2Lanes<const VNNI: bool>([__m256; 2]);

/// Runs a kernel compiled for AVX2.
#[target_feature(enable = "avx2,fma,f16c")]
pub(crate) fn run_avx2<K: LaneKernel>(kernel: K) -> K::Output {
    kernel.run::<Avx2Lanes<false>>()
}

/// Runs a kernel compiled for AVX-VNNI.
#[target_feature(enable = "avx2,fma,f16c,avxvnni")]
pub(crate) fn run_avx_vnni<K: LaneKernel>(kernel: K) -> K::Output {
    kernel.run::<Avx2Lanes<true>>()
}

/// An array of both halves. Closures would have to be inlined to keep the path's instructions.
macro_rules! each_half {
    (|$half:ident| $value:expr) => {
        [
            {
                let $half = 0;
                $value
            },
            {
                let $half = 1;
                $value
            },
        ]
    };
}

/// Weights as they are, and as unsigned bytes: plus 128 for AVX-VNNI, else their magnitudes.
#[derive(Clone, Copy)]
pub(crate) struct SignedWeights {
    signed: [__m256i; 2],
    unsigned: [__m256i; 2],
}

/// Eight rows of eight lanes as columns.
///
/// # Safety
///
/// The CPU has AVX.
#[inline(always)]
unsafe fn transpose_eight(rows: [__m256; LANES / 2]) -> [__m256; LANES / 2] {
    // SAFETY: the caller's.
    unsafe {
        let mut pairs = rows;
        for at in (0..LANES / 2).step_by(2) {
            pairs[at] = _mm256_unpacklo_ps(rows[at], rows[at + 1]);
            pairs[at + 1] = _mm256_unpackhi_ps(rows[at], rows[at + 1]);
        }
        // Afterwards, quads[4 i + j] holds in its part l of four lanes the values of rows 4 i to
        // 4 i + 3 in column 4 l + j.
        let mut quads = pairs;
        for at in (0..LANES / 2).step_by(4) {
            for half in 0..2 {
                let (one, two) = (pairs[at + half], pairs[at + half + 2]);
                quads[at + 2 * half] = _mm256_shuffle_ps::<0x44>(one, two);
                quads[at + 2 * half + 1] = _mm256_shuffle_ps::<0xee>(one, two);
            }
        }
        let mut columns = quads;
        for at in 0..4 {
            columns[at] = _mm256_permute2f128_ps::<0x20>(quads[at], quads[at + 4]);
            columns[at + 4] = _mm256_permute2f128_ps::<0x31>(quads[at], quads[at + 4]);
        }
        columns
    }
}

// SAFETY of every block below: the instructions are part of the features of `run_avx2` and, with
// VNNI, of `run_avx_vnni`, which alone instantiate these lanes and which `Cpu` only calls where the CPU
// has them. Loads and stores go
// through references to arrays of the registers' size.
impl<const VNNI: bool> Lanes for Avx2Lanes<VNNI> {
    const WIDE: bool = false;
    type Sums = [__m256i; 2];
    type Weights = SignedWeights;
    /// The low halves, then the high ones.
    type Nibbles = [[__m256i; 2]; 2];
    /// Sixteen-bit sums of pairs: eight products of at most 2 × 15 × 127 stay below 2¹⁵.
    type NibbleSums = [__m256i; 2];

    #[inline(always)]
    fn splat(value: f32) -> Self {
        // SAFETY: see above.
        unsafe { Self([_mm256_set1_ps(value); 2]) }
    }

    #[inline(always)]
    fn load(from: &[f32; LANES]) -> Self {
        let [low, high] = halves(from);
        // SAFETY: see above.
        unsafe {
            Self([
                _mm256_loadu_ps(low.as_ptr()),
                _mm256_loadu_ps(high.as_ptr()),
            ])
        }
    }

    #[inline(always)]
    fn store(self, to: &mut [f32; LANES]) {
        let (low, high) = to.split_at_mut(LANES / 2);
        // SAFETY: see above.
        unsafe {
            _mm256_storeu_ps(low.as_mut_ptr(), self.0[0]);
            _mm256_storeu_ps(high.as_mut_ptr(), self.0[1]);
        }
    }

    #[inline(always)]
    fn load_f16(from: &[f16; LANES]) -> Self {
        // SAFETY: see above.
        unsafe {
            let parts = halves(from);
            Self(each_half!(|half| _mm256_cvtph_ps(_mm_loadu_si128(
                parts[half].as_ptr().cast()
            ))))
        }
    }

    #[inline(always)]
    fn load_bf16(from: &[bf16; LANES]) -> Self {
        // SAFETY: see above.
        unsafe {
            let parts = halves(from);
            Self(each_half!(|half| {
                let bits = _mm256_cvtepu16_epi32(_mm_loadu_si128(parts[half].as_ptr().cast()));
                _mm256_castsi256_ps(_mm256_slli_epi32::<16>(bits))
            }))
        }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe {
            Self(each_half!(|half| _mm256_add_ps(
                self.0[half],
                other.0[half]
            )))
        }
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe {
            Self(each_half!(|half| _mm256_sub_ps(
                self.0[half],
                other.0[half]
            )))
        }
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe {
            Self(each_half!(|half| _mm256_mul_ps(
                self.0[half],
                other.0[half]
            )))
        }
    }

    #[inline(always)]
    fn div(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe {
            Self(each_half!(|half| _mm256_div_ps(
                self.0[half],
                other.0[half]
            )))
        }
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe {
            Self(each_half!(|half| _mm256_max_ps(
                self.0[half],
                other.0[half]
            )))
        }
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe {
            Self(each_half!(|half| _mm256_min_ps(
                self.0[half],
                other.0[half]
            )))
        }
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        // SAFETY: see above.
        unsafe {
            Self(each_half!(|half| _mm256_fmadd_ps(
                self.0[half],
                factor.0[half],
                addend.0[half]
            )))
        }
    }

    #[inline(always)]
    fn power_of_two(self) -> Self {
        // SAFETY: see above.
        unsafe {
            let one = _mm256_castps_si256(_mm256_set1_ps(1.0));
            Self(each_half!(|half| {
                let shifted = _mm256_slli_epi32::<23>(_mm256_castps_si256(self.0[half]));
                _mm256_castsi256_ps(_mm256_add_epi32(shifted, one))
            }))
        }
    }

    #[inline(always)]
    fn zero_below(self, key: Self, limit: Self) -> Self {
        // SAFETY: see above.
        unsafe {
            Self(each_half!(|half| {
                let keep = _mm256_cmp_ps::<_CMP_NLT_UQ>(key.0[half], limit.0[half]);
                _mm256_and_ps(self.0[half], keep)
            }))
        }
    }

    #[inline(always)]
    fn transpose(rows: [Self; LANES]) -> [Self; LANES] {
        let mut columns = rows;
        for group in 0..2 {
            for half in 0..2 {
                let mut block = [rows[0].0[0]; LANES / 2];
                for at in 0..LANES / 2 {
                    block[at] = rows[group * LANES / 2 + at].0[half];
                }
                // SAFETY: see above.
                let turned = unsafe { transpose_eight(block) };
                for at in 0..LANES / 2 {
                    columns[half * LANES / 2 + at].0[group] = turned[at];
                }
            }
        }
        columns
    }

    #[inline(always)]
    fn prefetch(place: *const u8) {
        // SAFETY: a prefetch reads nothing and may name any address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(place.cast()) }
    }

    #[inline(always)]
    fn prefetch_far(place: *const u8) {
        // SAFETY: a prefetch reads nothing and may name any address.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(place.cast()) }
    }

    #[inline(always)]
    fn sums(total: i32) -> Self::Sums {
        let offset = if VNNI { total.wrapping_mul(-128) } else { 0 };
        // SAFETY: see above.
        unsafe { [_mm256_set1_epi32(offset); 2] }
    }

    #[inline(always)]
    fn weights(quads: &WeightQuads) -> Self::Weights {
        // SAFETY: see above.
        unsafe {
            let signed = load_bytes(quads.as_ptr().cast());
            let offset = _mm256_set1_epi8(i8::MIN);
            let unsigned = each_half!(|half| match VNNI {
                true => _mm256_xor_si256(signed[half], offset),
                false => _mm256_abs_epi8(signed[half]),
            });
            SignedWeights { signed, unsigned }
        }
    }

    /// Without VNNI, products of magnitudes (up to 128) and of activations that carry the weight's
    /// sign (within ±127): a pair is at most 2 × 128 × 127, which sixteen bits hold.
    #[inline(always)]
    fn add_products(sums: Self::Sums, weights: Self::Weights, quad: i32) -> Self::Sums {
        // SAFETY: see above.
        unsafe {
            let quad = _mm256_set1_epi32(quad);
            let ones = _mm256_set1_epi16(1);
            each_half!(|half| match VNNI {
                true => _mm256_dpbusd_avx_epi32(sums[half], weights.unsigned[half], quad),
                false => {
                    let values = _mm256_sign_epi8(quad, weights.signed[half]);
                    let pairs = _mm256_maddubs_epi16(weights.unsigned[half], values);
                    _mm256_add_epi32(sums[half], _mm256_madd_epi16(pairs, ones))
                }
            })
        }
    }

    #[inline(always)]
    fn finish(sums: Self::Sums) -> Self {
        // SAFETY: see above.
        unsafe { Self([_mm256_cvtepi32_ps(sums[0]), _mm256_cvtepi32_ps(sums[1])]) }
    }

    #[inline(always)]
    fn nibble_sums(_total: i32) -> Self::NibbleSums {
        // SAFETY: see above.
        unsafe { [_mm256_setzero_si256(); 2] }
    }

    #[inline(always)]
    fn nibbles(quads: &NibbleQuads) -> Self::Nibbles {
        // SAFETY: see above.
        unsafe {
            let mask = _mm256_set1_epi8(15);
            let quads = load_bytes(quads.as_ptr());
            [
                each_half!(|half| _mm256_and_si256(quads[half], mask)),
                each_half!(|half| _mm256_and_si256(_mm256_srli_epi16::<4>(quads[half]), mask)),
            ]
        }
    }

    #[inline(always)]
    fn add_nibbles(
        sums: Self::NibbleSums,
        nibbles: Self::Nibbles,
        quads: [i32; 2],
    ) -> Self::NibbleSums {
        // SAFETY: see above.
        unsafe {
            let first = _mm256_set1_epi32(quads[0]);
            let second = _mm256_set1_epi32(quads[1]);
            each_half!(|half| {
                let low = _mm256_maddubs_epi16(nibbles[0][half], first);
                let high = _mm256_maddubs_epi16(nibbles[1][half], second);
                _mm256_add_epi16(sums[half], _mm256_add_epi16(low, high))
            })
        }
    }

    #[inline(always)]
    fn finish_nibbles(sums: Self::NibbleSums, total: i32) -> Self {
        // SAFETY: see above.
        unsafe {
            let ones = _mm256_set1_epi16(1);
            let offset = _mm256_set1_epi32(total.wrapping_mul(8));
            Self(each_half!(|half| {
                let sums = _mm256_sub_epi32(_mm256_madd_epi16(sums[half], ones), offset);
                _mm256_cvtepi32_ps(sums)
            }))
        }
    }
}

#[inline(always)]
fn halves<T>(from: &[T; LANES]) -> [&[T]; 2] {
    let (low, high) = from.split_at(LANES / 2);
    [low, high]
}

/// Loads 64 bytes.
///
/// # Safety
/// AVX2 must be there, and 64 bytes at `from`.
#[inline(always)]
unsafe fn load_bytes(from: *const u8) -> [__m256i; 2] {
    // SAFETY: by the caller's promise.
    unsafe {
        [
            _mm256_loadu_si256(from.cast()),
            _mm256_loadu_si256(from.add(32).cast()),
        ]
    }
}
