//! The filter language: what it takes, what it refuses and in which words.

use openlora_ledger::state::board::PaymentStanding;
use openlora_tui::filter::CallFilter;

use super::{fold, scenario};

/// Calls of the busy scenario that pass.
fn passing(text: &str) -> usize {
    let board = fold(&scenario("busy"));
    let filter = CallFilter::parse(text).unwrap();
    let calls = board.calls.iter();
    calls
        .filter(|call| filter.passes(call, board.payment_standing(call).0, 6))
        .count()
}

#[test]
fn words_narrow_and_a_minus_turns_round() {
    let all = passing("");
    assert_eq!(all, 180);
    for word in [
        "kind:chat",
        "status:settled",
        ">0.0001",
        "ms>200",
        "tokens<=60",
        "contributor:orchid",
        "finish:failed",
    ] {
        let (with, without) = (passing(word), passing(&format!("-{word}")));
        assert!(with > 0 && without > 0, "{word}: {with} {without}");
        assert_eq!(with + without, all, "{word}");
    }
    assert_eq!(passing("amount>0.0001"), passing(">0.0001"));
    assert_eq!(passing(">=0.0001") - passing(">0.0001"), passing("=0.0001"));
    assert!(passing("kind:chat status:settled") < passing("kind:chat"));
    assert_eq!(passing("SENTIMENT"), all);
    assert_eq!(passing("kind:chat kind:classify"), 0);
}

#[test]
fn amounts_are_compared_exactly() {
    let board = fold(&scenario("busy"));
    let call = board
        .calls
        .iter()
        .find(|call| call.charge.as_ref().unwrap().amount.0 == 100);
    let passes = |text: &str| {
        CallFilter::parse(text)
            .unwrap()
            .passes(call.unwrap(), PaymentStanding::Pending, 6)
    };
    assert!(passes("=0.0001") && passes("=0.000100000000000000"));
    assert!(!passes(">0.0001") && passes(">0.000099999999999999"));
}

#[test]
fn what_is_wrong_is_said_whole() {
    for (text, expected) in [
        (
            "payr:0x1",
            "unknown field `payr`, expected status, id, payer, adapter, kind, finish, contributor",
        ),
        (">x", "`>x`: expected a number such as 0.01, found `x`"),
        (
            "ms>1.5",
            "`ms>1.5`: expected a number such as 200, found `1.5`",
        ),
        (
            "price<3",
            "`price` cannot be compared, expected amount, ms, tokens",
        ),
        ("payer:", "`payer:`: expected a text after the colon"),
        (
            ">0.0000000000000000001",
            "`>0.0000000000000000001`: expected a number such as 0.01, found `0.0000000000000000001`",
        ),
    ] {
        assert_eq!(CallFilter::parse(text), Err(expected.to_owned()), "{text}");
    }
}
