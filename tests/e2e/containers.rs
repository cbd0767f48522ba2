//! Images of packages, and `run`: an adapter answers out of a jail whose limits are read back.
//!
//! Needs permission to make user namespaces, and prlimit of util-linux.
#![cfg(target_os = "linux")]

use std::{path::Path, process::Command};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    live::{Live, golden, write_adapters},
    serve_support::reply,
    support::{Run, binary, openlora},
    waiting,
};

const EPOCH: &str = "1700000000";

/// The largest image without a base, in bytes.
const LARGEST: u64 = 60_000_000;

/// A home with a package of the adapter `persona` and an image of it.
fn packaged() -> (TempDir, Value) {
    let home = tempfile::tempdir().unwrap();
    write_adapters(home.path());
    let report = image(home.path(), "pkg");
    (home, report)
}

fn image(home: &Path, out: &str) -> Value {
    let base = golden("llama").display().to_string();
    let package = ["package", "--adapter", "persona", "--base", &base];
    let more = ["--unsigned", "--out", out, "--image", "--json"];
    let made = openlora(home)
        .args(package.into_iter().chain(more))
        .env("SOURCE_DATE_EPOCH", EPOCH)
        .run()
        .succeeds();
    serde_json::from_str(&made.stdout).unwrap()
}

#[test]
fn an_image_is_small_and_the_same_each_time() {
    let (home, report) = packaged();
    let image = &report["image"];
    let size = image["size"].as_u64().unwrap();
    assert!(size <= LARGEST, "{image:#}");
    let contents: Vec<&str> = image["layers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|layer| layer["content"].as_str().unwrap())
        .collect();
    assert_eq!(contents[1..], ["program", "package"]);
    let place = home.path().join("pkg-image");
    assert_eq!(image["image"], json!(place));
    let again = self::image(home.path(), "other");
    assert_eq!(again["image"]["digest"], image["digest"]);
}

fn start(home: &Path, target: &str, more: &[&str]) -> Live {
    let base = golden("llama").display().to_string();
    let run = ["run", target, "--base", &base, "--port", "0", "--json"];
    let limits = ["--runtime", "builtin", "--memory", "768MiB", "--cpus", "1"];
    let arguments = run.into_iter().chain(limits).chain(more.iter().copied());
    Live::of(openlora(home).args(arguments))
}

/// Each limit with what was read back, and whether it is in force.
fn limits(ready: &Value) -> Vec<(String, String, bool)> {
    let limits = ready["limits"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    limits
        .iter()
        .map(|it| {
            (
                text(&it["limit"]),
                text(&it["found"]),
                it["in_force"].as_bool().unwrap(),
            )
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_and_its_image_answer_out_of_the_jail() {
    let (home, report) = packaged();
    let mut answers = Vec::new();
    for target in ["pkg", "pkg-image"] {
        let container = start(home.path(), target, &[]);
        let ready = &container.ready;
        assert_eq!(
            (&ready["adapter"], &ready["runtime"]),
            (&json!("persona"), &json!("builtin"))
        );
        let digest = match target {
            "pkg" => Value::Null,
            _ => report["image"]["digest"].clone(),
        };
        assert_eq!(ready["image"], digest);
        let expected = [
            ("memory", "768MiB"),
            ("cpus", "1"),
            ("pids", "256"),
            ("open-files", "4096"),
            ("core-dumps", "0"),
            ("network", "denied"),
            ("read-only-root", "denied"),
            ("user", "65534:65534"),
            ("capabilities", "none"),
            ("no-new-privileges", "on"),
            ("namespaces", "own user, mnt, pid, net, ipc, uts"),
            ("landlock", "denied"),
            ("seccomp", "denied"),
        ];
        let expected = expected.map(|(name, found)| (name.to_owned(), found.to_owned(), true));
        assert_eq!(limits(ready), expected);
        let client = reqwest::Client::new();
        let body = json!({
            "model": "persona", "temperature": 0, "max_tokens": 8,
            "messages": [{ "role": "user", "content": "hello" }],
        });
        let url = format!("{}/v1/chat/completions", container.url);
        let answer = reply(client.post(url).json(&body)).await;
        assert_eq!(answer.status, 200);
        answers.push(answer.json()["choices"][0]["message"]["content"].clone());
        let (code, rest, _) = container.drain();
        assert_eq!((code, rest.as_str()), (0, ""));
    }
    assert_eq!(answers[0], answers[1]);
    // Nothing of the containers stays.
    let cache = std::fs::read_dir(home.path().join("home/cache")).unwrap();
    let left = cache.map(|it| it.unwrap().file_name().into_string().unwrap());
    let left: Vec<String> = left.filter(|it| it.starts_with("container-")).collect();
    assert_eq!(left, Vec::<String>::new());
}

/// Where a process may not have as many descriptors as the container is to have.
#[test]
fn a_limit_that_cannot_be_enforced_is_exit_4() {
    let (home, _) = packaged();
    let base = golden("llama").display().to_string();
    let mut command = Command::new("prlimit");
    command
        .arg("--nofile=1024:1024")
        .arg(binary())
        .args(["run", "pkg", "--base", &base, "--port", "0"])
        .args(["--runtime", "builtin"])
        .current_dir(home.path())
        .env("OPENLORA_HOME", home.path().join("home"));
    let output = waiting::output(&mut command);
    let run = Run {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    };
    run.fails(
        4,
        "error: cannot start the jail: limit open files: operation not permitted\n\
         hint: to run without that limit, add --waive open-files\n",
    );
}

#[test]
fn what_is_no_limit_and_no_image_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let run = openlora(home.path())
        .args(["run", "pkg", "--waive", "all"])
        .run();
    assert_eq!(run.code, 2, "{}", run.stderr);
    let run = openlora(home.path())
        .args(["run", "pkg", "--memory", "1"])
        .run();
    assert_eq!(run.code, 2, "{}", run.stderr);
    let place = home.path().join("pkg");
    openlora(home.path())
        .args(["run", "pkg", "--port", "0"])
        .run()
        .fails(
            3,
            &format!(
                "error: {}: no such folder, expected an image layout or a package\n",
                place.display()
            ),
        );
    std::fs::create_dir(&place).unwrap();
    openlora(home.path())
        .args(["run", "pkg", "--port", "0"])
        .run()
        .fails(
            3,
            &format!(
                "error: {}: it has no openlora.json, so it is not a package\n\
                 hint: do not use it; ask its publisher for the package again\n",
                place.display()
            ),
        );
}
