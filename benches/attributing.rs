//! The attributing group: what attribution takes from the calls of a server, around the real binary.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use criterion::Criterion;
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::support::openlora;

/// How often the two are asked in turn.
const ROUNDS: usize = 5;
/// Calls of a round, and how many of them run at once.
const CALLS: usize = 48;
const TOGETHER: usize = 4;
const QUESTIONS: [&str; 4] = [
    "What does the horn sound like?",
    "How do you keep the log book?",
    "I am worried about money.",
    "What is a seed phrase?",
];

fn tell(line: &str) {
    // A bench whose reader went away has nobody to tell.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Throughput of one adapter with its index and without, in turn, on one machine; attribution
/// itself runs beside the calls, and how far it lags behind is told.
pub fn attributing(_: &mut Criterion) {
    let filter = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    if filter.is_some_and(|filter| !"attributing".contains(&filter)) {
        return;
    }
    let home = tempfile::tempdir().expect("a temporary folder");
    let with = home.path().join("with");
    run(home.path(), &["init", "with", "--template", "chat"]);
    run(&with, &["train", "--max-steps", "60"]);
    let without = home.path().join("without");
    copy(&with, &without);
    let runs = fs::read_dir(without.join("runs")).expect("a run");
    for run in runs.map(|run| run.expect("a run").path()) {
        // There is a link to the latest beside it, if at all.
        if run.join("attribution").is_dir() {
            fs::remove_dir_all(run.join("attribution")).expect("an index");
        }
    }
    let runtime = Runtime::new().expect("a runtime starts");
    let (on, off) = (Server::start(&with), Server::start(&without));
    runtime.block_on(async {
        // Both have answered before anything counts.
        on.round().await;
        off.round().await;
        let (mut rates, mut lags) = ([Vec::new(), Vec::new()], Vec::new());
        for _ in 0..ROUNDS {
            on.settle().await;
            rates[0].push(on.round().await);
            lags.push(on.lag().await);
            // The other has the machine for itself.
            on.settle().await;
            rates[1].push(off.round().await);
        }
        let [on, off] = rates.map(median);
        lags.sort_by(f64::total_cmp);
        tell(&format!(
            "attributing: {on:.2} calls/s with attribution, {off:.2} without, ratio {:.3}; \
             {} of {CALLS} attributions waiting after a round at most",
            on / off,
            lags.last().copied().unwrap_or(0.0)
        ));
    });
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn run(dir: &Path, args: &[&str]) {
    let done = openlora(dir).args(args.iter().copied()).run();
    assert_eq!(done.code, 0, "{}", done.stderr);
}

fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-r").arg(from).arg(to).status();
    assert!(done.expect("cp runs").success());
}

/// A server of one project.
struct Server {
    child: Child,
    url: String,
    adapter: String,
    client: reqwest::Client,
    /// For the metrics.
    token: String,
}

impl Server {
    fn start(project: &Path) -> Self {
        let args = ["serve", "--local", "--free", "--json", "--port", "0"];
        let mut command = openlora(project).args(args).into_command();
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a server starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("a line");
        let ready: Value = serde_json::from_str(&line).expect("it is ready");
        let token = fs::read_to_string(project.join("home/data/operator.token"));
        Self {
            child,
            token: token.expect("the server makes one").trim().to_owned(),
            url: ready["url"].as_str().expect("an address").to_owned(),
            adapter: ready["adapters"][0]
                .as_str()
                .expect("an adapter")
                .to_owned(),
            client: reqwest::Client::new(),
        }
    }

    /// Calls per second of a round.
    async fn round(&self) -> f64 {
        let started = Instant::now();
        let calls = (0..CALLS).map(|number| async move {
            let body = json!({
                "model": self.adapter,
                "messages": [{"role": "user", "content": QUESTIONS[number % QUESTIONS.len()]}],
                "max_tokens": 32,
            });
            let sent = self
                .client
                .post(format!("{}/v1/chat/completions", self.url))
                .json(&body)
                .send();
            let answer = sent.await.expect("an answer");
            assert!(answer.status().is_success(), "{:?}", answer.text().await);
        });
        let mut running = stream::iter(calls).buffer_unordered(TOGETHER);
        while running.next().await.is_some() {}
        CALLS as f64 / started.elapsed().as_secs_f64()
    }

    /// Attributions that wait.
    async fn lag(&self) -> f64 {
        let asked = self.client.get(format!("{}/metrics", self.url));
        let sent = asked.bearer_auth(&self.token).send();
        let text = sent.await.expect("metrics").text().await.expect("text");
        let line = text
            .lines()
            .find(|line| line.starts_with("openlora_attribution_waiting "))
            .expect("the gauge");
        let value = line.rsplit(' ').next().unwrap_or_default();
        value.parse().expect("a number")
    }

    async fn settle(&self) {
        while self.lag().await > 0.0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
