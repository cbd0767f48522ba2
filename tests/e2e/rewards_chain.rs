//! Attributed calls from the journal to the contributors' accounts: anchored, proposed, fetched,
//! contested, audited, and killed around every transaction.

use std::{collections::BTreeMap, process::Stdio, sync::Arc, time::Duration};

use alloy::{primitives::U256, sol_types::SolCall};
use openlora_attribution::{
    LogFolder,
    call_shares::{ShareInputs, by_sketch, shares_to_event},
    shares::{Contributor, ShareFallback},
};
use openlora_chain::{
    network::{Network, NetworkOptions},
    provider::Chain as Connected,
    registry::{ContributorPool, DevelopmentToken, Token, parse_id},
};
use openlora_contracts::{COLLECTOR, DEPLOYER, ESCROW, SALT, deployments, runtime_code};
use openlora_core::{Address, Amount, Word};
use openlora_journal::Journal;
use openlora_ledger::{
    CallCharge, ExactKey, PaymentScheme, ReceiverKey, divide,
    event::{
        AttributionMethod, CallAttributed, CallKind, Event, FinishReason, PaymentReceived,
        SplitRead, TokenUsage,
    },
    publication::{
        FORMAT, PoolContributions, earlier_contributions_file, event_id, parse_contributions_file,
    },
};
use openlora_payments::{
    rewards::{pool_of, server_facts, split_of},
    settlement::ChainSettler,
    x402::wire::ExactPayload,
};
use openlora_ports::PublishedLog;
use openlora_runtime::rewards::{RewardPublisher, RewardSchedule, RewardSource};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::{
    deploy_support::{Act, Chain, Desk, Proxy, contract},
    devnet_support::number as number_of,
    keys::OWN,
    paid_serving::shop::Payer,
    settlement_support::{Seller, send, send_from},
    waiting,
};

const DAY: u64 = 24 * 60 * 60;
const ADA: &str = "0x5Ab1c2D3E4f5061728394a5b6C7D8E9F0a1b2c3d";
const BOB: &str = "0x6BC2d3e4f506172839405a6B7c8D9eA0B1c2D3e4";
/// Who contributed the package's data, and their rows.
const PARTIES: [(&str, &str, u64); 2] = [("Ada", ADA, 20), ("Bob", BOB, 10)];

/// A registered adapter, its server's home, and calls as a server would have written them.
struct Shop {
    chain: Chain,
    desk: Desk,
    runtime: Arc<Runtime>,
    network: Network,
    adapter_id: String,
    split: SplitRead,
    payer: Payer,
    calls: std::cell::Cell<u64>,
}

impl Shop {
    fn embedded() -> Self {
        Self::on(Chain::embedded())
    }

    fn anvil() -> Self {
        let chain = Chain::anvil();
        let rpc = chain.rpc();
        for deployment in deployments().unwrap() {
            let data = [SALT.as_slice(), &deployment.init_code].concat();
            send(&rpc, DEPLOYER.into(), &data.into());
        }
        for (name, at) in [
            ("BatchSettlementEscrow", ESCROW),
            ("ERC3009DepositCollector", COLLECTOR),
        ] {
            let code = runtime_code(name).unwrap();
            rpc.ok("anvil_setCode", json!([at, code]));
        }
        Self::on(chain)
    }

    fn on(chain: Chain) -> Self {
        let desk = Desk::at(chain.url());
        let deployed = desk.json(&["deploy", "first"]);
        let adapter_id = deployed["adapter_id"].as_str().unwrap().to_owned();
        let wish = NetworkOptions {
            rpc: Some(chain.url().to_owned()),
            registry: Some(contract("OpenLoraRegistry")),
            ..NetworkOptions::default()
        };
        let network = Network::resolve("local", &wish).unwrap();
        let runtime = Arc::new(Runtime::new().unwrap());
        let (splitter, parts) = runtime.block_on(async {
            let connected = Connected::connect(&network).await.unwrap();
            let id = parse_id(&adapter_id).unwrap();
            split_of(&connected, id, 1).await.unwrap()
        });
        let split = SplitRead {
            receiver: ReceiverKey {
                chain_id: 31_337,
                receiver: splitter,
                token: contract("DevelopmentToken").parse().unwrap(),
            },
            adapter: "tone".into(),
            version: 1,
            parts,
        };
        let shop = Self {
            chain,
            desk,
            runtime,
            network,
            adapter_id,
            payer: Payer::to(split.receiver.receiver, 7),
            split,
            calls: std::cell::Cell::new(0),
        };
        shop.journal(|journal| {
            vec![Event::SplitRead(Box::new(shop.split.clone()))]
                .into_iter()
                .for_each(|it| shop.keep(journal, it))
        });
        shop
    }

    fn keep(&self, journal: &Journal, event: Event) {
        self.runtime.block_on(journal.append(event)).unwrap();
    }

