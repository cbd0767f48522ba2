//! The suite of all engines, on the native engine behind a socket: answers, counts, seeds, log
//! probabilities, labels and cancellation are the same as without one.

use std::{
    io,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    sync::Arc,
};

use futures::StreamExt;
use openlora_engine::{
    Engine, EngineError, EngineSpec, FairShareKey, GenerationStep, IsolationLimit, LoadedEngine,
    ModelLoader, SamplingParams,
};
use openlora_generation::PromptCounter;
use openlora_native::{NativeLoader, NativeSettings};
use openlora_worker::{Connector, WorkerEngine, WorkerFacts, WorkerLink, serve_worker};
use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::engine_suite::{base, greedy, load, text};

/// The engine that the common suite runs on.
pub mod under_test {
    use super::{Arc, BehindSocket, ModelLoader, NativeLoader, NativeSettings};
    use openlora_engine::Quant;

    pub const QUANTS: [Quant; 3] = [Quant::F32, Quant::Q8_0, Quant::Q4_0];
    pub const WHOLE_BLOCKS: [Quant; 0] = [];

    pub fn loader() -> Arc<dyn ModelLoader> {
        Arc::new(BehindSocket(NativeLoader::new(NativeSettings::default())))
    }
}

/// A socket at a path.
pub struct SocketAt(pub PathBuf);

impl Connector for SocketAt {
    fn with_socket(
        &self,
        connect: &dyn Fn(&Path) -> io::Result<UnixStream>,
    ) -> io::Result<UnixStream> {
        connect(&self.0)
    }
}

/// Loads with the native engine, and puts a socket before each model.
struct BehindSocket(NativeLoader);

/// Keeps a worker's task running.
struct RunningTask {
    _stop: DropGuard,
    _folder: TempDir,
}

#[async_trait::async_trait]
impl ModelLoader for BehindSocket {
    async fn load(&self, spec: EngineSpec<'_>) -> Result<LoadedEngine, EngineError> {
        let (name, base) = (spec.name.clone(), spec.base.clone());
        let digest = spec.adapter.map(|it| it.digest.clone()).unwrap_or_default();
        let loaded = self.0.load(spec).await?;
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("worker.sock");
        let listener = UnixListener::bind(&place).unwrap();
        let context = loaded.engine.limits().context_tokens;
        let facts = WorkerFacts {
            engine: loaded.implementation.to_owned(),
            weights: loaded.weights.quant.to_string(),
            reason: loaded.weights.reason.clone(),
            context_tokens: context as u64,
            adapter_digest: digest,
            effect: loaded.effect.map(f32::to_bits),
        };
        let stop = CancellationToken::new();
        let engine = Arc::clone(&loaded.engine);
        let served = serve_worker(listener, engine, facts.clone(), stop.clone());
        tokio::spawn(served);
        let link = Arc::new(WorkerLink::new(&name));
        link.running(Arc::new(SocketAt(place)), "test", Vec::new());
        assert_eq!(link.facts().await.unwrap(), facts);
        let counter = PromptCounter::open(&name, &base, context)?;
        let owner = RunningTask {
            _stop: stop.drop_guard(),
            _folder: folder,
        };
        let engine = WorkerEngine::new(link, counter, Arc::new(owner));
        Ok(LoadedEngine {
            engine: Arc::new(engine),
            ..loaded
        })
    }

    fn resident(&self) -> usize {
        self.0.resident()
    }

    fn steps(&self) -> u64 {
        self.0.steps()
    }
}

/// The steps of an answer.
async fn steps(engine: &Arc<dyn Engine>, sampling: SamplingParams) -> Vec<GenerationStep> {
    let prompt = text("the quick brown fox");
    let stream = engine.generate(prompt, sampling).await.unwrap();
    stream.map(Result::unwrap).collect().await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_step_is_the_same_to_the_bit() {
    let direct: Arc<dyn ModelLoader> = Arc::new(NativeLoader::new(NativeSettings::default()));
    let behind = under_test::loader();
    let engines = [
        load(&direct, "llama", Some("qv")).await,
        load(&behind, "llama", Some("qv")).await,
    ];
    for sampling in [
        SamplingParams {
            logprobs: Some(5),
            ..greedy(12)
        },
        SamplingParams {
            max_tokens: 24,
            temperature: Some(1.1),
            top_p: Some(0.93),
            top_k: Some(40),
            min_p: Some(0.01),
            frequency_penalty: Some(0.3),
            presence_penalty: Some(-0.2),
            repetition_penalty: Some(1.07),
            min_tokens: 3,
            stop: vec!["zz".to_owned()],
            stop_token_ids: vec![7],
            logprobs: Some(3),
            seed: Some(9_007_199_254_740_993),
        },
    ] {
        let [one, other] = [
            steps(&engines[0], sampling.clone()).await,
            steps(&engines[1], sampling).await,
        ];
        assert_eq!(one, other);
        assert!(one.len() > 1);
    }
    let labels = ["yes", "no", "maybe"].map(str::to_owned);
    let prompt = text("is it so?");
    let [one, other] = [
        engines[0].classify(prompt.clone(), &labels).await.unwrap(),
        engines[1].classify(prompt.clone(), &labels).await.unwrap(),
    ];
    assert_eq!(one, other);
    let bits = |it: &[f64]| it.iter().map(|it| it.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&one.probabilities), bits(&other.probabilities));
    let tokens = |it: &Arc<dyn Engine>| it.tokens(&prompt, " yes", true).unwrap();
    assert_eq!(tokens(&engines[0]), tokens(&engines[1]));
    assert_eq!(engines[0].longest_token(), engines[1].longest_token());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_ended_takes_no_calls_until_it_runs_again() {
    let link = Arc::new(WorkerLink::new("tone"));
    let counter = PromptCounter::open("tone", &base("llama"), 64).unwrap();
    let engine = WorkerEngine::new(Arc::clone(&link), counter, Arc::new(()));
    let refused = engine.for_call(&FairShareKey::default()).await.err();
    let EngineError::Busy { name, reason } = refused.unwrap() else {
        panic!("another error");
    };
    assert_eq!(name, "tone");
    assert!(reason.ends_with("it is being started"), "{reason}");
    // Prompts are counted without it.
    assert!(engine.count_prompt(&text("hello")).await.unwrap() > 0);
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("none.sock");
    let limits = vec![IsolationLimit {
        limit: "memory".to_owned(),
        found: "64MiB".to_owned(),
        in_force: true,
    }];
    for restarts in 0..3 {
        link.running(Arc::new(SocketAt(place.clone())), "test", limits.clone());
        let shown = engine.isolation().unwrap();
        assert_eq!((shown.is_running, shown.restarts), (true, restarts));
        assert_eq!(shown.limits, limits);
        engine.for_call(&FairShareKey::default()).await.unwrap();
        // Between its end and the notice of it, no process listens at the socket.
        let gone = engine.generate(text("hello"), greedy(4)).await.err();
        assert!(matches!(gone, Some(EngineError::Busy { .. })), "{gone:?}");
        link.ended("it took more than 64MiB");
        let refused = engine.for_call(&FairShareKey::default()).await.err();
        let reason = refused.unwrap().to_string();
        assert!(reason.ends_with("it took more than 64MiB"), "{reason}");
        assert!(!engine.isolation().unwrap().is_running);
    }
}
