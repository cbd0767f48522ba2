//! This home's journal, open for writing, and the check of a chain against it.

use std::path::Path;

use super::notice::{NoticeListener, RuntimeNotice};
use openlora_chain::provider::Chain;
use openlora_core::{error::Failure, private::files};
use openlora_journal::Journal;
use openlora_payments::settlement::identify;

/// Opens the journal; a missing folder is created.
pub fn open(path: &Path) -> Result<Journal, Failure> {
    if let Some(folder) = path.parent() {
        files::folder(folder).map_err(|error| Failure::io("create the folder", folder, &error))?;
    }
    Ok(Journal::open(path)?)
}

/// Checks that a chain is the one recorded in the journal. For a development chain that was reset,
/// the sums start anew.
pub async fn check_chain(
    journal: &Journal,
    chain: &Chain,
    listener: &NoticeListener,
) -> Result<(), Failure> {
    let state = journal.state().await?;
    let before = state.read().ledger.former.len();
    if identify(chain, &*state, journal).await? && state.read().ledger.former.len() > before {
        listener(RuntimeNotice::ChainRestarted {
            network: &chain.network.name,
        });
    }
    Ok(())
}
