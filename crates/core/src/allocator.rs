//! How the C library's allocator keeps free memory, for processes that run for long.

/// Threads share two heaps, and large blocks go back to the system when they are freed.
///
/// By default, glibc gives eight heaps per core to threads, and each keeps the most that any task on its
/// threads ever took. A server whose tasks move between threads then grows for hours. Called before the
/// threads begin their work. Other C libraries have no such heaps, and the call does nothing.
pub fn share_heaps() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    for (setting, value) in [
        (libc::M_ARENA_MAX, HEAPS),
        (libc::M_MMAP_THRESHOLD, LARGE_BLOCK),
    ] {
        // SAFETY: the call takes numbers only. Where it refuses one, memory is kept as by default.
        unsafe { libc::mallopt(setting, value) };
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
const HEAPS: i32 = 2;

/// In bytes. Below it, mapping memory anew would cost more than the block's use.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const LARGE_BLOCK: i32 = 1 << 20;
