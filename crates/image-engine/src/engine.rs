//! One adapter over a base, as an engine.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use openlora_diffusion::{
    DiffusionError, ImageAdapter, SampleRequest, branches, sample, sample_cost,
};
use openlora_engine::{
    Engine, EngineError, EngineLimits, GeneratedImage, GenerationStream, ImageEngine, ImageLimits,
    ImageRequest, LabelProbabilities, Prompt, SamplingParams,
};

use super::host::ImageHost;

/// Makes pictures with a base and at most one adapter. Cheap to clone.
#[derive(Clone)]
pub struct DiffusionEngine {
    host: Arc<ImageHost>,
    name: Arc<str>,
    adapter: Option<Arc<ImageAdapter>>,
}

impl ImageHost {
    /// An engine over this base, with an adapter or without.
    ///
    /// # Errors
    ///
    /// The adapter changes no picture.
    pub fn engine(
        self: &Arc<Self>,
        name: &str,
        adapter: Option<ImageAdapter>,
    ) -> Result<DiffusionEngine, EngineError> {
        if let Some(adapter) = &adapter {
            self.require_effect(name, adapter)?;
        }
        Ok(DiffusionEngine::new(Arc::clone(self), name, adapter))
    }
}

impl DiffusionEngine {
    pub(super) fn new(host: Arc<ImageHost>, name: &str, adapter: Option<ImageAdapter>) -> Self {
        Self {
            host,
            name: name.into(),
            adapter: adapter.map(Arc::new),
        }
    }

    fn makes_pictures(&self) -> EngineError {
        EngineError::Unsupported {
            name: self.name.to_string(),
            reason: "it makes pictures, and answers with no text".to_owned(),
            hint: None,
        }
    }

    /// Refuses what the caller may not ask for. Routes check the same with names of their own.
    fn check(&self, request: &ImageRequest) -> Result<(), EngineError> {
        let limits = self.host.limits();
        let wrong = |parameter, message: String| {
            Err(EngineError::Invalid {
                message,
                parameter: Some(parameter),
            })
        };
        let ImageRequest { width, height, .. } = *request;
        if [width, height] != [limits.usual; 2] {
            let side = limits.usual;
            let message = format!("the model makes {side}x{side} pixels, found {width}x{height}");
            return wrong("size", message);
        }
        if !(1..=limits.most_steps).contains(&request.steps) {
            let most = limits.most_steps;
            let message = format!("steps must be from 1 to {most}, found {}", request.steps);
            return wrong("steps", message);
        }
        if !(1.0..=limits.most_guidance).contains(&request.guidance) {
            let (most, found) = (limits.most_guidance, request.guidance);
            let message = format!("guidance must be from 1 to {most}, found {found}");
            return wrong("guidance", message);
        }
        Ok(())
    }

    /// Blocks until the picture is complete or `cancel` is set.
    fn make(
        &self,
        request: &ImageRequest,
        cancel: &AtomicBool,
    ) -> Result<GeneratedImage, EngineError> {
        let ImageHost { model, encoder, .. } = &*self.host;
        let caption = encoder.encode(&request.prompt).map_err(engine_error)?;
        let wanted = SampleRequest {
            caption: &caption,
            seed: request.seed,
            steps: request.steps as usize,
            guidance: request.guidance,
            sampler: ImageHost::SAMPLER,
        };
        let picture = sample(model, self.adapter.as_deref(), &wanted, cancel);
        let evaluations = sample_cost(wanted.steps, branches(wanted.guidance), wanted.sampler);
        Ok(GeneratedImage {
            picture: picture.map_err(engine_error)?,
            evaluations: evaluations as u64,
        })
    }
}

/// Stops a picture when the future that waits for it is dropped.
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[async_trait::async_trait]
impl ImageEngine for DiffusionEngine {
    fn image_limits(&self) -> ImageLimits {
        self.host.limits()
    }

    async fn generate_image(&self, request: ImageRequest) -> Result<GeneratedImage, EngineError> {
        self.check(&request)?;
        let turn = Arc::clone(&self.host.turns).acquire_owned().await;
        let turn = turn.map_err(|error| EngineError::Failed(error.to_string()))?;
        let cancel = Arc::new(AtomicBool::new(false));
        let _cancel_on_drop = CancelOnDrop(Arc::clone(&cancel));
        let engine = self.clone();
        let made = tokio::task::spawn_blocking(move || {
            let made = engine.make(&request, &cancel);
            // The turn ends with the work, also if the request was dropped.
            drop(turn);
            made
        });
        made.await
            .unwrap_or_else(|error| Err(EngineError::Failed(error.to_string())))
    }
}

#[async_trait::async_trait]
impl Engine for DiffusionEngine {
    fn limits(&self) -> EngineLimits {
        EngineLimits {
            context_tokens: self.host.model.config().prompt_length,
        }
    }

    fn longest_token(&self) -> Option<usize> {
        self.host.longest_token
    }

    async fn count_prompt(&self, prompt: &Prompt) -> Result<u64, EngineError> {
        let Prompt::Text(text) = prompt else {
            return Err(self.makes_pictures());
        };
        let (encoder, text) = (Arc::clone(&self.host.encoder), text.clone());
        let counted = tokio::task::spawn_blocking(move || {
            let counted = encoder.count(&text).map_err(engine_error)?;
            Ok(counted as u64)
        });
        counted
            .await
            .unwrap_or_else(|error| Err(EngineError::Failed(error.to_string())))
    }

    fn images(&self) -> Option<&dyn ImageEngine> {
        Some(self)
    }

    async fn generate(
        &self,
        _: Prompt,
        _: SamplingParams,
    ) -> Result<GenerationStream, EngineError> {
        Err(self.makes_pictures())
    }

    async fn classify(&self, _: Prompt, _: &[String]) -> Result<LabelProbabilities, EngineError> {
        Err(self.makes_pictures())
    }
}

/// What a caller can mend is the caller's; the rest is ours.
fn engine_error(error: DiffusionError) -> EngineError {
    let parameter = match &error {
        DiffusionError::CaptionTooLong { .. } | DiffusionError::EmptyCaption => Some("prompt"),
        DiffusionError::Steps { .. } => Some("steps"),
        DiffusionError::Guidance { .. } => Some("guidance"),
        _ => None,
    };
    match parameter {
        Some(_) => EngineError::Invalid {
            message: error.to_string(),
            parameter,
        },
        None => EngineError::Failed(error.to_string()),
    }
}
