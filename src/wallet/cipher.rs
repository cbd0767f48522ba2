//! Encryption of a key with a password: scrypt or PBKDF2, AES-128 in counter mode, and a Keccak-256
//! MAC that is compared in constant time.

use aes::cipher::{KeyIvInit, StreamCipher};
use alloy::primitives::Keccak256;
use rand::{TryRngCore, rngs::OsRng};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{
    format::{Kdf, SealedKey},
    secret::{Password, SecretKey},
};

/// The cost of each password guess, with geth's parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KdfStrength {
    /// About one second and 256 MiB.
    Standard,
    /// A fraction of that, and 4 MiB: for accounts with small balances.
    Light,
}

impl KdfStrength {
    fn kdf(self) -> Kdf {
        let (log_n, p) = match self {
            Self::Standard => (18, 1),
            Self::Light => (12, 6),
        };
        Kdf::Scrypt { log_n, r: 8, p }
    }
}

type Aes128Ctr = ctr::Ctr128BE<aes::Aes128>;
type DerivedKey = Zeroizing<[u8; 32]>;

/// Encrypts `key` with a new salt and a new initialisation vector.
pub fn seal(
    key: &SecretKey,
    password: &Password,
    strength: KdfStrength,
) -> std::io::Result<SealedKey> {
    let kdf = strength.kdf();
    let (mut salt, mut iv) = (vec![0; 32], [0; 16]);
    for bytes in [salt.as_mut_slice(), iv.as_mut_slice()] {
        OsRng
            .try_fill_bytes(bytes)
            .map_err(|error| std::io::Error::other(error.to_string()))?;
    }
    let derived = derive(kdf, password, &salt)
        .ok_or_else(|| std::io::Error::other("scrypt refused its parameters"))?;
    let mut ciphertext = key.bytes().to_vec();
    stream(&derived, &iv, &mut ciphertext);
    let mac = mac(&derived, &ciphertext);
    Ok(SealedKey {
        iv,
        ciphertext,
        mac,
        kdf,
        salt,
    })
}

/// The decrypted bytes; none if the password is wrong.
pub fn open(sealed: &SealedKey, password: &Password) -> Option<Zeroizing<Vec<u8>>> {
    let derived = derive(sealed.kdf, password, &sealed.salt)?;
    let fits: bool = mac(&derived, &sealed.ciphertext).ct_eq(&sealed.mac).into();
    if !fits {
        return None;
    }
    let mut bytes = Zeroizing::new(sealed.ciphertext.clone());
    stream(&derived, &sealed.iv, &mut bytes);
    Some(bytes)
}

fn derive(kdf: Kdf, password: &Password, salt: &[u8]) -> Option<DerivedKey> {
    let mut derived = Zeroizing::new([0; 32]);
    match kdf {
        Kdf::Scrypt { log_n, r, p } => {
            let params = scrypt::Params::new(log_n, r, p).ok()?;
            scrypt::scrypt(password.bytes(), salt, &params, derived.as_mut()).ok()?;
        }
        Kdf::Pbkdf2 { rounds } => {
            type Prf = hmac::Hmac<sha2::Sha256>;
            pbkdf2::pbkdf2::<Prf>(password.bytes(), salt, rounds, derived.as_mut());
        }
    }
    Some(derived)
}

/// The second half of the derived key authenticates.
fn mac(derived: &DerivedKey, ciphertext: &[u8]) -> [u8; 32] {
    let mut hasher = Keccak256::new();
    hasher.update(&derived[16..]);
    hasher.update(ciphertext);
    hasher.finalize().0
}

/// The first half of the derived key encrypts, and decrypts the same way.
fn stream(derived: &DerivedKey, iv: &[u8; 16], bytes: &mut [u8]) {
    let mut key = Zeroizing::new([0; 16]);
    key.copy_from_slice(&derived[..16]);
    Aes128Ctr::new((&*key).into(), iv.into()).apply_keystream(bytes);
}
