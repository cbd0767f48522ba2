//! The native engine with random adapters over the base.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{StreamExt, future::join_all};
use openlora_engine::{
    Engine, EngineSpec, GenerationStep, ModelLoader, Prompt, Quant, SamplingParams,
};
use openlora_model::{
    BaseModel, BaseRequest,
    adapter::{AdapterModule, LoraAdapter},
    open_base as open,
};
use openlora_native::{NativeLoader, NativeSettings};
use rand::{SeedableRng, seq::index::sample};
use rand_chacha::ChaCha8Rng;

use crate::{
    adapters::random_adapter,
    gguf::{F32, GgufDraft, GgufPart},
};

pub const RANK: usize = 8;
pub const TARGETS: [&str; 4] = ["q_proj", "k_proj", "v_proj", "o_proj"];
/// Tokens of a stream's prompt, nearly: a page of keys and values, and some more.
const STREAM_PROMPT: usize = 36;

/// The base in a GGUF file, converted below `folder`.
pub fn open_base(file: &Path, folder: &Path) -> BaseModel {
    let request = BaseRequest {
        id: file.display().to_string(),
        revision: String::new(),
        endpoint: String::new(),
        models_dir: folder.join("models"),
        nano_dir: folder.join("nano"),
        token: None,
        offline: true,
    };
    open(&request, &mut |_| {}).expect("the GGUF file opens")
}

/// Resident memory of this process in bytes; 0 if the system does not tell.
pub fn process_bytes() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
    kilobytes.unwrap_or(0.0) * 1024.0
}

/// Resident memory before the base was loaded, with the first adapters, and with all of them.
pub struct ResidentMemory {
    pub before: f64,
    pub loaded: f64,
    pub after: f64,
}

pub struct MeasuredEngines {
    loader: NativeLoader,
    pub base: BaseModel,
    pub engines: Vec<Arc<dyn Engine>>,
    /// Seed of the next adapter.
    next: u64,
    /// Prompts made so far.
    prompts: usize,
    random: ChaCha8Rng,
}

impl MeasuredEngines {
    /// Loads `adapters` adapters of rank 8 on q, k, v and o.
    pub async fn load(base: BaseModel, native: NativeSettings, adapters: usize) -> Self {
        let mut subject = Self {
            loader: NativeLoader::new(native),
            base,
            engines: Vec::new(),
            next: 0,
            prompts: 0,
            random: ChaCha8Rng::seed_from_u64(15),
        };
        subject.load_until(adapters).await;
        subject
    }

    pub async fn load_until(&mut self, adapters: usize) {
        while self.engines.len() < adapters {
            let adapter = self.next_adapter();
            let engine = self.load_adapter(&adapter).await;
            self.engines.push(engine);
        }
    }

    pub fn next_adapter(&mut self) -> LoraAdapter {
        self.next += 1;
        self.adapter(self.next)
    }

    fn adapter(&self, seed: u64) -> LoraAdapter {
        random_adapter(&self.base.config, RANK, &TARGETS, seed)
    }

    pub async fn load_adapter(&self, adapter: &LoraAdapter) -> Arc<dyn Engine> {
        let spec = EngineSpec {
            name: adapter.digest.clone(),
            base: &self.base,
            adapter: Some(adapter),
            quant: Quant::Q8_0,
        };
        self.loader.load(spec).await.expect("it loads").engine
    }

    /// Different adapters, at random.
    pub fn draw(&mut self, streams: usize) -> Vec<usize> {
        sample(&mut self.random, self.engines.len(), streams).into_vec()
    }

    /// The first adapter as a file of llama.cpp. Its factors are random: their order is that of the
    /// file here, which permutes the rows of q and k.
    pub fn write_gguf_adapter(&self, file: &Path) {
        let adapter = self.adapter(1);
        let mut draft = GgufDraft::default();
        draft.text("general.architecture", "llama");
        draft.text("general.type", "adapter");
        draft.text("adapter.type", "lora");
        draft.float("adapter.lora.alpha", RANK as f32);
        for module in &adapter.modules {
            let name = gguf_name(module);
            let factors = [("lora_a", module.a_name()), ("lora_b", module.b_name())];
            draft.parts.extend(factors.map(|(suffix, factor)| {
                let tensor = &adapter.tensors[&factor];
                GgufPart {
                    name: format!("{name}.weight.{suffix}"),
                    shape: tensor.shape.iter().map(|it| *it as u64).collect(),
                    kind: F32,
                    bytes: tensor.data.to_vec(),
                }
            }));
        }
        std::fs::write(file, draft.bytes()).expect("the adapter is written");
    }

