//! Reading captions: the tokenizer of the base's text encoder, and its hidden states.

use std::sync::Arc;

use openlora_diffusion::{
    CONFIG_FILE, ImageModelConfig, NanoTextEncoder, T5TextEncoder, TextEncoder,
};
use openlora_model::{PictureBase, nano::NANO};

use super::super::{error::TrainError, run::files};

/// The text encoder of a base.
///
/// # Errors
///
/// Files that are damaged, or of a kind of model that is not read.
pub fn open_text_encoder(base: &PictureBase) -> Result<Arc<dyn TextEncoder>, TrainError> {
    let config = ImageModelConfig::parse(&files::read(&base.dir.join(CONFIG_FILE))?)?;
    Ok(match config.text_encoder.as_str() {
        NANO => Arc::new(NanoTextEncoder::open(&base.text_dir)?),
        _ => Arc::new(T5TextEncoder::open(&base.text_dir)?),
    })
}
