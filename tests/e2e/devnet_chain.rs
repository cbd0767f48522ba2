//! How the development chain behaves: blocks, fees, history, pool, going back, staying on disk.

use alloy::{
    consensus::{proofs::calculate_transaction_root, transaction::Transaction as _},
    primitives::{Address, U256, keccak256},
    rpc::types::Block,
};
use openlora_contracts as contracts;
use openlora_devnet::{ChainError, ChainOptions, DevChain, GenesisState};
use serde_json::{Value, json};

use crate::devnet_support::{FIRST, Local, NOBODY, SECOND, number};

fn transfer(value: &str) -> Value {
    json!({ "from": FIRST, "to": NOBODY, "value": value })
}

fn block(chain: &Local, tag: &str) -> Block {
    serde_json::from_value(chain.ok("eth_getBlockByNumber", json!([tag, true]))).unwrap()
}

#[test]
fn hashes_and_roots_follow_from_the_contents() {
    let dir = tempfile::tempdir().unwrap();
    let chain = Local::open(dir.path());
    let mut parent = block(&chain, "0x0").header.hash;
    for number in 1..=3 {
        chain.send(transfer("0x5"));
        let block = block(&chain, &format!("{number:#x}"));
        assert_eq!(block.header.inner.hash_slow(), block.header.hash);
        assert_eq!(block.header.parent_hash, parent);
        let envelopes: Vec<_> = block
            .transactions
            .as_transactions()
            .unwrap()
            .iter()
            .map(|one| one.inner.clone().into_inner())
            .collect();
        let root = calculate_transaction_root(&envelopes);
        assert_eq!(block.header.transactions_root, root);
        assert_eq!(envelopes[0].value(), U256::from(5));
        parent = block.header.hash;
    }
}

#[test]
fn value_and_fees_are_conserved() {
    let dir = tempfile::tempdir().unwrap();
    let chain = Local::open(dir.path());
    let balance = |who: &str| chain.number("eth_getBalance", json!([who, "latest"]));
    let (before, miner) = (
        balance(FIRST),
        balance("0x0000000000000000000000000000000000000000"),
    );
    let receipt = chain.send(transfer("0xde0b6b3a7640000"));
    let price = number(&receipt["effectiveGasPrice"]);
    let base_fee = u128::from(block(&chain, "latest").header.base_fee_per_gas.unwrap());
    let value = 1_000_000_000_000_000_000;
    assert_eq!(number(&receipt["gasUsed"]), 21_000);
    assert_eq!(balance(NOBODY), value);
    assert_eq!(before - balance(FIRST), value + 21_000 * price);
    let earned = balance("0x0000000000000000000000000000000000000000") - miner;
    assert_eq!(earned, 21_000 * (price - base_fee));
}

#[test]
fn the_base_fee_follows_how_full_blocks_were() {
    let dir = tempfile::tempdir().unwrap();
    let chain = Local::open(dir.path());
    // 0x5b600056 loops until its gas is gone: a full block.
    let wasteful = json!({ "from": FIRST, "data": "0x5b600056", "gas": "0x1c9c380" });
    let receipt = chain.send(wasteful);
    assert_eq!(receipt["status"], "0x0");
    let full = block(&chain, "latest").header;
    assert_eq!(full.gas_used, full.gas_limit);
    chain.ok("evm_mine", json!([]));
    let after = block(&chain, "latest").header;
    let (before, after) = (
        full.base_fee_per_gas.unwrap(),
        after.base_fee_per_gas.unwrap(),
    );
    // EIP-1559: an eighth more after a full block, an eighth less after an empty one.
    assert_eq!(after, before + before / 8);
    chain.ok("evm_mine", json!([]));
    let next = block(&chain, "latest").header.base_fee_per_gas.unwrap();
    assert_eq!(next, after - after / 8);
}

