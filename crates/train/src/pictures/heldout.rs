//! Held-out pictures, and the loss on them at times and noise that are the same for every model.

use std::sync::Arc;

use openlora_diffusion::{CaptionEmbedding, ImageAdapter, ImageExample, TimeNoise, example_losses};
use rayon::prelude::*;

use super::{
    super::error::TrainError, captions::CaptionCache, data::PictureDataset, model::PictureModel,
};

/// Times and noises at which each picture is measured.
const POINTS: usize = 4;
/// Seed of the noise.
const SEED: u64 = 0x6865_6c64;
/// Pictures between two reports of progress.
const GROUP: usize = 16;

/// Pictures and what the text encoder reads of their captions.
pub struct HeldOutPictures {
    rows: Vec<HeldOutPicture>,
}

struct HeldOutPicture {
    text: String,
    pixels: Vec<f32>,
    caption: Arc<CaptionEmbedding>,
    points: Vec<TimeNoise>,
}

impl HeldOutPictures {
    /// # Errors
    ///
    /// A caption that the text encoder cannot read, by path and line.
    pub fn new(model: &PictureModel, dataset: &PictureDataset) -> Result<Self, TrainError> {
        let mut captions = CaptionCache::new(model);
        let config = model.denoiser.config();
        let rows = dataset.rows.iter().enumerate().map(|(at, row)| {
            Ok(HeldOutPicture {
                text: row.caption.clone(),
                pixels: row.pixels(),
                caption: captions.of_row(row)?,
                points: TimeNoise::stratified(config, SEED + at as u64, POINTS),
            })
        });
        Ok(Self {
            rows: rows.collect::<Result<_, TrainError>>()?,
        })
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The captions in order.
    pub(super) fn captions(&self) -> impl Iterator<Item = &str> {
        self.rows.iter().map(|row| row.text.as_str())
    }

    /// A caption and what the text encoder reads of it.
    pub(super) fn caption(&self, at: usize) -> (&str, &CaptionEmbedding) {
        let row = &self.rows[at];
        (&row.text, &row.caption)
    }

    /// The mean loss of the base, or of an adapter over it. `progress` receives the completed and the
    /// total number of pictures.
    ///
    /// # Errors
    ///
    /// Pictures of another size than the model's.
    pub fn loss(
        &self,
        model: &PictureModel,
        adapter: Option<&ImageAdapter>,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<f64, TrainError> {
        let (mut sum, mut done) = (0.0, 0);
        for group in self.rows.chunks(GROUP) {
            let one = |row: &HeldOutPicture| {
                let example = ImageExample {
                    pixels: &row.pixels,
                    caption: &row.caption,
                };
                example_losses(&model.denoiser, adapter, &example, &row.points)
            };
            let losses = group.par_iter().map(one).collect::<Result<Vec<_>, _>>()?;
            for losses in losses {
                sum += losses.iter().sum::<f64>() / losses.len() as f64;
            }
            done += group.len() as u64;
            progress(done, self.rows.len() as u64);
        }
        Ok(sum / self.rows.len().max(1) as f64)
    }
}
