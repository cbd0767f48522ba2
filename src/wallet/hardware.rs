//! Accounts whose key stays on a Ledger. A file stores their derivation path and address, so that
//! everything except signing works without the device.
//!
//! The transport is compiled in only with the feature `ledger`, because it needs a USB library.
//! This module does not know networks or transactions beyond what it signs.

use serde::{Deserialize, Serialize};

use crate::error::{KeystoreError, KeystoreProblem};
use openlora_core::{Address, error::describe_decoding};

/// The stored data of an account on a Ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerAccount {
    pub address: Address,
    /// Derivation path, such as m/44'/60'/0'/0/0.
    pub path: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HardwareFile {
    address: String,
    ledger: DevicePath,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DevicePath {
    path: String,
}

impl LedgerAccount {
    /// None if the bytes are another kind of file.
    pub fn parse(bytes: &[u8]) -> Option<Result<Self, KeystoreProblem>> {
        let value: serde_json::Value = serde_json::from_slice(bytes).ok()?;
        value.get("ledger")?;
        Some(Self::from_json(value))
    }

    fn from_json(value: serde_json::Value) -> Result<Self, KeystoreProblem> {
        let field = |field, expected, found: String| KeystoreProblem::Field {
            field,
            expected,
            found,
        };
        let file: HardwareFile = serde_json::from_value(value).map_err(|error| {
            field(
                "ledger",
                "an address and a derivation path",
                describe_decoding(&error),
            )
        })?;
        let address = file
            .address
            .parse()
            .map_err(|_| field("address", "an account's address", file.address.clone()))?;
        let path = checked(&file.ledger.path)
            .map_err(|_| field("ledger.path", "a derivation path", file.ledger.path.clone()))?;
        Ok(Self { address, path })
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let file = HardwareFile {
            address: self.address.to_string(),
            ledger: DevicePath {
                path: self.path.clone(),
            },
        };
        // Two strings can always be serialised.
        serde_json::to_vec_pretty(&file).unwrap_or_default()
    }
}

/// A derivation path in canonical form.
pub fn checked(path: &str) -> Result<String, KeystoreError> {
    let wrong = || KeystoreError::Path {
        found: path.to_owned(),
    };
    let steps = path.strip_prefix("m/").ok_or_else(wrong)?;
    for step in steps.split('/') {
        let index = step.strip_suffix('\'').unwrap_or(step);
        let number: u32 = index.parse().map_err(|_| wrong())?;
        if number >= 1 << 31 || index.starts_with('+') {
            return Err(wrong());
        }
    }
    Ok(path.to_owned())
}

#[cfg(feature = "ledger")]
pub use device::ConnectedDevice as LedgerDevice;

#[cfg(feature = "ledger")]
mod device {
    use alloy::signers::ledger::{HDPath, LedgerSigner};
    use futures::executor::block_on;

    use super::{Address, KeystoreError};

    /// A connected and unlocked device with its Ethereum app open.
    #[derive(Debug)]
    pub struct ConnectedDevice(LedgerSigner);

    impl ConnectedDevice {
        /// Connects to the first Ledger and reads the account at `path`.
        ///
        /// The transport responds on its own thread, so blocking here is safe.
        pub fn connect(path: &str) -> Result<Self, KeystoreError> {
            let path = HDPath::Other(path.to_owned());
            block_on(LedgerSigner::new(path, None))
                .map(Self)
                .map_err(|error| KeystoreError::Ledger {
                    reason: error.to_string(),
                })
        }

        pub fn address(&self) -> Address {
            use alloy::signers::Signer;
            Signer::address(&self.0).into()
        }

        pub fn signer(&self) -> &LedgerSigner {
            &self.0
        }
    }
}

/// The account at `path` of the connected Ledger.
#[cfg(feature = "ledger")]
pub fn find(path: &str) -> Result<LedgerAccount, KeystoreError> {
    let path = checked(path)?;
    let address = LedgerDevice::connect(&path)?.address();
    Ok(LedgerAccount { address, path })
}

/// The account at `path` of the connected Ledger.
///
/// # Errors
///
/// Always: this program was built without Ledger support.
#[cfg(not(feature = "ledger"))]
pub fn find(path: &str) -> Result<LedgerAccount, KeystoreError> {
    checked(path)?;
    Err(KeystoreError::NoLedgerSupport)
}
