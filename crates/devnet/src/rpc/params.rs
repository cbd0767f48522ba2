//! Positional parameters, and errors that name them.

use alloy::primitives::U256;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::RpcError;

/// The parameters of a request.
pub(in super::super) struct RpcParams<'a>(&'a [Value]);

impl<'a> RpcParams<'a> {
    pub(super) fn parse(value: &'a Value) -> Result<Self, RpcError> {
        match value {
            Value::Null => Ok(Self(&[])),
            Value::Array(values) => Ok(Self(values)),
            Value::Object(_) => Err(RpcError::invalid("invalid type: map, expected a sequence")),
            other => Err(RpcError::invalid(format!(
                "invalid type: {other}, expected a sequence"
            ))),
        }
    }

    pub(super) fn at_most(&self, most: usize) -> Result<(), RpcError> {
        if self.0.len() <= most {
            return Ok(());
        }
        Err(RpcError::invalid(format!(
            "invalid length {}, expected at most {most} parameters",
            self.0.len()
        )))
    }

    /// A required parameter.
    pub(in super::super) fn get<T: DeserializeOwned>(
        &self,
        index: usize,
        name: &str,
    ) -> Result<T, RpcError> {
        let value = self.0.get(index).ok_or_else(|| {
            RpcError::invalid(format!(
                "invalid length {}, expected parameter {} ({name})",
                self.0.len(),
                index + 1
            ))
        })?;
        read(value, index, name)
    }

    /// An optional parameter, absent or null.
    pub(in super::super) fn optional<T: DeserializeOwned>(
        &self,
        index: usize,
        name: &str,
    ) -> Result<Option<T>, RpcError> {
        match self.0.get(index) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => read(value, index, name).map(Some),
        }
    }

    /// A number, written as JSON number, decimal or hexadecimal text.
    pub(super) fn number(&self, index: usize, name: &str) -> Result<U256, RpcError> {
        let value: Value = self.get(index, name)?;
        let number = match &value {
            Value::Number(number) => number.as_u64().map(U256::from),
            // An odd number of digits is accepted, and so is the empty number for zero.
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        number.ok_or_else(|| {
            RpcError::invalid(format!(
                "parameter {} ({name}): expected a number, found {value}",
                index + 1
            ))
        })
    }

    /// A number that fits 64 bits.
    pub(super) fn small(&self, index: usize, name: &str) -> Result<u64, RpcError> {
        let number = self.number(index, name)?;
        number.try_into().map_err(|_| {
            RpcError::invalid(format!(
                "parameter {} ({name}): expected a number below 2^64, found {number}",
                index + 1
            ))
        })
    }

    pub(super) fn has(&self, index: usize) -> bool {
        self.0.get(index).is_some_and(|value| !value.is_null())
    }
}

fn read<T: DeserializeOwned>(value: &Value, index: usize, name: &str) -> Result<T, RpcError> {
    T::deserialize(value)
        .map_err(|error| RpcError::invalid(format!("parameter {} ({name}): {error}", index + 1)))
}
