//! Files that binaries of earlier versions made: `tests/data/earlier`. Each is opened with today's
//! code, and what was interrupted then is finished now.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use openlora_core::Amount;
use openlora_journal::Journal;
use openlora_ledger::{
    Ledger, TxKey,
    event::{Event, EventRecord, TxIntent, TxOutcome},
};
use openlora_payments::payer::{PayerChannelState, PayerStore, PaymentStatus};
use openlora_wallet::KeystoreDir;
use serde_json::{Value, json};

use crate::{
    devnet_support::{Home, Rpc},
    keys::{OWN, password},
    paths::repository,
    support::{Invocation, openlora},
};

/// The day of the commit that each binary was built from.
const VERSIONS: [&str; 2] = ["2026-11-29", "2026-11-30"];
const BUYER: &str = "0x1563915e194D8CfBA1943570603F7606A3115508";

/// The files of one version.
struct EarlierFiles {
    dir: tempfile::TempDir,
    version: &'static str,
}

impl EarlierFiles {
    fn all() -> [Self; 2] {
        VERSIONS.map(|version| {
            let dir = tempfile::tempdir().unwrap();
            let archive = repository().join(format!("tests/data/earlier/{version}.tar.xz"));
            let status = Command::new("tar")
                .arg("-xJf")
                .args([&archive, Path::new("-C"), dir.path()])
                .status();
            assert!(
                status.is_ok_and(|it| it.success()),
                "{} cannot be unpacked: install tar and xz",
                archive.display()
            );
            Self { dir, version }
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The home of a party as it was left, with the chain of that time.
    fn home(&self, scenario: &str, party: &str) -> Home {
        let home = Home::new();
        let to = home.path().join("home/data");
        let of_scenario = self.path(scenario);
        copy(&of_scenario.join(party), &to);
        copy(&of_scenario.join("seller/devnet"), &to.join("devnet"));
        copy(&self.path("keystores").join(party), &to.join("keystores"));
        fs::write(home.path().join("pw"), "correct horse\n").unwrap();
        home
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).unwrap()),
        }
    }
}

/// Days pass on the chain, as they have by the time a user upgrades.
fn pass_days(home: &Home) {
    let started = home.devnet(&["start", "--port", "0"]);
    let rpc = Rpc::new(started["url"].as_str().unwrap());
    rpc.ok("evm_increaseTime", json!([300_000]));
    rpc.ok("evm_mine", json!([]));
}

fn command(home: &Home, args: &[&str]) -> Invocation {
    openlora(home.path())
        .env("OPENLORA_DEVNET_PORT", "0")
        .env("OPENLORA_PASSWORD_FILE", "pw")
        .env("OPENLORA_WALLET_ACCOUNT", "own")
        .args(["--json", "-q"])
        .args(args.iter().copied())
}

#[track_caller]
fn run_json(home: &Home, args: &[&str]) -> Value {
    serde_json::from_str(&command(home, args).run().succeeds().stdout).unwrap()
}

fn records(home: &Home) -> Vec<EventRecord> {
    let path = home.path().join("home/data/journal.sqlite");
    let mut journal = Journal::open_read_only(&path).unwrap();
    journal.verify().unwrap();
    let mut records = Vec::new();
    journal
        .replay(1, |record| records.push(record.clone()))
        .unwrap();
    records
}

fn intents(records: &[EventRecord]) -> Vec<&TxIntent> {
    let records = records.iter();
    records
        .filter_map(|record| match &record.event {
            Event::TransactionIntended(intent) => Some(&**intent),
            _ => None,
        })
        .collect()
}

fn outcome(records: &[EventRecord], of: &str) -> Option<TxOutcome> {
    records.iter().find_map(|record| match &record.event {
        Event::TransactionConfirmed { tx, status, .. } if tx == of => Some(*status),
        _ => None,
    })
}

/// What a transaction does, however its label is written.
fn kind(intent: &TxIntent) -> &str {
    let words = intent.purpose.split(' ');
    let first: Vec<&str> = words.take(2).collect();
    match first.as_slice() {
        ["a", kind] => kind,
        [kind, ..] => kind,
        [] => "",
    }
}

