//! A base in memory, and the turns of those who compute with it.

use std::sync::{Arc, atomic::AtomicBool};

use openlora_diffusion::{
    CaptionEmbedding, DiffusionError, FlowSampler, ImageAdapter, ImageModel, MAX_GUIDANCE,
    MAX_STEPS, SampleRequest, TextEncoder, sample_pixels,
};
use openlora_engine::{EngineError, ImageLimits};
use tokio::sync::Semaphore;

/// The engine and the version of its arithmetic, as receipts name it.
pub const IMAGE_ARITHMETIC: &str = "diffusion/1";

/// Pictures that are made at the same time: each computes on all cores.
const TURNS: usize = 1;

/// A picture's price does not depend on its steps, so they are bounded: by twice the base's own number,
/// or by twice this one.
const FEW_STEPS: usize = 50;

/// The strongest guidance that is of use.
const STRONG_GUIDANCE: f64 = 20.0;

/// What the effect of an adapter is tried on.
const TEST_CAPTIONS: [&str; 2] = ["a red circle", "two blue squares on white"];

/// The least change of a value in [-1, 1] that counts as an effect.
const LEAST_EFFECT: f32 = 1e-6;

/// A base for pictures with the text encoder that reads its captions.
pub struct ImageHost {
    pub(super) model: Arc<ImageModel>,
    pub(super) encoder: Arc<dyn TextEncoder>,
    pub(super) turns: Arc<Semaphore>,
    /// Bytes of the encoder's longest token, if known.
    pub(super) longest_token: Option<usize>,
}

impl ImageHost {
    pub fn new(
        model: Arc<ImageModel>,
        encoder: Arc<dyn TextEncoder>,
        longest_token: Option<usize>,
    ) -> Self {
        Self {
            model,
            encoder,
            turns: Arc::new(Semaphore::new(TURNS)),
            longest_token,
        }
    }

    /// The method by which pictures are integrated.
    pub(super) const SAMPLER: FlowSampler = FlowSampler::Euler;

    pub fn limits(&self) -> ImageLimits {
        let config = self.model.config();
        let pixels = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let most_steps = config.default_steps.max(FEW_STEPS).saturating_mul(2);
        ImageLimits {
            patch: pixels(config.patch_size),
            smallest: pixels(config.image_size),
            largest: pixels(config.image_size),
            usual: pixels(config.image_size),
            steps: pixels(config.default_steps),
            most_steps: pixels(most_steps.min(MAX_STEPS)),
            guidance: config.default_guidance,
            most_guidance: config.default_guidance.clamp(STRONG_GUIDANCE, MAX_GUIDANCE),
            sampler: match Self::SAMPLER {
                FlowSampler::Euler => "euler",
                FlowSampler::Heun => "heun",
            },
        }
    }

    pub(super) fn require_effect(
        &self,
        name: &str,
        adapter: &ImageAdapter,
    ) -> Result<(), EngineError> {
        let failed = |error: DiffusionError| EngineError::Unsupported {
            name: name.to_owned(),
            reason: error.to_string(),
            hint: None,
        };
        let mut most = 0.0_f32;
        for text in TEST_CAPTIONS {
            let caption = self.encoder.encode(text).map_err(failed)?;
            let with = self.one_step(&caption, Some(adapter)).map_err(failed)?;
            let without = self.one_step(&caption, None).map_err(failed)?;
            let differences = with.iter().zip(&without).map(|(a, b)| (a - b).abs());
            most = differences.fold(most, f32::max);
        }
        match most > LEAST_EFFECT {
            true => Ok(()),
            false => Err(EngineError::Unsupported {
                name: name.to_owned(),
                reason: format!(
                    "the adapter changes nothing: on {} test captions, pictures differ from the \
                     base's by at most {most:e}",
                    TEST_CAPTIONS.len()
                ),
                hint: Some(
                    "check that the adapter was saved after training: its lora_B factors are zero"
                        .to_owned(),
                ),
            }),
        }
    }

    fn one_step(
        &self,
        caption: &CaptionEmbedding,
        adapter: Option<&ImageAdapter>,
    ) -> Result<Vec<f32>, DiffusionError> {
        let request = SampleRequest {
            caption,
            seed: 0,
            steps: 1,
            guidance: 1.0,
            sampler: Self::SAMPLER,
        };
        sample_pixels(&self.model, adapter, &request, &AtomicBool::new(false))
    }
}
