//! How fast this machine answers: tokens per second, time to the first token and memory, for calls at
//! the same time; and the same of llama.cpp's server.
//!
//! The calls go to engines directly, without HTTP and counting. Each has a prompt of its own, so that
//! no cache knows it, and answers of the same length, whatever the model says.

mod peer;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{StreamExt, future::join_all};
use schemars::JsonSchema;
use serde::Serialize;
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

use openlora_core::error::{ExitClass, Failure};
use openlora_engine::{Engine, EngineError, GenerationStep, Prompt, SamplingParams};

pub use peer::{PeerServer, find_peer};

/// The calls of a measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BenchLoad {
    /// Calls at the same time.
    pub streams: usize,
    /// Tokens of each prompt, nearly.
    pub prompt_tokens: usize,
    /// Tokens of each answer.
    pub answer_tokens: usize,
    /// Makes the prompts differ from those of other measurements.
    pub series: usize,
}

/// What was measured of calls at the same time.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct BenchRow {
    /// Calls at the same time.
    pub streams: usize,
    /// Adapters among which they were divided; 0 for the plain base.
    pub adapters: usize,
    /// Tokens of all answers, over the time from the start to the last token.
    pub tokens_per_second: f64,
    /// Time to the first token that half of the calls do not exceed.
    pub first_token_p50_ms: f64,
    /// Time to the first token that 95 % of the calls do not exceed.
    pub first_token_p95_ms: f64,
    /// Resident memory of the process after the calls, in bytes.
    pub memory_bytes: u64,
}

/// The times of one answered call, from the common start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BenchTimes {
    pub first_token: Duration,
    pub last_token: Duration,
    pub tokens: u64,
}

impl BenchLoad {
    /// The number of measurements up to `most` calls: 1, 2, 4 … and `most` itself.
    pub fn steps(most: usize) -> Vec<usize> {
        let doubled = std::iter::successors(Some(1_usize), |streams| streams.checked_mul(2));
        let mut steps: Vec<usize> = doubled.take_while(|streams| *streams < most).collect();
        steps.push(most.max(1));
        steps
    }

    /// The prompt of a call. `words_per_token` is that of the base's tokenizer.
    fn prompt(&self, stream: usize, tokens_per_word: f64) -> String {
        let opening = format!("Series {}, story {stream}:", self.series);
        let words = (self.prompt_tokens as f64 / tokens_per_word.max(0.1)).ceil() as usize;
        let story = WORDS.iter().cycle().skip(stream * 7 + self.series * 3);
        let opened = opening.split(' ').chain(story.copied());
        opened.take(words.max(1)).collect::<Vec<_>>().join(" ")
    }

    fn sampling(&self) -> SamplingParams {
        SamplingParams {
            max_tokens: self.answer_tokens,
            // Nothing else ends the answer.
            min_tokens: self.answer_tokens,
            ..SamplingParams::default()
        }
    }

    /// Summarises the calls of a measurement.
    pub fn summarise(&self, adapters: usize, times: &[BenchTimes], memory_bytes: u64) -> BenchRow {
        let tokens: u64 = times.iter().map(|it| it.tokens).sum();
        let last = times.iter().map(|it| it.last_token).max();
        let seconds = last.unwrap_or_default().as_secs_f64().max(f64::EPSILON);
        let mut first: Vec<Duration> = times.iter().map(|it| it.first_token).collect();
        first.sort_unstable();
        BenchRow {
            streams: self.streams,
            adapters,
            tokens_per_second: tokens as f64 / seconds,
            first_token_p50_ms: percentile_ms(&first, 50),
            first_token_p95_ms: percentile_ms(&first, 95),
            memory_bytes,
        }
    }
}

/// What prompts are made of.
const WORDS: &[&str] = &[
    "the", "old", "ship", "left", "the", "quiet", "harbour", "before", "sunrise", "and", "carried",
    "letters", "from", "every", "house", "in", "town", "to", "people", "who", "had", "gone", "far",
    "away", "many", "years", "ago",
];

/// The smallest of sorted times that `percent` of them do not exceed, in milliseconds.
fn percentile_ms(sorted: &[Duration], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    let time = sorted.get(rank - 1).copied().unwrap_or_default();
    time.as_secs_f64() * 1000.0
}

/// Measures calls at the same time, divided among the engines.
///
/// # Errors
///
/// An engine refuses a call or fails.
pub async fn measure(
    engines: &[Arc<dyn Engine>],
    adapters: usize,
    load: BenchLoad,
) -> Result<BenchRow, Failure> {
    let Some(first) = engines.first() else {
        return Err(Failure::new(ExitClass::Internal, "nothing to measure"));
    };
    let tokens_per_word = tokens_per_word(first).await?;
    let start = Instant::now();
    let calls = engines.iter().cycle().take(load.streams).enumerate();
    let calls = calls.map(|(stream, engine)| {
        let prompt = Prompt::Text(load.prompt(stream, tokens_per_word));
        answer(Arc::clone(engine), prompt, load.sampling(), start)
    });
    let times = join_all(calls).await;
    let times = times.into_iter().collect::<Result<Vec<_>, Failure>>()?;
    Ok(load.summarise(adapters, &times, resident_memory(std::process::id())))
}

async fn tokens_per_word(engine: &Arc<dyn Engine>) -> Result<f64, Failure> {
    let sample = Prompt::Text(WORDS.join(" "));
    let tokens = engine
        .count_prompt(&sample)
        .await
        .map_err(|error| failed(&error))?;
    Ok(tokens as f64 / WORDS.len() as f64)
}

async fn answer(
    engine: Arc<dyn Engine>,
    prompt: Prompt,
    sampling: SamplingParams,
    start: Instant,
) -> Result<BenchTimes, Failure> {
    let call = tokio::spawn(async move {
        let mut steps = engine.generate(prompt, sampling).await?;
        let mut first_token = None;
        let mut tokens = 0;
        while let Some(step) = steps.next().await {
            if let GenerationStep::Delta { tokens: more, .. } = step? {
                first_token.get_or_insert_with(|| start.elapsed());
                tokens += more;
            }
        }
        let last_token = start.elapsed();
        Ok::<_, EngineError>(BenchTimes {
            first_token: first_token.unwrap_or(last_token),
            last_token,
            tokens,
        })
    });
    let ended = call.await.map_err(|error| {
        let message = format!("a measured call broke off: {error}");
        Failure::new(ExitClass::Internal, message)
    })?;
    ended.map_err(|error| failed(&error))
}

fn failed(error: &EngineError) -> Failure {
    Failure::new(
        ExitClass::Internal,
        format!("a measured call failed: {error}"),
    )
}

/// Resident memory of a process in bytes; 0 if the system does not tell.
pub fn resident_memory(pid: u32) -> u64 {
    let pid = Pid::from_u32(pid);
    let mut system = System::new();
    let what = ProcessRefreshKind::nothing().with_memory();
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), true, what);
    system.process(pid).map_or(0, |process| process.memory())
}
