//! The log of calls as a tiled Merkle tree with signed checkpoints.
