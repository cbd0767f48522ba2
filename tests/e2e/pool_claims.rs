//! `claim` as a contributor uses it: with an account, an RPC and a pool's address, whatever became
//! of the operator and of its log.

use std::{
    io::{Read, Write},
    net::TcpListener,
    time::{Duration, Instant},
};

use alloy::{
    primitives::{Address as RawAddress, B256, U256, address, hex, keccak256},
    sol,
    sol_types::{SolCall, SolValue},
};
use openlora_chain::registry::{
    ContributorPool, ContributorPoolFactory, DevelopmentToken, OpenLoraRegistry, PoolEntry, Share,
};
use openlora_contracts::DEPLOYER;
use openlora_core::Address;
use serde_json::{Value, json};

use crate::paths::repository;
use crate::{
    deploy_support::{Chain, Desk, contract},
    devnet_support::{Rpc, number},
    keys::OWN,
    live::{Live, write_adapters},
    settlement_support::{put_contracts, send, send_from},
    support::Run,
};

const DAY: u64 = 24 * 60 * 60;
const OTHER: RawAddress = address!("0x2222222222222222222222222222222222222222");

/// A pool whose operator is the first development account, with `own` and another in it.
struct Pond {
    chain: Chain,
    rpc: Rpc,
    desk: Desk,
    pool: Address,
    token: Address,
    shares: Vec<Share>,
}

/// The first development account, from which `send` sends.
const OPERATOR: RawAddress = address!("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");

fn create(rpc: &Rpc, at: Address, call: &[u8]) -> Address {
    let asked = json!([{ "to": at.to_string(), "data": hex::encode_prefixed(call) }, "latest"]);
    let answer: B256 = rpc.ok("eth_call", asked).as_str().unwrap().parse().unwrap();
    send(rpc, at, &call.to_vec().into());
    RawAddress::from_word(answer).into()
}

fn shares(own_ppm: u32) -> Vec<Share> {
    let own: RawAddress = OWN.parse().unwrap();
    let mut shares = [(own, own_ppm), (OTHER, 1_000_000 - own_ppm)];
    shares.sort();
    let share = |(recipient, ppm)| Share { recipient, ppm };
    shares.map(share).to_vec()
}

impl Pond {
    fn with(own_ppm: u32) -> Self {
        let chain = Chain::embedded();
        let rpc = chain.rpc();
        let desk = Desk::at(chain.url());
        let shares = shares(own_ppm);
        let call = ContributorPoolFactory::createCall {
            operator: OPERATOR,
            delay: DAY as u32,
            quorum: 500_001,
            shares: shares.clone(),
            salt: B256::ZERO,
        };
        let factory = contract("ContributorPoolFactory").parse().unwrap();
        let pool = create(&rpc, factory, &call.abi_encode());
        let token = contract("DevelopmentToken").parse().unwrap();
        Self {
            pool,
            token,
            chain,
            rpc,
            desk,
            shares,
        }
    }

    fn earns(&self, amount: u128) {
        let mint = DevelopmentToken::mintCall {
            to: self.pool.into(),
            amount: U256::from(amount),
        };
        send(&self.rpc, self.token, &mint.abi_encode().into());
    }

    fn proposes(&self, own: u128, other: u128) {
        let own = PoolEntry {
            contributor: OWN.parse().unwrap(),
            amount: own,
        };
        let other = PoolEntry {
            contributor: OTHER,
            amount: other,
        };
        let call = ContributorPool::proposeCall {
            token: self.token.into(),
            root: B256::ZERO,
            entries: vec![own, other],
        };
        send(&self.rpc, self.pool, &call.abi_encode().into());
    }

    fn pass(&self, days: u64) {
        self.rpc.ok("evm_increaseTime", json!([days * DAY + 1]));
        self.rpc.ok("evm_mine", json!([]));
    }

    fn claim(&self, args: &[&str]) -> Run {
        let pool = self.pool.to_string();
        let claim = ["--json", "-q", "claim", "--pool", &pool];
        self.desk.openlora(&claim).args(args.iter().copied()).run()
    }

