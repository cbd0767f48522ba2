//! Warnings about data that can be read and may still train badly.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use super::{
    Dataset, LeftOutAnswers, LeftOutMessages, UnreadColumns, duplicates::DuplicateRow,
    encode::LossOn,
};

/// Labels with fewer training rows than this are hardly learned.
const FEW_LABEL_ROWS: usize = 10;
/// Fewer training rows than this rarely teach more than they say.
const FEW_ROWS: usize = 100;
/// Of shorter labels, a different letter makes a different word.
const SHORTEST_SIMILAR: usize = 4;

/// A warning about data; `Display` tells it, [`hint`](Self::hint) what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataWarning {
    /// Columns that no example is made from.
    Unread {
        path: PathBuf,
        columns: Vec<String>,
    },
    /// Answers that marks exclude from the loss.
    LeftOut(LeftOutAnswers),
    /// Other messages that marks exclude from a loss on every message.
    LeftOutMessages(LeftOutMessages),
    /// Labels with few rows, and how many.
    RareLabels {
        labels: Vec<(String, usize)>,
    },
    /// Labels that differ by case, white space or one letter.
    SimilarLabels {
        one: String,
        other: String,
    },
    FewRows {
        rows: usize,
    },
    /// Rows that repeat others, of all rows.
    Repeats {
        repeats: usize,
        rows: usize,
    },
    NoHeldOut,
}

/// What is known of the data beside its training rows.
#[derive(Clone, Copy, Debug)]
pub struct DataSurroundings<'a> {
    /// The name of the training part among the duplicates.
    pub part: &'a str,
    pub duplicates: &'a [DuplicateRow],
    /// Whether validation or test rows are kept apart.
    pub held_out: bool,
    /// What the loss of a training covers.
    pub loss: LossOn,
}

/// Warnings about training rows, the gravest first.
pub fn of_training(dataset: &Dataset, around: &DataSurroundings<'_>) -> Vec<DataWarning> {
    let rows = dataset.rows.len();
    if rows == 0 {
        return Vec::new();
    }
    let mut warnings = of_reading(dataset, around.loss);
    let labels = counted_labels(dataset);
    warnings.extend(similar(&labels));
    let rare: Vec<_> = labels
        .into_iter()
        .filter(|(_, rows)| *rows < FEW_LABEL_ROWS)
        .collect();
    if !rare.is_empty() {
        warnings.push(DataWarning::RareLabels { labels: rare });
    }
    if rows < FEW_ROWS {
        warnings.push(DataWarning::FewRows { rows });
    }
    let repeats = around
        .duplicates
        .iter()
        .filter(|found| !found.leaks)
        .count();
    if repeats > 0 {
        warnings.push(DataWarning::Repeats { repeats, rows });
    }
    if !around.held_out {
        warnings.push(DataWarning::NoHeldOut);
    }
    warnings
}

/// The columns that are not read and the messages that a loss leaves out, a warning a file for each
/// kind.
pub fn of_reading(dataset: &Dataset, loss: LossOn) -> Vec<DataWarning> {
    let unread = |file: &UnreadColumns| DataWarning::Unread {
        path: file.path.clone(),
        columns: file.columns.clone(),
    };
    let left_out = |file: &LeftOutAnswers| DataWarning::LeftOut(file.clone());
    let others = match loss {
        LossOn::All => dataset.left_out_messages.as_slice(),
        // Only answers are learned: a mark in another message changes nothing.
        LossOn::Completion => &[],
    };
    let others = others.iter().cloned().map(DataWarning::LeftOutMessages);
    let unread = dataset.unread.iter().map(unread);
    unread
        .chain(dataset.left_out.iter().map(left_out))
        .chain(others)
        .collect()
}

/// Every label with its rows, sorted by label.
fn counted_labels(dataset: &Dataset) -> Vec<(String, usize)> {
    let labels = dataset.rows.iter().filter_map(|row| row.example.label());
    let counts = super::statistics::count(labels);
    counts.into_iter().collect()
}

fn similar(labels: &[(String, usize)]) -> Vec<DataWarning> {
    let mut found = Vec::new();
    for (at, (one, _)) in labels.iter().enumerate() {
        for (other, _) in &labels[at + 1..] {
            if alike(one, other) {
                found.push(DataWarning::SimilarLabels {
                    one: one.clone(),
                    other: other.clone(),
                });
            }
        }
    }
    found
}

