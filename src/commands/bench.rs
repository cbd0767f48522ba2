//! `bench serve`: how fast this machine answers with a base and its adapters.

use std::{path::PathBuf, sync::Arc};

use schemars::JsonSchema;
use serde::Serialize;

use super::{
    CommandContext, project,
    serve::{self, ServedBases, TextBase, engine_choice::ChosenEngine, makes_pictures},
};
use openlora_core::error::{ExitClass, ExitStatus, Failure};
use openlora_engine::{Engine, EngineSpec};
use openlora_model::BaseModel;
use openlora_runtime::{
    paid_serving::ChosenAdapter,
    serving_bench::{BenchLoad, BenchRow, PeerServer, find_peer, measure},
};
use openlora_train::RunDir;

/// The request of `bench serve` besides settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BenchRequest {
    /// `NAME=PATH` as typed.
    pub adapters: Vec<String>,
    /// A folder of adapters.
    pub folder: Option<PathBuf>,
    /// The most calls at the same time.
    pub streams: usize,
    pub prompt_tokens: usize,
    pub answer_tokens: usize,
}

/// What `bench serve --json` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub struct BenchReport {
    pub base: String,
    /// The engine and the version of its arithmetic.
    pub engine: String,
    /// Format of the base's weights in memory.
    pub weights: String,
    /// Processors that this process may use.
    pub cores: usize,
    /// Empty for the plain base.
    pub adapters: Vec<String>,
    /// Tokens of each prompt, nearly.
    pub prompt_tokens: usize,
    /// Tokens of each answer.
    pub answer_tokens: usize,
    pub rows: Vec<BenchRow>,
    /// The same calls to llama.cpp's server on the same file, without adapters; null if it was not
    /// measured.
    pub peer: Option<Vec<BenchRow>>,
    /// Why it was not measured.
    pub peer_absent: Option<String>,
}

/// What is measured.
struct BenchSubject {
    engine: String,
    weights: String,
    adapters: Vec<String>,
    engines: Vec<Arc<dyn Engine>>,
}

/// Measures 1, 2, 4 … calls at the same time, on one adapter and on several.
pub async fn run(context: &CommandContext, request: BenchRequest) -> Result<ExitStatus, Failure> {
    let chosen = choose(context, &request)?;
    let id = serve::base_id(context, &chosen);
    let base = tokio::task::block_in_place(|| project::base(context, id))?;
    let subject = BenchSubject::load(context, &base, chosen, request.streams).await?;
    subject.check_room(&base, &request)?;
    let printer = &context.printer;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    printer.note(format!(
        "{}, {} with {} weights, {cores} cores; prompts of about {} tokens, answers of {}",
        base.id, subject.engine, subject.weights, request.prompt_tokens, request.answer_tokens
    ));
    print_heading(context);
    let rows = subject.measure_all(context, &request).await?;
    let (peer, peer_absent) = match peer_files(&base) {
        Ok(files) => (Some(measure_peer(context, &files, &request).await?), None),
        Err(reason) => (None, Some(reason)),
    };
    if let Some(reason) = &peer_absent {
        printer.note(format!("llama.cpp was not measured: {reason}"));
    }
    if printer.is_json() {
        printer.json(&BenchReport {
            base: base.id,
            engine: subject.engine,
            weights: subject.weights,
            cores,
            adapters: subject.adapters,
            prompt_tokens: request.prompt_tokens,
            answer_tokens: request.answer_tokens,
            rows,
            peer,
            peer_absent,
        });
    }
    Ok(ExitStatus::Success)
}

/// The named adapters, the newest run's, or none in a folder without runs.
fn choose(context: &CommandContext, request: &BenchRequest) -> Result<Vec<ChosenAdapter>, Failure> {
    let named = !request.adapters.is_empty() || request.folder.is_some();
    if !named && RunDir::newest_metrics(&project::runs(context)).is_none() {
        return Ok(Vec::new());
    }
    let chosen = serve::choose(context, &request.adapters, request.folder.as_deref())?;
    match chosen.iter().find(|one| makes_pictures(&one.adapter)) {
        None => Ok(chosen),
        Some(one) => {
            let message = format!(
                "{} makes pictures, expected adapters for text: tokens are measured",
                one.name
            );
            Err(Failure::new(ExitClass::BadInput, message)
                .with_hint("name adapters for text: --adapter NAME=PATH"))
        }
    }
}

