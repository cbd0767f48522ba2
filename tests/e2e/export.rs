//! Adapters written for other programs, by the command.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use crate::{
    gguf_files as gguf, golden,
    packages::model_signed,
    sdk::{python, run, suite},
    support::{Run, openlora},
};

fn export(home: &Path, adapter: &Path, base: &str, format: &str, out: &str) -> Run {
    let (adapter, base) = (adapter.display().to_string(), golden::dir(base));
    let base = base.display().to_string();
    let args = [
        "export", &adapter, "--format", format, "--out", out, "--base", &base,
    ];
    openlora(home).args(args).run()
}

/// What llama.cpp's reader says of an exported file, after comparing what it computes.
fn read_by_gguf(file: PathBuf, adapter: &str, base: &str) -> String {
    let script = suite("packages").join("suite.py");
    run(Command::new(python("packages"))
        .arg(script)
        .arg("gguf")
        .arg(file)
        .arg(golden::dir(adapter))
        .arg(golden::dir(base)))
}

#[test]
fn llama_cpp_reads_exported_adapters_of_every_family() {
    let home = TempDir::new().unwrap();
    for (base, adapter, said) in [
        ("llama", "llama.all-linear", "adapter llama lora 12.0 14"),
        ("llama", "llama.rslora", "adapter llama lora 24.0 14"),
        ("llama", "llama.patterns", "adapter llama lora 12.0 6"),
        ("mistral", "mistral.qv", "adapter llama lora 12.0 4"),
        ("qwen2", "qwen2.all-linear", "adapter qwen2 lora 12.0 14"),
        ("qwen3", "qwen3.all-linear", "adapter qwen3 lora 12.0 14"),
    ] {
        let out = format!("{adapter}.gguf");
        export(home.path(), &golden::dir(adapter), base, "gguf", &out).succeeds();
        let found = read_by_gguf(home.path().join(&out), adapter, base);
        assert_eq!(found, format!("gguf {said}\n"), "{adapter}");
    }
}

#[test]
fn llama_cpp_answers_with_exported_adapters_as_peft_does() {
    let home = TempDir::new().unwrap();
    let answered = |base: &str, adapter: &str, name: &str| {
        run(Command::new(python("llamacpp"))
            .current_dir(home.path())
            .arg(suite("llamacpp").join("suite.py"))
            .args([&format!("{base}.gguf"), adapter])
            .arg(golden::dir(base).join("expected.json"))
            .arg(name))
    };
    for (base, adapters) in [
        ("llama", &["qv", "all-linear", "rslora", "patterns"][..]),
        ("qwen2", &["all-linear"]),
        ("qwen3", &["all-linear"]),
    ] {
        let mut draft = gguf::of_checkpoint(&golden::dir(base));
        // llama.cpp takes the name of a token that ends answers for one, which this reference does not.
        gguf::add_plain_vocabulary(&mut draft, 160);
        draft.count("tokenizer.ggml.eos_token_id", 0);
        fs::write(home.path().join(format!("{base}.gguf")), draft.bytes()).unwrap();
        assert_eq!(answered(base, "-", "base"), "3 prompts\n");
        for name in adapters {
            let (adapter, out) = (format!("{base}.{name}"), format!("{base}.{name}.gguf"));
            export(home.path(), &golden::dir(&adapter), base, "gguf", &out).succeeds();
            assert_eq!(answered(base, &out, name), "3 prompts\n", "{adapter}");
        }
    }
}

#[test]
fn a_package_is_exported_after_it_was_verified() {
    let home = TempDir::new().unwrap();
    let package = model_signed(&home.path().join("p"));
    let written = export(home.path(), &package, "llama", "peft", "peft").succeeds();
    assert_eq!(
        written.stdout,
        "export        peft\nfiles         LICENSE, README.md, adapter_config.json, \
         adapter_model.safetensors\nsize          6398 bytes\n"
    );
    for name in [
        "adapter_config.json",
        "adapter_model.safetensors",
        "README.md",
    ] {
        let read = |dir: &Path| fs::read(dir.join(name)).unwrap();
        assert_eq!(read(&home.path().join("peft")), read(&package));
    }
    let again = export(home.path(), &package, "llama", "peft", "peft");
    again.fails(
        3,
        &format!(
            "error: {} exists, and an export replaces nothing\nhint: choose another path with \
             --out\n",
            home.path().join("peft").display()
        ),
    );
    let other = export(home.path(), &package, "llama-linear", "merged", "merged");
    assert_eq!(other.code, 9);
    let reason = format!("error: {} does not verify: base: ", package.display());
    assert!(other.stderr.starts_with(&reason), "{}", other.stderr);
    assert!(!home.path().join("merged").exists());
    fs::write(package.join("README.md"), "mine").unwrap();
    let changed = export(home.path(), &package, "llama", "gguf", "a.gguf");
    assert_eq!(changed.code, 3);
    assert!(!home.path().join("a.gguf").exists());
}

#[test]
fn what_a_format_cannot_express_is_refused_by_name() {
    let home = TempDir::new().unwrap();
    let dora = golden::dir("llama.dora");
    export(home.path(), &dora, "llama", "gguf", "a.gguf").fails(
        3,
        &format!(
            "error: adapter {}: DoRA rescales every row of the base, and an adapter file of \
             llama.cpp holds low-rank factors only\nhint: export it with --format merged and \
             convert the result, or train without train.dora\n",
            dora.display()
        ),
    );
    let qwen = golden::dir("qwen3.qv");
    let other = export(home.path(), &qwen, "llama", "gguf", "a.gguf");
    assert_eq!(other.code, 3, "{}", other.stderr);
    assert!(!home.path().join("a.gguf").exists());
    export(home.path(), &dora, "llama", "merged", "merged").succeeds();
    export(home.path(), &dora, "llama", "peft", "peft").succeeds();
}
