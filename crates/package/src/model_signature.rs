//! `model.sig`: the OpenSSF Model Signing 1.0 signature over a package's folder, by key or by
//! certificate.
//!
//! A Sigstore bundle holds a DSSE envelope, and that an in-toto statement with the SHA-256 of every
//! file but `model.sig` itself. Specifications: <https://github.com/ossf/model-signing-spec>,
//! <https://github.com/secure-systems-lab/dsse>, <https://in-toto.io/Statement/v1>.
//!
//! What other signers write is read as they write it, so neither the order of fields nor unknown
//! fields matter, unless the manifest names the key. Nothing may be left out of the signature: every file
//! that a package holds must be signed, whatever the statement ignores.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{
    MODEL_SIGNATURE_FILE,
    certificate::Certificate,
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
/// The predicate of version 0.2 of the reference implementation, which listed files as subjects. It is
/// read, not written.
const FIRST_PREDICATE_TYPE: &str = "https://model_signing/Digests/v0.1";

/// What our signatures leave out: themselves, and the files of git, which no package holds.
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

/// What says who signed. One of the first three is there, according to the method.
#[derive(Serialize, Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct VerificationMaterial {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    public_key: Option<KeyHint>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    x509_certificate_chain: Option<CertificateChain>,
    /// Of a signature without a key of one's own (Sigstore).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    certificate: Option<RawCertificate>,
    #[serde(default)]
    tlog_entries: Vec<serde_json::Value>,
}

/// The signing certificate, then those of its authorities.
#[derive(Serialize, Deserialize)]
struct CertificateChain {
    certificates: Vec<RawCertificate>,
}

/// A certificate in base64 of its DER.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawCertificate {
    raw_bytes: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeyHint {
    /// SHA-256 of the key's PEM.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    hint: Option<String>,
    /// The key itself, in base64 of its DER or of its PEM, as signers of earlier versions wrote it.
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
    /// Means nothing here; some signers leave it out or write null.
    #[serde(default)]
    keyid: Option<String>,
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

/// What says whose key made a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyEvidence {
    /// The digest of the key alone.
    Named,
    /// The signing certificate, then those of its authorities.
    Chain(Vec<Certificate>),
    /// A certificate of minutes, for a key that was then thrown away. Whether it was valid when it
    /// signed is said by a log of Sigstore, which is not read here.
    Keyless,
}

/// A bundle whose signature is not checked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelSignature {
    /// SHA-256 of the key's PEM.
    pub key: Digest,
    pub evidence: KeyEvidence,
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
    sign_files_ignoring(name, files, IGNORED, signer)
}

/// The same for any model, of which `ignored` paths were left out.
pub fn sign_files_ignoring(
    name: &str,
    files: &SignedFiles,
    ignored: &[&str],
    signer: &dyn ModelSigner,
) -> Result<Vec<u8>, ManifestProblem> {
    let payload = canonical(&statement(name, files, ignored))?;
    let signature = signer.sign(&pre_authentication(&payload));
    let certificates = signer.certificates();
    let key = signer.public_key().digest();
    canonical(&bundle(key, certificates, &payload, &signature))
}

fn bundle(key: Digest, chain: &[Certificate], payload: &[u8], signature: &[u8]) -> Bundle {
    let raw = |certificate: &Certificate| RawCertificate {
        raw_bytes: STANDARD.encode(certificate.der()),
    };
    let verification_material = match chain {
        [] => VerificationMaterial {
            public_key: Some(KeyHint {
                hint: Some(key.to_string()),
                raw_bytes: None,
            }),
            ..VerificationMaterial::default()
        },
        chain => VerificationMaterial {
            x509_certificate_chain: Some(CertificateChain {
                certificates: chain.iter().map(raw).collect(),
            }),
            ..VerificationMaterial::default()
        },
    };
    Bundle {
        media_type: MEDIA_TYPE.to_owned(),
        verification_material,
        dsse_envelope: DsseEnvelope {
            payload: STANDARD.encode(payload),
            payload_type: PAYLOAD_TYPE.to_owned(),
            signatures: vec![DsseSignature {
                sig: STANDARD.encode(signature),
                keyid: Some(String::new()),
            }],
        },
    }
}

