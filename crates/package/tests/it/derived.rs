//! The bill of materials and the provenance statement: what they say, and that they agree with the
//! manifest.

use std::{fs, path::Path};

use openlora_package::{
    BOM_FILE, MANIFEST_FILE, Manifest, PROVENANCE_FILE,
    build::{PackageMetadata, PackageParts, draft},
    manifest::Digest,
    verify::CheckStatus,
    whole::WholeNumber,
    write,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::packages::{about, adapter, base_facts, checked, drafted, packaged};

fn document(dir: &Path, name: &str) -> Value {
    serde_json::from_slice(&fs::read(dir.join(name)).unwrap()).unwrap()
}

/// The package with a document that its publisher changed and listed: its digest is right.
fn with_document(home: &Path, name: &str, change: impl Fn(&mut Value)) -> Option<String> {
    let mut draft = drafted(&unsigned()).unwrap();
    let mut value: Value = serde_json::from_slice(&draft.files[name]).unwrap();
    change(&mut value);
    let bytes = serde_json_canonicalizer::to_vec(&value).unwrap();
    list(&mut draft.manifest, name, &bytes);
    draft.files.insert(name.to_owned(), bytes);
    refusal(&write(home, &draft, None).unwrap().dir)
}

fn unsigned() -> PackageMetadata {
    PackageMetadata {
        publisher: None,
        ..about()
    }
}

fn list(manifest: &mut Manifest, name: &str, bytes: &[u8]) {
    let mut files = manifest.files.iter_mut();
    let file = files.find(|file| file.path == name).unwrap();
    file.size = WholeNumber(bytes.len() as u64);
    file.sha256 = Digest::hash_bytes(bytes);
}

/// The first check that fails, and its reason.
fn refusal(dir: &Path) -> Option<String> {
    let checks = checked(dir).checks.into_iter();
    let mut failed = checks.filter(|check| check.status == CheckStatus::Fail);
    let check = failed.next()?;
    Some(format!("{}: {}", check.name, check.reason.unwrap()))
}

#[test]
fn a_bill_names_the_adapter_its_base_and_its_data() {
    let home = TempDir::new().unwrap();
    let dir = packaged(home.path());
    let manifest = document(&dir, MANIFEST_FILE);
    let bom = document(&dir, BOM_FILE);
    let at = |place: &str| bom.pointer(place).cloned().unwrap_or_default();
    assert_eq!(at("/specVersion"), "1.5");
    assert_eq!(at("/metadata/timestamp"), "2026-11-22T16:04:05Z");
    let component = "/metadata/component";
    let weights = &manifest["files"][3];
    assert_eq!(weights["role"], "weights");
    assert_eq!(
        at(&format!("{component}/hashes")),
        json!([{"alg": "SHA-256", "content": weights["sha256"]}])
    );
    assert_eq!(
        at(&format!("{component}/licenses")),
        json!([{"license": {"id": "CC-BY-4.0"}}])
    );
    let card = at(&format!("{component}/modelCard"));
    assert_eq!(
        card["modelParameters"],
        json!({
            "task": "text-generation",
            "modelArchitecture": "LlamaForCausalLM",
            "datasets": [{"ref": "data:a.jsonl"}, {"ref": "data:z.jsonl"}],
        })
    );
    assert_eq!(
        card["quantitativeAnalysis"]["performanceMetrics"],
        json!([{"type": "loss", "value": "1.5", "slice": "last training step"}])
    );
    let base = at("/components/0");
    assert_eq!(base["type"], "machine-learning-model");
    assert_eq!(
        base["components"][0]["hashes"][0]["content"],
        manifest["base"]["weights"][0]["sha256"]
    );
    let data = at("/components/1");
    assert_eq!(
        (&data["name"], &data["author"]),
        (&"a.jsonl".into(), &"Bob".into())
    );
    assert_eq!(
        at("/dependencies"),
        json!([{"ref": "adapter", "dependsOn": ["base", "data:a.jsonl", "data:z.jsonl"]}])
    );
}

#[test]
fn the_statement_says_what_the_run_knows() {
    let home = TempDir::new().unwrap();
    let dir = packaged(home.path());
    let manifest = document(&dir, MANIFEST_FILE);
    let statement = document(&dir, PROVENANCE_FILE);
    let sha256 = |value: &Value| json!({ "sha256": value });
    let (base, data) = (&manifest["base"], &manifest["datasets"]);
    let rows = json!({ "digestOf": "normalised rows" });
    assert_eq!(
        statement,
        json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [
                {"name": "adapter_config.json", "digest": sha256(&manifest["files"][2]["sha256"])},
                {
                    "name": "adapter_model.safetensors",
                    "digest": sha256(&manifest["files"][3]["sha256"]),
                },
            ],
            "predicateType": "https://slsa.dev/provenance/v1",
            "predicate": {
                "buildDefinition": {
                    "buildType": "urn:openlora:build:train:v1",
                    "externalParameters": {
                        "base": "tiny-base",
                        "seed": 42,
                        "train": {"batch": 4, "rank": 4},
                        "datasets": [
                            {"contributor": "Bob", "id": "a.jsonl"},
                            {"contributor": "Ada", "id": "z.jsonl"},
                        ],
                    },
                    "resolvedDependencies": [
                        {
                            "name": "base/model.safetensors",
                            "digest": sha256(&base["weights"][0]["sha256"]),
                        },
                        {"name": "base/config.json", "digest": sha256(&base["configSha256"])},
                        {
                            "name": "base/tokenizer",
                            "digest": sha256(&base["tokenizerSha256"]),
                            "annotations": {
                                "digestOf": "lines of sha256sum over the tokenizer's files",
                            },
                        },
                        {
                            "name": "data/a.jsonl",
                            "digest": sha256(&data[0]["sha256"]),
                            "annotations": rows,
                        },
                        {
                            "name": "data/z.jsonl",
                            "digest": sha256(&data[1]["sha256"]),
                            "annotations": rows,
                        },
                    ],
                },
                "runDetails": {
                    "builder": {
                        "id": "urn:openlora:builder:local",
                        "version": {"openlora": "0.1.0"},
                    },
                    "metadata": {
                        "startedOn": "2026-11-22T16:03:20Z",
                        "finishedOn": "2026-11-22T16:04:05Z",
                    },
                    "byproducts": [
                        {"name": "metrics.jsonl", "digest": sha256(&manifest["training"]["logSha256"])},
                    ],
                },
            },
        })
    );
}

