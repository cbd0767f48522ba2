//! A running server whose chain begins anew or goes back: it takes nothing on old facts, says so on
//! `/ready`, and goes on where it can.

use serde_json::json;

use super::shop::{COST, Call, Payer, QUOTE, Setup, Shop, required};
use crate::settlement_support::Market;
use crate::waiting::until;

async fn is_ready(shop: &Shop) -> bool {
    shop.server.get("/ready").await.status == 200
}

#[test]
fn a_server_whose_chain_began_anew_takes_nothing_there() {
    let market = Market::kept();
    let shop = Shop::of(&market);
    let payer = Payer::new(&market, 1, 10_000);
    let call = Call::usual();
    shop.buys(&call, &payer.deposit(QUOTE, 2_000));
    let owed = Call::chat("a b !fail=0");
    let paid = shop.payment(&owed, &payer.exact(QUOTE, 1));
    assert_eq!(shop.send(&owed, Some(&paid)).status, 500);
    shop.wait(until("the server to be ready", async || {
        is_ready(&shop).await
    }));
    let payments = [
        shop.payment(&call, &payer.voucher(COST + QUOTE)),
        // What is owed to one request is another's by its payer's word alone.
        payer.exact_for(&shop, &call, (QUOTE, 1)),
        shop.payment(&call, &payer.exact(QUOTE, 2)),
    ];
    market.again();
    payer.funded(&market.rpc, 10_000);
    shop.wait(until("the server not to be ready", async || {
        !is_ready(&shop).await
    }));
    let answer = shop.wait(shop.server.get("/ready"));
    let found = answer.json()["error"]["code"].clone();
    assert_eq!((answer.status, found), (503, json!("chain_unavailable")));
    let begun = shop.begun();
    for payment in &payments {
        let reply = shop.send(&call, Some(payment));
        let found = (reply.status, reply.json()["error"]["code"].clone());
        assert_eq!(found, (503, json!("payment_unavailable")), "{reply:?}");
    }
    assert_eq!((shop.begun(), market.sent()), (begun, 0));
    shop.close();

    // Started again it takes money on the new chain, and owes nothing of the old one's.
    let shop = Shop::of(&market);
    assert_eq!(shop.book().former.len(), 1);
    shop.buys(&call, &payer.deposit(QUOTE, 2_000));
    assert_eq!(shop.charged(payer.channel()), COST);
    shop.buys(&call, &payer.exact(QUOTE, 1));
    let figures = shop.settled().remove(0);
    assert_eq!((figures.charged.0, figures.exact.0), (COST, QUOTE));
    shop.close();
}

#[test]
fn a_server_whose_chain_was_reverted_goes_on_with_what_is_there() {
    let market = Market::embedded();
    let shop = Shop::open(&market.runtime, Setup::of(&market));
    let payer = Payer::new(&market, 1, 10_000);
    let call = Call::usual();
    let snapshot = market.rpc.ok("evm_snapshot", json!([]));
    shop.buys(&call, &payer.deposit(QUOTE, 2_000));
    let owed = Call::chat("a b !fail=0");
    let paid = shop.payment(&owed, &payer.exact(QUOTE, 1));
    assert_eq!(shop.send(&owed, Some(&paid)).status, 500);
    let next = shop.payment(&call, &payer.voucher(COST + QUOTE));
    assert_eq!(market.rpc.ok("evm_revert", json!([snapshot])), true);
    shop.wait(until("the server not to be ready", async || {
        !is_ready(&shop).await
    }));
    let begun = shop.begun();
    let reply = shop.send(&call, Some(&next));
    assert_eq!(reply.status, 503, "{reply:?}");
    shop.wait(until("the server to be ready", async || {
        is_ready(&shop).await
    }));
    // The channel holds nothing any more.
    let reply = shop.send(&call, Some(&next));
    required(&reply);
    assert_eq!(shop.begun(), begun);
    // The transfer is made again before its call is answered.
    let paid = payer.exact_for(&shop, &call, (QUOTE, 1));
    let reply = shop.send(&call, Some(&paid));
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(market.balance(market.splitter), QUOTE);
    shop.close();
}
