//! Strangers who know the chain, the server's address and, at worst, what a payer asked: they spend
//! nothing of a payer's, close no channel of one, and are told nothing of either.

use std::time::Duration;

use alloy::{
    primitives::{Bytes, hex},
    sol_types::SolCall,
};
use futures::future::join_all;
use openlora_chain::registry::{BatchSettlementEscrow as Escrow, VoucherClaim};
use openlora_contracts::ESCROW;
use openlora_core::Amount;
use openlora_journal::{Journal, SqliteStore};
use openlora_ledger::{
    CallWork, ChannelKey, ChannelView, CheckedPayment, Ledger, PaymentScheme,
    event::{CallKind, ChannelObserved, ChannelOpened, Event, FinishReason, TokenUsage},
};
use openlora_payments::x402::{
    Reason, SponsorRules,
    wire::{BatchPayload, SchemePayload, Voucher, VoucherAction},
};
use serde_json::{Value, json};

use super::shop::{
    CHAIN, CHAT, COST, Call, PRICES, Payer, QUOTE, Setup, Shop, cost, offer, required, token,
};
use crate::{
    serve_support::{Reply, reply},
    settlement_support::Market,
    x402_support::{RULES, header},
};

/// What the calldata of claims tells everybody.
fn published(market: &Market) -> Vec<VoucherClaim> {
    let rpc = &market.rpc;
    let head = rpc.ok("eth_blockNumber", json!([]));
    let head = u64::from_str_radix(&head.as_str().unwrap()[2..], 16).unwrap();
    let mut found = Vec::new();
    for number in 0..=head {
        let block = json!([format!("0x{number:x}"), true]);
        let block = rpc.ok("eth_getBlockByNumber", block);
        for tx in block["transactions"].as_array().unwrap() {
            let to = tx["to"].as_str().unwrap_or_default();
            if !to.eq_ignore_ascii_case(&ESCROW.to_string()) {
                continue;
            }
            let data = hex::decode(tx["input"].as_str().unwrap()).unwrap();
            let parts = match Escrow::multicallCall::abi_decode(&data) {
                Ok(all) => all.data,
                Err(_) => vec![data.into()],
            };
            let claims = parts
                .iter()
                .filter_map(|it| Escrow::claimCall::abi_decode(it).ok());
            found.extend(claims.flat_map(|it| it.voucherClaims));
        }
    }
    found
}

/// A voucher as a stranger who found it presents it.
fn found(payer: &Payer, max: u128, signature: Bytes, deed: VoucherAction) -> Value {
    let batch = BatchPayload {
        config: payer.config.clone().into(),
        voucher: Voucher {
            channel_id: payer.channel(),
            max_claimable_amount: Amount(max),
            signature,
        },
        action: deed,
    };
    serde_json::to_value(SchemePayload::Batch(Box::new(batch))).unwrap()
}

fn words(count: usize) -> String {
    vec!["w"; count].join(" ")
}

/// Calls of several routes and adapters whose price is 500.
fn priced_500() -> Vec<Call> {
    let text = |count: usize, tokens: u64| Call {
        path: "/v1/completions",
        body: json!({ "model": "persona", "prompt": words(count), "max_tokens": tokens }),
        id: None,
    };
    let chat = Call::chat(&words(8)).with(json!({ "max_tokens": 4 }));
    let classify = Call {
        path: "/v1/classify",
        body: json!({ "model": "filter", "input": "x" }),
        id: None,
    };
    vec![chat, text(10, 4), text(20, 3), classify]
}

/// Nothing of a channel stands in an answer.
#[track_caller]
fn told_nothing(reply: &Reply) {
    let terms = required(reply);
    for offer in terms["accepts"].as_array().unwrap() {
        let extra = &offer["extra"];
        assert_eq!(
            (&extra["channelState"], &extra["voucherState"]),
            (&Value::Null, &Value::Null)
        );
    }
}

