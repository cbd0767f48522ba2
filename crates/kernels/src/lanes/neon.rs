//! The lanes as four NEON registers, with the dot products of Armv8.2.

use std::arch::{aarch64::*, asm};

use half::{bf16, f16};

use super::{LANES, LaneKernel, Lanes, NibbleQuads, WeightQuads};

#[derive(Clone, Copy)]
pub(crate) struct NeonLanes([float32x4_t; 4]);

/// Runs a kernel compiled for NEON with dot products.
#[target_feature(enable = "neon,dotprod")]
pub(crate) fn run_neon<K: LaneKernel>(kernel: K) -> K::Output {
    kernel.run::<NeonLanes>()
}

/// An array of the four registers. Closures would have to be inlined to keep the path's instructions.
macro_rules! each_part {
    (|$part:ident| $value:expr) => {
        [
            {
                let $part = 0;
                $value
            },
            {
                let $part = 1;
                $value
            },
            {
                let $part = 2;
                $value
            },
            {
                let $part = 3;
                $value
            },
        ]
    };
}

// SAFETY of every block below: the instructions are part of the features of `run_neon`, which alone
// instantiates these lanes and which `Cpu` only calls where the CPU has them. Loads and stores go
// through references to arrays of the registers' size.
impl Lanes for NeonLanes {
    const WIDE: bool = false;
    type Sums = [int32x4_t; 4];
    type Weights = [int8x16_t; 4];
    /// The low halves, then the high ones.
    type Nibbles = [[int8x16_t; 4]; 2];
    type NibbleSums = [int32x4_t; 4];

    #[inline(always)]
    fn splat(value: f32) -> Self {
        // SAFETY: see above.
        unsafe { Self([vdupq_n_f32(value); 4]) }
    }

    #[inline(always)]
    fn load(from: &[f32; LANES]) -> Self {
        let parts = from.as_chunks::<4>().0;
        // SAFETY: see above.
        unsafe { Self(each_part!(|part| vld1q_f32(parts[part].as_ptr()))) }
    }

    #[inline(always)]
    fn store(self, to: &mut [f32; LANES]) {
        for (to, part) in to.as_chunks_mut::<4>().0.iter_mut().zip(self.0) {
            // SAFETY: see above.
            unsafe { vst1q_f32(to.as_mut_ptr(), part) }
        }
    }

    #[inline(always)]
    fn load_f16(from: &[f16; LANES]) -> Self {
        let parts = from.as_chunks::<4>().0;
        // SAFETY: see above.
        unsafe {
            Self(each_part!(|part| {
                let bits = vld1_u16(parts[part].as_ptr().cast());
                vcvt_f32_f16(vreinterpret_f16_u16(bits))
            }))
        }
    }

    #[inline(always)]
    fn load_bf16(from: &[bf16; LANES]) -> Self {
        let parts = from.as_chunks::<4>().0;
        // SAFETY: see above.
        unsafe {
            Self(each_part!(|part| {
                let bits = vld1_u16(parts[part].as_ptr().cast());
                vreinterpretq_f32_u32(vshll_n_u16::<16>(bits))
            }))
        }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { Self(each_part!(|part| vaddq_f32(self.0[part], other.0[part]))) }
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { Self(each_part!(|part| vsubq_f32(self.0[part], other.0[part]))) }
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { Self(each_part!(|part| vmulq_f32(self.0[part], other.0[part]))) }
    }

    #[inline(always)]
    fn div(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { Self(each_part!(|part| vdivq_f32(self.0[part], other.0[part]))) }
    }

