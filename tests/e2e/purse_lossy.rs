//! A proxy that loses answers, and a client that is killed: what was paid is asked for again with
//! the same bytes and the same payment, and nothing is paid twice.

use std::{
    fs,
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    process::{Child, Stdio},
    sync::{Arc, Condvar, Mutex},
    thread,
};

use openlora_core::Amount;
use openlora_payments::{
    payer::{PayerStore, PaymentRecord, PaymentStatus},
    x402::{
        binding::{RefundRequest, extension},
        wire::PaymentPayload,
    },
};
use serde_json::{Value, json};

use crate::{
    devnet_support::{Devnet, signal},
    live::write_adapters,
    support::{Invocation, Run, openlora},
    waiting::{self, PATIENCE},
    x402_buyers::serve,
};

/// How a paid answer is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loss {
    /// Nothing of it arrives.
    Whole,
    /// Its first half arrives.
    Half,
    /// It is kept until the test lets it go.
    Held,
}

#[derive(Default)]
struct Plan {
    losses: Vec<Loss>,
    /// Every paid request as it came, without what names the connection.
    paid: Vec<String>,
    held: usize,
}

/// Between client and server.
struct Proxy {
    url: String,
    plan: Arc<(Mutex<Plan>, Condvar)>,
}

impl Proxy {
    fn open(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let plan = Arc::new((Mutex::new(Plan::default()), Condvar::new()));
        let (server, shared) = (
            server.trim_start_matches("http://").to_owned(),
            plan.clone(),
        );
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (server, plan) = (server.clone(), shared.clone());
                thread::spawn(move || pass(client, &server, &plan));
            }
        });
        Self { url, plan }
    }

    /// The next paid answers are lost so, the first one first.
    fn lose(&self, losses: &[Loss]) {
        let mut plan = self.plan.0.lock().unwrap();
        plan.losses = losses.iter().rev().copied().collect();
        plan.paid.clear();
    }

    fn paid(&self) -> Vec<String> {
        self.plan.0.lock().unwrap().paid.clone()
    }

    fn wait_until_held(&self) {
        let (plan, changed) = &*self.plan;
        let plan = plan.lock().unwrap();
        let waited = changed.wait_timeout_while(plan, PATIENCE, |plan| plan.held == 0);
        assert!(waited.unwrap().0.held > 0, "no answer was held back");
    }
}

/// One request and its answer; connections are not kept.
fn pass(mut client: TcpStream, server: &str, plan: &(Mutex<Plan>, Condvar)) {
    let Some(request) = whole_request(&mut client) else {
        return;
    };
    let Ok(mut upstream) = TcpStream::connect(server) else {
        return;
    };
    let alone = request.replacen("\r\n", "\r\nconnection: close\r\n", 1);
    upstream.write_all(alone.as_bytes()).unwrap();
    let mut answer = Vec::new();
    upstream.read_to_end(&mut answer).unwrap();
    let loss = request.contains("\r\npayment-signature: ").then(|| {
        let mut plan = plan.0.lock().unwrap();
        plan.paid.push(request.clone());
        plan.losses.pop()
    });
    match loss.flatten() {
        None => {
            let _ = client.write_all(&answer);
        }
        Some(Loss::Whole) => {}
        Some(Loss::Half) => {
            let _ = client.write_all(&answer[..answer.len() * 2 / 3]);
        }
        Some(Loss::Held) => {
            plan.0.lock().unwrap().held += 1;
            plan.1.notify_all();
            // Until the client is gone.
            let _ = client.read(&mut [0]);
        }
    }
    let _ = client.shutdown(Shutdown::Both);
}

fn whole_request(client: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 16_384];
    loop {
        let read = client.read(&mut buffer).ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |length| length.parse().unwrap());
        if body.len() >= length {
            return Some(text);
        }
    }
}

/// Our server, a proxy before it, and a buyer's home.
struct Market {
    dir: tempfile::TempDir,
    server: Child,
    proxy: Proxy,
    _devnet: Devnet,
}

impl Market {
    fn open() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let devnet = Devnet::start(dir.path(), 31_337);
        let text = format!(
            "[serve]\nmin_exact = \"0.00001\"\n\n[network.local]\nrpc = \"{}\"\n",
            devnet.rpc.url
        );
        let seller = dir.path().join("seller");
        fs::create_dir(&seller).unwrap();
        fs::write(seller.join("openlora.toml"), &text).unwrap();
        fs::write(dir.path().join("openlora.toml"), &text).unwrap();
        write_adapters(&seller);
        let (server, url) = serve(&seller);
        Self {
            proxy: Proxy::open(&url),
            dir,
            server,
            _devnet: devnet,
        }
    }

    fn openlora(&self, args: &[&str]) -> Invocation {
        openlora(self.dir.path()).args(args.iter().copied())
    }

    fn call(&self, args: &[&str]) -> Invocation {
        let url = &self.proxy.url;
        self.openlora(&["--json", "call", "hello", "--url", url])
            .args(args.iter().copied())
            .args(["--max-tokens", "8", "--temperature", "0"])
    }

    fn spendings(&self) -> Vec<PaymentRecord> {
        let purse = PayerStore::open(&self.dir.path().join("home/data")).unwrap();
        purse.payment_records().unwrap()
    }

    #[track_caller]
    fn pending(&self) -> Vec<Value> {
        let run = self.openlora(&["--json", "receipts", "pending"]).run();
        serde_json::from_str(&run.succeeds().stdout).unwrap()
    }

    /// What the server says that the buyer's only channel was charged, beside ours.
    #[track_caller]
    fn charged(&self) -> Value {
        let run = self.openlora(&["--json", "channel", "list"]).run();
        let all: Value = serde_json::from_str(&run.succeeds().stdout).unwrap();
        assert_eq!(all.as_array().unwrap().len(), 1, "{all}");
        all[0]["charged"].clone()
    }
}

