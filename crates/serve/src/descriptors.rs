//! File descriptors. Every connection uses one, and most systems start programs with a low limit.

/// Raises this process's limit to the system's maximum. Returns how many connections fit into it;
/// `None` if the system does not say.
pub fn room_for_connections() -> Option<usize> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the call fills the struct that it is given, which lives here.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return None;
    }
    let before = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: the call reads the struct that it is given.
    let raised = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } == 0;
    let files = if raised { limit.rlim_cur } else { before };
    usize::try_from(files).ok().map(connections_within)
}

/// Some descriptors are reserved for the journal, models and chains.
fn connections_within(files: usize) -> usize {
    (files / 4 * 3).saturating_sub(32).max(8)
}
