//! A chain behind an RPC whose chain id was checked: typed reads, estimates and logs.
//!
//! Nothing is sent from here; see [`super::transaction`].

use std::{
    ops::RangeInclusive,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use alloy::{
    eips::{BlockId, BlockNumberOrTag},
    primitives::{Address as RawAddress, B256, Bytes, U256},
    providers::{DynProvider, Provider, ProviderBuilder},
    rpc::types::{Filter, Log, TransactionReceipt, TransactionRequest},
    sol_types::SolCall,
    transports::TransportError,
};

use super::{
    WalletError,
    network::{Network, rpc_url},
    registry::explain,
};
use openlora_core::{Address, Word};

/// Timeout of one RPC request.
const PATIENCE: Duration = Duration::from_secs(30);
/// The narrowest block range that is requested; an RPC that refuses it refuses everything.
const NARROWEST: u64 = 16;

/// Wei per unit of gas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GasFees {
    pub max_fee: u128,
    pub priority: u128,
}

/// A block by the fields that other code refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockHead {
    pub number: u64,
    pub hash: B256,
    pub parent: B256,
    /// Unix seconds.
    pub time: u64,
}

/// A connected network.
#[derive(Clone, Debug)]
pub struct Chain {
    pub network: Network,
    provider: DynProvider,
}

impl Chain {
    /// Connects, and checks the chain id that the RPC reports.
    ///
    /// # Errors
    ///
    /// No HTTP address, no answer, or another chain.
    pub async fn connect(network: &Network) -> Result<Self, WalletError> {
        let url = rpc_url(&network.name, &network.rpc)?;
        let mut client = reqwest::Client::builder().timeout(PATIENCE);
        if network.is_loopback() {
            client = client.no_proxy();
        }
        let client = client.build().map_err(|error| WalletError::Rpc {
            rpc: network.rpc_shown(),
            method: "anything",
            reason: error.to_string(),
        })?;
        let provider = ProviderBuilder::new().connect_reqwest(client, url).erased();
        let chain = Self {
            network: network.clone(),
            provider,
        };
        let asked = chain.provider.get_chain_id().await;
        let found = asked.map_err(|error| chain.failed("eth_chainId", &error))?;
        if found != network.chain_id {
            return Err(WalletError::OtherChain {
                network: network.name.clone(),
                rpc: network.rpc_shown(),
                expected: network.chain_id,
                found,
            });
        }
        Ok(chain)
    }

    /// The result of a view function; `what` describes the call in errors.
    pub async fn read<C: SolCall>(
        &self,
        what: &'static str,
        to: Address,
        call: &C,
    ) -> Result<C::Return, WalletError> {
        self.read_at(what, to, call, BlockId::latest()).await
    }

    /// The result of a view function at a block.
    pub async fn read_at<C: SolCall>(
        &self,
        what: &'static str,
        to: Address,
        call: &C,
        at: BlockId,
    ) -> Result<C::Return, WalletError> {
        let request = TransactionRequest::default()
            .to(to.into())
            .input(call.abi_encode().into());
        let answer = self.provider.call(request).block(at).await;
        let answer = answer.map_err(|error| self.refused(what, what, &error))?;
        C::abi_decode_returns(&answer).map_err(|_| WalletError::Rpc {
            rpc: self.network.rpc_shown(),
            method: what,
            reason: format!("{to} answers {} bytes that do not fit", answer.len()),
        })
    }

    /// Simulates a call with at most this much gas at the current state and changes nothing; a call
    /// that reverts or needs more gas returns the reason.
    pub async fn simulate_within(
        &self,
        from: Address,
        to: Address,
        data: &Bytes,
        deed: &str,
        gas: u64,
    ) -> Result<Bytes, WalletError> {
        let request = TransactionRequest::default()
            .from(from.into())
            .to(to.into())
            .gas_limit(gas)
            .input(data.clone().into());
        let asked = self.provider.call(request).await;
        asked.map_err(|error| self.refused_within("eth_call", deed, gas, &error))
    }

    /// The gas that a transaction would use now; a transaction that reverts returns the reason.
    pub async fn estimate(
        &self,
        from: Address,
        to: Address,
        data: &Bytes,
        deed: &str,
    ) -> Result<u64, WalletError> {
        let request = TransactionRequest::default()
            .from(from.into())
            .to(to.into())
            .input(data.clone().into());
        let asked = self.provider.estimate_gas(request).await;
        asked.map_err(|error| self.refused("eth_estimateGas", deed, &error))
    }

    /// As [`Self::simulate_within`], but on top of pending transactions, with the sender, gas limit and
    /// fees of the real transaction. Contract code that reads these values sees the real ones.
    pub async fn simulate_as_sent(
        &self,
        planned: &PlannedTx<'_>,
        deed: &str,
    ) -> Result<Bytes, WalletError> {
        let asked = self.provider.call(planned.request());
        let asked = asked.block(BlockId::pending()).await;
        asked.map_err(|error| self.refused_within("eth_call", deed, planned.gas, &error))
    }

