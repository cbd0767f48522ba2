//! The development chain, and payments on chains: `cargo bench --bench chain [-- GROUP]`.

#![allow(clippy::expect_used, reason = "a bench stops at the first surprise")]

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use alloy::{
    consensus::{SignableTransaction, TxEip1559, TxEnvelope},
    eips::eip2718::Encodable2718,
    primitives::{Address, B256, TxKind, U256, hex},
    signers::{SignerSync, local::PrivateKeySigner},
    sol_types::SolCall,
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use openlora_chain::{
    development,
    network::{Network, NetworkOptions},
    registry::{OpenLoraRegistry, Registration, Release, Share},
};
use openlora_contracts as contracts;
use openlora_core::{Address as Account, Amount, Word};
use openlora_devnet::{ChainOptions, DevChain, NodeHandle, RunningNode, local_genesis};
use openlora_ledger::ChannelTerms;
use openlora_payments::x402::{
    digest::EscrowDomain,
    signature::{recover, sign},
    wire::{BatchPayload, PaymentPayload, SchemePayload, Voucher, VoucherAction},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

criterion_group!(benches, registrations, start, vouchers);
criterion_main!(benches);

/// Key of the first development account.
const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

/// A publisher who signs registrations one after another.
struct Publisher {
    signer: PrivateKeySigner,
    registry: Address,
    nonce: u64,
}

impl Publisher {
    fn new() -> Self {
        let set = contracts::deployments().expect("the artifacts are readable");
        let registry = set.iter().find(|one| one.name == "OpenLoraRegistry");
        Self {
            signer: KEY.parse().expect("a key"),
            registry: registry.expect("the set has a registry").address,
            nonce: 0,
        }
    }

    /// A signed registration with a splitter for three.
    fn sign(&mut self) -> String {
        let digest = |kind: u64| B256::from(U256::from(kind << 32 | (self.nonce + 1)));
        let share = |recipient: u8, ppm| Share {
            recipient: Address::with_last_byte(recipient),
            ppm,
        };
        let registration = Registration {
            weightsHash: digest(1),
            royaltyBps: 250,
            release: Release {
                manifestSha256: digest(2),
                baseRoot: digest(3),
                datasetsRoot: digest(4),
                price: 1000,
                uri: String::new(),
            },
            shares: vec![share(1, 500_000), share(2, 300_000), share(3, 200_000)],
            servers: vec![self.signer.address()],
        };
        let transaction = TxEip1559 {
            chain_id: 31_337,
            nonce: self.nonce,
            gas_limit: 600_000,
            max_fee_per_gas: 100_000_000_000,
            max_priority_fee_per_gas: 1,
            to: TxKind::Call(self.registry),
            input: OpenLoraRegistry::registerCall { registration }
                .abi_encode()
                .into(),
            ..TxEip1559::default()
        };
        self.nonce += 1;
        let signature = self.signer.sign_hash_sync(&transaction.signature_hash());
        let signed = transaction.into_signed(signature.expect("a signature"));
        hex::encode_prefixed(TxEnvelope::from(signed).encoded_2718())
    }
}

/// A chain in this process with the project's contracts.
struct Served {
    _dir: TempDir,
    runtime: Runtime,
    running: Option<RunningNode>,
    node: NodeHandle,
}

impl Served {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let runtime = Runtime::new().expect("a runtime starts");
        let chain = DevChain::open(ChainOptions {
            path: dir.path().join("chain.sqlite"),
            chain_id: 31_337,
            genesis: local_genesis().expect("the artifacts are readable"),
        });
        let running = runtime
            .block_on(RunningNode::start(chain.expect("a new chain"), 0, "secret"))
            .expect("a free port");
        Self {
            _dir: dir,
            node: running.node(),
            runtime,
            running: Some(running),
        }
    }

    fn ask(&self, method: &str, params: Value) -> Value {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let answer = self
            .runtime
            .block_on(self.node.answer(body.to_string().into()));
        serde_json::from_str(&answer.expect("an answer")).expect("JSON")
    }

    /// Listens from now on; returns the address.
    fn listen(&mut self) -> String {
        let running = self.running.take().expect("it does not listen yet");
        let address = format!("http://{}", running.address());
        self.runtime.spawn(running.run());
        address
    }
}

/// Registrations, each in a block of its own that is on disk when the answer comes: asked within
/// the process, and over HTTP on one connection.
fn registrations(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("registrations");
    group.throughput(Throughput::Elements(1)).sample_size(20);
    group.measurement_time(Duration::from_secs(10));
    let (served, mut publisher) = (Served::new(), Publisher::new());
    group.bench_function("in_process", |bencher| {
        bencher.iter_custom(|count| {
            let signed: Vec<String> = (0..count).map(|_| publisher.sign()).collect();
            let started = Instant::now();
            for raw in signed {
                let sent = served.ask("eth_sendRawTransaction", json!([raw]));
                assert!(sent["result"].is_string(), "{sent}");
            }
            started.elapsed()
        });
    });
    // Nothing is sent when another group alone is asked for.
    if publisher.nonce > 0 {
        let receipts = served.ask("eth_getBlockReceipts", json!(["latest"]));
        assert_eq!(receipts["result"][0]["status"], "0x1", "{receipts}");
    }
    let (mut served, mut publisher) = (Served::new(), Publisher::new());
    let url = served.listen();
    let client = reqwest::Client::new();
    group.bench_function("http", |bencher| {
        bencher.iter_custom(|count| {
            let signed: Vec<String> = (0..count).map(|_| publisher.sign()).collect();
            let started = Instant::now();
            served.runtime.block_on(async {
                for raw in signed {
                    let body = json!({ "jsonrpc": "2.0", "id": 1,
                        "method": "eth_sendRawTransaction", "params": [raw] });
                    let answer = client.post(&url).json(&body).send().await;
                    let sent: Value = answer.expect("an answer").json().await.expect("JSON");
                    assert!(sent["result"].is_string(), "{sent}");
                }
            });
            started.elapsed()
        });
    });
    group.finish();
}

/// A voucher as it is checked before every call, by one core: who signed it alone, and from the
/// header on, with the channel's id.
fn vouchers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("vouchers");
    group.throughput(Throughput::Elements(1));
    let network = Network::resolve("local", &NetworkOptions::default()).expect("a preset");
    let payer = development::account(&network, 0).expect("a local network");
    let config = ChannelTerms {
        payer: payer.address(),
        payer_authorizer: payer.address(),
        receiver: Account([1; 20]),
        receiver_authorizer: Account([2; 20]),
        token: Account([3; 20]),
        withdraw_delay: 900,
        salt: Word([4; 32]),
    };
    let domain = EscrowDomain::for_chain(31_337);
    let channel = domain.channel_id(&config);
    let max = Amount(1_000_000);
    let signature = sign(&payer, domain.voucher(channel, max)).expect("a signature");
    group.bench_function("signature", |bencher| {
        bencher.iter(|| recover(domain.voucher(channel, max), &signature));
    });
    let batch = BatchPayload {
        config: config.into(),
        voucher: Voucher {
            channel_id: channel,
            max_claimable_amount: max,
            signature: signature.to_vec().into(),
        },
        action: VoucherAction::Voucher,
    };
    let payload = serde_json::to_value(SchemePayload::Batch(Box::new(batch))).expect("JSON");
    let payment = PaymentPayload {
        x402_version: 2,
        resource: None,
        accepted: json!({ "scheme": "batch-settlement" }),
        payload,
        extensions: None,
    };
    let header = payment.encode().expect("a header");
    let check = || {
        let payment = PaymentPayload::decode(&header).ok()?;
        let payload = SchemePayload::parse("batch-settlement", &payment.payload).ok()??;
        let SchemePayload::Batch(batch) = payload else {
            return None;
        };
        let config = ChannelTerms::from(batch.config);
        let voucher = batch.voucher;
        let known = domain.channel_id(&config) == voucher.channel_id;
        let digest = domain.voucher(voucher.channel_id, voucher.max_claimable_amount);
        let signer = recover(digest, &voucher.signature).ok()?;
        Some(known && signer == config.payer_authorizer)
    };
    assert_eq!(check(), Some(true));
    group.bench_function("header", |bencher| bencher.iter(check));
    group.finish();
}

