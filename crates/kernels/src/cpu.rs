//! Which instructions the kernels use, and the threads they run on.

use std::fmt;

use crate::{
    KernelError,
    lanes::{LaneKernel, ScalarLanes},
    workers::Workers,
};

/// Values that justify a task of their own: some microseconds.
const TASK_VALUES: usize = 8192;
/// Enough for threads that are interrupted not to be waited for long.
pub(crate) const TASKS_PER_THREAD: usize = 4;

/// An implementation of the kernels. All give the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CpuPath {
    /// Portable code; the definition of the arithmetic.
    Scalar,
    /// x86-64 with AVX2, FMA and F16C.
    Avx2,
    /// As `Avx2`, with the dot products of AVX-VNNI.
    AvxVnni,
    /// x86-64 with AVX-512 (F, BW, VL, DQ) and VNNI.
    Avx512,
    /// AArch64 with the dot-product instructions.
    Neon,
}

impl CpuPath {
    /// From the slowest to the fastest.
    pub const ALL: [Self; 5] = [
        Self::Scalar,
        Self::Avx2,
        Self::AvxVnni,
        Self::Avx512,
        Self::Neon,
    ];

    /// The fastest path of this CPU.
    pub fn detect() -> Self {
        let mut fastest_first = Self::ALL.into_iter().rev();
        let fastest = fastest_first.find(|path| path.is_supported());
        fastest.unwrap_or(Self::Scalar)
    }

    /// Whether this CPU runs this path.
    pub fn is_supported(self) -> bool {
        match self {
            Self::Scalar => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => has_avx2(),
            #[cfg(target_arch = "x86_64")]
            Self::AvxVnni => has_avx2() && is_x86_feature_detected!("avxvnni"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                has_avx2()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vnni")
            }
            #[cfg(target_arch = "aarch64")]
            Self::Neon => {
                std::arch::is_aarch64_feature_detected!("neon")
                    && std::arch::is_aarch64_feature_detected!("dotprod")
            }
            #[allow(unreachable_patterns, reason = "paths of other architectures")]
            _ => false,
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn has_avx2() -> bool {
    is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("f16c")
}

impl fmt::Display for CpuPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scalar => "scalar",
            Self::Avx2 => "AVX2",
            Self::AvxVnni => "AVX-VNNI",
            Self::Avx512 => "AVX-512",
            Self::Neon => "NEON",
        })
    }
}

/// A path and a set of threads: what every kernel runs on. Neither changes a result.
#[derive(Debug)]
pub struct Cpu {
    /// Supported by this CPU: only the constructors set it.
    path: CpuPath,
    workers: Workers,
}

impl Cpu {
    /// The fastest path on `threads` threads, of which the caller's is one; 0 counts as 1.
    pub fn new(threads: usize) -> Self {
        Self {
            path: CpuPath::detect(),
            workers: Workers::new(threads),
        }
    }

    /// The given path instead of the fastest one.
    ///
    /// # Errors
    /// [`KernelError::UnsupportedPath`] if this CPU does not run it.
    pub fn with_path(path: CpuPath, threads: usize) -> Result<Self, KernelError> {
        match path.is_supported() {
            true => Ok(Self {
                path,
                workers: Workers::new(threads),
            }),
            false => Err(KernelError::UnsupportedPath { path }),
        }
    }

    pub fn path(&self) -> CpuPath {
        self.path
    }

    pub fn threads(&self) -> usize {
        self.workers.threads()
    }

    pub(crate) fn workers(&self) -> &Workers {
        &self.workers
    }

    /// Splits `rows`, each of `width` values, into blocks and runs `work(first row, rows)` on each.
    /// `cost` estimates a row's work in values that are read or written.
    pub(crate) fn for_row_blocks<T: Send>(
        &self,
        rows: &mut [T],
        width: usize,
        cost: usize,
        work: impl Fn(usize, &mut [T]) + Sync,
    ) {
        if width == 0 {
            return;
        }
        let count = rows.len() / width;
        let least = (TASK_VALUES / cost.max(1)).max(1);
        let block = count.div_ceil(self.threads() * TASKS_PER_THREAD).max(least);
        let tasks: Vec<(usize, &mut [T])> = rows.chunks_mut(block * width).enumerate().collect();
        self.workers
            .run(tasks, |(index, rows)| work(index * block, rows));
    }

    /// Runs a kernel on this thread.
    pub(crate) fn run<K: LaneKernel>(&self, kernel: K) -> K::Output {
        match self.path {
            // SAFETY: the path is supported.
            #[cfg(target_arch = "x86_64")]
            CpuPath::Avx2 => unsafe { crate::lanes::run_avx2(kernel) },
            // SAFETY: the path is supported.
            #[cfg(target_arch = "x86_64")]
            CpuPath::AvxVnni => unsafe { crate::lanes::run_avx_vnni(kernel) },
            // SAFETY: the path is supported.
            #[cfg(target_arch = "x86_64")]
            CpuPath::Avx512 => unsafe { crate::lanes::run_avx512(kernel) },
            // SAFETY: the path is supported.
            #[cfg(target_arch = "aarch64")]
            CpuPath::Neon => unsafe { crate::lanes::run_neon(kernel) },
            _ => kernel.run::<ScalarLanes>(),
        }
    }
}
