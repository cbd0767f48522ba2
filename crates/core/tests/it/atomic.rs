//! Replacements that are killed at every system call: the old content is there whole or the new one,
//! and nothing in between is ever seen.
//!
//! The replacement runs in a process of its own under ptrace, which stops it before and after every
//! system call of the thread that replaces.
#![cfg(target_os = "linux")]

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use openlora_core::atomic::{self, FileAccess, FileBatch, FolderDraft};
use openlora_model::adapter;

use crate::waiting::wait_for;

const DEED: &str = "OPENLORA_TEST_ATOMIC_DEED";
const PLACE: &str = "OPENLORA_TEST_ATOMIC_PLACE";

/// Contents by path below a folder; a file is its own only entry.
type Content = BTreeMap<PathBuf, Vec<u8>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    ReplaceFile,
    CreateFile,
    ReplaceFolder,
    /// On a kernel that cannot exchange names.
    ReplaceFolderInTwoSteps,
}

const DEEDS: [Deed; 4] = [
    Deed::ReplaceFile,
    Deed::CreateFile,
    Deed::ReplaceFolder,
    Deed::ReplaceFolderInTwoSteps,
];

fn text(which: &str) -> Vec<u8> {
    which.repeat(10_000).into_bytes()
}

impl Deed {
    fn is_of_folder(self) -> bool {
        matches!(self, Self::ReplaceFolder | Self::ReplaceFolderInTwoSteps)
    }

    /// What is there before; `None` for nothing.
    fn old(self) -> Option<Content> {
        (self != Self::CreateFile).then(|| self.content("old"))
    }

    fn content(self, which: &str) -> Content {
        let names: &[&str] = match self.is_of_folder() {
            true => &["one", "below/two"],
            false => &[""],
        };
        let of = |name: &&str| (PathBuf::from(name), text(&format!("{which} {name} ")));
        names.iter().map(of).collect()
    }

    fn prepare(self, path: &Path) {
        for (name, bytes) in self.old().into_iter().flatten() {
            let file = path.join(name);
            // A file's own name is empty.
            let file = match self.is_of_folder() {
                true => file,
                false => path.to_owned(),
            };
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, bytes).unwrap();
        }
    }

    fn perform(self, path: &Path, which: &str) {
        let content = self.content(which);
        match self {
            Self::ReplaceFile => {
                atomic::replace_file(path, &content[Path::new("")], FileAccess::Everyone).unwrap();
            }
            Self::CreateFile => atomic::create_file(path, &content[Path::new("")]).unwrap(),
            Self::ReplaceFolder | Self::ReplaceFolderInTwoSteps => {
                let draft = FolderDraft::in_folder(path.parent().unwrap()).unwrap();
                for (name, bytes) in &content {
                    draft.write(name, bytes).unwrap();
                }
                draft.replace(path).unwrap();
            }
        }
    }

    /// What is at `path`; `None` for nothing.
    fn seen(path: &Path) -> Option<Content> {
        if path.is_file() {
            return Some([(PathBuf::new(), fs::read(path).unwrap())].into());
        }
        path.is_dir().then(|| {
            let mut found = Content::new();
            let mut pending = vec![path.to_owned()];
            while let Some(folder) = pending.pop() {
                for entry in fs::read_dir(folder).unwrap() {
                    let entry = entry.unwrap().path();
                    match entry.is_dir() {
                        true => pending.push(entry),
                        false => {
                            let name = entry.strip_prefix(path).unwrap().to_owned();
                            found.insert(name, fs::read(entry).unwrap());
                        }
                    }
                }
            }
            found
        })
    }
}

