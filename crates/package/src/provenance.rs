//! `provenance.slsa.json`: how the adapter was made, as an in-toto statement with SLSA's provenance
//! predicate. Everything in it is in the manifest.
//!
//! The statement is not an attestation by itself: the publisher's signatures cover it as a file of the
//! package. Specifications: <https://in-toto.io/Statement/v1>, <https://slsa.dev/provenance/v1>.

use serde_json::{Map, Value, json};

use super::{
    error::ManifestProblem,
    manifest::{Digest, Manifest, ManifestDataset, PackageFile},
    timestamp::rfc3339,
};

const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
const PREDICATE_TYPE: &str = "https://slsa.dev/provenance/v1";
/// What the parameters mean: a training of openlora with its `train.*` settings.
const BUILD_TYPE: &str = "urn:openlora:build:train:v1";
/// The program on the publisher's own machine, which nothing isolates: level 1 of SLSA's build track.
const BUILDER: &str = "urn:openlora:builder:local";

/// Roles of the files that a training makes.
const MADE: &[&str] = &["config", "weights", "task"];

/// The statement about a trained adapter.
pub(super) fn statement(manifest: &Manifest) -> Result<Value, ManifestProblem> {
    let made = manifest.files.iter();
    let made = made.filter(|file| MADE.contains(&file.role.as_str()));
    let subject: Vec<Value> = made.map(subject).collect();
    Ok(json!({
        "_type": STATEMENT_TYPE,
        "subject": subject,
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": external_parameters(manifest)?,
                "resolvedDependencies": dependencies(manifest),
            },
            "runDetails": run_details(manifest),
        },
    }))
}

fn subject(file: &PackageFile) -> Value {
    json!({ "name": file.path, "digest": { "sha256": file.sha256 } })
}

/// What the person who started the training chose.
fn external_parameters(manifest: &Manifest) -> Result<Value, ManifestProblem> {
    let training = &manifest.training;
    let mut all = Map::new();
    all.insert("base".to_owned(), manifest.base.id.clone().into());
    if let Some(revision) = &manifest.base.revision {
        all.insert("baseRevision".to_owned(), revision.clone().into());
    }
    let not_json = |error: serde_json::Error| ManifestProblem::Json(error.to_string());
    if let Some(seed) = &training.seed {
        let seed = serde_json::to_value(seed).map_err(not_json)?;
        all.insert("seed".to_owned(), seed);
    }
    if let Some(parameters) = &training.hyperparameters {
        let parameters = serde_json::to_value(parameters).map_err(not_json)?;
        all.insert("train".to_owned(), parameters);
    }
    let datasets: Vec<Value> = manifest
        .datasets
        .iter()
        .map(|data| json!({ "contributor": data.contributor, "id": data.id }))
        .collect();
    all.insert("datasets".to_owned(), datasets.into());
    Ok(Value::Object(all))
}

/// The base's files and the datasets, by their digests.
fn dependencies(manifest: &Manifest) -> Vec<Value> {
    let base = &manifest.base;
    let of_base = |path: &str, sha256: Digest| {
        json!({
            "name": format!("base/{path}"),
            "digest": { "sha256": sha256 },
        })
    };
    let mut all: Vec<Value> = base
        .weights
        .iter()
        .map(|file| of_base(&file.path, file.sha256))
        .collect();
    // In a GGUF file, the weights' file has the configuration and the tokenizer as well.
    if base.format.is_none() {
        all.push(of_base("config.json", base.config_sha256));
        all.push(json!({
            "name": "base/tokenizer",
            "digest": { "sha256": base.tokenizer_sha256 },
            "annotations": { "digestOf": "lines of sha256sum over the tokenizer's files" },
        }));
    }
    all.extend(manifest.datasets.iter().map(dataset));
    all
}

fn dataset(data: &ManifestDataset) -> Value {
    let mut entry = json!({
        "name": format!("data/{}", data.id),
        "digest": { "sha256": data.sha256 },
        "annotations": { "digestOf": "normalised rows" },
    });
    if let (Some(uri), Some(fields)) = (&data.uri, entry.as_object_mut()) {
        fields.insert("uri".to_owned(), uri.clone().into());
    }
    entry
}

fn run_details(manifest: &Manifest) -> Value {
    let training = &manifest.training;
    let mut builder = json!({ "id": BUILDER });
    if let (Some(tool), Some(version), Some(fields)) = (
        &training.tool,
        &training.tool_version,
        builder.as_object_mut(),
    ) {
        let versions = Map::from_iter([(tool.clone(), version.clone().into())]);
        fields.insert("version".to_owned(), versions.into());
    }
    let mut metadata = Map::new();
    let moments = [
        ("startedOn", training.started_at),
        ("finishedOn", training.ended_at),
    ];
    for (name, seconds) in moments {
        if let Some(moment) = seconds.and_then(|seconds| rfc3339(seconds.0)) {
            metadata.insert(name.to_owned(), moment.into());
        }
    }
    let mut details = json!({ "builder": builder, "metadata": metadata });
    if let (Some(log), Some(fields)) = (training.log_sha256, details.as_object_mut()) {
        let log = json!([{ "name": "metrics.jsonl", "digest": { "sha256": log } }]);
        fields.insert("byproducts".to_owned(), log);
    }
    details
}
