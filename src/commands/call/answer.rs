//! What `call --json` prints.

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
}

/// The probability of one label.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct LabelProbability {
    pub label: String,
    pub probability: f64,
}