#[test]
fn every_block_keeps_its_state() {
    let dir = tempfile::tempdir().unwrap();
    let chain = Local::open(dir.path());
    for _ in 0..20 {
        chain.send(transfer("0x1"));
    }
    for number in 0..=20_u128 {
        let tag = format!("{number:#x}");
        assert_eq!(chain.number("eth_getBalance", json!([NOBODY, tag])), number);
        assert_eq!(
            chain.number("eth_getTransactionCount", json!([FIRST, tag])),
            number
        );
        // A call sees that block's state and number: `selfbalance`, `number`.
        let code = json!({ NOBODY: { "code": "0x4760005243602052604060 00f3".replace(' ', "") } });
        let found = chain.ok("eth_call", json!([{ "to": NOBODY }, tag, code]));
        assert_eq!(
            found.as_str().unwrap(),
            format!("0x{number:064x}{number:064x}")
        );
    }
}

#[test]
fn a_gap_waits_and_what_fills_it_takes_the_rest_along() {
    let dir = tempfile::tempdir().unwrap();
    let chain = Local::open(dir.path());
    let send = |nonce: &str| {
        let fields =
            json!({ "from": FIRST, "to": NOBODY, "value": "0x1", "nonce": nonce, "gas": "0x5208" });
        chain.ok("eth_sendTransaction", json!([fields]))
    };
    let later = [send("0x2"), send("0x1"), send("0x4")];
    assert_eq!(chain.ok("eth_blockNumber", json!([])), "0x0");
    let status = chain.ok("txpool_status", json!([]));
    assert_eq!(status, json!({ "pending": "0x0", "queued": "0x3" }));
    let first = send("0x0");
    let block = chain.ok("eth_getBlockByNumber", json!(["latest", false]));
    assert_eq!(block["number"], "0x1");
    assert_eq!(block["transactions"], json!([first, later[1], later[0]]));
    assert_eq!(
        chain.ok("eth_getTransactionReceipt", json!([later[2]])),
        Value::Null
    );
    assert_eq!(
        chain.number("eth_getTransactionCount", json!([FIRST, "pending"])),
        3
    );
}

#[test]
fn the_pool_keeps_the_better_of_two_and_what_a_block_overtakes_leaves_it() {
    let dir = tempfile::tempdir().unwrap();
    let chain = Local::open(dir.path());
    let fields = |fee: &str| {
        json!([{ "from": FIRST, "to": NOBODY, "nonce": "0x1", "gas": "0x5208",
            "maxFeePerGas": fee, "maxPriorityFeePerGas": "0x1" }])
    };
    let low = chain.ok("eth_sendTransaction", fields("0x77359400"));
    let refused = chain.ask("eth_sendTransaction", fields("0x77359300"));
    let expected = json!({ "code": -32003, "message": "replacement transaction underpriced" });
    assert_eq!(refused["error"], expected);
    let high = chain.ok("eth_sendTransaction", fields("0x87359400"));
    assert_eq!(
        chain.ok("eth_getTransactionByHash", json!([low])),
        Value::Null
    );
    chain.ok("anvil_setNonce", json!([FIRST, "0x1"]));
    chain.ok("evm_mine", json!([]));
    let receipt = chain.ok("eth_getTransactionReceipt", json!([high]));
    assert_eq!(receipt["status"], "0x1");
}

#[test]
fn what_cannot_be_paid_yet_waits_and_makes_no_empty_blocks() {
    let dir = tempfile::tempdir().unwrap();
    let chain = Local::open(dir.path());
    let fields = |nonce: &str, value: &str| json!([{ "from": FIRST, "to": NOBODY, "nonce": nonce, "value": value, "gas": "0x5208" }]);
    let more_than_there_is = "0xffffffffffffffffffffff";
    let waiting = chain.ok("eth_sendTransaction", fields("0x1", more_than_there_is));
    chain.ok("eth_sendTransaction", fields("0x0", "0x1"));
    assert_eq!(chain.ok("eth_blockNumber", json!([])), "0x1");
    let receipt = chain.ok("eth_getTransactionReceipt", json!([waiting]));
    assert_eq!(receipt, Value::Null);
    chain.send(json!({ "from": SECOND, "to": NOBODY, "value": "0x1" }));
    assert_eq!(chain.ok("eth_blockNumber", json!([])), "0x2");
    chain.ok(
        "anvil_setBalance",
        json!([FIRST, "0xffffffffffffffffffffffffff"]),
    );
    chain.ok("evm_mine", json!([]));
    let receipt = chain.ok("eth_getTransactionReceipt", json!([waiting]));
    assert_eq!(receipt["blockNumber"], "0x3");
}