    fn journal(&self, work: impl FnOnce(&Journal)) {
        let path = self.desk.path().join("home/data/journal.sqlite");
        work(&Journal::open(&path).unwrap());
    }

    fn pool(&self) -> Address {
        let pool = self.split.parts.iter().find(|it| !it.members.is_empty());
        pool.unwrap().recipient
    }

    /// Calls that were paid by transfers of their own, counted and attributed.
    fn serves(&self, count: u64, each: u128) {
        let rpc = self.chain.rpc();
        self.payer.funded(&rpc, each * u128::from(count));
        self.journal(|journal| {
            for _ in 0..count {
                let number = self.calls.get() + 1;
                self.calls.set(number);
                self.keep(journal, self.transfer(number, each));
                let (counted, attributed) = self.call(number, each);
                self.keep(journal, counted);
                self.keep(journal, attributed);
            }
        });
    }

    fn transfer(&self, number: u64, amount: u128) -> Event {
        transfer(&self.chain, &self.payer, &self.split, number, amount)
    }

    fn call(&self, number: u64, amount: u128) -> (Event, Event) {
        call(&self.payer, &self.split, number, amount)
    }

    fn balance(&self, of: &str) -> u128 {
        let data = format!(
            "0x70a08231{:0>64}",
            of.trim_start_matches("0x").to_lowercase()
        );
        let call = json!([{ "to": self.split.receiver.token.to_string(), "data": data }, "latest"]);
        number_of(&self.chain.rpc().ok("eth_call", call))
    }

    fn pass(&self, days: u64) {
        let rpc = self.chain.rpc();
        rpc.ok("evm_increaseTime", json!([days * DAY]));
        rpc.ok("evm_mine", json!([]));
    }

    /// What `claim` did, which ends with 3 where it had nothing to send.
    fn claims(&self, args: &[&str]) -> Value {
        let all = ["--json", "-q", "claim", "--account", "rich"];
        let run = self.desk.openlora(&all).args(args.iter().copied());
        let log = ["--log", "home/data/attribution-log"];
        let run = run.args(log).run();
        let claimed: Value =
            serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{}", run.stderr));
        let pools = claimed["pools"].as_array().unwrap();
        let sent = |pool: &Value| pool["payments"] != json!([]) || pool["sent"] != json!([]);
        let expected = match args.contains(&"--dry-run") || pools.iter().any(sent) {
            true => 0,
            false => 3,
        };
        assert_eq!(run.code, expected, "{claimed} {}", run.stderr);
        claimed
    }

    /// Has somebody act in the pool whose key nobody has; only anvil lets it.
    fn acts(&self, who: &str, call: &[u8]) -> Value {
        let rpc = self.chain.rpc();
        rpc.ok("anvil_setBalance", json!([who, "0x8ac7230489e80000"]));
        rpc.ok("anvil_impersonateAccount", json!([who]));
        send_from(&rpc, who, self.pool(), &call.to_vec().into())
    }

    fn token(&self) -> alloy::primitives::Address {
        self.split.receiver.token.into()
    }

    /// Money of which no call says whose it is.
    fn is_given(&self, amount: u128) {
        let mint = DevelopmentToken::mintCall {
            to: self.pool().into(),
            amount: U256::from(amount),
        };
        let token = self.split.receiver.token;
        send(&self.chain.rpc(), token, &mint.abi_encode().into());
    }

    fn pooled(&self, income: u128) -> u128 {
        let mut parts = self.split.parts.iter();
        let pool = parts.find(|it| !it.members.is_empty()).unwrap();
        income * u128::from(pool.ppm) / 1_000_000
    }

    fn audit(&self) -> (i32, Value) {
        let args = [
            "audit",
            &self.adapter_id,
            "--log",
            "home/data/attribution-log",
            "--package",
            "first",
        ];
        let run = self.desk.openlora(&["--json", "-q"]).args(args).run();
        (
            run.code,
            serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{}", run.stderr)),
        )
    }

    fn facts(&self, kind: &str) -> usize {
        self.desk.count(kind)
    }
}

/// A call's own transfer, made and noted.
pub fn transfer(
    chain: &Chain,
    payer: &Payer,
    split: &SplitRead,
    number: u64,
    amount: u128,
) -> Event {
    let payload = payer.exact(amount, number);
    let exact: ExactPayload = serde_json::from_value(payload).unwrap();
    let said = &exact.authorization;
    let data = Token::transferWithAuthorizationCall {
        from: said.from.into(),
        to: said.to.into(),
        value: U256::from(said.value.0),
        validAfter: said.valid_after,
        validBefore: said.valid_before,
        nonce: said.nonce.0.into(),
        signature: exact.signature.clone(),
    };
    let token = split.receiver.token;
    let receipt = send(&chain.rpc(), token, &data.abi_encode().into());
    Event::PaymentReceived(Box::new(PaymentReceived {
        key: ExactKey {
            chain_id: 31_337,
            token,
            payer: said.from,
            nonce: said.nonce,
        },
        receiver: said.to,
        amount: said.value,
        tx: receipt["transactionHash"].as_str().unwrap().into(),
        block: number_of(&receipt["blockNumber"]) as u64,
        block_hash: receipt["blockHash"].as_str().unwrap().parse().unwrap(),
    }))
}

