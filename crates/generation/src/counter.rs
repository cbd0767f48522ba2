//! What can be said of calls of a model without its weights.

use std::sync::Arc;

use super::served::{count, tokens};
use openlora_engine::{
    Engine, EngineError, EngineLimits, GenerationStream, LabelProbabilities, Prompt, SamplingParams,
};
use openlora_model::{BaseModel, text::TextCodec};

/// The text of a base: it renders, counts and tokenises prompts, and answers none.
#[derive(Clone)]
pub struct PromptCounter {
    name: String,
    codec: Arc<TextCodec>,
    context: usize,
}

impl PromptCounter {
    /// Reads the tokenizer of a base. `context` is the longest prompt and answer together in tokens.
    ///
    /// # Errors
    ///
    /// The base has no tokenizer that can be read.
    pub fn open(name: &str, base: &BaseModel, context: usize) -> Result<Self, EngineError> {
        let codec = TextCodec::open(&base.dir).map_err(|error| EngineError::Unsupported {
            name: name.to_owned(),
            reason: error.to_string(),
            hint: None,
        })?;
        Ok(Self::new(name, Arc::new(codec), context))
    }

    /// The same with a tokenizer that was read.
    pub fn new(name: &str, codec: Arc<TextCodec>, context: usize) -> Self {
        Self {
            name: name.to_owned(),
            codec,
            context,
        }
    }

    /// The tokenizer.
    pub fn codec(&self) -> &Arc<TextCodec> {
        &self.codec
    }

    /// The same for a model of another name and context.
    pub fn for_adapter(&self, name: &str, context: usize) -> Self {
        Self::new(name, Arc::clone(self.codec()), context)
    }

    fn no_weights(&self) -> EngineError {
        EngineError::Busy {
            name: self.name.clone(),
            reason: "it is not loaded".to_owned(),
        }
    }
}

#[async_trait::async_trait]
impl Engine for PromptCounter {
    fn limits(&self) -> EngineLimits {
        EngineLimits {
            context_tokens: self.context,
        }
    }

    fn longest_token(&self) -> Option<usize> {
        Some(self.codec.longest_token())
    }

    async fn count_prompt(&self, prompt: &Prompt) -> Result<u64, EngineError> {
        count(&self.codec, prompt).await
    }

    fn tokens(&self, prompt: &Prompt, answer: &str, ended: bool) -> Option<(Vec<u32>, Vec<u32>)> {
        tokens(&self.codec, prompt, answer, ended)
    }

    async fn generate(
        &self,
        _prompt: Prompt,
        _sampling: SamplingParams,
    ) -> Result<GenerationStream, EngineError> {
        Err(self.no_weights())
    }

    async fn classify(
        &self,
        _prompt: Prompt,
        _labels: &[String],
    ) -> Result<LabelProbabilities, EngineError> {
        Err(self.no_weights())
    }
}
