//! JSON-RPC 2.0 over the chain: one table of methods, batches, and errors in the form that
//! unmodified Ethereum tools expect. Independent of the transport.

mod dev;
mod fees;
mod filters;
mod params;
mod read;
mod send;

use serde_json::{Map, Value, json};

pub(super) use filters::FilterTable;
pub(super) use params::RpcParams;

use super::{chain::DevChain, rpc_error::RpcError};

/// The state that methods operate on.
pub(super) struct RpcState {
    pub chain: DevChain,
    pub filters: FilterTable,
}

pub(super) type RpcResult = Result<Value, RpcError>;
type RpcHandler = fn(&mut RpcState, &RpcParams<'_>) -> RpcResult;

/// A method: its names, its maximum number of parameters, and its handler.
pub(super) struct RpcMethod {
    pub names: &'static [&'static str],
    most: usize,
    handler: RpcHandler,
}

const fn method(names: &'static [&'static str], most: usize, handler: RpcHandler) -> RpcMethod {
    RpcMethod {
        names,
        most,
        handler,
    }
}

/// Every method over HTTP; WebSockets add `eth_subscribe` and `eth_unsubscribe`.
pub(super) const METHODS: &[RpcMethod] = &[
    method(&["web3_clientVersion"], 0, read::client_version),
    method(&["net_version"], 0, read::net_version),
    method(&["net_listening"], 0, read::listening),
    method(&["eth_chainId"], 0, read::chain_id),
    method(&["eth_syncing"], 0, read::syncing),
    method(&["eth_accounts", "eth_requestAccounts"], 0, read::accounts),
    method(&["eth_blockNumber"], 0, read::block_number),
    method(&["eth_getBalance"], 2, read::balance),
    method(&["eth_getCode"], 2, read::code),
    method(&["eth_getStorageAt"], 3, read::storage_at),
    method(&["eth_getTransactionCount"], 2, read::transaction_count),
    method(&["eth_getBlockByNumber"], 2, read::block_by_number),
    method(&["eth_getBlockByHash"], 2, read::block_by_hash),
    method(&["eth_getBlockReceipts"], 1, read::block_receipts),
    method(
        &["eth_getBlockTransactionCountByNumber"],
        1,
        read::count_by_number,
    ),
    method(
        &["eth_getBlockTransactionCountByHash"],
        1,
        read::count_by_hash,
    ),
    method(&["eth_getTransactionByHash"], 1, read::transaction),
    method(&["eth_getRawTransactionByHash"], 1, read::raw_transaction),
    method(
        &["eth_getTransactionByBlockNumberAndIndex"],
        2,
        read::transaction_by_number,
    ),
    method(
        &["eth_getTransactionByBlockHashAndIndex"],
        2,
        read::transaction_by_hash,
    ),
    method(&["eth_getTransactionReceipt"], 1, read::receipt),
    method(&["eth_getLogs"], 1, read::logs),
    method(&["eth_call"], 4, read::call),
    method(&["eth_estimateGas"], 4, read::estimate),
    method(&["eth_gasPrice"], 0, fees::gas_price),
    method(&["eth_maxPriorityFeePerGas"], 0, fees::priority_fee),
    method(&["eth_blobBaseFee"], 0, fees::blob_base_fee),
    method(&["eth_feeHistory"], 3, fees::history),
    method(&["eth_sendRawTransaction"], 1, send::raw),
    method(&["eth_sendRawTransactionSync"], 2, send::raw_sync),
    method(&["eth_sendTransaction"], 1, send::unsigned),
    method(&["eth_signTransaction"], 1, send::sign_transaction),
    method(&["eth_sign"], 2, send::sign),
    method(&["personal_sign"], 3, send::personal_sign),
    method(
        &["eth_signTypedData_v4", "eth_signTypedData"],
        2,
        send::sign_typed_data,
    ),
    method(&["eth_newFilter"], 1, filters::new_logs),
    method(&["eth_newBlockFilter"], 0, filters::new_blocks),
    method(
        &["eth_newPendingTransactionFilter"],
        0,
        filters::new_transactions,
    ),
    method(&["eth_getFilterChanges"], 1, filters::changes),
    method(&["eth_getFilterLogs"], 1, filters::all_logs),
    method(&["eth_uninstallFilter"], 1, filters::uninstall),
    method(&["txpool_status"], 0, dev::pool_status),
    method(&["evm_increaseTime"], 1, dev::increase_time),
    method(&["evm_setNextBlockTimestamp"], 1, dev::next_timestamp),
    method(&["evm_mine"], 1, dev::evm_mine),
    method(&["anvil_mine"], 2, dev::mine_many),
    method(&["evm_snapshot"], 0, dev::snapshot),
    method(&["evm_revert"], 1, dev::revert),
    method(&["evm_setAutomine"], 1, dev::set_automine),
    method(&["anvil_getAutomine"], 0, dev::automine),
    method(&["anvil_setCode"], 2, dev::set_code),
    method(&["anvil_setBalance"], 2, dev::set_balance),
    method(&["anvil_setStorageAt"], 3, dev::set_storage),
    method(&["anvil_setNonce"], 2, dev::set_nonce),
    method(&["anvil_impersonateAccount"], 1, dev::impersonate),
    method(
        &["anvil_stopImpersonatingAccount"],
        1,
        dev::stop_impersonating,
    ),
    method(&["anvil_reorg"], 2, dev::reorganise),
];