/// A call that was paid by that transfer, counted and attributed.
pub fn call(payer: &Payer, split: &SplitRead, number: u64, amount: u128) -> (Event, Event) {
    let id = format!("call-{number}");
    let mut nonce = [0; 32];
    nonce[24..].copy_from_slice(&number.to_be_bytes());
    let charge = CallCharge {
        scheme: PaymentScheme::Exact,
        chain_id: 31_337,
        token: split.receiver.token,
        receiver: split.receiver.receiver,
        payer: payer.address(),
        id: Word(nonce),
        amount: Amount(amount),
        cumulative: Amount(amount),
    };
    let counted = Event::CallMetered {
        request_id: id.clone(),
        adapter: "tone".into(),
        adapter_digest: "tone0digest".into(),
        kind: CallKind::Chat,
        usage: TokenUsage {
            prompt_tokens: 1,
            completion_tokens: 2,
        },
        finish: FinishReason::Stop,
        milliseconds: 1,
        first_token_milliseconds: None,
        request_hash: format!("{number:064x}"),
        response_hash: "0f".repeat(32),
        charge: Some(Box::new(charge.clone())),
        computation: None,
    };
    let parties = PARTIES.map(|(name, address, weight)| Contributor {
        name: name.into(),
        address: Some(address.parse().unwrap()),
        owner: None,
        static_ppm: weight,
    });
    let event = event_id("tone0digest", &id);
    let known = ShareInputs {
        event,
        payer: Some(charge.payer),
        spans: &[],
        answer_tokens: 0,
    };
    let settled = by_sketch(&parties, known, Err(ShareFallback::MissingIndex));
    let shares = shares_to_event(&parties, &settled.shares);
    let amounts = divide(&charge, Some(split), &shares, &event);
    let attributed = Event::Attributed(Box::new(CallAttributed {
        request_id: id,
        adapter: "tone".into(),
        adapter_digest: "tone0digest".into(),
        index: None,
        method: AttributionMethod::Static,
        fallback: Some("missing_index".into()),
        confidence_ppm: 0,
        evidence_ppm: 0,
        trace_ppm: 0,
        answer_tokens: 0,
        sketch: None,
        examples: Vec::new(),
        shares,
        amounts: Some(amounts),
        lag_milliseconds: 1,
    }));
    (counted, attributed)
}

fn payments(claimed: &Value) -> Vec<(String, u128)> {
    let pools = claimed["pools"].as_array().unwrap();
    let each = pools
        .iter()
        .flat_map(|pool| pool["payments"].as_array().unwrap());
    each.map(|it| {
        let amount = it["amount"].as_str().unwrap().parse().unwrap();
        (it["contributor"].as_str().unwrap().into(), amount)
    })
    .collect()
}

fn amount(value: &Value) -> u128 {
    value.as_str().unwrap().parse().unwrap()
}

