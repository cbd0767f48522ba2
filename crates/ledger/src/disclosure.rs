//! The public form of a journal record, for `/events` and recordings: everything except what its
//! reader could spend. A voucher's signature pays any holder that presents it, anyone can submit a
//! signed transaction, and a salt is part of both.

use serde_json::Value;

use crate::event::EventRecord;

/// Fields whose text is replaced by zeros, at any depth.
const WITHHELD: &[&str] = &[
    "authorization",
    "password",
    "raw",
    "salt",
    "secret",
    "signature",
    "signatures",
];

/// The public form of a record. It has the same structure, so every fold gives the same result.
pub fn public_record(record: &EventRecord) -> Value {
    let mut value = serde_json::to_value(record).unwrap_or_default();
    withhold(&mut value);
    value
}

fn withhold(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                match WITHHELD.contains(&name.as_str()) {
                    true => blank(field),
                    false => withhold(field),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(withhold),
        _ => {}
    }
}

/// Texts keep their length, because some are parsed as a fixed number of bytes.
fn blank(value: &mut Value) {
    match value {
        Value::String(text) => {
            let (prefix, digits) = match text.strip_prefix("0x") {
                Some(digits) => ("0x", digits.len()),
                None => ("", text.len()),
            };
            *text = format!("{prefix}{}", "0".repeat(digits));
        }
        Value::Array(items) => items.iter_mut().for_each(blank),
        Value::Object(fields) => fields.values_mut().for_each(blank),
        _ => {}
    }
}
