//! Reads an adapter directory.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::{
    card::{TASK_FILE, TaskCard},
    config::PeftConfig,
    error::AdapterError,
    factors::{self, AdapterModule, PairingProblem},
    tensors::{HostTensor, parse_shared},
};
use crate::FileError;
use openlora_core::atomic;

pub const CONFIG_FILE: &str = "adapter_config.json";
pub const WEIGHTS_FILE: &str = "adapter_model.safetensors";
const PICKLES: &[&str] = &["adapter_model.bin", "adapter_model.pt", "adapter_model.pth"];

/// An adapter that was read and validated.
#[derive(Clone, Debug)]
pub struct LoraAdapter {
    pub config: PeftConfig,
    /// Sorted by path.
    pub modules: Vec<AdapterModule>,
    /// The factors by their PEFT names; [`AdapterModule::a_name`] and [`AdapterModule::b_name`] give them.
    pub tensors: BTreeMap<String, HostTensor>,
    /// SHA-256, hex, over the length of the configuration (8 bytes, little-endian), the configuration
    /// and the weights.
    pub digest: String,
    /// What the adapter was trained for; absent for an adapter of another program.
    pub task: Option<TaskCard>,
    pub dir: PathBuf,
}

/// Reads the PEFT files of `dir`, and the task card if there is one.
///
/// # Errors
///
/// Anything that plain LoRA factors on linear layers cannot represent, and an adapter that changes
/// nothing.
pub fn read(dir: &Path) -> Result<LoraAdapter, AdapterError> {
    atomic::recover_folder(dir).map_err(FileError::at("recover", dir))?;
    let config_bytes = read_file(dir, CONFIG_FILE)?;
    let weights_bytes = Bytes::from(read_file(dir, WEIGHTS_FILE)?);
    let (digest, decoded) = rayon::join(
        || digest(&config_bytes, &weights_bytes),
        || decode(dir, &config_bytes, &weights_bytes),
    );
    let (config, modules, tensors) = decoded?;
    factors::check_alive(&modules, &tensors).map_err(|problem| AdapterError::Factors {
        path: dir.join(WEIGHTS_FILE),
        problem,
    })?;
    let task = read_card(dir)?;
    Ok(LoraAdapter {
        config,
        modules,
        tensors,
        digest,
        task,
        dir: dir.to_owned(),
    })
}

type DecodedAdapter = (PeftConfig, Vec<AdapterModule>, BTreeMap<String, HostTensor>);

/// All checks except for an effect: a file that passes can be read by PEFT with the same meaning.
pub(super) fn decode(
    dir: &Path,
    config: &[u8],
    weights: &Bytes,
) -> Result<DecodedAdapter, AdapterError> {
    let (config_path, weights_path) = (dir.join(CONFIG_FILE), dir.join(WEIGHTS_FILE));
    let config = PeftConfig::parse(config).map_err(|problem| AdapterError::Config {
        path: config_path.clone(),
        problem,
    })?;
    let tensors = parse_shared(weights).map_err(|problem| AdapterError::Weights {
        path: weights_path.clone(),
        problem,
    })?;
    let (modules, tensors) = factors::pair(&config, tensors).map_err(|problem| match problem {
        PairingProblem::Config(problem) => AdapterError::Config {
            path: config_path,
            problem,
        },
        PairingProblem::Factors(problem) => AdapterError::Factors {
            path: weights_path,
            problem,
        },
    })?;
    Ok((config, modules, tensors))
}

/// SHA-256, hex, over the configuration's length (8 bytes, little-endian), the configuration's
/// bytes and the weights' bytes.
pub(super) fn digest(config: &[u8], weights: &[u8]) -> String {
    let mut hasher = Sha256::new();
    hasher.update((config.len() as u64).to_le_bytes());
    hasher.update(config);
    hasher.update(weights);
    hex::encode(hasher.finalize())
}

fn read_file(dir: &Path, file: &'static str) -> Result<Vec<u8>, AdapterError> {
    let path = dir.join(file);
    match regular_file(&path).and_then(|()| std::fs::read(&path)) {
        Ok(bytes) => Ok(bytes),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(absent(dir, file)),
        Err(error) => Err(FileError::at("read", path)(error).into()),
    }
}

/// A pipe or device in place of the file would block or never end.
fn regular_file(path: &Path) -> std::io::Result<()> {
    if std::fs::metadata(path)?.is_file() {
        Ok(())
    } else {
        Err(std::io::Error::new(
            std::io::ErrorKind::InvalidInput,
            "not a regular file",
        ))
    }
}

fn absent(dir: &Path, file: &'static str) -> AdapterError {
    let dir = dir.to_owned();
    let pickle = PICKLES.iter().find(|pickle| dir.join(pickle).exists());
    match pickle {
        Some(pickle) if file == WEIGHTS_FILE => AdapterError::Pickle { dir, file: pickle },
        _ => AdapterError::Missing { dir, file },
    }
}

fn read_card(dir: &Path) -> Result<Option<TaskCard>, AdapterError> {
    let path = dir.join(TASK_FILE);
    match regular_file(&path).and_then(|()| std::fs::read(&path)) {
        Ok(bytes) => TaskCard::parse(&bytes)
            .map(Some)
            .map_err(|problem| AdapterError::Card { path, problem }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(FileError::at("read", path)(error).into()),
    }
}
