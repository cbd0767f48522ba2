//! Payments between ours and the stock x402 packages: our `call` and `channel` against a shop of
//! express with x402's own middleware, schemes and facilitator, on the embedded chain.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    process::{Child, Command, Stdio},
};

use alloy::{primitives::Bytes, sol_types::SolCall};
use openlora_chain::{balance::amount, registry::DevelopmentToken};
use openlora_core::Amount;
use openlora_ledger::PaymentScheme;
use openlora_payments::payer::{PayerStore, PaymentRecord, PaymentStatus};
use regex::Regex;
use serde_json::{Value, json};

use crate::paths::repository;
use crate::{
    deploy_support::contract,
    devnet_support::{Devnet, FIRST, Rpc, signal},
    live::write_adapters,
    sdk::{javascript, run, suite},
    support::{Invocation, Run, openlora},
    waiting::{self, wait_until},
    x402_buyers::serve,
};

/// The account that buys when there is no wallet.
const BUYER: &str = "0x90F79bf6EB2c4f870365E785982E1f101E93b906";
/// Who is paid at the shop.
const RECEIVER: &str = "0x976ea74026e726554db657fa54763abd0c3a0aa9";

/// The same with its checksum, as it is shown.
const RECEIVER_SHOWN: &str = "0x976EA74026E726554dB657fA54763abd0C3a0aa9";

/// A shop in a process of its own, which ends with the test.
struct Shop {
    child: Child,
    url: String,
    http: Rpc,
}

impl Shop {
    /// With the stock facilitator, or through the one at an address, with its token.
    fn open(rpc: &str, facilitator: Option<[&str; 2]>) -> Self {
        let folder = javascript("x402");
        // Modules resolve from the script's own folder.
        let script = folder.join("seller.mjs");
        // Other tests may read it at this moment, so it is whole at any.
        let fresh = tempfile::NamedTempFile::new_in(&folder).unwrap();
        fs::copy(suite("x402").join("seller.mjs"), fresh.path()).unwrap();
        fresh.persist(&script).unwrap();
        let root = repository();
        let mut child = Command::new("node")
            .arg(script)
            .args([rpc, &contract("DevelopmentToken")])
            .arg(root.join("contracts/artifacts/DevelopmentMulticall.json"))
            .args(facilitator.into_iter().flatten())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = child.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let url = line.trim_end().to_owned();
        assert!(url.starts_with("http://"), "the shop did not open: {url}");
        Self {
            child,
            http: Rpc::new(&url),
            url,
        }
    }

    fn control(&self, wish: Value) -> Value {
        let headers = [("content-type", "application/json")];
        let (status, said) = self
            .http
            .http("POST", "/control", &headers, &wish.to_string());
        assert_eq!(status, 200, "{said}");
        serde_json::from_str(&said).unwrap()
    }

    /// What the shop has of each channel, in the order of their ids.
    fn channels(&self) -> Vec<Value> {
        let (_, said) = self.http.http("GET", "/channels", &[], "");
        let mut all: Vec<Value> = serde_json::from_str(&said).unwrap();
        all.sort_by_key(|channel| channel["channelId"].to_string());
        all
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        let _ = self.child.kill();
        waiting::end(&mut self.child);
    }
}

/// A buyer's home, a chain and a shop on it.
struct Market {
    dir: tempfile::TempDir,
    devnet: Devnet,
    shop: Shop,
    /// Our server, where the shop's payments are cleared by it.
    clearing: Option<Child>,
    /// Its address.
    clearing_url: String,
}

