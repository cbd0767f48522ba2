//! The progress of anchoring and of contribution proposals, folded from events.

use super::ReceiverKey;
use crate::event::{ContributionsProposed, Event, RootAnchored};
use openlora_core::{Address, Amount, Word};

/// The events still in effect, oldest first.
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

    /// The last root that a server anchored for an adapter.
    pub fn last(&self, chain_id: u64, adapter_id: &str, server: Address) -> Option<&RootAnchored> {
        let mine = |it: &&RootAnchored| {
            it.chain_id == chain_id && it.adapter_id == adapter_id && it.server == server
        };
        self.anchored.iter().rfind(mine)
    }

    /// The last contributions proposed to a pool.
    pub fn proposal(&self, pool: ReceiverKey) -> Option<&ContributionsProposed> {
        self.proposed.iter().rfind(|it| it.pool == pool)
    }

    /// Roots of batches and of contributions.
    pub fn roots(&self) -> (Vec<Word>, Vec<Word>) {
        let batches = self.anchored.iter().map(|it| it.root).collect();
        let contributions = self.proposed.iter().map(|it| it.root).collect();
        (batches, contributions)
    }

    /// The number of anchored calls and their total charge.
    pub fn calls(&self) -> (u64, Amount) {
        let calls = self.anchored.iter().map(|it| it.count).sum();
        (calls, self.anchored.iter().map(|it| it.charged).sum())
    }
}
