//! The P-256 key with which an account signs the files of packages (OpenSSF Model Signing).
//!
//! It is derived from the account's private key by HMAC-SHA256. So the keystore's password protects
//! it, a restored account has the same key, and an account never has another one. The
//! account's key cannot be computed from it.

use std::fmt;

use hmac::{Hmac, Mac};
use p256::ecdsa::{Signature, SigningKey, signature::Signer};
use zeroize::Zeroizing;

/// Separates this key from other uses of the account's key.
const PURPOSE: &[u8] = b"openlora model signing key, P-256, 1";

/// The private key; wiped on drop.
pub struct ModelSigningKey(SigningKey);

impl ModelSigningKey {
    /// The first of the derived numbers that is a private key, which practically all numbers are.
    pub(super) fn derive(account_key: &[u8; 32]) -> Option<Self> {
        (0..=u8::MAX).find_map(|counter| {
            let mut hmac = Hmac::<sha2::Sha256>::new_from_slice(account_key).ok()?;
            hmac.update(PURPOSE);
            hmac.update(&[counter]);
            let bytes = Zeroizing::new(<[u8; 32]>::from(hmac.finalize().into_bytes()));
            SigningKey::from_slice(bytes.as_ref()).ok().map(Self)
        })
    }

    /// The public key as an uncompressed point: 4, x and y, 65 bytes.
    pub fn public_point(&self) -> Vec<u8> {
        let point = self.0.verifying_key().to_encoded_point(false);
        point.as_bytes().to_vec()
    }

    /// A deterministic ECDSA signature (RFC 6979) in DER over the SHA-256 of `message`.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let signature: Signature = self.0.sign(message);
        signature.to_der().as_bytes().to_vec()
    }
}

impl fmt::Debug for ModelSigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ModelSigningKey(hidden)")
    }
}
