//! The jail's helper, and the first process inside.

use std::{
    fs,
    io::{BufRead, Read, Write},
    os::fd::AsRawFd,
    path::Path,
};

use super::{HelperOrder, view};
use crate::{
    inside::{FailedStep, GroupFiles, report_and_start, send},
    limits::{CONTAINER_USER, LimitName},
    sys::{self, Forked},
};

/// What the helper waits for.
const SIGNALS: &[libc::c_int] = &[libc::SIGCHLD, libc::SIGTERM, libc::SIGINT];

const NAMESPACES: libc::c_int = libc::CLONE_NEWUSER
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWCGROUP;

/// Runs the jail that standard input describes, and returns the exit code for this process. It must
/// be called before the process has a second thread.
pub fn run_helper() -> i32 {
    match prepare() {
        Ok(code) => code,
        Err(failed) => {
            send(&failed.message());
            1
        }
    }
}

fn prepare() -> Result<i32, FailedStep> {
    let order = read_order()?;
    for group in &order.groups {
        // 0 is the process that writes.
        sys::write_setting(&group.join("cgroup.procs"), "0")
            .map_err(|error| FailedStep::new("join the control group", &error))?;
    }
    let users = UserMapping::choose();
    users.unshare()?;
    sys::block_signals(SIGNALS).map_err(|error| FailedStep::new("block signals", &error))?;
    let forked = sys::fork().map_err(|error| FailedStep::new("fork", &error))?;
    match forked {
        Forked::Parent(child) => {
            supervise(child).map_err(|error| FailedStep::new("wait for the program", &error))
        }
        Forked::Child => {
            if let Err(failed) = become_program(&order, &users) {
                send(&failed.message());
            }
            // The program did not start.
            Ok(1)
        }
    }
}

/// One line; the pipe stays open as long as the outside lives.
fn read_order() -> Result<HelperOrder, FailedStep> {
    let mut line = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(|error| FailedStep::new("read the order", &error))?;
    serde_json::from_str(&line).map_err(|error| FailedStep::new("read the order", &error))
}

/// Which users of the outside exist inside.
enum UserMapping {
    /// The privileged outside: root for the preparation, and then a user who owns nothing there.
    RootAndNobody,
    /// Only the user of the outside, who is [`CONTAINER_USER`] inside.
    Own { user: u32, group: u32 },
}

/// `CAP_SETGID` and `CAP_SETUID`.
const SET_IDS: u64 = 1 << 6 | 1 << 7;

impl UserMapping {
    fn choose() -> Self {
        let (user, group) = (sys::effective_user(), sys::effective_group());
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let held = status
            .lines()
            .find_map(|line| line.strip_prefix("CapEff:"))
            .and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok());
        let may = held.is_some_and(|held| held & SET_IDS == SET_IDS);
        let knows = |map: &str| {
            let map = fs::read_to_string(map).unwrap_or_default();
            map.lines().any(|line| {
                let mut numbers = line.split_whitespace().map(str::parse::<u64>);
                let (first, count) = (numbers.next(), numbers.nth(1));
                let nobody = u64::from(CONTAINER_USER);
                matches!((first, count), (Some(Ok(first)), Some(Ok(count)))
                    if first <= nobody && nobody - first < count)
            })
        };
        let both = knows("/proc/self/uid_map") && knows("/proc/self/gid_map");
        match user == 0 && may && both {
            true => Self::RootAndNobody,
            false => Self::Own { user, group },
        }
    }

    /// Makes the namespaces and maps their users.
    fn unshare(&self) -> Result<(), FailedStep> {
        let refused = |error: std::io::Error| FailedStep::new("make namespaces", &error);
        match self {
            Self::RootAndNobody => {
                let mapper = Mapper::start().map_err(refused)?;
                sys::unshare(NAMESPACES).map_err(refused)?;
                mapper
                    .map()
                    .map_err(|error| FailedStep::new("map users", &error))
            }
            Self::Own { user, group } => {
                sys::unshare(NAMESPACES).map_err(refused)?;
                let map = |file: &str, text: String| {
                    sys::write_setting(&Path::new("/proc/self").join(file), &text)
                        .map_err(|error| FailedStep::new("map users", &error))
                };
                map("setgroups", "deny".to_owned())?;
                map("uid_map", format!("{CONTAINER_USER} {user} 1\n"))?;
                map("gid_map", format!("{CONTAINER_USER} {group} 1\n"))
            }
        }
    }
}

/// A child that stays in the outer user namespace, where it may map more than one user.
struct Mapper {
    process: libc::pid_t,
    go: std::io::PipeWriter,
}

impl Mapper {
    fn start() -> std::io::Result<Self> {
        let (mut wait, go) = std::io::pipe()?;
        let parent = std::process::id();
        match sys::fork()? {
            Forked::Parent(process) => {
                drop(wait);
                Ok(Self { process, go })
            }
            Forked::Child => {
                drop(go);
                let mut signal = [0];
                let text = format!("0 0 1\n{CONTAINER_USER} {CONTAINER_USER} 1\n");
                let folder = format!("/proc/{parent}");
                let map = |file| sys::write_setting(&Path::new(&folder).join(file), &text);
                let done = wait
                    .read_exact(&mut signal)
                    .and_then(|()| map("uid_map"))
                    .and_then(|()| map("gid_map"));
                std::process::exit(
                    done.map_or_else(|error| error.raw_os_error().unwrap_or(1), |()| 0),
                )
            }
        }
    }

