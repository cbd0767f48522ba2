//! 1 000 calls with 20 % client disconnects, 5 % repeated ids and three kill -9 restarts against
//! the real binary; afterwards the journal and a counting client agree exactly.
//!
//! The client makes 950 calls under ids of their own and 50 repeats of ids that it used before.
//! One call in five is a stream that the client leaves after a few chunks. A call that breaks
//! off because the server was killed is sent again under its id until the server answers. Per
//! id, the client's ledger then holds
//! - for a completed call: the usage in the answer;
//! - for any other (left by the client, or metered before its answer was lost): the usage of its
//!   receipt, which is at least what the client read (unless the server died, which loses what
//!   came after the last checkpoint) and at most what was asked for.
//!
//! At the end, for every id, the journal holds exactly one `CallMetered`; it equals the receipt
//! and the client's entry; the sums are equal; and a repeat never changed anything.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex},
};

use futures::StreamExt;
use openlora_journal::Journal;
use openlora_ledger::event::{Event, TokenUsage};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::live::{Live, write_adapters};
use crate::waiting;

const CALLS: usize = 1000;
const REPEATS: usize = CALLS / 20;
const WORKERS: usize = 8;
/// The server is killed when this many calls have ended.
const KILLS: [usize; 3] = [250, 500, 750];
const MAX_TOKENS: u64 = 12;

/// One call of the plan.
#[derive(Clone, Debug)]
struct Plan {
    id: String,
    body: Value,
    /// Leaves after this many pieces of text.
    leaves_after: Option<usize>,
    repeat: bool,
}

/// How a call ended, as the client knows it.
#[derive(Clone, Debug, PartialEq)]
enum Ended {
    /// With the whole answer.
    Completed {
        usage: TokenUsage,
        text: String,
        replayed: bool,
    },
    /// The client left after reading so many pieces of text.
    Left { pieces: u64 },
    /// The server had metered the id before and no longer holds the answer.
    Metered { usage: TokenUsage },
}

/// What the server does: its place, and how often it was started.
#[derive(Clone, Debug)]
struct Place {
    url: String,
    start: usize,
}

struct Soak {
    client: reqwest::Client,
    place: watch::Receiver<Place>,
    ended: watch::Sender<usize>,
    ledger: Mutex<BTreeMap<String, Vec<Ended>>>,
}

fn plans() -> Vec<Plan> {
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let mut plans: Vec<Plan> = Vec::with_capacity(CALLS);
    // Spread evenly: every twentieth call repeats, every fifth leaves.
    for number in 0..CALLS {
        if number % 20 == 19 {
            let earlier = random.random_range(0..number.saturating_sub(4 * WORKERS).max(1));
            let mut plan = plans[earlier].clone();
            plan.repeat = true;
            plan.leaves_after = None;
            plans.push(plan);
            continue;
        }
        let leaves = number % 5 == 0;
        let stream = leaves || random.random_bool(0.5);
        let words = random.random_range(1..4);
        let mut body = json!({
            "model": if random.random_bool(0.5) { "persona" } else { "filter" },
            "messages": [{ "role": "user", "content": "ab ".repeat(words) + &number.to_string() }],
            "max_tokens": MAX_TOKENS,
            "temperature": 1.0,
            "seed": number,
        });
        if stream {
            body["stream"] = json!(true);
            body["stream_options"] = json!({ "include_usage": true });
        }
        plans.push(Plan {
            id: format!("soak-{number}"),
            body,
            leaves_after: leaves.then(|| random.random_range(1..5)),
            repeat: false,
        });
    }
    assert_eq!(plans.iter().filter(|plan| plan.repeat).count(), REPEATS);
    plans
}

fn usage_of(value: &Value) -> TokenUsage {
    let read = |name: &str| {
        value[name]
            .as_u64()
            .unwrap_or_else(|| panic!("no usage: {value}"))
    };
    TokenUsage {
        prompt_tokens: read("prompt_tokens"),
        completion_tokens: read("completion_tokens"),
    }
}

impl Soak {
    /// Drives a call until the server has answered it, whatever happens to the server.
    async fn drive(&self, plan: &Plan) -> Ended {
        loop {
            let place = self.place.borrow().clone();
            if let Ok(ended) = self.attempt(&place, plan).await {
                return ended;
            }
            // It was killed: wait for the next one.
            let mut changed = self.place.clone();
            let next = changed.wait_for(|now| now.start > place.start);
            waiting::within("the next server", next).await.unwrap();
        }
    }

