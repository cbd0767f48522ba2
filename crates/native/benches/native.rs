//! The native engine on a base of yours: its greedy text beside a PEFT reference, or its speed.
//!
//! ```text
//! cargo bench -p openlora-native --bench native -- BASE [--quant q8_0] [--adapter DIR]... [OPTIONS]
//!   --reference FILE   compares greedy tokens with those of `rows[].{prompt_ids, adapter, base}` in FILE
//!   --streams 1,8,32   streams at once (default 1,8,32); adapters take turns
//!   --prompt 400       tokens of the prompt (default 400)
//!   --tokens 64        tokens of each answer (default 64)
//!   --threads 2        threads (default: all cores)
//!   --rounds 3         repetitions of each measurement; the best counts (default 3)
//! ```

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench prints its figures and stops at the first surprise"
)]

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{StreamExt, future::join_all};
use openlora_engine::{
    Engine, EngineSpec, GenerationStep, ModelLoader, Prompt, Quant, SamplingParams,
};
use openlora_model::{BaseModel, adapter, text::TextCodec};
use openlora_native::{NativeLoader, NativeSettings};
use serde_json::Value;

struct BenchSettings {
    base: PathBuf,
    adapters: Vec<PathBuf>,
    reference: Option<PathBuf>,
    quant: Quant,
    streams: Vec<usize>,
    prompt: usize,
    tokens: usize,
    rounds: usize,
    native: NativeSettings,
}

fn settings() -> BenchSettings {
    let mut settings = BenchSettings {
        base: PathBuf::new(),
        adapters: Vec::new(),
        reference: None,
        quant: Quant::Auto,
        streams: vec![1, 8, 32],
        prompt: 400,
        tokens: 64,
        rounds: 3,
        native: NativeSettings::default(),
    };
    // Cargo adds `--bench`.
    let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
    while let Some(word) = words.next() {
        let Some(option) = word.strip_prefix("--") else {
            settings.base = PathBuf::from(word);
            continue;
        };
        let value = words.next().expect("a value follows each option");
        let number = || value.parse::<usize>().expect("a number");
        match option {
            "quant" => settings.quant = value.parse().expect("a quantisation"),
            "adapter" => settings.adapters.push(PathBuf::from(value)),
            "reference" => settings.reference = Some(PathBuf::from(value)),
            "streams" => {
                let counts = value
                    .split(',')
                    .map(|count| count.parse().expect("a number"));
                settings.streams = counts.collect();
            }
            "prompt" => settings.prompt = number(),
            "tokens" => settings.tokens = number(),
            "rounds" => settings.rounds = number(),
            "threads" => settings.native.threads = Some(number()),
            other => panic!("--{other} is no option"),
        }
    }
    settings
}

/// An answer as it arrived.
struct TimedAnswer {
    ids: Vec<u32>,
    first: Duration,
    whole: Duration,
}

async fn answer(engine: &Arc<dyn Engine>, prompt: String, sampling: SamplingParams) -> TimedAnswer {
    let start = Instant::now();
    let stream = engine.generate(Prompt::Text(prompt), sampling).await;
    let mut stream = stream.expect("the prompt is valid");
    let (mut ids, mut first) = (Vec::new(), None);
    while let Some(step) = stream.next().await {
        if let GenerationStep::Delta { logprobs, .. } = step.expect("the engine answers") {
            first.get_or_insert_with(|| start.elapsed());
            ids.extend(logprobs.iter().map(|it| it.token.id));
        }
    }
    TimedAnswer {
        ids,
        first: first.unwrap_or_default(),
        whole: start.elapsed(),
    }
}

fn memory() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
    kilobytes.unwrap_or(0.0) / 1e3
}

#[tokio::main]
async fn main() {
    let settings = settings();
    if settings.base.as_os_str().is_empty() {
        println!("native: no base named; see the head of crates/native/benches/native.rs");
        return;
    }
    let base = BaseModel::open_dir("base", &settings.base).expect("the base opens");
    let codec = TextCodec::open(&settings.base).expect("the tokenizer opens");
    let loader = NativeLoader::new(settings.native);
    let before = Instant::now();
    let mut engines = vec![load(&loader, &base, None, settings.quant).await];
    println!("base: {:?}, {:.0} MB resident", before.elapsed(), memory());
    for dir in &settings.adapters {
        let adapter = adapter::read(dir).expect("the adapter is valid");
        let before = Instant::now();
        engines.push(load(&loader, &base, Some(&adapter), settings.quant).await);
        println!(
            "adapter: {:?}, {:.0} MB resident",
            before.elapsed(),
            memory()
        );
        let before = Instant::now();
        engines.pop();
        engines.push(load(&loader, &base, Some(&adapter), settings.quant).await);
        println!("adapter again: {:?}", before.elapsed());
    }
    println!("{:?}", loader.memory().await);
    match &settings.reference {
        Some(path) => compare(path, &codec, &engines).await,
        None => measure(&settings, &codec, &engines).await,
    }
    println!("{:?}, {:.0} MB resident", loader.activity(), memory());
}

