//! A creator's desk for tests of `deploy`: a keystore, packages, and a chain behind a proxy that
//! sees every request and may answer in the chain's place.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use axum::{Router, body::Bytes, response::IntoResponse};
use openlora_contracts::deployments;
use openlora_journal::Journal;
use openlora_ledger::event::{Event, EventRecord};
use openlora_package::{build::PackageMetadata, release::SigningDomain, write};
use openlora_release::eip712::AccountSigner;
use openlora_wallet::WalletAccount;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::{
    devnet_peers::Anvil,
    devnet_support::{Devnet, Home, Rpc},
    keys::{KEY, OWN, OWN_KEY, account},
    packages::{about, drafted},
    support::{Invocation, Run, openlora},
    waiting::PATIENCE,
};

pub const A1: &str = "0x00000000000000000000000000000000000000A1";

/// Where a contract of the set is on every chain.
pub fn contract(name: &str) -> String {
    let set = deployments().unwrap();
    let found = set.iter().find(|it| it.name == name).unwrap();
    found.address.to_checksum(None)
}

/// What `own` says about a package.
pub fn own_about(version: &str) -> PackageMetadata {
    PackageMetadata {
        version: version.into(),
        publisher: Some(OWN.parse().unwrap()),
        ..about()
    }
}

/// A signed package in `dir/name`.
pub fn package(dir: &Path, name: &str, about: &PackageMetadata) -> PathBuf {
    package_by(&account(OWN_KEY), &dir.join(name), about)
}

/// A package that `publisher` signs, whatever it says about itself.
pub fn package_by(publisher: &WalletAccount, dir: &Path, about: &PackageMetadata) -> PathBuf {
    let domain =
        SigningDomain::for_registry(31_337, Some(contract("OpenLoraRegistry").parse().unwrap()));
    let draft = drafted(about).unwrap();
    write(dir, &draft, Some((&domain, &AccountSigner(publisher))))
        .unwrap()
        .dir
}

/// A home with the account `own`, its password, and the packages `first` and `second`.
pub struct Desk {
    pub home: Home,
}

impl Desk {
    pub fn new() -> Self {
        let home = Home::new();
        let dir = home.path();
        fs::write(dir.join("pw"), "correct horse\n").unwrap();
        for (name, key) in [("own", OWN_KEY), ("rich", KEY)] {
            fs::write(dir.join("key"), key).unwrap();
            let import = ["wallet", "import", name, "--from", "key"];
            openlora(dir)
                .args(import)
                .args(["--password-file", "pw"])
                .run()
                .succeeds();
        }
        fs::remove_file(dir.join("key")).unwrap();
        package(dir, "first", &own_about("1.0.0"));
        package(dir, "second", &own_about("1.1.0"));
        Self { home }
    }

    /// One whose local network is behind `url`, with the contracts on it.
    pub fn at(url: &str) -> Self {
        let desk = Self::new();
        desk.points_to(url);
        desk
    }

    pub fn path(&self) -> &Path {
        self.home.path()
    }

    pub fn points_to(&self, url: &str) {
        self.configure(&format!("[network.local]\nrpc = \"{url}\"\n"));
    }

    pub fn configure(&self, text: &str) {
        fs::write(self.path().join("openlora.toml"), text).unwrap();
    }

    pub fn openlora(&self, args: &[&str]) -> Invocation {
        openlora(self.path())
            .env("OPENLORA_DEVNET_PORT", "0")
            .env("OPENLORA_PASSWORD_FILE", "pw")
            .env("OPENLORA_WALLET_ACCOUNT", "own")
            .args(args.iter().copied())
    }

    pub fn run(&self, args: &[&str]) -> Run {
        self.openlora(args).run()
    }

    /// What `--json -q` prints.
    #[track_caller]
    pub fn json(&self, args: &[&str]) -> Value {
        let run = self.openlora(&["--json", "-q"]).args(args.iter().copied());
        serde_json::from_str(&run.run().succeeds().stdout).unwrap()
    }

    /// Puts the contracts on the chain, at the cost of somebody else.
    #[track_caller]
    pub fn deploy_contracts(&self) -> Value {
        self.json(&["deploy", "--contracts", "--account", "rich"])
    }

    pub fn journal(&self) -> Vec<EventRecord> {
        let path = self.path().join("home/data/journal.sqlite");
        let mut records = Vec::new();
        let mut journal = Journal::open_read_only(&path).unwrap();
        journal
            .replay(1, |record| records.push(record.clone()))
            .unwrap();
        journal.verify().unwrap();
        records
    }

    /// How many events of the journal are of a type.
    pub fn count(&self, kind: &str) -> usize {
        let is = |event: &Event| serde_json::to_value(event).unwrap()["type"] == kind;
        let records = self.journal();
        records.iter().filter(|record| is(&record.event)).count()
    }
}

/// A chain with or without our contracts, which ends with the test.
pub enum Chain {
    Anvil(Anvil),
    Embedded {
        devnet: Box<Devnet>,
        _dir: tempfile::TempDir,
    },
    /// One of a home, which can begin anew at the same address.
    Kept {
        home: Home,
        url: String,
    },
}

