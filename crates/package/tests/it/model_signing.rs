//! `model.sig`: what it covers, what other signers may write, and what is refused.

use std::{collections::BTreeMap, fs, path::Path};

use base64::{Engine, engine::general_purpose::STANDARD};
use openlora_core::Address;
use openlora_package::{
    ModelKeyProblem, ModelPublicKey, ModelSignature, PackageError,
    build::PackageMetadata,
    manifest::Digest,
    read,
    release::{ModelSigner, ReleaseSigner, SigningDomain},
    verify::{CheckStatus, LocalEvidence, PackageCheck, TrustLabel, verify},
    write,
};
use openlora_release::eip712::{AccountModelSigner, AccountSigner, SignerRecovery};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::packages::{about, account, checked, drafted, evidence, model_signed};

/// The PEM of the development account 0, as `openssl pkey -pubin -in key.pem` writes it again.
const PEM: &str = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEjVc4SaL/+/DoPlo61g9IAnCMiHhD\nvhdLTduSFUrmm5IK30x+uKxOTapykssGp83SEEXnyK4XMCL+tG6N9xqxVw==\n-----END PUBLIC KEY-----\n";

fn signer() -> AccountModelSigner {
    AccountModelSigner::of_account(&account()).unwrap()
}

fn key() -> Digest {
    signer().public_key().digest()
}

fn model_signature(dir: &Path, model_keys: &[Digest]) -> PackageCheck {
    let gather = |package: &_| LocalEvidence {
        model_keys: model_keys.to_vec(),
        ..evidence(package)
    };
    let mut report = verify(dir, &SignerRecovery, &gather).unwrap().0;
    report.checks.remove(4)
}

/// The status and the reason of the check, `DIR` for the folder and `KEY` for the key.
fn found(dir: &Path, model_keys: &[Digest]) -> (CheckStatus, String) {
    let check = model_signature(dir, model_keys);
    assert_eq!(check.name, "model-signature");
    let reason = check.reason.unwrap_or_default();
    (check.status, reason.replace(&key().to_string(), "KEY"))
}

/// Who names a key or an account accepts no package without its signature.
#[test]
fn signatures_that_are_asked_for_are_required() {
    let home = TempDir::new().unwrap();
    let unsigned = PackageMetadata {
        publisher: None,
        ..about()
    };
    let dir = home.path().join("unsigned");
    write(&dir, &drafted(&unsigned).unwrap(), None).unwrap();
    let at = |place: usize, model_keys: &[Digest], publishers: &[Address]| {
        let gather = |package: &_| LocalEvidence {
            model_keys: model_keys.to_vec(),
            publishers: publishers.to_vec(),
            ..evidence(package)
        };
        let report = verify(&dir, &SignerRecovery, &gather).unwrap().0;
        let check = report.checks[place].clone();
        (check.name, check.status, check.reason.unwrap_or_default())
    };
    let reason = |text: &str| text.to_owned();
    assert_eq!(
        [at(4, &[], &[]), at(5, &[], &[])],
        [
            (
                "model-signature",
                CheckStatus::Skipped,
                reason("the package has no model.sig")
            ),
            (
                "eip712",
                CheckStatus::Skipped,
                reason("the package is not signed")
            ),
        ]
    );
    assert_eq!(
        [at(4, &[key()], &[]), at(5, &[], &[account().address()])],
        [
            (
                "model-signature",
                CheckStatus::Fail,
                reason("the package has no model.sig, expected one of a trusted key")
            ),
            (
                "eip712",
                CheckStatus::Fail,
                reason("the package is not signed, expected a trusted account's signature")
            ),
        ]
    );
}

