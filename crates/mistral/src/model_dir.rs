//! A view of a base in the layout that mistral.rs expects.
//!
//! It is a temporary folder with a `config.json` written from the parsed configuration of the base
//! (mistral.rs 0.8.1 does not support the nested `rope_theta` of transformers 5, for example),
//! links to the weights, and a placeholder tokenizer, because the engine handles token ids only.
//! The placeholder names every id by its number and has one id more than the model, which ends a
//! sequence and can never be sampled. (mistral.rs supports fewer kinds of tokenizers, and delivers
//! a token only when its bytes are complete characters.) Nothing in the folder makes the loader
//! access other locations. Bases that mistral.rs would compute differently are refused here.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use openlora_model::{ModelConfig, ModelFamily, RopeScaling};

/// The folder; it is removed on drop, which is safe once the model is loaded.
pub(super) struct ModelDirView {
    folder: tempfile::TempDir,
    pub family: ModelFamily,
}

/// Why a view of a folder cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot {deed} {}: {}", path.display(), openlora_core::error::describe_io(source))]
pub(super) struct ViewError {
    deed: &'static str,
    path: PathBuf,
    source: std::io::Error,
}

impl ModelDirView {
    pub(super) fn create(base: &Path, config: &ModelConfig) -> Result<Self, ViewError> {
        let folder = tempfile::Builder::new()
            .prefix("openlora-")
            .tempdir()
            .map_err(|source| ViewError {
                deed: "create a folder in",
                path: std::env::temp_dir(),
                source,
            })?;
        let view = Self {
            folder,
            family: config.family,
        };
        view.write("config.json", &written(config))?;
        view.write(
            "tokenizer_config.json",
            &json!({ "chat_template": "{{ messages }}" }),
        )?;
        view.write(
            "generation_config.json",
            &json!({ "eos_token_id": config.vocab_size }),
        )?;
        view.write("tokenizer.json", &stand_in(config.vocab_size))?;
        for name in weight_files(base)? {
            link(&base.join(&name), &view.path().join(&name))?;
        }
        Ok(view)
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, name: &str, value: &Value) -> Result<(), ViewError> {
        let path = self.path().join(name);
        std::fs::write(&path, value.to_string()).map_err(|source| ViewError {
            deed: "write",
            path,
            source,
        })
    }
}

/// The safetensors files of a checkpoint: those of its index, or the single one.
fn weight_files(base: &Path) -> Result<Vec<String>, ViewError> {
    let path = base.join("model.safetensors.index.json");
    let index = match std::fs::read(&path) {
        Ok(bytes) => serde_json::from_slice::<Value>(&bytes).unwrap_or_default(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(vec!["model.safetensors".to_owned()]);
        }
        Err(source) => {
            return Err(ViewError {
                deed: "read",
                path,
                source,
            });
        }
    };
    let files = index["weight_map"]
        .as_object()
        .into_iter()
        .flat_map(|map| map.values());
    let mut files: Vec<String> = files
        .filter_map(|file| file.as_str().map(str::to_owned))
        .collect();
    files.sort();
    files.dedup();
    Ok(files)
}

fn link(from: &Path, to: &Path) -> Result<(), ViewError> {
    let failed = |source| ViewError {
        deed: "link",
        path: from.to_owned(),
        source,
    };
    let from = from.canonicalize().map_err(failed)?;
    #[cfg(unix)]
    let linked = std::os::unix::fs::symlink(&from, to);
    #[cfg(not(unix))]
    let linked = std::fs::hard_link(&from, to).or_else(|_| std::fs::copy(&from, to).map(drop));
    linked.map_err(failed)
}

/// Why mistral.rs 0.8.1 would compute this base differently, if so.
pub fn unsupported_reason(config: &ModelConfig) -> Option<String> {
    let family = config.family.name();
    let plain_head = config.hidden_size / config.heads;
    if matches!(config.family, ModelFamily::Llama | ModelFamily::Qwen2)
        && config.head_dim != plain_head
    {
        return Some(format!(
            "its head_dim is {}, and this engine takes hidden_size/num_attention_heads, \
             {plain_head}, for {family}",
            config.head_dim
        ));
    }
    let bias = config.qkv_bias != (config.family == ModelFamily::Qwen2);
    if bias || config.output_bias || config.mlp_bias {
        return Some(format!(
            "its biases are not those that this engine knows for {family}"
        ));
    }
    if config.rope_scaling != RopeScaling::None && config.family != ModelFamily::Llama {
        return Some(format!(
            "this engine does not scale rotary embeddings for {family}"
        ));
    }
    None
}

/// The context length that the engine supports. mistral.rs applies a sliding window to every layer
/// and masks longer prompts differently from transformers; up to the window's length there is no
/// difference, so the window is left out.
pub(super) fn context(config: &ModelConfig) -> usize {
    let windows = config.windows.iter().flatten().copied();
    windows.fold(config.max_positions, usize::min)
}

/// The configuration in the layout of mistral.rs 0.8.1.
fn written(config: &ModelConfig) -> Value {
    json!({
        "model_type": config.family.name(),
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden_size,
        "intermediate_size": config.intermediate_size,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "head_dim": config.head_dim,
        "max_position_embeddings": config.max_positions,
        "rms_norm_eps": config.norm_eps,
        "hidden_act": "silu",
        "tie_word_embeddings": config.tied,
        "rope_theta": config.rope_theta,
        "rope_scaling": rope_scaling(config.rope_scaling),
        "sliding_window": null,
        "use_sliding_window": false,
        "max_window_layers": 0,
    })
}

/// A tokenizer whose tokens are the numbers up to `end`.
fn stand_in(end: usize) -> Value {
    let vocabulary: serde_json::Map<String, Value> =
        (0..=end).map(|id| (id.to_string(), json!(id))).collect();
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": [],
        "normalizer": null,
        "pre_tokenizer": null,
        "post_processor": null,
        "decoder": {
            "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true
        },
        "model": { "type": "BPE", "vocab": vocabulary, "merges": [] },
    })
}

fn rope_scaling(scaling: RopeScaling) -> Value {
    match scaling {
        RopeScaling::None => Value::Null,
        RopeScaling::Linear { factor } => json!({ "rope_type": "linear", "factor": factor }),
        RopeScaling::Llama3 {
            factor,
            low,
            high,
            original,
        } => json!({
            "rope_type": "llama3",
            "factor": factor,
            "low_freq_factor": low,
            "high_freq_factor": high,
            "original_max_position_embeddings": original as usize,
        }),
    }
}
