//! `model.sig` by certificate, and on the curves besides P-256. The keys and certificates of
//! tests/data/signing were made by tests/sdk/signing/suite.py.

use std::{fs, path::Path};

use openlora_package::{
    Certificate, CertificateProblem, KeyEvidence, ModelSignature, TrustedRoots,
    build::PackageMetadata,
    certificates_from_pem,
    manifest::Digest,
    read,
    release::{ModelSigner, SigningDomain},
    verify::{CheckStatus, LocalEvidence, verify},
    write,
};
use openlora_release::eip712::{
    AccountSigner, FileModelSigner, FileSignerProblem, SignerRecovery, TwoKeySigner,
};
use openlora_wallet::ModelSigningKey;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    packages::{about, account, drafted, evidence, packaged},
    paths::repository,
};

/// A day on which all certificates but the expired one are valid.
const NOW: u64 = 1_796_057_123;

fn text(name: &str) -> String {
    fs::read_to_string(repository().join("tests/data/signing").join(name)).unwrap()
}

fn certificates(name: &str) -> Vec<Certificate> {
    certificates_from_pem(&text(name)).unwrap()
}

fn signer(key: &str, chain: Option<&str>) -> FileModelSigner {
    let key = ModelSigningKey::from_pem(&text(key)).unwrap();
    FileModelSigner::new(key, chain.map(certificates).unwrap_or_default()).unwrap()
}

fn roots(name: &str) -> TrustedRoots {
    TrustedRoots {
        certificates: certificates(name),
        now: NOW,
    }
}

/// A package whose manifest names the key of `model` if `named`, with its signature.
fn signed(home: &Path, model: &FileModelSigner, named: bool) -> std::path::PathBuf {
    if !named {
        // What others sign: the manifest names no key.
        let dir = packaged(home);
        let files = fs::read_dir(&dir).unwrap().map(|it| {
            let it = it.unwrap();
            let digest = Digest::hash_bytes(&fs::read(it.path()).unwrap());
            (it.file_name().into_string().unwrap(), digest)
        });
        let bundle = openlora_package::sign_files("p", &files.collect(), model).unwrap();
        fs::write(dir.join("model.sig"), bundle).unwrap();
        return dir;
    }
    let about = PackageMetadata {
        signing_key: Some(model.public_key().digest()),
        ..about()
    };
    let account = account();
    let account = AccountSigner(&account);
    let both = TwoKeySigner { account, model };
    let domain = SigningDomain::for_registry(31_337, None);
    let dir = home.join("named");
    write(&dir, &drafted(&about).unwrap(), Some((&domain, &both))).unwrap();
    dir
}

/// The check of `model.sig`, `KEY` for the key of `model`.
fn found(
    dir: &Path,
    model: &FileModelSigner,
    keys: &[Digest],
    roots: &TrustedRoots,
) -> (CheckStatus, String) {
    let gather = |package: &_| LocalEvidence {
        model_keys: keys.to_vec(),
        model_roots: roots.clone(),
        ..evidence(package)
    };
    let check = verify(dir, &SignerRecovery, &gather).unwrap().0.checks;
    let reason = check[4].reason.clone().unwrap_or_default();
    let key = model.public_key().digest().to_string();
    (check[4].status, reason.replace(&key, "KEY"))
}

const NO_ROOTS: TrustedRoots = TrustedRoots {
    certificates: Vec::new(),
    now: NOW,
};

