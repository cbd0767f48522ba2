//! Labels as continuations of a prompt, tokenised the way training tokenises a labelled row: the
//! whole text at once, with the token that ends the answer. Which tokens decide between labels, and
//! what their logits mean, is the evaluation's arithmetic. Knows no engine.

use openlora_engine::Prompt;
use openlora_model::{
    dataset::choices::LabelChoices,
    text::{ChatMessage, ModelTextError, TextCodec, TokenPiece},
};

/// A prompt with its possible continuations.
pub(super) struct LabelPrompt {
    pub choices: LabelChoices,
    /// Tokens of each label alone.
    pub lengths: Vec<usize>,
}

/// A prompt that was answered with one label.
struct LabelAnswer {
    ids: Vec<u32>,
    /// Tokens of the label, without the end of the answer.
    length: usize,
}

impl LabelPrompt {
    /// The error says what is wrong with the labels.
    pub(super) fn new(
        codec: &TextCodec,
        prompt: &Prompt,
        names: &[String],
    ) -> Result<Self, String> {
        if names.is_empty() {
            return Err("there is no label to choose from".to_owned());
        }
        let mut sequences = Vec::with_capacity(names.len());
        let mut lengths = Vec::with_capacity(names.len());
        for name in names {
            if name.trim().is_empty() {
                return Err(format!("label `{name}` has no text"));
            }
            if let Some(token) = codec.special_inside(name) {
                return Err(format!(
                    "label `{name}` contains {token}, which only the chat template may write"
                ));
            }
            let answered = answered(codec, prompt, name).map_err(|error| error.to_string())?;
            sequences.push(answered.ids);
            lengths.push(answered.length);
        }
        let choices = LabelChoices::new(&sequences, names).map_err(|error| error.to_string())?;
        Ok(Self { choices, lengths })
    }

    pub(super) fn longest(&self) -> usize {
        self.lengths.iter().copied().max().unwrap_or(0)
    }
}

/// The tokens of an answer to a prompt that has the tokens `asked`, as training saw them.
pub(super) fn answer_tokens(
    codec: &TextCodec,
    prompt: &Prompt,
    asked: &[u32],
    answer: &str,
    ended: bool,
) -> Option<Vec<u32>> {
    let whole = answered(codec, prompt, answer).ok()?;
    let mut ids = match whole.ids.strip_prefix(asked) {
        Some(ids) => ids.to_vec(),
        // The prompt's last token and the answer's first became one.
        None => codec.encode(answer, false).ok()?,
    };
    while !ended && ids.last().is_some_and(|id| codec.is_special(*id)) {
        ids.pop();
    }
    Some(ids)
}

fn answered(
    codec: &TextCodec,
    prompt: &Prompt,
    label: &str,
) -> Result<LabelAnswer, ModelTextError> {
    match prompt {
        Prompt::Chat(messages) => in_chat(codec, messages, label),
        Prompt::Text(text) => in_text(codec, text, label),
    }
}

fn in_chat(
    codec: &TextCodec,
    messages: &[ChatMessage],
    label: &str,
) -> Result<LabelAnswer, ModelTextError> {
    let asked = codec.render_chat(messages, true)?;
    let mut conversation = messages.to_vec();
    conversation.push(ChatMessage {
        role: "assistant".to_owned(),
        content: label.to_owned(),
    });
    let whole = codec.render_chat(&conversation, false)?;
    if !whole.starts_with(&asked) {
        return after(codec, codec.encode(&asked, false)?, label);
    }
    let mut pieces = codec.encode_pieces(&whole, false)?;
    // What the template writes behind the end of the answer is nothing that the model writes.
    let is_answer = |piece: &TokenPiece| piece.span.end > asked.len();
    let end = pieces
        .iter()
        .rposition(|piece| is_answer(piece) && codec.is_special(piece.id));
    pieces.truncate(end.map_or(pieces.len(), |end| end + 1));
    let length = pieces
        .iter()
        .filter(|piece| is_answer(piece) && !codec.is_special(piece.id))
        .count();
    Ok(LabelAnswer {
        ids: pieces.into_iter().map(|piece| piece.id).collect(),
        length,
    })
}

fn in_text(codec: &TextCodec, text: &str, label: &str) -> Result<LabelAnswer, ModelTextError> {
    let before = codec.encode(text, true)?.len();
    let mut ids = codec.encode(&format!("{text}{label}"), true)?;
    // The last token of the prompt and the first of the label may be one.
    let length = ids.len().saturating_sub(before).max(1);
    ids.extend(codec.document_end());
    Ok(LabelAnswer { ids, length })
}

/// For templates that write an answered conversation otherwise than they ask for the answer.
fn after(codec: &TextCodec, mut ids: Vec<u32>, label: &str) -> Result<LabelAnswer, ModelTextError> {
    let label = codec.encode(label, false)?;
    let length = label.len();
    ids.extend(label);
    ids.extend(codec.stop_ids().last());
    Ok(LabelAnswer { ids, length })
}
