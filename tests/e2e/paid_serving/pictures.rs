//! Pictures that are paid for: the price in the terms is charged once all of them are encoded, a failed
//! call and a refused prompt cost nothing, and a repeated one runs nothing.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use openlora_engine::Engine;
use openlora_ledger::event::{Event, FinishReason};
use openlora_serve::{prompt_filter::PromptFilter, response_hash::response_hash};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::shop::{Call, PRICES, Payer, Setup, Shop, cost};
use crate::{serve_support::Reply, settlement_support::Market, tiny_pictures::SteeredPictures};

const FUNDS: u128 = 1_000_000;
const DEPOSIT: u128 = 100_000;

/// A shop whose first adapter, `persona`, makes pictures.
struct PictureShop {
    market: Market,
    shop: Shop,
    /// Pictures that were begun.
    begun: Arc<AtomicUsize>,
}

impl PictureShop {
    fn open(filter: Option<PromptFilter>) -> Self {
        let market = Market::embedded();
        let begun = Arc::new(AtomicUsize::new(0));
        let (counted, seen) = (Arc::clone(&begun), AtomicUsize::new(0));
        let steps = Arc::new(Semaphore::new(0));
        let around = move |engine: Arc<dyn Engine>| -> Arc<dyn Engine> {
            match seen.fetch_add(1, Ordering::SeqCst) {
                0 => Arc::new(SteeredPictures::new(&steps, &counted)),
                _ => engine,
            }
        };
        let setup = Setup {
            engine: Box::new(around),
            prompt_filter: filter,
            ..Setup::of(&market)
        };
        let shop = Shop::open(&market.runtime, setup);
        Self {
            market,
            shop,
            begun,
        }
    }

    fn begun(&self) -> usize {
        self.begun.load(Ordering::SeqCst)
    }

    fn charged(&self, payer: &Payer) -> u128 {
        self.shop.charged(payer.channel())
    }
}

fn pictures(prompt: &str, count: u64) -> Call {
    Call {
        path: "/v1/images/generations",
        body: json!({ "model": "persona", "prompt": prompt, "n": count, "seed": 1 }),
        id: None,
    }
}

fn files(reply: &Reply) -> Vec<Vec<u8>> {
    let answer = reply.json();
    let items = answer["data"].as_array().unwrap();
    let file = |item: &Value| STANDARD.decode(item["b64_json"].as_str().unwrap()).unwrap();
    items.iter().map(file).collect()
}

#[test]
fn pictures_cost_what_their_terms_say() {
    let it = PictureShop::open(None);
    let payer = Payer::new(&it.market, 1, FUNDS);
    let call = pictures("a red circle", 3);
    let price = 3 * PRICES.image.0;
    let offers = it.shop.required(&call)["accepts"].clone();
    for offer in offers.as_array().unwrap() {
        assert_eq!(offer["amount"], price.to_string(), "{offer}");
    }
    let reply = it.shop.buys(&call, &payer.deposit(price, DEPOSIT));
    assert_eq!((files(&reply).len(), cost(&reply)), (3, price));
    assert_eq!(it.charged(&payer), price);
    let id = reply.json()["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/receipts/{id}");
    let receipt = it.shop.wait(it.shop.server.get(&path)).json();
    assert_eq!(receipt["paid"], price.to_string());
    let answer = reply.json();
    let items = answer["data"].as_array().unwrap().iter();
    let digests: Vec<&Value> = items.map(|item| &item["sha256"]).collect();
    assert_eq!(
        receipt["computation"]["pictures"]["digests"],
        json!(digests)
    );
    // The receipt stands for the files one after the other.
    let key = receipt["response_key"].as_str().unwrap();
    let hash = response_hash(key, files(&reply).concat()).unwrap();
    assert_eq!(receipt["response_hash"], hash);
    it.shop.settled();
    it.shop.close();
}

#[test]
fn one_transfer_pays_a_picture() {
    let it = PictureShop::open(None);
    let payer = Payer::new(&it.market, 1, FUNDS);
    let call = pictures("a red circle", 1);
    let payload = payer.exact(PRICES.image.0, 1);
    let reply = it.shop.buys(&call, &payload);
    assert_eq!(files(&reply).len(), 1);
    it.shop.close();
}