fn the_whole_way(shop: &Shop) {
    shop.serves(3, 1_001);
    let settled = shop.desk.json(&["settle"]);
    let anchor = &settled["rewards"]["anchors"][0];
    assert_eq!(
        (&anchor["calls"], &anchor["charged"]),
        (&json!(3), &json!("3003")),
        "{settled}"
    );
    assert_eq!(settled["rewards"]["proposals"], json!([]));
    assert_eq!(settled["rewards"].get("problem"), None, "{settled}");
    // Nothing new: nothing is sent.
    let again = shop.desk.json(&["settle"]);
    assert_eq!(again["rewards"]["anchors"], json!([]));
    let withdrawn = shop.desk.json(&["withdraw"]);
    let pooled = shop.pooled(3_003);
    assert_eq!(shop.balance(&shop.pool().to_string()), pooled);
    let proposal = &withdrawn["rewards"]["proposals"][0];
    // What is less than a unit, of the pool's income or a contributor's sum, is carried on.
    let first = amount(&proposal["total"]);
    assert!(first <= pooled && first > pooled - 1_001, "{withdrawn}");
    assert_eq!(proposal["contributors"], 2);
    assert_eq!(
        (shop.facts("anchored"), shop.facts("contributions_proposed")),
        (1, 1)
    );
    // Before its time nothing can be fetched, and afterwards once.
    let early = shop.claims(&["--contributor", ADA]);
    assert_eq!(payments(&early), []);
    let pending = &early["pools"][0]["pending"];
    assert_eq!(pending["root"], proposal["root"]);
    assert_eq!(pending["entries"].as_array().unwrap().len(), 2);
    shop.pass(1);
    let dry = shop.claims(&["--contributor", ADA, "--dry-run"]);
    assert_eq!((payments(&dry).len(), shop.balance(ADA)), (1, 0));
    for (who, weight) in [(ADA, 20), (BOB, 10)] {
        let paid = payments(&shop.claims(&["--contributor", who]));
        let exact = first * weight / 30;
        assert_eq!(paid.len(), 1);
        assert!(paid[0].1.abs_diff(exact) <= 2, "{who}: {paid:?}, {exact}");
        assert_eq!(shop.balance(who), paid[0].1);
        assert_eq!(payments(&shop.claims(&["--contributor", who])), []);
    }
    assert_eq!(shop.balance(ADA) + shop.balance(BOB), first);
    assert_eq!(shop.facts("contribution_claimed"), 2);
    // Whoever contributed nothing gets nothing.
    assert_eq!(payments(&shop.claims(&["--contributor", OWN])), []);
    // Everything comes out the same, and a second round goes on where the first ended.
    shop.serves(5, 7_777);
    shop.desk.json(&["settle"]);
    shop.desk.json(&["withdraw"]);
    let (code, audited) = shop.audit();
    assert_eq!(
        (code, &audited["differences"]),
        (0, &json!([])),
        "{audited}"
    );
    assert_eq!(
        (
            &audited["calls"],
            &audited["batches"],
            &audited["contributions"]
        ),
        (&json!(8), &json!(2), &json!(2))
    );
    assert_eq!(audited["by_fallback"], json!({ "missing_index": 8 }));
    assert_eq!(audited["charged"], "41888");
    shop.pass(1);
    // The operator's next round puts it in force as well as any contributor.
    let settled = shop.desk.json(&["settle"]);
    assert_eq!(settled["rewards"]["pools"][0]["deed"], "activation");
    for who in [ADA, BOB] {
        let claimed = shop.claims(&["--contributor", who]);
        assert_eq!(payments(&claimed).len(), 1);
        assert_eq!(claimed["pools"][0]["sent"], json!([]));
    }
    let total = shop.pooled(41_888);
    let fetched = shop.balance(ADA) + shop.balance(BOB);
    assert!(
        fetched <= total && total - fetched < 7_777,
        "{fetched} of {total}"
    );
}

#[test]
fn calls_pay_contributors_on_the_embedded_chain() {
    the_whole_way(&Shop::embedded());
}

#[test]
fn calls_pay_contributors_on_anvil() {
    the_whole_way(&Shop::anvil());
}

#[test]
fn a_refused_proposal_pays_nobody_and_the_server_proposes_again() {
    let shop = Shop::anvil();
    shop.serves(2, 1_000_000);
    shop.desk.json(&["settle"]);
    let withdrawn = shop.desk.json(&["withdraw"]);
    let proposed = withdrawn["rewards"]["proposals"][0].clone();
    // Whoever has no static share contests nothing.
    let args = ["claim", "--account", "rich", "--contest", "--pool"];
    let pool = shop.pool().to_string();
    let nothing = shop.desk.openlora(&args).args([pool.as_str()]).run();
    assert_eq!(nothing.code, 6, "{}", nothing.stderr);
    assert!(
        nothing.stderr.contains("NotContributor"),
        "{}",
        nothing.stderr
    );
    // Ada has two thirds of the static shares, which is a quorum, and gains nothing by it.
    let contest = ContributorPool::contestCall {
        token: shop.token(),
    };
    shop.acts(ADA, &contest.abi_encode());
    shop.pass(1);
    assert_eq!(payments(&shop.claims(&["--contributor", ADA])), []);
    assert_eq!(shop.balance(&pool), shop.pooled(2_000_000));
    // The same comes out of the same calls, and takes force when nobody contests it.
    let settled = shop.desk.json(&["settle"]);
    let again = &settled["rewards"]["proposals"][0];
    assert_eq!(again["root"], proposed["root"], "{settled}");
    assert_eq!(again["total"], proposed["total"]);
    assert_eq!(
        (shop.audit().0, shop.facts("contributions_proposed")),
        (0, 2)
    );
    shop.pass(1);
    for (who, weight) in [(ADA, 20), (BOB, 10)] {
        let paid = payments(&shop.claims(&["--contributor", who]));
        let exact = amount(&proposed["total"]) * weight / 30;
        assert!(paid[0].1.abs_diff(exact) <= 2, "{who}: {paid:?}");
    }
}