#[test]
fn a_claimed_voucher_is_worth_nothing_to_strangers() {
    let market = Market::embedded();
    let shop = Shop::of(&market);
    let payer = Payer::new(&market, 1, 10_000);
    // It allows 750 and costs 250: 500 are left.
    let first = Call::usual().with(json!({ "max_tokens": 7 }));
    let paid = shop.buys(&first, &payer.deposit(750, 5_000));
    assert_eq!(cost(&paid), COST);
    shop.settled();
    let claims = published(&market);
    assert_eq!(claims.len(), 1);
    let claim = &claims[0];
    assert_eq!(
        (claim.voucher.maxClaimableAmount, claim.totalClaimed),
        (750, COST)
    );
    let stolen = found(&payer, 750, claim.signature.clone(), VoucherAction::Voucher);
    let calls = priced_500();
    for call in &calls {
        assert_eq!(
            shop.required(call)["accepts"][0]["amount"],
            "500",
            "{call:?}"
        );
    }
    let mut shop = shop;
    // Also after a restart.
    for round in 0..2 {
        let begun = shop.begun();
        let payments: Vec<String> = calls
            .iter()
            .map(|call| shop.payment(call, &stolen))
            .collect();
        let all = calls.iter().zip(&payments);
        let all = all.flat_map(|pair| [pair; 4]);
        let race = all.map(|(call, payment)| shop.ask(call, Some(payment)));
        let answers = shop.wait(join_all(race));
        for answer in answers {
            let answer = answer.unwrap();
            assert_eq!(
                required(&answer)["error"],
                Reason::Cumulative.code(),
                "{answer:?}"
            );
        }
        assert_eq!(
            (shop.begun(), shop.charged(payer.channel())),
            (begun, COST),
            "{round}"
        );
        shop.close();
        shop = Shop::of(&market);
    }
    // With a deposit of the stranger's own beside it, it is no better.
    let rich = Payer::new(&market, 2, 10_000);
    let mut helped = rich.deposit(750, 2_000);
    helped["channelConfig"] = stolen["channelConfig"].clone();
    helped["voucher"] = stolen["voucher"].clone();
    let refused = shop.send(&calls[0], Some(&shop.payment(&calls[0], &helped)));
    assert_eq!(refused.status, 402, "{refused:?}");
    // Its payer goes on, with a total that the stranger's attempts have not moved.
    shop.buys(&Call::usual(), &payer.voucher(COST + QUOTE));
    assert_eq!(shop.charged(payer.channel()), 2 * COST);
    shop.settled();
    shop.close();
}

#[test]
fn strangers_are_told_nothing_of_channels() {
    let market = Market::embedded();
    let shop = Shop::of(&market);
    let payer = Payer::new(&market, 1, 10_000);
    shop.buys(&Call::usual(), &payer.deposit(QUOTE, 5_000));
    let call = Call::usual();
    let other = Payer::new(&market, 2, 10);
    for max in [0, 1, COST, QUOTE, COST + QUOTE] {
        for signature in [Bytes::from_static(&[0]), other.voucher_signature(max)] {
            let asked = found(&payer, max, signature.clone(), VoucherAction::Voucher);
            told_nothing(&shop.send(&call, Some(&shop.payment(&call, &asked))));
            let deed = VoucherAction::Refund { amount: None };
            let asked = found(&payer, max, signature, deed);
            told_nothing(&refund(&shop, &asked));
        }
    }
    shop.close();
}

/// The same voucher, for a call.
fn pays(refund: &Value) -> Value {
    let mut voucher = refund.clone();
    voucher["type"] = json!("voucher");
    voucher
}

