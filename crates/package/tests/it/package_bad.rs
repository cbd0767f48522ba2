//! Packages that someone has meddled with: each is refused, and the whole reason is compared.

use std::{fs, path::Path};

use alloy::primitives::{Signature, U256, uint};
use openlora_package::{
    Manifest, ManifestProblem, PackageError, ReleaseEnvelope,
    build::{PackageMetadata, RevenueSplitOptions},
    check_paths, read,
    verify::CheckStatus,
    whole::WholeNumber,
};
use serde_json::Value;
use tempfile::TempDir;

use crate::packages::{about, account, checked, drafted, packaged, payees};

/// What verifying says after `meddle`: the first check that fails, and why, `DIR` for the folder.
fn refusal(meddle: impl Fn(&Path)) -> (String, String) {
    let home = TempDir::new().unwrap();
    let dir = packaged(home.path());
    meddle(&dir);
    let report = checked(&dir);
    assert!(!report.ok);
    let failed = report
        .checks
        .into_iter()
        .find(|check| check.status == CheckStatus::Fail)
        .unwrap();
    let reason = failed.reason.unwrap();
    (
        failed.name.to_owned(),
        reason.replace(&dir.display().to_string(), "DIR"),
    )
}

fn says(meddle: impl Fn(&Path), check: &str, reason: &str) {
    let (name, found) = refusal(meddle);
    assert_eq!((name.as_str(), found.as_str()), (check, reason));
}

#[test]
fn files_too_many_or_too_few() {
    says(
        |dir| fs::write(dir.join("extra.txt"), "").unwrap(),
        "structure",
        "DIR: the file `extra.txt` is not in the manifest",
    );
    says(
        |dir| fs::remove_file(dir.join("LICENSE")).unwrap(),
        "structure",
        "DIR: the file `LICENSE` of the manifest is missing",
    );
    says(
        |dir| fs::remove_file(dir.join("openlora.json")).unwrap(),
        "structure",
        "DIR: it has no openlora.json, so it is not a package",
    );
    says(
        |dir| fs::write(dir.join("license"), "").unwrap(),
        "structure",
        "DIR: `files`: the paths `LICENSE` and `license` are the same file where case does not \
         count",
    );
    says(
        |dir| fs::write(dir.join("LICENSÉ"), "").unwrap(),
        "structure",
        "DIR: `files`: the path \"LICENSÉ\" has letters outside of ASCII, which have several \
         spellings",
    );
    says(
        |dir| fs::remove_file(dir.join("openlora.eip712.json")).unwrap(),
        "eip712",
        "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266 is named as the publisher and has not signed",
    );
}

#[cfg(unix)]
#[test]
fn links_are_refused() {
    says(
        |dir| {
            fs::rename(dir.join("LICENSE"), dir.join("../LICENSE")).unwrap();
            std::os::unix::fs::symlink("../LICENSE", dir.join("LICENSE")).unwrap();
        },
        "structure",
        "DIR: `LICENSE` is a link; a package holds plain files only",
    );
}

#[test]
fn contents_that_differ() {
    let flip = |name: &'static str| {
        move |dir: &Path| {
            let mut bytes = fs::read(dir.join(name)).unwrap();
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
            fs::write(dir.join(name), bytes).unwrap();
        }
    };
    let (check, reason) = refusal(flip("README.md"));
    assert_eq!(check, "files");
    assert!(reason.starts_with("README.md has sha256 "));
    let (check, _) = refusal(flip("adapter_model.safetensors"));
    assert_eq!(check, "files");
    let (check, reason) = refusal(|dir| {
        let path = dir.join("adapter_model.safetensors");
        let bytes = fs::read(&path).unwrap();
        fs::write(path, &bytes[..bytes.len() - 4]).unwrap();
    });
    assert_eq!(check, "safetensors");
    assert!(reason.starts_with("adapter_model.safetensors: the file ends early"));
}

fn edit(dir: &Path, name: &str, change: impl Fn(&mut Value)) {
    let path = dir.join(name);
    let mut value: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut value);
    fs::write(path, serde_json_canonicalizer::to_vec(&value).unwrap()).unwrap();
}

type Change = fn(&mut Value);

