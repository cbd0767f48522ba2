//! The system calls that a container may make, for our own filter and for OCI runtimes.
//!
//! Everything that is not listed fails: mounts, namespaces, tracing, keys, kernel modules, io_uring,
//! BPF, other address families. `clone` makes threads only, so that one process is all there is.

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

/// A condition on an argument: its bits under `mask` equal `value`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArgumentTest {
    pub argument: u8,
    pub mask: u64,
    pub value: u64,
}

/// A permitted call. It is permitted if all tests of one row hold, or without rows always.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PermittedCall {
    pub name: &'static str,
    pub number: i64,
    pub rows: Vec<Vec<ArgumentTest>>,
}

macro_rules! calls {
    ($($name:ident)+) => {
        vec![$(PermittedCall {
            name: stringify!($name).trim_start_matches("SYS_"),
            number: libc::$name,
            rows: Vec::new(),
        }),+]
    };
}

/// The whole 32 bits of an argument.
const WORD: u64 = u32::MAX as u64;

fn is(argument: u8, value: u64) -> Vec<ArgumentTest> {
    let mask = WORD;
    vec![ArgumentTest {
        argument,
        mask,
        value,
    }]
}

fn bits(argument: u8, mask: u64, value: u64) -> Vec<ArgumentTest> {
    vec![ArgumentTest {
        argument,
        mask,
        value,
    }]
}

fn tested(name: &'static str, number: i64, rows: Vec<Vec<ArgumentTest>>) -> PermittedCall {
    PermittedCall { name, number, rows }
}

fn word(number: libc::c_int) -> u64 {
    u64::from(number.cast_unsigned())
}

/// Every permitted call on this processor.
pub fn permitted_calls() -> Vec<PermittedCall> {
    let mut all = calls!(
        // Descriptors and files.
        SYS_read SYS_write SYS_readv SYS_writev SYS_pread64 SYS_pwrite64 SYS_preadv SYS_pwritev
        SYS_openat SYS_close SYS_close_range SYS_fstat SYS_newfstatat SYS_statx SYS_statfs
        SYS_fstatfs SYS_lseek SYS_faccessat SYS_faccessat2 SYS_pipe2 SYS_dup SYS_dup3 SYS_fcntl
        SYS_flock SYS_fsync SYS_fdatasync SYS_ftruncate SYS_fallocate SYS_getdents64 SYS_getcwd
        SYS_chdir SYS_fchdir SYS_renameat SYS_renameat2 SYS_mkdirat SYS_unlinkat SYS_linkat
        SYS_symlinkat
        SYS_readlinkat SYS_fchmod SYS_fchmodat SYS_utimensat SYS_umask SYS_copy_file_range
        SYS_sendfile SYS_fadvise64 SYS_sync_file_range
        // Waiting.
        SYS_ppoll SYS_pselect6 SYS_epoll_create1 SYS_epoll_ctl SYS_epoll_pwait SYS_eventfd2
        SYS_timerfd_create SYS_timerfd_settime SYS_timerfd_gettime SYS_signalfd4 SYS_futex
        SYS_nanosleep SYS_clock_nanosleep SYS_clock_gettime SYS_clock_getres SYS_gettimeofday
        SYS_getitimer SYS_setitimer SYS_restart_syscall
        // Memory.
        SYS_munmap SYS_mprotect SYS_mremap SYS_madvise SYS_msync SYS_mincore SYS_mlock SYS_mlock2
        SYS_munlock SYS_brk
        // Signals, threads and this process.
        SYS_rt_sigaction SYS_rt_sigprocmask SYS_rt_sigreturn SYS_rt_sigtimedwait SYS_rt_sigsuspend
        SYS_rt_sigpending SYS_sigaltstack SYS_kill SYS_tgkill SYS_tkill SYS_wait4 SYS_waitid
        SYS_exit SYS_exit_group SYS_execve SYS_getpid SYS_getppid SYS_gettid SYS_getuid SYS_geteuid
        SYS_getgid SYS_getegid SYS_getgroups SYS_getresuid SYS_getresgid SYS_getpgid SYS_getsid
        SYS_set_tid_address SYS_set_robust_list SYS_get_robust_list SYS_rseq SYS_membarrier
        SYS_sched_yield SYS_sched_getaffinity SYS_sched_getparam SYS_sched_getscheduler
        SYS_sched_get_priority_max SYS_sched_get_priority_min SYS_getcpu SYS_getrlimit
        SYS_setrlimit SYS_prlimit64 SYS_getrusage SYS_times SYS_sysinfo SYS_uname SYS_capget
        SYS_getrandom
        // Sockets, which are local ones only.
        SYS_connect SYS_accept SYS_accept4 SYS_bind SYS_listen SYS_getsockname SYS_getpeername
        SYS_setsockopt SYS_getsockopt SYS_sendto SYS_recvfrom SYS_sendmsg SYS_recvmsg SYS_shutdown
        // The C library falls back to clone, because the other filter says ENOSYS.
        SYS_clone3
    );
    #[cfg(target_arch = "x86_64")]
    all.extend(calls!(
        SYS_open SYS_stat SYS_lstat SYS_access SYS_poll SYS_select SYS_pipe SYS_dup2 SYS_rename
        SYS_mkdir SYS_rmdir SYS_unlink SYS_link SYS_symlink SYS_readlink SYS_chmod SYS_epoll_create
        SYS_epoll_wait SYS_eventfd SYS_time SYS_alarm SYS_getpgrp SYS_arch_prctl
    ));
    all.extend(tested_calls());
    all
}

