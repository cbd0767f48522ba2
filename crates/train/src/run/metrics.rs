//! `metrics.jsonl`: one line per step and per validation.
//!
//! The file is appended to. A checkpoint stores its length, and resuming truncates it to that
//! length, so that an interrupted run gives the same lines as an uninterrupted one (except for
//! times).

use std::{
    fs::{File, OpenOptions},
    io::{Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::super::{
    error::TrainError,
    event::{TrainStep, ValidationPass},
};
use super::files;
use openlora_core::error::describe_decoding;

/// One line of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum MetricsLine {
    Step(TrainStep),
    Validated(ValidationPass),
}

/// The open file.
#[derive(Debug)]
pub struct MetricsFile {
    path: PathBuf,
    file: File,
    length: u64,
}

impl MetricsFile {
    /// Opens the file and truncates it to `length` bytes, as stored in a checkpoint.
    pub fn open(path: &Path, length: u64) -> Result<Self, TrainError> {
        let open = || {
            let mut file = OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .open(path)?;
            file.set_len(length)?;
            file.seek(SeekFrom::End(0))?;
            Ok(file)
        };
        let file = open().map_err(|error| TrainError::io("open", path, error))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            length,
        })
    }

    /// Bytes written so far.
    pub fn length(&self) -> u64 {
        self.length
    }

    pub fn write(&mut self, line: &MetricsLine) -> Result<(), TrainError> {
        let mut text = serde_json::to_string(line)
            .map_err(|error| TrainError::damaged(&self.path, error.to_string()))?;
        text.push('\n');
        self.file
            .write_all(text.as_bytes())
            .map_err(|error| TrainError::io("write", &self.path, error))?;
        self.length += text.len() as u64;
        Ok(())
    }
}

/// The steps written so far, while another process appends: a last line without its end is left
/// out.
pub fn steps_so_far(path: &Path) -> Vec<TrainStep> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let step = |line| match serde_json::from_str(line) {
        Ok(MetricsLine::Step(step)) => Some(step),
        _ => None,
    };
    whole.lines().filter_map(step).collect()
}

/// Reads all lines.
pub fn read(path: &Path) -> Result<Vec<MetricsLine>, TrainError> {
    let bytes = files::read(path)?;
    let text = String::from_utf8_lossy(&bytes);
    text.lines()
        .enumerate()
        .map(|(index, line)| {
            serde_json::from_str(line).map_err(|error| {
                let reason = describe_decoding(&error);
                TrainError::damaged(path, format!("line {}: {reason}", index + 1))
            })
        })
        .collect()
}
