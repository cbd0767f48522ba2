//! Reading the chain: state at a block, blocks, transactions, receipts, logs.

use std::ops::RangeInclusive;

use alloy::{
    consensus::{
        Header, ReceiptEnvelope, Transaction as _, TxEnvelope,
        transaction::{Recovered, TransactionInfo},
    },
    eips::{BlockId, BlockNumberOrTag, eip2718::Decodable2718, eip4895::Withdrawals},
    primitives::{B256, TxKind, U256},
    rpc::types::{
        Block, BlockTransactions, Filter, FilterBlockOption, Header as RpcHeader, Log, Transaction,
        TransactionReceipt,
    },
};

use super::{
    chain::DevChain,
    error::ChainError,
    notice::placed_logs,
    rpc_error::RpcError,
    store::{StoredBlock, StoredTransaction},
};

/// Blocks behind the head that count as safe, and as final.
const SAFE: u64 = 32;
const FINAL: u64 = 64;

/// The point in the chain's history at which state is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StateMoment {
    /// After the newest block and later edits.
    Newest,
    /// As for the next block: the same state, with the next number and time.
    Pending,
    /// The state after `block`, before the next step.
    Past { block: u64, step: u64 },
}

impl DevChain {
    fn tagged(&self, tag: BlockNumberOrTag) -> u64 {
        let newest = self.head.header.number;
        match tag {
            BlockNumberOrTag::Number(number) => number,
            BlockNumberOrTag::Earliest => 0,
            BlockNumberOrTag::Safe => newest.saturating_sub(SAFE),
            BlockNumberOrTag::Finalized => newest.saturating_sub(FINAL),
            BlockNumberOrTag::Latest | BlockNumberOrTag::Pending => newest,
        }
    }

    /// The block number of an id, whether or not the block exists.
    pub(super) fn number_of(&self, id: BlockId) -> Result<Option<u64>, ChainError> {
        match id {
            BlockId::Number(tag) => Ok(Some(self.tagged(tag))),
            BlockId::Hash(hash) => self.store.block_number(hash.block_hash),
        }
    }

    pub(super) fn find_block(&self, id: BlockId) -> Result<Option<StoredBlock>, ChainError> {
        match self.number_of(id)? {
            Some(number) if number == self.head.header.number => Ok(Some(self.head.clone())),
            Some(number) => self.store.block(number),
            None => Ok(None),
        }
    }

    /// The point at which to read state.
    pub(super) fn moment(&self, id: Option<BlockId>) -> Result<StateMoment, RpcError> {
        let id = id.unwrap_or(BlockId::latest());
        if id.is_pending() {
            return Ok(StateMoment::Pending);
        }
        let newest = self.head.header.number;
        let block = self.number_of(id)?.ok_or_else(RpcError::unknown_block)?;
        if block > newest {
            return Err(RpcError::out_of_range(newest, block));
        }
        match self.store.step_before(block + 1)? {
            Some(step) => Ok(StateMoment::Past { block, step }),
            None => Ok(StateMoment::Newest),
        }
    }

    /// A block in RPC form, its transactions in full or as hashes.
    pub(super) fn view_block(&self, block: &StoredBlock, full: bool) -> Result<Block, ChainError> {
        let stored = self.store.transactions(block.header.number)?;
        let size: usize = stored.iter().map(|one| one.raw.len()).sum();
        let transactions = if full {
            let views = stored.iter().map(|one| self.view_transaction(block, one));
            BlockTransactions::Full(views.collect::<Result<_, _>>()?)
        } else {
            BlockTransactions::Hashes(stored.iter().map(|one| one.hash).collect())
        };
        Ok(dressed(
            RpcHeader::from_sealed(block.header.clone()),
            transactions,
            size,
        ))
    }

    /// The next block as it would be now, without transactions.
    pub(super) fn view_pending(&self) -> Block {
        // Its state root is not known yet.
        let header = Header {
            state_root: B256::ZERO,
            ..self.next_header()
        };
        dressed(
            RpcHeader::new(header),
            BlockTransactions::Full(Vec::new()),
            0,
        )
    }

    pub(super) fn view_transaction(
        &self,
        block: &StoredBlock,
        stored: &StoredTransaction,
    ) -> Result<Transaction, ChainError> {
        let envelope = self.envelope(stored)?;
        let recovered = Recovered::new_unchecked(envelope, stored.sender);
        let place = TransactionInfo {
            hash: Some(stored.hash),
            index: Some(stored.position),
            block_hash: Some(block.header.hash()),
            block_number: Some(block.header.number),
            base_fee: block.header.base_fee_per_gas,
            block_timestamp: Some(block.header.timestamp),
        };
        Ok(Transaction::from_transaction(recovered, place))
    }

    /// A transaction by hash, mined or pending.
    pub(super) fn find_transaction(&self, hash: B256) -> Result<Option<Transaction>, ChainError> {
        if let Some(pending) = self.pool.find(hash) {
            let recovered = Recovered::new_unchecked(pending.transaction.clone(), pending.sender);
            // The fee it would pay in the next block.
            let place = TransactionInfo::default().with_base_fee(self.next_base_fee());
            return Ok(Some(Transaction::from_transaction(recovered, place)));
        }
        let Some(stored) = self.store.transaction(hash)? else {
            return Ok(None);
        };
        let block = self.block_of(&stored)?;
        self.view_transaction(&block, &stored).map(Some)
    }

