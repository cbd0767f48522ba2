//! Encodes rows as token ids and a loss mask.
//!
//! A conversation is rendered with the base's chat template as one text and tokenised once, as it
//! is at inference. The trained part is found by rendering the conversation up to each answer: that
//! text must be a prefix of the whole, and the answer follows it.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::{DataError, DataRow, Dataset, RowFault, Task};
use crate::{
    dataset::TrainingExample,
    text::{ChatMessage, ModelTextError, TextCodec, TokenPiece},
};

/// Token ids of a row, and which of them are targets of the loss.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedRow {
    pub ids: Vec<u32>,
    /// As long as `ids`; the first is never set, because no token precedes it.
    pub targets: Vec<bool>,
}

/// The tokens that the loss covers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LossOn {
    /// Every answer of the assistant with its end token, a completion, or a plain text.
    #[default]
    Completion,
    /// Everything but the messages that a row marks as not learned.
    All,
}

/// What becomes of a row that is longer than the limit.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum OnLong {
    /// An error that names the row.
    #[default]
    Error,
    /// Its text is cut until the row fits: a labelled text, a message of the user and a plain text
    /// at the end, and the prompt of a task without conversations at the beginning.
    Truncate,
    /// It is left out.
    Drop,
    /// A plain text becomes several rows of at most the limit. Each begins with the last token of
    /// the one before, so that the same tokens are learned as from one long row.
    Split,
}

impl OnLong {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 4] = [Self::Error, Self::Truncate, Self::Drop, Self::Split];

    /// The name in settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Truncate => "truncate",
            Self::Drop => "drop",
            Self::Split => "split",
        }
    }
}

/// How rows are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EncodeOptions {
    /// Longest row in tokens.
    pub max_len: usize,
    pub loss: LossOn,
    /// What becomes of longer rows, see [`fit_rows`](super::long::fit_rows).
    #[serde(default)]
    pub on_long: OnLong,
}

/// Encodes one row that must fit, whatever `on_long` says.
///
/// # Errors
///
/// The row does not fit the template, is longer than `max_len`, or has no target; each error names
/// the row's path:line.
pub fn encode_row(
    codec: &TextCodec,
    task: &Task,
    dataset: &Dataset,
    row: &DataRow,
    options: &EncodeOptions,
) -> Result<EncodedRow, DataError> {
    let encoded = encode_whole(codec, task, &row.example, options.loss);
    encoded
        .and_then(|encoded| fitting(encoded, options.max_len))
        .map_err(|fault| dataset.row_error(row, fault))
}

/// A run of tokens that are all targets or all not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct TextSegment {
    pub text: String,
    pub learned: bool,
}

/// A row as the model sees it, in runs of target and other tokens.
pub fn segments(
    codec: &TextCodec,
    task: &Task,
    dataset: &Dataset,
    row: &DataRow,
    options: &EncodeOptions,
) -> Result<(EncodedRow, Vec<TextSegment>), DataError> {
    let shown = lay_out(codec, task, &row.example, options.loss).and_then(|layout| {
        let encoded = fitting(tokens(codec, &layout, options.loss)?, options.max_len)?;
        let segments = cut(codec, &layout.text, &encoded, &layout.pieces);
        Ok((encoded, segments))
    });
    shown.map_err(|fault| dataset.row_error(row, fault))
}

/// A row's text and its tokens.
struct TextLayout {
    text: String,
    pieces: Vec<TokenPiece>,
    /// Byte ranges of the parts to learn, in order, or of those to leave out of everything.
    marked: Vec<Range<usize>>,
    chat: bool,
}

/// Encodes an example of any length.
pub(super) fn encode_whole(
    codec: &TextCodec,
    task: &Task,
    example: &TrainingExample,
    loss: LossOn,
) -> Result<EncodedRow, RowFault> {
    let layout = lay_out(codec, task, example, loss)?;
    tokens(codec, &layout, loss)
}

impl EncodedRow {
    /// Some of its tokens as a row, whose first token is not learned.
    pub(super) fn part(&self, range: Range<usize>) -> Self {
        let mut part = Self {
            ids: self.ids[range.clone()].to_vec(),
            targets: self.targets[range].to_vec(),
        };
        part.forget_first();
        part
    }

    /// No token precedes the first one, so it cannot be a target.
    fn forget_first(&mut self) {
        if let Some(first) = self.targets.first_mut() {
            *first = false;
        }
    }
}

fn tokens(codec: &TextCodec, layout: &TextLayout, loss: LossOn) -> Result<EncodedRow, RowFault> {
    let marked = in_ranges(codec, layout);
    let mut encoded = EncodedRow {
        targets: match loss {
            LossOn::All => marked.into_iter().map(|left_out| !left_out).collect(),
            LossOn::Completion => marked,
        },
        ids: layout.pieces.iter().map(|piece| piece.id).collect(),
    };
    close(codec, layout, &mut encoded);
    match encoded.targets.contains(&true) {
        true => Ok(encoded),
        false => Err(RowFault::NothingLearned),
    }
}

