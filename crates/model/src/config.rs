//! `config.json` of a base model, parsed into the decoder's parameters.
//!
//! transformers 5 writes `rope_parameters`, older files have `rope_theta` and `rope_scaling`; both
//! are read. Options that would change the computation and are not implemented are errors.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::error::ModelError;
use openlora_core::error::describe_decoding;

/// A model family with its own defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelFamily {
    Llama,
    Mistral,
    Qwen2,
    Qwen3,
}

impl ModelFamily {
    const ALL: [(&'static str, Self); 4] = [
        ("llama", Self::Llama),
        ("mistral", Self::Mistral),
        ("qwen2", Self::Qwen2),
        ("qwen3", Self::Qwen3),
    ];

    /// `model_type` in config.json.
    pub fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(_, family)| *family == self)
            .map_or("", |(name, _)| name)
    }
}

/// How rotary frequencies are changed for longer contexts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RopeScaling {
    None,
    Linear {
        factor: f64,
    },
    Llama3 {
        factor: f64,
        low: f64,
        high: f64,
        original: f64,
    },
}

/// Everything that the decoder needs to know about a base.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelConfig {
    pub family: ModelFamily,
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub layers: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    pub max_positions: usize,
    pub norm_eps: f64,
    pub rope_theta: f64,
    pub rope_scaling: RopeScaling,
    /// Sliding window of every layer; `None` for full attention.
    pub windows: Vec<Option<usize>>,
    pub tied: bool,
    pub qkv_bias: bool,
    pub output_bias: bool,
    pub mlp_bias: bool,
    /// RMS norms of each query and key head (qwen3).
    pub head_norms: bool,
    /// Standard deviation of fresh weights.
    pub initializer_range: f64,
    /// The original file, for writing it next to new weights.
    pub source: Map<String, Value>,
}

impl ModelConfig {
    pub fn read(path: &Path) -> Result<Self, ModelError> {
        let text = std::fs::read_to_string(path).map_err(ModelError::io("read", path))?;
        Self::parse(&text, path)
    }

    /// `path` is used in errors only.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ModelError> {
        let source: Map<String, Value> =
            serde_json::from_str(text).map_err(|error| ModelError::Json {
                path: path.to_owned(),
                reason: describe_decoding(&error),
            })?;
        ConfigReader { path, map: &source }.config()
    }

    /// Rotary frequencies of the head dimensions, `[head_dim / 2]`. Powers come from crate `libm`, so
    /// that they are the same on every platform.
    pub fn rope_frequencies(&self) -> Vec<f32> {
        let dim = self.head_dim;
        let theta = f64::from(self.rope_theta as f32);
        let exponent = |i: usize| f64::from((2 * i) as f32 / dim as f32);
        let base = |i: usize| 1.0 / (libm::pow(theta, exponent(i)) as f32);
        (0..dim / 2)
            .map(|i| self.rope_scaling.apply(base(i)))
            .collect()
    }

    /// Width of all query heads together.
    pub fn query_width(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Width of all key heads together.
    pub fn key_width(&self) -> usize {
        self.kv_heads * self.head_dim
    }
}

impl RopeScaling {
    pub(super) fn apply(self, frequency: f32) -> f32 {
        match self {
            Self::None => frequency,
            Self::Linear { factor } => frequency / factor as f32,
            Self::Llama3 {
                factor,
                low,
                high,
                original,
            } => {
                let wavelength = 2.0 * std::f32::consts::PI / frequency;
                let (factor, original) = (factor as f32, original as f32);
                if wavelength > original / low as f32 {
                    return frequency / factor;
                }
                if wavelength < original / high as f32 {
                    return frequency;
                }
                let smooth = (original / wavelength - low as f32) / (high - low) as f32;
                (1.0 - smooth) * frequency / factor + smooth * frequency
            }
        }
    }
}

/// Reads one JSON object, naming file and key in every error.
struct ConfigReader<'a> {
    path: &'a Path,
    map: &'a Map<String, Value>,
}

