//! `/v1/classify` and `/v1/moderations`: requests and answers over label probabilities.

use serde_json::{Map, Value, json};

use super::{
    chat::read_content,
    envelope::usage_json,
    fields::{BodyFields, missing, texts_of, wrong_value},
    problems::BodyProblems,
    sampling::WITHOUT_EFFECT,
};
use crate::api_error::ApiError;
use openlora_ledger::event::TokenUsage;

/// Most texts in one moderation call.
const MOST_INPUTS: usize = 32;

/// Labels that a content filter gives to harmless text.
pub const HARMLESS_LABELS: &[&str] = &["allowed", "allow", "ok", "safe", "clean", "ham"];

/// A text with its place in the request, such as `input[3]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlacedText {
    pub place: String,
    pub text: String,
}

/// The parameters that are neither one of the route's `own` nor without effect.
fn unknown_names(fields: &BodyFields, own: &[&str]) -> BodyProblems {
    let honoured = [own, &["model", "attribution"]].concat();
    BodyProblems::of_names(fields.others(&honoured, WITHOUT_EFFECT))
}

/// The text of a classification: `input`, or `text` as some clients call it.
pub fn read_classification(fields: &BodyFields) -> Result<PlacedText, BodyProblems> {
    let mut problems = unknown_names(fields, &["input", "text"]);
    let text = problems.keep(classify_text(fields));
    problems.unless_any(text)
}

pub fn classification_problems(fields: &BodyFields) -> BodyProblems {
    read_classification(fields).err().unwrap_or_default()
}

/// The texts of a moderation.
pub fn read_moderation(fields: &BodyFields) -> Result<Vec<PlacedText>, BodyProblems> {
    let mut problems = unknown_names(fields, &["input"]);
    let texts = problems.keep(moderation_texts(fields));
    problems.unless_any(texts)
}

pub fn moderation_problems(fields: &BodyFields) -> BodyProblems {
    read_moderation(fields).err().unwrap_or_default()
}

fn classify_text(fields: &BodyFields) -> Result<PlacedText, ApiError> {
    match (fields.get("input"), fields.get("text")) {
        (Some(_), Some(_)) => {
            let message = "Send either 'input' or 'text', not both.";
            Err(ApiError::invalid("invalid_value", "text", message))
        }
        (Some(value), None) => one_text("input", value),
        (None, Some(value)) => one_text("text", value),
        (None, None) => Err(missing("input")),
    }
}

fn one_text(name: &str, value: &Value) -> Result<PlacedText, ApiError> {
    let mut texts = texts_of(name, value)?;
    match texts.len() {
        1 => Ok(PlacedText {
            place: name.to_owned(),
            text: texts.swap_remove(0),
        }),
        many => Err(wrong_value(
            name,
            "one text per call",
            &format!("{many} texts"),
        )),
    }
}

/// A string, a list of strings, or a list of text parts.
fn moderation_texts(fields: &BodyFields) -> Result<Vec<PlacedText>, ApiError> {
    let value = fields.required("input")?;
    let parts = value
        .as_array()
        .is_some_and(|items| items.first().is_some_and(Value::is_object));
    let texts = if parts {
        vec![read_content("input", value)?]
    } else {
        texts_of("input", value)?
    };
    if texts.len() > MOST_INPUTS {
        let expected = format!("at most {MOST_INPUTS} texts");
        return Err(wrong_value(
            "input",
            &expected,
            &format!("{} texts", texts.len()),
        ));
    }
    let place = |at: usize| match value.is_array() && !parts {
        true => format!("input[{at}]"),
        false => "input".to_owned(),
    };
    let texts = texts.into_iter().enumerate();
    Ok(texts
        .map(|(at, text)| PlacedText {
            place: place(at),
            text,
        })
        .collect())
}

/// The label that marks harmless text, if these are the labels of a content filter.
pub fn harmless_label(labels: &[String]) -> Option<usize> {
    labels
        .iter()
        .position(|label| HARMLESS_LABELS.contains(&label.to_lowercase().as_str()))
}

/// Place of the largest probability; the first one wins a tie.
pub fn best(probabilities: &[f64]) -> usize {
    let mut best = 0;
    for (index, value) in probabilities.iter().enumerate() {
        if *value > probabilities[best] {
            best = index;
        }
    }
    best
}

/// The answer of `/v1/classify`; labels keep the adapter's order.
pub fn classify_answer(
    id: &str,
    model: &str,
    labels: &[String],
    probabilities: &[f64],
    usage: TokenUsage,
) -> Value {
    let listed: Vec<Value> = labels
        .iter()
        .zip(probabilities)
        .map(|(label, probability)| json!({ "label": label, "probability": probability }))
        .collect();
    json!({
        "id": id,
        "object": "classification",
        "model": model,
        "label": labels.get(best(probabilities)),
        "labels": listed,
        "usage": usage_json(usage),
    })
}

/// One text's result in `/v1/moderations`: every label but the harmless one is a category.
pub fn moderation_result(labels: &[String], harmless: usize, probabilities: &[f64]) -> Value {
    let winner = best(probabilities);
    let mut categories = Map::new();
    let mut scores = Map::new();
    let mut applied = Map::new();
    for (index, label) in labels
        .iter()
        .enumerate()
        .filter(|(index, _)| *index != harmless)
    {
        categories.insert(label.clone(), json!(index == winner));
        scores.insert(label.clone(), json!(probabilities.get(index)));
        applied.insert(label.clone(), json!(["text"]));
    }
    json!({
        "flagged": winner != harmless,
        "categories": categories,
        "category_scores": scores,
        "category_applied_input_types": applied,
    })
}

pub fn moderation_answer(id: &str, model: &str, results: &[Value], usage: TokenUsage) -> Value {
    json!({ "id": id, "model": model, "results": results, "usage": usage_json(usage) })
}
