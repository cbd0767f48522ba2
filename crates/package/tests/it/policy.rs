//! Policies: what a reader requires of a package.

use openlora_package::{
    policy::{UnknownCheck, VerificationPolicy},
    verify::{CheckStatus, LocalEvidence, PackageVerification, verify},
};
use openlora_release::eip712::SignerRecovery;
use tempfile::TempDir;

use crate::packages::{ADA, account, checked, evidence, model_signed, packaged};

fn required(names: &[&str]) -> VerificationPolicy {
    VerificationPolicy {
        required: names.iter().map(|&name| name.to_owned()).collect(),
        ..VerificationPolicy::default()
    }
}

fn failed(report: PackageVerification) -> Vec<(&'static str, String)> {
    let failed = report.checks.into_iter();
    let failed = failed.filter(|check| check.status == CheckStatus::Fail);
    failed
        .map(|check| (check.name, check.reason.unwrap()))
        .collect()
}

#[test]
fn a_required_check_that_is_skipped_fails() {
    let home = TempDir::new().unwrap();
    let report = checked(&packaged(home.path()));
    assert!(report.ok);
    let nothing = VerificationPolicy::default();
    assert_eq!(nothing.apply(report.clone()), report);
    let passed = required(&["structure", "eip712", "base"]);
    assert_eq!(passed.apply(report.clone()), report);
    let strict = required(&["model-signature", "chain"]).apply(report);
    assert!(!strict.ok);
    assert_eq!(
        failed(strict),
        [
            (
                "model-signature",
                "the policy requires it, and it was skipped: the package has no model.sig"
                    .to_owned()
            ),
            (
                "chain",
                "the policy requires it, and it was skipped: the release was not looked up on a \
                 chain"
                    .to_owned()
            ),
        ]
    );
    let signed = checked(&model_signed(&home.path().join("signed")));
    let passed = required(&["model-signature"]);
    assert_eq!(passed.apply(signed.clone()), signed);
}

#[test]
fn only_checks_that_exist_are_required() {
    assert_eq!(required(&["structure", "log"]).check(), Ok(()));
    let unknown = required(&["structure", "sigs"]).check().unwrap_err();
    assert_eq!(
        unknown,
        UnknownCheck {
            found: "sigs".into()
        }
    );
    assert_eq!(
        unknown.to_string(),
        "`required`: expected names of checks (structure, safetensors, config, files, \
         model-signature, eip712, base, datasets, log, chain), found `sigs`"
    );
}

#[test]
fn accounts_and_registrations_that_do_not_fit() {
    let home = TempDir::new().unwrap();
    let dir = packaged(home.path());
    let own = account().address();
    let with = |publishers: &[&str], chain: Result<(), String>| {
        let gather = |package: &_| LocalEvidence {
            publishers: publishers.iter().map(|it| it.parse().unwrap()).collect(),
            chain: Ok(chain.clone()),
            ..evidence(package)
        };
        verify(&dir, &SignerRecovery, &gather).unwrap().0
    };
    let own_text = own.to_string();
    let passed = with(&[ADA, &own_text], Ok(()));
    assert_eq!(passed.checks[9].status, CheckStatus::Pass);
    assert_eq!(failed(passed), []);
    assert_eq!(
        failed(with(&[ADA], Err("it is not registered".into()))),
        [
            (
                "eip712",
                format!("it was signed by {own}, which is not among the trusted accounts")
            ),
            ("chain", "it is not registered".to_owned()),
        ]
    );
}
