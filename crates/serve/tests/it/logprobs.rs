//! Log-probabilities of tokens that hold parts of characters, in both forms of answers.

use openlora_engine::{TokenLogprob, VocabularyToken};
use openlora_ledger::event::{FinishReason, TokenUsage};
use openlora_serve::wire::{chat, completion, envelope::AnswerEnvelope};
use serde_json::json;

fn envelope() -> AnswerEnvelope {
    AnswerEnvelope {
        id: "t".to_owned(),
        created: 0,
        model: "emo".to_owned(),
        fingerprint: "fp".to_owned(),
        usage: TokenUsage {
            prompt_tokens: 1,
            completion_tokens: 3,
        },
        finish: FinishReason::Stop,
    }
}

fn token(id: u32, bytes: &[u8]) -> VocabularyToken {
    VocabularyToken {
        id,
        bytes: bytes.to_vec(),
    }
}

/// "a€" in three tokens; the second has two alternatives that read the same.
fn answered() -> Vec<TokenLogprob> {
    let one = |token: VocabularyToken, offset, top| TokenLogprob {
        token,
        logprob: -0.5,
        top,
        offset,
    };
    vec![
        one(token(1, b"a"), 0, vec![(token(1, b"a"), -0.5)]),
        one(
            token(2, &[0xE2, 0x82]),
            1,
            vec![
                (token(2, &[0xE2, 0x82]), -0.5),
                (token(7, &[0xE2]), -1.0),
                (token(8, b"<|x|>"), -2.0),
                (token(9, b"<|x|>"), -3.0),
            ],
        ),
        one(token(3, &[0xAC]), 1, Vec::new()),
    ]
}

#[test]
fn a_chat_tells_every_tokens_bytes() {
    let told = chat::answer(&envelope(), "a€", Some(&answered()));
    let content = &told["choices"][0]["logprobs"]["content"];
    let tokens: Vec<_> = content
        .as_array()
        .unwrap()
        .iter()
        .map(|it| json!([it["token"], it["bytes"]]))
        .collect();
    assert_eq!(
        tokens,
        [
            json!(["a", [97]]),
            json!(["\\xe2\\x82", [226, 130]]),
            json!(["\\xac", [172]])
        ]
    );
    assert_eq!(
        content[1]["top_logprobs"],
        json!([
            { "token": "\\xe2\\x82", "logprob": -0.5, "bytes": [226, 130] },
            { "token": "\\xe2", "logprob": -1.0, "bytes": [226] },
            { "token": "<|x|>", "logprob": -2.0, "bytes": b"<|x|>" },
            { "token": "<|x|>", "logprob": -3.0, "bytes": b"<|x|>" },
        ])
    );
}

#[test]
fn a_completion_names_every_alternative_and_counts_characters() {
    let told = completion::answer(&envelope(), "a€", Some(&answered()));
    assert_eq!(
        told["choices"][0]["logprobs"],
        json!({
            "tokens": ["a", "bytes:\\xe2\\x82", "bytes:\\xac"],
            "token_logprobs": [-0.5, -0.5, -0.5],
            "top_logprobs": [
                { "a": -0.5 },
                { "bytes:\\xe2\\x82": -0.5, "bytes:\\xe2": -1.0, "<|x|>": -2.0, "token_id:9": -3.0 },
                {},
            ],
            "text_offset": [0, 1, 1],
        })
    );
}
