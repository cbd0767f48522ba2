//! The unmodified OpenAI SDKs against the real binary.
//!
//! Each SDK is installed once per set of pinned versions, into the target directory.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use sha2::{Digest, Sha256};

use crate::paths::repository;
use crate::{
    live::{Live, write_adapters},
    waiting,
};

/// The folder of a suite's scripts and pins.
pub fn suite(name: &str) -> PathBuf {
    repository().join("tests/sdk").join(name)
}

/// Runs to the end and returns stdout; failing says everything.
pub fn run(command: &mut Command) -> String {
    let output = waiting::output(command);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{command:?} failed:\n{out}\n{err}");
    out
}

/// A folder for what `pins` name; `install` fills it once, whoever else wants it waits.
pub fn installed(kind: &str, pins: &Path, install: impl FnOnce(&Path)) -> PathBuf {
    let digest = hex::encode(Sha256::digest(std::fs::read(pins).unwrap()));
    let folder =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("sdk-{kind}-{}", &digest[..16]));
    let stamp = folder.join("installed");
    std::fs::create_dir_all(&folder).unwrap();
    // Tests of one process, or of two, may want the same folder at the same time.
    let lock = std::fs::File::create(folder.with_extension("lock")).unwrap();
    lock.lock().unwrap();
    if !stamp.exists() {
        install(&folder);
        std::fs::write(&stamp, "").unwrap();
    }
    folder
}

/// The interpreter of an environment with what a suite's `requirements.txt` pins.
pub fn python(name: &str) -> PathBuf {
    let pins = suite(name).join("requirements.txt");
    let folder = installed(&format!("{name}-python"), &pins, |folder| {
        run(Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(folder));
        let pip = folder.join("bin/pip");
        run(Command::new(pip)
            .args(["install", "--quiet", "--no-input", "-r"])
            .arg(&pins));
    });
    folder.join("bin/python")
}

/// A folder with what a suite's `package-lock.json` pins.
pub fn javascript(name: &str) -> PathBuf {
    let pins = suite(name).join("package-lock.json");
    installed(&format!("{name}-js"), &pins, |folder| {
        for file in ["package.json", "package-lock.json"] {
            std::fs::copy(suite(name).join(file), folder.join(file)).unwrap();
        }
        run(Command::new("npm")
            .args(["ci", "--no-audit", "--no-fund"])
            .current_dir(folder));
    })
}

#[test]
fn the_python_sdk_works_unmodified() {
    let python = python("python");
    let home = tempfile::tempdir().unwrap();
    write_adapters(home.path());
    let server = Live::start(home.path(), 0);
    let script = suite("python").join("suite.py");
    let said = run(Command::new(python)
        .arg(script)
        .args([&server.url, "persona", "filter"]));
    let expected = [
        "models",
        "whole_chat",
        "streamed_chat",
        "broken_off_stream",
        "logprobs",
        "text_completion",
        "moderation",
        "errors",
        "idempotency",
        "parallel",
    ];
    assert_eq!(said, expected.map(|name| format!("ok {name}\n")).concat());
    assert_eq!(server.drain().0, 0);
}

#[test]
fn the_javascript_sdk_works_unmodified() {
    let folder = javascript("js");
    let home = tempfile::tempdir().unwrap();
    write_adapters(home.path());
    let server = Live::start(home.path(), 0);
    // Modules resolve from the script's own folder.
    let script = folder.join("suite.mjs");
    std::fs::copy(suite("js").join("suite.mjs"), &script).unwrap();
    let said = run(Command::new("node")
        .arg(script)
        .args([&server.url, "persona", "filter"]));
    let expected = [
        "models",
        "wholeChat",
        "streamedChat",
        "brokenOffStream",
        "streamHelper",
        "textCompletion",
        "moderation",
        "errors",
        "idempotency",
        "parallel",
    ];
    assert_eq!(said, expected.map(|name| format!("ok {name}\n")).concat());
    assert_eq!(server.drain().0, 0);
}
