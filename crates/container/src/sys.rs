//! The system calls that std does not offer. All unsafe code of this crate is here.
//!
//! Everything that changes the process (namespaces, credentials, forks) is for a process with one
//! thread, which the jail's helper is.

use std::{
    ffi::CString,
    fs,
    io::{self, Write},
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
};

use libc::{c_int, c_long, c_ulong};

/// Writes into a file of the kernel, which is there.
pub fn write_setting(path: &Path, text: &str) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).open(path)?;
    // One write: the kernel takes each for itself.
    file.write_all(text.as_bytes())
}

/// Creates an empty file to mount on, if there is none.
pub fn mount_point(path: &Path) -> io::Result<()> {
    let made = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path);
    match made {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// A path as the kernel takes it.
fn c_path(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| io::ErrorKind::InvalidInput.into())
}

fn checked(result: c_int) -> io::Result<c_int> {
    match result {
        -1 => Err(io::Error::last_os_error()),
        done => Ok(done),
    }
}

fn checked_long(result: c_long) -> io::Result<c_long> {
    match result {
        -1 => Err(io::Error::last_os_error()),
        done => Ok(done),
    }
}

pub fn unshare(flags: c_int) -> io::Result<()> {
    // SAFETY: takes a number only.
    checked(unsafe { libc::unshare(flags) }).map(drop)
}

/// Which side of a fork this is.
pub enum Forked {
    Parent(libc::pid_t),
    Child,
}

/// Forks this process, which has one thread.
pub fn fork() -> io::Result<Forked> {
    // SAFETY: the process has one thread, so that no lock is held by another one in the child.
    match checked(unsafe { libc::fork() })? {
        0 => Ok(Forked::Child),
        child => Ok(Forked::Parent(child)),
    }
}

/// How a child ended, as a shell would give it: its code, or 128 and its signal.
pub fn wait(child: libc::pid_t) -> io::Result<i32> {
    let mut status = 0;
    loop {
        // SAFETY: the call writes the status into a variable that outlives it.
        match checked(unsafe { libc::waitpid(child, &raw mut status, 0) }) {
            Ok(_) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(match libc::WIFEXITED(status) {
        true => libc::WEXITSTATUS(status),
        false => 128 + libc::WTERMSIG(status),
    })
}

pub fn kill(process: libc::pid_t, signal: c_int) {
    // SAFETY: takes numbers only. The process may have ended already, which is no matter.
    let _ = unsafe { libc::kill(process, signal) };
}

/// Mounts `source` at `target`.
pub fn mount(
    source: &Path,
    target: &Path,
    kind: &str,
    flags: c_ulong,
    options: &str,
) -> io::Result<()> {
    let (source, target) = (c_path(source)?, c_path(target)?);
    let kind = CString::new(kind).map_err(io::Error::other)?;
    let options = CString::new(options).map_err(io::Error::other)?;
    // SAFETY: all texts end in NUL and outlive the call.
    checked(unsafe {
        libc::mount(
            source.as_ptr(),
            target.as_ptr(),
            kind.as_ptr(),
            flags,
            options.as_ptr().cast(),
        )
    })
    .map(drop)
}

/// Adds attributes to a mount, and to those below it if `recursive`.
pub fn restrict_mount(target: &Path, attributes: u64, recursive: bool) -> io::Result<()> {
    let target = c_path(target)?;
    let change = libc::mount_attr {
        attr_set: attributes,
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    let flags = if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path ends in NUL, the struct has the size that is passed, both outlive the call.
    checked_long(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            target.as_ptr(),
            flags,
            &raw const change,
            size_of::<libc::mount_attr>(),
        )
    })
    .map(drop)
}

/// Makes the working directory the root, and detaches the old root.
pub fn pivot_to_working_dir() -> io::Result<()> {
    let here = c".";
    // SAFETY: the path ends in NUL and outlives the calls.
    checked_long(unsafe { libc::syscall(libc::SYS_pivot_root, here.as_ptr(), here.as_ptr()) })?;
    // SAFETY: as above.
    checked(unsafe { libc::umount2(here.as_ptr(), libc::MNT_DETACH) }).map(drop)
}

pub fn set_host_name(name: &str) -> io::Result<()> {
    // SAFETY: the pointer and the length are those of one text, which outlives the call.
    checked(unsafe { libc::sethostname(name.as_ptr().cast(), name.len()) }).map(drop)
}

pub fn set_limit(resource: libc::__rlimit_resource_t, value: u64) -> io::Result<()> {
    let limit = libc::rlimit {
        rlim_cur: value,
        rlim_max: value,
    };
    // SAFETY: the call reads a struct that outlives it.
    checked(unsafe { libc::setrlimit(resource, &raw const limit) }).map(drop)
}

/// The hard limit; the soft one is not above it.
pub fn limit_of(resource: libc::__rlimit_resource_t) -> io::Result<u64> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the call writes into a struct that outlives it.
    checked(unsafe { libc::getrlimit(resource, &raw mut limit) })?;
    Ok(limit.rlim_max)
}