    /// A comparison and a choice, because NEON's own maximum treats NaN and zeros otherwise.
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe {
            Self(each_part!(|part| {
                let (a, b) = (self.0[part], other.0[part]);
                vbslq_f32(vcgtq_f32(a, b), a, b)
            }))
        }
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe {
            Self(each_part!(|part| {
                let (a, b) = (self.0[part], other.0[part]);
                vbslq_f32(vcltq_f32(a, b), a, b)
            }))
        }
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        // SAFETY: see above.
        unsafe {
            Self(each_part!(|part| {
                vfmaq_f32(addend.0[part], self.0[part], factor.0[part])
            }))
        }
    }

    #[inline(always)]
    fn power_of_two(self) -> Self {
        // SAFETY: see above.
        unsafe {
            let one = vdupq_n_u32(1.0_f32.to_bits());
            Self(each_part!(|part| {
                let shifted = vshlq_n_u32::<23>(vreinterpretq_u32_f32(self.0[part]));
                vreinterpretq_f32_u32(vaddq_u32(shifted, one))
            }))
        }
    }

    #[inline(always)]
    fn zero_below(self, key: Self, limit: Self) -> Self {
        // SAFETY: see above.
        unsafe {
            Self(each_part!(|part| {
                let below = vcltq_f32(key.0[part], limit.0[part]);
                let bits = vreinterpretq_u32_f32(self.0[part]);
                vreinterpretq_f32_u32(vbicq_u32(bits, below))
            }))
        }
    }

    /// These CPUs see by themselves that weights are read in order.
    #[inline(always)]
    fn prefetch(_place: *const u8) {}

    #[inline(always)]
    fn prefetch_far(_place: *const u8) {}

    #[inline(always)]
    fn sums(_total: i32) -> Self::Sums {
        // SAFETY: see above.
        unsafe { [vdupq_n_s32(0); 4] }
    }

    #[inline(always)]
    fn weights(quads: &WeightQuads) -> Self::Weights {
        let parts = quads.as_chunks::<16>().0;
        // SAFETY: see above.
        unsafe { each_part!(|part| vld1q_s8(parts[part].as_ptr())) }
    }

    #[inline(always)]
    fn add_products(sums: Self::Sums, weights: Self::Weights, quad: i32) -> Self::Sums {
        // SAFETY: see above.
        unsafe {
            let quad = vreinterpretq_s8_s32(vdupq_n_s32(quad));
            each_part!(|part| dot(sums[part], weights[part], quad))
        }
    }

    #[inline(always)]
    fn finish(sums: Self::Sums) -> Self {
        // SAFETY: see above.
        unsafe { Self(each_part!(|part| vcvtq_f32_s32(sums[part]))) }
    }

    #[inline(always)]
    fn nibble_sums(total: i32) -> Self::NibbleSums {
        // SAFETY: see above.
        unsafe { [vdupq_n_s32(total.wrapping_mul(-8)); 4] }
    }

    #[inline(always)]
    fn nibbles(quads: &NibbleQuads) -> Self::Nibbles {
        let parts = quads.as_chunks::<16>().0;
        // SAFETY: see above.
        unsafe {
            let quads: [uint8x16_t; 4] = each_part!(|part| vld1q_u8(parts[part].as_ptr()));
            [
                each_part!(|part| vreinterpretq_s8_u8(vandq_u8(quads[part], vdupq_n_u8(15)))),
                each_part!(|part| vreinterpretq_s8_u8(vshrq_n_u8::<4>(quads[part]))),
            ]
        }
    }

    #[inline(always)]
    fn add_nibbles(
        sums: Self::NibbleSums,
        nibbles: Self::Nibbles,
        quads: [i32; 2],
    ) -> Self::NibbleSums {
        let sums = Self::add_products(sums, nibbles[0], quads[0]);
        Self::add_products(sums, nibbles[1], quads[1])
    }

    #[inline(always)]
    fn finish_nibbles(sums: Self::NibbleSums, _total: i32) -> Self {
        Self::finish(sums)
    }
}

/// Adds products of four bytes to each lane. The intrinsic `vdotq_s32` is not stable yet.
#[target_feature(enable = "neon,dotprod")]
#[inline]
fn dot(mut sums: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
    // SAFETY: the instruction reads and writes these three registers only.
    unsafe {
        asm!(
            "sdot {sums:v}.4s, {a:v}.16b, {b:v}.16b",
            sums = inout(vreg) sums,
            a = in(vreg) a,
            b = in(vreg) b,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    sums
}