fn statement(name: &str, files: &SignedFiles, ignored: &[&str]) -> InTotoStatement {
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
                ignore_paths: ignored.iter().map(|&path| path.to_owned()).collect(),
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
        let (key, evidence) = signing_key(&read.verification_material)?;
        let payload = decode("dsseEnvelope.payload", &envelope.payload)?;
        let signature = decode("dsseEnvelope.signatures.sig", &signature.sig)?;
        let chain = match &evidence {
            KeyEvidence::Chain(chain) => chain.as_slice(),
            KeyEvidence::Named | KeyEvidence::Keyless => &[],
        };
        Ok(Self {
            key,
            canonical: canonical(&bundle(key, chain, &payload, &signature))? == bytes,
            evidence,
            payload,
            signature,
        })
    }

    /// The key that made the signature, if it is the one that the bundle names. A certificate counts
    /// only if [`TrustedRoots::check`](super::TrustedRoots::check) accepts it.
    pub fn recover_key(&self) -> Option<ModelPublicKey> {
        let message = pre_authentication(&self.payload);
        let chain = match &self.evidence {
            KeyEvidence::Keyless => return None,
            KeyEvidence::Named => {
                return ModelPublicKey::recover(self.key, &message, &self.signature);
            }
            KeyEvidence::Chain(chain) => chain,
        };
        let key = chain.first()?.model_key().ok()?;
        let made = match predicate_type(&self.payload).as_deref() {
            // It signed another message, and hashed it with SHA-256 whatever the curve.
            Some(FIRST_PREDICATE_TYPE) => {
                let hash = Sha256::digest(first_pre_authentication(&self.payload));
                key.verifies_hash(&hash, &self.signature)
            }
            _ => key.verifies(&message, &self.signature),
        };
        made.then_some(key)
    }

    /// The statement's files, for a package. They are signed only if the signature is that of a known
    /// key.
    ///
    /// # Errors
    ///
    /// Another kind of statement, or one that ignores a file that it signs or contradicts itself.
    pub fn files(&self) -> Result<SignedFiles, ManifestProblem> {
        if let Some(found) = predicate_type(&self.payload) {
            expect("predicateType", PREDICATE_TYPE, &found)?;
        }
        let SignedStatement { files, ignored } = self.statement()?;
        check_paths(files.keys().map(String::as_str))?;
        let signed = |path: &&String| files.keys().any(|file| is_at_or_below(file, path));
        match ignored.iter().find(signed) {
            Some(path) => {
                let expected = "no path of a signed file";
                let found = format!("`{}`", path.escape_debug());
                Err(wrong("serialization.ignore_paths", expected, found))
            }
            None => Ok(files),
        }
    }

    /// The statement about any model, also one of the first version of the reference implementation.
    ///
    /// # Errors
    ///
    /// Another kind of statement, or one that contradicts itself.
    pub fn statement(&self) -> Result<SignedStatement, ManifestProblem> {
        if predicate_type(&self.payload).as_deref() == Some(FIRST_PREDICATE_TYPE) {
            return first_statement(&self.payload);
        }
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
        Ok(SignedStatement {
            files,
            ignored: serialization.ignore_paths,
        })
    }
}

/// What a signature says of a model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignedStatement {
    pub files: SignedFiles,
    /// Paths that were left out, with everything below them.
    pub ignored: Vec<String>,
}

/// Whether `path` is `folder`, or a file below it.
fn is_at_or_below(path: &str, folder: &str) -> bool {
    let rest = path.strip_prefix(folder);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || folder.ends_with('/'))
}

/// The kind of statement, before it is read as one.
fn predicate_type(payload: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Kind {
        predicate_type: String,
    }
    let kind: Kind = serde_json::from_slice(payload).ok()?;
    Some(kind.predicate_type)
}