/// Has `renameat2` fail in this thread as on a kernel that does not know it.
fn forget_exchange() {
    let statement = |code: u32, jt: u8, k: u32| libc::sock_filter {
        code: code as u16,
        jt,
        jf: u8::from(jt == 0 && code & libc::BPF_JMP != 0),
        k,
    };
    let mut program = [
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0),
        statement(
            libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
            0,
            libc::SYS_renameat2 as u32,
        ),
        statement(
            libc::BPF_RET | libc::BPF_K,
            0,
            libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32,
        ),
        statement(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let filter = libc::sock_fprog {
        len: program.len() as u16,
        filter: program.as_mut_ptr(),
    };
    // SAFETY: the filter outlives the calls, which copy it.
    let done = unsafe {
        [
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
            libc::prctl(
                libc::PR_SET_SECCOMP,
                libc::SECCOMP_MODE_FILTER,
                &raw const filter,
            ),
        ]
    };
    assert_eq!(done, [0, 0], "{}", std::io::Error::last_os_error());
}

/// Stops this thread, for the tracer to see.
fn stop() {
    // SAFETY: raising a signal touches no memory.
    assert_eq!(unsafe { libc::raise(libc::SIGSTOP) }, 0);
}

#[test]
#[ignore = "the process that the other test kills"]
fn child_replaces() {
    let deed = std::env::var(DEED).unwrap();
    let deed = *DEEDS.iter().find(|it| format!("{it:?}") == deed).unwrap();
    let path = PathBuf::from(std::env::var_os(PLACE).unwrap());
    if deed == Deed::ReplaceFolderInTwoSteps {
        forget_exchange();
    }
    // SAFETY: neither call touches memory of ours.
    let id = unsafe {
        assert_eq!(libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0), 0);
        libc::gettid()
    };
    let mut out = std::io::stdout().lock();
    writeln!(out, "\nthread {id}").unwrap();
    out.flush().unwrap();
    drop(out);
    stop();
    deed.perform(&path, "new");
    stop();
}

/// The process that replaces, stopped.
struct Traced {
    child: Child,
    thread: libc::pid_t,
}

impl Traced {
    fn start(deed: Deed, path: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "atomic::child_replaces"])
            .args(["--nocapture", "--test-threads=1"])
            .env(DEED, format!("{deed:?}"))
            .env(PLACE, path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map(Result::unwrap);
        let thread = lines
            .find_map(|line| line.strip_prefix("thread ")?.parse().ok())
            .expect("the child says which thread it is");
        let traced = Self { child, thread };
        assert_eq!(traced.status(), libc::SIGSTOP);
        let options = libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_EXITKILL;
        // SAFETY: the thread is ours and stopped; no memory is passed.
        let set = unsafe { libc::ptrace(libc::PTRACE_SETOPTIONS, thread, 0, options) };
        assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
        traced
    }

    /// The signal that the thread stopped with.
    fn status(&self) -> i32 {
        let status = wait_for("the traced thread to stop", || {
            let mut status = 0;
            let flags = libc::__WALL | libc::WNOHANG;
            // SAFETY: the status is ours.
            let found = unsafe { libc::waitpid(self.thread, &raw mut status, flags) };
            assert!(found >= 0, "{}", std::io::Error::last_os_error());
            (found != 0).then_some(status)
        });
        assert!(libc::WIFSTOPPED(status), "it ended early: {status:#x}");
        libc::WSTOPSIG(status)
    }

    /// Goes on to the next system call's beginning or end; `false` once the replacement is done.
    fn step(&self) -> bool {
        // SAFETY: the thread is ours and stopped; no memory is passed.
        let went = unsafe { libc::ptrace(libc::PTRACE_SYSCALL, self.thread, 0, 0) };
        assert_eq!(went, 0, "{}", std::io::Error::last_os_error());
        match self.status() {
            libc::SIGSTOP => false,
            signal => {
                assert_eq!(signal, libc::SIGTRAP | 0x80);
                true
            }
        }
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        wait_for("the traced thread to end", || {
            let mut status = 0;
            let flags = libc::__WALL | libc::WNOHANG;
            // SAFETY: the status is ours.
            let found = unsafe { libc::waitpid(self.thread, &raw mut status, flags) };
            // A thread that is reaped already is no child any more.
            (found < 0 || found > 0 && !libc::WIFSTOPPED(status)).then_some(())
        });
        // Reaped already where the thread is the process's first.
        let _ = self.child.wait();
    }
}

/// Replaces in a new folder, is killed after `steps` or when it is done, and says whether it was done,
/// and what was seen last before the kill.
fn killed_after(deed: Deed, steps: usize) -> (bool, Option<Content>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("place");
    deed.prepare(&path);
    let traced = Traced::start(deed, &path);
    let mut done = false;
    for _ in 0..steps {
        done = !traced.step();
        if done {
            break;
        }
    }
    traced.kill();
    let seen = Deed::seen(&path);
    let at = format!("{deed:?} killed after {steps}");
    if deed == Deed::ReplaceFolderInTwoSteps {
        atomic::recover_folder(&path).unwrap();
    } else {
        assert!(seen.is_some() || deed == Deed::CreateFile, "{at}");
    }
    let whole = Deed::seen(&path);
    let new = Some(deed.content("new"));
    assert!(whole == deed.old() || whole == new, "{at}: {whole:?}");
    if done {
        assert!(whole == new, "{at}");
    }
    // Whatever is left lying beside, the next replacement succeeds and tidies up.
    if whole.is_none() || deed != Deed::CreateFile {
        deed.perform(&path, "next");
        assert!(Deed::seen(&path) == Some(deed.content("next")), "{at}");
    }
    if deed.is_of_folder() {
        atomic::recover_folders(dir.path()).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "{at}");
        assert!(Deed::seen(&path) == Some(deed.content("next")), "{at}");
    }
    (done, seen)
}

