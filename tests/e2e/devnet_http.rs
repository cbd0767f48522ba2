//! The chain's door: who is let in, bodies and batches, sockets and what they are told.

use std::time::Duration;

use alloy::{
    eips::BlockNumberOrTag,
    network::EthereumWallet,
    primitives::{Address, B256, U256},
    providers::{Provider, ProviderBuilder, WsConnect},
    rpc::types::{Filter, TransactionRequest},
    signers::local::PrivateKeySigner,
};
use futures::StreamExt;
use serde_json::{Value, json};

use crate::devnet_support::{Devnet, FIRST, NOBODY};

/// Key of the first development account.
const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
const JSON: (&str, &str) = ("content-type", "application/json");
const CHAIN_ID: &str = r#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}"#;

#[test]
fn only_this_machine_is_let_in() {
    let dir = tempfile::tempdir().unwrap();
    let chain = Devnet::start(dir.path(), 31_337);
    let answered = r#"{"jsonrpc":"2.0","id":1,"result":"0x7a69"}"#;
    let host = "the Host header must name localhost";
    let origin = "the Origin header must name localhost";
    for (headers, status, body) in [
        (vec![JSON], 200, answered),
        (vec![], 200, answered),
        (vec![JSON, ("host", "localhost:1")], 200, answered),
        (vec![JSON, ("host", "[::1]:8545")], 200, answered),
        (vec![JSON, ("host", "rebound.example")], 403, host),
        (vec![JSON, ("host", "127.0.0.1.example:8545")], 403, host),
        (vec![JSON, ("host", "192.168.0.1")], 403, host),
        (
            vec![JSON, ("origin", "http://localhost:3000")],
            200,
            answered,
        ),
        (vec![JSON, ("origin", "https://example.com")], 403, origin),
        (vec![JSON, ("origin", "null")], 403, origin),
    ] {
        let found = chain.rpc.http("POST", "/", &headers, CHAIN_ID);
        assert_eq!(found, (status, body.to_owned()), "{headers:?}");
    }
}

#[test]
fn stopping_takes_the_token() {
    let dir = tempfile::tempdir().unwrap();
    let chain = Devnet::start(dir.path(), 31_337);
    for headers in [vec![], vec![("x-openlora-devnet", "wrong")]] {
        let (status, _) = chain.rpc.http("POST", "/stop", &headers, "");
        assert_eq!(status, 403);
    }
    assert_eq!(chain.rpc.ok("eth_chainId", json!([])), "0x7a69");
}