/// Canonical manifests that must not be, and the whole of what is said after the file's name.
const BAD_MANIFESTS: &[(Change, &str)] = &[
    (
        |m| m["schemaVersion"] = 2.into(),
        "`schemaVersion`: expected 1, found `2`",
    ),
    (
        |m| m["version"] = "1.0".into(),
        "`version`: expected a semantic version such as 1.2.0, found `1.0`",
    ),
    (
        |m| m["version"] = "1.0.01".into(),
        "`version`: expected a semantic version such as 1.2.0, found `1.0.01`",
    ),
    (
        |m| m["name"] = "a\nb".into(),
        "`name`: expected 1 to 64 characters without line ends or space around them, found `a\\nb`",
    ),
    (
        |m| m["license"] = "MIT\u{202e}".into(),
        "`license`: expected an SPDX identifier such as MIT or CC-BY-4.0, found `MIT\\u{202e}`",
    ),
    (
        |m| m["files"][0]["path"] = "/etc/passwd".into(),
        "`files`: the path \"/etc/passwd\" is absolute",
    ),
    (
        |m| m["files"][0]["path"] = "../x".into(),
        "`files`: the path \"../x\" leads elsewhere",
    ),
    (
        |m| m["files"][0]["path"] = "readme.md".into(),
        "`files`: the paths `readme.md` and `README.md` are the same file where case does not count",
    ),
    (
        |m| m["files"].as_array_mut().unwrap().swap(0, 1),
        "`files` is not sorted: `LICENSE` comes after `README.md`",
    ),
    (
        |m| m["split"][0]["ppm"] = 599_999.into(),
        "`split`: the shares sum to 99.9999 % (creator 59.9999 %, contributors 40 %), expected \
         100 %",
    ),
    (
        |m| m["split"][0]["address"] = "0x0000000000000000000000000000000000000000".into(),
        "`split`: creator is paid at the zero address, which nobody can spend from",
    ),
    (
        |m| m["contributors"][1]["address"] = m["contributors"][0]["address"].clone(),
        "`contributors`: Ada and Bob are paid at the same address \
         0x5Ab1c2D3E4f5061728394a5b6C7D8E9F0a1b2c3d",
    ),
    (
        |m| m["contributors"][0]["staticPpm"] = 666_666.into(),
        "`contributors`: the shares sum to 99.9999 % (Ada 66.6666 %, Bob 33.3333 %), expected 100 %",
    ),
    (
        |m| m["datasets"][0]["distinctRecords"] = 0.into(),
        "`contributors.staticPpm`: expected 0 for a contributor all of whose records are copies, \
         found `333333 (33.3333 %) for Bob`",
    ),
    (
        |m| m["datasets"][0]["distinctRecords"] = 11.into(),
        "`datasets.distinctRecords`: expected at most the dataset's records, found `11`",
    ),
];

#[test]
fn manifests_that_must_not_be() {
    for (change, expected) in BAD_MANIFESTS {
        let expected = format!("DIR/openlora.json: {expected}");
        says(
            |dir| edit(dir, "openlora.json", change),
            "structure",
            &expected,
        );
    }
}

#[test]
fn spellings_that_most_readers_would_not_notice() {
    let text = String::from_utf8(drafted(&about()).unwrap().manifest.to_bytes().unwrap()).unwrap();
    assert!(Manifest::parse(text.as_bytes()).is_ok());
    let said = |text: String| Manifest::parse(text.as_bytes()).unwrap_err().to_string();
    assert_eq!(
        said(format!("{text}\n")),
        format!(
            "byte {} differs from the canonical spelling (RFC 8785)",
            text.len()
        )
    );
    assert_eq!(
        said(text.replacen('{', "{ ", 1)),
        "byte 1 differs from the canonical spelling (RFC 8785)"
    );
    let twice = text.replacen("\"batch\":4", "\"batch\":4,\"batch\":4", 1);
    assert_ne!(twice, text);
    let at = text.find("\"batch\":4").unwrap() + 11;
    assert_eq!(
        said(twice),
        format!("byte {at} differs from the canonical spelling (RFC 8785)")
    );
    let json = |problem: &str| format!("not the expected JSON: {problem}");
    let before = text.split("\"createdAt\"").next().unwrap().len();
    assert_eq!(
        said(text.replacen("\"createdAt\"", "\"createdAt\":1,\"createdAt\"", 1)),
        json(&format!(
            "duplicate field `createdAt` at line 1 column {}",
            before + 14 + 11
        ))
    );
    let unknown = said(text.replacen("\"compat\":{", "\"compatible\":1,\"compat\":{", 1));
    assert!(
        unknown.starts_with("not the expected JSON: unknown field `compatible`, expected one of"),
        "{unknown}"
    );
    let spelt = said(text.replacen("1795363445", "\"1795363445\"", 1));
    assert!(
        spelt.starts_with(
            "not the expected JSON: invalid value: string \"1795363445\", expected a whole number \
             up to 2^53, or a larger one as a decimal text at line 1 column"
        ),
        "{spelt}"
    );
    let lower = said(text.replacen(
        "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
        "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266",
        1,
    ));
    assert!(
        lower.starts_with(
            "not the expected JSON: the checksum of `0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266` \
             does not fit: expected `0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266`"
        ),
        "{lower}"
    );
}

