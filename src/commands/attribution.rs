//! `attribution`: builds, shows and verifies the attribution index.

mod audit;

use std::path::Path;

use serde::Serialize;

pub use audit::{AttributionAuditRequest, AuditReport, audit};

pub use openlora_influence::BuiltIndex;

use super::{
    CommandContext, project,
    train_inputs::{RequestedTraining, picture_inputs, text_inputs},
};
use crate::commands::settings::IndexMethodChoice;
use openlora_core::error::{ExitClass, ExitStatus, Failure};
use openlora_influence::{
    AttributionDir, GradientInputs, GradientSketcher, IndexBinding, IndexContributor, IndexFile,
    IndexJob, IndexMethod, PICTURE_TIMES, PictureIndexOptions, PictureOutput, PictureSketcher,
    SketchBases, adapter_digest, build as build_index, build_of_picture_run,
};
use openlora_model::adapter;
use openlora_train::{
    RunDir, RunStart, TrainInputs, pictures::PictureTrainInputs, run::lock::RunLock,
};

/// What `inspect --json` prints.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct IndexInspection {
    /// SHA-256 of the file, hex.
    digest: String,
    bytes: u64,
    examples: usize,
    /// Clusters of near duplicates with more than one example.
    clusters: usize,
    binding: IndexBinding,
    contributors: Vec<IndexedContributor>,
    sections: Vec<IndexSection>,
}

/// A contributor's part of an index.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct IndexedContributor {
    #[serde(flatten)]
    contributor: IndexContributor,
    examples: usize,
    tokens: u64,
}

#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct IndexSection {
    name: &'static str,
    bytes: u64,
}

/// What `verify --json` prints.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct IndexVerification {
    digest: String,
    /// What was compared, and whether it matches.
    checks: Vec<IndexCheck>,
}

#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct IndexCheck {
    what: &'static str,
    expected: String,
    found: String,
    agrees: bool,
}

pub async fn build(context: &CommandContext, run: Option<String>) -> Result<ExitStatus, Failure> {
    let context = context.clone();
    on_its_own_thread(move || {
        let (run, inputs) = finished(&context, run.as_deref())?;
        let built = match &inputs {
            RunInputs::Text(inputs) => index(&context, inputs, &run)?,
            RunInputs::Pictures(inputs) => picture_index(&context, inputs, &run)?,
        };
        let printer = &context.printer;
        if printer.is_json() {
            printer.json(&built);
        } else {
            printer.line(format!("index         {}", built.path.display()));
            printer.line(format!("holds         {}", sizes(&built)));
            printer.line(format!("sha256        {}", built.digest));
        }
        Ok(ExitStatus::Success)
    })
    .await
}

async fn on_its_own_thread(
    work: impl FnOnce() -> Result<ExitStatus, Failure> + Send + 'static,
) -> Result<ExitStatus, Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| {
        let message = format!("the attribution stopped: {error}");
        Failure::new(ExitClass::Internal, message)
    })?
}

/// A one-line summary of an index.
pub fn sizes(built: &BuiltIndex) -> String {
    format!(
        "{} examples of {} contributors at {} checkpoints, {:.1} MB, built in {:.1} s",
        built.examples,
        built.contributors,
        built.checkpoints,
        built.bytes as f64 / 1e6,
        built.seconds
    )
}

/// The opened inputs of a run.
enum RunInputs {
    Text(Box<TrainInputs>),
    Pictures(Box<PictureTrainInputs>),
}

impl RunInputs {
    fn lock(&self) -> RunLock {
        match self {
            Self::Text(inputs) => inputs.lock(),
            Self::Pictures(inputs) => inputs.lock(),
        }
    }

    /// Digests of base and data.
    fn digests(&self) -> [&str; 2] {
        match self {
            Self::Text(inputs) => [&inputs.base.digest, &inputs.dataset.digest],
            Self::Pictures(inputs) => [&inputs.base.digest, &inputs.dataset.digest],
        }
    }

    /// Checks the files that sketches need.
    fn check_sketcher(
        &self,
        binding: &IndexBinding,
        places: &AttributionDir,
    ) -> Result<(), Failure> {
        match self {
            Self::Text(inputs) => {
                let bases = SketchBases::default();
                GradientSketcher::from_binding(binding, places, &inputs.base, &bases)?;
            }
            Self::Pictures(inputs) => {
                let (base, model) = (&inputs.base.digest, &inputs.model);
                PictureSketcher::from_binding(binding, places, base, model)?;
            }
        }
        Ok(())
    }
}

/// A finished run with its inputs, checked to be unchanged.
fn finished(
    context: &CommandContext,
    wanted: Option<&str>,
) -> Result<(RunDir, RunInputs), Failure> {
    let run = project::finished_run(context, wanted, "the run's folder")?;
    let start = RunStart::Resume(run.clone());
    let requested = RequestedTraining::new(context, &[], &start)?;
    let inputs = match requested.makes_pictures(&context.settings) {
        true => RunInputs::Pictures(Box::new(picture_inputs(context, requested, None)?)),
        false => RunInputs::Text(Box::new(text_inputs(context, requested, None)?)),
    };
    RunLock::read(&run.lock())?.require_same(&inputs.lock(), &run.id())?;
    Ok((run, inputs))
}