#[test]
fn a_voucher_from_calldata_is_worth_nothing_above_what_was_claimed_with_it() {
    let market = Market::embedded();
    let mut shop = Shop::of(&market);
    let payer = Payer::new(&market, 1, 10_000);
    // It allows 750, and 250 are claimed with it.
    let first = Call::usual().with(json!({ "max_tokens": 7 }));
    let paid = shop.payment(&first, &payer.deposit(750, 5_000));
    assert_eq!(cost(&shop.send(&first, Some(&paid))), COST);
    let own = shop.payment(&first, &payer.voucher(750));
    assert_eq!(shop.send(&first, Some(&own)).status, 200);
    shop.settled();
    let claim = published(&market).remove(0);
    let taken = |deed| found(&payer, 750, claim.signature.clone(), deed);
    let (stolen, close) = (
        taken(VoucherAction::Voucher),
        taken(VoucherAction::Refund { amount: None }),
    );
    let classify = |text: &str| Call {
        path: "/v1/classify",
        body: json!({ "model": "filter", "input": text }),
        id: None,
    };
    // No answer for a guess, no refund, and no voucher of the payer's; also after a restart, and
    // when the payer's newest voucher is for exactly what is charged.
    let mut charged = COST;
    for round in 0..2 {
        for call in [&first, &classify("z")] {
            let begun = shop.begun();
            let refused = shop.send(call, Some(&shop.payment(call, &stolen)));
            let told = required(&refused);
            assert_eq!(told["error"], Reason::Cumulative.code(), "{round} {call:?}");
            assert_eq!(told["accepts"][0]["extra"]["voucherState"], Value::Null);
            assert_eq!(shop.begun(), begun);
        }
        let refused = required(&refund(&shop, &close));
        assert_eq!(refused["accepts"][0]["extra"]["voucherState"], Value::Null);
        let (next, price, cost) = match round {
            0 => (Call::usual(), QUOTE, COST),
            _ => (classify("x"), 500, 500),
        };
        shop.buys(&next, &payer.voucher(charged + price));
        charged += cost;
        shop.close();
        shop = Shop::of(&market);
    }
    let sent = market.sent();
    let refused = shop.send(&first, Some(&shop.payment(&first, &stolen)));
    let told = required(&refused);
    assert_eq!(told["accepts"][0]["extra"]["voucherState"], Value::Null);
    assert_eq!(market.sent(), sent);
    // A journal of before, which names no vouchers, says the same.
    let mut old = Ledger::default();
    for record in shop.records() {
        if !matches!(record.event, Event::VouchersPublished(_)) {
            old.apply(&record.event);
        }
    }
    for book in [old, shop.book()] {
        let channel = book.channels.values().next().unwrap();
        assert_eq!(channel.published(), Amount(750));
    }
    // Its payer's newest voucher was never published: it is told of it, and closes the channel.
    let mine = shop.send(&first, Some(&shop.payment(&first, &payer.voucher(charged))));
    let newest = required(&mine)["accepts"][0]["extra"]["voucherState"].clone();
    assert_eq!(newest["signedMaxClaimable"], charged.to_string());
    let refunded = refund(&shop, &payer.refund(charged));
    assert_eq!(refunded.status, 200, "{refunded:?}");
    shop.settled();
    shop.close();
}

fn refund(shop: &Shop, payload: &Value) -> Reply {
    shop.wait(refunding(shop, payload))
}

async fn refunding(shop: &Shop, payload: &Value) -> Reply {
    let url = shop.server.url(&format!("{CHAT}?model=persona"));
    let terms = required(&reply(shop.server.client.get(&url)).await);
    let payment = header(offer(&terms["accepts"], CHAIN, payload), payload);
    reply(
        shop.server
            .client
            .get(&url)
            .header("payment-signature", payment),
    )
    .await
}

#[test]
fn a_stranger_closes_no_channel_that_is_in_use() {
    let market = Market::embedded();
    let setup = Setup {
        rules: SponsorRules {
            refund_pause: Duration::from_secs(2),
            ..RULES
        },
        ..Setup::of(&market)
    };
    let shop = Shop::open(&market.runtime, setup);
    // Every call costs all that it may: vouchers are for what is charged.
    let call = |text: &str| Call {
        path: "/v1/classify",
        body: json!({ "model": "filter", "input": text }),
        id: None,
    };
    let payers: Vec<Payer> = (1..4).map(|it| Payer::new(&market, it, 10_000)).collect();
    for payer in &payers {
        shop.buys(&call("x"), &payer.deposit(500, 5_000));
    }
    shop.settled();
    let claims = published(&market);
    assert_eq!(claims.len(), 3);
    let sent = market.sent();
    let strangers = payers.iter().map(|payer| {
        let claim = claims
            .iter()
            .find(|it| openlora_core::Address::from(it.voucher.channel.payer) == payer.address());
        let deed = VoucherAction::Refund { amount: None };
        found(payer, 500, claim.unwrap().signature.clone(), deed)
    });
    let strangers: Vec<Value> = strangers.collect();
    for stolen in &strangers {
        let refused = refund(&shop, stolen);
        assert_eq!(required(&refused)["error"], Reason::RefundClaimed.code());
        told_nothing(&refused);
        // One for less is told where the channel stands, and no voucher that is above it.
        let terms = shop.send(&call("y"), Some(&shop.payment(&call("y"), &pays(stolen))));
        let offer = required(&terms)["accepts"][0].clone();
        assert_eq!(offer["extra"]["voucherState"], Value::Null);
    }
    for payer in &payers {
        shop.buys(&call("y"), &payer.voucher(1_000));
    }
    assert_eq!(market.sent(), sent);
    shop.settled();
    shop.close();
}

