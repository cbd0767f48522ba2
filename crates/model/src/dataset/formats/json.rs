//! A JSON file that is not one object per line: a list of rows, which is read, and other layouts,
//! which are named.

use std::{ops::Range, path::Path};

use serde_json::{Map, Value};

use super::{
    super::{ColumnNames, DataError, RowFault},
    RawRecords, at, jsonl,
};

/// Whether a text that begins with a bracket looks like a list of JSON values.
pub(super) fn is_list(text: &str) -> bool {
    let first = text[1..].trim_start().chars().next();
    first.is_some_and(|letter| matches!(letter, '{' | '[' | ']' | '"'))
}

/// The rows of a JSON list.
pub(super) fn list_records(path: &Path, text: String) -> Result<RawRecords<'_>, DataError> {
    let start = text.len() - text.trim_start().len();
    let Some((items, end)) = items(&text, start) else {
        let line = line_at(&text, text.len());
        return Err(at(path, line, RowFault::OpenList));
    };
    let rest = text[end..].trim_start();
    if !rest.is_empty() {
        let line = line_at(&text, text.len() - rest.len());
        return Err(at(path, line, RowFault::AfterList));
    }
    let mut line = 1;
    let mut counted = 0;
    Ok(Box::new(items.into_iter().map(move |item| {
        line += text[counted..item.start].matches('\n').count();
        counted = item.start;
        jsonl::value_record(&text[item], line).map_err(|(line, fault)| at(path, line, fault))
    })))
}

/// The spans of a list's items, and the offset behind it; `None` if it is not closed. The items
/// themselves may be broken.
fn items(text: &str, start: usize) -> Option<(Vec<Range<usize>>, usize)> {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    let mut items = Vec::new();
    let mut begin = start + 1;
    for (offset, byte) in text.bytes().enumerate().skip(start) {
        if quoted {
            quoted = escaped || byte != b'"';
            escaped = byte == b'\\' && !escaped;
            continue;
        }
        match byte {
            b'"' => quoted = true,
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 || (depth == 1 && byte == b',') {
            let item = trimmed(text, begin..offset);
            if depth > 0 || !item.is_empty() {
                items.push(item);
            }
            begin = offset + 1;
        }
        if depth == 0 {
            return Some((items, offset + 1));
        }
    }
    None
}

fn trimmed(text: &str, span: Range<usize>) -> Range<usize> {
    let part = &text[span.clone()];
    let start = span.end - part.trim_start().len();
    start..start + part.trim().len()
}

fn line_at(text: &str, offset: usize) -> usize {
    text[..offset].matches('\n').count() + 1
}

/// The name of a layout other than one object per line, for a text that begins with a brace.
pub(super) fn other_layout(path: &Path, text: &str, names: &ColumnNames) -> Option<DataError> {
    let start = text.trim_start();
    let mut values = serde_json::Deserializer::from_str(start).into_iter::<Map<String, Value>>();
    let object = values.next()?.ok()?;
    let spread = start[..values.byte_offset()].contains('\n');
    let path = path.to_path_buf();
    // The turns of a conversation are no rows.
    let is_turn = |item: &Value| item.get("role").or_else(|| item.get("from")).is_some();
    let is_row = |item: &Value| item.is_object() && !is_turn(item);
    let rows = |value: &Value| {
        let items = value.as_array();
        items.is_some_and(|items| !items.is_empty() && items.iter().all(is_row))
    };
    let keys = object.keys().filter_map(|key| names.name_of(key));
    let known = super::RowShape::from_keys(keys).is_ok();
    let wrapped = object.iter().find(|(_, value)| !known && rows(value));
    match wrapped {
        Some((key, _)) => Some(DataError::WrappedRows {
            path,
            key: key.clone(),
        }),
        None if spread => Some(DataError::SpreadObject { path }),
        None => None,
    }
}
