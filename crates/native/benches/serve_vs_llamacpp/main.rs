//! The native engine beside llama.cpp, measured by turns on the same GGUF file.
//!
//! ```text
//! cargo bench -p openlora-native --bench serve_vs_llamacpp -- MODEL.gguf [OPTIONS]
//!   --rounds 5         turns of each measurement; medians count (default 5)
//!   --prompt 400       tokens of the prompt (default 400)
//!   --tokens 64        tokens of each answer (default 64)
//!   --resident 1000    adapters in memory for the last rows (default 1000)
//!   --threads 2        threads of both (default: all cores)
//!   --path AVX2        instructions of the native engine (default: the fastest)
//!   --peer none        leaves llama.cpp out: own adapters beside one, memory and swaps
//! ```
//!
//! `llama-bench` and `llama-server` are those on the path, or in the folder `LLAMA_CPP_BIN`. One
//! stream and the prompt are compared with `llama-bench`, which neither samples nor speaks HTTP;
//! several streams with `llama-server`, whose slots share one adapter, since it does not batch slots
//! of different ones. Both compute the prompts of the streams before the measured answers.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench prints its figures and stops at the first surprise"
)]

mod peer;
mod subject;
mod swap;

// The same adapters in memory as the tests'.
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/it/adapters.rs"]
mod adapters;

#[allow(
    dead_code,
    clippy::unwrap_used,
    reason = "the tests use more of it, and a bench may stop at the first surprise"
)]
#[path = "../../../../tests/support/gguf.rs"]
mod gguf;

use std::{
    num::NonZero,
    path::{Path, PathBuf},
};

use openlora_native::{CpuPath, NativeSettings};

use peer::{LlamaServer, llama_bench};
use subject::{MeasuredEngines, ResidentMemory, open_base, process_bytes};

struct BenchSettings {
    model: PathBuf,
    rounds: usize,
    prompt: usize,
    tokens: usize,
    resident: usize,
    threads: usize,
    path: Option<CpuPath>,
    peer: bool,
}

fn settings() -> Option<BenchSettings> {
    let mut settings = BenchSettings {
        model: PathBuf::new(),
        rounds: 5,
        prompt: 400,
        tokens: 64,
        resident: 1000,
        threads: std::thread::available_parallelism().map_or(1, NonZero::get),
        path: None,
        peer: true,
    };
    // Cargo adds `--bench`.
    let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
    while let Some(word) = words.next() {
        let Some(option) = word.strip_prefix("--") else {
            settings.model = PathBuf::from(word);
            continue;
        };
        let value = words.next().expect("a value follows each option");
        let number = || value.parse::<usize>().expect("a number");
        match option {
            "rounds" => settings.rounds = number().max(1),
            "prompt" => settings.prompt = number(),
            "tokens" => settings.tokens = number(),
            "resident" => settings.resident = number(),
            "threads" => settings.threads = number(),
            "path" => {
                let named = CpuPath::ALL.into_iter().find(|it| it.to_string() == value);
                settings.path = Some(named.expect("a path such as AVX2"));
            }
            "peer" if value == "none" => settings.peer = false,
            other => panic!("--{other} {value} is no option"),
        }
    }
    (!settings.model.as_os_str().is_empty()).then_some(settings)
}

/// A figure of both sides, turn by turn.
#[derive(Default)]
struct Comparison {
    ours: Vec<f64>,
    theirs: Vec<f64>,
}

impl Comparison {
    /// The line of the table: medians, and the median of the turns' ratios.
    fn line(&self, work: &str, target: &str) -> String {
        let ratios = self.ours.iter().zip(&self.theirs);
        let ratios: Vec<f64> = ratios.map(|(ours, theirs)| ours / theirs).collect();
        format!(
            "| {work} | {:.0} | {:.0} | {:.2} | {target} |",
            median(&self.ours),
            median(&self.theirs),
            median(&ratios)
        )
    }
}

pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Streams that are measured beside the server.
const STREAMS: [usize; 2] = [8, 32];

