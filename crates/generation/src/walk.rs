//! Generation of one answer token by token: the next token, the text it adds, and the end of the
//! answer.
//!
//! Owns the state of a request: incremental decoding to valid UTF-8, stop strings, limits, and
//! which tokens count as delivered. It knows logits and text, but no engine.

use std::{collections::VecDeque, sync::Arc};

use super::sample::{ChosenToken, TokenSampler};
use openlora_engine::{EngineError, SamplingParams, TokenLogprob, VocabularyToken};
use openlora_ledger::event::FinishReason;
use openlora_model::text::TextCodec;

/// The result of one step.
#[derive(Debug)]
pub(super) enum EngineStep {
    Delta {
        text: String,
        tokens: u64,
        logprobs: Vec<TokenLogprob>,
    },
    Done(FinishReason),
    Failed(EngineError),
}

/// A token whose text is not delivered yet.
struct PendingToken {
    /// Byte offset of its text in the answer.
    start: usize,
    logprob: Option<TokenLogprob>,
}

/// An answer under generation.
pub struct Generation {
    codec: Arc<TextCodec>,
    sampler: TokenSampler,
    stop: Vec<String>,
    /// The model's own end tokens and the caller's.
    stop_ids: Vec<u32>,
    /// Tokens that are still to come before anything may end the answer.
    required: usize,
    wants_logprobs: bool,
    remaining: usize,
    ids: Vec<u32>,
    /// Ids before `context` are final; those up to `decoded` are part of `text`.
    context: usize,
    decoded: usize,
    text: String,
    /// Number of delivered bytes of `text`.
    delivered: usize,
    pending: VecDeque<PendingToken>,
    /// Generated tokens that are not reported yet.
    untold: u64,
}

impl Generation {
    /// An answer to the tokens `prompt`; `sampling.max_tokens` must fit the context.
    pub fn new(codec: Arc<TextCodec>, sampling: SamplingParams, prompt: &[u32]) -> Self {
        let mut stop_ids = codec.stop_ids().to_vec();
        stop_ids.extend(&sampling.stop_token_ids);
        Self {
            codec,
            stop_ids,
            required: sampling.min_tokens,
            stop: sampling
                .stop
                .iter()
                .filter(|stop| !stop.is_empty())
                .cloned()
                .collect(),
            wants_logprobs: sampling.logprobs.is_some(),
            remaining: sampling.max_tokens,
            sampler: TokenSampler::new(sampling, prompt),
            ids: Vec::new(),
            context: 0,
            decoded: 0,
            text: String::new(),
            delivered: 0,
            pending: VecDeque::new(),
            untold: 0,
        }
    }

    /// The longest answer, in tokens.
    pub fn longest(&self) -> usize {
        self.remaining
    }

    /// Chooses from the logits of the next position. The chosen id is `None` if the answer is
    /// complete; the steps are to be sent to the reader, in order.
    pub(super) fn step(&mut self, logits: &[f32]) -> (Option<u32>, Vec<EngineStep>) {
        match self.advance(logits) {
            Ok(outcome) => outcome,
            Err(error) => (None, vec![EngineStep::Failed(error)]),
        }
    }

    fn advance(&mut self, logits: &[f32]) -> Result<(Option<u32>, Vec<EngineStep>), EngineError> {
        let barred = match self.required {
            0 => &[][..],
            _ => &self.stop_ids,
        };
        let choice = self.sampler.choose(logits, barred).ok_or_else(|| {
            EngineError::Failed("the model gave no finite logit for the next token".to_owned())
        })?;
        self.required = self.required.saturating_sub(1);
        if self.stop_ids.contains(&choice.id) {
            return self.end(FinishReason::Stop, false);
        }
        self.remaining = self.remaining.saturating_sub(1);
        let id = choice.id;
        self.accept(choice)?;
        if let Some(at) = self.stop_position() {
            self.text.truncate(at);
            self.pending.retain(|token| token.start < at);
            return self.end(FinishReason::Stop, true);
        }
        if self.remaining == 0 {
            return self.end(FinishReason::Length, false);
        }
        let held = self.possible_stop();
        let free = self.text.len() - held;
        if held == 0 && free == self.delivered {
            // An incomplete character: its tokens are reported with it.
            return Ok((Some(id), Vec::new()));
        }
        // Tokens withheld by a possible stop string were computed like any others and are reported
        // now.
        Ok((Some(id), self.deliver(free, false).into_iter().collect()))
    }

