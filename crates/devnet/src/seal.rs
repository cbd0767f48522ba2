//! Creates blocks: executes transactions, computes roots, commits, and notifies subscribers.

use std::sync::Arc;

use alloy::{
    consensus::{
        Eip658Value, Header, Receipt, ReceiptEnvelope, Sealed, Transaction as _, TxEnvelope,
        proofs::{calculate_receipt_root, calculate_transaction_root},
    },
    eips::eip2718::Encodable2718,
    primitives::{B256, Bloom},
};
use revm::context::result::{ExecutionResult, InvalidTransaction};

use super::{
    chain::DevChain,
    error::ChainError,
    execute::{
        ExecutionContext, ExecutionError, ExecutionRules, block_env, execute, transaction_env,
    },
    header::GAS_LIMIT,
    notice::BlockNotice,
    pool::PendingTx,
    state::{StateOverlay, WorldState},
    store::{ChainCommit, StoredBlock, StoredTransaction},
};

/// The purpose of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BlockPurpose {
    /// Includes this transaction; otherwise no block is created.
    Transaction(B256),
    /// Includes the candidates that can be executed; without any, no block is created.
    Candidates,
    /// A block is created even if it is empty.
    Block,
}

/// The result of creating a block.
pub(super) enum SealOutcome {
    Made,
    /// No candidate could be executed.
    Empty,
    /// The required transaction cannot be included; no block was created.
    Refused(InvalidTransaction),
}

/// A block under construction.
struct BlockDraft {
    header: Header,
    overlay: StateOverlay,
    envelopes: Vec<TxEnvelope>,
    receipts: Vec<ReceiptEnvelope>,
    stored: Vec<StoredTransaction>,
    /// Pool entries to remove: included, or no longer executable.
    left: Vec<B256>,
}

impl DevChain {
    /// Creates the next block from `candidates`, skipping those that cannot be executed.
    pub(super) fn seal(
        &mut self,
        candidates: Vec<PendingTx>,
        purpose: BlockPurpose,
    ) -> Result<SealOutcome, ChainError> {
        let (_, time_offset) = self.next_time();
        let mut draft = BlockDraft {
            header: self.next_header(),
            overlay: StateOverlay::default(),
            envelopes: Vec::new(),
            receipts: Vec::new(),
            stored: Vec::new(),
            left: Vec::new(),
        };
        for pending in candidates {
            if draft.header.gas_used + pending.transaction.gas_limit() > GAS_LIMIT {
                continue;
            }
            let hash = pending.hash;
            match self.include(&mut draft, pending) {
                Ok(()) => {}
                Err(ExecutionError::Chain(error)) => return Err(error),
                Err(ExecutionError::Invalid(reason))
                    if purpose == BlockPurpose::Transaction(hash) =>
                {
                    return Ok(SealOutcome::Refused(reason));
                }
                Err(ExecutionError::Invalid(reason)) if may_run_later(&reason) => {}
                Err(ExecutionError::Invalid(_)) => draft.left.push(hash),
            }
        }
        if draft.stored.is_empty() && purpose == BlockPurpose::Candidates {
            for hash in draft.left {
                self.forget_waiting(hash)?;
            }
            return Ok(SealOutcome::Empty);
        }
        self.finish(draft, time_offset)?;
        Ok(SealOutcome::Made)
    }

    fn include(
        &mut self,
        draft: &mut BlockDraft,
        pending: PendingTx,
    ) -> Result<(), ExecutionError> {
        let rules = if pending.impersonated {
            ExecutionRules::Impersonated
        } else {
            ExecutionRules::Transaction
        };
        let world = WorldState {
            store: &self.store,
            cache: &mut self.cache,
            at: None,
            overlay: &draft.overlay,
        };
        let place = ExecutionContext {
            chain_id: self.chain_id,
            block: block_env(&draft.header),
            rules,
        };
        let environment = transaction_env(&pending.transaction, pending.sender);
        let outcome = execute(world, &place, environment)?;
        draft.overlay.apply_changes(outcome.state);
        draft.add(pending, outcome.result);
        Ok(())
    }

