//! What a server relies on beside the answers: bounds, turns, memory, and models that come and go.

use std::sync::Arc;

use futures::{FutureExt, StreamExt, future::join_all};
use openlora_engine::{
    Engine, EngineError, EngineSpec, FairShareKey, GenerationStep, GenerationStream, LoadedEngine,
    ModelLoader, Prompt, Quant, SamplingParams,
};
use openlora_model::{
    BaseModel,
    adapter::{HostTensor, LoraAdapter},
};
use openlora_native::{NativeLoader, NativeSettings};

use crate::{
    adapters::random_adapter,
    engine_suite::{ask, base, greedy, refusal, told, up_to},
    scripted::Script,
    waiting,
};

/// An answer that takes minutes, each token reading all earlier ones: it still runs when a test drops
/// it, however slow the machine is.
const LONG_ANSWER: usize = 60_000;
const LONG_CONTEXT: usize = 1 << 16;

/// Keys and values of 32 tokens of the golden llama, with f32 weights.
const PAGE_BYTES: u64 = 4 * 2 * 2 * 32 * (8 + 16);

fn text(prompt: &str) -> Prompt {
    Prompt::Text(prompt.to_owned())
}

async fn try_load(
    loader: &NativeLoader,
    base: &BaseModel,
    adapter: Option<&LoraAdapter>,
) -> Result<LoadedEngine, EngineError> {
    let spec = EngineSpec {
        name: "mine".to_owned(),
        base,
        adapter,
        quant: Quant::F32,
    };
    loader.load(spec).await
}

async fn load(
    loader: &NativeLoader,
    base: &BaseModel,
    adapter: Option<&LoraAdapter>,
) -> Arc<dyn Engine> {
    try_load(loader, base, adapter).await.unwrap().engine
}

