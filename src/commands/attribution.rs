//! `attribution`: builds, shows and checks the index that calls are attributed with.

mod audit;

use std::path::Path;

use serde::Serialize;

pub use audit::{AuditReport, AuditRequest, audit};

pub use crate::runtime::influence::Built;

use super::{Context, project, train_inputs};
use crate::{
    error::{ExitClass, ExitStatus, Failure},
    runtime::{
        adapter,
        influence::{
            Binding, Contributor, Index, Job, Material, Method, Places, Sketcher, adapter_digest,
            build as build_index,
        },
        train::{Inputs, RunDir, Start, run::lock::Lock},
    },
    settings::IndexMethod,
};

/// What `inspect --json` prints.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct Inspected {
    /// SHA-256 of the file, hex.
    digest: String,
    bytes: u64,
    examples: usize,
    /// Clusters of near duplicates with more than one example.
    clusters: usize,
    binding: Binding,
    contributors: Vec<Held>,
    sections: Vec<Section>,
}

/// What an index holds of a contributor.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct Held {
    #[serde(flatten)]
    contributor: Contributor,
    examples: usize,
    tokens: u64,
}

#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct Section {
    name: &'static str,
    bytes: u64,
}

/// What `verify --json` prints.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct Verified {
    digest: String,
    /// What was compared, and whether it agrees.
    checks: Vec<Check>,
}

#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct Check {
    what: &'static str,
    expected: String,
    found: String,
    agrees: bool,
}

