//! The vocabulary of a GGUF file as `tokenizer.json` and the settings beside it.
//!
//! Two kinds are known. `gpt2` is byte-level BPE: the file has the merges, and `tokenizer.ggml.pre`
//! names the pre-tokenizer that cuts a text into words. `llama` is SentencePiece's BPE: merges follow
//! from the scores, and characters without a token become bytes.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value, json};

use super::{header::wrong, metadata::GgufMetadata, pretokenizer::PreTokenizerRule};
use crate::error::GgufProblem;

const TOKENS: &str = "tokenizer.ggml.tokens";
/// A longer piece takes part in no merge of a SentencePiece vocabulary; theirs have 16 characters.
const LONGEST_PIECE: usize = 512;

/// Tokens that end an answer or a document, whatever type the file gives them; llama.cpp knows them
/// by their text as well.
const ENDS: [&str; 9] = [
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<|eom_id|>",
    "<end_of_turn>",
    "<EOT>",
    "<｜end▁of▁sentence｜>",
];
/// The end of a SentencePiece document; elsewhere it may be HTML.
const SENTENCE_END: &str = "</s>";

/// The files of a tokenizer.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenizerFiles {
    /// `tokenizer.json`
    pub tokenizer: Value,
    /// `tokenizer_config.json`
    pub settings: Value,
    /// `generation_config.json`
    pub generation: Value,
}

/// Types of tokens, as `llama_token_type` numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TokenType {
    Normal,
    Unknown,
    Control,
    UserDefined,
    Unused,
    Byte,
}

impl TokenType {
    fn of_number(number: i32) -> Self {
        match number {
            2 => Self::Unknown,
            3 => Self::Control,
            4 => Self::UserDefined,
            5 => Self::Unused,
            6 => Self::Byte,
            _ => Self::Normal,
        }
    }

    /// Whether it is found in a text before the text is cut into words.
    fn is_added(self) -> bool {
        matches!(self, Self::Unknown | Self::Control | Self::UserDefined)
    }

    fn is_special(self) -> bool {
        matches!(self, Self::Unknown | Self::Control)
    }
}

struct GgufToken<'a> {
    text: &'a str,
    kind: TokenType,
}

/// Makes the files for a model with `rows` embeddings.
pub fn read_vocabulary(
    metadata: GgufMetadata<'_>,
    rows: usize,
) -> Result<TokenizerFiles, GgufProblem> {
    VocabularyReader::new(metadata, rows)?.files()
}

struct VocabularyReader<'a> {
    metadata: GgufMetadata<'a>,
    /// By id.
    tokens: Vec<GgufToken<'a>>,
}

impl<'a> VocabularyReader<'a> {
    fn new(metadata: GgufMetadata<'a>, rows: usize) -> Result<Self, GgufProblem> {
        let texts = metadata.required(TOKENS, GgufMetadata::texts)?;
        if texts.len() != rows {
            let expected = format!("one for each of the {rows} embeddings");
            return Err(wrong(
                TOKENS,
                &expected,
                format!("a list of {}", texts.len()),
            ));
        }
        let numbers = metadata.integers("tokenizer.ggml.token_type", rows)?;
        let kind =
            |id: usize| numbers.map_or(TokenType::Normal, |all| TokenType::of_number(all[id]));
        let tokens = texts.iter().enumerate().map(|(id, text)| GgufToken {
            text,
            // Rows that pad the table to a round number have no text.
            kind: if text.is_empty() {
                TokenType::Unused
            } else {
                kind(id)
            },
        });
        let mut reader = Self {
            metadata,
            tokens: tokens.collect(),
        };
        reader.mark_special()?;
        reader.refuse_repeated()?;
        Ok(reader)
    }

    /// Tokens with a role are special, and so are the known ends.
    fn mark_special(&mut self) -> Result<(), GgufProblem> {
        for role in ["bos", "eos", "eot", "eom"] {
            if let Some(id) = self.role(role)? {
                self.tokens[id].kind = TokenType::Control;
            }
        }
        for token in &mut self.tokens {
            if ENDS.contains(&token.text) {
                token.kind = TokenType::Control;
            }
        }
        Ok(())
    }

    fn refuse_repeated(&self) -> Result<(), GgufProblem> {
        let mut texts = HashSet::new();
        match self.used().find(|(_, token)| !texts.insert(token.text)) {
            None => Ok(()),
            Some((_, token)) => Err(GgufProblem::Twice {
                what: "token",
                name: token.text.to_owned(),
            }),
        }
    }

    /// Ids and tokens, those left out that stand for nothing.
    fn used(&self) -> impl Iterator<Item = (usize, &GgufToken<'a>)> {
        let tokens = self.tokens.iter().enumerate();
        tokens.filter(|(_, token)| token.kind != TokenType::Unused)
    }

    /// The id of `tokenizer.ggml.<role>_token_id`.
    fn role(&self, role: &str) -> Result<Option<usize>, GgufProblem> {
        let key = format!("tokenizer.ggml.{role}_token_id");
        let Some(id) = self.metadata.count(&key)? else {
            return Ok(None);
        };
        match self.tokens.get(id as usize) {
            Some(_) => Ok(Some(id as usize)),
            None => {
                let expected = format!("a token id below {}", self.tokens.len());
                Err(wrong(&key, &expected, id))
            }
        }
    }