    /// What `claim` did in the pool.
    #[track_caller]
    fn done(&self, args: &[&str]) -> Value {
        let run = self.claim(args).succeeds();
        let claimed: Value = serde_json::from_str(&run.stdout).unwrap();
        claimed["pools"][0].clone()
    }

    /// A `claim` that sends nothing says so and why.
    #[track_caller]
    fn refused(&self, args: &[&str], code: i32, words: &str) {
        let before = self.sent();
        let run = self.claim(args);
        assert_eq!(run.code, code, "{} {}", run.stdout, run.stderr);
        assert!(run.stderr.contains(words), "{}", run.stderr);
        assert_eq!(self.sent(), before, "something was sent");
    }

    fn sent(&self) -> u128 {
        let asked = json!([OWN, "latest"]);
        number(&self.rpc.ok("eth_getTransactionCount", asked))
    }

    fn balance(&self) -> u128 {
        let own = OWN.trim_start_matches("0x").to_lowercase();
        let data = format!("0x70a08231{own:0>64}");
        let call = json!([{ "to": self.token.to_string(), "data": data }, "latest"]);
        number(&self.rpc.ok("eth_call", call))
    }
}

#[test]
fn an_address_and_an_rpc_are_enough_to_be_paid() {
    let pond = Pond::with(600_000);
    pond.refused(&[], 3, "nothing was sent");
    pond.earns(1_000_000);
    pond.refused(&[], 3, "nothing was sent");
    pond.proposes(300_000, 700_000);
    pond.refused(&[], 3, "nothing was sent");
    let seen = pond.done(&["--dry-run"]);
    let entries = seen["pending"]["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 2, "{seen}");
    let own = json!({ "contributor": OWN, "amount": "300000" });
    assert!(entries.contains(&own), "{seen}");
    pond.pass(1);
    let dry = pond.done(&["--dry-run"]);
    assert_eq!(dry["payments"][0]["amount"], "300000", "{dry}");
    assert_eq!(pond.sent(), 0);
    let done = pond.done(&[]);
    assert_eq!(done["sent"][0]["deed"], "activate", "{done}");
    assert_eq!(done["payments"][0]["amount"], "300000", "{done}");
    assert_eq!(pond.balance(), 300_000);
    pond.refused(&[], 3, "nothing was sent");
    // Anybody may have it sent to another contributor.
    let other = OTHER.to_checksum(None);
    let done = pond.done(&["--contributor", &other]);
    assert_eq!(done["payments"][0]["amount"], "700000", "{done}");
    // What was promised twice is fetched at once.
    for _ in 0..2 {
        pond.earns(1_000);
        pond.proposes(400, 600);
        pond.pass(1);
        let entries = vec![
            PoolEntry {
                contributor: OWN.parse().unwrap(),
                amount: 400,
            },
            PoolEntry {
                contributor: OTHER,
                amount: 600,
            },
        ];
        let call = ContributorPool::activateCall {
            token: pond.token.into(),
            entries,
        };
        send(&pond.rpc, pond.pool, &call.abi_encode().into());
    }
    let done = pond.done(&[]);
    assert_eq!(done["sent"], json!([]));
    assert_eq!(done["payments"][0]["amount"], "800", "{done}");
}

#[test]
fn a_contributor_claims_while_its_home_serves() {
    let pond = Pond::with(600_000);
    write_adapters(pond.desk.path());
    let server = Live::start(pond.desk.path(), 0);
    pond.earns(1_000_000);
    pond.proposes(300_000, 700_000);
    pond.pass(1);
    let dry = pond.done(&["--dry-run"]);
    assert_eq!(dry["payments"][0]["amount"], "300000", "{dry}");
    let done = pond.done(&[]);
    assert_eq!(done["sent"][0]["deed"], "activate", "{done}");
    assert_eq!(done["payments"][0]["amount"], "300000", "{done}");
    assert_eq!(pond.balance(), 300_000);
    assert_eq!(pond.desk.count("contribution_claimed"), 1);
    pond.refused(&[], 3, "nothing was sent");
    assert_eq!(server.drain().0, 0);
}

#[test]
fn a_quorum_contests_and_gains_nothing() {
    let pond = Pond::with(600_000);
    pond.earns(1_000_000);
    pond.refused(&["--contest"], 6, "NothingToContest");
    pond.proposes(1, 999_999);
    let done = pond.done(&["--contest"]);
    assert_eq!(done["sent"][0]["deed"], "contest");
    assert_eq!(done["pending"], Value::Null, "it is refused: {done}");
    assert_eq!(done["unallotted"], "1000000", "{done}");
    pond.refused(&["--contest"], 6, "ContestedAlready");
    pond.pass(1);
    pond.refused(&[], 3, "nothing was sent");
    pond.proposes(1, 999_999);
    pond.pass(1);
    pond.refused(&["--contest"], 6, "NothingToContest");
    assert_eq!(pond.done(&[])["payments"][0]["amount"], "1");
}

#[test]
fn one_contributor_alone_refuses_nothing() {
    let pond = Pond::with(500_000);
    pond.earns(1_000_000);
    pond.proposes(1, 999_999);
    let done = pond.done(&["--contest"]);
    let pending = &done["pending"];
    assert_eq!(pending["against_ppm"], 500_000, "{done}");
    assert_eq!(pending["quorum_ppm"], 500_001);
    pond.pass(1);
    assert_eq!(pond.done(&[])["payments"][0]["amount"], "1");
    let other = OTHER.to_checksum(None);
    let done = pond.done(&["--contributor", &other]);
    assert_eq!(done["payments"][0]["amount"], "999999");
}

#[test]
fn a_silent_operator_locks_nothing() {
    let pond = Pond::with(600_000);
    pond.refused(&["--demand"], 6, "NothingToAllot");
    pond.refused(&["--divide"], 6, "NothingToDivide");
    pond.earns(1_000_000);
    let done = pond.done(&["--demand"]);
    assert!(done["answer_by"].is_u64(), "{done}");
    pond.refused(&["--demand"], 6, "DemandPending");
    pond.refused(&["--divide"], 6, "NothingToDivide");
    pond.earns(500_000);
    pond.pass(14);
    let done = pond.done(&["--divide"]);
    assert_eq!(done["divided"], "1000000", "{done}");
    assert_eq!(
        done["unallotted"], "500000",
        "later income is not part of it"
    );
    assert_eq!(pond.done(&[])["payments"][0]["amount"], "600000");
    // And the operator goes on as if nothing had been.
    pond.proposes(100_000, 400_000);
    pond.pass(1);
    assert_eq!(pond.done(&[])["payments"][0]["amount"], "100000");
    pond.refused(&["--demand"], 6, "NothingToAllot");
}

/// A server that answers every connection with this, or with nothing.
fn server(answer: Option<&'static str>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            if let Some(answer) = answer {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request);
                let _ = stream.write_all(answer.as_bytes());
            } else {
                held.push(stream);
            }
        }
    });
    url
}

