//! Calls that run at the same time, on one adapter and on several: each is paid, counted and
//! attributed once.

use std::collections::BTreeMap;

use futures::future::join_all;
use openlora_ledger::event::Event;
use openlora_serve::{ServeLimits, response_hash::response_hash};
use serde_json::json;

use super::shop::{CHAT, Call, LIMITS, Payer, Setup, Shop, charges, cost};
use crate::{
    serve_support::{Reply, chat, reply, with},
    settlement_support::Market,
    waiting,
};

/// A call of two tokens that waits before each of them.
fn paced(model: &str) -> Call {
    Call {
        path: CHAT,
        body: with(chat(model, "a b !step !end=2"), json!({ "max_tokens": 3 })),
        id: None,
    }
}

/// What the calls of each adapter are offered for and cost: their instructions have two words and
/// three.
const PERSONA: (u128, u128) = (360, 260);
const FILTER: (u128, u128) = (370, 270);

/// Four of eight calls of `persona` and two of four of `filter` run at once; then the others do.
#[test]
fn parallel_paid_calls_of_one_adapter_and_of_several_are_each_counted_once() {
    let market = Market::embedded();
    let limits = ServeLimits {
        max_concurrent: 6,
        parallel: 4,
        ..LIMITS
    };
    let setup = Setup {
        limits,
        ..Setup::of(&market)
    };
    let shop = Shop::open(&market.runtime, setup);
    let buyer = |index: u64| {
        let (model, (quote, cost)) = match index < 8 {
            true => ("persona", PERSONA),
            false => ("filter", FILTER),
        };
        let payer = Payer::new(&market, index, 10_000);
        let call = paced(model);
        let payment = shop.payment(&call, &payer.deposit(quote, 2_000));
        (payer, model, call, payment, cost)
    };
    let buyers: Vec<_> = (0..12).map(buyer).collect();
    let replies: Vec<Reply> = shop.wait(async {
        let calls = buyers
            .iter()
            .map(|(_, _, call, payment, _)| shop.ask(call, Some(payment)));
        let calls = join_all(calls);
        let release = async {
            waiting::until("six calls to run", async || shop.begun() == 6).await;
            shop.server.steps.add_permits(24);
        };
        let (replies, ()) = tokio::join!(calls, release);
        replies.into_iter().map(Option::unwrap).collect()
    });
    assert_eq!(shop.begun(), 12);
    let mut total = 0;
    for ((payer, model, _, _, price), reply) in buyers.iter().zip(&replies) {
        assert_eq!((reply.status, cost(reply)), (200, *price), "{reply:?}");
        let said = reply.json()["choices"][0]["message"]["content"].clone();
        assert_eq!(said, format!("{model} a"));
        assert_eq!(shop.charged(payer.channel()), *price);
        total += price;
    }
    let rows = charges(&shop.records());
    let mut paid: Vec<Vec<u128>> = rows.into_iter().map(|(_, _, charges)| charges).collect();
    paid.sort_unstable();
    assert_eq!(paid, [vec![vec![260]; 8], vec![vec![270]; 4]].concat());
    let mut counts = BTreeMap::new();
    for record in shop.records() {
        match record.event {
            Event::CallMetered { request_id, .. } => {
                counts.entry(request_id).or_insert((0, 0)).0 += 1
            }
            Event::Attributed(it) => counts.entry(it.request_id).or_insert((0, 0)).1 += 1,
            _ => {}
        }
    }
    assert_eq!(counts.len(), 12);
    // What is not attributed yet will be; nothing is counted or attributed twice.
    assert!(
        counts.values().all(|it| it.0 == 1 && it.1 <= 1),
        "{counts:?}"
    );
    assert_eq!(shop.settled().remove(0).charged.0, total);
    shop.close();
}

/// A payer gets the key that opens its receipt's hash; nobody else does.
#[test]
fn a_payer_can_show_which_text_its_receipt_stands_for() {
    let market = Market::embedded();
    let shop = Shop::of(&market);
    let payer = Payer::new(&market, 1, 10_000);
    let answer = shop.buys(&Call::usual(), &payer.deposit(350, 2_000)).json();
    let said = answer["choices"][0]["message"]["content"].as_str().unwrap();
    let id = answer["id"].as_str().unwrap();
    let url = shop.server.url(&format!("/v1/receipts/{id}"));
    let receipt = shop.wait(reply(shop.server.client.get(url))).json();
    assert_eq!(receipt["computation"]["engine"], "words/1");
    let key = receipt["response_key"].as_str().unwrap();
    let hash = receipt["response_hash"].as_str().unwrap();
    assert_eq!(response_hash(key, said).as_deref(), Some(hash));
    assert_ne!(response_hash(key, "another text").as_deref(), Some(hash));
    let journal = serde_json::to_string(&shop.records()).unwrap();
    assert!(journal.contains(hash));
    assert!(!journal.contains(key));
    shop.close();
}
