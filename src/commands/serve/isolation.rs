//! `serve --isolate`: puts adapters of other people into processes of their own, which a jail confines,
//! and starts a process again that ends.

use std::{
    fs,
    io::{self, BufRead, Read},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    engine_choice::EngineKind,
    worker::{EMBEDDED, READY, WORKER_ARGUMENT, WorkerOrder},
};
use crate::commands::{
    CommandContext,
    jail_parts::{program_binds, share},
    printer::Printer,
    settings::IsolationScope,
};
use openlora_container::{
    BASE, HOME, PACKAGE, PROGRAM, SOCKET, SOCKET_DIR,
    folders::open_folder,
    image,
    inside::JailedProgram,
    jail::{self, BindMount, HeldSocket, JailExit, JailSpec, JailedProcess},
    limits::{CpuShare, LimitName, MemorySize, ResourceLimits},
};
use openlora_core::{
    error::{ExitClass, Failure},
    private::files,
};
use openlora_engine::{
    EngineError, EngineSpec, IsolationLimit, LoadedEngine, ModelLoader, QuantChoice,
};
use openlora_generation::PromptCounter;
use openlora_model::{
    BaseModel,
    adapter::{self, LoraAdapter},
};
use openlora_worker::{Connector, WorkerEngine, WorkerFacts, WorkerLink};

/// What starts the jails: a runtime's containers would outlive a server that is killed.
const RUNTIME: &str = "builtin";

/// Descriptors for a worker.
const OPEN_FILES: u32 = 4096;

/// Temporary memory of each writable folder of a worker.
const SCRATCH: u64 = 256 << 20;

/// How long a worker may take to load its adapter.
const LOADING: Duration = Duration::from_secs(600);

/// How long it may take to say what it has loaded.
const TELLING: Duration = Duration::from_secs(30);

/// How often a worker is looked at.
const GLANCE: Duration = Duration::from_millis(50);

/// The pause before a worker that ended is started again, which doubles, and the longest one. A worker
/// that ran for this long begins with the shortest again.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
const STEADY: Duration = Duration::from_secs(120);

/// Longest line of a worker that is read.
const LONGEST_LINE: u64 = 1024;

/// Bytes of a worker's errors that are kept, the last ones.
const LAST_WORDS: usize = 4096;

/// Loads adapters, those of others in workers.
pub(super) struct IsolatedLoader {
    inner: Arc<dyn ModelLoader>,
    plan: Arc<IsolationPlan>,
    workers: Arc<AtomicUsize>,
}

/// How workers are started.
pub(super) struct IsolationPlan {
    printer: Printer,
    scope: IsolationScope,
    /// Packages in it are other people's.
    store: PathBuf,
    cache: PathBuf,
    program: PathBuf,
    limits: ResourceLimits,
    waived: Vec<LimitName>,
    kind: EngineKind,
    concurrent: usize,
    parallel: usize,
}

/// The engine that workers are to use.
#[derive(Clone, Copy)]
pub(super) struct WorkerCalls {
    pub kind: EngineKind,
    pub concurrent: usize,
    pub parallel: usize,
}

impl IsolatedLoader {
    /// A loader that puts the adapters of the settings' scope into workers.
    ///
    /// # Errors
    ///
    /// A setting is wrong.
    pub fn new(
        context: &CommandContext,
        inner: Arc<dyn ModelLoader>,
        calls: WorkerCalls,
    ) -> Result<Self, Failure> {
        let settings = &context.settings.serve;
        let cpus = settings
            .worker_cpus
            .map_or_else(all_processors, thousandths);
        let waived = settings.worker_waive.iter().map(|text| {
            text.parse::<LimitName>().map_err(|problem| {
                let message = format!("`serve.worker_waive` is wrong: {problem}, found `{text}`");
                Failure::new(ExitClass::Usage, message)
            })
        });
        let own = std::env::current_exe();
        let own = own.map_err(|error| Failure::io("find", Path::new("openlora"), &error))?;
        Ok(Self {
            inner,
            workers: Arc::default(),
            plan: Arc::new(IsolationPlan {
                printer: context.printer.clone(),
                scope: settings.isolate,
                store: context.dirs.packages(),
                cache: context.dirs.cache.clone(),
                program: own,
                limits: ResourceLimits {
                    // In whole pages, as the kernel counts it.
                    memory: MemorySize(settings.worker_memory & !0xfff),
                    cpus,
                    pids: settings.worker_pids,
                    open_files: OPEN_FILES,
                },
                waived: waived.collect::<Result<_, _>>()?,
                kind: calls.kind,
                concurrent: calls.concurrent,
                parallel: calls.parallel,
            }),
        })
    }