    fn files(&self) -> Result<TokenizerFiles, GgufProblem> {
        let model = self
            .metadata
            .required("tokenizer.ggml.model", GgufMetadata::text)?;
        let (tokenizer, starts) = match model {
            "gpt2" => self.byte_level()?,
            "llama" => self.sentence_piece()?,
            found => {
                let reason = format!("it is of kind \"{found}\"; supported are gpt2 and llama");
                return Err(GgufProblem::Tokenizer { reason });
            }
        };
        let mut tokenizer = tokenizer;
        tokenizer.insert("post_processor".to_owned(), self.post_processor(starts)?);
        Ok(TokenizerFiles {
            tokenizer: Value::Object(tokenizer),
            settings: self.settings()?,
            generation: self.generation()?,
        })
    }

    /// `tokenizer.json` of a byte-level vocabulary, and whether a text begins with its first token.
    fn byte_level(&self) -> Result<(Map<String, Value>, bool), GgufProblem> {
        let rule = PreTokenizerRule::find(self.metadata.text("tokenizer.ggml.pre")?)?;
        let key = "tokenizer.ggml.merges";
        let merges = self.metadata.required(key, GgufMetadata::texts)?;
        let pair = |merge: &String| match split_merge(merge) {
            Some((left, right)) => Ok(json!([left, right])),
            None => Err(wrong(key, "pairs of texts", format!("{merge:?}"))),
        };
        let merges: Vec<Value> = merges.iter().map(pair).collect::<Result<_, _>>()?;
        let model = json!({
            "type": "BPE",
            "dropout": null,
            "unk_token": null,
            "continuing_subword_prefix": null,
            "end_of_word_suffix": null,
            "fuse_unk": false,
            "byte_fallback": false,
            "ignore_merges": rule.ignore_merges,
            "vocab": self.vocabulary(),
            "merges": merges,
        });
        let decoder = json!({
            "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true,
        });
        let tokenizer = self.tokenizer(rule.normalizer(), rule.pre_tokenizer(), decoder, model);
        Ok((tokenizer, rule.begins))
    }

    /// `tokenizer.json` of a SentencePiece vocabulary.
    fn sentence_piece(&self) -> Result<(Map<String, Value>, bool), GgufProblem> {
        const SPACE: &str = "▁";
        let unknown = self.role("unknown")?.unwrap_or(0);
        let replace = json!({
            "type": "Replace", "pattern": { "String": " " }, "content": SPACE,
        });
        let prefixed = self.metadata.boolean("tokenizer.ggml.add_space_prefix")?;
        let mut steps = vec![replace];
        let mut decoders = vec![
            json!({ "type": "Replace", "pattern": { "String": SPACE }, "content": " " }),
            json!({ "type": "ByteFallback" }),
            json!({ "type": "Fuse" }),
        ];
        if prefixed.unwrap_or(true) {
            steps.insert(0, json!({ "type": "Prepend", "prepend": SPACE }));
            decoders.push(json!({ "type": "Strip", "content": " ", "start": 1, "stop": 0 }));
        }
        let model = json!({
            "type": "BPE",
            "dropout": null,
            "unk_token": self.tokens[unknown].text,
            "continuing_subword_prefix": null,
            "end_of_word_suffix": null,
            "fuse_unk": true,
            "byte_fallback": true,
            "ignore_merges": false,
            "vocab": self.vocabulary(),
            "merges": self.merges_of_scores()?,
        });
        let normalizer = json!({ "type": "Sequence", "normalizers": steps });
        let decoder = json!({ "type": "Sequence", "decoders": decoders });
        let tokenizer = self.tokenizer(normalizer, Value::Null, decoder, model);
        Ok((tokenizer, true))
    }

    /// Every way to join two pieces to a third, the best score first. SentencePiece joins the two
    /// neighbours whose piece has the best score, the leftmost of equals.
    fn merges_of_scores(&self) -> Result<Vec<Value>, GgufProblem> {
        let key = "tokenizer.ggml.scores";
        let count = self.tokens.len();
        let scores = self
            .metadata
            .required(key, |metadata, key| metadata.floats(key, count))?;
        if let Some(score) = scores.iter().find(|score| score.is_nan()) {
            return Err(wrong(key, "numbers", score));
        }
        let pieces: HashMap<&str, usize> = self
            .used()
            .filter(|(_, token)| token.kind == TokenType::Normal)
            .map(|(id, token)| (token.text, id))
            .collect();
        let mut merges = Vec::new();
        for (text, id) in &pieces {
            if text.len() > LONGEST_PIECE {
                continue;
            }
            let cuts = text.char_indices().skip(1).map(|(at, _)| text.split_at(at));
            let known = cuts.filter_map(|(left, right)| {
                let (one, other) = (pieces.get(left)?, pieces.get(right)?);
                Some((scores[*id], *one, *other, left, right))
            });
            merges.extend(known);
        }
        merges.sort_unstable_by(|a, b| {
            b.0.total_cmp(&a.0)
                .then_with(|| (a.1, a.2).cmp(&(b.1, b.2)))
        });
        let pair = |(_, _, _, left, right)| json!([left, right]);
        Ok(merges.into_iter().map(pair).collect())
    }