/// What is changed in a published file, and how that is told.
fn edits<'a>(
    batch: &'a str,
    contributions: &'a str,
) -> [(&'a str, &'static str, Value, &'static str); 13] {
    [
        (
            batch,
            "/calls/0/charge/amount",
            json!("90001"),
            "makes another root",
        ),
        (
            batch,
            "/calls/1/shares/0/ppm",
            json!(666_668),
            "shares is stated",
        ),
        (
            batch,
            "/calls/2/amounts/0/micro",
            json!("1"),
            "amounts is stated",
        ),
        (
            batch,
            "/calls/2/fallback",
            json!("they_said_so"),
            "explains none",
        ),
        (
            batch,
            "/calls/0/confidence_ppm",
            json!(7),
            "confidence is stated as 0.0007 % and comes out as ",
        ),
        (
            contributions,
            "/owed/0/cumulative",
            json!("1"),
            "make another root",
        ),
        (contributions, "/through", json!(1), "come out as"),
        (
            contributions,
            "/source/calls/0/collected",
            json!("1"),
            "come out as",
        ),
        (
            contributions,
            "/source/calls/0/collected",
            json!("90001"),
            "of which 90000 was charged",
        ),
        (
            contributions,
            "/source/calls/1/before",
            json!("5"),
            "is published as",
        ),
        (
            contributions,
            "/source/calls/2/event_id",
            json!(format!("0x{:064x}", 5)),
            "which is not published",
        ),
        (
            contributions,
            "/source/received",
            json!("999999999"),
            "ever arrived",
        ),
        (
            contributions,
            "/source/previous",
            json!(format!("0x{:064x}", 6)),
            "which is not there",
        ),
    ]
}

#[test]
fn a_demand_is_answered_and_one_that_cannot_be_ends_for_its_sum_alone() {
    let shop = Shop::anvil();
    let demand = ContributorPool::demandCall {
        token: shop.token(),
    };
    // What calls have earned is proposed by the server's next round, which ends the demand.
    shop.serves(2, 1_000_000);
    shop.desk.json(&["settle"]);
    let proxy = Proxy::new(shop.chain.url(), |asked, count, _| {
        match asked == "eth_estimateGas" && count == 3 {
            true => Act::Refuse(json!({ "code": -32000, "message": "not now" })),
            false => Act::Forward,
        }
    });
    shop.desk.points_to(&proxy.url);
    let withdrawn = shop.desk.json(&["withdraw"]);
    shop.desk.points_to(shop.chain.url());
    assert_eq!(withdrawn["rewards"]["proposals"], json!([]), "{withdrawn}");
    shop.acts(BOB, &demand.abi_encode());
    let dry = shop.claims(&["--pool", &shop.pool().to_string(), "--dry-run"]);
    assert!(dry["pools"][0]["answer_by"].is_u64(), "{dry}");
    let settled = shop.desk.json(&["settle"]);
    assert_eq!(settled["rewards"]["proposals"].as_array().unwrap().len(), 1);
    let dry = shop.claims(&["--dry-run"]);
    assert_eq!(dry["pools"][0]["answer_by"], Value::Null);
    shop.pass(1);
    let ada = payments(&shop.claims(&["--contributor", ADA]))[0].1;

    // Nobody earned what is given: the static shares divide it, and nothing after it.
    shop.is_given(300_000);
    shop.acts(BOB, &demand.abi_encode());
    assert_eq!(
        shop.desk.json(&["settle"])["rewards"]["proposals"],
        json!([])
    );
    shop.pass(15);
    let settled = shop.desk.json(&["settle"]);
    assert_eq!(
        settled["rewards"]["pools"][0]["deed"], "division",
        "{settled}"
    );
    let divided = amount(&settled["rewards"]["pools"][0]["total"]);
    assert!((300_000..300_010).contains(&divided), "{settled}");
    let more = payments(&shop.claims(&["--contributor", ADA]))[0].1;
    assert!(more.abs_diff(divided * 20 / 30) <= 2, "{more} of {divided}");
    assert_eq!(shop.balance(ADA), ada + more);
    shop.serves(3, 3_000_000);
    shop.desk.json(&["settle"]);
    let withdrawn = shop.desk.json(&["withdraw"]);
    assert_eq!(
        withdrawn["rewards"]["proposals"].as_array().unwrap().len(),
        1,
        "{withdrawn}"
    );
    let (code, audited) = shop.audit();
    assert_eq!(
        (code, &audited["differences"]),
        (0, &json!([])),
        "{audited}"
    );
}

/// Equal sums give equal roots, whichever pools owe them.
#[test]
fn pools_that_owe_the_same_sums_have_a_file_each() {
    let home = tempfile::tempdir().unwrap();
    let log = LogFolder::at(home.path());
    let root = Word([7; 32]);
    let files = [(ADA, 3), (BOB, 9)].map(|(receiver, through)| PoolContributions {
        format: FORMAT,
        pool: ReceiverKey {
            chain_id: 31_337,
            receiver: receiver.parse().unwrap(),
            token: OWN.parse().unwrap(),
        },
        root,
        total: Amount(1),
        through,
        owed: Vec::new(),
        source: None,
    });
    files
        .iter()
        .for_each(|file| log.keep_contributions(file).unwrap());
    for file in &files {
        assert_eq!(log.contributions(root, file.pool).as_ref(), Some(file));
    }
    let mut names: Vec<String> = std::fs::read_dir(home.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let parsed: Vec<Option<String>> = names
        .iter()
        .map(|it| parse_contributions_file(it))
        .collect();
    assert_eq!(parsed, names.iter().cloned().map(Some).collect::<Vec<_>>());
    assert_eq!(names.len(), 2);
    // A file of an earlier version is that of one pool.
    let earlier = tempfile::tempdir().unwrap();
    let bytes = serde_json::to_vec(&files[0]).unwrap();
    std::fs::write(earlier.path().join(earlier_contributions_file(root)), bytes).unwrap();
    let log = LogFolder::at(earlier.path());
    let found = files
        .each_ref()
        .map(|file| log.contributions(root, file.pool));
    assert_eq!(found, [Some(files[0].clone()), None]);
}

#[test]
fn a_running_worker_answers_a_demand_by_itself() {
    let shop = Shop::anvil();
    shop.serves(2, 1_000_000);
    shop.desk.json(&["settle"]);
    let home = shop.desk.path().join("home/data");
    let log = LogFolder::at(&home.join("attribution-log"));
    let seller = shop.runtime.block_on(Seller::open(
        &shop.network,
        &home.join("journal.sqlite"),
        |options| {
            let chain_id = shop.network.chain_id;
            options.reader = Some(server_facts(chain_id, Arc::new(log.clone())));
        },
    ));
    let treasurer = Arc::new(ChainSettler::new(Arc::clone(&seller.desk)));
    let filled = shop.runtime.block_on(treasurer.fill_pools()).unwrap();
    assert_eq!(filled.len(), 1);
    let demand = ContributorPool::demandCall {
        token: shop.token(),
    };
    shop.acts(BOB, &demand.abi_encode());
    let key = ReceiverKey {
        receiver: shop.pool(),
        ..shop.split.receiver
    };
    let pool = || {
        shop.runtime.block_on(async {
            let chain = Connected::connect(&shop.network).await.unwrap();
            pool_of(&chain, key).await.unwrap()
        })
    };
    assert!(pool().answer_by().is_some());
    let desk = Arc::clone(&seller.desk);
    let source = RewardSource {
        journal: seller.journal.clone(),
        state: Arc::clone(&seller.ledger.state),
        log,
        address: String::new(),
        transparency: None,
    };
    let rewarder = RewardPublisher::new(source, desk, false);
    let rounds = RewardSchedule {
        calls: u64::MAX,
        interval: Duration::from_millis(100),
    };
    let stop = CancellationToken::new();
    let ended = stop.clone();
    let running = shop
        .runtime
        .spawn(async move { rewarder.run(rounds, treasurer, ended).await });
    waiting::wait_until("the server's answer", || pool().answer_by().is_none());
    assert!(pool().has_proposal());
    stop.cancel();
    shop.runtime.block_on(running).unwrap();
}

#[test]
fn an_audit_finds_every_difference() {
    let shop = Shop::embedded();
    shop.serves(3, 90_000);
    shop.desk.json(&["settle"]);
    shop.desk.json(&["withdraw"]);
    assert_eq!(shop.audit().0, 0);
    let log = shop.desk.path().join("home/data/attribution-log");
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(&log).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        files.insert(name, std::fs::read_to_string(&path).unwrap());
    }
    let named = |kind: &str| {
        let mut names = files.keys().filter(|name| name.starts_with(kind));
        names.next().unwrap().clone()
    };
    let (batch, contributions) = (named("batch"), named("contributions"));
    let edits = edits(&batch, &contributions);
    for (name, place, value, expected) in edits {
        let mut file: Value = serde_json::from_str(&files[name]).unwrap();
        *file.pointer_mut(place).unwrap() = value;
        std::fs::write(log.join(name), file.to_string()).unwrap();
        let (code, audited) = shop.audit();
        let told = audited["differences"].to_string();
        assert_eq!((code, &audited["ok"]), (9, &json!(false)), "{place}");
        assert!(told.contains(expected), "{place}: {told}");
        std::fs::write(log.join(name), &files[name]).unwrap();
    }
    for name in [&batch, &contributions] {
        std::fs::remove_file(log.join(name)).unwrap();
        let (code, audited) = shop.audit();
        assert_eq!(code, 9, "{audited}");
        std::fs::write(log.join(name), &files[name]).unwrap();
    }
    // A log without the root that the chain has.
    let mut catalogue: Value = serde_json::from_str(&files["catalogue.json"]).unwrap();
    catalogue["contributions"] = json!([]);
    std::fs::write(log.join("catalogue.json"), catalogue.to_string()).unwrap();
    assert_eq!(shop.audit().0, 9);
    std::fs::write(log.join("catalogue.json"), &files["catalogue.json"]).unwrap();
    assert_eq!(shop.audit().0, 0);
    let none = shop
        .desk
        .run(&["audit", "0x12", "--log", "nowhere", "--package", "first"]);
    assert_eq!(none.code, 3, "{}", none.stderr);

    let unknown = format!("0x{:064x}", 0x12);
    let log = "home/data/attribution-log";
    let none = shop
        .desk
        .run(&["audit", &unknown, "--log", log, "--package", "first"]);
    // As with `explore`, `deploy` and `call`.
    assert_eq!(none.code, 2, "{}", none.stderr);
    let said = format!("on `local` has no adapter {unknown}\nhint: list the adapters");
    assert!(none.stderr.contains(&said), "{}", none.stderr);

    // The package is no release of the adapter.
    let manifest = shop.desk.path().join("first/openlora.json");
    let before = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, before.replacen("1.0.0", "1.0.1", 1)).unwrap();
    let (code, audited) = shop.audit();
    let told = audited["differences"].to_string();
    assert_eq!(code, 9, "{audited}");
    assert!(
        told.contains("no release has the manifest sha256"),
        "{told}"
    );
    std::fs::write(&manifest, before).unwrap();
}

