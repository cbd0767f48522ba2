//! Unlocked keys in the kernel's keyring, for a limited time.
//!
//! The kernel holds them in memory that is never swapped, gives them to processes of the same user
//! only, and drops them when their time is over or the machine restarts. See `keyrings(7)`.

#[cfg(target_os = "linux")]
use std::time::{SystemTime, UNIX_EPOCH};
use std::{path::Path, time::Duration};

#[cfg(target_os = "linux")]
use linux_keyutils::{
    Key, KeyError, KeyPermissionsBuilder, KeyRing, KeyRingIdentifier, Permission,
};
#[cfg(target_os = "linux")]
use sha2::{Digest, Sha256};
#[cfg(target_os = "linux")]
use zeroize::Zeroizing;

use crate::{KeystoreError, SecretKey};

/// The end as Unix seconds, and the private key.
#[cfg(target_os = "linux")]
const LENGTH: usize = 8 + 32;

/// Puts the key of the keystore at `path` into the keyring for so long.
#[cfg(target_os = "linux")]
pub(super) fn keep(path: &Path, key: &SecretKey, time: Duration) -> Result<(), KeystoreError> {
    let refused = |error: KeyError| KeystoreError::Keyring {
        reason: error.to_string(),
    };
    let seconds = time.as_secs();
    let mut payload = Zeroizing::new([0; LENGTH]);
    payload[..8].copy_from_slice(&now().saturating_add(seconds).to_be_bytes());
    payload[8..].copy_from_slice(key.bytes());
    let stored = keyring()
        .and_then(|ring| ring.add_key(&description(path), &*payload))
        .map_err(refused)?;
    let limited = usize::try_from(seconds)
        .map_err(|_| KeyError::InvalidArguments)
        .and_then(|seconds| stored.set_timeout(seconds))
        .and_then(|()| stored.set_perms(own()));
    limited.map_err(|error| {
        // A key without a limit must not stay.
        let _ = stored.invalidate();
        refused(error)
    })
}

/// The key of the keystore at `path`, if the keyring has it.
#[cfg(target_os = "linux")]
pub(super) fn find(path: &Path) -> Option<SecretKey> {
    let stored = stored(path)?;
    let mut payload = Zeroizing::new([0; LENGTH]);
    let read = stored.read(&mut *payload).ok()?;
    let (end, key) = payload.split_first_chunk::<8>()?;
    if read != LENGTH || u64::from_be_bytes(*end) <= now() {
        let _ = stored.invalidate();
        return None;
    }
    SecretKey::from_bytes(key.first_chunk()?).ok()
}

/// Removes the key of the keystore at `path`; returns whether there was one.
#[cfg(target_os = "linux")]
pub(super) fn forget(path: &Path) -> Result<bool, KeystoreError> {
    let Some(stored) = stored(path) else {
        return Ok(false);
    };
    let removed = stored.invalidate();
    removed
        .map(|()| true)
        .map_err(|error| KeystoreError::Keyring {
            reason: error.to_string(),
        })
}

#[cfg(target_os = "linux")]
fn stored(path: &Path) -> Option<Key> {
    keyring()
        .and_then(|ring| ring.search(&description(path)))
        .ok()
}

/// The user's keyring, which every session of the user shares.
#[cfg(target_os = "linux")]
fn keyring() -> Result<KeyRing, KeyError> {
    KeyRing::from_special_id(KeyRingIdentifier::User, true)
}

/// All rights for the user's own processes, none for anybody else.
#[cfg(target_os = "linux")]
fn own() -> linux_keyutils::KeyPermissions {
    KeyPermissionsBuilder::builder()
        .posessor(Permission::ALL)
        .user(Permission::ALL)
        .build()
}

/// Any user can list descriptions of keys, so the path is hashed.
#[cfg(target_os = "linux")]
fn description(path: &Path) -> String {
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let digest = Sha256::digest(real.as_os_str().as_encoded_bytes());
    format!("openlora:{}", hex::encode(digest))
}

#[cfg(target_os = "linux")]
fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    // A clock before 1970 ends every limit.
    now.map_or(u64::MAX, |now| now.as_secs())
}

#[cfg(not(target_os = "linux"))]
pub(super) fn keep(_: &Path, _: &SecretKey, _: Duration) -> Result<(), KeystoreError> {
    Err(KeystoreError::NoKeyring)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn find(_: &Path) -> Option<SecretKey> {
    None
}

#[cfg(not(target_os = "linux"))]
pub(super) fn forget(_: &Path) -> Result<bool, KeystoreError> {
    Ok(false)
}
