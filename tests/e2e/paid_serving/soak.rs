//! 64 payers at once, 50 000 calls over HTTP: every voucher is accepted once, and afterwards
//! ledger and chain agree to the unit.

use std::{collections::BTreeSet, time::Duration};

use futures::future::join_all;

use super::shop::{CHAIN, Call, Payer, Setup, Shop, charges, client, cost, offer, required};
use crate::{settlement_support::Market, x402_support::header};

const PAYERS: usize = 64;
const CALLS: usize = 50_000;
/// Of a call that may take 2 tokens and takes 1; both with 5 tokens of prompt.
const QUOTE: u128 = 250;
const COST: u128 = 150;

/// Makes so many calls one after the other.
async fn buys(shop: &Shop, payer: &Payer, calls: usize) {
    let call = Call::chat("a b !end=1").with(serde_json::json!({ "max_tokens": 2 }));
    let (client, base) = (client(), shop.server.url(""));
    let terms = call.ask(&client, &base, None).await.unwrap();
    let offers = required(&terms)["accepts"].clone();
    let mut charged = 0;
    for number in 0..calls {
        let payload = match number {
            0 => payer.deposit(QUOTE, calls as u128 * COST + QUOTE),
            _ => payer.voucher(charged + QUOTE),
        };
        let payment = header(offer(&offers, CHAIN, &payload), &payload);
        let mut reply = call.ask(&client, &base, Some(&payment)).await.unwrap();
        // On a busy machine the calls are faster than their attributions, and wait for them.
        while reply.status == 503 && reply.text.contains("attribution_backlog") {
            tokio::time::sleep(Duration::from_millis(100)).await;
            reply = call.ask(&client, &base, Some(&payment)).await.unwrap();
        }
        assert_eq!(reply.status, 200, "{reply:?}");
        assert_eq!(cost(&reply), COST);
        charged += COST;
    }
}

#[test]
fn fifty_thousand_calls_of_64_payers_agree_with_the_chain() {
    let market = Market::embedded();
    let shop = Shop::open(&market.runtime, Setup::of(&market));
    let payers: Vec<Payer> = (0..PAYERS)
        .map(|index| Payer::new(&market, index as u64, 1_000_000))
        .collect();
    let share = |index: usize| CALLS / PAYERS + usize::from(index < CALLS % PAYERS);
    let all = payers.iter().enumerate();
    let all = all.map(|(index, payer)| buys(&shop, payer, share(index)));
    shop.wait(join_all(all));
    assert_eq!(shop.begun(), CALLS);
    for (index, payer) in payers.iter().enumerate() {
        assert_eq!(shop.charged(payer.channel()), share(index) as u128 * COST);
    }
    let rows = charges(&shop.records());
    assert_eq!(rows.len(), CALLS);
    assert!(rows.iter().all(|(_, _, charges)| *charges == [COST]));
    let channels: BTreeSet<_> = rows.iter().map(|(id, _, _)| *id).collect();
    assert_eq!(channels.len(), PAYERS);
    let figures = shop.settled().remove(0);
    assert_eq!(figures.charged.0, CALLS as u128 * COST);
    assert_eq!(market.balance(market.splitter), CALLS as u128 * COST);
    shop.close();
}
