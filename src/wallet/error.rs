//! Errors of keys. No message contains a key, a password, a mnemonic or a part of one.

use std::path::PathBuf;

use openlora_core::{
    Address,
    error::{ExitClass, Explain, describe_io},
};

/// Errors of creating, importing and unlocking an account.
#[derive(Debug, thiserror::Error)]
pub enum KeystoreError {
    #[error("cannot {deed} {}: {}", path.display(), describe_io(source))]
    Io {
        deed: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
    #[error(
        "`{found}` is no account name: expected 1 to 64 lowercase letters, digits, `-` and `_`, \
         beginning with a letter or digit"
    )]
    Name { found: String },
    #[error("there is no account `{name}` in {}", dir.display())]
    NoAccount {
        name: String,
        dir: PathBuf,
        known: Vec<String>,
    },
    #[error("there is no account in {}", dir.display())]
    NoAccounts { dir: PathBuf },
    #[error("none of the accounts {} is chosen", known.join(", "))]
    NotChosen { known: Vec<String> },
    #[error("the account `{name}` exists already: {}", path.display())]
    Exists { name: String, path: PathBuf },
    /// A wrong password and a changed ciphertext cannot be distinguished.
    #[error("the password does not open {}", path.display())]
    Locked { path: PathBuf },
    #[error("{} is no usable keystore: {problem}", path.display())]
    Keystore {
        path: PathBuf,
        problem: KeystoreProblem,
    },
    #[error("the private key has {found} bytes, expected 32")]
    KeyLength { found: usize },
    #[error("character {at} of the private key is no hexadecimal digit")]
    KeyDigit { at: usize },
    #[error("the private key has an odd number of digits, {found}, expected 64")]
    KeyOdd { found: usize },
    #[error("the private key is zero or beyond the order of the curve, so no account has it")]
    KeyRange,
    #[error("the mnemonic has {found} words, expected 12, 15, 18, 21 or 24")]
    WordCount { found: usize },
    #[error("word {at} of the mnemonic is not in the English list of BIP-39")]
    Word { at: usize },
    #[error("the words of the mnemonic do not fit together: the checksum in the last one differs")]
    WordChecksum,
    #[error("`{found}` is no derivation path: expected one such as m/44'/60'/0'/0/0")]
    Path { found: String },
    #[error("a derivation path goes with a mnemonic, found {found}")]
    PathWithout { found: &'static str },
    #[error("the password is empty")]
    EmptyPassword,
    #[error("the kernel's keyring refuses the key: {reason}")]
    Keyring { reason: String },
    #[error("this system has no kernel keyring to hold an unlocked key")]
    NoKeyring,
    #[error("this openlora was built without support for Ledger devices")]
    NoLedgerSupport,
    #[error("the key of `{name}` is on a Ledger, which never gives it away")]
    KeyOnLedger { name: String },
    #[cfg(feature = "ledger")]
    #[error("no Ledger answers: {reason}")]
    Ledger { reason: String },
    #[cfg(feature = "ledger")]
    #[error("the Ledger that is connected holds {found}, expected {expected} for `{name}`")]
    OtherLedger {
        name: String,
        expected: Address,
        found: Address,
    },
}

/// Errors of a keystore file.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeystoreProblem {
    #[error("{what} at line {line}, column {column}")]
    Json {
        what: &'static str,
        line: usize,
        column: usize,
    },
    #[error("`{field}`: expected {expected}, found {found}")]
    Field {
        field: &'static str,
        expected: &'static str,
        found: String,
    },
    #[error("it has {found} bytes, expected at most {limit}")]
    TooLarge { found: u64, limit: u64 },
    #[error("it holds a key of {found} bytes, expected 32")]
    KeyLength { found: usize },
    #[error("it holds a number that is no key of an account")]
    KeyRange,
    #[error("it names the account {named} and holds the key of {held}")]
    OtherAccount { named: Address, held: Address },
}

impl KeystoreError {
    pub(super) fn io(
        deed: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { deed, path, source }
    }
}

impl Explain for KeystoreError {
    fn class(&self) -> ExitClass {
        match self {
            Self::Io { .. } | Self::NoLedgerSupport | Self::Keyring { .. } | Self::NoKeyring => {
                ExitClass::Environment
            }
            Self::Name { .. } | Self::PathWithout { .. } => ExitClass::Usage,
            _ => ExitClass::Wallet,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoAccount { known, .. } if !known.is_empty() => {
                format!("accounts here: {}", known.join(", "))
            }
            Self::NoAccount { .. } | Self::NoAccounts { .. } => {
                "make one with `openlora wallet new NAME`".to_owned()
            }
            Self::NotChosen { known } => format!(
                "name one, or choose it for good: openlora config set --user wallet.account {}",
                known.first().map_or("NAME", String::as_str)
            ),
            Self::Exists { .. } => "choose another name; nothing is overwritten".to_owned(),
            Self::Locked { .. } => {
                "type the password again, or take the file from a backup".to_owned()
            }
            Self::Keystore { .. } => "take the file from a backup".to_owned(),
            Self::KeyLength { .. } | Self::KeyOdd { .. } | Self::KeyDigit { .. } => {
                "a private key is 64 hexadecimal digits, with or without 0x".to_owned()
            }
            Self::NoLedgerSupport => {
                "build it with the feature: cargo install --path . --locked --features ledger"
                    .to_owned()
            }
            #[cfg(feature = "ledger")]
            Self::Ledger { .. } => {
                "connect and unlock it, open its Ethereum app, and close other programs that use it"
                    .to_owned()
            }
            Self::EmptyPassword => "use several words".to_owned(),
            Self::Keyring { .. } | Self::NoKeyring => {
                "name a file with the password instead: --password-file FILE".to_owned()
            }
            _ => return None,
        };
        Some(hint)
    }
}
