//! `demo`: runs the complete workflow on the embedded base.
//!
//! Every step is an ordinary command: the demo runs this same binary in a home of its own, prints
//! the command line and reports the result. No output is prepared in advance, and every figure is
//! reported by the step itself.

mod buyer;
mod credit;
mod ended;
mod pictures;
mod program;
mod script;
mod steps;
mod watch;

use std::{path::PathBuf, sync::Mutex};

use serde::Serialize;
use tempfile::TempDir;

pub use self::ended::{StartedDemo, explain_ended};
use self::{program::DemoBinary, script::DemoScript};
use super::{CommandContext, deploy::DeployReport, named_paths};
use openlora_core::error::{ExitClass, ExitStatus, Failure};

/// The request of `demo`.
#[derive(Clone, Debug)]
pub struct DemoRequest {
    /// Folder to keep everything in; a temporary one by default.
    pub home: Option<PathBuf>,
    /// Show the creator's journal live in the dashboard.
    pub dash: bool,
}

/// The result: a key per step.
#[derive(Debug, Default, Serialize, schemars::JsonSchema)]
pub struct DemoReport {
    /// Marks every figure here as demo data.
    pub demo: bool,
    pub started: Option<steps::DemoProject>,
    pub trained: Option<steps::TrainingFigures>,
    pub evaluated: Option<steps::EvaluationFigures>,
    /// The result of `deploy`, as read back from the registry.
    pub deployed: Option<DeployReport>,
    /// The adapter that makes pictures.
    pub pictures: Option<pictures::PictureSales>,
    pub calls: Vec<steps::DemoCall>,
    pub metered: Option<steps::MeteredTotals>,
    pub paid: Option<buyer::BuyerPayments>,
    pub settled: Option<buyer::SettlementFigures>,
    pub attributed: Option<credit::CreditReport>,
    pub seconds: f64,
}

/// Runs the demo; Ctrl-C stops its programs and cleans up.
pub async fn run(context: &CommandContext, request: DemoRequest) -> Result<ExitStatus, Failure> {
    if request.dash {
        super::dash::needs_terminal("leave --dash out: the steps are printed as plain lines")?;
    }
    if let Some(home) = &request.home {
        named_paths::new_folder(context, home, "a folder for the demo")?;
    }
    let home = DemoHome::open(request.home)?;
    let mut script = DemoScript {
        printer: &context.printer,
        program: DemoBinary::new(home.path())?,
        is_kept: home.is_kept().is_some(),
        cache: context.dirs.cache.clone(),
        watcher: None,
        current: Mutex::default(),
    };
    let told = if request.dash {
        watch::run_watched(context, &mut script).await
    } else {
        tokio::select! {
            told = script.run_timed() => told,
            _ = tokio::signal::ctrl_c() => Err(interrupted()),
        }
    };
    let ended = script.end_chain().await;
    let report = told?;
    ended?;
    if context.printer.is_json() {
        context.printer.json(&report);
    } else {
        script.close(&report, home.is_kept());
    }
    Ok(ExitStatus::Success)
}

fn interrupted() -> Failure {
    Failure::new(ExitClass::Interrupted, "the demo was interrupted")
}

/// The folder in which the demo works.
enum DemoHome {
    Temporary(TempDir),
    Kept(PathBuf),
}

impl DemoHome {
    fn open(wanted: Option<PathBuf>) -> Result<Self, Failure> {
        let Some(dir) = wanted else {
            let dir = TempDir::with_prefix(ended::TEMPORARY).map_err(|error| {
                Failure::io("create a folder in", &std::env::temp_dir(), &error)
            })?;
            return Ok(Self::Temporary(dir));
        };
        std::fs::create_dir_all(&dir).map_err(|error| Failure::io("create", &dir, &error))?;
        let mut entries = dir
            .read_dir()
            .map_err(|error| Failure::io("read", &dir, &error))?;
        if entries.next().is_some() {
            return Err(Failure::new(
                ExitClass::Usage,
                format!("demo --home {}: the folder is not empty", dir.display()),
            )
            .with_hint("name a new folder, or leave --home out to use a temporary one"));
        }
        Ok(Self::Kept(
            dir.canonicalize()
                .map_err(|error| Failure::io("open", &dir, &error))?,
        ))
    }

    fn path(&self) -> &std::path::Path {
        match self {
            Self::Temporary(dir) => dir.path(),
            Self::Kept(dir) => dir,
        }
    }

    fn is_kept(&self) -> Option<&std::path::Path> {
        match self {
            Self::Temporary(_) => None,
            Self::Kept(dir) => Some(dir),
        }
    }
}