#[test]
fn large_numbers_have_one_spelling() {
    let spelt = |number| serde_json::to_string(&WholeNumber(number)).unwrap();
    assert_eq!(spelt(1 << 53), "9007199254740992");
    assert_eq!(spelt((1 << 53) + 1), "\"9007199254740993\"");
    assert_eq!(spelt(u64::MAX), "\"18446744073709551615\"");
    let read = |text: &str| serde_json::from_str::<WholeNumber>(text).ok();
    for number in [0, 1 << 53, (1 << 53) + 1, u64::MAX] {
        assert_eq!(read(&spelt(number)), Some(WholeNumber(number)));
    }
    for bad in [
        "9007199254740993",
        "\"1\"",
        "\"09007199254740993\"",
        "\"+9007199254740993\"",
        "\"18446744073709551616\"",
        "-1",
        "1.5",
        "true",
    ] {
        assert_eq!(read(bad), None, "{bad}");
    }
}

const ORDER: U256 = uint!(0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141_U256);

#[test]
fn signatures_that_say_nothing() {
    let resign = |change: fn(Signature) -> Vec<u8>| {
        move |dir: &Path| {
            edit(dir, "openlora.eip712.json", |envelope| {
                let text = envelope["signature"].as_str().unwrap();
                let bytes = hex::decode(&text[2..]).unwrap();
                let changed = change(Signature::from_raw(&bytes).unwrap());
                envelope["signature"] = format!("0x{}", hex::encode(changed)).into();
            });
        }
    };
    says(
        resign(|s| {
            Signature::new(s.r(), ORDER - s.s(), !s.v())
                .as_bytes()
                .to_vec()
        }),
        "eip712",
        "the signature says nothing: its s is in the upper half of the curve's order, so anyone \
         can have changed it",
    );
    says(
        resign(|s| [&s.as_bytes()[..64], &[0]].concat()),
        "eip712",
        "the signature says nothing: its last byte is 0, expected 27 or 28",
    );
    says(
        resign(|s| [&[0; 32], &s.as_bytes()[32..]].concat()),
        "eip712",
        "the signature says nothing: no key fits it",
    );
    let (check, reason) = refusal(resign(|s| {
        Signature::new(s.r(), s.s(), !s.v()).as_bytes().to_vec()
    }));
    assert_eq!(check, "eip712");
    assert!(
        reason.starts_with("the signature was made by 0x"),
        "{reason}"
    );
    says(
        |dir| {
            edit(dir, "openlora.eip712.json", |e| {
                e["message"]["version"] = "9.0.0".into()
            })
        },
        "eip712",
        "the signed message is about another manifest",
    );
    says(
        |dir| {
            edit(dir, "openlora.eip712.json", |e| {
                e["domain"]["chainId"] = 1.into()
            })
        },
        "eip712",
        "the signature is for chain 1, expected 31337",
    );
    says(
        |dir| {
            edit(dir, "openlora.eip712.json", |e| {
                e["types"]["AdapterRelease"].as_array_mut().unwrap().pop();
            });
        },
        "structure",
        "DIR/openlora.eip712.json: `types`: expected the fields of AdapterRelease and of this \
         domain, found others",
    );
    let home = TempDir::new().unwrap();
    let dir = packaged(home.path());
    let bytes = fs::read(dir.join("openlora.eip712.json")).unwrap();
    let envelope = ReleaseEnvelope::parse(&bytes).unwrap();
    assert_eq!(envelope.to_bytes().unwrap(), bytes);
    let text = String::from_utf8(bytes).unwrap();
    let root = envelope.message.files_root.to_string();
    let respelt = |spelling: &str| {
        let changed = text.replacen(&root, spelling, 1);
        ReleaseEnvelope::parse(changed.as_bytes())
            .unwrap_err()
            .to_string()
    };
    let at = text.find(&root).unwrap();
    let first = root[2..]
        .find(|digit: char| digit.is_ascii_lowercase())
        .unwrap();
    assert_eq!(
        respelt(&format!("0x{}", root[2..].to_uppercase())),
        ManifestProblem::NotCanonical { at: at + 2 + first }.to_string()
    );
    let bare = respelt(&root[2..]);
    assert!(
        bare.starts_with(&format!(
            "not the expected JSON: expected 0x and 64 hexadecimal digits, found `{}`",
            &root[2..]
        )),
        "{bare}"
    );
}

