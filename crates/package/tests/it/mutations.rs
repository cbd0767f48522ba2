//! Every mutation of a signed package by a generator is refused. `mutations.txt` lists them with
//! the first check that fails and its reason, digests as `SHA` and without columns.

use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use openlora_package::{
    BaseFacts, Package,
    verify::{CheckStatus, LocalEvidence, PackageVerification, verify},
};
use openlora_release::eip712::SignerRecovery;
use regex::Regex;
use serde_json::Value;
use tempfile::TempDir;

use crate::packages::{base_facts, evidence, model_signed};

const EXPECTED: &str = include_str!("mutations.txt");
const JSON_FILES: [&str; 3] = ["openlora.json", "openlora.eip712.json", "model.sig"];

/// A change to the package in a folder.
struct Mutation {
    name: String,
    apply: Box<dyn Fn(&Path)>,
}

fn mutation(name: String, apply: impl Fn(&Path) + 'static) -> Mutation {
    let apply = Box::new(apply);
    Mutation { name, apply }
}

fn files_of(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

type BytesChange = Box<dyn Fn(&mut Vec<u8>)>;

/// Changes to the bytes of a file, and to what it is.
fn of_file(name: &str, size: usize) -> Vec<Mutation> {
    let path = |dir: &Path, name: &str| dir.join(name);
    let bytes_changed = |what: String, change: BytesChange| {
        let name = name.to_owned();
        mutation(format!("{name}: {what}"), move |dir| {
            let mut bytes = fs::read(path(dir, &name)).unwrap();
            change(&mut bytes);
            fs::write(path(dir, &name), bytes).unwrap();
        })
    };
    let mut all = vec![
        bytes_changed("empty".into(), Box::new(Vec::clear)),
        bytes_changed(
            "a byte less".into(),
            Box::new(|bytes| bytes.truncate(bytes.len() - 1)),
        ),
        bytes_changed("a byte more".into(), Box::new(|bytes| bytes.push(b'\n'))),
        bytes_changed(
            "twice".into(),
            Box::new(|bytes| bytes.extend(bytes.clone())),
        ),
    ];
    for tenth in [0, 3, 7, 9] {
        let at = size * tenth / 10;
        let flip = move |bytes: &mut Vec<u8>| bytes[at] ^= 1;
        all.push(bytes_changed(format!("bit at {tenth}/10"), Box::new(flip)));
    }
    let replaced = |what: &str, replace: fn(&Path)| {
        let name = name.to_owned();
        mutation(format!("{name}: {what}"), move |dir| {
            let place = path(dir, &name);
            fs::rename(&place, dir.with_extension("kept")).unwrap();
            replace(&place);
        })
    };
    all.push(replaced("missing", |_| {}));
    all.push(replaced("a folder", |place| fs::create_dir(place).unwrap()));
    all.push(replaced("renamed", |place| {
        let kept = place.parent().unwrap().with_extension("kept");
        fs::copy(kept, place.with_extension("other"))
            .map(drop)
            .unwrap();
    }));
    #[cfg(unix)]
    all.push(replaced("a link", |place| {
        std::os::unix::fs::symlink("../package.kept", place).unwrap();
    }));
    all
}

/// Files that a package does not list, or cannot hold.
fn extra_files() -> Vec<Mutation> {
    let names = [
        "extra.txt",
        "pytorch_model.bin",
        ".gitignore",
        ".git/config",
        "model.sig.bak",
        "MODEL.SIG",
        "readme.md",
        "sub/openlora.json",
        "nul.txt",
        "a b",
        "x\\y",
        "ümlaut",
        "trailing.",
    ];
    let extra = |name: &str| {
        let name = name.to_owned();
        mutation(format!("more: {name}"), move |dir| {
            let path = dir.join(&name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        })
    };
    names.map(extra).into_iter().collect()
}

/// The places of all values that are neither lists nor objects; of a list the first two items.
fn leaves(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                leaves(value, &format!("{at}/{key}"), found);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().take(2).enumerate() {
                leaves(value, &format!("{at}/{index}"), found);
            }
        }
        _ => found.push(at.to_owned()),
    }
}

