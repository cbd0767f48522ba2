//! CSV with a header (RFC 4180): columns have the names of the JSON keys, all values are texts.

use std::{io::Cursor, path::Path, sync::Arc};

use csv::{ErrorKind, Reader, StringRecord};
use serde_json::{Map, Value};

use super::{
    super::{DataError, RowFault, RowShape},
    RawRecord, RawRecords, at,
};

/// Whether a first line names a column that some format knows.
pub(super) fn is_header(line: &str) -> bool {
    let columns = line
        .split(',')
        .map(|column| column.trim().trim_matches('"').to_lowercase());
    columns
        .into_iter()
        .any(|column| RowShape::known_keys().any(|key| key == column))
}

/// The rows of a text whose first line is a header.
pub(super) fn records(path: &Path, text: String) -> Result<RawRecords<'_>, DataError> {
    let mut table = CsvTable::open(path, text)?;
    Ok(Box::new(std::iter::from_fn(move || table.next_record())))
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
    fn open(path: &'a Path, text: String) -> Result<Self, DataError> {
        let body = text.trim_start();
        let skipped = text[..text.len() - body.len()].matches('\n').count();
        let text: Arc<[u8]> = body.as_bytes().into();
        let mut reader = Reader::from_reader(Cursor::new(text.clone()));
        let fault = |fault| at(path, skipped + 1, fault);
        let header = reader.headers().map_err(|error| fault(describe(&error)))?;
        let header: Vec<String> = header.iter().map(|name| name.trim().to_owned()).collect();
        RowShape::from_keys(header.iter().map(String::as_str)).map_err(fault)?;
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
