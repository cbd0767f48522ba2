//! Accounts as encrypted files in one private folder: `NAME.json` in Web3 secret storage version 3,
//! or a reference to a key on a Ledger.
//!
//! A file is written atomically, is readable by its owner only, and is never overwritten except
//! when its own password changes. Keys are in memory that is wiped after use.
//!
//! ```
//! use openlora_wallet::{KdfStrength, KeystoreDir, Password, SecretKey};
//!
//! # let folder = tempfile::tempdir()?;
//! # let folder = folder.path();
//! let store = KeystoreDir::new(folder);
//! let password = || Password::new("correct horse battery staple".to_owned());
//! let key = SecretKey::random()?;
//! let entry = store.create("main", &key, &password(), KdfStrength::Light)?;
//! let account = store.unlock("main", &password())?;
//! assert_eq!(Some(account.address()), entry.address);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod account;
mod cipher;
mod error;
mod format;
mod hardware;
mod import;
mod keyring;
mod model_key;
mod secret;
mod store;

pub use account::WalletAccount;
pub use cipher::KdfStrength;
pub use error::{KeystoreError, KeystoreProblem};
pub use hardware::find as find_ledger;
pub use import::{
    DEFAULT_PATH, DEVELOPMENT_MNEMONIC, ImportedSecret, from_mnemonic as import_mnemonic,
    parse_secret,
};
pub use model_key::{ModelKeyFileProblem, ModelSigningKey};
pub use secret::{Password, PasswordWeakness, SecretKey};
pub use store::{KeystoreDir, KeystoreEntry, open_bytes};
