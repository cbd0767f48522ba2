//! What answers calls: an [`Engine`] turns tokens into tokens.
//!
//! The HTTP surface, metering and attribution know only this trait, so that another engine (a remote
//! one too) can stand behind it. What an engine is made of, and HTTP, are unknown here.

mod error;
pub mod turns;

use std::pin::Pin;

use futures::Stream;

pub use error::EngineError;

use super::{
    event::{FinishReason, TokenUsage},
    model::text::ChatMessage,
};

/// Sizes that a loaded model imposes on requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineLimits {
    /// Longest prompt and answer together, in tokens.
    pub context_tokens: usize,
}

/// What the model is to continue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prompt {
    /// Rendered with the base's chat template.
    Chat(Vec<ChatMessage>),
    /// Continued as it stands.
    Text(String),
}

/// How tokens are chosen. `temperature: None` (or 0) means greedy.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SamplingParams {
    /// Longest answer; the engine lowers it to what the context still holds.
    pub max_tokens: usize,
    pub temperature: Option<f64>,
    pub top_p: Option<f64>,
    pub top_k: Option<usize>,
    pub min_p: Option<f64>,
    /// Penalties look at the answer only, not at the prompt.
    pub frequency_penalty: Option<f32>,
    pub presence_penalty: Option<f32>,
    /// Texts that end the answer; they are not part of it.
    pub stop: Vec<String>,
    /// Number of alternatives to report per token.
    pub logprobs: Option<usize>,
    /// Same seed, prompt and settings: same answer.
    pub seed: Option<u64>,
}

/// A generated token's natural-log probability under the model, before temperature and
/// penalties, and its best alternatives.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct TokenLogprob {
    pub token: String,
    pub logprob: f32,
    pub top: Vec<(String, f32)>,
}

/// One step of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum GenerationStep {
    /// Newly decoded text, and how many tokens were generated since the last one. Over an answer
    /// they sum to `completion_tokens`: every token that was computed for it, also those that a
    /// stop string holds back or cuts off, but not the token that ends the answer. `logprobs` are
    /// those of the tokens whose text is delivered.
    Delta {
        text: String,
        tokens: u64,
        logprobs: Vec<TokenLogprob>,
    },
    /// The answer is complete.
    Done {
        usage: TokenUsage,
        finish: FinishReason,
    },
}

/// Probability of every label, in the order asked for, summing to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelProbabilities {
    pub probabilities: Vec<f64>,
    pub usage: TokenUsage,
}

pub type GenerationStream = Pin<Box<dyn Stream<Item = Result<GenerationStep, EngineError>> + Send>>;

/// A model with at most one adapter merged into it, ready to answer.
#[async_trait::async_trait]
pub trait Engine: Send + Sync {
    fn limits(&self) -> EngineLimits;

    /// Bytes of the longest token, if it is known: a prompt of more than so many bytes per token of
    /// the context does not fit, which is told without counting.
    fn longest_token(&self) -> Option<usize> {
        None
    }

    /// Counts the tokens that a prompt will take, as the engine will render it.
    async fn count_prompt(&self, prompt: &Prompt) -> Result<u64, EngineError>;

    /// The tokens of a prompt and of an answer to it, as training saw them, with the token that
    /// ends an answer where the model ended it; nothing where the engine cannot tell.
    fn tokens(&self, prompt: &Prompt, answer: &str, ended: bool) -> Option<(Vec<u32>, Vec<u32>)> {
        let _ = (prompt, answer, ended);
        None
    }

    /// Streams an answer; dropping the stream stops generation.
    async fn generate(
        &self,
        prompt: Prompt,
        sampling: SamplingParams,
    ) -> Result<GenerationStream, EngineError>;

    /// Likelihood of each label as the continuation of the prompt.
    async fn classify(
        &self,
        prompt: Prompt,
        labels: &[String],
    ) -> Result<LabelProbabilities, EngineError>;
}
