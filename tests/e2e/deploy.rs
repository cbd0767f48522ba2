//! `openlora deploy` and `explore` on the embedded chain and on anvil.

use std::fs;

use alloy::{
    primitives::{Address, B256, U256},
    sol_types::SolCall,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::paths::repository;
use crate::{
    deploy_support::{A1, Act, Chain, Desk, Proxy, contract},
    devnet_peers::foundry,
    devnet_support::{FIRST, Rpc},
    keys::OWN,
    sdk::run,
};

#[test]
fn a_creator_deploys_with_nothing_but_a_package() {
    let desk = Desk::new();
    let said = desk.run(&["deploy", "first"]).succeeds();
    let lines: Vec<&str> = said.stdout.lines().map(|line| &line[..14]).collect();
    assert_eq!(
        lines,
        [
            "adapter       ",
            "version       ",
            "network       ",
            "transaction   ",
            "gas used      ",
            "splitter      ",
            "manifest      "
        ]
    );
    assert!(
        said.stderr
            .starts_with("development chain 31337 started at ")
    );
    let funded = format!("{OWN} had nothing on the development chain and got 10 ETH\n");
    assert!(said.stderr.contains(&funded), "{}", said.stderr);
    let again = desk.run(&["deploy", "first"]).succeeds();
    assert_eq!(again.stdout, said.stdout);
    let explored = desk.json(&["explore", "tone", "--verify", "first"]);
    assert_eq!(explored["verified"]["ok"], true, "{explored}");
    assert_eq!(desk.count("deployed"), 1);
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    step: Vec<Step>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    package: String,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    transactions: Vec<String>,
    #[serde(default)]
    expect: serde_json::Map<String, Value>,
}

fn scenario() -> Scenario {
    let path = repository().join("tests/data/scenarios/deploy.toml");
    toml::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// Everything of a run that must not depend on the chain.
#[derive(Debug, Default, PartialEq)]
struct Told {
    results: Vec<Value>,
    receipts: Vec<Value>,
    events: Vec<Value>,
    explored: Value,
}

/// Hashes and places follow from the base fee and the height, which differ.
fn without(mut value: Value, fields: &[&str]) -> Value {
    if let Some(object) = value.as_object_mut() {
        object.retain(|name, _| !fields.contains(&name.as_str()));
    }
    value
}

const PLACE: &[&str] = &[
    "blockHash",
    "blockNumber",
    "blockTimestamp",
    "transactionHash",
    "transactionIndex",
    "logIndex",
    "effectiveGasPrice",
    "blobGasPrice",
    "removed",
];

fn told(desk: &Desk, rpc: &Rpc) -> Told {
    let mut told = Told::default();
    for step in scenario().step {
        let mut args = vec!["deploy", step.package.as_str()];
        args.extend(step.args.iter().map(String::as_str));
        let said = desk.json(&args);
        if !step.transactions.is_empty() {
            let proposed = said["transactions"].as_array().unwrap();
            let deeds: Vec<&str> = proposed
                .iter()
                .map(|it| it["deed"].as_str().unwrap())
                .collect();
            assert_eq!(deeds, step.transactions);
            // Fees are the chain's; all else is told.
            let shown = |it: &Value| without(it.clone(), &["max_fee_wei"]);
            told.results.push(proposed.iter().map(shown).collect());
            continue;
        }
        for (name, expected) in &step.expect {
            assert_eq!(&said[name], expected, "{said}");
        }
        let receipt = rpc.ok("eth_getTransactionReceipt", json!([said["tx"]]));
        assert_eq!(
            receipt["gasUsed"],
            format!("{:#x}", said["gas_used"].as_u64().unwrap())
        );
        let mut receipt = without(receipt, PLACE);
        let logs = receipt["logs"].as_array_mut().unwrap();
        for log in logs {
            *log = without(log.take(), PLACE);
        }
        told.receipts.push(receipt);
        told.results.push(without(said, &["tx"]));
    }
    let filter = json!([{ "fromBlock": "0x0", "address": contract("OpenLoraRegistry") }]);
    let logs = rpc.ok("eth_getLogs", filter);
    let logs = logs.as_array().unwrap().iter();
    told.events = logs.map(|log| without(log.clone(), PLACE)).collect();
    let mut explored = without(desk.json(&["explore"]), &["block"]);
    let adapter = &mut explored["adapters"][0];
    *adapter = without(adapter.take(), &["registered_at"]);
    for release in adapter["releases"].as_array_mut().unwrap() {
        *release = without(release.take(), &["tx", "block", "published_at"]);
    }
    told.explored = explored;
    told
}

#[test]
fn one_scenario_tells_the_same_on_the_embedded_chain_and_on_anvil() {
    let [embedded, anvil] = [Chain::embedded(), Chain::anvil()].map(|chain| {
        let desk = Desk::at(chain.url());
        let placed = desk.deploy_contracts();
        let addresses: Vec<Value> = placed["contracts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| without(it.clone(), &["tx"]))
            .collect();
        (addresses, told(&desk, &chain.rpc()))
    });
    assert_eq!(embedded.0, anvil.0);
    assert_eq!(embedded.1.results, anvil.1.results);
    assert_eq!(embedded.1.receipts, anvil.1.receipts);
    assert_eq!(embedded.1.events, anvil.1.events);
    assert_eq!(embedded.1.explored, anvil.1.explored);
    assert_eq!(anvil.1.events.len(), 1 + 1 + 1 + 1 + 1 + 1 + 2);
}

#[test]
fn contracts_are_deployed_once() {
    let chain = Chain::anvil();
    let desk = Desk::at(chain.url());
    let first = desk.deploy_contracts();
    let second = desk.deploy_contracts();
    let all = |said: &Value, fresh: bool| {
        let all = said["contracts"].as_array().unwrap();
        assert_eq!(all.len(), 6);
        for it in all {
            assert_eq!(it["tx"].is_string(), fresh, "{it}");
            assert_eq!(it["address"], contract(it["name"].as_str().unwrap()));
        }
    };
    all(&first, true);
    all(&second, false);
}

#[test]
fn cast_reads_the_registry_and_agrees() {
    let chain = Chain::anvil();
    let desk = Desk::at(chain.url());
    desk.deploy_contracts();
    let deployed = desk.json(&["deploy", "first", "--server", A1]);
    let id = deployed["adapter_id"].as_str().unwrap();
    let registry = contract("OpenLoraRegistry");
    let cast = |signature: &str, args: &[&str]| {
        let said = run(std::process::Command::new(foundry("cast"))
            .args(["call", "--rpc-url", chain.url(), &registry, signature])
            .args(args));
        said.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let digits = |line: &str| line.split(' ').next().unwrap().to_owned();
    let release = cast(
        "latestRelease(uint256)(uint32,(bytes32,bytes32,bytes32,uint128,address,uint40))",
        &[id],
    );
    let explored = desk.json(&["explore", id]);
    let view = &explored["adapters"][0]["releases"][0];
    assert_eq!(release[0], "1");
    let expected = format!(
        "(0x{}, 0x{}, 0x{}, 1000, {}, ",
        view["manifest_sha256"].as_str().unwrap(),
        view["base_root"].as_str().unwrap(),
        view["datasets_root"].as_str().unwrap(),
        deployed["splitter"].as_str().unwrap()
    );
    // Beside a number that is round, cast writes it in powers of ten.
    let said = release[1].replace(" [1e3]", "");
    assert!(said.starts_with(&expected), "{release:?} {expected}");
    assert_eq!(cast("ownerOf(uint256)(address)", &[id]), [OWN]);
    assert_eq!(cast("isServer(uint256,address)(bool)", &[id, A1]), ["true"]);
    assert_eq!(
        cast("isServer(uint256,address)(bool)", &[id, OWN]),
        ["false"]
    );
    let weights = explored["adapters"][0]["weights_sha256"].as_str().unwrap();
    let by_cast = cast(
        "idOf(address,bytes32)(uint256)",
        &[OWN, &format!("0x{weights}")],
    );
    let number = U256::from_str_radix(&id[2..], 16).unwrap();
    assert_eq!(digits(&by_cast[0]), number.to_string());
}

#[test]
fn explore_adds_up_what_was_anchored_and_earned_through_a_narrow_rpc() {
    let chain = Chain::embedded();
    let rpc = chain.rpc();
    let narrow = Proxy::new(chain.url(), |method, _, params| {
        let number = |name: &str| {
            let text = params[0][name].as_str().unwrap();
            u64::from_str_radix(&text[2..], 16).unwrap()
        };
        if method == "eth_getLogs" && number("toBlock") - number("fromBlock") >= 20 {
            let message = "block range is too large, at most 20";
            return Act::Refuse(json!({ "code": -32005, "message": message }));
        }
        Act::Forward
    });
    let desk = Desk::at(&narrow.url);
    let server = checked(FIRST);
    let deployed = desk.json(&["deploy", "first", "--server", &server]);
    let (id, splitter) = (
        deployed["adapter_id"].as_str().unwrap(),
        &deployed["splitter"],
    );
    let id_number: U256 = id.parse().unwrap();
    let (one, two) = (B256::repeat_byte(1), B256::repeat_byte(2));
    let anchor = |root, before, count, charged| {
        let call = anchorCall {
            id: id_number,
            root,
            prevRoot: before,
            count,
            charged,
            uri: String::new(),
        };
        send(&rpc, &contract("AttributionAnchor"), &call.abi_encode());
    };
    for _ in 0..50 {
        rpc.ok("evm_mine", json!([]));
    }
    anchor(one, B256::ZERO, 3, 700);
    for _ in 0..50 {
        rpc.ok("evm_mine", json!([]));
    }
    anchor(two, one, 4, 500_000);
    let mint = mintCall {
        to: splitter.as_str().unwrap().parse().unwrap(),
        amount: U256::from(2_500_000),
    };
    send(&rpc, &contract("DevelopmentToken"), &mint.abi_encode());
    for args in [
        vec!["explore"],
        vec!["explore", id],
        vec!["explore", "tone"],
    ] {
        let explored = desk.json(&args);
        let adapter = &explored["adapters"][0];
        assert_eq!(
            adapter["anchored"],
            json!([{
                "server": server, "anchors": 2, "calls": 7, "charged": "500700",
                "root": two.to_string(), "uri": "",
            }])
        );
        assert_eq!(
            adapter["releases"][0]["revenue"],
            json!({
                "token": contract("DevelopmentToken"), "symbol": "dUSD", "decimals": 6,
                "received": "2500000", "released": "0", "pending": "2500000",
            })
        );
        assert_eq!(adapter["servers"], json!([server]));
    }
    let asked = narrow.asked("eth_getLogs").len();
    assert!(
        asked > 6,
        "{asked} requests cannot cover 100 blocks in steps of 20"
    );
    let said = desk.run(&["explore", "tone"]).succeeds().stdout;
    assert!(said.ends_with(&format!(
        "  revenue     2.5 dUSD received, 0 released, 2.5 pending\n\
         anchored      2 anchors by {server}, which states 7 calls and 0.5007 dUSD charged\n"
    )));
}

alloy::sol! {
    function anchor(uint256 id, bytes32 root, bytes32 prevRoot, uint64 count, uint128 charged, string uri);
    function mint(address to, uint256 amount);
}

/// Sends from the first development account, which signs for whoever asks.
#[track_caller]
fn send(rpc: &Rpc, to: &str, data: &[u8]) {
    let fields = json!([{ "from": FIRST, "to": to, "data": alloy::hex::encode_prefixed(data) }]);
    let hash = rpc.ok("eth_sendTransaction", fields);
    let receipt = rpc.ok("eth_getTransactionReceipt", json!([hash]));
    assert_eq!(receipt["status"], "0x1");
}

fn checked(address: &str) -> String {
    address.parse::<Address>().unwrap().to_checksum(None)
}
