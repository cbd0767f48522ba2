//! What an adapter does, and how it is called first of all, in the words of its task and its package.

use super::{adapter_profile::PartyShare, adapter_registry::ServedAdapter};
use openlora_model::dataset::Task;

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
            Some(Task::Image) => "Makes a picture from a caption.".to_owned(),
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
            Some(Task::Image) => "/v1/images/generations",
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
