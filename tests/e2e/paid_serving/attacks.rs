//! Callers who cheat, repeat, flood or leave; over HTTP, and answers are compared whole.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures::future::join_all;
use openlora_core::{Amount, units::in_units};
use openlora_engine::{Engine, EngineError, GenerationStream, Prompt, SamplingParams};
use openlora_ledger::event::{Event, FinishReason, TokenUsage};
use openlora_payments::x402::Reason;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::shop::{
    CHAIN, CHAT, COST, Call, Payer, QUOTE, Setup, Shop, charges, cost, offer, required, told,
};
use crate::{
    serve_support::{Reply, reply, with},
    settlement_support::Market,
    waiting,
    wrapped_engine::{EngineChange, wrapped},
    x402_support::{OTHER_SPLITTER, decoded, header, state},
};

/// A shop, and a payer whose channel of 2 000 has paid for one call.
fn opened() -> (Market, Shop, Payer) {
    let market = Market::embedded();
    let shop = Shop::of(&market);
    let payer = Payer::new(&market, 1, 10_000);
    shop.buys(&Call::usual(), &payer.deposit(QUOTE, 2_000));
    (market, shop, payer)
}

/// Everything of an answer that a payer acts on.
fn whole(reply: &Reply) -> Value {
    let terms = reply.header("payment-required").map(decoded);
    json!({ "status": reply.status, "body": reply.json(), "terms": terms })
}

/// The answer that a call's payment gets for a reason.
fn because(shop: &Shop, call: &Call, reason: Reason, field: Option<&str>) -> Value {
    let mut terms = shop.required(call);
    terms["error"] = json!(reason.code());
    let message = match field {
        Some(field) => format!("{} It differs in `{field}`.", reason.message()),
        None => reason.message().to_owned(),
    };
    let quote = terms["accepts"][0]["amount"].as_str().unwrap();
    let body = json!({ "error": {
        "message": message,
        "type": "payment_error",
        "param": reason.code(),
        "code": "payment_required",
        "price": {
            "at_most": in_units(quote, 6),
            "currency": "dUSD",
            "documentation": "https://www.x402.org",
        },
    }});
    json!({ "status": 402, "body": body, "terms": terms })
}

/// The same with the channel as the shop has it.
fn corrected(shop: &Shop, call: &Call, payer: &Payer, (charged, max): (u128, u128)) -> Value {
    let mut answer = because(shop, call, Reason::Cumulative, None);
    let extra = &mut answer["terms"]["accepts"][0]["extra"];
    extra["channelState"] = state(payer.channel(), 2_000, 0, charged);
    extra["voucherState"] = json!({
        "signedMaxClaimable": Amount(max),
        "signature": payer.voucher_signature(max),
    });
    answer
}

fn reserved(shop: &Shop) -> usize {
    let is = |event: &Event| matches!(event, Event::CallReserved { .. });
    let records = shop.records();
    records.iter().filter(|record| is(&record.event)).count()
}

#[test]
fn large_headers_are_431_and_the_server_goes_on() {
    let (_market, shop, payer) = opened();
    let call = Call::usual();
    let large = shop.send(&call, Some(&"A".repeat(20_000)));
    assert_eq!(
        (large.status, &large.json()["error"]["code"]),
        (431, &json!("headers_too_large"))
    );
    let answer = shop.wait(async {
        let mut socket = tokio::net::TcpStream::connect(shop.server.address)
            .await
            .unwrap();
        let head = format!(
            "POST {CHAT} HTTP/1.1\r\nhost: x\r\npayment-signature: {}\r\n\r\n",
            "A".repeat(1 << 20)
        );
        // It hangs up before the end.
        let _ = socket.write_all(head.as_bytes()).await;
        let mut answer = vec![0; 12];
        socket.read_exact(&mut answer).await.unwrap();
        answer
    });
    assert_eq!(answer, b"HTTP/1.1 431");
    shop.buys(&call, &payer.voucher(COST + QUOTE));
    shop.close();
}