    /// As [`Self::estimate`], under the conditions of [`Self::simulate_as_sent`]. Fails if more gas
    /// is needed.
    pub async fn estimate_as_sent(
        &self,
        planned: &PlannedTx<'_>,
        deed: &str,
    ) -> Result<u64, WalletError> {
        let asked = self.provider.estimate_gas(planned.request());
        let asked = asked.block(BlockId::pending()).await;
        asked.map_err(|error| self.refused_within("eth_estimateGas", deed, planned.gas, &error))
    }

    /// Nodes have several words for a call that needs more gas than it is given.
    fn refused_within(
        &self,
        method: &'static str,
        deed: &str,
        gas: u64,
        error: &TransportError,
    ) -> WalletError {
        let message = error.as_error_resp().map(|it| it.message.to_lowercase());
        let words = ["out of gas", "outofgas", "exceeds allowance"];
        match message.is_some_and(|text| words.iter().any(|word| text.contains(word))) {
            true => WalletError::Reverted {
                deed: deed.to_owned(),
                reason: format!("it takes more than {gas} gas"),
            },
            false => self.refused(method, deed, error),
        }
    }

    /// Why a mined transaction failed: the same call again on top of its block.
    pub async fn revert_reason(
        &self,
        from: Address,
        to: Address,
        data: &Bytes,
        block: u64,
    ) -> String {
        let request = TransactionRequest::default()
            .from(from.into())
            .to(to.into())
            .input(data.clone().into());
        let asked = self.provider.call(request).number(block).await;
        match asked.map_err(|error| self.refused("eth_call", "it", &error)) {
            Err(WalletError::Reverted { reason, .. }) => reason,
            _ => "it gives no reason".to_owned(),
        }
    }

    pub async fn has_code(&self, address: Address) -> Result<bool, WalletError> {
        let asked = self.provider.get_code_at(RawAddress::from(address)).await;
        let code = asked.map_err(|error| self.failed("eth_getCode", &error))?;
        Ok(!code.is_empty())
    }

    pub async fn balance(&self, account: Address) -> Result<U256, WalletError> {
        let asked = self.provider.get_balance(RawAddress::from(account)).await;
        asked.map_err(|error| self.failed("eth_getBalance", &error))
    }

    /// The nonce after the account's mined transactions, or after its pending ones too.
    pub async fn nonce(&self, account: Address, with_waiting: bool) -> Result<u64, WalletError> {
        let asked = self.provider.get_transaction_count(account.into());
        let asked = match with_waiting {
            true => asked.pending().await,
            false => asked.await,
        };
        asked.map_err(|error| self.failed("eth_getTransactionCount", &error))
    }

    /// The fees that a transaction should offer now.
    pub async fn fees(&self) -> Result<GasFees, WalletError> {
        let asked = self.provider.estimate_eip1559_fees().await;
        let found = asked.map_err(|error| self.failed("eth_feeHistory", &error))?;
        Ok(GasFees {
            max_fee: found.max_fee_per_gas,
            priority: found.max_priority_fee_per_gas,
        })
    }

    pub async fn height(&self) -> Result<u64, WalletError> {
        let asked = self.provider.get_block_number().await;
        asked.map_err(|error| self.failed("eth_blockNumber", &error))
    }

    /// The hash of the first block, which distinguishes chains with the same id.
    pub async fn genesis(&self) -> Result<Word, WalletError> {
        let found = self.block(BlockNumberOrTag::Number(0)).await?;
        let found = found.ok_or_else(|| WalletError::Rpc {
            rpc: self.network.rpc_shown(),
            method: "eth_getBlockByNumber",
            reason: "there is no first block".to_owned(),
        })?;
        Ok(Word::from(found.hash))
    }

    /// Whether the chain has this block at this height.
    pub async fn has_block(&self, number: u64, hash: Word) -> Result<bool, WalletError> {
        let found = self.block(BlockNumberOrTag::Number(number)).await?;
        Ok(found.is_some_and(|block| block.hash.0 == hash.0))
    }

    /// The newest block.
    pub async fn head(&self) -> Result<BlockHead, WalletError> {
        let found = self.block(BlockNumberOrTag::Latest).await?;
        found.ok_or_else(|| WalletError::Rpc {
            rpc: self.network.rpc_shown(),
            method: "eth_getBlockByNumber",
            reason: "there is no newest block".to_owned(),
        })
    }

