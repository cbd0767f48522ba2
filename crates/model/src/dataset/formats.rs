//! Opens a data file, detects its format from its first bytes and reads its rows one by one.

mod foreign;
mod guard;
mod json;
mod jsonl;
mod parquet;
mod table;

use std::{collections::BTreeSet, io::ErrorKind, path::Path};

use serde_json::{Map, Value};

use self::table::TableLook;
use super::{
    DataError, RowFault, RowShape, TrainingExample,
    column_names::{ColumnNames, MissingColumn},
    row::RowNotes,
};
use openlora_core::error::describe_io;

/// An uninterpreted row: its line and its fields.
type RawRecord = (usize, Map<String, Value>);
/// Records in file order; a fatal error is the last item.
type RawRecords<'a> = Box<dyn Iterator<Item = Result<RawRecord, DataError>> + 'a>;
/// A row's line and its example.
type ReadRow = Result<(usize, TrainingExample), DataError>;

/// The records of a file under the file's own names.
struct OpenFile<'a> {
    records: RawRecords<'a>,
    /// Columns that are left out of the records.
    skipped: BTreeSet<String>,
    /// The names that apply to this file, and what it lacks for those that were wanted.
    names: ColumnNames,
    lacks: Option<MissingColumn>,
}

/// The names that apply to a file with these columns, and what it lacks for those wanted.
fn file_names<'a>(
    path: &Path,
    wanted: &ColumnNames,
    columns: impl Iterator<Item = &'a str> + Clone,
) -> Result<(ColumnNames, Option<MissingColumn>), DataError> {
    let names = wanted
        .of_file(columns.clone())
        .map_err(|missing| missing.into_error(path))?;
    let lacks = match names.is_empty() && wanted.is_required() {
        true => wanted.missing_in(columns),
        false => None,
    };
    Ok((names, lacks))
}

/// Why a file with these columns cannot be read: what it lacks for the names that were wanted, or
/// else `fault`.
fn lacking(path: &Path, lacks: &Option<MissingColumn>, fault: DataError) -> DataError {
    match lacks {
        Some(missing) => missing.clone().into_error(path),
        None => fault,
    }
}

const PARQUET_MAGIC: &[u8] = b"PAR1";
const UTF8_MARK: &[u8] = &[0xef, 0xbb, 0xbf];

/// Reads a file row by row; `wanted` are columns that have other names in it.
pub(super) fn read<'a>(path: &'a Path, wanted: &ColumnNames) -> RowReader<'a> {
    let opened = open(path, wanted).unwrap_or_else(|error| OpenFile {
        records: Box::new(std::iter::once(Err(error))),
        skipped: BTreeSet::new(),
        names: ColumnNames::default(),
        lacks: None,
    });
    RowReader {
        path,
        records: opened.records,
        names: opened.names,
        first: None,
        count: 0,
        done: false,
        notes: ReadNotes {
            unread: opened.skipped,
            lacks: opened.lacks.map(|missing| missing.into_error(path)),
            ..ReadNotes::default()
        },
    }
}

fn open<'a>(path: &'a Path, wanted: &ColumnNames) -> Result<OpenFile<'a>, DataError> {
    let bytes = read_bytes(path)?;
    if bytes.starts_with(PARQUET_MAGIC) {
        return parquet::records(path, wanted);
    }
    let text = decode(path, bytes)?;
    let first = text.trim_start();
    match first.chars().next() {
        None => Err(DataError::Empty {
            path: path.to_path_buf(),
        }),
        Some('{') => match json::other_layout(path, &text, wanted) {
            Some(error) => Err(error),
            None => json_file(path, wanted, text, |path, text| {
                Ok(jsonl::records(path, text))
            }),
        },
        Some('[') if json::is_list(first) && !foreign::is_toml(first) => {
            json_file(path, wanted, text, json::list_records)
        }
        Some(_) => match table::separator(first, wanted) {
            TableLook::Columns(separator) => table::records(path, text, separator, wanted),
            look => match (foreign::named_text(path, first), look) {
                (Some(error), _) => Err(error),
                (None, TableLook::Regular(separator)) => {
                    table::records(path, text, separator, wanted)
                }
                (None, _) => Err(unrecognised(path, &text)),
            },
        },
    }
}

/// A file of JSON objects. Where columns have other names, it is read once more for its keys: not
/// every object need have all of them.
fn json_file<'a>(
    path: &'a Path,
    wanted: &ColumnNames,
    text: String,
    records: fn(&'a Path, String) -> Result<RawRecords<'a>, DataError>,
) -> Result<OpenFile<'a>, DataError> {
    let mut keys: BTreeSet<String> = BTreeSet::new();
    if !wanted.is_empty() {
        let read = records(path, text.clone())?.flatten();
        keys.extend(read.flat_map(|(_, record)| record.into_iter().map(|(key, _)| key)));
    }
    let (names, lacks) = file_names(path, wanted, keys.iter().map(String::as_str))?;
    Ok(OpenFile {
        records: records(path, text)?,
        skipped: BTreeSet::new(),
        names,
        lacks,
    })
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

/// What is to be reported of a file, from the rows read so far.
#[derive(Default)]
pub(super) struct ReadNotes {
    /// Columns that hold something and are not part of any example.
    pub unread: BTreeSet<String>,
    /// Marks by which answers are not learned.
    pub marks: BTreeSet<String>,
    /// Marks by which other messages are not learned.
    pub message_marks: BTreeSet<String>,
    /// The file has none of the columns that are to be read under other names.
    pub lacks: Option<DataError>,
}

/// Converts records to examples, and requires one format per file.
pub(super) struct RowReader<'a> {
    path: &'a Path,
    records: RawRecords<'a>,
    names: ColumnNames,
    /// Format and line of the first row.
    first: Option<(RowShape, usize)>,
    count: usize,
    done: bool,
    notes: ReadNotes,
}

impl RowReader<'_> {
    pub(super) fn notes(self) -> ReadNotes {
        self.notes
    }

    fn example(
        &mut self,
        line: usize,
        record: Map<String, Value>,
    ) -> Result<TrainingExample, RowFault> {
        let (record, replaced) = self.names.rename(record);
        let found = RowShape::from_keys(record.keys().map(String::as_str))?;
        let (expected, first) = *self.first.get_or_insert((found, line));
        if found != expected {
            return Err(RowFault::Mixed {
                expected,
                found,
                first,
            });
        }
        let read = found.example(&record)?;
        let RowNotes {
            unread,
            marks,
            message_marks,
        } = read.notes;
        self.notes.unread.extend(unread.into_iter().chain(replaced));
        self.notes.marks.extend(marks);
        self.notes.message_marks.extend(message_marks);
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
            read.and_then(|(line, record)| match self.example(line, record) {
                Ok(example) => Ok((line, example)),
                Err(fault) => Err(at(self.path, line, fault)),
            }),
        )
    }
}