/// Builds the index of a run on pictures according to the settings.
pub(super) fn picture_index(
    context: &CommandContext,
    inputs: &PictureTrainInputs,
    run: &RunDir,
) -> Result<BuiltIndex, Failure> {
    let settings = &context.settings.attribution;
    let options = PictureIndexOptions {
        width: settings.width,
        damping: settings.damping,
        output: PictureOutput::default(),
        times: PICTURE_TIMES,
    };
    let places = AttributionDir::of_run(run.path());
    picture_index_at(context, inputs, run, options, &places)
}

fn picture_index_at(
    context: &CommandContext,
    inputs: &PictureTrainInputs,
    run: &RunDir,
    options: PictureIndexOptions,
    places: &AttributionDir,
) -> Result<BuiltIndex, Failure> {
    let mut progress = None;
    let built = build_of_picture_run(inputs, run, options, places, &mut |done, total| {
        let new = || {
            let label = "indexing for attribution";
            context.printer.progress(label, total as u64)
        };
        progress.get_or_insert_with(new).update(done as u64, "");
    })?;
    if let Some(mut progress) = progress {
        progress.finish();
    }
    Ok(built)
}

/// Builds the index of a run according to the settings.
pub(super) fn index(
    context: &CommandContext,
    inputs: &TrainInputs,
    run: &RunDir,
) -> Result<BuiltIndex, Failure> {
    let settings = &context.settings.attribution;
    let method = match settings.method {
        IndexMethodChoice::Datainf => IndexMethod::Datainf,
        IndexMethodChoice::Gradient => IndexMethod::Gradient,
        IndexMethodChoice::Influence => IndexMethod::Influence,
    };
    let options = IndexOptions {
        method,
        width: settings.width,
        damping: settings.damping,
    };
    let places = AttributionDir::of_run(run.path());
    index_at(context, inputs, run, &options, &places)
}

/// The settings of an index.
struct IndexOptions {
    method: IndexMethod,
    width: usize,
    damping: f64,
}

fn index_at(
    context: &CommandContext,
    inputs: &TrainInputs,
    run: &RunDir,
    options: &IndexOptions,
    places: &AttributionDir,
) -> Result<BuiltIndex, Failure> {
    let material = GradientInputs::of_run(run, &inputs.config, options.method)?;
    let (rows, _) = inputs.rows()?;
    let job = IndexJob {
        base: &inputs.base,
        precision: inputs.config.precision,
        dataset: &inputs.dataset,
        rows: &rows,
        material: &material,
        adapter: adapter_digest(&run.adapter())?,
        method: options.method,
        width: options.width,
        damping: options.damping,
    };
    let total = material.checkpoints.len() as u64;
    let mut progress = context.printer.progress("indexing for attribution", total);
    let built = build_index(&job, places, &mut |done| progress.update(done as u64, ""))?;
    progress.finish();
    Ok(built)
}

pub fn inspect(context: &CommandContext, wanted: Option<&Path>) -> Result<ExitStatus, Failure> {
    let file = wanted.map(|path| context.settings.working_dir.join(path));
    let path = match file.filter(|path| path.is_file()) {
        Some(file) => file,
        None => {
            let name = wanted.map(|path| path.to_string_lossy().into_owned());
            let run = project::finished_run(context, name.as_deref(), "the run's folder")?;
            AttributionDir::of_run(run.path()).index()
        }
    };
    let found = inspected(&IndexFile::open(&path)?);
    if context.printer.is_json() {
        context.printer.json(&found);
    } else {
        print_inspection(context, &found);
    }
    Ok(ExitStatus::Success)
}

fn inspected(index: &IndexFile) -> IndexInspection {
    let examples = index.examples();
    let mut contributors: Vec<IndexedContributor> = index
        .contributors()
        .iter()
        .map(|contributor| IndexedContributor {
            contributor: contributor.clone(),
            examples: 0,
            tokens: 0,
        })
        .collect();
    let mut sizes = vec![0usize; examples.len()];
    for example in examples {
        let held = &mut contributors[example.contributor as usize];
        held.examples += 1;
        held.tokens += u64::from(example.tokens);
        sizes[example.cluster as usize] += 1;
    }
    let sections = index.sizes().into_iter();
    IndexInspection {
        digest: index.digest().to_owned(),
        bytes: index.size(),
        examples: examples.len(),
        clusters: sizes.into_iter().filter(|size| *size > 1).count(),
        binding: index.binding().clone(),
        contributors,
        sections: sections
            .map(|(name, bytes)| IndexSection { name, bytes })
            .collect(),
    }
}

