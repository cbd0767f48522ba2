//! What a reader of packages requires: checks that must pass, and the keys and accounts that may sign.

use std::path::PathBuf;

use serde::Deserialize;

use super::{
    manifest::Digest,
    verify::{CHECKS, CheckStatus, PackageVerification, TrustLabel},
};
use openlora_core::Address;

/// A policy, as its TOML file states it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerificationPolicy {
    /// Checks that must pass. Others may be skipped; none may fail.
    #[serde(default)]
    pub required: Vec<String>,
    /// SHA-256 of the PEM of the keys that may have made `model.sig`; empty for any.
    #[serde(default)]
    pub model_keys: Vec<Digest>,
    /// Files with certificates in PEM of authorities that may have certified such a key; a relative
    /// path starts at the policy's folder.
    #[serde(default)]
    pub model_roots: Vec<PathBuf>,
    /// Accounts that may have signed the manifest; empty for any.
    #[serde(default)]
    pub publishers: Vec<Address>,
}

/// Why a policy is not usable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`required`: expected names of checks ({}), found `{found}`", CHECKS.join(", "))]
pub struct UnknownCheck {
    pub found: String,
}

impl VerificationPolicy {
    /// # Errors
    ///
    /// A required check that does not exist.
    pub fn check(&self) -> Result<(), UnknownCheck> {
        let mut required = self.required.iter();
        match required.find(|name| !CHECKS.contains(&name.as_str())) {
            None => Ok(()),
            Some(found) => Err(UnknownCheck {
                found: found.escape_debug().to_string(),
            }),
        }
    }

    /// Turns required checks that were skipped into failures.
    pub fn apply(&self, mut report: PackageVerification) -> PackageVerification {
        for check in &mut report.checks {
            let required = self.required.iter().any(|name| name == check.name);
            if required && check.status == CheckStatus::Skipped {
                let reason = check.reason.take().unwrap_or_default();
                check.status = CheckStatus::Fail;
                check.label = TrustLabel::Unverified;
                check.reason = Some(format!(
                    "the policy requires it, and it was skipped: {reason}"
                ));
                report.ok = false;
            }
        }
        report
    }
}
