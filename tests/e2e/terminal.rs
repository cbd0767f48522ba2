//! Running the real binary at a terminal of its own, where answers are typed.

use std::{path::Path, process::Command};

use crate::{paths::repository, support::openlora, waiting};

/// What is typed when a prompt appears.
#[derive(Clone, Copy)]
pub enum Typed<'a> {
    /// Once the terminal has stopped showing what is typed.
    Secret {
        prompt: &'a str,
        text: &'a str,
    },
    Line {
        prompt: &'a str,
        text: &'a str,
    },
}

pub fn secret<'a>(prompt: &'a str, text: &'a str) -> Typed<'a> {
    Typed::Secret { prompt, text }
}

pub fn line<'a>(prompt: &'a str, text: &'a str) -> Typed<'a> {
    Typed::Line { prompt, text }
}

/// Runs a command line; returns the exit code and all that the terminal showed.
pub fn at_a_terminal(home: &Path, args: &[&str], typed: &[Typed<'_>]) -> (i32, String) {
    let script = repository().join("tests/data/terminal.py");
    let prepared = openlora(home).into_command();
    let mut python = Command::new("python3");
    let settings = prepared.get_envs();
    python
        .arg(script)
        .current_dir(prepared.get_current_dir().unwrap())
        .envs(settings.filter_map(|(name, value)| Some((name, value?))));
    for answer in typed {
        match answer {
            Typed::Secret { prompt, text } => python.args(["--secret", prompt, text]),
            Typed::Line { prompt, text } => python.args(["--line", prompt, text]),
        };
    }
    python
        .arg("--")
        .arg(env!("CARGO_BIN_EXE_openlora"))
        .args(["--color", "never"])
        .args(args);
    let output = waiting::output(&mut python);
    let shown = String::from_utf8(output.stdout).unwrap();
    (output.status.code().unwrap(), shown.replace("\r\n", "\n"))
}
