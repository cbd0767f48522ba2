//! Packages of real runs: what is written, that it is the same every time, and that it verifies.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use openlora::runtime::finished::FinishedRun;
use openlora_chain::{
    development,
    network::{Network, NetworkOptions},
};
use openlora_core::{Address, error::Explain};
use openlora_ledger::apportion;
use openlora_model::{
    BaseModel, adapter,
    dataset::{DataSource, load},
};
use openlora_package::{
    BaseFacts, Manifest, PackageError, RunFacts, WrittenPackage,
    build::{PackageDraft, PackageMetadata, PackageParts, RevenueSplitOptions, draft},
    manifest::Digest,
    read,
    release::SigningDomain,
    sign,
    verify::{CheckStatus, LocalEvidence, PackageVerification, TrustLabel, verify},
    write,
};
use openlora_release::eip712::{AccountSigner, SignerRecovery};
use openlora_train::{
    RunDir, RunStart, TrainConfig, TrainFlow,
    run::{lock::RunLock, result::RunResult},
    train,
};
use openlora_wallet::WalletAccount;
use proptest::prelude::*;
use tempfile::TempDir;

use crate::{support::openlora, tiny};

const ADA: &str = "0x5Ab1c2D3E4f5061728394a5b6C7D8E9F0a1b2c3d";
const BOB: &str = "0x6BC2d3e4f506172839405a6B7c8D9eA0B1c2D3e4";

/// A finished run and its base, made once.
pub struct Made {
    _home: TempDir,
    pub base: PathBuf,
    pub run: RunDir,
}

pub fn made() -> &'static Made {
    static MADE: OnceLock<Made> = OnceLock::new();
    MADE.get_or_init(|| {
        let home = TempDir::new().unwrap();
        let dir = home.path();
        let base = tiny::base(dir);
        let mut inputs = tiny::inputs(
            dir,
            &base,
            8,
            TrainConfig {
                val: None,
                epochs: 1,
                ..tiny::config()
            },
        );
        let source = |name: &str, contributor: &str, address: &str, rows| DataSource {
            contributor: contributor.into(),
            address: Some(address.into()),
            license: Some("CC0-1.0".into()),
            ..DataSource::of_file(tiny::labelled(dir, name, rows))
        };
        inputs.dataset = load(&[
            source("z.jsonl", "Ada", ADA, 0..20),
            source("a.jsonl", "Bob", BOB, 20..30),
        ])
        .unwrap();
        let runs = dir.join("runs");
        let start = RunStart::Fresh { runs };
        let (outcome, _) = train(&inputs, &start, &mut |_| TrainFlow::Continue).unwrap();
        let result = RunResult {
            ended_at: 1_795_363_445,
            metrics: Vec::new(),
        };
        result.write(&outcome.run).unwrap();
        let run = RunDir::find(&dir.join("runs"), None).unwrap();
        Made {
            _home: home,
            base,
            run,
        }
    })
}

pub fn base_facts() -> BaseFacts {
    BaseFacts::from_base(&BaseModel::open_dir("tiny-base", &made().base).unwrap()).unwrap()
}

pub fn account() -> WalletAccount {
    let network = Network::resolve("local", &NetworkOptions::default()).unwrap();
    development::account(&network, 0).unwrap()
}

pub fn about() -> PackageMetadata {
    PackageMetadata {
        name: "tone".into(),
        version: "1.0.0".into(),
        publisher: Some(account().address()),
        license: Some("CC-BY-4.0".into()),
        created_at: 1_795_363_445,
        ..PackageMetadata::default()
    }
}

pub fn drafted(about: &PackageMetadata) -> Result<PackageDraft, PackageError> {
    let run = FinishedRun::read(&made().run).unwrap().facts;
    let adapter = adapter::read(&made().run.adapter()).unwrap();
    draft(&PackageParts {
        about,
        adapter: &adapter,
        base: &base_facts(),
        run: Some(&run),
    })
}

pub fn written(dir: &Path) -> WrittenPackage {
    let domain = SigningDomain::for_registry(31_337, None);
    write(
        dir,
        &drafted(&about()).unwrap(),
        Some((&domain, &AccountSigner(&account()))),
    )
    .unwrap()
}