/// Another value of the same kind, as close as possible.
fn changed(value: &Value) -> Value {
    match value {
        Value::Bool(is) => (!is).into(),
        Value::Number(number) => match number.as_u64() {
            Some(number) => (number + 1).into(),
            None => 0.5.into(),
        },
        Value::String(text) => match text.chars().last() {
            Some('0') => format!("{}1", &text[..text.len() - 1]).into(),
            Some(last) if last.is_ascii_hexdigit() => {
                format!("{}0", &text[..text.len() - 1]).into()
            }
            _ => format!("{text}x").into(),
        },
        _ => "x".into(),
    }
}

/// Changes of one value of a JSON file, in canonical spelling.
fn of_values(dir: &Path, name: &'static str) -> Vec<Mutation> {
    let value: Value = serde_json::from_slice(&fs::read(dir.join(name)).unwrap()).unwrap();
    let mut places = Vec::new();
    leaves(&value, "", &mut places);
    let with = |place: String| {
        mutation(format!("{name}{place}"), move |dir| {
            let path = dir.join(name);
            let mut value: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            let field = value.pointer_mut(&place).unwrap();
            *field = changed(field);
            fs::write(path, serde_json_canonicalizer::to_vec(&value).unwrap()).unwrap();
        })
    };
    places.into_iter().map(with).collect()
}

fn checked(dir: &Path) -> PackageVerification {
    static BASE: OnceLock<BaseFacts> = OnceLock::new();
    let base = BASE.get_or_init(base_facts);
    let gather = |package: &Package| LocalEvidence {
        base: Ok(base.clone()),
        ..evidence(package)
    };
    verify(dir, &SignerRecovery, &gather).unwrap().0
}

/// The first check that fails, and its reason.
fn refusal(dir: &Path) -> Option<String> {
    let report = checked(dir);
    let mut failed = report
        .checks
        .into_iter()
        .filter(|check| check.status == CheckStatus::Fail);
    let check = failed.next();
    assert_eq!(check.is_none(), report.ok);
    let check = check?;
    Some(format!("{}: {}", check.name, check.reason.unwrap()))
}

fn copied(from: &Path, to: PathBuf) -> PathBuf {
    fs::create_dir_all(&to).unwrap();
    for name in files_of(from) {
        fs::copy(from.join(&name), to.join(&name)).unwrap();
    }
    to
}

#[test]
fn every_mutation_is_refused_for_its_reason() {
    let home = TempDir::new().unwrap();
    let original = model_signed(&home.path().join("original"));
    assert_eq!(refusal(&original), None);
    let mut all = extra_files();
    for name in files_of(&original) {
        let size = fs::metadata(original.join(&name)).unwrap().len() as usize;
        all.extend(of_file(&name, size));
    }
    all.extend(
        JSON_FILES
            .into_iter()
            .flat_map(|name| of_values(&original, name)),
    );
    assert!(all.len() >= 200, "{} mutations", all.len());
    let digest = Regex::new("[0-9a-f]{64}").unwrap();
    let column = Regex::new(" at line 1 column [0-9]+").unwrap();
    let mut found = String::new();
    for mutation in &all {
        let place = TempDir::new().unwrap();
        let dir = copied(&original, place.path().join("package"));
        (mutation.apply)(&dir);
        let reason = refusal(&dir).unwrap_or_else(|| "ACCEPTED".to_owned());
        let reason = reason.replace(&dir.display().to_string(), "DIR");
        let reason = column.replace_all(&reason, "");
        let reason = digest.replace_all(&reason, "SHA").replace('\n', " ");
        writeln!(found, "{} => {reason}", mutation.name).unwrap();
    }
    let accepted: Vec<&str> = found
        .lines()
        .filter(|it| it.ends_with("ACCEPTED"))
        .collect();
    assert_eq!(accepted, Vec::<&str>::new());
    let pairs = found.lines().zip(EXPECTED.lines());
    let differ: Vec<_> = pairs
        .filter(|(found, expected)| found != expected)
        .collect();
    if found != EXPECTED {
        let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mutations.txt");
        fs::write(&place, &found).unwrap();
        panic!(
            "{} holds what was found; different lines: {differ:#?}",
            place.display()
        );
    }
}
