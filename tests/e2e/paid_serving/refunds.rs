//! Refunds over HTTP: whoever deposits and asks for it back, again and again, pays for the gas or
//! meets the day's limit.

use openlora_core::Amount;
use openlora_ledger::{SponsorAllowance, SponsoredDeed, event::Event};
use openlora_payments::x402::Reason;
use serde_json::{Value, json};

use super::shop::{CHAIN, CHAT, COST, Call, Payer, QUOTE, Setup, Shop, offer, required};
use crate::{
    deploy_support::A1,
    keys::{KEY, OWN, OWN_KEY},
    serve_support::{Reply, operator_client, reply},
    settlement_support::Market,
    x402_cashier::extended,
    x402_support::header,
};

/// Fresh keys that come, one after the other.
const KEYS: u64 = 200;
/// What a coin of the chain is worth, in base units of a token with six decimals.
const COIN: u128 = 2_500_000_000;
const WHOLE_COIN: u128 = 1_000_000_000_000_000_000;

fn wei(market: &Market, method: &str, parameters: Value) -> u128 {
    let found = market.rpc.ok(method, parameters);
    let digits = found.as_str().unwrap().trim_start_matches("0x");
    u128::from_str_radix(digits, 16).unwrap()
}

fn held(market: &Market) -> u128 {
    wei(market, "eth_getBalance", json!([OWN, "latest"]))
}

/// Asks for all that is left, by a request that its payer signs where there is a fee for it.
fn refund(shop: &Shop, payer: &Payer, charged: u128, fee: Option<u128>) -> Reply {
    let url = shop.server.url(&format!("{CHAT}?model=persona"));
    let payload = payer.refund(charged);
    shop.wait(async {
        let terms = required(&reply(shop.server.client.get(&url)).await);
        let mut payment = header(offer(&terms["accepts"], CHAIN, &payload), &payload);
        if let Some(fee) = fee {
            payment = extended(&payment, &payer.refund_request(0, charged, fee));
        }
        let asked = shop.server.client.get(&url);
        reply(asked.header("payment-signature", payment)).await
    })
}

/// What the server's refunds cost it, in wei.
fn cost_of_refunds(shop: &Shop) -> u128 {
    let mut refunds = Vec::new();
    let mut cost = 0;
    for record in shop.records() {
        match record.event {
            Event::TransactionIntended(intent) => {
                let asked = intent.sponsored.as_ref().map(|it| it.deed);
                if asked == Some(SponsoredDeed::SignedRefund) {
                    refunds.push(intent.tx);
                }
            }
            Event::TransactionConfirmed {
                tx, fee: Some(fee), ..
            } if refunds.contains(&tx) => cost += fee.0,
            _ => {}
        }
    }
    assert_eq!(refunds.len() as u64, KEYS);
    cost
}

#[test]
fn deposits_and_refunds_in_turn_pay_for_the_refunds_gas() {
    let market = Market::embedded();
    // As who sells would set it: what a refund usually takes, at today's prices.
    let gas_price = wei(&market, "eth_gasPrice", json!([]));
    let fee = (gas_price * 150_000 * COIN).div_ceil(WHOLE_COIN);
    let setup = Setup {
        refund_fee: Amount(fee),
        ..Setup::of(&market)
    };
    let shop = Shop::open(&market.runtime, setup);
    let put_in = 2 * fee + 5_000;
    for number in 1..=KEYS {
        let payer = Payer::new(&market, number, put_in);
        shop.buys(&Call::usual(), &payer.deposit(QUOTE, put_in));
        let refunded = refund(&shop, &payer, COST, Some(fee));
        assert_eq!(refunded.status, 200, "{refunded:?}");
        let back = market.balance(payer.address());
        assert_eq!(back, put_in - COST - fee, "of payer {number}");
    }
    // The fees have arrived beside what calls have cost, and are worth the gas.
    let figures = shop.audited();
    let fees: u128 = figures.iter().map(|it| it.refund_fees.0).sum();
    let calls: u128 = figures.iter().map(|it| it.charged.0).sum();
    let claimed: u128 = figures.iter().map(|it| it.claimed.0).sum();
    let keys = u128::from(KEYS);
    assert_eq!(
        (fees, calls, claimed),
        (keys * fee, keys * COST, keys * (fee + COST))
    );
    let cost = (cost_of_refunds(&shop) * COIN).div_ceil(WHOLE_COIN);
    assert!(fees >= cost, "{fees} of fees, and refunds cost {cost}");
    shop.close();
}

