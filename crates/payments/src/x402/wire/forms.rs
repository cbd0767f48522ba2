//! The encodings of single values in headers, for serde's `with`.

/// Addresses in any case. A text in mixed case must have a valid checksum.
pub mod account {
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    use openlora_core::Address;

    pub fn serialize<S: Serializer>(address: &Address, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(address)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Address, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(D::Error::custom)
    }
}

/// An address that may be missing.
pub mod optional_account {
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    use openlora_core::Address;

    pub fn serialize<S: Serializer>(address: &Option<Address>, to: S) -> Result<S::Ok, S::Error> {
        match address {
            Some(address) => to.collect_str(address),
            None => to.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Address>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        let address = text.map(|text| text.parse()).transpose();
        address.map_err(D::Error::custom)
    }
}

/// Bytes as 0x and pairs of digits.
pub mod bytes {
    use alloy::primitives::{Bytes, hex};
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    pub fn serialize<S: Serializer>(bytes: &Bytes, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&hex::encode_prefixed(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Bytes, D::Error> {
        let text = String::deserialize(from)?;
        let digits = text.strip_prefix("0x");
        let read = digits.and_then(|digits| hex::decode(digits).ok());
        let problem = || D::Error::custom("expected 0x and pairs of hexadecimal digits");
        read.map(Bytes::from).ok_or_else(problem)
    }
}

/// Whole numbers below 2^256 as plain decimal texts.
pub mod whole {
    use alloy::primitives::U256;
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    pub fn serialize<S: Serializer>(number: &U256, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(number)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<U256, D::Error> {
        let text = String::deserialize(from)?;
        let plain = text.bytes().all(|byte| byte.is_ascii_digit())
            && (text == "0" || !text.starts_with('0'))
            && !text.is_empty();
        let read = U256::from_str_radix(&text, 10).ok().filter(|_| plain);
        let problem = || D::Error::custom("expected a decimal number below 2^256 as a text");
        read.ok_or_else(problem)
    }
}

/// Small counters as plain decimal texts.
pub mod count {
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    use openlora_core::Amount;

    pub fn serialize<S: Serializer>(number: &u64, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(number)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
        let amount = Amount::deserialize(from)?;
        let problem = |_| D::Error::custom("expected a decimal number below 2^64 as a text");
        u64::try_from(amount.0).map_err(problem)
    }
}

/// Bytes that may be missing.
pub mod optional_bytes {
    use alloy::primitives::Bytes;
    use serde::{Deserialize, Deserializer, Serializer};

    #[derive(Deserialize)]
    struct WrappedValue(#[serde(with = "super::bytes")] Bytes);

    pub fn serialize<S: Serializer>(bytes: &Option<Bytes>, to: S) -> Result<S::Ok, S::Error> {
        match bytes {
            Some(bytes) => super::bytes::serialize(bytes, to),
            None => to.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Bytes>, D::Error> {
        let found = Option::<WrappedValue>::deserialize(from)?;
        Ok(found.map(|WrappedValue(bytes)| bytes))
    }
}
