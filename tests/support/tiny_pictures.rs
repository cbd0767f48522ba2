//! A base for pictures with random weights: 16×16 pixels, in patches of 8.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use openlora_diffusion::{
    CaptionEmbedding, DiffusionError, ImageAdapter, ImageAdapterConfig, ImageModel,
    ImageModelConfig, TextEncoder,
};
use openlora_engine::{
    Engine, EngineError, EngineLimits, FairShareKey, GeneratedImage, GenerationStream, ImageEngine,
    ImageLimits, ImageRequest, LabelProbabilities, Prompt, SamplingParams,
};
use openlora_image_engine::{DiffusionEngine, ImageHost};
use tokio::sync::Semaphore;

/// Words of a caption at most.
pub const CAPTION: usize = 12;
/// Side of a picture in pixels.
pub const SIDE: u32 = 16;
/// Steps of a picture that says nothing else.
pub const STEPS: u32 = 4;

/// A word is a token: a vector that its letters determine.
struct WordEncoder;

const WIDTH: usize = 8;

impl TextEncoder for WordEncoder {
    fn width(&self) -> usize {
        WIDTH
    }

    fn count(&self, caption: &str) -> Result<usize, DiffusionError> {
        Ok(caption.split_whitespace().count())
    }

    fn encode(&self, caption: &str) -> Result<CaptionEmbedding, DiffusionError> {
        let words: Vec<&str> = caption.split_whitespace().collect();
        if words.len() > CAPTION {
            return Err(DiffusionError::CaptionTooLong {
                found: words.len(),
                most: CAPTION,
            });
        }
        let value = |word: &str, at: usize| {
            let seed = word.bytes().fold(at as u64 + 1, |sum, byte| {
                sum.wrapping_mul(0x100_0000_01b3) ^ u64::from(byte)
            });
            (seed >> 11) as f32 / (1u64 << 53) as f32 - 0.5
        };
        let values = words
            .iter()
            .flat_map(|word| (0..WIDTH).map(|at| value(word, at)))
            .collect();
        CaptionEmbedding::new(WIDTH, values)
    }
}

fn config() -> ImageModelConfig {
    ImageModelConfig {
        image_size: SIDE as usize,
        patch_size: 8,
        text_width: WIDTH,
        width: 16,
        text_blocks: 1,
        double_blocks: 1,
        heads: 2,
        head_dim: 8,
        bottleneck: 8,
        prompt_length: CAPTION,
        default_steps: STEPS as usize,
        default_guidance: 2.0,
        ..ImageModelConfig::pico()
    }
}

/// The base, in memory.
pub fn tiny_host() -> Arc<ImageHost> {
    let model = Arc::new(ImageModel::random(config(), 5).unwrap());
    Arc::new(ImageHost::new(model, Arc::new(WordEncoder), Some(64)))
}

/// The base without an adapter.
pub fn tiny_engine() -> DiffusionEngine {
    tiny_host().engine("tiny", None).unwrap()
}

/// An adapter of the base that changes its pictures.
pub fn tiny_adapter(seed: u64) -> ImageAdapter {
    let model = ImageModel::random(config(), 5).unwrap();
    let fresh = ImageAdapter::random(&model, &ImageAdapterConfig::default(), seed).unwrap();
    // Fresh factors B are zero and would change nothing.
    let values = fresh.values().iter().enumerate();
    let moved = values.map(|(at, value)| value + 0.05 * ((at % 7) as f32 - 3.0));
    fresh.with_values(moved.collect()).unwrap()
}

/// The real engine, which a prompt steers: `!fail` fails but for the seed 1, `!step` waits for a permit.
pub struct SteeredPictures {
    inner: DiffusionEngine,
    steps: Arc<Semaphore>,
    begun: Arc<AtomicUsize>,
}

impl SteeredPictures {
    /// Counts the pictures that are begun.
    pub fn new(steps: &Arc<Semaphore>, begun: &Arc<AtomicUsize>) -> Self {
        Self {
            inner: tiny_engine(),
            steps: Arc::clone(steps),
            begun: Arc::clone(begun),
        }
    }
}

#[async_trait::async_trait]
impl ImageEngine for SteeredPictures {
    fn image_limits(&self) -> ImageLimits {
        self.inner.image_limits()
    }

    async fn generate_image(&self, request: ImageRequest) -> Result<GeneratedImage, EngineError> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        if request.prompt.contains("!step") {
            self.steps.acquire().await.unwrap().forget();
        }
        if request.prompt.contains("!fail") && request.seed != 1 {
            return Err(EngineError::Failed("scripted".to_owned()));
        }
        self.inner.generate_image(request).await
    }
}

#[async_trait::async_trait]
impl Engine for SteeredPictures {
    fn limits(&self) -> EngineLimits {
        self.inner.limits()
    }

    fn longest_token(&self) -> Option<usize> {
        self.inner.longest_token()
    }

    async fn for_call(&self, _: &FairShareKey) -> Result<Option<Arc<dyn Engine>>, EngineError> {
        Ok(None)
    }

    async fn count_prompt(&self, prompt: &Prompt) -> Result<u64, EngineError> {
        self.inner.count_prompt(prompt).await
    }

    fn images(&self) -> Option<&dyn ImageEngine> {
        Some(self)
    }

    async fn generate(
        &self,
        prompt: Prompt,
        sampling: SamplingParams,
    ) -> Result<GenerationStream, EngineError> {
        self.inner.generate(prompt, sampling).await
    }

    async fn classify(
        &self,
        prompt: Prompt,
        labels: &[String],
    ) -> Result<LabelProbabilities, EngineError> {
        self.inner.classify(prompt, labels).await
    }
}
