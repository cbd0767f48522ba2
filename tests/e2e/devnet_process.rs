//! The chain as a process: killed at any moment, started by several at once, found stale, stopped.

use std::{
    collections::BTreeSet,
    net::TcpListener,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use serde_json::{Value, json};

use crate::{
    devnet_support::{Devnet, FIRST, Home, NOBODY, Rpc, number, signal},
    support::openlora,
    waiting,
};

/// Sends numbered transfers until the chain is gone; returns the acknowledged hashes.
fn send_until_gone(rpc: &Rpc, acknowledged: &Mutex<Vec<Value>>) {
    loop {
        let fields = json!({ "from": FIRST, "to": NOBODY, "value": "0x1" });
        match rpc.try_ask("eth_sendTransaction", json!([fields])) {
            Some(answer) => acknowledged.lock().unwrap().push(answer["result"].clone()),
            None => return,
        }
    }
}

#[test]
fn acknowledged_transactions_survive_being_killed() {
    let dir = tempfile::tempdir().unwrap();
    let mut known: Vec<Value> = Vec::new();
    // The kill comes while the transaction after these is on its way: before it is read, while it
    // runs, while it is written, or while its answer is sent.
    for acknowledged_before_kill in [0_usize, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144] {
        let chain = Devnet::start(dir.path(), 31_337);
        for hash in &known {
            let receipt = chain.rpc.ok("eth_getTransactionReceipt", json!([hash]));
            assert_eq!(receipt["status"], "0x1", "{hash} after {}", known.len());
        }
        let acknowledged = Mutex::new(Vec::new());
        let ended = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let sender = scope.spawn(|| {
                send_until_gone(&Rpc::new(&chain.rpc.url), &acknowledged);
                ended.store(true, Ordering::SeqCst);
            });
            waiting::wait_until("transactions to be acknowledged", || {
                assert!(!ended.load(Ordering::SeqCst), "the chain ended by itself");
                acknowledged.lock().unwrap().len() >= acknowledged_before_kill
            });
            chain.signal("KILL");
            sender.join().unwrap();
        });
        drop(chain);
        known.extend(acknowledged.into_inner().unwrap());
        let hashes: BTreeSet<&str> = known.iter().map(|one| one.as_str().unwrap()).collect();
        assert_eq!(hashes.len(), known.len());
    }
    // Nothing was lost and nothing ran twice: one unit, one nonce, one block per transaction.
    let chain = Devnet::start(dir.path(), 31_337);
    let sent = number(
        &chain
            .rpc
            .ok("eth_getTransactionCount", json!([FIRST, "latest"])),
    );
    assert!(sent >= known.len() as u128 && sent <= known.len() as u128 + 12);
    let held = number(&chain.rpc.ok("eth_getBalance", json!([NOBODY, "latest"])));
    let height = number(&chain.rpc.ok("eth_blockNumber", json!([])));
    assert_eq!((held, height), (sent, sent));
}

#[test]
fn waiting_transactions_and_edits_survive_being_killed() {
    let dir = tempfile::tempdir().unwrap();
    let chain = Devnet::start(dir.path(), 31_337);
    let fields =
        |nonce: &str| json!([{ "from": FIRST, "to": NOBODY, "nonce": nonce, "gas": "0x5208" }]);
    let waiting = chain.rpc.ok("eth_sendTransaction", fields("0x1"));
    chain.rpc.ok("anvil_setBalance", json!([NOBODY, "0x7"]));
    chain.kill();
    let chain = Devnet::start(dir.path(), 31_337);
    let status = chain.rpc.ok("txpool_status", json!([]));
    assert_eq!(status, json!({ "pending": "0x0", "queued": "0x1" }));
    assert_eq!(
        chain.rpc.ok("eth_getBalance", json!([NOBODY, "latest"])),
        "0x7"
    );
    chain.rpc.ok("eth_sendTransaction", fields("0x0"));
    let receipt = chain.rpc.ok("eth_getTransactionReceipt", json!([waiting]));
    assert_eq!(receipt["status"], "0x1");
}