#[test]
fn channels_of_an_earlier_account_or_release_are_refunded() {
    let market = Market::embedded();
    let first = Shop::of(&market);
    let payers: Vec<Payer> = (1..=3).map(|at| Payer::new(&market, at, 3_000)).collect();
    for payer in &payers {
        first.buys(&Call::usual(), &payer.deposit(QUOTE, 3_000));
    }
    first.close();
    let path = market.dir.path().join("shop.sqlite");
    let of_other = |earlier: Vec<&'static str>, splitter| Setup {
        key: KEY,
        earlier,
        ..Setup::at(&path, market.network(market.chain.url()), splitter)
    };
    // The key of the account that the channels name is not at hand.
    let shop = Shop::open(&market.runtime, of_other(vec![], market.splitter));
    let refused = refund(&shop, &payers[0], COST, None);
    let reason = Reason::ReceiverAuthorizer;
    assert_eq!(
        (refused.status, &refused.json()["error"]["param"]),
        (402, &json!(reason.code()))
    );
    assert_eq!(market.balance(payers[0].address()), 0);
    shop.close();
    let shop = Shop::open(&market.runtime, of_other(vec![OWN_KEY], market.splitter));
    let refunded = refund(&shop, &payers[0], COST, None);
    assert_eq!(refunded.status, 200, "{refunded:?}");
    assert_eq!(market.balance(payers[0].address()), 3_000 - COST);
    // No call is paid from it: that account does not serve.
    let payment = shop.payment(&Call::usual(), &payers[1].voucher(COST + QUOTE));
    let unpaid = shop.send(&Call::usual(), Some(&payment));
    assert_eq!(
        (unpaid.status, &unpaid.json()["error"]["param"]),
        (402, &json!(reason.code()))
    );
    shop.close();
    // The splitter of another release, and the account that the channels name.
    let elsewhere = A1.parse().unwrap();
    for (payer, key, earlier) in [
        (&payers[1], KEY, vec![OWN_KEY]),
        (&payers[2], OWN_KEY, vec![]),
    ] {
        let setup = Setup {
            key,
            ..of_other(earlier, elsewhere)
        };
        let shop = Shop::open(&market.runtime, setup);
        let refunded = refund(&shop, payer, COST, None);
        assert_eq!(refunded.status, 200, "{refunded:?}");
        assert_eq!(market.balance(payer.address()), 3_000 - COST);
        shop.close();
    }
}

#[test]
fn strangers_cannot_spend_more_gas_than_the_days_budget() {
    let market = Market::embedded();
    let gas_price = wei(&market, "eth_gasPrice", json!([]));
    let budget = Amount(gas_price * 150_000 * 40);
    let setup = || Setup {
        allowance: SponsorAllowance {
            gas_budget: Some(budget),
            deposits_daily: 100,
            refunds_daily: 4,
            unsigned_refunds_daily: 1,
            ..SponsorAllowance::UNLIMITED
        },
        ..Setup::of(&market)
    };
    let shop = Shop::open(&market.runtime, setup());
    let regular = Payer::new(&market, 5_000, 100_000);
    shop.buys(&Call::usual(), &regular.deposit(QUOTE, 100_000));
    let before = held(&market);
    let cycle = |shop: &Shop, number: u64| {
        let payer = Payer::new(&market, number, 5_000);
        let call = Call::usual();
        let payment = shop.payment(&call, &payer.deposit(QUOTE, 5_000));
        let bought = shop.send(&call, Some(&payment));
        match bought.status {
            200 => refund(shop, &payer, COST, None),
            _ => bought,
        }
    };
    let stopped = |reply: &Reply| {
        assert_eq!(reply.status, 503, "{reply:?}");
        assert_eq!(reply.json()["error"]["code"], "gas_budget_spent");
        let after: u64 = reply.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=86_400).contains(&after));
    };
    let mut served = 0;
    for number in 1..=KEYS {
        let reply = cycle(&shop, number);
        if reply.status == 200 {
            served += 1;
        } else {
            stopped(&reply);
        }
    }
    assert!((5..KEYS).contains(&served), "{served}");
    assert!(before - held(&market) <= budget.0);
    // Who has a channel is served, and whoever runs the server is told.
    shop.buys(&Call::usual(), &regular.voucher(COST + QUOTE));
    let metrics = shop
        .wait(reply(operator_client().get(shop.server.url("/metrics"))))
        .text;
    let alarm = r#"openlora_gas_alarm{chain="31337",cause="budget_spent"} 1"#;
    assert!(metrics.contains(alarm), "{metrics}");
    assert!(metrics.contains(r#"openlora_sponsored_gas_wei{chain="31337",part="budget"}"#));
    let ready = shop.wait(shop.server.get("/ready")).json();
    assert_eq!(ready["warnings"].as_array().unwrap().len(), 1);
    shop.close();

    // Nor does another process of the same server begin anew.
    let shop = Shop::open(&market.runtime, setup());
    let (sent, left) = (market.sent(), held(&market));
    for number in 300..310 {
        stopped(&cycle(&shop, number));
    }
    assert_eq!((market.sent(), held(&market)), (sent, left));
    shop.buys(&Call::usual(), &regular.voucher(2 * COST + QUOTE));
    // What calls have cost is claimed all the same.
    let figures = shop.settled();
    assert!(figures.iter().any(|it| !it.claimed.is_zero()));
    let alarms = shop.records().into_iter();
    let alarms = alarms.filter(|it| matches!(it.event, Event::GasBudgetSpent { .. }));
    assert_eq!(alarms.count(), 1);
    shop.close();
}
