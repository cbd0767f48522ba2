//! Shared by all commands that send transactions: chain, account, journal and output.

use std::{path::PathBuf, sync::Arc};

use crate::commands::{
    CommandContext, ask, network, notices,
    signer::{LockedSigner, OtherSigners},
};
use openlora_chain::{
    balance::from_units,
    development,
    provider::Chain,
    transaction::{TxEvent, TxLimits, TxSender, no_facts, recover},
};
use openlora_core::{
    Address,
    error::{ExitClass, Failure},
};
use openlora_ledger::{event::TxIntent, state::CurrentState};
use openlora_runtime::{
    faucet::DevFaucet,
    journal::{self, HomeJournal},
    notice::{NoticeListener, transaction_listener},
};
use openlora_wallet::WalletAccount;

/// The context for planning and sending transactions.
pub struct TxContext {
    context: CommandContext,
    pub chain: Chain,
    pub account: Address,
    signer: LockedSigner,
    password_file: Option<PathBuf>,
    unlocked: Option<WalletAccount>,
    pub limits: TxLimits,
    pub journal: HomeJournal,
    /// The state of the journal; where a server writes it, as it was when it was opened.
    pub state: Arc<CurrentState>,
    listener: NoticeListener,
    progress: Arc<dyn Fn(TxEvent) + Send + Sync>,
}

impl TxContext {
    /// Chooses account and network, opens the journal, and connects.
    pub async fn open(
        context: &CommandContext,
        password_file: Option<PathBuf>,
    ) -> Result<Self, Failure> {
        // A wrong limit is refused before anything is said about the account.
        limits(context)?;
        let signer = LockedSigner::choose(context, &network::chosen(context)?)?;
        Self::open_for(context, signer, password_file).await
    }

    /// The same for an account that is chosen.
    pub async fn open_for(
        context: &CommandContext,
        signer: LockedSigner,
        password_file: Option<PathBuf>,
    ) -> Result<Self, Failure> {
        let limits = limits(context)?;
        let account = signer.address;
        let network = network::reached(context).await?;
        let chain = Chain::connect(&network).await?;
        let journal = HomeJournal::open(&context.dirs).await?;
        let listener = notices::listener(&context.printer);
        journal::check_chain(&journal, &chain, &listener).await?;
        let state = journal.state().await?;
        Ok(Self {
            context: context.clone(),
            chain,
            account,
            signer,
            password_file,
            unlocked: None,
            limits,
            journal,
            state,
            progress: transaction_listener(&listener),
            listener,
        })
    }

    /// Unlocks the account; asks for its password once.
    pub fn unlock(&mut self) -> Result<WalletAccount, Failure> {
        if let Some(account) = &self.unlocked {
            return Ok(account.clone());
        }
        let file = self.password_file.as_deref();
        let account = self.signer.unlock(&self.context, file)?;
        self.unlocked = Some(account.clone());
        Ok(account)
    }

    pub fn sender<'a>(&'a self, account: &'a WalletAccount) -> TxSender<'a> {
        TxSender {
            chain: &self.chain,
            account,
            facts: &self.journal,
            limits: self.limits,
            progress: &*self.progress,
            harvest: &no_facts,
        }
    }

    /// Prints the progress of pending transactions.
    pub fn progress_listener(&self) -> Arc<dyn Fn(TxEvent) + Send + Sync> {
        Arc::clone(&self.progress)
    }

    /// The transactions that an earlier process left open. Where a server runs, they may be its
    /// own, which it waits for.
    pub fn left_open(&self) -> Vec<TxIntent> {
        match self.journal.server() {
            None => self.state.read().unsettled.clone(),
            Some(_) => Vec::new(),
        }
    }

    /// Determines the outcome of transactions that an earlier process left open.
    pub async fn recover(&mut self) -> Result<(), Failure> {
        let open = self.left_open();
        let chain_id = self.chain.network.chain_id;
        let of = |from: Address| {
            let from = from.to_string();
            open.iter()
                .any(|it| it.chain_id == chain_id && it.from == from)
        };
        if self.chain.network.is_local() {
            let source = development::account(&self.chain.network, 0)?;
            if of(source.address()) {
                recover(&self.sender(&source), &open).await?;
            }
        }
        if of(self.account) {
            let account = self.unlock()?;
            recover(&self.sender(&account), &open).await?;
        }
        Ok(())
    }

    /// Mainnets require typing the name, other public chains a yes, development chains nothing.
    pub fn confirm(&self, name: &str, deed: &str) -> Result<(), Failure> {
        let network = &self.chain.network;
        if network.is_local() {
            return Ok(());
        }
        let deed = format!("{deed} on `{}`", network.name);
        if !network.mainnet {
            return ask::confirm(&self.context, &deed, "yes");
        }
        let strict = CommandContext {
            yes: false,
            ..self.context.clone()
        };
        ask::confirm(&strict, &deed, name)
            .map_err(|failure| failure.with_hint(format!("run it at a terminal and type `{name}`")))
    }

    /// The other accounts of this home that can sign now.
    pub fn other_signers(&self) -> Result<OtherSigners, Failure> {
        let state = self.state.read();
        self.signer
            .others(&self.context, &self.chain.network, &state)
    }

    /// Gives an account without a balance some coins of a development chain, which are free.
    pub async fn fund(&self) -> Result<(), Failure> {
        self.fund_account(self.account).await
    }

    /// The same for any account.
    pub async fn fund_account(&self, account: Address) -> Result<(), Failure> {
        let faucet = DevFaucet {
            chain: &self.chain,
            facts: &self.journal,
            limits: self.limits,
            listener: &self.listener,
        };
        faucet.fund(account).await
    }
}

/// The fee limits of transactions, from the settings.
pub fn limits(context: &CommandContext) -> Result<TxLimits, Failure> {
    let settings = &context.settings.deploy;
    let max_fee = settings.max_fee.as_ref().map(|stated| {
        from_units(&stated.value, 9).ok_or_else(|| {
            let message = format!(
                "`{}` is wrong: expected gwei such as 0.5 or 20, found `{}`",
                stated.key, stated.value
            );
            Failure::new(ExitClass::BadInput, message)
        })
    });
    Ok(TxLimits {
        max_fee: max_fee.transpose()?,
        patience: settings.patience,
    })
}
