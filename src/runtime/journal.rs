//! This home's journal: opened for writing, or read beside the server that writes it; and the check
//! of a chain against it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    home::AppDirs,
    notice::{NoticeListener, RuntimeNotice},
    running_server::RunningServer,
};
use openlora_chain::provider::Chain;
use openlora_core::{error::Failure, private::files};
use openlora_journal::Journal;
use openlora_ledger::{event::Event, state::CurrentState};
use openlora_payments::settlement::identify;
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

    /// The state of the journal. It is kept current where this process writes it.
    pub async fn state(&self) -> Result<Arc<CurrentState>, Failure> {
        Ok(match self {
            Self::Own(journal) => journal.state().await?,
            Self::Served { path, .. } => Arc::new(CurrentState::new(Journal::state_at(path)?)),
        })
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
    let state = journal.state().await?;
    let before = state.read().ledger.former.len();
    if identify(chain, &*state, journal).await? {
        let state = journal.state().await?;
        if state.read().ledger.former.len() > before {
            listener(RuntimeNotice::ChainRestarted {
                network: &chain.network.name,
            });
        }
    }
    Ok(())
}