/// A request's envelope, parsed as leniently as the specification permits.
struct RpcRequest {
    id: Value,
    /// A request without an id gets no response.
    notification: bool,
    method: String,
    params: Value,
}

fn parse(value: &Value) -> Result<RpcRequest, Value> {
    let refused = |id: Value| Err(envelope(&id, Err(RpcError::bad_request())));
    let Some(object) = value.as_object() else {
        return refused(Value::Null);
    };
    let id = object.get("id").cloned().unwrap_or_default();
    let sound_id = matches!(id, Value::Null | Value::Number(_) | Value::String(_));
    let method = object.get("method").and_then(Value::as_str);
    match (object.get("jsonrpc").and_then(Value::as_str), method) {
        (Some("2.0"), Some(method)) if sound_id => Ok(RpcRequest {
            notification: !object.contains_key("id"),
            method: method.to_owned(),
            params: object.get("params").cloned().unwrap_or_default(),
            id,
        }),
        _ => refused(if sound_id { id } else { Value::Null }),
    }
}

fn envelope(id: &Value, answer: RpcResult) -> Value {
    let mut object = Map::new();
    object.insert("jsonrpc".to_owned(), json!("2.0"));
    object.insert("id".to_owned(), id.clone());
    match answer {
        Ok(result) => object.insert("result".to_owned(), result),
        Err(error) => object.insert("error".to_owned(), json!(error)),
    };
    Value::Object(object)
}

/// Handles methods that only a connection can answer; it sees each request first.
pub(super) type RpcIntercept<'a> = &'a mut dyn FnMut(&str, &RpcParams<'_>) -> Option<RpcResult>;

impl RpcState {
    pub(super) fn new(chain: DevChain) -> Self {
        Self {
            chain,
            filters: FilterTable::default(),
        }
    }

    /// Answers a body with one request or a batch. `None` if no response is due.
    pub(super) fn answer(&mut self, body: &[u8], intercept: RpcIntercept<'_>) -> Option<Value> {
        let Ok(value) = serde_json::from_slice::<Value>(body) else {
            return Some(envelope(&Value::Null, Err(RpcError::bad_request())));
        };
        match value {
            Value::Array(requests)
                if !requests.is_empty() && requests.iter().all(Value::is_object) =>
            {
                let answers: Vec<Value> = requests
                    .iter()
                    .filter_map(|request| self.answer_one(request, intercept))
                    .collect();
                (!answers.is_empty()).then_some(Value::Array(answers))
            }
            Value::Array(_) => Some(envelope(&Value::Null, Err(RpcError::bad_request()))),
            single => self.answer_one(&single, intercept),
        }
    }

    fn answer_one(&mut self, value: &Value, intercept: RpcIntercept<'_>) -> Option<Value> {
        let request = match parse(value) {
            Ok(request) => request,
            Err(refusal) => return Some(refusal),
        };
        let answer = self.dispatch(&request, intercept);
        (!request.notification).then(|| envelope(&request.id, answer))
    }

    fn dispatch(&mut self, request: &RpcRequest, intercept: RpcIntercept<'_>) -> RpcResult {
        let params = RpcParams::parse(&request.params)?;
        if let Some(answer) = intercept(&request.method, &params) {
            return answer;
        }
        let method = METHODS
            .iter()
            .find(|method| method.names.contains(&request.method.as_str()))
            .ok_or_else(RpcError::unknown_method)?;
        params.at_most(method.most)?;
        (method.handler)(self, &params)
    }
}
