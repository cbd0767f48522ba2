//! Trains the byte-level BPE tokenizer of a base made here.
//!
//! Writes the Hugging Face layout with the ChatML template. The same texts give the same bytes:
//! merges are ranked by count and, among equals, by the ids of the pair.

use std::{io, path::Path};

use serde_json::json;
use tokenizers::{
    AddedToken, DecoderWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper,
    TokenizerBuilder, TokenizerImpl,
    models::bpe::{BPE, BpeTrainerBuilder},
    pre_tokenizers::byte_level::ByteLevel,
};

use openlora_core::atomic::{self, FileAccess};

/// Ends a document.
pub const DOCUMENT_END: &str = "<|endoftext|>";
/// Opens a message.
pub const TURN_START: &str = "<|im_start|>";
/// Ends a message.
pub const TURN_END: &str = "<|im_end|>";

/// Special tokens, in the order of their ids from 0.
pub const SPECIAL_TOKENS: [&str; 3] = [DOCUMENT_END, TURN_START, TURN_END];

/// ChatML: every message is `<|im_start|>role\ncontent<|im_end|>\n`.
pub const CHAT_TEMPLATE: &str = "{% for message in messages %}\
    {{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}\
    {% endfor %}\
    {% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

/// Smallest vocabulary: the 256 bytes and the special tokens.
pub const LEAST_VOCABULARY: usize = 256 + SPECIAL_TOKENS.len();

/// Why no tokenizer was made.
#[derive(Debug, thiserror::Error)]
pub enum BpeError {
    #[error("a vocabulary of {found} tokens is too small: bytes and special tokens take {least}")]
    SmallVocabulary { found: usize, least: usize },
    #[error("the tokenizer cannot be trained: {0}")]
    Training(tokenizers::Error),
    #[error("the tokenizer cannot be written: {0}")]
    File(#[from] io::Error),
}

type BpeTokenizer = TokenizerImpl<
    BPE,
    NormalizerWrapper,
    PreTokenizerWrapper,
    PostProcessorWrapper,
    DecoderWrapper,
>;

/// Learns a tokenizer of at most `vocab_size` tokens from texts and writes `tokenizer.json` and
/// `tokenizer_config.json` into `out_dir`, which must exist.
///
/// # Errors
/// When the vocabulary cannot even hold the bytes, or a file cannot be written.
pub fn train_tokenizer(
    texts: impl Iterator<Item = String> + Send,
    vocab_size: usize,
    out_dir: &Path,
) -> Result<(), BpeError> {
    if vocab_size < LEAST_VOCABULARY {
        return Err(BpeError::SmallVocabulary {
            found: vocab_size,
            least: LEAST_VOCABULARY,
        });
    }
    let mut tokenizer = empty_tokenizer().map_err(BpeError::Training)?;
    let mut trainer = BpeTrainerBuilder::new()
        .show_progress(false)
        .vocab_size(vocab_size)
        .min_frequency(2)
        .special_tokens(
            SPECIAL_TOKENS
                .map(|token| AddedToken::from(token, true))
                .to_vec(),
        )
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .build();
    tokenizer
        .train(&mut trainer, texts)
        .map_err(BpeError::Training)?;
    let text = tokenizer.to_string(true).map_err(BpeError::Training)?;
    let write = |name: &str, text: &str| {
        atomic::replace_file(&out_dir.join(name), text.as_bytes(), FileAccess::Everyone)
    };
    write("tokenizer.json", &text)?;
    write(
        "tokenizer_config.json",
        &format!("{:#}\n", tokenizer_config()),
    )?;
    Ok(())
}

fn empty_tokenizer() -> tokenizers::Result<BpeTokenizer> {
    let byte_level = ByteLevel::new(false, true, true);
    TokenizerBuilder::new()
        .with_model(BPE::default())
        .with_normalizer(None)
        .with_pre_tokenizer(Some(byte_level.into()))
        .with_post_processor(None)
        .with_decoder(Some(byte_level.into()))
        .build()
}

fn tokenizer_config() -> serde_json::Value {
    json!({
        "add_prefix_space": false,
        "chat_template": CHAT_TEMPLATE,
        "clean_up_tokenization_spaces": false,
        "eos_token": TURN_END,
        "pad_token": DOCUMENT_END,
        "tokenizer_class": "PreTrainedTokenizerFast",
    })
}
