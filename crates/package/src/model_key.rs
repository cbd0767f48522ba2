//! Public keys of OpenSSF Model Signing: ECDSA on P-256 with SHA-256, on P-384 with SHA-384 and on
//! P-521 with SHA-512.
//!
//! A bundle names its key only by the SHA-256 of the key's PEM. The key itself can be computed from
//! a signature, up to a few candidates, so a manifest that states that digest is sufficient to
//! check one.

use base64::{Engine, engine::general_purpose::STANDARD};
use ecdsa::{RecoveryId, VerifyingKey};
use p256::{NistP256, ecdsa::signature::hazmat::PrehashVerifier};
use p384::NistP384;
use p521::NistP521;
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use super::digest::Digest;

const PEM_BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const PEM_END: &str = "-----END PUBLIC KEY-----";
/// Characters of a line of PEM (RFC 7468).
const PEM_LINE: usize = 64;

/// DER before the point of a P-256 key: SubjectPublicKeyInfo with id-ecPublicKey, prime256v1 and a
/// bit string of 65 bytes (RFC 5480).
const P256_HEAD: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// The same with secp384r1 and 97 bytes.
const P384_HEAD: &[u8] = &[
    0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b,
    0x81, 0x04, 0x00, 0x22, 0x03, 0x62, 0x00,
];
/// The same with secp521r1 and 133 bytes.
const P521_HEAD: &[u8] = &[
    0x30, 0x81, 0x9b, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05,
    0x2b, 0x81, 0x04, 0x00, 0x23, 0x03, 0x81, 0x86, 0x00,
];

/// A point on one of the curves that verifies signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelPublicKey(Point);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Point {
    P256(VerifyingKey<NistP256>),
    P384(VerifyingKey<NistP384>),
    P521(VerifyingKey<NistP521>),
}

/// Why a text is not a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModelKeyProblem {
    #[error("expected a PEM block between `{PEM_BEGIN}` and `{PEM_END}`")]
    Pem,
    #[error("expected an uncompressed ECDSA key on P-256, P-384 or P-521")]
    Kind,
}

/// The keys on one curve that can have made a signature, in DER, over a hash.
macro_rules! candidates {
    ($point:path, $curve:ty, $hash:expr, $signature:expr) => {{
        let hash = $hash;
        let signature = ecdsa::Signature::<$curve>::from_der($signature).ok();
        let ids = (0..4u8).filter_map(RecoveryId::from_byte);
        ids.filter_map(move |id| {
            let key = VerifyingKey::<$curve>::recover_from_prehash(&hash, signature.as_ref()?, id);
            key.ok().map($point).map(ModelPublicKey)
        })
    }};
}

impl ModelPublicKey {
    /// From an uncompressed point, 4, x and y, whose length says which curve it is on: 65 bytes for
    /// P-256, 97 for P-384, 133 for P-521.
    pub fn from_point(point: &[u8]) -> Result<Self, ModelKeyProblem> {
        let key = match point.len() {
            65 => VerifyingKey::from_sec1_bytes(point).map(Point::P256),
            97 => VerifyingKey::from_sec1_bytes(point).map(Point::P384),
            133 => VerifyingKey::from_sec1_bytes(point).map(Point::P521),
            _ => return Err(ModelKeyProblem::Kind),
        };
        key.map(Self).map_err(|_| ModelKeyProblem::Kind)
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
        let heads = [(P256_HEAD, 65), (P384_HEAD, 97), (P521_HEAD, 133)];
        let mut points = heads
            .into_iter()
            .filter_map(|(head, length)| der.strip_prefix(head).filter(|it| it.len() == length));
        Self::from_point(points.next().ok_or(ModelKeyProblem::Kind)?)
    }

    /// The key as openssl writes it.
    pub fn to_pem(&self) -> String {
        let text = STANDARD.encode(self.to_der());
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

    fn to_der(self) -> Vec<u8> {
        match self.0 {
            Point::P256(key) => [P256_HEAD, key.to_encoded_point(false).as_bytes()].concat(),
            Point::P384(key) => [P384_HEAD, key.to_encoded_point(false).as_bytes()].concat(),
            Point::P521(key) => [P521_HEAD, key.to_encoded_point(false).as_bytes()].concat(),
        }
    }

    /// The SHA-256 of the PEM, by which bundles and manifests name the key.
    pub fn digest(&self) -> Digest {
        Digest::hash_bytes(self.to_pem().as_bytes())
    }

    /// Whether this key made `signature`, in DER, over `message`. Both values of s are accepted: a
    /// changed s is another encoding of the same statement, and common signers do not normalise it.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match self.0 {
            Point::P256(_) => self.verifies_hash(&Sha256::digest(message), signature),
            Point::P384(_) => self.verifies_hash(&Sha384::digest(message), signature),
            Point::P521(_) => self.verifies_hash(&Sha512::digest(message), signature),
        }
    }

    /// The same for a hash that its caller computes.
    pub(super) fn verifies_hash(&self, hash: &[u8], signature: &[u8]) -> bool {
        match &self.0 {
            Point::P256(key) => ecdsa::Signature::from_der(signature)
                .is_ok_and(|signature| key.verify_prehash(hash, &signature).is_ok()),
            Point::P384(key) => ecdsa::Signature::from_der(signature)
                .is_ok_and(|signature| key.verify_prehash(hash, &signature).is_ok()),
            Point::P521(key) => ecdsa::Signature::from_der(signature)
                .is_ok_and(|signature| key.verify_prehash(hash, &signature).is_ok()),
        }
    }

    /// The key with this digest, if it made `signature`, in DER, over `message`, by the rules of
    /// [`Self::verifies`].
    pub fn recover(digest: Digest, message: &[u8], signature: &[u8]) -> Option<Self> {
        let p256 = candidates!(Point::P256, NistP256, Sha256::digest(message), signature);
        let p384 = candidates!(Point::P384, NistP384, Sha384::digest(message), signature);
        let p521 = candidates!(Point::P521, NistP521, Sha512::digest(message), signature);
        let mut all = p256.chain(p384).chain(p521);
        all.find(|key| key.digest() == digest)
    }
}
