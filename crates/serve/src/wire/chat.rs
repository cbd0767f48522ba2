//! `/v1/chat/completions`: the request, the answer and its chunks.

use serde_json::{Value, json};

use super::{
    envelope::AnswerEnvelope,
    fields::{BodyFields, kind_of, missing, text_of, unsupported, wrong_type, wrong_value},
    problems::BodyProblems,
    sampling::{SamplingOptions, StreamOptions, unknown_names},
};
use crate::{api_error::ApiError, similar::slip_of};
use openlora_engine::{TokenLogprob, VocabularyToken};
use openlora_model::text::ChatMessage;

/// A chat request that can be answered.
#[derive(Clone, Debug, PartialEq)]
pub struct ChatRequest {
    pub messages: Vec<ChatMessage>,
    pub sampling: SamplingOptions,
    pub streaming: StreamOptions,
}

/// Largest number of alternatives per token, as in OpenAI's API.
const MOST_ALTERNATIVES: u64 = 20;

impl ChatRequest {
    pub fn read(fields: &BodyFields) -> Result<Self, BodyProblems> {
        let mut problems = unknown_names(fields, &["messages", "top_logprobs"]);
        let messages = fields.required("messages").and_then(read_messages);
        let messages = problems.keep(messages);
        let mut sampling = SamplingOptions::read(fields, &mut problems);
        sampling.logprobs = problems.keep(read_logprobs(fields));
        let streaming = problems.keep(StreamOptions::read(fields));
        problems.unless_any(Self {
            messages,
            sampling,
            streaming,
        })
    }

    pub fn problems(fields: &BodyFields) -> BodyProblems {
        Self::read(fields).err().unwrap_or_default()
    }
}

fn read_logprobs(fields: &BodyFields) -> Result<Option<u64>, ApiError> {
    let wanted = fields.boolean("logprobs")?.unwrap_or(false);
    let alternatives = fields.integer("top_logprobs", 0, MOST_ALTERNATIVES)?;
    if alternatives.is_some() && !wanted {
        let message = "Invalid value for 'top_logprobs': it needs 'logprobs': true.";
        return Err(ApiError::invalid("invalid_value", "top_logprobs", message));
    }
    Ok(wanted.then(|| alternatives.unwrap_or(0)))
}

fn read_messages(value: &Value) -> Result<Vec<ChatMessage>, ApiError> {
    let expected = "a list of at least one message";
    let items = value
        .as_array()
        .ok_or_else(|| wrong_type("messages", expected, value))?;
    if items.is_empty() {
        return Err(wrong_value("messages", expected, "an empty list"));
    }
    items
        .iter()
        .enumerate()
        .map(|(index, item)| read_message(index, item))
        .collect()
}

fn read_message(index: usize, value: &Value) -> Result<ChatMessage, ApiError> {
    let place = format!("messages[{index}]");
    if !value.is_object() {
        return Err(wrong_type(&place, "an object with role and content", value));
    }
    let field = |name: &str| value.get(name).filter(|found| !found.is_null());
    let fields = value.as_object().into_iter().flatten();
    for (name, _) in fields.filter(|(_, value)| !value.is_null()) {
        let reason = match name.as_str() {
            "role" | "content" => continue,
            "tool_calls" | "function_call" | "audio" => "Messages carry text only.",
            "name" => "The chat template does not show names; write it into the content.",
            _ => "A message has a role and a content.",
        };
        let refusal = unsupported(&format!("{place}.{name}"), reason);
        return Err(match slip_of(name, &["role", "content"]) {
            Some(meant) => refusal.adding(&format!("Did you mean '{meant}'?")),
            None => refusal,
        });
    }
    let role_place = format!("{place}.role");
    let role = text_of(
        &role_place,
        field("role").ok_or_else(|| missing(&role_place))?,
    )?;
    let role = settle_role(&role_place, role)?;
    let content_place = format!("{place}.content");
    let content = match field("content") {
        Some(content) => read_content(&content_place, content)?,
        // OpenAI's own answers may have no content, and are sent back with the next question.
        None if role == "assistant" => String::new(),
        None => return Err(missing(&content_place)),
    };
    Ok(ChatMessage {
        role: role.to_owned(),
        content,
    })
}

