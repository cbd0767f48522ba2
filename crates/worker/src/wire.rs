//! The messages: one JSON value per line, of bounded length. Numbers with fractions are sent as their
//! bits, so that an answer is the same to the last digit.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use openlora_engine::{
    EngineError, GenerationStep, LabelProbabilities, Prompt, SamplingParams, TokenLogprob,
    VocabularyToken,
};
use openlora_ledger::event::{FinishReason, TokenUsage};
use openlora_model::text::ChatMessage;

/// The longest message in bytes.
pub(crate) const LONGEST_MESSAGE: u64 = 32 << 20;

/// What a server asks of its worker.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WorkerRequest {
    Facts,
    Generate {
        prompt: WirePrompt,
        sampling: WireSampling,
    },
    Classify {
        prompt: WirePrompt,
        labels: Vec<String>,
    },
}

/// What a worker answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WorkerReply {
    Facts(WorkerFacts),
    /// An answer has begun.
    Started,
    Delta {
        text: String,
        tokens: u64,
        logprobs: Vec<WireLogprob>,
    },
    Done {
        finish: FinishReason,
        usage: TokenUsage,
    },
    Labels {
        /// Bits of `f64`.
        probabilities: Vec<u64>,
        usage: TokenUsage,
    },
    Error(WireError),
}

/// What a worker has loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerFacts {
    /// The implementation and the version of its arithmetic, such as `native/1`.
    pub engine: String,
    /// Form of the base's weights in memory, such as `q8_0`.
    pub weights: String,
    /// Why that form was chosen.
    pub reason: String,
    /// Longest prompt and answer together, in tokens.
    pub context_tokens: u64,
    /// SHA-256 of the adapter's files, hex.
    pub adapter_digest: String,
    /// The largest change of a logit by the adapter over the test prompts, as bits of `f32`.
    pub effect: Option<u32>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WirePrompt {
    Chat(Vec<ChatMessage>),
    Text(String),
}

/// Sampling parameters; numbers with fractions are bits.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WireSampling {
    max_tokens: usize,
    temperature: Option<u64>,
    top_p: Option<u64>,
    top_k: Option<usize>,
    min_p: Option<u64>,
    frequency_penalty: Option<u32>,
    presence_penalty: Option<u32>,
    repetition_penalty: Option<u32>,
    min_tokens: usize,
    stop: Vec<String>,
    stop_token_ids: Vec<u32>,
    logprobs: Option<usize>,
    seed: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WireToken {
    id: u32,
    bytes: Vec<u8>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WireLogprob {
    token: WireToken,
    /// Bits of `f32`.
    logprob: u32,
    top: Vec<(WireToken, u32)>,
    offset: usize,
}

/// An error of the worker's engine.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WireError {
    Invalid {
        message: String,
        parameter: Option<String>,
    },
    Busy {
        reason: String,
    },
    Failed {
        reason: String,
    },
}

/// Parameters that an engine names in errors.
const PARAMETERS: &[&str] = &["messages", "prompt", "labels", "max_tokens", "input"];

impl From<Prompt> for WirePrompt {
    fn from(prompt: Prompt) -> Self {
        match prompt {
            Prompt::Chat(messages) => Self::Chat(messages),
            Prompt::Text(text) => Self::Text(text),
        }
    }
}

impl From<WirePrompt> for Prompt {
    fn from(prompt: WirePrompt) -> Self {
        match prompt {
            WirePrompt::Chat(messages) => Self::Chat(messages),
            WirePrompt::Text(text) => Self::Text(text),
        }
    }
}

impl From<SamplingParams> for WireSampling {
    fn from(sampling: SamplingParams) -> Self {
        let wide = |number: Option<f64>| number.map(f64::to_bits);
        let narrow = |number: Option<f32>| number.map(f32::to_bits);
        Self {
            max_tokens: sampling.max_tokens,
            temperature: wide(sampling.temperature),
            top_p: wide(sampling.top_p),
            top_k: sampling.top_k,
            min_p: wide(sampling.min_p),
            frequency_penalty: narrow(sampling.frequency_penalty),
            presence_penalty: narrow(sampling.presence_penalty),
            repetition_penalty: narrow(sampling.repetition_penalty),
            min_tokens: sampling.min_tokens,
            stop: sampling.stop,
            stop_token_ids: sampling.stop_token_ids,
            logprobs: sampling.logprobs,
            seed: sampling.seed,
        }
    }
}

