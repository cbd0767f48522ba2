//! Packages of real runs: what is written, that it is the same every time, and that it verifies.

use std::{collections::BTreeMap, fs, path::Path};

use openlora_chain::{
    development,
    network::{Network, NetworkOptions},
};
use openlora_core::error::Explain;
use openlora_ledger::apportion;
use openlora_package::{
    Package, TrustedRoots,
    build::{PackageMetadata, PackageParts, RevenueSplitOptions, draft},
    read,
    release::SigningDomain,
    verify::{CheckStatus, LocalEvidence, TrustLabel, verify},
    write,
};
use openlora_release::eip712::{AccountSigner, SignerRecovery};
use proptest::prelude::*;
use tempfile::TempDir;

use crate::packages::{
    ADA, about, account, adapter, base_facts, checked, drafted, packaged, payees, written,
};

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
fn an_imported_adapter_says_so_and_invents_nothing() {
    let adapter = adapter();
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
    assert_eq!(payees(&manifest), [(account().address(), 1_000_000)]);
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
        "`[split]` gives contributors 0.0001 %, but the adapter has none that are known"
    );
}

#[test]
fn a_package_is_signed_for_one_chain() {
    let home = TempDir::new().unwrap();
    let dir = packaged(home.path());
    let before = bytes_of(&dir);
    let draft = drafted(&about()).unwrap();
    let domain = SigningDomain::for_registry(8453, Some(ADA.parse().unwrap()));
    let signed = write(&dir, &draft, Some((&domain, &AccountSigner(&account())))).unwrap();
    assert!(signed.envelope.is_some());
    assert_eq!(read(&dir).unwrap().envelope, signed.envelope);
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
        write(&dir, &draft, Some((&domain, &AccountSigner(&other))))
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
    let nothing = |package: &Package| LocalEvidence {
        base: Err("the base tiny-base is not here".into()),
        datasets: package
            .manifest
            .datasets
            .iter()
            .map(|data| match data.id.as_str() {
                "a.jsonl" => Ok(data.sha256),
                other => Err(format!("{other} is not here")),
            })
            .collect(),
        domain: None,
        publishers: Vec::new(),
        model_keys: Vec::new(),
        model_roots: TrustedRoots::default(),
        chain: Err("the release was not looked up on a chain".into()),
        log: Err("the release was not looked up in a log".into()),
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
