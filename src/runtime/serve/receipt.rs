//! The receipt of a metered call, as the journal has it.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{refusal::Refusal, request_id::RequestId, wire::inputs::usage_json};
use crate::runtime::{
    event::{CallKind, Event, Finish, Record, Usage},
    journal::Journal,
};

/// A `CallMetered` event with its place in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    pub sequence: u64,
    pub time_ms: u64,
    pub hash: String,
    pub request_id: String,
    pub adapter: String,
    pub adapter_digest: String,
    pub kind: CallKind,
    pub usage: Usage,
    pub finish: Finish,
    pub milliseconds: u64,
    pub first_token_milliseconds: Option<u64>,
    pub request_hash: String,
    pub response_hash: String,
}

impl Receipt {
    /// The receipt that a record is, if it meters a call.
    pub fn from_record(record: &Record) -> Option<Self> {
        let Event::CallMetered {
            request_id,
            adapter,
            adapter_digest,
            kind,
            usage,
            finish,
            milliseconds,
            first_token_milliseconds,
            request_hash,
            response_hash,
        } = record.event.clone()
        else {
            return None;
        };
        Some(Self {
            sequence: record.sequence,
            time_ms: record.time_ms,
            hash: record.hash.clone(),
            request_id,
            adapter,
            adapter_digest,
            kind,
            usage,
            finish,
            milliseconds,
            first_token_milliseconds,
            request_hash,
            response_hash,
        })
    }

    /// The receipt as `/v1/receipts/{id}` answers it. `paid` is an amount in base units.
    pub fn to_json(&self) -> Value {
        json!({
            "id": self.request_id,
            "object": "receipt",
            "adapter": self.adapter,
            "adapter_digest": self.adapter_digest,
            "kind": self.kind,
            "usage": usage_json(self.usage),
            "finish": self.finish,
            "paid": "0",
            "milliseconds": self.milliseconds,
            "first_token_milliseconds": self.first_token_milliseconds,
            "request_hash": self.request_hash,
            "response_hash": self.response_hash,
            "journal": { "sequence": self.sequence, "time_ms": self.time_ms, "hash": self.hash },
        })
    }
}

/// Looks up what was metered under an id.
pub async fn find(journal: &Journal, id: &RequestId) -> Result<Option<Receipt>, Refusal> {
    match journal.metered(id.as_str()).await {
        Ok(record) => Ok(record.as_ref().and_then(Receipt::from_record)),
        Err(error) => {
            tracing::error!(%error, "the journal cannot be read");
            let message = "The journal cannot be read now.";
            Err(Refusal::unavailable("journal_unavailable", message))
        }
    }
}

/// The answer to a repeated id whose call was metered and whose text is no longer held.
pub fn already_metered(receipt: &Receipt) -> Refusal {
    let message = format!(
        "The call with request id '{}' was already metered and its answer is no longer held.",
        receipt.request_id
    );
    Refusal::new(StatusCode::CONFLICT, "already_metered", message).with_receipt(receipt.to_json())
}
