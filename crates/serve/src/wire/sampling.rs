//! The parameters that chat and text completions share, and those that cannot be honoured.

use serde_json::{Map, Value};

use super::{
    fields::{BodyFields, unsupported, wrong_type, wrong_value},
    problems::BodyProblems,
};
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
    pub repetition_penalty: Option<f64>,
    pub min_tokens: u64,
    pub stop: Vec<String>,
    pub stop_token_ids: Vec<u32>,
    pub logprobs: Option<u64>,
    pub seed: Option<u64>,
}

/// Whether and how an answer is streamed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamOptions {
    pub on: bool,
    pub include_usage: bool,
}

/// Whether a value has no effect.
pub type HarmlessCheck = fn(&Value) -> bool;

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
        is_none_word,
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
    ("structured_outputs", never, FIXED_FORM),
    ("guided_json", never, FIXED_FORM),
    ("guided_regex", never, FIXED_FORM),
    ("guided_choice", never, FIXED_FORM),
    ("guided_grammar", never, FIXED_FORM),
    ("guided_decoding_backend", never, FIXED_FORM),
    ("grammar", is_empty, FIXED_FORM),
    ("json_schema", never, FIXED_FORM),
    ("chat_template", never, OWN_TEMPLATE),
    ("chat_template_kwargs", is_empty, OWN_TEMPLATE),
    ("add_generation_prompt", is_true, OWN_TEMPLATE),
    ("continue_final_message", is_false, OWN_TEMPLATE),
    ("documents", is_empty, OWN_TEMPLATE),
    ("ignore_eos", is_false, "Use 'min_tokens'."),
    ("bad_words", is_empty, "Biasing tokens is not available."),
    (
        "allowed_token_ids",
        is_empty,
        "Biasing tokens is not available.",
    ),
    (
        "prompt_logprobs",
        never,
        "Probabilities are those of the answer's tokens.",
    ),
    (
        "truncate_prompt_tokens",
        never,
        "Prompts are never shortened.",
    ),
    (
        "skip_special_tokens",
        is_true,
        "Special tokens are not shown.",
    ),
    (
        "include_stop_str_in_output",
        is_false,
        "Stop texts are not part of the answer.",
    ),
    ("use_beam_search", is_false, NO_SUCH_SAMPLER),
    ("length_penalty", is_one, NO_SUCH_SAMPLER),
    ("early_stopping", is_false, NO_SUCH_SAMPLER),
    ("typical_p", is_one, NO_SUCH_SAMPLER),
    ("tfs_z", is_one, NO_SUCH_SAMPLER),
    ("top_a", is_zero, NO_SUCH_SAMPLER),
    ("mirostat", is_zero, NO_SUCH_SAMPLER),
    ("dry_multiplier", is_zero, NO_SUCH_SAMPLER),
    ("xtc_probability", is_zero, NO_SUCH_SAMPLER),
    (
        "verbosity",
        is_medium,
        "The length of answers is not steered by a word.",
    ),
];

/// Parameters of chat and text completions that are honoured.
const COMMON: &[&str] = &[
    "model",
    "attribution",
    "max_tokens",
    "max_completion_tokens",
    "min_tokens",
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "frequency_penalty",
    "presence_penalty",
    "repetition_penalty",
    "stop",
    "stop_token_ids",
    "seed",
    "stream",
    "stream_options",
    "logprobs",
];

/// Parameters that do not change the answer, whatever their value.
pub const WITHOUT_EFFECT: &[&str] = &[
    "user",
    "metadata",
    "store",
    "service_tier",
    "parallel_tool_calls",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
];

const FIXED_FORM: &str = "Answers are plain text; /v1/classify answers in a fixed form.";
const OWN_TEMPLATE: &str = "Messages are rendered with the base's own chat template.";
const NO_SUCH_SAMPLER: &str = "The sampler has no such option.";

fn is_none_word(value: &Value) -> bool {
    value == "none"
}

fn is_true(value: &Value) -> bool {
    value.as_bool() == Some(true)
}

pub fn is_zero(value: &Value) -> bool {
    value.as_f64() == Some(0.0)
}

fn is_medium(value: &Value) -> bool {
    value == "medium"
}

pub fn never(_: &Value) -> bool {
    false
}

pub fn is_empty(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::String(text) => text.is_empty(),
        _ => false,
    }
}

fn is_one(value: &Value) -> bool {
    value.as_f64() == Some(1.0)
}

