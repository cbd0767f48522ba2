//! Engines that make pictures from prompts.

use std::pin::Pin;

use futures::Stream;

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
    /// Evaluations of the model in one step, with one branch.
    pub evaluations_per_step: u32,
}

impl ImageLimits {
    /// Evaluations of the model for one picture.
    pub fn evaluations(&self, steps: u32, guidance: f64) -> u64 {
        u64::from(steps) * u64::from(self.evaluations_per_step) * u64::from(guidance_branches(guidance))
    }
}

/// How often a step evaluates the model: with the prompt, and under guidance also without.
pub fn guidance_branches(guidance: f64) -> u32 {
    if guidance == 1.0 { 1 } else { 2 }
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

/// A step of making a picture.
#[derive(Clone, Debug, PartialEq)]
pub enum ImageStep {
    /// So many integration steps are done.
    Progress { steps: u32 },
    /// The picture is complete.
    Done(GeneratedImage),
}

/// A picture, and what it took.
#[derive(Clone, Debug, PartialEq)]
pub struct GeneratedImage {
    pub picture: Picture,
    /// Evaluations of the model.
    pub evaluations: u64,
}

pub type ImageStream = Pin<Box<dyn Stream<Item = Result<ImageStep, EngineError>> + Send>>;

/// A model that makes pictures, with at most one adapter.
#[async_trait::async_trait]
pub trait ImageEngine: Send + Sync {
    fn image_limits(&self) -> ImageLimits;

    /// Makes one picture. Requests wait for each other; dropping the stream takes a waiting one out of
    /// the queue, and stops a running one after its current step.
    ///
    /// # Errors
    ///
    /// A size, a number of steps or a guidance outside of the limits, and a prompt that is too long.
    async fn generate_image(&self, request: ImageRequest) -> Result<ImageStream, EngineError>;
}