    fn applies_to(&self, adapter: &LoraAdapter) -> bool {
        match self.plan.scope {
            IsolationScope::Off => false,
            IsolationScope::All => true,
            IsolationScope::Others => adapter.dir.starts_with(&self.plan.store),
        }
    }

    async fn start(
        &self,
        name: String,
        spec: &EngineSpec<'_>,
        adapter: &LoraAdapter,
    ) -> Result<LoadedEngine, EngineError> {
        let failed = |failure: Failure| EngineError::Unsupported {
            name: name.clone(),
            reason: failure.message,
            hint: failure.hint,
        };
        let plan = Arc::clone(&self.plan);
        let staged = {
            let (plan, adapter) = (Arc::clone(&plan), adapter.clone());
            let (base, quant) = (spec.base.clone(), spec.quant.to_string());
            let name = name.clone();
            blocking(move || StagedWorker::new(&plan, &name, &adapter, &base, &quant)).await
        };
        let staged = Arc::new(staged.map_err(failed)?);
        let running = staged.clone().started().await.map_err(failed)?;
        let link = Arc::new(WorkerLink::new(&name));
        staged.announce(&link, &running);
        let facts = tokio::time::timeout(TELLING, link.facts()).await;
        let facts = facts.map_err(|_| silent(&name))??;
        let (implementation, weights) = checked(&name, plan.kind, &facts, adapter)?;
        let context = usize::try_from(facts.context_tokens).unwrap_or(usize::MAX);
        let context = context.min(spec.base.config.max_positions);
        let counter = PromptCounter::open(&name, spec.base, context)?;
        plan.printer.note(format!(
            "{name}: in a process of its own, with at most {} of memory",
            plan.limits.memory
        ));
        let stop = CancellationToken::new();
        let owner = WorkerOwner {
            _stop: stop.clone().drop_guard(),
            _place: CountedWorker::new(&self.workers),
        };
        tokio::spawn(supervise(staged, running, Arc::clone(&link), stop));
        Ok(LoadedEngine {
            engine: Arc::new(WorkerEngine::new(link, counter, Arc::new(owner))),
            implementation,
            weights,
            effect: facts.effect.map(f32::from_bits),
        })
    }
}

#[async_trait::async_trait]
impl ModelLoader for IsolatedLoader {
    async fn load(&self, spec: EngineSpec<'_>) -> Result<LoadedEngine, EngineError> {
        match spec.adapter {
            Some(adapter) if self.applies_to(adapter) => {
                self.start(spec.name.clone(), &spec, adapter).await
            }
            _ => self.inner.load(spec).await,
        }
    }

    fn resident(&self) -> usize {
        self.inner.resident() + self.workers.load(Ordering::Relaxed)
    }

    fn steps(&self) -> u64 {
        self.inner.steps()
    }
}

fn silent(name: &str) -> EngineError {
    EngineError::Load {
        name: name.to_owned(),
        reason: format!(
            "its worker does not say within {} s what it has loaded",
            TELLING.as_secs()
        ),
    }
}

/// What a worker says that it has loaded, held against what it was to load.
fn checked(
    name: &str,
    kind: EngineKind,
    facts: &WorkerFacts,
    adapter: &LoraAdapter,
) -> Result<(&'static str, QuantChoice), EngineError> {
    let wrong = |what: &str| EngineError::Load {
        name: name.to_owned(),
        reason: format!("its worker has loaded another {what}"),
    };
    let implementation = match kind {
        EngineKind::Native => openlora_native::ARITHMETIC,
        EngineKind::Mistralrs => openlora_mistral::IMPLEMENTATION,
    };
    if facts.engine != implementation {
        return Err(wrong("engine"));
    }
    if facts.adapter_digest != adapter.digest {
        return Err(wrong("adapter"));
    }
    let quant = facts
        .weights
        .parse()
        .map_err(|_| wrong("form of weights"))?;
    let reason = facts.reason.chars().take(200).collect();
    Ok((implementation, QuantChoice { quant, reason }))
}

