//! Whole numbers in JSON that every reader parses exactly: numbers up to 2⁵³, decimal texts above.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Largest whole number below which a double represents every whole number.
const LARGEST_NUMBER: u64 = 1 << 53;

/// A whole number with one canonical form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WholeNumber(pub u64);

impl Serialize for WholeNumber {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 <= LARGEST_NUMBER {
            serializer.serialize_u64(self.0)
        } else {
            serializer.collect_str(&self.0)
        }
    }
}

impl<'de> Deserialize<'de> for WholeNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WholeVisitor;
        impl de::Visitor<'_> for WholeVisitor {
            type Value = WholeNumber;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a whole number up to 2^53, or a larger one as a decimal text")
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<WholeNumber, E> {
                if value <= LARGEST_NUMBER {
                    Ok(WholeNumber(value))
                } else {
                    Err(E::invalid_value(de::Unexpected::Unsigned(value), &self))
                }
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<WholeNumber, E> {
                let value: Option<u64> = text.parse().ok().filter(|value| *value > LARGEST_NUMBER);
                match value {
                    Some(value) if value.to_string() == text => Ok(WholeNumber(value)),
                    _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }
        }
        deserializer.deserialize_any(WholeVisitor)
    }
}