impl From<WireSampling> for SamplingParams {
    fn from(sampling: WireSampling) -> Self {
        let wide = |bits: Option<u64>| bits.map(f64::from_bits);
        let narrow = |bits: Option<u32>| bits.map(f32::from_bits);
        Self {
            max_tokens: sampling.max_tokens,
            temperature: wide(sampling.temperature),
            top_p: wide(sampling.top_p),
            top_k: sampling.top_k,
            min_p: wide(sampling.min_p),
            frequency_penalty: narrow(sampling.frequency_penalty),
            presence_penalty: narrow(sampling.presence_penalty),
            repetition_penalty: narrow(sampling.repetition_penalty),
            min_tokens: sampling.min_tokens,
            stop: sampling.stop,
            stop_token_ids: sampling.stop_token_ids,
            logprobs: sampling.logprobs,
            seed: sampling.seed,
        }
    }
}

impl From<VocabularyToken> for WireToken {
    fn from(token: VocabularyToken) -> Self {
        Self {
            id: token.id,
            bytes: token.bytes,
        }
    }
}

impl From<WireToken> for VocabularyToken {
    fn from(token: WireToken) -> Self {
        Self {
            id: token.id,
            bytes: token.bytes,
        }
    }
}

impl From<TokenLogprob> for WireLogprob {
    fn from(it: TokenLogprob) -> Self {
        let top = it.top.into_iter();
        Self {
            token: it.token.into(),
            logprob: it.logprob.to_bits(),
            top: top
                .map(|(token, it)| (token.into(), it.to_bits()))
                .collect(),
            offset: it.offset,
        }
    }
}

impl WireLogprob {
    /// Whether it has at most so many alternatives, and no token of more bytes.
    pub fn is_within(&self, alternatives: usize, longest: usize) -> bool {
        let mut tokens = self.top.iter().map(|(token, _)| token);
        self.token.bytes.len() <= longest
            && self.top.len() <= alternatives
            && tokens.all(|it| it.bytes.len() <= longest)
    }
}

impl From<WireLogprob> for TokenLogprob {
    fn from(it: WireLogprob) -> Self {
        let top = it.top.into_iter();
        Self {
            token: it.token.into(),
            logprob: f32::from_bits(it.logprob),
            top: top
                .map(|(token, bits)| (token.into(), f32::from_bits(bits)))
                .collect(),
            offset: it.offset,
        }
    }
}

impl From<GenerationStep> for WorkerReply {
    fn from(step: GenerationStep) -> Self {
        match step {
            GenerationStep::Delta {
                text,
                tokens,
                logprobs,
            } => Self::Delta {
                text,
                tokens,
                logprobs: logprobs.into_iter().map(WireLogprob::from).collect(),
            },
            GenerationStep::Done { usage, finish } => Self::Done { finish, usage },
        }
    }
}

impl From<LabelProbabilities> for WorkerReply {
    fn from(labels: LabelProbabilities) -> Self {
        let probabilities = labels.probabilities.into_iter();
        Self::Labels {
            probabilities: probabilities.map(f64::to_bits).collect(),
            usage: labels.usage,
        }
    }
}

impl From<&EngineError> for WireError {
    fn from(error: &EngineError) -> Self {
        match error {
            EngineError::Invalid { message, parameter } => Self::Invalid {
                message: message.clone(),
                parameter: parameter.map(str::to_owned),
            },
            EngineError::Busy { reason, .. } => Self::Busy {
                reason: reason.clone(),
            },
            error => Self::Failed {
                reason: error.to_string(),
            },
        }
    }
}

impl WireError {
    /// The error of the engine of this name.
    pub fn into_engine(self, name: &str) -> EngineError {
        match self {
            Self::Invalid { message, parameter } => {
                let is = |it: &&&str| parameter.as_deref() == Some(**it);
                EngineError::Invalid {
                    message,
                    parameter: PARAMETERS.iter().find(is).copied(),
                }
            }
            Self::Busy { reason } => EngineError::Busy {
                name: name.to_owned(),
                reason,
            },
            Self::Failed { reason } => EngineError::Failed(reason),
        }
    }
}

/// Writes a message.
pub(crate) async fn send<T: Serialize>(
    to: &mut (impl AsyncWrite + Unpin),
    message: &T,
) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(message).map_err(std::io::Error::other)?;
    line.push(b'\n');
    to.write_all(&line).await?;
    to.flush().await
}

/// Reads a message; `None` at the end.
pub(crate) async fn receive<T: DeserializeOwned>(
    from: &mut (impl AsyncBufRead + Unpin),
) -> std::io::Result<Option<T>> {
    let mut line = Vec::new();
    let read = (&mut *from)
        .take(LONGEST_MESSAGE)
        .read_until(b'\n', &mut line)
        .await?;
    if read == 0 {
        return Ok(None);
    }
    if line.last() != Some(&b'\n') {
        let problem = "a message broke off or is too long";
        return Err(std::io::Error::other(problem));
    }
    serde_json::from_slice(&line)
        .map(Some)
        .map_err(std::io::Error::other)
}
