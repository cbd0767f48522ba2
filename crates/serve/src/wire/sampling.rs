//! The parameters that chat and text completions share, and those that cannot be honoured.

use serde_json::{Map, Value};

use super::fields::{BodyFields, unsupported, wrong_type, wrong_value};
use crate::api_error::ApiError;
use openlora_engine::SamplingParams;

/// The caller's sampling parameters; absent means the server's choice.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SamplingOptions {
    pub max_tokens: Option<u64>,
    pub temperature: Option<f64>,
    pub top_p: Option<f64>,
    pub top_k: Option<u64>,
    pub min_p: Option<f64>,
    pub frequency_penalty: Option<f64>,
    pub presence_penalty: Option<f64>,
    pub stop: Vec<String>,
    pub logprobs: Option<u64>,
    pub seed: Option<u64>,
}

/// Whether and how an answer is streamed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamOptions {
    pub on: bool,
    pub include_usage: bool,
}

type HarmlessCheck = fn(&Value) -> bool;

/// Parameters that would change the meaning of the answer if they were ignored, with the values
/// that have no effect.
pub const UNSUPPORTED: &[(&str, HarmlessCheck, &str)] = &[
    ("tools", is_empty, "Adapters here cannot call tools."),
    (
        "functions",
        is_empty,
        "Adapters here cannot call functions.",
    ),
    (
        "tool_choice",
        asks_no_tool,
        "Adapters here cannot call tools.",
    ),
    (
        "function_call",
        asks_no_tool,
        "Adapters here cannot call functions.",
    ),
    (
        "n",
        is_one,
        "One answer is given per call; send more calls for more answers.",
    ),
    (
        "best_of",
        is_one,
        "One answer is given per call; send more calls for more answers.",
    ),
    (
        "response_format",
        is_plain_text,
        "Answers are plain text; /v1/classify answers in a fixed form.",
    ),
    ("logit_bias", is_empty, "Biasing tokens is not available."),
    ("modalities", is_text_only, "Only text is generated."),
    ("audio", never, "Only text is generated."),
    ("prediction", never, "Predicted outputs are not available."),
    (
        "web_search_options",
        never,
        "Searching the web is not available.",
    ),
    (
        "reasoning_effort",
        never,
        "Adapters here do not reason in hidden tokens.",
    ),
    (
        "suffix",
        is_empty,
        "Text can only be continued, not filled in.",
    ),
    (
        "echo",
        is_false,
        "The prompt is not repeated in the answer.",
    ),
];

fn never(_: &Value) -> bool {
    false
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::String(text) => text.is_empty(),
        _ => false,
    }
}

fn is_one(value: &Value) -> bool {
    value.as_u64() == Some(1)
}

fn is_false(value: &Value) -> bool {
    value.as_bool() == Some(false)
}

fn asks_no_tool(value: &Value) -> bool {
    matches!(value.as_str(), Some("none" | "auto"))
}

fn is_plain_text(value: &Value) -> bool {
    value.get("type").and_then(Value::as_str) == Some("text")
}

fn is_text_only(value: &Value) -> bool {
    value
        .as_array()
        .is_some_and(|items| items.iter().all(|item| item == "text"))
}

/// Refuses the first parameter of [`UNSUPPORTED`] whose value has an effect.
pub fn refuse_unsupported(fields: &BodyFields) -> Result<(), ApiError> {
    for (name, harmless, reason) in UNSUPPORTED {
        if fields.get(name).is_some_and(|value| !harmless(value)) {
            return Err(unsupported(name, reason));
        }
    }
    Ok(())
}

/// Longest list of stop sequences, as in OpenAI's API.
const MOST_STOPS: usize = 4;

/// Longest stop sequence in bytes: each is looked for after every token, and holds back as much.
const LONGEST_STOP: usize = 256;

