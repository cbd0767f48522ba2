//! The lanes as one AVX-512 register, with VNNI's dot products.

use std::arch::x86_64::*;

use half::{bf16, f16};

use super::{LANES, LaneKernel, Lanes, NibbleQuads, WeightQuads};

#[derive(Clone, Copy)]
pub(crate) struct Avx512Lanes(__m512);

/// Runs a kernel compiled for AVX-512.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
pub(crate) fn run_avx512<K: LaneKernel>(kernel: K) -> K::Output {
    kernel.run::<Avx512Lanes>()
}

// SAFETY of every block below: the instructions are part of the features of `run_avx512`, which alone
// instantiates these lanes and which `Cpu` only calls where the CPU has them. Loads and stores go
// through references to arrays of the register's size.
impl Lanes for Avx512Lanes {
    const WIDE: bool = true;
    type Sums = __m512i;
    /// Weights plus 128, for VNNI's products of unsigned and signed bytes.
    type Weights = __m512i;
    type Nibbles = [__m512i; 2];
    type NibbleSums = __m512i;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        // SAFETY: see above.
        unsafe { Self(_mm512_set1_ps(value)) }
    }

    #[inline(always)]
    fn load(from: &[f32; LANES]) -> Self {
        // SAFETY: see above.
        unsafe { Self(_mm512_loadu_ps(from.as_ptr())) }
    }

    #[inline(always)]
    fn store(self, to: &mut [f32; LANES]) {
        // SAFETY: see above.
        unsafe { _mm512_storeu_ps(to.as_mut_ptr(), self.0) }
    }

    #[inline(always)]
    fn load_f16(from: &[f16; LANES]) -> Self {
        // SAFETY: see above.
        unsafe { Self(_mm512_cvtph_ps(_mm256_loadu_si256(from.as_ptr().cast()))) }
    }

    #[inline(always)]
    fn load_bf16(from: &[bf16; LANES]) -> Self {
        // SAFETY: see above.
        unsafe {
            let bits = _mm512_cvtepu16_epi32(_mm256_loadu_si256(from.as_ptr().cast()));
            Self(_mm512_castsi512_ps(_mm512_slli_epi32::<16>(bits)))
        }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { Self(_mm512_add_ps(self.0, other.0)) }
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { Self(_mm512_sub_ps(self.0, other.0)) }
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { Self(_mm512_mul_ps(self.0, other.0)) }
    }

    #[inline(always)]
    fn div(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { Self(_mm512_div_ps(self.0, other.0)) }
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { Self(_mm512_max_ps(self.0, other.0)) }
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { Self(_mm512_min_ps(self.0, other.0)) }
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        // SAFETY: see above.
        unsafe { Self(_mm512_fmadd_ps(self.0, factor.0, addend.0)) }
    }

    #[inline(always)]
    fn power_of_two(self) -> Self {
        // SAFETY: see above.
        unsafe {
            let shifted = _mm512_slli_epi32::<23>(_mm512_castps_si512(self.0));
            let one = _mm512_castps_si512(_mm512_set1_ps(1.0));
            Self(_mm512_castsi512_ps(_mm512_add_epi32(shifted, one)))
        }
    }

    #[inline(always)]
    fn zero_below(self, key: Self, limit: Self) -> Self {
        // SAFETY: see above.
        unsafe {
            let keep = _mm512_cmp_ps_mask::<_CMP_NLT_UQ>(key.0, limit.0);
            Self(_mm512_maskz_mov_ps(keep, self.0))
        }
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
        // SAFETY: see above.
        unsafe { _mm512_set1_epi32(total.wrapping_mul(-128)) }
    }

    #[inline(always)]
    fn weights(quads: &WeightQuads) -> Self::Weights {
        // SAFETY: see above.
        unsafe {
            let quads = _mm512_loadu_si512(quads.as_ptr().cast());
            _mm512_xor_si512(quads, _mm512_set1_epi8(i8::MIN))
        }
    }

    #[inline(always)]
    fn add_products(sums: Self::Sums, weights: Self::Weights, quad: i32) -> Self::Sums {
        // SAFETY: see above.
        unsafe { _mm512_dpbusd_epi32(sums, weights, _mm512_set1_epi32(quad)) }
    }

    #[inline(always)]
    fn finish(sums: Self::Sums) -> Self {
        // SAFETY: see above.
        unsafe { Self(_mm512_cvtepi32_ps(sums)) }
    }

    #[inline(always)]
    fn nibble_sums(total: i32) -> Self::NibbleSums {
        // SAFETY: see above.
        unsafe { _mm512_set1_epi32(total.wrapping_mul(-8)) }
    }

    #[inline(always)]
    fn nibbles(quads: &NibbleQuads) -> Self::Nibbles {
        // SAFETY: see above.
        unsafe {
            let quads = _mm512_loadu_si512(quads.as_ptr().cast());
            let mask = _mm512_set1_epi8(15);
            let high = _mm512_and_si512(_mm512_srli_epi16::<4>(quads), mask);
            [_mm512_and_si512(quads, mask), high]
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
            let sums = _mm512_dpbusd_epi32(sums, nibbles[0], _mm512_set1_epi32(quads[0]));
            _mm512_dpbusd_epi32(sums, nibbles[1], _mm512_set1_epi32(quads[1]))
        }
    }

    #[inline(always)]
    fn finish_nibbles(sums: Self::NibbleSums, _total: i32) -> Self {
        Self::finish(sums)
    }
}
