//! The model card and the licence file, generated from the manifest only.

use std::fmt::Write;

use serde_json::Value;

use super::manifest::{Manifest, ManifestDataset, WeightsOrigin};
use openlora_core::private::foreign_text::is_steering;
use openlora_model::adapter::{LoraAdapter, SAMPLES_FILE};

/// SPDX's term for an unstated licence.
pub const NO_LICENSE: &str = "NOASSERTION";

/// What the Hub calls the task of a model that continues text, and of one that makes pictures.
const TEXT_PIPELINE: &str = "text-generation";
const PICTURE_PIPELINE: &str = "text-to-image";

/// SPDX identifiers that the Hub writes alike in lowercase.
const HUB_LICENSES: &[&str] = &[
    "afl-3.0",
    "apache-2.0",
    "artistic-2.0",
    "bsd-2-clause",
    "bsd-3-clause",
    "bsd-3-clause-clear",
    "bsl-1.0",
    "cc-by-2.0",
    "cc-by-2.5",
    "cc-by-3.0",
    "cc-by-4.0",
    "cc-by-nc-2.0",
    "cc-by-nc-3.0",
    "cc-by-nc-4.0",
    "cc-by-nc-nd-3.0",
    "cc-by-nc-nd-4.0",
    "cc-by-nc-sa-2.0",
    "cc-by-nc-sa-3.0",
    "cc-by-nc-sa-4.0",
    "cc-by-nd-4.0",
    "cc-by-sa-3.0",
    "cc-by-sa-4.0",
    "cc0-1.0",
    "cdla-permissive-1.0",
    "cdla-permissive-2.0",
    "cdla-sharing-1.0",
    "ecl-2.0",
    "epl-1.0",
    "epl-2.0",
    "eupl-1.1",
    "eupl-1.2",
    "isc",
    "lppl-1.3c",
    "mit",
    "mpl-2.0",
    "ms-pl",
    "ncsa",
    "ofl-1.1",
    "osl-3.0",
    "postgresql",
    "unlicense",
    "wtfpl",
    "zlib",
];

/// SPDX identifiers for which the Hub has another name.
const RENAMED_LICENSES: &[(&str, &str)] = &[
    ("AGPL-3.0-only", "agpl-3.0"),
    ("AGPL-3.0-or-later", "agpl-3.0"),
    ("GPL-2.0-only", "gpl-2.0"),
    ("GPL-2.0-or-later", "gpl-2.0"),
    ("GPL-3.0-only", "gpl-3.0"),
    ("GPL-3.0-or-later", "gpl-3.0"),
    ("LGPL-2.1-only", "lgpl-2.1"),
    ("LGPL-2.1-or-later", "lgpl-2.1"),
    ("LGPL-3.0-only", "lgpl-3.0"),
    ("LGPL-3.0-or-later", "lgpl-3.0"),
    ("ODC-By-1.0", "odc-by"),
    ("ODbL-1.0", "odbl"),
    ("PDDL-1.0", "pddl"),
];

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
    if adapter.dir.join(SAMPLES_FILE).is_file() {
        let _ = write!(
            text,
            "\n![Pictures of the base alone above, and with the adapter below]({SAMPLES_FILE})\n\n\
             Captions from held-out data, the same noise in both rows: the base alone above, with \
             the adapter below.\n"
        );
    }
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
        "image" => "make pictures from captions",
        _ => "continue text",
    }
}

/// A text of YAML in quotation marks, on one line.
fn quoted(value: &str) -> String {
    let plain: String = value.chars().map(visible).collect();
    Value::from(plain).to_string()
}

fn visible(c: char) -> char {
    if is_steering(c) { ' ' } else { c }
}

/// The metadata that the Hub reads, in the subset of YAML that JSON is.
fn front_matter(text: &mut String, manifest: &Manifest) {
    let base = &manifest.base.id;
    let _ = writeln!(text, "base_model: {}", quoted(base));
    text.push_str("base_model_relation: adapter\nlibrary_name: peft\n");
    let _ = writeln!(text, "pipeline_tag: {}", pipeline(manifest));
    license_metadata(text, &manifest.license);
    let mut datasets = manifest.datasets.iter().filter_map(hub_dataset).peekable();
    if datasets.peek().is_some() {
        text.push_str("datasets:\n");
    }
    for id in datasets {
        let _ = writeln!(text, "- {}", quoted(id));
    }
    text.push_str("tags:\n");
    let kind = match (manifest.adapter.kind.as_str(), manifest.adapter.rslora) {
        ("dora", _) => Some("dora"),
        (_, true) => Some("rslora"),
        (_, false) => None,
    };
    let base_tag = format!("base_model:adapter:{base}");
    for tag in ["lora", "openlora", base_tag.as_str()]
        .into_iter()
        .chain(kind)
    {
        let _ = writeln!(text, "- {}", quoted(tag));
    }
    model_index(text, manifest);
}

fn pipeline(manifest: &Manifest) -> &'static str {
    match manifest.base.makes_pictures() {
        true => PICTURE_PIPELINE,
        false => TEXT_PIPELINE,
    }
}

/// The Hub's own name of a licence, or `other` with the SPDX expression as its name.
fn license_metadata(text: &mut String, license: &str) {
    let lower = license.to_lowercase();
    let known = HUB_LICENSES.contains(&lower.as_str());
    let renamed = RENAMED_LICENSES.iter().find(|(spdx, _)| *spdx == license);
    let name = match renamed {
        Some((_, name)) => name,
        None if license == NO_LICENSE => "unknown",
        None if known => lower.as_str(),
        None => "other",
    };
    let _ = writeln!(text, "license: {}", quoted(name));
    if name == "other" {
        let _ = writeln!(text, "license_name: {}", quoted(&lower));
        text.push_str("license_link: LICENSE\n");
    }
}

/// The id of a dataset that is on the Hub. Other names of datasets are files of the publisher, which
/// cannot be looked up.
fn hub_dataset(data: &ManifestDataset) -> Option<&str> {
    let prefixes = ["https://huggingface.co/datasets/", "hf://datasets/"];
    let uri = data.uri.as_deref()?;
    let rest = prefixes.iter().find_map(|it| uri.strip_prefix(it))?;
    let (owner, rest_of_name) = rest.split_once('/')?;
    let name = rest_of_name.split(['/', '@']).next()?;
    Some(&rest[..owner.len() + 1 + name.len()])
}

/// The figures over held-out rows. These are rows of the publisher and no dataset of the Hub.
fn model_index(text: &mut String, manifest: &Manifest) {
    let metrics = &manifest.training.eval_metrics;
    if metrics.is_empty() {
        return;
    }
    let _ = write!(
        text,
        "model-index:\n- name: {}\n  results:\n  - task:\n      type: {}\n    \
         dataset:\n      name: held-out rows\n      type: held-out\n    metrics:\n",
        quoted(&manifest.name),
        pipeline(manifest)
    );
    for metric in metrics {
        let _ = writeln!(
            text,
            "    - type: {}\n      value: {}",
            quoted(&metric.name),
            metric.value
        );
    }
}

fn data(text: &mut String, manifest: &Manifest) {
    if manifest.training.mode == WeightsOrigin::Imported {
        text.push_str(
            "\nIt was made elsewhere and imported: nothing is known here of its training.\n",
        );
        return;
    }
    text.push_str(match manifest.base.makes_pictures() {
        true => "\n## Training data\n\n| data | from | pictures | licence |\n",
        false => "\n## Training data\n\n| data | from | rows | licence |\n",
    });
    text.push_str("| --- | --- | --- | --- |\n");
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
    cell.chars()
        .map(visible)
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
