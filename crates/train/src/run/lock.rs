//! `config.lock.toml`: everything that determines the result of a run, and nothing else.
//!
//! It contains no time, no local path and no run name: two runs with the same lock on the same kind
//! of machine give the same adapter, byte for byte.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::super::{config::TrainConfig, error::TrainError};
use super::files;
use openlora_core::error::describe_decoding;
use openlora_model::dataset::{LockedSource, Task};

/// The locked inputs of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunLock {
    /// Version of openlora.
    pub version: String,
    pub name: String,
    /// Settings given as flags; a resume need not repeat them.
    #[serde(default)]
    pub flags: Vec<String>,
    pub base: LockedBase,
    pub digests: LockedDigests,
    pub task: Task,
    pub train: TrainConfig,
    pub data: Vec<LockedSource>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockedBase {
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub revision: Option<String>,
}

/// SHA-256, hex.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockedDigests {
    /// Over the base's configuration, weights and tokenizer.
    pub base: String,
    /// Over the normalised training examples.
    pub data: String,
    /// Over the normalised validation examples, if they have their own file.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub validation: Option<String>,
}

impl RunLock {
    pub fn write(&self, path: &Path) -> Result<(), TrainError> {
        let text =
            toml::to_string(self).map_err(|error| TrainError::damaged(path, error.to_string()))?;
        files::replace(path, text.as_bytes())
    }

    pub fn read(path: &Path) -> Result<Self, TrainError> {
        let bytes = files::read(path)?;
        toml::from_str(&String::from_utf8_lossy(&bytes))
            .map_err(|error| TrainError::damaged(path, describe_decoding(&error.message())))
    }

    /// Refuses to continue `run`, started with `self`, if an input that determines the result has
    /// changed.
    pub fn require_same(&self, now: &Self, run: &str) -> Result<(), TrainError> {
        let changed = |what: String, was: String, is: String| {
            Err(TrainError::Changed {
                run: run.to_owned(),
                what,
                was,
                is,
            })
        };
        if self.digests.base != now.digests.base {
            let what = format!("the base {}", self.base.id);
            return changed(what, short(&self.digests.base), short(&now.digests.base));
        }
        for (was, is) in self.data.iter().zip(&now.data) {
            if was.sha256 != is.sha256 {
                let what = format!("data file {}", was.path);
                return changed(what, short(&was.sha256), short(&is.sha256));
            }
        }
        if self.digests.data != now.digests.data {
            let what = "the training data".to_owned();
            return changed(what, short(&self.digests.data), short(&now.digests.data));
        }
        if self.digests.validation != now.digests.validation {
            let shown = |digest: &Option<String>| digest.as_deref().map_or("none".into(), short);
            let what = "the validation data".to_owned();
            return changed(
                what,
                shown(&self.digests.validation),
                shown(&now.digests.validation),
            );
        }
        if let Some((key, was, is)) = self.train.differences(&now.train).into_iter().next() {
            return changed(key, was, is);
        }
        if self.task != now.task {
            return changed(
                "the task".into(),
                format!("{:?}", self.task),
                format!("{:?}", now.task),
            );
        }
        Ok(())
    }
}

fn short(digest: &str) -> String {
    format!("sha256 {}…", digest.get(..12).unwrap_or(digest))
}
