//! `adapter_config.json` as PEFT writes it.
//!
//! Unknown keys are accepted, because every PEFT release adds some. Keys that are known to change
//! the computation in a way that plain LoRA factors cannot express are refused with the reason.

use regex::Regex;
use serde_json::{Map, Value};

use super::{error::ConfigProblem, tensors::unique_pairs};
use crate::lora_config::module_regex;
use openlora_core::error::describe_decoding;

/// The modules that an adapter targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetModules {
    /// Full paths or their last components.
    List(Vec<String>),
    /// A regular expression over the full path, or the word `all-linear`.
    Pattern(String),
}

/// The part of the configuration that determines the meaning of the factors.
#[derive(Clone, Debug, PartialEq)]
pub struct PeftConfig {
    pub r: usize,
    pub lora_alpha: f64,
    pub lora_dropout: f64,
    pub target_modules: TargetModules,
    /// Module pattern and rank; the first pattern that matches wins.
    pub rank_pattern: Vec<(String, usize)>,
    /// Module pattern and alpha; the first pattern that matches wins.
    pub alpha_pattern: Vec<(String, f64)>,
    /// Scale by alpha/√r instead of alpha/r (Kalajdzievski 2023).
    pub use_rslora: bool,
    /// Every module has a vector of magnitudes too (DoRA, arXiv:2402.09353).
    pub use_dora: bool,
    pub base_model_name_or_path: Option<String>,
    pub revision: Option<String>,
}

const CHANGES_BASE: &str = "it changes the base's own weights, which a LoRA file does not carry";
const NOT_PLAIN: &str = "it computes something else than base + scale * B * A";

/// Keys that must be absent, null, false, zero or empty, and why.
const MUST_BE_OFF: &[(&str, &str)] = &[
    (
        "modules_to_save",
        "it replaces whole modules of the base; only LoRA factors are read",
    ),
    (
        "fan_in_fan_out",
        "its factors are for transposed base weights (Conv1D)",
    ),
    ("layer_replication", "it repeats layers of the base"),
    ("lora_bias", "its factors have biases"),
    (
        "target_parameters",
        "it adapts bare parameters, not linear modules",
    ),
    (
        "trainable_token_indices",
        "it replaces rows of the embedding",
    ),
    (
        "alora_invocation_tokens",
        "it is active only after certain tokens (aLoRA)",
    ),
    ("use_qalora", NOT_PLAIN),
    ("use_bdlora", NOT_PLAIN),
    ("arrow_config", "it routes between several adapters (Arrow)"),
    ("kasa_config", CHANGES_BASE),
    ("monteclora_config", NOT_PLAIN),
    ("megatron_config", "it is split for Megatron"),
];

/// Initialisations that leave the base unchanged.
const NEUTRAL_INITS: &[&str] = &["gaussian", "eva", "orthogonal", "mica"];

impl PeftConfig {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, ConfigProblem> {
        let map = object(bytes)?;
        check_peft_type(&map)?;
        check_supported(&map)?;
        let r = positive_integer("r", required(&map, "r")?)?;
        let lora_alpha = finite("lora_alpha", required(&map, "lora_alpha")?)?;
        Ok(Self {
            r,
            lora_alpha,
            lora_dropout: present(&map, "lora_dropout")
                .map_or(Ok(0.0), |v| finite("lora_dropout", v))?,
            target_modules: target_modules(named(&map, "target_modules")?)?,
            rank_pattern: pattern_table(&map, "rank_pattern", positive_integer)?,
            alpha_pattern: pattern_table(&map, "alpha_pattern", finite)?,
            use_rslora: boolean(&map, "use_rslora")?,
            use_dora: boolean(&map, "use_dora")?,
            base_model_name_or_path: text(&map, "base_model_name_or_path")?,
            revision: text(&map, "revision")?,
        })
    }

    /// The rank of `module` according to the configuration, and the key that sets it.
    pub(super) fn rank_of(&self, module: &str) -> Result<(usize, &'static str), ConfigProblem> {
        Ok(
            match first_match("rank_pattern", &self.rank_pattern, module)? {
                Some(rank) => (rank, "rank_pattern"),
                None => (self.r, "r"),
            },
        )
    }

    /// The factor that multiplies B·A in `module` of rank `rank`.
    pub(super) fn scale_of(&self, module: &str, rank: usize) -> Result<f64, ConfigProblem> {
        let alpha =
            first_match("alpha_pattern", &self.alpha_pattern, module)?.unwrap_or(self.lora_alpha);
        let rank = rank as f64;
        Ok(if self.use_rslora {
            alpha / rank.sqrt()
        } else {
            alpha / rank
        })
    }

    /// Whether `target_modules` includes `module`, by PEFT's rule: a list contains full paths or
    /// dotted suffixes; a text is a regular expression over the full path.
    pub(super) fn targets(&self, module: &str) -> bool {
        match &self.target_modules {
            TargetModules::List(names) => names.iter().any(|name| ends_with_path(module, name)),
            TargetModules::Pattern(pattern) if pattern == "all-linear" => true,
            // Python supports look-around and this engine does not. The tensors state which modules
            // are adapted, so an unreadable pattern only loses this cross-check.
            TargetModules::Pattern(pattern) => {
                Regex::new(&format!("^(?:{pattern})$")).map_or(true, |regex| regex.is_match(module))
            }
        }
    }
}

