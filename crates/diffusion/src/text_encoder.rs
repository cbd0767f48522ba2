//! The text encoders of image models: the embedded language model for `pico`, T5 for MiniT2I.

use std::{
    fs,
    path::Path,
    sync::{Mutex, PoisonError},
};

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::t5::{Config as T5Config, T5EncoderModel};
use openlora_model::text::TextCodec;

use crate::{
    caption::{CaptionEmbedding, TextEncoder},
    error::DiffusionError,
    nano_text::LlamaStates,
};

/// `nano`'s hidden states.
pub struct NanoTextEncoder {
    codec: TextCodec,
    states: LlamaStates,
}

impl NanoTextEncoder {
    /// Opens the folder of the unpacked base.
    ///
    /// # Errors
    ///
    /// A file that is missing, malformed or of another kind of model.
    pub fn open(dir: &Path) -> Result<Self, DiffusionError> {
        let states = LlamaStates::read(
            &read(&dir.join("config.json"))?,
            &read(&dir.join("model.safetensors"))?,
        )?;
        let codec = TextCodec::open(dir).map_err(problem)?;
        Ok(Self { codec, states })
    }

    fn ids(&self, caption: &str) -> Result<Vec<u32>, DiffusionError> {
        caption_ids(&self.codec, caption, false)
    }
}

impl TextEncoder for NanoTextEncoder {
    fn width(&self) -> usize {
        self.states.width()
    }

    fn count(&self, caption: &str) -> Result<usize, DiffusionError> {
        Ok(self.ids(caption)?.len())
    }

    fn encode(&self, caption: &str) -> Result<CaptionEmbedding, DiffusionError> {
        self.states.caption(&self.ids(caption)?)
    }

    fn encode_all(&self, captions: &[String]) -> Result<Vec<CaptionEmbedding>, DiffusionError> {
        let ids = captions
            .iter()
            .map(|caption| self.codec.encode(caption.trim(), false));
        let ids = ids.collect::<Result<Vec<_>, _>>().map_err(problem)?;
        let ids: Vec<&[u32]> = ids.iter().map(Vec::as_slice).collect();
        self.states.captions(&ids)
    }
}

/// Tokens of a caption at most: what T5 was trained on. The memory of its attention grows with their square.
const MOST_TOKENS: usize = 512;

/// The encoder half of a T5, in f32.
pub struct T5TextEncoder {
    codec: TextCodec,
    /// It keeps a cache, for which it must be borrowed exclusively.
    model: Mutex<T5EncoderModel>,
    width: usize,
}

impl T5TextEncoder {
    /// Opens a folder with `config.json`, `tokenizer.json` and `model.safetensors`.
    ///
    /// # Errors
    ///
    /// A file that is missing, malformed or of another kind of model.
    pub fn open(dir: &Path) -> Result<Self, DiffusionError> {
        let config: T5Config =
            serde_json::from_slice(&read(&dir.join("config.json"))?).map_err(problem)?;
        let weights = read(&dir.join("model.safetensors"))?;
        let weights = VarBuilder::from_buffered_safetensors(weights, DType::F32, &Device::Cpu);
        let model = T5EncoderModel::load(weights.map_err(problem)?, &config).map_err(problem)?;
        Ok(Self {
            codec: TextCodec::open(dir).map_err(problem)?,
            model: Mutex::new(model),
            width: config.d_model,
        })
    }

    /// The values of token ids. Padding is left out, because nothing attends to it.
    ///
    /// # Errors
    ///
    /// No ids, more than 512, or one that is not in the vocabulary.
    pub fn encode_ids(&self, ids: &[u32]) -> Result<CaptionEmbedding, DiffusionError> {
        if ids.is_empty() {
            return Err(DiffusionError::EmptyCaption);
        }
        if ids.len() > MOST_TOKENS {
            let (found, most) = (ids.len(), MOST_TOKENS);
            return Err(DiffusionError::CaptionTooLong { found, most });
        }
        let ids = Tensor::new(ids, &Device::Cpu).and_then(|ids| ids.unsqueeze(0));
        let mut model = self.model.lock().unwrap_or_else(PoisonError::into_inner);
        let states = model.forward(&ids.map_err(problem)?).map_err(problem)?;
        let values = states.flatten_all().and_then(|states| states.to_vec1());
        CaptionEmbedding::new(self.width, values.map_err(problem)?)
    }
}

impl TextEncoder for T5TextEncoder {
    fn width(&self) -> usize {
        self.width
    }

    fn count(&self, caption: &str) -> Result<usize, DiffusionError> {
        Ok(caption_ids(&self.codec, caption, true)?.len())
    }

    fn encode(&self, caption: &str) -> Result<CaptionEmbedding, DiffusionError> {
        self.encode_ids(&caption_ids(&self.codec, caption, true)?)
    }
}

fn caption_ids(
    codec: &TextCodec,
    caption: &str,
    add_special: bool,
) -> Result<Vec<u32>, DiffusionError> {
    match caption.trim() {
        "" => Err(DiffusionError::EmptyCaption),
        caption => codec.encode(caption, add_special).map_err(problem),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, DiffusionError> {
    fs::read(path).map_err(|error| DiffusionError::TextEncoder {
        reason: format!("{}: {error}", path.display()),
    })
}

fn problem(reason: impl ToString) -> DiffusionError {
    DiffusionError::TextEncoder {
        reason: reason.to_string(),
    }
}
