//! Private keys that sign the files of packages (OpenSSF Model Signing).
//!
//! Each account has one on P-256. It is derived from the account's private key by HMAC-SHA256. So the
//! keystore's password protects it, a restored account has the same key, and an account never has
//! another one. The account's key cannot be computed from it. Keys that organisations issue
//! certificates for are read from PEM files; they are on P-256, P-384 or P-521.

use std::fmt;

use ecdsa::{
    elliptic_curve::{PrimeField, pkcs8::DecodePrivateKey, sec1::ToEncodedPoint},
    hazmat::{SignPrimitive, bits2field},
};
use hmac::{Hmac, Mac};
use p256::ecdsa::signature::Signer;
use p521::{FieldBytes, NistP521, Scalar, SecretKey};
use sha2::{Digest, Sha512};
use zeroize::Zeroizing;

/// Separates this key from other uses of the account's key.
const PURPOSE: &[u8] = b"openlora model signing key, P-256, 1";

/// Why a text is not a private key that signs models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModelKeyFileProblem {
    #[error("expected a block `PRIVATE KEY` or `EC PRIVATE KEY` in PEM")]
    Pem,
    #[error("expected a private key without a password")]
    Encrypted,
    #[error("expected an ECDSA key on P-256, P-384 or P-521")]
    Kind,
}

/// The private key; wiped on drop.
pub struct ModelSigningKey(Curves);

enum Curves {
    P256(p256::ecdsa::SigningKey),
    P384(p384::ecdsa::SigningKey),
    P521(SecretKey),
}

impl ModelSigningKey {
    /// The first of the derived numbers that is a private key, which practically all numbers are.
    pub(super) fn derive(account_key: &[u8; 32]) -> Option<Self> {
        (0..=u8::MAX).find_map(|counter| {
            let mut hmac = Hmac::<sha2::Sha256>::new_from_slice(account_key).ok()?;
            hmac.update(PURPOSE);
            hmac.update(&[counter]);
            let bytes = Zeroizing::new(<[u8; 32]>::from(hmac.finalize().into_bytes()));
            let key = p256::ecdsa::SigningKey::from_slice(bytes.as_ref()).ok()?;
            Some(Self(Curves::P256(key)))
        })
    }

    /// From a text with one private key in PKCS #8 or SEC 1, before and after which there may be
    /// explanations.
    ///
    /// # Errors
    ///
    /// Another kind of key, or one that is encrypted.
    pub fn from_pem(text: &str) -> Result<Self, ModelKeyFileProblem> {
        if text.contains("ENCRYPTED") {
            return Err(ModelKeyFileProblem::Encrypted);
        }
        let block = |label: &str| {
            let (begin, end) = (
                format!("-----BEGIN {label}-----"),
                format!("-----END {label}-----"),
            );
            let from = text.find(&begin)?;
            let length = text.get(from..)?.find(&end)? + end.len();
            text.get(from..from + length)
        };
        let key = match (block("PRIVATE KEY"), block("EC PRIVATE KEY")) {
            (Some(pem), _) => p256::SecretKey::from_pkcs8_pem(pem)
                .map(|key| Curves::P256(key.into()))
                .or_else(|_| p384::SecretKey::from_pkcs8_pem(pem).map(|it| Curves::P384(it.into())))
                .or_else(|_| SecretKey::from_pkcs8_pem(pem).map(Curves::P521))
                .ok(),
            (None, Some(pem)) => p256::SecretKey::from_sec1_pem(pem)
                .map(|key| Curves::P256(key.into()))
                .or_else(|_| p384::SecretKey::from_sec1_pem(pem).map(|it| Curves::P384(it.into())))
                .or_else(|_| SecretKey::from_sec1_pem(pem).map(Curves::P521))
                .ok(),
            (None, None) => return Err(ModelKeyFileProblem::Pem),
        };
        key.map(Self).ok_or(ModelKeyFileProblem::Kind)
    }