#[test]
fn an_adapter_without_published_calls_is_not_said_to_agree() {
    let shop = Shop::embedded();
    let log = shop.desk.path().join("log");
    std::fs::create_dir(&log).unwrap();
    let nothing = r#"{"batches":[],"contributions":[]}"#;
    std::fs::write(log.join("catalogue.json"), nothing).unwrap();
    let args = [
        "audit",
        &shop.adapter_id,
        "--log",
        "log",
        "--package",
        "first",
    ];
    let said = shop.desk.run(&args).succeeds().stdout;
    assert!(said.contains("nothing to audit: "), "{said}");
    assert!(!said.contains("agree to the unit"), "{said}");
    let audited = shop.desk.json(&args);
    assert_eq!(
        [&audited["ok"], &audited["complete"]],
        [&json!(true), &json!(false)]
    );
    // Once the chain has roots, a log without them holds something back.
    shop.serves(1, 90_000);
    shop.desk.json(&["settle"]);
    let said = shop.desk.run(&args);
    assert_eq!(said.code, 9, "{}{}", said.stdout, said.stderr);
    let expected = "DIFFERS  the log has no batch of the adapter, and ";
    assert!(said.stdout.contains(expected), "{}", said.stdout);
}

#[test]
fn without_the_index_a_check_is_skipped_and_not_wrong() {
    let shop = Shop::embedded();
    shop.serves(1, 90_000);
    shop.journal(|journal| {
        let (counted, attributed) = shop.call(2, 90_000);
        let Event::Attributed(mut attributed) = attributed else {
            panic!("{attributed:?}");
        };
        attributed.method = AttributionMethod::Influence;
        (attributed.fallback, attributed.index) = (None, Some("ab".repeat(32)));
        attributed.sketch = Some("AAAA".into());
        shop.keep(journal, counted);
        shop.keep(journal, Event::Attributed(attributed));
    });
    shop.desk.json(&["settle"]);
    let (code, audited) = shop.audit();
    assert_eq!(
        (code, &audited["differences"]),
        (0, &json!([])),
        "{audited}"
    );
    assert_eq!(
        [&audited["ok"], &audited["complete"]],
        [&json!(true), &json!(false)]
    );
    let index = shop.desk.path().join("attribution").join("index.bin");
    let call = Word(event_id("tone0digest", "call-2")).to_string();
    let skipped = audited["skipped"].as_array().unwrap();
    let checks: Vec<&str> = skipped
        .iter()
        .map(|it| it["check"].as_str().unwrap())
        .collect();
    assert_eq!(
        checks,
        [
            "index",
            "method",
            "fallback",
            "confidence",
            "evidence",
            "trace",
            "shares",
            "examples"
        ]
    );
    for it in skipped {
        assert_eq!(it["calls"], json!([call]));
        assert_eq!(it["index"], json!(index.display().to_string()));
    }
    let log = "home/data/attribution-log";
    let said = shop
        .desk
        .run(&[
            "audit",
            &shop.adapter_id,
            "--log",
            log,
            "--package",
            "first",
        ])
        .succeeds();
    let line = format!(
        "skipped  shares of 1 calls: no attribution index is given; it is expected there, and \
         nothing is there, {}\n",
        index.display()
    );
    assert!(said.stdout.contains(&line), "{}", said.stdout);
    assert!(!said.stdout.contains("DIFFERS"), "{}", said.stdout);
    assert!(
        !said.stdout.contains("agree to the unit"),
        "{}",
        said.stdout
    );

    // The stated shares must come to the stated amounts, index or not.
    let folder = shop.desk.path().join(log);
    let name = std::fs::read_dir(&folder)
        .unwrap()
        .map(|it| it.unwrap().path())
        .find(|it| {
            it.file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .starts_with("batch")
        })
        .unwrap();
    let mut batch: Value = serde_json::from_slice(&std::fs::read(&name).unwrap()).unwrap();
    batch["calls"][1]["amounts"][0]["micro"] = json!("1");
    std::fs::write(&name, batch.to_string()).unwrap();
    let (code, audited) = shop.audit();
    let told = audited["differences"].to_string();
    assert_eq!(code, 9, "{audited}");
    assert!(told.contains("amounts is stated"), "{told}");
}

