//! Everything that can stand in a deployment's way, whole messages compared.

use std::fs;

use alloy::sol_types::SolCall;
use openlora_chain::registry::{OpenLoraRegistry as Registry, Share, parse_id};
use openlora_core::error::Explain;
use openlora_ledger::event::{Event, TxOutcome};
use openlora_package::{
    build::{PackageMetadata, RevenueSplitOptions},
    read,
    release::SigningDomain,
};
use openlora_release::{
    deploy::{DeployContext, ReleaseParams, id_of, payout, registration},
    eip712::AccountSigner,
};
use serde_json::json;

use crate::{
    deploy_support::{Act, Chain, Desk, Proxy, contract, own_about, package},
    keys::{ADDRESS, OWN},
    waiting,
};

/// A desk at an embedded chain of its own.
fn at_embedded() -> (Desk, Chain) {
    let chain = Chain::embedded();
    (Desk::at(chain.url()), chain)
}

#[test]
fn an_empty_text_is_no_adapter_s_id() {
    assert_eq!(parse_id(""), None);
    assert_eq!(parse_id("7"), parse_id(&format!("0x{:064x}", 7)));
}

#[test]
fn without_a_package() {
    let desk = Desk::new();
    let runs = desk.path().join("runs");
    desk.run(&["deploy"]).fails(
        3,
        &format!(
            "error: no project here: neither {} nor a folder above it has an openlora.toml\n\
             hint: make one with `openlora init` and go into its folder, or name the package's \
             folder\n",
            desk.path().display()
        ),
    );
    desk.configure("");
    desk.run(&["deploy"]).fails(
        2,
        &format!(
            "error: no run was found in {}\nhint: start one with `openlora train`\n",
            runs.display()
        ),
    );
    let run = runs.join("one");
    fs::create_dir_all(&run).unwrap();
    fs::write(runs.join("latest"), "one\n").unwrap();
    fs::write(run.join("config.lock.toml"), "").unwrap();
    desk.run(&["deploy"]).fails(
        3,
        "error: the run one has no adapter: it did not finish\n\
         hint: finish it: openlora train --resume one\n",
    );
    desk.run(&["deploy", "first", "--server", "0x12"]).fails(
        2,
        "error: --server is wrong: expected 0x and 40 hexadecimal digits, found `0x12`\n",
    );
    let zero = "0x0000000000000000000000000000000000000000";
    desk.run(&["deploy", "first", "--server", zero]).fails(
        2,
        "error: --server is the zero address, which cannot serve\n",
    );
    let bad = ADDRESS.replacen('f', "F", 1);
    desk.run(&["deploy", "first", "--server", &bad]).fails(
        2,
        &format!(
            "error: --server is wrong: the checksum of `{bad}` does not fit: expected `{ADDRESS}`\n"
        ),
    );
    desk.run(&["deploy", "first", "--adapter", "tone"]).fails(
        2,
        "error: --adapter is wrong: expected 0x and 64 hexadecimal digits, found `tone`\n",
    );
    desk.run(&["deploy", "first", "--max-fee", "cheap"]).fails(
        3,
        "error: `deploy.max_fee` is wrong: expected gwei such as 0.5 or 20, found `cheap`\n",
    );
}

#[test]
fn a_network_that_is_unknown_down_or_another() {
    let desk = Desk::new();
    desk.run(&["deploy", "first", "--network", "bases"]).fails(
        3,
        "error: there is no network `bases`, expected one of local, local-2, base, base-sepolia, optimism, \
         optimism-sepolia, arbitrum, arbitrum-sepolia\nhint: did you mean `base`?\n",
    );
    desk.run(&["deploy", "first", "--network", "base", "--offline"])
        .fails(
            5,
            "error: https://mainnet.base.org is not on this machine\nhint: leave --offline out\n",
        );
    desk.points_to("http://127.0.0.1:1");
    desk.run(&["deploy", "first"]).fails(
        5,
        "error: http://127.0.0.1:1 does not answer eth_chainId: error sending request for url \
         (http://127.0.0.1:1)\nhint: check that the address is right and that something listens \
         there\n",
    );
    let chain = Chain::embedded();
    let lying = Proxy::new(chain.url(), |method, _, _| match method {
        "eth_chainId" => Act::Answer(json!("0x1")),
        _ => Act::Forward,
    });
    desk.points_to(&lying.url);
    desk.run(&["deploy", "first"]).fails(
        5,
        &format!(
            "error: {} is on chain 1, expected 31337 for the network `local`\nhint: correct `rpc` \
             or `chain_id` under `[network.local]`\n",
            lying.url
        ),
    );
    assert_eq!(
        lying.asked("eth_sendRawTransaction"),
        Vec::<serde_json::Value>::new()
    );
}