#[test]
fn a_log_that_fails_hangs_or_is_gone_stops_nobody() {
    let pond = Pond::with(600_000);
    pond.earns(1_000_000);
    let gone = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let broken =
        "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let urls = [server(Some(broken)), server(None), gone];
    for url in &urls {
        for deed in ["--contest", "--demand", "--divide"] {
            let began = Instant::now();
            let args = ["claim", "--log", url, deed];
            let run = pond.desk.run(&args);
            assert_eq!(run.code, 5, "{url} {deed}: {}", run.stderr);
            assert!(run.stderr.contains("--pool ADDRESS"), "{}", run.stderr);
            assert!(began.elapsed() < Duration::from_secs(60), "{url} {deed}");
            assert_eq!(pond.sent(), 0);
        }
    }
    // With the pool's address the log is not asked.
    let [broken, silent, gone] = &urls;
    assert_eq!(
        pond.done(&["--log", silent, "--demand"])["sent"][0]["deed"],
        "demand"
    );
    pond.proposes(400_000, 600_000);
    let done = pond.done(&["--log", broken, "--contest"]);
    assert_eq!(done["sent"][0]["deed"], "contest");
    pond.pass(1);
    pond.proposes(400_000, 600_000);
    pond.pass(1);
    let done = pond.done(&["--log", gone]);
    assert_eq!(done["payments"][0]["amount"], "400000");
    let neither = pond.desk.run(&["claim"]);
    assert_eq!(neither.code, 2, "{}", neither.stderr);
}