    fn map(mut self) -> std::io::Result<()> {
        self.go.write_all(b"1")?;
        match sys::wait(self.process)? {
            0 => Ok(()),
            code => Err(std::io::Error::from_raw_os_error(code)),
        }
    }
}

/// Passes signals on, ends with the program, and kills it when the outside is gone.
fn supervise(child: libc::pid_t) -> std::io::Result<i32> {
    // Only the program writes there from now on.
    let nowhere = fs::File::open("/dev/null")?;
    sys::replace_descriptor(nowhere.as_raw_fd(), 1)?;
    let signals = sys::signal_descriptor(SIGNALS)?;
    loop {
        let [gone, signalled] = sys::wait_readable(0, signals.as_raw_fd())?;
        if signalled {
            match sys::next_signal(&signals)? {
                libc::SIGCHLD => return sys::wait(child),
                signal => sys::kill(child, signal),
            }
        } else if gone {
            let mut rest = [0; 64];
            if !matches!(std::io::stdin().read(&mut rest), Ok(1..)) {
                sys::kill(child, libc::SIGKILL);
                return sys::wait(child);
            }
        }
    }
}

/// The first process inside. It returns only if the program does not start.
fn become_program(order: &HelperOrder, users: &UserMapping) -> Result<(), FailedStep> {
    let failed = |step| move |error: std::io::Error| FailedStep::new(step, &error);
    let plan = &order.plan;
    sys::block_signals(&[]).map_err(failed("receive signals"))?;
    let nothing = fs::File::open("/dev/null").map_err(failed("open /dev/null"))?;
    sys::replace_descriptor(nothing.as_raw_fd(), 0).map_err(failed("close the order"))?;
    // Before the root changes, after which their folders cannot be reached.
    let files = GroupFiles::open(plan);
    let processors = sys::processors().map_err(failed("count processors"))?;
    view::enter(&order.root, &order.binds, order.scratch)?;
    sys::set_host_name("openlora").map_err(failed("set the host name"))?;
    limit_process(order, &processors)?;
    let privileges = |error: std::io::Error| {
        FailedStep::for_limit("drop capabilities", LimitName::Capabilities, &error)
    };
    sys::drop_bounding_capabilities().map_err(privileges)?;
    if matches!(users, UserMapping::RootAndNobody) {
        sys::become_user(CONTAINER_USER)
            .map_err(|error| FailedStep::for_limit("change the user", LimitName::User, &error))?;
    }
    sys::drop_capabilities().map_err(privileges)?;
    let death = libc::c_ulong::try_from(libc::SIGKILL).unwrap_or_default();
    sys::process_control(libc::PR_SET_PDEATHSIG, death).map_err(failed("end with the helper"))?;
    sys::close_on_exec_from(3).map_err(failed("close descriptors"))?;
    match report_and_start(plan, &files, Some(&order.program), true) {
        Some(message) => {
            send(&message);
            Ok(())
        }
        None => Ok(()),
    }
}

/// The usual size of the first thread's stack, in bytes.
const STACK: u64 = 8 << 20;

/// The limits of a process; they stand in for control groups where there are none.
fn limit_process(order: &HelperOrder, processors: &[usize]) -> Result<(), FailedStep> {
    let plan = &order.plan;
    let limits = &plan.limits;
    let grouped = |limit| plan.grouped.iter().any(|it| it.limit == limit);
    let set = |step, limit, resource, value| match sys::set_limit(resource, value) {
        Err(error) if !plan.waived.contains(&limit) => {
            Err(FailedStep::for_limit(step, limit, &error))
        }
        _ => Ok(()),
    };
    let files = u64::from(limits.open_files);
    set(
        "limit open files",
        LimitName::OpenFiles,
        libc::RLIMIT_NOFILE,
        files,
    )?;
    set(
        "forbid core dumps",
        LimitName::CoreDumps,
        libc::RLIMIT_CORE,
        0,
    )?;
    if !grouped(LimitName::Memory) {
        let bytes = limits.memory.0;
        set("limit memory", LimitName::Memory, libc::RLIMIT_DATA, bytes)?;
        // The stack is no data. Without a limit of its own, a program could raise the soft one and
        // have all the memory it likes there.
        let stack = sys::limit_of(libc::RLIMIT_STACK).map_or(STACK, |it| it.min(STACK));
        set("limit memory", LimitName::Memory, libc::RLIMIT_STACK, stack)?;
    }
    if !grouped(LimitName::Pids) {
        let count = u64::from(limits.pids);
        set(
            "limit processes",
            LimitName::Pids,
            libc::RLIMIT_NPROC,
            count,
        )?;
    }
    if let (false, Some(count)) = (grouped(LimitName::Cpus), limits.cpus.processors()) {
        let some: Vec<usize> = processors.iter().copied().take(count as usize).collect();
        sys::run_on(&some)
            .map_err(|error| FailedStep::for_limit("limit processors", LimitName::Cpus, &error))?;
    }
    Ok(())
}
