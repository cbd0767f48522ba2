//! `/v1/completions`: the request, the answer and its chunks.

use serde_json::{Map, Value, json};

use super::{
    envelope::AnswerEnvelope,
    fields::{BodyFields, unsupported, wrong_type},
    sampling::{SamplingOptions, StreamOptions, refuse_unsupported},
};
use crate::runtime::{engine::TokenLogprob, serve::api_error::ApiError};

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
    pub fn read(fields: &BodyFields) -> Result<Self, ApiError> {
        refuse_unsupported(fields)?;
        let prompt = read_prompt(fields.required("prompt")?)?;
        let mut sampling = SamplingOptions::read(fields)?;
        sampling.logprobs = fields.integer("logprobs", 0, MOST_ALTERNATIVES)?;
        Ok(Self {
            prompt,
            sampling,
            streaming: StreamOptions::read(fields)?,
        })
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
    let mut value = body(envelope, text, logprobs, json!(envelope.finish_reason()), 0);
    value["usage"] = envelope.usage_json();
    value
}

/// A piece of a streamed answer; `offset` is the number of characters before it.
pub fn chunk(
    envelope: &AnswerEnvelope,
    text: &str,
    logprobs: Option<&[TokenLogprob]>,
    offset: usize,
    include_usage: bool,
) -> Value {
    let mut chunk = body(envelope, text, logprobs, Value::Null, offset);
    envelope.add_chunk_usage(&mut chunk, false, include_usage);
    chunk
}

/// The chunk that says why the answer ended.
pub fn closing(envelope: &AnswerEnvelope, include_usage: bool) -> Value {
    let mut chunk = body(envelope, "", None, json!(envelope.finish_reason()), 0);
    envelope.add_chunk_usage(&mut chunk, false, include_usage);
    chunk
}

/// The last chunk, which carries the usage.
pub fn usage(envelope: &AnswerEnvelope) -> Value {
    let mut chunk = body(envelope, "", None, Value::Null, 0);
    chunk["choices"] = json!([]);
    envelope.add_chunk_usage(&mut chunk, true, true);
    chunk
}

fn body(
    envelope: &AnswerEnvelope,
    text: &str,
    logprobs: Option<&[TokenLogprob]>,
    finish: Value,
    offset: usize,
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
            "logprobs": logprobs.map(|tokens| write_logprobs(tokens, offset)),
            "finish_reason": finish,
        }],
    })
}

fn write_logprobs(tokens: &[TokenLogprob], mut offset: usize) -> Value {
    let mut offsets = Vec::with_capacity(tokens.len());
    for token in tokens {
        offsets.push(offset);
        offset += token.token.chars().count();
    }
    let texts: Vec<&str> = tokens.iter().map(|token| token.token.as_str()).collect();
    let values: Vec<f32> = tokens.iter().map(|token| token.logprob).collect();
    let top: Vec<Map<String, Value>> = tokens
        .iter()
        .map(|token| {
            token
                .top
                .iter()
                .map(|(text, value)| (text.clone(), json!(value)))
                .collect()
        })
        .collect();
    json!({ "tokens": texts, "token_logprobs": values, "top_logprobs": top, "text_offset": offsets })
}
