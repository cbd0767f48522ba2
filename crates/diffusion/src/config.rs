//! Sizes of an image model, as `config.json` of a diffusers transformer has them.

use serde_json::{Map, Value, json};

use crate::error::DiffusionError;

/// Sizes and constants of a two-stream transformer that predicts pictures from noisy pixels.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageModelConfig {
    /// Pixels per side; a multiple of `patch_size`.
    pub image_size: usize,
    pub patch_size: usize,
    /// Values per token of the text encoder.
    pub text_width: usize,
    /// Width of both streams: `heads` × `head_dim`.
    pub width: usize,
    /// Blocks of the text alone, before those of both streams.
    pub text_blocks: usize,
    pub double_blocks: usize,
    pub heads: usize,
    /// A multiple of 4.
    pub head_dim: usize,
    /// Inner width of the feed-forward layers over `width`; rounded up to a multiple of 8.
    pub mlp_ratio: f64,
    /// Width of the bottleneck through which patches enter.
    pub bottleneck: usize,
    /// Most tokens of a caption.
    pub prompt_length: usize,
    /// Captions are filled up to `prompt_length` with the learned mask token, as MiniT2I does. Otherwise
    /// only a dropped caption has one, alone.
    pub padded: bool,
    /// Standard deviation of the noise at t = 0, where pixels are in [-1, 1].
    pub noise_scale: f64,
    /// Least 1 − t by which a difference is divided to give a velocity.
    pub time_floor: f64,
    /// Least 1 − t by whose square the training's loss is divided. A larger one than `time_floor`
    /// gives the end of the path less weight.
    pub loss_floor: f64,
    /// Mean and deviation of the logit of t in training.
    pub time_mean: f64,
    pub time_deviation: f64,
    /// Evaluations per branch that a picture takes unless a request says otherwise.
    pub default_steps: usize,
    pub default_guidance: f64,
    /// The text encoder: `nano`, or a Hub id of a T5 encoder.
    pub text_encoder: String,
}

/// Colour channels of a picture.
pub const CHANNELS: usize = 3;

impl ImageModelConfig {
    /// The embedded base.
    pub fn pico() -> Self {
        Self {
            image_size: 64,
            patch_size: 8,
            text_width: 512,
            width: 128,
            text_blocks: 1,
            double_blocks: 4,
            heads: 4,
            head_dim: 32,
            mlp_ratio: 8.0 / 3.0,
            bottleneck: 64,
            prompt_length: 48,
            padded: false,
            noise_scale: 4.0,
            time_floor: 0.01,
            loss_floor: 0.25,
            time_mean: -0.4,
            time_deviation: 1.4,
            default_steps: 24,
            default_guidance: 2.5,
            text_encoder: "nano".to_owned(),
        }
    }

    /// The published MiniT2I-B/16.
    pub fn minit2i_b16() -> Self {
        Self {
            image_size: 512,
            patch_size: 16,
            text_width: 1024,
            width: 768,
            text_blocks: 2,
            double_blocks: 17,
            heads: 12,
            head_dim: 64,
            mlp_ratio: 8.0 / 3.0,
            bottleneck: 128,
            prompt_length: 256,
            padded: true,
            noise_scale: 2.0,
            time_floor: 0.05,
            loss_floor: 0.05,
            time_mean: -0.8,
            time_deviation: 0.8,
            default_steps: 100,
            default_guidance: 6.0,
            text_encoder: "google/flan-t5-large".to_owned(),
        }
    }

    /// Inner width of the feed-forward layers.
    pub fn hidden(&self) -> usize {
        ((self.width as f64 * self.mlp_ratio) as usize).next_multiple_of(8)
    }

    /// Patches per side.
    pub fn side(&self) -> usize {
        self.image_size / self.patch_size
    }

    /// Patches of a picture.
    pub fn patches(&self) -> usize {
        self.side() * self.side()
    }

