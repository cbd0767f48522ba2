//! JSON-RPC errors with the codes and texts of anvil, which development tools know.

use alloy::{
    primitives::{Bytes, hex},
    sol_types::decode_revert_reason,
};
use revm::context::result::InvalidTransaction;
use serde::Serialize;
use serde_json::Value;

use super::error::ChainError;

/// A JSON-RPC error object.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RpcError {
    pub code: i64,
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
}

impl RpcError {
    fn new(code: i64, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            data: None,
        }
    }

    pub(super) fn bad_request() -> Self {
        Self::new(-32600, "Invalid request")
    }

    pub(super) fn unknown_method() -> Self {
        Self::new(-32601, "Method not found")
    }

    /// Wrong parameters.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(-32602, message)
    }

    pub(super) fn internal(message: impl Into<String>) -> Self {
        Self::new(-32603, message)
    }

    /// A transaction that the pool rejects.
    pub(super) fn rejected(message: impl Into<String>) -> Self {
        Self::new(-32003, message)
    }

    pub(super) fn server(message: impl Into<String>) -> Self {
        Self::new(-32000, message)
    }

    pub(super) fn undecodable() -> Self {
        Self::invalid("Failed to decode transaction")
    }

    pub(super) fn unknown_block() -> Self {
        Self::server("unknown block")
    }

    pub(super) fn out_of_range(newest: u64, wanted: u64) -> Self {
        Self::invalid(format!(
            "BlockOutOfRangeError: block height is {newest} but requested was {wanted}"
        ))
    }

    /// The gas limit is too low.
    pub(super) fn allowance(gas: u64) -> Self {
        Self::rejected(format!("Out of gas: gas required exceeds allowance: {gas}"))
    }

    /// A revert with its data, and its reason where it has one.
    pub(super) fn reverted(output: &Bytes) -> Self {
        let message = match reason(output) {
            Some(reason) => format!("execution reverted: {reason}"),
            None => "execution reverted".to_owned(),
        };
        Self {
            code: 3,
            message,
            data: Some(Value::String(hex::encode_prefixed(output))),
        }
    }

    pub(super) fn halted(name: &str) -> Self {
        Self::internal(format!("EVM error {name}"))
    }

    /// An execution without an outcome.
    pub(super) fn no_result() -> Self {
        Self::internal("the call ended without a result")
    }

    /// Why the virtual machine rejected a transaction.
    pub(super) fn refused(reason: &InvalidTransaction) -> Self {
        use InvalidTransaction as Reason;
        match reason {
            Reason::NonceTooLow { .. } => Self::rejected("nonce too low"),
            Reason::NonceTooHigh { .. } => Self::rejected("nonce too high"),
            Reason::PriorityFeeGreaterThanMaxFee => {
                Self::rejected("max priority fee per gas higher than max fee per gas")
            }
            Reason::GasPriceLessThanBasefee => {
                Self::rejected("max fee per gas less than block base fee")
            }
            Reason::LackOfFundForMaxFee { .. } | Reason::OverflowPaymentInTransaction => {
                Self::rejected("Insufficient funds for gas * price + value")
            }
            Reason::CallGasCostMoreThanGasLimit { .. }
            | Reason::GasFloorMoreThanGasLimit { .. } => Self::server("intrinsic gas too low"),
            Reason::CallerGasLimitMoreThanBlock | Reason::TxGasLimitGreaterThanCap { .. } => {
                Self::server("intrinsic gas too high -- tx.gas_limit > env.block.gas_limit")
            }
            Reason::InvalidChainId => Self::rejected("invalid chain id for signer"),
            Reason::CreateInitCodeSizeLimit => Self::rejected("max initcode size exceeded"),
            Reason::RejectCallerWithCode => Self::rejected("sender not an eoa"),
            other => Self::rejected(other.to_string()),
        }
    }

    /// Like [`Self::refused`], for a call, whose gas error has another text.
    pub(super) fn refused_call(reason: &InvalidTransaction) -> Self {
        match reason {
            InvalidTransaction::CallGasCostMoreThanGasLimit { .. } => {
                Self::server("intrinsic gas too high -- CallGasCostMoreThanGasLimit")
            }
            InvalidTransaction::GasFloorMoreThanGasLimit { .. } => {
                Self::server("intrinsic gas too high -- GasFloorMoreThanGasLimit")
            }
            other => Self::refused(other),
        }
    }
}

impl From<ChainError> for RpcError {
    fn from(error: ChainError) -> Self {
        Self::internal(error.to_string())
    }
}

/// Revert data as text: Solidity's two built-in errors decoded, others by their selector.
fn reason(output: &Bytes) -> Option<String> {
    if output.is_empty() {
        return None;
    }
    if let Some(reason) = decode_revert_reason(output).filter(|reason| !reason.is_empty()) {
        return Some(reason.trim_start_matches("revert: ").to_owned());
    }
    Some(match output.split_at_checked(4) {
        Some((selector, [])) => format!("custom error {}", hex::encode_prefixed(selector)),
        Some((selector, arguments)) => format!(
            "custom error {}: {}",
            hex::encode_prefixed(selector),
            hex::encode(arguments)
        ),
        None => format!("custom error bytes {}", hex::encode_prefixed(output)),
    })
}
