//! What a replay is given: the answer, the receipt and the request.

use std::path::Path;

use serde_json::{Value, json};

use super::ReplayRequest;
use crate::commands::{
    CommandContext,
    call::{
        AdapterAnswer, CallResult, PictureResult, SentRequest,
        client::{ServerClient, is_id},
        pictures::PNG_RECEIPT,
        png_receipt::split_png_text,
    },
    receipts::{StoredReceipt, find, read},
};
use openlora_core::error::{ExitClass, Failure};
use openlora_ledger::event::CallKind;
use openlora_package::manifest::Digest;
use openlora_payments::payer::PayerStore;
use openlora_serve::{PublishedReceipt, wire::fields::BodyFields};

/// An answer, and what its file holds besides.
pub(super) struct GivenAnswer {
    pub said: AdapterAnswer,
    receipt: Option<PublishedReceipt>,
    request: Option<SentRequest>,
}

impl GivenAnswer {
    /// Reads the output of `call --json`, a picture that `call` wrote, or a text.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let bytes = std::fs::read(path).map_err(|error| Failure::io("read", path, &error))?;
        if let Ok(result) = serde_json::from_slice::<CallResult>(&bytes) {
            return Ok(Self {
                said: result.said,
                receipt: result.receipt,
                request: result.request,
            });
        }
        if let Some((file, _)) = split_png_text(&bytes, PNG_RECEIPT) {
            return Ok(Self::picture(path, &file));
        }
        if bytes.starts_with(PNG) {
            return Ok(Self::picture(path, &bytes));
        }
        let text = String::from_utf8(bytes).map_err(|_| not_text(path))?;
        Ok(Self {
            said: AdapterAnswer::Text { text },
            receipt: None,
            request: None,
        })
    }
}

impl GivenAnswer {
    /// A picture, without the receipt's id that `call` adds to its file.
    fn picture(path: &Path, file: &[u8]) -> Self {
        let picture = PictureResult {
            path: Some(path.to_owned()),
            sha256: Digest::hash_bytes(file).to_string(),
            width: 0,
            height: 0,
            seed: None,
            b64_json: None,
        };
        Self {
            said: AdapterAnswer::Pictures {
                pictures: vec![picture],
            },
            receipt: None,
            request: None,
        }
    }
}

/// How PNG files begin.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

fn not_text(path: &Path) -> Failure {
    let message = format!("{}: expected UTF-8 text, found other bytes", path.display());
    Failure::new(ExitClass::BadInput, message)
}

/// The receipt in the named file, among the paid calls, beside the answer, or at the server.
pub(super) async fn find_receipt(
    context: &CommandContext,
    request: &ReplayRequest,
    answer: &GivenAnswer,
) -> Result<PublishedReceipt, Failure> {
    let what = request.receipt.as_str();
    let file = context.settings.working_dir.join(what);
    if file.is_file() {
        return read(&file);
    }
    let record = find(&PayerStore::open(&context.dirs.data)?, what)?;
    let stored = record.and_then(|record| StoredReceipt::from_record(&record).receipt);
    if let Some(receipt) = stored {
        return Ok(receipt);
    }
    let beside = answer.receipt.as_ref();
    if let Some(receipt) = beside.filter(|it| !what.is_empty() && it.id.starts_with(what)) {
        return Ok(receipt.clone());
    }
    let found = match &request.url {
        Some(url) if is_id(what) => {
            let client = ServerClient::new(context, Some(url))?;
            client.receipt(what).await?
        }
        _ => None,
    };
    found.ok_or_else(|| {
        let message = format!("no receipt of {what} is known here");
        Failure::new(ExitClass::Usage, message).with_hint(
            "give the answer as `openlora --json call \"hello\"` prints it, or name the server: --url URL",
        )
    })
}

/// The body of the request: a named one, the one beside the answer, or that of a call whose answer
/// was not shown yet.
pub(super) fn body_fields(
    context: &CommandContext,
    request: &ReplayRequest,
    answer: &GivenAnswer,
    receipt: &PublishedReceipt,
) -> Result<BodyFields, Failure> {
    let dir = &context.settings.working_dir;
    let bytes = if let Some(file) = &request.body {
        let path = dir.join(file);
        std::fs::read(&path).map_err(|error| Failure::io("read", &path, &error))?
    } else if let Some(file) = &request.prompt {
        let path = dir.join(file);
        let read = std::fs::read_to_string(&path);
        let text = read.map_err(|error| Failure::io("read", &path, &error))?;
        let prompt = text.trim_end_matches(['\n', '\r']);
        body_of(receipt.kind, prompt, request.system.as_deref())
            .to_string()
            .into_bytes()
    } else if let Some(sent) = &answer.request {
        sent.body.to_string().into_bytes()
    } else {
        waiting_body(context, &receipt.id)?
    };
    BodyFields::parse(&bytes).map_err(super::malformed)
}

/// A request as `call` sends it.
fn body_of(kind: CallKind, prompt: &str, system: Option<&str>) -> Value {
    match kind {
        CallKind::Classify => json!({ "input": prompt }),
        CallKind::Completion | CallKind::Image => json!({ "prompt": prompt }),
        _ => {
            let system = system.map(|text| json!({ "role": "system", "content": text }));
            let user = json!({ "role": "user", "content": prompt });
            json!({ "messages": system.into_iter().chain([user]).collect::<Vec<_>>() })
        }
    }
}

fn waiting_body(context: &CommandContext, id: &str) -> Result<Vec<u8>, Failure> {
    let attempts = PayerStore::open(&context.dirs.data)?.attempts()?;
    let waiting = attempts.into_iter().find(|it| it.order.request_id == id);
    waiting.map(|it| it.order.body.into_bytes()).ok_or_else(|| {
        let message = format!("the prompt of {id} is not known here");
        Failure::new(ExitClass::Usage, message).with_hint(
            "name it: --prompt FILE, or --body FILE with the JSON that was sent; \
             `openlora --json call \"hello\"` prints it with the answer",
        )
    })
}
