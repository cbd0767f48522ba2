//! `model.sig`: the OpenSSF Model Signing 1.0 signature over a package's folder, by key.
//!
//! A Sigstore bundle holds a DSSE envelope, and that an in-toto statement with the SHA-256 of every
//! file but `model.sig` itself. Specifications: <https://github.com/ossf/model-signing-spec>,
//! <https://github.com/secure-systems-lab/dsse>, <https://in-toto.io/Statement/v1>.
//!
//! What other signers write is read as they write it, so neither the order of fields nor unknown
//! fields matter, unless the manifest names the key. Nothing may be left out of the signature: the paths that it ignores must be ones
//! that a package cannot hold.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{
    MODEL_SIGNATURE_FILE,
    error::{ManifestProblem, SignedFilesProblem},
    manifest::{Digest, LARGEST, canonical},
    model_key::ModelPublicKey,
    paths::{PathProblem, check_paths},
    release::ModelSigner,
};
use openlora_core::error::describe_decoding;

const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
const PREDICATE_TYPE: &str = "https://model_signing/signature/v1.0";

/// What a signature may leave out: itself, and the files of git, which no package holds. Signers
/// add the latter by default.
const IGNORED: &[&str] = &[
    MODEL_SIGNATURE_FILE,
    ".git",
    ".gitattributes",
    ".github",
    ".gitignore",
];