/// The scenarios of sellers, and the kind of the transaction that was interrupted.
const INTERRUPTED: [(&str, &str); 10] = [
    ("claim", "claim"),
    ("lost-claim", "claim"),
    ("settlement", "settling"),
    ("anchor", "anchoring"),
    ("release", "releasing"),
    ("pull", "releasing"),
    ("proposal", "proposing"),
    ("deposit", "deposit"),
    ("transfer", "transfer"),
    ("refund", "refund"),
];

/// What was charged for calls, settled and released in total when a scenario is finished.
fn sums(version: &str, scenario: &str) -> [&'static str; 3] {
    match (version, scenario) {
        // It had paid, and its call was not made.
        (_, "transfer") => ["200", "200", "300"],
        // This version claims the refund's fee with the calls.
        ("2026-11-30", "refund") => ["200", "300", "300"],
        _ => ["200", "200", "200"],
    }
}

#[test]
fn a_journal_of_an_earlier_version_verifies_and_folds_to_its_sums() {
    for files in EarlierFiles::all() {
        let records = records(&files.home("sold", "seller"));
        let mut ledger = Ledger::default();
        records.iter().for_each(|it| ledger.apply(&it.event));
        let at = files.version;
        assert_eq!(ledger.breaches, Vec::<String>::new(), "{at}");
        let channels: Vec<_> = ledger
            .channels
            .values()
            .map(|it| {
                let view = it.view.clone().unwrap();
                let (charged, authorised) = (it.charged.amount(), it.authorised.amount());
                let payer = it.config.payer.to_string();
                (
                    payer,
                    it.calls,
                    charged,
                    authorised,
                    view.balance,
                    view.claimed,
                )
            })
            .collect();
        let (price, none) = (Amount(100), Amount(0));
        let expected = (BUYER.to_owned(), 1, price, price, Amount(500), none);
        assert_eq!(channels, [expected], "{at}");
        let exact: Vec<_> = ledger.exact.values().map(|it| it.amount).collect();
        assert_eq!(exact, [price], "{at}");
        let totals: Vec<_> = ledger
            .receivers
            .values()
            .map(|it| (it.calls, it.charged, it.exact))
            .collect();
        assert_eq!(totals, [(2, Amount(200), price)], "{at}");
    }
}

#[test]
fn every_label_of_an_earlier_version_is_known() {
    for files in EarlierFiles::all() {
        let mut keys = Vec::new();
        for (scenario, _) in INTERRUPTED {
            let records = records(&files.home(scenario, "seller"));
            for intent in intents(&records) {
                let at = format!("{} {}: {}", files.version, scenario, intent.purpose);
                assert_eq!(intent.key, None, "{at}");
                keys.push((kind(intent).to_owned(), intent.read_key().expect(&at)));
            }
        }
        for (kind, key) in keys {
            let fits = match kind.as_str() {
                "deposit" => matches!(key, Some(TxKey::Deposit { request: None, .. })),
                "transfer" => matches!(key, Some(TxKey::Transfer { request: None, .. })),
                "refund" => matches!(key, Some(TxKey::Refund { .. })),
                _ => key.is_none(),
            };
            assert!(fits, "{}: {kind}: {key:?}", files.version);
        }
        for scenario in ["sold", "topup", "withdrawal"] {
            let home = files.home(scenario, "buyer");
            let store = PayerStore::open(&home.path().join("home/data")).unwrap();
            for intent in store.unsettled().unwrap() {
                intent.read_key().unwrap();
            }
        }
    }
}

