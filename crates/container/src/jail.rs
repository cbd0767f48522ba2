//! The built-in jail: a program in namespaces of its own, with a view of a few folders.
//!
//! [`start`] runs this program again with [`JAIL_ARGUMENT`], before it has any thread. That helper
//! makes the namespaces, becomes the parent of their first process and passes signals on; the first
//! process builds the view, gives up everything and becomes the program. Errors and the limits in
//! force come back through its standard output, ahead of the program's own.

mod helper;
mod view;

use std::{
    io::{BufRead, BufReader, Read, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio},
};

use serde::{Deserialize, Serialize};

pub use helper::run_helper;

use crate::{
    ContainerError,
    cgroup::ResourceGroup,
    folders::open_folder,
    inside::{JailedProgram, LimitPlan, own_namespaces},
    limits::{LimitName, ResourceLimits},
    report::{LimitsReport, StartMessage},
    runtime_container::RuntimeContainer,
    sys,
};

/// The first argument of the program as the jail's helper.
pub const JAIL_ARGUMENT: &str = "__jail";

/// Longest report of the inside, in bytes.
const LONGEST_REPORT: u64 = 1 << 20;

/// A file or folder that is seen inside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BindMount {
    pub source: PathBuf,
    /// Absolute, inside.
    pub target: PathBuf,
    /// Only for the folder of the socket.
    pub writable: bool,
}

/// What runs in a jail, and on what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JailSpec {
    /// The folder that becomes the root. Missing mount points are made in it.
    pub root: PathBuf,
    pub binds: Vec<BindMount>,
    pub program: JailedProgram,
    pub limits: ResourceLimits,
    pub waived: Vec<LimitName>,
    /// Bytes of temporary memory for each of its writable folders.
    pub scratch: u64,
    /// Whether the program's standard error is read instead of inherited.
    pub capture_errors: bool,
}

/// The same as the helper reads it.
#[derive(Debug, Serialize, Deserialize)]
struct HelperOrder {
    root: PathBuf,
    binds: Vec<BindMount>,
    program: JailedProgram,
    plan: LimitPlan,
    scratch: u64,
    groups: Vec<PathBuf>,
}

/// A running jail. Dropping it kills what runs inside.
#[derive(Debug)]
pub struct JailedProcess {
    child: Child,
    /// The helper ends when this is closed.
    life: Option<ChildStdin>,
    /// What the program writes, after the report.
    pub output: Option<BufReader<ChildStdout>>,
    pub errors: Option<ChildStderr>,
    pub report: LimitsReport,
    /// What an OCI runtime started, which has a control group of its own.
    container: Option<RuntimeContainer>,
    group: ResourceGroup,
    memory: String,
}

/// How a jailed program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JailExit {
    /// The exit code, or 128 and the signal.
    pub code: i32,
    /// The kernel killed it at its limit of memory.
    pub out_of_memory: bool,
}

/// Starts a program in a jail. `helper` is a program that calls [`run_helper`] when its first
/// argument is [`JAIL_ARGUMENT`].
///
/// # Errors
///
/// A step that this system refuses, and limits that are neither in force nor waived.
pub fn start(spec: &JailSpec, helper: &Path) -> Result<JailedProcess, ContainerError> {
    make_mount_points(spec)?;
    let group = ResourceGroup::create(&group_name(), &spec.limits);
    let order = HelperOrder {
        root: spec.root.clone(),
        binds: spec.binds.clone(),
        program: spec.program.clone(),
        plan: LimitPlan {
            limits: spec.limits,
            waived: spec.waived.clone(),
            grouped: group.limits.clone(),
            obstacles: group.obstacles.clone(),
            outer_namespaces: own_namespaces(),
        },
        scratch: spec.scratch,
        groups: group.folders(),
    };
    let mut command = Command::new(helper);
    command
        .arg(JAIL_ARGUMENT)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        // Signals of the terminal reach this process only, which passes on what it means.
        .process_group(0);
    if spec.capture_errors {
        command.stderr(Stdio::piped());
    }
    let mut child = command
        .spawn()
        .map_err(ContainerError::io("start the jail's helper", helper))?;
    let life = child.stdin.take();
    let output = child.stdout.take().map(BufReader::new);
    let errors = child.stderr.take();
    let mut jailed = JailedProcess {
        child,
        life,
        output,
        errors,
        report: LimitsReport::default(),
        container: None,
        group,
        memory: spec.limits.memory.to_string(),
    };
    jailed.order(&order)?;
    jailed.checked()
}

/// Unique among the running processes, and among the jails of one of them.
pub(crate) fn group_name() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("openlora-{}-{number}", std::process::id())
}

pub(crate) fn make_mount_points(spec: &JailSpec) -> Result<(), ContainerError> {
    let make = |inside: &Path| {
        open_folder(&spec.root, inside).map_err(ContainerError::io("create", inside))
    };
    for folder in ["/proc", "/dev", "/tmp", crate::HOME] {
        make(Path::new(folder))?;
    }
    for bind in &spec.binds {
        if bind.source.is_dir() {
            make(&bind.target)?;
            continue;
        }
        let folder = make(bind.target.parent().unwrap_or(Path::new("/")))?;
        let file = folder.join(bind.target.file_name().unwrap_or_default());
        sys::mount_point(&file).map_err(ContainerError::io("create", &file))?;
    }
    Ok(())
}