impl SamplingOptions {
    /// Reads what both kinds of completion share; log-probabilities differ and stay unset.
    pub fn read(fields: &BodyFields) -> Result<Self, ApiError> {
        let max_completion = fields.integer("max_completion_tokens", 1, u64::from(u32::MAX))?;
        let max_tokens = fields.integer("max_tokens", 1, u64::from(u32::MAX))?;
        let top_p = fields.number("top_p", 0.0, 1.0)?;
        if top_p == Some(0.0) {
            return Err(wrong_value("top_p", "a number above 0 and up to 1", "0"));
        }
        Ok(Self {
            max_tokens: max_completion.or(max_tokens),
            temperature: fields.number("temperature", 0.0, 2.0)?,
            top_p,
            top_k: fields.integer("top_k", 1, u64::from(u32::MAX))?,
            min_p: fields.number("min_p", 0.0, 1.0)?,
            frequency_penalty: fields.number("frequency_penalty", -2.0, 2.0)?,
            presence_penalty: fields.number("presence_penalty", -2.0, 2.0)?,
            stop: read_stop(fields)?,
            logprobs: None,
            seed: read_seed(fields)?,
        })
    }

    /// The engine's parameters: what the caller left open is filled from the server's defaults,
    /// and the length is clamped to the `room` that the context leaves (both in tokens).
    pub fn resolve(
        &self,
        default_tokens: usize,
        room: usize,
        default_temperature: f64,
    ) -> SamplingParams {
        let temperature = self.temperature.unwrap_or(default_temperature);
        let wanted = self.max_tokens.map_or(default_tokens, saturating_size);
        SamplingParams {
            max_tokens: wanted.min(room),
            temperature: (temperature > 0.0).then_some(temperature),
            top_p: self.top_p.filter(|_| temperature > 0.0),
            top_k: self
                .top_k
                .map(saturating_size)
                .filter(|_| temperature > 0.0),
            min_p: self.min_p.filter(|_| temperature > 0.0),
            frequency_penalty: self.frequency_penalty.map(|value| value as f32),
            presence_penalty: self.presence_penalty.map(|value| value as f32),
            stop: self.stop.clone(),
            logprobs: self.logprobs.map(saturating_size),
            seed: self.seed,
        }
    }
}

fn saturating_size(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

fn read_stop(fields: &BodyFields) -> Result<Vec<String>, ApiError> {
    // Unlike elsewhere an empty list is common here and means none.
    if fields.get("stop").is_some_and(is_empty_list) {
        return Ok(Vec::new());
    }
    let stop = fields.texts("stop")?.unwrap_or_default();
    let expected = "up to 4 texts, none of them empty";
    if stop.len() > MOST_STOPS {
        return Err(wrong_value(
            "stop",
            expected,
            &format!("{} texts", stop.len()),
        ));
    }
    if let Some(long) = stop.iter().find(|stop| stop.len() > LONGEST_STOP) {
        let expected = format!("texts of at most {LONGEST_STOP} bytes");
        let found = format!("one of {} bytes", long.len());
        return Err(wrong_value("stop", &expected, &found));
    }
    match stop.iter().any(String::is_empty) {
        true => Err(wrong_value("stop", expected, "an empty text")),
        false => Ok(stop),
    }
}

fn is_empty_list(value: &Value) -> bool {
    value.as_array().is_some_and(Vec::is_empty)
}

/// OpenAI's seeds are signed; the engine's are the same 64 bits without a sign.
fn read_seed(fields: &BodyFields) -> Result<Option<u64>, ApiError> {
    let Some(value) = fields.get("seed") else {
        return Ok(None);
    };
    let bits = value
        .as_u64()
        .or_else(|| value.as_i64().map(i64::cast_unsigned));
    bits.map(Some)
        .ok_or_else(|| wrong_type("seed", "an integer", value))
}

impl StreamOptions {
    pub fn read(fields: &BodyFields) -> Result<Self, ApiError> {
        let on = fields.boolean("stream")?.unwrap_or(false);
        let Some(options) = fields.get("stream_options") else {
            return Ok(Self {
                on,
                include_usage: false,
            });
        };
        if !on {
            let reason = "It is only allowed together with 'stream': true.";
            return Err(unsupported("stream_options", reason));
        }
        let options = options
            .as_object()
            .ok_or_else(|| wrong_type("stream_options", "an object", options))?;
        Ok(Self {
            on,
            include_usage: read_include_usage(options)?,
        })
    }
}

fn read_include_usage(options: &Map<String, Value>) -> Result<bool, ApiError> {
    match options.get("include_usage") {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(wanted)) => Ok(*wanted),
        Some(other) => Err(wrong_type(
            "stream_options.include_usage",
            "a boolean",
            other,
        )),
    }
}