#[test]
fn a_flood_of_broken_headers_is_400_or_402() {
    let (_market, shop, payer) = opened();
    let call = Call::usual();
    let good = shop.payment(&call, &payer.voucher(COST + QUOTE));
    let accepted = decoded(&good)["accepted"].clone();
    let (begun, counted) = (shop.begun(), reserved(&shop));
    let mut random = ChaCha8Rng::seed_from_u64(402);
    let mut seen = [0, 0];
    for number in 0..200 {
        let length = random.random_range(1..900);
        let mut bytes =
            || -> Vec<u8> { (0..length).map(|_| random.random_range(33..127)).collect() };
        let broken = match number % 5 {
            0 => String::from_utf8(bytes()).unwrap(),
            1 => STANDARD.encode(bytes()),
            2 => STANDARD.encode(json!({ "x402Version": number, "accepted": {} }).to_string()),
            3 => good[..random.random_range(1..good.len() - 4)].to_owned(),
            _ => {
                let parts = [
                    json!(1),
                    json!([]),
                    json!({}),
                    Value::Null,
                    json!("voucher"),
                ];
                header(&accepted, &parts[number % parts.len()])
            }
        };
        let found = shop.send(&call, Some(&broken));
        let error = &found.json()["error"];
        match found.status {
            400 => {
                assert_eq!(error["code"], "invalid_payment", "{broken}");
                assert_eq!(error["param"], "payment-signature", "{broken}");
                assert_eq!(found.header("payment-required"), None, "{broken}");
                seen[0] += 1;
            }
            402 => {
                assert_eq!(required(&found)["error"], error["param"], "{broken}");
                seen[1] += 1;
            }
            other => panic!("{other} for {broken}: {found:?}"),
        }
    }
    assert_eq!(seen[0] + seen[1], 200);
    assert_eq!((shop.begun(), reserved(&shop)), (begun, counted));
    let served = shop.send(&call, Some(&good));
    assert_eq!((served.status, cost(&served)), (200, COST));
    shop.close();
}

#[test]
fn two_payments_in_one_request_are_refused() {
    let (_market, shop, payer) = opened();
    let call = Call::usual();
    let payments = [COST + QUOTE, COST + 2 * QUOTE].map(|max| payer.voucher(max));
    let [first, second] = payments.each_ref().map(|it| shop.payment(&call, it));
    let request = call.request(&shop.server.client, &shop.server.url(""), Some(&first));
    let found = shop.wait(reply(request.header("payment-signature", second)));
    let body = json!({ "error": {
        "message": "Invalid header 'payment-signature': expected one, found several.",
        "type": "invalid_request_error",
        "param": "payment-signature",
        "code": "invalid_payment",
    }});
    assert_eq!(
        whole(&found),
        json!({ "status": 400, "body": body, "terms": null })
    );
    assert_eq!(shop.charged(payer.channel()), COST);
    shop.close();
}

