//! What `--json` prints fits the schemas that the project publishes.

use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use openlora::commands::demo::StartedDemo;
use openlora_journal::Journal;
use openlora_ledger::event::Event;
use openlora_payments::payer::PayerStore;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::paths::repository;
use crate::{
    deploy_support::Chain,
    keys::KEY,
    live::{Live, golden, write_adapters},
    purse_lossy,
    result_schemas::SCHEMAS,
    sdk,
    support::{Run, openlora},
    waiting,
    wallet_commands::rpc,
    x402_stock,
};

/// The number zero, as a contract answers it.
const NOTHING: &str = "0x0000000000000000000000000000000000000000000000000000000000000000";

/// Results by schema, collected from commands that really ran.
#[derive(Default)]
struct Results(Vec<(&'static str, Value)>);

impl Results {
    fn add(&mut self, schema: &'static str, text: &str) {
        let result = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
        self.0.push((schema, result));
    }

    /// Runs `line` in `dir` and keeps its result.
    fn run(&mut self, schema: &'static str, dir: &Path, line: &str) -> Run {
        let args = ["--json"].into_iter().chain(line.split_whitespace());
        let run = openlora(dir).args(args).run().succeeds();
        self.add(schema, &run.stdout);
        run
    }

    /// Asks a published validator, and asserts that it looked at every result.
    fn validate(&self) {
        let script = sdk::suite("python").join("validate.py");
        let schemas = repository().join("schemas");
        let mut validator = Command::new(sdk::python("python"))
            .arg(script)
            .arg(schemas)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines: String = self
            .0
            .iter()
            .map(|(schema, result)| {
                json!({ "schema": schema, "result": result }).to_string() + "\n"
            })
            .collect();
        let mut stdin = validator.stdin.take().unwrap();
        stdin.write_all(lines.as_bytes()).unwrap();
        drop(stdin);
        let output = waiting::finished(validator);
        let expected: String = self
            .0
            .iter()
            .map(|(name, _)| format!("ok {name}\n"))
            .collect();
        assert!(output.status.success());
        assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
    }
}

#[test]
fn every_result_fits_its_schema() {
    let home = TempDir::new().unwrap();
    let mut results = Results::default();
    results.run("init", home.path(), "init project --template sentiment");
    let project = home.path().join("project");
    results.run("doctor", &project, "doctor");
    results.run("config-show", &project, "config show");
    results.run("config-get", &project, "config get train.rank");
    results.run("config-path", &project, "config path");
    results.run("data-check", &project, "data check");
    results.run("data-preview", &project, "data preview --rows 2");
    fs::copy(project.join("data/valid.jsonl"), project.join("rows.jsonl")).unwrap();
    results.run("data-split", &project, "data split rows.jsonl --out split");
    results.run("train-dry-run", &project, "train --dry-run");
    results.run("train", &project, "train --max-steps 2");
    results.run("eval", &project, "eval --vs base");
    for (schema, line) in [
        ("attribution-build", "attribution build"),
        ("attribution-inspect", "attribution inspect"),
        ("attribution-verify", "attribution verify"),
        ("attribution-audit", "attribution audit --answers 2"),
    ] {
        results.run(schema, &project, line);
    }
    wallet_and_package(&mut results, &project);
    let error = openlora(&project)
        .args(["--json", "train", "--rank", "0"])
        .run();
    results.add("error", &error.stderr);

    let bench = "bench serve --streams 2 --prompt-tokens 8 --answer-tokens 2";
    results.run("bench-serve", &project, bench);
    write_adapters(home.path());
    let server = Live::start(home.path(), 0);
    results.add("serve", &server.ready.to_string());
    contained(&mut results, home.path());
    for adapter in ["persona", "filter"] {
        let line = format!("call hello --adapter {adapter} --url {}", server.url);
        let answered = results.run("call", home.path(), &line);
        let answered: Value = serde_json::from_str(&answered.stdout).unwrap();
        let id = answered["receipt"]["id"].as_str().unwrap();
        let line = format!("receipts show {id} --why --url {}", server.url);
        results.run("receipts-why", home.path(), &line);
        fs::write(home.path().join("answer.json"), answered.to_string()).unwrap();
        let base = golden("llama").display().to_string();
        let line =
            format!("receipts replay {id} --answer answer.json --adapter {adapter} --base {base}");
        results.run("receipts-replay", home.path(), &line);
    }
    assert_eq!(server.drain().0, 0);
    for (schema, line) in [
        ("log-head", "log head"),
        ("log-prove", "log prove 2 --out two.tlog-proof"),
        ("log-consistency", "log consistency 1 3"),
        ("log-verify", "log verify two.tlog-proof"),
        ("log-count", "log count"),
    ] {
        results.run(schema, home.path(), line);
    }
    for (schema, line) in [
        ("devnet-start", "devnet start --port 0"),
        ("devnet-status", "devnet status"),
        ("devnet-reset", "devnet reset --yes"),
        ("devnet-stop", "devnet stop"),
    ] {
        results.run(schema, home.path(), line);
    }
    results.0.extend(x402_stock::results());
    results.0.extend(purse_lossy::results());
    results.run("demo", home.path(), "demo --home kept");
    the_demo_is_kept_in_mind(home.path());
    the_demo_learned(&results.0.last().unwrap().1);
    the_demo_paid(&results.0.last().unwrap().1, &home.path().join("kept"));
    the_demo_attributed(&results.0.last().unwrap().1);
    let kept = home.path().join("kept");
    results.run("earnings", &kept, "earnings --by contributor");
    earned_what_was_paid(&results);
    results.run("dash", &kept, "dash");
    the_dashboard_says_the_same(&results, &kept);

    let seen: BTreeSet<_> = results.0.iter().map(|(name, _)| *name).collect();
    let published: BTreeSet<_> = SCHEMAS.iter().map(|(name, _)| *name).collect();
    assert_eq!(seen, published);
    results.validate();
}

/// In the home that it was started from, and in those whose commands it showed.
fn the_demo_is_kept_in_mind(home: &Path) {
    let kept = home.join("kept").canonicalize().unwrap();
    for from in ["home", "kept/home", "kept/buyer"] {
        let text = fs::read(home.join(from).join("cache/last-demo.json")).unwrap();
        let mut started: StartedDemo = serde_json::from_slice(&text).unwrap();
        assert_ne!(std::mem::take(&mut started.server_port), 0);
        assert_ne!(std::mem::take(&mut started.chain_port), 0);
        let expected = StartedDemo {
            dir: kept.clone(),
            kept: true,
            project: kept.join("sentiment"),
            server_port: 0,
            chain_port: 0,
        };
        assert_eq!(started, expected);
    }
}

/// The run above, packaged and signed by an account, and what that account holds.
fn wallet_and_package(results: &mut Results, project: &Path) {
    fs::write(project.join("pw"), "correct horse\n").unwrap();
    fs::write(project.join("key"), KEY).unwrap();
    let import = "wallet import dev --from key --password-file pw";
    results.run("wallet-account", project, import);
    results.run("wallet-list", project, "wallet list");
    let model_key = "wallet model-key dev --password-file pw";
    results.run("wallet-model-key", project, model_key);
    let export = "wallet export dev --yes --password-file pw";
    results.run("wallet-export", project, export);
    results.run(
        "package",
        project,
        "package --password-file pw --out package",
    );
    results.run("verify", project, "verify package");
    results.run("export", project, "export --format gguf --out adapter.gguf");
    results.run("push", project, "push package dir:pushed");
    results.run("pull", project, "pull dir:pushed");
    results.run("store", project, "store list");
    deployed(results, project);
    let url = rpc(&[
        ("eth_chainId", "0x7a69"),
        ("eth_getBalance", "0x0"),
        ("eth_call", NOTHING),
    ]);
    let file = project.join("openlora.toml");
    let settings = fs::read_to_string(&file).unwrap();
    fs::write(
        &file,
        settings + &format!("[network.local]\nrpc = \"{url}\"\n"),
    )
    .unwrap();
    results.run("wallet-balance", project, "wallet balance dev");
}

/// The package in the registry of a chain of its own.
fn deployed(results: &mut Results, project: &Path) {
    let chain = Chain::embedded();
    let file = project.join("openlora.toml");
    let before = fs::read_to_string(&file).unwrap();
    let with_chain = format!("{before}[network.local]\nrpc = \"{}\"\n", chain.url());
    fs::write(&file, with_chain).unwrap();
    let contracts = "deploy --contracts --password-file pw";
    results.run("deploy-contracts", project, contracts);
    let dry = "deploy package --dry-run";
    results.run("deploy-dry-run", project, dry);
    results.run("deploy", project, "deploy package --password-file pw");
    let explored = results.run("explore", project, "explore --verify package");
    let explored: Value = serde_json::from_str(&explored.stdout).unwrap();
    let shares = explored.pointer("/adapters/0/releases/0/shares").unwrap();
    let mut shares = shares.as_array().unwrap().iter();
    let pool = shares.find(|share| share.get("pool").is_some()).unwrap();
    let pool = pool["recipient"].as_str().unwrap().to_owned();
    results.run("settle-dry-run", project, "settle --dry-run");
    results.run("settle", project, "settle --password-file pw");
    results.run("withdraw-dry-run", project, "withdraw --dry-run");
    results.run("withdraw", project, "withdraw --password-file pw");
    let log = project.join("log");
    fs::create_dir(&log).unwrap();
    fs::write(
        log.join("catalogue.json"),
        r#"{"batches":[],"contributions":[]}"#,
    )
    .unwrap();
    let claim = format!("claim --pool {pool} --dry-run --password-file pw");
    results.run("claim", project, &claim);
    let audit = "audit sentiment --log log --package package";
    results.run("audit", project, audit);
    results.run("search", project, "search");
    results.run("proxy-new-key", project, "proxy --new-key alice");
    let proxy = ["--json", "proxy", "--listen", "127.0.0.1:0"];
    let proxy = openlora(project)
        .args(proxy)
        .args(["--password-file", "pw"]);
    let proxy = Live::named(proxy, "base_url");
    results.add("proxy", &proxy.ready.to_string());
    assert_eq!(proxy.drain().0, 0);
    fs::write(&file, before).unwrap();
}

/// An adapter in a container.
fn contained(results: &mut Results, home: &Path) {
    let base = golden("llama").display().to_string();
    let package = format!("package --adapter persona --base {base} --unsigned --out pkg");
    results.run("package", home, &package);
    let limits = "--runtime builtin --memory 768MiB --cpus 1";
    let run = format!("run pkg --base {base} --port 0 --json {limits}");
    let run = Live::of(openlora(home).args(run.split_whitespace()));
    results.add("run", &run.ready.to_string());
    assert_eq!(run.drain().0, 0);
}

/// The whole story told the truth about itself.
fn the_demo_learned(report: &Value) {
    let figure = |path: &str| report.pointer(path).and_then(Value::as_f64).unwrap();
    assert!(figure("/evaluated/adapter_accuracy") >= 0.9, "{report}");
    assert!(figure("/evaluated/base_accuracy") <= 0.5, "{report}");
    assert_eq!(figure("/deployed/version"), 1.0);
    assert_eq!(report["deployed"]["done"], "registered");
    assert_eq!(report["calls"].as_array().unwrap().len(), 4);
    assert_eq!(figure("/metered/calls"), figure("/paid/calls"));
}

fn amount(value: &Value) -> u128 {
    value.as_str().unwrap().parse().unwrap()
}

/// Everything that was charged is settled and reached its recipients.
fn the_demo_paid(report: &Value, kept: &Path) {
    let (paid, settled) = (&report["paid"], &report["settled"]);
    assert_eq!(paid["calls"], 50);
    // Five calls to the first adapter run at once; one that is done early leaves its channel to the
    // next. The other adapter's pictures are bought one by one, from a channel of their own.
    let opened = PayerStore::open(&kept.join("buyer/data")).unwrap();
    let opened = opened.channels().unwrap();
    let of = |adapter: &str| {
        opened
            .iter()
            .filter(|it| it.seller.adapter == adapter)
            .count()
    };
    let channels = of("sentiment");
    assert!((1..=5).contains(&channels), "{report}");
    assert_eq!(of("icons"), 1, "{report}");
    assert_eq!(paid["channels"], channels + 1, "{report}");
    assert!(amount(&paid["charged"]) > 0, "{report}");
    assert_eq!(settled["amount"], paid["charged"]);
    let recipients = settled["recipients"].as_array().unwrap();
    let released: u128 = recipients.iter().map(|it| amount(&it["amount"])).sum();
    assert_eq!(released, amount(&settled["amount"]), "{report}");
    let roles: BTreeSet<_> = recipients
        .iter()
        .map(|it| &it["role"])
        .map(Value::as_str)
        .collect();
    assert_eq!(
        roles,
        BTreeSet::from([Some("creator"), Some("contributors")])
    );
    let gas = |name: &str| settled[name].as_u64().unwrap();
    assert!(
        gas("gas_used") + gas("deposit_gas") < gas("gas_one_by_one"),
        "{report}"
    );
}

/// Every call was attributed and anchored, and contributors fetched what they were owed.
fn the_demo_attributed(report: &Value) {
    let attributed = &report["attributed"];
    assert_eq!(attributed["calls"], report["paid"]["calls"], "{report}");
    assert_eq!(attributed["anchored"], report["paid"]["calls"], "{report}");
    assert!(attributed["by_influence"].as_u64().unwrap() > 0, "{report}");
    let contributors = attributed["contributors"].as_array().unwrap();
    // Four of the first adapter, and three whose pictures the other was trained on.
    assert_eq!(contributors.len(), 7, "{report}");
    let ppm: u64 = contributors
        .iter()
        .map(|it| it["ppm"].as_u64().unwrap())
        .sum();
    // Each is rounded down.
    let rounded = contributors.len() as u64;
    assert!(ppm <= 1_000_000 && 1_000_000 - ppm <= rounded, "{report}");
    let owed: u128 = contributors.iter().map(|it| amount(&it["amount"])).sum();
    let recipients = report["settled"]["recipients"].as_array().unwrap();
    let pools = recipients.iter().filter(|it| it["role"] == "contributors");
    let pools: Vec<u128> = pools.map(|it| amount(&it["amount"])).collect();
    assert_eq!(pools.len(), 2, "{report}");
    // Fractions of a unit are carried on.
    let (claimed, pooled) = (amount(&attributed["claimed"]), pools.iter().sum::<u128>());
    assert_eq!(claimed, owed, "{report}");
    assert!(claimed <= pooled && pooled - claimed <= 7, "{report}");
}

/// The dashboard's headline is the sum of its rows, what `earnings` says, and what moved on the
/// chain, to the unit.
fn the_dashboard_says_the_same(results: &Results, kept: &Path) {
    let of = |name: &str| &results.0.iter().rfind(|(it, _)| *it == name).unwrap().1;
    let (demo, dash, earnings) = (of("demo"), of("dash"), of("earnings"));
    let (shown, earned) = (&dash["tokens"][0], &earnings["tokens"][0]);
    for range in ["today", "seven_days", "thirty_days", "all"] {
        for figure in [
            "charged",
            "refund_fees",
            "settled",
            "released",
            "gas_wei",
            "net",
        ] {
            assert_eq!(
                shown[range][figure], earned[range][figure],
                "{range} {figure}"
            );
        }
    }
    for figure in [
        "pending",
        "withdrawable",
        "uncollectable",
        "written_off",
        "deferred",
    ] {
        assert_eq!(shown["all"][figure], earned[figure], "{figure}");
    }
    let charged = amount(&shown["all"]["charged"]);
    for rows in ["by_adapter", "by_payer", "by_contributor"] {
        let rows = shown[rows].as_array().unwrap();
        let sum: u128 = rows.iter().map(|row| amount(&row["micro"])).sum();
        assert_eq!(sum, charged * 1_000_000, "{rows:?}");
    }
    assert_eq!(dash["calls"], demo["paid"]["calls"]);
    // What the chain's own logs say that the escrow claimed and sent, and the splitter paid out.
    let (claimed, settled, released) = moved_on_chain(&kept.join("home/data/journal.sqlite"));
    assert_eq!(claimed, charged);
    assert_eq!(settled, amount(&shown["all"]["settled"]));
    assert_eq!(released, amount(&shown["all"]["released"]));
}

fn moved_on_chain(journal: &Path) -> (u128, u128, u128) {
    let (mut claimed, mut settled, mut released) = (0, 0, 0);
    let mut journal = Journal::open_read_only(journal).unwrap();
    journal
        .replay(1, |record| match &record.event {
            Event::Claimed(it) => claimed += it.rows.iter().map(|row| row.amount.0).sum::<u128>(),
            Event::Settled(it) => settled += it.amount.0,
            Event::Released(it) => released += it.amount.0,
            // A transfer is there at once.
            Event::PaymentReceived(it) => {
                claimed += it.amount.0;
                settled += it.amount.0;
            }
            _ => {}
        })
        .unwrap();
    (claimed, settled, released)
}

/// `earnings` says of the demo's server what the demo says.
fn earned_what_was_paid(results: &Results) {
    let of = |name: &str| &results.0.iter().rfind(|(it, _)| *it == name).unwrap().1;
    let (demo, earnings) = (of("demo"), of("earnings"));
    let all = &earnings["tokens"][0];
    assert_eq!(all["all"]["calls"], demo["paid"]["calls"]);
    assert_eq!(all["all"]["charged"], demo["paid"]["charged"]);
    assert_eq!(all["all"]["settled"], demo["settled"]["amount"]);
    assert_eq!(
        (&all["pending"], &all["withdrawable"]),
        (&json!("0"), &json!("0"))
    );
    assert_eq!(earnings["rows"].as_array().unwrap().len(), 8);
    // Everyone who is paid is named. The shares are those of the charges; the creator's of each adapter
    // is rounded down, and so is each contributor's by influence and by static shares.
    let recipients = all["recipients"].as_array().unwrap();
    assert_eq!(recipients.len(), 8, "{recipients:?}");
    assert_eq!(recipients[0]["own"], true, "{recipients:?}");
    assert!(
        recipients.iter().all(|it| it["name"].is_string()),
        "{recipients:?}"
    );
    let pooled = recipients.iter().filter(|it| it["pool"].is_string());
    assert_eq!(pooled.count(), 7, "{recipients:?}");
    let earned = recipients.iter().map(|it| amount(&it["earned"]));
    let (earned, charged) = (earned.sum::<u128>(), amount(&all["all"]["charged"]));
    assert!(
        earned <= charged && charged - earned <= 16,
        "{recipients:?}"
    );
}
