//! Checkpoints: weights, optimizer and all other state that determines the next step.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::{Path, PathBuf},
};

use candle_core::{DType, Device, Tensor, safetensors as candle_safetensors};
use safetensors::tensor::{Dtype, TensorView};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::super::{error::TrainError, order::RowCursor, watchdog::LossWatchdog};
use super::{RunDir, files};
use openlora_core::{atomic, error::describe_decoding};

type CheckpointResult<T> = Result<T, TrainError>;

/// Fractions of the steps whose checkpoints are kept permanently, optimizer included: attribution
/// needs the second moments during training. Of the triples compared in the ground-truth bench,
/// this was the most accurate over all its worlds.
pub const MILESTONES: [f64; 3] = [0.20, 0.35, 0.50];
/// Number of newest checkpoints that are kept.
const NEWEST: usize = 2;

/// The best validation so far.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct BestValidation {
    pub step: u64,
    pub validation_loss: f64,
}

/// The state of a checkpoint besides tensors.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CheckpointState {
    pub step: u64,
    /// Steps of the whole run.
    pub steps: u64,
    pub cursor: RowCursor,
    /// Number of micro-batches so far: the counter of the dropout noise.
    pub micro_batches: u64,
    pub tokens: u64,
    /// Time spent in steps by all processes.
    pub seconds: f64,
    pub watchdog: LossWatchdog,
    pub best: Option<BestValidation>,
    /// Validations without improvement since the best.
    pub stale: u64,
    /// Length of `metrics.jsonl`, in bytes.
    pub metrics: u64,
    pub last_loss: f64,
    /// SHA-256 of the tensor files, hex.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
}

const WEIGHTS: &str = "weights.safetensors";
const OPTIMIZER: &str = "optimizer.safetensors";
const STATE: &str = "state.json";

/// The steps of [`MILESTONES`] in a run of `steps`.
pub fn milestones(steps: u64) -> Vec<u64> {
    MILESTONES
        .iter()
        .map(|share| ((steps as f64 * share).round() as u64).max(1))
        .collect()
}

/// Writes a checkpoint atomically.
pub fn save(
    run: &RunDir,
    state: &CheckpointState,
    weights: &[(String, Tensor)],
    optimizer: &[(String, Tensor)],
) -> CheckpointResult<PathBuf> {
    let path = folder(run, state.step);
    let tensors = TensorFiles {
        weights: encode(weights, &path)?,
        optimizer: encode(optimizer, &path)?,
    };
    save_files(run, state, tensors)
}

/// The tensor files of a checkpoint, in safetensors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorFiles {
    pub weights: Vec<u8>,
    pub optimizer: Vec<u8>,
}

/// Writes a checkpoint of these files atomically.
pub fn save_files(
    run: &RunDir,
    state: &CheckpointState,
    tensors: TensorFiles,
) -> CheckpointResult<PathBuf> {
    let path = folder(run, state.step);
    let mut state = state.clone();
    let mut files = Vec::new();
    let TensorFiles { weights, optimizer } = tensors;
    for (name, bytes) in [(WEIGHTS, weights), (OPTIMIZER, optimizer)] {
        let digest = hex::encode(Sha256::digest(&bytes));
        state.files.insert(name.to_owned(), digest);
        files.push((name, bytes));
    }
    let text = serde_json::to_string_pretty(&state)
        .map_err(|error| TrainError::damaged(&path, error.to_string()))?;
    files.push((STATE, text.into_bytes()));
    files::replace_folder(&path, &files)?;
    Ok(path)
}

/// A loaded and verified checkpoint.
#[derive(Debug)]
pub struct LoadedCheckpoint {
    pub state: CheckpointState,
    pub weights: HashMap<String, Tensor>,
    pub optimizer: HashMap<String, Tensor>,
}

/// Completes what a crash of the run's process interrupted.
pub fn recover(run: &RunDir) -> CheckpointResult<()> {
    let path = run.checkpoints();
    atomic::recover_folders(&path).map_err(|error| TrainError::io("recover", &path, error))?;
    let entries = fs::read_dir(&path).map_err(|error| TrainError::io("read", &path, error))?;
    for name in entries.flatten().map(|entry| entry.file_name()) {
        let text = name.to_string_lossy();
        // The draft names of earlier versions.
        if text.starts_with(".step-") && text.ends_with(".part") {
            files::clear(&path.join(&name))?;
        }
    }
    Ok(())
}

