//! The files of a run for attribution.
//!
//! ```text
//! runs/<id>/attribution/index.bin                   the index, see `format`
//! runs/<id>/attribution/checkpoint-<n>.safetensors  factors for the gradients
//! runs/<id>/attribution/preconditioner.safetensors  Adam's second moments, bias-corrected
//! ```

use std::path::{Path, PathBuf};

/// An attribution folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributionDir {
    pub dir: PathBuf,
}

pub const PRECONDITIONER: &str = "preconditioner.safetensors";

impl AttributionDir {
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// Of the run in this folder.
    pub fn of_run(run: &Path) -> Self {
        Self::new(run.join("attribution"))
    }

    pub fn index(&self) -> PathBuf {
        self.dir.join("index.bin")
    }
}

/// File of the checkpoint of a step.
pub fn checkpoint_file(step: u64) -> String {
    format!("checkpoint-{step}.safetensors")
}
