//! Shared by all commands that send transactions: chain, account, journal and output.

use std::{path::PathBuf, sync::Arc};

use crate::commands::{
    CommandContext, ask, journal, network, printer::Printer, signer::LockedSigner,
};
use openlora_chain::{
    balance::{from_units, in_units},
    development,
    provider::Chain,
    transaction::{TxEvent, TxLimits, TxSender, no_facts, recover},
};
use openlora_core::{
    Address,
    error::{ExitClass, Failure},
};
use openlora_journal::Journal;
use openlora_ledger::state::JournalSnapshot;
use openlora_ports::FactLog;
use openlora_release::deploy::{FUNDS, funding};
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
    pub journal: Journal,
    /// The state of the journal when it was opened.
    pub snapshot: JournalSnapshot,
    progress: Arc<dyn Fn(TxEvent) + Send + Sync>,
}

impl TxContext {
    /// Chooses account and network, opens the journal, and connects.
    pub async fn open(
        context: &CommandContext,
        password_file: Option<PathBuf>,
    ) -> Result<Self, Failure> {
        let limits = limits(context)?;
        let signer = LockedSigner::choose(context, &network::chosen(context)?)?;
        let account = signer.address;
        let network = network::reached(context).await?;
        let chain = Chain::connect(&network).await?;
        let journal = journal::open(&context.dirs.journal())?;
        journal::check_chain(&journal, &chain, &context.printer).await?;
        let snapshot = journal.snapshot()?;
        let printer = context.printer.clone();
        Ok(Self {
            context: context.clone(),
            chain,
            account,
            signer,
            password_file,
            unlocked: None,
            limits,
            journal,
            snapshot,
            progress: Arc::new(move |news| print_event(&printer, news)),
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

    /// Determines the outcome of transactions that an earlier process left open.
    pub async fn recover(&mut self) -> Result<(), Failure> {
        let open = std::mem::take(&mut self.snapshot.unsettled);
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

    /// Gives an account without a balance some coins of a development chain, which are free.
    pub async fn fund(&self) -> Result<(), Failure> {
        let gifts = DevFaucet {
            printer: &self.context.printer,
            chain: &self.chain,
            facts: &self.journal,
            limits: self.limits,
        };
        gifts.fund(self.account).await
    }
}

/// The faucet of a development chain for accounts without a balance.
pub struct DevFaucet<'a> {
    pub printer: &'a Printer,
    pub chain: &'a Chain,
    pub facts: &'a dyn FactLog,
    pub limits: TxLimits,
}

impl DevFaucet<'_> {
    /// Native coins for gas.
    pub async fn fund(&self, account: Address) -> Result<(), Failure> {
        let empty = self.chain.balance(account).await?.is_zero();
        if !self.chain.network.is_local() || !empty {
            return Ok(());
        }
        let source = development::account(&self.chain.network, 0)?;
        if source.address() == account {
            return Ok(());
        }
        let printer = self.printer.clone();
        let sender = TxSender {
            chain: self.chain,
            account: &source,
            facts: self.facts,
            limits: self.limits,
            progress: &move |news| print_event(&printer, news),
            harvest: &no_facts,
        };
        sender.send(&funding(account)).await?;
        self.printer.note(format!(
            "{account} had nothing on the development chain and got {} ETH",
            in_units(FUNDS, 18)
        ));
        Ok(())
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

/// Prints the progress of a transaction.
pub fn print_event(printer: &Printer, news: TxEvent) {
    match news {
        TxEvent::Sent { tx, deed } => printer.note(format!("{deed}: sent as {tx}")),
        TxEvent::Replaced { tx, deed, max_fee } => printer.note(format!(
            "{deed}: not mined yet, sent again as {tx} with up to {} gwei",
            in_units(openlora_chain::balance::amount(max_fee), 9)
        )),
        TxEvent::AtCap { tx, deed } => printer.note(format!(
            "{deed}: {tx} is not mined yet and offers all that is allowed"
        )),
        TxEvent::Resumed { tx, deed } => printer.note(format!(
            "{deed}: {tx} of an earlier run is not mined yet, sent again"
        )),
    }
}
