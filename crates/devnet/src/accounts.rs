//! The ten development accounts with published keys, derived from the same mnemonic as in other
//! development nodes. They have no value on any other chain.

use alloy::{
    primitives::Address,
    signers::local::{MnemonicBuilder, PrivateKeySigner, coins_bip39::English},
};

use super::error::ChainError;
use openlora_wallet::DEVELOPMENT_MNEMONIC;

/// How many accounts are funded.
const COUNT: u32 = 10;
/// Initial balance of each, in whole ether.
pub const ETHER: u64 = 10_000;

/// The keys, in order.
pub(super) struct DevAccounts {
    signers: Vec<PrivateKeySigner>,
}

impl DevAccounts {
    pub(super) fn derive() -> Result<Self, ChainError> {
        let signer = |index| {
            MnemonicBuilder::<English>::default()
                .phrase(DEVELOPMENT_MNEMONIC)
                .index(index)
                .and_then(|builder| builder.build())
                .map_err(|error| ChainError::Accounts(error.to_string()))
        };
        Ok(Self {
            signers: (0..COUNT).map(signer).collect::<Result<_, _>>()?,
        })
    }

    pub(super) fn addresses(&self) -> Vec<Address> {
        self.signers.iter().map(PrivateKeySigner::address).collect()
    }

    pub(super) fn signer(&self, address: Address) -> Option<&PrivateKeySigner> {
        self.signers.iter().find(|one| one.address() == address)
    }
}