sol! {
    interface EarlierFactory {
        function create(address operator, uint32 delay, Share[] shares, bytes32 salt) external returns (address pool);
        struct Share { address recipient; uint32 ppm; }
    }
}

#[test]
fn what_is_no_pool_of_today_is_refused_by_name() {
    let mut pond = Pond::with(600_000);
    let present = std::mem::replace(&mut pond.pool, pond.token);
    pond.refused(&["--demand"], 3, "is no contributor pool");
    pond.pool = "0x00000000000000000000000000000000000000A1"
        .parse()
        .unwrap();
    pond.refused(&[], 3, "is no contributor pool");
    let path = repository().join("tests/data/contracts/earlier-pool-factory.hex");
    let code = hex::decode(std::fs::read_to_string(path).unwrap().trim()).unwrap();
    let factory = DEPLOYER.create2(B256::ZERO, keccak256(&code));
    let data = [B256::ZERO.as_slice(), &code].concat();
    send(&pond.rpc, DEPLOYER.into(), &data.into());
    let share = |share: &Share| EarlierFactory::Share {
        recipient: share.recipient,
        ppm: share.ppm,
    };
    let call = EarlierFactory::createCall {
        operator: OPERATOR,
        delay: DAY as u32,
        shares: pond.shares.iter().map(share).collect(),
        salt: B256::ZERO,
    };
    pond.pool = create(&pond.rpc, factory.into(), &call.abi_encode());
    assert_ne!(pond.pool, present);
    pond.earns(1_000_000);
    for deed in [&["--contest"][..], &["--demand"], &["--divide"], &[]] {
        pond.refused(deed, 3, "has the form of earlier contracts");
    }
    // Nor is a release brought to a factory that makes such pools.
    let url = pond.chain.url();
    let network = format!("[network.local]\nrpc = \"{url}\"\npool_factory = \"{factory}\"\n");
    pond.desk.configure(&network);
    let run = pond.desk.run(&["deploy", "first"]);
    assert_eq!(run.code, 5, "{}", run.stderr);
    assert!(
        run.stderr.contains("is of earlier contracts"),
        "{}",
        run.stderr
    );
}

#[test]
fn servers_end_with_a_sale() {
    let chain = Chain::anvil();
    put_contracts(&chain.rpc());
    let desk = Desk::at(chain.url());
    let deployed = desk.json(&["deploy", "first"]);
    let id: U256 = deployed["adapter_id"].as_str().unwrap().parse().unwrap();
    let servers = || {
        let explored = desk.json(&["explore"]);
        explored["adapters"][0]["servers"].clone()
    };
    assert_eq!(servers(), json!([OWN]));
    let registry: Address = contract("OpenLoraRegistry").parse().unwrap();
    let rpc = chain.rpc();
    rpc.ok("anvil_impersonateAccount", json!([OWN]));
    let own: RawAddress = OWN.parse().unwrap();
    let transfer = keccak256("transferFrom(address,address,uint256)");
    let data = [&transfer[..4], &(own, OTHER, id).abi_encode()].concat();
    send_from(&rpc, OWN, registry, &data.into());
    assert_eq!(servers(), json!([]));
    let call = OpenLoraRegistry::isServerCall { id, server: own };
    let data = hex::encode_prefixed(call.abi_encode());
    let asked = json!([{ "to": registry.to_string(), "data": data }, "latest"]);
    assert_eq!(number(&rpc.ok("eth_call", asked)), 0);
}
