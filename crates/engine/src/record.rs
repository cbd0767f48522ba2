//! Sampling parameters as receipts state them, and back.

use std::{fmt::Display, str::FromStr};

use super::{EngineError, SamplingParams};
use openlora_ledger::SamplingRecord;

impl SamplingParams {
    /// What a receipt states of these parameters: all that determines the tokens but the stop texts.
    pub fn to_record(&self) -> SamplingRecord {
        let count = |number: usize| (number > 0).then_some(number as u64);
        SamplingRecord {
            max_tokens: self.max_tokens as u64,
            temperature: text(self.temperature),
            seed: self.seed,
            top_p: text(self.top_p),
            top_k: self.top_k.map(|k| k as u64),
            min_p: text(self.min_p),
            frequency_penalty: text(self.frequency_penalty),
            presence_penalty: text(self.presence_penalty),
            repetition_penalty: text(self.repetition_penalty),
            min_tokens: count(self.min_tokens),
            stop_token_ids: self.stop_token_ids.clone(),
            stop_texts: count(self.stop.len()),
        }
    }

    /// The parameters that a receipt states, with the request's stop texts.
    ///
    /// # Errors
    ///
    /// A number that does not fit, or another number of stop texts.
    pub fn from_record(record: &SamplingRecord, stop: Vec<String>) -> Result<Self, EngineError> {
        let stated = record.stop_texts.unwrap_or(0);
        if stated != stop.len() as u64 {
            let found = stop.len();
            let message = format!("the request has {found} stop texts, the receipt {stated}");
            return Err(invalid("stop", message));
        }
        Ok(Self {
            max_tokens: size("max_tokens", record.max_tokens)?,
            temperature: number("temperature", record.temperature.as_deref())?,
            top_p: number("top_p", record.top_p.as_deref())?,
            top_k: record.top_k.map(|k| size("top_k", k)).transpose()?,
            min_p: number("min_p", record.min_p.as_deref())?,
            frequency_penalty: number("frequency_penalty", record.frequency_penalty.as_deref())?,
            presence_penalty: number("presence_penalty", record.presence_penalty.as_deref())?,
            repetition_penalty: number("repetition_penalty", record.repetition_penalty.as_deref())?,
            min_tokens: size("min_tokens", record.min_tokens.unwrap_or(0))?,
            stop,
            stop_token_ids: record.stop_token_ids.clone(),
            logprobs: None,
            seed: record.seed,
        })
    }
}

/// The shortest decimal that is read back to the same bits.
fn text(number: Option<impl Display>) -> Option<String> {
    number.map(|number| number.to_string())
}

fn number<T: FromStr>(
    parameter: &'static str,
    text: Option<&str>,
) -> Result<Option<T>, EngineError> {
    let read = |text: &str| {
        let message = || format!("{parameter} must be a number, found `{text}`");
        text.parse().map_err(|_| invalid(parameter, message()))
    };
    text.map(read).transpose()
}

fn size(parameter: &'static str, number: u64) -> Result<usize, EngineError> {
    let message = || format!("{parameter} is {number}, which this machine cannot count");
    usize::try_from(number).map_err(|_| invalid(parameter, message()))
}

fn invalid(parameter: &'static str, message: String) -> EngineError {
    EngineError::Invalid {
        message,
        parameter: Some(parameter),
    }
}