/// A number of processors as the jail counts them.
fn thousandths(processors: f64) -> CpuShare {
    CpuShare((processors * 1000.0).round() as u32)
}

fn all_processors() -> CpuShare {
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    CpuShare::whole(u32::try_from(count).unwrap_or(1))
}

/// Keeps a worker running.
struct WorkerOwner {
    _stop: DropGuard,
    _place: CountedWorker,
}

/// A worker that is counted.
struct CountedWorker(Arc<AtomicUsize>);

impl CountedWorker {
    fn new(workers: &Arc<AtomicUsize>) -> Self {
        workers.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(workers))
    }
}

impl Drop for CountedWorker {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The files of a worker, which go with it.
struct StagedWorker {
    name: String,
    spec: JailSpec,
    program: PathBuf,
    printer: Printer,
    socket: PathBuf,
    _files: TempDir,
}

/// A worker that answers.
struct RunningWorker {
    process: JailedProcess,
    words: LastWords,
}

impl StagedWorker {
    fn new(
        plan: &IsolationPlan,
        name: &str,
        adapter: &LoraAdapter,
        base: &BaseModel,
        quant: &str,
    ) -> Result<Self, Failure> {
        let cache = &plan.cache;
        files::new_folder(cache)
            .map_err(|error| Failure::io("create the folder", cache, &error))?;
        let failed = |error| Failure::io("write in", cache, &error);
        let staging = tempfile::Builder::new()
            .prefix("worker-")
            .tempdir_in(cache)
            .map_err(failed)?;
        let folder = |name: &str| open_folder(staging.path(), Path::new(name)).map_err(failed);
        let (root, sockets) = (folder("root")?, folder("socket")?);
        share(&sockets)?;
        let package = open_folder(&root, Path::new(PACKAGE)).map_err(failed)?;
        copy_readable(&adapter.dir, &package)?;
        // What was checked is what is used, whatever became of the folder meanwhile.
        let copied = adapter::read(&package)?;
        if copied.digest != adapter.digest {
            let message = format!("{} changed while it was copied", adapter.dir.display());
            return Err(Failure::new(ExitClass::Verification, message));
        }
        let mut binds = vec![BindMount {
            source: sockets.clone(),
            target: SOCKET_DIR.into(),
            writable: true,
        }];
        binds.extend(program_binds(&plan.program)?);
        let is_embedded = base.id == EMBEDDED;
        if !is_embedded {
            binds.extend(base_binds(&base.dir)?);
        }
        let order = WorkerOrder {
            name: name.to_owned(),
            adapter: PACKAGE.into(),
            base: (!is_embedded).then(|| BASE.into()),
            base_id: base.id.clone(),
            base_digest: base.digest.clone(),
            engine: plan.kind.name().to_owned(),
            quant: quant.to_owned(),
            concurrent: plan.concurrent,
            parallel: plan.parallel,
            socket: SOCKET.into(),
            scratch: HOME.into(),
        };
        let order = serde_json::to_string(&order)
            .map_err(|error| Failure::new(ExitClass::Internal, error.to_string()))?;
        let environment = image::environment().into_iter().filter_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            Some((name.to_owned(), value.to_owned()))
        });
        let inside = SOCKET
            .trim_start_matches(SOCKET_DIR)
            .trim_start_matches('/');
        Ok(Self {
            name: name.to_owned(),
            program: plan.program.clone(),
            printer: plan.printer.clone(),
            socket: sockets.join(inside),
            spec: JailSpec {
                root,
                binds,
                program: JailedProgram {
                    program: PROGRAM.to_owned(),
                    arguments: vec![WORKER_ARGUMENT.to_owned(), order],
                    environment: environment.collect(),
                },
                limits: plan.limits,
                waived: plan.waived.clone(),
                scratch: SCRATCH,
                capture_errors: true,
            },
            _files: staging,
        })
    }

    /// Starts the worker, and waits until it answers.
    async fn started(self: Arc<Self>) -> Result<RunningWorker, Failure> {
        let (staged, began) = (Arc::clone(&self), Instant::now());
        let started = move || jail::start(&staged.spec, &staged.program);
        let mut process = blocking(started).await.map_err(Self::named)?;
        let words = LastWords::default();
        if let Some(errors) = process.errors.take() {
            words.follow(errors);
        }
        let ready = Arc::new(std::sync::OnceLock::new());
        if let Some(output) = process.output.take() {
            let ready = Arc::clone(&ready);
            // A thread of its own: the pipe is read as long as the worker runs.
            std::thread::spawn(move || {
                let mut output = output;
                loop {
                    let mut line = Vec::new();
                    let mut bounded = (&mut output).take(LONGEST_LINE);
                    match bounded.read_until(b'\n', &mut line) {
                        Ok(1..) if line.trim_ascii() == READY.as_bytes() => {
                            // It may say so again.
                            let _ = ready.set(());
                        }
                        Ok(1..) => {}
                        _ => return,
                    }
                }
            });
        }
        loop {
            if ready.get().is_some() {
                return Ok(RunningWorker { process, words });
            }
            if let Some(exit) = process.try_wait()? {
                let reason = ended(exit, &self.spec.limits, &words);
                let message = format!("the process of {} {reason}", self.name);
                return Err(Failure::new(ExitClass::Environment, message)
                    .with_hint("give it more with `serve.worker_memory` if that is its fault"));
            }
            if began.elapsed() > LOADING {
                let limit = LOADING.as_secs();
                let message = format!("the process of {} loads for {limit} s", self.name);
                return Err(Failure::new(ExitClass::Environment, message));
            }
            tokio::time::sleep(GLANCE).await;
        }
    }

    /// The failure of a jail, with the setting in place of the option.
    fn named(error: openlora_container::ContainerError) -> Failure {
        let failure = Failure::from(error);
        let hint = failure.hint.as_ref().map(|hint| {
            hint.replace("--waive", "`serve.worker_waive`")
                .replace("--memory", "`serve.worker_memory`")
        });
        Failure { hint, ..failure }
    }

    fn announce(&self, link: &WorkerLink, running: &RunningWorker) {
        let report = &running.process.report;
        let limits = report.limits.iter().map(|it| IsolationLimit {
            limit: it.limit.name().to_owned(),
            found: it.found.clone(),
            in_force: it.in_force,
        });
        let place = SocketPlace(self.socket.clone());
        link.running(Arc::new(place), RUNTIME, limits.collect());
    }
}