/// The step of the newest checkpoint.
pub fn newest(run: &RunDir) -> CheckpointResult<Option<u64>> {
    Ok(steps(run)?.into_iter().max())
}

/// Loads the checkpoint of `step`; damage is an error naming the file.
pub fn load(run: &RunDir, step: u64) -> CheckpointResult<LoadedCheckpoint> {
    let (state, files) = load_files(run, step)?;
    let tensors = |bytes: &[u8]| candle_safetensors::load_buffer(bytes, &Device::Cpu);
    Ok(LoadedCheckpoint {
        state,
        weights: tensors(&files.weights)?,
        optimizer: tensors(&files.optimizer)?,
    })
}

/// Loads the state and the tensor files of the checkpoint of `step`, like [`load`].
pub fn load_files(run: &RunDir, step: u64) -> CheckpointResult<(CheckpointState, TensorFiles)> {
    let path = folder(run, step);
    let file = path.join(STATE);
    let state: CheckpointState = serde_json::from_slice(&files::read(&file)?)
        .map_err(|error| TrainError::damaged(&file, describe_decoding(&error)))?;
    let files = TensorFiles {
        weights: verified(&path, WEIGHTS, &state)?,
        optimizer: verified(&path, OPTIMIZER, &state)?,
    };
    Ok((state, files))
}

/// Removes checkpoints that are neither new, nor best, nor a milestone.
pub fn prune(run: &RunDir, steps_of_run: u64, best: Option<u64>) -> CheckpointResult<()> {
    let mut found = steps(run)?;
    found.sort_unstable();
    let newest = found.len().saturating_sub(NEWEST);
    let kept = milestones(steps_of_run);
    for step in &found[..newest] {
        if Some(*step) != best && !kept.contains(step) {
            files::clear(&folder(run, *step))?;
        }
    }
    Ok(())
}

fn folder(run: &RunDir, step: u64) -> PathBuf {
    run.checkpoints().join(format!("step-{step}"))
}

fn steps(run: &RunDir) -> CheckpointResult<Vec<u64>> {
    let path = run.checkpoints();
    let entries = fs::read_dir(&path).map_err(|error| TrainError::io("read", &path, error))?;
    let step = |entry: fs::DirEntry| {
        entry
            .file_name()
            .to_str()?
            .strip_prefix("step-")?
            .parse()
            .ok()
    };
    Ok(entries.flatten().filter_map(step).collect())
}

fn verified(path: &Path, name: &str, state: &CheckpointState) -> CheckpointResult<Vec<u8>> {
    let file = path.join(name);
    let bytes = files::read(&file)?;
    let found = hex::encode(Sha256::digest(&bytes));
    if state.files.get(name) != Some(&found) {
        return Err(TrainError::damaged(
            &file,
            "the file is not the one that was saved",
        ));
    }
    Ok(bytes)
}

/// Tensors as the bytes of a safetensors file in f32; `path` is for errors.
pub fn encode(tensors: &[(String, Tensor)], path: &Path) -> CheckpointResult<Vec<u8>> {
    let host = tensors
        .iter()
        .map(|(name, tensor)| {
            let values = tensor
                .to_dtype(DType::F32)?
                .flatten_all()?
                .to_vec1::<f32>()?;
            let bytes: Vec<u8> = values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect();
            Ok((name, tensor.dims().to_vec(), bytes))
        })
        .collect::<candle_core::Result<Vec<_>>>()?;
    let damaged =
        |error: safetensors::SafeTensorError| TrainError::damaged(path, error.to_string());
    let views = host
        .iter()
        .map(|(name, shape, bytes)| {
            Ok((
                name.as_str(),
                TensorView::new(Dtype::F32, shape.clone(), bytes).map_err(damaged)?,
            ))
        })
        .collect::<CheckpointResult<Vec<_>>>()?;
    safetensors::serialize(views, None).map_err(damaged)
}