    /// Values of a patch.
    pub fn patch_values(&self) -> usize {
        self.patch_size * self.patch_size * CHANNELS
    }

    /// Values of a picture.
    pub fn pixels(&self) -> usize {
        self.image_size * self.image_size * CHANNELS
    }

    /// Reads `config.json`. Keys that MiniT2I does not have take its values when they are absent.
    ///
    /// # Errors
    ///
    /// JSON that is malformed, a key that is missing, unknown or has a value that this crate cannot
    /// compute with.
    pub fn parse(bytes: &[u8]) -> Result<Self, DiffusionError> {
        let value: Value = serde_json::from_slice(bytes).map_err(|error| problem(error, ""))?;
        let Value::Object(map) = value else {
            return Err(problem("it is no object", ""));
        };
        let reader = ConfigReader { map };
        let config = reader.read()?;
        config.check()?;
        Ok(config)
    }

    /// `config.json`, in a fixed order of keys.
    pub fn to_json(&self) -> Vec<u8> {
        let value = json!({
            "_class_name": "MiniT2IMMJiTModel",
            "image_size": self.image_size,
            "patch_size": self.patch_size,
            "in_channels": CHANNELS,
            "txt_input_size": self.text_width,
            "hidden_size": self.width,
            "txt_hidden_size": self.width,
            "depth_double": self.double_blocks,
            "txt_preamble_depth": self.text_blocks,
            "num_heads": self.heads,
            "head_dim": self.head_dim,
            "mlp_ratio": self.mlp_ratio,
            "pca_channels": self.bottleneck,
            "prompt_length": self.prompt_length,
            "padded": self.padded,
            "noise_scale": self.noise_scale,
            "time_floor": self.time_floor,
            "loss_floor": self.loss_floor,
            "t_lognorm_mu": self.time_mean,
            "t_lognorm_sigma": self.time_deviation,
            "n_T": self.default_steps,
            "guidance": self.default_guidance,
            "prediction": "x",
            "llm": self.text_encoder,
        });
        let mut text = serde_json::to_vec_pretty(&value).unwrap_or_default();
        text.push(b'\n');
        text
    }

    /// # Errors
    ///
    /// Sizes that do not fit each other.
    pub fn check(&self) -> Result<(), DiffusionError> {
        let positive = [
            ("image_size", self.image_size),
            ("patch_size", self.patch_size),
            ("txt_input_size", self.text_width),
            ("hidden_size", self.width),
            ("depth_double", self.double_blocks),
            ("num_heads", self.heads),
            ("head_dim", self.head_dim),
            ("pca_channels", self.bottleneck),
            ("prompt_length", self.prompt_length),
            ("n_T", self.default_steps),
        ];
        for (key, value) in positive {
            if value == 0 || value > 1 << 20 {
                return Err(problem("expected 1 to 1048576", key));
            }
        }
        if !self.image_size.is_multiple_of(self.patch_size) {
            return Err(problem("expected a multiple of patch_size", "image_size"));
        }
        if self.heads * self.head_dim != self.width || !self.width.is_multiple_of(4) {
            return Err(problem(
                "expected num_heads times head_dim, and a multiple of 4",
                "hidden_size",
            ));
        }
        if !self.head_dim.is_multiple_of(4) {
            return Err(problem("expected a multiple of 4", "head_dim"));
        }
        let reals = [
            ("mlp_ratio", self.mlp_ratio),
            ("noise_scale", self.noise_scale),
            ("time_floor", self.time_floor),
            ("loss_floor", self.loss_floor),
            ("t_lognorm_sigma", self.time_deviation),
        ];
        for (key, value) in reals {
            if !(value > 0.0 && value < 1e3) {
                return Err(problem("expected a number above 0", key));
            }
        }
        Ok(())
    }
}

/// Keys without a meaning for the computation.
const IGNORED: &[&str] = &[
    "_class_name",
    "_diffusers_version",
    "_name_or_path",
    "cond_vec_size",
    "sampler",
];

