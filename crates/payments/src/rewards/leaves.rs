//! Builds Merkle trees from published files.

use alloy::{
    primitives::{Address as RawAddress, B256, U256},
    sol_types::SolValue,
};

use openlora_chain::{
    merkle::{MerkleTree, leaf},
    registry::{AnchorLeaf, parse_id},
};
use openlora_core::Word;
use openlora_ledger::{
    event::{AttributedAmount, ContributorShare},
    publication::{AnchoredBatch, PoolContributions, PublishedCall},
};

/// A call as a leaf of the anchored tree; `None` if a field is not a number.
pub fn leaf_of(call: &PublishedCall) -> Option<AnchorLeaf> {
    let charge = &call.charge;
    Some(AnchorLeaf {
        eventId: call.event_id.0.into(),
        adapterId: parse_id(&call.adapter_id)?,
        version: call.version,
        chainId: U256::from(charge.chain_id),
        channelId: charge.id.0.into(),
        cumulative: charge.cumulative.0,
        charged: charge.amount.0,
        requestHash: hash(&call.request_hash)?,
        responseHash: hash(&call.response_hash)?,
        contributionsRoot: contributions_root(&call.shares, &call.amounts).0.into(),
        time: call.time_ms,
    })
}

fn hash(text: &str) -> Option<B256> {
    let mut bytes = [0; 32];
    alloy::hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes.into())
}

/// The Merkle root over the contributors whose data shaped a call: leaves (address contributor,
/// uint256 ppm, uint256 micro), `micro` in millionths of the token's base unit. Zero if no
/// contributor has an address.
pub fn contributions_root(shares: &[ContributorShare], amounts: &[AttributedAmount]) -> Word {
    let encoded = shares.iter().filter_map(|share| {
        let address = share.address?;
        let theirs = amounts.iter();
        let theirs = theirs.filter(|it| it.pool.is_some() && it.address == Some(address));
        let micro: u128 = theirs.map(|it| it.micro.0).sum();
        let fields = (
            RawAddress::from(address),
            U256::from(share.ppm),
            U256::from(micro),
        );
        Some(leaf(&fields.abi_encode()))
    });
    let leaves: Vec<B256> = encoded.collect();
    let tree = MerkleTree::new(&leaves);
    Word(tree.map_or(B256::ZERO, |tree| tree.root()).0)
}

/// The Merkle tree over a batch; `None` if it is empty or a field is not a number.
pub fn batch_tree(batch: &AnchoredBatch) -> Option<MerkleTree> {
    let leaves = batch
        .calls
        .iter()
        .map(|call| Some(leaf(&leaf_of(call)?.abi_encode())));
    MerkleTree::new(&leaves.collect::<Option<Vec<B256>>>()?)
}

/// The Merkle tree over what a pool owes its contributors; `None` if it owes nothing.
pub fn contributions_tree(contributions: &PoolContributions) -> Option<MerkleTree> {
    let token = RawAddress::from(contributions.pool.token);
    let encoded = contributions.owed.iter().map(|owed| {
        let who = RawAddress::from(owed.contributor);
        leaf(&(token, who, U256::from(owed.cumulative.0)).abi_encode())
    });
    MerkleTree::new(&encoded.collect::<Vec<B256>>())
}
