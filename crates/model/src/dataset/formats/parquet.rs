//! Parquet: columns have the names of the JSON keys; only those that mean something are decoded.
//!
//! Nested columns (a list of structs with `role` and `content`) read as chats.

use std::{fs::File, path::Path, sync::Arc};

use parquet::{
    errors::ParquetError,
    file::reader::{FileReader, SerializedFileReader},
    record::{Field, Row, reader::RowIter},
    schema::types::Type,
};
use serde_json::{Map, Value, json};

use super::{
    super::{ColumnNames, DataError, RowFault, RowShape, columns},
    OpenFile, RawRecord, at, file_names,
    guard::catch_panic,
    lacking,
};
use openlora_core::error::describe_io;

/// The records of a file with Parquet's magic bytes; records count from 1.
pub(super) fn records<'a>(path: &'a Path, wanted: &ColumnNames) -> Result<OpenFile<'a>, DataError> {
    let file = File::open(path).map_err(|error| DataError::Unreadable {
        path: path.to_path_buf(),
        reason: describe_io(&error),
    })?;
    let unreadable = |error: ParquetError| DataError::Parquet {
        path: path.to_path_buf(),
        reason: describe(&error),
    };
    let damaged = || DataError::Parquet {
        path: path.to_path_buf(),
        reason: "the description of its columns is damaged".to_owned(),
    };
    let opened = catch_panic(|| SerializedFileReader::new(file)).ok_or_else(damaged)?;
    let reader = opened.map_err(unreadable)?;
    let metadata = reader.metadata().file_metadata();
    let (schema, expected) = (metadata.schema().clone(), metadata.num_rows());
    let names = || schema.get_fields().iter().map(|field| field.name());
    let (renamed, lacks) = file_names(path, wanted, names())?;
    let is_read = |name: &str| renamed.name_of(name).is_some_and(columns::is_known);
    let skipped = names().filter(|name| !is_read(name)).map(str::to_owned);
    let skipped = skipped.collect();
    RowShape::from_keys(names().filter_map(|name| renamed.name_of(name)))
        .map_err(|fault| lacking(path, &lacks, at(path, 1, fault)))?;
    let rows = catch_panic(|| {
        let rows = RowIter::from_file_into(Box::new(reader));
        read_columns(&schema, &is_read).and_then(|read| rows.project(Some(read)))
    });
    let mut table = ParquetTable {
        rows: rows.ok_or_else(damaged)?.map_err(unreadable)?,
        read: 0,
        expected,
        stopped: false,
    };
    let records = std::iter::from_fn(move || {
        let read = table.next()?;
        Some(read.map_err(|fault| at(path, table.read, fault)))
    });
    Ok(OpenFile {
        records: Box::new(records),
        skipped,
        names: renamed,
        lacks,
    })
}

struct ParquetTable {
    rows: RowIter<'static>,
    read: usize,
    /// Number of rows according to the file's metadata.
    expected: i64,
    stopped: bool,
}

impl ParquetTable {
    fn next(&mut self) -> Option<Result<RawRecord, RowFault>> {
        if self.stopped {
            return None;
        }
        let read = match catch_panic(|| self.rows.next()) {
            Some(Some(Ok(row))) => record(&row),
            Some(Some(Err(error))) => self.stop(describe(&error)),
            None => self.stop("the page is damaged".to_owned()),
            Some(None) if i64::try_from(self.read) == Ok(self.expected) => return None,
            Some(None) => self.stop(format!("the file ends, expected {} records", self.expected)),
        };
        self.read += 1;
        Some(read.map(|fields| (self.read, fields)))
    }

    fn stop(&mut self, reason: String) -> Result<Map<String, Value>, RowFault> {
        self.stopped = true;
        Err(RowFault::Record { reason })
    }
}

/// The schema without columns that mean nothing here; those may have types that cannot be read.
fn read_columns(schema: &Type, is_read: &dyn Fn(&str) -> bool) -> Result<Type, ParquetError> {
    let read = |field: &&Arc<Type>| is_read(field.name());
    let fields = schema.get_fields().iter().filter(read).cloned().collect();
    Type::group_type_builder(schema.name())
        .with_fields(fields)
        .build()
}

/// A record. The content of columns that are refused by name, such as images, is not looked at.
fn record(row: &Row) -> Result<Map<String, Value>, RowFault> {
    let field = |(name, field): (&String, &Field)| {
        let held = match columns::is_refused(name) && !matches!(field, Field::Null) {
            true => value(name, field).unwrap_or_else(|_| json!(true)),
            false => value(name, field)?,
        };
        Ok((name.clone(), held))
    };
    row.get_column_iter().map(field).collect()
}

fn object(row: &Row) -> Result<Map<String, Value>, RowFault> {
    row.get_column_iter()
        .map(|(name, field)| Ok((name.clone(), value(name, field)?)))
        .collect()
}

/// A field as JSON. Formats use only texts, numbers, lists and structs; of other values only the
/// type is needed for an error.
fn value(name: &str, field: &Field) -> Result<Value, RowFault> {
    Ok(match field {
        Field::Null => Value::Null,
        Field::Bool(value) => Value::Bool(*value),
        Field::Str(text) => Value::String(text.clone()),
        // Some writers omit the annotation that the bytes are text.
        Field::Bytes(bytes) => match std::str::from_utf8(bytes.data()) {
            Ok(text) => Value::String(text.to_owned()),
            Err(_) => {
                return Err(RowFault::Record {
                    reason: format!("`{name}` is not UTF-8"),
                });
            }
        },
        Field::Byte(number) => Value::from(*number),
        Field::Short(number) => Value::from(*number),
        Field::Int(number) => Value::from(*number),
        Field::Long(number) => Value::from(*number),
        Field::UByte(number) => Value::from(*number),
        Field::UShort(number) => Value::from(*number),
        Field::UInt(number) => Value::from(*number),
        Field::ULong(number) => Value::from(*number),
        Field::Float(number) => Value::from(f64::from(*number)),
        Field::Double(number) => Value::from(*number),
        Field::Group(row) => Value::Object(object(row)?),
        Field::ListInternal(list) => list
            .elements()
            .iter()
            .map(|item| value(name, item))
            .collect::<Result<Value, _>>()?,
        Field::MapInternal(_) => Value::Object(Map::new()),
        // Dates, decimals and the like.
        other => json!({ "type": other.to_string() }),
    })
}

/// The library's reason, without the bytes that it prints for a text that is none.
fn describe(error: &ParquetError) -> String {
    let text = error.to_string();
    let text = text
        .trim_start_matches("Parquet error: ")
        .trim_start_matches("External: ");
    if text.starts_with("Error reading BYTE_ARRAY as String") {
        return "a text that is not UTF-8".to_owned();
    }
    text.to_owned()
}
