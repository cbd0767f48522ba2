//! The text side of a base model: tokenizer, chat template and end-of-answer tokens.
//!
//! Reads the Hugging Face layout (`tokenizer.json`, `tokenizer_config.json`, `chat_template.jinja`,
//! `generation_config.json`, `config.json`). Knows nothing of weights, tensors or data files.
//! Truncation and padding in a tokenizer file are disabled: the caller decides about length.

mod error;
mod literal;
mod template;

use std::{
    ops::Range,
    path::{Path, PathBuf},
};

use serde::de::IgnoredAny;
use serde_json::Value;
use tokenizers::{Encoding, PostProcessor, PostProcessorWrapper, Tokenizer};

use self::template::{ChatTemplate, SpecialTokens};
pub use self::{error::ModelTextError, literal::EncodedChat};
use openlora_core::error::describe_decoding;

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ChatMessage {
    pub role: String,
    pub content: String,
}

/// A token and the bytes of its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenPiece {
    pub id: u32,
    /// Byte range in the encoded text. Tokens that contain a part of a character all report the
    /// whole character; tokens that the tokenizer adds report an empty range.
    pub span: Range<usize>,
}

/// Tokenizer and chat template of one base.
pub struct TextCodec {
    dir: PathBuf,
    tokenizer: Tokenizer,
    /// Kept separate from the tokenizer: byte-level processors exclude white space from offsets,
    /// which would shift the border between prompt and answer.
    processor: Option<PostProcessorWrapper>,
    template: Option<ChatTemplate>,
    special: Vec<(u32, String)>,
    /// Whether special tokens are looked for in normalised text.
    disguises: bool,
    /// Ids of all added tokens, special or not, ascending.
    added: Vec<u32>,
    document_end: Option<u32>,
    stop_ids: Vec<u32>,
    longest_token: usize,
}

impl TextCodec {
    /// Opens the tokenizer of a base directory.
    ///
    /// # Errors
    ///
    /// `tokenizer.json` is missing, or a file is malformed.
    pub fn open(dir: &Path) -> Result<Self, ModelTextError> {
        let mut tokenizer = open_tokenizer(&dir.join("tokenizer.json"))?;
        let processor = tokenizer.get_post_processor().cloned();
        tokenizer.with_post_processor(None::<PostProcessorWrapper>);
        let settings = read_json(&dir.join("tokenizer_config.json"))?.unwrap_or(Value::Null);
        let template = ChatTemplate::find(dir, &settings, SpecialTokens::read(&settings))?;
        let mut codec = Self {
            special: special_tokens(&tokenizer),
            disguises: has_normalized_special(&tokenizer),
            added: added_tokens(&tokenizer),
            longest_token: longest_token(&tokenizer),
            dir: dir.to_path_buf(),
            tokenizer,
            processor,
            template,
            document_end: None,
            stop_ids: Vec::new(),
        };
        codec.settle_ends(&settings)?;
        Ok(codec)
    }

    /// Token ids of a text. `special` adds the tokens that the tokenizer puts around a text (such
    /// as a beginning-of-text token); leave it off for a rendered chat.
    pub fn encode(&self, text: &str, special: bool) -> Result<Vec<u32>, ModelTextError> {
        Ok(self.encoding(text, special)?.get_ids().to_vec())
    }

    /// Like [`encode`](Self::encode), with the position of every token in the text.
    pub fn encode_pieces(
        &self,
        text: &str,
        special: bool,
    ) -> Result<Vec<TokenPiece>, ModelTextError> {
        let encoding = self.encoding(text, special)?;
        let spans = encoding
            .get_offsets()
            .iter()
            .map(|&(start, end)| start..end);
        Ok(encoding
            .get_ids()
            .iter()
            .zip(spans)
            .map(|(&id, span)| TokenPiece { id, span })
            .collect())
    }

    /// Text of token ids, special tokens left out.
    pub fn decode(&self, ids: &[u32]) -> Result<String, ModelTextError> {
        self.decoded(ids, true)
    }

    /// Text of token ids, special tokens written out.
    pub fn decode_verbatim(&self, ids: &[u32]) -> Result<String, ModelTextError> {
        self.decoded(ids, false)
    }

    /// One token in readable form; a part of a character is shown as U+FFFD.
    pub fn token_text(&self, id: u32) -> String {
        if let Some((_, text)) = self.special.iter().find(|(special, _)| *special == id) {
            return text.clone();
        }
        self.decoded(&[id], false).unwrap_or_default()
    }

