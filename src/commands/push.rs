//! `push`: puts a package where others can pull it.

use std::path::PathBuf;

use serde::Serialize;

use super::{
    CommandContext,
    distribution::{self, TransferReport},
    named_paths,
    verify::{self, ExpectedRelease, SignerFiles},
};
use openlora_core::error::{ExitStatus, Failure};

/// The request of `push`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PushCommandRequest {
    pub package: PathBuf,
    pub location: String,
    pub signers: SignerFiles,
}

/// What `push --json` prints.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct PushReport {
    /// The place, with the digest in it where there is one: what stands there never changes.
    location: String,
    name: String,
    /// Semantic version.
    version: String,
    /// SHA-256 of `openlora.json`, hex.
    manifest_sha256: String,
    /// Digest of the OCI manifest, hex; null where there is none.
    oci_sha256: Option<String>,
    /// Bytes that were sent; files that were there are not.
    sent: u64,
}

pub async fn run(
    context: &CommandContext,
    request: PushCommandRequest,
) -> Result<ExitStatus, Failure> {
    let dir = named_paths::folder(context, &request.package, "a package")?;
    let location = distribution::location(context, &request.location)?;
    let signers = verify::accepted_signers(context, &request.signers)?;
    let expected = ExpectedRelease {
        domain: verify::expected_domain(context)?,
        publishers: signers.policy.publishers.clone(),
        model_keys: signers.keys,
        model_roots: signers.roots,
        registry: None,
        log: None,
    };
    let report = distribution::check(context, &dir, &signers.policy, &expected)?;
    if !report.ok {
        return Err(verify::refused(&dir, &report)
            .with_hint("make it again with `openlora package`, then push that"));
    }
    let package = openlora_package::read(&dir)?;
    let progress = TransferReport::new(context, "pushed kB");
    let pushed = distribution::fetcher(context)?
        .push(&distribution::store(context)?, &package, &location, &|it| {
            progress.update(it)
        })
        .await;
    progress.finish();
    let pushed = pushed?;
    let report = PushReport {
        location: pushed.location.to_string(),
        name: package.manifest.name.clone(),
        version: package.manifest.version.clone(),
        manifest_sha256: package.manifest_sha256.to_string(),
        oci_sha256: pushed.oci.map(|digest| digest.to_string()),
        sent: pushed.sent,
    };
    let printer = &context.printer;
    if printer.is_json() {
        printer.json(&report);
        return Ok(ExitStatus::Success);
    }
    printer.line(format!("package       {} {}", report.name, report.version));
    printer.line(format!("to            {}", report.location));
    printer.line(format!("manifest      sha256 {}", report.manifest_sha256));
    if pushed.location.is_remote() {
        printer.hint("`openlora deploy` writes this place into the release");
    }
    Ok(ExitStatus::Success)
}