#[test]
fn a_log_of_an_earlier_version_is_held_against_the_charges() {
    let shop = Shop::embedded();
    shop.serves(3, 90_000);
    shop.desk.json(&["settle"]);
    shop.desk.json(&["withdraw"]);
    let (_, audited) = shop.audit();
    let sums = |audited: &Value| {
        ["contributions_by_charge", "collected", "unstated"].map(|key| audited[key].clone())
    };
    assert_eq!(sums(&audited), [json!(0), json!("270000"), json!("0")]);
    let log = shop.desk.path().join("home/data/attribution-log");
    let files = std::fs::read_dir(&log).unwrap();
    let mut names = files.map(|it| it.unwrap().file_name().into_string().unwrap());
    let name = names.find(|it| it.starts_with("contributions-")).unwrap();
    let text = std::fs::read_to_string(log.join(&name)).unwrap();
    let mut older: Value = serde_json::from_str(&text).unwrap();
    older.as_object_mut().unwrap().remove("source");
    std::fs::write(log.join(&name), older.to_string()).unwrap();
    let (code, audited) = shop.audit();
    assert_eq!((code, &audited["differences"]), (0, &json!([])));
    assert_eq!(sums(&audited), [json!(1), json!("0"), json!("270000")]);
    older["owed"][0]["cumulative"] = json!("1");
    std::fs::write(log.join(&name), older.to_string()).unwrap();
    assert_eq!(shop.audit().0, 9);
}