/// The digest of every signed file, by path.
pub type SignedFiles = BTreeMap<String, Digest>;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bundle {
    media_type: String,
    verification_material: VerificationMaterial,
    dsse_envelope: DsseEnvelope,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct VerificationMaterial {
    public_key: KeyHint,
    #[serde(default)]
    tlog_entries: Vec<serde_json::Value>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeyHint {
    /// SHA-256 of the key's PEM.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    hint: Option<String>,
    /// The key itself, in base64 of its DER, as signers of earlier versions wrote it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    raw_bytes: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct DsseEnvelope {
    payload: String,
    payload_type: String,
    signatures: Vec<DsseSignature>,
}

#[derive(Serialize, Deserialize)]
struct DsseSignature {
    sig: String,
    #[serde(default)]
    keyid: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct InTotoStatement {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<Subject>,
    predicate_type: String,
    predicate: Predicate,
}

#[derive(Serialize, Deserialize)]
struct Subject {
    name: String,
    digest: SubjectDigest,
}

#[derive(Serialize, Deserialize)]
struct SubjectDigest {
    sha256: Digest,
}

#[derive(Serialize, Deserialize)]
struct Predicate {
    serialization: Serialization,
    resources: Vec<Resource>,
}

#[derive(Serialize, Deserialize)]
struct Serialization {
    method: String,
    hash_type: String,
    allow_symlinks: bool,
    #[serde(default)]
    ignore_paths: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Resource {
    name: String,
    algorithm: String,
    digest: Digest,
}

/// A bundle whose signature is not checked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelSignature {
    /// SHA-256 of the key's PEM.
    pub key: Digest,
    /// Whether the bytes are those that [`sign_files`] writes for this signature.
    pub(super) canonical: bool,
    payload: Vec<u8>,
    /// In DER.
    signature: Vec<u8>,
}

/// Signs the files of a package named `name` and returns the bundle's bytes. Equal files give equal
/// bytes if the signer is deterministic.
pub fn sign_files(
    name: &str,
    files: &SignedFiles,
    signer: &dyn ModelSigner,
) -> Result<Vec<u8>, ManifestProblem> {
    let payload = canonical(&statement(name, files))?;
    let signature = signer.sign(&pre_authentication(&payload));
    canonical(&bundle(signer.public_key().digest(), &payload, &signature))
}

fn bundle(key: Digest, payload: &[u8], signature: &[u8]) -> Bundle {
    Bundle {
        media_type: MEDIA_TYPE.to_owned(),
        verification_material: VerificationMaterial {
            public_key: KeyHint {
                hint: Some(key.to_string()),
                raw_bytes: None,
            },
            tlog_entries: Vec::new(),
        },
        dsse_envelope: DsseEnvelope {
            payload: STANDARD.encode(payload),
            payload_type: PAYLOAD_TYPE.to_owned(),
            signatures: vec![DsseSignature {
                sig: STANDARD.encode(signature),
                keyid: String::new(),
            }],
        },
    }
}

fn statement(name: &str, files: &SignedFiles) -> InTotoStatement {
    let resource = |(path, digest): (&String, &Digest)| Resource {
        name: path.clone(),
        algorithm: "sha256".to_owned(),
        digest: *digest,
    };
    let resources: Vec<Resource> = files.iter().map(resource).collect();
    InTotoStatement {
        kind: STATEMENT_TYPE.to_owned(),
        subject: vec![Subject {
            name: name.to_owned(),
            digest: SubjectDigest {
                sha256: root(&resources),
            },
        }],
        predicate_type: PREDICATE_TYPE.to_owned(),
        predicate: Predicate {
            serialization: Serialization {
                method: "files".to_owned(),
                hash_type: "sha256".to_owned(),
                allow_symlinks: false,
                ignore_paths: IGNORED.iter().map(|&path| path.to_owned()).collect(),
            },
            resources,
        },
    }
}

/// The subject's digest: SHA-256 over the digests, as bytes, in the order of the list.
fn root(resources: &[Resource]) -> Digest {
    let mut hasher = Sha256::new();
    for resource in resources {
        hasher.update(resource.digest.0);
    }
    Digest(hasher.finalize().into())
}

/// The bytes that are signed (PAE of DSSE 1.0).
fn pre_authentication(payload: &[u8]) -> Vec<u8> {
    let head = format!(
        "DSSEv1 {} {PAYLOAD_TYPE} {} ",
        PAYLOAD_TYPE.len(),
        payload.len()
    );
    [head.as_bytes(), payload].concat()
}

impl ModelSignature {
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestProblem> {
        let found = bytes.len() as u64;
        if found > LARGEST {
            let limit = LARGEST;
            return Err(ManifestProblem::TooLarge { found, limit });
        }
        let read: Bundle = serde_json::from_slice(bytes).map_err(json)?;
        expect("mediaType", MEDIA_TYPE, &read.media_type)?;
        let envelope = read.dsse_envelope;
        expect(
            "dsseEnvelope.payloadType",
            PAYLOAD_TYPE,
            &envelope.payload_type,
        )?;
        let [signature] = envelope.signatures.as_slice() else {
            let found = format!("{} signatures", envelope.signatures.len());
            return Err(wrong("dsseEnvelope.signatures", "one", found));
        };
        let key = named_key(&read.verification_material.public_key)?;
        let payload = decode("dsseEnvelope.payload", &envelope.payload)?;
        let signature = decode("dsseEnvelope.signatures.sig", &signature.sig)?;
        Ok(Self {
            key,
            canonical: canonical(&bundle(key, &payload, &signature))? == bytes,
            payload,
            signature,
        })
    }

    /// The key that made the signature, if it is the one that the bundle names.
    pub fn recover_key(&self) -> Option<ModelPublicKey> {
        let message = pre_authentication(&self.payload);
        ModelPublicKey::recover(self.key, &message, &self.signature)
    }

    /// The statement's files, for a package. They are signed only if the signature is that of a known
    /// key.
    pub fn files(&self) -> Result<SignedFiles, ManifestProblem> {
        let files = self.files_ignoring(&[])?;
        check_paths(files.keys().map(String::as_str))?;
        Ok(files)
    }

    /// The statement's files. It may leave out the signature, the files of git and `more`.
    ///
    /// # Errors
    ///
    /// Another kind of statement, or one that leaves out other paths or contradicts itself.
    pub fn files_ignoring(&self, more: &[&str]) -> Result<SignedFiles, ManifestProblem> {
        let statement: InTotoStatement = serde_json::from_slice(&self.payload).map_err(json)?;
        expect("_type", STATEMENT_TYPE, &statement.kind)?;
        expect("predicateType", PREDICATE_TYPE, &statement.predicate_type)?;
        let Predicate {
            serialization,
            resources,
        } = statement.predicate;
        expect("serialization.method", "files", &serialization.method)?;
        expect(
            "serialization.hash_type",
            "sha256",
            &serialization.hash_type,
        )?;
        let mut ignored = serialization.ignore_paths.iter().map(String::as_str);
        if let Some(path) = ignored.find(|path| !IGNORED.contains(path) && !more.contains(path)) {
            let expected = "no path but model.sig and those of git";
            let found = format!("`{}`", path.escape_debug());
            return Err(wrong("serialization.ignore_paths", expected, found));
        }
        let [subject] = statement.subject.as_slice() else {
            let found = format!("{} subjects", statement.subject.len());
            return Err(wrong("subject", "one", found));
        };
        let (expected, found) = (root(&resources), subject.digest.sha256);
        let files = listed_files(resources)?;
        if expected != found {
            let expected = "the SHA-256 over the digests of the resources";
            return Err(wrong("subject.digest.sha256", expected, found.to_string()));
        }
        Ok(files)
    }
}

/// The key that a bundle names, by the SHA-256 of its PEM.
fn named_key(named: &KeyHint) -> Result<Digest, ManifestProblem> {
    match (&named.hint, &named.raw_bytes) {
        (Some(hint), None) => Digest::of_hex(hint).ok_or_else(|| {
            wrong(
                "verificationMaterial.publicKey.hint",
                "64 lowercase hexadecimal digits",
                format!("`{}`", hint.escape_debug()),
            )
        }),
        (None, Some(raw)) => {
            let field = "verificationMaterial.publicKey.rawBytes";
            let key = ModelPublicKey::from_der(&decode(field, raw)?);
            let key = key.map_err(|problem| {
                let expected = "an ECDSA key on P-256 in DER";
                wrong(field, expected, format!("something else: {problem}"))
            });
            Ok(key?.digest())
        }
        (hint, _) => Err(wrong(
            "verificationMaterial.publicKey",
            "either `hint` or `rawBytes`",
            if hint.is_some() { "both" } else { "neither" }.to_owned(),
        )),
    }
}

fn listed_files(resources: Vec<Resource>) -> Result<SignedFiles, ManifestProblem> {
    if resources.is_empty() {
        return Err(wrong("resources", "at least one file", "none".to_owned()));
    }
    let mut files = SignedFiles::new();
    for resource in resources {
        expect("resources.algorithm", "sha256", &resource.algorithm)?;
        let name = resource.name.clone();
        if files.insert(resource.name, resource.digest).is_some() {
            return Err(ManifestProblem::Path(PathProblem::Twice(name)));
        }
    }
    Ok(files)
}

/// Compares the signed files with those of a folder.
pub fn compare_files(signed: &SignedFiles, held: &SignedFiles) -> Result<(), SignedFilesProblem> {
    for (path, found) in held {
        match signed.get(path) {
            None => return Err(SignedFilesProblem::Unsigned(path.clone())),
            Some(expected) if expected != found => {
                return Err(SignedFilesProblem::Content {
                    path: path.clone(),
                    expected: *expected,
                    found: *found,
                });
            }
            Some(_) => {}
        }
    }
    match signed.keys().find(|path| !held.contains_key(*path)) {
        Some(missing) => Err(SignedFilesProblem::Missing(missing.clone())),
        None => Ok(()),
    }
}

fn json(error: serde_json::Error) -> ManifestProblem {
    ManifestProblem::Json(describe_decoding(&error))
}

fn wrong(field: &str, expected: &'static str, found: String) -> ManifestProblem {
    ManifestProblem::Field {
        field: field.to_owned(),
        expected,
        found,
    }
}

fn expect(field: &str, expected: &'static str, found: &str) -> Result<(), ManifestProblem> {
    if found == expected {
        return Ok(());
    }
    Err(wrong(
        field,
        expected,
        format!("`{}`", found.escape_debug()),
    ))
}

fn decode(field: &str, text: &str) -> Result<Vec<u8>, ManifestProblem> {
    STANDARD
        .decode(text)
        .map_err(|error| wrong(field, "canonical base64", error.to_string()))
}