pub async fn build(context: &Context, run: Option<String>) -> Result<ExitStatus, Failure> {
    let context = context.clone();
    on_its_own_thread(move || {
        let (run, inputs) = finished(&context, run.as_deref())?;
        let built = index(&context, &inputs, &run)?;
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

/// One line on an index.
pub fn sizes(built: &Built) -> String {
    format!(
        "{} examples of {} contributors at {} checkpoints, {:.1} MB, built in {:.1} s",
        built.examples,
        built.contributors,
        built.checkpoints,
        built.bytes as f64 / 1e6,
        built.seconds
    )
}

/// A finished run with the inputs that it was made from, found unchanged.
fn finished(context: &Context, wanted: Option<&str>) -> Result<(RunDir, Inputs), Failure> {
    let run = RunDir::find(&project::runs(context), wanted)?;
    let start = Start::Resume(run.clone());
    let inputs = train_inputs::inputs(context, &[], None, &start)?;
    Lock::read(&run.lock())?.require_same(&inputs.lock(), &run.id())?;
    Ok((run, inputs))
}

/// Builds the index of a run as the settings say.
pub(super) fn index(context: &Context, inputs: &Inputs, run: &RunDir) -> Result<Built, Failure> {
    let settings = &context.settings.attribution;
    let method = match settings.method {
        IndexMethod::Datainf => Method::Datainf,
        IndexMethod::Gradient => Method::Gradient,
        IndexMethod::Influence => Method::Influence,
    };
    let wish = Wish {
        method,
        width: settings.width,
        damping: settings.damping,
    };
    index_at(context, inputs, run, (&wish, &Places::of_run(run.path())))
}

/// What settings say about an index.
struct Wish {
    method: Method,
    width: usize,
    damping: f64,
}

fn index_at(
    context: &Context,
    inputs: &Inputs,
    run: &RunDir,
    (wish, places): (&Wish, &Places),
) -> Result<Built, Failure> {
    let material = Material::of_run(run, &inputs.config, wish.method)?;
    let (rows, _) = inputs.rows()?;
    let job = Job {
        base: &inputs.base,
        precision: inputs.config.precision,
        dataset: &inputs.dataset,
        rows: &rows,
        material: &material,
        adapter: adapter_digest(&run.adapter())?,
        method: wish.method,
        width: wish.width,
        damping: wish.damping,
    };
    let total = material.checkpoints.len() as u64;
    let mut progress = context.printer.progress("indexing for attribution", total);
    let built = build_index(&job, places, &mut |done| progress.update(done as u64, ""))?;
    progress.finish();
    Ok(built)
}

pub fn inspect(context: &Context, wanted: Option<&Path>) -> Result<ExitStatus, Failure> {
    let file = wanted.map(|path| context.settings.working_dir.join(path));
    let path = match file.filter(|path| path.is_file()) {
        Some(file) => file,
        None => {
            let name = wanted.map(|path| path.to_string_lossy().into_owned());
            let run = RunDir::find(&project::runs(context), name.as_deref())?;
            Places::of_run(run.path()).index()
        }
    };
    let found = inspected(&Index::open(&path)?);
    if context.printer.is_json() {
        context.printer.json(&found);
    } else {
        show(context, &found);
    }
    Ok(ExitStatus::Success)
}

fn inspected(index: &Index) -> Inspected {
    let examples = index.examples();
    let mut contributors: Vec<Held> = index
        .contributors()
        .iter()
        .map(|contributor| Held {
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
    Inspected {
        digest: index.digest().to_owned(),
        bytes: index.size(),
        examples: examples.len(),
        clusters: sizes.into_iter().filter(|size| *size > 1).count(),
        binding: index.binding().clone(),
        contributors,
        sections: sections
            .map(|(name, bytes)| Section { name, bytes })
            .collect(),
    }
}

fn show(context: &Context, found: &Inspected) {
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
    for held in &found.contributors {
        printer.line(format!(
            "              {}: {} examples, {} tokens{}",
            held.contributor.name,
            held.examples,
            held.tokens,
            held.contributor
                .address
                .as_ref()
                .map_or(String::new(), |to| format!(", paid at {to}"))
        ));
    }
}

pub async fn verify(
    context: &Context,
    run: Option<String>,
    rebuild: bool,
) -> Result<ExitStatus, Failure> {
    let context = context.clone();
    on_its_own_thread(move || {
        let (run, inputs) = finished(&context, run.as_deref())?;
        let places = Places::of_run(run.path());
        let index = Index::open(&places.index())?;
        Sketcher::of(index.binding(), &places, &inputs.base)?;
        let mut checks = compared(&index, &inputs, &run)?;
        if rebuild {
            checks.push(rebuilt(&context, &inputs, &run, &index)?);
        }
        let digest = index.digest().to_owned();
        Ok(report(&context, &Verified { digest, checks }))
    })
    .await
}

fn compared(index: &Index, inputs: &Inputs, run: &RunDir) -> Result<Vec<Check>, Failure> {
    let binding = index.binding();
    let adapter = adapter::read(&run.adapter())?.digest;
    let pairs = [
        ("base", &binding.base, &inputs.base.digest),
        ("adapter", &binding.adapter, &adapter),
        ("data", &binding.data, &inputs.dataset.digest),
    ];
    Ok(pairs
        .map(|(what, expected, found)| check(what, expected, found))
        .into())
}

fn check(what: &'static str, expected: &str, found: &str) -> Check {
    Check {
        what,
        expected: expected.to_owned(),
        found: found.to_owned(),
        agrees: expected == found,
    }
}

fn rebuilt(
    context: &Context,
    inputs: &Inputs,
    run: &RunDir,
    index: &Index,
) -> Result<Check, Failure> {
    let fresh = tempfile::tempdir()
        .map_err(|error| Failure::io("create a folder in", &std::env::temp_dir(), &error))?;
    let parameters = &index.binding().parameters;
    let wish = Wish {
        method: parameters.method,
        width: parameters.width,
        damping: parameters.damping,
    };
    let places = Places::new(fresh.path());
    let built = index_at(context, inputs, run, (&wish, &places))?;
    Ok(check("index", index.digest(), &built.digest))
}

fn report(context: &Context, found: &Verified) -> ExitStatus {
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