    /// Seconds that a development chain's next block is ahead of this machine's clock; 0 if its node
    /// has no pending block.
    pub async fn clock_lead(&self) -> u64 {
        if !self.network.is_local() {
            return 0;
        }
        let Ok(Some(next)) = self.block(BlockNumberOrTag::Pending).await else {
            return 0;
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        next.time
            .saturating_sub(now.map_or(0, |since| since.as_secs()))
    }

    pub async fn block(&self, which: BlockNumberOrTag) -> Result<Option<BlockHead>, WalletError> {
        let asked = self.provider.get_block_by_number(which).await;
        let block = asked.map_err(|error| self.failed("eth_getBlockByNumber", &error))?;
        Ok(block.map(|block| BlockHead {
            number: block.header.number,
            hash: block.header.hash,
            parent: block.header.parent_hash,
            time: block.header.timestamp,
        }))
    }

    pub async fn receipt(&self, tx: B256) -> Result<Option<TransactionReceipt>, WalletError> {
        let asked = self.provider.get_transaction_receipt(tx).await;
        asked.map_err(|error| self.failed("eth_getTransactionReceipt", &error))
    }

    /// Submits a signed transaction to the RPC. The inner error is the RPC's rejection; the outer
    /// error means that it is unknown whether the RPC accepted the transaction.
    pub async fn submit(&self, raw: &[u8]) -> Result<Result<(), String>, WalletError> {
        match self.provider.send_raw_transaction(raw).await {
            Ok(_) => Ok(Ok(())),
            Err(TransportError::ErrorResp(payload)) => Ok(Err(self.clean(&payload.message))),
            Err(error) => Err(self.failed("eth_sendRawTransaction", &error)),
        }
    }

    /// All logs from block `from` on. If an RPC refuses a range, narrower ones are requested.
    pub async fn logs(&self, filter: &Filter, from: u64) -> Result<Vec<Log>, WalletError> {
        let last = self.height().await?;
        self.logs_in(filter, from..=last).await
    }

    /// All logs of a range of blocks.
    pub async fn logs_in(
        &self,
        filter: &Filter,
        blocks: RangeInclusive<u64>,
    ) -> Result<Vec<Log>, WalletError> {
        let (from, last) = blocks.into_inner();
        let (mut found, mut next, mut width) = (Vec::new(), from, u64::MAX);
        while next <= last {
            let end = next.saturating_add(width - 1).min(last);
            let range = filter.clone().from_block(next).to_block(end);
            match self.provider.get_logs(&range).await {
                Ok(logs) => {
                    found.extend(logs);
                    next = end + 1;
                    width = width.saturating_mul(2);
                }
                Err(TransportError::ErrorResp(_)) if end - next >= NARROWEST => {
                    width = (end - next).div_ceil(2);
                }
                Err(error) => return Err(self.failed("eth_getLogs", &error)),
            }
        }
        Ok(found)
    }

    /// The first block that is not older than `time`, Unix seconds.
    pub async fn block_at(&self, time: u64) -> Result<u64, WalletError> {
        let (mut low, mut high) = (0, self.height().await?);
        while low < high {
            let middle = low + (high - low) / 2;
            let number = BlockNumberOrTag::Number(middle);
            match self.block(number).await? {
                Some(block) if block.time >= time => high = middle,
                _ => low = middle + 1,
            }
        }
        Ok(low)
    }

    fn refused(&self, method: &'static str, deed: &str, error: &TransportError) -> WalletError {
        let TransportError::ErrorResp(payload) = error else {
            return self.failed(method, error);
        };
        let reverted = |reason| WalletError::Reverted {
            deed: deed.to_owned(),
            reason,
        };
        match payload.as_revert_data() {
            Some(data) => reverted(explain(&data)),
            None if payload.message.contains("revert") => reverted("it gives no reason".to_owned()),
            None if is_fault(&payload.message) => reverted(self.clean(&payload.message)),
            None => WalletError::Rpc {
                rpc: self.network.rpc_shown(),
                method,
                reason: self.clean(&payload.message),
            },
        }
    }

    fn failed(&self, method: &'static str, error: &TransportError) -> WalletError {
        WalletError::Rpc {
            rpc: self.network.rpc_shown(),
            method,
            reason: self.clean(&error.to_string()),
        }
    }

    fn clean(&self, text: &str) -> String {
        self.network.hide_rpc(text).replace('\n', " ")
    }
}

/// A transaction that is about to be sent, with the gas limit and fees it will have.
#[derive(Clone, Copy, Debug)]
pub struct PlannedTx<'a> {
    pub from: Address,
    pub to: Address,
    pub data: &'a Bytes,
    pub gas: u64,
    pub fees: GasFees,
}

impl PlannedTx<'_> {
    fn request(&self) -> TransactionRequest {
        TransactionRequest::default()
            .from(self.from.into())
            .to(self.to.into())
            .input(self.data.clone().into())
            .gas_limit(self.gas)
            .max_fee_per_gas(self.fees.max_fee)
            .max_priority_fee_per_gas(self.fees.priority)
    }
}

/// Whether a node says that the contract's code itself failed.
fn is_fault(message: &str) -> bool {
    let message = message.to_lowercase();
    [
        "evm error",
        "invalid opcode",
        "out of gas",
        "stack underflow",
    ]
    .iter()
    .any(|word| message.contains(word))
}
