//! Rewards on chain: roots over attributed calls in the anchor, roots over what pools owe their
//! contributors, and the payments that contributors collect from pools.
//!
//! The data that the roots are computed from is published in a folder that may be copied freely.
//! Scores, shares and the journal's storage are unknown here.

mod anchor;
mod collection;
mod facts;
mod history;
mod leaves;
mod pool;
mod split;

pub use anchor::{OnChain, anchored_on, anchoring_servers, head, publish_root, servers_among};
pub use collection::{TokenTransfer, authorizations_on, claimed_on, settled_on, transfers_of};
pub use facts::{claim_facts, claimed_by, server_facts, told_by};
pub use history::{PoolProposal, proposed_on};
pub use leaves::{batch_tree, contributions_root, contributions_tree, leaf_of};
pub use pool::{
    PoolCall, PoolState, WaitingProposal, allot, entries, entries_of, owed, pool_of, proposal_of,
};
pub use split::split_of;