#[test]
fn keys_on_every_curve_sign_and_are_recovered() {
    for name in ["p256.key", "p384.key", "p521.key"] {
        let home = TempDir::new().unwrap();
        let model = signer(name, None);
        let dir = signed(home.path(), &model, true);
        let pass = (CheckStatus::Pass, String::new());
        assert_eq!(found(&dir, &model, &[], &NO_ROOTS), pass, "{name}");
        let key = model.public_key();
        let package = read(&dir).unwrap();
        let signature = package.model_signature.unwrap();
        assert_eq!(signature.recover_key(), Some(key), "{name}");
        assert_eq!(signature.evidence, KeyEvidence::Named);
        let again = openlora_package::ModelPublicKey::from_pem(&key.to_pem());
        assert_eq!(again, Ok(key));
        // A signature of another key under this one's name.
        let other = signer(
            if name == "p256.key" {
                "p384.key"
            } else {
                "p256.key"
            },
            None,
        );
        let path = dir.join("model.sig");
        let bundle = fs::read_to_string(&path).unwrap();
        let mut forged: Value = serde_json::from_str(&bundle).unwrap();
        let theirs = openlora_package::sign_files("p", &signature.files().unwrap(), &other);
        let theirs: Value = serde_json::from_slice(&theirs.unwrap()).unwrap();
        forged["dsseEnvelope"] = theirs["dsseEnvelope"].clone();
        fs::write(&path, forged.to_string()).unwrap();
        assert_eq!(
            found(&dir, &model, &[], &NO_ROOTS),
            (
                CheckStatus::Fail,
                "the key KEY did not make this signature".to_owned()
            )
        );
    }
}

#[test]
fn a_certificate_counts_if_a_trusted_root_leads_to_it() {
    let home = TempDir::new().unwrap();
    let model = signer("signer.key", Some("signer-chain.pem"));
    let dir = signed(home.path(), &model, false);
    let pass = (CheckStatus::Pass, String::new());
    assert_eq!(found(&dir, &model, &[], &roots("root.pem")), pass);
    // Trust in the authority below the root, or in the key itself, needs no root.
    let middle = TrustedRoots {
        certificates: certificates("signer-chain.pem").split_off(1),
        now: NOW,
    };
    assert_eq!(found(&dir, &model, &[], &middle), pass);
    let key = model.public_key().digest();
    assert_eq!(found(&dir, &model, &[key], &NO_ROOTS), pass);
    let unnamed = "it was signed with a certificate for the key KEY, and you named no root of it";
    assert_eq!(
        found(&dir, &model, &[], &NO_ROOTS),
        (CheckStatus::Skipped, unnamed.to_owned())
    );
    let other = "the certificate for the key KEY does not count: no valid chain leads from it to a \
                 trusted root";
    assert_eq!(
        found(&dir, &model, &[], &roots("other.pem")),
        (CheckStatus::Fail, other.to_owned())
    );
    let later = TrustedRoots {
        now: NOW + 40 * 86_400,
        ..roots("root.pem")
    };
    let (status, reason) = found(&dir, &model, &[], &later);
    assert_eq!(status, CheckStatus::Fail);
    assert!(
        reason.contains("does not count: it was valid until 2026-12-"),
        "{reason}"
    );
    // A key alone is no certificate.
    let alone = signer("signer.key", None);
    let dir = signed(home.path(), &alone, false);
    let not_trusted = "it was signed with the key KEY, which is not among the trusted ones";
    assert_eq!(
        found(&dir, &alone, &[], &roots("root.pem")),
        (CheckStatus::Fail, not_trusted.to_owned())
    );
    // The manifest may name the certified key.
    let dir = signed(home.path(), &model, true);
    assert_eq!(found(&dir, &model, &[], &roots("root.pem")), pass);
    assert_eq!(found(&dir, &model, &[], &NO_ROOTS), pass);
}

