//! Dot products of 8-bit rows, exact in 32 bits, at memory speed.
//!
//! All kernels give the same integers; the fastest available one is detected once.

use std::sync::LazyLock;

/// A kernel for dot products of rows of at most 65 536 values.
#[derive(Clone, Copy)]
pub struct DotKernel {
    pub name: &'static str,
    dot: fn(&[i8], &[i8], i32) -> i32,
}

impl DotKernel {
    /// `sum` is the sum of `right`.
    pub fn dot(&self, left: &[i8], right: &[i8], sum: i32) -> i32 {
        assert_eq!(left.len(), right.len(), "rows must agree in length");
        (self.dot)(left, right, sum)
    }
}

static KERNELS: LazyLock<Vec<DotKernel>> = LazyLock::new(detect_kernels);

/// All kernels that this machine supports, the fastest first.
pub fn kernels() -> &'static [DotKernel] {
    &KERNELS
}

/// Sum of a row.
pub fn total(row: &[i8]) -> i32 {
    row.iter().map(|value| i32::from(*value)).sum()
}

fn detect_kernels() -> Vec<DotKernel> {
    let mut kernels = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512vnni")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512f")
        {
            kernels.push(DotKernel {
                name: "avx512-vnni",
                dot: x86::vnni,
            });
        }
        if is_x86_feature_detected!("avx2") {
            kernels.push(DotKernel {
                name: "avx2",
                dot: x86::avx2,
            });
        }
    }
    kernels.push(DotKernel {
        name: "portable",
        dot: portable,
    });
    kernels
}

fn portable(left: &[i8], right: &[i8], _sum: i32) -> i32 {
    let products = left.iter().zip(right);
    products
        .map(|(a, b)| i32::from(i16::from(*a) * i16::from(*b)))
        .sum()
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m128i, __m512i, _mm_loadu_si128, _mm256_add_epi32, _mm256_cvtepi8_epi16,
        _mm256_madd_epi16, _mm256_setzero_si256, _mm256_storeu_si256, _mm512_dpbusd_epi32,
        _mm512_loadu_si512, _mm512_reduce_add_epi32, _mm512_set1_epi8, _mm512_setzero_si512,
        _mm512_xor_si512,
    };

    pub fn vnni(left: &[i8], right: &[i8], sum: i32) -> i32 {
        // SAFETY: the kernel is listed only where these features were detected.
        unsafe { vnni_inner(left, right, sum) }
    }

    pub fn avx2(left: &[i8], right: &[i8], _sum: i32) -> i32 {
        // SAFETY: as above.
        unsafe { avx2_inner(left, right) }
    }

    /// The instruction multiplies unsigned by signed values: 128 is added to the left ones, and 128
    /// times the sum of the right ones is subtracted.
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    unsafe fn vnni_inner(left: &[i8], right: &[i8], sum: i32) -> i32 {
        let flip = _mm512_set1_epi8(i8::MIN);
        let mut sums = [_mm512_setzero_si512(); 4];
        let whole = left.len() / 256 * 256;
        for at in (0..whole).step_by(256) {
            for (lane, sums) in sums.iter_mut().enumerate() {
                // SAFETY: at + 256 ≤ the length of both.
                let (a, b) = unsafe {
                    (
                        _mm512_loadu_si512(left.as_ptr().add(at + 64 * lane).cast::<__m512i>()),
                        _mm512_loadu_si512(right.as_ptr().add(at + 64 * lane).cast::<__m512i>()),
                    )
                };
                *sums = _mm512_dpbusd_epi32(*sums, _mm512_xor_si512(a, flip), b);
            }
        }
        let shifted: i32 = sums
            .into_iter()
            .map(|sums| _mm512_reduce_add_epi32(sums))
            .sum();
        let rest = super::portable(&left[whole..], &right[whole..], 0);
        let counted = sum - super::total(&right[whole..]);
        shifted - 128 * counted + rest
    }

    #[target_feature(enable = "avx2")]
    unsafe fn avx2_inner(left: &[i8], right: &[i8]) -> i32 {
        let mut sums = _mm256_setzero_si256();
        let whole = left.len() / 16 * 16;
        for at in (0..whole).step_by(16) {
            // SAFETY: at + 16 ≤ the length of both.
            let (a, b) = unsafe {
                (
                    _mm_loadu_si128(left.as_ptr().add(at).cast::<__m128i>()),
                    _mm_loadu_si128(right.as_ptr().add(at).cast::<__m128i>()),
                )
            };
            let products = _mm256_madd_epi16(_mm256_cvtepi8_epi16(a), _mm256_cvtepi8_epi16(b));
            sums = _mm256_add_epi32(sums, products);
        }
        let mut lanes = [0i32; 8];
        // SAFETY: the lanes are 32 bytes.
        unsafe { _mm256_storeu_si256(lanes.as_mut_ptr().cast(), sums) };
        lanes.into_iter().sum::<i32>() + super::portable(&left[whole..], &right[whole..], 0)
    }
}
