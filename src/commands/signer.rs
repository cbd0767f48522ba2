//! The signing accounts: one of the wallet or, on a development chain without a wallet, one of the
//! chain's accounts with published keys; and the others that this home has signed with before.

use std::{collections::BTreeMap, path::Path};

use super::{CommandContext, wallet};
use openlora_chain::{development, network::Network};
use openlora_core::{
    Address,
    error::{ExitClass, Failure},
};
use openlora_journal::Journal;
use openlora_ledger::{event::ReleaseDeployment, state::LedgerState};
use openlora_runtime::treasury::accounts_in_use;
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

/// The account that signs by default.
enum SignerChoice {
    /// The development account: no wallet exists, or it registered this release before one did.
    Development(Option<String>),
    Wallet(KeystoreEntry),
}

/// Accounts besides the chosen one that can sign without a password.
#[derive(Clone, Default)]
pub struct OtherSigners {
    pub development: Option<WalletAccount>,
    /// Accounts of the wallet that `wallet unlock` has unlocked.
    pub unlocked: Vec<WalletAccount>,
}

impl OtherSigners {
    pub fn all(&self) -> Vec<WalletAccount> {
        let unlocked = self.unlocked.iter();
        self.development.iter().chain(unlocked).cloned().collect()
    }
}

impl LockedSigner {
    /// # Errors
    ///
    /// The wallet has no such account, or several and none is named; without any account, the
    /// network is not local.
    pub fn choose(context: &CommandContext, network: &Network) -> Result<Self, Failure> {
        Self::choose_for(context, network, &[])
    }

    /// The account that may serve these releases; without any, the account of the newest release.
    pub fn choose_for(
        context: &CommandContext,
        network: &Network,
        releases: &[ReleaseDeployment],
    ) -> Result<Self, Failure> {
        let entry = match choice(context, network, releases)? {
            SignerChoice::Development(registered) => {
                return Self::development(context, network, registered.as_deref());
            }
            SignerChoice::Wallet(entry) => entry,
        };
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
        let account = development::account(network, CREATOR)?;
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

    /// The other accounts of this home that the journal names on a network, as far as they can sign
    /// without a password.
    ///
    /// # Errors
    ///
    /// The account of the development chain cannot be derived.
    pub fn others(
        &self,
        context: &CommandContext,
        network: &Network,
        state: &LedgerState,
    ) -> Result<OtherSigners, Failure> {
        let used = accounts_in_use(state, network.chain_id);
        let is_other = |account: Address| account != self.address && used.contains(&account);
        let development = match network.is_local() {
            true => Some(development::account(network, CREATOR)?),
            false => None,
        };
        let store = wallet::keystores(context);
        // A keystore that cannot be read signs nothing, and stops no other account.
        let entries = store.list().unwrap_or_default().into_iter();
        let entries = entries.filter(|it| it.address.is_some_and(is_other));
        let unlocked = entries.filter_map(|it| store.unlocked(&it.name).ok().flatten());
        Ok(OtherSigners {
            development: development.filter(|it| is_other(it.address())),
            unlocked: unlocked.collect(),
        })
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
/// If releases are given, all of them must be the development account's, and the first is named.
fn registered_without_wallet(
    context: &CommandContext,
    network: &Network,
    releases: &[ReleaseDeployment],
) -> Result<Option<String>, Failure> {
    let creator = development::account(network, CREATOR)?
        .address()
        .to_string();
    let is_creators = |it: &ReleaseDeployment| it.publisher == creator;
    if let Some(first) = releases.first() {
        let all = releases.iter().all(is_creators);
        return Ok(all.then(|| first.name.clone()));
    }
    let deployments = Journal::state_at(&context.dirs.journal())?.deployments;
    let newest = deployments
        .into_iter()
        .rfind(|it| it.chain_id == network.chain_id);
    Ok(newest.filter(is_creators).map(|it| it.name))
}

/// The account that signs for these releases; without any, for the newest one.
fn choice(
    context: &CommandContext,
    network: &Network,
    releases: &[ReleaseDeployment],
) -> Result<SignerChoice, Failure> {
    if context.settings.wallet.account.is_none() && network.is_local() {
        if wallet::keystores(context).list()?.is_empty() {
            return Ok(SignerChoice::Development(None));
        }
        if let Some(name) = registered_without_wallet(context, network, releases)? {
            return Ok(SignerChoice::Development(Some(name)));
        }
    }
    Ok(SignerChoice::Wallet(wallet::choose(context, None)?))
}

/// The accounts of this home on a network: those of its wallet, and the development account where it
/// signs or has signed.
#[derive(Debug, Default)]
pub struct HomeAccounts {
    /// By address, with the name in the wallet; the development account has none.
    names: BTreeMap<Address, Option<String>>,
    /// The one that signs by default, if that is certain.
    default: Option<Address>,
}

impl HomeAccounts {
    /// # Errors
    ///
    /// The journal cannot be read.
    pub fn read(context: &CommandContext, network: &Network) -> Result<Self, Failure> {
        let accounts = wallet::keystores(context).list();
        let accounts = accounts.unwrap_or_else(|error| {
            let why = "so none of the shares is shown as yours";
            context.printer.warn(format!("{error}, {why}"));
            Vec::new()
        });
        let named = accounts
            .into_iter()
            .filter_map(|it| Some((it.address?, Some(it.name))));
        let mut names: BTreeMap<Address, Option<String>> = named.collect();
        let mut default = None;
        if network.is_local() {
            let creator = development::account(network, CREATOR)?.address();
            let state = Journal::state_at(&context.dirs.journal())?;
            if names.is_empty() || accounts_in_use(&state, network.chain_id).contains(&creator) {
                names.entry(creator).or_default();
            }
            default = Some(creator);
        }
        if let Ok(SignerChoice::Wallet(entry)) = choice(context, network, &[]) {
            default = entry.address;
        }
        Ok(Self { names, default })
    }

    pub fn contains(&self, account: Address) -> bool {
        self.names.contains_key(&account)
    }

    /// The accounts of the wallet with their names.
    pub fn named(&self) -> impl Iterator<Item = (Address, &str)> {
        let names = self.names.iter();
        names.filter_map(|(account, name)| Some((*account, name.as_deref()?)))
    }

    /// The command line that runs a verb so that this account signs; `None` if it is not of this
    /// home. The development account signs beside any other one.
    pub fn command(&self, verb: &str, account: Address) -> Option<String> {
        let name = self.names.get(&account)?;
        Some(
            match name.as_ref().filter(|_| self.default != Some(account)) {
                Some(name) => format!("openlora {verb} --account {name}"),
                None => format!("openlora {verb}"),
            },
        )
    }

    /// What to do so that an account signs for a verb.
    pub fn advice(&self, verb: &str, account: Address) -> String {
        self.command(verb, account).unwrap_or_else(|| {
            format!(
                "import that account: openlora wallet import NAME --from FILE; then openlora \
                 {verb} --account NAME"
            )
        })
    }
}
