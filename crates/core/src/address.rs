//! Accounts of EVM chains, written with the checksum of EIP-55.

use std::{cell::RefCell, fmt, str::FromStr};

use alloy::primitives::Address as RawAddress;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, Visitor},
};

/// A 20-byte account. Texts carry the EIP-55 checksum.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address(pub [u8; 20]);

/// The text form of an address: `0x` and 40 digits.
type AddressText = [u8; 42];

/// Computing a checksum costs a Keccak hash, and a journal repeats few addresses. Each thread
/// therefore caches recent spellings, one per slot; an address determines its slot.
const KEPT: usize = 64;

thread_local! {
    static SPELLINGS: RefCell<[Option<(Address, AddressText)>; KEPT]> = const { RefCell::new([None; KEPT]) };
}

/// Why a text is not a valid address.
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

    /// The EIP-55 spelling.
    fn spelling(&self) -> AddressText {
        let place = self
            .0
            .iter()
            .fold(0, |sum: usize, byte| sum + usize::from(*byte))
            % KEPT;
        SPELLINGS.with_borrow_mut(|kept| match kept[place] {
            Some((address, spelling)) if address == *self => spelling,
            _ => {
                let mut spelling = [0; 42];
                // What it returns is the same text.
                let _ = RawAddress::from(self.0).to_checksum_raw(&mut spelling, None);
                kept[place] = Some((*self, spelling));
                spelling
            }
        })
    }

    fn check(&self, found: &str) -> Result<(), AddressProblem> {
        if found.as_bytes() == self.spelling() {
            return Ok(());
        }
        Err(AddressProblem::Checksum {
            found: found.to_owned(),
            expected: self.to_string(),
        })
    }

    fn of_digits(text: &str) -> Option<Self> {
        let mut bytes = [0; 20];
        hex::decode_to_slice(text.strip_prefix("0x")?, &mut bytes).ok()?;
        Some(Self(bytes))
    }
}

/// An address in a single case has no checksum and is accepted; one in mixed case must match its
/// checksum.
impl FromStr for Address {
    type Err = AddressProblem;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let address = Self::of_digits(text).ok_or_else(|| form(text))?;
        let digits = &text.as_bytes()[2..];
        let mixed =
            digits.iter().any(u8::is_ascii_lowercase) && digits.iter().any(u8::is_ascii_uppercase);
        if mixed {
            address.check(text)?;
        }
        Ok(address)
    }
}

fn form(text: &str) -> AddressProblem {
    AddressProblem::Form {
        found: text.to_owned(),
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.spelling()))
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

/// Files contain addresses in one form only: the checksummed one.
impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(AddressVisitor)
    }
}

struct AddressVisitor;

impl Visitor<'_> for AddressVisitor {
    type Value = Address;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Address, E> {
        let address = Address::of_digits(text).ok_or_else(|| E::custom(form(text)))?;
        address.check(text).map_err(E::custom)?;
        Ok(address)
    }
}
