//! A program that attacks the jail from inside, for the tests of this crate: each argument is an
//! attack, and each line of the output says what came of it.
#![cfg_attr(
    not(target_os = "linux"),
    allow(unused, reason = "the jail is for Linux")
)]
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a program of the tests, which read its output"
)]

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
fn main() {
    let mut arguments = std::env::args().skip(1);
    let first = arguments.next().unwrap_or_default();
    if first == openlora_container::jail::JAIL_ARGUMENT {
        std::process::exit(openlora_container::jail::run_helper());
    }
    if first == openlora_container::oci_runtime::INSIDE_ARGUMENT {
        let order = arguments.next().unwrap_or_default();
        std::process::exit(openlora_container::oci_runtime::run_inside(&order));
    }
    for attack in std::iter::once(first).chain(arguments) {
        let outcome = attacks::attempt(&attack);
        println!("{attack}: {outcome}");
    }
}

#[cfg(target_os = "linux")]
mod attacks {
    use std::{
        fs, io,
        net::{TcpStream, UdpSocket},
        os::unix::net::{UnixListener, UnixStream},
        process::Command,
    };

    fn outcome<T>(result: io::Result<T>) -> String {
        match result {
            Ok(_) => "done".to_owned(),
            Err(error) => match error.raw_os_error() {
                Some(code) => format!("error {code}"),
                None => error.kind().to_string(),
            },
        }
    }

    fn call(number: libc::c_long, arguments: [libc::c_long; 4]) -> String {
        let [a, b, c, d] = arguments;
        // SAFETY: pointers among the arguments are null, which the kernel refuses.
        let result = unsafe { libc::syscall(number, a, b, c, d) };
        match result {
            -1 => outcome::<()>(Err(io::Error::last_os_error())),
            _ => "done".to_owned(),
        }
    }

    pub fn attempt(attack: &str) -> String {
        let (name, rest) = attack.split_once('=').unwrap_or((attack, ""));
        match name {
            "write" => outcome(
                fs::OpenOptions::new()
                    .write(true)
                    .create(true)
                    .truncate(true)
                    .open(rest),
            ),
            "read" => outcome(fs::read(rest)),
            "list" => match fs::read_dir(rest) {
                Ok(entries) => {
                    let names = entries.filter_map(|it| Some(it.ok()?.file_name()));
                    let mut names: Vec<String> =
                        names.map(|it| it.to_string_lossy().into_owned()).collect();
                    names.sort();
                    names.join(" ")
                }
                Err(error) => outcome::<()>(Err(error)),
            },
            "remove" => outcome(fs::remove_file(rest)),
            "link" => outcome(std::os::unix::fs::symlink("/", rest)),
            "listen" => outcome(UnixListener::bind(rest)),
            "unix" => outcome(UnixStream::connect(rest)),
            "tcp" => outcome(TcpStream::connect(rest)),
            "udp" => outcome(UdpSocket::bind(rest)),
            "run" => outcome(Command::new(rest).output()),
            "thread" => outcome(std::thread::Builder::new().spawn(|| ()).map(|it| it.join())),
            "threads" => threads(rest.parse().unwrap_or(0)),
            "allocate" => allocate(rest.parse().unwrap_or(0)),
            "shared" => mapped(rest.parse().unwrap_or(0), libc::MAP_SHARED),
            "growing" => mapped(
                rest.parse().unwrap_or(0),
                libc::MAP_PRIVATE | libc::MAP_GROWSDOWN,
            ),
            "files" => files(rest.parse().unwrap_or(0)),
            "wait" => wait(rest),
            "status" => status(rest),
            "mount" => call(libc::SYS_mount, [0, 0, 0, 0]),
            "umount" => call(libc::SYS_umount2, [0, 0, 0, 0]),
            "pivot" => call(libc::SYS_pivot_root, [0, 0, 0, 0]),
            "chroot" => call(libc::SYS_chroot, [0, 0, 0, 0]),
            "unshare" => call(libc::SYS_unshare, [libc::CLONE_NEWUSER.into(), 0, 0, 0]),
            "fork" => call(libc::SYS_clone, [libc::SIGCHLD.into(), 0, 0, 0]),
            "namespace" => call(
                libc::SYS_clone,
                [(libc::CLONE_NEWUSER | libc::SIGCHLD).into(), 0, 0, 0],
            ),
            "clone3" => call(libc::SYS_clone3, [0, 0, 0, 0]),
            "setns" => call(libc::SYS_setns, [0, 0, 0, 0]),
            "ptrace" => call(libc::SYS_ptrace, [16, 1, 0, 0]),
            "keyctl" => call(libc::SYS_keyctl, [0, -3, 0, 0]),
            "io_uring" => call(libc::SYS_io_uring_setup, [1, 0, 0, 0]),
            "bpf" => call(libc::SYS_bpf, [0, 0, 0, 0]),
            "memfd" => call(libc::SYS_memfd_create, [0, 0, 0, 0]),
            "setuid" => call(libc::SYS_setresuid, [0, 0, 0, 0]),
            "affinity" => call(libc::SYS_sched_setaffinity, [0, 0, 0, 0]),
            _ => "unknown".to_owned(),
        }
    }

    fn threads(count: usize) -> String {
        let (hold, release) = std::sync::mpsc::channel::<()>();
        let release = std::sync::Arc::new(std::sync::Mutex::new(release));
        let mut started = 0;
        let mut all = Vec::new();
        for _ in 0..count {
            let release = std::sync::Arc::clone(&release);
            let wait = move || drop(release.lock().map(|it| it.recv()));
            match std::thread::Builder::new().stack_size(1 << 16).spawn(wait) {
                Ok(thread) => all.push(thread),
                Err(_) => break,
            }
            started += 1;
        }
        drop(hold);
        match started < count {
            true => format!("{started} of {count}"),
            false => "done".to_owned(),
        }
    }

    /// Touches every page, so that the memory is really there.
    fn allocate(megabytes: usize) -> String {
        let mut all: Vec<Vec<u8>> = Vec::new();
        for _ in 0..megabytes {
            let mut piece = Vec::new();
            if piece.try_reserve_exact(1 << 20).is_err() {
                return format!("refused after {} MiB", all.len());
            }
            piece.resize(1 << 20, 1);
            all.push(piece);
        }
        "done".to_owned()
    }

    /// Memory without a file.
    fn mapped(megabytes: usize, flags: libc::c_int) -> String {
        // SAFETY: a new mapping that nothing refers to; it is not used.
        let place = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                megabytes << 20,
                libc::PROT_READ | libc::PROT_WRITE,
                flags | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        match place == libc::MAP_FAILED {
            true => outcome::<()>(Err(io::Error::last_os_error())),
            false => "done".to_owned(),
        }
    }

    fn files(count: usize) -> String {
        let open = (0..count).map_while(|_| fs::File::open("/dev/null").ok());
        let open: Vec<fs::File> = open.collect();
        match open.len() < count {
            true => "too many open files".to_owned(),
            false => "done".to_owned(),
        }
    }

    /// Until something connects to the socket.
    fn wait(socket: &str) -> String {
        outcome(UnixListener::bind(socket).and_then(|it| it.accept()))
    }

    fn status(field: &str) -> String {
        let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mut lines = text.lines().filter_map(|line| line.split_once(':'));
        let found = lines.find(|(name, _)| *name == field);
        found.map_or_else(String::new, |(_, value)| value.trim().replace('\t', " "))
    }
}