/// From nothing to the first answer: the real binary, with a new chain and with one of 1000 blocks.
fn start(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("start");
    group.sample_size(10);
    group.bench_function("new", |bencher| {
        bencher.iter_custom(|count| {
            (0..count)
                .map(|_| {
                    let home = tempfile::tempdir().expect("a temporary folder");
                    started_in(&home)
                })
                .sum()
        });
    });
    let home = tempfile::tempdir().expect("a temporary folder");
    fill(&home);
    group.bench_function("1000_blocks", |bencher| {
        bencher.iter_custom(|count| (0..count).map(|_| started_in(&home)).sum());
    });
    group.finish();
}

fn started_in(home: &TempDir) -> Duration {
    let started = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_openlora"))
        .args([
            "--json",
            "-q",
            "devnet",
            "start",
            "--foreground",
            "--port",
            "0",
        ])
        .env("OPENLORA_HOME", home.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary runs");
    let mut line = String::new();
    let stdout = child.stdout.take().expect("it is piped");
    let read = BufReader::new(stdout).read_line(&mut line);
    let elapsed = started.elapsed();
    assert!(read.is_ok() && !line.is_empty());
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    elapsed
}

/// Makes a chain of a thousand registrations in a home.
fn fill(home: &TempDir) {
    let folder = home.path().join("data/devnet/31337");
    std::fs::create_dir_all(&folder).expect("a folder");
    let runtime = Runtime::new().expect("a runtime starts");
    let chain = DevChain::open(ChainOptions {
        path: folder.join("chain.sqlite"),
        chain_id: 31_337,
        genesis: local_genesis().expect("the artifacts are readable"),
    });
    let mut publisher = Publisher::new();
    runtime.block_on(async {
        let running = RunningNode::start(chain.expect("a new chain"), 0, "secret").await;
        let running = running.expect("a free port");
        let node = running.node();
        for _ in 0..1000 {
            let body = json!({ "jsonrpc": "2.0", "id": 1,
                "method": "eth_sendRawTransaction", "params": [publisher.sign()] });
            assert!(node.answer(body.to_string().into()).await.is_some());
        }
        running.stop_token().cancel();
        running.run().await.expect("it stops");
    });
}
