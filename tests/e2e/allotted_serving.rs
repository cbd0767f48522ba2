//! The whole way with the real binary: a copier has no share, and calls that cannot be collected
//! take nothing from those that were paid.

use std::{cell::RefCell, collections::BTreeMap, fs, path::PathBuf};

use alloy::sol_types::SolCall;
use openlora_chain::registry::BatchSettlementEscrow as Escrow;
use openlora_contracts::ESCROW;
use openlora_core::Address;
use openlora_ledger::{event::Event, publication::PoolContributions};
use serde_json::{Value, json};

use crate::{
    deploy_support::{Chain, Desk, contract},
    devnet_support::number,
    live::Live,
    paid_serving::shop::{Call, Payer, client, offer, required},
    serve_support::Reply,
    settlement_support::send_from,
    tiny,
    x402_support::header,
};

const HONEST: &str = "0xaf1D3c88E1B9C4A0E2F5D6b708192A3B4C5d6e7f";
const COPYCAT: &str = "0xc0FfEe0123456789aBCDEf0011223344556677A9";
const OTHER: &str = "0x07e30d1c2b3A4958675644332211fFEEddccbBa8";
const DEPOSIT: u128 = 1_000_000;

/// A project of three contributors, one of whom copied another's file, deployed and ready to sell.
struct Fair {
    chain: Chain,
    desk: Desk,
    runtime: tokio::runtime::Runtime,
    run: PathBuf,
    trained: String,
    packaged: Value,
    deployed: String,
    deployment: Value,
    /// Ids of paid calls by the name of their batch: a paid call's id is in its answer.
    bought: RefCell<BTreeMap<String, String>>,
}

impl Fair {
    fn open() -> Self {
        Self::with(OTHER)
    }

    /// One whose third contributor has this address.
    fn with(other: &str) -> Self {
        let chain = Chain::embedded();
        let desk = Desk::at(chain.url());
        let dir = desk.path().to_owned();
        tiny::base(&dir);
        tiny::labelled(&dir, "honest.jsonl", 0..20);
        tiny::labelled(&dir, "other.jsonl", 20..30);
        // With a capital, a wider space and a joiner that nobody sees, and under the other label.
        let copied: String = (0..20)
            .map(|index| {
                let (text, label) = tiny::row(index);
                let text = text.replacen("the ", "The  ", 1) + "\u{200d}";
                let label = if label == "up" { "down" } else { "up" };
                json!({ "text": text, "label": label }).to_string() + "\n"
            })
            .collect();
        tiny::write(&dir, "copy.jsonl", &copied);
        let source = |path: &str, name: &str, address: &str| {
            format!(
                "[[data]]\npath = \"{path}\"\ncontributor = \"{name}\"\naddress = \"{address}\"\n"
            )
        };
        let text = format!(
            "[project]\nname = \"tone\"\n[base]\nid = \"./base\"\n[network.local]\nrpc = \"{}\"\n\
             [train]\nrank = 2\nbatch = 4\nepochs = 1\nmax_len = 128\n{}{}{}",
            chain.url(),
            source("honest.jsonl", "Honest", HONEST),
            source("copy.jsonl", "Copycat", COPYCAT),
            source("other.jsonl", "Other", other),
        );
        desk.configure(&text);
        let trained = desk.run(&["train"]).succeeds().stderr;
        let packaged = desk.json(&["package"]);
        let deployed = desk.openlora(&["--json", "deploy"]).run().succeeds();
        let runs = dir.join("runs");
        let run = runs.join(fs::read_to_string(runs.join("latest")).unwrap().trim());
        Self {
            deployment: serde_json::from_str(&deployed.stdout).unwrap(),
            deployed: deployed.stderr,
            runtime: tokio::runtime::Runtime::new().unwrap(),
            chain,
            desk,
            run,
            trained,
            packaged,
            bought: RefCell::default(),
        }
    }

    fn splitter(&self) -> Address {
        let text = self.deployment["splitter"].as_str().unwrap();
        text.parse().unwrap()
    }

    fn serve(&self) -> Live {
        let args = [
            "serve", "--local", "--json", "--port", "0", "--quant", "f32",
        ];
        let command = self.desk.openlora(&args);
        // One of the calls is paid by a small transfer.
        Live::of(command.env("OPENLORA_SERVE_MIN_EXACT", "0.00001"))
    }

    fn ask(&self, server: &Live, call: &Call, payment: Option<&str>) -> Reply {
        let client = client();
        let asked = call.ask(&client, &server.url, payment);
        self.runtime.block_on(asked).unwrap()
    }

    /// The offers for a call, from a server that has not been paid.
    fn offers(&self, server: &Live, call: &Call) -> Value {
        required(&self.ask(server, call, None))["accepts"].clone()
    }