    /// The public key as an uncompressed point: 4, x and y. It has 65 bytes on P-256, 97 on P-384 and
    /// 133 on P-521.
    pub fn public_point(&self) -> Vec<u8> {
        match &self.0 {
            Curves::P256(key) => key
                .verifying_key()
                .to_encoded_point(false)
                .as_bytes()
                .to_vec(),
            Curves::P384(key) => key
                .verifying_key()
                .to_encoded_point(false)
                .as_bytes()
                .to_vec(),
            Curves::P521(key) => key.public_key().to_encoded_point(false).as_bytes().to_vec(),
        }
    }

    /// A deterministic ECDSA signature (RFC 6979) in DER over `message`, hashed with SHA-256 on P-256,
    /// SHA-384 on P-384 and SHA-512 on P-521.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        match &self.0 {
            Curves::P256(key) => {
                let signature: p256::ecdsa::Signature = key.sign(message);
                signature.to_der().as_bytes().to_vec()
            }
            Curves::P384(key) => {
                let signature: p384::ecdsa::Signature = key.sign(message);
                signature.to_der().as_bytes().to_vec()
            }
            Curves::P521(key) => sign_p521(key, message),
        }
    }
}

/// RFC 6979 for P-521 with SHA-512, which the curve's crate cannot do: there, a hash must be as long as
/// a private key.
fn sign_p521(key: &SecretKey, message: &[u8]) -> Vec<u8> {
    let private = key.to_nonzero_scalar();
    // A hash of 64 bytes always fills more than half of a number of 66.
    let hash = bits2field::<NistP521>(&Sha512::digest(message)).unwrap_or_default();
    let mut nonces = NonceSource::new(&Zeroizing::new(private.to_repr().to_vec()), &hash);
    loop {
        let nonce = FieldBytes::clone_from_slice(nonces.next().as_ref());
        let nonce: Option<Scalar> = Scalar::from_repr(nonce).into();
        let signed = nonce.and_then(|nonce| private.try_sign_prehashed(nonce, &hash).ok());
        if let Some((signature, _)) = signed {
            return signature.to_der().as_bytes().to_vec();
        }
    }
}

/// The numbers of 521 bits that RFC 6979 derives from a private key and a hash; wiped on drop.
struct NonceSource {
    key: Zeroizing<[u8; 64]>,
    value: Zeroizing<[u8; 64]>,
}

impl NonceSource {
    fn new(private: &[u8], hash: &[u8]) -> Self {
        let mut source = Self {
            key: Zeroizing::new([0; 64]),
            value: Zeroizing::new([1; 64]),
        };
        source.mix(&[&[0], private, hash]);
        source.mix(&[&[1], private, hash]);
        source
    }

    /// HMAC-SHA512 with the key over the value and `more`.
    fn code(&self, more: &[&[u8]]) -> Zeroizing<[u8; 64]> {
        // A key that is shorter than a block of the hash stands for itself with zeros after it.
        let mut block = Zeroizing::new([0; 128]);
        block[..64].copy_from_slice(self.key.as_ref());
        let mut hmac = <Hmac<Sha512> as Mac>::new(block.as_slice().into());
        hmac.update(self.value.as_ref());
        more.iter().for_each(|part| hmac.update(part));
        Zeroizing::new(hmac.finalize().into_bytes().into())
    }

    fn mix(&mut self, more: &[&[u8]]) {
        self.key = self.code(more);
        self.value = self.code(&[]);
    }

    /// The next number, of 66 bytes.
    fn next(&mut self) -> Zeroizing<[u8; 66]> {
        self.value = self.code(&[]);
        let first = self.value.clone();
        self.value = self.code(&[]);
        // The first 521 of the bits.
        let mut shifted = Zeroizing::new([0; 66]);
        let bytes = first.iter().chain(self.value.iter());
        let mut before = 0;
        for (to, byte) in shifted.iter_mut().zip(bytes) {
            *to = before << 1 | byte >> 7;
            before = *byte;
        }
        self.mix(&[&[0]]);
        shifted
    }
}

impl fmt::Debug for ModelSigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ModelSigningKey(hidden)")
    }
}
