//! Compares a package with its registry entry, check by check.

use alloy::hex;

use super::{AdapterView, RegistryReport, ReleaseView, ShareView};
use crate::{
    deploy::{self, DeployError, POOL_DELAY, POOL_QUORUM, ReleaseParams, id_of, payout, require},
    eip712::SignerRecovery,
};
use openlora_chain::{
    provider::Chain,
    registry::{AdapterId, OpenLoraRegistry as Registry, shown_id},
};
use openlora_core::exact_percent;
use openlora_package::{
    Package,
    release::SigningDomain,
    verify::{CheckStatus, PackageCheck, PackageVerification, TrustLabel},
};

/// Compares a package with the adapters that were read.
pub fn compare(explored: &RegistryReport, package: &Package) -> PackageVerification {
    let params = match ReleaseParams::from_package(package) {
        Ok(params) => params,
        Err(error) => return report(vec![judged("registered", Err(error.to_string()))]),
    };
    let manifest = hex::encode(params.manifest_sha256);
    let named = |adapter: &&AdapterView| {
        let mut releases = adapter.releases.iter();
        releases.any(|release| release.manifest_sha256 == manifest)
    };
    // Anyone may register the same manifest; only the publisher's own adapter counts.
    let publisher = params.publisher.to_string();
    let own = |adapter: &&AdapterView| adapter.publisher == publisher;
    let mut candidates: Vec<&AdapterView> = explored.adapters.iter().filter(named).collect();
    candidates.sort_by_key(|adapter| !own(adapter));
    let Some(adapter) = candidates.first() else {
        let known: Vec<&str> = explored
            .adapters
            .iter()
            .flat_map(|adapter| &adapter.releases)
            .map(|release| release.manifest_sha256.as_str())
            .collect();
        return report(vec![judged(
            "registered",
            Err(unregistered(&manifest, &known)),
        )]);
    };
    let newest_first = adapter.releases.iter().rev();
    let mut same = newest_first.filter(|release| release.manifest_sha256 == manifest);
    let Some(release) = same.next() else {
        return report(Vec::new());
    };
    report(vec![
        judged("registered", Ok(())),
        judged("newest", newest(adapter, release)),
        judged(
            "publisher",
            same_text("the publisher", &adapter.publisher, &publisher),
        ),
        judged("signature", signature(explored, package)),
        judged("adapter-id", adapter_id(adapter, release, &params)),
        judged(
            "base-root",
            same_text(
                "the base root",
                &release.base_root,
                &hex::encode(params.base_root),
            ),
        ),
        judged(
            "datasets-root",
            same_text(
                "the datasets root",
                &release.datasets_root,
                &hex::encode(params.datasets_root),
            ),
        ),
        judged("split", split(release, &params)),
    ])
}

/// The differences between a package and an adapter's releases; none if there is no such adapter.
///
/// # Errors
///
/// The RPC fails, or there is no registry.
pub async fn against_releases(
    chain: &Chain,
    id: AdapterId,
    package: &Package,
) -> Result<Option<Vec<String>>, DeployError> {
    let registry = chain.network.contracts.registry.unwrap_or_default();
    require(chain, "OpenLoraRegistry", registry).await?;
    let Some(adapter) = deploy::adapter(chain, registry, id).await? else {
        return Ok(None);
    };
    let wanted = package.manifest.release(package.manifest_sha256);
    let manifest = hex::encode(wanted.manifest_sha256.0);
    let mut known = Vec::new();
    for version in (1..=adapter.latestVersion).rev() {
        let asked = Registry::releaseCall { id, version };
        let what = "release of the registry";
        let release = chain.read(what, registry, &asked).await?;
        let found = hex::encode(release.manifestSha256);
        if found != manifest {
            known.push(found);
            continue;
        }
        let roots = [
            ("the base root", release.baseRoot, wanted.base_root.0),
            (
                "the datasets root",
                release.datasetsRoot,
                wanted.datasets_root.0,
            ),
        ];
        let differing = roots.iter().filter_map(|(what, found, expected)| {
            same_text(what, &hex::encode(found), &hex::encode(expected)).err()
        });
        return Ok(Some(differing.collect()));
    }
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    Ok(Some(vec![format!(
        "of the adapter {}, {}",
        shown_id(id),
        unregistered(&manifest, &known)
    )]))
}

fn report(checks: Vec<PackageCheck>) -> PackageVerification {
    let ok = checks.iter().all(|check| check.status != CheckStatus::Fail);
    PackageVerification { ok, checks }
}