/// The seller's next command finishes what was interrupted, once, and everything after it.
#[test]
fn what_a_seller_of_an_earlier_version_left_open_is_finished() {
    for files in EarlierFiles::all() {
        for (scenario, interrupted) in INTERRUPTED {
            let at = format!("{} {scenario}", files.version);
            let home = files.home(scenario, "seller");
            let before = records(&home);
            let open: Vec<_> = intents(&before)
                .into_iter()
                .filter(|intent| outcome(&before, &intent.tx).is_none())
                .collect();
            let [left] = open.as_slice() else {
                panic!("{at}: {open:?}");
            };
            assert_eq!(kind(left), interrupted, "{at}");
            pass_days(&home);
            run_json(&home, &["settle"]);
            run_json(&home, &["withdraw"]);
            let after = records(&home);
            assert_eq!(after[..before.len()], before, "{at}");
            let succeeded = Some(TxOutcome::Succeeded);
            for intent in intents(&after) {
                assert_eq!(outcome(&after, &intent.tx), succeeded, "{at}: {intent:?}");
            }
            assert_eq!(once_each(&after, scenario), [1, 1, 2, 1, 1], "{at}");
            let earnings = run_json(&home, &["earnings", "--audit"]);
            let audit = &earnings["audit"][0];
            assert_eq!(audit["ok"], true, "{at}: {audit}");
            let all = &earnings["tokens"][0]["all"];
            let found = [&all["charged"], &all["settled"], &all["released"]];
            assert_eq!(found, sums(files.version, scenario), "{at}");
        }
    }
}

/// How many transactions claimed, settled, released, anchored and proposed. A refund claims too.
fn once_each(records: &[EventRecord], scenario: &str) -> [usize; 5] {
    let claims = match scenario {
        "refund" => "refund",
        _ => "claim",
    };
    let intents = intents(records);
    [claims, "settling", "releasing", "anchoring", "proposing"]
        .map(|wanted| intents.iter().filter(|it| kind(it) == wanted).count())
}

#[test]
fn what_a_publisher_of_an_earlier_version_left_open_is_finished() {
    for files in EarlierFiles::all() {
        let home = files.home("registration", "seller");
        copy(&files.path("package"), &home.path().join("package"));
        let deployed = run_json(&home, &["deploy", "package"]);
        let records = records(&home);
        let intents = intents(&records);
        let registered: Vec<_> = intents
            .iter()
            .filter(|intent| kind(intent) == "registering")
            .collect();
        let [only] = registered.as_slice() else {
            panic!("{}: {intents:?}", files.version);
        };
        assert_eq!(deployed["tx"], only.tx, "{}", files.version);
        let succeeded = Some(TxOutcome::Succeeded);
        assert_eq!(outcome(&records, &only.tx), succeeded, "{}", files.version);
    }
}

#[test]
fn a_payer_store_of_an_earlier_version_opens_and_migrates() {
    for files in EarlierFiles::all() {
        let at = files.version;
        let home = files.home("sold", "buyer");
        let store = PayerStore::open(&home.path().join("home/data")).unwrap();
        let channels = store.channels().unwrap();
        let [channel] = channels.as_slice() else {
            panic!("{at}: {channels:?}");
        };
        assert_eq!(channel.state, PayerChannelState::Open, "{at}");
        let sums = (channel.balance, channel.charged, channel.claimed);
        assert_eq!(sums, (Amount(500), Amount(100), Amount(0)), "{at}");
        let payments = store.payment_records().unwrap();
        let payments: Vec<_> = payments.iter().map(|it| it.status).collect();
        let paid = PaymentStatus::Charged {
            amount: Amount(100),
        };
        assert_eq!(payments, [paid, paid], "{at}");
        drop(store);
        let listed = run_json(&home, &["channel", "list"]);
        assert_eq!(
            [&listed[0]["left"], &listed[0]["state"], &listed[0]["fresh"]],
            [&Value::from("400"), &"open".into(), &true.into()],
            "{at}"
        );
    }
}

