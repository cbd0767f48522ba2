//! `doctor`: checks this machine, and prints where files are.

use std::path::Path;

use serde::Serialize;
use sysinfo::System;

use super::{CommandContext, project};
use openlora_core::{
    calendar::moment,
    disk,
    error::{ExitClass, ExitStatus, Failure},
    private::files,
};
use openlora_model::gguf::GGUF_FOLDER;
use openlora_native::{ARITHMETIC, CpuPath};
use openlora_train::machine::{self, MachineSpeed};

/// Verdict of one check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum HealthVerdict {
    Good,
    Warning,
    Bad,
}

/// One check of the report.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct HealthCheck {
    pub name: &'static str,
    pub verdict: HealthVerdict,
    pub found: String,
    /// What to do, unless all is well.
    pub hint: Option<String>,
}

impl HealthCheck {
    fn good(name: &'static str, found: impl Into<String>) -> Self {
        Self {
            name,
            verdict: HealthVerdict::Good,
            found: found.into(),
            hint: None,
        }
    }

    fn warning(name: &'static str, found: impl Into<String>, hint: &str) -> Self {
        Self {
            name,
            verdict: HealthVerdict::Warning,
            found: found.into(),
            hint: Some(hint.to_owned()),
        }
    }

    fn bad(name: &'static str, found: impl Into<String>, hint: &str) -> Self {
        Self {
            name,
            verdict: HealthVerdict::Bad,
            found: found.into(),
            hint: Some(hint.to_owned()),
        }
    }
}

/// The whole report.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct DoctorReport {
    /// No check failed.
    pub ok: bool,
    pub checks: Vec<HealthCheck>,
    /// With `--bench`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speed: Option<MachineSpeed>,
}

/// Memory needed to train and serve the embedded base, in bytes.
const LEAST_MEMORY: u64 = 1 << 30;
/// Free disk space needed by a run's checkpoints, in bytes.
const LEAST_DISK: u64 = 500 << 20;
const GIB: f64 = (1_u64 << 30) as f64;

/// Runs every check, and measures the machine if requested; a failed check gives exit code 4.
pub async fn run(context: &CommandContext, bench: bool) -> Result<ExitStatus, Failure> {
    let checks = examine(context);
    let speed = match bench {
        true => Some(measured(context).await?),
        false => None,
    };
    let bad = checks
        .iter()
        .any(|check| check.verdict == HealthVerdict::Bad);
    if context.printer.is_json() {
        context.printer.json(&DoctorReport {
            ok: !bad,
            checks,
            speed,
        });
    } else {
        for check in &checks {
            let word = match check.verdict {
                HealthVerdict::Good => "ok  ",
                HealthVerdict::Warning => "warn",
                HealthVerdict::Bad => "bad ",
            };
            context
                .printer
                .line(format!("{word}  {:9} {}", check.name, check.found));
            if let Some(hint) = &check.hint {
                context.printer.hint(hint);
            }
        }
        print_speed(context, speed);
    }
    Ok(if bad {
        ExitStatus::Verdict(ExitClass::Environment)
    } else {
        ExitStatus::Success
    })
}

async fn measured(context: &CommandContext) -> Result<MachineSpeed, Failure> {
    let nano = project::base(context, Some("nano"))?;
    let work = tokio::task::spawn_blocking(move || machine::measure(&nano));
    let stopped = |error| Failure::new(ExitClass::Internal, format!("measuring stopped: {error}"));
    Ok(work.await.map_err(stopped)??)
}

fn print_speed(context: &CommandContext, speed: Option<MachineSpeed>) {
    let Some(speed) = speed else { return };
    let line = |name, found: f64, unit| {
        context
            .printer
            .line(format!("      {name:9} {found:.0} {unit}"));
    };
    line("matrices", speed.matrix_gflops, "GFLOP/s, f32");
    line("reading", speed.memory_gb_per_second, "GB/s from memory");
    line(
        "training",
        speed.nano_tokens_per_second,
        "tokens/s with nano",
    );
}

fn examine(context: &CommandContext) -> Vec<HealthCheck> {
    let mut checks = vec![processor(), features(), engines(), gpu(), memory()];
    checks.push(folder("config", &context.dirs.config));
    checks.push(folder("data", &context.dirs.data));
    checks.push(folder("cache", &context.dirs.cache));
    checks.push(disk(&context.dirs.data));
    checks.push(clock());
    checks.push(base(context));
    checks.push(port(context));
    checks
}

fn processor() -> HealthCheck {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let found = format!(
        "{cores} cores, {} {}",
        std::env::consts::ARCH,
        std::env::consts::OS
    );
    HealthCheck::good("processor", found)
}

/// Vector instructions for which this binary was compiled. They determine the speed of quantised
/// inference, whatever the processor supports.
fn compiled_features() -> Vec<&'static str> {
    [
        ("avx2", cfg!(target_feature = "avx2")),
        ("fma", cfg!(target_feature = "fma")),
        ("avx512f", cfg!(target_feature = "avx512f")),
        ("neon", cfg!(target_feature = "neon")),
    ]
    .into_iter()
    .filter_map(|(name, on)| on.then_some(name))
    .collect()
}