    /// One attempt; an error means that the connection broke.
    async fn attempt(&self, place: &Place, plan: &Plan) -> reqwest::Result<Ended> {
        let url = format!("{}/v1/chat/completions", place.url);
        let request = self
            .client
            .post(url)
            .header("idempotency-key", &plan.id)
            .json(&plan.body);
        let response = request.send().await?;
        let status = response.status().as_u16();
        let replayed = response.headers().contains_key("x-openlora-replayed");
        match status {
            200 => {}
            409 => {
                let error: Value = response.json().await?;
                let error = &error["error"];
                assert_eq!(error["code"], "already_metered", "{error}");
                return Ok(Ended::Metered {
                    usage: usage_of(&error["receipt"]["usage"]),
                });
            }
            other => panic!("{}: {other} {}", plan.id, response.text().await?),
        }
        if plan.body["stream"] == true {
            return read_stream(response, plan.leaves_after, replayed).await;
        }
        let answer: Value = response.json().await?;
        let text = answer["choices"][0]["message"]["content"]
            .as_str()
            .unwrap()
            .to_owned();
        Ok(Ended::Completed {
            usage: usage_of(&answer["usage"]),
            text,
            replayed,
        })
    }

    async fn work(&self, plans: &Mutex<std::vec::IntoIter<Plan>>) {
        loop {
            let Some(plan) = plans.lock().unwrap().next() else {
                return;
            };
            let ended = self.drive(&plan).await;
            self.ledger
                .lock()
                .unwrap()
                .entry(plan.id)
                .or_default()
                .push(ended);
            self.ended.send_modify(|ended| *ended += 1);
        }
    }
}

/// Reads a stream to its end, or leaves it.
async fn read_stream(
    response: reqwest::Response,
    leaves_after: Option<usize>,
    replayed: bool,
) -> reqwest::Result<Ended> {
    let mut stream = response.bytes_stream();
    let mut raw = String::new();
    let (mut text, mut pieces, mut usage, mut read) = (String::new(), 0, None, 0);
    while let Some(bytes) = stream.next().await {
        raw.push_str(std::str::from_utf8(&bytes?).unwrap());
        while let Some(end) = raw[read..].find("\n\n") {
            let data = raw[read..read + end]
                .strip_prefix("data: ")
                .unwrap()
                .to_owned();
            read += end + 2;
            if data == "[DONE]" {
                let usage = usage.expect("the usage comes before the end");
                return Ok(Ended::Completed {
                    usage,
                    text,
                    replayed,
                });
            }
            let chunk: Value = serde_json::from_str(&data).unwrap();
            assert!(chunk["error"].is_null(), "{chunk}");
            if chunk["usage"].is_object() {
                usage = Some(usage_of(&chunk["usage"]));
            }
            let piece = chunk["choices"][0]["delta"]["content"]
                .as_str()
                .unwrap_or_default();
            text.push_str(piece);
            pieces += usize::from(!piece.is_empty());
            if leaves_after.is_some_and(|limit| pieces >= limit) {
                return Ok(Ended::Left {
                    pieces: pieces as u64,
                });
            }
        }
    }
    // Ended without `[DONE]`: the server died between two chunks.
    Err(broken().await)
}

/// An error of the kind that a broken connection gives.
async fn broken() -> reqwest::Error {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    client.get("http://127.0.0.1:1").send().await.unwrap_err()
}

