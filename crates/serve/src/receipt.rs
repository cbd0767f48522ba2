//! The journal's receipt of a metered call.

use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    api_error::ApiError,
    attribution::published::{JournalAttribution, PublishedShares},
    request_id::RequestId,
    response_hash,
};
use openlora_core::Amount;
use openlora_journal::{Journal, JournalError};
use openlora_ledger::{
    CallCharge, CallComputation, CheckedPayment, PictureRecord,
    event::{CallKind, Event, EventRecord, FinishReason, TokenUsage},
};
use openlora_transparency::{TlogError, TransparencyView};

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
    pub usage: TokenUsage,
    pub finish: FinishReason,
    pub milliseconds: u64,
    pub first_token_milliseconds: Option<u64>,
    pub request_hash: String,
    pub response_hash: String,
    /// Absent where calls are free.
    pub charge: Option<CallCharge>,
    /// Absent where the server died during the call, and from journals of earlier versions.
    pub computation: Option<CallComputation>,
    /// For the payer alone.
    pub response_key: Option<String>,
    /// As far as it is known.
    pub attribution: Option<PublishedShares>,
    /// Absent while no checkpoint covers it.
    pub log: Option<LoggedReceipt>,
}

impl Receipt {
    /// The receipt that a record is, if it meters a call.
    pub fn from_record(record: &EventRecord) -> Option<Self> {
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
            charge,
            computation,
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
            charge: charge.map(|charge| *charge),
            computation: computation.map(|it| *it),
            response_key: None,
            attribution: None,
            log: None,
        })
    }

    /// Whether the call was cut off by the server and cost nothing, or is covered by what was
    /// already paid for it.
    pub fn is_owed(&self, payment: &CheckedPayment) -> bool {
        let charged = self.charge.as_ref().is_some_and(|it| !it.amount.is_zero());
        !self.finish.is_answer() && (!charged || payment.quote.is_zero())
    }

    /// Whether a client that names the id may read the receipt: ids of paid calls are secrets of
    /// their payers. Earlier versions recorded the payers' own ids, which can be guessed.
    pub fn is_addressed(&self) -> bool {
        self.charge.is_none() || RequestId::is_secret(&self.request_id)
    }

    /// How pictures were made, if it is a call for pictures.
    pub fn picture_record(&self) -> Option<&PictureRecord> {
        self.computation.as_ref()?.pictures.as_deref()
    }

    /// The receipt as `/v1/receipts/{id}` answers it.
    pub fn published(&self) -> PublishedReceipt {
        PublishedReceipt {
            id: self.request_id.clone(),
            object: "receipt".to_owned(),
            adapter: self.adapter.clone(),
            adapter_digest: self.adapter_digest.clone(),
            kind: self.kind,
            usage: PublishedUsage::new(self.usage, self.picture_record()),
            finish: self.finish,
            paid: self.charge.as_ref().map_or(Amount::ZERO, |it| it.amount),
            payment: self.charge.clone(),
            milliseconds: self.milliseconds,
            first_token_milliseconds: self.first_token_milliseconds,
            request_hash: self.request_hash.clone(),
            response_hash: self.response_hash.clone(),
            response_key: self.response_key.clone(),
            computation: self.computation.clone(),
            attribution: self.attribution.clone(),
            journal: JournalPlace {
                sequence: self.sequence,
                time_ms: self.time_ms,
                hash: self.hash.clone(),
            },
            log: self.log.clone(),
        }
    }

    pub fn to_json(&self) -> Value {
        json!(self.published())
    }
}

/// A receipt as servers answer it and `call` prints it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PublishedReceipt {
    /// The call's request id.
    pub id: String,
    /// Always `receipt`.
    pub object: String,
    pub adapter: String,
    pub adapter_digest: String,
    pub kind: CallKind,
    pub usage: PublishedUsage,
    pub finish: FinishReason,
    /// In base units of the token.
    pub paid: Amount,
    /// How it was paid; null where calls are free.
    pub payment: Option<CallCharge>,
    /// From acceptance to the last token.
    pub milliseconds: u64,
    /// From acceptance to the first token; null when no token came.
    pub first_token_milliseconds: Option<u64>,
    /// SHA-256 over a per-journal salt and the request body, hex.
    pub request_hash: String,
    /// SHA-256 over the call's key and the delivered text, hex.
    pub response_hash: String,
    /// The call's key, hex: with it, a payer shows which text the hash stands for. Null where calls
    /// are free.
    #[serde(default)]
    pub response_key: Option<String>,
    /// How the answer was computed; null where it is not known.
    #[serde(default)]
    pub computation: Option<CallComputation>,
    /// Whose data shaped the answer, as far as it is known; null where nothing is yet.
    #[serde(default)]
    pub attribution: Option<PublishedShares>,
    pub journal: JournalPlace,
    /// Its place in the server's transparency log; absent while no checkpoint covers it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<LoggedReceipt>,
}

