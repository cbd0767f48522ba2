//! The model card and the licence file, generated from the manifest only.

use std::fmt::Write;

use serde_json::Value;

use super::manifest::{Manifest, WeightsOrigin};
use openlora_core::private::foreign_text::is_steering;
use openlora_model::adapter::LoraAdapter;

/// SPDX's term for an unstated licence.
pub const NO_LICENSE: &str = "NOASSERTION";

/// `README.md` with the metadata that the Hub reads.
pub fn readme(manifest: &Manifest, adapter: &LoraAdapter) -> String {
    let mut text = String::from("---\n");
    front_matter(&mut text, manifest);
    // Writing to a `String` cannot fail.
    let _ = write!(
        text,
        "---\n\n# {} {}\n\n{} of rank {} for the base `{}`",
        manifest.name,
        manifest.version,
        match (manifest.adapter.kind.as_str(), manifest.adapter.rslora) {
            ("dora", _) => "A DoRA adapter",
            (_, true) => "An rsLoRA adapter",
            (_, false) => "A LoRA adapter",
        },
        manifest.adapter.r.0,
        manifest.base.id,
    );
    if let Some(format) = &manifest.base.format {
        let _ = write!(text, " ({format})");
    }
    if let Some(card) = &adapter.task {
        let _ = write!(text, ", trained to {}", task_words(card.task.name()));
    }
    text.push_str(".\n");
    data(&mut text, manifest);
    evaluation(&mut text, manifest);
    text.push_str(
        "\n## Checking this package\n\n`openlora.json` lists every file with its SHA-256, the \
         base and the data by their digests,\nand how revenue is split. `openlora verify DIR` \
         checks all of it.\n",
    );
    text
}

fn task_words(task: &str) -> &'static str {
    match task {
        "classify" => "answer with one of its labels",
        "chat" => "answer in a conversation",
        _ => "continue text",
    }
}

fn front_matter(text: &mut String, manifest: &Manifest) {
    let license = match manifest.license.as_str() {
        NO_LICENSE => "unknown".to_owned(),
        license => license.to_lowercase(),
    };
    let quoted = |value: &str| Value::from(value).to_string();
    let _ = writeln!(text, "base_model: {}", quoted(&manifest.base.id));
    text.push_str("base_model_relation: adapter\nlibrary_name: peft\n");
    let _ = writeln!(text, "license: {}", quoted(&license));
    if !manifest.datasets.is_empty() {
        text.push_str("datasets:\n");
        for data in &manifest.datasets {
            let _ = writeln!(text, "- {}", quoted(&data.id));
        }
    }
    text.push_str("tags:\n- lora\n- openlora\n");
}

fn data(text: &mut String, manifest: &Manifest) {
    if manifest.training.mode == WeightsOrigin::Imported {
        text.push_str(
            "\nIt was made elsewhere and imported: nothing is known here of its training.\n",
        );
        return;
    }
    text.push_str(
        "\n## Training data\n\n| data | from | rows | licence |\n| --- | --- | --- | --- |\n",
    );
    for data in &manifest.datasets {
        let license = data.license.as_deref().unwrap_or("not stated");
        let cells = [&data.id, &data.contributor].map(|cell| escaped(cell));
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} |",
            cells[0],
            cells[1],
            data.records.0,
            escaped(license)
        );
    }
    long_rows(text, manifest);
}

/// What became of rows that were too long, as a sentence of its own.
fn long_rows(text: &mut String, manifest: &Manifest) {
    let stated = manifest.training.hyperparameters.as_ref();
    let value = |key: &str| stated.and_then(|stated| stated.get(key));
    let number = |key: &str| value(key).and_then(Value::as_u64);
    let (Some(rows), Some(limit)) = (number("long_rows"), number("max_len")) else {
        return;
    };
    let became = match value("on_long").and_then(Value::as_str) {
        Some("truncate") => "their text was cut",
        Some("drop") => "they were left out",
        Some("split") => "they were split",
        _ => return,
    };
    let _ = writeln!(
        text,
        "\n{rows} rows are longer than {limit} tokens: {became}."
    );
}

/// A cell of a table on one line.
fn escaped(cell: &str) -> String {
    let plain = |c: char| if is_steering(c) { ' ' } else { c };
    cell.chars()
        .map(plain)
        .collect::<String>()
        .replace('|', "\\|")
}

fn evaluation(text: &mut String, manifest: &Manifest) {
    let metrics = &manifest.training.eval_metrics;
    if metrics.is_empty() {
        return;
    }
    text.push_str("\n## Evaluation\n\n| figure | adapter | base | held-out rows |\n| --- | --- | --- | --- |\n");
    for metric in metrics {
        let base = metric
            .base
            .map_or_else(|| "not measured".to_owned(), |base| format!("{base:.4}"));
        let _ = writeln!(
            text,
            "| {} | {:.4} | {base} | {} |",
            escaped(&metric.name),
            metric.value,
            metric.rows.0
        );
    }
}

/// `LICENSE` for a project without a licence file.
pub fn license(manifest: &Manifest) -> String {
    match manifest.license.as_str() {
        NO_LICENSE => "The publisher states no licence for these weights.\n".to_owned(),
        license => format!(
            "SPDX-License-Identifier: {license}\n\nThese weights are licensed under {license}; \
             https://spdx.org/licenses/ has its text.\n"
        ),
    }
}
