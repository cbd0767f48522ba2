//! Threads that share the tasks of one kernel call.

#[derive(Debug)]
pub(crate) struct Workers {
    threads: usize,
}

impl Workers {
    pub(crate) fn new(threads: usize) -> Self {
        Self {
            threads: threads.max(1),
        }
    }

    pub(crate) fn threads(&self) -> usize {
        self.threads
    }

    /// Runs `work` once for each task; tasks must not depend on one another.
    pub(crate) fn run<T: Send>(&self, tasks: Vec<T>, work: impl Fn(T) + Sync) {
        for task in tasks {
            work(task);
        }
    }
}