#[test]
fn of_many_starters_one_starts() {
    let home = Home::new();
    let said: Vec<Value> = std::thread::scope(|scope| {
        let starters: Vec<_> = (0..6)
            .map(|_| scope.spawn(|| home.devnet(&["start", "--port", "0"])))
            .collect();
        starters
            .into_iter()
            .map(|one| one.join().unwrap())
            .collect()
    });
    let pids: BTreeSet<u64> = said
        .iter()
        .map(|one| one["pid"].as_u64().unwrap())
        .collect();
    assert_eq!(pids.len(), 1, "{said:?}");
    let started = said.iter().filter(|one| one["started"] == true).count();
    assert_eq!(started, 1, "{said:?}");
}

#[test]
fn a_chain_in_the_foreground_is_alone() {
    let dir = tempfile::tempdir().unwrap();
    let first = Devnet::start(dir.path(), 31_337);
    let pid = first.started["pid"].as_u64().unwrap();
    let args = ["devnet", "start", "--foreground", "--port", "0"];
    let expected = format!(
        "error: the development chain 31337 is running already, as process {pid}\n\
         hint: `openlora devnet status` shows where\n"
    );
    openlora(dir.path()).args(args).run().fails(4, &expected);
    // Without --foreground that chain is simply the one.
    let run = openlora(dir.path())
        .args(["--json", "devnet", "start"])
        .run()
        .succeeds();
    let found: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(
        (&found["pid"], &found["started"]),
        (&json!(pid), &json!(false))
    );
    first.signal("TERM");
    let (code, stderr) = first.wait();
    assert_eq!(code, 0);
    let last = format!("chain 31337 (process {pid}) stopped; its state is on disk\n");
    assert!(stderr.ends_with(&last), "{stderr}");
}

#[test]
fn what_a_killed_chain_left_is_taken_over() {
    let home = Home::new();
    let before = home.devnet(&["start", "--port", "0"]);
    let rpc = Rpc::new(before["url"].as_str().unwrap());
    let fields = json!([{ "from": FIRST, "to": NOBODY, "value": "0x1" }]);
    rpc.ok("eth_sendTransaction", fields);
    signal(
        u32::try_from(before["pid"].as_u64().unwrap()).unwrap(),
        "KILL",
    );
    // The connection ends with the process.
    while rpc.try_ask("eth_chainId", json!([])).is_some() {}
    let folder = home.folder(31_337);
    assert!(folder.join("endpoint.json").exists() && folder.join("lock").exists());
    assert_eq!(home.devnet(&["status"])["running"], false);
    // Whatever else stands in those files is not believed either.
    std::fs::write(folder.join("lock"), "not a number").unwrap();
    std::fs::write(folder.join("endpoint.json"), "{").unwrap();
    let after = home.devnet(&["start", "--port", "0"]);
    assert_eq!(after["started"], true);
    assert_ne!(after["pid"], before["pid"]);
    let rpc = Rpc::new(after["url"].as_str().unwrap());
    assert_eq!(rpc.ok("eth_blockNumber", json!([])), "0x1");
}

#[test]
fn two_chains_live_side_by_side() {
    let home = Home::new();
    let one = home.devnet(&["start", "--port", "0"]);
    let two = home.devnet(&["start", "--port", "0", "--chain-id", "31338"]);
    assert_ne!(one["pid"], two["pid"]);
    let ask = |started: &Value| Rpc::new(started["url"].as_str().unwrap());
    let (first, second) = (ask(&one), ask(&two));
    assert_eq!(first.ok("eth_chainId", json!([])), "0x7a69");
    assert_eq!(second.ok("eth_chainId", json!([])), "0x7a6a");
    first.ok(
        "eth_sendTransaction",
        json!([{ "from": FIRST, "to": NOBODY, "value": "0x1" }]),
    );
    assert_eq!(first.ok("eth_blockNumber", json!([])), "0x1");
    assert_eq!(second.ok("eth_blockNumber", json!([])), "0x0");
    assert_eq!(
        home.devnet(&["stop"]),
        json!({ "chain_id": 31337, "stopped": true })
    );
    assert_eq!(second.ok("eth_blockNumber", json!([])), "0x0");
}