    fn vocabulary(&self) -> Map<String, Value> {
        self.used()
            .map(|(id, token)| (token.text.to_owned(), json!(id)))
            .collect()
    }

    fn tokenizer(
        &self,
        normalizer: Value,
        pre_tokenizer: Value,
        decoder: Value,
        model: Value,
    ) -> Map<String, Value> {
        let added = self.used().filter(|(_, token)| token.kind.is_added());
        let added: Vec<Value> = added
            .map(|(id, token)| {
                json!({
                    "id": id,
                    "content": token.text,
                    "single_word": false,
                    "lstrip": false,
                    "rstrip": false,
                    "normalized": false,
                    "special": token.kind.is_special(),
                })
            })
            .collect();
        let parts = [
            ("version", json!("1.0")),
            ("truncation", Value::Null),
            ("padding", Value::Null),
            ("added_tokens", Value::Array(added)),
            ("normalizer", normalizer),
            ("pre_tokenizer", pre_tokenizer),
            ("post_processor", Value::Null),
            ("decoder", decoder),
            ("model", model),
        ];
        let parts = parts.into_iter();
        parts.map(|(name, part)| (name.to_owned(), part)).collect()
    }

    /// The tokens around a text, if there are any.
    fn post_processor(&self, starts: bool) -> Result<Value, GgufProblem> {
        let wanted = |role: &str, default: bool| {
            let key = format!("tokenizer.ggml.add_{role}_token");
            if !self.metadata.boolean(&key)?.unwrap_or(default) {
                return Ok(None);
            }
            let key = format!("tokenizer.ggml.{role}_token_id");
            let id = self
                .role(role)?
                .ok_or_else(|| wrong(&key, "a token id", "missing"))?;
            Ok(Some((id, self.tokens[id].text)))
        };
        let (bos, eos) = (wanted("bos", starts)?, wanted("eos", false)?);
        if bos.is_none() && eos.is_none() {
            return Ok(Value::Null);
        }
        let token = |(_, text): &(usize, &str), type_id: u8| json!({ "SpecialToken": { "id": text, "type_id": type_id } });
        let template = |sequence: &str, type_id: u8| {
            let text = json!({ "Sequence": { "id": sequence, "type_id": type_id } });
            let before = bos.iter().map(|bos| token(bos, type_id));
            let after = eos.iter().map(|eos| token(eos, type_id));
            before.chain([text]).chain(after).collect::<Vec<_>>()
        };
        let special: Map<String, Value> = bos
            .iter()
            .chain(&eos)
            .map(|(id, text)| {
                let special = json!({ "id": text, "ids": [id], "tokens": [text] });
                ((*text).to_owned(), special)
            })
            .collect();
        let pair = [template("A", 0), template("B", 1)].concat();
        Ok(json!({
            "type": "TemplateProcessing",
            "single": template("A", 0),
            "pair": pair,
            "special_tokens": special,
        }))
    }

    fn settings(&self) -> Result<Value, GgufProblem> {
        let mut settings = Map::new();
        settings.insert(
            "tokenizer_class".to_owned(),
            json!("PreTrainedTokenizerFast"),
        );
        let roles = [
            ("bos_token", "bos"),
            ("eos_token", "eos"),
            ("pad_token", "padding"),
            ("unk_token", "unknown"),
        ];
        for (name, role) in roles {
            if let Some(id) = self.role(role)? {
                settings.insert(name.to_owned(), json!(self.tokens[id].text));
            }
        }
        if let Some(template) = self.metadata.text("tokenizer.chat_template")? {
            settings.insert("chat_template".to_owned(), json!(template));
        }
        Ok(Value::Object(settings))
    }

    fn generation(&self) -> Result<Value, GgufProblem> {
        let mut ends = Vec::new();
        for role in ["eos", "eot", "eom"] {
            ends.extend(self.role(role)?);
        }
        let is_end = |token: &GgufToken<'_>| {
            let known = token.text == SENTENCE_END || ENDS.contains(&token.text);
            known && token.kind == TokenType::Control
        };
        let known = self.used().filter(|(_, token)| is_end(token));
        ends.extend(known.map(|(id, _)| id));
        ends.sort_unstable();
        ends.dedup();
        Ok(json!({ "bos_token_id": self.role("bos")?, "eos_token_id": ends }))
    }
}

/// The two texts of a merge; the second may begin with a space.
fn split_merge(merge: &str) -> Option<(&str, &str)> {
    let first = merge.chars().next()?.len_utf8();
    let at = first + merge.get(first..)?.find(' ')?;
    let (left, right) = (&merge[..at], &merge[at + 1..]);
    (!right.is_empty()).then_some((left, right))
}
