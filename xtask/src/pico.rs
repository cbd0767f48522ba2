//! Trains the embedded image model from nothing on icons that the project draws itself.
//!
//! Every example is a function of its number, and the length of the run is given in steps, so that the
//! same build gives the same files.

use std::time::Instant;

use openlora_diffusion::{
    CaptionEmbedding, DiffusionError, ImageAdamW, ImageExample, ImageModel, ImageModelConfig,
    ImageTrainOptions, ImageTrainer, TextEncoder, pixels_of,
};
use openlora_pictures::icons::{IconScene, IconSplit};
use rayon::prelude::*;

/// The model to build.
#[derive(Clone, Debug, PartialEq)]
pub struct PicoBuild {
    pub config: ImageModelConfig,
    pub steps: u64,
    /// Pictures per step.
    pub batch: u64,
    /// Highest learning rate.
    pub rate: f64,
    pub seed: u64,
}

impl PicoBuild {
    /// The embedded base.
    pub fn pico() -> Self {
        Self {
            config: ImageModelConfig::pico(),
            steps: 8000,
            batch: 16,
            rate: 2e-3,
            seed: 7,
        }
    }

    /// The learning rate of a step: it rises over the first steps, stays, and falls to nearly nothing.
    fn rate_at(&self, step: u64) -> f64 {
        let rising = ((step + 1) as f64 / WARMUP).min(1.0);
        let left = (self.steps - step) as f64 / self.steps as f64;
        self.rate * rising * (left / FALLING).clamp(FLOOR, 1.0)
    }

    fn options(&self) -> ImageTrainOptions {
        ImageTrainOptions {
            seed: self.seed,
            optimizer: ImageAdamW {
                beta2: 0.98,
                ..ImageAdamW::default()
            },
            caption_dropout: 0.1,
            clip: 1.0,
            mean_decay: 0.998,
        }
    }
}

/// Steps over which the learning rate rises.
const WARMUP: f64 = 100.0;
/// The part of the run at whose end the learning rate falls.
const FALLING: f64 = 0.5;
/// The last learning rate as a part of the highest.
const FLOOR: f64 = 0.02;

/// A progress event of the build.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PicoStep {
    pub step: u64,
    pub loss: f64,
    /// Pictures per second since the start.
    pub speed: f64,
}

/// A trained model.
#[derive(Clone, Debug)]
pub struct PicoResult {
    /// Its values are exact in bf16.
    pub model: ImageModel,
    /// Mean over the last tenth of the steps.
    pub loss: f64,
    /// Pictures that were drawn.
    pub pictures: u64,
}

/// Trains the model; the listener also sees its state.
///
/// # Errors
///
/// A caption that the encoder or the model does not read, and a loss that is not a number.
pub fn train_pico(
    build: &PicoBuild,
    encoder: &dyn TextEncoder,
    listener: &mut dyn FnMut(PicoStep, &ImageTrainer),
) -> Result<PicoResult, DiffusionError> {
    let model = ImageModel::random(build.config.clone(), build.seed)?;
    let mut trainer = ImageTrainer::of_model(model, build.options());
    let began = Instant::now();
    let (mut tail, mut counted) = (0.0, 0u32);
    for done in 0..build.steps {
        let numbers: Vec<u64> = (done * build.batch..(done + 1) * build.batch).collect();
        let lessons = numbers
            .par_chunks(DRAWN)
            .map(|numbers| build.lessons(numbers, encoder))
            .collect::<Result<Vec<_>, _>>()?
            .concat();
        let examples: Vec<ImageExample<'_>> = lessons.iter().map(IconLesson::example).collect();
        let loss = trainer.step(&examples, build.rate_at(done))?.loss;
        if done >= build.steps - build.steps.div_ceil(10) {
            tail += loss;
            counted += 1;
        }
        let step = done + 1;
        let speed = (step * build.batch) as f64 / began.elapsed().as_secs_f64().max(1e-9);
        listener(PicoStep { step, loss, speed }, &trainer);
    }
    Ok(PicoResult {
        model: trainer.mean_model().into_owned().rounded(),
        loss: tail / f64::from(counted.max(1)),
        pictures: build.steps * build.batch,
    })
}

/// Examples that one task draws, and whose captions are read together.
const DRAWN: usize = 8;

impl PicoBuild {
    fn lessons(
        &self,
        numbers: &[u64],
        encoder: &dyn TextEncoder,
    ) -> Result<Vec<IconLesson>, DiffusionError> {
        let scenes: Vec<IconScene> = numbers.iter().map(|number| self.scene(*number)).collect();
        let captions: Vec<String> = scenes
            .iter()
            .zip(numbers)
            .map(|(scene, number)| scene.caption(number.wrapping_mul(WORDING_STEP) >> 40))
            .collect();
        let size = self.config.image_size as u32;
        let lessons = scenes.iter().zip(encoder.encode_all(&captions)?);
        Ok(lessons
            .map(|(scene, caption)| IconLesson {
                pixels: pixels_of(&scene.draw(size).rgb),
                caption,
            })
            .collect())
    }

    fn scene(&self, number: u64) -> IconScene {
        IconScene::from_split((self.seed << 40) + number, IconSplit::Train)
    }
}

/// A drawn icon with the values of its caption.
#[derive(Clone)]
struct IconLesson {
    pixels: Vec<f32>,
    caption: CaptionEmbedding,
}

impl IconLesson {
    fn example(&self) -> ImageExample<'_> {
        ImageExample {
            pixels: &self.pixels,
            caption: &self.caption,
        }
    }
}

/// Spreads the numbers of examples over the wordings of captions.
const WORDING_STEP: u64 = 0x9E37_79B9_7F4A_7C15;
