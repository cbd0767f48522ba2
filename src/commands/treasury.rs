//! What settling and withdrawing share: the journal's money, the chain's desk, and how a moved sum
//! is shown.

use std::{path::PathBuf, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    Context, desk::Desk as Office, money::shown, published::LOG, rewards::Rewarder,
    server_access::public_url,
};
use crate::{
    error::Failure,
    runtime::{
        attribution::LogFolder,
        event::Event,
        journal::Journal,
        ledger::{Amount, Book, ReceiverKey},
    },
    wallet::{
        network::Network,
        rewards::server_facts,
        settlement::{Desk, History, Ledger, Moved, Options, Records, Treasurer},
    },
};

/// The journal's money and the chain that it is on.
pub struct Treasury {
    pub office: Office,
    history: History,
}

/// Settings that a running server does not take from whoever asks it.
pub const OF_SERVER: [&str; 2] = ["wallet.account", "deploy.max_fee"];

/// What the command line says besides settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TreasuryRequest {
    pub dry_run: bool,
    pub password_file: Option<PathBuf>,
}

/// A transaction that moved money, as `--json` prints it.
#[derive(Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Transaction {
    pub tx: String,
    /// The splitter.
    pub receiver: String,
    /// ERC-20 contract of the money.
    pub token: String,
    pub amount: Amount,
    /// How many channels it was claimed from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<usize>,
    /// Whose share it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipient: Option<String>,
    pub gas_used: u64,
    pub fee_wei: Amount,
}

/// Sums of one receiver, as `--dry-run --json` prints them.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct Sum {
    /// The splitter.
    pub receiver: String,
    /// ERC-20 contract of the money.
    pub token: String,
    pub amount: Amount,
    /// How many channels it would be claimed from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<usize>,
    /// Whose share it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipient: Option<String>,
}

impl Treasury {
    /// Opens the journal, and connects.
    ///
    /// # Errors
    /// Another process writes the journal: a server settles by itself.
    pub async fn open(context: &Context, request: &TreasuryRequest) -> Result<Self, Failure> {
        let office = Office::open(context, request.password_file.clone()).await?;
        let mut history = History::default();
        office
            .journal
            .replay(1, |record| history.apply(&record.event))?;
        Ok(Self { office, history })
    }

    pub fn network(&self) -> &Network {
        &self.office.chain.network
    }

    pub fn book(&self) -> &Book {
        &self.office.snapshot.book
    }

    /// Whether calls were attributed, of which roots may have to be sent.
    pub fn has_rewards(&self) -> Result<bool, Failure> {
        let mut found = false;
        self.office.journal.replay(1, |record| {
            found |= matches!(&record.event, Event::Attributed(it) if it.amounts.is_some());
        })?;
        Ok(found)
    }

    /// Whether an earlier process left transactions of which nobody knows what became.
    pub fn is_open(&self) -> bool {
        !self.history.open().is_empty()
    }

    /// Whoever claims and withdraws, and who sees to rewards, the account's password asked for.
    pub fn treasurer(&mut self, context: &Context) -> Result<(Treasurer, Rewarder), Failure> {
        let account = self.office.unlock()?;
        let book = self.book().clone();
        let journal: Journal = self.office.journal.clone();
        let ledger = Arc::new(Ledger::new(journal, book));
        let records = Records {
            facts: Arc::clone(&ledger) as _,
            books: ledger,
            history: std::mem::take(&mut self.history),
        };
        let mut options = Options::of(self.network(), self.office.limits);
        options.tell = self.office.teller();
        let log = LogFolder::at(&context.dirs.data.join(LOG));
        let chain_id = self.network().chain_id;
        options.reader = Some(server_facts(chain_id, Arc::new(log.clone())));
        let desk = Desk::new(self.office.chain.clone(), account, records, options);
        let desk = Arc::new(desk);
        let published = (log, public_url(context)?.unwrap_or_default());
        let journal = self.office.journal.clone();
        let rewarder = Rewarder::new(journal, Arc::clone(&desk), published, true);
        Ok((Treasurer::new(desk), rewarder))
    }

    /// A sum of the network's token in whole units, of others in base units.
    pub fn shown(&self, receiver: &ReceiverKey, amount: Amount) -> String {
        shown(self.network(), &receiver.token.to_string(), amount)
    }
}

impl Transaction {
    pub fn of(moved: &Moved) -> Self {
        Self {
            tx: moved.tx.clone(),
            receiver: moved.receiver.receiver.to_string(),
            token: moved.receiver.token.to_string(),
            amount: moved.amount,
            channels: (moved.channels > 0).then_some(moved.channels),
            recipient: moved.recipient.map(|it| it.to_string()),
            gas_used: moved.gas_used,
            fee_wei: Amount(moved.fee),
        }
    }
}

impl Sum {
    pub fn of(receiver: &ReceiverKey, amount: Amount) -> Self {
        Self {
            receiver: receiver.receiver.to_string(),
            token: receiver.token.to_string(),
            amount,
            channels: None,
            recipient: None,
        }
    }
}
