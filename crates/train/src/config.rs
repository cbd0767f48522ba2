//! The resolved hyper-parameters of a run: one field per `train.*` setting.
//!
//! Defines their meaning and the comparison of two configurations; the settings know the origin of
//! a value.

use serde::{Deserialize, Serialize};

use super::{adamw::AdamWOptions, schedule::RateCurve};
use openlora_model::{
    LoraConfig, PatternError, WeightPrecision,
    dataset::{
        encode::{EncodeOptions, LossOn},
        long::OnLong,
    },
};

/// The settings below `train.` that have no meaning for pictures.
pub const TEXT_ONLY: &[&str] = &[
    "dropout",
    "dora",
    "rank_pattern",
    "alpha_pattern",
    "loraplus_lr_ratio",
    "columns",
    "max_len",
    "on_long",
    "loss",
    "precision",
    "checkpoint_activations",
];

/// Every `train.*` setting, resolved. Counts are in the unit that the field names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    pub rank: usize,
    pub alpha: f64,
    pub targets: Vec<String>,
    pub dropout: f64,
    pub rslora: bool,
    /// Learn magnitudes too (DoRA); runs of older versions do not state it.
    #[serde(default)]
    pub dora: bool,
    /// Modules with a rank of their own, such as `q_proj=16`.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub rank_pattern: Vec<String>,
    /// Modules with an alpha of their own.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub alpha_pattern: Vec<String>,
    /// Peak learning rate.
    pub lr: f64,
    /// Learning rate of the factors B over that of A (LoRA+); equal when unset.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub loraplus_lr_ratio: Option<f64>,
    pub schedule: RateCurve,
    /// Steps of linear warm-up before the schedule.
    pub warmup: u64,
    pub epochs: u64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub max_steps: Option<u64>,
    /// Rows per micro-batch.
    pub batch: usize,
    /// Micro-batches per optimizer step.
    pub accumulate: usize,
    /// Columns of the data files that have other names there, such as `text=review`.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub columns: Vec<String>,
    /// Longest row, in tokens.
    pub max_len: usize,
    /// What becomes of longer rows; runs of older versions do not state it, and refused them.
    #[serde(default)]
    pub on_long: OnLong,
    /// The tokens of a row that the loss covers.
    pub loss: LossOn,
    /// Limit of the global gradient norm; 0 disables clipping.
    pub clip: f64,
    pub weight_decay: f64,
    /// A file, or a fraction of the rows.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub val: Option<String>,
    /// Steps between validations; by default once per epoch.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub eval_every: Option<u64>,
    /// Validations without improvement after which training stops.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub patience: Option<u64>,
    /// Steps between checkpoints; by default ten checkpoints per run.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub checkpoint_every: Option<u64>,
    pub seed: u64,
    /// Storage of the frozen base; trainable values are always f32.
    pub precision: WeightPrecision,
    /// Compute activations again in the backward pass instead of keeping them.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub checkpoint_activations: bool,
}

impl Default for TrainConfig {
    /// The defaults of the settings table.
    fn default() -> Self {
        Self {
            rank: 8,
            alpha: 16.0,
            targets: vec!["all-linear".to_owned()],
            dropout: 0.0,
            rslora: false,
            dora: false,
            rank_pattern: Vec::new(),
            alpha_pattern: Vec::new(),
            lr: 2e-3,
            loraplus_lr_ratio: None,
            schedule: RateCurve::Cosine,
            warmup: 10,
            epochs: 2,
            max_steps: None,
            batch: 16,
            accumulate: 1,
            columns: Vec::new(),
            max_len: 256,
            on_long: OnLong::Error,
            loss: LossOn::Completion,
            clip: 1.0,
            weight_decay: 0.0,
            val: None,
            eval_every: None,
            patience: None,
            checkpoint_every: None,
            seed: 42,
            precision: WeightPrecision::Auto,
            checkpoint_activations: false,
        }
    }
}

impl TrainConfig {
    /// The decoder's parameters for attaching the adapter.
    ///
    /// # Errors
    ///
    /// Entries of the patterns that are no pairs.
    pub fn lora(&self) -> Result<LoraConfig, PatternError> {
        Ok(LoraConfig {
            rank: self.rank,
            alpha: self.alpha,
            targets: self.targets.clone(),
            dropout: self.dropout as f32,
            rslora: self.rslora,
            dora: self.dora,
            rank_pattern: LoraConfig::parse_ranks(&self.rank_pattern)?,
            alpha_pattern: LoraConfig::parse_alphas(&self.alpha_pattern)?,
        })
    }

    /// The optimizer's options.
    pub fn optimizer(&self) -> AdamWOptions {
        let options = AdamWOptions::default();
        AdamWOptions {
            weight_decay: self.weight_decay,
            loraplus_lr_ratio: self.loraplus_lr_ratio.unwrap_or(options.loraplus_lr_ratio),
            ..options
        }
    }

    /// The options for encoding rows.
    pub fn encode_options(&self) -> EncodeOptions {
        EncodeOptions {
            max_len: self.max_len,
            loss: self.loss,
            on_long: self.on_long,
        }
    }

    /// Rows per optimizer step.
    pub fn rows_per_step(&self) -> usize {
        self.batch.saturating_mul(self.accumulate)
    }

    /// The settings in which `self` and `other` differ, as `(key, self, other)`, of those that change a
    /// result.
    pub fn differences(&self, other: &Self) -> Vec<(String, String, String)> {
        let deciding = |config: &Self| {
            let mut table = config.table();
            // Computing activations again changes no bit.
            table.remove("checkpoint_activations");
            table
        };
        let (mine, theirs) = (deciding(self), deciding(other));
        let mut keys: Vec<&String> = mine.keys().chain(theirs.keys()).collect();
        keys.sort_unstable();
        keys.dedup();
        let shown = |table: &toml::Table, key: &str| {
            table
                .get(key)
                .map_or_else(|| "unset".to_owned(), ToString::to_string)
        };
        keys.into_iter()
            .filter(|key| mine.get(*key) != theirs.get(*key))
            .map(|key| {
                (
                    format!("train.{key}"),
                    shown(&mine, key),
                    shown(&theirs, key),
                )
            })
            .collect()
    }

    /// `self` with the named settings (`train.lr`, …) taken from `other`.
    pub fn with_keys_of(&self, other: &Self, keys: &[String]) -> Self {
        let (mut mine, theirs) = (self.table(), other.table());
        for key in keys.iter().filter_map(|key| key.strip_prefix("train.")) {
            match theirs.get(key) {
                Some(value) => mine.insert(key.to_owned(), value.clone()),
                None => mine.remove(key),
            };
        }
        mine.try_into().unwrap_or_else(|_| self.clone())
    }

    fn table(&self) -> toml::Table {
        toml::Table::try_from(self).unwrap_or_default()
    }
}
