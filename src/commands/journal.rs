//! This home's journal, open for writing, and a chain held against what it says.

use std::path::Path;

use crate::{
    error::Failure,
    printer::Printer,
    private::files,
    runtime::journal::Journal,
    wallet::{
        provider::Chain,
        settlement::{TxHistory, identify},
    },
};

/// Opens the journal, in a folder that is made when it is missing.
pub fn open(path: &Path) -> Result<Journal, Failure> {
    if let Some(folder) = path.parent() {
        files::folder(folder).map_err(|error| Failure::io("create the folder", folder, &error))?;
    }
    Ok(Journal::open(path)?)
}

/// Holds a chain against what the journal says of its id. A development chain that began anew
/// begins a new account of its money.
pub async fn check_chain(
    journal: &Journal,
    chain: &Chain,
    printer: &Printer,
) -> Result<(), Failure> {
    let before = journal.snapshot()?.ledger;
    let history = || {
        let mut history = TxHistory::default();
        journal.replay(1, |record| history.apply(&record.event))?;
        Ok(history)
    };
    if identify(chain, &before, history, journal).await? {
        let former = journal.snapshot()?.ledger.former;
        if former.len() > before.former.len() {
            printer.warn(format!(
                "`{}` began anew: what the journal says of the chain before is kept and counts no \
                 more",
                chain.network.name
            ));
        }
    }
    Ok(())
}