/// Cuts the text at the borders of target runs; tokens without text are spelt out.
fn cut(
    codec: &TextCodec,
    text: &str,
    encoded: &EncodedRow,
    pieces: &[TokenPiece],
) -> Vec<TextSegment> {
    let mut segments: Vec<TextSegment> = Vec::new();
    let mut shown = 0;
    for (at, (&id, &learned)) in encoded.ids.iter().zip(&encoded.targets).enumerate() {
        let span = pieces.get(at).map_or(0..0, |piece| piece.span.clone());
        let part = match span.is_empty() {
            true => codec.token_text(id),
            false => text[shown..span.end.max(shown)].to_owned(),
        };
        shown = shown.max(span.end);
        match segments.last_mut().filter(|last| last.learned == learned) {
            Some(last) => last.text.push_str(&part),
            None => segments.push(TextSegment {
                text: part,
                learned,
            }),
        }
    }
    segments
}

fn lay_out(
    codec: &TextCodec,
    task: &Task,
    example: &TrainingExample,
    loss: LossOn,
) -> Result<TextLayout, RowFault> {
    if let Some(messages) = task.messages(example) {
        return lay_out_chat(codec, &messages, example, loss);
    }
    let (prompt, learned) = match example {
        TrainingExample::Completion { prompt, completion } => {
            (prompt.as_str(), completion.as_str())
        }
        TrainingExample::Text { text } => ("", text.as_str()),
        // A task without conversations admits no such row.
        TrainingExample::Chat { .. } | TrainingExample::Labelled { .. } => ("", ""),
    };
    let text = format!("{prompt}{learned}");
    let whole = prompt.len()..text.len();
    Ok(TextLayout {
        pieces: codec.encode_pieces(&text, true)?,
        text,
        marked: match loss {
            LossOn::All => Vec::new(),
            LossOn::Completion => vec![whole],
        },
        chat: false,
    })
}

fn lay_out_chat(
    codec: &TextCodec,
    messages: &[ChatMessage],
    example: &TrainingExample,
    loss: LossOn,
) -> Result<TextLayout, RowFault> {
    let chat = codec.literal_chat(messages)?;
    let rendered = codec.render_chat(&chat.messages, false)?;
    let restored = chat.restore(&rendered);
    let marked = match loss {
        LossOn::All => locate_context(codec, &chat.messages, &rendered, example)?,
        LossOn::Completion => {
            let located = locate(codec, &chat.messages, &rendered)?;
            chosen(located, |answer| {
                !example.context_answers().contains(&answer)
            })
        }
    };
    Ok(TextLayout {
        marked: marked.iter().map(|range| restored.range(range)).collect(),
        pieces: codec.encode_restored(&rendered, &restored)?,
        text: restored.text,
        chat: true,
    })
}

/// The byte ranges of the messages that a loss on everything leaves out.
fn locate_context(
    codec: &TextCodec,
    messages: &[ChatMessage],
    whole: &str,
    example: &TrainingExample,
) -> Result<Vec<Range<usize>>, RowFault> {
    let mut located = match example.context_answers() {
        [] => Vec::new(),
        left_out => {
            let answers = locate(codec, messages, whole);
            let unmarked = |fault| match fault {
                RowFault::UnstableTemplate => RowFault::UnplacedMarks,
                fault => fault,
            };
            chosen(answers.map_err(unmarked)?, |answer| {
                left_out.contains(&answer)
            })
        }
    };
    let left_out = example.context_messages();
    if let TrainingExample::Chat { messages: own, .. } = example
        && !left_out.is_empty()
    {
        // The task's instruction comes before the messages of a row without one.
        let added = messages.len() - own.len();
        let wanted: Vec<usize> = left_out.iter().map(|at| added + at).collect();
        let others = by_marks(codec, messages, whole, &wanted)?;
        located.extend(others.ok_or(RowFault::UnplacedMarks)?);
    }
    Ok(located)
}

/// The ranges of some answers, by their positions.
fn chosen(located: Vec<Range<usize>>, wanted: impl Fn(usize) -> bool) -> Vec<Range<usize>> {
    let located = located.into_iter().enumerate();
    located
        .filter(|(answer, _)| wanted(*answer))
        .map(|(_, range)| range)
        .collect()
}

fn answers(messages: &[ChatMessage]) -> impl Iterator<Item = usize> + '_ {
    let is_answer = |message: &ChatMessage| message.role == "assistant";
    messages
        .iter()
        .enumerate()
        .filter(move |(_, message)| is_answer(message))
        .map(|(at, _)| at)
}

