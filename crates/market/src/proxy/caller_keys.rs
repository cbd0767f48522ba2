//! Who may have calls paid: callers' keys, by their hashes, and what each may spend in a day.

use std::fmt;

use sha2::{Digest, Sha256};

use openlora_core::Amount;
use openlora_payments::payer::CallerAllowance;

/// The shown part of the hash of a key that the settings do not name.
const SHOWN: usize = 8;

/// A caller's key.
#[derive(Clone, PartialEq, Eq)]
pub struct CallerKey {
    /// Under which its calls are recorded.
    pub name: String,
    /// SHA-256 of the key.
    pub digest: [u8; 32],
    /// The most that its calls may cost in a day.
    pub daily: Option<Amount>,
}

impl fmt::Debug for CallerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        f.debug_struct("CallerKey")
            .field("name", name)
            .finish_non_exhaustive()
    }
}

/// The keys of the settings. Without any, every caller that reaches the proxy is admitted, and
/// callers are distinguished by the key that they send.
#[derive(Clone, Debug, Default)]
pub struct CallerKeys {
    pub keys: Vec<CallerKey>,
    /// For keys without a limit of their own.
    pub per_key: Option<Amount>,
}

impl CallerKey {
    /// The hash of a key in hexadecimal, as settings name it.
    pub fn digest_of(key: &str) -> String {
        hex::encode(Sha256::digest(key.as_bytes()))
    }
}

impl CallerKeys {
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The caller that a key stands for; `None` if it is not admitted.
    pub fn admit(&self, key: Option<&str>) -> Option<CallerAllowance> {
        let digest = key.map(|key| <[u8; 32]>::from(Sha256::digest(key.as_bytes())));
        if self.keys.is_empty() {
            let caller = match digest {
                Some(digest) => format!("key {}", hex::encode(&digest[..SHOWN])),
                None => "no key".to_owned(),
            };
            return Some(CallerAllowance {
                caller,
                daily: self.per_key,
            });
        }
        // Hashes are compared, so the time tells nothing about a key.
        let found = self.keys.iter().find(|it| Some(it.digest) == digest)?;
        Some(CallerAllowance {
            caller: found.name.clone(),
            daily: found.daily.or(self.per_key),
        })
    }
}
