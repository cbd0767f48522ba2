//! Typed access to a JSON request body, with errors that name the field.
//!
//! `null` counts as absent, as in OpenAI's API. Nothing here knows a particular route.

use axum::http::StatusCode;
use serde_json::{Map, Value};

use crate::{api_error::ApiError, similar::closest};

/// A parsed request body.
#[derive(Clone, Debug, PartialEq)]
pub struct BodyFields {
    map: Map<String, Value>,
}

impl BodyFields {
    /// Parses a body: UTF-8, JSON, an object.
    pub fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let text = std::str::from_utf8(body).map_err(|error| {
            let at = error.valid_up_to();
            let message = format!("The request body is not UTF-8: invalid byte at position {at}.");
            ApiError::new(StatusCode::BAD_REQUEST, "invalid_utf8", message)
        })?;
        match serde_json::from_str(text) {
            Ok(Value::Object(map)) => Ok(Self { map }),
            Ok(other) => Err(ApiError::new(
                StatusCode::BAD_REQUEST,
                "invalid_json",
                format!(
                    "The request body must be a JSON object, found {}.",
                    kind_of(&other)
                ),
            )),
            Err(error) => Err(ApiError::new(
                StatusCode::BAD_REQUEST,
                "invalid_json",
                format!("The request body is not valid JSON: {error}."),
            )),
        }
    }

    /// The value of a field, unless absent or null.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    /// The fields that are neither `honoured` nor `ignored`, each with the honoured one that it
    /// resembles.
    pub fn others(&self, honoured: &[&str], ignored: &[&str]) -> Vec<ApiError> {
        let is_known = |name: &str| honoured.contains(&name) || ignored.contains(&name);
        let fields = self.map.iter().filter(|(_, value)| !value.is_null());
        let others = fields.filter(|(name, _)| !is_known(name));
        others.map(|(name, _)| unknown(name, honoured)).collect()
    }

    pub fn required(&self, name: &str) -> Result<&Value, ApiError> {
        self.get(name).ok_or_else(|| missing(name))
    }

    pub fn string(&self, name: &str) -> Result<Option<&str>, ApiError> {
        self.get(name).map(|value| text_of(name, value)).transpose()
    }

    pub fn required_string(&self, name: &str) -> Result<&str, ApiError> {
        text_of(name, self.required(name)?)
    }

    pub fn boolean(&self, name: &str) -> Result<Option<bool>, ApiError> {
        self.get(name)
            .map(|value| {
                value
                    .as_bool()
                    .ok_or_else(|| wrong_type(name, "a boolean", value))
            })
            .transpose()
    }

    /// Whether a field is there; the only value that it may have is `word`.
    pub fn is_word(&self, name: &str, word: &str) -> Result<bool, ApiError> {
        match self.string(name)? {
            None => Ok(false),
            Some(found) if found == word => Ok(true),
            Some(found) => Err(wrong_value(name, &format!("`{word}`"), found)),
        }
    }

    /// A number within `min..=max`.
    pub fn number(&self, name: &str, min: f64, max: f64) -> Result<Option<f64>, ApiError> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let expected = format!("a number from {min} to {max}");
        let number = value
            .as_f64()
            .ok_or_else(|| wrong_type(name, &expected, value))?;
        if (min..=max).contains(&number) {
            Ok(Some(number))
        } else {
            Err(wrong_value(name, &expected, &value.to_string()))
        }
    }

    /// A whole number within `min..=max`.
    pub fn integer(&self, name: &str, min: u64, max: u64) -> Result<Option<u64>, ApiError> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let expected = format!("an integer from {min} to {max}");
        if !value.is_number() {
            return Err(wrong_type(name, &expected, value));
        }
        // `16.0` is the integer 16, as in JavaScript.
        let whole = |number: f64| {
            let is_whole = number.fract() == 0.0 && (0.0..=9e15).contains(&number);
            is_whole.then_some(number as u64)
        };
        match value.as_u64().or_else(|| value.as_f64().and_then(whole)) {
            Some(number) if (min..=max).contains(&number) => Ok(Some(number)),
            _ => Err(wrong_value(name, &expected, &value.to_string())),
        }
    }

    /// A text, or a list of at least one text.
    pub fn texts(&self, name: &str) -> Result<Option<Vec<String>>, ApiError> {
        self.get(name)
            .map(|value| texts_of(name, value))
            .transpose()
    }
}

/// A text, or a list of at least one text.
pub fn texts_of(name: &str, value: &Value) -> Result<Vec<String>, ApiError> {
    let expected = "a string or a list of strings";
    match value {
        Value::String(text) => Ok(vec![text.clone()]),
        Value::Array(items) if items.is_empty() => {
            Err(wrong_value(name, expected, "an empty list"))
        }
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(index, item)| Ok(text_of(&format!("{name}[{index}]"), item)?.to_owned()))
            .collect(),
        other => Err(wrong_type(name, expected, other)),
    }
}

pub fn text_of<'a>(name: &str, value: &'a Value) -> Result<&'a str, ApiError> {
    value
        .as_str()
        .ok_or_else(|| wrong_type(name, "a string", value))
}

pub fn missing(name: &str) -> ApiError {
    let message = format!("Missing required parameter: '{name}'.");
    ApiError::invalid("missing_required_parameter", name, message)
}

pub fn wrong_type(name: &str, expected: &str, found: &Value) -> ApiError {
    let found = kind_of(found);
    let message = format!("Invalid type for '{name}': expected {expected}, found {found}.");
    ApiError::invalid("invalid_type", name, message)
}

pub fn wrong_value(name: &str, expected: &str, found: &str) -> ApiError {
    let message = format!("Invalid value for '{name}': expected {expected}, found {found}.");
    ApiError::invalid("invalid_value", name, message)
}

pub fn unsupported(name: &str, reason: &str) -> ApiError {
    let message = format!("Unsupported parameter: '{name}'. {reason}");
    ApiError::invalid("unsupported_parameter", name, message)
}

fn unknown(name: &str, known: &[&str]) -> ApiError {
    let shown: String = name.chars().take(64).collect();
    let hint = match closest(name, known) {
        Some(meant) => format!(" Did you mean '{meant}'?"),
        None => String::new(),
    };
    let message = format!("Unknown parameter: '{shown}'.{hint}");
    ApiError::invalid("unknown_parameter", &shown, message)
}

/// A JSON value's type in words.
pub fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