fn print_inspection(context: &CommandContext, found: &IndexInspection) {
    let (printer, binding) = (&context.printer, &found.binding);
    let parameters = &binding.parameters;
    let steps: Vec<String> = binding
        .checkpoints
        .iter()
        .map(|checkpoint| checkpoint.step.to_string())
        .collect();
    let method = serde_json::to_value(parameters.method).unwrap_or_default();
    printer.line(format!("sha256        {}", found.digest));
    printer.line(format!(
        "method        {} at steps {}, width {}, damping {}",
        method.as_str().unwrap_or_default(),
        steps.join(", "),
        parameters.width,
        parameters.damping
    ));
    for (name, digest) in [
        ("base", &binding.base),
        ("adapter", &binding.adapter),
        ("tokenizer", &binding.tokenizer),
        ("data", &binding.data),
    ] {
        printer.line(format!("{name:<13} sha256 {digest}"));
    }
    printer.line(format!(
        "examples      {}, {} clusters of near duplicates, {:.1} MB",
        found.examples,
        found.clusters,
        found.bytes as f64 / 1e6
    ));
    if let Some(pictures) = &parameters.pictures {
        let output = serde_json::to_value(pictures.output).unwrap_or_default();
        printer.line(format!(
            "pictures      gradients of the {}, summed over {} pairs of time and noise",
            output.as_str().unwrap_or_default(),
            pictures.times
        ));
    }
    for held in &found.contributors {
        // A picture has none.
        let tokens = match parameters.pictures {
            None => format!(", {} tokens", held.tokens),
            Some(_) => String::new(),
        };
        printer.line(format!(
            "              {}: {} examples{tokens}{}",
            held.contributor.name,
            held.examples,
            held.contributor
                .address
                .as_ref()
                .map_or(String::new(), |to| format!(", paid at {to}"))
        ));
    }
}

pub async fn verify(
    context: &CommandContext,
    run: Option<String>,
    rebuild: bool,
) -> Result<ExitStatus, Failure> {
    let context = context.clone();
    on_its_own_thread(move || {
        let (run, inputs) = finished(&context, run.as_deref())?;
        let places = AttributionDir::of_run(run.path());
        let index = IndexFile::open(&places.index())?;
        inputs.check_sketcher(index.binding(), &places)?;
        let mut checks = compared(&index, &inputs, &run)?;
        if rebuild {
            checks.push(rebuilt(&context, &inputs, &run, &index)?);
        }
        let digest = index.digest().to_owned();
        Ok(report(&context, &IndexVerification { digest, checks }))
    })
    .await
}

fn compared(
    index: &IndexFile,
    inputs: &RunInputs,
    run: &RunDir,
) -> Result<Vec<IndexCheck>, Failure> {
    let binding = index.binding();
    let adapter = adapter::read(&run.adapter())?.digest;
    let [base, data] = inputs.digests();
    let pairs = [
        ("base", &binding.base, base),
        ("adapter", &binding.adapter, adapter.as_str()),
        ("data", &binding.data, data),
    ];
    Ok(pairs
        .map(|(what, expected, found)| check(what, expected, found))
        .into())
}

fn check(what: &'static str, expected: &str, found: &str) -> IndexCheck {
    IndexCheck {
        what,
        expected: expected.to_owned(),
        found: found.to_owned(),
        agrees: expected == found,
    }
}

fn rebuilt(
    context: &CommandContext,
    inputs: &RunInputs,
    run: &RunDir,
    index: &IndexFile,
) -> Result<IndexCheck, Failure> {
    let fresh = tempfile::tempdir()
        .map_err(|error| Failure::io("create a folder in", &std::env::temp_dir(), &error))?;
    let parameters = &index.binding().parameters;
    let places = AttributionDir::new(fresh.path());
    let built = match inputs {
        RunInputs::Text(inputs) => {
            let options = IndexOptions {
                method: parameters.method,
                width: parameters.width,
                damping: parameters.damping,
            };
            index_at(context, inputs, run, &options, &places)?
        }
        RunInputs::Pictures(inputs) => {
            let pictures = parameters.pictures;
            let options = PictureIndexOptions {
                width: parameters.width,
                damping: parameters.damping,
                output: pictures.map_or(PictureOutput::default(), |it| it.output),
                times: pictures.map_or(PICTURE_TIMES, |it| it.times),
            };
            picture_index_at(context, inputs, run, options, &places)?
        }
    };
    Ok(check("index", index.digest(), &built.digest))
}

fn report(context: &CommandContext, found: &IndexVerification) -> ExitStatus {
    let printer = &context.printer;
    if printer.is_json() {
        printer.json(found);
    } else {
        for check in &found.checks {
            let verdict = match check.agrees {
                true => format!("sha256 {}", check.found),
                false => format!(
                    "differs: {} was indexed, {} is there",
                    check.expected, check.found
                ),
            };
            printer.line(format!("{:<13} {verdict}", check.what));
        }
    }
    match found.checks.iter().all(|check| check.agrees) {
        true => ExitStatus::Success,
        false => ExitStatus::Verdict(ExitClass::Verification),
    }
}
