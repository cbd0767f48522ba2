//! Datasets: reads data files into examples, derives the task, and encodes rows as tokens with a
//! loss mask.
//!
//! Formats are detected from the content of a file, not from its name. Every row keeps its source
//! and line, so that each error names path:line; nothing is dropped silently. This module knows the
//! tokenizer through [`TextCodec`](crate::text::TextCodec) only, and no weights, settings or runs.

pub mod choices;
mod column_names;
mod columns;
mod digest;
pub mod duplicates;
pub mod encode;
mod error;
mod formats;
mod locked;
pub mod long;
mod marks;
mod row;
mod shape;
mod similar;
pub mod split;
pub mod statistics;
mod task;
pub mod warnings;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

pub use column_names::ColumnNames;
use encode::LossOn;
pub use error::{DataError, RowFault};
pub use locked::LockedSource;
pub use shape::RowShape;
pub use task::{Task, TaskOptions};

use crate::text::ChatMessage;

/// A data file and its contributor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataSource {
    pub path: PathBuf,
    pub contributor: String,
    /// Account that the contributor's rewards go to.
    pub address: Option<String>,
    /// SPDX identifier.
    pub license: Option<String>,
    /// How often its rows are drawn, relative to the other sources.
    pub weight: f64,
    /// Columns that have other names in the file.
    #[serde(skip)]
    pub columns: ColumnNames,
}

impl DataSource {
    /// A file given by its path alone.
    pub fn of_file(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            contributor: "unnamed".to_owned(),
            address: None,
            license: None,
            weight: 1.0,
            columns: ColumnNames::default(),
        }
    }
}

/// One training example. Line ends are `\n`; labels have no surrounding white space.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum TrainingExample {
    Chat {
        messages: Vec<ChatMessage>,
        /// Answers that are context and not learned: positions among the assistant's messages,
        /// ascending.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        context_answers: Vec<usize>,
        /// Other messages that are not learned where every message is: positions among all
        /// messages, ascending.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        context_messages: Vec<usize>,
    },
    Completion {
        prompt: String,
        completion: String,
    },
    Text {
        text: String,
    },
    Labelled {
        text: String,
        label: String,
    },
}

impl TrainingExample {
    /// A conversation whose answers are all learned.
    pub fn chat(messages: Vec<ChatMessage>) -> Self {
        Self::Chat {
            messages,
            context_answers: Vec::new(),
            context_messages: Vec::new(),
        }
    }

    /// The name of this kind of row in messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Chat { .. } => "chat",
            Self::Completion { .. } => "prompt/completion",
            Self::Text { .. } => "plain text",
            Self::Labelled { .. } => "labelled",
        }
    }

    /// The row as one line of JSON that can be read back, without a line end.
    pub fn to_json_line(&self) -> String {
        let value = match self {
            Self::Chat {
                messages,
                context_answers,
                context_messages,
            } => json!({ "messages": weighted(messages, context_answers, context_messages) }),
            Self::Completion { prompt, completion } => {
                json!({ "prompt": prompt, "completion": completion })
            }
            Self::Text { text } => json!({ "text": text }),
            Self::Labelled { text, label } => json!({ "text": text, "label": label }),
        };
        value.to_string()
    }

    /// Answers of a chat that are context and not learned, as positions among its answers.
    pub fn context_answers(&self) -> &[usize] {
        match self {
            Self::Chat {
                context_answers, ..
            } => context_answers,
            _ => &[],
        }
    }

    /// Messages of a chat that are no answers and not learned where every message is, as positions
    /// among its messages.
    pub fn context_messages(&self) -> &[usize] {
        match self {
            Self::Chat {
                context_messages, ..
            } => context_messages,
            _ => &[],
        }
    }

    /// The number of answers of a chat; 0 for other rows.
    fn answers(&self) -> usize {
        match self {
            Self::Chat { messages, .. } => {
                let is_answer = |message: &&ChatMessage| message.role == "assistant";
                messages.iter().filter(is_answer).count()
            }
            _ => 0,
        }
    }

    /// SHA-256 of its canonical line; identifies the row where its text cannot be shown.
    pub fn content_hash(&self) -> [u8; 32] {
        Sha256::digest(digest::canonical_line(self)).into()
    }

    fn forget_context_messages(&mut self) {
        if let Self::Chat {
            context_messages, ..
        } = self
        {
            context_messages.clear();
        }
    }

    /// The example as a loss distinguishes it: messages that are no answers are learned only where
    /// every message is, so their marks mean nothing otherwise.
    pub fn for_loss(mut self, loss: LossOn) -> Self {
        if loss == LossOn::Completion {
            self.forget_context_messages();
        }
        self
    }

    /// The label of a labelled row.
    pub fn label(&self) -> Option<&str> {
        match self {
            Self::Labelled { label, .. } => Some(label),
            _ => None,
        }
    }
}