/// Whether one of two labels looks like a slip of the other. Numbers differ on purpose.
fn alike(one: &str, other: &str) -> bool {
    let plain = |label: &str| -> Vec<char> {
        let letters = label.chars().filter(|letter| letter.is_alphanumeric());
        letters.flat_map(char::to_lowercase).collect()
    };
    let (one, other) = (plain(one), plain(other));
    if one == other {
        return !one.is_empty();
    }
    let words = |letters: &[char]| {
        letters
            .iter()
            .filter(|it| !it.is_numeric())
            .collect::<String>()
    };
    one.len().min(other.len()) >= SHORTEST_SIMILAR
        && words(&one) != words(&other)
        && strsim::generic_damerau_levenshtein(&one, &other) == 1
}

impl DataWarning {
    /// The same with the path of its file, if it has one, as `shorten` writes it.
    pub fn with_path(mut self, shorten: impl Fn(&Path) -> PathBuf) -> Self {
        if let Self::Unread { path, .. }
        | Self::LeftOut(LeftOutAnswers { path, .. })
        | Self::LeftOutMessages(LeftOutMessages { path, .. }) = &mut self
        {
            *path = shorten(path);
        }
        self
    }

    /// What the user can do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unread { .. } => {
                "nothing is learned from it: take it out, or give it the name of a column that \
                 is read"
            }
            Self::LeftOut(_) => {
                "they are context for later answers; take the marks out to learn them too"
            }
            Self::LeftOutMessages(_) => {
                "they are context for other messages; take the marks out to learn them too"
            }
            Self::RareLabels { .. } => "add rows with these labels, or join labels",
            Self::SimilarLabels { .. } => "if both mean the same, write them the same way",
            Self::FewRows { .. } => "a few hundred rows or more are usual",
            Self::Repeats { .. } => {
                "take the copies out: they count for nothing in static shares, \
                 and are learned more often than other rows"
            }
            Self::NoHeldOut => {
                "keep some apart with `openlora data split --out DIR`, and name them with \
                 train.val and eval.data in openlora.toml"
            }
        }
    }
}

/// A column's name; pandas writes its index without one.
fn quoted(name: &str) -> String {
    match name {
        "" => "one without a name".to_owned(),
        name => format!("`{name}`"),
    }
}

fn quoted_list(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| quoted(name)).collect();
    names.join(", ")
}

impl fmt::Display for DataWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unread { path, columns } => {
                let (path, names) = (path.display(), quoted_list(columns));
                let what = if columns.len() == 1 {
                    "a column that is"
                } else {
                    "columns that are"
                };
                write!(f, "{path}: {what} not read: {names}")
            }
            Self::LeftOut(found) => found.fmt(f),
            Self::LeftOutMessages(found) => found.fmt(f),
            Self::RareLabels { labels } => {
                let label = |(label, rows): &(String, usize)| format!("`{label}` ({rows})");
                let labels: Vec<String> = labels.iter().map(label).collect();
                let labels = labels.join(", ");
                write!(
                    f,
                    "fewer than {FEW_LABEL_ROWS} training rows with a label: {labels}"
                )
            }
            Self::SimilarLabels { one, other } => {
                write!(f, "the labels `{one}` and `{other}` are nearly the same")
            }
            Self::FewRows { rows: 1 } => write!(f, "one training row only"),
            Self::FewRows { rows } => write!(f, "{rows} training rows only"),
            Self::Repeats { repeats: 1, rows } => {
                write!(f, "1 of {rows} training rows repeats another")
            }
            Self::Repeats { repeats, rows } => {
                write!(f, "{repeats} of {rows} training rows repeat others")
            }
            Self::NoHeldOut => {
                f.write_str("no rows are held out, so nothing measures what was learned")
            }
        }
    }
}

impl fmt::Display for LeftOutAnswers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path,
            left_out,
            answers,
            rows,
            marks,
        } = self;
        let are = if *left_out == 1 { "is" } else { "are" };
        let in_rows = if *rows == 1 { "row" } else { "rows" };
        let (path, marks) = (path.display(), quoted_list(marks));
        write!(
            f,
            "{path}: {left_out} of {answers} answers, in {rows} {in_rows}, {are} marked as not \
             learned ({marks})"
        )
    }
}

impl fmt::Display for LeftOutMessages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path,
            messages,
            rows,
            marks,
        } = self;
        let are = if *messages == 1 {
            "message that is no answer is"
        } else {
            "messages that are no answers are"
        };
        let in_rows = if *rows == 1 { "row" } else { "rows" };
        let (path, marks) = (path.display(), quoted_list(marks));
        write!(
            f,
            "{path}: {messages} {are} marked as not learned, in {rows} {in_rows} ({marks})"
        )
    }
}
