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
    fn transpose(rows: [Self; LANES]) -> [Self; LANES] {
        // SAFETY: see above.
        unsafe {
            let mut pairs = rows;
            for at in (0..LANES).step_by(2) {
                let (one, two) = (rows[at].0, rows[at + 1].0);
                pairs[at] = Self(_mm512_unpacklo_ps(one, two));
                pairs[at + 1] = Self(_mm512_unpackhi_ps(one, two));
            }
            // Afterwards, quads[4 i + j] holds in its part l of four lanes the values of rows 4 i to
            // 4 i + 3 in column 4 l + j.
            let mut quads = pairs;
            for at in (0..LANES).step_by(4) {
                for half in 0..2 {
                    let one = _mm512_castps_pd(pairs[at + half].0);
                    let two = _mm512_castps_pd(pairs[at + half + 2].0);
                    let low = _mm512_unpacklo_pd(one, two);
                    let high = _mm512_unpackhi_pd(one, two);
                    quads[at + 2 * half] = Self(_mm512_castpd_ps(low));
                    quads[at + 2 * half + 1] = Self(_mm512_castpd_ps(high));
                }
            }
            let mut columns = quads;
            for at in 0..4 {
                let (one, two) = (quads[at].0, quads[at + 4].0);
                let (three, four) = (quads[at + 8].0, quads[at + 12].0);
                let even = _mm512_shuffle_f32x4::<0x88>(one, two);
                let odd = _mm512_shuffle_f32x4::<0xdd>(one, two);
                let later_even = _mm512_shuffle_f32x4::<0x88>(three, four);
                let later_odd = _mm512_shuffle_f32x4::<0xdd>(three, four);
                columns[at] = Self(_mm512_shuffle_f32x4::<0x88>(even, later_even));
                columns[at + 4] = Self(_mm512_shuffle_f32x4::<0x88>(odd, later_odd));
                columns[at + 8] = Self(_mm512_shuffle_f32x4::<0xdd>(even, later_even));
                columns[at + 12] = Self(_mm512_shuffle_f32x4::<0xdd>(odd, later_odd));
            }
            columns
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