/// Messages as JSON; those that are not learned have the weight 0, as in OpenAI's fine-tuning
/// format.
fn weighted(
    messages: &[ChatMessage],
    context_answers: &[usize],
    context_messages: &[usize],
) -> Value {
    let mut answers = 0;
    let message = |(at, message): (usize, &ChatMessage)| {
        let mut value = json!(message);
        let mut left_out = context_messages.contains(&at);
        if message.role == "assistant" {
            left_out = context_answers.contains(&answers);
            answers += 1;
        }
        if left_out {
            value["weight"] = json!(0);
        }
        value
    };
    messages.iter().enumerate().map(message).collect()
}

/// An example and its origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataRow {
    pub example: TrainingExample,
    /// Index in [`Dataset::sources`].
    pub source: usize,
    /// Line of a text file or record of a Parquet file, from 1.
    pub line: usize,
}

/// All rows of some sources, in the order of sources and lines.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dataset {
    pub sources: Vec<DataSource>,
    pub rows: Vec<DataRow>,
    /// SHA-256, hex, over one line of canonical JSON per row.
    pub digest: String,
    /// The same over the rows of each source alone, in the order of `sources`.
    pub source_digests: Vec<String>,
    /// Columns that no example is made from, by source.
    pub unread: Vec<UnreadColumns>,
    /// Answers that marks exclude from the loss, by source.
    pub left_out: Vec<LeftOutAnswers>,
    /// Other messages that marks exclude from a loss on every message, by source.
    pub left_out_messages: Vec<LeftOutMessages>,
}

/// Columns of a file that hold something and are not part of any example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadColumns {
    pub path: PathBuf,
    /// Fields of messages are written as `messages[].name`.
    pub columns: Vec<String>,
}

/// Answers of a file that are context and not learned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOutAnswers {
    pub path: PathBuf,
    /// How many are not learned, of how many answers.
    pub left_out: usize,
    pub answers: usize,
    /// Rows with such an answer.
    pub rows: usize,
    /// The marks that exclude them, such as `weight`.
    pub marks: Vec<String>,
}

/// Messages of a file that are no answers, and not learned where every message is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOutMessages {
    pub path: PathBuf,
    pub messages: usize,
    /// Rows with such a message.
    pub rows: usize,
    /// The marks that exclude them, such as `weight`.
    pub marks: Vec<String>,
}

impl Dataset {
    /// Combines rows and sources, and computes the digests.
    pub fn new(sources: Vec<DataSource>, rows: Vec<DataRow>) -> Self {
        let digest = digest::of_rows(rows.iter());
        let of_source = |index| digest::of_rows(rows.iter().filter(|row| row.source == index));
        let source_digests = (0..sources.len()).map(of_source).collect();
        Self {
            sources,
            rows,
            digest,
            source_digests,
            unread: Vec::new(),
            left_out: Vec::new(),
            left_out_messages: Vec::new(),
        }
    }

    /// The dataset as a loss distinguishes its rows (see [`TrainingExample::for_loss`]), with their
    /// digests: a mark without effect does not change them.
    pub fn for_loss(mut self, loss: LossOn) -> Self {
        let is_marked = |row: &DataRow| !row.example.context_messages().is_empty();
        if loss == LossOn::All || !self.rows.iter().any(is_marked) {
            return self;
        }
        for row in &mut self.rows {
            row.example.forget_context_messages();
        }
        Self {
            unread: self.unread,
            left_out: self.left_out,
            left_out_messages: self.left_out_messages,
            ..Self::new(self.sources, self.rows)
        }
    }

    /// Bytes of the lines that a source's digest covers.
    pub fn source_size(&self, index: usize) -> u64 {
        digest::size_of_rows(self.rows.iter().filter(|row| row.source == index))
    }

