//! What a call took and how it ended.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a call ended; it decides nothing about what is counted, only why counting stopped.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum FinishReason {
    /// The model ended its answer.
    Stop,
    /// The token limit was reached.
    Length,
    /// The client went away; what was delivered until then is counted.
    Disconnected,
    /// The server died; the last durable checkpoint is counted.
    Recovered,
    /// The engine failed; what was delivered until then is counted.
    Failed,
}

impl FinishReason {
    /// Whether the payer's side or the model ended the call; else it was cut off by ours.
    pub fn is_answer(self) -> bool {
        !matches!(self, Self::Recovered | Self::Failed)
    }
}

/// Tokens of one call: the same numbers in the answer, the receipt, the journal and the metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenUsage {
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
}
