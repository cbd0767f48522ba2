//! llama.cpp's programs: `llama-bench` for one stream, `llama-server` for several.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::BenchSettings;

/// The folder of llama.cpp's programs, if they are not on the path.
const FOLDER: &str = "LLAMA_CPP_BIN";
/// How long the server may load its model, and the pause between two looks.
const STARTUP: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(50);
/// Tokens of a slot: prompt and answer.
const SLOT: usize = 256;

fn program(name: &str) -> PathBuf {
    let folders = match std::env::var_os(FOLDER) {
        Some(folder) => vec![PathBuf::from(folder)],
        None => {
            let path = std::env::var_os("PATH").unwrap_or_default();
            std::env::split_paths(&path).collect()
        }
    };
    let mut files = folders.iter().map(|folder| folder.join(name));
    files.find(|file| file.is_file()).unwrap_or_else(|| {
        panic!(
            "no {name}: install llama.cpp (https://github.com/ggml-org/llama.cpp), and put its \
             programs on the path or name their folder in {FOLDER}"
        )
    })
}

/// Tokens per second of one stream.
pub struct SingleRates {
    pub prompt: f64,
    pub decode: f64,
}

/// One run of `llama-bench`, which warms up by itself.
pub fn llama_bench(settings: &BenchSettings) -> SingleRates {
    let output = Command::new(program("llama-bench"))
        .arg("-m")
        .arg(&settings.model)
        .args(["-p", &settings.prompt.to_string()])
        .args(["-n", &settings.tokens.to_string()])
        .args(["-t", &settings.threads.to_string()])
        .args(["-r", "1", "-o", "json"])
        .stderr(Stdio::null())
        .output()
        .expect("llama-bench starts");
    let tests: Value = serde_json::from_slice(&output.stdout).expect("llama-bench prints JSON");
    let rate = |test: usize| tests[test]["avg_ts"].as_f64().expect("a rate");
    SingleRates {
        prompt: rate(0),
        decode: rate(1),
    }
}

/// A running `llama-server`; it ends when dropped.
pub struct LlamaServer {
    pub streams: usize,
    child: Child,
    port: u16,
}

impl LlamaServer {
    /// Starts the server on `model` with a slot for each stream, all with the same adapter.
    pub fn start(model: &Path, adapter: &Path, streams: usize, threads: usize) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr());
        let port = free.expect("a free port").port();
        let child = Command::new(program("llama-server"))
            .arg("-m")
            .arg(model)
            .arg("--lora")
            .arg(adapter)
            .args(["--host", "127.0.0.1", "--port", &port.to_string()])
            .args(["-np", &streams.to_string()])
            .args(["-c", &(streams * SLOT).to_string()])
            .args(["-t", &threads.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("llama-server starts");
        let mut server = Self {
            streams,
            child,
            port,
        };
        server.wait_until_ready();
        server
    }

    #[allow(
        clippy::disallowed_methods,
        reason = "another program tells that it is ready only when asked"
    )]
    fn wait_until_ready(&mut self) {
        let begun = Instant::now();
        while begun.elapsed() < STARTUP {
            let ended = self.child.try_wait().expect("its state");
            assert!(ended.is_none(), "llama-server ended: {ended:?}");
            if self
                .ask("GET", "/health", "")
                .is_ok_and(|it| it["status"] == "ok")
            {
                return;
            }
            std::thread::sleep(PAUSE);
        }
        panic!("llama-server was not ready within {STARTUP:?}");
    }

    /// Tokens per second of all answers. The prompts are computed before.
    pub fn rate(&self, prompts: &[String], tokens: usize) -> f64 {
        self.answer_all(prompts, 1);
        let start = Instant::now();
        let answered = self.answer_all(prompts, tokens);
        assert_eq!(answered, prompts.len() * tokens, "tokens of llama-server");
        answered as f64 / start.elapsed().as_secs_f64()
    }

    /// Answers each prompt in a slot of its own; the number of tokens.
    fn answer_all(&self, prompts: &[String], tokens: usize) -> usize {
        let answer = |slot: usize, prompt: &str| {
            let body = json!({
                "prompt": prompt, "n_predict": tokens, "id_slot": slot, "ignore_eos": true,
                "cache_prompt": true, "temperature": 0,
            });
            let answer = self.ask("POST", "/completion", &body.to_string());
            let answer = answer.expect("llama-server answers");
            let count = answer["tokens_predicted"].as_u64();
            count.unwrap_or_else(|| panic!("llama-server: {answer}")) as usize
        };
        std::thread::scope(|scope| {
            let calls = prompts.iter().enumerate();
            let calls = calls.map(|(slot, prompt)| scope.spawn(move || answer(slot, prompt)));
            let calls: Vec<_> = calls.collect();
            let counts = calls.into_iter().map(|call| call.join().expect("a call"));
            counts.sum()
        })
    }

    /// A request on a connection of its own.
    fn ask(&self, method: &str, path: &str, body: &str) -> std::io::Result<Value> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        serde_json::from_str(body).map_err(std::io::Error::from)
    }
}

impl Drop for LlamaServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