#[test]
fn a_key_has_one_spelling_and_one_digest() {
    let public = signer().public_key();
    assert_eq!(public.to_pem(), PEM);
    assert_eq!(public.digest(), Digest::hash_bytes(PEM.as_bytes()));
    assert_eq!(ModelPublicKey::from_pem(PEM), Ok(public));
    let explained = format!("Curve: P-256\n\n{PEM}\nof the publisher\n");
    assert_eq!(ModelPublicKey::from_pem(&explained), Ok(public));
    let said = |text: &str| ModelPublicKey::from_pem(text).unwrap_err();
    assert_eq!(said("key"), ModelKeyProblem::Pem);
    assert_eq!(said(&PEM.repeat(2)), ModelKeyProblem::Pem);
    assert_eq!(
        said(&PEM.replace("PUBLIC", "PRIVATE")),
        ModelKeyProblem::Pem
    );
    // A point that is not on the curve, and another curve.
    let at = PEM.len() - 40;
    let other = format!("{}AAAA{}", &PEM[..at], &PEM[at + 4..]);
    assert_eq!(said(&other), ModelKeyProblem::Kind);
    assert_eq!(
        said(&PEM.replacen("DAQcD", "DAQgD", 1)),
        ModelKeyProblem::Kind
    );
}

#[test]
fn a_signed_folder_verifies_and_its_bytes_are_the_same_every_time() {
    let home = TempDir::new().unwrap();
    let dir = model_signed(&home.path().join("one"));
    assert_eq!(
        model_signature(&dir, &[]),
        PackageCheck {
            name: "model-signature",
            status: CheckStatus::Pass,
            label: TrustLabel::SignedClaim,
            reason: None,
        }
    );
    assert!(checked(&dir).ok);
    let package = read(&dir).unwrap();
    assert_eq!(package.manifest.trainer.signing_key_sha256, Some(key()));
    let message = package.envelope.unwrap().message;
    assert_eq!(message.oms_key_sha256.0, key().0);
    let again = model_signed(&home.path().join("two"));
    let bytes = |dir: &Path| fs::read(dir.join("model.sig")).unwrap();
    assert_eq!(bytes(&dir), bytes(&again));
    // A package is replaced with its signature.
    assert_eq!(model_signed(&dir), dir);
    assert_eq!(found(&dir, &[key()]), (CheckStatus::Pass, String::new()));
}

#[test]
fn the_statement_names_every_file_but_the_signature() {
    let home = TempDir::new().unwrap();
    let dir = model_signed(&home.path().join("p"));
    let bundle: Value = serde_json::from_slice(&fs::read(dir.join("model.sig")).unwrap()).unwrap();
    let payload = bundle["dsseEnvelope"]["payload"].as_str().unwrap();
    let statement: Value = serde_json::from_slice(&STANDARD.decode(payload).unwrap()).unwrap();
    let mut digests = Vec::new();
    let mut resources = Vec::new();
    let names: BTreeMap<String, Vec<u8>> = fs::read_dir(&dir)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, fs::read(path).unwrap())
        })
        .filter(|(name, _)| name != "model.sig")
        .collect();
    for (name, bytes) in &names {
        let digest = Digest::hash_bytes(bytes);
        digests.extend(digest.0);
        resources.push(json!({"algorithm": "sha256", "digest": digest, "name": name}));
    }
    assert_eq!(
        statement,
        json!({
            "_type": "https://in-toto.io/Statement/v1",
            "predicate": {
                "resources": resources,
                "serialization": {
                    "allow_symlinks": false,
                    "hash_type": "sha256",
                    "ignore_paths":
                        ["model.sig", ".git", ".gitattributes", ".github", ".gitignore"],
                    "method": "files",
                },
            },
            "predicateType": "https://model_signing/signature/v1.0",
            "subject": [{"digest": {"sha256": Digest::hash_bytes(&digests)}, "name": "tone"}],
        })
    );
    assert_eq!(
        bundle["verificationMaterial"]["publicKey"]["hint"],
        key().to_string()
    );
}

/// Signs a changed statement anew, as somebody with the key could.
fn resign(dir: &Path, signer: &dyn ModelSigner, change: impl Fn(&mut Value)) {
    let path = dir.join("model.sig");
    let mut bundle: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let envelope = &mut bundle["dsseEnvelope"];
    let payload = STANDARD
        .decode(envelope["payload"].as_str().unwrap())
        .unwrap();
    let mut statement: Value = serde_json::from_slice(&payload).unwrap();
    change(&mut statement);
    sign_text(
        &mut bundle,
        signer,
        &serde_json::to_string(&statement).unwrap(),
    );
    fs::write(path, serde_json::to_vec(&bundle).unwrap()).unwrap();
}

