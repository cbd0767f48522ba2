//! Keys of sums. As keys of JSON objects they are texts with parts joined by `/`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use openlora_core::{Address, Word};

/// A channel on its chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChannelKey {
    pub chain_id: u64,
    pub channel: Word,
}

/// One receiver of one token on one chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReceiverKey {
    pub chain_id: u64,
    pub receiver: Address,
    pub token: Address,
}

/// One payment of the `exact` scheme: an authorization can be used once per payer and nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExactKey {
    pub chain_id: u64,
    pub token: Address,
    pub payer: Address,
    pub nonce: Word,
}

/// A text that is not a valid key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected parts joined by `/`, found `{0}`")]
pub struct KeyProblem(String);

fn parse<T: FromStr>(parts: &mut std::str::Split<'_, char>, whole: &str) -> Result<T, KeyProblem> {
    let part = parts.next().and_then(|part| part.parse().ok());
    part.ok_or_else(|| KeyProblem(whole.to_owned()))
}

macro_rules! text_key {
    ($key:ident { $($field:ident),+ }, $shape:literal) => {
        impl fmt::Display for $key {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, $shape, $(self.$field),+)
            }
        }

        impl FromStr for $key {
            type Err = KeyProblem;

            fn from_str(text: &str) -> Result<Self, KeyProblem> {
                let mut parts = text.split('/');
                let key = Self { $($field: parse(&mut parts, text)?),+ };
                match parts.next() {
                    None => Ok(key),
                    Some(_) => Err(KeyProblem(text.to_owned())),
                }
            }
        }

        impl Serialize for $key {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $key {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(D::Error::custom)
            }
        }
    };
}

text_key!(ChannelKey { chain_id, channel }, "{}/{}");
text_key!(
    ReceiverKey {
        chain_id,
        receiver,
        token
    },
    "{}/{}/{}"
);
text_key!(
    ExactKey {
        chain_id,
        token,
        payer,
        nonce
    },
    "{}/{}/{}/{}"
);

/// The key of a channel on a receiver's chain.
pub(super) fn channel_on(receiver: ReceiverKey, channel: Word) -> ChannelKey {
    ChannelKey {
        chain_id: receiver.chain_id,
        channel,
    }
}
