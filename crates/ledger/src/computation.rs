//! How an answer was computed, so that anyone with the request can compute it again.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What computed an answer. Together with the adapter and the request, it determines the answer of
/// an engine with reproducible arithmetic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CallComputation {
    /// The engine and the version of its arithmetic, such as `native/1`.
    pub engine: String,
    /// Format of the base's weights in memory, such as `q8_0`.
    pub weights: String,
    /// SHA-256 of the base's files, hex.
    pub base_digest: String,
    /// Absent for classifications, which sample nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampling: Option<SamplingRecord>,
    /// Absent for calls that made no picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pictures: Option<Box<PictureRecord>>,
}

/// The settings that the pictures of a call were made with, and which pictures came of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PictureRecord {
    /// Size of each picture in pixels.
    pub width: u32,
    pub height: u32,
    /// Integration steps of each picture.
    pub steps: u32,
    /// Weight of the prompt against no prompt, as a decimal text that is read back to the same bits.
    pub guidance: String,
    /// The method of integration, such as `euler`.
    pub sampler: String,
    /// The first picture's seed: the caller's, or the one that the server drew. Each further picture has
    /// the next one.
    pub seed: u64,
    /// Pictures that were delivered.
    pub pictures: u64,
    /// Evaluations of the model for all pictures: for each step one, and one more under guidance. Zero
    /// where none was delivered.
    pub evaluations: u64,
    /// SHA-256 of each delivered picture's PNG file as the server sent it, hex. Receipts of calls that
    /// were not paid have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub digests: Vec<String>,
}

impl PictureRecord {
    /// The same settings where no picture was delivered.
    pub fn without_pictures(self) -> Self {
        Self {
            pictures: 0,
            evaluations: 0,
            digests: Vec::new(),
            ..self
        }
    }
}

/// The settings that an answer was sampled with: the caller's, completed by the server's. Fractions
/// are decimal texts that are read back to the same bits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SamplingRecord {
    /// Longest answer in tokens.
    pub max_tokens: u64,
    /// Absent if each token was the most likely one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<String>,
    /// The caller's, or the one that the server drew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_p: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_k: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_p: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frequency_penalty: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub presence_penalty: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repetition_penalty: Option<String>,
    /// Tokens before which nothing ended the answer; absent if there were none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_tokens: Option<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stop_token_ids: Vec<u32>,
    /// How many stop texts the request has. The texts are the caller's words and are not recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_texts: Option<u64>,
}
