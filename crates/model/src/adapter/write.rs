//! Writes an adapter directory atomically. The bytes depend on the request only.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use safetensors::{Dtype as FileDtype, tensor::TensorView};
use serde_json::{Value, json};

use super::{
    card::{SAMPLES_FILE, TASK_FILE, TaskCard},
    error::{AdapterError, WeightsProblem},
    read::{CONFIG_FILE, WEIGHTS_FILE, decode, digest},
    tensors::{FactorDtype, HostTensor},
};
use crate::{FileError, ModulePattern, dataset::Task};
use openlora_core::atomic::{self, FolderDraft};

/// The PEFT release whose configuration keys are written.
const PEFT_VERSION: &str = "0.21.2";

/// Files that an adapter directory may hold and that writing replaces.
const OURS: &[&str] = &[
    CONFIG_FILE,
    WEIGHTS_FILE,
    TASK_FILE,
    SAMPLES_FILE,
    "README.md",
];

/// An adapter to be written.
#[derive(Clone, Debug)]
pub struct WriteRequest {
    /// `base_model_name_or_path`: a Hub id or a folder.
    pub base_model: String,
    pub revision: Option<String>,
    pub rank: usize,
    pub alpha: f64,
    pub dropout: f32,
    pub rslora: bool,
    pub dora: bool,
    pub rank_pattern: Vec<ModulePattern<usize>>,
    pub alpha_pattern: Vec<ModulePattern<f64>>,
    /// Last components of the adapted modules (`q_proj`), or full paths.
    pub target_modules: Vec<String>,
    /// Factors by their PEFT names.
    pub tensors: BTreeMap<String, HostTensor>,
    pub task: Option<TaskCard>,
    /// Sample pictures as a PNG file, of an adapter that makes pictures.
    pub samples: Option<Vec<u8>>,
}

/// The result of writing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenAdapter {
    pub dir: PathBuf,
    /// Equal to [`super::LoraAdapter::digest`] of the same directory.
    pub digest: String,
}

/// Writes the PEFT files and the task card to `dir`, and replaces an existing adapter.
///
/// # Errors
///
/// Factors that could not be read back, a directory with other content, or the disk.
pub fn write(dir: &Path, request: &WriteRequest) -> Result<WrittenAdapter, AdapterError> {
    let config = config_bytes(request);
    let weights = weights_bytes(dir, request)?;
    decode(dir, &config, &Bytes::copy_from_slice(&weights))?;
    check_replaceable(dir)?;
    let mut files = vec![
        (CONFIG_FILE, config.clone()),
        (WEIGHTS_FILE, weights.clone()),
    ];
    if let Some(card) = &request.task {
        let bytes = card.to_bytes().map_err(|problem| AdapterError::Card {
            path: dir.join(TASK_FILE),
            problem,
        })?;
        files.push((TASK_FILE, bytes));
    }
    if let Some(samples) = &request.samples {
        files.push((SAMPLES_FILE, samples.clone()));
    }
    let parent = atomic::parent(dir);
    let draft = FolderDraft::in_folder(parent).map_err(FileError::at("create", dir))?;
    for (name, bytes) in &files {
        let written = draft.write(name, bytes);
        written.map_err(FileError::at("write", dir.join(name)))?;
    }
    draft.replace(dir).map_err(FileError::at("write", dir))?;
    Ok(WrittenAdapter {
        dir: dir.to_owned(),
        digest: digest(&config, &weights),
    })
}

/// Checks that [`write()`] can write to `dir`, before the work whose result goes there.
///
/// # Errors
///
/// A directory with other content, or one that cannot be written.
pub fn check_place(dir: &Path) -> Result<(), AdapterError> {
    atomic::probe(dir).map_err(FileError::at("write", dir))?;
    check_replaceable(dir)
}

