//! How much of the machine an engine takes.

use openlora_kernels::CpuPath;

/// Settings of all bases that a loader loads. None of them changes an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NativeSettings {
    /// Threads that compute; all cores if none.
    pub threads: Option<usize>,
    /// The instructions to use; the fastest ones of this machine if none.
    pub path: Option<CpuPath>,
    /// Sequences that are computed together.
    pub parallel: usize,
    /// Calls that may wait beyond those. While they do, payers with less than an equal part of all calls
    /// still get in, up to twice as many calls.
    pub queue: usize,
    /// Tokens of prompts that are computed in one step, between the next tokens of running answers.
    pub chunk_tokens: usize,
    /// Memory for keys and values, in bytes. If none: 1 GiB, but at least a full context, at most
    /// `parallel` of them, and at most half of the free memory.
    pub cache_bytes: Option<u64>,
    /// Memory for the factors of a base's adapters, in bytes. The least recently used ones leave it
    /// while no call uses them. Without a bound if none.
    pub adapter_bytes: Option<u64>,
}

impl Default for NativeSettings {
    fn default() -> Self {
        Self {
            threads: None,
            path: None,
            parallel: 32,
            queue: 1024,
            chunk_tokens: 128,
            cache_bytes: None,
            adapter_bytes: None,
        }
    }
}
