//! Merkle trees in the layout of OpenZeppelin's StandardMerkleTree: leaves are hashed twice and
//! sorted by hash, the complete binary tree is stored from the root down, and pairs are hashed in
//! sorted order. This module does not know what the leaves mean.

use alloy::primitives::{B256, keccak256};

/// A tree over some leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MerkleTree {
    /// From the root down; the children of `i` are `2i + 1` and `2i + 2`.
    nodes: Vec<B256>,
    /// Position of each leaf among the nodes, in the original order of the leaves.
    places: Vec<usize>,
}

/// The hash of a leaf: keccak256 of the keccak256 of its ABI encoding.
pub fn leaf(encoded: &[u8]) -> B256 {
    keccak256(keccak256(encoded))
}

fn pair(one: B256, other: B256) -> B256 {
    let (low, high) = if one < other {
        (one, other)
    } else {
        (other, one)
    };
    keccak256([low.0, high.0].concat())
}

impl MerkleTree {
    /// The tree over leaves that are already hashed; none if there are no leaves.
    pub fn new(leaves: &[B256]) -> Option<Self> {
        let count = leaves.len();
        let last = (2 * count).checked_sub(2)?;
        let mut order: Vec<usize> = (0..count).collect();
        order.sort_by_key(|at| leaves[*at]);
        let mut nodes = vec![B256::ZERO; last + 1];
        let mut places = vec![0; count];
        for (rank, at) in order.into_iter().enumerate() {
            nodes[last - rank] = leaves[at];
            places[at] = last - rank;
        }
        for at in (0..count - 1).rev() {
            nodes[at] = pair(nodes[2 * at + 1], nodes[2 * at + 2]);
        }
        Some(Self { nodes, places })
    }

    pub fn root(&self) -> B256 {
        self.nodes[0]
    }

    /// The siblings from a leaf up to the root. The leaf is given by its position in the original
    /// order.
    pub fn proof(&self, leaf: usize) -> Option<Vec<B256>> {
        let mut at = *self.places.get(leaf)?;
        let mut proof = Vec::new();
        while at > 0 {
            let sibling = if at % 2 == 1 { at + 1 } else { at - 1 };
            proof.push(self.nodes[sibling]);
            at = (at - 1) / 2;
        }
        Some(proof)
    }
}
