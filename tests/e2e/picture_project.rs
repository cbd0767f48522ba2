//! A project of pictures from its template to a verified package, as a creator types it, and what is
//! refused on the way.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use openlora_pictures::{Picture, ReadLimits, encode_png, read_picture};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    devnet_support::signal,
    sdk::{python, run, suite},
    support::{Run, openlora},
};

/// Few steps: what is tested is the way, and not the adapter.
const STEPS: &str = "6";

/// The template in a folder of its own.
struct Project {
    dir: TempDir,
}

impl Project {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        openlora(dir.path())
            .args(["init", "icons", "--template", "icons"])
            .run()
            .succeeds();
        Self { dir }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("icons")
    }

    fn run(&self, args: &[&str]) -> Run {
        self.command(args).run()
    }

    fn command(&self, args: &[&str]) -> crate::support::Invocation {
        let home = self.dir.path().join("home");
        openlora(&self.path())
            .env("OPENLORA_HOME", home.to_str().unwrap())
            .args(args.iter().copied())
    }

    fn json(&self, args: &[&str]) -> Value {
        let run = self.run(&[args, &["--json"]].concat()).succeeds();
        serde_json::from_str(&run.stdout).unwrap()
    }

    /// Replaces a text of the settings.
    fn set(&self, from: &str, to: &str) {
        let path = self.path().join("openlora.toml");
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.matches(from).count(), 1, "{from}");
        fs::write(path, text.replace(from, to)).unwrap();
    }

    fn train(&self) -> Value {
        self.json(&["train", "--max-steps", STEPS])
    }
}