/// A signed package in `home`.
pub fn packaged(home: &Path) -> PathBuf {
    written(&home.join("package")).dir
}

/// Everything that verifying can be compared with, and the chain of the signature.
pub fn evidence(manifest: &Manifest) -> LocalEvidence {
    LocalEvidence {
        base: Ok(base_facts()),
        datasets: manifest
            .datasets
            .iter()
            .map(|data| Ok(data.sha256))
            .collect(),
        domain: Some(SigningDomain::for_registry(31_337, None)),
    }
}

pub fn checked(dir: &Path) -> PackageVerification {
    verify(dir, &SignerRecovery, &evidence).unwrap().0
}

fn bytes_of(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let file = |entry: std::io::Result<fs::DirEntry>| {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, fs::read(path).unwrap())
    };
    fs::read_dir(dir).unwrap().map(file).collect()
}

#[test]
fn a_package_verifies_and_says_what_it_rests_on() {
    let home = TempDir::new().unwrap();
    let report = checked(&packaged(home.path()));
    let found: Vec<(&str, CheckStatus, TrustLabel)> = report
        .checks
        .iter()
        .map(|check| (check.name, check.status, check.label))
        .collect();
    use {CheckStatus::*, TrustLabel::*};
    let expected = [
        ("structure", Pass, VerifiedBytes),
        ("safetensors", Pass, VerifiedBytes),
        ("config", Pass, VerifiedBytes),
        ("files", Pass, VerifiedBytes),
        ("model-signature", Skipped, Unverified),
        ("eip712", Pass, SignedClaim),
        ("base", Pass, VerifiedBytes),
        ("datasets", Pass, VerifiedBytes),
        ("log", Skipped, Unverified),
        ("chain", Skipped, Unverified),
    ];
    assert_eq!((report.ok, found), (true, expected.to_vec()));
}

#[test]
fn the_same_facts_give_the_same_bytes() {
    let home = TempDir::new().unwrap();
    let (one, two) = (home.path().join("one"), home.path().join("deep/two"));
    written(&one);
    written(&two);
    assert_eq!(bytes_of(&one), bytes_of(&two));
    // Again over what is there.
    written(&one);
    assert_eq!(bytes_of(&one), bytes_of(&two));
    let left: Vec<_> = fs::read_dir(home.path()).unwrap().collect();
    assert_eq!(left.len(), 2);
}

#[test]
fn the_manifest_holds_the_facts_of_the_run() {
    let manifest = drafted(&about()).unwrap().manifest;
    let lock = FinishedRun::read(&made().run).unwrap().lock;
    let ids: Vec<&str> = manifest
        .datasets
        .iter()
        .map(|data| data.id.as_str())
        .collect();
    assert_eq!(ids, ["a.jsonl", "z.jsonl"]);
    let of_bob = &manifest.datasets[0];
    assert_eq!(of_bob.sha256.to_string(), lock.data[1].sha256);
    assert_eq!(
        (of_bob.records.0, of_bob.owner),
        (10, Some(BOB.parse().unwrap()))
    );
    assert_eq!(of_bob.distinct_records.unwrap().0, 10);
    assert!(!manifest.counts_copies());
    assert_eq!(manifest.copiers().count(), 0);
    let normalised = |index: usize| {
        let row = tiny::row(index);
        let line = format!(
            "{{\"kind\":\"labelled\",\"text\":\"{}\",\"label\":\"{}\"}}\n",
            row.0, row.1
        );
        line.len() as u64
    };
    assert_eq!(
        of_bob.size.unwrap().0,
        (20..30).map(normalised).sum::<u64>()
    );
    let shares: Vec<(&str, u64)> = manifest
        .contributors
        .iter()
        .map(|c| (c.name.as_str(), c.static_ppm))
        .collect();
    assert_eq!(shares, [("Ada", 666_667), ("Bob", 333_333)]);
    let payees: Vec<(Address, u64)> = vec![
        (account().address(), 600_000),
        (ADA.parse().unwrap(), 266_667),
        (BOB.parse().unwrap(), 133_333),
    ];
    assert_eq!(manifest.payees(), payees);
    assert_eq!(manifest.training.seed.unwrap().0, 42);
    assert_eq!(manifest.training.ended_at.unwrap().0, 1_795_363_445);
    assert!(manifest.training.started_at.unwrap().0 > 1_700_000_000);
    assert_eq!(
        manifest.adapter.tensor_count.0,
        2 * manifest.adapter.modules.len() as u64
    );
}

