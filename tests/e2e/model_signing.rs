//! `model.sig` against the reference implementation of OpenSSF Model Signing, in both directions.

use std::{fs, path::Path, process::Command};

use openlora_package::manifest::Digest;
use tempfile::TempDir;

use crate::{
    golden,
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

/// What the reference implementation says to a verb and its paths.
fn reference_says(verb: &str, more: &[&std::ffi::OsStr]) -> String {
    let script = suite("signing").join("suite.py");
    run(Command::new(python("signing"))
        .arg(script)
        .arg(verb)
        .args(more))
}

#[test]
fn every_curve_and_certificates_agree_with_the_reference_implementation() {
    for curve in ["p256", "p384", "p521"] {
        let home = TempDir::new().unwrap();
        let path = |name: &str| home.path().join(name);
        fs::create_dir(path("ca")).unwrap();
        let authorities = [path("ca").into_os_string(), curve.into()];
        let authorities: Vec<&std::ffi::OsStr> = authorities.iter().map(|it| it.as_ref()).collect();
        assert_eq!(reference_says("authorities", &authorities), "written\n");
        let package = |out: &str, more: &[&str]| {
            let (adapter, base) = (golden::dir("llama.qv"), golden::dir("llama"));
            let (adapter, base) = (adapter.display().to_string(), base.display().to_string());
            let line = [
                "package",
                "--adapter",
                &adapter,
                "--base",
                &base,
                "--out",
                out,
            ];
            let key = ["--signing-key", "ca/signer.key"];
            openlora(home.path())
                .args(line)
                .args(key)
                .args(more.iter().copied())
                .run()
                .succeeds();
        };
        let verify = |dir: &str, more: &[&str]| {
            let args = ["--json", "verify", dir];
            let run = openlora(home.path())
                .args(args)
                .args(more.iter().copied())
                .run();
            let report: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
            let check = &report["checks"][4];
            let reason = check["reason"].as_str().unwrap_or_default().to_owned();
            (
                run.code,
                check["status"].as_str().unwrap().to_owned(),
                reason,
            )
        };
        let pass = (0, "pass".to_owned(), String::new());
        // Ours by key and by certificate, read by theirs and by us.
        package("by-key", &[]);
        let (dir, key) = (path("by-key"), path("ca/signer.pub"));
        assert_eq!(reference("verify", &dir, &key), "verified\n", "{curve}");
        assert_eq!(
            verify("by-key", &["--key", "ca/signer.pub"]),
            pass,
            "{curve}"
        );
        package("by-chain", &["--certificates", "ca/signer-chain.pem"]);
        let (dir, root) = (path("by-chain"), path("ca/root.pem"));
        assert_eq!(
            reference("verify-certificate", &dir, &root),
            "verified\n",
            "{curve}"
        );
        assert_eq!(
            verify("by-chain", &["--root", "ca/root.pem"]),
            pass,
            "{curve}"
        );
        let (code, status, reason) = verify("by-chain", &["--root", "ca/other.pem"]);
        assert_eq!((code, status.as_str()), (9, "fail"), "{reason}");
        fs::write(path("policy.toml"), "model_roots = [\"ca/root.pem\"]\n").unwrap();
        assert_eq!(
            verify("by-chain", &["--policy", "policy.toml"]),
            pass,
            "{curve}"
        );
        // Theirs, read by us.
        let theirs = packaged(home.path());
        let key = path("their.pub");
        let sign = [theirs.as_os_str(), key.as_os_str(), curve.as_ref()];
        assert_eq!(reference_says("sign", &sign), "signed\n");
        assert_eq!(verify("package", &["--key", "their.pub"]), pass, "{curve}");
        fs::remove_file(theirs.join("model.sig")).unwrap();
        let ca = path("ca");
        let sign = [theirs.as_os_str(), ca.as_os_str()];
        assert_eq!(reference_says("sign-certificate", &sign), "signed\n");
        assert_eq!(
            verify("package", &["--root", "ca/root.pem"]),
            pass,
            "{curve}"
        );
        let (code, status, _) = verify("package", &[]);
        assert_eq!((code, status.as_str()), (0, "skipped"));
    }
}

#[test]
fn a_file_that_is_no_signing_key_is_refused() {
    let home = TempDir::new().unwrap();
    let file = |name: &str, text: &str| fs::write(home.path().join(name), text).unwrap();
    file("key.pem", "no key\n");
    let (adapter, base) = (golden::dir("llama.qv"), golden::dir("llama"));
    let (adapter, base) = (adapter.display().to_string(), base.display().to_string());
    let line = [
        "package",
        "--adapter",
        &adapter,
        "--base",
        &base,
        "--out",
        "p",
    ];
    let refused = openlora(home.path())
        .args(line)
        .args(["--signing-key", "key.pem"])
        .run();
    assert_eq!(refused.code, 3, "{}", refused.stderr);
    let expected = "key.pem: expected a block `PRIVATE KEY` or `EC PRIVATE KEY` in PEM\n";
    assert!(refused.stderr.contains(expected), "{}", refused.stderr);
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