#[test]
fn payments_for_something_else_are_refused() {
    let (market, shop, payer) = opened();
    let call = Call::usual();
    let next = payer.voucher(COST + QUOTE);
    let payment = shop.payment(&call, &next);
    let terms = Reason::OtherTerms;

    // A cheap call's on a dear one.
    let dear = call.clone().with(json!({ "max_tokens": 40 }));
    let found = shop.send(&dear, Some(&payment));
    assert_eq!(whole(&found), because(&shop, &dear, terms, Some("amount")));

    // Another route's, where the same work has another price, and where it has the same: there
    // the voucher that a chat was paid with is used up.
    let text = Call {
        path: "/v1/completions",
        body: json!({ "model": "persona", "prompt": "a b c !end=2", "max_tokens": 3 }),
        id: None,
    };
    let found = shop.send(&text, Some(&payment));
    assert_eq!(whole(&found), because(&shop, &text, terms, Some("amount")));
    shop.buys(&call, &next);
    let same = Call {
        body: with(text.body.clone(), json!({ "prompt": "a b c d !end=2" })),
        ..text
    };
    let found = shop.send(&same, Some(&payment));
    let stale = corrected(&shop, &same, &payer, (2 * COST, COST + QUOTE));
    assert_eq!(whole(&found), stale);

    // Another adapter's, of the same price, that pays somebody else.
    let setup = Setup {
        stalls: vec![("persona", market.splitter), ("mood", OTHER_SPLITTER)],
        ..reopened(&market, shop)
    };
    let shop = Shop::open(&market.runtime, setup);
    let words = "w ".repeat(18);
    let persona = Call::chat(words.trim());
    let mood = Call {
        path: "/v1/classify",
        body: json!({ "model": "mood", "input": "x" }),
        id: None,
    };
    let payment = shop.payment(&persona, &payer.voucher(2 * COST + 500));
    let found = shop.send(&mood, Some(&payment));
    assert_eq!(whole(&found), because(&shop, &mood, terms, Some("payTo")));

    // An earlier version's, which had another splitter.
    let payment = shop.payment(&call, &payer.voucher(2 * COST + QUOTE));
    let setup = Setup {
        stalls: vec![("persona", OTHER_SPLITTER)],
        ..reopened(&market, shop)
    };
    let shop = Shop::open(&market.runtime, setup);
    let found = shop.send(&call, Some(&payment));
    assert_eq!(whole(&found), because(&shop, &call, terms, Some("payTo")));
    assert_eq!(shop.charged(payer.channel()), 2 * COST);
    shop.close();
}

/// The same place after the shop there is closed.
fn reopened(market: &Market, shop: Shop) -> Setup {
    shop.close();
    Setup::of(market)
}

#[test]
fn one_voucher_fifty_times_at_once_is_one_call() {
    let (_market, shop, payer) = opened();
    let call = Call::usual();
    let payment = shop.payment(&call, &payer.voucher(COST + QUOTE));
    let begun = shop.begun();
    let all = (0..50).map(|_| shop.ask(&call, Some(&payment)));
    let answers = shop.wait(join_all(all));
    let answers: Vec<_> = answers
        .into_iter()
        .map(|answer| {
            let answer = answer.unwrap();
            (answer.status, answer.text.clone(), told(&answer))
        })
        .collect();
    assert_eq!((answers.len(), answers[0].0), (50, 200), "{answers:?}");
    assert!(answers.iter().all(|it| *it == answers[0]), "{answers:?}");
    assert_eq!(shop.begun(), begun + 1);
    assert_eq!(shop.charged(payer.channel()), 2 * COST);
    shop.close();
}

#[test]
fn one_voucher_for_fifty_calls_at_once_pays_one() {
    let (_market, shop, payer) = opened();
    let calls: Vec<Call> = (0..50)
        .map(|it| Call::chat(&format!("w{it} b !end=2")))
        .collect();
    let payment = shop.payment(&calls[0], &payer.voucher(COST + QUOTE));
    let begun = shop.begun();
    let all = calls.iter().map(|call| shop.ask(call, Some(&payment)));
    let answers = shop.wait(join_all(all));
    let answers: Vec<Reply> = answers.into_iter().map(Option::unwrap).collect();
    let (served, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|it| it.status == 200);
    assert_eq!((served.len(), refused.len()), (1, 49), "{answers:?}");
    let stale = corrected(&shop, &calls[0], &payer, (2 * COST, COST + QUOTE));
    for found in refused {
        assert_eq!(whole(found), stale);
    }
    assert_eq!(shop.begun(), begun + 1);
    assert_eq!(shop.charged(payer.channel()), 2 * COST);
    // The correction is all that a payer needs to go on.
    shop.buys(&calls[1], &payer.voucher(2 * COST + QUOTE));
    shop.close();
}