#[test]
fn a_chain_without_contracts() {
    let chain = Chain::anvil();
    let desk = Desk::at(chain.url());
    desk.run(&["deploy", "first"]).fails(
        5,
        &format!(
            "error: the network `local` has no OpenLoraRegistry at {}\nhint: put the contracts \
             there with `openlora deploy --contracts --network local`, or name others under \
             `[network.local]`\n",
            contract("OpenLoraRegistry")
        ),
    );
}

#[test]
fn gas_that_costs_too_much() {
    let (desk, chain) = at_embedded();
    let dear = Proxy::new(chain.url(), |method, _, _| match method {
        "eth_feeHistory" => Act::Answer(json!({
            "oldestBlock": "0x0", "baseFeePerGas": ["0x174876e800", "0x174876e800"],
            "gasUsedRatio": [0.5], "reward": [["0x3b9aca00"]],
        })),
        _ => Act::Forward,
    });
    desk.points_to(&dear.url);
    desk.run(&["deploy", "first", "--max-fee", "5.5"]).fails(
        5,
        "error: gas on `local` costs 201 gwei now, more than the 5.5 gwei that are allowed\nhint: \
         wait for a cheaper hour, or allow more with --max-fee GWEI\n",
    );
    assert_eq!(
        dear.asked("eth_sendRawTransaction"),
        Vec::<serde_json::Value>::new()
    );
}

/// Real money: the embedded chain under another name, so that nothing is given and all is asked.
fn real_money(desk: &Desk, chain: &Chain) {
    desk.configure(&format!(
        "[network.shop]\nchain_id = 31337\nrpc = \"{}\"\nmainnet = true\ntoken = \"{}\"\n",
        chain.url(),
        contract("DevelopmentToken")
    ));
}

#[test]
fn money_is_missing_and_said_exactly() {
    let (desk, chain) = at_embedded();
    real_money(&desk, &chain);
    let rpc = chain.rpc();
    rpc.ok("anvil_setBalance", json!([OWN, "0x64"]));
    let dry = desk.json(&[
        "deploy",
        "first",
        "--network",
        "shop",
        "--dry-run",
        "--max-fee",
        "3",
    ]);
    let gas: u64 = dry["transactions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["gas"].as_u64().unwrap())
        .sum();
    assert_eq!(
        dry["most_wei"],
        (u128::from(gas) * 3_000_000_000).to_string()
    );
    let mut command = desk
        .openlora(&["deploy", "first", "--network", "shop", "-q"])
        .into_command();
    command.stdin(std::process::Stdio::piped());
    command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"tone\n").unwrap();
    let output = waiting::finished(child);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(8), "{said}");
    let said = said.lines().nth(1).unwrap();
    let start = format!(
        "error: {OWN} has 0.0000000000000001 ETH on `shop`, and deploying tone 1.0.0 may cost "
    );
    assert!(said.starts_with(&start), "{said}");
    let amounts: Vec<u128> = said[start.len()..]
        .split(' ')
        .filter_map(|word| openlora_chain::balance::from_units(word, 18))
        .collect();
    assert_eq!(amounts[1], amounts[0] - 100, "{said}");
}

#[test]
fn real_money_wants_the_name() {
    let (desk, chain) = at_embedded();
    real_money(&desk, &chain);
    let run = desk.run(&[
        "deploy",
        "first",
        "--network",
        "shop",
        "--yes",
        "--no-input",
        "-q",
    ]);
    run.fails(
        7,
        "error: sending this on `shop` needs a confirmation and --no-input forbids asking for \
         it\nhint: run it at a terminal and type `tone`\n",
    );
    let run = desk.run(&["deploy", "first", "--network", "shop", "--yes", "-q"]);
    run.fails(
        7,
        "warning: sending this on `shop`; type `tone` to go on\nerror: sending this on `shop`: \
         not confirmed\nhint: run it at a terminal and type `tone`\n",
    );
}

