//! What buyers may read of an adapter: the facts that its package states, in plain types.
//!
//! They come from a manifest that somebody else wrote. Nothing here is markup, and nothing is looked
//! up: whoever shows a text escapes it.

use openlora_core::Address;

use super::adapter_registry::ServedAdapter;
use openlora_model::dataset::Task;

/// The stated facts of an adapter; empty for one without a package.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AdapterProfile {
    /// The publisher's name for it.
    pub title: Option<String>,
    /// The publisher's version.
    pub release: Option<String>,
    pub maker: Option<String>,
    /// The account whose signature over the manifest was checked.
    pub signer: Option<Address>,
    /// SHA-256 of the weights' file, hex, by which releases name them.
    pub weights_sha256: Option<String>,
    /// SHA-256 of the manifest, hex.
    pub manifest_sha256: Option<String>,
    /// SPDX identifier.
    pub license: Option<String>,
    pub datasets: Vec<DatasetProfile>,
    pub contributors: Vec<PartyShare>,
    pub split: Vec<PartyShare>,
    pub evaluations: Vec<EvaluationProfile>,
}

/// One dataset that it was trained on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatasetProfile {
    pub id: String,
    pub contributor: String,
    pub records: u64,
    pub license: Option<String>,
}

/// A party and its share in millionths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartyShare {
    pub name: String,
    pub address: Option<Address>,
    pub ppm: u64,
}

/// One metric over held-out rows.
#[derive(Clone, Debug, PartialEq)]
pub struct EvaluationProfile {
    pub metric: String,
    pub value: f64,
    /// The same of the base alone.
    pub base: Option<f64>,
    pub rows: u64,
}

/// The most labels that a description names.
const NAMED_LABELS: usize = 12;

impl ServedAdapter {
    /// The contributors with their shares: as the package states them, or as calls are attributed.
    pub fn contributors(&self) -> Vec<PartyShare> {
        if !self.profile.contributors.is_empty() {
            return self.profile.contributors.clone();
        }
        let known = self.provenance.contributors.iter();
        let parties = known.map(|it| PartyShare {
            name: it.name.clone(),
            address: it.address,
            ppm: it.static_ppm,
        });
        parties.collect()
    }

    /// What it does, in a sentence or two.
    pub fn summary(&self) -> String {
        let does = match &self.task {
            Some(Task::Classify { labels, .. }) => classified(labels),
            Some(Task::Chat { .. }) => "Answers in a conversation.".to_owned(),
            Some(Task::Text) | None => "Continues a text.".to_owned(),
        };
        let rows: u64 = self.profile.datasets.iter().map(|it| it.records).sum();
        let people = self.contributors().len();
        match (rows, people) {
            (0, _) | (_, 0) => does,
            (rows, 1) => format!("{does} Trained on {rows} examples from one contributor."),
            (rows, all) => format!("{does} Trained on {rows} examples from {all} contributors."),
        }
    }

    /// The kind of its task.
    pub fn task_name(&self) -> &'static str {
        self.task.as_ref().map_or("text", Task::name)
    }

    /// The path on which it is called first of all.
    pub fn usual_path(&self) -> &'static str {
        match &self.task {
            Some(Task::Classify { .. }) => "/v1/classify",
            Some(Task::Chat { .. }) => "/v1/chat/completions",
            Some(Task::Text) | None => "/v1/completions",
        }
    }
}

fn classified(labels: &[String]) -> String {
    let named: Vec<&str> = labels
        .iter()
        .take(NAMED_LABELS)
        .map(String::as_str)
        .collect();
    let more = match labels.len().saturating_sub(NAMED_LABELS) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(
        "Gives a text one of {} labels: {}{more}.",
        labels.len(),
        named.join(", ")
    )
}