impl Chain {
    pub fn anvil() -> Self {
        Self::Anvil(Anvil::start())
    }

    pub fn embedded() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self::Embedded {
            devnet: Box::new(Devnet::start(dir.path(), 31_337)),
            _dir: dir,
        }
    }

    pub fn kept() -> Self {
        let home = Home::new();
        let started = home.devnet(&["start", "--port", "0"]);
        let url = started["url"].as_str().unwrap().to_owned();
        Self::Kept { home, url }
    }

    /// Begins anew.
    pub fn reset(&self) {
        let Self::Kept { home, .. } = self else {
            panic!("a chain of a home can be reset")
        };
        let reset = home.devnet(&["reset", "--yes"]);
        assert_eq!(reset["url"], json!(self.url()));
    }

    pub fn url(&self) -> &str {
        match self {
            Self::Kept { url, .. } => url,
            Self::Anvil(anvil) => &anvil.url,
            Self::Embedded { devnet, .. } => &devnet.rpc.url,
        }
    }

    pub fn rpc(&self) -> Rpc {
        Rpc::new(self.url())
    }
}

/// What the proxy does with a request.
pub enum Act {
    Forward,
    /// Answers with this result in the chain's place.
    Answer(Value),
    /// Answers with this error.
    Refuse(Value),
    /// Never answers.
    Hang,
    /// Passes the request on, then hangs.
    ForwardAndHang,
    /// Passes the request on, and answers with this error.
    ForwardAndRefuse(Value),
}

type Rule = Box<dyn FnMut(&str, usize, &Value) -> Act + Send>;

/// Stands between `deploy` and a chain; a rule decides by method and how often it was asked.
pub struct Proxy {
    pub url: String,
    seen: Arc<Mutex<Seen>>,
    hung: std::sync::mpsc::Receiver<String>,
    _runtime: Runtime,
}

#[derive(Default)]
struct Seen {
    counts: BTreeMap<String, usize>,
    requests: Vec<Value>,
}

struct Shared {
    to: String,
    client: reqwest::Client,
    rule: Mutex<Rule>,
    seen: Arc<Mutex<Seen>>,
    hang: Mutex<std::sync::mpsc::Sender<String>>,
}

impl Proxy {
    pub fn new(to: &str, rule: impl FnMut(&str, usize, &Value) -> Act + Send + 'static) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (hang, hung) = std::sync::mpsc::channel();
        let shared = Arc::new(Shared {
            to: to.to_owned(),
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
            rule: Mutex::new(Box::new(rule)),
            seen: Arc::clone(&seen),
            hang: Mutex::new(hang),
        });
        let runtime = Runtime::new().unwrap();
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let handle = move |body: Bytes| {
            let shared = Arc::clone(&shared);
            async move { shared.answer(body).await.to_string().into_response() }
        };
        let app = Router::new().fallback(handle);
        runtime.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self {
            url,
            seen,
            hung,
            _runtime: runtime,
        }
    }

    /// Waits until a request hangs, and says which.
    pub fn wait_until_it_hangs(&self) -> String {
        let hung = self.hung.recv_timeout(PATIENCE);
        hung.unwrap_or_else(|_| panic!("waited {PATIENCE:?} in vain for a request that hangs"))
    }

    /// The parameters of every request of a method, in order.
    pub fn asked(&self, method: &str) -> Vec<Value> {
        let seen = self.seen.lock().unwrap();
        let of = seen.requests.iter().filter(|it| it["method"] == method);
        of.map(|request| request["params"].clone()).collect()
    }
}

impl Shared {
    async fn answer(&self, body: Bytes) -> Value {
        let request: Value = serde_json::from_slice(&body).unwrap();
        let method = request["method"].as_str().unwrap().to_owned();
        let nth = {
            let mut seen = self.seen.lock().unwrap();
            seen.requests.push(request.clone());
            let count = seen.counts.entry(method.clone()).or_default();
            *count += 1;
            *count
        };
        let act = (self.rule.lock().unwrap())(&method, nth, &request["params"]);
        let id = request["id"].clone();
        match act {
            Act::Forward => self.forward(&request).await,
            Act::Answer(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
            Act::Refuse(error) => json!({ "jsonrpc": "2.0", "id": id, "error": error }),
            Act::ForwardAndRefuse(error) => {
                self.forward(&request).await;
                json!({ "jsonrpc": "2.0", "id": id, "error": error })
            }
            Act::Hang => self.hang(method).await,
            Act::ForwardAndHang => {
                self.forward(&request).await;
                self.hang(method).await
            }
        }
    }

    async fn forward(&self, request: &Value) -> Value {
        let sent = self.client.post(&self.to).json(request).send().await;
        sent.unwrap().json().await.unwrap()
    }

    async fn hang(&self, method: String) -> Value {
        // A test that does not wait for it may be over.
        let _ = self.hang.lock().unwrap().send(method);
        std::future::pending().await
    }
}