    pub(super) fn find_receipt(
        &self,
        hash: B256,
    ) -> Result<Option<TransactionReceipt>, ChainError> {
        let Some(stored) = self.store.transaction(hash)? else {
            return Ok(None);
        };
        let block = self.block_of(&stored)?;
        let receipts = self.receipts(&block)?;
        Ok(receipts
            .into_iter()
            .find(|receipt| receipt.transaction_hash == hash))
    }

    /// A block's receipts in order.
    pub(super) fn receipts(
        &self,
        block: &StoredBlock,
    ) -> Result<Vec<TransactionReceipt>, ChainError> {
        let mut first_log = 0;
        let mut receipts = Vec::new();
        for stored in self.store.transactions(block.header.number)? {
            let envelope = self.envelope(&stored)?;
            let receipt = self.receipt(&stored)?;
            let logs = placed_logs(&block.header, &stored, receipt.logs(), first_log);
            first_log += logs.len() as u64;
            let mut placed = logs.into_iter();
            receipts.push(TransactionReceipt {
                // Every log gets its index within the block.
                inner: receipt.map_logs(|log| {
                    placed.next().unwrap_or(Log {
                        inner: log,
                        ..Log::default()
                    })
                }),
                transaction_hash: stored.hash,
                transaction_index: Some(stored.position),
                block_hash: Some(block.header.hash()),
                block_number: Some(block.header.number),
                gas_used: stored.gas_used,
                effective_gas_price: envelope.effective_gas_price(block.header.base_fee_per_gas),
                blob_gas_used: None,
                blob_gas_price: Some(1),
                from: stored.sender,
                to: envelope.to(),
                contract_address: match envelope.kind() {
                    TxKind::Create => Some(stored.sender.create(envelope.nonce())),
                    TxKind::Call(_) => None,
                },
            });
        }
        Ok(receipts)
    }

    /// The logs that a filter selects.
    pub(super) fn logs(&self, filter: &Filter) -> Result<Vec<Log>, RpcError> {
        let newest = self.head.header.number;
        let range = match filter.block_option {
            FilterBlockOption::AtBlockHash(hash) => {
                let number = self.store.block_number(hash)?;
                let number = number.ok_or_else(|| RpcError::server("unknown block"))?;
                number..=number
            }
            FilterBlockOption::Range {
                from_block,
                to_block,
            } => {
                let from = from_block.map_or(newest, |tag| self.tagged(tag));
                let to = to_block.map_or(newest, |tag| self.tagged(tag)).min(newest);
                if from > newest {
                    return Err(RpcError::out_of_range(newest, from));
                }
                from..=to
            }
        };
        Ok(self.logs_in(range, filter)?)
    }

    /// A filter's logs in a range of blocks; blooms avoid reading most blocks.
    pub(super) fn logs_in(
        &self,
        range: RangeInclusive<u64>,
        filter: &Filter,
    ) -> Result<Vec<Log>, ChainError> {
        let mut found = Vec::new();
        for number in range {
            let Some(block) = self.store.block(number)? else {
                break;
            };
            if block.header.logs_bloom.is_zero() || !filter.matches_bloom(block.header.logs_bloom) {
                continue;
            }
            let receipts = self.receipts(&block)?;
            let logs = receipts.into_iter().flat_map(|one| one.inner.into_logs());
            found.extend(logs.filter(|log| filter.matches(&log.inner)));
        }
        Ok(found)
    }

    /// Hashes of the blocks and of the transactions in a range.
    pub(super) fn hashes_in(
        &self,
        range: RangeInclusive<u64>,
    ) -> Result<Vec<(B256, Vec<B256>)>, ChainError> {
        let mut found = Vec::new();
        for number in range {
            let Some(hash) = self.store.block_hash(number)? else {
                break;
            };
            let stored = self.store.transactions(number)?;
            found.push((hash, stored.into_iter().map(|one| one.hash).collect()));
        }
        Ok(found)
    }

    pub(super) fn envelope(&self, stored: &StoredTransaction) -> Result<TxEnvelope, ChainError> {
        TxEnvelope::decode_2718(&mut &stored.raw[..]).map_err(|error| {
            self.store
                .damaged(stored.block, "a transaction", &error.to_string())
        })
    }

    pub(super) fn receipt(
        &self,
        stored: &StoredTransaction,
    ) -> Result<ReceiptEnvelope, ChainError> {
        ReceiptEnvelope::decode_2718(&mut &stored.receipt[..]).map_err(|error| {
            self.store
                .damaged(stored.block, "a receipt", &error.to_string())
        })
    }

    fn block_of(&self, stored: &StoredTransaction) -> Result<StoredBlock, ChainError> {
        self.store
            .block(stored.block)?
            .ok_or_else(|| self.store.damaged(stored.block, "a block", "none"))
    }
}

/// A block with the additional fields that clients expect.
fn dressed(
    mut header: RpcHeader,
    transactions: BlockTransactions<Transaction>,
    transaction_bytes: usize,
) -> Block {
    let bytes = alloy::rlp::encode(&header.inner).len() + transaction_bytes;
    header.size = Some(U256::from(bytes));
    header.total_difficulty = Some(U256::ZERO);
    Block {
        header,
        uncles: Vec::new(),
        transactions,
        withdrawals: Some(Withdrawals::default()),
    }
}
