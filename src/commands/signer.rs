//! The signing account: one of the wallet or, on a development chain without a wallet, one of the
//! chain's accounts with published keys.

use std::path::Path;

use super::{CommandContext, wallet};
use openlora_chain::{development, network::Network};
use openlora_core::{
    Address,
    error::{ExitClass, Failure},
};
use openlora_journal::Journal;
use openlora_wallet::{KeystoreEntry, WalletAccount};

/// The development account that creates and serves adapters.
const CREATOR: u32 = 1;

/// A chosen account, as a rule locked.
#[derive(Clone, Debug)]
pub struct LockedSigner {
    pub name: String,
    pub address: Address,
    /// An account that needs no password: a development account, or one that was unlocked before.
    unlocked: Option<WalletAccount>,
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
        if context.settings.wallet.account.is_none() && network.is_local() {
            if wallet::keystores(context).list()?.is_empty() {
                return Self::development(context, network, None);
            }
            if let Some(name) = registered_without_wallet(context, network)? {
                return Self::development(context, network, Some(&name));
            }
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
            unlocked: None,
            ledger: entry.ledger.is_some().then_some(entry),
        })
    }

    /// The development account, and why it signs: no wallet exists, or the account registered an
    /// adapter before one did.
    fn development(
        context: &CommandContext,
        network: &Network,
        registered: Option<&str>,
    ) -> Result<Self, Failure> {
        let account = development_account(network)?;
        let reason = match registered {
            None => "there is no wallet".to_owned(),
            Some(name) => format!("{name} was registered without a wallet"),
        };
        context.printer.note(format!(
            "{reason}: signing with the development chain's account {CREATOR}, {}, whose key \
             everybody knows",
            account.address()
        ));
        if registered.is_some() {
            context.printer.hint(
                "to sell from your own account: `openlora package --account NAME`, then \
                 `openlora deploy --account NAME`",
            );
        }
        Ok(account.into())
    }

    /// Unlocks the account; asks for its password.
    pub fn unlock(
        &self,
        context: &CommandContext,
        password_file: Option<&Path>,
    ) -> Result<WalletAccount, Failure> {
        if let Some(account) = &self.unlocked {
            return Ok(account.clone());
        }
        if let Some(entry) = &self.ledger {
            context
                .printer
                .note("look at your Ledger: it asks before it signs");
            return Ok(wallet::keystores(context).connect(entry)?);
        }
        wallet::unlock(context, &self.name, password_file)
    }
}

impl From<WalletAccount> for LockedSigner {
    fn from(account: WalletAccount) -> Self {
        Self {
            name: account.name().to_owned(),
            address: account.address(),
            unlocked: Some(account),
            ledger: None,
        }
    }
}

/// The name of the newest release that this home registered on the network, if the development
/// account registered it. The same account must serve and settle it, although a wallet exists now.
fn registered_without_wallet(
    context: &CommandContext,
    network: &Network,
) -> Result<Option<String>, Failure> {
    let creator = development::account(network, CREATOR)?
        .address()
        .to_string();
    let deployments = Journal::state_at(&context.dirs.journal())?.deployments;
    let newest = deployments
        .into_iter()
        .rfind(|it| it.chain_id == network.chain_id);
    let of_creator = newest.filter(|it| it.publisher == creator);
    Ok(of_creator.map(|it| it.name))
}