#[test]
fn a_nonce_gap_is_named() {
    let (desk, chain) = at_embedded();
    chain
        .rpc()
        .ok("anvil_setBalance", json!([OWN, "0x8ac7230489e80000"]));
    let proxy = Proxy::new(chain.url(), |method, nth, _| match (method, nth) {
        // The RPC counts transactions that it then loses.
        ("eth_getTransactionCount", 1) => Act::Answer(json!("0x5")),
        _ => Act::Forward,
    });
    desk.points_to(&proxy.url);
    let run = desk
        .openlora(&["deploy", "first", "-q"])
        .env("OPENLORA_DEPLOY_PATIENCE", "1")
        .run();
    let mut written = desk.journal().into_iter();
    let tx = written.find_map(|record| match record.event {
        Event::TransactionIntended(intent) => Some(intent.tx),
        _ => None,
    });
    let tx = tx.unwrap();
    run.fails(
        5,
        &format!(
            "error: transaction {tx} of {OWN} has nonce 5 and cannot be mined: the next one that \
             `local` takes is 0\nhint: send the account's transaction with nonce 0 first\n"
        ),
    );
}

#[test]
fn an_rpc_that_fails_after_taking_a_transaction() {
    let (desk, chain) = at_embedded();
    let proxy = Proxy::new(chain.url(), |method, nth, _| match (method, nth) {
        ("eth_sendRawTransaction", 3) => Act::ForwardAndRefuse(json!({
            "code": -32000, "message": "upstream timed out",
        })),
        _ => Act::Forward,
    });
    desk.points_to(&proxy.url);
    let run = desk.run(&["deploy", "first", "-q"]);
    let sent = proxy.asked("eth_sendRawTransaction");
    let raw = alloy::hex::decode(sent[2][0].as_str().unwrap()).unwrap();
    let tx = alloy::primitives::keccak256(raw);
    run.fails(
        5,
        &format!(
            "error: nobody knows whether `local` took the transaction {tx} for registering tone \
             1.0.0: upstream timed out\nhint: run the same command again: it finds out first what \
             became of it\n"
        ),
    );
    let said = desk.json(&["deploy", "first"]);
    assert_eq!(
        (&said["done"], &said["tx"]),
        (&json!("nothing"), &json!(tx.to_string()))
    );
    assert_eq!(proxy.asked("eth_sendRawTransaction").len(), 3);
    assert_eq!(desk.count("deployed"), 1);
}

#[test]
fn a_contract_that_refuses_is_quoted() {
    let (desk, chain) = at_embedded();
    let refusing = Proxy::new(chain.url(), |method, _, _| match method {
        "eth_estimateGas" => Act::Refuse(json!({
            "code": 3, "message": "execution reverted",
            "data": share_sum_invalid(),
        })),
        _ => Act::Forward,
    });
    desk.points_to(&refusing.url);
    desk.run(&["deploy", "first", "-q"]).fails(
        6,
        "error: creating the contributors' pool of tone 1.0.0 is refused by the contract: \
         ShareSumInvalid(found 999999, expected 1000000)\n",
    );
}

/// Mined, and undone by the chain: it is said, journalled, and a second attempt goes through.
#[test]
fn a_transaction_that_reverts_when_it_is_mined() {
    let (desk, chain) = at_embedded();
    let sparing = Proxy::new(chain.url(), |method, _, _| match method {
        // Enough to be taken, too little to get anywhere.
        "eth_estimateGas" => Act::Answer(json!("0xea60")),
        _ => Act::Forward,
    });
    desk.points_to(&sparing.url);
    let run = desk.run(&["deploy", "first", "-q"]);
    let intended = desk
        .journal()
        .into_iter()
        .find_map(|record| match record.event {
            Event::TransactionIntended(intent) if intent.from == OWN => Some(intent.tx),
            _ => None,
        });
    let tx = intended.unwrap();
    let receipt = chain.rpc().ok("eth_getTransactionReceipt", json!([tx]));
    let block = receipt["blockNumber"].as_str().unwrap();
    let block = u64::from_str_radix(&block[2..], 16).unwrap();
    assert_eq!(receipt["status"], "0x0");
    run.fails(
        6,
        &format!(
            "error: transaction {tx} for creating the contributors' pool of tone 1.0.0 was \
             reverted in block {block}: it gives no reason\n"
        ),
    );
    let outcome = desk
        .journal()
        .into_iter()
        .find_map(|record| match record.event {
            Event::TransactionConfirmed { tx: of, status, .. } if of == tx => Some(status),
            _ => None,
        });
    assert_eq!(outcome, Some(TxOutcome::Reverted));
    assert_eq!(desk.count("deployed"), 0);
    desk.points_to(chain.url());
    desk.run(&["deploy", "first"]).succeeds();
    assert_eq!(desk.count("deployed"), 1);
}

