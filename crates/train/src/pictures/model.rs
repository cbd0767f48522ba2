//! A base for pictures in memory, and adapters of PEFT's format over it.

use std::sync::Arc;

use openlora_diffusion::{
    CONFIG_FILE, CaptionEmbedding, DiffusionError, ImageAdapter, ImageAdapterConfig, ImageModel,
    TextEncoder,
};
use openlora_model::{
    PictureBase,
    adapter::{LoraAdapter, check_against},
};

use super::{
    super::{config::TrainConfig, error::TrainError, run::files},
    text::open_text_encoder,
};

/// The denoiser, and what reads captions for it.
#[derive(Clone)]
pub struct PictureModel {
    pub denoiser: Arc<ImageModel>,
    pub captions: Arc<dyn TextEncoder>,
}

impl PictureModel {
    /// Loads the files of a base.
    ///
    /// # Errors
    ///
    /// Files that are damaged or hold something else.
    pub fn load(base: &PictureBase) -> Result<Self, TrainError> {
        let config = files::read(&base.dir.join(CONFIG_FILE))?;
        let mut weights = base.weight_files()?;
        let weights = match (weights.pop(), weights.is_empty()) {
            (Some(file), true) => files::read(file.as_path())?,
            _ => {
                let reason = "the weights are in several files; expected one".to_owned();
                return Err(DiffusionError::Weights { reason }.into());
            }
        };
        Ok(Self {
            denoiser: Arc::new(ImageModel::read(&config, &weights)?),
            captions: open_text_encoder(base)?,
        })
    }

    /// Side of its pictures, in pixels.
    pub fn side(&self) -> u32 {
        self.denoiser.config().image_size as u32
    }

    /// The text encoder's values for a caption.
    ///
    /// # Errors
    ///
    /// A caption without tokens, or with too many.
    pub fn caption(&self, text: &str) -> Result<CaptionEmbedding, DiffusionError> {
        let read = self.captions.encode(text)?;
        let (found, most) = (read.tokens(), self.denoiser.config().prompt_length);
        match found > most {
            true => Err(DiffusionError::CaptionTooLong { found, most }),
            false => Ok(read),
        }
    }

    /// Fresh factors for these settings.
    ///
    /// # Errors
    ///
    /// Targets that name no module, and a rank that the model does not have.
    pub fn fresh_adapter(&self, config: &TrainConfig) -> Result<ImageAdapter, TrainError> {
        // The factor of B·A is alpha / rank.
        let alpha = match config.rslora {
            true => config.alpha * (config.rank as f64).sqrt(),
            false => config.alpha,
        };
        let wanted = ImageAdapterConfig {
            rank: config.rank,
            alpha,
            targets: config.targets.clone(),
        };
        Ok(ImageAdapter::random(&self.denoiser, &wanted, config.seed)?)
    }

    /// An adapter that was read from its folder.
    ///
    /// # Errors
    ///
    /// It does not belong to the base.
    pub fn adapter(
        &self,
        base: &PictureBase,
        adapter: &LoraAdapter,
    ) -> Result<ImageAdapter, TrainError> {
        check_against(adapter, &base.modules)?;
        Ok(ImageAdapter::from_peft(&self.denoiser, adapter)?)
    }
}
