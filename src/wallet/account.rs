//! An unlocked account that signs, with a key in memory or on a Ledger.

use std::{fmt, sync::Arc};

use alloy::{
    consensus::TxEip1559,
    primitives::{B256, Signature},
    signers::{self, SignerSync, local::PrivateKeySigner},
    sol_types::{Eip712Domain, SolStruct},
};
use zeroize::Zeroizing;

use super::{model_key::ModelSigningKey, secret::SecretKey};
use openlora_core::{Address, private::memory::LockedMemory};

/// An account that can sign until it is dropped.
#[derive(Clone)]
pub struct WalletAccount {
    name: String,
    key: AccountKey,
}

#[derive(Clone)]
enum AccountKey {
    Held(Arc<LockedMemory<PrivateKeySigner>>),
    #[cfg(feature = "ledger")]
    Ledger(Arc<super::hardware::LedgerDevice>),
}

impl WalletAccount {
    pub fn new(name: impl Into<String>, key: SecretKey) -> Self {
        Self {
            name: name.into(),
            key: AccountKey::Held(key.into_signer()),
        }
    }

    #[cfg(feature = "ledger")]
    pub fn on_ledger(name: impl Into<String>, device: super::hardware::LedgerDevice) -> Self {
        Self {
            name: name.into(),
            key: AccountKey::Ledger(Arc::new(device)),
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn address(&self) -> Address {
        match &self.key {
            AccountKey::Held(signer) => signer.address().into(),
            #[cfg(feature = "ledger")]
            AccountKey::Ledger(device) => device.address(),
        }
    }

    /// The account's key for OpenSSF Model Signing; `None` on a Ledger, which has no such key.
    pub fn model_key(&self) -> Option<ModelSigningKey> {
        match &self.key {
            AccountKey::Held(signer) => {
                ModelSigningKey::derive(&Zeroizing::new(signer.to_bytes().0))
            }
            #[cfg(feature = "ledger")]
            AccountKey::Ledger(_) => None,
        }
    }

    /// Signs a transaction; on a Ledger the owner reviews and confirms it.
    pub async fn sign_transaction(
        &self,
        transaction: &mut TxEip1559,
    ) -> signers::Result<Signature> {
        match &self.key {
            AccountKey::Held(signer) => {
                use alloy::network::TxSignerSync;
                signer.sign_transaction_sync(transaction)
            }
            #[cfg(feature = "ledger")]
            AccountKey::Ledger(device) => {
                use alloy::network::TxSigner;
                device.signer().sign_transaction(transaction).await
            }
        }
    }

    /// Signs a struct by EIP-712; on a Ledger the owner reviews the two hashes.
    pub fn sign_struct<T: SolStruct + Send + Sync>(
        &self,
        value: &T,
        domain: &Eip712Domain,
    ) -> signers::Result<Signature> {
        match &self.key {
            AccountKey::Held(signer) => signer.sign_hash_sync(&value.eip712_signing_hash(domain)),
            #[cfg(feature = "ledger")]
            AccountKey::Ledger(device) => {
                use alloy::signers::Signer;
                // The transport responds on its own thread, so blocking here is safe.
                futures::executor::block_on(device.signer().sign_typed_data(value, domain))
            }
        }
    }

    /// Signs a bare digest, as needed for the voucher of every call.
    ///
    /// # Errors
    ///
    /// A Ledger signs only what it can display.
    pub fn sign_digest(&self, digest: &B256) -> signers::Result<Signature> {
        match &self.key {
            AccountKey::Held(signer) => signer.sign_hash_sync(digest),
            #[cfg(feature = "ledger")]
            AccountKey::Ledger(_) => Err(signers::Error::other(
                "it is on a Ledger, which signs only what it can show; payments by the call need \
                 an account of this machine",
            )),
        }
    }
}

impl fmt::Debug for WalletAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Account({}, {})", self.name, self.address())
    }
}