/// What the contract answers when shares sum to 999 999.
fn share_sum_invalid() -> String {
    use alloy::{sol, sol_types::SolError};
    sol! { error ShareSumInvalid(uint256 found, uint256 expected); }
    let found = alloy::primitives::U256::from(999_999);
    let expected = alloy::primitives::U256::from(1_000_000);
    alloy::hex::encode_prefixed(ShareSumInvalid { found, expected }.abi_encode())
}

#[test]
fn packages_of_somebody_else_or_of_nobody() {
    let (desk, _chain) = at_embedded();
    desk.run(&["deploy", "first", "--account", "rich"]).fails(
        8,
        &format!(
            "error: the package was signed by {OWN}, and the account is {ADDRESS}\nhint: package \
             it again with this account: `openlora package --account NAME`, then `openlora deploy \
             --account NAME`; or deploy with the account that signed it\n"
        ),
    );
    let file = desk.path().join("first/README.md");
    fs::write(&file, "another text").unwrap();
    let run = desk.run(&["deploy", "first"]);
    assert_eq!(run.code, 9);
    let start = format!(
        "error: {} does not verify: files: README.md has ",
        desk.path().join("first").display()
    );
    assert!(run.stderr.starts_with(&start), "{}", run.stderr);
    let unsigned = desk.path().join("second/openlora.eip712.json");
    fs::remove_file(unsigned).unwrap();
    desk.run(&["deploy", "second"]).fails(
        9,
        &format!(
            "error: {} does not verify: eip712: {OWN} is named as the publisher and has not \
             signed\nhint: make it again: openlora package, for the network that it is deployed \
             on\n",
            desk.path().join("second").display()
        ),
    );
}

#[test]
fn an_adapter_that_is_not_there_or_not_ours() {
    let (desk, _chain) = at_embedded();
    let id = format!("0x{}", "7".repeat(64));
    desk.run(&["deploy", "first", "--adapter", &id]).fails(
        2,
        &format!(
            "error: the registry {} has no adapter {id}\nhint: `openlora explore` lists the \
             adapters; without --adapter a new one is registered\n",
            contract("OpenLoraRegistry")
        ),
    );
    desk.run(&["explore", &id]).fails(
        2,
        &format!(
            "error: the registry {} has no adapter {id}\nhint: `openlora explore` lists the \
             adapters; without --adapter a new one is registered\n",
            contract("OpenLoraRegistry")
        ),
    );
    desk.run(&["explore", "tune"]).fails(
        2,
        "error: `tune` is no adapter of `local`: expected 0x and 64 hexadecimal digits, or the \
         name of one that was deployed from here\nhint: `openlora explore` lists all of them\n",
    );
}

#[test]
fn a_price_of_zero_is_only_what_the_settings_say() {
    let (desk, chain) = at_embedded();
    let settings = |more: &str| {
        let url = chain.url();
        desk.configure(&format!("[network.local]\nrpc = \"{url}\"\n{more}"));
        desk.run(&["deploy", "first", "--dry-run"])
    };
    // Not this machine's own chain by its settings, and no token is named.
    settings("mainnet = true\n").fails(
        3,
        "error: the network `local` has no token to be paid in, so its calls would cost nothing\n\
         hint: name one: openlora config set network.local.token 0x…\n",
    );
    settings("mainnet = true\n[pricing]\ncompletion = \"0\"\n").succeeds();
    let token = contract("DevelopmentToken");
    settings(&format!("token = \"{token}\"\ntoken_decimals = 18\n")).fails(
        3,
        &format!(
            "error: `network.local.token_decimals` is wrong: expected 6, as the token {token} \
             says, found 18\nhint: set it: openlora config set network.local.token_decimals 6\n"
        ),
    );
    // What the hint says works.
    let set = ["config", "set", "network.local.token_decimals", "6"];
    desk.run(&set).succeeds();
    desk.run(&["deploy", "first", "--dry-run"]).succeeds();
    settings("[pricing]\ncompletion = \"0.0000001\"\n").fails(
        3,
        "error: `pricing.completion` is wrong: expected dUSD with at most 6 decimals, such as \
         \"0.001\", found `0.0000001`\n",
    );
    settings("[pricing]\ncompletion = \"0\"\n").succeeds();
    settings("").succeeds();
}