#[test]
fn a_run_of_an_older_version_keeps_its_static_shares_and_its_manifest_is_read() {
    let FinishedRun {
        lock,
        facts: mut run,
    } = FinishedRun::read(&made().run).unwrap();
    let text = toml::to_string(&lock).unwrap();
    let without: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with("distinct"))
        .collect();
    assert_eq!(text.lines().count(), without.len() + 2);
    let older: RunLock = toml::from_str(&without.join("\n")).unwrap();
    run.sources = older.data;
    // As if most of its rows were copies.
    assert_eq!(run.sources[0].counted(), 20);
    let adapter = adapter::read(&made().run.adapter()).unwrap();
    let draft = |run: &RunFacts| {
        draft(&PackageParts {
            about: &about(),
            adapter: &adapter,
            base: &base_facts(),
            run: Some(run),
        })
    };
    let manifest = draft(&run).unwrap().manifest;
    let bytes = manifest.to_bytes().unwrap();
    assert!(
        !String::from_utf8(bytes.clone())
            .unwrap()
            .contains("distinct")
    );
    let read = Manifest::parse(&bytes).unwrap();
    assert_eq!(read.to_bytes().unwrap(), bytes);
    assert!(read.counts_copies());
    assert_eq!(read.contributors[0].static_ppm, 666_667);
    // Distinct rows alone count.
    (run.sources[0].distinct, run.sources[1].distinct) = (Some(10), Some(10));
    let manifest = draft(&run).unwrap().manifest;
    assert_eq!(manifest.contributors[0].static_ppm, 500_000);
    run.sources[1].distinct = Some(0);
    let manifest = draft(&run).unwrap().manifest;
    let shares: Vec<u64> = manifest
        .contributors
        .iter()
        .map(|it| it.static_ppm)
        .collect();
    assert_eq!(shares, [1_000_000, 0]);
    let copiers: Vec<&str> = manifest.copiers().map(|it| it.name.as_str()).collect();
    assert_eq!(copiers, ["Bob"]);
}

#[test]
fn an_imported_adapter_says_so_and_invents_nothing() {
    let adapter = adapter::read(&made().run.adapter()).unwrap();
    let parts = |about: &PackageMetadata| {
        draft(&PackageParts {
            about,
            adapter: &adapter,
            base: &base_facts(),
            run: None,
        })
    };
    let manifest = parts(&about()).unwrap().manifest;
    let training = serde_json::to_value(&manifest.training).unwrap();
    assert_eq!(
        training,
        serde_json::json!({
            "mode": "imported", "tool": null, "toolVersion": null, "seed": null,
            "hyperparameters": null, "steps": null, "tokens": null, "finalLoss": null,
            "evalMetrics": [], "startedAt": null, "endedAt": null, "logSha256": null,
        })
    );
    assert_eq!(
        (manifest.datasets.len(), manifest.contributors.len()),
        (0, 0)
    );
    assert_eq!(manifest.payees(), [(account().address(), 1_000_000)]);
    let wish = RevenueSplitOptions {
        contributors: Some(1),
        ..RevenueSplitOptions::default()
    };
    let refused = parts(&PackageMetadata {
        split: wish,
        ..about()
    });
    assert_eq!(
        refused.unwrap_err().to_string(),
        "`[split]` gives contributors 1 ppm, but the adapter has none that are known"
    );
}

