//! `attribution` as a person runs it.

use std::{fs, path::PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::{support::openlora, tiny};

fn project() -> TempDir {
    let dir = TempDir::new().unwrap();
    tiny::base(dir.path());
    tiny::labelled(dir.path(), "one.jsonl", 0..24);
    tiny::labelled(dir.path(), "two.jsonl", 24..40);
    let text = "[project]\nname = \"tiny\"\n[base]\nid = \"./base\"\n\
        [[data]]\npath = \"one.jsonl\"\ncontributor = \"Ada\"\n\
        address = \"0x1111111111111111111111111111111111111111\"\n\
        [[data]]\npath = \"two.jsonl\"\ncontributor = \"Bea\"\n\
        [train]\nrank = 2\nbatch = 4\nmax_len = 128\nepochs = 2\n";
    fs::write(dir.path().join("openlora.toml"), text).unwrap();
    dir
}

fn json(dir: &TempDir, line: &str) -> Value {
    let run = openlora(dir.path())
        .args(line.split_whitespace())
        .run()
        .succeeds();
    serde_json::from_str(&run.stdout).unwrap()
}

fn latest(dir: &TempDir) -> PathBuf {
    let runs = dir.path().join("runs");
    runs.join(fs::read_to_string(runs.join("latest")).unwrap().trim())
}

#[test]
fn training_builds_the_index_and_the_verbs_show_and_check_it() {
    let dir = project();
    let trained = json(&dir, "train --json");
    let built = &trained["attribution"];
    assert_eq!(built["examples"], 40);
    assert_eq!(built["contributors"], 2);
    assert_eq!(built["checkpoints"], 3);
    let file = latest(&dir).join("attribution/index.bin");
    assert_eq!(built["bytes"], fs::metadata(&file).unwrap().len());
    let shown = json(&dir, "attribution inspect --json");
    assert_eq!(shown["digest"], built["digest"]);
    assert_eq!(shown["contributors"][0]["name"], "Ada");
    assert_eq!(shown["contributors"][0]["examples"], 24);
    assert_eq!(shown["contributors"][1]["examples"], 16);
    assert_eq!(shown["binding"]["parameters"]["method"], "influence");
    let named = format!("attribution inspect --json {}", file.display());
    assert_eq!(json(&dir, &named), shown);
}

#[test]
fn an_index_is_built_later_by_any_method_and_built_again_the_same() {
    let dir = project();
    assert_eq!(
        json(&dir, "train --json --no-attribution").get("attribution"),
        None
    );
    assert!(!latest(&dir).join("attribution").exists());
    for method in ["datainf", "gradient", "influence"] {
        let built = json(&dir, &format!("attribution build --json --method {method}"));
        assert_eq!(built["method"], method);
        let checked = json(&dir, "attribution verify --json --rebuild");
        let agreed: Vec<_> = checked["checks"].as_array().unwrap().iter().collect();
        assert_eq!(agreed.len(), 4);
        assert!(
            agreed.iter().all(|check| check["agrees"] == true),
            "{checked}"
        );
    }
}

#[test]
fn a_merged_or_changed_adapter_makes_the_index_stale() {
    let dir = project();
    json(&dir, "train --json");
    let weights = latest(&dir).join("adapter/adapter_model.safetensors");
    let mut bytes = fs::read(&weights).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&weights, bytes).unwrap();
    let run = openlora(dir.path())
        .args("attribution verify --json".split(' '))
        .run();
    assert_eq!(run.code, 9, "{}", run.stderr);
    let checked: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(checked["checks"][1]["what"], "adapter");
    assert_eq!(checked["checks"][1]["agrees"], false);
}