fn judged(name: &'static str, found: Result<(), String>) -> PackageCheck {
    let (status, label) = match found {
        Ok(()) if name == "signature" => (CheckStatus::Pass, TrustLabel::SignedClaim),
        Ok(()) => (CheckStatus::Pass, TrustLabel::VerifiedBytes),
        Err(_) => (CheckStatus::Fail, TrustLabel::Unverified),
    };
    PackageCheck {
        name,
        status,
        label,
        reason: found.err(),
    }
}

fn unregistered(manifest: &str, known: &[&str]) -> String {
    let known = match known {
        [] => "no release".to_owned(),
        [one] => format!("one release, sha256 {one}"),
        many => format!("{} releases, none of them this one", many.len()),
    };
    format!("no release has the manifest sha256 {manifest}; there is {known}")
}

fn same_text(what: &str, found: &str, expected: &str) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    Err(format!(
        "{what} is {found} in the registry, and {expected} in the package"
    ))
}

fn newest(adapter: &AdapterView, release: &ReleaseView) -> Result<(), String> {
    let newest = adapter.releases.iter().map(|it| it.version).max();
    match newest {
        Some(newest) if newest > release.version => Err(format!(
            "the registry has version {newest}, and this package is version {}",
            release.version
        )),
        _ => Ok(()),
    }
}

/// Checks that the signature is the publisher's and is valid for this registry.
fn signature(explored: &RegistryReport, package: &Package) -> Result<(), String> {
    let Some(envelope) = &package.envelope else {
        return Err("the package is not signed".to_owned());
    };
    let registry = explored.registry.parse().ok();
    let expected = SigningDomain::for_registry(explored.chain_id, registry);
    if envelope.domain != expected {
        let contract = envelope.domain.verifying_contract;
        let contract = contract.map_or_else(|| "no registry".to_owned(), |it| it.to_string());
        return Err(format!(
            "the signature is for chain {} and {contract}, expected chain {} and {}",
            envelope.domain.chain_id.0, explored.chain_id, explored.registry
        ));
    }
    if envelope.message != package.manifest.release(package.manifest_sha256) {
        return Err("the signed message is about another manifest".to_owned());
    }
    envelope.verify(&SignerRecovery)
}

/// Checks that the first release's weights and the publisher give the id.
fn adapter_id(
    adapter: &AdapterView,
    release: &ReleaseView,
    params: &ReleaseParams,
) -> Result<(), String> {
    if release.version > 1 {
        return Ok(());
    }
    let expected = shown_id(id_of(params.publisher, params.weights_sha256));
    same_text("the adapter's id", &adapter.adapter_id, &expected)
}

fn split(release: &ReleaseView, params: &ReleaseParams) -> Result<(), String> {
    let payout = payout(params).map_err(|error| error.to_string())?;
    let pooled = release.shares.iter().find(|share| share.pool.is_some());
    let pool_address = pooled.and_then(|share| share.recipient.parse().ok());
    let expected = payout
        .shares(pool_address)
        .map_err(|error| error.to_string())?;
    let found: Vec<(String, u32)> = flat(&release.shares);
    let expected: Vec<(String, u32)> = expected
        .iter()
        .map(|share| (share.recipient.to_checksum(None), share.ppm))
        .collect();
    same_text("the split", &shown(&found), &shown(&expected))?;
    let found = pooled.and_then(|share| share.pool.as_ref());
    match (&payout.pool, found) {
        (None, _) => Ok(()),
        (Some(_), None) => Err("the contributors' pool is not there".to_owned()),
        (Some((_, wanted)), Some(found)) => {
            let expected: Vec<(String, u32)> = wanted
                .shares
                .iter()
                .map(|share| (share.recipient.to_checksum(None), share.ppm))
                .collect();
            same_text("the pool", &shown(&flat(&found.shares)), &shown(&expected))?;
            let Some(quorum) = found.quorum_ppm else {
                return Err("the contributors' pool has the form of earlier contracts".to_owned());
            };
            let terms = |operator: &str, delay, quorum| {
                let quorum = exact_percent(quorum);
                format!("operated by {operator} with {delay} s and a quorum of {quorum}")
            };
            let expected = terms(&wanted.operator.to_string(), POOL_DELAY, POOL_QUORUM);
            same_text(
                "the pool",
                &terms(&found.operator, found.delay_seconds, quorum),
                &expected,
            )
        }
    }
}

fn flat(shares: &[ShareView]) -> Vec<(String, u32)> {
    let pair = |share: &ShareView| (share.recipient.clone(), share.ppm);
    shares.iter().map(pair).collect()
}

fn shown(shares: &[(String, u32)]) -> String {
    let one = |(recipient, ppm): &(String, u32)| format!("{recipient} {}", exact_percent(*ppm));
    shares.iter().map(one).collect::<Vec<_>>().join(", ")
}