    /// The bytes of one token, from the vocabulary: also those of a part of a character.
    pub fn token_bytes(&self, id: u32) -> Vec<u8> {
        let text = self.token_text(id);
        if !text.contains('\u{FFFD}') {
            return text.into_bytes();
        }
        let entry = self.tokenizer.id_to_token(id).unwrap_or_default();
        vocabulary_bytes(&entry).unwrap_or_else(|| text.into_bytes())
    }

    /// The conversation rendered with the base's chat template.
    ///
    /// `add_generation_prompt` also opens the answer that the model is to write. Templates with a
    /// thinking switch get it turned off: an adapter answers without a preamble.
    pub fn render_chat(
        &self,
        messages: &[ChatMessage],
        add_generation_prompt: bool,
    ) -> Result<String, ModelTextError> {
        match &self.template {
            Some(template) => template.render(messages, add_generation_prompt),
            None => Err(ModelTextError::NoTemplate {
                dir: self.dir.clone(),
            }),
        }
    }

    /// Tokens that end an answer: those named in the base's files, and the one that its chat
    /// template puts after an assistant's message.
    pub fn stop_ids(&self) -> &[u32] {
        &self.stop_ids
    }

    /// The token that ends a plain document (`eos_token`).
    pub fn document_end(&self) -> Option<u32> {
        self.document_end
    }

    /// Whether a token is one of the tokenizer's special tokens.
    pub fn is_special(&self, id: u32) -> bool {
        self.special.iter().any(|(special, _)| *special == id)
    }

    /// The special token that a text begins with, if any.
    pub fn special_at_start(&self, text: &str) -> Option<&str> {
        self.special
            .iter()
            .map(|(_, token)| token.as_str())
            .find(|token| text.starts_with(token))
    }

    /// Bytes of the longest token: a longer text is never a single token.
    pub fn longest_token(&self) -> usize {
        self.longest_token
    }

    /// Number of tokens, added ones included.
    pub fn vocab_size(&self) -> usize {
        self.tokenizer.get_vocab_size(true)
    }

    /// Id of a token by its text.
    pub fn token_id(&self, token: &str) -> Option<u32> {
        self.tokenizer.token_to_id(token)
    }

    fn encoding(&self, text: &str, special: bool) -> Result<Encoding, ModelTextError> {
        let failed = |error: tokenizers::Error| self.failure("encode", error);
        let encoding = self.tokenizer.encode(text, false).map_err(failed)?;
        match &self.processor {
            Some(processor) if special => processor.process(encoding, None, true).map_err(failed),
            _ => Ok(encoding),
        }
    }

    fn decoded(&self, ids: &[u32], skip_special: bool) -> Result<String, ModelTextError> {
        self.tokenizer
            .decode(ids, skip_special)
            .map_err(|error| self.failure("decode", error))
    }

    fn failure(&self, deed: &'static str, error: tokenizers::Error) -> ModelTextError {
        ModelTextError::Tokenizer {
            dir: self.dir.clone(),
            deed,
            reason: error.to_string(),
        }
    }

    fn settle_ends(&mut self, settings: &Value) -> Result<(), ModelTextError> {
        self.document_end = template::token_name(settings, "eos_token")
            .and_then(|token| self.tokenizer.token_to_id(&token));
        let mut ids: Vec<u32> = self.document_end.into_iter().collect();
        for file in ["generation_config.json", "config.json"] {
            let path = self.dir.join(file);
            if let Some(found) = read_json(&path)?
                .as_ref()
                .and_then(|all| all.get("eos_token_id"))
            {
                ids.extend(token_ids(&path, found)?);
            }
        }
        ids.extend(self.turn_end());
        self.document_end = self.document_end.or_else(|| ids.first().copied());
        ids.sort_unstable();
        ids.dedup();
        self.stop_ids = ids;
        Ok(())
    }

    /// The special token that follows an assistant's message, found by rendering one.
    fn turn_end(&self) -> Option<u32> {
        const ANSWER: &str = "Answer";
        let message = |role: &str, content: &str| ChatMessage {
            role: role.to_owned(),
            content: content.to_owned(),
        };
        let chat = [message("user", "Question"), message("assistant", ANSWER)];
        let text = self.template.as_ref()?.render(&chat, false).ok()?;
        let behind = text.rfind(ANSWER)? + ANSWER.len();
        let next = *self.encode(&text[behind..], false).ok()?.first()?;
        self.is_special(next).then_some(next)
    }
}