pub fn is_false(value: &Value) -> bool {
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

/// The parameters that are neither one of the route's `own`, nor honoured, nor without effect.
pub fn unknown_names(fields: &BodyFields, own: &[&str]) -> BodyProblems {
    let honoured = [own, COMMON].concat();
    unknown_or_unsupported(fields, &honoured, UNSUPPORTED)
}

/// The parameters that are not known, and those of `named` whose values would have an effect.
pub fn unknown_or_unsupported(
    fields: &BodyFields,
    honoured: &[&str],
    named: &[(&str, HarmlessCheck, &str)],
) -> BodyProblems {
    let names = named.iter().map(|(name, ..)| *name);
    let ignored: Vec<&str> = WITHOUT_EFFECT.iter().copied().chain(names).collect();
    let refused = named.iter().filter_map(|(name, harmless, reason)| {
        let refused = !harmless(fields.get(name)?);
        refused.then(|| unsupported(name, reason))
    });
    let unknown = fields.others(honoured, &ignored).into_iter();
    BodyProblems::of_names(unknown.chain(refused))
}

/// Longest list of stop sequences, as in OpenAI's API.
const MOST_STOPS: usize = 4;

/// Longest stop sequence in bytes: each is looked for after every token, and holds back as much.
const LONGEST_STOP: usize = 256;

impl SamplingOptions {
    /// Reads what both kinds of completion share; log-probabilities differ and stay unset.
    pub fn read(fields: &BodyFields, problems: &mut BodyProblems) -> Self {
        const MOST: u64 = u32::MAX as u64;
        let max_completion = problems.keep(fields.integer("max_completion_tokens", 1, MOST));
        let max_tokens = problems.keep(fields.integer("max_tokens", 1, MOST));
        let max_tokens = max_completion.or(max_tokens);
        let mut number = |name, min, max| problems.keep(fields.number(name, min, max));
        Self {
            max_tokens,
            temperature: number("temperature", 0.0, 2.0),
            // 0 leaves the most likely token only.
            top_p: number("top_p", 0.0, 1.0),
            min_p: number("min_p", 0.0, 1.0),
            frequency_penalty: number("frequency_penalty", -2.0, 2.0),
            presence_penalty: number("presence_penalty", -2.0, 2.0),
            repetition_penalty: number("repetition_penalty", 0.01, 2.0),
            min_tokens: problems.keep(read_min_tokens(fields, max_tokens)),
            top_k: problems.keep(read_top_k(fields)),
            stop: problems.keep(read_stop(fields)),
            stop_token_ids: problems.keep(read_stop_tokens(fields)),
            logprobs: None,
            seed: problems.keep(read_seed(fields)),
        }
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
            repetition_penalty: self.repetition_penalty.map(|value| value as f32),
            min_tokens: saturating_size(self.min_tokens),
            stop: self.stop.clone(),
            stop_token_ids: self.stop_token_ids.clone(),
            logprobs: self.logprobs.map(saturating_size),
            seed: self.seed,
        }
    }
}

fn read_min_tokens(fields: &BodyFields, max_tokens: Option<u64>) -> Result<u64, ApiError> {
    let min = fields.integer("min_tokens", 0, u64::from(u32::MAX))?;
    let min = min.unwrap_or(0);
    match max_tokens.filter(|max| min > *max) {
        None => Ok(min),
        Some(max) => {
            let expected = format!("at most the {max} tokens of the answer");
            Err(wrong_value("min_tokens", &expected, &min.to_string()))
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

/// Longest list of stop tokens.
const MOST_STOP_TOKENS: usize = 64;

fn read_stop_tokens(fields: &BodyFields) -> Result<Vec<u32>, ApiError> {
    const NAME: &str = "stop_token_ids";
    let Some(value) = fields.get(NAME) else {
        return Ok(Vec::new());
    };
    let expected = format!("a list of up to {MOST_STOP_TOKENS} token ids");
    let items = value
        .as_array()
        .ok_or_else(|| wrong_type(NAME, &expected, value))?;
    if items.len() > MOST_STOP_TOKENS {
        let found = format!("{} of them", items.len());
        return Err(wrong_value(NAME, &expected, &found));
    }
    let id = |(at, item): (usize, &Value)| {
        let found = item.as_u64().and_then(|id| u32::try_from(id).ok());
        found.ok_or_else(|| wrong_type(&format!("{NAME}[{at}]"), "a token id", item))
    };
    items.iter().enumerate().map(id).collect()
}

/// 0 and -1 are common ways to write that all tokens are considered.
fn read_top_k(fields: &BodyFields) -> Result<Option<u64>, ApiError> {
    let unlimited = |value: &Value| matches!(value.as_f64(), Some(0.0 | -1.0));
    match fields.get("top_k").is_some_and(unlimited) {
        true => Ok(None),
        false => fields.integer("top_k", 1, u64::from(u32::MAX)),
    }
}

fn is_empty_list(value: &Value) -> bool {
    value.as_array().is_some_and(Vec::is_empty)
}

/// OpenAI's seeds are signed; the engine's are the same 64 bits without a sign.
pub fn read_seed(fields: &BodyFields) -> Result<Option<u64>, ApiError> {
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
    for (name, value) in options {
        let harmless = ["include_usage", "include_obfuscation"].contains(&name.as_str());
        if !harmless && !value.is_null() {
            let place = format!("stream_options.{name}");
            return Err(unsupported(&place, "Streams have no such option."));
        }
    }
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