/// Whoever loses the connection before the first token has nothing, so pays nothing, and the same
/// payment is answered. The model has read the prompt by then, which nobody causes without limit.
#[test]
fn who_leaves_a_stream_before_its_first_token_pays_nothing() {
    let (market, shop, payer) = opened();
    let call = Call::chat("a b !step").with(json!({ "stream": true, "max_tokens": 9 }));
    let quote = 950;
    let payment = shop.payment(&call, &payer.voucher(COST + quote));
    let mut metered = 1;
    let mut leave = || {
        let begun = shop.begun();
        metered += 1;
        shop.wait(async {
            let request = call.request(&shop.server.client, &shop.server.url(""), Some(&payment));
            let mut response = request.send().await.unwrap();
            // The opening chunk has an empty text.
            let opening = response.chunk().await.unwrap().unwrap();
            assert_eq!(
                opening
                    .windows(10)
                    .filter(|it| it == b"\"content\":")
                    .count(),
                1
            );
            waiting::until("the model to begin", async || shop.begun() > begun).await;
            drop(response);
            shop.server.metered_nth(metered).await
        })
    };
    for number in 0..8 {
        let left = leave();
        assert_eq!(
            left,
            (TokenUsage::default(), FinishReason::Failed),
            "{number}"
        );
        assert_eq!(shop.charged(payer.channel()), COST);
    }
    // The next one in a row costs its prompt, as work that was caused. One whose reader was gone before
    // the model was asked for a token caused none.
    let prompt = TokenUsage {
        prompt_tokens: 5,
        completion_tokens: 0,
    };
    let charged = (0..20)
        .map(|_| leave())
        .find(|left| *left != (TokenUsage::default(), FinishReason::Failed));
    assert_eq!(charged, Some((prompt, FinishReason::Disconnected)));
    assert_eq!(shop.charged(payer.channel()), COST + 50);
    // Another payer has an allowance of its own, and gets what it asks for after a lost connection.
    let other = Payer::new(&market, 2, 10_000);
    shop.buys(&Call::usual(), &other.deposit(QUOTE, 2_000));
    let payment = shop.payment(&call, &other.voucher(COST + quote));
    shop.wait(async {
        let begun = shop.begun();
        let request = call.request(&shop.server.client, &shop.server.url(""), Some(&payment));
        let response = request.send().await.unwrap();
        waiting::until("the model to begin", async || shop.begun() > begun).await;
        drop(response);
        shop.server.metered_nth(metered + 2).await
    });
    assert_eq!(shop.charged(other.channel()), COST);
    shop.server.steps.add_permits(9);
    let answered = shop.send(&call, Some(&payment));
    assert_eq!((answered.status, cost(&answered)), (200, quote));
    assert_eq!(answered.header("x-openlora-replayed"), None);
    assert_eq!(answered.text.matches("\"content\":").count(), 10);
    assert_eq!(shop.charged(other.channel()), COST + quote);
    shop.settled();
    shop.close();
}