    /// A payer with a channel of the server's terms.
    fn payer(&self, server: &Live, index: u64) -> Payer {
        self.payer_to(self.splitter(), server, index)
    }

    fn payer_to(&self, splitter: Address, server: &Live, index: u64) -> Payer {
        let mut payer = Payer::to(splitter, index);
        let offers = self.offers(server, &classify("who", 0));
        let voucher = payer.voucher(1);
        let delay = &offer(&offers, 31_337, &voucher)["extra"]["withdrawDelay"];
        payer.config.withdraw_delay = delay.as_u64().unwrap();
        payer.funded(&self.chain.rpc(), 10 * DEPOSIT);
        payer
    }

    /// Buys calls from a channel, and returns what they cost.
    fn buys(&self, server: &Live, payer: &Payer, name: &str, rows: std::ops::Range<usize>) -> u128 {
        let mut total = 0;
        for (at, row) in rows.enumerate() {
            let call = classify(name, row);
            let offers = self.offers(server, &call);
            let terms = offer(&offers, 31_337, &payer.voucher(1));
            let amount: u128 = terms["amount"].as_str().unwrap().parse().unwrap();
            let payload = match at {
                0 => payer.deposit(total + amount, DEPOSIT),
                _ => payer.voucher(total + amount),
            };
            let reply = self.ask(server, &call, Some(&header(terms, &payload)));
            self.note(name, &reply);
            total += amount;
        }
        total
    }

    fn note(&self, name: &str, reply: &Reply) {
        assert_eq!(reply.status, 200, "{reply:?}");
        let id = reply.json()["id"].as_str().unwrap().to_owned();
        self.bought.borrow_mut().insert(id, name.to_owned());
    }

    /// Takes a channel's money back, as the server is not there to prevent it.
    fn takes_back(&self, payer: &Payer, charged: u128) {
        let rpc = self.chain.rpc();
        let account = payer.address().to_string();
        rpc.ok("anvil_setBalance", json!([account, "0x8ac7230489e80000"]));
        rpc.ok("anvil_impersonateAccount", json!([account]));
        let config: openlora_chain::registry::ChannelConfig = (&payer.config).into();
        let start = Escrow::initiateWithdrawCall {
            config: config.clone(),
            amount: DEPOSIT,
        };
        send_from(&rpc, &account, ESCROW.into(), &start.abi_encode().into());
        let delay = payer.config.withdraw_delay + 1;
        rpc.ok("evm_increaseTime", json!([delay]));
        rpc.ok("evm_mine", json!([]));
        let end = Escrow::finalizeWithdrawCall { config };
        send_from(&rpc, &account, ESCROW.into(), &end.abi_encode().into());
        assert!(charged > 0);
    }

    /// What the final attributions of some calls give each contributor, in millionths.
    fn attributed(&self, name: &str) -> BTreeMap<Address, u128> {
        let mut sums = BTreeMap::new();
        for record in self.desk.journal() {
            let Event::Attributed(it) = record.event else {
                continue;
            };
            let bought = self.bought.borrow();
            if bought.get(&it.request_id).map(String::as_str) != Some(name) {
                continue;
            }
            for amount in it.amounts.iter().flatten().filter(|it| it.pool.is_some()) {
                *sums.entry(amount.address.unwrap()).or_default() += amount.micro.0;
            }
        }
        sums
    }

    fn audit(&self) -> (i32, Value) {
        let package = self.run.join("package");
        let index = self.run.join("attribution");
        let args = [
            "audit",
            self.deployment["adapter_id"].as_str().unwrap(),
            "--log",
            "home/data/attribution-log",
            "--package",
            package.to_str().unwrap(),
            "--index",
            index.to_str().unwrap(),
        ];
        let run = self.desk.openlora(&["--json", "-q"]).args(args).run();
        let audited = serde_json::from_str(&run.stdout);
        (
            run.code,
            audited.unwrap_or_else(|_| panic!("{}", run.stderr)),
        )
    }

    fn contributions(&self) -> (PathBuf, PoolContributions) {
        let log = self.desk.path().join("home/data/attribution-log");
        let mut files = fs::read_dir(&log).unwrap().map(|it| it.unwrap().path());
        let named = |path: &PathBuf| {
            let name = path.file_name().unwrap().to_str().unwrap();
            name.starts_with("contributions-")
        };
        let path = files.find(named).unwrap();
        let file = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        (path, file)
    }
}

/// A call about a row of the training data.
fn classify(name: &str, row: usize) -> Call {
    let (text, _) = tiny::row(row);
    Call {
        path: "/v1/classify",
        body: json!({ "model": "tone", "input": text }),
        id: Some(format!("{name}-{row}-of-this-test")),
    }
}

