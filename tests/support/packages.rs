//! Packages of a small adapter, as if a run of two contributors had made it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use openlora_chain::{
    development,
    network::{Network, NetworkOptions},
};
use openlora_core::Address;
use openlora_ledger::apportion;
use openlora_model::{
    BaseModel,
    adapter::{self, LoraAdapter},
    dataset::LockedSource,
};
use openlora_package::{
    BaseFacts, Manifest, Package, PackageError, RunFacts, TrustedRoots, WrittenPackage,
    build::{PackageDraft, PackageMetadata, PackageParts, draft},
    manifest::{CONTRIBUTORS, Digest, Training, WeightsOrigin},
    release::{ModelSigner, SigningDomain},
    verify::{LocalEvidence, PackageVerification, verify},
    whole::WholeNumber,
    write,
};
use openlora_release::eip712::{AccountModelSigner, AccountSigner, SignerRecovery};
use openlora_wallet::WalletAccount;

use crate::golden;

pub const ADA: &str = "0x5Ab1c2D3E4f5061728394a5b6C7D8E9F0a1b2c3d";
pub const BOB: &str = "0x6BC2d3e4f506172839405a6B7c8D9eA0B1c2D3e4";

pub fn adapter() -> LoraAdapter {
    adapter::read(&golden::dir("llama.qv")).unwrap()
}

pub fn base_facts() -> BaseFacts {
    let base = BaseModel::open_dir("tiny-base", &golden::dir("llama")).unwrap();
    BaseFacts::from_base(&base).unwrap()
}

/// A run on 20 rows of Ada and 10 of Bob.
pub fn run_facts() -> RunFacts {
    let source = |path: &str, contributor: &str, address: &str, rows| LockedSource {
        path: path.into(),
        contributor: contributor.into(),
        address: Some(address.into()),
        license: Some("CC0-1.0".into()),
        weight: 1.0,
        rows,
        distinct: Some(rows),
        sha256: Digest::hash_bytes(path.as_bytes()).to_string(),
        bytes: Some(1_000),
    };
    RunFacts {
        id: "run".into(),
        base_digest: base_facts().digest,
        sources: vec![
            source("z.jsonl", "Ada", ADA, 20),
            source("a.jsonl", "Bob", BOB, 10),
        ],
        training: Training {
            mode: WeightsOrigin::Trained,
            tool: Some("openlora".into()),
            tool_version: Some("0.1.0".into()),
            seed: Some(WholeNumber(42)),
            hyperparameters: Some(BTreeMap::from([
                ("batch".into(), 4.into()),
                ("rank".into(), 4.into()),
            ])),
            steps: Some(WholeNumber(8)),
            tokens: Some(WholeNumber(4_000)),
            final_loss: Some(1.5),
            eval_metrics: Vec::new(),
            started_at: Some(WholeNumber(1_795_363_400)),
            ended_at: Some(WholeNumber(1_795_363_445)),
            log_sha256: Some(Digest::hash_bytes(b"log")),
        },
    }
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
    draft(&PackageParts {
        about,
        adapter: &adapter(),
        base: &base_facts(),
        run: Some(&run_facts()),
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

/// A package at `dir` with `model.sig`.
pub fn model_signed(dir: &Path) -> PathBuf {
    let account = account();
    let key = AccountModelSigner::of_account(&account)
        .unwrap()
        .public_key();
    let about = PackageMetadata {
        signing_key: Some(key.digest()),
        ..about()
    };
    let domain = SigningDomain::for_registry(31_337, None);
    let signer = AccountSigner(&account);
    let draft = drafted(&about).unwrap();
    write(dir, &draft, Some((&domain, &signer))).unwrap().dir
}

/// Everything that verifying can be compared with, and the chain of the signature.
pub fn evidence(package: &Package) -> LocalEvidence {
    LocalEvidence {
        base: Ok(base_facts()),
        datasets: package
            .manifest
            .datasets
            .iter()
            .map(|data| Ok(data.sha256))
            .collect(),
        domain: Some(SigningDomain::for_registry(31_337, None)),
        publishers: Vec::new(),
        model_keys: Vec::new(),
        model_roots: TrustedRoots::default(),
        chain: Err("the release was not looked up on a chain".into()),
        log: Err("the release was not looked up in a log".into()),
    }
}

pub fn checked(dir: &Path) -> PackageVerification {
    verify(dir, &SignerRecovery, &evidence).unwrap().0
}

/// The payees and their shares if contributors are paid directly by their static shares. An
/// account with several roles appears once; zero shares are left out.
pub fn payees(manifest: &Manifest) -> Vec<(Address, u64)> {
    let mut payees: Vec<(Address, u64)> = Vec::new();
    let mut pay = |address: Option<Address>, ppm: u64| {
        let Some(address) = address.filter(|_| ppm > 0) else {
            return;
        };
        match payees.iter_mut().find(|payee| payee.0 == address) {
            Some(payee) => payee.1 += ppm,
            None => payees.push((address, ppm)),
        }
    };
    for share in &manifest.split {
        if share.role != CONTRIBUTORS {
            pay(share.address, share.ppm);
            continue;
        }
        let weights: Vec<u128> = manifest
            .contributors
            .iter()
            .map(|contributor| u128::from(contributor.static_ppm))
            .collect();
        let parts = apportion(share.ppm, &weights);
        for (contributor, ppm) in manifest.contributors.iter().zip(parts) {
            pay(contributor.address, ppm);
        }
    }
    payees
}
