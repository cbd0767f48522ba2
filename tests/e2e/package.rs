//! Packages of real runs: what the manifest says of a run, and the command.

use std::{fs, path::PathBuf, sync::OnceLock};

use openlora_core::Address;
use openlora_model::{
    BaseModel, adapter,
    dataset::{DataSource, load},
};
use openlora_package::{
    BaseFacts, Manifest, PackageError, RunFacts,
    build::{PackageDraft, PackageMetadata, PackageParts, draft},
    manifest::Digest,
};
use openlora_runtime::finished::FinishedRun;
use openlora_train::{
    RunDir, RunStart, TrainConfig, TrainFlow,
    run::{lock::RunLock, result::RunResult},
    train,
};
use tempfile::TempDir;

use crate::{
    deploy_support::Chain,
    files, golden,
    packages::{ADA, BOB, about, account, payees},
    support::{Run, openlora},
    tiny,
};

/// A finished run and its base, made once.
struct Made {
    _home: TempDir,
    base: PathBuf,
    run: RunDir,
}

fn made() -> &'static Made {
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
            long_rows: None,
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

fn base_facts() -> BaseFacts {
    BaseFacts::from_base(&BaseModel::open_dir("tiny-base", &made().base).unwrap()).unwrap()
}

fn drafted(about: &PackageMetadata) -> Result<PackageDraft, PackageError> {
    let run = FinishedRun::read(&made().run).unwrap().facts;
    let adapter = adapter::read(&made().run.adapter()).unwrap();
    draft(&PackageParts {
        about,
        adapter: &adapter,
        base: &base_facts(),
        run: Some(&run),
    })
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
    let expected: Vec<(Address, u64)> = vec![
        (account().address(), 600_000),
        (ADA.parse().unwrap(), 266_667),
        (BOB.parse().unwrap(), 133_333),
    ];
    assert_eq!(payees(&manifest), expected);
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
        3,
        &format!(
            "error: no project here: neither {} nor a folder above it has an openlora.toml\n\
             hint: make one with `openlora init` and go into its folder, or name the adapter's \
             folder\n",
            home.path().canonicalize().unwrap().display()
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

#[test]
fn an_adapter_made_elsewhere_is_named_by_its_folder() {
    let home = TempDir::new().unwrap();
    let base = made().base.display().to_string();
    let run = |folder: &str, more: &[&str]| {
        let args = ["package", "--base", &base, "--unsigned", "--out", folder];
        let command = openlora(home.path()).args(args.iter().chain(more).copied());
        command.env("SOURCE_DATE_EPOCH", "1700000000").run()
    };
    let adapter = made().run.adapter().display().to_string();
    run("p", &[&adapter]).succeeds();
    run("q", &["--adapter", &adapter]).succeeds();
    let manifest = |folder: &str| fs::read(home.path().join(folder).join("openlora.json")).unwrap();
    assert_eq!(manifest("p"), manifest("q"));
    let runs = made().run.path().display().to_string();
    run("r", &["--adapter", &runs]).fails(
        3,
        &format!(
            "error: {runs} is not an adapter directory: it has no adapter_config.json\nhint: name \
             the folder that holds adapter_config.json and adapter_model.safetensors, such as \
             runs/<id>/adapter\n"
        ),
    );
}

#[test]
fn an_adapter_of_another_base_is_not_packaged() {
    let home = TempDir::new().unwrap();
    let base = golden::dir("llama").display().to_string();
    let adapter = golden::dir("qwen3.all-linear").display().to_string();
    let args = ["package", "--adapter", &adapter, "--base", &base];
    let run = openlora(home.path())
        .args(args.iter().copied().chain(["--unsigned", "--out", "p"]))
        .run();
    run.fails(
        3,
        &format!(
            "error: adapter {adapter}: `model.layers.0.self_attn.k_proj` lora_B: expected shape \
             [16, 4] for this base, found [32, 4]\nhint: choose the base that the adapter was \
             trained on with --base; base_model_name_or_path in adapter_config.json names it\n"
        ),
    );
    assert!(!home.path().join("p").exists());
}

/// A project with the finished run and nothing else, on a chain of its own.
struct RunProject {
    _chain: Chain,
    home: TempDir,
}

impl RunProject {
    fn new() -> Self {
        let chain = Chain::embedded();
        let home = TempDir::new().unwrap();
        let dir = home.path();
        // The lock names the base by the name that it had.
        files::copy(&made().base, &dir.join("tiny-base"));
        let run = &made().run;
        let to = dir.join("runs").join(run.id());
        files::copy(run.path(), &to);
        files::copy(&run.adapter(), &to.join("adapter"));
        fs::write(dir.join("runs/latest"), run.id()).unwrap();
        let settings = format!(
            "[project]\nname = \"tiny\"\n[network.local]\nrpc = \"{}\"\n",
            chain.url()
        );
        fs::write(dir.join("openlora.toml"), settings).unwrap();
        Self {
            _chain: chain,
            home,
        }
    }

    fn run(&self, line: &str) -> Run {
        let command = openlora(self.home.path());
        command.args(line.split_whitespace()).run().succeeds()
    }

    /// The lines of `explore` that begin with a word.
    fn explored(&self, word: &str) -> Vec<String> {
        let explored = self.run("explore").stdout;
        let lines = explored.lines().map(str::trim_start);
        lines
            .filter(|line| line.starts_with(word))
            .map(str::to_owned)
            .collect()
    }
}

const LICENSE_HINT: &str = "hint: the package names no licence, because project.license is unset; \
                            set it and package again: openlora config set project.license \
                            CC-BY-4.0\n";

#[test]
fn a_deployment_says_once_who_signs_and_before_that_the_licence_is_missing() {
    let project = RunProject::new();
    let deployed = project.run("deploy");
    let package = project.home.path().join("runs").join(made().run.id());
    let before = format!(
        "there is no wallet: signing with the development chain's account 1, \
         0x70997970C51812dc3A010C7d01b50e0d17dc79C8, whose key everybody knows\n{LICENSE_HINT}\
         packaged as {}/package\n",
        package.display()
    );
    let (first, rest) = deployed.stderr.split_at(before.len());
    assert_eq!(first, before);
    assert!(!rest.contains("there is no wallet"), "{rest}");
    // What the hint says is heard.
    project.run("config set project.license CC-BY-4.0");
    let packaged = project.run("package --unsigned");
    assert_eq!(
        packaged.stderr,
        format!(
            "hint: check it with `openlora verify runs/{}/package`\n",
            made().run.id()
        )
    );
}

#[test]
fn an_adapter_keeps_its_task_and_shares_are_percentages() {
    let project = RunProject::new();
    project.run("deploy");
    let shares = |word: &str| -> Vec<String> {
        let amounts = project.explored(word).into_iter();
        let amount = |line: String| line.rsplit_once(" 0x").map(|it| it.1.to_owned());
        let without_account = |line: String| line.split_once(' ').map(|it| it.1.to_owned());
        amounts
            .filter_map(amount)
            .filter_map(without_account)
            .collect()
    };
    let explored = [
        "60.00 %",
        "40.00 % (contributors' pool)",
        "66.66 %",
        "33.33 %",
    ];
    let mut found = shares("share ");
    found.sort_unstable();
    let mut expected = explored.to_vec();
    expected.sort_unstable();
    assert_eq!(found, expected);
    assert_eq!(project.explored("task "), ["task          classify"]);
    fs::write(project.home.path().join("pw"), "correct horse battery\n").unwrap();
    project.run("wallet new me --light-kdf --password-file pw");
    let packaged = project.run("package --account me --password-file pw");
    let parts = packaged.stdout.lines().filter(|line| line.contains(" %"));
    let address = project.run("wallet address me").stdout;
    assert_eq!(
        parts.collect::<Vec<_>>(),
        [
            format!("creator       60.00 %, {}", address.trim_end()),
            "contributors  40.00 %, divided among them".to_owned()
        ]
    );
    assert!(
        packaged.stderr.starts_with(LICENSE_HINT),
        "{}",
        packaged.stderr
    );
    // The run's package is another one now; its weights are the same.
    assert_eq!(project.explored("task "), ["task          classify"]);
}
