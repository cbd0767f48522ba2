//! The two ends of a running answer: the engine feeds rows of logits, the reader gets steps.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use tokio::sync::mpsc;

use super::walk::{EngineStep, Generation};
use openlora_engine::{EngineError, GenerationStep, GenerationStream};
use openlora_ledger::event::TokenUsage;

/// The engine's end of an answer.
pub struct AnswerFeed {
    walk: Generation,
    steps: mpsc::UnboundedSender<EngineStep>,
    over: bool,
    /// The last steps of a complete answer, until its reader gets them.
    ending: Vec<EngineStep>,
}

/// Connects `walk`, the answer to a prompt of `prompt_tokens` tokens, with its reader. The reader
/// keeps `held` alive. A feed that is dropped early is reported to the reader as a failure.
pub fn answer_channel(
    walk: Generation,
    prompt_tokens: usize,
    held: impl Send + Unpin + 'static,
) -> (AnswerFeed, GenerationStream) {
    let (sender, steps) = mpsc::unbounded_channel();
    let feed = AnswerFeed {
        walk,
        steps: sender,
        over: false,
        ending: Vec::new(),
    };
    let reader = AnswerStream {
        steps,
        usage: TokenUsage {
            prompt_tokens: prompt_tokens as u64,
            completion_tokens: 0,
        },
        over: false,
        _held: held,
    };
    (feed, Box::pin(reader))
}

impl AnswerFeed {
    /// The token after a row of logits, whose text goes to the reader; `None` when the answer is
    /// complete or it has no reader any more.
    pub fn next_token(&mut self, logits: &[f32]) -> Option<u32> {
        let next = self.choose_token(logits);
        self.finish();
        next
    }

    /// The same, but the reader learns of a complete answer only by [`Self::finish`], so that an engine
    /// can let go first of what the call held.
    pub fn choose_token(&mut self, logits: &[f32]) -> Option<u32> {
        if self.over || self.is_abandoned() {
            return None;
        }
        let (next, steps) = self.walk.step(logits);
        self.over = next.is_none();
        self.ending = steps;
        if next.is_some() {
            self.finish();
        }
        next
    }

    /// Tells the reader what it does not know yet of the answer.
    pub fn finish(&mut self) {
        for step in self.ending.drain(..) {
            // A reader that leaves now is noticed at the next token.
            let _ = self.steps.send(step);
        }
    }

    /// Whether the reader has left.
    pub fn is_abandoned(&self) -> bool {
        self.steps.is_closed()
    }

    /// Ends the answer with an error, unless it is complete.
    pub fn fail(&mut self, error: EngineError) {
        if !std::mem::replace(&mut self.over, true) {
            let _ = self.steps.send(EngineStep::Failed(error));
        }
    }

    /// For errors that are noticed where the feed is not.
    pub fn failure_reporter(&self) -> impl FnOnce(EngineError) + Send + 'static {
        let steps = self.steps.clone();
        move |error| {
            let _ = steps.send(EngineStep::Failed(error));
        }
    }
}

/// The reader's end.
struct AnswerStream<H> {
    steps: mpsc::UnboundedReceiver<EngineStep>,
    usage: TokenUsage,
    over: bool,
    _held: H,
}

impl<H: Unpin> futures::Stream for AnswerStream<H> {
    type Item = Result<GenerationStep, EngineError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.over {
            return Poll::Ready(None);
        }
        let item = match std::task::ready!(self.steps.poll_recv(context)) {
            Some(EngineStep::Delta {
                text,
                tokens,
                logprobs,
            }) => {
                self.usage.completion_tokens += tokens;
                return Poll::Ready(Some(Ok(GenerationStep::Delta {
                    text,
                    tokens,
                    logprobs,
                })));
            }
            Some(EngineStep::Done(finish)) => Ok(GenerationStep::Done {
                usage: self.usage,
                finish,
            }),
            Some(EngineStep::Failed(error)) => Err(error),
            None => Err(EngineError::Failed("it dropped the request".to_owned())),
        };
        self.over = true;
        Poll::Ready(Some(item))
    }
}