#[test]
fn shares_and_prices_are_shown_in_percent_and_tokens() {
    let (desk, chain) = at_embedded();
    let settings = "[pricing]\ncompletion = \"0.0025\"\n";
    desk.configure(&format!(
        "[network.local]\nrpc = \"{}\"\n{settings}",
        chain.url()
    ));
    let shown = desk.run(&["deploy", "first", "--dry-run"]).succeeds();
    let planned = desk.json(&["deploy", "first", "--dry-run"]);
    let argument = |at: usize, name: &str| {
        let arguments = planned["transactions"][at]["arguments"].as_array().unwrap();
        let mut found = arguments.iter().filter(|it| it["name"] == name);
        found.next().unwrap()["value"].as_str().unwrap().to_owned()
    };
    let pool = argument(0, "makes");
    let told = |name: &str| -> Vec<String> {
        let rows = shown
            .stderr
            .lines()
            .filter_map(|row| row.strip_prefix("  "));
        let of_name = rows.filter(|row| row.split(' ').next() == Some(name));
        of_name
            .map(|row| row[name.len()..].trim().to_owned())
            .collect()
    };
    assert_eq!(told("quorum"), ["50.0001 %"]);
    assert_eq!(told("price"), ["0.0025 dUSD for 1000 generated tokens"]);
    let shares = [argument(0, "shares"), argument(1, "shares")];
    let in_percent = shares.each_ref().map(|shares| {
        let parts = shares.split(", ").map(|part| {
            let (who, ppm) = part.strip_suffix(" ppm").unwrap().split_once(' ').unwrap();
            format!("{who} {}", openlora_core::exact_percent(ppm))
        });
        parts.collect::<Vec<_>>().join(", ")
    });
    assert_eq!(told("shares"), in_percent);
    assert!(
        in_percent[1].contains(&format!("{OWN} 60 %")),
        "{in_percent:?}"
    );
    assert!(
        in_percent[1].contains(&format!("{pool} 40 %")),
        "{in_percent:?}"
    );
    // Scripts get what the contracts receive.
    assert_eq!(argument(0, "quorum"), "500001 ppm");
    assert_eq!(argument(1, "price"), "2500");
}

#[test]
fn calls_that_cost_nothing_are_asked_for_by_name() {
    let desk = Desk::new();
    let zero = "[pricing]\nprompt = \"0\"\ncompletion = \"0\"\nminimum = \"0\"\n";
    desk.configure(zero);
    desk.run(&["serve", "--local"]).fails(
        3,
        "error: `pricing.completion` and `pricing.minimum` are 0, so calls would cost nothing: \
         expected one of them above 0\nhint: set a price: openlora config set pricing.minimum \
         0.00001; or serve without payment: openlora serve --local --free\n",
    );
    desk.configure("[pricing]\nclassification = \"0\"\nminimum = \"0\"\n");
    let run = desk.run(&["serve", "--local"]);
    assert_eq!(run.code, 3);
    assert!(
        run.stderr.contains("`pricing.classification`"),
        "{}",
        run.stderr
    );
}

