//! `settle` and `withdraw` killed around every transaction and run again: each sum moves once,
//! and the journal knows every transaction's end.

use std::process::Stdio;

use openlora_ledger::event::Event;
use serde_json::Value;

use crate::{
    deploy_support::{Act, Desk, Proxy},
    keys::OWN,
    settlement_support::{Market, Seller},
    waiting,
};

/// The command that dies, and where: before the n-th request of a method reaches the chain, or
/// after it did and before the answer is back.
type Death = (&'static str, &'static str, usize, bool);

/// Before the intent, after it, after sending, after the receipt.
const CLAIM: &[Death] = &[
    ("settle", "eth_estimateGas", 3, false),
    ("settle", "eth_sendRawTransaction", 1, false),
    ("settle", "eth_sendRawTransaction", 1, true),
    ("settle", "eth_getTransactionReceipt", 1, true),
];
const SETTLE: &[Death] = &[
    ("settle", "eth_estimateGas", 4, false),
    ("settle", "eth_sendRawTransaction", 2, false),
    ("settle", "eth_sendRawTransaction", 2, true),
    ("settle", "eth_getTransactionReceipt", 2, true),
];
const RELEASE: &[Death] = &[
    ("withdraw", "eth_estimateGas", 1, false),
    ("withdraw", "eth_sendRawTransaction", 1, false),
    ("withdraw", "eth_sendRawTransaction", 1, true),
    ("withdraw", "eth_getTransactionReceipt", 1, true),
];
const PULL: &[Death] = &[
    ("withdraw", "eth_estimateGas", 2, false),
    ("withdraw", "eth_sendRawTransaction", 2, false),
    ("withdraw", "eth_sendRawTransaction", 2, true),
    ("withdraw", "eth_getTransactionReceipt", 2, true),
];

fn count(desk: &Desk, kind: &str) -> usize {
    desk.count(kind)
}

fn open(desk: &Desk) -> usize {
    let mut open: Vec<String> = Vec::new();
    for record in desk.journal() {
        match record.event {
            Event::TransactionIntended(intent) => open.push(intent.tx),
            Event::TransactionConfirmed { tx, .. } => open.retain(|it| *it != tx),
            _ => {}
        }
    }
    open.len()
}

fn configured(desk: &Desk, market: &Market, url: &str) {
    let token = market.token;
    desk.configure(&format!(
        "[network.local]\nrpc = \"{url}\"\ntoken = \"{token}\"\n"
    ));
}

fn killed(deaths: &[Death]) {
    let market = Market::embedded();
    let desk = Desk::new();
    let buyer = market.buyer(1, 1_000_000);
    let config = buyer.config(1);
    let path = desk.path().join("home/data/journal.sqlite");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let network = market.network(market.chain.url());
    let seller = || {
        let opened = market
            .runtime
            .block_on(Seller::open(&network, &path, |_| {}));
        opened.on(&market.runtime)
    };
    let first = seller();
    first.opens(&buyer, &config, 100_000);
    drop(first);
    let own = OWN.parse().unwrap();
    for (round, death) in deaths.iter().enumerate() {
        let (command, method, nth, after) = *death;
        let at = format!("{death:?}");
        let before = market.sent();
        let seller = seller();
        seller.charges(&buyer, &config, 1_000);
        drop(seller);
        if command == "withdraw" {
            configured(&desk, &market, market.chain.url());
            desk.run(&["settle"]).succeeds();
        }
        let proxy = Proxy::new(market.chain.url(), move |asked, count, _| {
            match (asked == method && count == nth, after) {
                (false, _) => Act::Forward,
                (true, false) => Act::Hang,
                (true, true) => Act::ForwardAndHang,
            }
        });
        configured(&desk, &market, &proxy.url);
        let mut child = desk
            .openlora(&[command])
            .into_command()
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        assert_eq!(proxy.wait_until_it_hangs(), method, "{at}");
        child.kill().unwrap();
        waiting::ended("the killed server", &mut child);
        configured(&desk, &market, market.chain.url());
        desk.run(&["settle"]).succeeds();
        desk.run(&["withdraw"]).succeeds();
        let rounds = round + 1;
        let sum = rounds as u128 * 1_000;
        let balances = [own, market.pool, market.splitter].map(|it| market.balance(it));
        assert_eq!(balances, [sum * 7 / 10, sum * 3 / 10, 0], "{at}");
        assert_eq!(market.sent() - before, 4, "{at}");
        let facts = ["claimed", "settled", "released"].map(|kind| count(&desk, kind));
        assert_eq!(facts, [rounds, rounds, 2 * rounds], "{at}");
        assert_eq!(open(&desk), 0, "{at}");
    }
    let nothing: Value = desk.json(&["settle"]);
    assert_eq!(nothing["claims"], serde_json::json!([]));
}

#[test]
fn killed_around_a_claim() {
    killed(CLAIM);
}

#[test]
fn killed_around_a_settlement() {
    killed(SETTLE);
}

#[test]
fn killed_around_a_release() {
    killed(RELEASE);
}

#[test]
fn killed_around_a_pull() {
    killed(PULL);
}

#[test]
fn the_commands_say_what_they_would_do_and_did() {
    let market = Market::embedded();
    let desk = Desk::new();
    configured(&desk, &market, market.chain.url());
    desk.run(&["settle"]).succeeds();
    let buyer = market.buyer(1, 10_000);
    let config = buyer.config(1);
    let path = desk.path().join("home/data/journal.sqlite");
    let network = market.network(market.chain.url());
    let opened = market
        .runtime
        .block_on(Seller::open(&network, &path, |_| {}));
    let seller = opened.on(&market.runtime);
    seller.opens(&buyer, &config, 10_000);
    seller.charges(&buyer, &config, 2_500_000 / 1_000);
    // The server has the journal.
    let locked = desk.run(&["settle"]);
    assert_eq!((locked.code, locked.stdout.as_str()), (4, ""));
    assert!(locked.stderr.contains("is in use by"), "{}", locked.stderr);
    drop(seller);
    let before = market.sent();
    let dry = desk.json(&["settle", "--dry-run"]);
    let receiver = market.splitter.to_string();
    assert_eq!(
        dry["claims"],
        serde_json::json!([{
            "receiver": receiver, "token": market.token.to_string(), "amount": "2500", "channels": 1,
        }])
    );
    let shown = desk.run(&["-q", "settle", "--dry-run"]).succeeds();
    assert_eq!(
        shown.stdout,
        format!("to claim      0.0025 USDC from 1 channels for {receiver}\n")
    );
    assert_eq!(market.sent(), before);
    let done = desk.json(&["settle"]);
    assert_eq!(done["claims"][0]["amount"], "2500");
    assert_eq!(done["settles"][0]["amount"], "2500");
    desk.run(&["withdraw", "--to", "0x12"]).fails(
        2,
        "error: --to is wrong: expected 0x and 40 hexadecimal digits, found `0x12`\n",
    );
    let dry = desk.json(&["withdraw", "--dry-run"]);
    let mut sums: Vec<&str> = dry["releases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["amount"].as_str().unwrap())
        .collect();
    sums.sort_unstable();
    assert_eq!(sums, ["1750", "750"]);
    let to = "0x00000000000000000000000000000000000000e1";
    desk.run(&["withdraw", "--to", to]).succeeds();
    assert_eq!(market.balance(to.parse().unwrap()), 1_750);
    assert_eq!(market.balance(market.pool), 750);
    let again = desk.run(&["-q", "withdraw"]).succeeds();
    assert_eq!(again.stdout, "there is nothing to withdraw\n");
}