#[test]
fn request_ids_are_their_payers_own() {
    let market = Market::embedded();
    let shop = Shop::of(&market);
    let [first, second] = [1, 2].map(|it| Payer::new(&market, it, 10_000));
    let call = Call::usual().named("the-same");
    let mine = shop.buys(&call, &first.deposit(QUOTE, 2_000));
    // The id and the whole request give nobody the answer without a payment.
    let unpaid = shop.send(&call, None);
    assert_eq!(required(&unpaid)["error"], Reason::PaymentRequired.code());
    // Another payer's same id is another call, which that payer pays; so is it with another body.
    let theirs = shop.buys(&call, &second.deposit(QUOTE, 2_000));
    assert_eq!(theirs.header("x-openlora-replayed"), None);
    assert_ne!(mine.json()["id"], theirs.json()["id"]);
    let other = Call::chat("b a !end=2").named("the-same");
    let once = Payer::new(&market, 3, 1_000);
    shop.buys(&other, &once.exact(QUOTE, 1));
    let charged = [&first, &second].map(|payer| shop.charged(payer.channel()));
    assert_eq!((charged, shop.begun()), ([COST, COST], 3));
    // The payer's own repeat is known again, by whatever payment it could make, and costs nothing.
    let again = shop.buys(&call, &first.voucher(COST + QUOTE));
    assert_eq!(
        (&again.text, again.header("x-openlora-replayed")),
        (&mine.text, Some("true"))
    );
    let mixed = shop.send(
        &other,
        Some(&shop.payment(&other, &first.voucher(COST + QUOTE))),
    );
    assert_eq!(
        (mixed.status, &mixed.json()["error"]["code"]),
        (422, &json!("idempotency_mismatch"))
    );
    assert_eq!((shop.charged(first.channel()), shop.begun()), (COST, 3));
    // A payment that could not be made tells nothing of the id.
    let poor = shop.send(&call, Some(&shop.payment(&call, &first.voucher(1))));
    assert_eq!(poor.status, 402, "{poor:?}");

    // Receipts are found by what the answer says, and by nothing that others know.
    for (reply, paid) in [(&mine, COST), (&theirs, COST)] {
        let id = reply.json()["id"].as_str().unwrap().to_owned();
        let receipt = shop.wait(shop.server.get(&format!("/v1/receipts/{id}")));
        assert_eq!(
            (receipt.status, receipt.json()["paid"].clone()),
            (200, json!(Amount(paid)))
        );
    }
    let named = shop.wait(shop.server.get("/v1/receipts/the-same"));
    assert_eq!(named.status, 404, "{named:?}");
    shop.close();
    // So it is for the next process.
    let shop = Shop::of(&market);
    let again = shop.buys(&call, &first.voucher(COST + QUOTE));
    assert_eq!((&again.text, shop.begun()), (&mine.text, 0));
    shop.settled();
    shop.close();
}

#[test]
fn who_signs_for_another_payer_is_somebody_else() {
    let market = Market::embedded();
    let shop = Shop::of(&market);
    let victim = Payer::new(&market, 1, 10_000);
    let call = Call::usual().named("the-same");
    let theirs = shop.buys(&call, &victim.deposit(QUOTE, 2_000));
    // A channel of the victim's by name, whose vouchers a stranger signs, has money in it.
    let mut posing = Payer::new(&market, 2, 10_000);
    posing.config.payer = victim.address();
    victim.fills_for(&market, &posing.config, 2_000);
    let mine = shop.buys(&call, &posing.voucher(QUOTE));
    assert_eq!(mine.header("x-openlora-replayed"), None);
    assert_ne!(mine.json()["id"], theirs.json()["id"]);
    assert_eq!((shop.charged(posing.channel()), shop.begun()), (COST, 2));
    // Whoever is told of an id is told their own.
    let other = Call::chat("b a !end=2").named("the-same");
    let payment = shop.payment(&other, &posing.voucher(COST + QUOTE));
    let mixed = shop.send(&other, Some(&payment));
    let message = mixed.json()["error"]["message"].clone();
    assert_eq!(mixed.status, 422, "{mixed:?}");
    assert_eq!(
        message,
        "Request id 'the-same' was used before with a different request; take a new id."
    );
    shop.close();
}

