//! The program inside of a worker's jail: loads one adapter and answers its server.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;

use super::engine_choice::{ChosenEngine, EngineKind};
use crate::commands::printer::Printer;
use openlora_core::error::{ExitClass, Failure, describe_decoding};
use openlora_engine::{EngineSpec, Quant};
use openlora_model::{
    BaseModel, BaseRequest, ModelConfig,
    adapter::{self},
    open_base,
};
use openlora_worker::{WorkerFacts, serve_worker};

/// The first argument of the program as a worker; its order is the second.
pub const WORKER_ARGUMENT: &str = "__worker";

/// What a worker writes when it answers.
pub(super) const READY: &str = "ready";

/// The base that the program holds itself.
pub(super) const EMBEDDED: &str = "nano";

/// What a worker is to load. Paths are those inside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct WorkerOrder {
    /// Name in messages.
    pub name: String,
    pub adapter: PathBuf,
    /// The base's folder; the embedded base if none.
    pub base: Option<PathBuf>,
    pub base_id: String,
    pub base_digest: String,
    /// As in `serve.engine`.
    pub engine: String,
    /// As in `serve.quant`.
    pub quant: String,
    pub concurrent: usize,
    pub parallel: usize,
    pub socket: PathBuf,
    /// Where the embedded base is unpacked.
    pub scratch: PathBuf,
}

/// Runs a worker until it is killed; returns the exit code.
pub fn run_worker(order: &str, printer: &Printer) -> u8 {
    let done = serde_json::from_str(order)
        .map_err(|error: serde_json::Error| {
            let why = describe_decoding(&error);
            Failure::new(ExitClass::Internal, format!("the order: {why}"))
        })
        .and_then(|order: WorkerOrder| answer(&order, printer));
    match done {
        Ok(()) => 0,
        Err(failure) => {
            printer.failure(&failure);
            failure.class.code()
        }
    }
}

fn answer(order: &WorkerOrder, printer: &Printer) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(ExitClass::Environment, format!("threads: {error}")))?;
    runtime.block_on(async {
        let (engine, facts) = load(order).await?;
        let place = &order.socket;
        // What an earlier worker left is in the way.
        let _ = std::fs::remove_file(place);
        let listener = UnixListener::bind(place);
        let listener = listener.map_err(|error| Failure::io("listen on", place, &error))?;
        printer.line(READY);
        let served = serve_worker(listener, engine, facts, CancellationToken::new()).await;
        served.map_err(|error| Failure::io("listen on", place, &error))
    })
}

async fn load(
    order: &WorkerOrder,
) -> Result<(std::sync::Arc<dyn openlora_engine::Engine>, WorkerFacts), Failure> {
    let base = tokio::task::block_in_place(|| opened_base(order))?;
    let adapter = adapter::read(&order.adapter)?;
    let quant: Quant = order
        .quant
        .parse()
        .map_err(|reason: String| Failure::new(ExitClass::Usage, reason))?;
    let kind = match order.engine.as_str() {
        "native" => EngineKind::Native,
        _ => EngineKind::Mistralrs,
    };
    let engine = ChosenEngine::for_worker(kind, quant, order.concurrent, order.parallel);
    let loaded = engine
        .loader
        .load(EngineSpec {
            name: order.name.clone(),
            base: &base,
            adapter: Some(&adapter),
            quant,
        })
        .await?;
    let facts = WorkerFacts {
        engine: loaded.implementation.to_owned(),
        weights: loaded.weights.quant.to_string(),
        reason: loaded.weights.reason.clone(),
        context_tokens: loaded.engine.limits().context_tokens as u64,
        adapter_digest: adapter.digest.clone(),
        effect: loaded.effect.map(f32::to_bits),
    };
    Ok((loaded.engine, facts))
}

/// The base as its server has read it: its files are seen here, and its digest is known.
fn opened_base(order: &WorkerOrder) -> Result<BaseModel, Failure> {
    let Some(dir) = &order.base else {
        let request = BaseRequest {
            id: EMBEDDED.to_owned(),
            revision: String::new(),
            endpoint: String::new(),
            models_dir: order.scratch.join("models"),
            nano_dir: order.scratch.join("nano"),
            token: None,
            offline: true,
        };
        return Ok(open_base(&request, &mut |_| {})?);
    };
    Ok(BaseModel {
        id: order.base_id.clone(),
        revision: None,
        dir: dir.clone(),
        config: ModelConfig::read(&dir.join("config.json"))?,
        digest: order.base_digest.clone(),
        gguf: None,
        lease: None,
    })
}
