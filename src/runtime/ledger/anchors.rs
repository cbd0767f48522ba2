//! How far the journal is anchored and allotted, folded from facts.

use super::{Address, Amount, ReceiverKey, Word};
use crate::runtime::event::{ContributionsProposed, Event, RootAnchored};

/// The facts that still stand, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnchorFacts {
    anchored: Vec<RootAnchored>,
    proposed: Vec<ContributionsProposed>,
}

impl AnchorFacts {
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::Anchored(fact) if !self.anchored.contains(fact) => {
                self.anchored.push(RootAnchored::clone(fact));
            }
            Event::ContributionsProposed(fact) if !self.proposed.contains(fact) => {
                self.proposed.push(ContributionsProposed::clone(fact));
            }
            Event::Reorganised { chain_id, txs } => {
                self.anchored
                    .retain(|it| it.chain_id != *chain_id || !txs.contains(&it.tx));
                self.proposed
                    .retain(|it| it.pool.chain_id != *chain_id || !txs.contains(&it.tx));
            }
            Event::ChainEnded { chain_id } => {
                self.anchored.retain(|it| it.chain_id != *chain_id);
                self.proposed.retain(|it| it.pool.chain_id != *chain_id);
            }
            _ => {}
        }
    }

    /// The last root of a server's chain of an adapter.
    pub fn last(&self, chain_id: u64, adapter_id: &str, server: Address) -> Option<&RootAnchored> {
        let mine = |it: &&RootAnchored| {
            it.chain_id == chain_id && it.adapter_id == adapter_id && it.server == server
        };
        self.anchored.iter().rfind(mine)
    }

    /// The last proposal to a pool.
    pub fn proposal(&self, pool: ReceiverKey) -> Option<&ContributionsProposed> {
        self.proposed.iter().rfind(|it| it.pool == pool)
    }

    /// Roots of batches and of contributions.
    pub fn roots(&self) -> (Vec<Word>, Vec<Word>) {
        let batches = self.anchored.iter().map(|it| it.root).collect();
        let contributions = self.proposed.iter().map(|it| it.root).collect();
        (batches, contributions)
    }

    /// Calls that are anchored, and what they cost.
    pub fn calls(&self) -> (u64, Amount) {
        let calls = self.anchored.iter().map(|it| it.count).sum();
        (calls, self.anchored.iter().map(|it| it.charged).sum())
    }
}
