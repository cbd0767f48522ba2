//! `/v1/completions`: the request, the answer and its chunks.

use serde_json::{Map, Value, json};

use super::{
    envelope::AnswerEnvelope,
    fields::{BodyFields, unsupported, wrong_type},
    problems::BodyProblems,
    sampling::{SamplingOptions, StreamOptions, unknown_names},
};
use crate::api_error::ApiError;
use openlora_engine::{TokenLogprob, VocabularyToken};

/// A text-completion request that can be answered.
#[derive(Clone, Debug, PartialEq)]
pub struct CompletionRequest {
    pub prompt: String,
    pub sampling: SamplingOptions,
    pub streaming: StreamOptions,
}

/// Largest number of alternatives per token, as in OpenAI's API.
const MOST_ALTERNATIVES: u64 = 5;

impl CompletionRequest {
    pub fn read(fields: &BodyFields) -> Result<Self, BodyProblems> {
        let mut problems = unknown_names(fields, &["prompt"]);
        let prompt = fields.required("prompt").and_then(read_prompt);
        let prompt = problems.keep(prompt);
        let mut sampling = SamplingOptions::read(fields, &mut problems);
        sampling.logprobs = problems.keep(fields.integer("logprobs", 0, MOST_ALTERNATIVES));
        let streaming = problems.keep(StreamOptions::read(fields));
        problems.unless_any(Self {
            prompt,
            sampling,
            streaming,
        })
    }

    pub fn problems(fields: &BodyFields) -> BodyProblems {
        Self::read(fields).err().unwrap_or_default()
    }
}

fn read_prompt(value: &Value) -> Result<String, ApiError> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Array(items) => match items.as_slice() {
            [Value::String(text)] => Ok(text.clone()),
            [Value::String(_), ..] => Err(unsupported(
                "prompt",
                "One prompt is answered per call; send more calls.",
            )),
            [Value::Number(_) | Value::Array(_), ..] => Err(unsupported(
                "prompt",
                "Prompts are text; token ids are not accepted.",
            )),
            _ => Err(wrong_type("prompt", "a string", value)),
        },
        other => Err(wrong_type("prompt", "a string", other)),
    }
}

/// The complete answer.
pub fn answer(envelope: &AnswerEnvelope, text: &str, logprobs: Option<&[TokenLogprob]>) -> Value {
    let mut value = body(envelope, text, logprobs, json!(envelope.finish_reason()));
    value["usage"] = envelope.usage_json();
    value
}

/// A piece of a streamed answer.
pub fn chunk(
    envelope: &AnswerEnvelope,
    text: &str,
    logprobs: Option<&[TokenLogprob]>,
    include_usage: bool,
) -> Value {
    let mut chunk = body(envelope, text, logprobs, Value::Null);
    envelope.add_chunk_usage(&mut chunk, false, include_usage);
    chunk
}

/// The chunk that says why the answer ended.
pub fn closing(envelope: &AnswerEnvelope, include_usage: bool) -> Value {
    let mut chunk = body(envelope, "", None, json!(envelope.finish_reason()));
    envelope.add_chunk_usage(&mut chunk, false, include_usage);
    chunk
}

/// The last chunk, which carries the usage.
pub fn usage(envelope: &AnswerEnvelope) -> Value {
    let mut chunk = body(envelope, "", None, Value::Null);
    chunk["choices"] = json!([]);
    envelope.add_chunk_usage(&mut chunk, true, true);
    chunk
}

fn body(
    envelope: &AnswerEnvelope,
    text: &str,
    logprobs: Option<&[TokenLogprob]>,
    finish: Value,
) -> Value {
    json!({
        "id": envelope.id,
        "object": "text_completion",
        "created": envelope.created,
        "model": envelope.model,
        "system_fingerprint": envelope.fingerprint,
        "choices": [{
            "index": 0,
            "text": text,
            "logprobs": logprobs.map(write_logprobs),
            "finish_reason": finish,
        }],
    })
}

fn write_logprobs(tokens: &[TokenLogprob]) -> Value {
    let texts: Vec<String> = tokens.iter().map(|it| token_name(&it.token)).collect();
    let values: Vec<f32> = tokens.iter().map(|it| it.logprob).collect();
    let top: Vec<Map<String, Value>> = tokens.iter().map(write_alternatives).collect();
    let offsets: Vec<usize> = tokens.iter().map(|it| it.offset).collect();
    json!({ "tokens": texts, "token_logprobs": values, "top_logprobs": top, "text_offset": offsets })
}

/// A token's text; parts of characters are named by their bytes, as OpenAI does.
fn token_name(token: &VocabularyToken) -> String {
    match token.is_text() {
        true => token.text(),
        false => {
            let bytes: String = token
                .bytes
                .iter()
                .map(|it| format!("\\x{it:02x}"))
                .collect();
            format!("bytes:{bytes}")
        }
    }
}

/// The alternatives by name; of two tokens with the same text, the less likely one is named by its
/// id.
fn write_alternatives(token: &TokenLogprob) -> Map<String, Value> {
    let mut all = Map::new();
    for (alternative, logprob) in &token.top {
        let mut name = token_name(alternative);
        if all.contains_key(&name) {
            name = format!("token_id:{}", alternative.id);
        }
        all.insert(name, json!(logprob));
    }
    all
}
