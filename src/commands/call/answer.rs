//! What `call --json` prints.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use openlora_core::Amount;
use openlora_serve::{PublishedReceipt, PublishedUsage};

/// The answer, its usage and its cost.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct CallResult {
    /// The request id.
    pub id: String,
    #[serde(flatten)]
    pub said: AdapterAnswer,
    pub usage: PublishedUsage,
    /// In base units of the token.
    pub paid: Amount,
    /// The server's receipt; null if the server issues none.
    pub receipt: Option<PublishedReceipt>,
    /// What was sent: with it, the answer can be computed again.
    #[serde(default)]
    pub request: Option<SentRequest>,
}

/// A request as it was sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SentRequest {
    /// The path on the server.
    pub path: String,
    /// The JSON body.
    pub body: Value,
}

/// The output of the adapter.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum AdapterAnswer {
    Text {
        text: String,
    },
    Labels {
        /// The most probable one.
        label: String,
        labels: Vec<LabelProbability>,
    },
    Pictures {
        pictures: Vec<PictureResult>,
    },
}

/// A picture of an answer.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct PictureResult {
    /// The file that it was written to; null without `-o`.
    pub path: Option<PathBuf>,
    /// SHA-256 of the file as the server sent it, hex: the receipt states it. The written file has the
    /// receipt's id besides.
    pub sha256: String,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// The same seed gives the same picture; null if the server does not tell it.
    pub seed: Option<u64>,
    /// The PNG file as base64; null where it was written.
    pub b64_json: Option<String>,
}

/// The probability of one label.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct LabelProbability {
    pub label: String,
    pub probability: f64,
}
