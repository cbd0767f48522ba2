//! Traits that the outside implements for the runtime.
//!
//! An [`Engine`] turns tokens into tokens. The HTTP surface and metering know only this trait,
//! so that another engine (a remote one too) can stand behind them.

use std::pin::Pin;

use futures::Stream;

use super::event::Usage;

/// Sizes that a loaded model imposes on requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest prompt and answer together, in tokens.
    pub context_tokens: usize,
}

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Message {
    pub role: String,
    pub content: String,
}

/// What the model is to continue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prompt {
    /// Rendered with the base's chat template.
    Chat(Vec<Message>),
    /// Continued as it stands.
    Text(String),
}

/// How tokens are chosen. `temperature: None` means greedy.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    pub max_tokens: usize,
    pub temperature: Option<f64>,
    pub top_p: Option<f64>,
    pub top_k: Option<usize>,
    pub min_p: Option<f64>,
    pub frequency_penalty: Option<f32>,
    pub presence_penalty: Option<f32>,
    pub stop: Vec<String>,
    /// Number of alternatives to report per token.
    pub logprobs: Option<usize>,
}

/// A generated token's probability and its best alternatives.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct TokenLogprob {
    pub token: String,
    pub logprob: f32,
    pub top: Vec<(String, f32)>,
}

/// One step of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Generated {
    /// Newly decoded text; `tokens` is how many tokens it stands for.
    Delta { text: String, tokens: u64, logprobs: Vec<TokenLogprob> },
    /// The answer is complete.
    Done { usage: Usage, finish: super::event::Finish },
}

/// Probability of every label, in the order asked for, summing to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Classified {
    pub probabilities: Vec<f64>,
    pub usage: Usage,
}

pub type Generation = Pin<Box<dyn Stream<Item = Result<Generated, super::serve::ServeError>> + Send>>;

/// A model with at most one adapter merged into it, ready to answer.
#[async_trait::async_trait]
pub trait Engine: Send + Sync {
    fn limits(&self) -> Limits;

    /// Counts the tokens that a prompt will take, as the engine will render it.
    async fn count_prompt(&self, prompt: &Prompt) -> Result<u64, super::serve::ServeError>;

    /// Streams an answer; dropping the stream stops generation.
    async fn generate(&self, prompt: Prompt, sampling: Sampling)
    -> Result<Generation, super::serve::ServeError>;

    /// Likelihood of each label as the continuation of the prompt.
    async fn classify(&self, prompt: Prompt, labels: &[String])
    -> Result<Classified, super::serve::ServeError>;
}