#[test]
fn a_snapshot_brings_everything_back_once() {
    let dir = tempfile::tempdir().unwrap();
    let chain = Local::open(dir.path());
    chain.send(transfer("0x1"));
    let before = chain.ok("eth_getBlockByNumber", json!(["latest", true]));
    let outer = chain.ok("evm_snapshot", json!([]));
    chain.send(transfer("0x2"));
    let inner = chain.ok("evm_snapshot", json!([]));
    chain.ok("anvil_setBalance", json!([SECOND, "0x7"]));
    chain.ok(
        "anvil_setStorageAt",
        json!([NOBODY, "0x0", format!("0x{:064x}", 9)]),
    );
    chain.ok("evm_increaseTime", json!([1000]));
    assert_eq!(chain.ok("evm_revert", json!([outer])), true);
    assert_eq!(chain.ok("evm_revert", json!([inner])), false);
    assert_eq!(chain.ok("evm_revert", json!([outer])), false);
    assert_eq!(
        chain.ok("eth_getBlockByNumber", json!(["latest", true])),
        before
    );
    assert_eq!(chain.number("eth_getBalance", json!([NOBODY, "latest"])), 1);
    let slot = chain.number("eth_getStorageAt", json!([NOBODY, "0x0", "latest"]));
    assert_eq!(slot, 0);
    let whole = chain.number("eth_getBalance", json!([SECOND, "latest"]));
    assert_eq!(whole, 10_000 * 10_u128.pow(18));
    // The same number again, with another history.
    chain.send(transfer("0x3"));
    assert_eq!(chain.number("eth_getBalance", json!([NOBODY, "latest"])), 4);
}

#[test]
fn a_reorganisation_replaces_blocks_by_as_many_others() {
    let dir = tempfile::tempdir().unwrap();
    let chain = Local::open(dir.path());
    let hashes: Vec<Value> = (0..3)
        .map(|_| chain.send(transfer("0x1"))["transactionHash"].clone())
        .collect();
    let old: Vec<Block> = (1..=3).map(|n| block(&chain, &format!("{n:#x}"))).collect();
    let again =
        json!({ "from": FIRST, "to": NOBODY, "value": "0x10", "nonce": "0x1", "gas": "0x5208" });
    chain.ok("anvil_reorg", json!([2, [[again, 1]]]));
    let new: Vec<Block> = (1..=3).map(|n| block(&chain, &format!("{n:#x}"))).collect();
    assert_eq!(new[0].header.hash, old[0].header.hash);
    assert_ne!(new[1].header.hash, old[1].header.hash);
    assert_eq!(new[1].header.timestamp, old[1].header.timestamp);
    assert_eq!(new[1].transactions.len(), 0);
    assert_eq!(new[2].transactions.len(), 1);
    assert_eq!(new[2].header.parent_hash, new[1].header.hash);
    assert_eq!(
        chain.ok("eth_getTransactionReceipt", json!([hashes[1]])),
        Value::Null
    );
    assert_eq!(
        chain.number("eth_getBalance", json!([NOBODY, "latest"])),
        0x11
    );
}

#[test]
fn time_moves_when_it_is_told_to() {
    let dir = tempfile::tempdir().unwrap();
    let chain = Local::open(dir.path());
    let start = block(&chain, "latest").header.timestamp;
    chain.ok("evm_increaseTime", json!([5000]));
    chain.ok("evm_mine", json!([]));
    let moved = block(&chain, "latest").header.timestamp;
    assert!(moved >= start + 5000, "{start} {moved}");
    chain.ok("evm_setNextBlockTimestamp", json!([moved + 7]));
    chain.ok("evm_mine", json!([]));
    assert_eq!(block(&chain, "latest").header.timestamp, moved + 7);
    chain.ok("anvil_mine", json!(["0x3", "0x3c"]));
    let spread = block(&chain, "latest").header.timestamp;
    assert!(spread >= moved + 7 + 120, "{moved} {spread}");
    // The clock goes on from there, after a new start too.
    chain.close();
    let chain = Local::open(dir.path());
    chain.ok("evm_mine", json!([]));
    assert!(block(&chain, "latest").header.timestamp >= spread);
}

