//! The real binary serving the tiny llama of `tests/data/golden` with two adapters: `persona`
//! talks, `filter` is a content filter.

use std::{
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    thread::JoinHandle,
};

use openlora_model::{BaseModel, adapter::TaskCard, dataset::Task};
use serde_json::Value;

use crate::paths::repository;
use crate::support::{Invocation, openlora};
use crate::waiting;

/// Where the golden vectors are.
pub fn golden(name: &str) -> PathBuf {
    repository().join("tests/data/golden").join(name)
}

/// Copies two golden adapters into `dir` and gives them task cards.
pub fn write_adapters(dir: &Path) {
    let base = BaseModel::open_dir("llama", &golden("llama")).unwrap();
    let filter = Task::Classify {
        labels: ["allowed", "spam", "scam"].map(str::to_owned).to_vec(),
        instruction: "name it".to_owned(),
    };
    let chat = Task::Chat { instruction: None };
    for (name, from, task) in [
        ("persona", "llama.all-linear", chat),
        ("filter", "llama.rslora", filter),
    ] {
        let to = dir.join(name);
        std::fs::create_dir_all(&to).unwrap();
        for file in ["adapter_config.json", "adapter_model.safetensors"] {
            std::fs::copy(golden(from).join(file), to.join(file)).unwrap();
        }
        let card = TaskCard {
            name: name.to_owned(),
            task,
            base_id: "llama".to_owned(),
            base_digest: base.digest.clone(),
            rows: None,
        };
        let text = serde_json::to_string(&card).unwrap();
        std::fs::write(to.join("openlora_task.json"), text).unwrap();
    }
}

/// The arguments that serve on a base, with its exact weights.
pub fn serve_on<'a>(base: &'a str, port: &'a str) -> [&'a str; 7] {
    ["serve", "--port", port, "--base", base, "--quant", "f32"]
}

/// The arguments that serve both adapters.
pub fn serve_args(port: u16) -> Vec<String> {
    let base = golden("llama").display().to_string();
    let port = port.to_string();
    let more = [
        "--local",
        "--free",
        "--json",
        "--adapter",
        "persona=persona",
        "--adapter",
        "filter=filter",
    ];
    let args = serve_on(&base, &port).into_iter().chain(more);
    args.map(str::to_owned).collect()
}

/// A running server process.
pub struct Live {
    child: Child,
    stdout: BufReader<ChildStdout>,
    stderr: Option<JoinHandle<String>>,
    pub url: String,
    pub port: u16,
    /// The line that told where it is.
    pub ready: Value,
}

impl Live {
    /// Starts a server in `dir` and returns once it is ready.
    pub fn start(dir: &Path, port: u16) -> Self {
        let args = serve_args(port);
        Self::of(openlora(dir).args(args.iter().map(String::as_str)))
    }

    /// Runs `serve --json` and returns once it is ready.
    pub fn of(serve: Invocation) -> Self {
        Self::run(serve.into_command(), "url")
    }

    /// The same for another program, whose first line has its address under `field`.
    pub fn named(program: Invocation, field: &str) -> Self {
        Self::run(program.into_command(), field)
    }

    /// The same for a prepared command.
    pub fn of_command(command: Command, field: &str) -> Self {
        Self::run(command, field)
    }

    /// The same with so many file descriptors, and no more to be had.
    pub fn start_within(dir: &Path, files: usize) -> Self {
        let args = serve_args(0);
        let whole = openlora(dir)
            .args(args.iter().map(String::as_str))
            .into_command();
        let mut command = Command::new("sh");
        command.env_clear();
        let limited = format!("ulimit -n {files} && exec \"$0\" \"$@\"");
        command.arg("-c").arg(limited).arg(whole.get_program());
        command.args(whole.get_args());
        for (name, value) in whole.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if let Some(dir) = whole.get_current_dir() {
            command.current_dir(dir);
        }
        Self::run(command, "url")
    }

    fn run(mut command: Command, field: &str) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = child.stderr.take().unwrap();
        // Read on, so that the server never waits for a full pipe.
        let stderr = std::thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).unwrap();
            text
        });
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        if line.is_empty() {
            panic!("the server ended: {}", stderr.join().unwrap());
        }
        let ready: Value = serde_json::from_str(&line).unwrap();
        let url = ready[field].as_str().unwrap().to_owned();
        let port = url.rsplit(':').next().unwrap().trim_end_matches("/v1");
        let port = port.parse().unwrap();
        Self {
            child,
            stdout,
            stderr: Some(stderr),
            url,
            port,
            ready,
        }
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let done = Command::new("kill")
            .args([&format!("-{name}"), &id])
            .status()
            .unwrap();
        assert!(done.success());
    }

    /// Ends it without warning and waits until it is gone.
    pub fn kill(mut self) {
        self.signal("KILL");
        waiting::ended("the server", &mut self.child);
    }

    /// Drains it; returns the exit code, what else it wrote to stdout, and stderr.
    pub fn drain(mut self) -> (i32, String, String) {
        self.signal("TERM");
        self.wait()
    }

    pub fn wait(&mut self) -> (i32, String, String) {
        let code = waiting::ended("the server", &mut self.child).code();
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        let code = code.unwrap_or(-1);
        (code, rest, self.stderr.take().unwrap().join().unwrap())
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        // Usually gone already; a failed test must not leave a server behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