fn sign_text(bundle: &mut Value, signer: &dyn ModelSigner, payload: &str) {
    let kind = "application/vnd.in-toto+json";
    let message = format!("DSSEv1 {} {kind} {} {payload}", kind.len(), payload.len());
    let envelope = &mut bundle["dsseEnvelope"];
    envelope["payload"] = STANDARD.encode(payload).into();
    envelope["signatures"][0]["sig"] = STANDARD.encode(signer.sign(message.as_bytes())).into();
    let hint = signer.public_key().digest().to_string();
    bundle["verificationMaterial"]["publicKey"]["hint"] = hint.into();
}

type StatementChange = fn(&mut Value);

/// Statements with a good signature that say too little or something else, and the whole of what is
/// said.
const BAD_STATEMENTS: &[(StatementChange, &str)] = &[
    (
        |s| s["predicateType"] = "https://model_signing/Digests/v0.1".into(),
        "`predicateType`: expected https://model_signing/signature/v1.0, found \
         `https://model_signing/Digests/v0.1`",
    ),
    (
        |s| s["_type"] = "https://in-toto.io/Statement/v0.1".into(),
        "`_type`: expected https://in-toto.io/Statement/v1, found \
         `https://in-toto.io/Statement/v0.1`",
    ),
    (
        |s| {
            let ignored = &mut s["predicate"]["serialization"]["ignore_paths"];
            ignored
                .as_array_mut()
                .unwrap()
                .push("adapter_model.safetensors".into());
        },
        "`serialization.ignore_paths`: expected no path of a signed file, found \
         `adapter_model.safetensors`",
    ),
    (
        |s| s["predicate"]["serialization"]["method"] = "shards".into(),
        "`serialization.method`: expected files, found `shards`",
    ),
    (
        |s| s["predicate"]["serialization"]["hash_type"] = "blake3".into(),
        "`serialization.hash_type`: expected sha256, found `blake3`",
    ),
    (
        |s| s["predicate"]["resources"][0]["algorithm"] = "blake3".into(),
        "`resources.algorithm`: expected sha256, found `blake3`",
    ),
    (
        |s| s["predicate"]["resources"][0]["name"] = "../LICENSE".into(),
        "`files`: the path \"../LICENSE\" leads elsewhere",
    ),
    (
        |s| s["subject"] = json!([]),
        "`subject`: expected one, found 0 subjects",
    ),
    (
        |s| {
            let resources = s["predicate"]["resources"].as_array_mut().unwrap();
            resources.push(resources[0].clone());
        },
        "`files`: the path `LICENSE` appears twice",
    ),
];

#[test]
fn statements_that_say_something_else() {
    let home = TempDir::new().unwrap();
    for (change, expected) in BAD_STATEMENTS {
        let dir = model_signed(&home.path().join("p"));
        resign(&dir, &signer(), change);
        assert_eq!(
            found(&dir, &[]),
            (CheckStatus::Fail, (*expected).to_owned())
        );
    }
    // The list of files and the root over it fit, but a file is not listed, or listed for nothing.
    let rooted = |dir: &Path, change: &dyn Fn(&mut Vec<Value>)| {
        resign(dir, &signer(), |s| {
            let resources = s["predicate"]["resources"].as_array_mut().unwrap();
            change(resources);
            let digests = resources
                .iter()
                .flat_map(|it| hex::decode(it["digest"].as_str().unwrap()));
            let root = Digest::hash_bytes(&digests.flatten().collect::<Vec<u8>>());
            s["subject"][0]["digest"]["sha256"] = root.to_string().into();
        });
        found(dir, &[])
    };
    let dir = model_signed(&home.path().join("p"));
    assert_eq!(
        rooted(&dir, &|all| drop(all.remove(0))),
        (
            CheckStatus::Fail,
            "the file `LICENSE` is not signed".to_owned()
        )
    );
    let dir = model_signed(&home.path().join("p"));
    let added = json!({"name": "z.bin", "algorithm": "sha256", "digest": "00".repeat(32)});
    assert_eq!(
        rooted(&dir, &|all| all.push(added.clone())),
        (
            CheckStatus::Fail,
            "the signed file `z.bin` is missing".to_owned()
        )
    );
    let dir = model_signed(&home.path().join("p"));
    resign(&dir, &signer(), |s| {
        s["subject"][0]["digest"]["sha256"] = "11".repeat(32).into()
    });
    assert_eq!(
        found(&dir, &[]),
        (
            CheckStatus::Fail,
            format!(
                "`subject.digest.sha256`: expected the SHA-256 over the digests of the resources, \
                 found {}",
                "11".repeat(32)
            )
        )
    );
}

