//! The facts that the package of a served adapter states, for the server's pages and listings.
//!
//! An adapter that is served from its run has its package beside it. A package is only believed if it
//! is about exactly the served weights.

use std::path::{Path, PathBuf};

use openlora_core::Address;
use openlora_model::adapter::{LoraAdapter, WEIGHTS_FILE};
use openlora_package::{
    self as package, MANIFEST_FILE, Package, hash,
    manifest::{EvalMetric, Manifest, ManifestContributor, ManifestDataset, SplitShare},
};
use openlora_release::eip712::SignerRecovery;
use openlora_serve::adapter_profile::{
    AdapterProfile, DatasetProfile, EvaluationProfile, PartyShare,
};

/// The profile of an adapter. Without a package that fits, only its weights are named.
pub fn read_profile(adapter: &LoraAdapter) -> AdapterProfile {
    let weights = hash(&adapter.dir.join(WEIGHTS_FILE));
    let weights = weights.ok().map(|(digest, _)| digest.to_string());
    let Some(weights) = weights else {
        return AdapterProfile::default();
    };
    let found = folders(&adapter.dir).into_iter().find_map(|dir| {
        let read = package::read(&dir).ok()?;
        is_about(&read.manifest, &weights).then_some(read)
    });
    let profile = found.map_or_else(AdapterProfile::default, |it| from_package(&it));
    AdapterProfile {
        weights_sha256: Some(weights),
        ..profile
    }
}

/// Where the package of an adapter may be: it is the package, or part of a run that has one.
fn folders(dir: &Path) -> Vec<PathBuf> {
    let beside = dir.parent().map(|run| run.join("package"));
    let places = std::iter::once(dir.to_owned()).chain(beside);
    places
        .filter(|dir| dir.join(MANIFEST_FILE).is_file())
        .collect()
}

fn is_about(manifest: &Manifest, weights: &str) -> bool {
    let mut files = manifest.files.iter();
    files.any(|file| file.path == WEIGHTS_FILE && file.sha256.to_string() == weights)
}

fn from_package(package: &Package) -> AdapterProfile {
    let manifest = &package.manifest;
    AdapterProfile {
        title: Some(manifest.name.clone()),
        release: Some(manifest.version.clone()),
        maker: manifest.trainer.name.clone(),
        signer: signer(package),
        weights_sha256: None,
        manifest_sha256: Some(package.manifest_sha256.to_string()),
        license: Some(manifest.license.clone()).filter(|license| license != "NOASSERTION"),
        datasets: manifest.datasets.iter().map(dataset).collect(),
        contributors: manifest.contributors.iter().map(contributor).collect(),
        split: manifest.split.iter().map(recipient).collect(),
        evaluations: manifest
            .training
            .eval_metrics
            .iter()
            .map(evaluation)
            .collect(),
    }
}

/// The publisher, if its signature is over this manifest.
fn signer(package: &Package) -> Option<Address> {
    let envelope = package.envelope.as_ref()?;
    let release = package.manifest.release(package.manifest_sha256);
    let is_publisher = package.manifest.trainer.evm_address == Some(envelope.address);
    let fits = is_publisher && envelope.message == release;
    (fits && envelope.verify(&SignerRecovery).is_ok()).then_some(envelope.address)
}

fn dataset(data: &ManifestDataset) -> DatasetProfile {
    DatasetProfile {
        id: data.id.clone(),
        contributor: data.contributor.clone(),
        records: data.records.0,
        license: data.license.clone(),
    }
}

fn contributor(contributor: &ManifestContributor) -> PartyShare {
    PartyShare {
        name: contributor.name.clone(),
        address: contributor.address,
        ppm: contributor.static_ppm,
    }
}

fn recipient(share: &SplitShare) -> PartyShare {
    PartyShare {
        name: share.role.clone(),
        address: share.address,
        ppm: share.ppm,
    }
}

fn evaluation(metric: &EvalMetric) -> EvaluationProfile {
    EvaluationProfile {
        metric: metric.name.clone(),
        value: metric.value,
        base: metric.base,
        rows: metric.rows.0,
    }
}