impl Market {
    fn open() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let devnet = Devnet::start(dir.path(), 31_337);
        let shop = Shop::open(&devnet.rpc.url, None);
        let market = Self {
            dir,
            devnet,
            shop,
            clearing: None,
            clearing_url: String::new(),
        };
        market.configure("");
        market
    }

    /// A shop whose facilitator is a server of ours.
    fn cleared_by_us() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let devnet = Devnet::start(dir.path(), 31_337);
        let home = dir.path().join("seller");
        fs::create_dir(&home).unwrap();
        let text = format!("[network.local]\nrpc = \"{}\"\n", devnet.rpc.url);
        fs::write(home.join("openlora.toml"), text).unwrap();
        write_adapters(&home);
        let (server, url) = serve(&home);
        let token = fs::read_to_string(home.join("home/data/facilitator.token")).unwrap();
        let shop = Shop::open(&devnet.rpc.url, Some([&url, token.trim()]));
        let market = Self {
            dir,
            devnet,
            shop,
            clearing: Some(server),
            clearing_url: url,
        };
        market.configure("");
        market
    }

    fn configure(&self, more: &str) {
        let rpc = &self.devnet.rpc.url;
        // The stock seller asks for ten calls' price at once, more than a call may cost unasked.
        let deposit = match more.contains("max_deposit") {
            true => "",
            false => "max_deposit = \"0.015\"\n",
        };
        let text = format!("[call]\n{deposit}{more}\n[network.local]\nrpc = \"{rpc}\"\n");
        let own = self.dir.path().join("home/config");
        fs::create_dir_all(&own).unwrap();
        fs::write(own.join("config.toml"), text).unwrap();
        // Open ones are closed with a notice.
        for (path, mode) in [(own.clone(), 0o700), (own.join("config.toml"), 0o600)] {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
    }

    fn openlora(&self, args: &[&str]) -> Invocation {
        openlora(self.dir.path()).args(args.iter().copied())
    }

    fn call(&self, args: &[&str]) -> Invocation {
        self.openlora(&["call", "hello", "--url", &self.shop.url])
            .args(args.iter().copied())
    }

    #[track_caller]
    fn pay(&self, args: &[&str]) -> Value {
        json_of(self.call(&["--json"]).args(args.iter().copied()).run())
    }

    #[track_caller]
    fn json(&self, args: &[&str]) -> Value {
        json_of(self.openlora(&["--json"]).args(args.iter().copied()).run())
    }

    fn purse(&self) -> PayerStore {
        PayerStore::open(&self.dir.path().join("home/data")).unwrap()
    }

    fn spendings(&self) -> Vec<PaymentRecord> {
        self.purse().payment_records().unwrap()
    }

    /// What an account has of the token.
    fn held(&self, account: &str) -> u128 {
        let account = account.trim_start_matches("0x").to_lowercase();
        let data = format!("0x70a08231{account:0>64}");
        let call = json!([{ "to": contract("DevelopmentToken"), "data": data }, "latest"]);
        crate::devnet_support::number(&self.devnet.rpc.ok("eth_call", call))
    }

    /// Ours and theirs agree about a channel.
    #[track_caller]
    fn agrees(&self, charged: &str) {
        let ours = self.json(&["channel", "list"]);
        let theirs = self.shop.channels();
        assert_eq!((ours.as_array().unwrap().len(), theirs.len()), (1, 1));
        assert_eq!(ours[0]["channel"], theirs[0]["channelId"]);
        assert_eq!(ours[0]["charged"], charged);
        assert_eq!(theirs[0]["chargedCumulativeAmount"], charged);
    }
}

impl Drop for Market {
    fn drop(&mut self) {
        if let Some(mut server) = self.clearing.take() {
            signal(server.id(), "TERM");
            waiting::end(&mut server);
        }
    }
}

#[track_caller]
fn json_of(run: Run) -> Value {
    serde_json::from_str(&run.succeeds().stdout).unwrap()
}

/// With every hash replaced, and every channel.
fn without_hashes(text: &str) -> String {
    let hash = Regex::new("0x[0-9a-f]{64}").unwrap();
    hash.replace_all(text, "HASH").into_owned()
}

fn amounts(spendings: &[PaymentRecord]) -> Vec<Option<u128>> {
    let charged = spendings.iter().map(|it| it.charged());
    charged.map(|it| it.map(|Amount(sum)| sum)).collect()
}

/// A result of every verb that pays, by the schema that it should fit.
pub fn results() -> Vec<(&'static str, Value)> {
    let market = Market::open();
    let url = market.shop.url.as_str();
    let open = [
        "channel",
        "open",
        url,
        "--adapter",
        "stock",
        "--amount",
        "0.02",
    ];
    let mut results = vec![("channel", market.json(&open))];
    results.push(("call", market.pay(&[])));
    results.push(("channel-list", market.json(&["channel", "list"])));
    for (schema, verb) in [("receipts-show", "show"), ("receipts-verify", "verify")] {
        results.push((schema, market.json(&["receipts", verb, "stock-1"])));
    }
    results.push(("receipts-pending", market.json(&["receipts", "pending"])));
    results.push(("receipts-list", market.json(&["receipts", "list"])));
    results.push(("channel-refund", market.json(&["channel", "refund"])));
    market.json(&open);
    results.push(("channel-withdraw", market.json(&["channel", "withdraw"])));
    results
}

