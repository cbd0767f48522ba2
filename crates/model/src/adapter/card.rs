//! The task card: what PEFT's files do not state about an adapter trained by openlora.

use serde::{Deserialize, Serialize};

use crate::dataset::{Task, encode::EncodeOptions};
use openlora_core::error::describe_decoding;

/// Name of the card next to the PEFT files.
pub const TASK_FILE: &str = "openlora_task.json";
/// Pictures of an adapter that makes pictures: those of its base above, its own below.
pub const SAMPLES_FILE: &str = "samples.png";

/// The task and the base model of the training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskCard {
    /// Name of the adapter.
    pub name: String,
    pub task: Task,
    /// The base as the trainer was given it: `nano`, a folder, or a Hub id.
    pub base_id: String,
    /// SHA-256, hex, over the base's configuration, weights and tokenizer.
    pub base_digest: String,
    /// How the training rows were encoded; adapters of older versions do not state it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rows: Option<EncodeOptions>,
}

impl TaskCard {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(bytes).map_err(|error| describe_decoding(&error))
    }

    /// The serialised card: indented JSON with a final line end.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, String> {
        let mut bytes = serde_json::to_vec_pretty(self).map_err(|error| error.to_string())?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}
