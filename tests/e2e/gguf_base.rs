//! A GGUF file as the base of a project: training, evaluation and packages are those of the
//! checkpoint that it was made from.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use openlora_package::{Manifest, manifest::Digest};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    gguf_files as writer,
    live::Live,
    serve_support::reply,
    support::{Run, openlora, with_own_mounts},
    tiny, waiting,
};

/// Two projects with the same data: on a folder, and on the same base in GGUF.
struct Projects {
    home: TempDir,
}

impl Projects {
    fn new() -> Self {
        let home = TempDir::new().unwrap();
        let dir = home.path();
        let draft = writer::nano(&tiny::base(dir));
        for (name, base) in [("folder", "../base"), ("file", "./model.gguf")] {
            let project = dir.join(name);
            tiny::labelled(&project, "train.jsonl", 0..40);
            tiny::labelled(&project, "test.jsonl", 40..56);
            let text = format!(
                "[project]\nname = \"tiny\"\n[base]\nid = \"{base}\"\n[[data]]\n\
                 path = \"train.jsonl\"\ncontributor = \"Ada\"\n[train]\nrank = 2\nbatch = 4\n\
                 max_len = 128\nepochs = 1\n[eval]\ndata = [\"test.jsonl\"]\n"
            );
            fs::write(project.join("openlora.toml"), text).unwrap();
        }
        fs::write(dir.join("file/model.gguf"), draft.bytes()).unwrap();
        Self { home }
    }

