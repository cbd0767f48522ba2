//! Message text that cannot act as special tokens.
//!
//! A message may spell a special token, such as `<|im_end|>`. Encoded as that token, it would end
//! the message and open another one. So a rendered conversation is encoded in two steps: the
//! spellings in messages are replaced by characters that occur nowhere else before the template is
//! rendered; what is special in that rendering was written by the template. The spellings are then
//! put back, and the text around them is encoded without the added tokens of the vocabulary.
//!
//! Where a vocabulary looks for its tokens in normalised text, other letters can spell them too.

use std::ops::Range;

use tokenizers::{
    Model, NormalizedString, Normalizer, OffsetReferential, OffsetType, PreTokenizedString,
    PreTokenizer, normalizer::Range as TextRange,
};

use super::{ChatMessage, ModelTextError, TextCodec, TokenPiece};

/// Noncharacters, then private-use characters: neither has a meaning in a text.
const STAND_INS: [Range<u32>; 2] = [0xfdd0..0xfdf0, 0xf_0000..0xf_fffe];

/// A conversation as text and tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedChat {
    /// The rendered text.
    pub text: String,
    /// Its tokens, with their positions in the text.
    pub pieces: Vec<TokenPiece>,
}

impl EncodedChat {
    /// The token ids.
    pub fn ids(&self) -> Vec<u32> {
        self.pieces.iter().map(|piece| piece.id).collect()
    }
}

/// A conversation whose messages spell no special token.
#[derive(Clone, Debug)]
pub(crate) struct LiteralChat {
    pub messages: Vec<ChatMessage>,
    /// Characters in the messages, and the spellings that they stand for.
    stand_ins: Vec<(char, String)>,
}

impl LiteralChat {
    /// Puts a character in place of a spelling in every message.
    fn replace(&mut self, spelling: &str, mark: Option<char>) -> Result<(), ModelTextError> {
        let mark = mark.ok_or_else(|| ModelTextError::Refused {
            reason: "the messages use every private-use character".to_owned(),
        })?;
        let mut letters = [0; 4];
        let stand_in = &*mark.encode_utf8(&mut letters);
        for message in &mut self.messages {
            message.content = message.content.replace(spelling, stand_in);
        }
        self.stand_ins.push((mark, spelling.to_owned()));
        Ok(())
    }

    /// A rendered text with the spellings put back.
    pub fn restore(&self, rendered: &str) -> RestoredText {
        let mut restored = RestoredText {
            text: String::with_capacity(rendered.len()),
            moves: vec![(0, 0)],
        };
        let mut copied = 0;
        for (at, letter) in rendered.char_indices() {
            let Some((_, spelling)) = self.stand_ins.iter().find(|(mark, _)| *mark == letter)
            else {
                continue;
            };
            restored.text.push_str(&rendered[copied..at]);
            restored.text.push_str(spelling);
            copied = at + letter.len_utf8();
            restored.moves.push((copied, restored.text.len()));
        }
        restored.text.push_str(&rendered[copied..]);
        restored
    }
}

/// A text with its spellings, and how offsets moved.
pub(crate) struct RestoredText {
    pub text: String,
    /// Offsets behind each stand-in, before and after, ascending.
    moves: Vec<(usize, usize)>,
}

impl RestoredText {
    /// Where an offset of the rendered text is in this one.
    pub fn offset(&self, rendered: usize) -> usize {
        let after = self
            .moves
            .partition_point(|(before, _)| *before <= rendered);
        let (before, now) = self.moves[after - 1];
        now + (rendered - before)
    }

    pub fn range(&self, rendered: &Range<usize>) -> Range<usize> {
        self.offset(rendered.start)..self.offset(rendered.end)
    }

    /// Whether a part of the rendered text has a stand-in.
    fn changes(&self, rendered: &Range<usize>) -> bool {
        let ends = self.moves[1..].iter().map(|(before, _)| *before);
        ends.into_iter()
            .any(|end| rendered.start < end && end <= rendered.end)
    }