async fn load(
    loader: &NativeLoader,
    base: &BaseModel,
    adapter: Option<&adapter::LoraAdapter>,
    quant: Quant,
) -> Arc<dyn Engine> {
    let spec = EngineSpec {
        name: "bench".to_owned(),
        base,
        adapter,
        quant,
    };
    loader.load(spec).await.expect("the model loads").engine
}

/// Greedy tokens of the plain base and of the adapter beside PEFT's.
async fn compare(path: &PathBuf, codec: &TextCodec, engines: &[Arc<dyn Engine>]) {
    let text = std::fs::read_to_string(path).expect("the reference opens");
    let reference: Value = serde_json::from_str(&text).expect("the reference is JSON");
    let ids = |value: &Value| -> Vec<u32> {
        let list = value.as_array().expect("a list of ids").iter();
        list.filter_map(|id| Some(id.as_u64()? as u32)).collect()
    };
    for row in reference["rows"].as_array().expect("rows") {
        let prompt_ids = ids(&row["prompt_ids"]);
        let prompt = codec.decode_verbatim(&prompt_ids).expect("ids of the base");
        assert_eq!(codec.encode(&prompt, false).expect("a text"), prompt_ids);
        for (engine, key) in engines.iter().zip(["base", "adapter"]) {
            let wanted = ids(&row[key]["tokens"]);
            let wanted: Vec<u32> = wanted
                .into_iter()
                .take_while(|id| !codec.stop_ids().contains(id))
                .collect();
            let sampling = SamplingParams {
                max_tokens: 24,
                logprobs: Some(0),
                ..SamplingParams::default()
            };
            let found = answer(engine, prompt.clone(), sampling).await.ids;
            let same = found
                .iter()
                .zip(&wanted)
                .take_while(|(a, b)| a == b)
                .count();
            println!("{key}: {same} of {} tokens equal", wanted.len());
        }
    }
}

/// A prompt of about so many tokens that no other stream has.
fn prompt(codec: &TextCodec, tokens: usize, stream: usize) -> String {
    let mut text = format!("Stream {stream}: ");
    let mut number = stream * 7919;
    while codec.encode(&text, true).expect("a text").len() < tokens {
        for _ in 0..8 {
            number = (number * 1_103_515_245 + 12_345) % (1 << 31);
            text.push_str(["river ", "house ", "seven ", "green ", "walks "][number / 64 % 5]);
        }
    }
    text
}

async fn measure(settings: &BenchSettings, codec: &TextCodec, engines: &[Arc<dyn Engine>]) {
    let engines = if engines.len() > 1 {
        &engines[1..]
    } else {
        engines
    };
    println!("streams | prompt tokens/s | decode tokens/s | first token p50, p95");
    let mut fresh = 0;
    for &streams in &settings.streams {
        let (mut best_prompt, mut best_decode) = (0f64, 0f64);
        let mut firsts: Vec<Duration> = Vec::new();
        for _ in 0..settings.rounds {
            let prompts: Vec<String> = (0..streams)
                .map(|_| {
                    fresh += 1;
                    prompt(codec, settings.prompt, fresh)
                })
                .collect();
            let counts = prompts
                .iter()
                .map(|it| codec.encode(it, true).expect("a text").len());
            let prompt_tokens: usize = counts.sum();
            let run = |tokens: usize, min_tokens: usize| {
                let sampling = SamplingParams {
                    max_tokens: tokens,
                    min_tokens,
                    ..SamplingParams::default()
                };
                let started = prompts.iter().enumerate().map(move |(number, prompt)| {
                    let engine = &engines[number % engines.len()];
                    answer(engine, prompt.clone(), sampling.clone())
                });
                join_all(started.collect::<Vec<_>>())
            };
            let start = Instant::now();
            let answers = run(1, 1).await;
            let reading = start.elapsed().as_secs_f64();
            firsts.extend(answers.iter().map(|answer| answer.first));
            best_prompt = best_prompt.max(prompt_tokens as f64 / reading);
            // Their prompts are known by now.
            let start = Instant::now();
            let answers = run(settings.tokens, settings.tokens).await;
            let slowest_first = answers.iter().map(|it| it.first).max().unwrap_or_default();
            let longest = answers.iter().map(|it| it.whole).max().unwrap_or_default();
            assert!(longest <= start.elapsed());
            let writing = (longest - slowest_first).as_secs_f64();
            let tokens = streams * (settings.tokens - 1);
            best_decode = best_decode.max(tokens as f64 / writing);
        }
        firsts.sort();
        let at = |share: f64| firsts[((firsts.len() - 1) as f64 * share) as usize];
        println!(
            "{streams} | {best_prompt:.0} | {best_decode:.1} | {:.0?}, {:.0?}",
            at(0.5),
            at(0.95)
        );
    }
}