/// The processors that this process may run on.
pub fn processors() -> io::Result<Vec<usize>> {
    // SAFETY: a set of bits, for which zeros are valid.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the call writes into a set of the size that is passed.
    checked(unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) })?;
    let most = usize::try_from(libc::CPU_SETSIZE).unwrap_or_default();
    // SAFETY: the numbers are below the size of the set.
    Ok((0..most)
        .filter(|cpu| unsafe { libc::CPU_ISSET(*cpu, &set) })
        .collect())
}

pub fn run_on(processors: &[usize]) -> io::Result<()> {
    // SAFETY: a set of bits, for which zeros are valid.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    for cpu in processors {
        // SAFETY: CPU_SET ignores numbers beyond the set.
        unsafe { libc::CPU_SET(*cpu, &mut set) };
    }
    // SAFETY: the call reads a set of the size that is passed.
    checked(unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) })
        .map(drop)
}

/// A `prctl` that takes numbers only.
pub fn process_control(option: c_int, value: c_ulong) -> io::Result<()> {
    // SAFETY: the options that this crate passes take numbers.
    checked(unsafe { libc::prctl(option, value, 0, 0, 0) }).map(drop)
}

/// Takes every capability out of the bounding set.
pub fn drop_bounding_capabilities() -> io::Result<()> {
    for capability in 0..64 {
        match process_control(libc::PR_CAPBSET_DROP, capability) {
            Ok(()) => {}
            // The kernel knows no more.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[repr(C)]
struct CapabilityHeader {
    version: u32,
    pid: c_int,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct CapabilitySets {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// `_LINUX_CAPABILITY_VERSION_3`.
const CAPABILITY_VERSION: u32 = 0x2008_0522;

/// Gives up every effective, permitted, inheritable and ambient capability.
pub fn drop_capabilities() -> io::Result<()> {
    let header = CapabilityHeader {
        version: CAPABILITY_VERSION,
        pid: 0,
    };
    let none = CapabilitySets {
        effective: 0,
        permitted: 0,
        inheritable: 0,
    };
    // Version 3 reads two structs.
    let sets = [none; 2];
    // SAFETY: header and sets have the layout of version 3 and outlive the call.
    checked_long(unsafe { libc::syscall(libc::SYS_capset, &raw const header, sets.as_ptr()) })?;
    // SAFETY: takes numbers only.
    checked(unsafe {
        libc::prctl(
            libc::PR_CAP_AMBIENT,
            libc::PR_CAP_AMBIENT_CLEAR_ALL,
            0,
            0,
            0,
        )
    })
    .map(drop)
}

/// Becomes a user and group without further groups. This is a raw call per thread, for a process
/// with one thread.
pub fn become_user(user: u32) -> io::Result<()> {
    // SAFETY: no group is read from an empty list.
    checked(unsafe { libc::setgroups(0, std::ptr::null()) })?;
    // SAFETY: takes numbers only.
    checked(unsafe { libc::setresgid(user, user, user) })?;
    // SAFETY: takes numbers only.
    checked(unsafe { libc::setresuid(user, user, user) }).map(drop)
}

pub fn effective_user() -> u32 {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::geteuid() }
}

pub fn effective_group() -> u32 {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::getegid() }
}

/// Marks every descriptor from `first` to be closed when a program starts.
pub fn close_on_exec_from(first: u32) -> io::Result<()> {
    // SAFETY: takes numbers only; the descriptors stay open.
    checked_long(unsafe {
        libc::syscall(
            libc::SYS_close_range,
            first,
            u32::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    })
    .map(drop)
}

/// Replaces a standard stream.
pub fn replace_descriptor(with: RawFd, standard: RawFd) -> io::Result<()> {
    // SAFETY: `standard` is one of the three standard streams, which no object of ours owns.
    checked(unsafe { libc::dup2(with, standard) }).map(drop)
}

/// A set of signals.
fn signal_set(signals: &[c_int]) -> libc::sigset_t {
    // SAFETY: a set of bits, which sigemptyset makes valid before it is read.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: the set outlives the call.
    unsafe { libc::sigemptyset(&raw mut set) };
    for signal in signals {
        // SAFETY: the set outlives the call; an unknown signal is refused.
        unsafe { libc::sigaddset(&raw mut set, *signal) };
    }
    set
}

/// Holds back exactly these signals.
pub fn block_signals(signals: &[c_int]) -> io::Result<()> {
    let set = signal_set(signals);
    // SAFETY: the set outlives the call; the old mask is not asked for.
    checked(unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut()) })
        .map(drop)
}

/// A descriptor that delivers blocked signals.
pub fn signal_descriptor(signals: &[c_int]) -> io::Result<OwnedFd> {
    let set = signal_set(signals);
    // SAFETY: the set outlives the call.
    let fd = checked(unsafe { libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC) })?;
    // SAFETY: the descriptor is new, and nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The next signal of a [`signal_descriptor`].
pub fn next_signal(descriptor: &OwnedFd) -> io::Result<c_int> {
    // SAFETY: plain numbers, for which zeros are valid.
    let mut found: libc::signalfd_siginfo = unsafe { std::mem::zeroed() };
    let size = size_of::<libc::signalfd_siginfo>();
    // SAFETY: the call writes at most `size` bytes into a struct of that size.
    let read = unsafe { libc::read(descriptor.as_raw_fd(), (&raw mut found).cast(), size) };
    match usize::try_from(read) {
        Ok(read) if read == size => Ok(c_int::try_from(found.ssi_signo).unwrap_or_default()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Waits until one of two descriptors can be read or has ended; says which.
pub fn wait_readable(first: RawFd, second: RawFd) -> io::Result<[bool; 2]> {
    let watch = |fd| libc::pollfd {
        fd,
        events: libc::POLLIN,
        revents: 0,
    };
    let mut both = [watch(first), watch(second)];
    loop {
        // SAFETY: the array has two entries and outlives the call.
        match checked(unsafe { libc::poll(both.as_mut_ptr(), 2, -1) }) {
            Ok(_) => return Ok(both.map(|it| it.revents != 0)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Whether the mount of a path is read-only.
pub fn is_read_only(path: &Path) -> io::Result<bool> {
    let path = c_path(path)?;
    // SAFETY: plain numbers, for which zeros are valid.
    let mut found: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: the path ends in NUL; the call writes into a struct that outlives it.
    checked(unsafe { libc::statvfs(path.as_ptr(), &raw mut found) })?;
    Ok(found.f_flag & libc::ST_RDONLY != 0)
}

/// A system call as an attacker makes it: the name of its error, `None` if it worked. A descriptor
/// that it opens stays open: the flags among the arguments must have the program's start close it.
///
/// The arguments are numbers or null pointers, or paths through [`attempt_with_path`], so that a
/// call that works changes nothing in this process's memory.
pub fn attempt(call: c_long, arguments: [c_long; 5]) -> Option<String> {
    let [a, b, c, d, e] = arguments;
    // SAFETY: every pointer among the arguments is null, which the kernel refuses.
    let result = unsafe { libc::syscall(call, a, b, c, d, e) };
    (result == -1).then(|| error_name(&io::Error::last_os_error()))
}

/// The same with a path as the argument before `arguments`, after the working directory if `at`.
pub fn attempt_with_path(
    call: c_long,
    at: bool,
    path: &Path,
    arguments: [c_long; 3],
) -> Option<String> {
    let Ok(path) = c_path(path) else {
        return Some("EINVAL".to_owned());
    };
    let [a, b, c] = arguments;
    // SAFETY: the path ends in NUL and outlives the call; other pointers are null.
    let result = unsafe {
        match at {
            true => libc::syscall(call, libc::AT_FDCWD, path.as_ptr(), a, b, c),
            false => libc::syscall(call, path.as_ptr(), a, b, c),
        }
    };
    (result == -1).then(|| error_name(&io::Error::last_os_error()))
}

const ERROR_NAMES: &[(c_int, &str)] = &[
    (libc::EPERM, "EPERM"),
    (libc::ENOENT, "ENOENT"),
    (libc::ESRCH, "ESRCH"),
    (libc::EAGAIN, "EAGAIN"),
    (libc::ENOMEM, "ENOMEM"),
    (libc::EACCES, "EACCES"),
    (libc::EFAULT, "EFAULT"),
    (libc::EINVAL, "EINVAL"),
    (libc::EROFS, "EROFS"),
    (libc::EBADF, "EBADF"),
    (libc::EXDEV, "EXDEV"),
    (libc::ENODEV, "ENODEV"),
    (libc::ENOSYS, "ENOSYS"),
    (libc::ENOTDIR, "ENOTDIR"),
    (libc::EISDIR, "EISDIR"),
    (libc::ENOSPC, "ENOSPC"),
    (libc::ELOOP, "ELOOP"),
    (libc::ENETUNREACH, "ENETUNREACH"),
    (libc::ECONNREFUSED, "ECONNREFUSED"),
    (libc::ENXIO, "ENXIO"),
];

/// The symbol of a system error, as manual pages name it.
pub fn error_name(error: &io::Error) -> String {
    let code = error.raw_os_error().unwrap_or_default();
    let known = ERROR_NAMES.iter().find(|(known, _)| *known == code);
    known.map_or_else(|| format!("error {code}"), |(_, name)| (*name).to_owned())
}
