//! The token usage of a call and how the call ended.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a call ended. It does not affect what is counted, only why counting stopped.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum FinishReason {
    /// The model ended its answer.
    Stop,
    /// The token limit was reached.
    Length,
    /// The client disconnected; delivered tokens are counted.
    Disconnected,
    /// The server died; the last durable checkpoint is counted.
    Recovered,
    /// The engine failed; delivered tokens are counted.
    Failed,
}

impl FinishReason {
    /// Whether the payer or the model ended the call; otherwise the server cut it off.
    pub fn is_answer(self) -> bool {
        !matches!(self, Self::Recovered | Self::Failed)
    }
}

/// Token counts of one call: identical in the answer, the receipt, the journal and the metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenUsage {
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
}