impl Drop for Market {
    fn drop(&mut self) {
        signal(self.server.id(), "TERM");
        waiting::end(&mut self.server);
    }
}

#[track_caller]
fn json_of(run: Run) -> Value {
    serde_json::from_str(&run.succeeds().stdout).unwrap()
}

#[track_caller]
fn all_equal(requests: &[String], count: usize) {
    assert_eq!(requests.len(), count, "{requests:?}");
    assert!(requests.iter().all(|it| *it == requests[0]), "{requests:?}");
}

fn costs(spendings: &[PaymentRecord]) -> Vec<Option<Amount>> {
    spendings.iter().map(PaymentRecord::charged).collect()
}

#[test]
fn a_lost_answer_is_asked_for_again_with_the_same_bytes_and_payment() {
    let market = Market::open();
    let expected = json_of(market.call(&[]).run());
    let ways: [(&[&str], &[Loss]); 5] = [
        (&[], &[Loss::Whole, Loss::Whole]),
        (&[], &[Loss::Half]),
        (&["--stream"], &[Loss::Half, Loss::Whole, Loss::Half]),
        (&["--scheme", "exact"], &[Loss::Whole, Loss::Half]),
        (&["--scheme", "exact", "--stream"], &[Loss::Half]),
    ];
    for (number, (args, losses)) in ways.into_iter().enumerate() {
        market.proxy.lose(losses);
        let answer = json_of(market.call(args).run());
        assert_eq!(
            (&answer["text"], &answer["paid"]),
            (&expected["text"], &expected["paid"]),
            "{args:?} {losses:?}"
        );
        all_equal(&market.proxy.paid(), losses.len() + 1);
        // One signature each, and each was charged once.
        let spendings = market.spendings();
        assert_eq!(spendings.len(), number + 2, "{args:?} {losses:?}");
        assert!(costs(&spendings).iter().all(Option::is_some));
        assert_eq!(market.pending(), Vec::<Value>::new());
    }
    let once: u128 = expected["paid"].as_str().unwrap().parse().unwrap();
    assert_eq!(market.charged(), json!((4 * once).to_string()));
}

#[test]
fn an_answer_that_does_not_come_is_fetched_later() {
    let market = Market::open();
    for args in [&["--stream"][..], &[], &["--scheme", "exact"]] {
        let before = market.spendings().len();
        market.proxy.lose(&[Loss::Whole; 6]);
        let run = market.call(args).run();
        assert_eq!((run.code, run.stdout.as_str()), (5, ""), "{}", run.stderr);
        all_equal(&market.proxy.paid(), 6);
        let waiting = market.pending();
        assert_eq!(waiting.len(), 1);
        let id = waiting[0]["id"].as_str().unwrap();
        let error: Value = serde_json::from_str(run.stderr.lines().last().unwrap()).unwrap();
        let hint = error["hint"].as_str().unwrap();
        assert!(
            hint.ends_with(&format!("openlora call --again {id}")),
            "{hint}"
        );
        assert_eq!(market.spendings()[before].status, PaymentStatus::Open);
        let sent = market.proxy.paid();
        market.proxy.lose(&[]);
        let again = market.openlora(&["--json", "call", "--again", id]);
        let answer = json_of(again.run());
        assert_ne!(answer["text"], "");
        assert_eq!(market.proxy.paid(), sent[..1]);
        let spendings = market.spendings();
        assert_eq!(spendings.len(), before + 1);
        let paid = spendings[before].charged().map(|it| it.to_string());
        assert_eq!(json!(paid), answer["paid"]);
        assert_eq!(market.pending(), Vec::<Value>::new());
        let gone = market.openlora(&["call", "--again", id]).run();
        gone.fails(
            2,
            &format!(
                "error: no call that was paid from here and waits for its answer is named `{id}`\n\
                 hint: every paid call has been answered\n"
            ),
        );
    }
}