/// `[split]` settings that cannot be paid out, and the whole of what is said.
#[test]
fn splits_that_cannot_be_paid() {
    let said = |split: RevenueSplitOptions| {
        let wrong = PackageMetadata { split, ..about() };
        drafted(&wrong).unwrap_err().to_string()
    };
    assert_eq!(
        said(RevenueSplitOptions {
            creator: Some(599_999),
            contributors: Some(400_000),
            ..RevenueSplitOptions::default()
        }),
        "`[split]`: the shares sum to 99.9999 % (creator 59.9999 %, contributors 40 %), expected \
         100 %"
    );
    assert_eq!(
        said(RevenueSplitOptions {
            creator: Some(1_000_000),
            contributors: Some(1_000_000),
            ..RevenueSplitOptions::default()
        }),
        "`[split]`: the shares sum to 200 % (creator 100 %, contributors 100 %), \
         expected 100 %"
    );
    assert_eq!(
        said(RevenueSplitOptions {
            creator_address: Some(Default::default()),
            ..RevenueSplitOptions::default()
        }),
        "`[split]`: creator is paid at the zero address, which nobody can spend from"
    );
    let only = drafted(&PackageMetadata {
        split: RevenueSplitOptions {
            contributors: Some(0),
            ..RevenueSplitOptions::default()
        },
        ..about()
    });
    assert_eq!(
        payees(&only.unwrap().manifest),
        [(account().address(), 1_000_000)]
    );
}

#[test]
fn a_version_that_is_none_stops_before_anything_is_written() {
    let wrong = PackageMetadata {
        version: "one".into(),
        ..about()
    };
    let error: PackageError = drafted(&wrong).unwrap_err();
    assert_eq!(
        error.to_string(),
        "openlora.json: `version`: expected a semantic version such as 1.2.0, found `one`"
    );
}

#[test]
fn paths_that_can_mean_something_else() {
    let said = |paths: &[&str]| {
        let checked = check_paths(paths.iter().copied());
        checked.map_err(|problem| problem.to_string()).err()
    };
    assert_eq!(said(&["a", "b/c.json", "b/d"]), None);
    let bad = [
        ("", "is empty"),
        ("a//b", "has an empty part"),
        ("a/", "has an empty part"),
        ("a/./b", "leads elsewhere"),
        ("..", "leads elsewhere"),
        ("a.", "has a part that ends in a dot"),
        ("nul.txt", "has a part that is a device on Windows"),
        (
            "a\\b",
            "has other characters than letters, digits, `.`, `_`, `-` and `/`",
        ),
        (
            "C:x",
            "has other characters than letters, digits, `.`, `_`, `-` and `/`",
        ),
    ];
    for (path, reason) in bad {
        assert_eq!(said(&[path]), Some(format!("the path {path:?} {reason}")));
    }
    assert_eq!(said(&["a", "a"]), Some("the path `a` appears twice".into()));
    assert_eq!(
        said(&["a/b", "a"]),
        Some("`a` is a file and a folder at once".into())
    );
}

#[test]
fn a_folder_that_is_not_there_is_named_as_it_was_given() {
    let home = TempDir::new().unwrap();
    let dir = home.path().join("nowhere");
    assert_eq!(
        read(&dir).unwrap_err().to_string(),
        format!("cannot read {}: no such file or directory", dir.display())
    );
}
