//! Fields that all answers and chunks of one call share.

use serde_json::{Value, json};

use crate::receipt::PublishedUsage;
use openlora_ledger::event::{FinishReason, TokenUsage};

/// The fields around an answer's text.
#[derive(Clone, Debug)]
pub struct AnswerEnvelope {
    pub id: String,
    /// Unix time in seconds.
    pub created: u64,
    pub model: String,
    pub fingerprint: String,
    pub finish: FinishReason,
    pub usage: TokenUsage,
}

impl AnswerEnvelope {
    pub fn finish_reason(&self) -> &'static str {
        match self.finish {
            // A stream whose reader disconnected is cut short, too.
            FinishReason::Length | FinishReason::Disconnected => "length",
            _ => "stop",
        }
    }

    pub fn usage_json(&self) -> Value {
        usage_json(self.usage)
    }

    /// Every chunk has a `usage` field when the caller asked for it; only the last fills it.
    pub fn add_chunk_usage(&self, chunk: &mut Value, last: bool, wanted: bool) {
        if last {
            chunk["usage"] = self.usage_json();
        } else if wanted {
            chunk["usage"] = Value::Null;
        }
    }
}

/// Usage as OpenAI writes it.
pub fn usage_json(usage: TokenUsage) -> Value {
    json!(PublishedUsage::from(usage))
}