#[test]
fn a_package_is_signed_again_for_another_chain() {
    let home = TempDir::new().unwrap();
    let dir = packaged(home.path());
    let before = bytes_of(&dir);
    let package = read(&dir).unwrap();
    let domain = SigningDomain::for_registry(8453, Some(ADA.parse().unwrap()));
    let envelope = sign(&package, &domain, &AccountSigner(&account())).unwrap();
    assert_eq!(read(&dir).unwrap().envelope, Some(envelope));
    let mut after = bytes_of(&dir);
    let name = "openlora.eip712.json";
    assert_ne!(after[name], before[name]);
    after.insert(name.into(), before[name].clone());
    assert_eq!(after, before);
    let eip712 = checked(&dir).checks.remove(5);
    assert_eq!(
        eip712.reason.as_deref(),
        Some("the signature is for chain 8453, expected 31337")
    );
    let network = Network::resolve("local", &NetworkOptions::default()).unwrap();
    let other = development::account(&network, 1).unwrap();
    assert_eq!(
        sign(&package, &domain, &AccountSigner(&other))
            .unwrap_err()
            .to_string(),
        format!(
            "the package was made by {}, so {} cannot sign it",
            account().address(),
            other.address()
        )
    );
}

#[test]
fn other_folders_are_never_replaced() {
    let home = TempDir::new().unwrap();
    let dir = packaged(home.path());
    fs::write(dir.join("mine.txt"), "precious").unwrap();
    let domain = SigningDomain::for_registry(31_337, None);
    let draft = drafted(&about()).unwrap();
    let error = write(&dir, &draft, Some((&domain, &AccountSigner(&account())))).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "{0} holds other files ({0}: the file `mine.txt` is not in the manifest), so no \
             package is written there",
            dir.display()
        )
    );
    assert_eq!(
        error.hint().as_deref(),
        Some("choose another folder with --out")
    );
    let occupied = home.path().join("occupied");
    fs::create_dir(&occupied).unwrap();
    fs::write(occupied.join("b"), "").unwrap();
    assert_eq!(
        write(&occupied, &draft, None).unwrap_err().to_string(),
        format!(
            "{} holds other files (b), so no package is written there",
            occupied.display()
        )
    );
}

#[test]
fn skipped_checks_say_why() {
    let home = TempDir::new().unwrap();
    let draft = drafted(&PackageMetadata {
        publisher: None,
        ..about()
    })
    .unwrap();
    let dir = write(&home.path().join("p"), &draft, None).unwrap().dir;
    let nothing = |manifest: &Manifest| LocalEvidence {
        base: Err("the base tiny-base is not here".into()),
        datasets: manifest
            .datasets
            .iter()
            .map(|data| match data.id.as_str() {
                "a.jsonl" => Ok(data.sha256),
                other => Err(format!("{other} is not here")),
            })
            .collect(),
        domain: None,
    };
    let report = verify(&dir, &SignerRecovery, &nothing).unwrap().0;
    let skipped: Vec<(&str, &str)> = report
        .checks
        .iter()
        .filter(|check| check.status == CheckStatus::Skipped)
        .map(|check| (check.name, check.reason.as_deref().unwrap()))
        .collect();
    assert_eq!(
        skipped,
        [
            ("model-signature", "the package has no model.sig"),
            ("eip712", "the package is not signed"),
            ("base", "the base tiny-base is not here"),
            ("datasets", "1 of 2 cannot be compared: z.jsonl is not here"),
            ("log", "the manifest names no usage log"),
            ("chain", "the release was not looked up on a chain"),
        ]
    );
    assert!(report.ok);
}

proptest! {
    #[test]
    fn parts_sum_to_the_whole_and_are_off_by_less_than_one(
        weights in prop::collection::vec(0u128..1_000_000_000_000, 1..40),
    ) {
        let total: u128 = weights.iter().sum();
        let parts = apportion(1_000_000, &weights);
        let sum: u64 = parts.iter().sum();
        prop_assert_eq!(sum, if total == 0 { 0 } else { 1_000_000 });
        for (part, weight) in parts.iter().zip(&weights) {
            if total > 0 {
                let exact = 1_000_000 * weight;
                let part = u128::from(*part) * total;
                prop_assert!(part.abs_diff(exact) < total);
            }
        }
    }
}

