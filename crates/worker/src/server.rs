//! The worker's side: answers over a socket with the engine that it has loaded.

use std::sync::Arc;

use futures::StreamExt;
use tokio::{
    io::{AsyncReadExt, BufReader},
    net::{
        UnixListener, UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::Semaphore,
};
use tokio_util::sync::CancellationToken;

use crate::wire::{WireError, WorkerFacts, WorkerReply, WorkerRequest, receive, send};
use openlora_engine::{Engine, EngineError, FairShareKey, Prompt, SamplingParams};

/// Operations at the same time. The server behind it bounds the calls.
const OPERATIONS: usize = 512;

/// Answers until stopped.
///
/// # Errors
///
/// The socket fails.
pub async fn serve_worker(
    listener: UnixListener,
    engine: Arc<dyn Engine>,
    facts: WorkerFacts,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let (places, facts) = (Arc::new(Semaphore::new(OPERATIONS)), Arc::new(facts));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return Ok(());
        };
        let stream = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            accepted = listener.accept() => accepted?.0,
        };
        let (engine, facts) = (Arc::clone(&engine), Arc::clone(&facts));
        tokio::spawn(async move {
            if let Err(error) = answer(stream, engine.as_ref(), &facts).await {
                tracing::debug!(%error, "an operation broke off");
            }
            drop(place);
        });
    }
}

async fn answer(
    stream: UnixStream,
    engine: &dyn Engine,
    facts: &WorkerFacts,
) -> std::io::Result<()> {
    let (from, mut to) = stream.into_split();
    let mut from = BufReader::new(from);
    let Some(request) = receive(&mut from).await? else {
        return Ok(());
    };
    let operation = async {
        match request {
            WorkerRequest::Facts => send(&mut to, &WorkerReply::Facts(facts.clone())).await,
            WorkerRequest::Generate { prompt, sampling } => {
                generate(&mut to, engine, prompt.into(), sampling.into()).await
            }
            WorkerRequest::Classify { prompt, labels } => {
                let reply = classify(engine, prompt.into(), &labels).await;
                send(&mut to, &reply_of(reply)).await
            }
        }
    };
    // The server ends the connection when the answer is not wanted any more.
    tokio::select! {
        done = operation => done,
        () = closed(from) => Ok(()),
    }
}

/// Waits for the end of a connection on which nothing more is sent.
async fn closed(mut from: BufReader<OwnedReadHalf>) {
    let mut byte = [0];
    // Whatever comes instead of the end breaks the protocol.
    let _ = from.read(&mut byte).await;
}

fn reply_of(result: Result<WorkerReply, EngineError>) -> WorkerReply {
    result.unwrap_or_else(|error| WorkerReply::Error(WireError::from(&error)))
}

async fn classify(
    engine: &dyn Engine,
    prompt: Prompt,
    labels: &[String],
) -> Result<WorkerReply, EngineError> {
    let own = engine.for_call(&FairShareKey::default()).await?;
    let engine = own.as_deref().unwrap_or(engine);
    Ok(engine.classify(prompt, labels).await?.into())
}

async fn generate(
    to: &mut OwnedWriteHalf,
    engine: &dyn Engine,
    prompt: Prompt,
    sampling: SamplingParams,
) -> std::io::Result<()> {
    let started = async {
        let own = engine.for_call(&FairShareKey::default()).await?;
        let engine = own.as_deref().unwrap_or(engine);
        engine.generate(prompt, sampling).await
    };
    let mut steps = match started.await {
        Ok(steps) => steps,
        Err(error) => return send(to, &reply_of(Err(error))).await,
    };
    send(to, &WorkerReply::Started).await?;
    while let Some(step) = steps.next().await {
        let is_last = step.is_err();
        send(to, &reply_of(step.map(WorkerReply::from))).await?;
        if is_last {
            break;
        }
    }
    Ok(())
}
