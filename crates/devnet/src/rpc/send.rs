//! Methods that send and sign; the node signs only for the development accounts.

use alloy::{
    consensus::{SignableTransaction, TxEnvelope, TypedTransaction},
    dyn_abi::TypedData,
    eips::eip2718::{Decodable2718, Encodable2718},
    primitives::{Address, B256, Bytes, Signature, TxKind, U256, hex},
    rpc::types::TransactionRequest,
    signers::SignerSync,
};
use serde_json::{Value, json};

use super::{
    RpcError, RpcParams, RpcResult, RpcState,
    fees::{TIP, suggested_price},
    read::{receipt_of, to_json},
};
use crate::{header::GAS_LIMIT, pool::PendingTx, query::StateMoment, simulate::SimulatedCall};
use openlora_core::error::describe_decoding;

/// Decodes a signed transaction.
pub(super) fn decode(raw: &Bytes) -> Result<TxEnvelope, RpcError> {
    if raw.is_empty() {
        return Err(RpcError::invalid("Empty transaction data"));
    }
    let mut rest = &raw[..];
    match TxEnvelope::decode_2718(&mut rest) {
        Ok(transaction) if rest.is_empty() => Ok(transaction),
        _ => Err(RpcError::undecodable()),
    }
}

pub(super) fn raw(rpc_state: &mut RpcState, params: &RpcParams<'_>) -> RpcResult {
    let raw: Bytes = params.get(0, "transaction")?;
    to_json(&rpc_state.chain.submit(decode(&raw)?)?)
}

/// EIP-7966: returns the receipt; a transaction that stays pending has none.
pub(super) fn raw_sync(rpc_state: &mut RpcState, params: &RpcParams<'_>) -> RpcResult {
    let raw: Bytes = params.get(0, "transaction")?;
    let hash = rpc_state.chain.submit(decode(&raw)?)?;
    receipt_or_waiting(rpc_state, hash)
}

fn receipt_or_waiting(rpc_state: &RpcState, hash: B256) -> RpcResult {
    match receipt_of(rpc_state, hash)? {
        Value::Null => Err(RpcError {
            code: 4,
            message: "the transaction was accepted and waits for an earlier one".to_owned(),
            data: Some(json!(hash)),
        }),
        receipt => Ok(receipt),
    }
}

pub(super) fn unsigned(rpc_state: &mut RpcState, params: &RpcParams<'_>) -> RpcResult {
    let request: TransactionRequest = params.get(0, "transaction")?;
    let pending = prepare(rpc_state, request)?;
    to_json(&rpc_state.chain.accept(pending)?)
}

pub(super) fn sign_transaction(rpc_state: &mut RpcState, params: &RpcParams<'_>) -> RpcResult {
    let request: TransactionRequest = params.get(0, "transaction")?;
    let pending = prepare(rpc_state, request)?;
    Ok(json!(hex::encode_prefixed(
        pending.transaction.encoded_2718()
    )))
}

/// Completes a request and signs it.
pub(super) fn prepare(
    rpc_state: &mut RpcState,
    request: TransactionRequest,
) -> Result<PendingTx, RpcError> {
    let sender = match request.from {
        Some(sender) => sender,
        None => rpc_state
            .chain
            .accounts()
            .first()
            .copied()
            .unwrap_or_default(),
    };
    let impersonated = rpc_state.chain.impersonated.contains(&sender);
    if !impersonated && rpc_state.chain.accounts.signer(sender).is_none() {
        return Err(RpcError::invalid("No Signer available"));
    }
    let transaction = fill(rpc_state, request, sender)?;
    let signature = if impersonated {
        // There is no signature; the sender in its place makes hashes differ between accounts.
        Signature::new(U256::ONE, U256::from_be_slice(sender.as_slice()), false)
    } else {
        let signer = rpc_state.chain.accounts.signer(sender);
        let signer = signer.ok_or_else(|| RpcError::invalid("No Signer available"))?;
        signer
            .sign_hash_sync(&transaction.signature_hash())
            .map_err(|error| RpcError::internal(error.to_string()))?
    };
    let transaction = TxEnvelope::from(transaction.into_signed(signature));
    Ok(PendingTx {
        hash: *transaction.tx_hash(),
        transaction,
        sender,
        impersonated,
    })
}

fn fill(
    rpc_state: &mut RpcState,
    mut request: TransactionRequest,
    sender: Address,
) -> Result<TypedTransaction, RpcError> {
    request.from = Some(sender);
    request.chain_id.get_or_insert(rpc_state.chain.chain_id);
    request.to.get_or_insert(TxKind::Create);
    request.value.get_or_insert_default();
    request.normalize_input();
    if request.nonce.is_none() {
        request.nonce = Some(rpc_state.chain.pending_nonce(sender)?);
    }
    if request.gas_price.is_none() {
        let price = suggested_price(&rpc_state.chain);
        let cap = *request.max_fee_per_gas.get_or_insert(price);
        request.max_priority_fee_per_gas.get_or_insert(TIP.min(cap));
    }
    if request.gas.is_none() {
        let call = SimulatedCall {
            request: request.clone(),
            ..SimulatedCall::default()
        };
        // A failing transaction is still sent; its receipt reports the failure.
        let gas = rpc_state.chain.estimate(StateMoment::Pending, &call);
        request.gas = Some(gas.unwrap_or(GAS_LIMIT));
    }
    request
        .build_typed_tx()
        .map_err(|_| RpcError::invalid("the fields of the transaction contradict each other"))
}

fn sign_message(rpc_state: &RpcState, address: Address, message: &Bytes) -> RpcResult {
    let signer = rpc_state.chain.accounts.signer(address);
    let signer = signer.ok_or_else(|| RpcError::invalid("No Signer available"))?;
    let signature = signer
        .sign_message_sync(message)
        .map_err(|error| RpcError::internal(error.to_string()))?;
    Ok(json!(hex::encode_prefixed(signature.as_bytes())))
}

pub(super) fn sign(rpc_state: &mut RpcState, params: &RpcParams<'_>) -> RpcResult {
    let address: Address = params.get(0, "address")?;
    sign_message(rpc_state, address, &params.get(1, "message")?)
}

/// Like `eth_sign` with the first two parameters swapped; the password is ignored.
pub(super) fn personal_sign(rpc_state: &mut RpcState, params: &RpcParams<'_>) -> RpcResult {
    let address: Address = params.get(1, "address")?;
    sign_message(rpc_state, address, &params.get(0, "message")?)
}

pub(super) fn sign_typed_data(rpc_state: &mut RpcState, params: &RpcParams<'_>) -> RpcResult {
    let address: Address = params.get(0, "address")?;
    let data: Value = params.get(1, "typed data")?;
    // Some clients send the structure, some send it as text.
    let data = match data {
        Value::String(text) => serde_json::from_str(&text),
        other => Ok(other),
    };
    let data: TypedData = data.and_then(serde_json::from_value).map_err(|error| {
        let reason = describe_decoding(&error);
        RpcError::invalid(format!("parameter 2 (typed data): {reason}"))
    })?;
    let digest = data
        .eip712_signing_hash()
        .map_err(|error| RpcError::invalid(format!("parameter 2 (typed data): {error}")))?;
    let signer = rpc_state.chain.accounts.signer(address);
    let signer = signer.ok_or_else(|| RpcError::invalid("No Signer available"))?;
    let signature = signer
        .sign_hash_sync(&digest)
        .map_err(|error| RpcError::internal(error.to_string()))?;
    Ok(json!(hex::encode_prefixed(signature.as_bytes())))
}
