//! CSV with a header (RFC 4180): columns have the names of the JSON keys, all values are texts. The
//! columns may be separated by semicolons, tabs or bars as well.

use std::{collections::BTreeSet, io::Cursor, path::Path, sync::Arc};

use csv::{ErrorKind, Reader, ReaderBuilder, StringRecord};
use serde_json::{Map, Value};

use super::{
    super::{ColumnNames, DataError, RowFault, RowShape},
    OpenFile, RawRecord, at, file_names,
    foreign::is_drawn_table,
    lacking,
};

const SEPARATORS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// How much a text looks like a table, with its separator.
pub(super) enum TableLook {
    /// The first line names a column that is read.
    Columns(u8),
    /// The first lines are regular.
    Regular(u8),
    None,
}

pub(super) fn separator(text: &str, names: &ColumnNames) -> TableLook {
    if is_drawn_table(text) {
        return TableLook::None;
    }
    let mut lines = text.lines();
    let header = lines.next().unwrap_or_default();
    let known = |separator: &u8| {
        let mut columns = header.split(char::from(*separator));
        columns.any(|column| {
            let column = column.trim().trim_matches('"');
            let is_known = |key| column.eq_ignore_ascii_case(key);
            names.is_column(column) || RowShape::known_keys().any(is_known)
        })
    };
    let second = lines.next().unwrap_or_default();
    // Names are short; a first sentence with a comma is no header.
    let regular = |separator: &u8| {
        let columns = || header.split(char::from(*separator));
        let count = columns().count();
        count > 1
            && columns().all(|name| (1..=24).contains(&name.trim().len()) && !name.contains(". "))
            && second.split(char::from(*separator)).count() >= count
    };
    let of = |fits: &dyn Fn(&u8) -> bool| SEPARATORS.into_iter().find(|it| fits(it));
    match (of(&known), of(&regular)) {
        (Some(separator), _) => TableLook::Columns(separator),
        (None, Some(separator)) => TableLook::Regular(separator),
        (None, None) => TableLook::None,
    }
}

/// The rows of a text whose first line is a header.
pub(super) fn records<'a>(
    path: &'a Path,
    text: String,
    separator: u8,
    wanted: &ColumnNames,
) -> Result<OpenFile<'a>, DataError> {
    let mut table = CsvTable::open(path, text, separator)?;
    let header = table.header.iter().map(String::as_str);
    let (names, lacks) = file_names(path, wanted, header.clone())?;
    RowShape::from_keys(header.filter_map(|column| names.name_of(column)))
        .map_err(|fault| lacking(path, &lacks, at(path, table.counted.1, fault)))?;
    Ok(OpenFile {
        records: Box::new(std::iter::from_fn(move || table.next_record())),
        skipped: BTreeSet::new(),
        names,
        lacks,
    })
}

struct CsvTable<'a> {
    path: &'a Path,
    text: Arc<[u8]>,
    reader: Reader<Cursor<Arc<[u8]>>>,
    header: Vec<String>,
    /// An offset and its line.
    counted: (usize, usize),
    stopped: bool,
}

impl<'a> CsvTable<'a> {
    fn open(path: &'a Path, text: String, separator: u8) -> Result<Self, DataError> {
        let body = text.trim_start();
        let skipped = text[..text.len() - body.len()].matches('\n').count();
        let text: Arc<[u8]> = body.as_bytes().into();
        let mut reader = ReaderBuilder::new()
            .delimiter(separator)
            .from_reader(Cursor::new(text.clone()));
        let fault = |fault| at(path, skipped + 1, fault);
        let header = reader.headers().map_err(|error| fault(describe(&error)))?;
        let header: Vec<String> = header.iter().map(|name| name.trim().to_owned()).collect();
        if let Some(key) = repeated(&header) {
            let reason = format!("the column `{key}` occurs twice");
            return Err(fault(RowFault::Header { reason }));
        }
        Ok(Self {
            path,
            text,
            reader,
            header,
            counted: (0, skipped + 1),
            stopped: false,
        })
    }

    fn next_record(&mut self) -> Option<Result<RawRecord, DataError>> {
        if self.stopped {
            return None;
        }
        let begin = self.offset();
        let mut fields = StringRecord::new();
        let read = self.reader.read_record(&mut fields);
        let line = self.line_at(begin);
        let quotes = self.text[begin..self.offset()]
            .iter()
            .filter(|byte| **byte == b'"')
            .count();
        // The reader would extend an unclosed quotation mark to the end of the file.
        if quotes % 2 == 1 {
            self.stopped = true;
            return Some(Err(at(self.path, line, RowFault::OpenQuote)));
        }
        match read {
            Ok(false) => None,
            Ok(true) => Some(Ok((line, self.named(&fields)))),
            Err(error) => Some(Err(at(self.path, line, describe(&error)))),
        }
    }

    fn named(&self, fields: &StringRecord) -> Map<String, Value> {
        let values = fields.iter().map(|value| Value::String(value.to_owned()));
        self.header.iter().cloned().zip(values).collect()
    }

    /// The reader's position in the text.
    fn offset(&self) -> usize {
        let byte = usize::try_from(self.reader.position().byte());
        byte.unwrap_or(usize::MAX).min(self.text.len())
    }

    /// The line of the record that begins at `offset`, after line ends that the reader left before
    /// it; its own count is wrong after `\r\n`.
    fn line_at(&mut self, offset: usize) -> usize {
        let bytes = &self.text;
        let ends = bytes[offset..]
            .iter()
            .take_while(|byte| matches!(byte, b'\r' | b'\n'))
            .count();
        let start = offset + ends;
        let passed = &bytes[self.counted.0.min(start)..start];
        self.counted.1 += passed.iter().filter(|byte| **byte == b'\n').count();
        self.counted.0 = start;
        self.counted.1
    }
}

fn repeated(header: &[String]) -> Option<&String> {
    header
        .iter()
        .enumerate()
        .find(|(i, name)| header[..*i].contains(name))
        .map(|(_, name)| name)
}

fn describe(error: &csv::Error) -> RowFault {
    match error.kind() {
        ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => RowFault::Fields {
            found: *len,
            expected: *expected_len,
        },
        _ => RowFault::Header {
            reason: error.to_string(),
        },
    }
}