    /// An error of a row with its path:line.
    pub fn row_error(&self, row: &DataRow, fault: RowFault) -> DataError {
        let path = self.sources[row.source].path.clone();
        DataError::Row {
            path,
            line: row.line,
            fault,
        }
    }

    /// `path:line` of a row.
    pub fn place(&self, row: &DataRow) -> String {
        format!("{}:{}", self.sources[row.source].path.display(), row.line)
    }
}

/// Reads every source.
///
/// # Errors
///
/// The first error: a file that cannot be read or recognised, or an invalid row.
pub fn load(sources: &[DataSource]) -> Result<Dataset, DataError> {
    if sources.is_empty() {
        return Err(DataError::NoSources);
    }
    let inspection = inspect(sources, 1);
    match inspection.errors.into_iter().next() {
        Some(error) => Err(error),
        None => Ok(inspection.dataset),
    }
}

/// The result of reading with collected errors.
#[derive(Debug, Default)]
pub struct DataInspection {
    /// The valid rows.
    pub dataset: Dataset,
    /// In the order of files and lines, at most the limit per file.
    pub errors: Vec<DataError>,
    /// Files in which reading stopped at the limit.
    pub cut_short: Vec<PathBuf>,
}

/// Reads every source and continues after an error, up to `limit` errors per file.
pub fn inspect(sources: &[DataSource], limit: usize) -> DataInspection {
    let mut found = DataInspection::default();
    let (mut rows, mut unread, mut left_out) = (Vec::new(), Vec::new(), Vec::new());
    let (mut left_out_messages, mut lacking) = (Vec::new(), Vec::new());
    for (index, source) in sources.iter().enumerate() {
        let (mut faults, first) = (0, rows.len());
        let mut reader = formats::read(&source.path, &source.columns);
        for read in reader.by_ref() {
            match read {
                Ok((line, example)) => rows.push(DataRow {
                    example,
                    source: index,
                    line,
                }),
                Err(error) => {
                    found.errors.push(error);
                    faults += 1;
                }
            }
            if faults == limit {
                found.cut_short.push(source.path.clone());
                break;
            }
        }
        let notes = reader.notes();
        let columns: Vec<String> = notes.unread.into_iter().collect();
        if !columns.is_empty() {
            unread.push(UnreadColumns {
                path: source.path.clone(),
                columns,
            });
        }
        let (path, read) = (&source.path, &rows[first..]);
        left_out.extend(find_left_out_answers(path, read, notes.marks));
        left_out_messages.extend(find_left_out_messages(path, read, notes.message_marks));
        lacking.push(notes.lacks);
    }
    // A name that no file has is a slip; one of several files may have the formats' own names.
    if lacking.iter().all(Option::is_some) {
        let slip = lacking.into_iter().flatten().next();
        found.errors = slip.into_iter().chain(found.errors).collect();
    }
    found.dataset = Dataset {
        unread,
        left_out,
        left_out_messages,
        ..Dataset::new(sources.to_vec(), rows)
    };
    found
}

/// How many answers of a file's rows are not learned; none if all are.
fn find_left_out_answers(
    path: &Path,
    rows: &[DataRow],
    marks: BTreeSet<String>,
) -> Option<LeftOutAnswers> {
    let left_out = |row: &DataRow| row.example.context_answers().len();
    let found = LeftOutAnswers {
        path: path.to_path_buf(),
        left_out: rows.iter().map(left_out).sum(),
        answers: rows.iter().map(|row| row.example.answers()).sum(),
        rows: rows.iter().filter(|row| left_out(row) > 0).count(),
        marks: marks.into_iter().collect(),
    };
    (found.left_out > 0).then_some(found)
}

/// How many other messages of a file's rows are marked as not learned; none if no message is.
fn find_left_out_messages(
    path: &Path,
    rows: &[DataRow],
    marks: BTreeSet<String>,
) -> Option<LeftOutMessages> {
    let left_out = |row: &DataRow| row.example.context_messages().len();
    let found = LeftOutMessages {
        path: path.to_path_buf(),
        messages: rows.iter().map(left_out).sum(),
        rows: rows.iter().filter(|row| left_out(row) > 0).count(),
        marks: marks.into_iter().collect(),
    };
    (found.messages > 0).then_some(found)
}
