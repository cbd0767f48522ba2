//! The run directory: the results of a training, and its state for resuming.
//!
//! ```text
//! runs/latest                 name of the newest run, finished or not
//! runs/<id>/config.lock.toml  settings and digests that determine the result
//! runs/<id>/metrics.jsonl     a line per step and validation
//! runs/<id>/loss.svg          the loss curves as a chart
//! runs/<id>/result.json       end time and evaluation
//! runs/<id>/out               the second folder that the adapter goes to
//! runs/<id>/checkpoints/step-N/{weights,optimizer}.safetensors, state.json
//! runs/<id>/adapter/          the result, in PEFT format
//! ```

pub mod checkpoint;
pub mod files;
pub mod lock;
pub mod metrics;
pub mod result;

use std::{
    ffi::OsString,
    fs,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use super::error::TrainError;
use openlora_core::{atomic, calendar::civil_from_days};

/// A run's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunDir {
    path: PathBuf,
}

/// The newest run that is finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewestRun {
    pub finished: RunDir,
    /// The newest of all, if it has no adapter yet.
    pub unfinished: Option<RunDir>,
}

const LOCK: &str = "config.lock.toml";
const RESULT: &str = "result.json";
const OUT: &str = "out";

impl RunDir {
    /// Makes a new folder under `runs` with a name of its own and points `latest` at it.
    pub fn create(runs: &Path) -> Result<Self, TrainError> {
        let run = Self {
            path: runs.join(new_id()),
        };
        files::create_folder(&run.checkpoints())?;
        files::replace(&runs.join("latest"), format!("{}\n", run.id()).as_bytes())?;
        Ok(run)
    }

    /// The metrics file of the newest run, which another process may be writing. Nothing is
    /// recovered or checked.
    pub fn newest_metrics(runs: &Path) -> Option<PathBuf> {
        let id = fs::read_to_string(runs.join("latest")).ok()?;
        Some(runs.join(id.trim()).join("metrics.jsonl"))
    }

    /// Finds a run by its id or its folder; the newest without either.
    pub fn find(runs: &Path, wanted: Option<&str>) -> Result<Self, TrainError> {
        let name = match wanted {
            Some(name) => name.to_owned(),
            None => fs::read_to_string(runs.join("latest"))
                .map(|text| text.trim().to_owned())
                .map_err(|_| TrainError::NoRun {
                    runs: runs.to_owned(),
                })?,
        };
        let inside = runs.join(&name);
        let path = if inside.is_dir() {
            inside
        } else {
            PathBuf::from(&name)
        };
        if !path.join(LOCK).is_file() {
            return Err(TrainError::NotARun {
                path,
                missing: LOCK,
            });
        }
        let run = Self { path };
        for folder in [run.adapter(), run.path.join("package")] {
            atomic::recover_folder(&folder)
                .map_err(|error| TrainError::io("recover", &folder, error))?;
        }
        Ok(run)
    }

    /// Finds the newest run that has an adapter.
    pub fn newest(runs: &Path) -> Result<NewestRun, TrainError> {
        let last = match Self::find(runs, None) {
            // Its folder was deleted.
            Err(TrainError::NotARun { .. }) => None,
            found => Some(found?),
        };
        if let Some(finished) = last.clone().filter(|run| run.adapter().is_dir()) {
            return Ok(NewestRun {
                finished,
                unfinished: None,
            });
        }
        let entries = fs::read_dir(runs).map_err(|error| TrainError::io("read", runs, error))?;
        // Names sort by age.
        let mut names: Vec<String> = entries
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        names.sort_unstable();
        let others = names.iter().rev().map(|name| Self::find(runs, Some(name)));
        let mut finished = others.flatten().filter(|run| run.adapter().is_dir());
        match (finished.next(), last) {
            (Some(finished), unfinished) => Ok(NewestRun {
                finished,
                unfinished,
            }),
            (None, Some(last)) => Err(TrainError::Unfinished { run: last.id() }),
            (None, None) => Err(TrainError::NoRun {
                runs: runs.to_owned(),
            }),
        }
    }

    /// # Errors
    ///
    /// The run has no adapter: its training was interrupted, failed, or goes on.
    pub fn require_adapter(&self) -> Result<(), TrainError> {
        match self.adapter().is_dir() {
            true => Ok(()),
            false => Err(TrainError::Unfinished { run: self.id() }),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The second folder that the adapter goes to, if the training was given one.
    pub fn out(&self) -> Option<PathBuf> {
        let bytes = fs::read(self.path.join(OUT)).ok()?;
        Some(PathBuf::from(OsString::from_vec(bytes)))
    }

    /// Remembers the second folder, so that a resumed training writes there too.
    pub fn keep_out(&self, out: &Path) -> Result<(), TrainError> {
        files::replace(&self.path.join(OUT), out.as_os_str().as_bytes())
    }

    /// The folder's name.
    pub fn id(&self) -> String {
        self.path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    }

    /// When the run began, in Unix seconds, as its name says.
    pub fn started(&self) -> Option<u64> {
        let id = self.id();
        let (date, time) = (id.get(..8)?, id.get(9..15)?);
        let number = |text: &str, at: usize, end: usize| text.get(at..end)?.parse::<u64>().ok();
        let (year, month, day) = (
            number(date, 0, 4)?,
            number(date, 4, 6)?,
            number(date, 6, 8)?,
        );
        let clock = number(time, 0, 2)? * 3600 + number(time, 2, 4)? * 60 + number(time, 4, 6)?;
        // The day is the one whose date reads like this; years have at most 366 days.
        let from = year.checked_sub(1970)? * 365;
        let days = (from..from + (year - 1970) / 4 + 368)
            .find(|d| civil_from_days(*d) == (year, month, day));
        Some(days? * 86_400 + clock)
    }

    pub fn lock(&self) -> PathBuf {
        self.path.join(LOCK)
    }

    pub fn metrics(&self) -> PathBuf {
        self.path.join("metrics.jsonl")
    }

    pub fn chart(&self) -> PathBuf {
        self.path.join("loss.svg")
    }

    pub fn adapter(&self) -> PathBuf {
        self.path.join("adapter")
    }

    pub fn checkpoints(&self) -> PathBuf {
        self.path.join("checkpoints")
    }
}

/// Time and a random tail, so that names sort by age and never meet: `20260131-142233-9f3c`.
fn new_id() -> String {
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_secs());
    let (year, month, day) = civil_from_days(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let tail: u16 = rand::random();
    format!("{year:04}{month:02}{day:02}-{hour:02}{minute:02}{second:02}-{tail:04x}")
}
