//! Calls without side effects: `eth_call`, gas estimates, access lists.

use alloy::{
    consensus::Header,
    primitives::{Address, B256, Bytes, TxKind, U256},
    rpc::types::{
        BlockOverrides, TransactionRequest,
        state::{AccountOverride, StateOverride},
    },
};
use revm::context::{
    BlockEnv, TxEnv,
    result::{ExecutionResult, HaltReason, OutOfGasError, ResultAndState},
};

use super::{
    chain::DevChain,
    changes::AccountRecord,
    error::ChainError,
    execute::{ExecutionContext, ExecutionError, ExecutionRules, block_env, execute},
    header::GAS_LIMIT,
    query::StateMoment,
    rpc_error::RpcError,
    state::{StateOverlay, WorldState},
};

/// Gas of the cheapest transaction.
const TRANSFER: u64 = 21_000;

/// A call with its state and block overrides.
#[derive(Clone, Debug, Default)]
pub(super) struct SimulatedCall {
    pub request: TransactionRequest,
    pub state: Option<StateOverride>,
    pub block: Option<BlockOverrides>,
}

impl DevChain {
    fn header_at(&self, moment: StateMoment) -> Result<Header, ChainError> {
        match moment {
            StateMoment::Newest => Ok(self.head.header.inner().clone()),
            StateMoment::Pending => Ok(self.next_header()),
            StateMoment::Past { block, .. } => self
                .store
                .block(block)?
                .map(|block| block.header.into_inner())
                .ok_or_else(|| self.store.damaged(block, "a block", "none")),
        }
    }

    pub(super) fn world<'a>(
        &'a mut self,
        moment: StateMoment,
        overlay: &'a StateOverlay,
    ) -> WorldState<'a> {
        WorldState {
            store: &self.store,
            cache: &mut self.cache,
            at: match moment {
                StateMoment::Past { step, .. } => Some(step),
                StateMoment::Newest | StateMoment::Pending => None,
            },
            overlay,
        }
    }

    /// The value of a call.
    pub(super) fn call(
        &mut self,
        moment: StateMoment,
        call: &SimulatedCall,
    ) -> Result<Bytes, RpcError> {
        let (place, overlay) = self.stage(moment, call)?;
        let environment = self.call_env(&call.request, &place)?;
        let result = self.run(moment, &overlay, &place, environment)?;
        output(result.result)
    }

    /// The smallest gas limit with which a transaction succeeds.
    pub(super) fn estimate(
        &mut self,
        moment: StateMoment,
        call: &SimulatedCall,
    ) -> Result<u64, RpcError> {
        let (place, overlay) = self.stage(moment, call)?;
        let request = &call.request;
        if let Some(TxKind::Call(to)) = request.to
            && request.input.input().is_none_or(|input| input.is_empty())
            && request.authorization_list.is_none()
            && request.access_list.is_none()
            && self
                .world(moment, &overlay)
                .record(to)?
                .unwrap_or_default()
                .code_hash
                == AccountRecord::default().code_hash
        {
            return Ok(TRANSFER);
        }
        let mut environment = self.call_env(request, &place)?;
        environment.gas_limit = environment.gas_limit.min(GAS_LIMIT);
        let most = environment.gas_limit;
        let outcome = self.run(moment, &overlay, &place, environment.clone())?;
        let used = match outcome.result {
            ExecutionResult::Success { gas, .. } => gas.tx_gas_used(),
            ExecutionResult::Halt {
                reason: HaltReason::OutOfGas(_),
                ..
            } => return Err(RpcError::allowance(most)),
            other => return Err(output(other).err().unwrap_or_else(RpcError::no_result)),
        };
        let mut fails = used.saturating_sub(1);
        let mut succeeds = most;
        // Usually the gas used, or slightly more, is sufficient.
        let mut guess = (used + used / 16 + 2_300).min(most);
        while succeeds - fails > 1 {
            environment.gas_limit = guess.clamp(fails + 1, succeeds - 1);
            if self.suffices(moment, &overlay, &place, environment.clone())? {
                succeeds = environment.gas_limit;
            } else {
                fails = environment.gas_limit;
            }
            guess = fails + (succeeds - fails) / 2;
        }
        Ok(succeeds)
    }

    fn suffices(
        &mut self,
        moment: StateMoment,
        overlay: &StateOverlay,
        place: &ExecutionContext,
        environment: TxEnv,
    ) -> Result<bool, RpcError> {
        let world = self.world(moment, overlay);
        match execute(world, place, environment) {
            Ok(outcome) => Ok(outcome.result.is_success()),
            Err(ExecutionError::Invalid(_)) => Ok(false),
            Err(ExecutionError::Chain(error)) => Err(error.into()),
        }
    }

    fn run(
        &mut self,
        moment: StateMoment,
        overlay: &StateOverlay,
        place: &ExecutionContext,
        environment: TxEnv,
    ) -> Result<ResultAndState, RpcError> {
        let world = self.world(moment, overlay);
        execute(world, place, environment).map_err(|refused| match refused {
            ExecutionError::Invalid(reason) => RpcError::refused_call(&reason),
            ExecutionError::Chain(error) => error.into(),
        })
    }

    /// The environment of a call, with its overrides.
    fn stage(
        &mut self,
        moment: StateMoment,
        call: &SimulatedCall,
    ) -> Result<(ExecutionContext, StateOverlay), RpcError> {
        let header = self.header_at(moment)?;
        let mut place = self.place(&header, ExecutionRules::Call);
        place.block = block_env(&header);
        if let Some(block) = &call.block {
            pretend_block(&mut place.block, block);
        }
        let mut overlay = StateOverlay::default();
        for (address, account) in call.state.iter().flatten() {
            let before = self
                .world(moment, &StateOverlay::default())
                .record(*address)?
                .unwrap_or_default();
            pretend_account(&mut overlay, *address, account, before)?;
        }
        Ok((place, overlay))
    }

    fn call_env(
        &mut self,
        request: &TransactionRequest,
        place: &ExecutionContext,
    ) -> Result<TxEnv, RpcError> {
        let caller = request.from.unwrap_or_default();
        let price = request.max_fee_per_gas.or(request.gas_price);
        let base_fee = u128::from(place.block.basefee);
        let gas_price = match price {
            // A price below the base fee would be rejected; other nodes accept such calls.
            Some(price) if price < base_fee => 0,
            Some(price) => price,
            None => 0,
        };
        let priority = request.max_priority_fee_per_gas.filter(|_| gas_price > 0);
        let tx_type = match (&request.authorization_list, priority, &request.access_list) {
            (Some(_), ..) => 4,
            (None, Some(_), _) => 2,
            (None, None, Some(_)) => 1,
            (None, None, None) => 0,
        };
        let authorizations = request.authorization_list.clone().unwrap_or_default();
        Ok(TxEnv {
            tx_type,
            caller,
            gas_limit: request.gas.unwrap_or(GAS_LIMIT).min(GAS_LIMIT),
            gas_price,
            kind: request.to.unwrap_or(TxKind::Create),
            value: request.value.unwrap_or_default(),
            data: request.input.input().cloned().unwrap_or_default(),
            nonce: request.nonce.unwrap_or_default(),
            chain_id: Some(self.chain_id),
            access_list: request.access_list.clone().unwrap_or_default(),
            gas_priority_fee: priority,
            blob_hashes: Vec::new(),
            max_fee_per_blob_gas: 0,
            authorization_list: authorizations
                .into_iter()
                .map(revm::context_interface::either::Either::Left)
                .collect(),
        })
    }
}

