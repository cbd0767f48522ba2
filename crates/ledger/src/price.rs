//! Prices of calls.

use serde::{Deserialize, Serialize};

use openlora_core::Amount;

/// The number of tokens that a token price applies to.
pub const TOKENS: u128 = 1_000;

/// Prices in base units. A call costs the price of its work, but at least the minimum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceList {
    /// Per 1 000 tokens of the prompt.
    pub prompt: Amount,
    /// Per 1 000 tokens of the answer.
    pub completion: Amount,
    /// Per classified text.
    pub classification: Amount,
    /// Per image.
    pub image: Amount,
    /// Minimum per call.
    pub minimum: Amount,
}

/// The work of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "unit", rename_all = "snake_case")]
pub enum CallWork {
    Tokens { prompt: u64, completion: u64 },
    Classifications { texts: u64 },
    Images { pictures: u64 },
}

impl CallWork {
    /// What the model generates at most, where a label and a picture count as one.
    pub fn tokens(self) -> u64 {
        match self {
            Self::Tokens { completion, .. } => completion,
            Self::Classifications { texts } => texts,
            Self::Images { pictures } => pictures,
        }
    }
}

impl PriceList {
    /// The price of a call, rounded up to whole units. An overflow gives the largest amount, which
    /// no payer can have.
    pub fn price_of(&self, work: CallWork) -> Amount {
        let times = |price: Amount, count: u64| price.0.saturating_mul(u128::from(count));
        let cost = match work {
            CallWork::Tokens { prompt, completion } => times(self.prompt, prompt)
                .saturating_add(times(self.completion, completion))
                .div_ceil(TOKENS),
            CallWork::Classifications { texts } => times(self.classification, texts),
            CallWork::Images { pictures } => times(self.image, pictures),
        };
        Amount(cost).max(self.minimum)
    }
}
