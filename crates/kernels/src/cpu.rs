//! Which instructions the kernels use, and the threads they run on.

use crate::{
    CpuPath, KernelError,
    lanes::{LaneKernel, ScalarLanes},
    workers::Workers,
};

/// Values that justify a task of their own: some microseconds.
const TASK_VALUES: usize = 8192;
/// Enough for threads that are interrupted not to be waited for long.
pub(crate) const TASKS_PER_THREAD: usize = 4;

/// A path and a set of threads: what every kernel runs on. Neither changes a result. Calls from several
/// threads take turns.
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

    /// Runs `work` once for each task on these threads and returns when all have ended. Tasks must not
    /// depend on one another, nor call a kernel of this `Cpu`.
    ///
    /// # Panics
    /// If a task does, after the others have ended.
    pub fn run_tasks<T: Send>(&self, tasks: Vec<T>, work: impl Fn(T) + Sync) {
        self.workers.run(tasks, work);
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
        self.run_tasks(tasks, |(index, rows)| work(index * block, rows));
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