/// Whether `end` is `path` itself or one of its suffixes after a dot.
fn ends_with_path(path: &str, end: &str) -> bool {
    path.strip_suffix(end)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// The value of the first pattern that matches, as PEFT takes it.
fn first_match<V: Copy>(
    key: &'static str,
    table: &[(String, V)],
    module: &str,
) -> Result<Option<V>, ConfigProblem> {
    for (pattern, value) in table {
        let regex = module_regex(pattern).map_err(|reason| ConfigProblem::Pattern {
            key,
            pattern: pattern.clone(),
            reason,
        })?;
        if regex.is_match(module) {
            return Ok(Some(*value));
        }
    }
    Ok(None)
}

fn object(bytes: &[u8]) -> Result<Map<String, Value>, ConfigProblem> {
    let not_json = |error: serde_json::Error| ConfigProblem::NotJson(describe_decoding(&error));
    let value: Value = serde_json::from_slice(bytes).map_err(not_json)?;
    if !value.is_object() {
        return Err(ConfigProblem::NotObject(type_name(&value)));
    }
    match unique_pairs(bytes).map_err(not_json)? {
        Ok(pairs) => Ok(pairs.into_iter().collect()),
        Err(key) => Err(ConfigProblem::DuplicateKey(key)),
    }
}

fn check_peft_type(map: &Map<String, Value>) -> Result<(), ConfigProblem> {
    match required(map, "peft_type")? {
        Value::String(name) if name == "LORA" => Ok(()),
        Value::String(name) => Err(ConfigProblem::Unsupported {
            key: "peft_type".into(),
            found: format!("{name:?}"),
            reason: "only LORA is read",
        }),
        other => Err(wrong("peft_type", "a text", other)),
    }
}

fn check_supported(map: &Map<String, Value>) -> Result<(), ConfigProblem> {
    for (key, reason) in MUST_BE_OFF {
        if let Some(value) = present(map, key).filter(|value| !is_off(value)) {
            return Err(unsupported(key, value, reason));
        }
    }
    match present(map, "bias") {
        Some(Value::String(bias)) if bias != "none" => {
            return Err(unsupported(
                "bias",
                &Value::String(bias.clone()),
                "it changes biases of the base",
            ));
        }
        Some(Value::String(_)) | None => {}
        Some(other) => return Err(wrong("bias", "a text", other)),
    }
    match present(map, "init_lora_weights") {
        Some(Value::String(init)) if !NEUTRAL_INITS.contains(&init.as_str()) => Err(unsupported(
            "init_lora_weights",
            &Value::String(init.clone()),
            CHANGES_BASE,
        )),
        _ => Ok(()),
    }
}

fn is_off(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

fn unsupported(key: &str, value: &Value, reason: &'static str) -> ConfigProblem {
    ConfigProblem::Unsupported {
        key: key.to_owned(),
        found: value.to_string(),
        reason,
    }
}

fn wrong(key: &str, expected: &'static str, found: &Value) -> ConfigProblem {
    let found = match found {
        Value::Array(_) | Value::Object(_) => type_name(found).to_owned(),
        plain => plain.to_string(),
    };
    ConfigProblem::WrongValue {
        key: key.to_owned(),
        expected,
        found,
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn present<'a>(map: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    map.get(key).filter(|value| !value.is_null())
}

/// The value of a key that a template of PEFT leaves null.
fn named<'a>(map: &'a Map<String, Value>, key: &'static str) -> Result<&'a Value, ConfigProblem> {
    map.get(key).ok_or(ConfigProblem::MissingKey(key))
}

fn required<'a>(
    map: &'a Map<String, Value>,
    key: &'static str,
) -> Result<&'a Value, ConfigProblem> {
    present(map, key).ok_or(ConfigProblem::MissingKey(key))
}

fn positive_integer(key: &str, value: &Value) -> Result<usize, ConfigProblem> {
    value
        .as_u64()
        .and_then(|number| usize::try_from(number).ok())
        .filter(|number| *number > 0)
        .ok_or_else(|| wrong(key, "a whole number of at least 1", value))
}

fn finite(key: &str, value: &Value) -> Result<f64, ConfigProblem> {
    value
        .as_f64()
        .filter(|number| number.is_finite())
        .ok_or_else(|| wrong(key, "a number", value))
}

fn boolean(map: &Map<String, Value>, key: &str) -> Result<bool, ConfigProblem> {
    match present(map, key) {
        None => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(other) => Err(wrong(key, "true or false", other)),
    }
}

fn text(map: &Map<String, Value>, key: &str) -> Result<Option<String>, ConfigProblem> {
    match present(map, key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(other) => Err(wrong(key, "a text", other)),
    }
}

fn target_modules(value: &Value) -> Result<TargetModules, ConfigProblem> {
    const EXPECTED: &str = "a text or a list of texts that is not empty";
    let refused = || wrong("target_modules", EXPECTED, value);
    match value {
        Value::String(pattern) if !pattern.is_empty() => {
            Ok(TargetModules::Pattern(pattern.clone()))
        }
        Value::Array(items) if !items.is_empty() => {
            let names = items
                .iter()
                .map(|item| item.as_str().map(str::to_owned))
                .collect();
            Option::map(names, TargetModules::List).ok_or_else(refused)
        }
        _ => Err(refused()),
    }
}

fn pattern_table<V>(
    map: &Map<String, Value>,
    key: &'static str,
    parse: fn(&str, &Value) -> Result<V, ConfigProblem>,
) -> Result<Vec<(String, V)>, ConfigProblem> {
    match present(map, key) {
        None => Ok(Vec::new()),
        Some(Value::Object(table)) => table
            .iter()
            .map(|(pattern, value)| {
                Ok((pattern.clone(), parse(&format!("{key}.{pattern}"), value)?))
            })
            .collect(),
        Some(other) => Err(wrong(key, "an object", other)),
    }
}