impl<'a> ConfigReader<'a> {
    fn config(&self) -> Result<ModelConfig, ModelError> {
        let family = self.family()?;
        self.refuse_unsupported()?;
        let (heads, hidden_size) = (
            self.positive("num_attention_heads")?,
            self.positive("hidden_size")?,
        );
        let layers = self.positive("num_hidden_layers")?;
        let attention_bias = self.boolean("attention_bias", false)?;
        let rope = self.rope()?;
        let config = ModelConfig {
            family,
            vocab_size: self.positive("vocab_size")?,
            hidden_size,
            intermediate_size: self.positive("intermediate_size")?,
            layers,
            heads,
            kv_heads: self.optional("num_key_value_heads")?.unwrap_or(heads),
            head_dim: self.head_dim(family, hidden_size, heads)?,
            max_positions: self.optional("max_position_embeddings")?.unwrap_or(2048),
            norm_eps: self.number("rms_norm_eps")?.unwrap_or(1e-6),
            rope_theta: rope
                .number("rope_theta")?
                .or(self.number("rope_theta")?)
                .unwrap_or(10_000.0),
            rope_scaling: rope.scaling()?,
            windows: self.windows(family, layers)?,
            tied: self.boolean("tie_word_embeddings", false)?,
            qkv_bias: family == ModelFamily::Qwen2
                || (family != ModelFamily::Mistral && attention_bias),
            output_bias: matches!(family, ModelFamily::Llama | ModelFamily::Qwen3)
                && attention_bias,
            mlp_bias: family == ModelFamily::Llama && self.boolean("mlp_bias", false)?,
            head_norms: family == ModelFamily::Qwen3,
            initializer_range: self.number("initializer_range")?.unwrap_or(0.02),
            source: self.map.clone(),
        };
        self.check(&config)?;
        Ok(config)
    }

    fn family(&self) -> Result<ModelFamily, ModelError> {
        let found = match self.map.get("model_type") {
            Some(Value::String(name)) => name.clone(),
            _ => return Err(self.wrong("model_type", "the name of a model family")),
        };
        let known = ModelFamily::ALL.iter().find(|(name, _)| *name == found);
        known.map(|(_, family)| *family).ok_or(ModelError::Family {
            path: self.path.to_owned(),
            found,
        })
    }

    fn refuse_unsupported(&self) -> Result<(), ModelError> {
        for key in ["hidden_act", "hidden_activation"] {
            if self
                .map
                .get(key)
                .is_some_and(|act| act != "silu" && act != "swish")
            {
                return Err(self.wrong(key, "\"silu\""));
            }
        }
        if self
            .map
            .get("quantization_config")
            .is_some_and(|value| !value.is_null())
        {
            return Err(self.wrong(
                "quantization_config",
                "none, because only unquantised bases can be trained on",
            ));
        }
        if self
            .number("partial_rotary_factor")?
            .is_some_and(|factor| factor != 1.0)
        {
            return Err(self.wrong("partial_rotary_factor", "1"));
        }
        Ok(())
    }

    fn head_dim(
        &self,
        family: ModelFamily,
        hidden: usize,
        heads: usize,
    ) -> Result<usize, ModelError> {
        let default = if family == ModelFamily::Qwen3 {
            128
        } else {
            hidden / heads
        };
        Ok(self.optional("head_dim")?.unwrap_or(default))
    }

    fn check(&self, config: &ModelConfig) -> Result<(), ModelError> {
        if !config.heads.is_multiple_of(config.kv_heads) {
            let expected = format!("a divisor of num_attention_heads, {}", config.heads);
            return Err(self.wrong("num_key_value_heads", &expected));
        }
        if config.head_dim == 0 || !config.head_dim.is_multiple_of(2) {
            return Err(self.wrong("head_dim", "a positive even number"));
        }
        if config.family != ModelFamily::Qwen3
            && self.map.get("head_dim").is_none_or(Value::is_null)
            && !config.hidden_size.is_multiple_of(config.heads)
        {
            let expected = format!("a multiple of num_attention_heads, {}", config.heads);
            return Err(self.wrong("hidden_size", &expected));
        }
        Ok(())
    }

