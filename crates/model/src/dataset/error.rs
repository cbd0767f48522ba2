//! Errors of data files and their rows.

use std::{collections::BTreeSet, path::PathBuf};

use super::{
    shape::{FORMATS, RowShape},
    similar::closest,
};
use crate::text::ModelTextError;
use openlora_core::error::{ExitClass, Explain};

#[derive(Debug, thiserror::Error)]
pub enum DataError {
    #[error("no data: no file is named")]
    NoSources,
    #[error("{}: no such file", path.display())]
    Missing { path: PathBuf },
    #[error("{}: a folder, expected a data file", path.display())]
    Folder { path: PathBuf },
    #[error("cannot read {}: {reason}", path.display())]
    Unreadable { path: PathBuf, reason: String },
    #[error("{}: no rows, expected at least one", path.display())]
    Empty { path: PathBuf },
    #[error("{}: UTF-16 text, expected UTF-8", path.display())]
    Utf16 { path: PathBuf },
    #[error("{}:{line}: invalid UTF-8: byte 0x{byte:02x} at offset {offset}", path.display())]
    InvalidUtf8 {
        path: PathBuf,
        line: usize,
        offset: usize,
        byte: u8,
    },
    #[error(
        "{}:{line}: not recognised: expected JSON objects, one a line, a JSON list, a CSV header \
         such as text,label, or Parquet; found {found}", path.display()
    )]
    Unrecognised {
        path: PathBuf,
        line: usize,
        found: String,
    },
    #[error("{}: {kind}, expected JSON Lines, CSV or Parquet", path.display())]
    OtherKind {
        path: PathBuf,
        kind: &'static str,
        hint: String,
    },
    #[error("{}: one JSON object with the rows in `{key}`, expected one row per line", path.display())]
    WrappedRows { path: PathBuf, key: String },
    #[error("{}: JSON objects over several lines, expected one per line", path.display())]
    SpreadObject { path: PathBuf },
    #[error("{}: not a readable Parquet file: {reason}", path.display())]
    Parquet { path: PathBuf, reason: String },
    #[error("{}:{line}: {fault}", path.display())]
    Row {
        path: PathBuf,
        line: usize,
        fault: RowFault,
    },
    #[error("columns: expected NAME=COLUMN, found `{pair}`")]
    ColumnPair { pair: String },
    #[error(
        "columns: no row format has a `{name}`, expected one of {}",
        column_list(RowShape::known_keys())
    )]
    UnknownColumnName { name: String, meant: Option<String> },
    #[error("columns: `{name}` occurs twice")]
    RepeatedColumnName { name: String },
    #[error(
        "{}: no column `{column}` to read as `{read_as}`; columns: {}", path.display(),
        column_list(found.iter().map(String::as_str))
    )]
    NoColumn {
        path: PathBuf,
        read_as: &'static str,
        column: String,
        found: Vec<String>,
    },
    #[error("unknown task `{found}`, expected classify, chat, text or image")]
    UnknownTask { found: String },
    #[error("a classifier needs two labels or more, found {found}")]
    FewLabels { found: String },
    #[error("the label `{label}` is listed twice")]
    RepeatedLabel { label: String },
    #[error("a label is empty")]
    EmptyLabel,
    #[error("train.on_long is split, which only plain text can be, and the task is {task}")]
    Indivisible { task: &'static str },
    #[error("cannot split {rows} rows into fractions {valid} and {test} beside the training rows")]
    BadSplit { rows: usize, valid: f64, test: f64 },
}