/// The output of a finished execution, or its error.
fn output(result: ExecutionResult) -> Result<Bytes, RpcError> {
    match result {
        ExecutionResult::Success { output, .. } => Ok(output.into_data()),
        ExecutionResult::Revert { output, .. } => Err(RpcError::reverted(&output)),
        ExecutionResult::Halt { reason, .. } => Err(RpcError::halted(&halt_name(&reason))),
    }
}

/// The name of a halt reason in other development nodes.
fn halt_name(reason: &HaltReason) -> String {
    match reason {
        HaltReason::OutOfGas(OutOfGasError::Basic) => "OutOfGas".to_owned(),
        HaltReason::OutOfGas(OutOfGasError::MemoryLimit) => "MemoryLimitOOG".to_owned(),
        HaltReason::OutOfGas(OutOfGasError::Memory) => "MemoryOOG".to_owned(),
        HaltReason::OutOfGas(OutOfGasError::Precompile) => "PrecompileOOG".to_owned(),
        HaltReason::OutOfGas(OutOfGasError::InvalidOperand) => "InvalidOperandOOG".to_owned(),
        HaltReason::OutOfGas(OutOfGasError::ReentrancySentry) => "ReentrancySentryOOG".to_owned(),
        other => format!("{other:?}"),
    }
}

fn pretend_block(block: &mut BlockEnv, pretended: &BlockOverrides) {
    if let Some(number) = pretended.number {
        block.number = number;
    }
    if let Some(time) = pretended.time {
        block.timestamp = U256::from(time);
    }
    if let Some(limit) = pretended.gas_limit {
        block.gas_limit = limit;
    }
    if let Some(beneficiary) = pretended.coinbase {
        block.beneficiary = beneficiary;
    }
    if let Some(random) = pretended.random {
        block.prevrandao = Some(random);
    }
    if let Some(fee) = pretended.base_fee {
        block.basefee = fee.saturating_to();
    }
}

fn pretend_account(
    overlay: &mut StateOverlay,
    address: Address,
    account: &AccountOverride,
    before: AccountRecord,
) -> Result<(), RpcError> {
    let code_hash = match &account.code {
        Some(code) => overlay.add_code(code.clone()),
        None => before.code_hash,
    };
    let record = AccountRecord {
        balance: account.balance.unwrap_or(before.balance),
        nonce: account.nonce.unwrap_or(before.nonce),
        code_hash,
    };
    overlay.changes.accounts.insert(address, record);
    let slots = match (&account.state, &account.state_diff) {
        (Some(_), Some(_)) => {
            return Err(RpcError::invalid(format!(
                "account {address} has both `state` and `stateDiff`"
            )));
        }
        (Some(all), None) => {
            overlay.replaced.insert(address);
            Some(all)
        }
        (None, some) => some.as_ref(),
    };
    for (slot, value) in slots.into_iter().flatten() {
        let word = |word: &B256| U256::from_be_bytes(word.0);
        overlay
            .changes
            .slots
            .insert((address, word(slot)), word(value));
    }
    Ok(())
}