/// The calls of which only some uses are permitted.
fn tested_calls() -> Vec<PermittedCall> {
    let family = is(0, word(libc::AF_UNIX));
    let shared = u64::from(libc::MAP_SHARED.cast_unsigned());
    let anonymous = word(libc::MAP_ANONYMOUS);
    let growing = word(libc::MAP_GROWSDOWN);
    let threads = word(libc::CLONE_THREAD | libc::CLONE_VM);
    let processes = [
        libc::PR_SET_NAME,
        libc::PR_GET_NAME,
        libc::PR_SET_DUMPABLE,
        libc::PR_GET_DUMPABLE,
        libc::PR_SET_VMA,
        libc::PR_SET_NO_NEW_PRIVS,
        libc::PR_GET_NO_NEW_PRIVS,
        libc::PR_CAPBSET_READ,
    ];
    let terminals = [
        libc::FIONBIO,
        libc::FIOCLEX,
        libc::FIONREAD,
        libc::TCGETS,
        libc::TIOCGWINSZ,
    ];
    vec![
        tested("socket", libc::SYS_socket, vec![family.clone()]),
        tested("socketpair", libc::SYS_socketpair, vec![family]),
        tested("clone", libc::SYS_clone, vec![bits(0, threads, threads)]),
        // Shared memory without a file would escape the limit on a process's data, and so would
        // mappings that grow as a stack does.
        tested(
            "mmap",
            libc::SYS_mmap,
            vec![
                bits(3, anonymous | growing, 0),
                bits(3, shared | growing, 0),
            ],
        ),
        tested(
            "prctl",
            libc::SYS_prctl,
            processes.iter().map(|it| is(0, word(*it))).collect(),
        ),
        tested(
            "ioctl",
            libc::SYS_ioctl,
            terminals.iter().map(|it| is(1, it & WORD)).collect(),
        ),
    ]
}

/// The two filters, in the order in which they are installed.
///
/// # Errors
///
/// There is no filter for this processor.
pub fn filters() -> Result<[BpfProgram; 2], seccompiler::BackendError> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    let errno = |code: libc::c_int| SeccompAction::Errno(code.cast_unsigned());
    // Its flags are behind a pointer, which a filter cannot read.
    let clone3 = [(libc::SYS_clone3, Vec::new())];
    let absent = SeccompFilter::new(
        clone3.into(),
        SeccompAction::Allow,
        errno(libc::ENOSYS),
        arch,
    )?;
    let mut rules = std::collections::BTreeMap::new();
    for call in permitted_calls() {
        let rows = call.rows.iter().map(|row| rule(row));
        rules.insert(call.number, rows.collect::<Result<Vec<_>, _>>()?);
    }
    let permitted = SeccompFilter::new(rules, errno(libc::EPERM), SeccompAction::Allow, arch)?;
    Ok([absent.try_into()?, permitted.try_into()?])
}

fn rule(row: &[ArgumentTest]) -> Result<SeccompRule, seccompiler::BackendError> {
    let conditions = row.iter().map(|test| {
        SeccompCondition::new(
            test.argument,
            SeccompCmpArgLen::Dword,
            SeccompCmpOp::MaskedEq(test.mask),
            test.value,
        )
    });
    SeccompRule::new(conditions.collect::<Result<Vec<_>, _>>()?)
}
