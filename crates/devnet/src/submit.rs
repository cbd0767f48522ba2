//! Transaction submission: validation, the pool, and when blocks are created.

use alloy::{
    consensus::{Transaction as _, TxEnvelope},
    primitives::B256,
};

use super::{
    chain::DevChain,
    error::ChainError,
    header::GAS_LIMIT,
    pool::{PendingTx, recover},
    rpc_error::RpcError,
    seal::{BlockPurpose, SealOutcome},
};

/// Maximum number of pending transactions.
const POOL: usize = 10_000;

impl DevChain {
    /// Accepts a signed transaction.
    pub(super) fn submit(&mut self, transaction: TxEnvelope) -> Result<B256, RpcError> {
        let sender = recover(&transaction).ok_or_else(RpcError::undecodable)?;
        let hash = *transaction.tx_hash();
        self.accept(PendingTx {
            transaction,
            sender,
            hash,
            impersonated: false,
        })
    }

    /// Includes a transaction in a block if it is executable now; otherwise adds it to the pool.
    pub(super) fn accept(&mut self, pending: PendingTx) -> Result<B256, RpcError> {
        let hash = pending.hash;
        let nonce = self.account(pending.sender)?.nonce;
        self.check(&pending, nonce)?;
        if self.automine && pending.transaction.nonce() == nonce {
            let sender = pending.sender;
            let mut candidates = vec![pending];
            candidates.extend(self.pool.ready(sender, nonce + 1));
            if let SealOutcome::Refused(reason) =
                self.seal(candidates, BlockPurpose::Transaction(hash))?
            {
                return Err(RpcError::refused(&reason));
            }
            self.mine_ready()?;
        } else {
            self.store.add_waiting(&pending.waiting())?;
            self.pool.insert(pending);
        }
        Ok(hash)
    }

    /// The checks of a transaction before its execution.
    fn check(&mut self, pending: &PendingTx, nonce: u64) -> Result<(), RpcError> {
        let transaction = &pending.transaction;
        if transaction.is_eip4844() {
            return Err(RpcError::invalid("blob transactions are not supported"));
        }
        if let Some(chain_id) = transaction.chain_id()
            && chain_id != self.chain_id
        {
            return Err(RpcError::rejected("invalid chain id for signer"));
        }
        if transaction.nonce() < nonce {
            return Err(RpcError::rejected("nonce too low"));
        }
        // A mined transaction stays known even if the nonce was set back.
        if self.pool.find(pending.hash).is_some() || self.store.transaction(pending.hash)?.is_some()
        {
            return Err(RpcError::rejected("transaction already imported"));
        }
        if transaction.gas_limit() > GAS_LIMIT {
            return Err(RpcError::server(
                "intrinsic gas too high -- tx.gas_limit > env.block.gas_limit",
            ));
        }
        if let Some(tip) = transaction.max_priority_fee_per_gas()
            && tip > transaction.max_fee_per_gas()
        {
            return Err(RpcError::rejected(
                "max priority fee per gas higher than max fee per gas",
            ));
        }
        if let Some(other) = self.pool.get(pending.sender, transaction.nonce())
            && other.transaction.max_fee_per_gas() >= transaction.max_fee_per_gas()
        {
            return Err(RpcError::rejected("replacement transaction underpriced"));
        }
        if self.pool.all().count() >= POOL {
            return Err(RpcError::rejected("the transaction pool is full"));
        }
        Ok(())
    }

    /// Creates blocks from executable transactions, as long as there is progress.
    pub(super) fn mine_ready(&mut self) -> Result<(), RpcError> {
        while self.automine {
            let candidates = self.ready()?;
            if candidates.is_empty() {
                break;
            }
            match self.seal(candidates, BlockPurpose::Candidates)? {
                SealOutcome::Made => {}
                SealOutcome::Empty | SealOutcome::Refused(_) => break,
            }
        }
        Ok(())
    }

    /// All transactions that are executable and offer a sufficient fee.
    pub(super) fn ready(&mut self) -> Result<Vec<PendingTx>, ChainError> {
        let base_fee = u128::from(self.next_base_fee());
        let mut found = Vec::new();
        for sender in self.pool.senders() {
            let nonce = self.account(sender)?.nonce;
            let queue = self.pool.ready(sender, nonce);
            found.extend(
                queue
                    .into_iter()
                    .take_while(|one| one.transaction.max_fee_per_gas() >= base_fee),
            );
        }
        Ok(found)
    }

    /// Creates one block from the executable transactions, or an empty one.
    pub(super) fn mine(&mut self) -> Result<(), RpcError> {
        let candidates = self.ready()?;
        self.seal(candidates, BlockPurpose::Block)?;
        Ok(())
    }
}