#[test]
fn a_package_that_the_registry_does_not_know_fails_with_every_difference() {
    let (desk, _chain) = at_embedded();
    desk.run(&["deploy", "first"]).succeeds();
    let run = desk.run(&["--json", "explore", "--verify", "second"]);
    assert_eq!(run.code, 9, "{}", run.stderr);
    let said: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(said["verified"]["checks"][0]["name"], "registered");
    assert_eq!(said["verified"]["checks"][0]["status"], "fail");
    desk.run(&["deploy", "second"]).succeeds();
    // The first is there, and not the newest.
    let run = desk.run(&["--json", "explore", "--verify", "first"]);
    let said: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let failed: Vec<_> = said["verified"]["checks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|check| check["status"] == "fail")
        .map(|check| {
            (
                check["name"].as_str().unwrap(),
                check["reason"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        (run.code, failed),
        (
            9,
            vec![(
                "newest",
                "the registry has version 2, and this package is version 1"
            )]
        )
    );
}

/// The checks of `explore --verify` that failed, with their reasons.
fn failed(desk: &Desk, package: &str) -> Vec<(String, String)> {
    let run = desk.run(&["--json", "explore", "--verify", package]);
    assert_eq!(run.code, 9, "{}", run.stderr);
    let said: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let checks = said["verified"]["checks"].as_array().unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let failed = checks.iter().filter(|check| check["status"] == "fail");
    failed
        .map(|check| (text(&check["name"]), text(&check["reason"])))
        .collect()
}

#[test]
fn a_registration_by_somebody_else_with_another_split_is_told() {
    let (desk, chain) = at_embedded();
    let goods = ReleaseParams::from_package(&read(&desk.path().join("first")).unwrap()).unwrap();
    let thief: openlora_core::Address = ADDRESS.parse().unwrap();
    let place = DeployContext {
        registry: contract("OpenLoraRegistry").parse().unwrap(),
        pool_factory: contract("ContributorPoolFactory").parse().unwrap(),
        account: thief,
        server: thief,
        price: 0,
        uri: String::new(),
    };
    let all = Share {
        recipient: thief.into(),
        ppm: 1_000_000,
    };
    let call = Registry::registerCall {
        registration: registration(&goods, &[all], &place),
    };
    let sent = chain.rpc().ok(
        "eth_sendTransaction",
        json!([{
            "from": ADDRESS, "to": contract("OpenLoraRegistry"),
            "data": alloy::hex::encode_prefixed(call.abi_encode()),
        }]),
    );
    let receipt = chain.rpc().ok("eth_getTransactionReceipt", json!([sent]));
    assert_eq!(receipt["status"], "0x1");
    let shown = |id| openlora_chain::registry::shown_id(id);
    let (theirs, ours) = (
        shown(id_of(thief, goods.weights_sha256)),
        shown(id_of(goods.publisher, goods.weights_sha256)),
    );
    let reason = |what: &str, found: &str, expected: &str| {
        format!("{what} is {found} in the registry, and {expected} in the package")
    };
    let found = failed(&desk, "first");
    assert_eq!(
        found,
        [
            (
                "publisher".to_owned(),
                reason("the publisher", ADDRESS, OWN)
            ),
            (
                "adapter-id".to_owned(),
                reason("the adapter's id", &theirs, &ours)
            ),
            // The contributors' part has no address before their pool is there.
            (
                "split".to_owned(),
                reason(
                    "the split",
                    &format!("{ADDRESS} 100 %"),
                    &format!("{OWN} 60 %")
                )
            ),
        ]
    );
}

#[test]
fn a_signature_that_is_missing_or_for_another_registry_is_told() {
    let (desk, _chain) = at_embedded();
    desk.run(&["deploy", "first"]).succeeds();
    let domain = SigningDomain::for_registry(1, None);
    let draft = crate::packages::drafted(&own_about("1.0.0")).unwrap();
    let signer = crate::keys::account(crate::keys::OWN_KEY);
    let place = desk.path().join("elsewhere");
    openlora_package::write(&place, &draft, Some((&domain, &AccountSigner(&signer)))).unwrap();
    let same = |name: &str| read(&desk.path().join(name)).unwrap().manifest_sha256;
    let recorded = |name: &str| {
        let run = desk.run(&["--json", "verify", name, "--chain"]);
        let report: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
        (run.code, report["checks"][9].clone())
    };
    let check = |status: &str, label: &str, reason: Option<String>| serde_json::json!({"name": "chain", "status": status, "label": label, "reason": reason});
    assert_eq!(recorded("first"), (0, check("pass", "signed-claim", None)));
    let absent = format!(
        "no release has the manifest sha256 {}; there is one release, sha256 {}",
        same("second"),
        same("first")
    );
    assert_eq!(
        recorded("second"),
        (9, check("fail", "unverified", Some(absent)))
    );
    assert_eq!(same("first"), same("elsewhere"));
    assert_eq!(
        failed(&desk, "elsewhere"),
        [(
            "signature".to_owned(),
            format!(
                "the signature is for chain 1 and no registry, expected chain 31337 and {}",
                contract("OpenLoraRegistry")
            )
        )]
    );
}

#[test]
fn a_contributor_without_an_address() {
    let (desk, _chain) = at_embedded();
    let package = read(&desk.path().join("first")).unwrap();
    let mut goods = ReleaseParams::from_package(&package).unwrap();
    goods.contributors[0].address = None;
    let error = payout(&goods).unwrap_err();
    let part = openlora_core::exact_percent(goods.contributors[0].static_ppm);
    assert_eq!(
        (error.to_string(), error.hint().unwrap()),
        (
            format!("the contributor Ada has {part} of the pool and no address"),
            "give its `[[data]]` entry an `address`, then run `openlora package` again".into()
        )
    );
    goods.contributors.clear();
    let error = payout(&goods).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the contributors' pool has 0 recipients, expected 1 to 200"
    );
    goods.split[0].address = None;
    let error = payout(&goods).unwrap_err();
    assert_eq!(error.to_string(), "the split's creator has no address");
}

#[test]
fn a_split_without_contributors_needs_no_pool() {
    let (desk, chain) = at_embedded();
    let about = PackageMetadata {
        split: RevenueSplitOptions {
            creator: Some(1_000_000),
            contributors: Some(0),
            ..RevenueSplitOptions::default()
        },
        ..own_about("2.0.0")
    };
    package(desk.path(), "alone", &about);
    desk.json(&["deploy", "alone"]);
    let sent = chain
        .rpc()
        .ok("eth_getTransactionCount", json!([OWN, "latest"]));
    assert_eq!(sent, "0x1");
    let explored = desk.json(&["explore", "tone", "--verify", "alone"]);
    assert_eq!(explored["verified"]["ok"], true, "{explored}");
    let shares = &explored["adapters"][0]["releases"][0]["shares"];
    assert_eq!(*shares, json!([{ "recipient": OWN, "ppm": 1_000_000 }]));
}

/// What is said of an address on the network `shop`.
fn refused(who: &str, address: &str, why: &str) -> String {
    format!(
        "error: {who} has the address {address}, {why}; on `shop` that is refused\nhint: give it an \
         account of its own: `address` of its `[[data]]` entry, `split.creator_address`, or another \
         --account, --server or --to\n"
    )
}

#[test]
fn nobody_is_paid_at_a_placeholder_or_a_published_account_for_real_money() {
    const NOBODYS: &str = "which is a placeholder that nobody can spend from";
    const EVERYBODYS: &str =
        "a development account whose key is published, so that anybody can spend from it";
    let (desk, chain) = at_embedded();
    let signer = crate::keys::account(crate::keys::OWN_KEY);
    let place = |name: &str, change: &dyn Fn(&mut openlora_package::manifest::Manifest)| {
        let registry = contract("OpenLoraRegistry").parse().unwrap();
        let domain = SigningDomain::for_registry(31_337, Some(registry));
        let mut draft = crate::packages::drafted(&own_about("1.0.0")).unwrap();
        change(&mut draft.manifest);
        draft.derive_documents().unwrap();
        let place = desk.path().join(name);
        openlora_package::write(&place, &draft, Some((&domain, &AccountSigner(&signer)))).unwrap();
    };
    let ones = "0x1111111111111111111111111111111111111111";
    let known = ADDRESS;
    place("contributor", &|m| {
        m.contributors[0].address = Some(ones.parse().unwrap());
    });
    place("creator", &|m| {
        m.split[0].address = Some(known.parse().unwrap());
    });
    place("owner", &|m| {
        m.datasets[1].owner = Some(known.parse().unwrap());
    });
    // On the development chain they deploy.
    desk.run(&["deploy", "contributor", "--dry-run"]).succeeds();
    real_money(&desk, &chain);
    let deploy = |package: &str, more: &[&str]| {
        let args = ["deploy", package, "--network", "shop", "--dry-run"];
        desk.run(&[args.as_slice(), more].concat())
    };
    deploy("contributor", &[]).fails(3, &refused("the contributor Ada", ones, NOBODYS));
    deploy("creator", &[]).fails(3, &refused("the split's creator", known, EVERYBODYS));
    deploy("owner", &[]).fails(3, &refused("the owner of z.jsonl", known, EVERYBODYS));
    deploy("first", &["--server", known]).fails(3, &refused("--server", known, EVERYBODYS));
    deploy("first", &[]).succeeds();
    let dead = "0x000000000000000000000000000000000000dEaD";
    let withdraw = ["withdraw", "--network", "shop", "--to", dead, "--dry-run"];
    desk.run(&withdraw)
        .fails(3, &refused("--to", dead, NOBODYS));
}
