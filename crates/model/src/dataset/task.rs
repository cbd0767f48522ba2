//! The task of an adapter, resolved from options and data.

use serde::{Deserialize, Serialize};

use super::{DataError, DataRow, Dataset, RowFault, TrainingExample};
use crate::text::ChatMessage;

/// The kind of task, which also determines the prompt of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Task {
    /// Answers with one of the labels, after a system message with the instruction.
    Classify {
        labels: Vec<String>,
        instruction: String,
    },
    /// Answers in a conversation. Rows without a system message get the instruction as one.
    Chat { instruction: Option<String> },
    /// Continues a text without a chat template.
    Text,
    /// Makes a picture from a caption.
    Image,
}

/// The task options from settings and flags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskOptions {
    /// `classify`, `chat`, `text` or `image`; derived from the data if unset.
    pub task: Option<String>,
    /// In display order; derived from the data if empty.
    pub labels: Vec<String>,
    pub instruction: Option<String>,
}

impl Task {
    /// Resolves the task and checks that every row fits it.
    ///
    /// By default, labelled rows make a classifier, plain text a text task, and chats and
    /// prompt/completion pairs a chat. Labels derived from the data are sorted.
    pub fn resolve(dataset: &Dataset, wanted: &TaskOptions) -> Result<Self, DataError> {
        let task = match wanted.task.as_deref() {
            Some(name) => Self::named(name, dataset, wanted)?,
            None => Self::named(found_task(dataset)?, dataset, wanted)?,
        };
        task.check(dataset)?;
        Ok(task)
    }

    /// Checks that every row fits this task, for example of held-out files.
    pub fn check(&self, dataset: &Dataset) -> Result<(), DataError> {
        for row in &dataset.rows {
            self.check_row(&row.example)
                .map_err(|fault| dataset.row_error(row, fault))?;
        }
        Ok(())
    }

    /// The name of the task in settings.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Classify { .. } => "classify",
            Self::Chat { .. } => "chat",
            Self::Text => "text",
            Self::Image => "image",
        }
    }

    /// The messages that present a text to the model.
    pub fn prompt_messages(&self, text: &str) -> Vec<ChatMessage> {
        let mut messages: Vec<ChatMessage> = self
            .instruction()
            .map(|text| message("system", text))
            .into_iter()
            .collect();
        messages.push(message("user", text));
        messages
    }

    /// The system message, if there is one.
    pub fn instruction(&self) -> Option<&str> {
        match self {
            Self::Classify { instruction, .. } => Some(instruction),
            Self::Chat { instruction } => instruction.as_deref(),
            Self::Text | Self::Image => None,
        }
    }

    /// The conversation of a row; `None` for a row trained as plain text.
    pub(super) fn messages(&self, example: &TrainingExample) -> Option<Vec<ChatMessage>> {
        let answered = |prompt: &str, answer: &str| {
            let mut messages = self.prompt_messages(prompt);
            messages.push(message("assistant", answer));
            messages
        };
        match example {
            _ if matches!(self, Self::Text | Self::Image) => None,
            TrainingExample::Text { .. } => None,
            TrainingExample::Chat { messages, .. } => Some(self.instructed(messages)),
            TrainingExample::Completion { prompt, completion } => {
                Some(answered(prompt, completion))
            }
            TrainingExample::Labelled { text, label } => Some(answered(text, label)),
        }
    }

    fn instructed(&self, messages: &[ChatMessage]) -> Vec<ChatMessage> {
        let own = messages.first().is_some_and(|first| first.role == "system");
        let system = self
            .instruction()
            .filter(|_| !own)
            .map(|text| message("system", text));
        system.into_iter().chain(messages.iter().cloned()).collect()
    }

    fn named(name: &str, dataset: &Dataset, wanted: &TaskOptions) -> Result<Self, DataError> {
        match name {
            "classify" => classifier(dataset, wanted),
            "chat" => Ok(Self::Chat {
                instruction: wanted.instruction.clone(),
            }),
            "text" => Ok(Self::Text),
            "image" => Ok(Self::Image),
            other => Err(DataError::UnknownTask {
                found: other.to_owned(),
            }),
        }
    }

    fn check_row(&self, example: &TrainingExample) -> Result<(), RowFault> {
        match (self, example) {
            (Self::Classify { labels, .. }, TrainingExample::Labelled { label, .. }) => {
                check_label(label, labels)
            }
            (Self::Classify { .. }, other) => Err(RowFault::WrongKind {
                found: other.kind(),
                expected: "a labelled one",
                hint: "a classifier learns from rows with text and label; for others set \
                       project.task to chat or text",
            }),
            (Self::Chat { .. }, TrainingExample::Text { .. }) => Err(RowFault::WrongKind {
                found: example.kind(),
                expected: "a chat, prompt/completion or labelled one",
                hint: "plain text is learned with project.task = \"text\"",
            }),
            (Self::Text, TrainingExample::Chat { .. } | TrainingExample::Labelled { .. }) => {
                Err(RowFault::WrongKind {
                    found: example.kind(),
                    expected: "a plain text or prompt/completion one",
                    hint: "chats and labels are learned with project.task = \"chat\" or \"classify\"",
                })
            }
            (Self::Image, other) => Err(RowFault::WrongKind {
                found: other.kind(),
                expected: "a picture with a caption",
                hint: "pictures are read from folders: name one as `path` of [[data]], with captions \
                       in its metadata.jsonl or in a .txt file beside each picture",
            }),
            _ => Ok(()),
        }
    }
}

