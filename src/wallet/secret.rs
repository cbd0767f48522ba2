//! Passwords and private keys in memory: wiped on drop, never displayed.

use std::{collections::BTreeSet, fmt, sync::Arc};

use alloy::signers::local::PrivateKeySigner;
use rand::{TryRngCore, rngs::OsRng};
use zeroize::Zeroizing;

use crate::KeystoreError;
use openlora_core::{Address, private::memory::LockedMemory};

/// The password of a keystore.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    pub fn new(text: impl Into<Zeroizing<String>>) -> Self {
        Self(text.into())
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl PartialEq for Password {
    fn eq(&self, other: &Self) -> bool {
        use subtle::ConstantTimeEq;
        self.bytes().ct_eq(other.bytes()).into()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(hidden)")
    }
}

/// Why a password is too easy to guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordWeakness {
    #[error("it has {found} characters, expected at least {LEAST}")]
    Short { found: usize },
    #[error("it repeats few characters, expected at least {DISTINCT} different ones")]
    Uniform,
}

/// Fewest characters of a password.
const LEAST: usize = 8;
/// Fewest different characters of a password.
const DISTINCT: usize = 5;

impl Password {
    /// Checks a new password. The function that derives the key makes guessing slow, so that this
    /// refuses only what is guessed first.
    pub fn weakness(&self) -> Option<PasswordWeakness> {
        let found = self.0.chars().count();
        if found < LEAST {
            return Some(PasswordWeakness::Short { found });
        }
        let distinct: BTreeSet<char> = self.0.chars().collect();
        (distinct.len() < DISTINCT).then_some(PasswordWeakness::Uniform)
    }
}

/// A valid private key: neither zero nor beyond the order of secp256k1.
#[derive(Clone)]
pub struct SecretKey {
    bytes: Arc<LockedMemory<Zeroizing<[u8; 32]>>>,
    signer: Arc<LockedMemory<PrivateKeySigner>>,
}

impl SecretKey {
    /// A new random key from the system's generator.
    pub fn random() -> Result<Self, KeystoreError> {
        let mut bytes = Zeroizing::new([0; 32]);
        OsRng.try_fill_bytes(bytes.as_mut()).map_err(|error| {
            KeystoreError::io("read", "the system's randomness")(std::io::Error::other(
                error.to_string(),
            ))
        })?;
        Self::from_bytes(&bytes)
    }

    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, KeystoreError> {
        let signer = PrivateKeySigner::from_slice(bytes).map_err(|_| KeystoreError::KeyRange)?;
        Self::locked(Zeroizing::new(*bytes), signer)
    }

    pub(super) fn from_signer(signer: PrivateKeySigner) -> Result<Self, KeystoreError> {
        let bytes = Zeroizing::new(signer.to_bytes().0);
        Self::locked(bytes, signer)
    }

    fn locked(bytes: Zeroizing<[u8; 32]>, signer: PrivateKeySigner) -> Result<Self, KeystoreError> {
        let refused = || KeystoreError::io("take", "memory for a key");
        Ok(Self {
            bytes: Arc::new(LockedMemory::new(bytes).map_err(refused())?),
            signer: Arc::new(LockedMemory::new(signer).map_err(refused())?),
        })
    }

    /// From hexadecimal digits, with or without 0x.
    pub fn from_hex(text: &str) -> Result<Self, KeystoreError> {
        let digits = text.strip_prefix("0x").unwrap_or(text);
        let skipped = text.len() - digits.len();
        if let Some(at) = digits.chars().position(|c| !c.is_ascii_hexdigit()) {
            return Err(KeystoreError::KeyDigit {
                at: skipped + at + 1,
            });
        }
        if digits.len() % 2 == 1 {
            return Err(KeystoreError::KeyOdd {
                found: digits.len(),
            });
        }
        let mut bytes = Zeroizing::new([0; 32]);
        if digits.len() != 64 || hex::decode_to_slice(digits, bytes.as_mut()).is_err() {
            return Err(KeystoreError::KeyLength {
                found: digits.len() / 2,
            });
        }
        Self::from_bytes(&bytes)
    }

    pub fn address(&self) -> Address {
        self.signer.address().into()
    }

    /// The key as 0x and 64 digits, for an explicit export.
    pub fn reveal(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(66));
        text.push_str("0x");
        text.push_str(&Zeroizing::new(hex::encode(self.bytes())));
        text
    }

    pub(super) fn bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    pub(super) fn into_signer(self) -> Arc<LockedMemory<PrivateKeySigner>> {
        self.signer
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({}, hidden)", self.address())
    }
}