#[test]
fn chains_that_do_not_count() {
    let root = roots("root.pem");
    assert_eq!(root.check(&certificates("signer-chain.pem")), Ok(()));
    let refused = |name: &str| root.check(&certificates(name)).unwrap_err();
    let CertificateProblem::Expired { until } = refused("expired-chain.pem") else {
        panic!("it is expired");
    };
    assert!(until.starts_with("2026-10-31"), "{until}");
    // For web servers, and issued by a certificate that is no authority.
    assert_eq!(refused("web-chain.pem"), CertificateProblem::Usage);
    assert_eq!(refused("below-leaf-chain.pem"), CertificateProblem::NoPath);
    let early = TrustedRoots {
        now: NOW - 70 * 86_400,
        ..root.clone()
    };
    assert!(matches!(
        early.check(&certificates("signer-chain.pem")),
        Err(CertificateProblem::Early { .. })
    ));
    // Without the authority in between, and with one whose signature was changed.
    let chain = certificates("signer-chain.pem");
    assert_eq!(root.check(&chain[..1]), Err(CertificateProblem::NoPath));
    assert_eq!(root.check(&[]), Err(CertificateProblem::NoPath));
    for certificate in &chain {
        let der = certificate.der();
        for at in (0..der.len()).step_by(7) {
            let mut changed = der.to_owned();
            changed[at] ^= 1;
            let Ok(changed) = Certificate::from_der(&changed) else {
                continue;
            };
            let mut forged = chain.clone();
            let place = forged.iter().position(|it| it == certificate).unwrap();
            forged[place] = changed;
            assert!(root.check(&forged).is_err(), "byte {at}");
        }
        for length in 0..der.len() {
            assert!(Certificate::from_der(&der[..length]).is_err());
        }
    }
    let many = text("root.pem").repeat(257);
    assert_eq!(
        certificates_from_pem(&many),
        Err(CertificateProblem::TooMany)
    );
    for none in ["", "-----BEGIN CERTIFICATE-----\nAAAA\n"] {
        assert_eq!(certificates_from_pem(none), Err(CertificateProblem::Pem));
    }
}

#[test]
fn a_key_signs_only_under_its_own_certificate() {
    let key = ModelSigningKey::from_pem(&text("p256.key")).unwrap();
    let refused = FileModelSigner::new(key, certificates("signer-chain.pem")).unwrap_err();
    assert!(
        matches!(refused, FileSignerProblem::OtherKey { .. }),
        "{refused}"
    );
    let key = ModelSigningKey::from_pem(&text("p256.key")).unwrap();
    // An authority with an RSA key.
    let refused = FileModelSigner::new(key, certificates("root.pem")).unwrap_err();
    assert!(
        matches!(refused, FileSignerProblem::Certificate(_)),
        "{refused}"
    );
}

#[test]
fn keyless_signatures_are_refused_by_name() {
    let home = TempDir::new().unwrap();
    let model = signer("signer.key", Some("signer-chain.pem"));
    let dir = signed(home.path(), &model, false);
    let path = dir.join("model.sig");
    let mut bundle: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let chain = bundle["verificationMaterial"]["x509CertificateChain"]["certificates"].take();
    bundle["verificationMaterial"] = json!({
        "certificate": chain[0],
        "tlogEntries": [{ "logIndex": "1" }],
    });
    fs::write(&path, bundle.to_string()).unwrap();
    let (status, reason) = found(&dir, &model, &[], &roots("root.pem"));
    assert_eq!(status, CheckStatus::Fail);
    assert_eq!(
        reason,
        "it was signed without a key (Sigstore), and whether its certificate was valid then is said \
         by a log that is not read here: check it with `model_signing verify sigstore`, or ask for a \
         signature by key or certificate"
    );
    let said = |material: Value| {
        let mut bundle = bundle.clone();
        bundle["verificationMaterial"] = material;
        let problem = ModelSignature::parse(bundle.to_string().as_bytes());
        problem.unwrap_err().to_string()
    };
    assert_eq!(
        said(json!({})),
        "`verificationMaterial`: expected one of `publicKey`, `x509CertificateChain` and \
         `certificate`, found 0 of them"
    );
    assert_eq!(
        said(json!({ "x509CertificateChain": { "certificates": [] } })),
        "`verificationMaterial.x509CertificateChain`: expected at least one certificate, found none"
    );
    assert_eq!(
        said(json!({ "certificate": { "rawBytes": "AAAA" } })),
        "`verificationMaterial.rawBytes`: expected X.509 certificates, found something else: \
         expected an X.509 certificate of version 3 in DER"
    );
}