    fn piece(&self, piece: &TokenPiece) -> TokenPiece {
        TokenPiece {
            id: piece.id,
            span: self.range(&piece.span),
        }
    }
}

impl TextCodec {
    /// Renders a conversation with the base's chat template and encodes it. Only the template
    /// writes special tokens: where a message spells one, its letters are encoded.
    ///
    /// `add_generation_prompt` also opens the answer that the model is to write.
    ///
    /// # Errors
    ///
    /// The base has no template, or the template rejects the conversation.
    pub fn encode_chat(
        &self,
        messages: &[ChatMessage],
        add_generation_prompt: bool,
    ) -> Result<EncodedChat, ModelTextError> {
        let chat = self.literal_chat(messages)?;
        let rendered = self.render_chat(&chat.messages, add_generation_prompt)?;
        let restored = chat.restore(&rendered);
        let pieces = self.encode_restored(&rendered, &restored)?;
        Ok(EncodedChat {
            text: restored.text,
            pieces,
        })
    }

    /// Token ids of a text of its own, such as an answer, in which nothing is a special token.
    pub fn encode_literal(&self, text: &str) -> Result<Vec<u32>, ModelTextError> {
        if !self.spells_special(text, 0) && self.disguised_special(text).is_none() {
            return self.encode(text, false);
        }
        let pieces = self.literal_pieces(&NormalizedString::from(text), 0..text.len())?;
        Ok(pieces.into_iter().map(|piece| piece.id).collect())
    }

    /// Token ids of a raw text and of what continues it. Special tokens act in the text, not in the
    /// continuation.
    pub fn encode_continued(
        &self,
        text: &str,
        continuation: &str,
    ) -> Result<Vec<u32>, ModelTextError> {
        let whole = format!("{text}{continuation}");
        let is_spelt = self.spells_special(&whole, text.len());
        if !is_spelt && self.disguised_special(continuation).is_none() {
            return self.encode(&whole, true);
        }
        let mut ids = self.encode(text, true)?;
        ids.extend(self.encode_literal(continuation)?);
        Ok(ids)
    }

    /// Whether a text spells a special token that ends after `start`.
    fn spells_special(&self, text: &str, start: usize) -> bool {
        self.special.iter().any(|(_, spelling)| {
            let mut found = text.match_indices(spelling.as_str());
            found.any(|(at, _)| at + spelling.len() > start)
        })
    }

    /// Replaces every special token that a message spells.
    pub(crate) fn literal_chat(
        &self,
        messages: &[ChatMessage],
    ) -> Result<LiteralChat, ModelTextError> {
        let mut chat = LiteralChat {
            messages: messages.to_vec(),
            stand_ins: Vec::new(),
        };
        let unused = |mark: &char| {
            let mut texts = messages.iter();
            !texts.any(|message| message.content.contains(*mark))
        };
        let marks = STAND_INS.into_iter().flatten();
        let mut marks = marks.filter_map(char::from_u32).filter(unused);
        // A longer spelling may contain a shorter one.
        let mut spellings: Vec<&str> = self.special.iter().map(|(_, text)| text.as_str()).collect();
        spellings.sort_unstable_by_key(|spelling| std::cmp::Reverse(spelling.len()));
        for spelling in spellings {
            let spelt = |message: &&mut ChatMessage| message.content.contains(spelling);
            if !chat.messages.iter_mut().any(|message| spelt(&message)) {
                continue;
            }
            chat.replace(spelling, marks.next())?;
        }
        let disguised = |chat: &LiteralChat| {
            let mut texts = chat.messages.iter();
            texts.find_map(|message| self.disguised_special(&message.content))
        };
        while let Some(spelling) = disguised(&chat) {
            chat.replace(&spelling, marks.next())?;
        }
        Ok(chat)
    }

