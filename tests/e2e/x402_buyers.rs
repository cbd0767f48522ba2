//! The stock x402 clients, unmodified, buy chats from our server: npm's and PyPI's open a channel,
//! pay from it, find their place again in a fresh process, fill it, empty it, and pay once.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use alloy::{primitives::Bytes, sol_types::SolCall};
use openlora_chain::{balance::amount, registry::DevelopmentToken};
use serde_json::{Value, json};

use crate::{
    deploy_support::contract,
    devnet_support::{Devnet, FIRST, signal},
    live::{golden, serve_on, write_adapters},
    sdk::{javascript, python, run, suite},
    support::openlora,
    waiting,
};

/// Development accounts 4 and 8, which the scripts buy with.
const NPM: &str = "0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65";
const PYPI: &str = "0x23618e81E3f5cdF7f54C3d65f7FBc0aBf5B21E8f";

/// What the server's settings keep back on refunds.
const REFUND_FEE: u128 = 10;

/// Our server with a registered adapter on a chain, and buyers with money there.
struct Market {
    _dir: tempfile::TempDir,
    devnet: Devnet,
    server: Child,
    url: String,
}

impl Market {
    fn open() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let devnet = Devnet::start(dir.path(), 31_337);
        let text = format!(
            "[serve]\nmin_deposit = \"0.00015\"\nmin_exact = \"0.00001\"\nrefund_fee = \"0.00001\"\n\n[network.local]\nrpc = \"{}\"\n",
            devnet.rpc.url
        );
        fs::write(dir.path().join("openlora.toml"), text).unwrap();
        for buyer in [NPM, PYPI] {
            let mint = DevelopmentToken::mintCall {
                to: buyer.parse().unwrap(),
                amount: amount(100_000_000),
            };
            let (to, data) = (contract("DevelopmentToken"), Bytes::from(mint.abi_encode()));
            let call = json!([{ "from": FIRST, "to": to, "data": data }]);
            devnet.rpc.ok("eth_sendTransaction", call);
        }
        write_adapters(dir.path());
        let (server, url) = serve(dir.path());
        Self {
            _dir: dir,
            devnet,
            server,
            url,
        }
    }

    /// One step of a client's script, in a process of its own.
    #[track_caller]
    fn step(&self, interpreter: &Path, script: &Path, step: &str) -> Value {
        let rpc = &self.devnet.rpc.url;
        let mut program = Command::new(interpreter);
        program.arg(script).args([step, &self.url, "persona", rpc]);
        let said = run(program.env("NO_PROXY", "127.0.0.1"));
        serde_json::from_str(&said).unwrap()
    }
}

impl Drop for Market {
    fn drop(&mut self) {
        signal(self.server.id(), "TERM");
        waiting::end(&mut self.server);
    }
}

/// Registers `persona` and sells its calls.
pub fn serve(dir: &Path) -> (Child, String) {
    let base = golden("llama").display().to_string();
    let package = ["package", "persona", "--out", "pkg", "--base", &base];
    openlora(dir).args(package).run().succeeds();
    openlora(dir).args(["deploy", "pkg"]).run().succeeds();
    let more = ["--local", "--json", "--adapter", "persona=persona"];
    let command = openlora(dir).args(serve_on(&base, "0")).args(more);
    let mut command = command.into_command();
    let mut server = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let ready: Value = serde_json::from_str(&line).unwrap();
    (server, ready["url"].as_str().unwrap().to_owned())
}

#[test]
fn the_npm_client_pays_us_unchanged() {
    let market = Market::open();
    let folder = javascript("x402");
    // Modules resolve from the script's own folder.
    let script = folder.join("buyer.mjs");
    fs::copy(suite("x402").join("buyer.mjs"), &script).unwrap();
    let step = |name: &str| market.step("node".as_ref(), &script, name);
    let opened = step("deposit");
    assert_eq!(opened["payments"], json!(["deposit"]));
    // A fresh process starts from the chain, is corrected once, and goes on from there.
    let paid = step("vouchers");
    let payments = paid["payments"].as_array().unwrap();
    assert_eq!(payments.len(), 21);
    let sum = |value: &Value| value.as_str().unwrap().parse::<u128>().unwrap();
    assert_eq!(
        sum(&paid["total"]),
        sum(&opened["charged"]) + sum(&paid["charged"])
    );
    assert_eq!(paid["channel"]["id"], opened["channel"]["id"]);
    let topped = step("topup");
    assert!(sum(&topped["channel"]["balance"]) > sum(&opened["channel"]["balance"]));
    assert_eq!(step("exact")["transaction"], true);
    let refunded = step("refund");
    // What the refund's transaction costs us stays in the channel.
    let rest = sum(&topped["channel"]["balance"]) - sum(&topped["total"]) - REFUND_FEE;
    let expected = json!({
        "success": true, "amount": rest.to_string(), "transaction": true, "payments": [],
    });
    assert_eq!(refunded, expected);
    // A total that another call was allowed and has not cost is not paid twice: the client is led
    // to the next one, and its own second try is served.
    let led = step("collision");
    assert_eq!(led["tries"], 2, "{led}");
    assert!(sum(&led["charged"]) <= sum(&led["left"]), "{led}");
}

#[test]
fn the_pypi_client_pays_us_unchanged() {
    let market = Market::open();
    let interpreter = python("x402");
    let script = suite("x402").join("buyer.py");
    let step = |name: &str| market.step(interpreter.as_ref(), &script, name);
    assert_eq!(step("1")["calls"], 1);
    assert_eq!(step("20")["calls"], 20);
    assert_eq!(step("exact"), json!({ "transaction": true }));
    assert_eq!(step("refund")["success"], true);
    let led = step("collision");
    assert!(led["charged"].as_u64() <= led["left"].as_u64(), "{led}");
}

/// The calls that the server has counted, and what they were charged.
fn counted(market: &Market) -> Vec<u128> {
    let journal = market._dir.path().join("home/data/journal.sqlite");
    let mut journal = openlora_journal::Journal::open_read_only(&journal).unwrap();
    let mut charges = Vec::new();
    journal
        .replay(1, |record| {
            if let openlora_ledger::event::Event::CallMetered { charge, .. } = &record.event {
                charges.push(charge.as_ref().unwrap().amount.0);
            }
        })
        .unwrap();
    charges
}

#[test]
fn the_pypi_client_pays_for_our_tools_unchanged() {
    let market = Market::open();
    let interpreter = python("x402mcp");
    let script = suite("x402mcp").join("buyer.py");
    let step = |name: &str| market.step(interpreter.as_ref(), &script, name);
    assert_eq!(step("wrong")["refused"], 6);
    assert_eq!(counted(&market), Vec::<u128>::new());
    assert_eq!(step("5")["calls"], 5);
    assert_eq!(step("exact")["calls"], 1);
    // A payment is for one call: sent again from the same address, it gets that answer once more,
    // and it gets no other.
    let replayed = step("replay");
    assert_eq!(replayed["again"], json!(["same", "refused"]), "{replayed}");
    let charges = counted(&market);
    assert_eq!(charges.len(), 7, "{charges:?}");
    assert!(charges.iter().all(|charge| *charge > 0), "{charges:?}");
}
