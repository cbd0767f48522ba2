//! The folder of keystores.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    account::WalletAccount,
    cipher::{self, KdfStrength},
    format::{Keystore, LARGEST},
    hardware::LedgerAccount,
    keyring,
    secret::{Password, SecretKey},
};
use crate::error::{KeystoreError, KeystoreProblem};
use openlora_core::{
    Address,
    atomic::{self, FileAccess},
    private::files,
};

const SUFFIX: &str = ".json";

/// The keystores of one folder.
#[derive(Clone, Debug)]
pub struct KeystoreDir {
    dir: PathBuf,
}

/// A locked account of the folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeystoreEntry {
    pub name: String,
    pub path: PathBuf,
    /// From the file; absent in files of programs that omit it.
    pub address: Option<Address>,
    /// Derivation path of an account whose key is on a Ledger.
    pub ledger: Option<String>,
}

/// The content of a file in the folder.
enum StoredKey {
    Sealed(Keystore),
    Ledger(LedgerAccount),
}

impl KeystoreDir {
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// The path of the account `name`.
    pub fn path(&self, name: &str) -> Result<PathBuf, KeystoreError> {
        let bytes = name.as_bytes();
        let letter = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let good = (1..=64).contains(&bytes.len())
            && bytes.iter().all(|b| letter(b) || b"-_".contains(b))
            && bytes.first().is_some_and(letter);
        if good {
            Ok(self.dir.join(format!("{name}{SUFFIX}")))
        } else {
            Err(KeystoreError::Name {
                found: name.to_owned(),
            })
        }
    }

    /// Refuses a name that exists, before a password is asked for.
    pub fn require_free(&self, name: &str) -> Result<PathBuf, KeystoreError> {
        let path = self.path(name)?;
        if path.symlink_metadata().is_ok() {
            return Err(exists(name, path));
        }
        Ok(path)
    }

    /// Encrypts `key` and stores it as `name`.
    pub fn create(
        &self,
        name: &str,
        key: &SecretKey,
        password: &Password,
        strength: KdfStrength,
    ) -> Result<KeystoreEntry, KeystoreError> {
        let path = self.require_free(name)?;
        if password.is_empty() {
            return Err(KeystoreError::EmptyPassword);
        }
        let bytes = sealed(&path, key, password, strength)?;
        self.create_file(name, &path, &bytes)?;
        Ok(KeystoreEntry {
            name: name.to_owned(),
            path,
            address: Some(key.address()),
            ledger: None,
        })
    }

    /// Stores a reference to an account on a Ledger as `name`.
    pub fn add_ledger_account(
        &self,
        name: &str,
        account: &LedgerAccount,
    ) -> Result<KeystoreEntry, KeystoreError> {
        let path = self.require_free(name)?;
        self.create_file(name, &path, &account.to_bytes())?;
        self.entry(name)
    }

    /// Encrypts the account's key with another password, at standard strength.
    pub fn change_password(
        &self,
        name: &str,
        old: &Password,
        new: &Password,
    ) -> Result<(), KeystoreError> {
        let path = self.entry(name)?.path;
        let key = self.open(name, old)?;
        if new.is_empty() {
            return Err(KeystoreError::EmptyPassword);
        }
        let bytes = sealed(&path, &key, new, KdfStrength::Standard)?;
        atomic::replace_file(&path, &bytes, FileAccess::Owner)
            .map_err(KeystoreError::io("write", &path))
    }

    /// The unlocked account.
    pub fn unlock(&self, name: &str, password: &Password) -> Result<WalletAccount, KeystoreError> {
        Ok(WalletAccount::new(name, self.open(name, password)?))
    }

    /// Keeps an unlocked key in the kernel's keyring for so long.
    ///
    /// # Errors
    ///
    /// The account's key is on a Ledger, or the system has no keyring or refuses the key.
    pub fn keep_unlocked(
        &self,
        name: &str,
        key: &SecretKey,
        time: Duration,
    ) -> Result<(), KeystoreError> {
        keyring::keep(&self.entry(name)?.path, key, time)
    }

    /// The account, if its key is in the kernel's keyring.
    pub fn unlocked(&self, name: &str) -> Result<Option<WalletAccount>, KeystoreError> {
        let entry = self.entry(name)?;
        let key = keyring::find(&entry.path);
        // Another keystore may have taken the file's place.
        let own = key.filter(|key| entry.address.is_none_or(|named| named == key.address()));
        Ok(own.map(|key| WalletAccount::new(name, key)))
    }

    /// Removes the account's key from the kernel's keyring; returns whether it was there.
    pub fn lock(&self, name: &str) -> Result<bool, KeystoreError> {
        keyring::forget(&self.path(name)?)
    }

    /// The account on the connected Ledger, ready to sign.
    #[cfg(feature = "ledger")]
    pub fn connect(&self, entry: &KeystoreEntry) -> Result<WalletAccount, KeystoreError> {
        let path = entry.ledger.as_deref().unwrap_or_default();
        let device = super::hardware::LedgerDevice::connect(path)?;
        match entry.address {
            Some(expected) if expected != device.address() => Err(KeystoreError::OtherLedger {
                name: entry.name.clone(),
                expected,
                found: device.address(),
            }),
            _ => Ok(WalletAccount::on_ledger(&entry.name, device)),
        }
    }

    /// The account on the connected Ledger, ready to sign.
    ///
    /// # Errors
    ///
    /// Always: this program was built without Ledger support.
    #[cfg(not(feature = "ledger"))]
    pub fn connect(&self, _: &KeystoreEntry) -> Result<WalletAccount, KeystoreError> {
        Err(KeystoreError::NoLedgerSupport)
    }