#[test]
fn documents_that_contradict_the_manifest_fail() {
    let home = TempDir::new().unwrap();
    let dir = home.path().join("p");
    let statement = |change: fn(&mut Value)| with_document(&dir, PROVENANCE_FILE, change);
    let bom = |change: fn(&mut Value)| with_document(&dir, BOM_FILE, change);
    assert_eq!(statement(|_| ()), None);
    assert_eq!(bom(|_| ()), None);
    assert_eq!(
        statement(
            |it| it["predicate"]["runDetails"]["metadata"]["startedOn"] =
                "2020-01-01T00:00:00Z".into()
        ),
        Some(
            "files: provenance.slsa.json: /predicate/runDetails/metadata/startedOn is \
             \"2020-01-01T00:00:00Z\", but the manifest gives \"2026-11-22T16:03:20Z\""
                .to_owned()
        )
    );
    assert_eq!(
        statement(|it| {
            let all = &mut it["predicate"]["buildDefinition"]["resolvedDependencies"];
            all.as_array_mut().unwrap().pop();
        }),
        Some(
            "files: provenance.slsa.json: \
             /predicate/buildDefinition/resolvedDependencies/4 is nothing, but the manifest gives \
             an object"
                .to_owned()
        )
    );
    assert_eq!(
        bom(|it| it["metadata"]["component"]["licenses"][0]["license"]["id"] = "MIT".into()),
        Some(
            "files: bom.cdx.json: /metadata/component/licenses/0 is \"mit\", but the manifest \
             gives \"cc-by-4.0\""
                .to_owned()
        )
    );
    // The same licence in another spelling, as another list of SPDX may give it.
    assert_eq!(
        bom(|it| {
            it["metadata"]["component"]["licenses"][0] = json!({"license": {"name": "CC-BY-4.0"}});
        }),
        None
    );
    assert_eq!(
        bom(|it| {
            it["metadata"]["component"]["licenses"][0]["license"]["url"] = "https://x".into();
        }),
        Some(
            "files: bom.cdx.json: /metadata/component/licenses/0 is an object, but the manifest \
             gives \"cc-by-4.0\""
                .to_owned()
        )
    );
    assert_eq!(
        bom(|it| it["serialNumber"] = "urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79".into())
            .as_deref(),
        Some("files: bom.cdx.json: it is about another manifest")
    );
}

#[test]
fn a_document_that_is_far_too_long_is_not_read() {
    let home = TempDir::new().unwrap();
    let reason = with_document(home.path(), BOM_FILE, |bom| {
        bom["more"] = "x".repeat(1 << 20).into();
    });
    let reason = reason.unwrap();
    assert!(
        reason.contains("bom.cdx.json: it has ")
            && reason.contains(" bytes, but the manifest gives "),
        "{reason}"
    );
}

#[test]
fn an_imported_adapter_cannot_state_how_it_was_made() {
    let home = TempDir::new().unwrap();
    let mut imported = draft(&PackageParts {
        about: &unsigned(),
        adapter: &adapter(),
        base: &base_facts(),
        run: None,
    })
    .unwrap();
    assert!(!imported.files.contains_key(PROVENANCE_FILE));
    let trained = drafted(&unsigned()).unwrap();
    let listed = trained.manifest.files.iter();
    let entry = listed.clone().find(|file| file.path == PROVENANCE_FILE);
    imported.manifest.files.push(entry.unwrap().clone());
    let bytes = trained.files[PROVENANCE_FILE].clone();
    imported.files.insert(PROVENANCE_FILE.to_owned(), bytes);
    let dir = write(&home.path().join("p"), &imported, None).unwrap().dir;
    assert_eq!(
        refusal(&dir).as_deref(),
        Some(
            "files: provenance.slsa.json: the manifest says that the adapter was imported, so \
             nothing can state how it was made"
        )
    );
}

#[test]
fn a_package_of_an_older_version_has_no_such_documents() {
    let home = TempDir::new().unwrap();
    let mut older = drafted(&unsigned()).unwrap();
    for name in [BOM_FILE, PROVENANCE_FILE] {
        older.files.remove(name);
        older.manifest.files.retain(|file| file.path != name);
    }
    let dir = write(&home.path().join("p"), &older, None).unwrap().dir;
    assert_eq!(refusal(&dir), None);
}
