//! Which chain it is: an id is no name, as a chain that began anew, a fork and another RPC have it
//! too. The hash of the first block is, and every fact of the journal belongs to one.

use super::{
    books::{History, Mark, ask},
    desk::Desk,
};
use crate::{
    error::Failure,
    runtime::{
        event::Event,
        ledger::{Book, Word},
        ports::FactLog,
    },
    wallet::{WalletError, provider::Chain},
};

/// Latest facts whose blocks are looked for where nobody wrote down which chain they are of.
const WITNESSES: usize = 16;

/// Holds a chain against what the journal says of its id, before anything is read of it or sent.
/// Returns whether the journal has grown.
///
/// # Errors
/// It is another chain than the journal is about. On a development chain of this machine that is
/// no error: the facts of the earlier one are set aside.
pub async fn identify(
    chain: &Chain,
    book: &Book,
    history: impl FnOnce() -> Result<History, Failure>,
    facts: &dyn FactLog,
) -> Result<bool, Failure> {
    let chain_id = chain.network.chain_id;
    let found = chain.genesis().await?;
    let known = book.genesis.get(&chain_id).copied();
    if known == Some(found) {
        return Ok(false);
    }
    let is_other = match known {
        Some(_) => true,
        None => !is_witnessed(chain, &history()?).await?,
    };
    if is_other {
        if !chain.network.is_local() {
            return Err(other(chain, known.unwrap_or_default(), found).into());
        }
        facts.keep(Event::ChainEnded { chain_id }).await?;
    }
    let genesis = found;
    let identified = Event::ChainIdentified { chain_id, genesis };
    facts.keep(identified).await?;
    Ok(true)
}

/// Whether one of the latest facts stands on the chain, or there is none.
async fn is_witnessed(chain: &Chain, history: &History) -> Result<bool, WalletError> {
    let marks: Vec<&Mark> = history.marks(chain.network.chain_id).collect();
    for mark in marks.iter().rev().take(WITNESSES) {
        if chain.stands(mark.block, mark.hash).await? {
            return Ok(true);
        }
    }
    Ok(marks.is_empty())
}

fn other(chain: &Chain, expected: Word, found: Word) -> WalletError {
    WalletError::OtherGenesis {
        network: chain.network.name.clone(),
        rpc: chain.network.rpc_shown(),
        expected,
        found,
    }
}

/// Whether a chain is the one that a ledger is about, as far as that is known.
pub async fn check_genesis(chain: &Chain, book: &Book) -> Result<(), WalletError> {
    let Some(expected) = book.genesis.get(&chain.network.chain_id).copied() else {
        return Ok(());
    };
    match chain.genesis().await? {
        found if found == expected => Ok(()),
        found => Err(other(chain, expected, found)),
    }
}

impl Desk {
    /// Whether it is still the chain that the journal is about; a journal that does not say yet
    /// says so from now on.
    pub(super) async fn check_chain(&self) -> Result<(), WalletError> {
        let chain_id = self.chain.network.chain_id;
        let known = ask(&*self.books, |book| book.genesis.get(&chain_id).copied());
        let found = self.chain.genesis().await?;
        match known {
            Some(known) if known == found => Ok(()),
            Some(known) => Err(other(&self.chain, known, found)),
            None => {
                let genesis = found;
                let event = Event::ChainIdentified { chain_id, genesis };
                // Whoever cannot write it down now is told so by what comes next.
                let _ = self.queue.keep(event).await;
                Ok(())
            }
        }
    }
}