/// Kills and restarts the server when enough calls have ended; returns the last one.
async fn supervise(
    dir: &Path,
    mut server: Live,
    soak: &Soak,
    place: &watch::Sender<Place>,
) -> Live {
    for (kill, after) in KILLS.into_iter().enumerate() {
        let mut ended = soak.ended.subscribe();
        let enough = ended.wait_for(|ended| *ended >= after);
        waiting::within(&format!("{after} calls to end"), enough)
            .await
            .unwrap();
        let port = server.port;
        let dir = dir.to_owned();
        server = tokio::task::spawn_blocking(move || {
            server.kill();
            Live::start(&dir, port)
        })
        .await
        .unwrap();
        place.send_replace(Place {
            url: server.url.clone(),
            start: kill + 1,
        });
    }
    server
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn journal_and_client_agree_after_disconnects_repeats_and_kills() {
    let home = tempfile::tempdir().unwrap();
    write_adapters(home.path());
    let server = Live::start(home.path(), 0);
    let (place, seen) = watch::channel(Place {
        url: server.url.clone(),
        start: 0,
    });
    let client = reqwest::Client::builder()
        .no_proxy()
        .pool_max_idle_per_host(0)
        .build()
        .unwrap();
    let soak = Arc::new(Soak {
        client,
        place: seen,
        ended: watch::Sender::new(0),
        ledger: Mutex::default(),
    });
    let queue = Arc::new(Mutex::new(plans().into_iter()));
    let workers: Vec<_> = (0..WORKERS)
        .map(|_| {
            let (soak, queue) = (Arc::clone(&soak), Arc::clone(&queue));
            tokio::spawn(async move { soak.work(&queue).await })
        })
        .collect();
    let server = supervise(home.path(), server, &soak, &place).await;
    for worker in workers {
        worker.await.unwrap();
    }
    let ledger = std::mem::take(&mut *soak.ledger.lock().unwrap());
    assert_eq!(ledger.len(), CALLS - REPEATS);
    let receipts = receipts(&soak.client, &server.url, ledger.keys()).await;
    assert_eq!(server.drain().0, 0);
    let metered = metered(home.path());
    judge(&ledger, &receipts, &metered);
}

/// Usage and finish of every id, from `/v1/receipts`; waits for calls whose count is under way.
async fn receipts(
    client: &reqwest::Client,
    url: &str,
    ids: impl Iterator<Item = &String>,
) -> BTreeMap<String, (TokenUsage, String)> {
    let mut receipts = BTreeMap::new();
    for id in ids {
        let receipt = waiting::found(&format!("the receipt of {id}"), async || {
            let request = client.get(format!("{url}/v1/receipts/{id}"));
            let response = request.send().await.unwrap();
            if response.status().as_u16() == 409 {
                return None;
            }
            assert_eq!(response.status().as_u16(), 200, "{id}");
            Some(response.json::<Value>().await.unwrap())
        })
        .await;
        let finish = receipt["finish"].as_str().unwrap().to_owned();
        receipts.insert(id.clone(), (usage_of(&receipt["usage"]), finish));
    }
    receipts
}

/// Every `CallMetered` of the journal by id, after checking its chain.
fn metered(home: &Path) -> BTreeMap<String, Vec<TokenUsage>> {
    let path = home.join("home/data/journal.sqlite");
    let mut journal = Journal::open_read_only(&path).unwrap();
    journal.verify().unwrap();
    let mut metered: BTreeMap<String, Vec<TokenUsage>> = BTreeMap::new();
    journal
        .replay(1, |record| {
            if let Event::CallMetered {
                request_id, usage, ..
            } = &record.event
            {
                metered.entry(request_id.clone()).or_default().push(*usage);
            }
        })
        .unwrap();
    metered
}

fn judge(
    ledger: &BTreeMap<String, Vec<Ended>>,
    receipts: &BTreeMap<String, (TokenUsage, String)>,
    metered: &BTreeMap<String, Vec<TokenUsage>>,
) {
    assert!(ledger.keys().eq(metered.keys()), "the same ids");
    let mut client = TokenUsage::default();
    let mut finishes: BTreeMap<&str, usize> = BTreeMap::new();
    for (id, ends) in ledger {
        let (receipt, finish) = &receipts[id];
        assert_eq!(
            metered[id],
            [*receipt],
            "{id}: once, and as the receipt says"
        );
        *finishes.entry(finish).or_default() += 1;
        for ended in ends {
            match ended {
                Ended::Completed { usage, .. } | Ended::Metered { usage } => {
                    assert_eq!(usage, receipt, "{id}: {ends:?}");
                }
                Ended::Left { pieces } => {
                    let delivered = receipt.completion_tokens;
                    assert!(delivered <= MAX_TOKENS, "{id}");
                    assert!(
                        delivered >= *pieces || finish == "recovered",
                        "{id}: {ends:?}"
                    );
                }
            }
        }
        check_repeats(id, ends);
        client.prompt_tokens += receipt.prompt_tokens;
        client.completion_tokens += receipt.completion_tokens;
    }
    let all = metered.values().flatten();
    let journal = all.fold(TokenUsage::default(), |sum, usage| TokenUsage {
        prompt_tokens: sum.prompt_tokens + usage.prompt_tokens,
        completion_tokens: sum.completion_tokens + usage.completion_tokens,
    });
    assert_eq!(journal, client);
    // The soak must have soaked: every way of ending occurs.
    for finish in ["length", "disconnected", "recovered"] {
        assert!(finishes.contains_key(finish), "{finishes:?}");
    }
}

/// The model ran once at most, and every answer under the id is the same.
fn check_repeats(id: &str, ends: &[Ended]) {
    let answers = ends.iter().filter_map(|ended| match ended {
        Ended::Completed { text, replayed, .. } => Some((text, *replayed)),
        _ => None,
    });
    let (texts, replays): (Vec<_>, Vec<_>) = answers.unzip();
    assert!(
        texts.windows(2).all(|pair| pair[0] == pair[1]),
        "{id}: {ends:?}"
    );
    assert!(
        replays.iter().filter(|replayed| !**replayed).count() <= 1,
        "{id}: {ends:?}"
    );
}