#[test]
fn a_template_becomes_a_verified_package_of_pictures() {
    let project = Project::new();
    let checked = project.json(&["data", "check"]);
    assert_eq!(checked["ok"], true);
    assert_eq!(checked["task"]["kind"], "image");
    let parts = checked["parts"].as_array().unwrap();
    let rows: Vec<(&str, u64)> = parts
        .iter()
        .map(|part| {
            (
                part["name"].as_str().unwrap(),
                part["rows"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(rows, [("train", 120), ("valid", 12), ("test", 24)]);
    assert_eq!(parts[0]["pictures"]["smallest_side"], 64);
    assert_eq!(checked["duplicates"].as_array().unwrap().len(), 0);
    let shown = project.json(&["data", "preview", "--row", "2"]);
    assert_eq!(shown[0]["row"], 2);
    assert_eq!(shown[0]["file"], "data/inkwell_press/02.png");
    assert_eq!(shown[0]["contributor"], "Inkwell Press");
    let planned = project.json(&["train", "--plan"]);
    assert_eq!(
        (&planned["pictures"], &planned["side"]),
        (&120.into(), &64.into())
    );
    assert_eq!(planned["steps"], 960);
    let trained = project.train();
    assert_eq!(trained["steps"], 6);
    // Eight pictures a step, of 64 patches each.
    assert_eq!(trained["tokens"], 6 * 8 * 64);
    assert_eq!(trained["eval"]["pictures"], 24);
    assert!(trained["eval"]["base"]["loss"].as_f64().unwrap() > 0.0);
    let evaluated = project.json(&["eval", "--vs", "base"]);
    assert_eq!(evaluated["loss"], trained["eval"]["loss"]);
    let made = &evaluated["base"]["made"];
    assert_eq!(
        (&made["pictures"], &made["styled"]),
        (&24.into(), &24.into())
    );
    let package = project.json(&["package", "--unsigned"]);
    let package = PathBuf::from(package["package"].as_str().unwrap());
    let folder = package.to_str().unwrap();
    let verified = project.json(&["verify", folder]);
    assert_eq!(verified["ok"], true);
    let of = |name: &str| {
        let checks = verified["checks"].as_array().unwrap().iter();
        let check = checks.into_iter().find(|check| check["name"] == name);
        check.unwrap()["status"].as_str().unwrap().to_owned()
    };
    assert_eq!((of("base"), of("datasets")), ("pass".into(), "pass".into()));
    let manifest = fs::read(package.join("openlora.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(manifest["base"]["architecture"], "minit2i");
    assert_eq!(manifest["contributors"].as_array().unwrap().len(), 3);
    let stated = manifest["training"]["hyperparameters"].as_object().unwrap();
    assert!(
        stated.contains_key("rank") && !stated.contains_key("max_len"),
        "{stated:?}"
    );
    let samples = fs::read(package.join("samples.png")).unwrap();
    let samples = read_picture(&samples, &ReadLimits::default()).unwrap();
    assert_eq!((samples.width, samples.height), (4 * 68 - 4, 2 * 68 - 4));
    // A picture with one other pixel is another dataset.
    let picture = project.path().join("data/inkwell_press/01.png");
    change_a_pixel(&picture);
    let verified = project.run(&["verify", folder, "--json"]);
    let report: Value = serde_json::from_str(&verified.stdout).unwrap();
    assert_eq!(report["ok"], false, "{report}");
    assert!(
        verified.stdout.contains("data/inkwell_press has sha256"),
        "{report}"
    );
}

fn change_a_pixel(path: &Path) {
    let read = read_picture(&fs::read(path).unwrap(), &ReadLimits::default()).unwrap();
    let mut picture: Picture = read;
    picture.rgb[0] ^= 1;
    fs::write(path, encode_png(&picture, &[]).unwrap()).unwrap();
}

#[test]
fn python_reads_what_is_exported_for_diffusers() {
    let project = Project::new();
    let trained = project.train();
    let written = project.json(&["export", "--format", "diffusers", "--out", "for-diffusers"]);
    assert_eq!(written["files"][0], "pytorch_lora_weights.safetensors");
    let said = run(Command::new(python("packages"))
        .arg(suite("packages").join("suite.py"))
        .arg("diffusers")
        .arg(project.path().join("for-diffusers"))
        .arg(trained["adapter"].as_str().unwrap()));
    assert!(said.starts_with("diffusers 32 "), "{said}");
    for format in ["gguf", "merged"] {
        let refused = project.run(&["export", "--format", format, "--out", "other"]);
        assert_eq!(refused.code, 3, "{}", refused.stderr);
        let reason =
            format!("{format} is a form for bases that write text\nhint: use peft or diffusers");
        assert!(refused.stderr.contains(&reason), "{}", refused.stderr);
    }
}

#[test]
fn an_interrupted_training_on_pictures_is_resumed() {
    let project = Project::new();
    project.set("batch = 8", "batch = 8\ncheckpoint_every = 2");
    let line = ["train", "--max-steps", STEPS, "-v"];
    let mut child = project
        .command(&line)
        .into_command()
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    while !said.starts_with("step 2: saved ") {
        said.clear();
        assert_ne!(
            errors.read_line(&mut said).unwrap(),
            0,
            "the training ended early"
        );
    }
    signal(child.id(), "INT");
    let mut rest = String::new();
    while errors.read_line(&mut rest).unwrap() > 0 {}
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest}");
    let resumed = project.json(&["train", "--resume"]);
    let whole = project.train();
    let weights = |trained: &Value| {
        let adapter = Path::new(trained["adapter"].as_str().unwrap());
        fs::read(adapter.join("adapter_model.safetensors")).unwrap()
    };
    // The checkpoints' places are no part of the result.
    assert!(weights(&resumed) == weights(&whole), "the adapters differ");
}

#[test]
fn what_only_text_has_is_refused_by_name() {
    let project = Project::new();
    project.set("lr = 6e-3", "lr = 6e-3\nmax_len = 64\nloss = \"all\"");
    let file = project.path().join("openlora.toml");
    let refused = |args: &[&str]| {
        let run = project.run(args);
        assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{}", run.stderr);
        run.stderr.replace(file.to_str().unwrap(), "FILE")
    };
    let both = "error: no meaning for pictures: `train.max_len` (FILE:";
    for command in [&["train"][..], &["data", "check"], &["data", "preview"]] {
        let said = refused(command);
        assert!(said.starts_with(both), "{said}");
        assert!(said.contains("`train.loss` (FILE:"), "{said}");
        assert!(said.contains("\nhint: leave these settings out"), "{said}");
    }
    project.set("lr = 6e-3\nmax_len = 64\nloss = \"all\"", "lr = 6e-3");
    assert_eq!(
        refused(&["train", "--dropout", "0.1"]),
        "error: no meaning for pictures: `train.dropout` (--dropout)\nhint: leave these settings out; \
         they are for adapters that write text\n"
    );
    let text = project.run(&["train", "--base", "nano"]);
    assert_eq!(
        text.stderr,
        "error: the base nano writes text, expected one that makes pictures\nhint: for pictures, set \
         base.id to pico; for text, leave project.task = \"image\" out\n"
    );
    let split = project.run(&["data", "split", "--out", "parts"]);
    assert!(
        split
            .stderr
            .starts_with("error: `data split` divides files of text, and the data are folders"),
        "{}",
        split.stderr
    );
}

#[test]
fn damaged_folders_are_named_by_file_and_line() {
    let project = Project::new();
    let data = project.path().join("data");
    fs::write(data.join("inkwell_press/03.png"), b"GIF89a").unwrap();
    let metadata = data.join("lantern_works/metadata.jsonl");
    let text = fs::read_to_string(&metadata).unwrap();
    fs::write(&metadata, text.replacen("\"text\"", "\"txt\"", 1)).unwrap();
    let checked = project.run(&["data", "check", "--json"]);
    assert_eq!(checked.code, 3);
    let report: Value = serde_json::from_str(&checked.stdout).unwrap();
    let errors: Vec<&str> = report["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["message"].as_str().unwrap())
        .collect();
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(
        errors[0].starts_with("data/inkwell_press/03.png: "),
        "{errors:?}"
    );
    assert!(
        errors[1].starts_with("data/lantern_works/metadata.jsonl:1: "),
        "{errors:?}"
    );
    let trained = project.run(&["train"]);
    assert_eq!(trained.code, 3);
    assert!(trained.stderr.contains("03.png"), "{}", trained.stderr);
    assert!(!project.path().join("runs").join("latest").exists());
}