    /// The account's key.
    pub fn open(&self, name: &str, password: &Password) -> Result<SecretKey, KeystoreError> {
        let KeystoreEntry { path, ledger, .. } = self.entry(name)?;
        if ledger.is_some() {
            return Err(KeystoreError::KeyOnLedger {
                name: name.to_owned(),
            });
        }
        open_bytes(&path, &read(&path)?, password)
    }

    /// Every account, sorted by name.
    pub fn list(&self) -> Result<Vec<KeystoreEntry>, KeystoreError> {
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(KeystoreError::io("read", &self.dir)(error)),
        };
        let mut found = Vec::new();
        for entry in entries {
            let file = entry
                .map_err(KeystoreError::io("read", &self.dir))?
                .file_name();
            let name = file.to_str().and_then(|file| file.strip_suffix(SUFFIX));
            if let Some(name) = name.filter(|name| self.path(name).is_ok()) {
                found.push(self.entry(name)?);
            }
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// The account `name` without its key.
    pub fn entry(&self, name: &str) -> Result<KeystoreEntry, KeystoreError> {
        let path = self.path(name)?;
        if !path.exists() {
            return Err(KeystoreError::NoAccount {
                name: name.to_owned(),
                dir: self.dir.clone(),
                known: self.names(),
            });
        }
        let (address, ledger) = match stored(&path, &read(&path)?)? {
            StoredKey::Sealed(keystore) => (keystore.address, None),
            StoredKey::Ledger(account) => (Some(account.address), Some(account.path)),
        };
        Ok(KeystoreEntry {
            name: name.to_owned(),
            path,
            address,
            ledger,
        })
    }

    /// The account named `wanted`, or the only one.
    pub fn choose(&self, wanted: Option<&str>) -> Result<KeystoreEntry, KeystoreError> {
        if let Some(name) = wanted {
            return self.entry(name);
        }
        let mut all = self.list()?;
        match (all.pop(), all.len()) {
            (Some(only), 0) => Ok(only),
            (None, _) => Err(KeystoreError::NoAccounts {
                dir: self.dir.clone(),
            }),
            _ => Err(KeystoreError::NotChosen {
                known: self.names(),
            }),
        }
    }

    fn names(&self) -> Vec<String> {
        let all = self.list().unwrap_or_default();
        all.into_iter().map(|entry| entry.name).collect()
    }

    /// Creates the file; another process may have created one of this name since the check.
    fn create_file(&self, name: &str, path: &Path, bytes: &[u8]) -> Result<(), KeystoreError> {
        files::folder(&self.dir).map_err(KeystoreError::io("create", &self.dir))?;
        atomic::create_file(path, bytes).map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => exists(name, path.to_owned()),
            _ => KeystoreError::io("write", path)(error),
        })
    }
}

/// A keystore file's bytes; `path` is for errors.
fn sealed(
    path: &Path,
    key: &SecretKey,
    password: &Password,
    strength: KdfStrength,
) -> Result<Vec<u8>, KeystoreError> {
    let sealed =
        cipher::seal(key, password, strength).map_err(KeystoreError::io("encrypt", path))?;
    let keystore = Keystore {
        address: Some(key.address()),
        sealed,
    };
    Ok(keystore.to_bytes())
}

fn exists(name: &str, path: PathBuf) -> KeystoreError {
    KeystoreError::Exists {
        name: name.to_owned(),
        path,
    }
}

/// The key in the keystore `bytes` that came from `path`.
pub fn open_bytes(
    path: &Path,
    bytes: &[u8],
    password: &Password,
) -> Result<SecretKey, KeystoreError> {
    let keystore = parse(path, bytes)?;
    let broken = |problem| KeystoreError::Keystore {
        path: path.to_owned(),
        problem,
    };
    let opened = cipher::open(&keystore.sealed, password).ok_or_else(|| KeystoreError::Locked {
        path: path.to_owned(),
    })?;
    let bytes: &[u8; 32] = opened.as_slice().try_into().map_err(|_| {
        broken(KeystoreProblem::KeyLength {
            found: opened.len(),
        })
    })?;
    let key = SecretKey::from_bytes(bytes).map_err(|_| broken(KeystoreProblem::KeyRange))?;
    match keystore.address {
        Some(named) if named != key.address() => Err(broken(KeystoreProblem::OtherAccount {
            named,
            held: key.address(),
        })),
        _ => Ok(key),
    }
}

fn stored(path: &Path, bytes: &[u8]) -> Result<StoredKey, KeystoreError> {
    match LedgerAccount::parse(bytes) {
        Some(account) => {
            account
                .map(StoredKey::Ledger)
                .map_err(|problem| KeystoreError::Keystore {
                    path: path.to_owned(),
                    problem,
                })
        }
        None => parse(path, bytes).map(StoredKey::Sealed),
    }
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Keystore, KeystoreError> {
    Keystore::parse(bytes).map_err(|problem| KeystoreError::Keystore {
        path: path.to_owned(),
        problem,
    })
}

fn read(path: &Path) -> Result<Vec<u8>, KeystoreError> {
    let file = fs::File::open(path).map_err(KeystoreError::io("read", path))?;
    let mut bytes = Vec::new();
    file.take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(KeystoreError::io("read", path))?;
    if bytes.len() as u64 > LARGEST {
        return Err(KeystoreError::Keystore {
            path: path.to_owned(),
            problem: KeystoreProblem::TooLarge {
                found: bytes.len() as u64,
                limit: LARGEST,
            },
        });
    }
    Ok(bytes)
}
