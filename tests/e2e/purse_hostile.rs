//! Sellers who want more than they were allowed: whatever they ask and answer, the account loses
//! no more than the limits of the call and of the day, and every total that is signed grows by no
//! more than the price.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use alloy::{
    primitives::{Bytes, U256},
    sol_types::{SolCall, SolValue},
};
use axum::{
    Json, Router,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use futures::StreamExt as _;
use openlora_chain::{
    balance::amount,
    registry::{BatchSettlementEscrow, DevelopmentToken, Token},
};
use openlora_contracts::{COLLECTOR, ESCROW};
use openlora_core::{Address, Amount, Word};
use openlora_ledger::ChannelTerms;
use openlora_payments::{
    payer::PayerStore,
    x402::wire::{BatchPayload, ExactPayload, PaymentPayload, SchemePayload, VoucherAction},
};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::{
    deploy_support::contract,
    devnet_support::{Devnet, FIRST, number},
    support::{Run, openlora},
};

const BUYER: &str = "0x90F79bf6EB2c4f870365E785982E1f101E93b906";
const FUNDS: u128 = 50_000_000;

/// What a seller took in hand, to be put on the chain.
#[derive(Clone, Debug)]
enum Loot {
    Deposit(Box<BatchPayload>),
    Transfer(Box<ExactPayload>),
}

#[derive(Clone, Copy, Debug)]
enum Stuck {
    /// Nothing comes.
    Silent,
    /// A little comes again and again.
    Slow,
    /// More comes than anybody wants.
    Endless,
}

/// What a seller does; the tests change it between calls.
struct Wish {
    rng: StdRng,
    /// The offers of the next 402s, before anything is paid.
    offers: Vec<Value>,
    /// Whether what is paid is answered honestly, or as chance has it.
    honest: bool,
    /// How a paid answer never ends.
    stuck: Option<Stuck>,
    /// Added to the channel's total that is stated.
    beyond: u128,
    /// The id of the next answer.
    id: String,
    /// What an answer says, and what a refusal does.
    content: String,
    refusal: Option<String>,
    /// The bodies of paid requests.
    bodies: Vec<String>,
    loot: Vec<Loot>,
    /// The highest total of each channel.
    signed: BTreeMap<Word, Amount>,
    paid: usize,
    strayed: usize,
}

#[derive(Clone)]
struct Seller(Arc<Mutex<Wish>>);

impl Seller {
    fn open(runtime: &Runtime, seed: u64) -> (Self, String) {
        let seller = Self(Arc::new(Mutex::new(Wish {
            rng: StdRng::seed_from_u64(seed),
            offers: Vec::new(),
            honest: true,
            stuck: None,
            beyond: 0,
            id: "../../x\u{1b}[31m".into(),
            content: "ok \u{1b}]0;owned\u{7}\u{1b}[31mRED".into(),
            refusal: None,
            bodies: Vec::new(),
            loot: Vec::new(),
            signed: BTreeMap::new(),
            paid: 0,
            strayed: 0,
        })));
        let models = json!({ "object": "list", "data": [{ "id": "m\u{1b}[31mRED" }] });
        let app = Router::new()
            .route("/v1/models", get(|| async { Json(models) }))
            .route("/v1/chat/completions", post(sell).get(sell))
            .route("/elsewhere", post(stray))
            .with_state(seller.clone());
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"));
        let listener = listener.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        runtime.spawn(async move { axum::serve(listener, app).await.unwrap() });
        (seller, url)
    }

    fn offer(&self, offers: Vec<Value>, honest: bool) {
        let mut wish = self.0.lock().unwrap();
        wish.offers = offers;
        wish.honest = honest;
    }

    fn take(&self) -> Vec<Loot> {
        std::mem::take(&mut self.0.lock().unwrap().loot)
    }

    fn signed(&self) -> BTreeMap<Word, Amount> {
        self.0.lock().unwrap().signed.clone()
    }
}

fn account(byte: u8) -> String {
    Address([byte.max(1); 20]).to_string()
}

/// An offer by channel, changed as a test likes.
fn offer(amount: u128, change: &dyn Fn(&mut Value)) -> Value {
    let mut offer = json!({
        "scheme": "batch-settlement", "network": "eip155:31337", "amount": amount.to_string(),
        "asset": contract("DevelopmentToken"), "payTo": account(7), "maxTimeoutSeconds": u64::MAX,
        "extra": {
            "name": "OpenLoRA Development USD", "version": "1", "withdrawDelay": 900,
            "receiverAuthorizer": account(8),
        },
    });
    change(&mut offer);
    offer
}

fn terms(offers: &[Value], error: Option<&str>) -> Response {
    let asked = json!({
        "x402Version": 2, "error": error, "resource": { "url": "http://shop.example" },
        "accepts": offers,
    });
    let header = base64::Engine::encode(
        &base64::engine::general_purpose::STANDARD,
        asked.to_string(),
    );
    let body = json!({ "error": {
        "message": "pay \u{1b}]0;owned\u{7} now", "type": "x", "param": null, "code": "x",
    } });
    (
        StatusCode::PAYMENT_REQUIRED,
        [("payment-required", header)],
        Json(body),
    )
        .into_response()
}

async fn stray(State(seller): State<Seller>) -> Response {
    seller.0.lock().unwrap().strayed += 1;
    StatusCode::OK.into_response()
}

async fn sell(State(seller): State<Seller>, headers: HeaderMap, body: String) -> Response {
    if headers.contains_key("payment-signature") {
        seller.0.lock().unwrap().bodies.push(body);
    }
    let stuck = match decide(&seller, &headers) {
        Ok(response) => return response,
        Err(stuck) => stuck,
    };
    never_ending(stuck).await
}

fn decide(seller: &Seller, headers: &HeaderMap) -> Result<Response, Stuck> {
    let mut wish = seller.0.lock().unwrap();
    let Some(payment) = headers.get("payment-signature") else {
        return Ok(terms(&wish.offers, None));
    };
    wish.paid += 1;
    let payment = PaymentPayload::decode(payment.to_str().unwrap()).unwrap();
    let accepted = payment.accepted.clone();
    let scheme = accepted["scheme"].as_str().unwrap().to_owned();
    let (id, max) = match SchemePayload::parse(&scheme, &payment.payload)
        .unwrap()
        .unwrap()
    {
        SchemePayload::Exact(exact) => {
            let found = (exact.authorization.nonce, exact.authorization.value);
            wish.loot.push(Loot::Transfer(Box::new(exact)));
            found
        }
        SchemePayload::Batch(batch) => {
            let found = (batch.voucher.channel_id, batch.voucher.max_claimable_amount);
            let highest = wish.signed.entry(found.0).or_default();
            *highest = found.1.max(*highest);
            if matches!(batch.action, VoucherAction::Deposit(_)) {
                wish.loot.push(Loot::Deposit(batch));
            }
            found
        }
    };
    if let Some(stuck) = wish.stuck {
        return Err(stuck);
    }
    if let Some(message) = &wish.refusal {
        let body = json!({ "error": { "message": message, "code": message } });
        return Ok((StatusCode::BAD_REQUEST, Json(body)).into_response());
    }
    let (content, name) = (wish.content.clone(), wish.id.clone());
    let quote: u128 = accepted["amount"].as_str().unwrap().parse().unwrap();
    let chance = match wish.honest {
        true => 0,
        false => wish.rng.random_range(0..12),
    };
    let charged = match chance {
        0 => quote,
        1 => quote / 2,
        2 => quote + 1,
        _ => quote * 100,
    };
    let before = max.0.saturating_sub(quote);
    // Its own words: the voucher that it has just got proves what it says.
    let lie = |amount: u128, pay_to: &str| {
        let mut offer = accepted.clone();
        offer["amount"] = json!(amount.to_string());
        offer["payTo"] = json!(pay_to);
        offer["extra"]["channelState"] = json!({
            "channelId": id, "balance": "0", "totalClaimed": "0", "withdrawRequestedAt": 0,
            "refundNonce": "0", "chargedCumulativeAmount": max,
        });
        offer["extra"]["voucherState"] = json!({
            "signedMaxClaimable": max, "signature": payment.payload["voucher"]["signature"],
        });
        offer
    };
    let same = accepted["payTo"].as_str().unwrap();
    Ok(match chance {
        4 => terms(&[lie(quote, same)], Some(MISMATCH)),
        5 => terms(&[lie(quote * 7, same)], Some(MISMATCH)),
        6 => terms(&[lie(quote, &account(wish.rng.random()))], Some(MISMATCH)),
        7 => terms(
            std::slice::from_ref(&accepted),
            Some("invalid_batch_settlement_evm_channel_busy"),
        ),
        8 => terms(
            std::slice::from_ref(&accepted),
            Some("invalid_batch_settlement_evm_insufficient_balance"),
        ),
        9 => (StatusCode::TEMPORARY_REDIRECT, [("location", "/elsewhere")]).into_response(),
        10 => {
            let pause = [("retry-after", "0")];
            let body = json!({ "error": { "message": "later" } });
            (StatusCode::SERVICE_UNAVAILABLE, pause, Json(body)).into_response()
        }
        11 => {
            let body = json!({ "error": { "message": "bad \u{1b}[2J text", "code": "x" } });
            (StatusCode::BAD_REQUEST, Json(body)).into_response()
        }
        3 => answer(&name, None, &content),
        _ => answer(
            &name,
            Some(json!({
                "success": true, "transaction": "", "network": "eip155:31337",
                "extra": {
                    "chargedAmount": charged.to_string(),
                    "channelState": {
                        "channelId": id, "balance": "0", "totalClaimed": "0",
                        "withdrawRequestedAt": 0, "refundNonce": "0",
                        "chargedCumulativeAmount": (before + charged + wish.beyond).to_string(),
                    },
                },
            })),
            &content,
        ),
    })
}

async fn never_ending(stuck: Stuck) -> Response {
    let (pause, piece) = match stuck {
        Stuck::Silent => std::future::pending().await,
        Stuck::Slow => (Duration::from_millis(100), vec![b' '; 1]),
        Stuck::Endless => (Duration::ZERO, vec![b' '; 1 << 20]),
    };
    let pieces = futures::stream::repeat(piece).then(move |piece| async move {
        tokio::time::sleep(pause).await;
        Ok::<_, std::io::Error>(piece)
    });
    Body::from_stream(pieces).into_response()
}

fn answer(id: &str, said: Option<Value>, content: &str) -> Response {
    let body = json!({
        "id": id, "object": "chat.completion", "model": "m",
        "choices": [{ "message": { "content": content } }],
        "usage": { "prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2 },
    });
    let mut answer = Json(body).into_response();
    if let Some(said) = said {
        let header =
            base64::Engine::encode(&base64::engine::general_purpose::STANDARD, said.to_string());
        let header = header.parse().unwrap();
        answer.headers_mut().insert("payment-response", header);
    }
    answer
}

/// The reason with which a seller corrects a total.
const MISMATCH: &str = "invalid_batch_settlement_evm_cumulative_amount_mismatch";

/// A buyer with money, on a chain.
struct Market {
    dir: tempfile::TempDir,
    devnet: Devnet,
    runtime: Runtime,
}

impl Market {
    fn open(call: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let devnet = Devnet::start(dir.path(), 31_337);
        let market = Self {
            devnet,
            dir,
            runtime: Runtime::new().unwrap(),
        };
        market.configure(call);
        let mint = DevelopmentToken::mintCall {
            to: BUYER.parse().unwrap(),
            amount: amount(FUNDS),
        };
        market.send(&contract("DevelopmentToken"), mint.abi_encode().into());
        market
    }

    fn configure(&self, call: &str) {
        let rpc = &self.devnet.rpc.url;
        let text = format!("[call]\n{call}\n[network.local]\nrpc = \"{rpc}\"\n");
        let own = self.dir.path().join("home/config");
        fs::create_dir_all(&own).unwrap();
        fs::write(own.join("config.toml"), text).unwrap();
    }

    /// Whether it went through.
    fn send(&self, to: &str, data: Bytes) -> bool {
        let fields = json!({ "from": FIRST, "to": to, "data": data, "gas": "0x989680" });
        let rpc = &self.devnet.rpc;
        let sent = rpc.ask("eth_sendTransaction", json!([fields]));
        let Some(hash) = sent["result"].as_str() else {
            return false;
        };
        rpc.ok("eth_getTransactionReceipt", json!([hash]))["status"] == "0x1"
    }

    fn held(&self) -> u128 {
        let account = BUYER.trim_start_matches("0x").to_lowercase();
        let data = format!("0x70a08231{account:0>64}");
        let call = json!([{ "to": contract("DevelopmentToken"), "data": data }, "latest"]);
        number(&self.devnet.rpc.ok("eth_call", call))
    }

    /// Puts on the chain what a seller has got.
    fn fetch(&self, loot: Vec<Loot>) {
        for loot in loot {
            match loot {
                Loot::Deposit(batch) => {
                    let VoucherAction::Deposit(part) = &batch.action else {
                        continue;
                    };
                    let erc3009 = part.authorization.erc3009.clone().unwrap();
                    let data = (
                        erc3009.valid_after,
                        erc3009.valid_before,
                        U256::from_be_bytes(erc3009.salt.0),
                        erc3009.signature,
                    );
                    let config: ChannelTerms = batch.config.clone().into();
                    let call = BatchSettlementEscrow::depositCall {
                        config: (&config).into(),
                        amount: part.amount.0,
                        collector: COLLECTOR,
                        collectorData: data.abi_encode_params().into(),
                    };
                    self.send(&ESCROW.to_string(), call.abi_encode().into());
                }
                Loot::Transfer(exact) => {
                    let it = exact.authorization;
                    let call = Token::transferWithAuthorizationCall {
                        from: it.from.into(),
                        to: it.to.into(),
                        value: U256::from(it.value.0),
                        validAfter: it.valid_after,
                        validBefore: it.valid_before,
                        nonce: it.nonce.0.into(),
                        signature: exact.signature,
                    };
                    self.send(&contract("DevelopmentToken"), call.abi_encode().into());
                }
            }
        }
    }

    fn call(&self, url: &str, args: &[&str]) -> Run {
        openlora(self.dir.path())
            .args(["call", "hello", "--kind", "chat", "--url", url])
            .args(args.iter().copied())
            .run()
    }

    fn purse(&self) -> PayerStore {
        PayerStore::open(&self.dir.path().join("home/data")).unwrap()
    }
}

fn total(signed: &BTreeMap<Word, Amount>) -> u128 {
    signed.values().map(|it| it.0).sum()
}

#[test]
fn a_seller_with_another_receiver_for_every_call_locks_no_more_than_a_days_budget() {
    let market = Market::open("");
    let (seller, url) = Seller::open(&market.runtime, 1);
    // A tiny price, and as much for the channel as a call may put in without a question.
    for number in 1..=120 {
        let asked = offer(10, &|it| {
            it["payTo"] = json!(account(number));
            it["extra"]["minDeposit"] = json!("10000");
        });
        seller.offer(vec![asked], true);
        let run = market.call(&url, &[]);
        market.fetch(seller.take());
        let lost = FUNDS - market.held();
        let allowed = u128::from(number) * 10_000;
        assert_eq!(lost, allowed.min(1_000_000), "{}", run.stderr);
        assert_eq!(run.code, if allowed <= 1_000_000 { 0 } else { 7 });
    }
    let refused = market.call(&url, &[]);
    let said = "error: this needs 0.01 dUSD; of the 1 dUSD a day that `call.budget` allows, 1 dUSD \
                are spent and 0 dUSD are left\n";
    assert!(refused.stderr.contains(said), "{}", refused.stderr);
}

#[test]
fn deposits_and_delays_beyond_the_limits_are_refused_before_anything_is_signed() {
    let market = Market::open("");
    let (seller, url) = Seller::open(&market.runtime, 2);
    let large = offer(10, &|it| it["extra"]["minDeposit"] = json!("900000"));
    let slow = offer(10, &|it| it["extra"]["withdrawDelay"] = json!(86_401));
    let known = "OpenLoRA Development USD";
    let ways: [(&Value, &[&str], i32, &str); 8] = [
        (&large, &[], 7, "and above 0.01 dUSD (`call.ask_above`)"),
        (&large, &["--yes"], 7, "allow it with --max-deposit 0.9"),
        (
            &large,
            &["--max-price", "0.5"],
            7,
            "the 0.5 dUSD of --max-price",
        ),
        (&large, &["--max-deposit", "0.8"], 7, "of --max-deposit"),
        (
            &slow,
            &[],
            5,
            "expected at most 86400 seconds (`call.max_delay`), found 86401",
        ),
        (
            &offer(10, &|it| it["extra"]["name"] = json!("Other")),
            &[],
            5,
            &format!("`extra.name`: expected `{known}`, found `Other`"),
        ),
        (
            &offer(10, &|it| it["asset"] = json!(account(9))),
            &[],
            5,
            "offers nothing that can be paid",
        ),
        (
            &offer(10, &|it| it["network"] = json!("eip155:8453")),
            &[],
            5,
            "offers nothing that can be paid",
        ),
    ];
    for (asked, args, code, said) in ways {
        seller.offer(vec![asked.clone()], true);
        let run = market.call(&url, &[args, &["--no-input"]].concat());
        assert_eq!(run.code, code, "{}", run.stderr);
        assert!(run.stderr.contains(said), "{said}: {}", run.stderr);
    }
    assert_eq!(seller.0.lock().unwrap().paid, 0);
    assert_eq!(market.purse().payment_records().unwrap(), []);
    // Allowed by a flag, or once and for all by a setting.
    seller.offer(vec![large], true);
    let run = market.call(&url, &["--max-deposit", "0.9"]).succeeds();
    let shown = "0.9 dUSD go into a channel with";
    assert!(run.stderr.contains(shown), "{}", run.stderr);
    let delay = "taking back what is left of it takes up to 900 seconds";
    assert!(run.stderr.contains(delay), "{}", run.stderr);
    // A price that is allowed bounds the usual deposit too.
    let other = offer(1_000, &|it| it["payTo"] = json!(account(5)));
    seller.offer(vec![other], true);
    market.call(&url, &["--max-price", "0.002"]).succeeds();
    market.fetch(seller.take());
    assert_eq!(FUNDS - market.held(), 900_000 + 2_000);
    // What is put in by hand counts too.
    let channel = market.purse().channels().unwrap()[0].id.to_string();
    let verbs: [&[&str]; 2] = [
        &["channel", "open", &url, "--amount", "0.2"],
        &["channel", "topup", &channel, "--amount", "0.2"],
    ];
    for verb in verbs {
        let run = openlora(market.dir.path()).args(verb.iter().copied()).run();
        let said = "error: this needs 0.2 dUSD; of the 1 dUSD a day that `call.budget` allows, \
                    0.902 dUSD are spent and 0.098 dUSD are left\n";
        assert_eq!(run.code, 7, "{verb:?}: {}", run.stderr);
        assert!(run.stderr.contains(said), "{verb:?}: {}", run.stderr);
    }
    assert_eq!(FUNDS - market.held(), 900_000 + 2_000);
}

#[test]
fn nothing_that_a_seller_says_steers_the_terminal_or_leads_a_payment_elsewhere() {
    let market = Market::open("");
    let (seller, url) = Seller::open(&market.runtime, 3);
    seller.offer(vec![offer(10, &|_| {})], true);
    let run = market.call(&url, &[]).succeeds();
    for text in [&run.stdout, &run.stderr] {
        let steers = |letter: char| letter.is_control() && letter != '\n';
        assert!(!text.contains(steers), "{text:?}");
    }
    assert_eq!(run.stdout, "ok \u{fffd}]0;owned\u{fffd}\u{fffd}[31mRED\n");
}

/// Reorders, hides and breaks lines, and poses as a line of the program.
const POSING: &str = "a\nhint: run this\r\u{202e}b\u{2066}\u{200b}\u{ad}\u{61c}\u{feff}\u{2028}\u{2029}\u{9b}c\u{e0041}";
/// The same on one line.
const POSED: &str = "a\u{fffd}hint: run this\u{fffd}\u{fffd}b\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}c\u{fffd}";

#[test]
fn a_seller_breaks_lines_in_its_answer_only_and_reorders_nothing() {
    let market = Market::open("");
    let (seller, url) = Seller::open(&market.runtime, 8);
    seller.offer(vec![offer(10, &|_| {})], true);
    seller.0.lock().unwrap().content = POSING.into();
    let run = market.call(&url, &[]).succeeds();
    let shown = POSED.replace("a\u{fffd}hint", "a\nhint");
    assert_eq!(run.stdout, format!("{shown}\n"));
    // As JSON it is whole, and ASCII where it would steer.
    let run = market.call(&url, &["--json"]).succeeds();
    assert!(run.stdout.trim_end().is_ascii(), "{:?}", run.stdout);
    let told: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(told["text"], POSING);
    seller.0.lock().unwrap().refusal = Some(POSING.into());
    let run = market.call(&url, &[]);
    assert_eq!(run.code, 3);
    let last = run.stderr.lines().last().unwrap();
    assert_eq!(last, format!("error: the server refused: {POSED}"));
    let unknown = offer(10, &|it| it["extra"]["name"] = json!(POSING));
    seller.offer(vec![unknown], true);
    let run = market.call(&url, &[]);
    assert_ne!(run.code, 0);
    assert!(run.stderr.contains(POSED), "{:?}", run.stderr);
    let posing = run.stderr.lines().any(|line| line.starts_with("hint: run"));
    assert!(!posing, "{:?}", run.stderr);
}

/// What was signed is in the buyer's records under the id that the buyer was shown, whatever the seller
/// says of it.
#[test]
fn a_seller_that_states_another_total_leaves_the_buyer_a_record_of_it() {
    let market = Market::open("");
    let (seller, url) = Seller::open(&market.runtime, 10);
    seller.offer(vec![offer(10, &|_| {})], true);
    let run = |args: &[&str]| openlora(market.dir.path()).args(args.iter().copied()).run();
    let receipt = |id: &str| {
        let shown = run(&["receipts", "show", id, "--json"]).succeeds();
        serde_json::from_str::<Value>(&shown.stdout).unwrap()
    };
    let call = |id: &str, beyond| {
        let mut wish = seller.0.lock().unwrap();
        (wish.id, wish.beyond) = (id.to_owned(), beyond);
        drop(wish);
        market.call(&url, &[]).succeeds()
    };
    call("first", 0);
    assert_eq!(receipt("first")["disputed"], Value::Null);
    let lied = call("second", 7);
    let said = "says that the channel's total is 0.000027 dUSD, expected 0.00002 dUSD";
    assert!(lied.stderr.contains(said), "{}", lied.stderr);
    let last = lied.stderr.lines().last().unwrap();
    let shown = "1 + 1 tokens, paid at most 0.00001 dUSD, receipt second";
    assert!(last.ends_with(shown), "{}", lied.stderr);
    let disputed = json!({ "charged": "10", "total": "27", "expected_total": "20" });
    let kept = receipt("second");
    assert_eq!(kept["disputed"], disputed);
    assert_eq!(
        (&kept["paid"], &kept["quote"]),
        (&Value::Null, &json!("10"))
    );
    // `verify` fails, and names it.
    let verified = run(&["receipts", "verify", "second"]);
    assert_eq!(verified.code, 9, "{}", verified.stderr);
    let named = "FAILED  statement: the server stated a channel total of 0.000027 dUSD, expected \
                 0.00002 dUSD\n";
    assert!(verified.stdout.contains(named), "{}", verified.stdout);
    // The channel shows it too.
    let list = run(&["channel", "list", "--json"]).succeeds();
    let list: Value = serde_json::from_str(&list.stdout).unwrap();
    assert_eq!(
        list[0]["disputed"],
        json!([{ "id": "second", "stated": disputed }])
    );
    let list = run(&["channel", "list"]).succeeds();
    let stated = "    disputed in second: the server stated a charge of 0.00001 dUSD and a channel \
                  total of 0.000027 dUSD; expected a total of at most 0.00002 dUSD\n";
    assert!(list.stdout.contains(stated), "{}", list.stdout);
    // One that names no id, or another call's, has its payment under the id that was shown.
    for id in ["../../x", "first"] {
        let lied = call(id, 7);
        let (_, own) = lied.stderr.trim_end().rsplit_once("receipt ").unwrap();
        assert_ne!(own, id);
        assert_eq!(receipt(own)["disputed"]["total"], "27", "{id}");
    }
    // An honest answer settles what was in doubt.
    call("last", 0);
    assert_eq!(receipt("second")["paid"], "0");
    assert_eq!(receipt("last")["paid"], "10");
    assert_eq!(receipt("last")["disputed"], Value::Null);
    assert!(
        run(&["receipts", "pending", "--json"])
            .succeeds()
            .stdout
            .contains("[]")
    );
}

#[test]
fn a_payer_asks_for_static_shares_in_what_it_signs_for() {
    let market = Market::open("");
    let (seller, url) = Seller::open(&market.runtime, 9);
    seller.offer(vec![offer(10, &|_| {})], true);
    market.call(&url, &["--static-shares"]).succeeds();
    market.call(&url, &[]).succeeds();
    let bodies = seller.0.lock().unwrap().bodies.clone();
    let asked = bodies.iter().map(|body| {
        let body: Value = serde_json::from_str(body).unwrap();
        body["attribution"].clone()
    });
    assert_eq!(asked.collect::<Vec<_>>(), [json!("static"), Value::Null]);
}

#[test]
fn a_seller_chooses_neither_how_long_nor_how_large_an_answer_is() {
    let market = Market::open("timeout = 2");
    let (seller, url) = Seller::open(&market.runtime, 6);
    seller.offer(vec![offer(10, &|_| {})], true);
    for stuck in [Stuck::Silent, Stuck::Slow, Stuck::Endless] {
        for args in [&[][..], &["--stream"]] {
            seller.0.lock().unwrap().stuck = Some(stuck);
            let began = Instant::now();
            let run = market.call(&url, args);
            assert!(matches!(run.code, 5 | 9), "{stuck:?}: {}", run.stderr);
            let hint = "openlora call --again ";
            assert!(run.stderr.contains(hint), "{stuck:?}: {}", run.stderr);
            // One that is let wait for its whole time is not asked for again and again.
            assert!(began.elapsed() < Duration::from_secs(20), "{stuck:?}");
        }
    }
    // However often: the payments stand for one total of one channel.
    let signed = seller.signed();
    assert_eq!((signed.len(), total(&signed)), (1, 10));
}

/// Offers as chance has them.
fn random_offer(rng: &mut StdRng) -> Value {
    let amount = *[1, 10, 900, 1_000, 4_000, 60_000].choose(rng).unwrap();
    let least = *[0, 10, 5_000, 20_000, 900_000].choose(rng).unwrap();
    let delay = *[900, 3_600, 86_400, 2_592_000].choose(rng).unwrap();
    let receiver = account(rng.random_range(1..4));
    let exact = rng.random_bool(0.25);
    offer(amount, &|it| {
        it["payTo"] = json!(receiver);
        it["extra"]["minDeposit"] = json!(least.to_string());
        it["extra"]["withdrawDelay"] = json!(delay);
        if exact {
            it["scheme"] = json!("exact");
        }
    })
}

#[test]
fn random_sellers_take_no_more_than_was_allowed() {
    const BUDGET: u128 = 200_000;
    let market = Market::open("budget = \"0.2\"");
    let (seller, url) = Seller::open(&market.runtime, 4);
    let mut rng = StdRng::seed_from_u64(5);
    let mut kept = Vec::new();
    let (mut taken, mut seen) = (0, BTreeSet::new());
    for round in 0..400 {
        let offers = (0..rng.random_range(1..3))
            .map(|_| random_offer(&mut rng))
            .collect();
        seller.offer(offers, false);
        let (price, deposit): (u32, u32) = *[(1_000, 4_000), (4_000, 20_000), (900, 0)]
            .choose(&mut rng)
            .unwrap();
        let [max_price, max_deposit] =
            [price, deposit].map(|sum| format!("{:.6}", f64::from(sum) / 1e6));
        let mut args = vec!["--max-price", max_price.as_str()];
        if deposit > 0 {
            args.extend(["--max-deposit", max_deposit.as_str()]);
        }
        let signed = total(&seller.signed());
        let run = market.call(&url, &args);
        let context = format!("round {round} {args:?}: {}", run.stderr);
        // What an earlier call has signed was allowed then.
        let loot = seller.take();
        let fresh = loot.iter().filter(|it| seen.insert(mark(it)));
        let lost: u128 = fresh.map(value).sum();
        let most = u128::from(price.max(deposit));
        assert!(lost <= most, "{lost} of at most {most}: {context}");
        let grown = total(&seller.signed()) - signed;
        let price = u128::from(price);
        assert!(grown <= price, "{grown} of at most {price}: {context}");
        taken += lost;
        match rng.random_bool(0.8) {
            true => market.fetch(loot),
            false => kept.extend(loot),
        }
        assert!(FUNDS - market.held() <= BUDGET, "{context}");
    }
    market.fetch(kept);
    let lost = FUNDS - market.held();
    assert_eq!(lost, taken);
    assert!((BUDGET / 10..=BUDGET).contains(&lost), "{lost}");
    let wish = seller.0.lock().unwrap();
    assert_eq!(wish.strayed, 0);
    assert!(wish.paid > 20, "{}", wish.paid);
}

/// What tells a signature from all others.
fn mark(loot: &Loot) -> Word {
    match loot {
        Loot::Deposit(batch) => match &batch.action {
            VoucherAction::Deposit(part) => part.authorization.erc3009.as_ref().unwrap().salt,
            VoucherAction::Voucher | VoucherAction::Refund { .. } => Word::default(),
        },
        Loot::Transfer(exact) => exact.authorization.nonce,
    }
}

fn value(loot: &Loot) -> u128 {
    match loot {
        Loot::Deposit(batch) => match &batch.action {
            VoucherAction::Deposit(part) => part.amount.0,
            VoucherAction::Voucher | VoucherAction::Refund { .. } => 0,
        },
        Loot::Transfer(exact) => exact.authorization.value.0,
    }
}
