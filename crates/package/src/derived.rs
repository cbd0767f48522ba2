//! The documents of a package that restate its manifest in formats of others: the bill of materials
//! and the provenance statement.
//!
//! Both are files of the package, so the manifest lists their digests, and the publisher's signatures
//! cover them. To avoid a circle they are derived from the manifest without their own entries in
//! `files`, and the bill's serial number from the digest of that. What a document says is compared
//! with the manifest on verifying, so documents of older versions must be derived as they were: a
//! change of their content needs another build type or another mark in the bill.

use std::{collections::BTreeMap, fs};

use serde_json::Value;

use super::{
    bom,
    error::ManifestProblem,
    manifest::{Manifest, PackageFile, WeightsOrigin, canonical, parse_canonical},
    provenance,
    read::Package,
};

/// The bill of materials: CycloneDX 1.5.
pub const BOM_FILE: &str = "bom.cdx.json";
/// The in-toto statement with a predicate of SLSA.
pub const PROVENANCE_FILE: &str = "provenance.slsa.json";

/// The documents of a manifest, by path. An imported adapter has no provenance statement: nothing is
/// known of its making.
pub(super) fn derived_documents(
    manifest: &Manifest,
) -> Result<BTreeMap<String, Vec<u8>>, ManifestProblem> {
    // As others read it: numbers in canonical form.
    let plain: Manifest = parse_canonical(&canonical(&without_derived(manifest))?)?;
    let mut documents = BTreeMap::new();
    for name in [BOM_FILE, PROVENANCE_FILE] {
        if let Some(document) = derive(name, &plain)? {
            documents.insert(name.to_owned(), canonical(&document)?);
        }
    }
    Ok(documents)
}

/// Compares the documents that a package lists with its manifest. Packages of older versions list
/// none.
///
/// # Errors
///
/// The reason: a document that says something else.
pub(super) fn check_derived(package: &Package) -> Result<(), String> {
    let plain = without_derived(&package.manifest);
    let listed = package.manifest.files.iter();
    for file in listed.filter(|file| is_derived(file)) {
        let name = file.path.as_str();
        let wrong = |reason: String| format!("{name}: {reason}");
        let expected = derive(name, &plain).map_err(|problem| wrong(problem.to_string()))?;
        let expected = expected.ok_or_else(|| {
            wrong("the manifest says that the adapter was imported, so nothing can state how it was made".to_owned())
        })?;
        // Nothing but the spelling of licences may differ, so no longer document is read.
        let derived = canonical(&expected).map_err(|problem| wrong(problem.to_string()))?;
        let (found, length) = (file.size.0, derived.len() as u64);
        if found > 2 * length {
            return Err(wrong(format!(
                "it has {found} bytes, but the manifest gives {length}"
            )));
        }
        let bytes = fs::read(package.dir.join(name)).map_err(|error| wrong(error.to_string()))?;
        let found: Value = parse_canonical(&bytes).map_err(|problem| wrong(problem.to_string()))?;
        same_document(&expected, &found).map_err(wrong)?;
    }
    Ok(())
}

fn is_derived(file: &PackageFile) -> bool {
    [BOM_FILE, PROVENANCE_FILE].contains(&file.path.as_str())
}

fn without_derived(manifest: &Manifest) -> Manifest {
    let mut plain = manifest.clone();
    plain.files.retain(|file| !is_derived(file));
    plain
}

fn derive(name: &str, plain: &Manifest) -> Result<Option<Value>, ManifestProblem> {
    match (name, plain.training.mode) {
        (BOM_FILE, _) => bom::bill_of_materials(plain).map(Some),
        (_, WeightsOrigin::Imported) => Ok(None),
        (_, WeightsOrigin::Trained) => provenance::statement(plain).map(Some),
    }
}

/// Licences count by their names alone: which of them are in SPDX's list, and so how CycloneDX
/// spells them, changes with the list.
fn same_document(expected: &Value, found: &Value) -> Result<(), String> {
    let (expected, found) = (plain_licenses(expected), plain_licenses(found));
    match first_difference(&expected, &found, "") {
        None => Ok(()),
        // It is derived from all of the manifest, also from what the bill does not say.
        Some(difference) if difference.place == "/serialNumber" => {
            Err("it is about another manifest".to_owned())
        }
        Some(Difference {
            place,
            expected,
            found,
        }) => Err(format!(
            "{place} is {found}, but the manifest gives {expected}"
        )),
    }
}

fn plain_licenses(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(plain_licenses).collect(),
        Value::Object(fields) => {
            let field = |(key, value): (&String, &Value)| {
                let plain = match (key.as_str(), value) {
                    ("licenses", Value::Array(choices)) => {
                        choices.iter().map(plain_license).collect()
                    }
                    _ => plain_licenses(value),
                };
                (key.clone(), plain)
            };
            Value::Object(fields.iter().map(field).collect())
        }
        plain => plain.clone(),
    }
}

/// The text of a licence choice with one of the three spellings, and anything else as it is.
fn plain_license(choice: &Value) -> Value {
    for place in ["/license/id", "/license/name", "/expression"] {
        let text = choice.pointer(place).and_then(Value::as_str);
        let alone = place.matches('/').count() == 1 || has_one_field(choice.get("license"));
        if let Some(text) = text.filter(|_| alone && has_one_field(Some(choice))) {
            return text.to_lowercase().into();
        }
    }
    choice.clone()
}

fn has_one_field(value: Option<&Value>) -> bool {
    value
        .and_then(Value::as_object)
        .is_some_and(|it| it.len() == 1)
}

/// Where two documents differ first, in the order of their keys.
struct Difference {
    /// A JSON pointer (RFC 6901), or `it` for the whole.
    place: String,
    expected: String,
    found: String,
}

fn first_difference(expected: &Value, found: &Value, at: &str) -> Option<Difference> {
    match (expected, found) {
        (Value::Object(one), Value::Object(two)) => {
            let mut keys: Vec<&String> = one.keys().chain(two.keys()).collect();
            keys.sort_unstable();
            keys.dedup();
            let below = |key: &&String| {
                let key = key.as_str();
                let place = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
                absent_or_other(one.get(key), two.get(key), &place)
            };
            keys.iter().find_map(below)
        }
        (Value::Array(one), Value::Array(two)) => {
            let below = |index: usize| {
                absent_or_other(one.get(index), two.get(index), &format!("{at}/{index}"))
            };
            (0..one.len().max(two.len())).find_map(below)
        }
        _ => (expected != found).then(|| Difference {
            place: if at.is_empty() { "it" } else { at }.to_owned(),
            expected: shortened(expected),
            found: shortened(found),
        }),
    }
}

fn absent_or_other(
    expected: Option<&Value>,
    found: Option<&Value>,
    at: &str,
) -> Option<Difference> {
    let text = |value: Option<&Value>| value.map_or_else(|| "nothing".to_owned(), shortened);
    match (expected, found) {
        (Some(expected), Some(found)) => first_difference(expected, found, at),
        (None, None) => None,
        (expected, found) => Some(Difference {
            place: at.to_owned(),
            expected: text(expected),
            found: text(found),
        }),
    }
}

/// A value on one line of a message.
fn shortened(value: &Value) -> String {
    const LONGEST: usize = 100;
    match value {
        Value::Object(_) => "an object".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        plain => {
            let text = plain.to_string();
            match text.chars().count() > LONGEST {
                true => text.chars().take(LONGEST).chain(['…']).collect(),
                false => text,
            }
        }
    }
}
