//! Requests to a running mistral.rs engine.
//!
//! The engine receives token ids and computes logits. A logits processor reads every row and
//! dictates the next token, so sampling, decoding, stopping and counting are done here and are
//! exact. Requests are always streams whose responses are read to the end. Otherwise mistral.rs
//! fails the whole batch when the reader of an unstreamed request has left, and its thread panics
//! when it reports an error to a reader that has left. For the same reason a processor never
//! returns an error; requests are cancelled by dictating their end.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
};

use futures::TryStreamExt;
use mistralrs::{
    Constraint, NormalRequest, Request, RequestMessage, Response, SamplingParams, Tensor,
    core::CustomLogitsProcessor,
};
use tokio::sync::mpsc;

use super::load::RunningEngine;
use openlora_engine::{
    EngineError, GenerationStream,
    turns::{TurnParty, due_time},
};
use openlora_generation::{Generation, TokenModel, answer_channel};
use openlora_model::dataset::choices::LabelFork;

/// Reads a row of logits and returns the next token; `None` ends the answer.
type ChooseToken = Box<dyn FnMut(&[f32]) -> Option<u32> + Send>;

/// Capacity of the response channel; the reader does nothing but read.
const RESPONSES: usize = 64;

/// A logits processor that dictates the tokens of one request.
struct TokenChooser {
    dictate: Mutex<ChooseToken>,
    started: AtomicBool,
    steps: Arc<AtomicU64>,
}

impl CustomLogitsProcessor for TokenChooser {
    fn apply(&self, logits: &Tensor, _context: &[u32]) -> mistralrs::Result<Tensor> {
        let row: Vec<f32> = logits.to_vec1()?;
        let mut dictate = self
            .dictate
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        self.steps.fetch_add(1, Ordering::Relaxed);
        let started = self.started.swap(true, Ordering::Relaxed);
        let next = match dictate(&row) {
            Some(id) => id as usize,
            // The id after the last one ends the sequence.
            None if started => row.len(),
            // mistral.rs treats a sequence that ends with its first token as running and computes
            // one more step, so this token must be one of the model's.
            None => 0,
        };
        let mut only = vec![0f32; row.len() + 1];
        only[next] = 1.0;
        Tensor::from_vec(only, row.len() + 1, logits.device())
    }
}

/// Waits for a turn, submits a request and reads its responses to the end; the first error is sent
/// to `failed`. The turn is held until mistral.rs has released the request.
async fn submit(
    running: &RunningEngine,
    ids: Vec<u32>,
    max_tokens: usize,
    dictate: ChooseToken,
    failed: impl FnOnce(EngineError) + Send + 'static,
) -> Result<(), EngineError> {
    static NEXT: AtomicUsize = AtomicUsize::new(1);
    let due = due_time(max_tokens as u64);
    let turn = running.turns.take(&TurnParty::default(), due).await;
    let (sender, mut responses) = mpsc::channel(RESPONSES);
    let request = NormalRequest {
        messages: RequestMessage::CompletionTokens(ids),
        sampling_params: SamplingParams {
            // `None` would mean 1 here; 0 selects the highest logit.
            temperature: Some(0.0),
            max_len: Some(max_tokens),
            ..SamplingParams::neutral()
        },
        response: sender,
        return_logprobs: false,
        is_streaming: true,
        id: NEXT.fetch_add(1, Ordering::Relaxed),
        constraint: Constraint::None,
        suffix: None,
        tools: None,
        tool_choice: None,
        logits_processors: Some(vec![Arc::new(TokenChooser {
            dictate: Mutex::new(dictate),
            started: AtomicBool::new(false),
            steps: running.steps.clone(),
        })]),
        return_raw_logits: false,
        web_search_options: None,
        model_id: None,
        truncate_sequence: false,
    };
    let engine = running
        .runner()
        .get_sender(None)
        .map_err(|error| EngineError::Failed(error.to_string()))?;
    engine
        .send(Request::Normal(Box::new(request)))
        .await
        .map_err(|_| EngineError::Failed("its thread has ended".to_owned()))?;
    tokio::spawn(async move {
        let _turn = turn;
        let mut failed = Some(failed);
        while let Some(response) = responses.recv().await {
            let Some(error) = failure(response) else {
                continue;
            };
            if let Some(failed) = failed.take() {
                failed(error);
            }
        }
    });
    Ok(())
}

/// The error in a response, if there is one.
fn failure(response: Response) -> Option<EngineError> {
    let text = match response {
        Response::InternalError(error) | Response::ValidationError(error) => error.to_string(),
        Response::ModelError(text, _) | Response::CompletionModelError(text, _) => text,
        _ => return None,
    };
    Some(EngineError::Failed(text))
}

/// The logits after `ids`.
pub(super) async fn logits(
    running: &RunningEngine,
    ids: Vec<u32>,
) -> Result<Vec<f32>, EngineError> {
    let (sender, mut outcome) = mpsc::unbounded_channel();
    let failed = sender.clone();
    let dictate = Box::new(move |logits: &[f32]| {
        let _ = sender.send(Ok(logits.to_vec()));
        None
    });
    submit(running, ids, 1, dictate, move |error| {
        let _ = failed.send(Err(error));
    })
    .await?;
    let dropped = || Err(EngineError::Failed("it dropped the request".to_owned()));
    outcome.recv().await.unwrap_or_else(dropped)
}

/// Starts the answer `walk` to the prompt `ids`.
async fn answer(
    running: Arc<RunningEngine>,
    ids: Vec<u32>,
    walk: Generation,
) -> Result<GenerationStream, EngineError> {
    let longest = walk.longest();
    let (mut feed, reader) = answer_channel(walk, ids.len(), Arc::clone(&running));
    let failed = feed.failure_reporter();
    let dictate = Box::new(move |logits: &[f32]| feed.next_token(logits));
    submit(&running, ids, longest, dictate, failed).await?;
    Ok(reader)
}

/// A running engine as a model of token ids.
pub(super) struct MistralModel {
    pub running: Arc<RunningEngine>,
}

#[async_trait::async_trait]
impl TokenModel for MistralModel {
    /// The request is submitted when the stream is first read.
    async fn start_answer(
        &self,
        ids: Vec<u32>,
        walk: Generation,
    ) -> Result<GenerationStream, EngineError> {
        let answer = answer(Arc::clone(&self.running), ids, walk);
        Ok(Box::pin(futures::stream::once(answer).try_flatten()))
    }

    async fn fork_logits(
        &self,
        prefix: &[u32],
        forks: &[LabelFork],
    ) -> Result<Vec<Vec<f32>>, EngineError> {
        let mut rows = Vec::with_capacity(forks.len());
        for fork in forks {
            let row = logits(&self.running, [prefix, &fork.path].concat()).await?;
            let at = |id: &u32| row.get(*id as usize).copied().unwrap_or(f32::NEG_INFINITY);
            rows.push(fork.children.iter().map(at).collect());
        }
        Ok(rows)
    }
}
