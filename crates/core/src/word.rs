//! 32-byte words of EVM chains.

use std::{fmt, str::FromStr};

use alloy::primitives::B256;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// 32 bytes, written as 0x and 64 lower-case digits: a channel's id, an authorization's nonce.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Word(pub [u8; 32]);

/// Why a text is not a valid 32-byte word.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected 0x and 64 hexadecimal digits, found `{found}`")]
pub struct WordProblem {
    pub found: String,
}

impl FromStr for Word {
    type Err = WordProblem;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 32];
        let digits = text.strip_prefix("0x");
        let read = digits.and_then(|digits| hex::decode_to_slice(digits, &mut bytes).ok());
        read.map(|()| Self(bytes)).ok_or_else(|| WordProblem {
            found: text.chars().take(80).collect(),
        })
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{}", hex::encode(self.0))
    }
}

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl From<B256> for Word {
    fn from(word: B256) -> Self {
        Self(word.0)
    }
}

impl From<Word> for B256 {
    fn from(word: Word) -> Self {
        word.0.into()
    }
}

impl Serialize for Word {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}