fn column_list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names = names.collect::<BTreeSet<_>>().into_iter();
    names
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// An error of one row.
#[derive(Debug, thiserror::Error)]
pub enum RowFault {
    #[error("broken JSON at column {column}: {reason}")]
    Json { column: usize, reason: String },
    #[error("the JSON list is not closed")]
    OpenList,
    #[error("text after the JSON list")]
    AfterList,
    #[error("expected a JSON object, found {found}")]
    NotObject { found: &'static str },
    #[error("no row format has the keys {keys}; expected {FORMATS}")]
    UnknownShape {
        keys: String,
        /// Columns, and names that would give the row a format.
        renames: Vec<(String, &'static str)>,
    },
    #[error("unknown key `{key}`")]
    Misspelt { key: String, meant: String },
    #[error("`{key}` is not read, and there is no `label`")]
    OtherLabel { key: String },
    #[error("`{field}` is missing; a row of the {shape} format needs it")]
    Missing {
        field: &'static str,
        shape: RowShape,
        /// A column that may be meant.
        meant: Option<String>,
    },
    #[error("`{field}` must be {expected}, found {found}")]
    WrongType {
        field: String,
        expected: &'static str,
        found: &'static str,
    },
    #[error("`{field}` is not supported")]
    Unsupported { field: String, hint: &'static str },
    #[error("`{field}` must be `text`, found `{found}`")]
    PartType { field: String, found: String },
    #[error("`{field}` and `{other}` are different system messages")]
    TwoSystems { field: &'static str, other: String },
    #[error("`{field}` says that the answer is not wanted")]
    Unwanted { field: &'static str },
    #[error("`{field}` must be true, false, 1 or 0, found {found}")]
    BadMark { field: String, found: String },
    #[error(
        "`{field}` has {found} {}, expected {expected} as in `{list}`",
        if *found == 1 { "entry" } else { "entries" }
    )]
    MarkCount {
        field: String,
        found: usize,
        expected: usize,
        list: String,
    },
    #[error("`{field}` says that the row is not learned")]
    RowLeftOut { field: String },
    #[error("`{field}` says that a message is learned that is no answer")]
    LearnedRequest { field: String },
    #[error("every answer is marked as not learned")]
    NoLearnedAnswer,
    #[error("`{field}` is empty")]
    Empty { field: String },
    #[error("unknown role `{role}` in `{field}`, expected {expected}")]
    UnknownRole {
        field: String,
        role: String,
        expected: &'static str,
        meant: Option<String>,
    },
    #[error("no message of the assistant, so nothing is learned")]
    NoAnswer,
    #[error("a row of the {found} format, expected {expected} as on line {first}")]
    Mixed {
        expected: RowShape,
        found: RowShape,
        first: usize,
    },
    #[error("expected {expected} fields as in the header, found {found}")]
    Fields { found: u64, expected: u64 },
    #[error("an unclosed quotation mark")]
    OpenQuote,
    #[error("broken header: {reason}")]
    Header { reason: String },
    #[error("unreadable record: {reason}")]
    Record { reason: String },
    #[error("a {found} row, expected {expected}")]
    WrongKind {
        found: &'static str,
        expected: &'static str,
        hint: &'static str,
    },
    #[error("unknown label `{label}`, expected {labels}")]
    UnknownLabel {
        label: String,
        labels: String,
        meant: Option<String>,
    },
    #[error("{tokens} tokens, expected at most {limit}")]
    TooLong { tokens: usize, limit: usize },
    #[error("{tokens} tokens, and the base reads at most {limit}")]
    BeyondBase { tokens: usize, limit: usize },
    /// The first of several rows that are too long.
    #[error(
        "{tokens} tokens, expected at most {limit}; {rows} rows are longer, the longest has {longest}"
    )]
    ManyTooLong {
        tokens: usize,
        limit: usize,
        rows: usize,
        longest: usize,
    },
    #[error("{tokens} tokens, and {least} with its text cut, expected at most {limit}")]
    Uncut {
        tokens: usize,
        least: usize,
        limit: usize,
    },
    #[error("a {found} row of {tokens} tokens, expected plain text to split into rows of {limit}")]
    Undivided {
        found: &'static str,
        tokens: usize,
        limit: usize,
    },
    #[error("no token of this row is learned from")]
    NothingLearned,
    #[error("the chat template rewrites earlier messages, so the answers cannot be located")]
    UnstableTemplate,
    #[error("the chat template rewrites messages, so the marked ones cannot be left out")]
    UnplacedMarks,
    #[error(transparent)]
    Text(#[from] ModelTextError),
}

impl Explain for DataError {
    fn class(&self) -> ExitClass {
        match self {
            Self::Unreadable { .. } => ExitClass::Environment,
            Self::UnknownTask { .. }
            | Self::BadSplit { .. }
            | Self::Indivisible { .. }
            | Self::ColumnPair { .. }
            | Self::UnknownColumnName { .. }
            | Self::RepeatedColumnName { .. } => ExitClass::Usage,
            Self::Row {
                fault: RowFault::Text(error),
                ..
            } => error.class(),
            _ => ExitClass::BadInput,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Row { fault, .. } => return fault.hint(),
            Self::NoSources => "name files with --data, or as [[data]] entries in openlora.toml",
            Self::Missing { .. } => "paths are relative to openlora.toml, or to the current folder",
            Self::Folder { .. } => {
                "name each file of the folder on its own; for pictures, set project.task to image and name \
                 folders of pictures alone"
            }
            Self::Utf16 { path } => {
                let path = path.display();
                return Some(format!(
                    "convert it: iconv -f UTF-16 -t UTF-8 {path} > utf8-copy"
                ));
            }
            Self::InvalidUtf8 { .. } => {
                "save the file as UTF-8; if it is Latin-1: iconv -f LATIN1 -t UTF-8"
            }
            Self::Unrecognised { .. } => {
                "if it is a table, name its columns in the first line; a text of its own is one row: \
                 {\"text\": \"…\"}"
            }
            Self::OtherKind { hint, .. } => return Some(hint.clone()),
            Self::WrappedRows { path, key } => {
                let path = path.display();
                return Some(format!(
                    "take the rows out: jq -c '.[\"{key}\"][]' {path} > rows.jsonl"
                ));
            }
            Self::SpreadObject { path } => {
                let path = path.display();
                return Some(format!("write one per line: jq -c . {path} > rows.jsonl"));
            }
            Self::ColumnPair { .. } => {
                "name both: --columns text=review,label=sentiment, or train.columns in openlora.toml"
            }
            Self::UnknownColumnName { meant, .. } => {
                return meant
                    .as_ref()
                    .map(|meant| format!("did you mean `{meant}`?"));
            }
            Self::RepeatedColumnName { .. } => "each name and each column can be given once",
            Self::NoColumn { column, found, .. } => {
                let found = found.iter().map(String::as_str);
                return Some(match closest(column, found) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => "correct --columns, or train.columns in openlora.toml".to_owned(),
                });
            }
            Self::FewLabels { .. } => "label the rows, or set project.task to chat or text",
            Self::RepeatedLabel { .. } | Self::EmptyLabel => "correct project.labels",
            Self::Indivisible { .. } => {
                "set it to truncate or drop: data check says what each does to these rows"
            }
            Self::BadSplit { .. } => {
                "give fractions such as --valid 0.1 --test 0.1 that leave rows to train on"
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

impl RowFault {
    /// What the user can do or change.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Json { reason, .. } if reason == "key must be a string" => {
                "names and texts are in double quotes in JSON; from Python: json.dumps(row)"
            }
            Self::Json { reason, .. } if reason == "trailing characters" => {
                "each line is one JSON object and nothing else: no comma after it, and no second one"
            }
            Self::Json { .. } => "each row must be one complete JSON object",
            Self::OpenList => "the file may be cut short: it must end with ]",
            Self::AfterList => "write all rows into one list, or one row per line without a list",
            Self::Misspelt { meant, .. } => return Some(format!("did you mean `{meant}`?")),
            Self::UnknownShape { renames, .. } if !renames.is_empty() => {
                let pairs: Vec<(&str, &str)> = renames
                    .iter()
                    .map(|(other, ours)| (*ours, other.as_str()))
                    .collect();
                return Some(read_as(&pairs));
            }
            Self::UnknownShape { .. } => {
                "rename the keys or columns to those of one format; the first line of a table must \
                 name its columns"
            }
            Self::Missing {
                field,
                meant: Some(meant),
                ..
            } => return Some(read_as(&[(field, meant)])),
            Self::OtherLabel { key } => {
                let read = read_as(&[("label", key)]);
                return Some(format!("{read}; to learn the texts alone, take it out"));
            }
            Self::Unsupported { hint, .. } => hint,
            Self::PartType { .. } => "only text is learned: take the other parts out",
            Self::TwoSystems { .. } => "keep one of them",
            Self::Unwanted { .. } => "take the row out: unwanted answers cannot be learned from",
            Self::BadMark { .. } => {
                "a message is learned or not; if the column says something else, take it out or \
                 rename it; the weight of a whole file is set with weight in [[data]]"
            }
            Self::MarkCount { .. } => "write one entry for each message",
            Self::RowLeftOut { .. } | Self::NoLearnedAnswer => "take the row out",
            Self::LearnedRequest { .. } => {
                "only answers are learned: leave the mark out; train.loss = \"all\" learns every \
                 message"
            }
            Self::WrongType {
                expected: "a text",
                found: "a number",
                ..
            } => "write it in quotes",
            Self::WrongType {
                field,
                found: "an object" | "a list",
                ..
            } if field == "text" => {
                "each row has its own text; from pandas: \
                 df.to_json(path, orient=\"records\", lines=True)"
            }
            Self::WrongType {
                field,
                found: "an object" | "a list",
                ..
            } if field == "label" => "a row has one label",
            Self::Mixed { .. } => "put rows of different formats into files of their own",
            Self::Fields { .. } => "put quotation marks around values that contain commas",
            Self::OpenQuote => "write a quotation mark inside a value twice: \"\"",
            Self::WrongKind { hint, .. } => hint,
            Self::UnknownRole {
                meant: Some(meant), ..
            }
            | Self::UnknownLabel {
                meant: Some(meant), ..
            } => {
                return Some(format!("did you mean `{meant}`?"));
            }
            Self::UnknownLabel { .. } => "correct the row, or add the label to project.labels",
            Self::TooLong { .. } | Self::ManyTooLong { .. } => {
                "shorten the row, or raise the limit: `openlora config set train.max_len N`, \
                 outside of a project with --user; data check shows the longest row, and what \
                 train.on_long does about long ones"
            }
            Self::BeyondBase { .. } => {
                "shorten the row or split it, or choose a base that reads more with --base; \
                 train.max_len does not change what a base reads"
            }
            Self::Uncut { .. } => {
                "instructions and answers are never cut: raise train.max_len, or leave such rows \
                 out with train.on_long = \"drop\""
            }
            Self::Undivided { .. } => "set train.on_long to truncate or drop",
            Self::UnstableTemplate => {
                "split the conversation into rows with one answer each, or set train.loss = \"all\""
            }
            Self::UnplacedMarks => "take the marks or the row out",
            Self::Text(error) => return error.hint(),
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

/// How columns are read under the names of a format.
fn read_as(pairs: &[(&str, &str)]) -> String {
    if let Some(flag) = columns_flag(pairs) {
        let (them, columns) = match pairs {
            [_] => ("it", "column"),
            _ => ("them", "columns"),
        };
        return format!("read {them} with {flag}, or rename the {columns}");
    }
    let renames = pairs
        .iter()
        .map(|(name, column)| format!("`{column}` to `{name}`"));
    let renames = renames.collect::<Vec<_>>().join(" and ");
    format!("rename {renames}, in the header of a table or in every row")
}

/// The flag that reads columns under other names, as a shell takes it; `None` if the flag cannot
/// name them.
fn columns_flag(pairs: &[(&str, &str)]) -> Option<String> {
    let splits = |column: &str| column.contains([',', '\'']) || column.trim() != column;
    if pairs.iter().any(|(_, column)| splits(column)) {
        return None;
    }
    let pairs = pairs
        .iter()
        .map(|(name, column)| format!("{name}={column}"));
    let pairs = pairs.collect::<Vec<_>>().join(",");
    let is_plain = |letter: char| letter.is_alphanumeric() || "_-.=,".contains(letter);
    Some(match pairs.chars().all(is_plain) {
        true => format!("--columns {pairs}"),
        false => format!("--columns '{pairs}'"),
    })
}
