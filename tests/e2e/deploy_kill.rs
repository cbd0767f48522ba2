//! `deploy` killed at any moment and run again: nothing is lost and nothing happens twice. And
//! transactions that nobody mines.

use std::process::{Child, Stdio};

use alloy::{
    consensus::{Transaction, TxEnvelope},
    eips::eip2718::Decodable2718,
    hex,
};
use openlora_ledger::event::{Event, TxIntent, TxOutcome};
use serde_json::{Value, json};

use crate::{
    deploy_support::{Act, Chain, Desk, Proxy, contract},
    devnet_support::{Rpc, number},
    keys::OWN,
    waiting::{self, wait_until},
};

fn start(desk: &Desk, args: &[&str], env: &[(&str, &str)]) -> Child {
    let mut invocation = desk
        .openlora(&["--json", "deploy"])
        .args(args.iter().copied());
    for (name, value) in env {
        invocation = invocation.env(name, value);
    }
    invocation
        .into_command()
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// How many logs of the registry have this event's hash.
fn registry_events(rpc: &Rpc, signature: &str) -> usize {
    let topic = alloy::primitives::keccak256(signature);
    let filter = json!([{
        "fromBlock": "0x0", "address": contract("OpenLoraRegistry"), "topics": [topic],
    }]);
    rpc.ok("eth_getLogs", filter).as_array().unwrap().len()
}

const REGISTERED: &str = "AdapterRegistered(uint256,address,bytes32,uint16)";
const PUBLISHED: &str =
    "ReleasePublished(uint256,uint32,bytes32,bytes32,bytes32,uint128,address,string)";

/// Where the process dies: before the n-th request of a method reaches the chain, or after it did
/// and before the answer is back.
const DEATHS: &[(&str, usize, bool)] = &[
    ("eth_estimateGas", 1, false),
    // The gift of the development account, the pool, the registration.
    ("eth_sendRawTransaction", 1, false),
    ("eth_sendRawTransaction", 1, true),
    ("eth_getTransactionReceipt", 1, true),
    ("eth_sendRawTransaction", 2, false),
    ("eth_sendRawTransaction", 2, true),
    ("eth_getTransactionReceipt", 2, true),
    ("eth_sendRawTransaction", 3, false),
    ("eth_sendRawTransaction", 3, true),
    ("eth_getTransactionReceipt", 3, true),
];

#[test]
fn killed_at_any_moment_it_registers_once() {
    for (method, nth, after) in DEATHS {
        let chain = Chain::embedded();
        let proxy = Proxy::new(chain.url(), move |asked, count, _| {
            match (asked == *method && count == *nth, after) {
                (false, _) => Act::Forward,
                (true, false) => Act::Hang,
                (true, true) => Act::ForwardAndHang,
            }
        });
        let desk = Desk::at(&proxy.url);
        let mut child = start(&desk, &["first"], &[]);
        assert_eq!(proxy.wait_until_it_hangs(), *method);
        child.kill().unwrap();
        waiting::ended("the killed deploy", &mut child);
        let at = format!("{method} {nth} {after}");
        desk.points_to(chain.url());
        let said = desk.json(&["deploy", "first"]);
        assert_eq!(said["version"], 1, "{at}");
        let rpc = chain.rpc();
        let events = [REGISTERED, PUBLISHED].map(|it| registry_events(&rpc, it));
        assert_eq!(events, [1, 1], "{at}");
        let sent = number(&rpc.ok("eth_getTransactionCount", json!([OWN, "latest"])));
        assert_eq!(sent, 2, "{at}: a pool and a registration");
        assert_eq!(open(&desk), Vec::<String>::new(), "{at}");
        assert_eq!(desk.count("deployed"), 1, "{at}");
        let again = desk.json(&["deploy", "first"]);
        assert_eq!(
            (&again["done"], &again["tx"]),
            (&json!("nothing"), &said["tx"]),
            "{at}"
        );
    }
}

/// Intents of which the journal does not know what became.
fn open(desk: &Desk) -> Vec<String> {
    let mut open: Vec<String> = Vec::new();
    for record in desk.journal() {
        match record.event {
            Event::TransactionIntended(intent) => open.push(intent.tx),
            Event::TransactionConfirmed { tx, .. } => open.retain(|it| *it != tx),
            _ => {}
        }
    }
    open
}

fn intents(desk: &Desk) -> Vec<TxIntent> {
    let intent = |event| match event {
        Event::TransactionIntended(intent) => Some(*intent),
        _ => None,
    };
    let events = desk.journal().into_iter().map(|record| record.event);
    events.filter_map(intent).collect()
}

fn outcome(desk: &Desk, wanted: &str) -> TxOutcome {
    let found = desk
        .journal()
        .into_iter()
        .find_map(|record| match record.event {
            Event::TransactionConfirmed { tx, status, .. } if tx == wanted => Some(status),
            _ => None,
        });
    found.unwrap()
}

fn max_fee(intent: &TxIntent) -> u128 {
    let bytes = hex::decode(&intent.raw).unwrap();
    let transaction = TxEnvelope::decode_2718(&mut bytes.as_slice()).unwrap();
    transaction.max_fee_per_gas()
}

fn finished(child: Child) -> Value {
    let output = waiting::finished(child);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{stderr}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_stuck_transaction_offers_more_under_the_same_nonce() {
    let chain = Chain::anvil();
    let rpc = chain.rpc();
    let proxy = Proxy::new(chain.url(), |_, _, _| Act::Forward);
    let desk = Desk::at(&proxy.url);
    desk.deploy_contracts();
    rpc.ok("anvil_setBalance", json!([OWN, "0x8ac7230489e80000"]));
    let before = proxy.asked("eth_sendRawTransaction").len();
    rpc.ok("evm_setAutomine", json!([false]));
    let patience = [("OPENLORA_DEPLOY_PATIENCE", "1")];
    let child = start(&desk, &["first", "--max-fee", "100"], &patience);
    wait_until("a replacement", || {
        proxy.asked("eth_sendRawTransaction").len() >= before + 2
    });
    rpc.ok("evm_setAutomine", json!([true]));
    rpc.ok("evm_mine", json!([]));
    let said = finished(child);
    assert_eq!(said["done"], "registered");
    let all = intents(&desk);
    let of_pool: Vec<&TxIntent> = all
        .iter()
        .filter(|it| it.from == OWN && it.nonce == 0)
        .collect();
    assert!(of_pool.len() >= 2);
    for pair in of_pool.windows(2) {
        assert_eq!(pair[1].replaces.as_deref(), Some(pair[0].tx.as_str()));
        assert!(max_fee(pair[1]) * 8 >= max_fee(pair[0]) * 9);
    }
    let outcomes: Vec<TxOutcome> = of_pool.iter().map(|it| outcome(&desk, &it.tx)).collect();
    let succeeded = outcomes.iter().filter(|it| **it == TxOutcome::Succeeded);
    assert_eq!(succeeded.count(), 1, "{outcomes:?}");
    assert!(
        outcomes
            .iter()
            .all(|it| matches!(it, TxOutcome::Succeeded | TxOutcome::Replaced))
    );
    let sent = number(&rpc.ok("eth_getTransactionCount", json!([OWN, "latest"])));
    assert_eq!(sent, 2);
    assert_eq!(open(&desk), Vec::<String>::new());
}

#[test]
fn killed_while_it_waits_it_goes_on_waiting() {
    let chain = Chain::anvil();
    let rpc = chain.rpc();
    let proxy = Proxy::new(chain.url(), |_, _, _| Act::Forward);
    let desk = Desk::at(&proxy.url);
    desk.deploy_contracts();
    rpc.ok("anvil_setBalance", json!([OWN, "0x8ac7230489e80000"]));
    let before = proxy.asked("eth_sendRawTransaction");
    rpc.ok("evm_setAutomine", json!([false]));
    let mut child = start(&desk, &["first"], &[]);
    let sent = || proxy.asked("eth_sendRawTransaction").len() - before.len();
    wait_until("the first transaction", || sent() == 1);
    wait_until("it to be on its way", || {
        rpc.ok("txpool_status", json!([]))["pending"] == "0x1"
    });
    child.kill().unwrap();
    waiting::ended("the killed deploy", &mut child);
    // The node forgets it, as nodes do.
    rpc.ok("anvil_dropAllTransactions", json!([]));
    let child = start(&desk, &["first"], &[]);
    wait_until("the same bytes again", || sent() == 2);
    let all = proxy.asked("eth_sendRawTransaction");
    assert_eq!(all[all.len() - 1], all[all.len() - 2]);
    rpc.ok("evm_setAutomine", json!([true]));
    rpc.ok("evm_mine", json!([]));
    assert_eq!(finished(child)["version"], 1);
    assert_eq!(registry_events(&rpc, REGISTERED), 1);
    assert_eq!(open(&desk), Vec::<String>::new());
}
