//! `init`: projects from the templates in the binary.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use openlora::commands::init::TEMPLATES;
use serde_json::{Value, json};

use crate::paths::repository;
use crate::support::{openlora, with_own_mounts};

/// Every file below a folder by its path with `/`.
fn tree(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut pending = vec![dir.to_path_buf()];
    let mut found = BTreeMap::new();
    while let Some(next) = pending.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else {
                let name = path
                    .strip_prefix(dir)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .replace('\\', "/");
                found.insert(name, fs::read(path).unwrap());
            }
        }
    }
    found
}

#[test]
fn the_binary_carries_every_file_of_every_template() {
    let root = repository().join("templates");
    for template in TEMPLATES {
        let carried: BTreeMap<String, Vec<u8>> = template
            .files()
            .map(|(name, bytes)| (name, bytes.to_vec()))
            .collect();
        let mut stored = tree(&root.join(template.name));
        let ignore = stored.remove("gitignore").unwrap();
        stored.insert(".gitignore".to_owned(), ignore);
        let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&carried), names(&stored), "{}", template.name);
        assert!(carried == stored, "{}", template.name);
    }
    let mut folders: Vec<String> = fs::read_dir(&root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("openlora.toml").exists())
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    folders.sort_unstable();
    let mut names: Vec<&str> = TEMPLATES.iter().map(|template| template.name).collect();
    names.sort_unstable();
    assert_eq!(names, folders);
}

#[test]
fn every_template_becomes_a_project() {
    let dir = tempfile::tempdir().unwrap();
    for template in TEMPLATES {
        let run = openlora(dir.path())
            .args(["init", "--template", template.name])
            .run()
            .succeeds();
        let count = template.files().count();
        let name = template.name;
        assert_eq!(
            run.stdout,
            format!("{name}: {count} files of the template {name}\n")
        );
        assert_eq!(
            run.stderr,
            format!(
                "next:\n  cd {name} && openlora data check\n  openlora train\n  \
                 openlora deploy\n  openlora serve --local\n"
            )
        );
        let written = tree(&dir.path().join(name));
        let expected: BTreeMap<_, _> = template
            .files()
            .map(|(name, bytes)| (name, bytes.to_vec()))
            .collect();
        assert!(written == expected, "{name}");
    }
}

/// Every template for a larger base has settings for its size, and keeps what is said about data.
#[test]
fn a_template_is_written_for_a_base() {
    const BASE: &str = "HuggingFaceTB/SmolLM2-135M-Instruct";
    let dir = tempfile::tempdir().unwrap();
    for template in TEMPLATES.iter().filter(|template| template.base == "nano") {
        let name = template.name;
        let run = openlora(dir.path())
            .args(["init", "--template", name, "--base", BASE])
            .run()
            .succeeds();
        assert_eq!(
            run.stdout,
            format!(
                "{name}: {} files of the template {name}\nbase {BASE}, 135 million parameters: \
                 lr 0.001, batch 8, max_len 512, long rows are cut\n",
                template.files().count()
            )
        );
        assert_eq!(
            run.stderr,
            format!(
                "next:\n  cd {name} && openlora data check\n  openlora train --plan\n  \
                 openlora train\n  openlora deploy\n  openlora serve --local\n"
            )
        );
        let written = tree(&dir.path().join(name));
        let table =
            |bytes: &[u8]| -> toml::Table { std::str::from_utf8(bytes).unwrap().parse().unwrap() };
        let found = table(&written["openlora.toml"]);
        let mut stored = template.files();
        let (_, plain) = stored.find(|(file, _)| file == "openlora.toml").unwrap();
        let mut expected = table(plain);
        expected["base"]["id"] = BASE.into();
        let train = expected["train"].as_table_mut().unwrap();
        for (key, value) in [("batch", 8), ("accumulate", 2), ("max_len", 512)] {
            train.insert(key.into(), value.into());
        }
        train.insert("lr".into(), 1e-3.into());
        train.insert("on_long".into(), "truncate".into());
        let epochs = train["epochs"].as_integer().unwrap().min(3);
        train.insert("epochs".into(), epochs.into());
        if let Some(serve) = expected.get_mut("serve") {
            serve["temperature"] = 0.7.into();
        }
        assert_eq!(found, expected, "{name}");
        let readme = String::from_utf8(written["README.md"].clone()).unwrap();
        let lines: Vec<&str> = readme.lines().collect();
        assert!(lines.contains(&"openlora train"), "{name}");
        // The settings are read back.
        let shown = openlora(&dir.path().join(name))
            .args(["config", "get", "train.on_long"])
            .run()
            .succeeds();
        assert_eq!(shown.stdout, "truncate\n");
    }
}

#[test]
fn a_base_that_is_a_path_is_named_by_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let golden = crate::golden::dir("llama");
    let run = openlora(dir.path())
        .args(["init", "project", "--template", "blank", "--json"])
        .args(["--base", golden.to_str().unwrap()])
        .run()
        .succeeds();
    let said: Value = serde_json::from_str(&run.stdout).unwrap();
    let place = golden.canonicalize().unwrap();
    assert_eq!(said["base"]["id"], json!(place));
    assert!(said["base"]["parameters"].as_u64().unwrap() > 0);
    let run = openlora(&dir.path().join("project"))
        .args(["data", "check"])
        .run();
    run.succeeds();
    openlora(dir.path())
        .args(["init", "other", "--template", "blank", "--base", "no.gguf"])
        .run()
        .fails(
            3,
            "error: no.gguf: no such file\n\
             hint: use nano, the path of a GGUF file or of a folder with config.json, or an id such \
             as Qwen/Qwen3-0.6B\n",
        );
    assert!(!dir.path().join("other").exists());
}