    /// A part of a text that the tokenizer's normaliser turns into a special token, such as one in
    /// fullwidth letters.
    fn disguised_special(&self, text: &str) -> Option<String> {
        let normalizer = self.tokenizer.get_normalizer().filter(|_| self.disguises)?;
        let added = self.tokenizer.get_added_vocabulary();
        let parts = added.extract_and_normalize(Some(normalizer), text);
        let parts = parts.get_splits(OffsetReferential::Original, OffsetType::Byte);
        let special = parts.into_iter().find(|(_, _, tokens)| {
            let mut tokens = tokens.iter().flatten();
            tokens.any(|token| self.is_special(token.id))
        });
        let (_, (start, end), _) = special?;
        text.get(start..end)
            .filter(|spelling| !spelling.is_empty())
            .map(str::to_owned)
    }

    /// Encodes a rendering of [`LiteralChat::messages`], restored.
    pub(crate) fn encode_restored(
        &self,
        rendered: &str,
        restored: &RestoredText,
    ) -> Result<Vec<TokenPiece>, ModelTextError> {
        let found = self.encode_pieces(rendered, false)?;
        if restored.text == rendered {
            return Ok(found);
        }
        let whole = NormalizedString::from(restored.text.as_str());
        let mut pieces = Vec::with_capacity(found.len());
        let mut rest = found.as_slice();
        let mut start = 0;
        loop {
            let length = rest.iter().position(|piece| self.is_added(piece.id));
            let (run, after) = rest.split_at(length.unwrap_or(rest.len()));
            let end = after
                .first()
                .map_or(rendered.len(), |added| added.span.start);
            // Between two added tokens.
            if restored.changes(&(start..end)) {
                pieces.extend(self.literal_pieces(&whole, restored.range(&(start..end)))?);
            } else {
                pieces.extend(run.iter().map(|piece| restored.piece(piece)));
            }
            let Some((added, after)) = after.split_first() else {
                return Ok(pieces);
            };
            pieces.push(restored.piece(added));
            (start, rest) = (added.span.end, after);
        }
    }

    /// A part of a text, encoded without added tokens; the spans are positions in the whole text.
    ///
    /// The steps are those of `Tokenizer::encode` after it has cut a text at its added tokens.
    fn literal_pieces(
        &self,
        whole: &NormalizedString,
        part: Range<usize>,
    ) -> Result<Vec<TokenPiece>, ModelTextError> {
        let failed = |error: tokenizers::Error| self.failure("encode", error);
        let Some(mut part) = whole.slice(TextRange::Original(part)) else {
            return Ok(Vec::new());
        };
        if let Some(normalizer) = self.tokenizer.get_normalizer() {
            normalizer.normalize(&mut part).map_err(failed)?;
        }
        let mut words = PreTokenizedString::from(part);
        if let Some(pre_tokenizer) = self.tokenizer.get_pre_tokenizer() {
            pre_tokenizer.pre_tokenize(&mut words).map_err(failed)?;
        }
        let model = self.tokenizer.get_model();
        words
            .tokenize(|word| model.tokenize(word.get()))
            .map_err(failed)?;
        let encoding = words
            .into_encoding(None, 0, OffsetType::Byte)
            .map_err(failed)?;
        let spans = encoding.get_offsets().iter();
        let mut pieces = Vec::with_capacity(encoding.len());
        for (&id, &(start, end)) in encoding.get_ids().iter().zip(spans) {
            let span = start..end;
            let spelling = whole.get_original().get(span.clone());
            let first = spelling.and_then(|spelling| spelling.chars().next());
            match first.map(char::len_utf8).filter(|_| self.is_special(id)) {
                // The model of the vocabulary has the token as well, as those of unigrams do.
                Some(first) if first < span.len() => {
                    pieces.extend(self.literal_pieces(whole, start..start + first)?);
                    pieces.extend(self.literal_pieces(whole, start + first..end)?);
                }
                _ => pieces.push(TokenPiece { id, span }),
            }
        }
        Ok(pieces)
    }

    fn is_added(&self, id: u32) -> bool {
        self.added.binary_search(&id).is_ok()
    }
}
