//! The documents of a package, read by the programs that they are for.

use std::{fs, path::Path, process::Command};

use openlora_package::{
    BaseFacts,
    build::{PackageMetadata, PackageParts, draft},
    manifest::EvalMetric,
    whole::WholeNumber,
    write,
};
use tempfile::TempDir;

use crate::{
    packages::{about, adapter, base_facts, run_facts},
    sdk::{python, run, suite},
};

/// What a reference implementation says.
fn read(verb: &str, package: &Path) -> String {
    let script = suite("packages").join("suite.py");
    run(Command::new(python("packages"))
        .arg(script)
        .arg(verb)
        .arg(package))
}

/// A package of a run with figures, or of an adapter made elsewhere.
fn packaged(home: &Path, trained: bool) -> std::path::PathBuf {
    let mut facts = run_facts();
    facts.training.eval_metrics = vec![EvalMetric {
        name: "accuracy".into(),
        value: 0.875,
        rows: WholeNumber(8),
        base: Some(0.25),
    }];
    let mut base: BaseFacts = base_facts();
    base.model.id = "owner/tiny-base".into();
    base.model.revision = Some("0123456789abcdef0123456789abcdef01234567".into());
    base.model.license = Some("apache-2.0".into());
    let about = PackageMetadata {
        publisher: None,
        creator: Some("Ада: \"A\"\u{202e}".into()),
        ..about()
    };
    let parts = PackageParts {
        about: &about,
        adapter: &adapter(),
        base: &base,
        run: trained.then_some(&facts),
    };
    write(&home.join("p"), &draft(&parts).unwrap(), None)
        .unwrap()
        .dir
}

#[test]
fn a_bill_of_materials_is_valid_cyclonedx_of_version_1_5() {
    let home = TempDir::new().unwrap();
    let package = packaged(home.path(), true);
    assert_eq!(
        read("bom", &package),
        "bom machine-learning-model tone 1.0.0 CC-BY-4.0\n\
         component machine-learning-model base 1\n\
         component data data:a.jsonl 1\n\
         component data data:z.jsonl 1\n\
         depends adapter base data:a.jsonl data:z.jsonl\n"
    );
    let imported = TempDir::new().unwrap();
    assert_eq!(
        read("bom", &packaged(imported.path(), false)),
        "bom machine-learning-model tone 1.0.0 CC-BY-4.0\n\
         component machine-learning-model base 1\n\
         depends adapter base\n"
    );
}

#[test]
fn a_provenance_statement_is_one_of_in_toto_and_slsa() {
    let home = TempDir::new().unwrap();
    let package = packaged(home.path(), true);
    assert_eq!(
        read("provenance", &package),
        "provenance https://slsa.dev/provenance/v1 urn:openlora:build:train:v1\n\
         subject adapter_config.json\n\
         subject adapter_model.safetensors\n\
         needs base/model.safetensors\n\
         needs base/config.json\n\
         needs base/tokenizer\n\
         needs data/a.jsonl\n\
         needs data/z.jsonl\n\
         from 1795363400 to 1795363445\n\
         version {'openlora': '0.1.0'}\n"
    );
    let imported = TempDir::new().unwrap();
    let imported = packaged(imported.path(), false);
    assert!(!imported.join("provenance.slsa.json").exists());
    assert!(
        !fs::read_to_string(imported.join("openlora.json"))
            .unwrap()
            .contains("provenance")
    );
}

#[test]
fn the_hub_reads_the_model_card() {
    let home = TempDir::new().unwrap();
    assert_eq!(
        read("card", &packaged(home.path(), true)),
        "card {\"base_model\": \"owner/tiny-base\", \"base_model_relation\": \"adapter\", \
         \"library_name\": \"peft\", \"license\": \"cc-by-4.0\", \"pipeline_tag\": \
         \"text-generation\", \"tags\": [\"lora\", \"openlora\", \
         \"base_model:adapter:owner/tiny-base\"]}\n\
         result text-generation accuracy 0.875\n"
    );
}
