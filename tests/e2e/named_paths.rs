//! Paths that the user names: what is expected of them, and one exit code for what leads nowhere.

use std::{fs, path::PathBuf};

use tempfile::TempDir;

use crate::support::openlora;

const FILE: &str = "file";
const FOLDER: &str = "folder";

/// A command line with `PATH`, and what it expects there.
struct NamedPath {
    line: &'static str,
    kind: &'static str,
    expected: &'static str,
}

const fn named(line: &'static str, kind: &'static str, expected: &'static str) -> NamedPath {
    NamedPath {
        line,
        kind,
        expected,
    }
}

const NAMED: &[NamedPath] = &[
    named("verify PATH", FOLDER, "a package"),
    named("deploy PATH", FOLDER, "a package"),
    #[cfg(target_os = "linux")]
    named("run --port 0 PATH", FOLDER, "an image layout or a package"),
    named("explore --verify PATH", FOLDER, "a package"),
    named(
        "audit tone --log http://127.0.0.1:9 --package PATH",
        FOLDER,
        "a package",
    ),
    named(
        "audit tone --log PATH --package folder",
        FOLDER,
        "a copy of a published log",
    ),
    named("claim --log PATH", FOLDER, "a copy of a published log"),
    named("eval PATH", FOLDER, "an adapter or a run"),
    named(
        "export PATH --format peft --out exported",
        FOLDER,
        "an adapter or a run",
    ),
    named("chat --adapter x=PATH", FOLDER, "an adapter or a run"),
    named(
        "serve --local --free --port 0 --adapter x=PATH",
        FOLDER,
        "an adapter or a run",
    ),
    named("dash --accessible --replay PATH", FILE, "a recording"),
    named(
        "dash --accessible --attach http://127.0.0.1:9 --token-file PATH",
        FILE,
        "an operator token",
    ),
    named("wallet new me --password-file PATH", FILE, "a password"),
    named(
        "wallet import me --from PATH --password-file file",
        FILE,
        "a private key or mnemonic",
    ),
    named("--config PATH config show", FILE, "a settings file"),
];

/// A folder with a file and a folder.
fn place() -> (TempDir, PathBuf) {
    let home = TempDir::new().unwrap();
    let dir = home.path().canonicalize().unwrap();
    fs::write(dir.join("file"), "text\n").unwrap();
    fs::create_dir(dir.join("folder")).unwrap();
    (home, dir)
}

#[test]
fn a_path_that_leads_nowhere_is_bad_input_for_every_command() {
    let (_home, dir) = place();
    for NamedPath {
        line,
        kind,
        expected,
    } in NAMED
    {
        let (other, found) = match *kind {
            FILE => ("folder", "a folder"),
            _ => ("file", "a file"),
        };
        for (name, found) in [
            ("nowhere", format!("no such {kind}")),
            (other, found.to_owned()),
        ] {
            let path = dir.join(name).display().to_string();
            let line = line.replace("PATH", &path);
            openlora(&dir)
                .args(line.split_whitespace())
                .run()
                .fails(3, &format!("error: {path}: {found}, expected {expected}\n"));
        }
        let line = line.replace("PATH", "");
        let run = openlora(&dir).args(line.split(' ')).run();
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{line}: {run:?}");
    }
}

#[test]
fn an_empty_name_is_no_name_of_a_run() {
    let (_home, dir) = place();
    for (line, argument) in [
        ("data check", "[FILE]..."),
        ("package", "[RUN]"),
        ("attribution build", "[RUN]"),
        ("attribution verify", "[RUN]"),
        ("attribution audit", "[RUN]"),
        ("train --resume", "--resume [<RUN>]"),
    ] {
        let run = openlora(&dir).args(line.split(' ')).args([""]).run();
        run.fails(
            2,
            &format!(
                "error: a value is required for '{argument}' but none was supplied\n\n\
                 For more information, try '--help'.\n"
            ),
        );
    }
}

#[test]
fn a_path_is_shown_with_a_name() {
    let (_home, dir) = place();
    let run = |line: &str| openlora(&dir).args(line.split_whitespace()).run();
    let refused = "error: .: a folder, expected a data file\n\
                   hint: name each file of the folder on its own; for pictures, set project.task to image and name folders of pictures alone\n";
    run("data preview .").fails(3, refused);
    run("data split . --out parts").fails(3, refused);
    let check = run("data check . folder/.");
    assert_eq!((check.code, check.stderr.as_str()), (3, ""));
    let (_, errors) = check.stdout.split_once("errors: ").unwrap();
    assert_eq!(
        errors,
        "2\n\
         \x20 .: a folder, expected a data file\n\
         \x20 folder: a folder, expected a data file\n\
         \x20   hint: name each file of the folder on its own; for pictures, set project.task to image and name folders of pictures alone\n"
    );
    run("train --data .").fails(
        3,
        &format!(
            "error: {}: a folder, expected a data file\n\
             hint: name each file of the folder on its own; for pictures, set project.task to image and name folders of pictures alone\n",
            dir.display()
        ),
    );
    let checks = [
        "safetensors",
        "config",
        "files",
        "model-signature",
        "eip712",
        "base",
        "datasets",
        "log",
        "chain",
    ];
    let skipped = checks.map(|name| format!("skipped  {name:<16} the structure is broken\n"));
    let verify = run("verify folder/.");
    assert_eq!((verify.code, verify.stderr.as_str()), (9, ""));
    assert_eq!(
        verify.stdout,
        format!(
            "FAIL     structure        {}/folder: it has no openlora.json, so it is not a package\n\
             {}do not use this package\n",
            dir.display(),
            skipped.concat()
        )
    );
}

#[test]
fn a_file_is_no_place_for_a_folder() {
    let (_home, dir) = place();
    for (line, expected) in [
        ("data split file --out file", "a folder for the parts"),
        ("demo --home file", "a folder for the demo"),
    ] {
        let path = dir.join("file");
        openlora(&dir).args(line.split_whitespace()).run().fails(
            3,
            &format!("error: {}: a file, expected {expected}\n", path.display()),
        );
    }
}

#[test]
fn a_base_is_a_folder_with_a_configuration() {
    let (_home, dir) = place();
    let rows = "{\"text\": \"one\"}\n{\"text\": \"two\"}\n";
    fs::write(dir.join("rows.jsonl"), rows).unwrap();
    let hint = "hint: use nano, the path of a GGUF file or of a folder with config.json, or an \
                id such as Qwen/Qwen3-0.6B\n";
    for (base, said) in [
        (
            "nowhere",
            "\"BASE\" is neither \"nano\", nor a folder, nor a Hub id",
        ),
        ("file", "BASE is neither a folder nor a GGUF file"),
        ("nowhere.gguf", "BASE: no such file"),
        ("folder", "BASE: no config.json, so it is no base model"),
    ] {
        let base = dir.join(base).display().to_string();
        let said = said.replace("BASE", &base);
        openlora(&dir)
            .args(["train", "--data", "rows.jsonl", "--base", &base])
            .run()
            .fails(3, &format!("error: {said}\n{hint}"));
    }
}