impl std::fmt::Debug for TextCodec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TextCodec")
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}

fn open_tokenizer(path: &Path) -> Result<Tokenizer, ModelTextError> {
    let bytes = std::fs::read(path).map_err(|error| ModelTextError::read(path, &error))?;
    let refused = |reason: String| ModelTextError::NotTokenizer {
        path: path.to_path_buf(),
        reason,
    };
    let text = std::str::from_utf8(&bytes).map_err(|error| refused(error.to_string()))?;
    // The reader of decoders panics where the file breaks off, and may where it does not know a value.
    serde_json::from_str::<IgnoredAny>(text).map_err(|error| refused(describe_decoding(&error)))?;
    // Not `from_bytes`: it is generic, so it would compile every tokenizer's reader in this crate.
    let mut tokenizer: Tokenizer = std::panic::catch_unwind(|| text.parse())
        .map_err(|_| refused("its reader does not understand it".to_owned()))?
        .map_err(|error: tokenizers::Error| refused(error.to_string()))?;
    tokenizer.with_padding(None);
    // Disabling truncation cannot fail.
    let _ = tokenizer.with_truncation(None);
    Ok(tokenizer)
}

/// The bytes that an entry of a vocabulary stands for: `<0xE2>` in vocabularies with byte fallback,
/// and otherwise one character per byte, as byte-level vocabularies write them.
fn vocabulary_bytes(entry: &str) -> Option<Vec<u8>> {
    let fallback = entry
        .strip_prefix("<0x")
        .and_then(|rest| rest.strip_suffix('>'));
    match fallback {
        Some(digits) => u8::from_str_radix(digits, 16).ok().map(|byte| vec![byte]),
        None => entry.chars().map(byte_of_letter).collect(),
    }
}

/// Byte-level vocabularies write printable bytes of Latin-1 as themselves, and the others, in their
/// order, as the characters from U+0100.
fn byte_of_letter(letter: char) -> Option<u8> {
    let is_printable = |byte: &u8| matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    let code = u32::from(letter);
    match u8::try_from(code) {
        Ok(byte) => is_printable(&byte).then_some(byte),
        Err(_) => {
            let at = usize::try_from(code - 256).ok()?;
            (0..=u8::MAX).filter(|byte| !is_printable(byte)).nth(at)
        }
    }
}

/// Byte-level tokenizers write each byte as one or two bytes, so this is an upper bound.
fn longest_token(tokenizer: &Tokenizer) -> usize {
    let vocabulary = tokenizer.get_vocab(true);
    vocabulary.keys().map(String::len).max().unwrap_or(1)
}

fn added_tokens(tokenizer: &Tokenizer) -> Vec<u32> {
    let mut ids: Vec<u32> = tokenizer.get_added_tokens_decoder().into_keys().collect();
    ids.sort_unstable();
    ids
}

fn has_normalized_special(tokenizer: &Tokenizer) -> bool {
    let added = tokenizer.get_added_tokens_decoder();
    added
        .values()
        .any(|token| token.special && token.normalized)
}

fn special_tokens(tokenizer: &Tokenizer) -> Vec<(u32, String)> {
    let mut tokens: Vec<_> = tokenizer
        .get_added_tokens_decoder()
        .into_iter()
        .filter(|(_, token)| token.special)
        .map(|(id, token)| (id, token.content))
        .collect();
    tokens.sort_unstable();
    tokens
}

/// The JSON of a file, or `None` when there is no such file.
fn read_json(path: &Path) -> Result<Option<Value>, ModelTextError> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(ModelTextError::read(path, &error)),
    };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|error| ModelTextError::BadJson {
            path: path.to_path_buf(),
            reason: describe_decoding(&error),
        })
}

/// `eos_token_id`: one id, a list of ids, or null.
fn token_ids(path: &Path, found: &Value) -> Result<Vec<u32>, ModelTextError> {
    let id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
    let ids = match found {
        Value::Null => Some(Vec::new()),
        Value::Array(values) => values.iter().map(id).collect(),
        single => id(single).map(|id| vec![id]),
    };
    ids.ok_or_else(|| ModelTextError::BadField {
        path: path.to_path_buf(),
        field: "eos_token_id",
        expected: "a token id or a list of token ids",
        found: found.to_string(),
    })
}