/// Every key that PEFT writes, in its order (sorted), two spaces deep, no final line end.
fn config_bytes(request: &WriteRequest) -> Vec<u8> {
    let mut targets = request.target_modules.clone();
    targets.sort_unstable();
    targets.dedup();
    let config = json!({
        "alora_invocation_tokens": null,
        "alpha_pattern": table(&request.alpha_pattern, |alpha| number(*alpha)),
        "arrow_config": null,
        "auto_mapping": null,
        "base_model_name_or_path": request.base_model,
        "bias": "none",
        "corda_config": null,
        "ensure_weight_tying": false,
        "eva_config": null,
        "exclude_modules": null,
        "fan_in_fan_out": false,
        "inference_mode": true,
        "init_lora_weights": true,
        "kasa_config": null,
        "layer_replication": null,
        "layers_pattern": null,
        "layers_to_transform": null,
        "loftq_config": {},
        "lora_alpha": number(request.alpha),
        "lora_bias": false,
        "lora_dropout": shortest(request.dropout),
        "lora_ga_config": null,
        "megatron_config": null,
        "megatron_core": "megatron.core",
        "modules_to_save": null,
        "monteclora_config": null,
        "peft_type": "LORA",
        "peft_version": PEFT_VERSION,
        "qalora_group_size": 16,
        "r": request.rank,
        "rank_pattern": table(&request.rank_pattern, |rank| json!(rank)),
        "revision": request.revision,
        "target_modules": targets,
        "target_parameters": null,
        "task_type": task_type(request),
        "trainable_token_indices": null,
        "use_bdlora": null,
        "use_dora": request.dora,
        "use_qalora": false,
        "use_rslora": request.rslora,
        "velora_config": null,
    });
    format!("{config:#}").into_bytes()
}

/// PEFT's name of what the base does; it has none for bases that make pictures.
fn task_type(request: &WriteRequest) -> Option<&'static str> {
    let task = request.task.as_ref().map(|card| &card.task);
    (task != Some(&Task::Image)).then_some("CAUSAL_LM")
}

/// The patterns in their order, of which PEFT takes the first that matches.
fn table<V>(patterns: &[ModulePattern<V>], value: impl Fn(&V) -> Value) -> Value {
    let pairs = patterns.iter();
    pairs
        .map(|it| (it.pattern.clone(), value(&it.value)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// PEFT declares alpha as an integer, so a whole number is written as one.
fn number(alpha: f64) -> Value {
    let whole = alpha.fract() == 0.0 && alpha.abs() < 1e15;
    if whole {
        json!(alpha as i64)
    } else {
        json!(alpha)
    }
}

/// 0.1f32 as 0.1, not as the f64 nearest to it.
fn shortest(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(f64::from(value))
}

fn weights_bytes(dir: &Path, request: &WriteRequest) -> Result<Vec<u8>, AdapterError> {
    let refused = |error: safetensors::SafeTensorError| AdapterError::Weights {
        path: dir.join(WEIGHTS_FILE),
        problem: WeightsProblem::Header(error.to_string()),
    };
    let mut views = Vec::with_capacity(request.tensors.len());
    for (name, tensor) in &request.tensors {
        let dtype = match tensor.dtype {
            FactorDtype::F32 => FileDtype::F32,
            FactorDtype::F16 => FileDtype::F16,
            FactorDtype::Bf16 => FileDtype::BF16,
        };
        let view = TensorView::new(dtype, tensor.shape.clone(), &tensor.data).map_err(refused)?;
        views.push((name, view));
    }
    // One entry, so the map's order cannot show in the bytes.
    let metadata = [("format".to_owned(), "pt".to_owned())].into();
    safetensors::serialize(views, Some(metadata)).map_err(refused)
}

/// Only an adapter directory, an empty directory or nothing is replaced.
fn check_replaceable(dir: &Path) -> Result<(), AdapterError> {
    let io = |error| FileError::at("read", dir)(error);
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io(error).into()),
    };
    let mut foreign = Vec::new();
    for entry in entries {
        let name = entry
            .map_err(io)?
            .file_name()
            .to_string_lossy()
            .into_owned();
        if !OURS.contains(&name.as_str()) {
            foreign.push(name);
        }
    }
    match foreign.into_iter().min() {
        Some(found) => Err(AdapterError::Occupied {
            dir: dir.to_owned(),
            found,
        }),
        None => Ok(()),
    }
}
