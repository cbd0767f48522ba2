//! The interface of inference engines: an [`Engine`] turns prompts into answers.
//!
//! The HTTP surface, metering and attribution know only this trait, so that another engine, also a
//! remote one, can implement it. This crate knows neither an implementation nor HTTP.
//!
//! ```no_run
//! use futures::StreamExt;
//! use openlora_engine::{Engine, EngineError, GenerationStep, Prompt, SamplingParams};
//!
//! async fn complete(engine: &dyn Engine, text: &str) -> Result<String, EngineError> {
//!     let sampling = SamplingParams {
//!         max_tokens: 64,
//!         ..SamplingParams::default()
//!     };
//!     let prompt = Prompt::Text(text.to_owned());
//!     let mut steps = engine.generate(prompt, sampling).await?;
//!     let mut answer = String::new();
//!     while let Some(step) = steps.next().await {
//!         if let GenerationStep::Delta { text, .. } = step? {
//!             answer.push_str(&text);
//!         }
//!     }
//!     Ok(answer)
//! }
//! ```

mod error;
mod images;
mod isolation;
mod loading;
mod quant;
mod record;
mod share;
pub mod turns;

use std::{pin::Pin, sync::Arc};

use futures::Stream;

pub use error::EngineError;
pub use images::{GeneratedImage, ImageEngine, ImageLimits, ImageRequest};
pub use isolation::{EngineIsolation, IsolationLimit};
pub use loading::{EngineIdentity, EngineSpec, LoadedEngine, ModelLoader};
pub use quant::{Quant, QuantChoice, megabytes};
pub use share::FairShareKey;

use openlora_ledger::event::{FinishReason, TokenUsage};
use openlora_model::text::ChatMessage;

/// Limits that a loaded model imposes on requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineLimits {
    /// Longest prompt and answer together, in tokens.
    pub context_tokens: usize,
}

/// The input of the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prompt {
    /// Rendered with the base's chat template.
    Chat(Vec<ChatMessage>),
    /// Continued as it stands.
    Text(String),
}

/// Sampling parameters. `temperature: None` (or 0) means greedy.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SamplingParams {
    /// Longest answer; the engine lowers it to the remaining context.
    pub max_tokens: usize,
    pub temperature: Option<f64>,
    pub top_p: Option<f64>,
    pub top_k: Option<usize>,
    pub min_p: Option<f64>,
    /// Penalties look at the answer only, not at the prompt.
    pub frequency_penalty: Option<f32>,
    pub presence_penalty: Option<f32>,
    /// Divides positive and multiplies negative logits of tokens that the prompt or the answer
    /// contains, as in Hugging Face's and vLLM's samplers; 1 has no effect.
    pub repetition_penalty: Option<f32>,
    /// Tokens before which nothing ends the answer.
    pub min_tokens: usize,
    /// Stop strings; they are not part of the answer.
    pub stop: Vec<String>,
    /// Tokens that end the answer, besides the model's own; they are not part of it.
    pub stop_token_ids: Vec<u32>,
    /// Number of alternatives to report per token.
    pub logprobs: Option<usize>,
    /// The same seed, prompt and settings give the same answer.
    pub seed: Option<u64>,
}

/// A token of the vocabulary, and its bytes. A token may hold a part of a character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VocabularyToken {
    pub id: u32,
    pub bytes: Vec<u8>,
}

impl VocabularyToken {
    /// The token as text; bytes that are no whole character are written as `\xNN`.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for chunk in self.bytes.utf8_chunks() {
            text.push_str(chunk.valid());
            for byte in chunk.invalid() {
                text.push_str(&format!("\\x{byte:02x}"));
            }
        }
        text
    }

    /// Whether its bytes are whole characters.
    pub fn is_text(&self) -> bool {
        std::str::from_utf8(&self.bytes).is_ok()
    }
}

/// A generated token's natural-log probability under the model, before temperature and
/// penalties, and its best alternatives.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenLogprob {
    pub token: VocabularyToken,
    pub logprob: f32,
    pub top: Vec<(VocabularyToken, f32)>,
    /// Characters of the answer before the one that the token begins in.
    pub offset: usize,
}

/// One step of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum GenerationStep {
    /// Newly decoded text, and the number of tokens generated since the last delta. Over an answer
    /// they sum to `completion_tokens`: every computed token, including those that a stop string
    /// withholds or cuts off, but not the end token. `logprobs` are those of the tokens whose text
    /// is delivered.
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

/// Probability of every label, in the requested order, summing to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelProbabilities {
    pub probabilities: Vec<f64>,
    pub usage: TokenUsage,
}

pub type GenerationStream = Pin<Box<dyn Stream<Item = Result<GenerationStep, EngineError>> + Send>>;

/// A model with at most one adapter.
#[async_trait::async_trait]
pub trait Engine: Send + Sync {
    fn limits(&self) -> EngineLimits;

    /// Bytes of the longest token, if known. A prompt with more bytes than this per token of
    /// context cannot fit, so it is refused without tokenising.
    fn longest_token(&self) -> Option<usize> {
        None
    }

    /// Counts the tokens of a prompt as the engine renders it.
    async fn count_prompt(&self, prompt: &Prompt) -> Result<u64, EngineError>;

    /// The tokens of a prompt and of its answer as in training, including the end token if the
    /// model ended the answer; none if the engine cannot provide them.
    fn tokens(&self, prompt: &Prompt, answer: &str, ended: bool) -> Option<(Vec<u32>, Vec<u32>)> {
        let _ = (prompt, answer, ended);
        None
    }

    /// This model for one call that counts for `payer`. Its weights stay in memory until what is
    /// returned and the answers begun with it are dropped. `None`: this engine itself serves as well.
    ///
    /// Call it before money is taken for the call.
    ///
    /// # Errors
    ///
    /// The weights have left memory, and cannot come back now or at all.
    async fn for_call(&self, payer: &FairShareKey) -> Result<Option<Arc<dyn Engine>>, EngineError> {
        let _ = payer;
        Ok(None)
    }

    /// This model as a maker of pictures; `None` if it answers with text. A prompt for a picture is
    /// a [`Prompt::Text`], and may fill the context.
    fn images(&self) -> Option<&dyn ImageEngine> {
        None
    }

    /// What confines the process that computes, if it is another than this one.
    fn isolation(&self) -> Option<EngineIsolation> {
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
