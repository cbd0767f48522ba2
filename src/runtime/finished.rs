//! A finished run in the form that a package needs. It connects training and packages, which do not
//! depend on each other.

use std::collections::BTreeMap;

use serde_json::Value;

use openlora_core::error::Failure;
use openlora_model::dataset::Task;
use openlora_package as package;
use openlora_package::{
    RunFacts,
    build::dataset_id,
    manifest::{EvalMetric, Training, WeightsOrigin},
    whole::WholeNumber,
};
use openlora_train::{
    RunDir, TEXT_ONLY,
    run::{
        lock::RunLock,
        metrics::{self, MetricsLine},
        result::RunResult,
    },
};

/// A run with an adapter: its lock file and the package's data.
#[derive(Clone, Debug)]
pub struct FinishedRun {
    pub lock: RunLock,
    pub facts: RunFacts,
}

impl FinishedRun {
    /// Reads the files of a run.
    ///
    /// # Errors
    /// The run has no adapter yet, or a file is missing or damaged.
    pub fn read(run: &RunDir) -> Result<Self, Failure> {
        run.require_adapter()?;
        let lock = RunLock::read(&run.lock())?;
        let training = training(run, &lock)?;
        let facts = RunFacts {
            id: run.id(),
            base_digest: lock.digests.base.clone(),
            sources: lock.data.clone(),
            training,
        };
        Ok(Self { lock, facts })
    }
}

fn training(run: &RunDir, lock: &RunLock) -> Result<Training, Failure> {
    let result = RunResult::read(run)?;
    let last = metrics::read(&run.metrics())?
        .into_iter()
        .rev()
        .find_map(|line| match line {
            MetricsLine::Step(step) => Some(step),
            MetricsLine::Validated(_) => None,
        });
    let metrics = result.as_ref().map(|result| result.metrics.iter());
    Ok(Training {
        mode: WeightsOrigin::Trained,
        tool: Some("openlora".to_owned()),
        tool_version: Some(lock.version.clone()),
        seed: Some(WholeNumber(lock.train.seed)),
        hyperparameters: Some(hyperparameters(lock, result.as_ref())),
        steps: last.map(|step| WholeNumber(step.step)),
        tokens: last.map(|step| WholeNumber(step.tokens)),
        final_loss: last.map(|step| step.loss),
        eval_metrics: metrics
            .into_iter()
            .flatten()
            .map(|metric| EvalMetric {
                name: metric.name.clone(),
                value: metric.value,
                rows: WholeNumber(metric.rows),
                base: metric.base,
            })
            .collect(),
        started_at: run.started().map(WholeNumber),
        ended_at: result.map(|result| WholeNumber(result.ended_at)),
        log_sha256: Some(package::hash(&run.metrics())?.0),
    })
}

/// Every `train.*` setting of the run but the seed, which has a field of its own, and the number of
/// rows that were too long, if any were. Settings that only text has are left out for pictures.
fn hyperparameters(lock: &RunLock, result: Option<&RunResult>) -> BTreeMap<String, Value> {
    let table = serde_json::to_value(&lock.train);
    let Ok(Value::Object(mut table)) = table else {
        return BTreeMap::new();
    };
    let pictures = lock.task == Task::Image;
    if let Some(long) = result.and_then(|result| result.long_rows) {
        table.insert("long_rows".to_owned(), long.long.into());
    }
    table
        .into_iter()
        .filter(|(key, _)| key != "seed" && !(pictures && TEXT_ONLY.contains(&key.as_str())))
        .map(|(key, value)| match value {
            Value::String(path) if key == "val" => (key, dataset_id(&path).into()),
            value => (key, exact(value)),
        })
        .collect()
}

/// Whole numbers beyond 2⁵³ as texts.
fn exact(value: Value) -> Value {
    match value.as_u64() {
        Some(number) => serde_json::to_value(WholeNumber(number)).unwrap_or(value),
        None => value,
    }
}
