//! Errors of training and evaluation, and what the user can do.

use std::path::{Path, PathBuf};

use super::dataset_role::DatasetRole;
use openlora_core::error::{ExitClass, Explain, Failure, describe_io};
use openlora_decoder::DecoderError;
use openlora_diffusion::DiffusionError;
use openlora_model::{
    ModelError, PatternError,
    adapter::AdapterError,
    dataset::{DataError, choices::SameLabels, long::LongRows},
    text::ModelTextError,
};
use openlora_pictures::{FolderError, PictureError};

#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    #[error("{0}")]
    Model(#[from] ModelError),
    #[error("{0}")]
    Decoder(#[from] DecoderError),
    #[error("{0}")]
    Pattern(#[from] PatternError),
    #[error("{0}")]
    Text(#[from] ModelTextError),
    #[error("{0}")]
    Data(#[from] DataError),
    #[error("{0}")]
    Adapter(#[from] AdapterError),
    #[error("{0}")]
    Diffusion(#[from] DiffusionError),
    #[error("{place}: {error}")]
    Caption {
        place: String,
        error: DiffusionError,
    },
    #[error("{0}")]
    Folder(#[from] FolderError),
    #[error("{0}")]
    Picture(#[from] PictureError),
    #[error("a tensor operation failed: {0}")]
    Tensor(#[from] candle_core::Error),
    #[error("cannot {deed} {}: {}", path.display(), describe_io(source))]
    Io {
        deed: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("cannot save step {step} of run {run}: {cause}")]
    NotSaved {
        run: String,
        step: u64,
        kept: Option<u64>,
        cause: Box<TrainError>,
    },
    #[error("there is nothing to train on: the data has no rows")]
    NoRows,
    #[error(
        "no {rows} row is left: all {} are longer than {} tokens and left out (the longest has {})",
        long.rows, long.max_len, long.longest
    )]
    AllLong { rows: DatasetRole, long: LongRows },
    #[error("train.val is `{found}`: expected a fraction between 0 and 1, or a data file")]
    Validation { found: String },
    #[error("train.val = {fraction} leaves none of {rows} rows for validation")]
    ValidationShare { fraction: f64, rows: usize },
    #[error("no run was found in {}", runs.display())]
    NoRun { runs: PathBuf },
    #[error("{} is not a run: it has no {missing}", path.display())]
    NotARun {
        path: PathBuf,
        missing: &'static str,
    },
    #[error("the run {run} has no adapter: it did not finish")]
    Unfinished { run: String },
    #[error("run {run} has no checkpoint yet")]
    NoCheckpoint { run: String },
    #[error("{}: {detail}", path.display())]
    Damaged { path: PathBuf, detail: String },
    #[error("run {run} is complete: {step} of {steps} steps are done")]
    Complete { run: String, step: u64, steps: u64 },
    #[error("run {run} cannot continue: {what} was {was} and is now {is}")]
    Changed {
        run: String,
        what: String,
        was: String,
        is: String,
    },
    #[error(
        "training broke down at step {step}: loss {loss} and gradient norm {norm} at learning rate {lr:.3e}"
    )]
    NotFinite {
        step: u64,
        loss: f64,
        norm: f64,
        lr: f64,
    },
    #[error(
        "training diverged at step {step}: the smoothed loss rose from {best:.4} to {smoothed:.4} at learning rate {lr:.3e}"
    )]
    Diverged {
        step: u64,
        best: f64,
        smoothed: f64,
        lr: f64,
    },
    #[error("interrupted after step {step} of {steps}; saved in {}", run.display())]
    Interrupted { run: PathBuf, step: u64, steps: u64 },
    #[error("eval needs {what}")]
    EvalNeeds { what: &'static str },
    #[error("tensor {name} of shape {shape:?} is missing")]
    MissingTensor { name: String, shape: Vec<usize> },
    #[error("{0}")]
    Labels(#[from] SameLabels),
}

impl TrainError {
    pub fn io(deed: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::Io {
            deed,
            path: path.to_owned(),
            source,
        }
    }

    pub fn damaged(path: &Path, detail: impl Into<String>) -> Self {
        Self::Damaged {
            path: path.to_owned(),
            detail: detail.into(),
        }
    }
}

impl Explain for TrainError {
    fn class(&self) -> ExitClass {
        match self {
            Self::Model(error) => error.class(),
            Self::Decoder(error) => error.class(),
            Self::Pattern(error) => error.class(),
            Self::Text(error) => error.class(),
            Self::Data(error) => error.class(),
            Self::Adapter(error) => error.class(),
            Self::Diffusion(error) | Self::Caption { error, .. } => error.class(),
            Self::Folder(error) => error.class(),
            Self::Picture(error) => error.class(),
            Self::NotSaved { cause, .. } => cause.class(),
            Self::Tensor(_) => ExitClass::Internal,
            Self::Io { .. } => ExitClass::Environment,
            Self::NotFinite { .. } | Self::Diverged { .. } => ExitClass::Gate,
            Self::Interrupted { .. } => ExitClass::Interrupted,
            Self::NoRun { .. }
            | Self::NoCheckpoint { .. }
            | Self::Complete { .. }
            | Self::EvalNeeds { .. } => ExitClass::Usage,
            Self::NoRows
            | Self::AllLong { .. }
            | Self::Validation { .. }
            | Self::ValidationShare { .. }
            | Self::NotARun { .. }
            | Self::Unfinished { .. }
            | Self::Damaged { .. }
            | Self::Changed { .. }
            | Self::MissingTensor { .. } => ExitClass::BadInput,
            Self::Labels(error) => error.class(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Model(error) => error.hint(),
            Self::Decoder(error) => error.hint(),
            Self::Pattern(error) => error.hint(),
            Self::Text(error) => error.hint(),
            Self::Data(error) => error.hint(),
            Self::Adapter(error) => error.hint(),
            Self::Diffusion(error) | Self::Caption { error, .. } => error.hint(),
            Self::Folder(error) => error.hint(),
            Self::Picture(error) => error.hint(),
            Self::Tensor(_) => None,
            Self::Io { deed, path, source } => Failure::io(deed, path, source).hint,
            Self::NotSaved {
                run,
                kept: Some(kept),
                ..
            } => Some(format!(
                "step {kept} is saved: make room or permit writing, then `openlora train --resume {run}`"
            )),
            Self::NotSaved { .. } => {
                Some("make room or permit writing, then start the training again".to_owned())
            }
            Self::NoRows => {
                Some("name data files under [[data]] in openlora.toml, or with --data".to_owned())
            }
            Self::AllLong { .. } => {
                Some("raise train.max_len, or set train.on_long to truncate".to_owned())
            }
            Self::Validation { .. } => {
                Some("for example `--val 0.1`, or `--val data/valid.jsonl`".to_owned())
            }
            Self::ValidationShare { .. } => {
                Some("take another fraction, or name a file with --val".to_owned())
            }
            Self::NoRun { .. } => Some("start one with `openlora train`".to_owned()),
            Self::NotARun { .. } => {
                Some("name a folder under runs/, or leave it out for the latest".to_owned())
            }
            Self::Unfinished { run } => Some(format!("finish it: openlora train --resume {run}")),
            Self::NoCheckpoint { .. } => Some("start again with `openlora train`".to_owned()),
            Self::Damaged { .. } | Self::MissingTensor { .. } => None,
            Self::Complete { run, .. } => Some(format!(
                "evaluate it with `openlora eval {run}`, or train anew with `openlora train`"
            )),
            Self::Changed { .. } => {
                Some("restore it, or start a new run with `openlora train`".to_owned())
            }
            Self::NotFinite { lr, .. } | Self::Diverged { lr, .. } => Some(format!(
                "try a lower learning rate, for example `--lr {:.0e}`, or a longer --warmup",
                lr / 4.0
            )),
            Self::Interrupted { run, .. } => {
                let name = run.file_name().unwrap_or(run.as_os_str());
                Some(format!(
                    "continue with `openlora train --resume {}`",
                    name.to_string_lossy()
                ))
            }
            Self::EvalNeeds { .. } => {
                Some("name test files with --data, or set eval.data in openlora.toml".to_owned())
            }
            Self::Labels(error) => error.hint(),
        }
    }
}
