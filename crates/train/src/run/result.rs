//! `result.json`: the result of a finished run, written after its evaluation.
//!
//! The lock contains the inputs, the metrics the progress; this file contains the end time and the
//! evaluation. Runs of older versions lack it.

use std::{
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

use super::{
    super::{
        error::TrainError,
        evaluate::{EvalFigures, EvalReport},
    },
    RunDir, files,
};
use openlora_core::error::describe_decoding;
use openlora_model::dataset::long::LongRows;

/// The file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunResult {
    /// Unix time in seconds.
    pub ended_at: u64,
    pub metrics: Vec<RunMetric>,
    /// The training rows that were longer than the limit, if any were.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub long_rows: Option<LongRows>,
}

/// A metric over held-out rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunMetric {
    pub name: String,
    pub value: f64,
    pub rows: u64,
    /// The base's value, if it was measured.
    pub base: Option<f64>,
}

impl RunResult {
    /// The result of a run that ends now.
    pub fn now(report: Option<&EvalReport>, long_rows: Option<LongRows>) -> Self {
        Self {
            long_rows,
            ..Self::with_metrics(report.map(metrics).unwrap_or_default())
        }
    }

    /// The result of a run that ends now, with metrics over held-out rows.
    pub fn with_metrics(metrics: Vec<RunMetric>) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            ended_at: since.map_or(0, |since| since.as_secs()),
            metrics,
            long_rows: None,
        }
    }

    pub fn write(&self, run: &Path) -> Result<(), TrainError> {
        let path = run.join(super::RESULT);
        let text = serde_json::to_string_pretty(self)
            .map_err(|error| TrainError::damaged(&path, error.to_string()))?;
        files::replace(&path, text.as_bytes())
    }

    /// The result of a run, if it has one.
    pub fn read(run: &RunDir) -> Result<Option<Self>, TrainError> {
        let path = run.path().join(super::RESULT);
        if !path.exists() {
            return Ok(None);
        }
        serde_json::from_slice(&files::read(&path)?)
            .map(Some)
            .map_err(|error| TrainError::damaged(&path, describe_decoding(&error)))
    }
}

fn metrics(report: &EvalReport) -> Vec<RunMetric> {
    let named = |figures: &EvalFigures| match figures {
        EvalFigures::Labels(scores) => [
            ("accuracy", scores.accuracy, scores.rows),
            ("macro_f1", scores.macro_f1, scores.rows),
        ],
        EvalFigures::Text(text) => [
            ("loss", text.loss, text.rows),
            ("perplexity", text.perplexity, text.rows),
        ],
    };
    let base = report.base.as_ref().map(named);
    named(&report.adapter)
        .into_iter()
        .enumerate()
        .map(|(index, (name, value, rows))| RunMetric {
            name: name.to_owned(),
            value,
            rows,
            base: base.map(|base| base[index].1),
        })
        .collect()
}
