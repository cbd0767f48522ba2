//! Buffers of activations and gradients that passes over similar batches use again.
//!
//! A fresh buffer of megabytes costs more than filling it: the system maps and clears its pages one
//! by one. Here it returns to its pool when it is dropped. This module does not know what buffers hold.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Buffers that are not in use.
#[derive(Default)]
pub struct BufferPool {
    idle: Mutex<IdleBuffers>,
}

#[derive(Default)]
struct IdleBuffers {
    pass: u64,
    /// With the pass in which each was returned.
    buffers: Vec<(u64, Vec<f32>)>,
}

impl BufferPool {
    /// A buffer of `len` values, which may be those of an earlier use.
    pub fn take(self: &Arc<Self>, len: usize) -> PooledBuffer {
        let mut idle = self.idle();
        let buffers = idle.buffers.iter().enumerate();
        // A large one for little takes less memory than one more.
        let fitting = buffers.filter(|(_, (_, it))| it.len() >= len);
        let best = fitting.min_by_key(|(_, (_, it))| it.len());
        let values = match best.map(|(at, _)| at) {
            Some(at) => idle.buffers.swap_remove(at).1,
            None => vec![0.0; rounded(len)],
        };
        drop(idle);
        PooledBuffer {
            values,
            len,
            pool: self.clone(),
        }
    }

    /// Begins a pass, and frees what the one before it did not use.
    pub fn begin_pass(&self) {
        let mut idle = self.idle();
        let last = idle.pass;
        idle.buffers.retain(|(pass, _)| *pass == last);
        idle.pass += 1;
    }

    /// Frees all buffers that are not in use.
    pub fn clear(&self) {
        self.idle().buffers.clear();
    }

    fn idle(&self) -> MutexGuard<'_, IdleBuffers> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Batches differ a little in size, and should share buffers.
fn rounded(len: usize) -> usize {
    len.next_multiple_of((len.next_power_of_two() / 16).max(1))
}

impl fmt::Debug for BufferPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BufferPool({} idle)", self.idle().buffers.len())
    }
}

/// A buffer that returns to its pool.
pub struct PooledBuffer {
    values: Vec<f32>,
    len: usize,
    pool: Arc<BufferPool>,
}

impl Deref for PooledBuffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.values[..self.len]
    }
}

impl DerefMut for PooledBuffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.values[..self.len]
    }
}

impl Drop for PooledBuffer {
    fn drop(&mut self) {
        let values = std::mem::take(&mut self.values);
        let mut idle = self.pool.idle();
        let pass = idle.pass;
        idle.buffers.push((pass, values));
    }
}
