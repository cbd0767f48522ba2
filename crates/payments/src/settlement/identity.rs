//! Identifies a chain by the hash of its first block. A chain id is not enough, because a restarted
//! chain, a fork and another RPC have it too. Every fact of the journal belongs to one such hash.

use super::{
    client::SettlementClient,
    ledger_view::{LedgerView, ask, ask_state},
};
use openlora_chain::{WalletError, provider::Chain};
use openlora_core::{Word, error::Failure};
use openlora_ledger::{Ledger, event::Event};
use openlora_ports::FactLog;

/// How many of the latest facts to look up if the journal has no genesis hash for their chain.
const WITNESSES: usize = 16;

/// Compares a chain with the genesis hash in the journal, before anything is read from it or sent.
/// Returns whether the journal has grown.
///
/// # Errors
/// It is not the journal's chain. On a local development chain this is no error: the facts of the
/// earlier chain are set aside.
pub async fn identify(
    chain: &Chain,
    ledger: &dyn LedgerView,
    facts: &dyn FactLog,
) -> Result<bool, Failure> {
    let chain_id = chain.network.chain_id;
    let found = chain.genesis().await?;
    let known = ask(ledger, |ledger| ledger.genesis.get(&chain_id).copied());
    if known == Some(found) {
        return Ok(false);
    }
    let is_other = match known {
        Some(_) => true,
        None => !is_witnessed(chain, ledger).await?,
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

/// Whether one of the latest facts is on the chain, or there are no facts.
async fn is_witnessed(chain: &Chain, ledger: &dyn LedgerView) -> Result<bool, WalletError> {
    let chain_id = chain.network.chain_id;
    let marks = ask_state(ledger, |state| state.facts.locations(chain_id));
    for location in marks.iter().rev().take(WITNESSES) {
        if chain.has_block(location.block, location.hash).await? {
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

/// Whether a chain is the one that a ledger belongs to, if the ledger has its genesis hash.
pub async fn check_genesis(chain: &Chain, ledger: &Ledger) -> Result<(), WalletError> {
    let Some(expected) = ledger.genesis.get(&chain.network.chain_id).copied() else {
        return Ok(());
    };
    match chain.genesis().await? {
        found if found == expected => Ok(()),
        found => Err(other(chain, expected, found)),
    }
}

impl SettlementClient {
    /// Checks that it is still the journal's chain. If the journal has no genesis hash yet, records
    /// it.
    pub(super) async fn check_chain(&self) -> Result<(), WalletError> {
        let chain_id = self.chain.network.chain_id;
        let known = ask(&*self.ledger, |ledger| {
            ledger.genesis.get(&chain_id).copied()
        });
        let found = self.chain.genesis().await?;
        match known {
            Some(known) if known == found => Ok(()),
            Some(known) => Err(other(&self.chain, known, found)),
            None => {
                let genesis = found;
                let event = Event::ChainIdentified { chain_id, genesis };
                // If this write fails, the next write reports the failure.
                let _ = self.queue.keep(event).await;
                Ok(())
            }
        }
    }
}
