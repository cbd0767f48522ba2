//! Threads that share the tasks of one kernel call.
//!
//! A token of a small model takes some hundred calls of ten microseconds each, so handing over a
//! call must cost less than one: between calls, threads look for work for a short while before they
//! sleep. Tasks are claimed one by one, so that a thread that the system interrupts holds up one task
//! at most. This module does not know kernels.

use std::{
    any::Any,
    fmt,
    hint::spin_loop,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    ptr,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
};

/// Looks for work before a thread sleeps, and for the end of a call before it yields: some tens of
/// microseconds.
const SPINS: usize = 2000;

/// A call, by the number of the task.
type Work<'a> = &'a (dyn Fn(usize) + Sync);

#[derive(Default)]
struct Shared {
    /// Unclaimed tasks; the last one is claimed first.
    unclaimed: AtomicUsize,
    /// Tasks that have ended.
    ended: AtomicUsize,
    /// Points to the `Work` of the present call.
    work: AtomicPtr<()>,
    stop: AtomicBool,
    sleeping: AtomicUsize,
    asleep: Mutex<()>,
    wake: Condvar,
    /// What the first task that panicked left.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

pub(crate) struct Workers {
    shared: Arc<Shared>,
    /// Held by the thread whose call is running.
    call: Mutex<()>,
    helpers: Vec<JoinHandle<()>>,
}

impl Workers {
    /// `threads` threads, of which the caller of `run` is one.
    pub(crate) fn new(threads: usize) -> Self {
        let shared = Arc::<Shared>::default();
        let helper = |index: usize| {
            let shared = Arc::clone(&shared);
            let builder = thread::Builder::new().name(format!("kernels-{index}"));
            // A system that refuses a thread makes calls slower, not wrong.
            builder.spawn(move || shared.help()).ok()
        };
        Self {
            helpers: (1..threads).filter_map(helper).collect(),
            call: Mutex::default(),
            shared,
        }
    }

    pub(crate) fn threads(&self) -> usize {
        self.helpers.len() + 1
    }

    /// Runs `work` once for each task and returns when all have ended. Tasks must not depend on one
    /// another, nor call `run`.
    ///
    /// # Panics
    /// If a task does, after the others have ended.
    pub(crate) fn run<T: Send>(&self, tasks: Vec<T>, work: impl Fn(T) + Sync) {
        if tasks.len() < 2 || self.helpers.is_empty() {
            return tasks.into_iter().for_each(work);
        }
        let slots: Vec<Mutex<Option<T>>> =
            tasks.into_iter().map(|it| Mutex::new(Some(it))).collect();
        self.run_indexed(slots.len(), &|index| {
            let task = lock(&slots[index]).take();
            task.into_iter().for_each(&work);
        });
    }

    fn run_indexed(&self, tasks: usize, work: Work<'_>) {
        let _call = lock(&self.call);
        let shared = &*self.shared;
        shared.ended.store(0, Ordering::Relaxed);
        shared
            .work
            .store(ptr::from_ref(&work).cast_mut().cast(), Ordering::Relaxed);
        shared.unclaimed.store(tasks, Ordering::SeqCst);
        if shared.sleeping.load(Ordering::SeqCst) > 0 {
            drop(lock(&shared.asleep));
            shared.wake.notify_all();
        }
        while shared.run_task() {}
        let mut spins = 0;
        while shared.ended.load(Ordering::Acquire) < tasks {
            spins = pause(spins);
        }
        if let Some(payload) = lock(&shared.panic).take() {
            resume_unwind(payload);
        }
    }
}

impl Shared {
    /// Life of a helper.
    fn help(&self) {
        let mut spins = 0;
        while !self.stop.load(Ordering::Relaxed) {
            if self.run_task() {
                spins = 0;
            } else if spins < SPINS {
                spins = pause(spins);
            } else {
                self.sleep();
                spins = 0;
            }
        }
    }

    fn sleep(&self) {
        let mut guard = lock(&self.asleep);
        // Either this thread sees the tasks of a new call, or that call sees that it sleeps.
        self.sleeping.fetch_add(1, Ordering::SeqCst);
        while self.unclaimed.load(Ordering::SeqCst) == 0 && !self.stop.load(Ordering::SeqCst) {
            guard = self
                .wake
                .wait(guard)
                .unwrap_or_else(PoisonError::into_inner);
        }
        self.sleeping.fetch_sub(1, Ordering::SeqCst);
    }

    /// Claims and runs a task; false if there is none.
    #[allow(
        unsafe_code,
        reason = "borrows the caller's work for the length of its call"
    )]
    fn run_task(&self) -> bool {
        let claim = |tasks: usize| tasks.checked_sub(1);
        let (order, failed) = (Ordering::Acquire, Ordering::Relaxed);
        let Ok(tasks) = self.unclaimed.fetch_update(order, failed, claim) else {
            return false;
        };
        // SAFETY: `run_indexed` stored a pointer to a `Work` on its stack before it released the
        // tasks, and does not return before every claimed task has been counted as ended below.
        let work = unsafe { *self.work.load(Ordering::Relaxed).cast::<Work<'_>>() };
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| work(tasks - 1))) {
            lock(&self.panic).get_or_insert(payload);
        }
        self.ended.fetch_add(1, Ordering::Release);
        true
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        drop(lock(&self.shared.asleep));
        self.shared.wake.notify_all();
        for helper in self.helpers.drain(..) {
            // A helper catches what its tasks throw.
            let _ = helper.join();
        }
    }
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Workers({})", self.threads())
    }
}

/// Waits a moment, and lets other programs run once it has taken long.
fn pause(spins: usize) -> usize {
    match spins < SPINS {
        true => spin_loop(),
        false => thread::yield_now(),
    }
    spins.saturating_add(1)
}

/// No code panics while it holds one of these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
