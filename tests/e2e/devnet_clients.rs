//! Unmodified clients and tools against the real binary.

use std::process::Command;

use serde_json::Value;

use crate::{
    devnet_peers::{artifact, foundry, javascript},
    devnet_support::Devnet,
    sdk::{python, run, suite},
};

/// Key of the ninth development account, which no other suite uses.
const KEY: &str = "0xdbda1821b80551c9d65939329250298aa3472ba22feea921c0cf5d620ea67b97";
const OWNER: &str = "0x23618e81E3f5cdF7f54C3d65f7FBc0aBf5B21E8f";

fn javascript_suite(script: &str, expected: &[&str]) {
    let folder = javascript();
    let dir = tempfile::tempdir().unwrap();
    let chain = Devnet::start(dir.path(), 31_337);
    // Modules resolve from the script's own folder.
    for file in ["common.mjs", script] {
        std::fs::copy(suite("evm").join(file), folder.join(file)).unwrap();
    }
    let said = run(Command::new("node")
        .arg(folder.join(script))
        .args([&chain.rpc.url, chain.started["ws"].as_str().unwrap()])
        .arg(artifact("DevelopmentToken")));
    let lines: String = expected.iter().map(|name| format!("ok {name}\n")).collect();
    assert_eq!(said, lines);
}

#[test]
fn viem_works_unmodified() {
    let expected = [
        "identity",
        "transfer",
        "deployment",
        "events",
        "revert",
        "subscriptions",
        "typedData",
        "development",
        "fees",
    ];
    javascript_suite("viem.mjs", &expected);
}

#[test]
fn ethers_works_unmodified() {
    let expected = [
        "identity",
        "transfer",
        "signerOfTheNode",
        "deployment",
        "events",
        "revert",
        "insufficientFunds",
        "nonce",
        "subscriptions",
    ];
    javascript_suite("ethers.mjs", &expected);
}

#[test]
fn web3_py_works_unmodified() {
    let python = python("web3py");
    let dir = tempfile::tempdir().unwrap();
    let chain = Devnet::start(dir.path(), 31_337);
    let said = run(Command::new(python)
        .arg(suite("web3py").join("suite.py"))
        .arg(&chain.rpc.url)
        .arg(artifact("DevelopmentToken")));
    let expected = [
        "identity",
        "transfer",
        "deployment",
        "events",
        "filters",
        "revert",
        "refusals",
        "signatures",
        "fees",
    ];
    assert_eq!(said, expected.map(|name| format!("ok {name}\n")).concat());
}

/// A project in a temporary folder, with the pinned compiler beside it.
fn forge_project(dir: &std::path::Path) -> std::path::PathBuf {
    let project = dir.join("project");
    std::fs::create_dir_all(project.join("src")).unwrap();
    for file in ["foundry.toml", "src/Counter.sol"] {
        std::fs::copy(suite("evm/forge").join(file), project.join(file)).unwrap();
    }
    // The wrapper finds the compiler among the modules of its own folder.
    let solc = dir.join("solc.mjs");
    let wrapper = suite("../../contracts").join("solc.mjs");
    std::fs::copy(wrapper, &solc).unwrap();
    std::os::unix::fs::symlink(javascript().join("node_modules"), dir.join("node_modules"))
        .unwrap();
    project
}

#[test]
fn forge_create_and_cast_work_unmodified() {
    let dir = tempfile::tempdir().unwrap();
    let project = forge_project(dir.path());
    let chain = Devnet::start(dir.path(), 31_337);
    let url = chain.rpc.url.as_str();
    let made = run(Command::new(foundry("forge"))
        .args(["create", "src/Counter.sol:Counter", "--json", "--broadcast"])
        .args(["--rpc-url", url, "--private-key", KEY])
        .args(["--constructor-args", "40"])
        .env("NO_COLOR", "1")
        .env("HOME", dir.path())
        .current_dir(&project));
    let made = made.find('{').map_or("", |start| &made[start..]);
    let made: Value = serde_json::from_str(made).unwrap();
    assert_eq!(made["deployer"], OWNER);
    let counter = made["deployedTo"].as_str().unwrap();
    let cast = |args: &[&str]| {
        let mut command = Command::new(foundry("cast"));
        command.args(args).args(["--rpc-url", url]);
        command.env("NO_COLOR", "1").env("HOME", dir.path());
        command
    };
    let says = |args: &[&str]| run(&mut cast(args)).trim().to_owned();
    let fails = |args: &[&str]| {
        let output = cast(args).output().unwrap();
        assert!(!output.status.success(), "{args:?} succeeded");
        String::from_utf8(output.stderr).unwrap()
    };
    assert_eq!(says(&["chain-id"]), "31337");
    assert_eq!(says(&["block-number"]), "1");
    assert_eq!(says(&["nonce", OWNER]), "1");
    assert_eq!(says(&["call", counter, "count()(uint256)"]), "40");
    let sent = says(&[
        "send",
        counter,
        "add(uint256)",
        "2",
        "--private-key",
        KEY,
        "--json",
    ]);
    let sent: Value = serde_json::from_str(&sent).unwrap();
    assert_eq!(sent["status"], "0x1");
    assert_eq!(says(&["call", counter, "count()(uint256)"]), "42");
    let word = format!("0x{:064x}", 42);
    assert_eq!(says(&["storage", counter, "0"]), word);
    let logs = says(&["logs", "--address", counter, "--from-block", "0", "--json"]);
    let logs: Value = serde_json::from_str(&logs).unwrap();
    assert_eq!(
        (logs.as_array().unwrap().len(), &logs[0]["data"]),
        (1, &Value::from(word))
    );
    // Custom errors arrive with their data, reasons with their words.
    let refused = fails(&["send", counter, "add(uint256)", "99", "--private-key", KEY]);
    let data = format!("0xe3dbd75b{:064x}{:064x}", 141, 100);
    assert!(refused.contains(&data), "{refused}");
    let refused = fails(&["call", counter, "refuse()"]);
    assert!(refused.contains("execution reverted: never"), "{refused}");
    let hash = sent["transactionHash"].as_str().unwrap();
    assert_eq!(says(&["tx", hash, "nonce"]), "1");
    assert_eq!(says(&["receipt", hash, "status"]), "true");
    assert_eq!(says(&["rpc", "evm_snapshot"]), "\"0x0\"");
}