/// The byte ranges of the answers in the rendered text.
fn locate(
    codec: &TextCodec,
    messages: &[ChatMessage],
    whole: &str,
) -> Result<Vec<Range<usize>>, RowFault> {
    match by_prefixes(codec, messages, whole)? {
        Some(learned) => Ok(learned),
        None => {
            let wanted: Vec<usize> = answers(messages).collect();
            by_marks(codec, messages, whole, &wanted)?.ok_or(RowFault::UnstableTemplate)
        }
    }
}

/// Finds each answer as the part that follows the rendered conversation before it; `None` if some
/// partial rendering is not a prefix of the whole.
fn by_prefixes(
    codec: &TextCodec,
    messages: &[ChatMessage],
    whole: &str,
) -> Result<Option<Vec<Range<usize>>>, ModelTextError> {
    let mut learned = Vec::new();
    for at in answers(messages) {
        let asked = codec.render_chat(&messages[..at], true)?;
        let answered = codec.render_chat(&messages[..=at], false)?;
        let holds = whole.starts_with(&asked) && whole.starts_with(&answered);
        if !holds || asked.len() >= answered.len() {
            return Ok(None);
        }
        learned.push(asked.len()..answered.len());
    }
    Ok(Some(learned))
}

/// Finds the messages at some positions by rendering the conversation once more with a marker in
/// place of each, for templates that shorten earlier answers (Qwen3 drops their reasoning); `None`
/// if the two renderings do not match.
fn by_marks(
    codec: &TextCodec,
    messages: &[ChatMessage],
    whole: &str,
    wanted: &[usize],
) -> Result<Option<Vec<Range<usize>>>, ModelTextError> {
    let mark = |at: usize| format!("answer-mark-{at}-kram-rewsna");
    let mut marked = messages.to_vec();
    for &at in wanted {
        marked[at].content = mark(at);
    }
    let marked = codec.render_chat(&marked, false)?;
    let (mut rest, mut start, mut learned) = (marked.as_str(), 0, Vec::new());
    for &at in wanted {
        let Some((before, after)) = rest.split_once(&mark(at)) else {
            return Ok(None);
        };
        let Some(tail) = whole[start..].strip_prefix(before) else {
            return Ok(None);
        };
        let Some(answer) = written(&messages[at].content, tail) else {
            return Ok(None);
        };
        let begin = start + before.len();
        let end_token = codec
            .special_at_start(&tail[answer.len()..])
            .map_or(0, str::len);
        learned.push(begin..begin + answer.len() + end_token);
        (rest, start) = (after, begin + answer.len());
    }
    Ok((whole[start..] == *rest).then_some(learned))
}

/// An answer as the template rendered it: unchanged, or without surrounding white space.
fn written<'a>(content: &'a str, tail: &str) -> Option<&'a str> {
    [content, content.trim()]
        .into_iter()
        .find(|content| tail.starts_with(content))
}

/// Which tokens belong to the marked parts.
fn in_ranges(codec: &TextCodec, layout: &TextLayout) -> Vec<bool> {
    let pieces = &layout.pieces;
    let mut marked = vec![false; pieces.len()];
    for range in &layout.marked {
        // A token that spans the border contains the beginning of the answer.
        let inside =
            |piece: &TokenPiece| piece.span.start < range.end && piece.span.end > range.start;
        let first = pieces.iter().position(inside);
        let last = pieces.iter().rposition(inside);
        let (Some(first), Some(last)) = (first, last) else {
            continue;
        };
        // The template adds text after the end token, which the model does not generate.
        let ends = |piece: &TokenPiece| layout.chat && codec.is_special(piece.id);
        let end = pieces[first..=last]
            .iter()
            .rposition(ends)
            .map_or(last, |end| first + end);
        marked[first..=end].fill(true);
    }
    marked
}

/// Adds the end token of a plain text, drops what follows the last target of a chat, and clears the
/// first target.
fn close(codec: &TextCodec, layout: &TextLayout, encoded: &mut EncodedRow) {
    if layout.chat {
        let keep = encoded
            .targets
            .iter()
            .rposition(|target| *target)
            .map_or(0, |last| last + 1);
        encoded.ids.truncate(keep);
        encoded.targets.truncate(keep);
    } else if let Some(end) = codec.document_end() {
        encoded.ids.push(end);
        encoded.targets.push(true);
    }
    encoded.forget_first();
}

fn fitting(encoded: EncodedRow, limit: usize) -> Result<EncodedRow, RowFault> {
    let tokens = encoded.ids.len();
    match tokens <= limit {
        true => Ok(encoded),
        false => Err(RowFault::TooLong { tokens, limit }),
    }
}