/// The first anchor after the upgrade states the log that is made from the earlier journal.
#[test]
fn what_an_earlier_version_sold_is_anchored_with_the_transparency_log() {
    for files in EarlierFiles::all() {
        let at = files.version;
        let home = files.home("sold", "seller");
        let before = records(&home);
        pass_days(&home);
        let head = run_json(&home, &["log", "head"]);
        assert_eq!(head["size"], before.len(), "{at}");
        run_json(&home, &["settle"]);
        let anchored = records(&home);
        let count = anchored
            .iter()
            .filter(|record| matches!(record.event, Event::Anchored(_)));
        assert_eq!(count.count(), 1, "{at}");
        let stated = format!("{}:{}", head["size"], head["root"].as_str().unwrap());
        let status = run_json(&home, &["devnet", "status"]);
        let rpc = Rpc::new(status["url"].as_str().unwrap());
        let all = json!([{ "fromBlock": "0x0", "toBlock": "latest" }]);
        let logs = rpc.ok("eth_getLogs", all).to_string();
        let fragment = hex::encode(format!("#log={stated}"));
        assert!(logs.contains(&fragment), "{at}: no log states {stated}");
        let now = run_json(&home, &["log", "head"])["size"].to_string();
        let grown = run_json(&home, &["log", "consistency", &stated, &now]);
        assert_eq!(grown["from"]["root"], head["root"], "{at}");
        let forged = format!("{}:{}", head["size"], "00".repeat(32));
        let refused = command(&home, &["log", "consistency", &forged, &now]).run();
        assert_eq!(refused.code, 9, "{at}: {}", refused.stderr);
    }
}

/// A payer's own transactions: a deposit and the start of a withdrawal.
#[test]
fn what_a_payer_of_an_earlier_version_left_open_is_finished() {
    for files in EarlierFiles::all() {
        for (scenario, expected) in [
            // The deposit counts, and the withdrawal starts.
            ("topup", (&json!(false), &json!("1400"), &json!("1500"))),
            // The withdrawal that was started ends.
            ("withdrawal", (&json!(true), &json!("400"), &json!("100"))),
        ] {
            let at = format!("{} {scenario}", files.version);
            let home = files.home(scenario, "buyer");
            let folder = home.path().join("home/data");
            let open = PayerStore::open(&folder).unwrap().unsettled().unwrap();
            assert_eq!(open.len(), 1, "{at}: {open:?}");
            pass_days(&home);
            let done = run_json(&home, &["-y", "channel", "withdraw"]);
            let found = (&done["done"], &done["amount"], &done["channel"]["balance"]);
            assert_eq!(found, expected, "{at}: {done}");
            let open = PayerStore::open(&folder).unwrap().unsettled().unwrap();
            assert_eq!(open, [], "{at}");
        }
    }
}

#[test]
fn a_package_of_an_earlier_version_verifies() {
    for files in EarlierFiles::all() {
        let home = Home::new();
        copy(&files.path("package"), &home.path().join("package"));
        let report = run_json(&home, &["verify", "package", "--base", "nano"]);
        assert_eq!(report["ok"], true, "{}", files.version);
        let checks = report["checks"].as_array().unwrap();
        let passed: Vec<&str> = checks
            .iter()
            .filter(|check| check["status"] == "pass")
            .map(|check| check["name"].as_str().unwrap())
            .collect();
        let expected = [
            "structure",
            "safetensors",
            "config",
            "files",
            "eip712",
            "base",
        ];
        assert_eq!(passed, expected, "{}", files.version);
    }
}

#[test]
fn a_keystore_of_an_earlier_version_unlocks() {
    for files in EarlierFiles::all() {
        for (party, address) in [("seller", OWN), ("buyer", BUYER)] {
            let store = KeystoreDir::new(files.path("keystores").join(party));
            let account = store.unlock("own", &password("correct horse")).unwrap();
            assert_eq!(account.address().to_string(), address, "{}", files.version);
            store.unlock("own", &password("wrong horse")).unwrap_err();
        }
    }
}

#[test]
fn a_project_file_of_an_earlier_version_is_read() {
    for files in EarlierFiles::all() {
        let home = Home::new();
        let project = home.path().join("openlora.toml");
        fs::copy(files.path("config/openlora.toml"), project).unwrap();
        let shown = run_json(&home, &["config", "show"]);
        let value = |key: &str| shown["settings"][key]["value"].clone();
        let shown = ["project.name", "train.rank", "train.max_steps"].map(value);
        let expected: [Value; 3] = ["sentiment".into(), 1.into(), 12.into()];
        assert_eq!(shown, expected, "{}", files.version);
    }
}