const KNOWN: &[&str] = &[
    "image_size",
    "patch_size",
    "in_channels",
    "txt_input_size",
    "hidden_size",
    "txt_hidden_size",
    "depth_double",
    "txt_preamble_depth",
    "num_heads",
    "head_dim",
    "mlp_ratio",
    "pca_channels",
    "prompt_length",
    "padded",
    "noise_scale",
    "time_floor",
    "loss_floor",
    "t_lognorm_mu",
    "t_lognorm_sigma",
    "n_T",
    "guidance",
    "prediction",
    "llm",
    "cfg_channels",
    "cfg_interval",
];

struct ConfigReader {
    map: Map<String, Value>,
}

impl ConfigReader {
    fn read(&self) -> Result<ImageModelConfig, DiffusionError> {
        for key in self.map.keys().map(String::as_str) {
            if !KNOWN.contains(&key) && !IGNORED.contains(&key) {
                return Err(problem("this key is not known", key));
            }
        }
        self.expect("in_channels", &json!(CHANNELS))?;
        self.expect("prediction", &json!("x"))?;
        self.expect("cfg_channels", &json!(3))?;
        self.expect("cfg_interval", &json!([0.0, 1.0]))?;
        let width = self.size("hidden_size")?;
        self.expect("txt_hidden_size", &json!(width))?;
        let published = ImageModelConfig::minit2i_b16();
        let time_floor = self.real("time_floor", published.time_floor)?;
        Ok(ImageModelConfig {
            image_size: self.size("image_size")?,
            patch_size: self.size("patch_size")?,
            text_width: self.size("txt_input_size")?,
            width,
            text_blocks: self.size("txt_preamble_depth")?,
            double_blocks: self.size("depth_double")?,
            heads: self.size("num_heads")?,
            head_dim: self.size("head_dim")?,
            mlp_ratio: self.real("mlp_ratio", published.mlp_ratio)?,
            bottleneck: self.size("pca_channels")?,
            prompt_length: self.size("prompt_length")?,
            padded: match self.map.get("padded") {
                None => published.padded,
                Some(Value::Bool(padded)) => *padded,
                Some(_) => return Err(problem("expected true or false", "padded")),
            },
            noise_scale: self.real("noise_scale", published.noise_scale)?,
            time_floor,
            loss_floor: self.real("loss_floor", time_floor)?,
            time_mean: self.real("t_lognorm_mu", published.time_mean)?,
            time_deviation: self.real("t_lognorm_sigma", published.time_deviation)?,
            default_steps: self.size("n_T")?,
            default_guidance: self.real("guidance", published.default_guidance)?,
            text_encoder: match self.map.get("llm") {
                Some(Value::String(name)) => name.clone(),
                _ => return Err(problem("expected the name of the text encoder", "llm")),
            },
        })
    }

    fn size(&self, key: &'static str) -> Result<usize, DiffusionError> {
        let value = self.map.get(key).and_then(Value::as_u64);
        let value = value.and_then(|value| usize::try_from(value).ok());
        value.ok_or_else(|| problem("expected a whole number", key))
    }

    fn real(&self, key: &'static str, absent: f64) -> Result<f64, DiffusionError> {
        match self.map.get(key) {
            None => Ok(absent),
            Some(value) => value
                .as_f64()
                .ok_or_else(|| problem("expected a number", key)),
        }
    }

    fn expect(&self, key: &'static str, only: &Value) -> Result<(), DiffusionError> {
        match self.map.get(key) {
            Some(value) if value != only => Err(problem(format!("expected {only}"), key)),
            _ => Ok(()),
        }
    }
}

fn problem(reason: impl ToString, key: &str) -> DiffusionError {
    DiffusionError::Config {
        key: key.to_owned(),
        reason: reason.to_string(),
    }
}