const ROLES: &[&str] = &["system", "developer", "user", "assistant"];

/// Templates know three roles; `developer` is OpenAI's newer name for `system`.
fn settle_role<'a>(place: &str, role: &'a str) -> Result<&'a str, ApiError> {
    match role {
        "system" | "user" | "assistant" => Ok(role),
        "developer" => Ok("system"),
        other => {
            let expected = "system, developer, user or assistant";
            let refusal = wrong_value(place, expected, &format!("'{other}'"));
            Err(match slip_of(other, ROLES) {
                Some(meant) => refusal.adding(&format!("Did you mean '{meant}'?")),
                None => refusal,
            })
        }
    }
}

/// A text, or parts of type `text` that are joined without a separator.
pub fn read_content(place: &str, value: &Value) -> Result<String, ApiError> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Array(parts) => parts
            .iter()
            .enumerate()
            .map(|(index, part)| read_part(&format!("{place}[{index}]"), part))
            .collect(),
        other => Err(wrong_type(place, "a string or a list of text parts", other)),
    }
}

fn read_part<'a>(place: &str, part: &'a Value) -> Result<&'a str, ApiError> {
    match part.get("type").and_then(Value::as_str) {
        Some("text") => {
            let place = format!("{place}.text");
            text_of(&place, part.get("text").ok_or_else(|| missing(&place))?)
        }
        found => {
            let found = found.map_or(kind_of(part).to_owned(), |name| format!("'{name}'"));
            Err(wrong_value(&format!("{place}.type"), "'text'", &found))
        }
    }
}

/// The complete answer.
pub fn answer(envelope: &AnswerEnvelope, text: &str, logprobs: Option<&[TokenLogprob]>) -> Value {
    json!({
        "id": envelope.id,
        "object": "chat.completion",
        "created": envelope.created,
        "model": envelope.model,
        "system_fingerprint": envelope.fingerprint,
        "choices": [{
            "index": 0,
            "message": { "role": "assistant", "content": text, "refusal": null },
            "logprobs": logprobs.map(write_logprobs),
            "finish_reason": envelope.finish_reason(),
        }],
        "usage": envelope.usage_json(),
    })
}

/// What a chunk of a streamed answer says.
#[derive(Clone, Copy, Debug)]
pub enum ChunkPiece<'a> {
    Opening,
    Text(&'a str, Option<&'a [TokenLogprob]>),
    Closing,
    Usage,
}

/// One chunk. With `include_usage` every chunk but the last carries `"usage": null`.
pub fn chunk(envelope: &AnswerEnvelope, piece: ChunkPiece<'_>, include_usage: bool) -> Value {
    let choice = |delta: Value, logprobs: Option<Value>, finish: Value| json!([{ "index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": finish }]);
    let choices = match piece {
        ChunkPiece::Opening => choice(
            json!({ "role": "assistant", "content": "" }),
            None,
            Value::Null,
        ),
        ChunkPiece::Text(text, logprobs) => choice(
            json!({ "content": text }),
            logprobs.map(write_logprobs),
            Value::Null,
        ),
        ChunkPiece::Closing => choice(json!({}), None, json!(envelope.finish_reason())),
        ChunkPiece::Usage => json!([]),
    };
    let mut chunk = json!({
        "id": envelope.id,
        "object": "chat.completion.chunk",
        "created": envelope.created,
        "model": envelope.model,
        "system_fingerprint": envelope.fingerprint,
        "choices": choices,
    });
    envelope.add_chunk_usage(
        &mut chunk,
        matches!(piece, ChunkPiece::Usage),
        include_usage,
    );
    chunk
}

fn write_logprobs(tokens: &[TokenLogprob]) -> Value {
    let content: Vec<Value> = tokens
        .iter()
        .map(|token| {
            let top: Vec<Value> = token
                .top
                .iter()
                .map(|(token, logprob)| write_token(token, *logprob))
                .collect();
            let mut written = write_token(&token.token, token.logprob);
            written["top_logprobs"] = json!(top);
            written
        })
        .collect();
    json!({ "content": content, "refusal": null })
}

fn write_token(token: &VocabularyToken, logprob: f32) -> Value {
    json!({ "token": token.text(), "logprob": logprob, "bytes": token.bytes })
}