#[test]
fn impersonated_accounts_act_without_a_key() {
    let dir = tempfile::tempdir().unwrap();
    let chain = Local::open(dir.path());
    let acting = json!({ "from": NOBODY, "to": SECOND, "value": "0x1" });
    chain.ok("anvil_setBalance", json!([NOBODY, "0xde0b6b3a7640000"]));
    chain.ok("anvil_setCode", json!([NOBODY, "0x00"]));
    let refused = chain.ask("eth_sendTransaction", json!([acting]));
    assert_eq!(
        refused["error"],
        json!({ "code": -32602, "message": "No Signer available" })
    );
    chain.ok("anvil_impersonateAccount", json!([NOBODY]));
    let receipt = chain.send(acting);
    assert_eq!(
        (&receipt["status"], &receipt["from"]),
        (&json!("0x1"), &json!(NOBODY))
    );
    let head = chain.ok("eth_getBlockByNumber", json!(["latest", true]));
    // What nobody signed is verified when the chain is opened again.
    chain.close();
    let chain = Local::open(dir.path());
    assert_eq!(
        chain.ok("eth_getBlockByNumber", json!(["latest", true])),
        head
    );
}

#[test]
fn the_contracts_stand_where_every_chain_will_have_them() {
    let dir = tempfile::tempdir().unwrap();
    let chain = Local::with_contracts(dir.path());
    assert_eq!(chain.ok("eth_blockNumber", json!([])), "0x0");
    let code = |address: Address| {
        let code = chain.ok("eth_getCode", json!([address, "latest"]));
        code.as_str().unwrap().len()
    };
    let set = contracts::deployments().unwrap();
    let names: Vec<_> = set.iter().map(|one| one.name).collect();
    let expected = [
        "RevenueSplitterFactory",
        "ContributorPoolFactory",
        "OpenLoraRegistry",
        "AttributionAnchor",
        "ServerDirectory",
        "DevelopmentToken",
    ];
    assert_eq!(names, expected);
    for deployment in &set {
        assert!(code(deployment.address) > 1000, "{}", deployment.name);
    }
    let agents = contracts::identity_registry().unwrap();
    assert!(code(agents.address) > 1000, "{}", agents.name);
    for address in [contracts::ESCROW, contracts::COLLECTOR, contracts::DEPLOYER] {
        assert!(code(address) > 100, "{address}");
    }
    // The token answers, and its constructor has run: decimals() is 6.
    let token = set[5].address;
    let selector = &keccak256("decimals()")[..4];
    let call = json!({ "to": token, "data": format!("0x{}", hex::encode(selector)) });
    assert_eq!(chain.number("eth_call", json!([call, "latest"])), 6);
    // The same deployment again finds the place taken and changes nothing.
    let again = [contracts::SALT.as_slice(), &set[5].init_code].concat();
    let data = format!("0x{}", hex::encode(again));
    let to = contracts::DEPLOYER;
    let receipt = chain.send(json!({ "from": FIRST, "to": to, "data": data, "gas": "0x1c9c380" }));
    assert_eq!(receipt["status"], "0x0");
    // The deployer is the one that every chain has.
    let deployer = chain.ok("eth_getCode", json!([contracts::DEPLOYER, "latest"]));
    let digest = keccak256(hex::decode(&deployer.as_str().unwrap()[2..]).unwrap());
    let known = "0x2fa86add0aed31f33a762c9d88e807c475bd51d0f52bd0955754b2608f7e4989";
    assert_eq!(digest.to_string(), known);
}