#[test]
fn bodies_and_batches_are_answered_as_the_specification_says() {
    let dir = tempfile::tempdir().unwrap();
    let chain = Devnet::start(dir.path(), 31_337);
    let refused = |id: Value| json!({ "jsonrpc": "2.0", "id": id, "error": { "code": -32600, "message": "Invalid request" } });
    let chain_id = |id: Value| json!({ "jsonrpc": "2.0", "id": id, "result": "0x7a69" });
    let unknown = json!({ "jsonrpc": "2.0", "id": 2, "error": { "code": -32601, "message": "Method not found" } });
    for (body, expected) in [
        (CHAIN_ID.to_owned(), chain_id(json!(1))),
        (
            r#"{"jsonrpc":"2.0","id":"a","method":"eth_chainId","params":[]}"#.to_owned(),
            chain_id(json!("a")),
        ),
        (
            r#"{"jsonrpc":"2.0","id":null,"method":"eth_chainId"}"#.to_owned(),
            chain_id(Value::Null),
        ),
        (
            r#"{"id":1,"method":"eth_chainId"}"#.to_owned(),
            refused(json!(1)),
        ),
        (
            r#"{"jsonrpc":"1.0","id":1,"method":"eth_chainId"}"#.to_owned(),
            refused(json!(1)),
        ),
        (r#"{"jsonrpc":"2.0","id":1}"#.to_owned(), refused(json!(1))),
        (
            r#"{"jsonrpc":"2.0","id":{},"method":"eth_chainId"}"#.to_owned(),
            refused(Value::Null),
        ),
        ("[]".to_owned(), refused(Value::Null)),
        ("[1]".to_owned(), refused(Value::Null)),
        ("{bad".to_owned(), refused(Value::Null)),
        (String::new(), refused(Value::Null)),
        ("[".repeat(100_000), refused(Value::Null)),
        (
            format!(
                r#"[{CHAIN_ID},{{"jsonrpc":"2.0","id":2,"method":"eth_nope"}},{{"jsonrpc":"2.0","method":"eth_chainId"}}]"#
            ),
            json!([chain_id(json!(1)), unknown]),
        ),
    ] {
        let (status, found) = chain.rpc.http("POST", "/", &[JSON], &body);
        let found: Value = serde_json::from_str(&found).unwrap();
        let shown: String = body.chars().take(80).collect();
        assert_eq!((status, found), (200, expected), "{shown}");
    }
    let (status, said) = chain
        .rpc
        .http("POST", "/", &[JSON], &" ".repeat((16 << 20) + 1));
    assert_eq!(status, 413, "{said}");
    // Nobody waits for the answer to a notification.
    let notification = r#"{"jsonrpc":"2.0","method":"evm_mine"}"#;
    let found = chain.rpc.http("POST", "/", &[JSON], notification);
    assert_eq!(found, (200, String::new()));
    assert_eq!(chain.rpc.ok("eth_blockNumber", json!([])), "0x1");
}

#[test]
fn an_unmodified_alloy_provider_sends_watches_and_subscribes() {
    let dir = tempfile::tempdir().unwrap();
    let chain = Devnet::start(dir.path(), 31_337);
    let ws = chain.started["ws"].as_str().unwrap().to_owned();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let signer: PrivateKeySigner = KEY.parse().unwrap();
        let provider = ProviderBuilder::new()
            .wallet(EthereumWallet::from(signer))
            .connect_ws(WsConnect::new(ws))
            .await
            .unwrap();
        let mut heads = provider.subscribe_blocks().await.unwrap().into_stream();
        let to: Address = NOBODY.parse().unwrap();
        for round in 1..=3_u64 {
            let request = TransactionRequest::default().to(to).value(U256::from(1));
            let sent = provider.send_transaction(request).await.unwrap();
            let receipt = sent.get_receipt().await.unwrap();
            assert!(receipt.status());
            let head = tokio::time::timeout(Duration::from_secs(10), heads.next());
            let head = head.await.unwrap().unwrap();
            assert_eq!((head.number, Some(head.hash)), (round, receipt.block_hash));
        }
        assert_eq!(provider.get_balance(to).await.unwrap(), U256::from(3));
    });
}

/// Deploys `log1(0, 0, calldataload(0))`: nine bytes of code after twelve that return them.
const LOGGER: &str = "0x6009600c60003960096000f360003560006000a100";

#[test]
fn a_reorganisation_is_told_to_whoever_subscribed() {
    let dir = tempfile::tempdir().unwrap();
    let chain = Devnet::start(dir.path(), 31_337);
    let made = chain.rpc.ok(
        "eth_sendTransaction",
        json!([{ "from": FIRST, "data": LOGGER }]),
    );
    let receipt = chain.rpc.ok("eth_getTransactionReceipt", json!([made]));
    let logger: Address = receipt["contractAddress"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let ws = chain.started["ws"].as_str().unwrap().to_owned();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let provider = ProviderBuilder::new()
            .connect_ws(WsConnect::new(ws))
            .await
            .unwrap();
        let filter = Filter::new()
            .address(logger)
            .from_block(BlockNumberOrTag::Latest);
        let mut logs = provider
            .subscribe_logs(&filter)
            .await
            .unwrap()
            .into_stream();
        let call = json!([{ "from": FIRST, "to": logger, "data": format!("0x{:064x}", 7) }]);
        let hash: Value = provider
            .raw_request("eth_sendTransaction".into(), call)
            .await
            .unwrap();
        let limit = Duration::from_secs(10);
        let log = tokio::time::timeout(limit, logs.next())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(log.topics(), [B256::from(U256::from(7))]);
        assert!(!log.removed);
        let _: Value = provider
            .raw_request("anvil_reorg".into(), json!([1, []]))
            .await
            .unwrap();
        let gone = tokio::time::timeout(limit, logs.next())
            .await
            .unwrap()
            .unwrap();
        assert!(gone.removed);
        assert_eq!(
            (gone.transaction_hash, gone.block_hash),
            (log.transaction_hash, log.block_hash)
        );
        let receipt: Value = provider
            .raw_request("eth_getTransactionReceipt".into(), json!([hash]))
            .await
            .unwrap();
        assert_eq!(receipt, Value::Null);
    });
}
