//! An answer depends on nothing but its own call: alone or in any company, the same bits.

use std::{collections::BTreeMap, sync::Arc};

use futures::{StreamExt, future::join_all};
use openlora_engine::{
    Engine, EngineSpec, GenerationStep, ModelLoader, Prompt, Quant, SamplingParams,
};
use openlora_ledger::event::{FinishReason, TokenUsage};
use openlora_model::{
    BaseModel,
    adapter::{self, LoraAdapter},
};
use openlora_native::{CpuPath, NativeActivity, NativeLoader, NativeSettings};
use rand::{Rng, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;

use crate::{adapters::random_adapter, engine_suite::base, golden::dir as golden};

const REQUESTS: usize = 200;
/// Loaders with settings of their own.
const LOADERS: usize = 50;
/// Schedules on each of them, the later ones with warm caches.
const ROUNDS: usize = 20;
/// Calls at once in a schedule.
const COMPANY: usize = 12;

const FORMS: [Quant; 3] = [Quant::F32, Quant::Q8_0, Quant::Q4_0];

const WORDS: &[&str] = &[
    "the", "quick", "brown", "fox", "so", "it", "goes", "a", "trade", "that", "is", "thin", "my",
    "good", "x",
];
const LABELS: &[&str] = &[
    "good", "bad", "ugly", "trader", "trading", "trade", "th", "the",
];

/// A call, and the model that it names: 0 is the plain base.
#[derive(Clone, Debug)]
struct PlannedCall {
    model: usize,
    prompt: Prompt,
    work: PlannedWork,
}

#[derive(Clone, Debug)]
enum PlannedWork {
    Answer(SamplingParams),
    Classify(Vec<String>),
}

/// Everything that a caller sees, with floats as bits.
#[derive(Clone, Debug, PartialEq)]
enum SeenResult {
    Answer {
        text: String,
        /// Of each token: its id, its log-probability, and those of the alternatives.
        tokens: Vec<Vec<(u32, u32)>>,
        usage: TokenUsage,
        finish: FinishReason,
    },
    Labels {
        probabilities: Vec<u64>,
        usage: TokenUsage,
    },
}

fn planned_calls(random: &mut ChaCha8Rng, models: usize) -> Vec<PlannedCall> {
    // Some prompts begin alike, so that there are prefixes to share.
    let openings: Vec<String> = (0..4).map(|_| words(random, 24)).collect();
    (0..REQUESTS)
        .map(|_| {
            let count = random.random_range(2..=10);
            let mut text = words(random, count);
            if random.random_bool(0.5) {
                text = format!("{} {text}", openings.choose(random).unwrap());
            }
            let work = match random.random_bool(0.15) {
                true => PlannedWork::Classify(labels(random)),
                false => PlannedWork::Answer(sampling(random)),
            };
            PlannedCall {
                model: random.random_range(0..models),
                prompt: Prompt::Text(text),
                work,
            }
        })
        .collect()
}

fn words(random: &mut ChaCha8Rng, count: usize) -> String {
    let words: Vec<&str> = (0..count).map(|_| *WORDS.choose(random).unwrap()).collect();
    words.join(" ")
}

fn labels(random: &mut ChaCha8Rng) -> Vec<String> {
    let count = random.random_range(2..=LABELS.len());
    let chosen = LABELS.choose_multiple(random, count);
    chosen.map(|label| (*label).to_owned()).collect()
}

fn sampling(random: &mut ChaCha8Rng) -> SamplingParams {
    let mut chance = |p: f64| random.random_bool(p);
    let (hot, nucleus, top_k, min_p) = (chance(0.6), chance(0.3), chance(0.3), chance(0.2));
    let (penal, repeated, least) = (chance(0.3), chance(0.3), chance(0.2));
    SamplingParams {
        max_tokens: random.random_range(1..=20),
        temperature: hot.then(|| random.random_range(0.2..2.0)),
        top_p: nucleus.then(|| random.random_range(0.3..0.99)),
        top_k: top_k.then(|| random.random_range(2..40)),
        min_p: min_p.then_some(0.05),
        frequency_penalty: penal.then_some(0.7),
        presence_penalty: penal.then_some(0.2),
        repetition_penalty: repeated.then_some(1.3),
        min_tokens: if least { 5 } else { 0 },
        stop: vec!["th".to_owned()],
        stop_token_ids: Vec::new(),
        logprobs: Some(2),
        seed: Some(random.random()),
    }
}

async fn answer(engine: &Arc<dyn Engine>, call: &PlannedCall) -> SeenResult {
    let sampling = match &call.work {
        PlannedWork::Answer(sampling) => sampling.clone(),
        PlannedWork::Classify(labels) => {
            let found = engine.classify(call.prompt.clone(), labels).await.unwrap();
            let bits = found.probabilities.iter().map(|it| it.to_bits());
            return SeenResult::Labels {
                probabilities: bits.collect(),
                usage: found.usage,
            };
        }
    };
    let mut stream = engine
        .generate(call.prompt.clone(), sampling)
        .await
        .unwrap();
    let (mut text, mut tokens) = (String::new(), Vec::new());
    while let Some(step) = stream.next().await {
        match step.unwrap() {
            GenerationStep::Delta {
                text: more,
                logprobs,
                ..
            } => {
                text.push_str(&more);
                tokens.extend(logprobs.into_iter().map(|it| {
                    let own = (it.token.id, it.logprob.to_bits());
                    let top = it.top.iter().map(|(token, p)| (token.id, p.to_bits()));
                    std::iter::once(own).chain(top).collect()
                }));
            }
            GenerationStep::Done { usage, finish } => {
                return SeenResult::Answer {
                    text,
                    tokens,
                    usage,
                    finish,
                };
            }
        }
    }
    panic!("the stream ended without Done");
}

/// Adapters of several ranks, targets, scales and precisions.
fn adapters(base: &BaseModel) -> Vec<LoraAdapter> {
    let mut all: Vec<LoraAdapter> = ["qv", "all-linear", "rslora", "patterns"]
        .iter()
        .map(|name| adapter::read(&golden(&format!("llama.{name}"))).unwrap())
        .collect();
    let targets: [(usize, &[&str]); 3] = [
        (1, &["o_proj", "down_proj"]),
        (17, &["gate_proj", "up_proj"]),
        (64, &["q_proj", "k_proj", "v_proj", "o_proj"]),
    ];
    for (seed, (rank, targets)) in targets.into_iter().enumerate() {
        all.push(random_adapter(&base.config, rank, targets, seed as u64));
    }
    all
}

/// The plain base and an engine per adapter.
async fn engines(
    loader: &NativeLoader,
    base: &BaseModel,
    adapters: &[LoraAdapter],
    quant: Quant,
) -> Vec<Arc<dyn Engine>> {
    let mut engines = Vec::new();
    for adapter in std::iter::once(None).chain(adapters.iter().map(Some)) {
        let spec = EngineSpec {
            name: "mine".to_owned(),
            base,
            adapter,
            quant,
        };
        engines.push(loader.load(spec).await.unwrap().engine);
    }
    engines
}

/// Settings that a schedule must not be seen from.
fn settings(random: &mut ChaCha8Rng, page_bytes: u64) -> NativeSettings {
    let pages = *[4, 5, 7, 12, 200].choose(random).unwrap();
    let paths: Vec<CpuPath> = CpuPath::ALL
        .into_iter()
        .filter(|path| path.is_supported())
        .collect();
    NativeSettings {
        path: paths.choose(random).copied(),
        threads: Some(random.random_range(1..=3)),
        parallel: random.random_range(1..=COMPANY),
        chunk_tokens: *[1, 3, 16, 31, 64, 256].choose(random).unwrap(),
        cache_bytes: Some(pages * page_bytes),
        ..NativeSettings::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_the_same_alone_and_in_any_company() {
    let base = base("llama");
    let adapters = adapters(&base);
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let calls = planned_calls(&mut random, adapters.len() + 1);
    let mut alone = BTreeMap::new();
    for (form, quant) in FORMS.into_iter().enumerate() {
        let loader = NativeLoader::new(NativeSettings {
            threads: Some(1),
            parallel: 1,
            ..NativeSettings::default()
        });
        let engines = engines(&loader, &base, &adapters, quant).await;
        for (number, call) in calls.iter().enumerate() {
            let seen = answer(&engines[call.model], call).await;
            alone.insert((form, number), seen);
        }
    }
    let mut total = NativeActivity::default();
    for number in 0..LOADERS {
        let form = number % FORMS.len();
        let quant = FORMS[form];
        // Keys and values of 32 tokens in 2 layers of 2 heads of 8, padded to 16 values.
        let page_bytes = [4, 2, 2][form] * 2 * 2 * 32 * (8 + 16);
        let settings = settings(&mut random, page_bytes);
        let loader = NativeLoader::new(settings);
        let engines = engines(&loader, &base, &adapters, quant).await;
        for _ in 0..ROUNDS {
            let chosen: Vec<usize> = (0..COMPANY)
                .map(|_| random.random_range(0..REQUESTS))
                .collect();
            let running = chosen.iter().map(|number| {
                let call = &calls[*number];
                let expected = &alone[&(form, *number)];
                let engine = &engines[call.model];
                async move {
                    let seen = answer(engine, call).await;
                    assert_eq!(seen, *expected, "{settings:?} {call:?}");
                }
            });
            // A caller that leaves must not be noticed either.
            let left = &calls[random.random_range(0..REQUESTS)];
            if let PlannedWork::Answer(sampling) = &left.work {
                let engine = &engines[left.model];
                let stream = engine.generate(left.prompt.clone(), sampling.clone());
                drop(stream.await.unwrap());
            }
            join_all(running).await;
        }
        let done = loader.activity();
        total.reused += done.reused;
        total.pre_emptions += done.pre_emptions;
    }
    assert!(total.reused > 0 && total.pre_emptions > 0, "{total:?}");
}
