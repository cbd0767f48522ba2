//! Opens a data file, detects its format from its first bytes and reads its rows one by one.

mod foreign;
mod guard;
mod json;
mod jsonl;
mod parquet;
mod table;

use std::{collections::BTreeSet, io::ErrorKind, path::Path};

use serde_json::{Map, Value};

use super::{DataError, RowFault, RowShape, TrainingExample};
use openlora_core::error::describe_io;

/// An uninterpreted row: its line and its fields.
type RawRecord = (usize, Map<String, Value>);
/// Records in file order; a fatal error is the last item.
type RawRecords<'a> = Box<dyn Iterator<Item = Result<RawRecord, DataError>> + 'a>;
/// A row's line and its example.
type ReadRow = Result<(usize, TrainingExample), DataError>;

/// The records of a file, and columns that are left out of them.
struct OpenFile<'a> {
    records: RawRecords<'a>,
    skipped: BTreeSet<String>,
}

const PARQUET_MAGIC: &[u8] = b"PAR1";
const UTF8_MARK: &[u8] = &[0xef, 0xbb, 0xbf];

/// Reads a file row by row.
pub(super) fn read(path: &Path) -> RowReader<'_> {
    let opened = open(path).unwrap_or_else(|error| OpenFile {
        records: Box::new(std::iter::once(Err(error))),
        skipped: BTreeSet::new(),
    });
    RowReader {
        path,
        records: opened.records,
        first: None,
        count: 0,
        done: false,
        unread: opened.skipped,
    }
}

fn open(path: &Path) -> Result<OpenFile<'_>, DataError> {
    let bytes = read_bytes(path)?;
    if bytes.starts_with(PARQUET_MAGIC) {
        return parquet::records(path);
    }
    let records = text_records(path, decode(path, bytes)?)?;
    Ok(OpenFile {
        records,
        skipped: BTreeSet::new(),
    })
}

fn text_records(path: &Path, text: String) -> Result<RawRecords<'_>, DataError> {
    let first = text.trim_start();
    match first.chars().next() {
        None => Err(DataError::Empty {
            path: path.to_path_buf(),
        }),
        Some('{') => match json::other_layout(path, &text) {
            Some(error) => Err(error),
            None => Ok(jsonl::records(path, text)),
        },
        Some('[') if json::is_list(first) => json::list_records(path, text),
        Some(_) => match table::separator(first) {
            Some(separator) => table::records(path, text, separator),
            None => Err(unrecognised(path, &text)),
        },
    }
}

fn read_bytes(path: &Path) -> Result<Vec<u8>, DataError> {
    let owned = || path.to_path_buf();
    if path.is_dir() {
        return Err(DataError::Folder { path: owned() });
    }
    std::fs::read(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => DataError::Missing { path: owned() },
        _ => DataError::Unreadable {
            path: owned(),
            reason: describe_io(&error),
        },
    })
}

/// The text of a file, without a byte-order mark.
fn decode(path: &Path, bytes: Vec<u8>) -> Result<String, DataError> {
    if is_utf16(&bytes) {
        return Err(DataError::Utf16 {
            path: path.to_path_buf(),
        });
    }
    if let Some(error) = foreign::named(path, &bytes) {
        return Err(error);
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        let before = &error.as_bytes()[..offset];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let byte = error.as_bytes()[offset];
        DataError::InvalidUtf8 {
            path: path.to_path_buf(),
            line,
            offset,
            byte,
        }
    })?;
    let marked = text.as_bytes().starts_with(UTF8_MARK);
    Ok(if marked {
        text[UTF8_MARK.len()..].to_owned()
    } else {
        text
    })
}

/// With its mark, or without one: letters of Latin script have a zero in every second byte.
fn is_utf16(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0xff, 0xfe])
        || bytes.starts_with(&[0xfe, 0xff])
        || matches!(bytes, [0, first, 0, second, ..] | [first, 0, second, 0, ..]
            if *first != 0 && *second != 0)
}

fn unrecognised(path: &Path, text: &str) -> DataError {
    let blank = text
        .lines()
        .take_while(|line| line.trim().is_empty())
        .count();
    let start = text.trim_start();
    let first: String = start
        .lines()
        .next()
        .unwrap_or_default()
        .chars()
        .take(40)
        .collect();
    let found = format!("`{first}`");
    DataError::Unrecognised {
        path: path.to_path_buf(),
        line: blank + 1,
        found,
    }
}

fn at(path: &Path, line: usize, fault: RowFault) -> DataError {
    DataError::Row {
        path: path.to_path_buf(),
        line,
        fault,
    }
}

/// Converts records to examples, and requires one format per file.
pub(super) struct RowReader<'a> {
    path: &'a Path,
    records: RawRecords<'a>,
    /// Format and line of the first row.
    first: Option<(RowShape, usize)>,
    count: usize,
    done: bool,
    /// Columns that hold something and are not read.
    unread: BTreeSet<String>,
}

impl RowReader<'_> {
    /// Columns of the rows read so far whose content is not part of any example.
    pub(super) fn unread(self) -> BTreeSet<String> {
        self.unread
    }

    fn example(
        &mut self,
        line: usize,
        record: &Map<String, Value>,
    ) -> Result<TrainingExample, RowFault> {
        let found = RowShape::from_keys(record.keys().map(String::as_str))?;
        let (expected, first) = *self.first.get_or_insert((found, line));
        if found != expected {
            return Err(RowFault::Mixed {
                expected,
                found,
                first,
            });
        }
        let read = found.example(record)?;
        self.unread.extend(read.unread);
        Ok(read.example)
    }
}

impl Iterator for RowReader<'_> {
    type Item = ReadRow;

    fn next(&mut self) -> Option<ReadRow> {
        if self.done {
            return None;
        }
        let Some(read) = self.records.next() else {
            self.done = true;
            let path = || self.path.to_path_buf();
            return (self.count == 0).then(|| Err(DataError::Empty { path: path() }));
        };
        self.count += 1;
        Some(
            read.and_then(|(line, record)| match self.example(line, &record) {
                Ok(example) => Ok((line, example)),
                Err(fault) => Err(at(self.path, line, fault)),
            }),
        )
    }
}
