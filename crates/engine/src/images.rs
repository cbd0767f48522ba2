//! Engines that make pictures from prompts.

use super::EngineError;
use openlora_pictures::Picture;

/// What a loaded model allows of pictures, and what it does unless a request says otherwise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ImageLimits {
    /// Sides of a picture are multiples of it, in pixels.
    pub patch: u32,
    /// The shortest and the longest side that the model makes, in pixels.
    pub smallest: u32,
    pub largest: u32,
    /// Side of the square that the model makes without a size in the request, in pixels.
    pub usual: u32,
    /// Integration steps without a number in the request, and at most.
    pub steps: u32,
    pub most_steps: u32,
    /// Guidance without a number in the request, and at most; 1 is none.
    pub guidance: f64,
    pub most_guidance: f64,
    /// The method of integration, such as `euler`.
    pub sampler: &'static str,
}

/// One picture to make. The same request gives the same pixels, alone or among others.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageRequest {
    pub prompt: String,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// Integration steps, at least 1.
    pub steps: u32,
    /// Weight of the prompt against no prompt; 1 evaluates the model with the prompt alone.
    pub guidance: f64,
    pub seed: u64,
}

/// A picture, and what it took.
#[derive(Clone, Debug, PartialEq)]
pub struct GeneratedImage {
    pub picture: Picture,
    /// Evaluations of the model.
    pub evaluations: u64,
}

/// A model that makes pictures, with at most one adapter.
#[async_trait::async_trait]
pub trait ImageEngine: Send + Sync {
    fn image_limits(&self) -> ImageLimits;

    /// Makes one picture. Requests wait for each other; dropping the future takes a waiting one out of
    /// the queue, and stops a running one after its current step.
    ///
    /// # Errors
    ///
    /// A size, a number of steps or a guidance outside of the limits, and a prompt that is too long.
    async fn generate_image(&self, request: ImageRequest) -> Result<GeneratedImage, EngineError>;
}
