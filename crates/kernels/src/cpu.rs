//! Which instructions the kernels use, and the threads they run on.

use std::fmt;

use crate::{KernelError, workers::Workers};

/// An implementation of the kernels. All give the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CpuPath {
    /// Portable code; the definition of the arithmetic.
    Scalar,
    /// x86-64 with AVX2, FMA and F16C.
    Avx2,
    /// x86-64 with AVX-512 (F, BW, VL, DQ) and VNNI.
    Avx512,
    /// AArch64 with the dot-product instructions.
    Neon,
}

impl CpuPath {
    pub const ALL: [Self; 4] = [Self::Scalar, Self::Avx2, Self::Avx512, Self::Neon];

    /// The fastest path of this CPU.
    pub fn detect() -> Self {
        Self::Scalar
    }

    /// Whether this CPU runs this path.
    pub fn is_supported(self) -> bool {
        self == Self::Scalar
    }
}

impl fmt::Display for CpuPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scalar => "scalar",
            Self::Avx2 => "AVX2",
            Self::Avx512 => "AVX-512",
            Self::Neon => "NEON",
        })
    }
}

/// A path and a set of threads: what every kernel runs on. Neither changes a result.
#[derive(Debug)]
pub struct Cpu {
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
}