fn message(role: &str, content: &str) -> ChatMessage {
    ChatMessage {
        role: role.to_owned(),
        content: content.to_owned(),
    }
}

/// The task implied by the first row.
fn found_task(dataset: &Dataset) -> Result<&'static str, DataError> {
    let first = dataset.rows.first().map(|row: &DataRow| &row.example);
    match first.ok_or(DataError::NoSources)? {
        TrainingExample::Labelled { .. } => Ok("classify"),
        TrainingExample::Text { .. } => Ok("text"),
        TrainingExample::Chat { .. } | TrainingExample::Completion { .. } => Ok("chat"),
    }
}

fn classifier(dataset: &Dataset, wanted: &TaskOptions) -> Result<Task, DataError> {
    let labels = match wanted.labels.as_slice() {
        [] => found_labels(dataset),
        given => given.to_vec(),
    };
    for (index, label) in labels.iter().enumerate() {
        if label.trim().is_empty() {
            return Err(DataError::EmptyLabel);
        }
        if labels[..index].contains(label) {
            return Err(DataError::RepeatedLabel {
                label: label.clone(),
            });
        }
    }
    if labels.len() < 2 {
        return Err(DataError::FewLabels {
            found: listed(&labels),
        });
    }
    let instruction = wanted
        .instruction
        .clone()
        .unwrap_or_else(|| format!("Answer with one of these labels: {}.", labels.join(", ")));
    Ok(Task::Classify {
        labels,
        instruction,
    })
}

fn found_labels(dataset: &Dataset) -> Vec<String> {
    let labels = dataset.rows.iter().filter_map(|row| row.example.label());
    labels
        .collect::<std::collections::BTreeSet<_>>()
        .into_iter()
        .map(str::to_owned)
        .collect()
}

fn check_label(label: &str, labels: &[String]) -> Result<(), RowFault> {
    if labels.iter().any(|known| known == label) {
        return Ok(());
    }
    let slips =
        |known: &&String| strsim::osa_distance(&label.to_lowercase(), &known.to_lowercase());
    let near = |known: &&String| 3 * slips(known) <= known.chars().count().max(3);
    let meant = labels.iter().min_by_key(slips).filter(near).cloned();
    Err(RowFault::UnknownLabel {
        label: label.to_owned(),
        labels: listed(labels),
        meant,
    })
}

fn listed(labels: &[String]) -> String {
    match labels {
        [] => "none".to_owned(),
        _ => labels.join(", "),
    }
}
