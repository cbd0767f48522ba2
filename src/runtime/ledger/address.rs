//! Accounts of EVM chains, written with the checksum of EIP-55.

use std::{fmt, str::FromStr};

use alloy::primitives::Address as RawAddress;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// A 20-byte account. Texts carry the EIP-55 checksum.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address(pub [u8; 20]);

/// What is wrong with a text that should be an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressProblem {
    #[error("expected 0x and 40 hexadecimal digits, found `{found}`")]
    Form { found: String },
    #[error("the checksum of `{found}` does not fit: expected `{expected}`")]
    Checksum { found: String, expected: String },
}

impl Address {
    pub const ZERO: Self = Self([0; 20]);

    pub fn is_zero(&self) -> bool {
        *self == Self::ZERO
    }
}

/// A text in one case has no checksum and is taken as it is; one in mixed case must fit its own.
impl FromStr for Address {
    type Err = AddressProblem;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let form = || AddressProblem::Form {
            found: text.to_owned(),
        };
        let digits = text.strip_prefix("0x").ok_or_else(form)?;
        let mut bytes = [0; 20];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| form())?;
        let address = Self(bytes);
        let mixed = digits.bytes().any(|b| b.is_ascii_lowercase())
            && digits.bytes().any(|b| b.is_ascii_uppercase());
        let expected = address.to_string();
        if mixed && text != expected {
            let found = text.to_owned();
            return Err(AddressProblem::Checksum { found, expected });
        }
        Ok(address)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&RawAddress::from(self.0).to_checksum(None))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl From<RawAddress> for Address {
    fn from(raw: RawAddress) -> Self {
        Self(raw.into_array())
    }
}

impl From<Address> for RawAddress {
    fn from(address: Address) -> Self {
        address.0.into()
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Files have one spelling of an address: the checksummed one.
impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let found = String::deserialize(deserializer)?;
        let address: Self = found.parse().map_err(D::Error::custom)?;
        let expected = address.to_string();
        if found != expected {
            return Err(D::Error::custom(AddressProblem::Checksum {
                found,
                expected,
            }));
        }
        Ok(address)
    }
}
