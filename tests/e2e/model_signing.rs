//! `model.sig` against the reference implementation of OpenSSF Model Signing, in both directions.

use std::{fs, path::Path, process::Command};

use openlora_package::manifest::Digest;
use tempfile::TempDir;

use crate::{
    packages::{model_signed, packaged},
    sdk::{python, run, suite},
    support::openlora,
};

/// What the reference implementation says.
fn reference(verb: &str, package: &Path, key: &Path) -> String {
    let script = suite("signing").join("suite.py");
    let mut command = Command::new(python("signing"));
    run(command.arg(script).arg(verb).arg(package).arg(key))
}

#[test]
fn the_reference_implementation_verifies_packages_signed_here() {
    let home = TempDir::new().unwrap();
    let package = model_signed(&home.path().join("p"));
    let command = openlora(home.path()).args(["wallet", "model-key", "--out", "key.pem"]);
    command.run().succeeds();
    // The package is the development account 0's, and without a wallet account 1 signs.
    let other = home.path().join("key.pem");
    let refused = reference("verify", &package, &other);
    assert!(refused.starts_with("Key mismatch: "), "{refused}");
    let phrase = "test test test test test test test test test test test junk\n";
    fs::write(home.path().join("phrase"), phrase).unwrap();
    fs::write(home.path().join("pw"), "correct horse battery\n").unwrap();
    let wallet = |line: &str| {
        let command = openlora(home.path()).args(line.split_whitespace());
        command.run().succeeds().stdout
    };
    wallet("wallet import dev --from phrase --password-file pw");
    wallet("wallet model-key dev --password-file pw --out key.pem");
    let printed = wallet("wallet model-key dev --password-file pw");
    assert_eq!(printed, fs::read_to_string(&other).unwrap());
    assert_eq!(reference("verify", &package, &other), "verified\n");
    wallet("verify p --key key.pem");
    fs::write(package.join("extra.txt"), "more").unwrap();
    assert_eq!(
        reference("verify", &package, &other),
        "Signature mismatch: [\"Extra files found in model 'p': extra.txt\"]\n"
    );
}

#[test]
fn signatures_of_the_reference_implementation_verify_here() {
    let home = TempDir::new().unwrap();
    let package = packaged(home.path());
    let key = home.path().join("key.pub");
    let verified = |more: &[&str]| {
        let args = ["--json", "verify", "package"];
        let run = openlora(home.path()).args(args.iter().chain(more).copied());
        let run = run.run();
        let report: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
        let check = report["checks"][4].clone();
        assert_eq!(check["name"], "model-signature");
        (run.code, check["status"].clone(), check["reason"].clone())
    };
    // Half of its signatures have a high s.
    for _ in 0..4 {
        assert_eq!(reference("sign", &package, &key), "signed\n");
        let expected = (0, "pass".into(), serde_json::Value::Null);
        assert_eq!(verified(&["--key", "key.pub"]), expected);
        fs::remove_file(package.join("model.sig")).unwrap();
    }
    reference("sign", &package, &key);
    let digest = Digest::hash_bytes(&fs::read(&key).unwrap());
    let unnamed = format!("neither the manifest nor you named its key, which is {digest}");
    assert_eq!(verified(&[]), (0, "skipped".into(), unnamed.into()));
    openlora(home.path())
        .args(["wallet", "model-key", "--out", "other.pub"])
        .run()
        .succeeds();
    let untrusted =
        format!("it was signed with the key {digest}, which is not among the trusted ones");
    assert_eq!(
        verified(&["--key", "other.pub"]),
        (9, "fail".into(), untrusted.into())
    );
    let bad = openlora(home.path())
        .args(["verify", "package", "--key", "package/LICENSE"])
        .run();
    bad.fails(
        3,
        &format!(
            "error: {}: expected a PEM block between `-----BEGIN PUBLIC KEY-----` and `-----END \
             PUBLIC KEY-----`\nhint: `openlora wallet model-key` prints such a key\n",
            package.join("LICENSE").display()
        ),
    );
}

#[test]
fn a_policy_says_what_must_pass_and_a_server_loads_nothing_that_fails() {
    let home = TempDir::new().unwrap();
    let package = model_signed(&home.path().join("p"));
    let verify = |policy: &str| {
        fs::write(home.path().join("policy.toml"), policy).unwrap();
        let args = ["--json", "verify", "p", "--policy", "policy.toml"];
        openlora(home.path()).args(args).run()
    };
    verify("required = [\"files\", \"model-signature\", \"eip712\"]").succeeds();
    let strict = verify("required = [\"log\"]\npublishers = []");
    assert_eq!(strict.code, 9);
    let report: serde_json::Value = serde_json::from_str(&strict.stdout).unwrap();
    assert_eq!(
        report["checks"][8],
        serde_json::json!({
            "name": "log",
            "status": "fail",
            "label": "unverified",
            "reason": "the policy requires it, and it was skipped: the manifest names no usage log",
        })
    );
    let other = format!("model_keys = [\"{}\"]", "0".repeat(64));
    assert_eq!(verify(&other).code, 9);
    let unknown = verify("required = [\"sigs\"]");
    assert_eq!(unknown.code, 3);
    fs::remove_file(package.join("model.sig")).unwrap();
    let key = openlora_package::read(&package)
        .unwrap()
        .manifest
        .trainer
        .signing_key_sha256;
    let served = openlora(home.path())
        .args(["serve", "--free", "--port", "0", "--adapter", "p=p"])
        .run();
    served.fails(
        9,
        &format!(
            "error: {} does not verify: model-signature: the manifest names the key {}, but the \
             package has no model.sig\nhint: do not use it; ask its publisher for the package \
             again\n",
            package.display(),
            key.unwrap()
        ),
    );
}