#[test]
fn a_call_opens_a_channel_and_further_ones_use_it() {
    let market = Market::open();
    let first = market.call(&[]).run().succeeds();
    assert_eq!(first.stdout, "answer 1 to hello\n");
    let expected = format!(
        "there is no wallet, so development account 3 pays: {BUYER}\n\
         stock costs up to 0.0015 dUSD on local, paid by batch-settlement\n\
         making 100 dUSD: sent as HASH\n\
         {BUYER} had too little on the development chain and got 100 dUSD\n\
         0.015 dUSD go into a channel with {RECEIVER_SHOWN}; taking back what is left of it takes \
         up to 900 seconds\n\
         3 + 5 tokens, paid 0.0015 dUSD, receipt stock-1\n"
    );
    assert_eq!(without_hashes(&first.stderr), expected);
    market.shop.control(json!({ "charge": "500" }));
    let second = market.pay(&[]);
    let usage = json!({ "prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8 });
    let asked = json!([{ "role": "user", "content": "hello" }]);
    let expected = json!({
        "id": "stock-2", "text": "answer 2 to hello", "usage": usage, "paid": "500",
        "receipt": null,
        "request": {
            "path": "/v1/chat/completions",
            "body": { "model": "stock", "messages": asked },
        },
    });
    assert_eq!(second, expected);
    market.agrees("2000");
    let listed = market.json(&["channel", "list"]);
    let sums = ["state", "balance", "charged", "claimed", "left", "fresh"]
        .map(|name| listed[0][name].clone());
    let expected = json!(["open", "15000", "2000", "0", "13000", true]);
    assert_eq!(json!(sums), expected);
    let verified = market.json(&["receipts", "verify", "stock-2"]);
    let checks: Vec<(&str, &str)> = verified["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["name"].as_str().unwrap(), it["status"].as_str().unwrap()))
        .collect();
    let names = ["parties", "limit", "total", "signature", "chain"];
    assert_eq!(checks, names.map(|name| (name, "pass")));
}

#[test]
fn a_channel_is_filled_again_before_it_is_empty() {
    let market = Market::open();
    for _ in 0..10 {
        market.pay(&[]);
    }
    let balance = |market: &Market| market.json(&["channel", "list"])[0]["balance"].clone();
    assert_eq!(balance(&market), "15000");
    market.pay(&[]);
    assert_eq!(balance(&market), "30000");
    market.agrees("16500");
    let topped = market.json(&["channel", "topup", "--amount", "0.01"]);
    assert_eq!(
        (&topped["balance"], &topped["left"]),
        (&json!("40000"), &json!("23500"))
    );
    assert_eq!(market.held(BUYER), 100_000_000 - 40_000);
    market.pay(&[]);
    market.agrees("18000");
}

#[test]
fn a_purse_that_lags_behind_catches_up_by_its_own_signature() {
    let market = Market::open();
    market.pay(&[]);
    let file = market.dir.path().join("home/data/purse.db");
    let before = fs::read(&file).unwrap();
    market.pay(&[]);
    market.pay(&[]);
    fs::write(&file, before).unwrap();
    market.pay(&[]);
    market.agrees("6000");
    let spendings = market.spendings();
    // The first; the voucher that was refused; what two forgotten calls cost; the last.
    assert_eq!(
        amounts(&spendings),
        [Some(1_500), None, Some(3_000), Some(1_500)]
    );
    assert_eq!(spendings[1].status, PaymentStatus::Void);
}

#[test]
fn a_call_killed_before_its_answer_is_neither_lost_nor_paid_twice() {
    let market = Market::open();
    market.pay(&[]);
    market.shop.control(json!({ "holding": true }));
    let mut killed = market.call(&["--json"]).into_command();
    let mut killed = killed
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // The voucher has left, and the shop works.
    wait_until("the shop to hold a call", || {
        market.shop.control(json!({}))["held"] == 1
    });
    killed.kill().unwrap();
    waiting::ended("the killed call", &mut killed);
    assert_eq!(market.spendings()[1].status, PaymentStatus::Open);
    market.shop.control(json!({ "holding": false }));
    wait_until("the held call's charge", || {
        market.shop.channels()[0]["chargedCumulativeAmount"] == "3000"
    });
    market.pay(&[]);
    market.agrees("4500");
    let spendings = market.spendings();
    // The first, the killed one, the voucher that was refused, the last.
    assert_eq!(
        amounts(&spendings),
        [Some(1_500), Some(1_500), None, Some(1_500)]
    );
    assert_eq!(spendings[2].status, PaymentStatus::Void);
}

#[test]
fn a_stock_sellers_lost_answer_is_not_paid_for_again() {
    let market = Market::open();
    market.pay(&[]);
    market.shop.control(json!({ "holding": true }));
    let mut killed = market.call(&["--json"]).into_command();
    killed.stdout(Stdio::null()).stderr(Stdio::null());
    let mut killed = killed.spawn().unwrap();
    wait_until("the shop to hold a call", || {
        market.shop.control(json!({}))["held"] == 1
    });
    killed.kill().unwrap();
    waiting::ended("the killed call", &mut killed);
    market.shop.control(json!({ "holding": false }));
    wait_until("the held call's charge", || {
        market.shop.channels()[0]["chargedCumulativeAmount"] == "3000"
    });
    let waiting = market.json(&["receipts", "pending"]);
    let id = waiting[0]["id"].as_str().unwrap();
    let lost = market.openlora(&["-q", "call", "--again", id]).run();
    let url = &market.shop.url;
    lost.fails(
        5,
        &format!(
            "error: {url} has taken 0.0015 dUSD for this call and does not give its answer again \
             (the voucher is not for what is charged plus the amount of the offer; code \
             invalid_batch_settlement_evm_cumulative_amount_mismatch)\n\
             hint: make the call anew if its answer is worth its price twice; `openlora receipts \
             show ID` keeps what was paid\n"
        ),
    );
    market.agrees("3000");
    assert_eq!(amounts(&market.spendings()), [Some(1_500), Some(1_500)]);
    assert_eq!(market.json(&["receipts", "pending"]), json!([]));
}

#[test]
fn a_refund_brings_the_rest_back_and_ends_the_channel() {
    let market = Market::open();
    market.pay(&[]);
    let said = market.openlora(&["channel", "refund"]).run().succeeds();
    assert_eq!(
        without_hashes(&said.stdout),
        "0.0135 dUSD came back from channel HASH\n"
    );
    assert_eq!(market.held(BUYER), 100_000_000 - 1_500);
    market.pay(&[]);
    let listed = market.json(&["channel", "list"]);
    let states: Vec<&Value> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["state"])
        .collect();
    assert_eq!(states, ["open", "refunded"]);
    assert_ne!(listed[0]["channel"], listed[1]["channel"]);
}

#[test]
fn a_channel_is_opened_and_taken_back_without_the_server() {
    let market = Market::open();
    let open = [
        "channel",
        "open",
        &market.shop.url,
        "--adapter",
        "stock",
        "--amount",
        "0.02",
    ];
    let opened = market.json(&open);
    assert_eq!(opened["balance"], "20000");
    market.pay(&[]);
    let listed = market.json(&["channel", "list"]);
    assert_eq!(
        (&listed[0]["channel"], &listed[0]["balance"]),
        (&opened["channel"], &json!("20000"))
    );
    let begun = market.json(&["channel", "withdraw"]);
    assert_eq!(
        (&begun["done"], &begun["amount"]),
        (&json!(false), &json!("18500"))
    );
    let early = market.openlora(&["-q", "channel", "withdraw"]).run();
    assert_eq!(early.code, 6, "{}", early.stderr);
    market.devnet.rpc.ok("evm_increaseTime", json!([900]));
    market.devnet.rpc.ok("evm_mine", json!([]));
    let done = market.json(&["channel", "withdraw"]);
    assert_eq!(
        (&done["done"], &done["amount"]),
        (&json!(true), &json!("18500"))
    );
    assert_eq!(done["channel"]["state"], "refunded");
    assert_eq!(market.held(BUYER), 100_000_000 - 1_500);
}

#[test]
fn one_transfer_pays_one_call_when_exact_is_asked_for() {
    let market = Market::open();
    let answer = market.pay(&["--scheme", "exact"]);
    assert_eq!(answer["paid"], "1500");
    assert_eq!(market.held(RECEIVER), 1_500);
    let spendings = market.spendings();
    assert_eq!(amounts(&spendings), [Some(1_500)]);
    assert_eq!(spendings[0].scheme, PaymentScheme::Exact);
    assert_eq!(market.purse().channels().unwrap(), []);
    let verified = market.json(&["receipts", "verify", "stock-1"]);
    assert_eq!(verified["ok"], true);
    assert_eq!(
        verified["checks"][4],
        json!({ "name": "chain", "status": "pass", "reason": null })
    );
}

#[test]
fn limits_are_kept_before_anything_is_signed() {
    let market = Market::open();
    let notes = format!("there is no wallet, so development account 3 pays: {BUYER}\n");
    // Money is there, so none is made on the way.
    let mint = DevelopmentToken::mintCall {
        to: BUYER.parse().unwrap(),
        amount: amount(1_000_000),
    };
    let (to, data) = (contract("DevelopmentToken"), Bytes::from(mint.abi_encode()));
    let call = json!([{ "from": FIRST, "to": to, "data": data }]);
    market.devnet.rpc.ok("eth_sendTransaction", call);
    market.call(&["--max-price", "0.001"]).run().fails(
        7,
        &format!(
            "{notes}error: this call may cost 0.0015 dUSD, more than the 0.001 dUSD of --max-price\n\
             hint: raise --max-price, or ask for less: a shorter answer with --max-tokens, or fewer pictures \
             or steps\n"
        ),
    );
    market.call(&["--max-price", "0.0000001"]).run().fails(
        2,
        &format!(
            "{notes}error: --max-price 0.0000001: expected an amount of dUSD with at most 6 \
             decimals, such as 0.01\n"
        ),
    );
    let price = "stock costs up to 0.0015 dUSD on local, paid by batch-settlement\n";
    market.configure("ask_above = \"0.001\"\n");
    market.call(&["--yes"]).run().fails(
        7,
        &format!(
            "{notes}{price}error: this call may cost 0.0015 dUSD, and above 0.001 dUSD \
             (`call.ask_above`) a person is asked\n\
             hint: allow it with --max-price 0.0015\n"
        ),
    );
    assert_eq!(market.spendings(), []);
    // A price that is allowed allows no more to go into a channel, and a script is not asked.
    let deposit = |args: &[&str], more: &str, said: &str| {
        market.configure(more);
        let hint = "hint: allow it with --max-deposit 0.015\n";
        let expected = format!("{notes}{price}{said}\n{hint}");
        market.call(args).run().fails(7, &expected);
    };
    deposit(
        &["--max-price", "0.002"],
        "max_deposit = \"0.001\"\n",
        &format!(
            "error: this puts 0.015 dUSD into a channel with {RECEIVER_SHOWN}, where it stays \
             until it is used or asked back, more than the 0.002 dUSD of --max-price"
        ),
    );
    deposit(
        &["--max-deposit", "0.01"],
        "",
        &format!(
            "error: this puts 0.015 dUSD into a channel with {RECEIVER_SHOWN}, where it stays \
             until it is used or asked back, more than the 0.01 dUSD of --max-deposit"
        ),
    );
    deposit(
        &["--yes"],
        "max_deposit = \"0.001\"\n",
        &format!(
            "0.015 dUSD go into a channel with {RECEIVER_SHOWN}; taking back what is left of it \
             takes up to 900 seconds\n\
             error: this call puts 0.015 dUSD into a channel with {RECEIVER_SHOWN}, and above \
             0.01 dUSD (`call.ask_above`) a person is asked"
        ),
    );
    market.configure("max_delay = 900\n");
    assert_eq!(market.spendings(), []);
    let allowed = ["--max-price", "0.002", "--max-deposit", "0.015"];
    assert_eq!(market.pay(&allowed)["paid"], "1500");
    // What was put into the channel is spent, and calls from it cost no more until it is empty.
    market.configure("budget = \"0.016\"\n");
    assert_eq!(market.pay(&[])["paid"], "1500");
    let exact = price.replace("batch-settlement", "exact");
    market.call(&["--yes", "--scheme", "exact"]).run().fails(
        7,
        &format!(
            "{notes}{exact}error: this needs 0.0015 dUSD; of the 0.016 dUSD a day that \
             `call.budget` allows, 0.015 dUSD are spent and 0.001 dUSD are left\n\
             hint: wait for tomorrow (UTC), or raise it: openlora config set --user call.budget \
             AMOUNT\n"
        ),
    );
    assert_eq!(amounts(&market.spendings()), [Some(1_500), Some(1_500)]);
    market.agrees("3000");
}

#[test]
fn a_stock_seller_clears_its_payments_through_our_server() {
    let market = Market::cleared_by_us();
    // A deposit, a voucher, one payment by `exact`, and the rest of the channel back.
    for number in 1..=2 {
        let answer = market.pay(&[]);
        assert_eq!(answer["text"], format!("answer {number} to hello"));
        assert_eq!(answer["paid"], "1500");
    }
    market.agrees("3000");
    let before = market.held(RECEIVER);
    assert_eq!(market.pay(&["--scheme", "exact"])["paid"], "1500");
    assert_eq!(market.held(RECEIVER) - before, 1_500);
    market.json(&["channel", "refund"]);
    assert_eq!(market.held(BUYER), 100_000_000 - 3_000 - 1_500);
}

/// What the stock packages make of our server, and what it lists of the shop that it clears for.
fn found_by_stock(market: &Market) -> Value {
    let folder = javascript("x402");
    let script = folder.join("found.mjs");
    fs::copy(suite("x402").join("found.mjs"), &script).unwrap();
    let mint = DevelopmentToken::mintCall {
        to: STOCK_BUYER.parse().unwrap(),
        amount: amount(1_000_000),
    };
    let (to, data) = (contract("DevelopmentToken"), Bytes::from(mint.abi_encode()));
    let call = json!([{ "from": FIRST, "to": to, "data": data }]);
    market.devnet.rpc.ok("eth_sendTransaction", call);
    let mut program = Command::new("node");
    program.arg(script).args([
        &market.clearing_url,
        "persona",
        &market.shop.url,
        &market.devnet.rpc.url,
    ]);
    serde_json::from_str(&run(program.env("NO_PROXY", "127.0.0.1"))).unwrap()
}

/// Development account 4, which the stock client pays with.
const STOCK_BUYER: &str = "0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65";

#[test]
fn the_stock_packages_find_our_routes_and_what_their_clients_paid_for() {
    let market = Market::cleared_by_us();
    let found = found_by_stock(&market);
    let route = |path: &str, body: Value| {
        json!({
            "schema": { "valid": true },
            "spec": { "valid": true },
            "metadata": { "serviceName": "persona", "tags": ["lora", "openai-compatible", "chat"] },
            "resource": path,
            "method": "POST",
            "body": body,
        })
    };
    let hello = json!([{ "role": "user", "content": "Hello" }]);
    let routes = json!({
        "chat": route("/v1/chat/completions", json!({ "model": "persona", "messages": hello })),
        "text": route("/v1/completions", json!({ "model": "persona", "prompt": "Once upon a time" })),
    });
    assert_eq!(found["routes"], routes);
    let schemes = json!(["batch-settlement"]);
    let own = json!([
        ["/v1/chat/completions", "http", schemes],
        ["/v1/completions", "http", schemes],
    ]);
    assert_eq!(found["own"], own);
    let shown = &found["shown"];
    let named = [
        "resource",
        "type",
        "description",
        "mimeType",
        "serviceName",
        "tags",
        "accepts",
    ];
    let expected = json!([
        "/v1/chat/completions",
        "http",
        "A stock answer",
        "application/json",
        "Stock",
        ["stock", "answers"],
        ["exact", "batch-settlement"],
    ]);
    let shown: Value = named.map(|name| shown[name].clone()).into_iter().collect();
    assert_eq!(shown, expected, "{found}");
    let input = &found["shown"]["extensions"]["bazaar"]["info"]["input"];
    assert_eq!(input["method"], "POST");
    assert_eq!(found["stock"], json!(["/v1/chat/completions"]));
    assert_eq!(found["nothing"], json!([]));
    assert_eq!(found["elsewhere"], 0);
    // Our own client repeats what it was sent, so that its payments are listed too; and the list
    // outlives the server.
    assert_eq!(market.pay(&[])["paid"], "1500");
    let kept = market.dir.path().join("seller/home/data/resources.json");
    let kept: Value = serde_json::from_slice(&fs::read(kept).unwrap()).unwrap();
    assert_eq!(kept.as_array().unwrap().len(), 1);
}