#[test]
fn a_server_for_real_money_pays_nobody_at_a_placeholder() {
    let threes = "0x3333333333333333333333333333333333333333";
    let fair = Fair::with(threes);
    assert_eq!(fair.serve().drain().0, 0);
    // The same chain, as one on which money is real.
    let text = fs::read_to_string(fair.desk.path().join("openlora.toml")).unwrap();
    let shop = format!(
        "[network.shop]\nchain_id = 31337\nrpc = \"{}\"\nmainnet = true\ntoken = \"{}\"\n",
        fair.chain.url(),
        contract("DevelopmentToken")
    );
    fair.desk.configure(&(text + &shop));
    let args = ["serve", "--network", "shop", "--port", "0", "-q"];
    fair.desk.run(&args).fails(
        3,
        &format!(
            "error: a contributor of tone has the address {threes}, which is a placeholder that \
             nobody can spend from; on `shop` that is refused\nhint: give it an account of its \
             own: `address` of its `[[data]]` entry, `split.creator_address`, or another --account, \
             --server or --to\n"
        ),
    );
}

/// Nobody has to stop selling to publish: calls of the new release are paid to its own splitter.
#[test]
fn a_release_that_is_deployed_beside_its_server_is_sold_by_it() {
    let fair = Fair::open();
    let server = fair.serve();
    let early = fair.payer(&server, 93);
    fair.buys(&server, &early, "early", 20..22);
    let digest = || {
        let asked = client().get(format!("{}/v1/models/tone", server.url));
        let model = async { asked.send().await.unwrap().json::<Value>().await.unwrap() };
        fair.runtime.block_on(model)["digest"].clone()
    };
    let first = digest();
    fair.desk.run(&["train", "-q", "--seed", "7"]).succeeds();
    let deployed = fair
        .desk
        .openlora(&["--json", "deploy"])
        .env("OPENLORA_PROJECT_VERSION", "0.2.0")
        .run()
        .succeeds();
    let said = format!(
        "the server at {} serves this tone from now on, instead of the former one\n",
        server.url
    );
    assert!(deployed.stderr.ends_with(&said), "{}", deployed.stderr);
    let deployment: Value = serde_json::from_str(&deployed.stdout).unwrap();
    assert_eq!(
        (&deployment["done"], &deployment["version"]),
        (&json!("published"), &json!(2))
    );
    assert_ne!(digest(), first);
    let splitter: Address = deployment["splitter"].as_str().unwrap().parse().unwrap();
    assert_ne!(splitter, fair.splitter());
    let late = fair.payer_to(splitter, &server, 94);
    fair.buys(&server, &late, "late", 22..24);
    // The same once more changes nothing.
    let again = fair.desk.run(&["deploy"]).succeeds();
    let said = format!("the server at {} serves tone already\n", server.url);
    assert!(again.stderr.ends_with(&said), "{}", again.stderr);
    assert_eq!(server.drain().0, 0);
    for name in ["early", "late"] {
        assert!(!fair.attributed(name).is_empty(), "{name}");
    }
    let receivers: std::collections::BTreeSet<Address> = fair
        .desk
        .journal()
        .into_iter()
        .filter_map(|record| match record.event {
            Event::Settled(settled) => Some(settled.receiver.receiver),
            _ => None,
        })
        .collect();
    assert_eq!(receivers, [fair.splitter(), splitter].into());
    let settle = fair.desk.json(&["settle", "--dry-run"]);
    assert_eq!(settle["claims"], json!([]), "{settle}");
}