/// A call whose answer was lost, and what is printed when it is given up.
fn given_up(market: &Market) -> (Value, Value) {
    market.proxy.lose(&[Loss::Whole; 6]);
    let run = market.call(&[]).run();
    assert_eq!(run.code, 5, "{}", run.stderr);
    let waiting = market.pending().remove(0);
    let id = waiting["id"].as_str().unwrap();
    let forgotten = market
        .openlora(&["--json", "receipts", "forget", &id[..20]])
        .run();
    (waiting, json_of(forgotten))
}

/// The results of this file's verbs, by the schemas that they should fit.
pub fn results() -> Vec<(&'static str, Value)> {
    vec![("receipts-forget", given_up(&Market::open()).1)]
}

#[test]
fn an_answer_that_is_given_up_stays_paid_for() {
    let market = Market::open();
    let (waiting, forgotten) = given_up(&market);
    assert_eq!(forgotten, json!([waiting]));
    let id = waiting["id"].as_str().unwrap();
    assert_eq!(market.pending(), Vec::<Value>::new());
    // The server could still use the payment.
    assert_eq!(market.spendings()[0].status, PaymentStatus::Open);
    let again = market.openlora(&["receipts", "forget", id]).run();
    assert_eq!(again.code, 2, "{}", again.stderr);
}

#[test]
fn a_killed_client_leaves_what_it_takes_to_fetch_its_answer() {
    let market = Market::open();
    market.proxy.lose(&[Loss::Held]);
    let mut killed = market.call(&[]).into_command();
    killed.stdout(Stdio::null()).stderr(Stdio::null());
    let mut killed = killed.spawn().unwrap();
    market.proxy.wait_until_held();
    killed.kill().unwrap();
    waiting::ended("the killed call", &mut killed);
    let sent = market.proxy.paid();
    let waiting = market.pending();
    let id = waiting[0]["id"].as_str().unwrap();
    // Another call goes on from the same channel; the answer of the first is there still.
    let url = market.proxy.url.as_str();
    let other = market.openlora(&["--json", "call", "other", "--url", url, "--max-tokens", "8"]);
    let other = json_of(other.run());
    market.proxy.lose(&[]);
    // The beginning of an id is enough.
    let again = market.openlora(&["--json", "call", "--again", &id[..20]]);
    let answer = json_of(again.run());
    assert_ne!(answer["id"], other["id"]);
    assert_eq!(market.proxy.paid(), sent);
    assert_eq!(market.pending(), Vec::<Value>::new());
    let paid = |of: &Value| of["paid"].as_str().unwrap().parse::<u128>().unwrap();
    let sum = paid(&answer) + paid(&other);
    assert_eq!(market.charged(), json!(sum.to_string()));
    let spent: u128 = costs(&market.spendings())
        .into_iter()
        .flatten()
        .map(|it| it.0)
        .sum();
    assert_eq!(spent, sum);
}

#[test]
fn a_refund_is_asked_for_by_the_payer_and_ends_the_channel() {
    let market = Market::open();
    let answer = json_of(market.call(&[]).run());
    let sum = |value: &Value| value.as_str().unwrap().parse::<u128>().unwrap();
    market.proxy.lose(&[]);
    let back = json_of(market.openlora(&["--json", "channel", "refund"]).run());
    let channel = &back["channel"];
    assert_eq!(channel["state"], "refunded");
    // What the server takes for its gas is charged, and nothing stays behind.
    assert_eq!((sum(&back["kept"]), sum(&channel["left"])), (0, 0));
    assert_eq!(sum(&back["fee"]), 100);
    let parts = sum(&back["amount"]) + sum(&back["fee"]) + sum(&answer["paid"]);
    assert_eq!(parts, 500);
    let fees = market.spendings();
    let fees = fees
        .iter()
        .filter(|it| it.request_id.starts_with("refund-fee-"));
    let fees: Vec<PaymentStatus> = fees.map(|it| it.status).collect();
    assert_eq!(
        fees,
        [PaymentStatus::Charged {
            amount: Amount(100)
        }]
    );
    // The wish was signed for now and once.
    let asked = market.proxy.paid();
    assert_eq!(asked.len(), 1);
    let header = asked[0]
        .lines()
        .find_map(|it| it.strip_prefix("payment-signature: "));
    let payment = PaymentPayload::decode(header.unwrap()).unwrap();
    let request: Option<RefundRequest> = extension(payment.extensions.as_ref()).unwrap();
    let request = request.unwrap();
    assert_eq!(request.refund_nonce, 0);
    let fee = request.fee.unwrap();
    let total = sum(&answer["paid"]) + 100;
    assert_eq!(
        (fee.amount, fee.max_claimable_amount),
        (Amount(100), Amount(total))
    );
    // The next call opens another channel.
    let next = json_of(market.call(&[]).run());
    assert_eq!(next["paid"], answer["paid"]);
    let run = market.openlora(&["--json", "channel", "list"]).run();
    let all: Value = serde_json::from_str(&run.succeeds().stdout).unwrap();
    assert_eq!(all.as_array().unwrap().len(), 2);
}