fn adapters(base: &BaseModel, count: u64) -> Vec<LoraAdapter> {
    let random = |seed| random_adapter(&base.config, 4, &["q_proj", "v_proj"], seed);
    (0..count).map(random).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_beyond_the_queue_are_refused_until_others_end() {
    let settings = NativeSettings {
        parallel: 1,
        queue: 1,
        ..NativeSettings::default()
    };
    let engines: Arc<dyn ModelLoader> = Arc::new(NativeLoader::new(settings));
    let script = Script::new().choice("x", &[("x", 1.0)]);
    let engine = script.load_with(&engines, LONG_CONTEXT).await;
    let running = engine
        .generate(text("x"), up_to(LONG_ANSWER))
        .await
        .unwrap();
    let waiting_call = engine.generate(text("x"), up_to(2)).await.unwrap();
    let error = refusal(&engine, text("x"), up_to(2)).await;
    let message = "script takes no further call now: 2 calls run or wait already".to_owned();
    let hint = Some("try again when other calls have been answered".to_owned());
    assert_eq!(told(error), (message, None, hint));
    let labels = ["x".to_owned(), "y".to_owned()];
    let refused = engine.classify(text("x"), &labels).await;
    assert!(matches!(refused, Err(EngineError::Busy { .. })));
    drop(running);
    let steps: Vec<GenerationStep> = waiting_call.map(Result::unwrap).collect().await;
    assert!(matches!(steps.last(), Some(GenerationStep::Done { .. })));
    waiting::until("a free place", async || {
        engine.classify(text("x"), &labels).await.is_ok()
    })
    .await;
}

/// One payer's calls fill the queue for that payer. Others get in up to an equal part, and all of them
/// together up to twice as many calls.
#[tokio::test(flavor = "multi_thread")]
async fn a_payer_who_fills_the_queue_keeps_nobody_out() {
    let settings = NativeSettings {
        parallel: 1,
        queue: 3,
        ..NativeSettings::default()
    };
    let engines: Arc<dyn ModelLoader> = Arc::new(NativeLoader::new(settings));
    let script = Script::new().choice("x", &[("x", 1.0)]);
    let engine = script.load_with(&engines, LONG_CONTEXT).await;
    // Who calls, and how many calls run and wait when one is refused.
    let steps = [
        ("busy", None),
        ("busy", None),
        ("busy", None),
        ("busy", None),
        ("busy", Some(4)),
        ("other", None),
        ("other", None),
        ("other", Some(6)),
        ("third", None),
        ("third", Some(7)),
        ("busy", Some(7)),
        ("fourth", None),
        ("fifth", Some(8)),
    ];
    let mut calls = Vec::new();
    for (payer, refused) in steps {
        match (call_of(&engine, payer, LONG_ANSWER).await, refused) {
            (Ok(call), None) => calls.push((payer, call)),
            (Err(error), Some(count)) => {
                let message =
                    format!("script takes no further call now: {count} calls run or wait already");
                assert_eq!(told(error).0, message);
            }
            (found, _) => panic!("{payer}: {:?}", found.err()),
        }
    }
    // Places that are left are free again.
    calls.retain(|(payer, _)| *payer != "busy");
    waiting::until("a place for the fifth", async || {
        call_of(&engine, "fifth", 1).await.is_ok()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unloaded_adapter_finishes_its_calls() {
    let base = base("llama");
    let loader = NativeLoader::new(NativeSettings::default());
    let adapter = &adapters(&base, 1)[0];
    let plain = load(&loader, &base, None).await;
    let engine = load(&loader, &base, Some(adapter)).await;
    let expected = ask(&engine, text("the quick"), greedy(40)).await;
    let mut stream = engine
        .generate(text("the quick"), greedy(40))
        .await
        .unwrap();
    drop(engine);
    let mut answer = String::new();
    while let Some(step) = stream.next().await {
        if let GenerationStep::Delta { text, .. } = step.unwrap() {
            answer.push_str(&text);
        }
    }
    assert_eq!(answer, expected.text);
    waiting::until("the adapter to leave", async || loader.resident() == 1).await;
    // Loaded again, its effect is known, and it answers as before.
    let before = loader.activity().tokens;
    let again = load(&loader, &base, Some(adapter)).await;
    assert_eq!(loader.activity().tokens, before);
    assert_eq!(ask(&again, text("the quick"), greedy(40)).await, expected);
    drop((plain, again));
}

#[tokio::test(flavor = "multi_thread")]
async fn little_memory_shortens_the_context_and_too_little_is_refused() {
    let base = base("llama");
    let with = |cache_bytes| {
        NativeLoader::new(NativeSettings {
            cache_bytes: Some(cache_bytes),
            ..NativeSettings::default()
        })
    };
    let loader = with(2 * PAGE_BYTES);
    let engine = load(&loader, &base, None).await;
    assert_eq!(engine.limits().context_tokens, 64);
    let prompt = "a ".repeat(70);
    let length = engine.count_prompt(&text(&prompt)).await.unwrap();
    let message = format!("the prompt has {length} tokens; mine takes 64 tokens with the answer");
    let error = refusal(&engine, text(&prompt), greedy(4)).await;
    assert_eq!(told(error), (message, Some("prompt"), None));
    // Several calls that fill the whole cache each are answered one after the other.
    let alone = ask(&engine, text("the quick"), greedy(60)).await;
    let all = join_all((0..6).map(|_| ask(&engine, text("the quick"), greedy(60)))).await;
    assert!(all.iter().all(|answer| *answer == alone));

    let error = try_load(&with(PAGE_BYTES - 1), &base, None).await.err();
    let message = "cannot load mine: the cache of 12287 bytes cannot hold 32 tokens, which take \
                   12288 bytes";
    assert_eq!(told(error.unwrap()), (message.to_owned(), None, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_is_computed_once_per_adapter() {
    let base = base("llama");
    let loader = NativeLoader::new(NativeSettings::default());
    let mut engines = vec![load(&loader, &base, None).await];
    for adapter in &adapters(&base, 2) {
        engines.push(load(&loader, &base, Some(adapter)).await);
    }
    let prompt = "the quick brown fox ".repeat(5);
    let length = engines[0].count_prompt(&text(&prompt)).await.unwrap();
    let pages = (length - 1) / 32 * 32;
    assert!(pages >= 64, "{length}");
    for engine in &engines {
        for expected in [0, pages] {
            let before = loader.activity().reused;
            ask(engine, text(&prompt), greedy(1)).await;
            assert_eq!(loader.activity().reused - before, expected);
        }
    }
}

/// A call for the model `engine` that counts for `payer`.
async fn call_of(
    engine: &Arc<dyn Engine>,
    payer: &str,
    tokens: usize,
) -> Result<GenerationStream, EngineError> {
    let own = engine.for_call(&FairShareKey::from(payer)).await?;
    own.unwrap().generate(text("x"), up_to(tokens)).await
}

/// Reads an answer to its end, which must come while others take minutes.
async fn ends_soon(what: &str, call: GenerationStream) {
    let read = call.for_each(|step| async { drop(step.unwrap()) });
    waiting::within(what, read).await;
}

/// How many of these answers have ended.
fn ended(calls: Vec<GenerationStream>) -> usize {
    let has_ended = |mut call: GenerationStream| {
        while let Some(step) = call.next().now_or_never() {
            match step {
                Some(step) => drop(step.unwrap()),
                None => return true,
            }
        }
        false
    };
    calls
        .into_iter()
        .filter_map(|it| has_ended(it).then_some(()))
        .count()
}

/// A flood of calls to one adapter must not make another adapter's call wait for its end: of 40 calls
/// of the one, four come before it at most, since the fifth would take minutes.
#[tokio::test(flavor = "multi_thread")]
async fn adapters_take_turns() {
    const SLOTS: usize = 2;
    const FIRST: usize = 4;
    let loader = NativeLoader::new(NativeSettings {
        parallel: SLOTS,
        ..NativeSettings::default()
    });
    let script = Script::new().choice("x", &[("x", 1.0)]);
    let base = script.base(LONG_CONTEXT);
    let plain = load(&loader, &base, None).await;
    // Only both projections together change what attention adds to this base.
    let adapters = [0, 1].map(|seed| random_adapter(&base.config, 4, &["v_proj", "o_proj"], seed));
    let busy = load(&loader, &base, Some(&adapters[0])).await;
    let other = load(&loader, &base, Some(&adapters[1])).await;
    // Both slots are taken until all calls are there.
    let mut held = Vec::new();
    for _ in 0..SLOTS {
        held.push(call_of(&plain, "nobody", LONG_ANSWER).await.unwrap());
    }
    let exactly = |tokens| SamplingParams {
        min_tokens: tokens,
        ..up_to(tokens)
    };
    let mut flood = Vec::new();
    for number in 0..40 {
        let tokens = if number < FIRST { 60 } else { LONG_ANSWER };
        flood.push(busy.generate(text("x"), exactly(tokens)).await.unwrap());
    }
    let call = other.generate(text("x"), exactly(10)).await.unwrap();
    drop(held);
    ends_soon("the other adapter's answer", call).await;
    let ended_before = ended(flood);
    assert!(ended_before <= 4, "{ended_before} of 40 calls came first");
}

/// A payer's first call waits for one call of another payer, however many of that one's calls wait: the
/// second would take minutes.
#[tokio::test(flavor = "multi_thread")]
async fn payers_of_an_adapter_take_turns() {
    const LENGTH: usize = 1000;
    let loader = Arc::new(NativeLoader::new(NativeSettings {
        parallel: 1,
        ..NativeSettings::default()
    }));
    let engines: Arc<dyn ModelLoader> = loader.clone();
    let script = Script::new().choice("x", &[("x", 1.0)]);
    let engine = script.load_with(&engines, LONG_CONTEXT).await;
    // All calls are there before the first of them begins.
    let held = engine.generate(text("x"), up_to(LONG_ANSWER)).await;
    let held = held.unwrap();
    let mut flood = vec![call_of(&engine, "busy", LENGTH).await.unwrap()];
    for _ in 1..50 {
        flood.push(call_of(&engine, "busy", LONG_ANSWER).await.unwrap());
    }
    let call = call_of(&engine, "other", LENGTH).await.unwrap();
    let before = loader.steps();
    drop(held);
    ends_soon("the other payer's answer", call).await;
    let rows = loader.steps() - before;
    assert!(rows < 10_000, "{rows} rows for two calls of 1000");
    drop(flood);

    // Calls of one payer are answered in their order.
    let held = engine.generate(text("x"), up_to(LONG_ANSWER)).await;
    let held = held.unwrap();
    let mut flood = Vec::new();
    for _ in 0..50 {
        flood.push(call_of(&engine, "busy", LENGTH).await.unwrap());
    }
    let call = call_of(&engine, "busy", LENGTH).await.unwrap();
    let before = loader.steps();
    drop(held);
    call.for_each(|step| async { drop(step.unwrap()) }).await;
    let rows = loader.steps() - before;
    assert!(rows >= 50_000, "{rows} rows for 51 calls of 1000");
}

/// What a payer was served while another asked for less is not held against it: its short call comes
/// before those of 24 calls of the other that wait, each of which would take minutes.
#[tokio::test(flavor = "multi_thread")]
async fn a_payer_that_was_served_more_takes_its_turn() {
    const SLOTS: usize = 8;
    let loader = Arc::new(NativeLoader::new(NativeSettings {
        parallel: SLOTS,
        ..NativeSettings::default()
    }));
    let engines: Arc<dyn ModelLoader> = loader.clone();
    let script = Script::new().choice("x", &[("x", 1.0)]);
    let engine = script.load_with(&engines, LONG_CONTEXT).await;
    let mut running = vec![call_of(&engine, "busy", LONG_ANSWER).await.unwrap()];
    let own = engine.for_call(&FairShareKey::from("other")).await;
    let other = own.unwrap().unwrap();
    join_all((1..SLOTS).map(|_| ask(&other, text("x"), up_to(2_000)))).await;
    for _ in 1..4 * SLOTS {
        running.push(call_of(&engine, "busy", LONG_ANSWER).await.unwrap());
    }
    let call = call_of(&engine, "other", 10).await.unwrap();
    // Calls of the busy payer have all slots. They are served what the other was ahead of them when it
    // came: as much as one step of prompts.
    let begun = loader.steps();
    waiting::until("the busy payer to be served", async || {
        loader.steps() >= begun + 1000
    })
    .await;
    drop(running.remove(0));
    ends_soon("the other payer's answer", call).await;
    let ended_before = ended(running);
    assert!(
        ended_before <= SLOTS,
        "{ended_before} of 24 calls came first"
    );
}

/// Keys and values take what running calls need, and after a peak no more than a quarter of the budget.
#[tokio::test(flavor = "multi_thread")]
async fn pages_are_given_back_after_a_peak() {
    const PAGES: u64 = 40;
    let base = base("llama");
    let loader = NativeLoader::new(NativeSettings {
        cache_bytes: Some(PAGES * PAGE_BYTES),
        ..NativeSettings::default()
    });
    let engine = load(&loader, &base, None).await;
    let words = [
        "the", "quick", "brown", "fox", "so", "it", "goes", "a", "trade", "that",
    ];
    let prompt = |number: usize| {
        let four = (number..number + 4).map(|at| words[at % words.len()]);
        format!("{} ", four.collect::<Vec<_>>().join(" ")).repeat(5)
    };
    let alone = ask(&engine, text(&prompt(0)), greedy(8)).await;
    let calls = join_all((0..words.len()).map(|number| {
        let engine = &engine;
        async move { ask(engine, text(&prompt(number)), greedy(8)).await }
    }));
    assert_eq!(calls.await[0], alone);
    let cache = async || loader.memory().await.cache / PAGE_BYTES;
    waiting::until("the floor", async || cache().await == PAGES / 4).await;
    // What stays are the known prefixes that were used last.
    for known in [false, true] {
        let before = loader.activity().reused;
        assert_eq!(ask(&engine, text(&prompt(0)), greedy(8)).await, alone);
        let reused = loader.activity().reused - before;
        assert!(!known || reused >= 64, "{reused}");
    }
    waiting::until("the floor again", async || cache().await == PAGES / 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adapter_that_is_refused_disturbs_no_call() {
    let base = base("llama");
    let loader = NativeLoader::new(NativeSettings::default());
    let good = &adapters(&base, 1)[0];
    let engine = load(&loader, &base, Some(good)).await;
    let expected = ask(&engine, text("the quick"), greedy(100)).await;

    let mut dead = good.clone();
    dead.digest = "dead".to_owned();
    for (name, tensor) in &mut dead.tensors {
        if name.contains("lora_B") {
            *tensor = HostTensor::from_f32(&tensor.shape, &vec![0.0; tensor.to_f32().len()]);
        }
    }
    let wide = random_adapter(&base.config, 257, &["q_proj"], 9);
    let mut huge = good.clone();
    huge.digest = "huge".to_owned();
    for (name, tensor) in &mut huge.tensors {
        if name.contains("lora_B") {
            let values = vec![f32::MAX; tensor.to_f32().len()];
            *tensor = HostTensor::from_f32(&tensor.shape, &values);
        }
    }
    let refused = [
        (
            &dead,
            "adapter mine changes nothing: on 3 test prompts its logits differ from the base's by \
             at most 0e0",
        ),
        (
            &wide,
            "cannot serve mine: module model.layers.0.self_attn.q_proj: the LoRA rank is 257; \
             expected 1 to 256",
        ),
        (
            &huge,
            "cannot serve mine: with it the base computes logits that are no numbers",
        ),
    ];
    let calls = join_all((0..8).map(|_| ask(&engine, text("the quick"), greedy(100))));
    let loads = async {
        for (adapter, message) in refused {
            let error = try_load(&loader, &base, Some(adapter)).await.err().unwrap();
            assert_eq!(told(error).0, message);
        }
    };
    let (answers, _) = futures::join!(calls, loads);
    assert!(answers.iter().all(|answer| *answer == expected));
    waiting::until("one model in memory", async || loader.resident() == 1).await;
}
