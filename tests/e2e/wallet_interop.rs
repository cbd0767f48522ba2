//! Our keystores and signatures in the hands of other programs, and theirs in ours: eth-account
//! and viem, pinned in `tests/sdk/wallet`, and Foundry's `cast`.

use std::{fs, path::Path, process::Command};

use openlora_chain::{
    development,
    network::{Network, NetworkOptions},
};
use openlora_core::{Address, Word};
use openlora_package::{
    ReleaseEnvelope,
    release::{ReleaseMessage, ReleaseStatement, SigningDomain},
    whole::WholeNumber,
};
use openlora_release::eip712;
use openlora_wallet::{KdfStrength, KeystoreDir, SecretKey};
use tempfile::TempDir;

use crate::{
    devnet_peers::foundry,
    keys::{ADDRESS, KEY, password},
    packages::packaged,
    sdk::{javascript, python, run, suite},
};

fn keys(args: &[&str]) -> serde_json::Value {
    let script = suite("wallet").join("keys.py");
    let said = run(Command::new(python("wallet")).arg(script).args(args));
    serde_json::from_str(&said).unwrap()
}

fn viem(envelope: &Path) -> serde_json::Value {
    let folder = javascript("wallet");
    // Modules resolve from the script's own folder.
    let script = folder.join("digest.mjs");
    fs::copy(suite("wallet").join("digest.mjs"), &script).unwrap();
    let said = run(Command::new("node").arg(script).arg(envelope));
    serde_json::from_str(&said).unwrap()
}

#[test]
fn our_keystores_open_elsewhere() {
    let home = TempDir::new().unwrap();
    let store = KeystoreDir::new(home.path());
    let key = SecretKey::from_hex(KEY).unwrap();
    fs::write(home.path().join("pw"), "päss wörd").unwrap();
    for (name, strength, n) in [
        ("a", KdfStrength::Standard, 262_144),
        ("b", KdfStrength::Light, 4_096),
    ] {
        let entry = store
            .create(name, &key, &password("päss wörd"), strength)
            .unwrap();
        let written: serde_json::Value =
            serde_json::from_slice(&fs::read(&entry.path).unwrap()).unwrap();
        assert_eq!(written["crypto"]["kdfparams"]["n"], n);
        let said = run(Command::new(foundry("cast"))
            .args(["wallet", "address", "--password-file"])
            .arg(home.path().join("pw"))
            .arg("--keystore")
            .arg(&entry.path));
        assert_eq!(said.trim(), ADDRESS);
        let path = entry.path.to_str().unwrap();
        let opened = keys(&["decrypt", path, "päss wörd"]);
        assert_eq!(opened, serde_json::json!({"key": KEY, "address": ADDRESS}));
    }
}

#[test]
fn keystores_of_others_open_here() {
    let home = TempDir::new().unwrap();
    let store = KeystoreDir::new(home.path());
    run(Command::new(foundry("cast"))
        .args([
            "wallet",
            "import",
            "foreign.json",
            "--unsafe-password",
            "pw",
        ])
        .args(["--private-key", KEY, "--keystore-dir"])
        .arg(home.path()));
    for kdf in ["scrypt", "pbkdf2"] {
        let file = keys(&["encrypt", KEY, "pw", kdf]);
        fs::write(home.path().join(format!("{kdf}.json")), file.to_string()).unwrap();
    }
    for name in ["foreign", "scrypt", "pbkdf2"] {
        let key = store.open(name, &password("pw")).unwrap();
        assert_eq!(key.reveal().as_str(), KEY, "{name}");
    }
}

#[test]
fn digests_equal_those_of_viem_eth_account_and_cast() {
    let home = TempDir::new().unwrap();
    let network = Network::resolve("local", &NetworkOptions::default()).unwrap();
    let account = development::account(&network, 0).unwrap();
    let registry: Address = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
        .parse()
        .unwrap();
    let release = |name: &str, created_at: u64| ReleaseMessage {
        name: name.into(),
        version: "1.2.3-rc.1".into(),
        manifest_sha256: Word([0xa1; 32]),
        files_root: Word([0xb2; 32]),
        base_root: Word([0xc3; 32]),
        datasets_root: Word([0xd4; 32]),
        oms_key_sha256: Word([0; 32]),
        created_at: WholeNumber(created_at),
    };
    let cases = [
        (
            SigningDomain::for_registry(31_337, Some(registry)),
            release("tone", 1_795_363_445),
        ),
        (
            SigningDomain::for_registry(8453, None),
            release("Tön \"e\" 🦀", 0),
        ),
        (
            SigningDomain::for_registry(10, Some(registry)),
            release("x", 1 << 53),
        ),
    ];
    for (index, (domain, release)) in cases.into_iter().enumerate() {
        let statement = ReleaseStatement { domain, release };
        let envelope = ReleaseEnvelope::sign(&statement, &eip712::AccountSigner(&account)).unwrap();
        let path = home.path().join(format!("{index}.json"));
        fs::write(&path, envelope.to_bytes().unwrap()).unwrap();
        let digest = eip712::digest(&statement).to_string();
        let expected = serde_json::json!({"digest": digest, "signer": ADDRESS});
        assert_eq!(viem(&path), expected);
        assert_eq!(keys(&["digest", path.to_str().unwrap()]), expected);
        let signed = run(Command::new(foundry("cast"))
            .args([
                "wallet",
                "sign",
                "--private-key",
                KEY,
                "--data",
                "--from-file",
            ])
            .arg(&path));
        assert_eq!(signed.trim(), envelope.signature);
    }
}

#[test]
fn roots_equal_those_of_an_independent_computation() {
    let home = TempDir::new().unwrap();
    let package = packaged(home.path());
    let manifest = package.join("openlora.json");
    let roots = keys(&["roots", manifest.to_str().unwrap()]);
    let envelope: serde_json::Value =
        serde_json::from_slice(&fs::read(package.join("openlora.eip712.json")).unwrap()).unwrap();
    for root in ["manifestSha256", "filesRoot", "baseRoot", "datasetsRoot"] {
        assert_eq!(roots[root], envelope["message"][root], "{root}");
    }
}
