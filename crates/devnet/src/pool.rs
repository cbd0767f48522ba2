//! The transaction pool: accepted transactions that are not in a block. These are transactions with
//! a future nonce and, while automatic mining is off, all others.

use std::collections::BTreeMap;

use alloy::{
    consensus::{Transaction as _, TxEnvelope},
    eips::eip2718::{Decodable2718, Encodable2718},
    primitives::{Address, B256, Bytes, keccak256},
};
use secp256k1::{
    Message, SECP256K1,
    ecdsa::{RecoverableSignature, RecoveryId},
};

use super::store::WaitingTx;

/// A transaction with its recovered sender.
#[derive(Clone, Debug)]
pub(super) struct PendingTx {
    pub transaction: TxEnvelope,
    pub sender: Address,
    pub hash: B256,
    /// Sent for an impersonated account, without its key.
    pub impersonated: bool,
}

impl PendingTx {
    pub(super) fn raw(&self) -> Bytes {
        self.transaction.encoded_2718().into()
    }

    pub(super) fn waiting(&self) -> WaitingTx {
        WaitingTx {
            hash: self.hash,
            sender: self.sender,
            raw: self.raw(),
        }
    }

    /// Decodes a stored transaction; `None` if the bytes are invalid.
    pub(super) fn restore(waiting: &WaitingTx) -> Option<Self> {
        let transaction = TxEnvelope::decode_2718(&mut &waiting.raw[..]).ok()?;
        let impersonated = recover(&transaction) != Some(waiting.sender);
        Some(Self {
            transaction,
            sender: waiting.sender,
            hash: waiting.hash,
            impersonated,
        })
    }
}

/// The signer; `None` for an invalid signature or one with a high s (EIP-2).
pub(super) fn recover(transaction: &TxEnvelope) -> Option<Address> {
    let signature = transaction.signature();
    if signature.normalize_s().is_some() {
        return None;
    }
    let mut compact = [0; 64];
    compact[..32].copy_from_slice(&signature.r().to_be_bytes::<32>());
    compact[32..].copy_from_slice(&signature.s().to_be_bytes::<32>());
    let parity = RecoveryId::try_from(i32::from(signature.v())).ok()?;
    let signature = RecoverableSignature::from_compact(&compact, parity).ok()?;
    let message = Message::from_digest(transaction.signature_hash().0);
    let key = SECP256K1.recover_ecdsa(message, &signature).ok()?;
    let hash = keccak256(&key.serialize_uncompressed()[1..]);
    Some(Address::from_slice(&hash[12..]))
}

/// Pending transactions by account and nonce.
#[derive(Debug, Default)]
pub(super) struct TxPool {
    senders: BTreeMap<Address, BTreeMap<u64, PendingTx>>,
}

impl TxPool {
    pub(super) fn insert(&mut self, pending: PendingTx) {
        let nonce = pending.transaction.nonce();
        self.senders
            .entry(pending.sender)
            .or_default()
            .insert(nonce, pending);
    }

    pub(super) fn get(&self, sender: Address, nonce: u64) -> Option<&PendingTx> {
        self.senders.get(&sender)?.get(&nonce)
    }

    pub(super) fn find(&self, hash: B256) -> Option<&PendingTx> {
        self.all().find(|pending| pending.hash == hash)
    }

    pub(super) fn remove(&mut self, hash: B256) -> Option<PendingTx> {
        let (sender, nonce) = self
            .find(hash)
            .map(|found| (found.sender, found.transaction.nonce()))?;
        let queue = self.senders.get_mut(&sender)?;
        let removed = queue.remove(&nonce);
        if queue.is_empty() {
            self.senders.remove(&sender);
        }
        removed
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &PendingTx> {
        self.senders.values().flat_map(BTreeMap::values)
    }

    pub(super) fn senders(&self) -> Vec<Address> {
        self.senders.keys().copied().collect()
    }

    /// An account's transactions from `nonce` on, up to the first gap.
    pub(super) fn ready(&self, sender: Address, nonce: u64) -> Vec<PendingTx> {
        let Some(queue) = self.senders.get(&sender) else {
            return Vec::new();
        };
        queue
            .range(nonce..)
            .zip(nonce..)
            .take_while(|((found, _), expected)| *found == expected)
            .map(|((_, pending), _)| pending.clone())
            .collect()
    }

    /// An account's transactions that can never be executed.
    pub(super) fn outdated(&self, sender: Address, nonce: u64) -> Vec<B256> {
        self.senders.get(&sender).map_or_else(Vec::new, |queue| {
            queue
                .range(..nonce)
                .map(|(_, pending)| pending.hash)
                .collect()
        })
    }
}