/// The command that dies, and where, see `settlement_kill`.
type Death = (&'static str, &'static str, usize, bool);

const DEATHS: &[Death] = &[
    ("settle", "eth_estimateGas", 1, false),
    ("settle", "eth_sendRawTransaction", 1, false),
    ("settle", "eth_sendRawTransaction", 1, true),
    ("settle", "eth_getTransactionReceipt", 1, true),
    // After the releases of the creator's and the contributors' parts.
    ("withdraw", "eth_estimateGas", 3, false),
    ("withdraw", "eth_sendRawTransaction", 3, false),
    ("withdraw", "eth_sendRawTransaction", 3, true),
    ("withdraw", "eth_getTransactionReceipt", 3, true),
];

#[test]
fn killed_around_every_root_nothing_happens_twice() {
    let shop = Shop::embedded();
    for (round, death) in DEATHS.iter().enumerate() {
        let (command, method, nth, after) = *death;
        let at = format!("{death:?}");
        shop.serves(2, 500_000);
        if command == "withdraw" {
            shop.desk.run(&["settle"]).succeeds();
        }
        let proxy = Proxy::new(shop.chain.url(), move |asked, count, _| {
            match (asked == method && count == nth, after) {
                (false, _) => Act::Forward,
                (true, false) => Act::Hang,
                (true, true) => Act::ForwardAndHang,
            }
        });
        shop.desk.points_to(&proxy.url);
        let mut child = shop
            .desk
            .openlora(&[command])
            .into_command()
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        assert_eq!(proxy.wait_until_it_hangs(), method, "{at}");
        child.kill().unwrap();
        waiting::ended("the killed round", &mut child);
        shop.desk.points_to(shop.chain.url());
        shop.desk.run(&["settle"]).succeeds();
        shop.desk.run(&["withdraw"]).succeeds();
        let rounds = round + 1;
        assert_eq!(shop.facts("anchored"), rounds, "{at}");
        assert_eq!(shop.facts("contributions_proposed"), rounds, "{at}");
        // The next proposal can only follow this one's force.
        shop.pass(1);
        let (code, audited) = shop.audit();
        assert_eq!((code, &audited["differences"]), (0, &json!([])), "{at}");
        assert_eq!(audited["batches"], rounds, "{at}");
        assert_eq!(audited["contributions"], rounds, "{at}");
    }
    for who in [ADA, BOB] {
        assert_eq!(payments(&shop.claims(&["--contributor", who])).len(), 1);
    }
    // Less than a unit of each contributor is carried on.
    assert!(shop.balance(&shop.pool().to_string()) <= 1);
}
