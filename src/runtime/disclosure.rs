//! What of a journal's record leaves this machine, on `/events` and in recordings: everything but
//! what its reader could spend. A voucher's signature pays whoever presents it, a signed
//! transaction can be sent by anybody, and a salt is part of both.

use serde_json::Value;

use super::event::EventRecord;

/// Fields whose texts are told as zeros, wherever they stand.
const WITHHELD: &[&str] = &[
    "authorization",
    "password",
    "raw",
    "salt",
    "secret",
    "signature",
    "signatures",
];

/// A record as others may have it: of the same form, so that every fold of it is the same.
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

/// Texts keep their length, because some are read back as so many bytes.
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
