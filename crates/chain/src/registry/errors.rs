//! Decoding of contract errors: any error of any committed artifact by name, with its parameters
//! named as in the source.

use std::{collections::BTreeMap, sync::OnceLock};

use alloy::{
    dyn_abi::{DynSolValue, ErrorExt},
    hex,
    json_abi::{Error, JsonAbi},
    sol_types::{ContractError, GenericContractError, SolInterface},
};
use serde::Deserialize;

use openlora_contracts::ABIS;

#[derive(Deserialize)]
struct Artifact {
    abi: JsonAbi,
}

/// Every error by its selector.
fn known() -> &'static BTreeMap<[u8; 4], Error> {
    static KNOWN: OnceLock<BTreeMap<[u8; 4], Error>> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let abis = ABIS
            .iter()
            .filter_map(|(_, text)| serde_json::from_str::<Artifact>(text).ok());
        abis.flat_map(|artifact| artifact.abi.errors().cloned().collect::<Vec<_>>())
            .map(|error| (error.selector().into(), error))
            .collect()
    })
}

/// Revert data as text: `ShareSumInvalid(found 999999, expected 1000000)`.
pub fn explain(data: &[u8]) -> String {
    if data.is_empty() {
        return "it gives no reason".to_owned();
    }
    let selector: Option<[u8; 4]> = data.get(..4).and_then(|bytes| bytes.try_into().ok());
    let error = selector.and_then(|selector| known().get(&selector));
    if let Some(text) = error.and_then(|error| worded(error, data)) {
        return text;
    }
    // The remaining ones are the two errors built into Solidity.
    match GenericContractError::abi_decode(data) {
        Ok(ContractError::Revert(revert)) => format!("\"{}\"", revert.reason),
        Ok(ContractError::Panic(panic)) => panic.to_string(),
        _ => format!("0x{}", hex::encode(data)),
    }
}

fn worded(error: &Error, data: &[u8]) -> Option<String> {
    let decoded = error.decode_error(data).ok()?;
    let values: Vec<String> = error
        .inputs
        .iter()
        .zip(&decoded.body)
        .map(|(input, value)| {
            format!("{} {}", input.name, shown(value))
                .trim_start()
                .to_owned()
        })
        .collect();
    Some(format!("{}({})", error.name, values.join(", ")))
}

fn shown(value: &DynSolValue) -> String {
    match value {
        DynSolValue::Address(address) => address.to_checksum(None),
        DynSolValue::Uint(number, _) => number.to_string(),
        DynSolValue::Int(number, _) => number.to_string(),
        DynSolValue::Bool(on) => on.to_string(),
        DynSolValue::String(text) => format!("\"{text}\""),
        DynSolValue::Bytes(bytes) => format!("0x{}", hex::encode(bytes)),
        DynSolValue::FixedBytes(word, size) => format!("0x{}", hex::encode(&word[..*size])),
        other => format!("{other:?}"),
    }
}