#[test]
fn calls_that_are_never_collected_and_copies_earn_nothing() {
    let fair = Fair::open();
    // A copier is named wherever static shares are made, and has none.
    let said = "Copycat: 0 of 20 rows count for its static share, the others repeat earlier ones";
    assert!(fair.trained.contains(said), "{}", fair.trained);
    let shares: Vec<(&str, u64, u64)> = fair.packaged["contributors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| {
            let number = |key: &str| it[key].as_u64().unwrap();
            let name = it["name"].as_str().unwrap();
            (name, number("static_ppm"), number("distinct_records"))
        })
        .collect();
    assert_eq!(
        shares,
        [
            ("Honest", 666_667, 20),
            ("Copycat", 0, 0),
            ("Other", 333_333, 10)
        ]
    );
    let said = "Copycat has no static share and is no recipient of the contributors' part: all of \
                its records repeat earlier ones";
    assert!(fair.deployed.contains(said), "{}", fair.deployed);

    // The attacker's calls come first; its money is gone before anybody claims it.
    let server = fair.serve();
    let attacker = fair.payer(&server, 91);
    let lost = fair.buys(&server, &attacker, "attack", 20..26);
    server.kill();
    fair.takes_back(&attacker, lost);
    let server = fair.serve();
    let honest = fair.payer(&server, 92);
    let paid = fair.buys(&server, &honest, "honest", 0..4);
    // One by a transfer of its own.
    let call = classify("honest", 9);
    let offers = fair.offers(&server, &call);
    let terms = offer(&offers, 31_337, &honest.exact(1, 5));
    let amount: u128 = terms["amount"].as_str().unwrap().parse().unwrap();
    let payment = header(terms, &honest.exact(amount, 5));
    fair.note("honest", &fair.ask(&server, &call, Some(&payment)));
    assert_eq!(server.drain().0, 0);
    fair.desk.json(&["settle"]);
    let withdrawn = fair.desk.json(&["withdraw"]);
    assert_eq!(withdrawn["rewards"].get("problem"), None, "{withdrawn}");

    let (path, file) = fair.contributions();
    let owed: BTreeMap<Address, u128> = file
        .owed
        .iter()
        .map(|it| (it.contributor, it.cumulative.0))
        .collect();
    // To the unit what the paid calls gave, in spite of the others before them.
    let whole = |sums: BTreeMap<Address, u128>| -> BTreeMap<Address, u128> {
        let units = sums
            .into_iter()
            .map(|(who, micro)| (who, micro / 1_000_000));
        units.filter(|(_, sum)| *sum > 0).collect()
    };
    assert_eq!(owed, whole(fair.attributed("honest")));
    assert!(!fair.attributed("attack").is_empty());
    for name in ["attack", "honest"] {
        let copycat: Address = COPYCAT.parse().unwrap();
        assert!(!fair.attributed(name).contains_key(&copycat));
    }
    let source = file.source.unwrap();
    assert_eq!(source.calls.len(), 5);
    let collected: u128 = source.calls.iter().map(|it| it.collected.0).sum();
    assert_eq!(collected, paid + amount);
    assert!(source.calls.iter().all(|it| it.collected == it.charged));

    // The chain bears it out, and nothing else.
    let (code, audited) = fair.audit();
    assert_eq!(
        (code, &audited["differences"]),
        (0, &json!([])),
        "{audited}"
    );
    assert_eq!(audited["collected"], (paid + amount).to_string());
    assert_eq!(audited["contributions_by_charge"], 0);
    assert_eq!(audited["unstated"], "0");
    let text = fs::read_to_string(&path).unwrap();
    let attack = fair.first_call_of_the_attack();
    let mut claims_more: Value = serde_json::from_str(&text).unwrap();
    let calls = claims_more["source"]["calls"].as_array_mut().unwrap();
    calls.insert(0, attack);
    fs::write(&path, claims_more.to_string()).unwrap();
    let (code, audited) = fair.audit();
    let told = audited["differences"].to_string();
    assert_eq!(code, 9, "{audited}");
    assert!(told.contains("was claimed from its channel"), "{told}");
    assert!(told.contains("and the escrow sent it"), "{told}");
    fs::write(&path, &text).unwrap();
    assert_eq!(fair.audit().0, 0);

    // Everybody's part is there to be fetched.
    let rpc = fair.chain.rpc();
    rpc.ok("evm_increaseTime", json!([24 * 60 * 60]));
    rpc.ok("evm_mine", json!([]));
    for (who, sum) in owed {
        let name = who.to_string();
        let log = "home/data/attribution-log";
        let args = ["claim", "--log", log, "--account", "rich", "--contributor"];
        fair.desk.json(&[args.as_slice(), &[&name]].concat());
        let data = format!("0x70a08231{:0>64}", hex::encode(who.0));
        let token = crate::paid_serving::shop::token().to_string();
        let held = rpc.ok("eth_call", json!([{ "to": token, "data": data }, "latest"]));
        assert_eq!(number(&held), sum, "{name}");
    }
}

impl Fair {
    /// The first uncollected call, as a server would have to state it to have it paid.
    fn first_call_of_the_attack(&self) -> Value {
        let log = self.desk.path().join("home/data/attribution-log");
        for entry in fs::read_dir(log).unwrap() {
            let path = entry.unwrap().path();
            if !path
                .file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .starts_with("batch-")
            {
                continue;
            }
            let batch: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
            let call = &batch["calls"][0];
            let charge = &call["charge"];
            return json!({
                "event_id": call["event_id"],
                "scheme": charge["scheme"],
                "channel": charge["id"],
                "charged": charge["amount"],
                "before": "0",
                "after": charge["cumulative"],
                "collected": charge["amount"],
            });
        }
        panic!("the log has no batch")
    }
}