/// The files of the first predicate.
fn first_statement(payload: &[u8]) -> Result<SignedStatement, ManifestProblem> {
    #[derive(Deserialize)]
    struct Statement {
        #[serde(rename = "_type")]
        kind: String,
        subject: Vec<Subject>,
    }
    let statement: Statement = serde_json::from_slice(payload).map_err(json)?;
    expect("_type", STATEMENT_TYPE, &statement.kind)?;
    let resource = |subject: Subject| Resource {
        name: subject.name,
        algorithm: "sha256".to_owned(),
        digest: subject.digest.sha256,
    };
    Ok(SignedStatement {
        files: listed_files(statement.subject.into_iter().map(resource).collect())?,
        ignored: Vec::new(),
    })
}

/// The bytes that were signed with the first predicate: an error of its signer put the payload in as
/// Python shows bytes.
fn first_pre_authentication(payload: &[u8]) -> String {
    let quote = match payload.contains(&b'\'') && !payload.contains(&b'"') {
        true => '"',
        false => '\'',
    };
    let mut shown = format!("b{quote}");
    for &byte in payload {
        match byte {
            b'\t' => shown.push_str("\\t"),
            b'\n' => shown.push_str("\\n"),
            b'\r' => shown.push_str("\\r"),
            b'\\' => shown.push_str("\\\\"),
            b'\'' if quote == '\'' => shown.push_str("\\'"),
            b' '..=b'~' => shown.push(char::from(byte)),
            _ => shown.push_str(&format!("\\x{byte:02x}")),
        }
    }
    let (kind, length) = (PAYLOAD_TYPE.len(), payload.len());
    format!("DSSEV1 {kind} {PAYLOAD_TYPE} {length} {shown}{quote}")
}

/// Whose key a bundle names, and by what.
fn signing_key(material: &VerificationMaterial) -> Result<(Digest, KeyEvidence), ManifestProblem> {
    let field = "verificationMaterial";
    match material {
        VerificationMaterial {
            public_key: Some(named),
            x509_certificate_chain: None,
            certificate: None,
            ..
        } => Ok((named_key(named)?, KeyEvidence::Named)),
        VerificationMaterial {
            public_key: None,
            x509_certificate_chain: Some(chain),
            certificate: None,
            ..
        } => {
            let chain = chain.certificates.iter().map(certificate);
            let chain = chain.collect::<Result<Vec<_>, _>>()?;
            let signer = chain.first().ok_or_else(|| {
                let field = "verificationMaterial.x509CertificateChain";
                wrong(field, "at least one certificate", "none".to_owned())
            })?;
            Ok((certified_key(signer)?, KeyEvidence::Chain(chain)))
        }
        VerificationMaterial {
            public_key: None,
            x509_certificate_chain: None,
            certificate: Some(raw),
            ..
        } => Ok((certified_key(&certificate(raw)?)?, KeyEvidence::Keyless)),
        _ => {
            let expected = "one of `publicKey`, `x509CertificateChain` and `certificate`";
            let found = [
                material.public_key.is_some(),
                material.x509_certificate_chain.is_some(),
                material.certificate.is_some(),
            ];
            let found = found.into_iter().filter(|is_there| *is_there).count();
            Err(wrong(field, expected, format!("{found} of them")))
        }
    }
}

fn certificate(raw: &RawCertificate) -> Result<Certificate, ManifestProblem> {
    let field = "verificationMaterial.rawBytes";
    let certificate = Certificate::from_der(&decode(field, &raw.raw_bytes)?);
    certificate.map_err(|problem| {
        let expected = "X.509 certificates";
        wrong(field, expected, format!("something else: {problem}"))
    })
}

fn certified_key(certificate: &Certificate) -> Result<Digest, ManifestProblem> {
    let key = certificate.model_key().map_err(|problem| {
        let expected = "a certificate of a model signing key";
        wrong("verificationMaterial", expected, problem.to_string())
    });
    Ok(key?.digest())
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
            let bytes = decode(field, raw)?;
            let key = match std::str::from_utf8(&bytes) {
                Ok(text) if text.contains("-----BEGIN") => ModelPublicKey::from_pem(text),
                _ => ModelPublicKey::from_der(&bytes),
            };
            let key = key.map_err(|problem| {
                let expected = "an ECDSA key in DER or PEM";
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