    /// Qwen2 and qwen3 configure a window that applies only when it is enabled.
    fn windows(
        &self,
        family: ModelFamily,
        layers: usize,
    ) -> Result<Vec<Option<usize>>, ModelError> {
        let enabled = match family {
            ModelFamily::Llama => false,
            ModelFamily::Mistral => true,
            ModelFamily::Qwen2 | ModelFamily::Qwen3 => self.boolean("use_sliding_window", false)?,
        };
        let window = if enabled {
            self.optional("sliding_window")?
        } else {
            None
        };
        let first = match family {
            ModelFamily::Qwen2 | ModelFamily::Qwen3 => {
                self.count("max_window_layers")?.unwrap_or(28)
            }
            _ => 0,
        };
        let by_position = |layer: usize| if layer >= first { window } else { None };
        let Some(Value::Array(types)) = self.map.get("layer_types") else {
            return Ok((0..layers).map(by_position).collect());
        };
        if types.len() != layers {
            return Err(self.wrong("layer_types", &format!("{layers} entries")));
        }
        types
            .iter()
            .map(|kind| match kind.as_str() {
                Some("full_attention") => Ok(None),
                Some("sliding_attention") => Ok(window),
                _ => Err(self.wrong("layer_types", "full_attention or sliding_attention")),
            })
            .collect()
    }

    /// The object with the rotary position parameters, which depends on the version of the file.
    fn rope(&self) -> Result<ConfigReader<'a>, ModelError> {
        static EMPTY: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
        for key in ["rope_parameters", "rope_scaling"] {
            match self.map.get(key) {
                None | Some(Value::Null) => {}
                Some(Value::Object(map)) => {
                    return Ok(ConfigReader {
                        path: self.path,
                        map,
                    });
                }
                Some(_) => return Err(self.wrong(key, "an object")),
            }
        }
        Ok(ConfigReader {
            path: self.path,
            map: &EMPTY,
        })
    }

    fn scaling(&self) -> Result<RopeScaling, ModelError> {
        let kind = self.map.get("rope_type").or(self.map.get("type"));
        match kind.map(|kind| kind.as_str().unwrap_or_default()) {
            None | Some("default") => Ok(RopeScaling::None),
            Some("linear") => Ok(RopeScaling::Linear {
                factor: self.required_number("factor")?,
            }),
            Some("llama3") => Ok(RopeScaling::Llama3 {
                factor: self.required_number("factor")?,
                low: self.required_number("low_freq_factor")?,
                high: self.required_number("high_freq_factor")?,
                original: self.required_number("original_max_position_embeddings")?,
            }),
            Some(found) => Err(ModelError::RopeType {
                path: self.path.to_owned(),
                found: found.to_owned(),
            }),
        }
    }

    fn wrong(&self, key: &str, expected: &str) -> ModelError {
        let found = self
            .map
            .get(key)
            .map_or("missing".to_owned(), Value::to_string);
        ModelError::Config {
            path: PathBuf::from(self.path),
            key: key.to_owned(),
            expected: expected.to_owned(),
            found,
        }
    }

    fn count(&self, key: &str) -> Result<Option<usize>, ModelError> {
        match self.map.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match value.as_u64() {
                Some(count) => Ok(Some(count as usize)),
                None => Err(self.wrong(key, "a whole number")),
            },
        }
    }

    fn optional(&self, key: &str) -> Result<Option<usize>, ModelError> {
        match self.count(key)? {
            Some(0) => Err(self.wrong(key, "a positive whole number")),
            count => Ok(count),
        }
    }

    fn positive(&self, key: &str) -> Result<usize, ModelError> {
        self.optional(key)?
            .ok_or_else(|| self.wrong(key, "a positive whole number"))
    }

    fn number(&self, key: &str) -> Result<Option<f64>, ModelError> {
        match self.map.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value
                .as_f64()
                .map(Some)
                .ok_or_else(|| self.wrong(key, "a number")),
        }
    }

    fn required_number(&self, key: &str) -> Result<f64, ModelError> {
        self.number(key)?.ok_or_else(|| self.wrong(key, "a number"))
    }

    fn boolean(&self, key: &str, default: bool) -> Result<bool, ModelError> {
        match self.map.get(key) {
            None | Some(Value::Null) => Ok(default),
            Some(Value::Bool(value)) => Ok(*value),
            Some(_) => Err(self.wrong(key, "true or false")),
        }
    }
}
