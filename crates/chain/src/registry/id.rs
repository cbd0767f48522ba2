//! Adapter ids of the registry and their text form.

use alloy::primitives::{B256, U256};

/// An adapter's id, as the registry numbers them.
pub type AdapterId = U256;

/// An adapter's id as 0x and 64 digits.
pub fn shown_id(id: U256) -> String {
    B256::from(id).to_string()
}

/// An adapter's id: 0x and 64 digits, or a decimal number.
pub fn parse_id(text: &str) -> Option<U256> {
    match text.strip_prefix("0x") {
        Some(digits) if digits.len() == 64 => U256::from_str_radix(digits, 16).ok(),
        Some(_) => None,
        // Nothing would be zero.
        None if text.is_empty() => None,
        None => U256::from_str_radix(text, 10).ok(),
    }
}