/// The socket of a worker. The worker owns its folder, so only a socket there is used, never a link.
struct SocketPlace(PathBuf);

impl Connector for SocketPlace {
    fn with_socket(
        &self,
        connect: &dyn Fn(&Path) -> io::Result<std::os::unix::net::UnixStream>,
    ) -> io::Result<std::os::unix::net::UnixStream> {
        let held = HeldSocket::open(&self.0)?;
        connect(&held.path())
    }
}

/// Starts a worker again whenever it ends, until stopped.
async fn supervise(
    staged: Arc<StagedWorker>,
    mut running: RunningWorker,
    link: Arc<WorkerLink>,
    stop: CancellationToken,
) {
    let mut pause = PAUSE;
    loop {
        let began = Instant::now();
        let reason = tokio::select! {
            () = stop.cancelled() => break,
            reason = end_of(&mut running, &staged.spec.limits) => reason,
        };
        drop_running(running).await;
        link.ended(&reason);
        if began.elapsed() > STEADY {
            pause = PAUSE;
        }
        running = loop {
            staged.printer.warn(format!(
                "{}: its process {reason}; its running calls have failed, and it is started again in \
                 {} s",
                staged.name,
                pause.as_secs()
            ));
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
            match Arc::clone(&staged).started().await {
                Ok(running) => break running,
                Err(failure) => link.ended(&failure.message),
            }
        };
        staged.announce(&link, &running);
        staged
            .printer
            .note(format!("{}: its process runs again", staged.name));
    }
    drop_running(running).await;
    link.ended("it was unloaded");
}