#[test]
fn a_key_counts_only_if_it_is_named_and_trusted() {
    let home = TempDir::new().unwrap();
    let dir = model_signed(&home.path().join("p"));
    let other = Digest::hash_bytes(b"other");
    assert_eq!(
        found(&dir, &[other]),
        (
            CheckStatus::Fail,
            "it was signed with the key KEY, which is not among the trusted ones".to_owned()
        )
    );
    // Another key signs the same files.
    let network = openlora_chain::network::Network::resolve("local", &Default::default()).unwrap();
    let stranger = openlora_chain::development::account(&network, 1).unwrap();
    let stranger = AccountSigner(&stranger);
    let stranger = stranger.model_signer().unwrap();
    resign(&dir, stranger.as_ref(), |_| {});
    assert_eq!(
        found(&dir, &[]),
        (
            CheckStatus::Fail,
            format!(
                "it was signed with the key {}, expected KEY, which the manifest names",
                stranger.public_key().digest()
            )
        )
    );
    // The bundle names the right key, which did not sign.
    let path = dir.join("model.sig");
    let bundle = fs::read_to_string(&path).unwrap();
    let forged = bundle.replace(
        &stranger.public_key().digest().to_string(),
        &key().to_string(),
    );
    fs::write(&path, forged).unwrap();
    assert_eq!(
        found(&dir, &[]),
        (
            CheckStatus::Fail,
            "the key KEY did not make this signature".to_owned()
        )
    );
    fs::remove_file(&path).unwrap();
    assert_eq!(
        found(&dir, &[]),
        (
            CheckStatus::Fail,
            "the manifest names the key KEY, but the package has no model.sig".to_owned()
        )
    );
    // The manifest names no key: the reader must.
    let dir = crate::packages::packaged(home.path());
    fs::write(dir.join("model.sig"), bundle_over(&dir)).unwrap();
    assert_eq!(
        found(&dir, &[]),
        (
            CheckStatus::Skipped,
            "neither the manifest nor you named its key, which is KEY".to_owned()
        )
    );
    assert_eq!(
        found(&dir, &[other, key()]),
        (CheckStatus::Pass, String::new())
    );
    // Signers of earlier versions put the key itself into the bundle.
    let path = dir.join("model.sig");
    let der: String = PEM.lines().filter(|line| !line.starts_with('-')).collect();
    let named = |key: Value| {
        let mut bundle: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        bundle["verificationMaterial"]["publicKey"] = key;
        fs::write(&path, bundle.to_string()).unwrap();
    };
    named(json!({"rawBytes": der, "keyDetails": "PKIX_ECDSA_P256_SHA_256"}));
    assert_eq!(found(&dir, &[key()]), (CheckStatus::Pass, String::new()));
    named(json!({"rawBytes": der, "hint": key()}));
    let report = checked(&dir).checks.remove(0);
    let both = format!(
        "{}: `verificationMaterial.publicKey`: expected either `hint` or `rawBytes`, found both",
        path.display()
    );
    assert_eq!(report.reason, Some(both));
}

