//! The independent verifier, tests/oracles/rfc6962.py.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::waiting;

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracles/rfc6962.py")
}

/// What the verifier says of each question.
pub fn ask(questions: &[Value]) -> Vec<String> {
    let mut child = Command::new("python3")
        .arg("-B")
        .arg(script())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("python3 runs: install Python 3.10 or later");
    let lines: String = questions.iter().map(|it| format!("{it}\n")).collect();
    let mut input = child.stdin.take().unwrap();
    let writing = std::thread::spawn(move || input.write_all(lines.as_bytes()));
    let output = waiting::finished(child);
    writing.join().unwrap().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    let said = String::from_utf8(output.stdout).unwrap();
    let answers: Vec<String> = said.lines().map(str::to_owned).collect();
    assert_eq!(answers.len(), questions.len(), "{complaint}");
    answers
}

#[track_caller]
pub fn accepts(questions: &[Value]) {
    for (question, answer) in questions.iter().zip(ask(questions)) {
        assert_eq!(answer, "ok", "{question}");
    }
}

pub fn folder_question(vkey: &str, dir: &Path) -> Value {
    json!({ "check": "folder", "vkey": vkey, "dir": dir })
}
