//! The same calls to llama.cpp's server, on the same weights.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use futures::future::join_all;
use reqwest::{Client, Response};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    process::{Child, Command},
};

use super::{BenchLoad, BenchRow, BenchTimes, resident_memory};
use openlora_core::error::{ExitClass, Failure, describe_io};

const PROGRAM: &str = "llama-server";

/// How long the program may load its model, and the pause between two looks.
const STARTUP: Duration = Duration::from_secs(300);
const PAUSE: Duration = Duration::from_millis(100);

/// The program on the path, if it is there.
pub fn find_peer() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(PROGRAM))
        .find(|file| file.is_file())
}

/// A running llama.cpp server; it ends when dropped.
pub struct PeerServer {
    child: Child,
    client: Client,
    url: String,
}

impl PeerServer {
    /// Starts the program on the weights in a GGUF file, with room for so many calls.
    ///
    /// # Errors
    ///
    /// It cannot be started, or it does not become ready.
    pub async fn start(program: &Path, weights: &Path, load: BenchLoad) -> Result<Self, Failure> {
        let port = free_port().await?;
        // Prompts are longer than they are meant to be where another tokenizer counts them.
        let context = load.streams * (2 * load.prompt_tokens + load.answer_tokens + 64);
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let spawned = Command::new(program)
            .arg("-m")
            .arg(weights)
            .args(["--host", "127.0.0.1", "--port", &port.to_string()])
            .args(["-np", &load.streams.to_string()])
            .args(["-c", &context.to_string()])
            .args(["-t", &threads.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        let child = spawned.map_err(|error| {
            let message = format!(
                "cannot start {}: {}",
                program.display(),
                describe_io(&error)
            );
            Failure::new(ExitClass::Environment, message)
        })?;
        // The server closes connections that were idle for seconds, and a request on one is lost.
        let client = Client::builder().no_proxy().pool_max_idle_per_host(0);
        let client = client.build().map_err(|error| {
            let message = format!("cannot make an HTTP client: {error}");
            Failure::new(ExitClass::Internal, message)
        })?;
        let url = format!("http://127.0.0.1:{port}");
        let mut peer = Self { child, client, url };
        peer.wait_until_ready().await?;
        Ok(peer)
    }

    async fn wait_until_ready(&mut self) -> Result<(), Failure> {
        let unready = |how: &str| {
            let message = format!("{PROGRAM} {how}");
            Failure::new(ExitClass::Environment, message)
                .with_hint("try it by itself with the same file: llama-server -m FILE")
        };
        let begun = Instant::now();
        while begun.elapsed() < STARTUP {
            if let Ok(Some(_)) = self.child.try_wait() {
                return Err(unready("ended before it was ready"));
            }
            let health = self.client.get(format!("{}/health", self.url)).send().await;
            if health.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(unready("was not ready in time"))
    }

    /// Measures calls at the same time.
    ///
    /// # Errors
    ///
    /// A call is refused or breaks off.
    pub async fn measure(&self, load: BenchLoad) -> Result<BenchRow, Failure> {
        let tokens_per_word = self.tokens_per_word().await?;
        let start = Instant::now();
        let calls = (0..load.streams).map(|stream| {
            let prompt = load.prompt(stream, tokens_per_word);
            self.answer(prompt, load.answer_tokens, start)
        });
        let times = join_all(calls).await;
        let times = times.into_iter().collect::<Result<Vec<_>, Failure>>()?;
        let memory = self.child.id().map_or(0, resident_memory);
        Ok(load.summarise(0, &times, memory))
    }

    async fn tokens_per_word(&self) -> Result<f64, Failure> {
        let body = json!({ "content": super::WORDS.join(" ") });
        let answer = self.post("/tokenize", &body).await?;
        let answer: Value = answer.json().await.map_err(broken)?;
        let tokens = answer["tokens"].as_array().map_or(0, Vec::len);
        Ok(tokens as f64 / super::WORDS.len() as f64)
    }

    async fn answer(
        &self,
        prompt: String,
        tokens: usize,
        start: Instant,
    ) -> Result<BenchTimes, Failure> {
        let body = json!({
            "prompt": prompt, "n_predict": tokens, "ignore_eos": true, "cache_prompt": false,
            "temperature": 0, "stream": true,
        });
        let mut response = self.post("/completion", &body).await?;
        let mut first_token = None;
        let mut read = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(broken)? {
            first_token.get_or_insert_with(|| start.elapsed());
            read.extend_from_slice(&piece);
        }
        let last_token = start.elapsed();
        Ok(BenchTimes {
            first_token: first_token.unwrap_or(last_token),
            last_token,
            tokens: counted(&read),
        })
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Response, Failure> {
        let asked = self.client.post(format!("{}{path}", self.url)).json(body);
        let answer = asked.send().await.map_err(broken)?;
        answer.error_for_status().map_err(broken)
    }
}

/// The tokens that the last event of a stream states.
fn counted(stream: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(stream);
    let events = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let stated = events.filter_map(|event| serde_json::from_str::<Value>(event).ok());
    let mut stated = stated.filter_map(|event| event["tokens_predicted"].as_u64());
    stated.next_back().unwrap_or(0)
}

fn broken(error: reqwest::Error) -> Failure {
    let message = format!("{PROGRAM} broke off: {error}");
    Failure::new(ExitClass::Environment, message)
}

async fn free_port() -> Result<u16, Failure> {
    let bound = TcpListener::bind("127.0.0.1:0").await;
    let address = bound.and_then(|listener| listener.local_addr());
    address.map(|address| address.port()).map_err(|error| {
        let message = format!("no free port on this machine: {}", describe_io(&error));
        Failure::new(ExitClass::Environment, message)
    })
}
