//! Methods that send and sign; the node signs for the development accounts only.

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
    Answer, Desk, Params, RpcError,
    fees::{TIP, suggested_price},
    read::{receipt_of, to_json},
};
use crate::wallet::devchain::{header::GAS_LIMIT, pool::Pending, query::Moment, simulate::Call};

/// Reads a signed transaction.
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

pub(super) fn raw(desk: &mut Desk, params: &Params<'_>) -> Answer {
    let raw: Bytes = params.get(0, "transaction")?;
    to_json(&desk.chain.submit(decode(&raw)?)?)
}

/// EIP-7966: the receipt is the answer; a transaction that has to wait has none.
pub(super) fn raw_sync(desk: &mut Desk, params: &Params<'_>) -> Answer {
    let raw: Bytes = params.get(0, "transaction")?;
    let hash = desk.chain.submit(decode(&raw)?)?;
    receipt_or_waiting(desk, hash)
}

fn receipt_or_waiting(desk: &Desk, hash: B256) -> Answer {
    match receipt_of(desk, hash)? {
        Value::Null => Err(RpcError {
            code: 4,
            message: "the transaction was accepted and waits for an earlier one".to_owned(),
            data: Some(json!(hash)),
        }),
        receipt => Ok(receipt),
    }
}

pub(super) fn unsigned(desk: &mut Desk, params: &Params<'_>) -> Answer {
    let request: TransactionRequest = params.get(0, "transaction")?;
    let pending = prepare(desk, request)?;
    to_json(&desk.chain.accept(pending)?)
}

pub(super) fn unsigned_sync(desk: &mut Desk, params: &Params<'_>) -> Answer {
    let request: TransactionRequest = params.get(0, "transaction")?;
    let pending = prepare(desk, request)?;
    let hash = desk.chain.accept(pending)?;
    receipt_or_waiting(desk, hash)
}

pub(super) fn sign_transaction(desk: &mut Desk, params: &Params<'_>) -> Answer {
    let request: TransactionRequest = params.get(0, "transaction")?;
    let pending = prepare(desk, request)?;
    Ok(json!(hex::encode_prefixed(
        pending.transaction.encoded_2718()
    )))
}

/// Fills a request in and signs it.
pub(super) fn prepare(desk: &mut Desk, request: TransactionRequest) -> Result<Pending, RpcError> {
    let sender = match request.from {
        Some(sender) => sender,
        None => desk.chain.accounts().first().copied().unwrap_or_default(),
    };
    let impersonated = desk.chain.impersonate_all || desk.chain.impersonated.contains(&sender);
    if !impersonated && desk.chain.accounts.signer(sender).is_none() {
        return Err(RpcError::invalid("No Signer available"));
    }
    let transaction = fill(desk, request, sender)?;
    let signature = if impersonated {
        // Nobody signed; the sender in its place makes hashes differ between accounts.
        Signature::new(U256::ONE, U256::from_be_slice(sender.as_slice()), false)
    } else {
        let signer = desk.chain.accounts.signer(sender);
        let signer = signer.ok_or_else(|| RpcError::invalid("No Signer available"))?;
        signer
            .sign_hash_sync(&transaction.signature_hash())
            .map_err(|error| RpcError::internal(error.to_string()))?
    };
    let transaction = TxEnvelope::from(transaction.into_signed(signature));
    Ok(Pending {
        hash: *transaction.tx_hash(),
        transaction,
        sender,
        impersonated,
    })
}

fn fill(
    desk: &mut Desk,
    mut request: TransactionRequest,
    sender: Address,
) -> Result<TypedTransaction, RpcError> {
    request.from = Some(sender);
    request.chain_id.get_or_insert(desk.chain.chain_id);
    request.to.get_or_insert(TxKind::Create);
    request.value.get_or_insert_default();
    request.normalize_input();
    if request.nonce.is_none() {
        request.nonce = Some(desk.chain.pending_nonce(sender)?);
    }
    if request.gas_price.is_none() {
        let price = suggested_price(&desk.chain);
        let cap = *request.max_fee_per_gas.get_or_insert(price);
        request.max_priority_fee_per_gas.get_or_insert(TIP.min(cap));
    }
    if request.gas.is_none() {
        let call = Call {
            request: request.clone(),
            ..Call::default()
        };
        // A transaction that fails is sent all the same: its receipt says so.
        let gas = desk.chain.estimate(Moment::Pending, &call);
        request.gas = Some(gas.unwrap_or(GAS_LIMIT));
    }
    request
        .build_typed_tx()
        .map_err(|_| RpcError::invalid("the fields of the transaction contradict each other"))
}

fn sign_message(desk: &Desk, address: Address, message: &Bytes) -> Answer {
    let signer = desk.chain.accounts.signer(address);
    let signer = signer.ok_or_else(|| RpcError::invalid("No Signer available"))?;
    let signature = signer
        .sign_message_sync(message)
        .map_err(|error| RpcError::internal(error.to_string()))?;
    Ok(json!(hex::encode_prefixed(signature.as_bytes())))
}

pub(super) fn sign(desk: &mut Desk, params: &Params<'_>) -> Answer {
    let address: Address = params.get(0, "address")?;
    sign_message(desk, address, &params.get(1, "message")?)
}

/// The same with its first two parameters the other way round; a password is not asked for.
pub(super) fn personal_sign(desk: &mut Desk, params: &Params<'_>) -> Answer {
    let address: Address = params.get(1, "address")?;
    sign_message(desk, address, &params.get(0, "message")?)
}

pub(super) fn sign_typed_data(desk: &mut Desk, params: &Params<'_>) -> Answer {
    let address: Address = params.get(0, "address")?;
    let data: Value = params.get(1, "typed data")?;
    // Some clients send the structure, some send it as text.
    let data = match data {
        Value::String(text) => serde_json::from_str(&text),
        other => Ok(other),
    };
    let data: TypedData = data
        .and_then(serde_json::from_value)
        .map_err(|error| RpcError::invalid(format!("parameter 2 (typed data): {error}")))?;
    let digest = data
        .eip712_signing_hash()
        .map_err(|error| RpcError::invalid(format!("parameter 2 (typed data): {error}")))?;
    let signer = desk.chain.accounts.signer(address);
    let signer = signer.ok_or_else(|| RpcError::invalid("No Signer available"))?;
    let signature = signer
        .sign_hash_sync(&digest)
        .map_err(|error| RpcError::internal(error.to_string()))?;
    Ok(json!(hex::encode_prefixed(signature.as_bytes())))
}