#[test]
fn a_claimed_voucher_and_a_guess_fetch_no_answer() {
    let market = Market::embedded();
    let shop = Shop::of(&market);
    let payer = Payer::new(&market, 1, 10_000);
    let call = Call {
        path: "/v1/classify",
        body: json!({ "model": "filter", "input": "x" }),
        id: None,
    };
    let paid = shop.payment(&call, &payer.deposit(500, 5_000));
    let first = shop.send(&call, Some(&paid));
    assert_eq!(first.status, 200, "{first:?}");
    let voucher = shop.payment(&call, &payer.voucher(500));
    let again = shop.send(&call, Some(&voucher));
    assert_eq!((again.status, &again.text), (200, &first.text));
    shop.settled();
    let guessed = shop.send(&call, Some(&voucher));
    let told = required(&guessed);
    assert_eq!(told["error"], Reason::Cumulative.code());
    assert_eq!(told["accepts"][0]["extra"]["voucherState"], Value::Null);
    assert_eq!((shop.begun(), shop.charged(payer.channel())), (1, 500));
    shop.close();
}

/// A journal that was written when ids were as payers chose them.
fn old_journal(market: &Market, payer: &Payer) {
    let path = market.dir.path().join("shop.sqlite");
    let store = Box::new(SqliteStore::open(&path).unwrap());
    let now = || 1_700_000_000_000;
    let journal = Journal::start(store, Box::new(now)).unwrap();
    let config = payer.config.clone();
    let key = ChannelKey {
        chain_id: CHAIN,
        channel: payer.channel(),
    };
    let payment = CheckedPayment {
        scheme: PaymentScheme::BatchSettlement,
        chain_id: CHAIN,
        token: token(),
        receiver: config.receiver,
        payer: config.payer,
        id: payer.channel(),
        before: Amount::ZERO,
        quote: Amount(750),
        signature: hex::encode_prefixed(payer.voucher_signature(750)),
        prices: PRICES,
        work: CallWork::Tokens {
            prompt: 5,
            completion: 7,
        },
        collected: false,
        party: None,
    };
    let usage = TokenUsage {
        prompt_tokens: 5,
        completion_tokens: 2,
    };
    let charge = payment.charge(usage, FinishReason::Stop);
    let (adapter, adapter_digest) = ("persona".to_owned(), "persona0digest".to_owned());
    let view = ChannelView {
        balance: Amount(5_000),
        ..ChannelView::default()
    };
    let events = [
        Event::ChannelOpened(Box::new(ChannelOpened { key, config })),
        Event::ChannelObserved(Box::new(ChannelObserved { key, view })),
        Event::CallReserved {
            request_id: "one".into(),
            session: "old".into(),
            adapter: adapter.clone(),
            adapter_digest: adapter_digest.clone(),
            kind: CallKind::Chat,
            prompt_tokens: 5,
            request_hash: "00".into(),
            payment: Some(Box::new(payment)),
        },
        Event::CallMetered {
            request_id: "one".into(),
            adapter,
            adapter_digest,
            kind: CallKind::Chat,
            usage,
            finish: FinishReason::Stop,
            milliseconds: 1,
            first_token_milliseconds: None,
            request_hash: "00".into(),
            response_hash: "00".into(),
            charge: Some(Box::new(charge)),
            computation: None,
        },
    ];
    market.runtime.block_on(async {
        for event in events {
            journal.append(event).await.unwrap();
        }
    });
}

#[test]
fn a_journal_of_before_keeps_its_vouchers_to_their_calls() {
    let market = Market::embedded();
    let payer = Payer::new(&market, 1, 10_000);
    payer.fills(&market, 5_000);
    old_journal(&market, &payer);
    let shop = Shop::of(&market);
    assert_eq!(shop.charged(payer.channel()), COST);
    // Whoever guesses an old id learns nothing of its payer.
    let receipt = shop.wait(shop.server.get("/v1/receipts/one"));
    assert_eq!(receipt.status, 404, "{receipt:?}");
    let attributed = shop.wait(shop.server.get("/v1/attributions/one"));
    assert_eq!(attributed.status, 404, "{attributed:?}");
    let stolen = payer.voucher(750);
    for call in priced_500() {
        let refused = shop.send(&call, Some(&shop.payment(&call, &stolen)));
        assert_eq!(refused.status, 402, "{refused:?}");
    }
    assert_eq!((shop.begun(), shop.charged(payer.channel())), (0, COST));
    shop.buys(&Call::usual(), &payer.voucher(COST + QUOTE));
    assert_eq!(shop.charged(payer.channel()), 2 * COST);
    shop.close();
}
