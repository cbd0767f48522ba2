//! A loaded model for the server: prompts in, answers and label probabilities out.
//!
//! Prompts are rendered and tokenised as in training, and requests that cannot be answered are
//! refused before they reach the model.

use std::sync::Arc;

use super::{
    labels::{LabelPrompt, answer_tokens},
    walk::Generation,
};
use openlora_engine::{
    Engine, EngineError, EngineLimits, FairShareKey, GenerationStream, LabelProbabilities, Prompt,
    SamplingParams,
};
use openlora_ledger::event::TokenUsage;
use openlora_model::{
    dataset::choices::{LabelChoices, LabelFork, arg_max},
    text::TextCodec,
};

/// A base with at most one adapter, from token ids to logits.
#[async_trait::async_trait]
pub trait TokenModel: Send + Sync + 'static {
    /// This model for one call that counts for `payer`; see [`Engine::for_call`].
    async fn for_call(&self, payer: &FairShareKey) -> Result<Option<Self>, EngineError>
    where
        Self: Sized,
    {
        let _ = payer;
        Ok(None)
    }

    /// Starts the answer `walk` to the prompt `ids`. The prompt and the longest answer fit the
    /// context.
    async fn start_answer(
        &self,
        ids: Vec<u32>,
        walk: Generation,
    ) -> Result<GenerationStream, EngineError>;

    /// The logits of every fork's children, in their order: those of the token after `prefix` and
    /// the fork's path.
    async fn fork_logits(
        &self,
        prefix: &[u32],
        forks: &[LabelFork],
    ) -> Result<Vec<Vec<f32>>, EngineError>;
}

/// A [`TokenModel`] with the text of its base: an [`Engine`].
pub struct ServedModel<M> {
    /// Name in messages: the adapter's name, or the base's.
    pub name: String,
    pub model: M,
    pub codec: Arc<TextCodec>,
    /// Longest prompt and answer together, in tokens.
    pub context: usize,
}

/// The tokens of a prompt as in training: a message cannot write special tokens, a raw text can.
fn encode(codec: &TextCodec, prompt: &Prompt) -> Result<Vec<u32>, EngineError> {
    let ids = match prompt {
        Prompt::Chat(messages) => codec.encode_chat(messages, true).map(|chat| chat.ids()),
        Prompt::Text(text) => codec.encode(text, true),
    };
    match ids {
        Err(error) => Err(invalid(prompt, error.to_string())),
        Ok(ids) if ids.is_empty() => Err(invalid(prompt, "the prompt is empty".to_owned())),
        Ok(ids) => Ok(ids),
    }
}

/// The number of tokens of a prompt.
pub(crate) async fn count(codec: &Arc<TextCodec>, prompt: &Prompt) -> Result<u64, EngineError> {
    let (codec, prompt) = (Arc::clone(codec), prompt.clone());
    // A long prompt takes time, which must not block connections.
    let encoded = tokio::task::spawn_blocking(move || encode(&codec, &prompt)).await;
    let encoded = encoded.map_err(|error| EngineError::Failed(error.to_string()))?;
    Ok(encoded?.len() as u64)
}

/// The tokens of a prompt and its answer; see [`Engine::tokens`].
pub(crate) fn tokens(
    codec: &TextCodec,
    prompt: &Prompt,
    answer: &str,
    ended: bool,
) -> Option<(Vec<u32>, Vec<u32>)> {
    let asked = encode(codec, prompt).ok()?;
    let answer = answer_tokens(codec, prompt, &asked, answer, ended)?;
    Some((asked, answer))
}

impl<M: TokenModel> ServedModel<M> {
    fn encode(&self, prompt: &Prompt) -> Result<Vec<u32>, EngineError> {
        encode(&self.codec, prompt)
    }

    /// The maximum number of tokens of an answer to a prompt of `length` tokens.
    fn room(&self, length: usize, prompt: &Prompt) -> Result<usize, EngineError> {
        let (name, context) = (&self.name, self.context);
        match context.saturating_sub(length) {
            0 => Err(invalid(
                prompt,
                format!(
                    "the prompt has {length} tokens; {name} takes {context} tokens with the answer"
                ),
            )),
            room => Ok(room),
        }
    }