#[track_caller]
fn survives_every_kill(deed: Deed) {
    let mut moments = Vec::new();
    loop {
        let (done, seen) = killed_after(deed, moments.len());
        moments.push(seen);
        if done {
            break;
        }
        assert!(moments.len() < 2_000, "{deed:?} does not end");
    }
    // Both the old and the new content were there at some kill, and never the old after the new.
    let new = Some(deed.content("new"));
    let first = moments.iter().position(|seen| *seen == new).unwrap();
    assert!(first > 4 && moments.len() > first + 2, "{first}");
    assert!(moments[first..].iter().all(|seen| *seen == new), "{deed:?}");
    let before = &moments[..first];
    match deed {
        // One step was between the renames, and had to be recovered from.
        Deed::ReplaceFolderInTwoSteps => {
            assert!(before.iter().any(Option::is_none));
        }
        _ => assert!(before.iter().all(|seen| *seen == deed.old()), "{deed:?}"),
    }
}

#[test]
fn a_file_replacement_survives_every_kill() {
    survives_every_kill(Deed::ReplaceFile);
}

#[test]
fn a_file_creation_survives_every_kill() {
    survives_every_kill(Deed::CreateFile);
}

#[test]
fn a_folder_replacement_survives_every_kill() {
    survives_every_kill(Deed::ReplaceFolder);
}

#[test]
fn a_folder_replacement_in_two_steps_survives_every_kill() {
    survives_every_kill(Deed::ReplaceFolderInTwoSteps);
}

#[test]
fn a_name_that_is_taken_stays() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    fs::write(&path, "mine").unwrap();
    let error = atomic::create_file(&path, b"other").unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists);
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_batch_replaces_each_of_its_files() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (dir.path().join("one"), dir.path().join("two"));
    fs::write(&one, "old").unwrap();
    let mut batch = FileBatch::default();
    batch.replace(&one, b"new", FileAccess::Owner).unwrap();
    batch.replace(&two, b"second", FileAccess::Owner).unwrap();
    batch.add_folder(dir.path());
    batch.sync().unwrap();
    assert_eq!(fs::read(&one).unwrap(), b"new");
    assert_eq!(fs::read(&two).unwrap(), b"second");
    let names = fs::read_dir(dir.path()).unwrap();
    assert_eq!(names.count(), 2);
}

#[test]
fn a_draft_that_is_given_up_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let draft = FolderDraft::in_folder(dir.path()).unwrap();
    draft.write("below/file", b"text").unwrap();
    drop(draft);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

/// What a crash between the two renames leaves is brought back by whoever reads next.
#[test]
fn an_adapter_that_was_renamed_away_is_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let aside = dir.path().join(".voice.replaced");
    fs::create_dir(&aside).unwrap();
    for entry in fs::read_dir(crate::golden::dir("llama.qv")).unwrap() {
        let file = entry.unwrap();
        fs::copy(file.path(), aside.join(file.file_name())).unwrap();
    }
    let kept = adapter::read(&crate::golden::dir("llama.qv")).unwrap();
    let found = adapter::read(&dir.path().join("voice")).unwrap();
    assert_eq!(found.digest, kept.digest);
    assert!(!aside.exists());
}

#[test]
fn a_probe_leaves_nothing_and_names_what_is_in_the_way() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "text").unwrap();
    let probe = |path: &str| {
        let probed = atomic::probe(&dir.path().join(path));
        probed.map_err(|error| error.kind())
    };
    for free in ["new", "new/below/it", "file"] {
        assert_eq!(probe(free), Ok(()), "{free}");
    }
    for taken in ["file/new", "file/new/below"] {
        assert_eq!(probe(taken), Err(std::io::ErrorKind::NotADirectory));
    }
    let left = fs::read_dir(dir.path()).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["file"]);
}