/// The proof that a receipt is in the server's transparency log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LoggedReceipt {
    /// The log's name.
    pub origin: String,
    /// The public key of the log's checkpoints, in the form of signed notes.
    pub vkey: String,
    /// The receipt's entry, from 0.
    pub index: u64,
    /// Content of a `.tlog-proof` file: entry, opening, inclusion proof and signed checkpoint.
    pub proof: String,
}

/// Tokens of a call in OpenAI's form. A picture counts as one generated token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PublishedUsage {
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    pub total_tokens: u64,
    /// Delivered pictures; absent for calls that ask for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pictures: Option<u64>,
    /// Evaluations of the model for these pictures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluations: Option<u64>,
}

impl PublishedUsage {
    /// The counted tokens, and what a call for pictures delivered.
    pub fn new(usage: TokenUsage, record: Option<&PictureRecord>) -> Self {
        Self {
            pictures: record.map(|record| record.pictures),
            evaluations: record.map(|record| record.evaluations),
            ..usage.into()
        }
    }
}

impl From<TokenUsage> for PublishedUsage {
    fn from(usage: TokenUsage) -> Self {
        Self {
            prompt_tokens: usage.prompt_tokens,
            completion_tokens: usage.completion_tokens,
            total_tokens: usage.prompt_tokens.saturating_add(usage.completion_tokens),
            pictures: None,
            evaluations: None,
        }
    }
}

/// Where in the journal a receipt's event stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JournalPlace {
    pub sequence: u64,
    /// Unix time in milliseconds.
    pub time_ms: u64,
    /// Chain hash of the record, hex.
    pub hash: String,
}

async fn look(journal: &Journal, id: &RequestId) -> Result<Option<Receipt>, JournalError> {
    let record = journal.metered(id.as_str()).await?;
    let Some(mut receipt) = record.as_ref().and_then(Receipt::from_record) else {
        return Ok(None);
    };
    // The id of a free call may be guessed, and with the key its short answers.
    let is_secret = receipt.charge.is_some() && receipt.is_addressed();
    if is_secret && receipt.computation.is_some() {
        receipt.response_key = Some(response_hash::key(journal.salt(), id));
    }
    if let (false, Some(computation)) = (is_secret, &mut receipt.computation)
        && let Some(record) = &mut computation.pictures
    {
        // With the settings, a picture's digest tells a guessed prompt from a wrong one.
        record.digests.clear();
    }
    receipt.attribution = JournalAttribution::read_journal(journal, id.as_str())
        .await?
        .shares();
    Ok(Some(receipt))
}

/// Looks up what was metered under an id.
pub async fn find(journal: &Journal, id: &RequestId) -> Result<Option<Receipt>, ApiError> {
    look(journal, id).await.map_err(|error| unreadable(&error))
}

/// The proof of a receipt, once a checkpoint covers it. A log that cannot be read withholds no
/// receipt.
pub async fn logged(
    journal: &Journal,
    view: &TransparencyView,
    sequence: u64,
) -> Result<Option<LoggedReceipt>, ApiError> {
    let stored = journal.stored(sequence).await;
    let Some(row) = stored.map_err(|error| unreadable(&error))? else {
        return Ok(None);
    };
    let (view, salt) = (view.clone(), journal.salt().to_vec());
    let proven = tokio::task::spawn_blocking(move || {
        let proof = view.prove_row(&row, &salt)?;
        Ok(proof.map(|proof| LoggedReceipt {
            origin: view.verifier.origin().to_owned(),
            vkey: view.verifier.vkey().to_owned(),
            index: proof.index,
            proof: proof.to_text(),
        }))
    });
    match proven.await {
        Ok(Ok(logged)) => Ok(logged),
        Ok(Err(error)) => {
            let error: TlogError = error;
            tracing::error!(%error, "a receipt has no proof");
            Ok(None)
        }
        Err(_) => Ok(None),
    }
}

/// The answer to whatever needs the journal while it cannot be read.
pub fn unreadable(error: &JournalError) -> ApiError {
    tracing::error!(%error, "the journal cannot be read");
    let message = "The journal cannot be read now.";
    ApiError::unavailable("journal_unavailable", message)
}

/// The answer to a repeated id if its call was metered and its text is no longer kept.
pub fn already_metered(receipt: &Receipt) -> ApiError {
    let message = format!(
        "The call with request id '{}' was already metered and its answer is no longer held.",
        receipt.request_id
    );
    ApiError::new(StatusCode::CONFLICT, "already_metered", message).with_receipt(receipt.to_json())
}