    /// Prompts that no cache knows.
    pub fn fresh_prompts(&mut self, streams: usize) -> Vec<String> {
        let fresh = |_| self.fresh_prompt(STREAM_PROMPT);
        (0..streams).map(fresh).collect()
    }

    /// A prompt of about so many tokens: its words are one token each.
    fn fresh_prompt(&mut self, tokens: usize) -> String {
        self.prompts += 1;
        let words = [" river", " house", " seven", " green", " walks"];
        let digits = (0..6).map(|place| words[self.prompts / 5_usize.pow(place) % 5]);
        let story = (0..tokens.saturating_sub(6)).map(|at| words[(at * at + at / 3) % 5]);
        digits.chain(story).collect()
    }

    /// Tokens of a prompt per second.
    pub async fn prompt_rate(&mut self, tokens: usize) -> f64 {
        let prompt = self.fresh_prompt(tokens);
        let text = Prompt::Text(prompt.clone());
        let counted = self.engines[0].count_prompt(&text).await;
        let tokens = counted.expect("a prompt") as f64;
        let times = answer(&self.engines[0], prompt, 1).await;
        tokens / times.last.as_secs_f64()
    }

    /// Tokens of one answer per second, after its first one.
    pub async fn decode_rate(&mut self, tokens: usize) -> f64 {
        let prompt = self.fresh_prompt(8);
        let times = answer(&self.engines[0], prompt, tokens + 1).await;
        tokens as f64 / (times.last - times.first).as_secs_f64()
    }

    /// Tokens per second of the answers of adapters, each to its prompt. The prompts are computed
    /// before.
    pub async fn streams_rate(&self, adapters: &[usize], prompts: &[String], tokens: usize) -> f64 {
        let all = |tokens| {
            let calls = adapters.iter().zip(prompts);
            join_all(calls.map(move |(adapter, prompt)| {
                answer(&self.engines[*adapter], prompt.clone(), tokens)
            }))
        };
        all(1).await;
        let start = Instant::now();
        all(tokens).await;
        (adapters.len() * tokens) as f64 / start.elapsed().as_secs_f64()
    }

    pub async fn print_memory(&self, memory: &ResidentMemory) {
        let stated = self.loader.memory().await;
        let (count, factors) = (self.engines.len() as f64, stated.adapters as f64);
        println!(
            "{count} adapters in memory: base {:.0} MB, factors {:.2} MB each; the process grew by \
             {:.0} MB with the first {} and by {:.2} MB with each further one",
            stated.bases as f64 / 1e6,
            factors / count / 1e6,
            (memory.loaded - memory.before) / 1e6,
            super::STREAMS[1],
            (memory.after - memory.loaded) / 1e6 / (count - super::STREAMS[1] as f64).max(1.0),
        );
    }
}

/// The name of a module in GGUF, without `.weight`.
fn gguf_name(module: &AdapterModule) -> String {
    let parts: Vec<&str> = module.path.split('.').collect();
    let [.., layer, _, name] = parts.as_slice() else {
        panic!("{} is in no layer", module.path);
    };
    let name = match *name {
        "q_proj" => "attn_q",
        "k_proj" => "attn_k",
        "v_proj" => "attn_v",
        _ => "attn_output",
    };
    format!("blk.{layer}.{name}")
}

/// When the first and the last token arrived, from the call.
pub struct AnswerTimes {
    pub first: Duration,
    pub last: Duration,
}

/// A greedy answer of exactly `tokens` tokens.
pub async fn answer(engine: &Arc<dyn Engine>, prompt: String, tokens: usize) -> AnswerTimes {
    let sampling = SamplingParams {
        max_tokens: tokens,
        min_tokens: tokens,
        ..SamplingParams::default()
    };
    let start = Instant::now();
    let stream = engine.generate(Prompt::Text(prompt), sampling).await;
    let mut stream = stream.expect("the prompt is valid");
    let (mut first, mut counted) = (None, 0);
    while let Some(step) = stream.next().await {
        if let GenerationStep::Delta { tokens, .. } = step.expect("the engine answers") {
            first.get_or_insert_with(|| start.elapsed());
            counted += tokens;
        }
    }
    assert_eq!(counted, tokens as u64, "tokens of the answer");
    AnswerTimes {
        first: first.unwrap_or_default(),
        last: start.elapsed(),
    }
}