#[test]
fn start_status_stop_and_reset_say_what_they_do() {
    let home = Home::new();
    let stopped = home.devnet(&["stop"]);
    assert_eq!(stopped, json!({ "chain_id": 31337, "stopped": false }));
    let started = home.devnet(&["start", "--port", "0"]);
    let status = home.devnet(&["status"]);
    assert_eq!(status["running"], true);
    for field in ["pid", "url", "ws", "folder", "chain_id"] {
        assert_eq!(status[field], started[field], "{field}");
    }
    assert!(status["bytes"].as_u64().unwrap() > 0);
    assert!(std::path::Path::new(status["log"].as_str().unwrap()).exists());
    let rpc = Rpc::new(started["url"].as_str().unwrap());
    rpc.ok(
        "eth_sendTransaction",
        json!([{ "from": FIRST, "to": NOBODY, "value": "0x1" }]),
    );
    // A new chain at the same address.
    let reset = home.devnet(&["reset", "--yes"]);
    let url = &started["url"];
    assert_eq!(
        reset,
        json!({ "chain_id": 31337, "restarted": true, "url": url })
    );
    assert_eq!(rpc.ok("eth_blockNumber", json!([])), "0x0");
    assert_eq!(home.devnet(&["stop"])["stopped"], true);
    assert_eq!(home.devnet(&["status"])["running"], false);
    let reset = home.devnet(&["reset", "--yes"]);
    assert_eq!(
        reset,
        json!({ "chain_id": 31337, "restarted": false, "url": null })
    );
}

#[test]
fn a_stopped_process_is_called_silent_not_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let chain = Devnet::start(dir.path(), 31_337);
    chain.signal("STOP");
    let run = openlora(dir.path())
        .args(["--json", "devnet", "status"])
        .run()
        .succeeds();
    chain.signal("CONT");
    let status: Value = serde_json::from_str(&run.stdout).unwrap();
    let pid = &chain.started["pid"];
    let found = (&status["running"], &status["silent"], &status["pid"]);
    assert_eq!(found, (&json!(false), &json!(true), pid));
    assert_eq!(chain.rpc.ok("eth_chainId", json!([])), "0x7a69");
}

#[test]
fn a_taken_port_and_a_damaged_file_are_explained() {
    let home = Home::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let expected = format!(
        "error: the development chain 31337 did not start: cannot listen on 127.0.0.1:{port}: \
         address already in use\nhint: `--port 0` takes a free port\n"
    );
    let port = port.to_string();
    let args = ["devnet", "start", "--port", &port];
    openlora(home.path()).args(args).run().fails(4, &expected);
    let file = home.folder(31_337).join("chain.sqlite");
    std::fs::write(&file, "something else that is long enough to be looked at").unwrap();
    let expected = format!(
        "error: the development chain 31337 did not start: {} is not a development chain of this \
         version: it is no SQLite file\nhint: `openlora devnet reset` starts the chain anew; keep \
         a copy of the file if it matters\n",
        file.display()
    );
    let args = ["devnet", "start", "--port", "0"];
    openlora(home.path()).args(args).run().fails(4, &expected);
    home.devnet(&["reset", "--yes"]);
    assert_eq!(home.devnet(&["start", "--port", "0"])["started"], true);
}

#[test]
fn only_its_owner_may_look_into_the_folder() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::new();
    home.devnet(&["start", "--port", "0"]);
    let mode = |path: &std::path::Path| {
        let found = std::fs::metadata(path).unwrap();
        found.permissions().mode() & 0o777
    };
    let folder = home.folder(31_337);
    assert_eq!(mode(&folder), 0o700);
    assert_eq!(mode(&folder.join("endpoint.json")), 0o600);
}

#[test]
fn a_chain_that_is_needed_takes_a_free_port_when_its_usual_one_is_taken() {
    let home = tempfile::tempdir().unwrap();
    // Whoever has the port, it is not to be had now.
    let _taken = TcpListener::bind(("127.0.0.1", 8545));
    let said = openlora(home.path()).args(["explore"]).run().succeeds();
    let started = "development chain 31337 started at http://127.0.0.1:";
    assert!(said.stderr.starts_with(started), "{}", said.stderr);
    assert!(!said.stderr.contains(":8545"), "{}", said.stderr);
    openlora(home.path())
        .args(["devnet", "stop"])
        .run()
        .succeeds();
}
