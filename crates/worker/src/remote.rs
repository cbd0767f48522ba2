//! An engine whose weights are in a worker. The worker is not trusted: prompts are counted here, and what
//! it answers is held against what was asked.

use std::sync::Arc;

use futures::stream;
use tokio::{io::BufReader, net::UnixStream};

use crate::{
    link::{BEGINNING, COMPUTING, WorkerLink},
    wire::{WireLogprob, WorkerReply, WorkerRequest},
};
use openlora_engine::{
    Engine, EngineError, EngineIsolation, EngineLimits, FairShareKey, GenerationStep,
    GenerationStream, LabelProbabilities, Prompt, SamplingParams,
};
use openlora_generation::PromptCounter;
use openlora_ledger::event::{FinishReason, TokenUsage};

/// How far the probabilities of labels may be from 1 together.
const NEAR: f64 = 1e-6;

/// An adapter in a worker.
pub struct WorkerEngine {
    link: Arc<WorkerLink>,
    counter: PromptCounter,
    /// Ends the worker with the last user of the engine.
    _owner: Arc<dyn std::any::Any + Send + Sync>,
}

impl WorkerEngine {
    /// An engine over a worker, which `owner` keeps running.
    pub fn new(
        link: Arc<WorkerLink>,
        counter: PromptCounter,
        owner: Arc<dyn std::any::Any + Send + Sync>,
    ) -> Self {
        Self {
            link,
            counter,
            _owner: owner,
        }
    }
}

/// A running answer.
struct RunningAnswer {
    link: Arc<WorkerLink>,
    stream: BufReader<UnixStream>,
    prompt_tokens: u64,
    /// Tokens that may still come, and bytes of text.
    tokens_left: u64,
    bytes_left: u64,
    logprobs: AskedLogprobs,
    taken: u64,
    is_over: bool,
}

/// Log probabilities that may still come.
struct AskedLogprobs {
    left: u64,
    /// Alternatives of a token.
    alternatives: usize,
    /// Bytes of a token.
    longest: usize,
}

impl AskedLogprobs {
    /// Whether these are no more than was asked for.
    fn take(&mut self, given: &[WireLogprob]) -> bool {
        let Some(left) = self.left.checked_sub(given.len() as u64) else {
            return false;
        };
        self.left = left;
        given
            .iter()
            .all(|it| it.is_within(self.alternatives, self.longest))
    }
}

impl RunningAnswer {
    async fn step(&mut self) -> Result<GenerationStep, EngineError> {
        let reply = self.link.next(&mut self.stream, COMPUTING).await?;
        let broken = |problem: &str| self.link.broken(problem);
        match reply.ok_or_else(|| broken("it ended"))? {
            WorkerReply::Delta {
                text,
                tokens,
                logprobs,
            } => {
                let too_much = || broken("it answers more than was asked for");
                let left = self.tokens_left.checked_sub(tokens);
                let room = self.bytes_left.checked_sub(text.len() as u64);
                let fits = self.logprobs.take(&logprobs);
                let (Some(left), Some(room), true) = (left, room, fits) else {
                    return Err(too_much());
                };
                // Nothing would bound their number.
                if tokens == 0 && text.is_empty() {
                    return Err(broken("it sends a part of an answer without content"));
                }
                (self.tokens_left, self.bytes_left) = (left, room);
                self.taken += tokens;
                Ok(GenerationStep::Delta {
                    text,
                    tokens,
                    logprobs: logprobs.into_iter().map(Into::into).collect(),
                })
            }
            WorkerReply::Done { finish, .. } => {
                if !matches!(finish, FinishReason::Stop | FinishReason::Length) {
                    return Err(broken("it ends an answer as only a server can"));
                }
                // As counted here.
                let usage = TokenUsage {
                    prompt_tokens: self.prompt_tokens,
                    completion_tokens: self.taken,
                };
                Ok(GenerationStep::Done { usage, finish })
            }
            WorkerReply::Error(error) => Err(error.into_engine(self.link.name())),
            WorkerReply::Facts(_) | WorkerReply::Started | WorkerReply::Labels { .. } => {
                Err(broken("it answers something else"))
            }
        }
    }
}