#[test]
fn what_is_left_goes_to_the_largest_remainders() {
    assert_eq!(apportion(10, &[1, 1, 1]), [4, 3, 3]);
    assert_eq!(apportion(10, &[5, 3, 1]), [6, 3, 1]);
    assert_eq!(apportion(1_000_000, &[0, 7, 0]), [0, 1_000_000, 0]);
    assert_eq!(apportion(1_000_000, &[0, 0]), [0, 0]);
    assert_eq!(apportion(1_000_000, &[]), Vec::<u64>::new());
}

#[test]
fn the_command_packages_and_verifies_a_project() {
    let home = TempDir::new().unwrap();
    let run = |args: &[&str]| {
        openlora(home.path())
            .args(args.iter().copied())
            .env("SOURCE_DATE_EPOCH", "1700000000")
            .run()
    };
    let base = made().base.display().to_string();
    let adapter = made().run.adapter().display().to_string();
    let public = ["--network", "base-sepolia"];
    run(&[
        &["package", &adapter, "--base", &base, "--no-input"][..],
        &public,
    ]
    .concat())
    .fails(
        8,
        &format!(
            "error: there is no account in {}\nhint: make one with `openlora wallet new NAME`, \
             or leave the signature out with --unsigned\n",
            home.path().join("home/data/keystores").display()
        ),
    );
    run(&["package", "--unsigned"]).fails(
        2,
        &format!(
            "error: no run was found in {}\nhint: start one with `openlora train`\n",
            home.path().join("runs").display()
        ),
    );
    let args = [
        "--json",
        "package",
        &adapter,
        "--base",
        &base,
        "--unsigned",
        "--out",
        "p",
    ];
    let said: serde_json::Value = serde_json::from_str(&run(&args).succeeds().stdout).unwrap();
    let manifest = fs::read(home.path().join("p/openlora.json")).unwrap();
    assert_eq!(
        said["manifest_sha256"],
        Digest::hash_bytes(&manifest).to_string()
    );
    assert_eq!(
        Manifest::parse(&manifest).unwrap().created_at.0,
        1_700_000_000
    );
    let report = run(&["--json", "verify", "p", "--base", &base]).succeeds();
    let report: serde_json::Value = serde_json::from_str(&report.stdout).unwrap();
    assert_eq!(
        (&report["ok"], report["checks"].as_array().unwrap().len()),
        (&true.into(), 10)
    );
    // A placeholder is good enough on a development chain only.
    let dead = "0x000000000000000000000000000000000000dEaD";
    let unsigned = ["package", &adapter, "--base", &base, "--unsigned", "--out"];
    let pays_nobody = |more: &[&str]| {
        openlora(home.path())
            .args(unsigned.iter().chain(more).copied())
            .env("OPENLORA_SPLIT_CREATOR_ADDRESS", dead)
            .run()
    };
    pays_nobody(&["local"]).succeeds();
    let refused = pays_nobody(&[&["public"][..], &public].concat());
    refused.fails(
        3,
        &format!(
            "error: the split's creator has the address {dead}, which is a placeholder that nobody \
             can spend from; on `base-sepolia` that is refused\nhint: give it an account of its \
             own: `address` of its `[[data]]` entry, `split.creator_address`, or another --account, \
             --server or --to\n"
        ),
    );
    assert!(!home.path().join("public").exists());
    fs::write(home.path().join("p/LICENSE"), "mine now").unwrap();
    let broken = run(&["verify", "p", "--base", &base]);
    assert_eq!(broken.code, 9);
    let size = Manifest::parse(&manifest).unwrap().files[0].size.0;
    assert_eq!(
        broken.stdout,
        format!(
            "pass     structure\npass     safetensors\npass     config\nFAIL     files            \
             LICENSE has 8 bytes, expected {size}\nskipped  model-signature  the package has no \
             model.sig\nskipped  eip712           the package is not signed\npass     base\n\
             skipped  datasets         the manifest names none\nskipped  log              the \
             manifest names no usage log\nskipped  chain            the release was not looked up \
             on a chain\ndo not use this package\n"
        )
    );
}
