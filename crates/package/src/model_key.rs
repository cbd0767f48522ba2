//! Public keys of OpenSSF Model Signing: ECDSA on P-256 with SHA-256.
//!
//! A bundle names its key only by the SHA-256 of the key's PEM. The key itself can be computed from
//! a signature, up to a few candidates, so a manifest that states that digest is sufficient to
//! check one.

use base64::{Engine, engine::general_purpose::STANDARD};
use ecdsa::RecoveryId;
use p256::ecdsa::{Signature, VerifyingKey, signature::hazmat::PrehashVerifier};
use sha2::{Digest as _, Sha256};

use super::digest::Digest;

const PEM_BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const PEM_END: &str = "-----END PUBLIC KEY-----";
/// Characters of a line of PEM (RFC 7468).
const PEM_LINE: usize = 64;

/// DER before the point of a P-256 key: SubjectPublicKeyInfo with id-ecPublicKey, prime256v1 and a
/// bit string of 65 bytes (RFC 5480).
const SPKI_HEAD: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// A point on P-256 that verifies signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelPublicKey(VerifyingKey);

/// Why a text is not a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModelKeyProblem {
    #[error("expected a PEM block between `{PEM_BEGIN}` and `{PEM_END}`")]
    Pem,
    #[error("expected an uncompressed ECDSA key on P-256")]
    Kind,
}

impl ModelPublicKey {
    /// From an uncompressed point: 4, x and y, 65 bytes.
    pub fn from_point(point: &[u8]) -> Result<Self, ModelKeyProblem> {
        let key = VerifyingKey::from_sec1_bytes(point).ok();
        let uncompressed = key.filter(|_| point.len() == 65);
        uncompressed.map(Self).ok_or(ModelKeyProblem::Kind)
    }

    /// From a text with one block, before and after which there may be explanations (RFC 7468).
    pub fn from_pem(text: &str) -> Result<Self, ModelKeyProblem> {
        let (_, rest) = text.split_once(PEM_BEGIN).ok_or(ModelKeyProblem::Pem)?;
        let (inner, after) = rest.split_once(PEM_END).ok_or(ModelKeyProblem::Pem)?;
        if after.contains(PEM_BEGIN) {
            return Err(ModelKeyProblem::Pem);
        }
        let digits: String = inner.split_ascii_whitespace().collect();
        Self::from_der(&STANDARD.decode(digits).map_err(|_| ModelKeyProblem::Pem)?)
    }

    /// From a SubjectPublicKeyInfo (RFC 5480).
    pub fn from_der(der: &[u8]) -> Result<Self, ModelKeyProblem> {
        let point = der.strip_prefix(&SPKI_HEAD).ok_or(ModelKeyProblem::Kind)?;
        Self::from_point(point)
    }

    /// The key as openssl writes it.
    pub fn to_pem(&self) -> String {
        let point = self.0.to_encoded_point(false);
        let text = STANDARD.encode([&SPKI_HEAD, point.as_bytes()].concat());
        let mut pem = format!("{PEM_BEGIN}\n");
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let (line, after) = rest.split_at(rest.len().min(PEM_LINE));
            pem.push_str(line);
            pem.push('\n');
            rest = after;
        }
        pem.push_str(PEM_END);
        pem.push('\n');
        pem
    }

    /// The SHA-256 of the PEM, by which bundles and manifests name the key.
    pub fn digest(&self) -> Digest {
        Digest::hash_bytes(self.to_pem().as_bytes())
    }

    /// The key with this digest, if it made `signature`, in DER, over `message`. Both values of s
    /// are accepted: a changed s is another encoding of the same statement, and common signers do
    /// not normalise it.
    pub fn recover(digest: Digest, message: &[u8], signature: &[u8]) -> Option<Self> {
        let signature = Signature::from_der(signature).ok()?;
        let hash = Sha256::digest(message);
        let candidates = (0..4u8).filter_map(RecoveryId::from_byte).filter_map(|id| {
            let key = VerifyingKey::recover_from_prehash(&hash, &signature, id).ok()?;
            key.verify_prehash(&hash, &signature)
                .ok()
                .map(|()| Self(key))
        });
        candidates.into_iter().find(|key| key.digest() == digest)
    }
}