/// Waits for the end of a worker, and says how it ended.
async fn end_of(running: &mut RunningWorker, limits: &ResourceLimits) -> String {
    loop {
        match running.process.try_wait() {
            Ok(None) => tokio::time::sleep(GLANCE).await,
            Ok(Some(exit)) => return ended(exit, limits, &running.words),
            Err(error) => return format!("cannot be watched: {error}"),
        }
    }
}

/// Killing a jail waits for its end.
async fn drop_running(running: RunningWorker) {
    blocking(move || drop(running)).await;
}

fn ended(exit: JailExit, limits: &ResourceLimits, words: &LastWords) -> String {
    match exit {
        JailExit {
            out_of_memory: true,
            ..
        } => format!(
            "was killed because it took more than {} of memory",
            limits.memory
        ),
        JailExit { code, .. } => match words.text() {
            said if said.is_empty() => format!("ended with {code}"),
            said => format!("ended with {code}: {said}"),
        },
    }
}

/// The end of what a worker wrote to its standard error.
#[derive(Clone, Default)]
struct LastWords(Arc<Mutex<Vec<u8>>>);

impl LastWords {
    fn follow(&self, mut errors: impl Read + Send + 'static) {
        let words = self.clone();
        std::thread::spawn(move || {
            let mut bytes = [0; 1024];
            while let Ok(read @ 1..) = errors.read(&mut bytes) {
                let mut said = words.0.lock().unwrap_or_else(PoisonError::into_inner);
                said.extend_from_slice(&bytes[..read]);
                let surplus = said.len().saturating_sub(LAST_WORDS);
                said.drain(..surplus);
            }
        });
    }

    fn text(&self) -> String {
        let said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&said);
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        let last = lines.into_iter().rfind(|line| !line.is_empty());
        openlora_core::private::foreign_text::clean_line(last.unwrap_or_default()).into_owned()
    }
}

/// Copies the files of a folder so that the user of the inside can read them.
fn copy_readable(from: &Path, to: &Path) -> Result<(), Failure> {
    let entries = fs::read_dir(from).map_err(|error| Failure::io("read", from, &error))?;
    for entry in entries.flatten() {
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let failed = |error| Failure::io("copy", &source, &error);
        let meta = fs::metadata(&source).map_err(failed)?;
        if !meta.is_file() {
            continue;
        }
        fs::copy(&source, &target).map_err(failed)?;
        fs::set_permissions(&target, fs::Permissions::from_mode(0o644)).map_err(failed)?;
    }
    Ok(())
}

/// The files of a base, each where its link leads.
fn base_binds(dir: &Path) -> Result<Vec<BindMount>, Failure> {
    let entries = fs::read_dir(dir).map_err(|error| Failure::io("read", dir, &error))?;
    let mut binds = Vec::new();
    for entry in entries.flatten() {
        let source = fs::canonicalize(entry.path());
        let source = source.map_err(|error| Failure::io("read", &entry.path(), &error))?;
        let meta = fs::metadata(&source).map_err(|error| Failure::io("read", &source, &error))?;
        if !meta.is_file() {
            continue;
        }
        // With root, the user of the inside owns nothing on this machine.
        if is_root() && meta.permissions().mode() & 0o004 == 0 {
            let message = format!(
                "{} cannot be read by the user of a worker, which owns nothing here",
                source.display()
            );
            return Err(Failure::new(ExitClass::Environment, message).with_hint(
                "let everybody read the base: chmod -R a+rX, or serve as another user",
            ));
        }
        binds.push(BindMount {
            source,
            target: Path::new(BASE).join(entry.file_name()),
            writable: false,
        });
    }
    Ok(binds)
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").is_ok_and(|it| it.uid() == 0)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime ends.
            Err(_) => std::future::pending().await,
        },
    }
}
