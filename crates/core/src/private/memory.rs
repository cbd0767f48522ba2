//! Secret keys in memory: excluded from core dumps and from swap.

use std::{fmt, io, marker::PhantomData, ops::Deref, ptr};

use memmap2::MmapMut;
use zeroize::Zeroize;

/// Disables core dumps of this process and its children, and prevents other processes of the same
/// user from attaching to it.
///
/// # Errors
///
/// The system refuses, which Linux does not.
pub fn forbid_dumps() -> io::Result<()> {
    let none = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the call reads a struct that outlives it.
    let mut refused = unsafe { libc::setrlimit(libc::RLIMIT_CORE, &none) };
    #[cfg(target_os = "linux")]
    if refused == 0 {
        // SAFETY: the call takes numbers only.
        refused = unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) };
    }
    match refused {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// A value on pages of its own. They are excluded from dumps (`MADV_DONTDUMP`), kept in memory
/// where the system allows it (`mlock`), and wiped on drop.
pub struct LockedMemory<T> {
    pages: MmapMut,
    holds: PhantomData<T>,
}

impl<T> LockedMemory<T> {
    /// # Errors
    /// The system has no memory left.
    pub fn new(value: T) -> io::Result<Self> {
        let mut pages = MmapMut::map_anon(size_of::<T>().max(1))?;
        #[cfg(target_os = "linux")]
        pages.advise(memmap2::Advice::DontDump)?;
        // The limit on locked memory is small; without the lock the key may be swapped out, but
        // still works.
        let _ = pages.lock();
        // SAFETY: the pages are writable, no smaller than the value, and aligned to a page.
        unsafe { pages.as_mut_ptr().cast::<T>().write(value) };
        Ok(Self {
            pages,
            holds: PhantomData,
        })
    }
}

impl<T> Deref for LockedMemory<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: `new` has put a value there, and it stays until `self` is dropped.
        unsafe { &*self.pages.as_ptr().cast::<T>() }
    }
}

impl<T> Drop for LockedMemory<T> {
    fn drop(&mut self) {
        // SAFETY: the value is initialised and not used again.
        unsafe { ptr::drop_in_place(self.pages.as_mut_ptr().cast::<T>()) };
        self.pages.zeroize();
    }
}

impl<T> fmt::Debug for LockedMemory<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Locked(hidden)")
    }
}