/// A bundle of this account over the files of `dir`, spelt as other signers do.
fn bundle_over(dir: &Path) -> Vec<u8> {
    let mut digests = Vec::new();
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    let resource = |name: &String| {
        let digest = Digest::hash_bytes(&fs::read(dir.join(name)).unwrap());
        digests.extend(digest.0);
        json!({"name": name, "algorithm": "sha256", "digest": digest})
    };
    let resources: Vec<Value> = names.iter().map(resource).collect();
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "x", "digest": {"sha256": Digest::hash_bytes(&digests)}}],
        "predicateType": "https://model_signing/signature/v1.0",
        "predicate": {
            "serialization": {"method": "files", "hash_type": "sha256", "allow_symlinks": true},
            "resources": resources,
            "more": 1,
        },
    });
    let mut bundle = json!({
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {"publicKey": {}},
        "dsseEnvelope": {"payloadType": "application/vnd.in-toto+json", "signatures": [{}]},
    });
    let text = serde_json::to_string_pretty(&statement).unwrap();
    sign_text(&mut bundle, &signer(), &text);
    serde_json::to_vec_pretty(&bundle).unwrap()
}

#[test]
fn bundles_that_are_none() {
    let home = TempDir::new().unwrap();
    let dir = model_signed(&home.path().join("p"));
    let text = fs::read_to_string(dir.join("model.sig")).unwrap();
    assert!(ModelSignature::parse(text.as_bytes()).is_ok());
    let said = |from: &str, to: &str| {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text);
        ModelSignature::parse(changed.as_bytes())
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        said("bundle.v0.3+json", "bundle+json;version=0.2"),
        "`mediaType`: expected application/vnd.dev.sigstore.bundle.v0.3+json, found \
         `application/vnd.dev.sigstore.bundle+json;version=0.2`"
    );
    assert_eq!(
        said("in-toto+json", "other+json"),
        "`dsseEnvelope.payloadType`: expected application/vnd.in-toto+json, found \
         `application/vnd.other+json`"
    );
    assert_eq!(
        said(
            "\"signatures\":[{",
            "\"signatures\":[{\"keyid\":\"\",\"sig\":\"\"},{"
        ),
        "`dsseEnvelope.signatures`: expected one, found 2 signatures"
    );
    let twice = said("\"payload\":", "\"payload\":\"\",\"payload\":");
    assert!(
        twice.starts_with("not the expected JSON: duplicate field `payload`"),
        "{twice}"
    );
    assert_eq!(
        said(&key().to_string(), "ABC"),
        "`verificationMaterial.publicKey.hint`: expected 64 lowercase hexadecimal digits, found \
         `ABC`"
    );
    let respelt = said("\"sig\":\"", "\"sig\":\"-");
    assert!(
        respelt.starts_with("`dsseEnvelope.signatures.sig`: expected canonical base64, found "),
        "{respelt}"
    );
    let certified = said("\"publicKey\"", "\"certificate\"");
    assert!(
        certified.starts_with("not the expected JSON: missing field `rawBytes`"),
        "{certified}"
    );
    let large = vec![b' '; (16 << 20) + 1];
    assert_eq!(
        ModelSignature::parse(&large).unwrap_err().to_string(),
        "it has 16777217 bytes, expected at most 16777216"
    );
    fs::write(dir.join("model.sig"), "{}").unwrap();
    assert_eq!(
        read(&dir).unwrap_err().to_string(),
        format!(
            "{}/model.sig: not the expected JSON: missing field `mediaType` at line 1 column 2",
            dir.display()
        )
    );
}

#[test]
fn only_the_named_key_signs() {
    let home = TempDir::new().unwrap();
    let other = Digest::hash_bytes(b"other");
    let draft = drafted(&PackageMetadata {
        signing_key: Some(other),
        ..about()
    });
    let draft = draft.unwrap();
    let domain = SigningDomain::for_registry(31_337, None);
    let dir = home.path().join("p");
    let said = |error: PackageError| error.to_string();
    assert_eq!(
        write(&dir, &draft, Some((&domain, &AccountSigner(&account()))))
            .map_err(said)
            .unwrap_err(),
        format!(
            "the package names the model signing key {other}, so the key {} cannot sign it",
            key()
        )
    );
    assert_eq!(
        write(&dir, &draft, None).map_err(said).unwrap_err(),
        format!(
            "the package names the model signing key {other}, so an account without one cannot \
             sign it"
        )
    );
    assert!(!dir.exists());
}
