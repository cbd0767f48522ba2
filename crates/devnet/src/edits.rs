//! Operations of development chains only: setting values, snapshots and reorganisations.

use std::sync::Arc;

use alloy::{
    primitives::{Address, B256, Bytes, U256},
    rpc::types::Filter,
};

use super::{
    chain::DevChain,
    changes::{AccountRecord, StateChanges},
    error::ChainError,
    notice::BlockNotice,
    pool::PendingTx,
    rpc_error::RpcError,
    seal::BlockPurpose,
    store::{ChainCommit, ChainSnapshot},
};

impl DevChain {
    pub(super) fn set_balance(
        &mut self,
        address: Address,
        balance: U256,
    ) -> Result<(), ChainError> {
        let mut changes = StateChanges::default();
        let record = AccountRecord {
            balance,
            ..self.account(address)?
        };
        changes.accounts.insert(address, record);
        self.edit(&changes)
    }

    pub(super) fn set_nonce(&mut self, address: Address, nonce: u64) -> Result<(), ChainError> {
        let mut changes = StateChanges::default();
        let record = AccountRecord {
            nonce,
            ..self.account(address)?
        };
        changes.accounts.insert(address, record);
        self.edit(&changes)
    }

    pub(super) fn set_code(&mut self, address: Address, code: Bytes) -> Result<(), ChainError> {
        let mut changes = StateChanges::default();
        let code_hash = changes.add_code(code);
        let record = AccountRecord {
            code_hash,
            ..self.account(address)?
        };
        changes.accounts.insert(address, record);
        self.edit(&changes)
    }

    pub(super) fn set_slot(
        &mut self,
        address: Address,
        slot: U256,
        value: U256,
    ) -> Result<(), ChainError> {
        let mut changes = StateChanges::default();
        changes.slots.insert((address, slot), value);
        self.edit(&changes)
    }

    /// Takes a snapshot; returns its number for `revert`.
    pub(super) fn snapshot(&mut self) -> Result<u64, ChainError> {
        let id = self.store.number("snapshots")?.unwrap_or_default();
        let snapshot = ChainSnapshot {
            step: self.step.0,
            block: self.head.header.number,
            time_offset: self.clock.offset,
        };
        self.store.add_snapshot(id, snapshot)?;
        Ok(id)
    }

    /// Reverts to a snapshot and consumes it; returns whether it existed.
    pub(super) fn revert(&mut self, id: u64) -> Result<bool, ChainError> {
        let Some(snapshot) = self.store.snapshot(id)? else {
            return Ok(false);
        };
        self.rewind(snapshot.step, snapshot.block)?;
        self.store.drop_snapshots(id)?;
        self.clock.offset = snapshot.time_offset;
        self.clock.next = None;
        let offset = snapshot.time_offset.to_be_bytes();
        self.store.set_meta("time_offset", &offset)?;
        Ok(true)
    }

    /// Replaces the newest `depth` blocks by the same number of new ones; `placed` states for each
    /// transaction the new block, counted from the first, that includes it.
    pub(super) fn reorganise(
        &mut self,
        depth: u64,
        placed: Vec<(PendingTx, u64)>,
    ) -> Result<(), RpcError> {
        let height = self.head.header.number;
        if depth > height {
            return Err(RpcError::invalid(format!(
                "Reorg depth must not exceed current chain height: current height {height}, depth {depth}"
            )));
        }
        let kept = height - depth;
        let step = match self.store.step_before(kept + 1)? {
            Some(step) => step,
            None => self.step.0,
        };
        let times: Vec<u64> = (kept + 1..=height)
            .map(|number| {
                Ok(self
                    .store
                    .block(number)?
                    .map(|block| block.header.timestamp))
            })
            .collect::<Result<Vec<_>, ChainError>>()?
            .into_iter()
            .flatten()
            .collect();
        self.reorgs += 1;
        self.store.set_meta("reorgs", &self.reorgs.to_be_bytes())?;
        self.rewind(step, kept)?;
        let offset = self.clock.offset;
        for (index, time) in (0..depth).zip(times) {
            let of_block = placed.iter().filter(|(_, block)| *block == index);
            let candidates = of_block.map(|(pending, _)| pending.clone()).collect();
            self.clock.next = Some(time);
            self.seal(candidates, BlockPurpose::Block)?;
        }
        // The new blocks have the times of the old ones; the clock continues as before.
        self.clock.offset = offset;
        self.store.set_meta("time_offset", &offset.to_be_bytes())?;
        Ok(())
    }

    /// Removes a pending transaction; returns whether it existed.
    pub(super) fn forget_waiting(&mut self, hash: B256) -> Result<bool, ChainError> {
        let found = self.pool.remove(hash).is_some();
        self.store.commit(&ChainCommit {
            left: &[hash],
            ..ChainCommit::default()
        })?;
        Ok(found)
    }

    fn rewind(&mut self, step: u64, block: u64) -> Result<(), ChainError> {
        let gone = if self.notices.receiver_count() > 0 {
            let range = block + 1..=self.head.header.number;
            self.logs_in(range, &Filter::default())?
        } else {
            Vec::new()
        };
        self.store.rewind(step, block)?;
        self.reload()?;
        if !gone.is_empty() {
            let _ = self.notices.send(Arc::new(BlockNotice::removed(gone)));
        }
        Ok(())
    }
}
