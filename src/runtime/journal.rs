//! This home's journal: opened for writing, or read beside the server that writes it; and the check
//! of a chain against it.

use std::path::{Path, PathBuf};

use super::{
    home::AppDirs,
    notice::{NoticeListener, RuntimeNotice},
    running_server::RunningServer,
};
use openlora_chain::provider::Chain;
use openlora_core::{error::Failure, private::files};
use openlora_journal::Journal;
use openlora_ledger::{
    event::{Event, EventRecord},
    state::JournalSnapshot,
};
use openlora_payments::settlement::{TxHistory, identify};
use openlora_ports::FactLog;

/// Opens the journal; a missing folder is created.
pub fn open(path: &Path) -> Result<Journal, Failure> {
    if let Some(folder) = path.parent() {
        files::folder(folder).map_err(|error| Failure::io("create the folder", folder, &error))?;
    }
    Ok(Journal::open(path)?)
}

/// The journal as a command has it that may run beside this home's server.
pub enum HomeJournal {
    Own(Journal),
    /// The running server writes it.
    Served {
        path: PathBuf,
        server: RunningServer,
    },
}

impl HomeJournal {
    /// # Errors
    ///
    /// Another process than a server writes the journal, or the server cannot be authenticated.
    pub async fn open(dirs: &AppDirs) -> Result<Self, Failure> {
        let path = dirs.journal();
        Ok(match RunningServer::find(dirs).await? {
            Some(server) => Self::Served { path, server },
            None => Self::Own(open(&path)?),
        })
    }

    pub fn server(&self) -> Option<&RunningServer> {
        match self {
            Self::Own(_) => None,
            Self::Served { server, .. } => Some(server),
        }
    }

    pub fn snapshot(&self) -> Result<JournalSnapshot, Failure> {
        Ok(match self {
            Self::Own(journal) => journal.snapshot()?,
            Self::Served { path, .. } => Journal::snapshot_at(path)?,
        })
    }

    /// Passes every record to `visit`, in order.
    pub fn replay(&self, visit: impl FnMut(&EventRecord)) -> Result<(), Failure> {
        match self {
            Self::Own(journal) => journal.replay(1, visit)?,
            Self::Served { path, .. } => Journal::open_read_only(path)?.replay(1, visit)?,
        }
        Ok(())
    }
}

#[async_trait::async_trait]
impl FactLog for HomeJournal {
    async fn keep(&self, event: Event) -> Result<(), Failure> {
        match self {
            Self::Own(journal) => journal.keep(event).await,
            Self::Served { server, .. } => server.keep(event).await,
        }
    }
}

/// Checks that a chain is the one recorded in the journal. For a development chain that was reset,
/// the sums start anew.
pub async fn check_chain(
    journal: &HomeJournal,
    chain: &Chain,
    listener: &NoticeListener,
) -> Result<(), Failure> {
    let before = journal.snapshot()?.ledger;
    let history = || {
        let mut history = TxHistory::default();
        journal.replay(|record| history.apply(&record.event))?;
        Ok(history)
    };
    if identify(chain, &before, history, journal).await? {
        let former = journal.snapshot()?.ledger.former;
        if former.len() > before.former.len() {
            listener(RuntimeNotice::ChainRestarted {
                network: &chain.network.name,
            });
        }
    }
    Ok(())
}