#[test]
fn an_empty_folder_is_filled_in_place() {
    let dir = tempfile::tempdir().unwrap();
    let run = openlora(dir.path())
        .args(["init", ".", "--template", "blank", "--json"])
        .run();
    let said: Value = serde_json::from_str(&run.succeeds().stdout).unwrap();
    let files = [
        "README.md",
        "data/example.jsonl",
        ".gitignore",
        "openlora.toml",
    ];
    assert_eq!(
        said,
        json!({ "dir": ".", "template": "blank", "files": files })
    );
    let mut expected = files.to_vec();
    expected.sort_unstable();
    assert_eq!(tree(dir.path()).into_keys().collect::<Vec<_>>(), expected);
}

#[test]
fn a_template_keeps_to_the_kind_of_its_base() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |template: &str, base: &str| {
        let line = ["init", "--template", template, "--base", base];
        openlora(dir.path()).args(line).run().stderr
    };
    assert_eq!(
        refused("icons", "nano"),
        "error: the template `icons` is written for the base `pico`, not nano\nhint: leave --base out, \
         and set base.id in its openlora.toml to another base that makes pictures\n"
    );
    assert_eq!(
        refused("sentiment", "pico"),
        "error: the base pico makes pictures, expected one that writes text\nhint: for pictures, set \
         project.task to image; for text, choose another base, such as nano\n"
    );
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    openlora(dir.path())
        .args(["init", "--template", "icons", "--base", "pico"])
        .run()
        .succeeds();
}

#[test]
fn the_templates_are_listed() {
    let dir = tempfile::tempdir().unwrap();
    let run = openlora(dir.path())
        .args(["init", "--list"])
        .run()
        .succeeds();
    assert_eq!(
        run.stdout,
        "sentiment  classifies crypto posts as negative, neutral or positive\n\
         filter     sorts forum posts into allowed, spam, scam and abuse\n\
         chat       answers in the voice of a persona\n\
         icons      makes pictures of icons in the styles of three studios\n\
         blank      an empty project with every setting explained\n"
    );
    let run = openlora(dir.path())
        .args(["init", "--list", "--json"])
        .run()
        .succeeds();
    let listed: Vec<Value> = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(
        listed[4],
        json!({ "name": "blank", "about": "an empty project with every setting explained" })
    );
    assert_eq!(listed.len(), TEMPLATES.len());
}

#[test]
fn what_is_there_is_never_mixed_with_a_project() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("full")).unwrap();
    fs::write(dir.path().join("full/note"), "mine").unwrap();
    let init = |args: &[&str]| {
        openlora(dir.path())
            .args(["init"].into_iter().chain(args.iter().copied()))
            .run()
    };
    init(&["full", "--template", "blank"]).fails(
        2,
        "error: full is not empty\n\
         hint: name a folder that does not exist yet, or an empty one\n",
    );
    init(&["full/note", "--template", "blank"]).fails(
        2,
        "error: full/note is a file\nhint: name a folder that does not exist yet\n",
    );
    init(&["--template", "sentimant"]).fails(
        2,
        "error: no template `sentimant`, expected one of sentiment, filter, chat, icons, blank\n\
         hint: did you mean `sentiment`?\n",
    );
    init(&["--template", "poetry"]).fails(
        2,
        "error: no template `poetry`, expected one of sentiment, filter, chat, icons, blank\n\
         hint: `openlora init --list` says what each is for\n",
    );
    init(&["--template", "icons", "--base", "Qwen/Qwen3-0.6B"]).fails(
        2,
        "error: the template `icons` is written for the base `pico`, not Qwen/Qwen3-0.6B\n\
         hint: leave --base out, and set base.id in its openlora.toml to another base that makes pictures\n",
    );
    assert_eq!(
        tree(dir.path()).into_keys().collect::<Vec<_>>(),
        ["full/note"]
    );
}

/// A limit on file sizes stands for a disk that fills up half-way.
#[cfg(unix)]
#[test]
fn a_disk_that_fills_up_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("empty")).unwrap();
    for (to, made) in [("new/project", "new"), ("empty", "empty")] {
        let run = std::process::Command::new("sh")
            .args([
                "-c",
                "trap '' XFSZ; ulimit -f 40; exec \"$0\" init \"$1\" --template sentiment",
            ])
            .arg(crate::support::binary())
            .arg(to)
            .current_dir(dir.path())
            .env("OPENLORA_HOME", dir.path().join("home"))
            .output()
            .unwrap();
        assert_eq!(run.status.code(), Some(4), "{run:?}");
        assert_eq!(
            String::from_utf8(run.stderr).unwrap(),
            format!("error: cannot write {to}/data/council_letters.jsonl: file too large\n")
        );
        assert!(
            fs::read_dir(dir.path().join(made))
                .unwrap()
                .next()
                .is_none()
        );
    }
}

/// The same on a real full disk.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let script = "mkdir disk && mount -t tmpfs -o size=64k tmpfs disk && \
                  { \"$0\" init disk/project --template sentiment; code=$?; ls -A disk; exit $code; }";
    with_own_mounts(dir.path(), script).fails(
        4,
        "error: cannot write disk/project/data/harbor_forum.jsonl: no space left on device\n\
         hint: free some space on that disk, then run the same command again\n",
    );
}