#[test]
fn a_repeated_payment_gets_the_same_pictures_and_runs_nothing() {
    let it = PictureShop::open(None);
    let payer = Payer::new(&it.market, 1, FUNDS);
    let call = pictures("a red circle", 2).named("again");
    let price = 2 * PRICES.image.0;
    let payment = it.shop.payment(&call, &payer.deposit(price, DEPOSIT));
    let first = it.shop.send(&call, Some(&payment));
    assert_eq!((first.status, it.begun()), (200, 2), "{first:?}");
    for _ in 0..2 {
        let again = it.shop.send(&call, Some(&payment));
        assert_eq!((again.status, &again.text), (200, &first.text));
        assert_eq!(again.header("x-openlora-replayed"), Some("true"));
    }
    assert_eq!((it.begun(), it.charged(&payer)), (2, price));
    it.shop.close();
}

#[test]
fn a_failed_picture_costs_nothing_and_its_payment_buys_another() {
    let it = PictureShop::open(None);
    let payer = Payer::new(&it.market, 1, FUNDS);
    // The first of two pictures succeeds, the second fails.
    let call = pictures("!fail now", 2);
    let price = 2 * PRICES.image.0;
    let payment = it.shop.payment(&call, &payer.deposit(price, DEPOSIT));
    let failed = it.shop.send(&call, Some(&payment));
    assert_eq!((failed.status, it.begun()), (500, 2), "{failed:?}");
    assert!(!failed.text.contains("b64_json"), "{failed:?}");
    assert_eq!(it.charged(&payer), 0);
    let one = pictures("!fail now", 1);
    let bought = it.shop.buys(&one, &payer.voucher(PRICES.image.0));
    assert_eq!(cost(&bought), PRICES.image.0);
    assert_eq!(it.charged(&payer), PRICES.image.0);
    it.shop.close();
}

#[test]
fn a_refused_prompt_costs_nothing() {
    let filter = PromptFilter {
        adapter: "filter".to_owned(),
        labels: vec!["spam".to_owned()],
    };
    let it = PictureShop::open(Some(filter));
    let payer = Payer::new(&it.market, 1, FUNDS);
    let price = PRICES.image.0;
    // Without a payment, no prompt is read: the filter's work is not for free.
    let call = pictures("a spam poster", 1);
    it.shop.required(&call);
    assert_eq!(it.shop.begun(), 0);
    let payment = it.shop.payment(&call, &payer.deposit(price, DEPOSIT));
    let before = it.shop.records().len();
    let refused = it.shop.send(&call, Some(&payment));
    assert_eq!(refused.status, 400, "{refused:?}");
    assert_eq!(refused.json()["error"]["code"], "content_policy_violation");
    // Neither reserved nor charged, and the deposit is not made.
    assert_eq!(it.shop.records().len(), before);
    assert_eq!((it.begun(), it.charged(&payer)), (0, 0));
    let call = pictures("a red circle", 1);
    let bought = it.shop.buys(&call, &payer.deposit(price, DEPOSIT));
    assert_eq!(cost(&bought), price);
    it.shop.close();
}

#[test]
fn a_picture_of_a_server_that_stopped_costs_nothing() {
    let it = PictureShop::open(None);
    let payer = Payer::new(&it.market, 1, FUNDS);
    let call = pictures("a !step circle", 1);
    let price = PRICES.image.0;
    let payment = it.shop.payment(&call, &payer.deposit(price, DEPOSIT));
    let stop = it.shop.server.stop.clone();
    let reply = it.shop.wait(async {
        let asked = it.shop.ask(&call, Some(&payment));
        let hurry = async {
            // The call waits for its permit by then.
            crate::waiting::until("the picture to begin", async || it.begun() == 1).await;
            stop.force_stop.cancel();
        };
        tokio::join!(asked, hurry).0
    });
    let reply = reply.unwrap();
    assert_eq!(reply.status, 503, "{reply:?}");
    let ended = it
        .shop
        .records()
        .into_iter()
        .find_map(|record| match record.event {
            Event::CallMetered { finish, charge, .. } => Some((finish, charge.unwrap().amount.0)),
            _ => None,
        });
    assert_eq!(ended, Some((FinishReason::Failed, 0)));
    assert_eq!(it.charged(&payer), 0);
    it.shop.close();
}
