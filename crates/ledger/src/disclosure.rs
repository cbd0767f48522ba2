//! The public form of a journal record, for `/events` and recordings: everything except what its
//! reader could spend. A voucher's signature pays any holder that presents it, anyone can submit a
//! signed transaction, and a salt is part of both.

use serde_json::{Map, Value};

use crate::event::EventRecord;

/// Fields whose text is replaced by zeros, at any depth. Entries of the transparency log commit to
/// the form without them: a name may be added only if no event that was ever written has the field.
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

/// The public form of a record of which only the stored JSON is at hand. Unlike a record that was
/// decoded, it stays the same when later versions add fields to events.
pub fn public_stored_record(sequence: u64, time_ms: u64, mut event: Value, hash: &str) -> Value {
    withhold(&mut event);
    serde_json::json!({ "event": event, "hash": hash, "sequence": sequence, "time_ms": time_ms })
}

/// Facts of events that anyone may read on a chain, by the event's tag. A published entry states
/// these and no others. They never change: entries that were logged would have other hashes.
const PUBLIC_FACTS: &[(&str, &[&str])] = &[
    (
        "anchored",
        &["adapter_id", "chain_id", "root", "sequence", "server"],
    ),
    ("call_metered", &[]),
    (
        "deployed",
        &[
            "adapter_id",
            "chain_id",
            "manifest_sha256",
            "registry",
            "version",
        ],
    ),
];

/// The tag of events whose kind is private.
pub const UNDISCLOSED: &str = "undisclosed";

/// What everyone may know of an event: its kind, if it is one of those that are public, and facts
/// that are on a chain.
pub fn public_facts(event: &Value) -> (&'static str, Map<String, Value>) {
    let tag = event["type"].as_str().unwrap_or_default();
    let Some((tag, names)) = PUBLIC_FACTS.iter().find(|(known, _)| *known == tag) else {
        return (UNDISCLOSED, Map::new());
    };
    let stated = |name: &&str| Some(((*name).to_owned(), event.get(*name)?.clone()));
    (tag, names.iter().filter_map(stated).collect())
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