impl JailedProcess {
    /// A container of an OCI runtime, which `command` runs in the foreground.
    pub(crate) fn of_runtime(
        mut command: Command,
        container: RuntimeContainer,
        spec: &JailSpec,
    ) -> Result<Self, ContainerError> {
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let runtime = command.get_program().to_owned();
        let mut child = command
            .spawn()
            .map_err(ContainerError::io("start", Path::new(&runtime)))?;
        let output = child.stdout.take().map(BufReader::new);
        let errors = child.stderr.take();
        let started = Self {
            child,
            life: None,
            output,
            errors,
            report: LimitsReport::default(),
            container: Some(container),
            group: ResourceGroup::default(),
            memory: spec.limits.memory.to_string(),
        };
        started.checked()
    }

    /// With its report, if no limit is missing.
    fn checked(mut self) -> Result<Self, ContainerError> {
        self.report = self.read_report()?;
        let missing: Vec<_> = self.report.missing().into_iter().cloned().collect();
        match missing.is_empty() {
            true => Ok(self),
            false => Err(ContainerError::Unenforceable { missing }),
        }
    }

    /// What the helper or the runtime said instead of a report.
    fn last_words(&mut self) -> Option<String> {
        let mut text = String::new();
        let errors = self.errors.as_mut()?;
        errors.take(LONGEST_REPORT).read_to_string(&mut text).ok()?;
        let last = text.lines().map(str::trim).rfind(|line| !line.is_empty())?;
        Some(last.to_owned())
    }

    fn order(&mut self, order: &HelperOrder) -> Result<(), ContainerError> {
        let failed = |error: std::io::Error| ContainerError::Jail {
            step: "order".to_owned(),
            reason: error.to_string(),
            limit: None,
        };
        let mut text = serde_json::to_vec(order).map_err(|error| failed(error.into()))?;
        text.push(b'\n');
        match &mut self.life {
            Some(life) => life.write_all(&text).map_err(failed),
            None => Err(failed(std::io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn read_report(&mut self) -> Result<LimitsReport, ContainerError> {
        let mut line = String::new();
        if let Some(output) = &mut self.output {
            let mut bounded = output.take(LONGEST_REPORT);
            bounded
                .read_line(&mut line)
                .map_err(ContainerError::io("read the report of", "the jail"))?;
        }
        match serde_json::from_str(&line) {
            Ok(StartMessage::Ready(report)) => Ok(report),
            Ok(StartMessage::Failed {
                step,
                reason,
                limit,
            }) => Err(ContainerError::Jail {
                step,
                reason,
                limit,
            }),
            Err(_) => {
                self.life = None;
                let ended = self.finish();
                let said = self.last_words();
                let reason = match (ended, said) {
                    (Ok(_), Some(said)) => said,
                    (Ok(exit), None) if exit.out_of_memory => "out of memory".to_owned(),
                    (Ok(exit), None) => {
                        format!("the helper ended with {} and no report", exit.code)
                    }
                    (Err(error), _) => error.to_string(),
                };
                Err(ContainerError::Jail {
                    step: "report".to_owned(),
                    reason,
                    limit: None,
                })
            }
        }
    }

    /// The helper's process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks the program to stop; it is what `kill` sends.
    pub fn terminate(&self) {
        if let Some(container) = &self.container {
            return container.signal("TERM");
        }
        if let Ok(id) = libc::pid_t::try_from(self.child.id()) {
            sys::kill(id, libc::SIGTERM);
        }
    }

    /// Waits for the end of the program.
    ///
    /// # Errors
    ///
    /// The helper cannot be waited for.
    pub fn wait(mut self) -> Result<JailExit, ContainerError> {
        self.finish()
    }

    /// The error of a program that was killed at its limit of memory.
    pub fn memory_error(&self) -> ContainerError {
        ContainerError::OutOfMemory {
            memory: self.memory.clone(),
        }
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    ///
    /// The helper cannot be waited for.
    pub fn try_wait(&mut self) -> Result<Option<JailExit>, ContainerError> {
        let ended = self
            .child
            .try_wait()
            .map_err(ContainerError::io("wait for", "the jail"))?;
        Ok(ended.map(|status| self.exit(status.code())))
    }

    fn finish(&mut self) -> Result<JailExit, ContainerError> {
        let ended = self
            .child
            .wait()
            .map_err(ContainerError::io("wait for", "the jail"))?;
        Ok(self.exit(ended.code()))
    }

    fn exit(&self, code: Option<i32>) -> JailExit {
        JailExit {
            code: code.unwrap_or(128 + libc::SIGKILL),
            out_of_memory: self.group.memory_kills() > 0,
        }
    }
}

impl Drop for JailedProcess {
    fn drop(&mut self) {
        // The helper kills the inside, and ends.
        self.life = None;
        if let (Some(container), Ok(None)) = (&self.container, self.child.try_wait()) {
            container.signal("KILL");
        }
        let _ = self.child.wait();
    }
}

/// A socket in a folder that a container writes to, held so that it cannot become another file.
#[derive(Debug)]
pub struct HeldSocket(std::fs::File);

impl HeldSocket {
    /// Opens the socket itself, never what a link at its place leads to.
    ///
    /// # Errors
    ///
    /// There is none, or something else.
    pub fn open(path: &Path) -> std::io::Result<Self> {
        use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
        let file = std::fs::OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_PATH | libc::O_NOFOLLOW)
            .open(path)?;
        match file.metadata()?.file_type().is_socket() {
            true => Ok(Self(file)),
            false => Err(std::io::Error::other("it is no socket")),
        }
    }

    /// A path that leads to it as long as this is held.
    pub fn path(&self) -> PathBuf {
        use std::os::fd::AsRawFd;
        PathBuf::from(format!("/proc/self/fd/{}", self.0.as_raw_fd()))
    }
}