    /// Completes the block from its draft, and commits it as a whole.
    fn finish(&mut self, draft: BlockDraft, time_offset: i64) -> Result<(), ChainError> {
        let BlockDraft {
            mut header,
            overlay,
            envelopes,
            receipts,
            mut stored,
            left,
        } = draft;
        let step = self.step.0 + 1;
        let commitment = overlay.changes.commit_to(self.step.1);
        header.state_root = commitment;
        header.transactions_root = calculate_transaction_root(&envelopes);
        header.receipts_root = calculate_receipt_root(&receipts);
        header.logs_bloom = receipts
            .iter()
            .fold(Bloom::ZERO, |bloom, receipt| bloom | *receipt.logs_bloom());
        for one in &mut stored {
            one.block = header.number;
        }
        let block = StoredBlock {
            header: Sealed::new(header),
            step,
        };
        let settled = self.settled(left, &overlay);
        self.store.commit(&ChainCommit {
            step: Some((step, commitment, &overlay.changes)),
            block: Some((&block, &stored)),
            left: &settled,
            time_offset: (time_offset != self.clock.offset).then_some(time_offset),
        })?;
        // The cache is updated only after the commit.
        self.cache.apply(&overlay.changes);
        self.step = (step, commitment);
        self.head = block;
        self.clock.offset = time_offset;
        self.clock.next = None;
        for hash in settled {
            self.pool.remove(hash);
        }
        self.announce(&stored, &receipts);
        Ok(())
    }

    /// Pool entries to remove: those in the block, and those with outdated nonces.
    fn settled(&self, left: Vec<B256>, overlay: &StateOverlay) -> Vec<B256> {
        let mut settled: Vec<B256> = left
            .into_iter()
            .filter(|hash| self.pool.find(*hash).is_some())
            .collect();
        for (address, record) in &overlay.changes.accounts {
            for hash in self.pool.outdated(*address, record.nonce) {
                if !settled.contains(&hash) {
                    settled.push(hash);
                }
            }
        }
        settled
    }

    /// Notifies the subscribers; it is no error if there are none.
    fn announce(&self, stored: &[StoredTransaction], receipts: &[ReceiptEnvelope]) {
        if self.notices.receiver_count() == 0 {
            return;
        }
        let notice = BlockNotice::block(&self.head.header, stored, receipts);
        let _ = self.notices.send(Arc::new(notice));
    }
}

/// Whether a rejection may be temporary: fees fall, balances grow, nonce gaps are filled. Such a
/// transaction stays pending.
fn may_run_later(reason: &InvalidTransaction) -> bool {
    matches!(
        reason,
        InvalidTransaction::GasPriceLessThanBasefee
            | InvalidTransaction::LackOfFundForMaxFee { .. }
            | InvalidTransaction::NonceTooHigh { .. }
    )
}

impl BlockDraft {
    fn add(&mut self, pending: PendingTx, result: ExecutionResult) {
        let gas_used = result.tx_gas_used();
        self.header.gas_used += gas_used;
        let receipt = Receipt {
            status: Eip658Value::Eip658(result.is_success()),
            cumulative_gas_used: self.header.gas_used,
            // A reverted transaction leaves no log.
            logs: if result.is_success() {
                result.into_logs()
            } else {
                Vec::new()
            },
        };
        let receipt =
            ReceiptEnvelope::from_typed(pending.transaction.tx_type(), receipt.with_bloom());
        self.stored.push(StoredTransaction {
            hash: pending.hash,
            block: self.header.number,
            position: self.stored.len() as u64,
            sender: pending.sender,
            gas_used,
            raw: pending.raw(),
            receipt: receipt.encoded_2718().into(),
        });
        self.left.push(pending.hash);
        self.receipts.push(receipt);
        self.envelopes.push(pending.transaction);
    }
}
