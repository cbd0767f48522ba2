//! Development chains for tests: in this process for speed, and as the real binary for its life
//! and death; and what both are asked with.

use std::{
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    thread::JoinHandle,
};

use openlora_devnet::{
    ChainOptions, DevChain, GenesisState, NodeHandle, RunningNode, local_genesis,
};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::support::openlora;
use crate::waiting;

pub const FIRST: &str = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266";
pub const SECOND: &str = "0x70997970c51812dc3a010c7d01b50e0d17dc79c8";
pub const NOBODY: &str = "0x2000000000000000000000000000000000000002";

/// Asks a chain over HTTP.
pub struct Rpc {
    pub url: String,
    client: reqwest::Client,
    runtime: Runtime,
}

impl Rpc {
    pub fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
            runtime: Runtime::new().unwrap(),
        }
    }

    /// The whole answer, or `None` when the chain is gone.
    pub fn try_ask(&self, method: &str, params: Value) -> Option<Value> {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        self.runtime.block_on(async {
            let answer = self.client.post(&self.url).json(&body).send().await.ok()?;
            answer.json().await.ok()
        })
    }

    pub fn ask(&self, method: &str, params: Value) -> Value {
        self.try_ask(method, params).unwrap()
    }

    #[track_caller]
    pub fn ok(&self, method: &str, params: Value) -> Value {
        result(method, self.ask(method, params))
    }

    /// Status and body of any request; `headers` replace the usual ones.
    pub fn http(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (u16, String) {
        let url = format!("{}{path}", self.url);
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.client.request(method, url).body(body.to_owned());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.runtime.block_on(async {
            let answer = request.send().await.unwrap();
            (answer.status().as_u16(), answer.text().await.unwrap())
        })
    }

    /// The answer to a request with a body, with its headers.
    pub fn post(&self, path: &str, headers: &[(&str, &str)], body: &str) -> reqwest::Response {
        let mut request = self.client.post(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.runtime
            .block_on(request.body(body.to_owned()).send())
            .unwrap()
    }
}

#[track_caller]
fn result(method: &str, answer: Value) -> Value {
    match answer.get("result") {
        Some(result) => result.clone(),
        None => panic!("{method}: {answer}"),
    }
}

/// A chain in this process, asked without HTTP.
pub struct Local {
    runtime: Runtime,
    node: NodeHandle,
    running: Option<RunningNode>,
}

impl Local {
    pub fn open(path: &Path) -> Self {
        Self::with(ChainOptions {
            path: path.join("chain.sqlite"),
            chain_id: 31_337,
            genesis: GenesisState::default(),
        })
    }

    pub fn with_contracts(path: &Path) -> Self {
        Self::with(ChainOptions {
            path: path.join("chain.sqlite"),
            chain_id: 31_337,
            genesis: local_genesis().unwrap(),
        })
    }

    fn with(options: ChainOptions) -> Self {
        let runtime = Runtime::new().unwrap();
        let chain = DevChain::open(options).unwrap();
        let running = runtime
            .block_on(RunningNode::start(chain, 0, "secret"))
            .unwrap();
        Self {
            node: running.node(),
            runtime,
            running: Some(running),
        }
    }

    pub fn ask(&self, method: &str, params: Value) -> Value {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let answer = self
            .runtime
            .block_on(self.node.answer(body.to_string().into()));
        serde_json::from_str(&answer.unwrap()).unwrap()
    }

    #[track_caller]
    pub fn ok(&self, method: &str, params: Value) -> Value {
        result(method, self.ask(method, params))
    }

    /// Sends from a development account and returns the receipt.
    #[track_caller]
    pub fn send(&self, fields: Value) -> Value {
        let hash = self.ok("eth_sendTransaction", json!([fields]));
        self.ok("eth_getTransactionReceipt", json!([hash]))
    }

    #[track_caller]
    pub fn number(&self, method: &str, params: Value) -> u128 {
        number(&self.ok(method, params))
    }

    /// Closes the file as a stopped node does.
    pub fn close(mut self) {
        let running = self.running.take().unwrap();
        running.stop_token().cancel();
        self.runtime.block_on(running.run()).unwrap();
    }
}

#[track_caller]
pub fn number(value: &Value) -> u128 {
    let text = value.as_str().unwrap().strip_prefix("0x").unwrap();
    u128::from_str_radix(text, 16).unwrap()
}

/// The real binary as a chain in the foreground.
pub struct Devnet {
    child: Child,
    stderr: Option<JoinHandle<String>>,
    pub rpc: Rpc,
    pub started: Value,
}

impl Devnet {
    /// Starts one in the home `dir/home`.
    pub fn start(dir: &Path, chain_id: u64) -> Self {
        let id = chain_id.to_string();
        let mut command = openlora(dir)
            .args(["--json", "devnet", "start", "--foreground", "--port", "0"])
            .args(["--chain-id", &id])
            .into_command();
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let stderr = std::thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).unwrap();
            text
        });
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        if line.is_empty() {
            panic!("the chain ended: {}", stderr.join().unwrap());
        }
        let started: Value = serde_json::from_str(&line).unwrap();
        Self {
            child,
            stderr: Some(stderr),
            rpc: Rpc::new(started["url"].as_str().unwrap()),
            started,
        }
    }

    pub fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// Ends it without warning and waits until it is gone.
    pub fn kill(mut self) {
        self.signal("KILL");
        waiting::ended("the chain", &mut self.child);
    }

    /// Waits for its end; returns the exit code and stderr.
    pub fn wait(mut self) -> (i32, String) {
        let code = waiting::ended("the chain", &mut self.child)
            .code()
            .unwrap_or(-1);
        (code, self.stderr.take().unwrap().join().unwrap())
    }
}

impl Drop for Devnet {
    fn drop(&mut self) {
        // Usually gone already; a failed test must not leave a chain behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn signal(pid: u32, name: &str) {
    let done = std::process::Command::new("kill")
        .args([&format!("-{name}"), &pid.to_string()])
        .status()
        .unwrap();
    assert!(done.success());
}

/// A home whose chains end with the test.
pub struct Home {
    dir: tempfile::TempDir,
}

impl Home {
    pub fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn folder(&self, chain_id: u64) -> PathBuf {
        let home = self.dir.path().join("home/data/devnet");
        home.join(chain_id.to_string())
    }

    /// Runs `devnet ARGS` with `--json` and returns what it printed.
    #[track_caller]
    pub fn devnet(&self, args: &[&str]) -> Value {
        let run = openlora(self.path())
            .args(["--json", "-q", "devnet"])
            .args(args.iter().copied())
            .run()
            .succeeds();
        serde_json::from_str(&run.stdout).unwrap()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        for chain_id in ["31337", "31338"] {
            let args = ["-q", "devnet", "stop", "--chain-id", chain_id];
            openlora(self.path()).args(args).run();
        }
    }
}