#[test]
fn a_closed_chain_opens_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let chain = Local::with_contracts(dir.path());
    for _ in 0..10 {
        chain.send(transfer("0x1"));
    }
    chain.ok("anvil_setBalance", json!([SECOND, "0x7"]));
    let waiting =
        json!({ "from": FIRST, "to": NOBODY, "value": "0x1", "nonce": "0xb", "gas": "0x5208" });
    let waiting = chain.ok("eth_sendTransaction", json!([waiting]));
    let snapshot = chain.ok("evm_snapshot", json!([]));
    let see = |chain: &Local| {
        let blocks: Vec<Value> = (0..=10)
            .map(|n| chain.ok("eth_getBlockByNumber", json!([format!("{n:#x}"), true])))
            .collect();
        let balances = chain.ok("eth_getBalance", json!([SECOND, "latest"]));
        let pool = chain.ok("txpool_status", json!([]));
        json!([blocks, balances, pool])
    };
    let before = see(&chain);
    chain.close();
    let chain = Local::with_contracts(dir.path());
    assert_eq!(see(&chain), before);
    chain.send(transfer("0x1"));
    let receipt = chain.ok("eth_getTransactionReceipt", json!([waiting]));
    assert_eq!(receipt["status"], "0x1");
    assert_eq!(chain.ok("evm_revert", json!([snapshot])), true);
    assert_eq!(chain.ok("eth_blockNumber", json!([])), "0xa");
}

fn options(dir: &std::path::Path, chain_id: u64) -> ChainOptions {
    ChainOptions {
        path: dir.join("chain.sqlite"),
        chain_id,
        genesis: GenesisState::default(),
    }
}

/// Opens the chain after `sql` has been at its file.
fn opened_after(sql: &str) -> Result<(u64, String), ChainError> {
    let dir = tempfile::tempdir().unwrap();
    let chain = Local::open(dir.path());
    chain.send(json!({ "from": FIRST, "data": "0x600160005500" }));
    chain.send(transfer("0x1"));
    chain.close();
    let file = rusqlite::Connection::open(dir.path().join("chain.sqlite")).unwrap();
    assert!(file.execute(sql, []).unwrap() > 0);
    drop(file);
    let (number, hash) = DevChain::open(options(dir.path(), 31_337))?.head();
    Ok((number, hash.to_string()))
}

#[test]
fn damage_is_found_and_named() {
    let untouched = opened_after("UPDATE meta SET value = value WHERE key = 'chain_id'");
    assert_eq!(untouched.unwrap().0, 2);
    for (sql, place) in [
        (
            "UPDATE accounts SET balance = zeroblob(32) WHERE step = 3",
            "block 2",
        ),
        ("DELETE FROM accounts WHERE step = 2", "block 1"),
        (
            "UPDATE slots SET value = zeroblob(32) WHERE step = 2",
            "block 1",
        ),
        (
            "UPDATE transactions SET raw = x'00' WHERE block = 1",
            "block 1",
        ),
        ("DELETE FROM transactions WHERE block = 2", "block 2"),
        (
            "UPDATE transactions SET receipt = x'00' WHERE block = 2",
            "block 2",
        ),
        (
            "UPDATE blocks SET hash = zeroblob(32) WHERE number = 1",
            "block 1",
        ),
        (
            "UPDATE blocks SET header = x'c0' WHERE number = 1",
            "block 1",
        ),
        ("DELETE FROM blocks WHERE number = 1", "block 1"),
        ("DELETE FROM code", "the codes"),
    ] {
        match opened_after(sql) {
            Err(ChainError::Damaged { place: found, .. }) => assert_eq!(found, place, "{sql}"),
            other => panic!("{sql}: {other:?}"),
        }
    }
}

#[test]
fn foreign_files_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    Local::open(dir.path()).close();
    let path = dir.path().join("chain.sqlite");
    let other = DevChain::open(options(dir.path(), 31_338)).err();
    let expected = ChainError::OtherChain {
        path: path.clone(),
        expected: 31_338,
        found: 31_337,
    };
    assert_eq!(other, Some(expected));
    std::fs::write(
        &path,
        "not a database, but long enough to be looked at as one",
    )
    .unwrap();
    let error = DevChain::open(options(dir.path(), 31_337)).err().unwrap();
    let expected = format!(
        "{} is not a development chain of this version: it is no SQLite file",
        path.display()
    );
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_transaction_for_another_chain_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let chain = Local::open(dir.path());
    let fields = json!({ "from": FIRST, "to": NOBODY, "chainId": "0x7a6a" });
    let raw = chain.ok("eth_signTransaction", json!([fields]));
    let refused = chain.ask("eth_sendRawTransaction", json!([raw]));
    let expected = json!({ "code": -32003, "message": "invalid chain id for signer" });
    assert_eq!(refused["error"], expected);
    assert_eq!(chain.ok("eth_blockNumber", json!([])), "0x0");
}