    fn project(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn run(&self, name: &str, line: &str) -> Run {
        openlora(&self.project(name))
            .args(line.split_whitespace())
            .run()
            .succeeds()
    }

    /// What the project's adapter says about a text in `chat`.
    fn chats(&self, name: &str, text: &str) -> String {
        let dir = self.project(name);
        fs::write(dir.join("typed"), text).unwrap();
        let mut command = openlora(&dir)
            .args(["chat", "--quant", "f32"])
            .into_command();
        command
            .stdin(fs::File::open(dir.join("typed")).unwrap())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let output = waiting::finished(command.spawn().unwrap());
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{told}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The labels that a server with this engine gives to a text.
    fn serves(&self, name: &str, engine: &str, text: &str) -> Value {
        let line = format!("serve --free --local --json --port 0 --quant f32 --engine {engine}");
        let server = Live::of(openlora(&self.project(name)).args(line.split_whitespace()));
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (mut labels, model) = runtime.block_on(async {
            let body = json!({ "model": "tiny", "input": text });
            let asked = client.post(format!("{}/v1/classify", server.url));
            let labels = reply(asked.json(&body)).await;
            assert_eq!(labels.status, 200, "{labels:?}");
            let model = reply(client.get(format!("{}/v1/models/tiny", server.url)));
            (labels.json(), model.await.json())
        });
        assert_eq!(server.drain().0, 0);
        assert!(
            model["engine"].as_str().unwrap().starts_with(engine),
            "{model}"
        );
        labels.as_object_mut().unwrap().remove("id");
        labels
    }

    fn json(&self, name: &str, line: &str) -> Value {
        serde_json::from_str(&self.run(name, line).stdout).unwrap()
    }
}

fn weights(adapter: &Path) -> Vec<u8> {
    fs::read(adapter.join("adapter_model.safetensors")).unwrap()
}

#[test]
fn a_project_on_a_gguf_file_is_the_same_as_on_its_checkpoint() {
    let projects = Projects::new();
    projects.run("folder", "train --out adapter");
    let trained = projects.run("file", "train --out adapter");
    let said = "converting model.gguf (BF16) once, to ";
    assert_eq!(
        trained.stderr.matches(said).count(),
        1,
        "{}",
        trained.stderr
    );
    let [folder, file] = ["folder", "file"].map(|name| projects.project(name).join("adapter"));
    assert_eq!(weights(&folder), weights(&file));

    let again = projects.run("file", "eval --json");
    assert!(!again.stderr.contains("converting"), "{}", again.stderr);
    let [expected, found] = ["folder", "file"].map(|name| projects.json(name, "eval --json"));
    assert_eq!(found["confusion"], expected["confusion"]);
    assert_eq!(found["accuracy"], expected["accuracy"]);

    projects.run("file", "package --unsigned --out package");
    let path = projects.project("file").join("model.gguf");
    let bytes = fs::read(&path).unwrap();
    let sha256 = Digest::hash_bytes(&bytes).to_string();
    let package = projects.project("file").join("package");
    let manifest = fs::read(package.join("openlora.json")).unwrap();
    let base = serde_json::to_value(Manifest::parse(&manifest).unwrap().base).unwrap();
    let tokenizer = Digest::hash_bytes(format!("{sha256}  model.gguf\n").as_bytes());
    assert_eq!(
        base,
        json!({
            "id": "model.gguf",
            "revision": null,
            "configSha256": sha256,
            "weights": [
                { "path": "model.gguf", "size": bytes.len(), "sha256": sha256 },
            ],
            "tokenizerSha256": tokenizer.to_string(),
            "architecture": "LlamaForCausalLM",
            "format": "GGUF BF16",
            "license": null,
            "gated": null,
        })
    );
    let readme = fs::read_to_string(package.join("README.md")).unwrap();
    assert!(
        readme.contains("for the base `model.gguf` (GGUF BF16)"),
        "{readme}"
    );

    // The name of the file is of no account, its content is.
    let renamed = projects.project("file").join("renamed.gguf");
    fs::rename(&path, &renamed).unwrap();
    let verified = projects.run("file", "verify package --base renamed.gguf");
    assert!(
        verified.stdout.contains("pass     base\n"),
        "{}",
        verified.stdout
    );
    let mut changed = bytes;
    *changed.last_mut().unwrap() ^= 1;
    fs::write(&renamed, changed).unwrap();
    let refused = openlora(&projects.project("file"))
        .args(["verify", "package", "--base", "renamed.gguf"])
        .run();
    assert_eq!(refused.code, 9, "{}", refused.stderr);
    assert!(
        refused.stdout.contains("FAIL     base "),
        "{}",
        refused.stdout
    );
}

/// Whoever talks to the adapter cannot tell what its base was read from.
#[test]
fn chat_and_both_engines_answer_from_a_gguf_file_as_from_its_checkpoint() {
    let projects = Projects::new();
    let (text, _) = tiny::row(41);
    let [folder, file] = ["folder", "file"].map(|name| {
        projects.run(name, "train --no-attribution");
        let served = ["native", "mistralrs"].map(|engine| projects.serves(name, engine, &text));
        (projects.chats(name, &text), served)
    });
    assert_eq!(file, folder);
    assert!(!folder.0.is_empty(), "chat said nothing");
}

#[cfg(target_os = "linux")]
#[test]
fn a_disk_without_room_is_noticed_before_anything_is_written() {
    let dir = TempDir::new().unwrap();
    let draft = writer::nano(&crate::paths::repository().join("assets/nano"));
    fs::write(dir.path().join("model.gguf"), draft.bytes()).unwrap();
    tiny::labelled(dir.path(), "train.jsonl", 0..8);
    let script = "mkdir -p home && mount -t tmpfs -o size=20m tmpfs home && \
                  { \"$0\" train --data train.jsonl --base model.gguf; code=$?; \
                  find home -name '*.safetensors'; exit $code; }";
    let run = with_own_mounts(dir.path(), script);
    assert_eq!((run.code, run.stdout.as_str()), (4, ""), "{}", run.stderr);
    let said = "model.gguf: converting it takes 75 MB in ";
    assert!(run.stderr.contains(said), "{}", run.stderr);
    let hint = " MB are free\nhint: free some space, or set OPENLORA_HOME to another disk\n";
    assert!(run.stderr.ends_with(hint), "{}", run.stderr);
}
