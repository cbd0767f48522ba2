//! Opens a data file, detects its format from its first bytes and reads its rows one by one.

mod guard;
mod jsonl;
mod parquet;
mod table;

use std::{io::ErrorKind, path::Path};

use serde_json::{Map, Value};

use super::{DataError, RowFault, RowShape, TrainingExample};
use openlora_core::error::describe_io;

/// An uninterpreted row: its line and its fields.
type RawRecord = (usize, Map<String, Value>);
/// Records in file order; a fatal error is the last item.
type RawRecords<'a> = Box<dyn Iterator<Item = Result<RawRecord, DataError>> + 'a>;
/// A row's line and its example.
type ReadRow = Result<(usize, TrainingExample), DataError>;

const PARQUET_MAGIC: &[u8] = b"PAR1";
const UTF8_MARK: &[u8] = &[0xef, 0xbb, 0xbf];

/// Reads a file row by row.
pub(super) fn read(path: &Path) -> Box<dyn Iterator<Item = ReadRow> + '_> {
    match open(path) {
        Ok(records) => Box::new(RowReader {
            path,
            records,
            first: None,
            count: 0,
            done: false,
        }),
        Err(error) => Box::new(std::iter::once(Err(error))),
    }
}

fn open(path: &Path) -> Result<RawRecords<'_>, DataError> {
    let bytes = read_bytes(path)?;
    if bytes.starts_with(PARQUET_MAGIC) {
        return parquet::records(path);
    }
    let text = decode(path, bytes)?;
    let first = text.trim_start();
    match first.chars().next() {
        None => Err(DataError::Empty {
            path: path.to_path_buf(),
        }),
        Some('{') => Ok(jsonl::records(path, text)),
        Some(_) if table::is_header(first.lines().next().unwrap_or_default()) => {
            table::records(path, text)
        }
        Some(_) => Err(unrecognised(path, &text)),
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
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(DataError::Utf16 {
            path: path.to_path_buf(),
        });
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
    let found = if start.starts_with('[') {
        "a JSON list".to_owned()
    } else {
        format!("`{first}`")
    };
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
struct RowReader<'a> {
    path: &'a Path,
    records: RawRecords<'a>,
    /// Format and line of the first row.
    first: Option<(RowShape, usize)>,
    count: usize,
    done: bool,
}

impl RowReader<'_> {
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
        found.example(record)
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