fn features() -> HealthCheck {
    let compiled = compiled_features();
    if compiled.is_empty() {
        return HealthCheck::warning(
            "vectors",
            "built without vector instructions",
            "build with RUSTFLAGS=\"-C target-cpu=native\" for faster inference",
        );
    }
    HealthCheck::good("vectors", format!("built for {}", compiled.join(", ")))
}

/// What can answer calls, and the instructions that it uses here.
fn engines() -> HealthCheck {
    let device = match openlora_mistral::computes_on_gpu() {
        true => "the GPU",
        false => "the processor",
    };
    let here = CpuPath::ALL.into_iter().filter(|path| path.is_supported());
    let here: Vec<String> = here.map(|path| path.to_string()).collect();
    let found = format!(
        "{} on {device}; {ARITHMETIC} with {}, of {}",
        openlora_mistral::IMPLEMENTATION,
        CpuPath::detect(),
        here.join(", ")
    );
    HealthCheck::good("engines", found)
}

/// The GPU that this build is for.
const GPU: Option<&str> = if cfg!(feature = "cuda") {
    Some("CUDA")
} else if cfg!(feature = "metal") {
    Some("Metal")
} else {
    None
};

/// Whether this build uses a GPU, and whether there is one.
fn gpu() -> HealthCheck {
    let is_there = match GPU {
        Some("Metal") => cfg!(target_os = "macos"),
        _ => Path::new("/proc/driver/nvidia/version").exists(),
    };
    match (GPU, is_there) {
        (Some(kind), true) => HealthCheck::good("gpu", format!("{kind}, for training and serving")),
        (Some(kind), false) => HealthCheck::bad(
            "gpu",
            format!("this build computes with {kind}, which is not here"),
            "install the GPU's driver, or take a build without it",
        ),
        (None, true) => HealthCheck::warning(
            "gpu",
            "NVIDIA, which this build does not use",
            "to train and serve on it: cargo build --release --features cuda",
        ),
        (None, false) => HealthCheck::good("gpu", "none, and this build needs none"),
    }
}

fn memory() -> HealthCheck {
    let mut system = System::new();
    system.refresh_memory();
    let found = format!(
        "{:.1} GiB available of {:.1} GiB",
        system.available_memory() as f64 / GIB,
        system.total_memory() as f64 / GIB
    );
    if system.available_memory() < LEAST_MEMORY {
        return HealthCheck::warning("memory", found, "close other programs before training");
    }
    HealthCheck::good("memory", found)
}

fn folder(name: &'static str, path: &Path) -> HealthCheck {
    let shown = path.display().to_string();
    let probe = files::new_folder(path).and_then(|()| tempfile::tempfile_in(path));
    match probe {
        Ok(_) => HealthCheck::good(name, shown),
        Err(error) => HealthCheck::bad(
            name,
            format!("{shown}: {}", openlora_core::error::describe_io(&error)),
            "choose a writable folder, or set OPENLORA_HOME to one",
        ),
    }
}

fn disk(path: &Path) -> HealthCheck {
    let Ok(free) = disk::free_space(path) else {
        return HealthCheck::warning(
            "disk",
            "free space unknown",
            "make sure that runs have room",
        );
    };
    let found = format!("{:.1} GiB free", free as f64 / GIB);
    if free < LEAST_DISK {
        return HealthCheck::bad(
            "disk",
            found,
            "free some space, or set OPENLORA_HOME elsewhere",
        );
    }
    HealthCheck::good("disk", found)
}

/// Receipts contain times: a clock before this program's first release is certainly wrong.
fn clock() -> HealthCheck {
    const FIRST_RELEASE: u64 = 1_790_000_000;
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_secs());
    if now < FIRST_RELEASE {
        let found = format!("{}, which is in the past", moment(now));
        return HealthCheck::warning("clock", found, "set the system clock");
    }
    HealthCheck::good("clock", moment(now))
}

fn base(context: &CommandContext) -> HealthCheck {
    let base = context.settings.base.located();
    let place = match base.as_str() {
        "nano" => "embedded in this binary".to_owned(),
        id if Path::new(id).join("config.json").is_file() => "a local folder".to_owned(),
        id if Path::new(id).is_file() => {
            format!(
                "a GGUF file, converted in {}",
                context.dirs.models().join(GGUF_FOLDER).display()
            )
        }
        _ => format!("from the Hub, kept in {}", context.dirs.models().display()),
    };
    HealthCheck::good("base", format!("{base} ({place})"))
}

fn port(context: &CommandContext) -> HealthCheck {
    let settings = &context.settings.serve;
    let address = format!("{}:{}", settings.host, settings.port);
    match std::net::TcpListener::bind(&address) {
        Ok(_) => HealthCheck::good("port", format!("{address} is free")),
        Err(error) => HealthCheck::warning(
            "port",
            format!("{address}: {}", openlora_core::error::describe_io(&error)),
            "`openlora serve --port 0` takes a free port",
        ),
    }
}
