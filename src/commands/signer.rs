//! The signing account: one of the wallet or, on a development chain without a wallet, one of the
//! chain's accounts with published keys.

use std::path::Path;

use super::{CommandContext, ask, wallet};
use openlora_chain::{development, network::Network};
use openlora_core::{
    Address,
    error::{ExitClass, Failure},
};
use openlora_wallet::{KeystoreEntry, WalletAccount};

/// The development account that creates and serves adapters.
const CREATOR: u32 = 1;

/// A chosen account, locked.
#[derive(Clone, Debug)]
pub struct LockedSigner {
    pub name: String,
    pub address: Address,
    development: Option<WalletAccount>,
    /// A wallet account whose key is on a Ledger.
    ledger: Option<KeystoreEntry>,
}

/// The account of a development chain that signs where there is no wallet.
pub fn development_account(network: &Network) -> Result<WalletAccount, Failure> {
    Ok(development::account(network, CREATOR)?)
}

impl LockedSigner {
    /// # Errors
    ///
    /// The wallet has no such account, or several and none is named; without any account, the
    /// network is not local.
    pub fn choose(context: &CommandContext, network: &Network) -> Result<Self, Failure> {
        let named = context.settings.wallet.account.is_some();
        if !named && network.is_local() && wallet::keystores(context).list()?.is_empty() {
            return Self::development(context, network);
        }
        let entry = wallet::choose(context, None)?;
        let address = entry.address.ok_or_else(|| {
            let message = format!("{} does not say its address", entry.path.display());
            Failure::new(ExitClass::Wallet, message)
                .with_hint("import it again: openlora wallet import NAME --from FILE")
        })?;
        Ok(Self {
            name: entry.name.clone(),
            address,
            development: None,
            ledger: entry.ledger.is_some().then_some(entry),
        })
    }

    fn development(context: &CommandContext, network: &Network) -> Result<Self, Failure> {
        let account = development_account(network)?;
        context.printer.note(format!(
            "there is no wallet: signing with the development chain's account {CREATOR}, {}, \
             whose key everybody knows",
            account.address()
        ));
        Ok(Self {
            name: account.name().to_owned(),
            address: account.address(),
            development: Some(account),
            ledger: None,
        })
    }

    /// Unlocks the account; asks for its password.
    pub fn unlock(
        &self,
        context: &CommandContext,
        password_file: Option<&Path>,
    ) -> Result<WalletAccount, Failure> {
        if let Some(account) = &self.development {
            return Ok(account.clone());
        }
        if let Some(entry) = &self.ledger {
            context
                .printer
                .note("look at your Ledger: it asks before it signs");
            return Ok(wallet::keystores(context).connect(entry)?);
        }
        let password = ask::password(context, password_file, &self.name)?;
        Ok(wallet::keystores(context).unlock(&self.name, &password)?)
    }
}