#[async_trait::async_trait]
impl Engine for WorkerEngine {
    fn limits(&self) -> EngineLimits {
        self.counter.limits()
    }

    fn longest_token(&self) -> Option<usize> {
        self.counter.longest_token()
    }

    async fn count_prompt(&self, prompt: &Prompt) -> Result<u64, EngineError> {
        self.counter.count_prompt(prompt).await
    }

    fn tokens(&self, prompt: &Prompt, answer: &str, ended: bool) -> Option<(Vec<u32>, Vec<u32>)> {
        self.counter.tokens(prompt, answer, ended)
    }

    fn isolation(&self) -> Option<EngineIsolation> {
        Some(self.link.isolation())
    }

    async fn for_call(
        &self,
        _payer: &FairShareKey,
    ) -> Result<Option<Arc<dyn Engine>>, EngineError> {
        self.link.require_running()?;
        Ok(None)
    }

    async fn generate(
        &self,
        prompt: Prompt,
        sampling: SamplingParams,
    ) -> Result<GenerationStream, EngineError> {
        let prompt_tokens = self.counter.count_prompt(&prompt).await?;
        let most = sampling.max_tokens as u64;
        // A broken character is shown as one of three bytes.
        let longest = self.longest_token().unwrap_or(usize::MAX).saturating_mul(3);
        let logprobs = AskedLogprobs {
            left: sampling.logprobs.map_or(0, |_| most),
            alternatives: sampling.logprobs.unwrap_or(0),
            longest,
        };
        let request = WorkerRequest::Generate {
            prompt: prompt.into(),
            sampling: sampling.into(),
        };
        let mut stream = self.link.ask(&request).await?;
        let broken = |problem: &str| self.link.broken(problem);
        match self.link.next(&mut stream, BEGINNING).await? {
            Some(WorkerReply::Started) => {}
            Some(WorkerReply::Error(error)) => return Err(error.into_engine(self.link.name())),
            _ => return Err(broken("it does not begin an answer")),
        }
        let running = RunningAnswer {
            link: Arc::clone(&self.link),
            stream,
            prompt_tokens,
            tokens_left: most,
            bytes_left: most.saturating_mul(longest as u64),
            logprobs,
            taken: 0,
            is_over: false,
        };
        let steps = stream::unfold(running, |mut running| async move {
            if running.is_over {
                return None;
            }
            let step = running.step().await;
            running.is_over = !matches!(step, Ok(GenerationStep::Delta { .. }));
            Some((step, running))
        });
        Ok(Box::pin(steps))
    }

    async fn classify(
        &self,
        prompt: Prompt,
        labels: &[String],
    ) -> Result<LabelProbabilities, EngineError> {
        let prompt_tokens = self.counter.count_prompt(&prompt).await?;
        let request = WorkerRequest::Classify {
            prompt: prompt.into(),
            labels: labels.to_vec(),
        };
        let mut stream = self.link.ask(&request).await?;
        let broken = |problem: &str| self.link.broken(problem);
        let reply = self.link.next(&mut stream, COMPUTING).await?;
        let (probabilities, usage) = match reply.ok_or_else(|| broken("it ended"))? {
            WorkerReply::Labels {
                probabilities,
                usage,
            } => (probabilities, usage),
            WorkerReply::Error(error) => return Err(error.into_engine(self.link.name())),
            _ => return Err(broken("it answers something else")),
        };
        let probabilities: Vec<f64> = probabilities.into_iter().map(f64::from_bits).collect();
        let sum: f64 = probabilities.iter().sum();
        let are_shares = probabilities.iter().all(|it| (0.0..=1.0).contains(it));
        if probabilities.len() != labels.len() || !are_shares || (sum - 1.0).abs() > NEAR {
            return Err(broken("it answers no probabilities of these labels"));
        }
        let room = (self.limits().context_tokens as u64).saturating_sub(prompt_tokens);
        Ok(LabelProbabilities {
            probabilities,
            usage: TokenUsage {
                prompt_tokens,
                completion_tokens: usage.completion_tokens.min(room),
            },
        })
    }
}
