//! An unlocked account, which signs.

use std::fmt;

use alloy::signers::local::PrivateKeySigner;

use super::secret::SecretKey;
use crate::runtime::ledger::Address;

/// An account that can sign until it is dropped.
#[derive(Clone)]
pub struct Account {
    name: String,
    signer: PrivateKeySigner,
}

impl Account {
    pub fn new(name: impl Into<String>, key: SecretKey) -> Self {
        Self {
            name: name.into(),
            signer: key.into_signer(),
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn address(&self) -> Address {
        self.signer.address().into()
    }

    /// What transactions are signed with.
    pub fn signer(&self) -> &PrivateKeySigner {
        &self.signer
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Account({}, {})", self.name, self.address())
    }
}
