//! CSV with a header (RFC 4180): columns have the names of the JSON keys, all values are texts.

use std::path::Path;

use csv::{ErrorKind, Reader, StringRecord};
use serde_json::{Map, Value};

use super::{
    super::{DataError, Fault, Shape},
    Record, Records, at,
};

/// Whether a first line names a column that some format knows.
pub(super) fn is_header(line: &str) -> bool {
    let columns = line
        .split(',')
        .map(|column| column.trim().trim_matches('"').to_lowercase());
    columns
        .into_iter()
        .any(|column| Shape::known_keys().any(|key| key == column))
}

/// The rows of a text whose first line is a header.
pub(super) fn records(path: &Path, text: String) -> Result<Records<'_>, DataError> {
    let mut table = Table::open(path, text)?;
    Ok(Box::new(std::iter::from_fn(move || table.next_record())))
}

struct Table<'a> {
    path: &'a Path,
    text: String,
    reader: Reader<std::io::Cursor<String>>,
    header: Vec<String>,
    /// Blank lines before the header, which the reader does not see.
    skipped: usize,
    stopped: bool,
}

impl<'a> Table<'a> {
    fn open(path: &'a Path, text: String) -> Result<Self, DataError> {
        let body = text.trim_start();
        let skipped = text[..text.len() - body.len()].matches('\n').count();
        let text = body.to_owned();
        let mut reader = Reader::from_reader(std::io::Cursor::new(text.clone()));
        let fault = |fault| at(path, skipped + 1, fault);
        let header = reader.headers().map_err(|error| fault(describe(&error)))?;
        let header: Vec<String> = header.iter().map(|name| name.trim().to_owned()).collect();
        Shape::of(header.iter().map(String::as_str)).map_err(fault)?;
        if let Some(key) = repeated(&header) {
            let reason = format!("the column `{key}` occurs twice");
            return Err(fault(Fault::Header { reason }));
        }
        Ok(Self {
            path,
            text,
            reader,
            header,
            skipped,
            stopped: false,
        })
    }

    fn next_record(&mut self) -> Option<Result<Record, DataError>> {
        if self.stopped {
            return None;
        }
        let start = self.reader.position().clone();
        let mut fields = StringRecord::new();
        let read = self.reader.read_record(&mut fields);
        let begin = fields.position().unwrap_or(&start).clone();
        let line = self.skipped + usize::try_from(begin.line()).unwrap_or(usize::MAX);
        match read {
            Ok(false) => None,
            Ok(true) => Some(self.record(line, &begin, &fields)),
            Err(error) => Some(Err(at(
                self.path,
                self.line_of(&error, line),
                describe(&error),
            ))),
        }
    }

    fn record(
        &mut self,
        line: usize,
        begin: &csv::Position,
        fields: &StringRecord,
    ) -> Result<Record, DataError> {
        let offset = |position: &csv::Position| {
            usize::try_from(position.byte())
                .unwrap_or(usize::MAX)
                .min(self.text.len())
        };
        let raw = &self.text[offset(begin)..offset(self.reader.position())];
        // The reader takes an unclosed quotation mark to reach to the end of the file.
        if raw.matches('"').count() % 2 == 1 {
            self.stopped = true;
            return Err(at(self.path, line, Fault::OpenQuote));
        }
        let values = fields.iter().map(|value| Value::String(value.to_owned()));
        Ok((
            line,
            self.header
                .iter()
                .cloned()
                .zip(values)
                .collect::<Map<_, _>>(),
        ))
    }

    fn line_of(&self, error: &csv::Error, fallback: usize) -> usize {
        let line = error
            .position()
            .and_then(|position| usize::try_from(position.line()).ok());
        line.map_or(fallback, |line| self.skipped + line)
    }
}

fn repeated(header: &[String]) -> Option<&String> {
    header
        .iter()
        .enumerate()
        .find(|(i, name)| header[..*i].contains(name))
        .map(|(_, name)| name)
}

fn describe(error: &csv::Error) -> Fault {
    match error.kind() {
        ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => Fault::Fields {
            found: *len,
            expected: *expected_len,
        },
        _ => Fault::Header {
            reason: error.to_string(),
        },
    }
}
