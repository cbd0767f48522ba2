//! Importable secrets: a private key, a mnemonic, or a keystore of another program.

use alloy::signers::local::{
    MnemonicBuilder,
    coins_bip39::{English, Wordlist},
};
use zeroize::Zeroizing;

use super::secret::SecretKey;
use crate::KeystoreError;

/// The usual derivation path of a mnemonic's first account (BIP-44, coin 60).
pub const DEFAULT_PATH: &str = "m/44'/60'/0'/0/0";

/// The mnemonic that all development nodes share: its keys, m/44'/60'/0'/0/0 and following, are
/// public.
pub const DEVELOPMENT_MNEMONIC: &str =
    "test test test test test test test test test test test junk";

/// A secret, by its format.
#[derive(Debug)]
pub enum ImportedSecret {
    Key(SecretKey),
    /// The bytes of an encrypted keystore.
    Keystore(Vec<u8>),
}

/// Detects the format of `text`. `path` is the derivation path for a mnemonic.
pub fn parse_secret(text: &str, path: Option<&str>) -> Result<ImportedSecret, KeystoreError> {
    let text = text.trim();
    let without = |found| match path {
        Some(_) => Err(KeystoreError::PathWithout { found }),
        None => Ok(()),
    };
    if text.starts_with('{') {
        without("a keystore")?;
        return Ok(ImportedSecret::Keystore(text.as_bytes().to_vec()));
    }
    if text.contains(char::is_whitespace) {
        return from_mnemonic(text, path.unwrap_or(DEFAULT_PATH)).map(ImportedSecret::Key);
    }
    without("a private key")?;
    SecretKey::from_hex(text).map(ImportedSecret::Key)
}

/// The key of a mnemonic at `path`, without a passphrase.
pub fn from_mnemonic(text: &str, path: &str) -> Result<SecretKey, KeystoreError> {
    let words: Vec<&str> = text.split_whitespace().collect();
    if !matches!(words.len(), 12 | 15 | 18 | 21 | 24) {
        return Err(KeystoreError::WordCount { found: words.len() });
    }
    let known = English::get_all();
    if let Some(at) = words.iter().position(|word| !known.contains(word)) {
        return Err(KeystoreError::Word { at: at + 1 });
    }
    let phrase = Zeroizing::new(words.join(" "));
    let signer = MnemonicBuilder::from_phrase(phrase.as_str())
        .derivation_path(path)
        .map_err(|_| KeystoreError::Path {
            found: path.to_owned(),
        })?
        .build()
        // Words and path are valid, so only the checksum can be wrong.
        .map_err(|_| KeystoreError::WordChecksum)?;
    SecretKey::from_signer(signer)
}
