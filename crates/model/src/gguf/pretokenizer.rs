//! The pre-tokenizers that `tokenizer.ggml.pre` names: how byte-level BPE cuts a text into words.
//!
//! The expressions are those of the models' own `tokenizer.json`. llama.cpp writes some of them
//! differently, because its engine knows fewer constructs.

use serde_json::{Value, json};

use crate::error::GgufProblem;

/// GPT-2's expression.
const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// A pre-tokenizer with what goes with it.
#[derive(Debug)]
pub struct PreTokenizerRule {
    names: &'static [&'static str],
    /// Each cuts the pieces that those before it left.
    expressions: &'static [&'static str],
    /// Whether a word that is a token is not taken apart.
    pub ignore_merges: bool,
    /// Whether a text begins with the first token, unless the file says otherwise.
    pub begins: bool,
    /// Whether texts are composed first (Unicode's NFC).
    composes: bool,
}

const PLAIN: PreTokenizerRule = PreTokenizerRule {
    names: &[],
    expressions: &[],
    ignore_merges: false,
    begins: false,
    composes: false,
};

const RULES: &[PreTokenizerRule] = &[
    PreTokenizerRule {
        names: &["default"],
        expressions: &[r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", "[0-9][0-9][0-9]"],
        ..PLAIN
    },
    PreTokenizerRule {
        names: &["llama-bpe", "llama3", "llama-v3", "falcon3", "midm-2.0"],
        expressions: &[LLAMA3],
        ignore_merges: true,
        begins: true,
        ..PLAIN
    },
    PreTokenizerRule {
        names: &["dbrx", "smaug-bpe"],
        expressions: &[LLAMA3],
        ..PLAIN
    },
    PreTokenizerRule {
        names: &["qwen2", "megrez"],
        expressions: &[QWEN2],
        composes: true,
        ..PLAIN
    },
    PreTokenizerRule {
        names: &["deepseek-r1-qwen"],
        expressions: &[QWEN2],
        ..PLAIN
    },
    PreTokenizerRule {
        names: &["smollm", "starcoder", "refact", "codeshell", "minerva-7b"],
        expressions: &[r"\p{N}", GPT2],
        ..PLAIN
    },
    PreTokenizerRule {
        names: &["gpt-2", "phi-2", "olmo", "mpt", "gigachat", "mellum"],
        expressions: &[GPT2],
        ..PLAIN
    },
    PreTokenizerRule {
        names: &["tekken"],
        expressions: &[TEKKEN],
        ignore_merges: true,
        begins: true,
        ..PLAIN
    },
    PreTokenizerRule {
        names: &["deepseek-coder"],
        expressions: &[
            r"[\r\n]",
            r"\s?\p{L}+",
            r"\s?\p{P}+",
            "[一-龥ࠀ-一가-퟿]+",
            r"\p{N}",
        ],
        ..PLAIN
    },
];

impl PreTokenizerRule {
    /// The rule of a name; files from before there were names have the default one.
    pub fn find(name: Option<&str>) -> Result<&'static Self, GgufProblem> {
        let name = name.unwrap_or("default");
        let found = RULES.iter().find(|rule| rule.names.contains(&name));
        found.ok_or_else(|| {
            let known: Vec<&str> = RULES.iter().map(|rule| rule.names[0]).collect();
            let reason = format!(
                "its pre-tokenizer is \"{name}\"; supported are {}",
                known.join(", ")
            );
            GgufProblem::Tokenizer { reason }
        })
    }

    /// The normaliser of `tokenizer.json`.
    pub fn normalizer(&self) -> Value {
        match self.composes {
            true => json!({ "type": "NFC" }),
            false => Value::Null,
        }
    }

    /// The pre-tokenizer of `tokenizer.json`.
    pub fn pre_tokenizer(&self) -> Value {
        let split = |expression: &&str| {
            json!({
                "type": "Split",
                "pattern": { "Regex": expression },
                "behavior": "Isolated",
                "invert": false,
            })
        };
        let bytes = json!({
            "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false,
        });
        let steps: Vec<Value> = self.expressions.iter().map(split).chain([bytes]).collect();
        json!({ "type": "Sequence", "pretokenizers": steps })
    }
}
