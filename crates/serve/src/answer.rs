//! A finished answer, and the two forms in which generated text is written.

use axum::body::Bytes;
use serde_json::{Value, json};

use super::wire::{chat, completion, envelope::AnswerEnvelope};
use openlora_engine::TokenLogprob;
use openlora_ledger::event::CallKind;

/// Whether text is written as a chat message or as a completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerForm {
    Chat,
    Completion,
}

impl AnswerForm {
    pub fn kind(self) -> CallKind {
        match self {
            Self::Chat => CallKind::Chat,
            Self::Completion => CallKind::Completion,
        }
    }

    /// The complete answer.
    pub fn complete_answer(
        self,
        envelope: &AnswerEnvelope,
        text: &str,
        logprobs: Option<&[TokenLogprob]>,
    ) -> Value {
        match self {
            Self::Chat => chat::answer(envelope, text, logprobs),
            Self::Completion => completion::answer(envelope, text, logprobs),
        }
    }
}

/// Writes the chunks of one streamed answer as server-sent events.
#[derive(Clone, Debug)]
pub struct ChunkWriter {
    pub form: AnswerForm,
    pub include_usage: bool,
}

impl ChunkWriter {
    pub fn new(form: AnswerForm, include_usage: bool) -> Self {
        Self {
            form,
            include_usage,
        }
    }

    /// The event before the first text, if any.
    pub fn opening(&self, envelope: &AnswerEnvelope) -> Option<Bytes> {
        match self.form {
            AnswerForm::Chat => Some(frame(&chat::chunk(
                envelope,
                chat::ChunkPiece::Opening,
                self.include_usage,
            ))),
            AnswerForm::Completion => None,
        }
    }

    pub fn text(
        &self,
        envelope: &AnswerEnvelope,
        text: &str,
        logprobs: Option<&[TokenLogprob]>,
    ) -> Bytes {
        let usage = self.include_usage;
        let chunk = match self.form {
            AnswerForm::Chat => {
                chat::chunk(envelope, chat::ChunkPiece::Text(text, logprobs), usage)
            }
            AnswerForm::Completion => completion::chunk(envelope, text, logprobs, usage),
        };
        frame(&chunk)
    }

    /// Everything after the last text: the finish reason, the usage if requested, and `[DONE]`.
    pub fn ending(&self, envelope: &AnswerEnvelope) -> Bytes {
        let (closing, usage) = match self.form {
            AnswerForm::Chat => (
                chat::chunk(envelope, chat::ChunkPiece::Closing, self.include_usage),
                chat::chunk(envelope, chat::ChunkPiece::Usage, true),
            ),
            AnswerForm::Completion => (
                completion::closing(envelope, self.include_usage),
                completion::usage(envelope),
            ),
        };
        let mut bytes = frame(&closing).to_vec();
        if self.include_usage {
            bytes.extend_from_slice(&frame(&usage));
        }
        bytes.extend_from_slice(b"data: [DONE]\n\n");
        bytes.into()
    }
}

/// One server-sent event without a name.
pub fn frame(value: &Value) -> Bytes {
    format!("data: {value}\n\n").into()
}

/// A finished answer, kept so that a repeated request id gets it again.
#[derive(Clone, Debug, PartialEq)]
pub struct FinishedAnswer {
    pub content_type: &'static str,
    pub body: Bytes,
    /// The result of the payment for the payer: the value of `PAYMENT-RESPONSE`. A streamed answer
    /// has it in its body.
    pub payment: Option<String>,
}

impl FinishedAnswer {
    pub const JSON: &'static str = "application/json";
    pub const EVENTS: &'static str = "text/event-stream";

    pub fn json(value: &Value) -> Self {
        Self {
            content_type: Self::JSON,
            body: json!(value).to_string().into(),
            payment: None,
        }
    }

    pub fn paid(mut self, payment: Option<String>) -> Self {
        self.payment = payment;
        self
    }
}