    fn accept(&mut self, choice: ChosenToken) -> Result<(), EngineError> {
        let logprob = self.wants_logprobs.then(|| TokenLogprob {
            token: self.token(choice.id),
            logprob: choice.logprob,
            top: choice
                .top
                .iter()
                .map(|(id, p)| (self.token(*id), *p))
                .collect(),
            offset: self.text.chars().count(),
        });
        self.pending.push_back(PendingToken {
            start: self.text.len(),
            logprob,
        });
        self.ids.push(choice.id);
        self.untold += 1;
        let known = self.decode(self.context, self.decoded)?;
        let longer = self.decode(self.context, self.ids.len())?;
        // An incomplete character decodes to U+FFFD until its last byte arrives.
        if longer.len() > known.len() && !longer.ends_with('\u{FFFD}') {
            self.extend(&known, &longer);
        }
        Ok(())
    }

    fn token(&self, id: u32) -> VocabularyToken {
        VocabularyToken {
            id,
            bytes: self.codec.token_bytes(id),
        }
    }

    fn extend(&mut self, known: &str, longer: &str) {
        self.text
            .push_str(longer.get(known.len()..).unwrap_or_default());
        self.context = self.decoded;
        self.decoded = self.ids.len();
    }

    fn decode(&self, from: usize, to: usize) -> Result<String, EngineError> {
        let ids = self.ids.get(from..to).unwrap_or_default();
        if ids.is_empty() {
            return Ok(String::new());
        }
        self.codec
            .decode(ids)
            .map_err(|error| EngineError::Failed(error.to_string()))
    }

    /// The start of the first stop string in the undelivered text.
    fn stop_position(&self) -> Option<usize> {
        if self.required > 0 {
            return None;
        }
        let open = &self.text[self.delivered..];
        self.stop
            .iter()
            .filter_map(|stop| open.find(stop.as_str()))
            .min()
            .map(|at| self.delivered + at)
    }

    /// Length of the longest suffix of the text that may be the beginning of a stop string.
    fn possible_stop(&self) -> usize {
        if self.required > 0 {
            return 0;
        }
        let open = &self.text[self.delivered..];
        open.char_indices()
            .map(|(at, _)| &open[at..])
            .find(|tail| self.stop.iter().any(|stop| stop.starts_with(tail)))
            .map_or(0, str::len)
    }

    /// Delivers the text up to byte `until`, and reports the tokens generated since the last
    /// delivery; `all` also delivers tokens that added no text.
    fn deliver(&mut self, until: usize, all: bool) -> Option<EngineStep> {
        let text = self.text[self.delivered..until].to_owned();
        let tokens = std::mem::take(&mut self.untold);
        let mut logprobs = Vec::new();
        while self
            .pending
            .front()
            .is_some_and(|token| all || token.start < until)
        {
            logprobs.extend(self.pending.pop_front().and_then(|token| token.logprob));
        }
        self.delivered = until;
        (tokens > 0 || !text.is_empty()).then_some(EngineStep::Delta {
            text,
            tokens,
            logprobs,
        })
    }

    /// Ends the answer. Unless a stop string `cut` it, bytes of incomplete characters are delivered
    /// as U+FFFD, as when all tokens are decoded at once.
    fn end(
        &mut self,
        finish: FinishReason,
        cut: bool,
    ) -> Result<(Option<u32>, Vec<EngineStep>), EngineError> {
        if !cut && self.decoded < self.ids.len() {
            let known = self.decode(self.context, self.decoded)?;
            let longer = self.decode(self.context, self.ids.len())?;
            self.extend(&known, &longer);
        }
        let mut steps: Vec<EngineStep> = self.deliver(self.text.len(), true).into_iter().collect();
        steps.push(EngineStep::Done(finish));
        Ok((None, steps))
    }
}
