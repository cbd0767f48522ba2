//! What `call --json` prints.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::runtime::{
    ledger::Amount,
    serve::{PublishedReceipt, PublishedUsage},
};

/// The answer, what it used and what it cost.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CallResult {
    /// The request id.
    pub id: String,
    #[serde(flatten)]
    pub said: AdapterAnswer,
    pub usage: PublishedUsage,
    /// In base units of the token.
    pub paid: Amount,
    /// The server's receipt; null where it keeps none.
    pub receipt: Option<PublishedReceipt>,
}

/// What the adapter said.
#[derive(Debug, Serialize, JsonSchema)]
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