    async fn probabilities(&self, choices: &LabelChoices) -> Result<Vec<f64>, EngineError> {
        let forks = choices.forks();
        let logits = self.model.fork_logits(&choices.prefix, &forks).await?;
        if logits.iter().flatten().any(|logit| !logit.is_finite()) {
            let reason = "the model gave a logit that is no number for a label";
            return Err(EngineError::Failed(reason.to_owned()));
        }
        let likelihoods = choices.log_likelihoods(&forks, &logits);
        let mut probabilities: Vec<f64> = likelihoods.into_iter().map(libm::exp).collect();
        let total: f64 = probabilities.iter().sum();
        probabilities
            .iter_mut()
            .for_each(|probability| *probability /= total);
        Ok(probabilities)
    }
}

fn invalid(prompt: &Prompt, message: String) -> EngineError {
    let parameter = match prompt {
        Prompt::Chat(_) => "messages",
        Prompt::Text(_) => "prompt",
    };
    EngineError::Invalid {
        message,
        parameter: Some(parameter),
    }
}

#[async_trait::async_trait]
impl<M: TokenModel> Engine for ServedModel<M> {
    fn limits(&self) -> EngineLimits {
        EngineLimits {
            context_tokens: self.context,
        }
    }

    fn longest_token(&self) -> Option<usize> {
        Some(self.codec.longest_token())
    }

    async fn for_call(&self, payer: &FairShareKey) -> Result<Option<Arc<dyn Engine>>, EngineError> {
        let Some(model) = self.model.for_call(payer).await? else {
            return Ok(None);
        };
        Ok(Some(Arc::new(ServedModel {
            name: self.name.clone(),
            model,
            codec: Arc::clone(&self.codec),
            context: self.context,
        })))
    }

    async fn count_prompt(&self, prompt: &Prompt) -> Result<u64, EngineError> {
        count(&self.codec, prompt).await
    }

    fn tokens(&self, prompt: &Prompt, answer: &str, ended: bool) -> Option<(Vec<u32>, Vec<u32>)> {
        tokens(&self.codec, prompt, answer, ended)
    }

    async fn generate(
        &self,
        prompt: Prompt,
        mut sampling: SamplingParams,
    ) -> Result<GenerationStream, EngineError> {
        let ids = self.encode(&prompt)?;
        let room = self.room(ids.len(), &prompt)?;
        if sampling.max_tokens == 0 {
            return Err(EngineError::Invalid {
                message: "max_tokens is 0, expected at least 1".to_owned(),
                parameter: Some("max_tokens"),
            });
        }
        sampling.max_tokens = sampling.max_tokens.min(room);
        let walk = Generation::new(self.codec.clone(), sampling, &ids);
        self.model.start_answer(ids, walk).await
    }

    async fn classify(
        &self,
        prompt: Prompt,
        names: &[String],
    ) -> Result<LabelProbabilities, EngineError> {
        let length = self.encode(&prompt)?.len();
        let labels = LabelPrompt::new(&self.codec, &prompt, names).map_err(|message| {
            EngineError::Invalid {
                message,
                parameter: Some("labels"),
            }
        })?;
        if labels.choices.prefix.is_empty() {
            let message = "the labels change the prompt's first token, so they have no common \
                           beginning to choose from; use a longer prompt";
            return Err(invalid(&prompt, message.to_owned()));
        }
        let longest = labels.longest();
        if length + longest > self.context {
            let (name, context) = (&self.name, self.context);
            let message = format!(
                "the prompt has {length} tokens and the longest label {longest}; {name} takes \
                 {context} together"
            );
            return Err(invalid(&prompt, message));
        }
        let probabilities = self.probabilities(&labels.choices).await?;
        let usage = TokenUsage {
            prompt_tokens: length as u64,
            completion_tokens: labels.lengths[arg_max(&probabilities)] as u64,
        };
        Ok(LabelProbabilities {
            probabilities,
            usage,
        })
    }
}