#[tokio::main]
async fn main() {
    let Some(settings) = settings() else {
        println!("serve_vs_llamacpp: no GGUF file named; its head tells the options");
        return;
    };
    let folder = tempfile::tempdir().expect("a folder for the converted base");
    let base = open_base(&settings.model, folder.path());
    let native = NativeSettings {
        threads: Some(settings.threads),
        path: settings.path,
        ..NativeSettings::default()
    };
    let before = process_bytes();
    let mut subject = MeasuredEngines::load(base, native, STREAMS[1]).await;
    if settings.peer {
        let adapter = folder.path().join("adapter.gguf");
        subject.write_gguf_adapter(&adapter);
        beside_llama_cpp(&settings, &mut subject, &adapter).await;
        println!();
    }
    println!("| work | own adapters | one adapter | ratio | target |");
    println!("| --- | --- | --- | --- | --- |");
    own_against_one(&settings, &mut subject, "32 streams, 32 adapters in memory").await;
    let loaded = process_bytes();
    subject.load_until(settings.resident).await;
    let memory = ResidentMemory {
        before,
        loaded,
        after: process_bytes(),
    };
    let work = format!("32 streams, {} adapters in memory", settings.resident);
    own_against_one(&settings, &mut subject, &work).await;
    println!();
    subject.print_memory(&memory).await;
    swap::measure(&settings, &mut subject, folder.path()).await;
}

async fn beside_llama_cpp(settings: &BenchSettings, subject: &mut MeasuredEngines, adapter: &Path) {
    let servers = STREAMS
        .map(|streams| LlamaServer::start(&settings.model, adapter, streams, settings.threads));
    println!("| work | openlora | llama.cpp | ratio | target |");
    println!("| --- | --- | --- | --- | --- |");
    single_stream(settings, subject).await;
    for server in &servers {
        several_streams(settings, subject, server).await;
    }
}

/// The prompt, and the answer of one stream.
async fn single_stream(settings: &BenchSettings, subject: &mut MeasuredEngines) {
    let (mut prompt, mut decode) = (Comparison::default(), Comparison::default());
    for _ in 0..settings.rounds {
        prompt.ours.push(subject.prompt_rate(settings.prompt).await);
        decode.ours.push(subject.decode_rate(settings.tokens).await);
        let theirs = llama_bench(settings);
        prompt.theirs.push(theirs.prompt);
        decode.theirs.push(theirs.decode);
    }
    let work = format!("prompt of {} tokens", settings.prompt);
    println!("{}", prompt.line(&work, "1.2"));
    println!("{}", decode.line("decode, 1 stream", "1.2"));
}

/// Each stream with its own adapter, beside streams that share one.
async fn several_streams(
    settings: &BenchSettings,
    subject: &mut MeasuredEngines,
    server: &LlamaServer,
) {
    let streams = server.streams;
    let mut decode = Comparison::default();
    for _ in 0..settings.rounds {
        let prompts = subject.fresh_prompts(streams);
        let own = subject.draw(streams);
        let rate = subject.streams_rate(&own, &prompts, settings.tokens);
        decode.ours.push(rate.await);
        decode.theirs.push(server.rate(&prompts, settings.tokens));
    }
    let work = format!("decode, {streams} streams");
    println!("{}", decode.line(&work, "1.5"));
}

/// Streams with an adapter each, beside as many with the same one.
async fn own_against_one(settings: &BenchSettings, subject: &mut MeasuredEngines, work: &str) {
    let streams = STREAMS[1];
    let mut decode = Comparison::default();
    for _ in 0..settings.rounds {
        let (own, one) = (subject.draw(streams), vec![0; streams]);
        for (chosen, rates) in [(own, &mut decode.ours), (one, &mut decode.theirs)] {
            let prompts = subject.fresh_prompts(streams);
            let rate = subject.streams_rate(&chosen, &prompts, settings.tokens);
            rates.push(rate.await);
        }
    }
    println!("{}", decode.line(work, "0.9"));
}
