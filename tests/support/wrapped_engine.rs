//! An engine that passes calls on to another one, with a change.

use std::sync::Arc;

use openlora_engine::{
    Engine, EngineError, EngineLimits, FairShareKey, GenerationStream, ImageEngine,
    LabelProbabilities, Prompt, SamplingParams,
};

/// What differs from the engine inside; nothing by default.
#[async_trait::async_trait]
pub trait EngineChange: Send + Sync + 'static {
    fn tokens(
        &self,
        inner: &dyn Engine,
        prompt: &Prompt,
        answer: &str,
        ended: bool,
    ) -> Option<(Vec<u32>, Vec<u32>)> {
        inner.tokens(prompt, answer, ended)
    }

    async fn generate(
        &self,
        inner: &dyn Engine,
        prompt: Prompt,
        sampling: SamplingParams,
    ) -> Result<GenerationStream, EngineError> {
        inner.generate(prompt, sampling).await
    }

    async fn classify(
        &self,
        inner: &dyn Engine,
        prompt: Prompt,
        labels: &[String],
    ) -> Result<LabelProbabilities, EngineError> {
        inner.classify(prompt, labels).await
    }
}

struct WrappedEngine {
    inner: Arc<dyn Engine>,
    change: Arc<dyn EngineChange>,
}

/// `inner` with a change, also for the calls that it hands an engine of their own.
pub fn wrapped(inner: Arc<dyn Engine>, change: Arc<dyn EngineChange>) -> Arc<dyn Engine> {
    Arc::new(WrappedEngine { inner, change })
}

#[async_trait::async_trait]
impl Engine for WrappedEngine {
    fn limits(&self) -> EngineLimits {
        self.inner.limits()
    }

    fn longest_token(&self) -> Option<usize> {
        self.inner.longest_token()
    }

    async fn count_prompt(&self, prompt: &Prompt) -> Result<u64, EngineError> {
        self.inner.count_prompt(prompt).await
    }

    fn tokens(&self, prompt: &Prompt, answer: &str, ended: bool) -> Option<(Vec<u32>, Vec<u32>)> {
        self.change.tokens(&*self.inner, prompt, answer, ended)
    }

    async fn for_call(&self, payer: &FairShareKey) -> Result<Option<Arc<dyn Engine>>, EngineError> {
        let own = self.inner.for_call(payer).await?;
        Ok(own.map(|inner| wrapped(inner, Arc::clone(&self.change))))
    }

    fn images(&self) -> Option<&dyn ImageEngine> {
        self.inner.images()
    }

    async fn generate(
        &self,
        prompt: Prompt,
        sampling: SamplingParams,
    ) -> Result<GenerationStream, EngineError> {
        self.change.generate(&*self.inner, prompt, sampling).await
    }

    async fn classify(
        &self,
        prompt: Prompt,
        labels: &[String],
    ) -> Result<LabelProbabilities, EngineError> {
        self.change.classify(&*self.inner, prompt, labels).await
    }
}
