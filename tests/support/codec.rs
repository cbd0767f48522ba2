//! A small tokenizer of our own, for tests that need some codec.

use std::path::Path;

use openlora_model::text::TextCodec;

use crate::bpe::train_tokenizer;

/// A small tokenizer of our own, for tests that need some codec.
pub fn train_codec(dir: &Path) -> TextCodec {
    train_tokenizer(corpus(), 400, dir).unwrap();
    TextCodec::open(dir).unwrap()
}

pub fn corpus() -> impl Iterator<Item = String> + Send {
    let coins = ["bitcoin", "ether", "solana", "the token"];
    let moods = [
        "is going up today",
        "looks weak again",
        "trades sideways",
        "hit a new high",
    ];
    coins.into_iter().flat_map(move |coin| {
        moods
            .into_iter()
            .map(move |mood| format!("I think {coin} {mood}, said the trader.\n"))
    })
}
