//! Where two answers first differ.

use std::fmt;

use serde::Serialize;

use crate::commands::call::LabelProbability;
use openlora_ledger::event::{FinishReason, TokenUsage};

/// Characters of a difference that are shown.
const SHOWN: usize = 40;

/// An answer that was computed again.
pub(super) struct ReplayedText {
    pub text: String,
    /// The character that each token begins in.
    pub starts: Vec<usize>,
    pub usage: TokenUsage,
    pub finish: FinishReason,
}

/// The first place where an answer differs from what was computed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct AnswerDifference {
    /// The token that differs, from 0; null for labels.
    pub token: Option<u64>,
    /// The character that differs, from 0; null for labels.
    pub character: Option<u64>,
    /// The label that differs; null for texts.
    pub label: Option<String>,
    /// What was computed there.
    pub computed: String,
    /// What the answer has there.
    pub answered: String,
}

impl fmt::Display for AnswerDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            computed, answered, ..
        } = self;
        match (&self.label, self.token, self.character) {
            (Some(label), ..) => write!(f, "first difference: label {label}")?,
            (None, Some(token), Some(character)) => {
                write!(f, "first difference: token {token}, character {character}")?;
            }
            _ => write!(f, "first difference")?,
        }
        write!(f, ": computed {computed:?}, answered {answered:?}")
    }
}

/// The first difference; an answer whose reader left may be shorter than the computed one.
pub(super) fn different_text(
    computed: &ReplayedText,
    answer: &str,
    may_be_shorter: bool,
) -> Option<AnswerDifference> {
    let text = &computed.text;
    if answer == text || (may_be_shorter && text.starts_with(answer)) {
        return None;
    }
    let pairs = text.chars().zip(answer.chars());
    let character = pairs.take_while(|(one, other)| one == other).count();
    let starts = &computed.starts;
    let token = match text.chars().nth(character) {
        // Tokens of a part of a character begin where it does.
        Some(_) => {
            let begun = starts.partition_point(|start| *start <= character);
            let own = begun.checked_sub(1).map_or(0, |last| starts[last]);
            starts.partition_point(|start| *start < own)
        }
        // The answer goes on where the computed one ends.
        None => starts.len(),
    };
    let rest = |text: &str| text.chars().skip(character).take(SHOWN).collect();
    Some(AnswerDifference {
        token: Some(token as u64),
        character: Some(character as u64),
        label: None,
        computed: rest(text),
        answered: rest(answer),
    })
}

/// The first label with another probability.
pub(super) fn different_label(
    labels: &[String],
    computed: &[f64],
    answer: &[LabelProbability],
) -> Option<AnswerDifference> {
    let shown = |label: &str, probability: Option<f64>| {
        probability.map_or_else(|| "nothing".to_owned(), |it| format!("{label} {it}"))
    };
    let places = labels.len().max(answer.len());
    (0..places).find_map(|at| {
        let (own, given) = (labels.get(at), answer.get(at));
        let expected = own.zip(computed.get(at));
        let found = given.map(|it| (&it.label, &it.probability));
        if expected == found {
            return None;
        }
        let label = own.or(given.map(|it| &it.label))?;
        let name = |pair: Option<(&String, &f64)>| {
            pair.map_or_else(|| shown("", None), |(label, it)| shown(label, Some(*it)))
        };
        Some(AnswerDifference {
            token: None,
            character: None,
            label: Some(label.clone()),
            computed: name(expected),
            answered: name(found),
        })
    })
}