impl BenchSubject {
    async fn load(
        context: &CommandContext,
        base: &BaseModel,
        chosen: Vec<ChosenAdapter>,
        streams: usize,
    ) -> Result<Self, Failure> {
        let count = chosen.len().max(1);
        let engine = ChosenEngine::choose(context, &base.config, &chosen, count, streams)?;
        if chosen.is_empty() {
            let spec = EngineSpec {
                name: base.id.clone(),
                base,
                adapter: None,
                quant: engine.quant,
            };
            let loaded = engine.loader.load(spec).await?;
            let identity = loaded.identity();
            return Ok(Self {
                engine: identity.engine,
                weights: identity.weights,
                adapters: Vec::new(),
                engines: vec![loaded.engine],
            });
        }
        let bases = ServedBases {
            text: Some(TextBase {
                base: base.clone(),
                engine,
            }),
            pictures: None,
        };
        let loaded = serve::load_free(context, bases, chosen).await?;
        let identity = loaded.first().map(|one| one.identity.clone());
        let none = || Failure::new(ExitClass::Internal, "no adapter was loaded");
        let identity = identity.ok_or_else(none)?;
        Ok(Self {
            engine: identity.engine,
            weights: identity.weights,
            adapters: loaded.iter().map(|one| one.name.clone()).collect(),
            engines: loaded.into_iter().map(|one| one.engine).collect(),
        })
    }

    fn check_room(&self, base: &BaseModel, request: &BenchRequest) -> Result<(), Failure> {
        let contexts = self.engines.iter();
        let contexts = contexts.map(|engine| engine.limits().context_tokens);
        let context = contexts.min().unwrap_or_default();
        // Prompts are made of words and may become a little longer.
        let needed = request.prompt_tokens + request.prompt_tokens / 4 + request.answer_tokens;
        if needed <= context {
            return Ok(());
        }
        let message = format!(
            "prompts of {} tokens and answers of {} do not fit {}, which takes {context} tokens \
             together",
            request.prompt_tokens, request.answer_tokens, base.id
        );
        Err(Failure::new(ExitClass::Usage, message)
            .with_hint("measure shorter ones: --prompt-tokens N --answer-tokens N"))
    }

    async fn measure_all(
        &self,
        context: &CommandContext,
        request: &BenchRequest,
    ) -> Result<Vec<BenchRow>, Failure> {
        let one = &self.engines[..self.engines.len().min(1)];
        let named = usize::from(!self.adapters.is_empty());
        // The first call also finds memory and caches cold.
        let warming = BenchLoad {
            streams: 1,
            prompt_tokens: 8,
            answer_tokens: 2,
            series: 0,
        };
        measure(one, named, warming).await?;
        let mut rows = Vec::new();
        for streams in BenchLoad::steps(request.streams) {
            let several = streams.min(self.engines.len());
            let parts = [(one, named), (&self.engines[..several], several)];
            let parts = parts.into_iter().take(if several > 1 { 2 } else { 1 });
            for (engines, adapters) in parts {
                let load = load(request, streams, rows.len() + 1);
                let row = measure(engines, adapters, load).await?;
                print_row(context, &row);
                rows.push(row);
            }
        }
        Ok(rows)
    }
}

fn load(request: &BenchRequest, streams: usize, series: usize) -> BenchLoad {
    BenchLoad {
        streams,
        prompt_tokens: request.prompt_tokens,
        answer_tokens: request.answer_tokens,
        series,
    }
}

/// llama.cpp's server, and the file of the base.
struct PeerFiles {
    program: PathBuf,
    weights: PathBuf,
}

fn peer_files(base: &BaseModel) -> Result<PeerFiles, String> {
    let program = find_peer().ok_or("llama-server is not on the path")?;
    match &base.gguf {
        Some(file) => Ok(PeerFiles {
            program,
            weights: file.path.clone(),
        }),
        None => Err(format!(
            "llama-server needs a base in one GGUF file, and {} is none",
            base.id
        )),
    }
}

async fn measure_peer(
    context: &CommandContext,
    files: &PeerFiles,
    request: &BenchRequest,
) -> Result<Vec<BenchRow>, Failure> {
    context.printer.note(format!(
        "llama-server on {}, without adapters",
        files.weights.display()
    ));
    let most = load(request, request.streams, 0);
    let peer = PeerServer::start(&files.program, &files.weights, most).await?;
    peer.measure(load(request, 1, 0)).await?;
    let mut rows = Vec::new();
    for streams in BenchLoad::steps(request.streams) {
        let row = peer.measure(load(request, streams, rows.len() + 1)).await?;
        print_row(context, &row);
        rows.push(row);
    }
    Ok(rows)
}

fn print_heading(context: &CommandContext) {
    if !context.printer.is_json() {
        context
            .printer
            .line("streams  adapters    tokens/s  first token p50  first token p95      memory");
    }
}

fn print_row(context: &CommandContext, row: &BenchRow) {
    if !context.printer.is_json() {
        context.printer.line(format!(
            "{:>7}  {:>8}  {:>10.1}  {:>12.1} ms  {:>12.1} ms  {:>7.0} MB",
            row.streams,
            row.adapters,
            row.tokens_per_second,
            row.first_token_p50_ms,
            row.first_token_p95_ms,
            row.memory_bytes as f64 / 1e6
        ));
    }
}