#[test]
fn who_leaves_a_stream_pays_for_what_came() {
    let (_market, shop, payer) = opened();
    let call = Call::chat("a b !step").with(json!({ "stream": true, "max_tokens": 9 }));
    let call = call.named("left");
    let quote = 950;
    let payment = shop.payment(&call, &payer.voucher(COST + quote));
    shop.server.steps.add_permits(2);
    let (usage, finish, id) = shop.wait(async {
        let request = call.request(&shop.server.client, &shop.server.url(""), Some(&payment));
        let mut response = request.send().await.unwrap();
        let mut text = String::new();
        // The opening chunk has an empty text.
        while text.matches("\"content\":").count() < 3 {
            let chunk = response.chunk().await.unwrap().unwrap();
            text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
        drop(response);
        let (_, first) = text.split_once("data: ").unwrap();
        let (first, _) = first.split_once("\n\n").unwrap();
        let first: Value = serde_json::from_str(first).unwrap();
        let id = first["id"].as_str().unwrap().to_owned();
        let (usage, finish) = shop.server.metered(&id).await;
        (usage, finish, id)
    });
    let two = TokenUsage {
        prompt_tokens: 5,
        completion_tokens: 2,
    };
    assert_eq!((usage, finish), (two, FinishReason::Disconnected));
    // Under its payer's own name for it nobody finds it.
    let named = shop.wait(shop.server.get("/v1/receipts/left"));
    assert_eq!(named.status, 404, "{named:?}");
    let receipt = shop.wait(shop.server.get(&format!("/v1/receipts/{id}")));
    let receipt = receipt.json();
    assert_eq!(receipt["paid"], "250");
    assert_eq!(shop.charged(payer.channel()), COST + 250);
    // The payment finds what it paid for, and the model is not asked again.
    let begun = shop.begun();
    let again = shop.send(&call, Some(&payment));
    assert_eq!(again.status, 200, "{again:?}");
    assert_eq!(again.header("x-openlora-replayed"), Some("true"));
    assert_eq!(cost(&again), 250);
    assert_eq!(again.text.matches("\"content\":").count(), 3);
    assert_eq!(shop.begun(), begun);
    shop.buys(&Call::usual(), &payer.voucher(COST + 250 + QUOTE));
    assert_eq!(shop.settled().remove(0).charged.0, 2 * COST + 250);
    shop.close();
}

#[test]
fn a_replay_whose_answer_is_gone_gets_the_receipt() {
    let market = Market::embedded();
    let shop = Shop::of(&market);
    let payer = Payer::new(&market, 1, 10_000_000);
    let call = Call::usual();
    let payment = shop.payment(&call, &payer.deposit(QUOTE, 5_000_000));
    let first = shop.send(&call, Some(&payment));
    let held = shop.send(&call, Some(&payment));
    assert_eq!((first.status, held.status), (200, 200));
    assert_eq!((&held.text, told(&held)), (&first.text, told(&first)));
    assert_eq!(held.header("x-openlora-replayed"), Some("true"));
    // Another payer's answers are more than all that are held.
    let other = Payer::new(&market, 2, 10_000_000);
    let large = Call::chat(&"x".repeat(7_000)).with(json!({ "max_tokens": 60 }));
    let (mut charged, mut bytes) = (0, 0);
    while bytes <= 33 << 20 {
        let max = charged + 6_030;
        let payload = match charged {
            0 => other.deposit(max, 5_000_000),
            _ => other.voucher(max),
        };
        let reply = shop.buys(&large, &payload);
        charged += cost(&reply);
        bytes += reply.text.len();
    }
    let (begun, id) = (shop.begun(), first.json()["id"].clone());
    let gone = shop.send(&call, Some(&payment));
    assert_eq!(whole(&gone), counted(&shop, &id));
    assert_eq!(shop.begun(), begun);
    assert_eq!(shop.charged(payer.channel()), COST);

    // The next process has it, and so has whoever asks it under another id.
    let last = shop.payment(&call, &payer.voucher(COST + QUOTE));
    let answered = shop.send(&call, Some(&last));
    shop.close();
    let shop = Shop::of(&market);
    let renamed = call.clone().named("renamed");
    for call in [&call, &renamed] {
        let again = shop.send(call, Some(&last));
        assert_eq!((again.status, &again.text), (200, &answered.text));
        assert_eq!(told(&again), told(&answered));
        assert_eq!(again.header("x-openlora-replayed"), Some("true"));
    }
    assert_eq!(shop.begun(), 0);
    assert_eq!(shop.charged(payer.channel()), 2 * COST);
    shop.settled();
    shop.close();
}

/// The answer to a repeat of a call of which only the receipt is left.
fn counted(shop: &Shop, id: &Value) -> Value {
    let id = id.as_str().unwrap();
    let receipt = shop.wait(shop.server.get(&format!("/v1/receipts/{id}")));
    assert_eq!(receipt.json()["paid"], json!(Amount(COST)));
    let message = format!(
        "The call with request id '{id}' was already metered and its answer is no longer held."
    );
    let body = json!({ "error": {
        "message": message,
        "type": "invalid_request_error",
        "param": null,
        "code": "already_metered",
        "receipt": receipt.json(),
    }});
    json!({ "status": 409, "body": body, "terms": null })
}

#[test]
fn a_refund_names_its_adapter() {
    let (market, shop, payer) = opened();
    let get = |query: &str, payment: Option<&str>| {
        let mut request = shop
            .server
            .client
            .get(shop.server.url(&format!("{CHAT}{query}")));
        if let Some(payment) = payment {
            request = request.header("payment-signature", payment);
        }
        shop.wait(reply(request))
    };
    let payload = payer.refund(COST);
    let terms = required(&get("?model=persona", None));
    let payment = header(offer(&terms["accepts"], CHAIN, &payload), &payload);
    let unnamed = get("", Some(&payment));
    let body = json!({ "error": {
        "message": "Several models are served here: name one with ?model=.",
        "type": "invalid_request_error",
        "param": "model",
        "code": "missing_required_parameter",
    }});
    assert_eq!(
        whole(&unnamed),
        json!({ "status": 400, "body": body, "terms": null })
    );
    let refunded = get("?model=persona", Some(&payment));
    assert_eq!(refunded.status, 200, "{refunded:?}");
    let response = told(&refunded);
    assert_eq!(refunded.json()["amount"], json!(Amount(2_000 - COST)));
    assert_eq!(refunded.json()["transaction"], response["transaction"]);
    assert_eq!(response["amount"], json!(Amount(2_000 - COST)));
    assert_eq!(market.balance(payer.address()), 10_000 - COST);
    // The voucher is on the chain now, and nothing is left to pay with.
    let again = get("?model=persona", Some(&payment));
    let found = (again.status, again.json()["error"]["param"].clone());
    assert_eq!(found, (402, json!(Reason::RefundClaimed.code())));
    let call = Call::usual();
    let payment = shop.payment(&call, &payer.voucher(COST + QUOTE));
    let found = shop.send(&call, Some(&payment));
    assert_eq!(found.status, 402, "{found:?}");
    assert_eq!(shop.settled().remove(0).charged.0, COST);
    shop.close();
}

#[test]
fn an_exact_payment_whose_call_failed_buys_that_call_alone() {
    let (market, shop, _) = opened();
    let payer = Payer::new(&market, 2, 1_000);
    let broken = Call::chat("a b !fail=0");
    let payment = shop.payment(&broken, &payer.exact(QUOTE, 1));
    let sent = market.sent();
    let failed = shop.send(&broken, Some(&payment));
    let body = json!({ "error": {
        "message": "The model failed while answering; the server's log says why.",
        "type": "server_error",
        "param": null,
        "code": "engine_failed",
    }});
    assert_eq!(
        whole(&failed),
        json!({ "status": 500, "body": body, "terms": null })
    );
    assert_eq!(market.balance(payer.address()), 1_000 - QUOTE);
    // Its signature is on the chain: another call is another payer's, for all that is known.
    let other = Call::usual();
    let found = shop.send(&other, Some(&payment));
    let used = because(&shop, &other, Reason::ExactUsed, None);
    assert_eq!(whole(&found), used);
    // The same one is tried again, also under the same id, and by another process.
    let named = broken.clone().named("mine");
    for _ in 0..2 {
        assert_eq!(shop.send(&named, Some(&payment)).status, 500);
    }
    let setup = Setup {
        engine: Box::new(|engine| wrapped(engine, Arc::new(Mended))),
        ..reopened(&market, shop)
    };
    let shop = Shop::open(&market.runtime, setup);
    let used = because(&shop, &other, Reason::ExactUsed, None);
    assert_eq!(whole(&shop.send(&other, Some(&payment))), used);
    let served = shop.send(&named, Some(&payment));
    assert_eq!((served.status, cost(&served)), (200, QUOTE), "{served:?}");
    let again = shop.send(&named, Some(&payment));
    assert_eq!((again.status, &again.text), (200, &served.text));
    assert_eq!((market.sent() - sent, shop.begun()), (1, 1));
    assert_eq!(market.balance(payer.address()), 1_000 - QUOTE);
    // Now it is used up.
    let found = shop.send(&other, Some(&payment));
    assert_eq!(whole(&found), used);
    let costs = charges(&shop.records());
    let (_, max, costs) = costs.iter().find(|it| it.2.len() == 4).unwrap();
    assert_eq!(
        (*max, costs.as_slice()),
        (QUOTE, [0, 0, 0, QUOTE].as_slice())
    );
    let figures = shop.settled().remove(0);
    assert_eq!((figures.exact.0, figures.exact_charged.0), (QUOTE, QUOTE));
    shop.close();
}

#[test]
fn a_voucher_whose_call_failed_is_good_for_that_call_alone() {
    let (market, shop, payer) = opened();
    let broken = Call::chat("a b !fail=0").named("mine");
    let payment = shop.payment(&broken, &payer.voucher(COST + QUOTE));
    let failed = shop.send(&broken, Some(&payment));
    assert_eq!(failed.status, 500, "{failed:?}");
    assert_eq!(shop.charged(payer.channel()), COST);
    // Another call is led to another total.
    let other = Call::usual();
    let led = required(&shop.send(&other, Some(&payment)));
    assert_eq!(led["error"], Reason::Cumulative.code());
    let offer = led["accepts"][0].clone();
    assert_eq!(offer["amount"], json!(Amount(QUOTE + 1)));
    let told = &offer["extra"]["channelState"]["chargedCumulativeAmount"];
    assert_eq!(*told, json!(Amount(COST + 1)));
    let setup = Setup {
        engine: Box::new(|engine| wrapped(engine, Arc::new(Mended))),
        ..reopened(&market, shop)
    };
    let shop = Shop::open(&market.runtime, setup);
    let served = shop.send(&broken, Some(&payment));
    assert_eq!((served.status, cost(&served)), (200, QUOTE), "{served:?}");
    // What this one has left for the next is a total that was used.
    let served = shop.send(
        &other,
        Some(&shop.payment(&other, &payer.voucher(COST + 2 * QUOTE))),
    );
    assert_eq!((served.status, cost(&served)), (200, COST), "{served:?}");
    assert_eq!(shop.charged(payer.channel()), 2 * COST + QUOTE);
    shop.close();
}

/// Answers that do not fail any more.
struct Mended;

#[async_trait::async_trait]
impl EngineChange for Mended {
    async fn generate(
        &self,
        inner: &dyn Engine,
        prompt: Prompt,
        sampling: SamplingParams,
    ) -> Result<GenerationStream, EngineError> {
        let Prompt::Chat(mut messages) = prompt else {
            return inner.generate(prompt, sampling).await;
        };
        for message in &mut messages {
            message.content = message.content.replace("!fail=0", "!end=3");
        }
        inner.generate(Prompt::Chat(messages), sampling).await
    }
}

#[test]
fn what_a_call_left_of_its_voucher_buys_nothing() {
    let (_market, shop, payer) = opened();
    // What the first leaves of its quote is just what the second may cost.
    let first = Call::chat("a b !end=1");
    let second = Call::chat("a b c d e f g h").with(json!({ "max_tokens": 1 }));
    let voucher = payer.voucher(COST + QUOTE);
    let payments = [&first, &second].map(|call| shop.payment(call, &voucher));
    let served = shop.send(&first, Some(&payments[0]));
    assert_eq!((served.status, cost(&served)), (200, 150), "{served:?}");
    let begun = shop.begun();
    let led = required(&shop.send(&second, Some(&payments[1])));
    assert_eq!(led["error"], Reason::Cumulative.code());
    assert_eq!(led["accepts"][0]["amount"], json!(Amount(201)));
    let again = shop.send(&first, Some(&payments[0]));
    assert_eq!((again.status, &again.text), (200, &served.text));
    assert_eq!(shop.begun(), begun);
    assert_eq!(shop.charged(payer.channel()), COST + 150);
    let next = payer.voucher(COST + QUOTE + 1);
    let reply = shop.send(&second, Some(&header(&led["accepts"][0], &next)));
    assert_eq!((reply.status, cost(&reply)), (200, 200), "{reply:?}");
    assert_eq!(shop.charged(payer.channel()), COST + QUOTE);
    shop.settled();
    shop.close();
}
