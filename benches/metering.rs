//! The metering group: what exactly-once counting adds to a call.

use std::{
    hint::black_box,
    io::Write,
    sync::Arc,
    time::{Duration, Instant},
};

use criterion::{Criterion, Throughput};
use futures::StreamExt;
use openlora_attribution::Provenance;
use openlora_engine::{
    Engine, EngineError, EngineIdentity, EngineLimits, FairShareKey, GenerationStep,
    GenerationStream, LabelProbabilities, Prompt, SamplingParams,
};
use openlora_journal::Journal;
use openlora_ledger::{
    PriceList,
    event::{CallKind, FinishReason},
};
use openlora_serve::{
    AdapterProfile, AdapterRegistry, ServedAdapter,
    attribution::{AttributionConfig, AttributionService},
    gate::{GateLimits, QueueGate},
    meter::{Admission, CallMeter, CallReservation},
    metrics::ServerMetrics,
    request_id::RequestId,
};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

/// What counting adds to a call: the same answer of 32 tokens from an engine that takes no time,
/// bare and metered in a journal on disk. The percentiles go to stderr.
pub fn metering(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime starts");
    let (_dir, journal) = crate::fresh();
    let counter = runtime.block_on(Counter::new(journal));
    let mut group = criterion.benchmark_group("metering");
    group.throughput(Throughput::Elements(1));
    group.bench_function("bare", |bencher| {
        bencher.iter(|| assert_eq!(runtime.block_on(counter.bare()), TOKENS));
    });
    group.bench_function("metered", |bencher| {
        bencher.iter(|| black_box(runtime.block_on(counter.metered())));
    });
    group.finish();
    let mut reserved = Vec::new();
    let mut whole = Vec::new();
    for _ in 0..1000 {
        let started = Instant::now();
        reserved.push(runtime.block_on(counter.metered()));
        whole.push(started.elapsed());
    }
    tell("before the first token", reserved);
    tell("whole call", whole);
}

/// Tokens of a benched answer.
const TOKENS: u64 = 32;

fn tell(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |percent: usize| times[times.len() * percent / 100];
    let line = format!("metering {what}: p50 {:?}, p99 {:?}\n", at(50), at(99));
    // A bench whose reader went away has nobody to tell.
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// One adapter behind one meter.
struct Counter {
    meter: CallMeter,
    gate: Arc<QueueGate>,
    adapter: Arc<ServedAdapter>,
}

impl Counter {
    async fn new(journal: Journal) -> Self {
        let gate = Arc::new(QueueGate::new(
            GateLimits {
                concurrent: 4,
                parallel: 4,
                queue: 64,
            },
            CancellationToken::new(),
        ));
        let shelf = AdapterRegistry::new(Vec::new()).expect("nothing is twice on an empty shelf");
        let keeping = AttributionConfig::default();
        let attributions = AttributionService::open(journal.clone(), &shelf, keeping)
            .await
            .expect("the journal is readable");
        let metrics = ServerMetrics::new(Arc::clone(&gate), shelf, attributions.clone());
        let meter = CallMeter::open(journal, attributions, metrics, 1 << 20)
            .await
            .expect("the journal is writable");
        let digest = "0123456789abcdef".repeat(4);
        let adapter = ServedAdapter {
            name: "bench".into(),
            digest: digest.clone(),
            version: "1".into(),
            base_id: "none".into(),
            base_digest: digest,
            task: None,
            temperature: None,
            created: 0,
            prices: PriceList::default(),
            provenance: Provenance::default(),
            profile: AdapterProfile::default(),
            is_announced: false,
            kept: None,
            engine: Arc::new(Instantly),
            identity: EngineIdentity {
                engine: "instantly/1".into(),
                weights: "none".into(),
            },
        };
        Self {
            meter,
            gate,
            adapter: Arc::new(adapter),
        }
    }

    async fn generation(&self) -> GenerationStream {
        let prompt = Prompt::Text("hello".into());
        let answer = self
            .adapter
            .engine
            .generate(prompt, SamplingParams::default())
            .await;
        answer.expect("the engine answers")
    }

    async fn bare(&self) -> u64 {
        let mut generation = self.generation().await;
        let mut tokens = 0;
        while let Some(Ok(GenerationStep::Delta { tokens: more, .. })) = generation.next().await {
            tokens += more;
        }
        tokens
    }

    /// Returns the time until the model may run.
    async fn metered(&self) -> Duration {
        let accepted = Instant::now();
        let id = RequestId::parse(&uuid::Uuid::now_v7().to_string()).expect("a valid id");
        let imprint = self.meter.fingerprint(&[b"/v1/chat/completions", b"hello"]);
        let Ok(Admission::Fresh(slot)) = self.meter.admit(&id, &id, &imprint).await else {
            unreachable!("every id is new")
        };
        let pass = self
            .gate
            .enter("bench", &FairShareKey::default(), 1)
            .await
            .expect("a turn is free");
        let reservation = CallReservation {
            static_shares: false,
            slot,
            fingerprint: imprint,
            adapter: Arc::clone(&self.adapter),
            kind: CallKind::Chat,
            prompt_tokens: 1,
            accepted,
            permit: pass,
            guard: None,
            prompts: vec![Prompt::Text("hello".into())],
            computation: self.adapter.computation(None),
        };
        let mut call = self
            .meter
            .reserve(reservation)
            .await
            .expect("the journal takes it");
        let reserved = accepted.elapsed();
        let mut generation = self.generation().await;
        while let Some(Ok(GenerationStep::Delta { text, tokens, .. })) = generation.next().await {
            call.deliver(&text, tokens);
        }
        assert!(call.finish(FinishReason::Stop, None).await.is_ok());
        reserved
    }
}

/// Answers at once.
struct Instantly;

#[async_trait::async_trait]
impl Engine for Instantly {
    fn limits(&self) -> EngineLimits {
        EngineLimits {
            context_tokens: 4096,
        }
    }

    async fn count_prompt(&self, _: &Prompt) -> Result<u64, EngineError> {
        Ok(1)
    }

    async fn generate(
        &self,
        _: Prompt,
        _: SamplingParams,
    ) -> Result<GenerationStream, EngineError> {
        let delta = |_| {
            Ok(GenerationStep::Delta {
                text: " word".into(),
                tokens: 1,
                logprobs: Vec::new(),
            })
        };
        Ok(futures::stream::iter((0..TOKENS).map(delta)).boxed())
    }

    async fn classify(&self, _: Prompt, _: &[String]) -> Result<LabelProbabilities, EngineError> {
        Err(EngineError::Failed("not benched".into()))
    }
}
