//! The desk of a chain: what it sees, deposits, payments and refunds, each once whatever fails.

use openlora_core::Amount;
use openlora_ledger::ChannelView;
use openlora_payments::settlement::{ChainFailure, ChainSettlement, ChannelRefund, MinedResult};
use serde_json::json;

use crate::settlement_support::{Market, channel_id, channel_key};
use crate::waiting;

/// A view without its place.
fn sums(view: &ChannelView) -> (u128, u128, bool, u64) {
    let waiting = view.withdrawal.is_some();
    (view.balance.0, view.claimed.0, waiting, view.refund_nonce)
}

#[test]
fn a_deposit_is_seen_once_however_often_it_is_sent() {
    let market = Market::embedded();
    let seller = market.seller();
    let buyer = market.buyer(1, 1_000_000);
    let config = buyer.config(7);
    let deposit = buyer.deposit(&config, 400_000, 1);
    let empty = seller.wait(seller.desk.channel(deposit.channel)).unwrap();
    assert_eq!(sums(&empty), (0, 0, false, 0));
    seller.wait(seller.desk.check_deposit(&deposit)).unwrap();
    assert_eq!(market.sent(), 0);

    let (desk, same) = (&seller.desk, deposit.clone());
    let (one, two) = seller.wait(async {
        let two = tokio::join!(desk.deposit(&deposit), desk.deposit(&same));
        (two.0.unwrap(), two.1.unwrap())
    });
    assert_eq!(one, two);
    assert_eq!(sums(&one.view.clone().unwrap()), (400_000, 0, false, 0));
    assert_eq!(market.sent(), 1);
    let again = seller.wait(desk.deposit(&deposit)).unwrap();
    assert_eq!(again.tx, one.tx);
    seller.wait(desk.check_deposit(&deposit)).unwrap();
    assert_eq!(market.sent(), 1);

    // Known to the journal only once the channel is.
    assert_eq!(seller.events("channel_observed").len(), 0);
    seller.wait(seller.opened(&config));
    seller.wait(desk.channel(deposit.channel)).unwrap();
    seller.wait(desk.channel(deposit.channel)).unwrap();
    let seen = seller.events("channel_observed");
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0]["view"]["balance"], "400000");

    // After a restart the chain is asked, and nothing is sent again.
    drop(seller);
    let seller = market.seller();
    let again = seller.wait(seller.desk.deposit(&deposit)).unwrap();
    assert_eq!(again.tx, one.tx);
    assert_eq!(market.sent(), 1);
}

#[test]
fn deposits_that_the_chain_refuses_are_told_by_name() {
    let market = Market::embedded();
    let seller = market.seller();
    let buyer = market.buyer(1, 1_000);
    let refused = |deposit| {
        let checked = seller
            .wait(seller.desk.check_deposit(&deposit))
            .unwrap_err();
        let sent = seller.wait(seller.desk.deposit(&deposit)).unwrap_err();
        assert_eq!(checked, sent);
        sent.to_string()
    };
    let dear = buyer.deposit(&buyer.config(1), 2_000, 1);
    assert_eq!(
        refused(dear),
        format!(
            "the deposit would fail: ERC20InsufficientBalance(sender {}, balance 1000, needed 2000)",
            buyer.address()
        )
    );
    let late = buyer.deposit_until(&buyer.config(1), 500, 1, 5);
    assert_eq!(
        refused(late),
        "the deposit would fail: ERC3009InvalidAuthorizationTime(validAfter 0, validBefore 5)"
    );
    let mut other = buyer.deposit(&buyer.config(1), 500, 1);
    other.amount = Amount(501);
    assert_eq!(
        refused(other),
        "the deposit would fail: ERC3009InvalidSignature()"
    );
    let mut hasty = buyer.config(1);
    hasty.withdraw_delay = 899;
    assert_eq!(
        refused(buyer.deposit(&hasty, 500, 1)),
        "the deposit would fail: WithdrawDelayOutOfRange()"
    );
    assert_eq!(market.sent(), 0);
    assert_eq!(seller.events("transaction_intended").len(), 0);
}

#[test]
fn an_exact_payment_is_taken_once() {
    let market = Market::embedded();
    let seller = market.seller();
    let buyer = market.buyer(1, 1_000);
    let transfer = buyer.transfer(300, 5);
    let desk = &seller.desk;
    assert_eq!(seller.wait(desk.check_transfer(&transfer)), Ok(false));
    let (one, two) = seller.wait(async {
        let two = tokio::join!(desk.transfer(&transfer), desk.transfer(&transfer));
        (two.0.unwrap(), two.1.unwrap())
    });
    assert_eq!(one, two);
    assert_eq!(seller.wait(desk.check_transfer(&transfer)), Ok(true));
    assert_eq!(market.balance(market.splitter), 300);
    assert_eq!(market.sent(), 1);
    let received = seller.events("payment_received");
    assert_eq!(received.len(), 1);
    assert_eq!(
        (&received[0]["tx"], &received[0]["amount"]),
        (&json!(one.tx), &json!("300"))
    );
    // The same nonce for another sum is another payment, and the nonce is spent.
    let other = buyer.transfer(200, 5);
    let refused = seller.wait(desk.transfer(&other)).unwrap_err();
    let nonce = other.nonce;
    assert_eq!(refused, ChainFailure::Spent { nonce });
    let refused = seller.wait(desk.check_transfer(&other)).unwrap_err();
    assert_eq!(refused, ChainFailure::Spent { nonce });
    drop(seller);
    let seller = market.seller();
    assert_eq!(seller.wait(seller.desk.transfer(&transfer)), Ok(one));
    assert_eq!(seller.events("payment_received").len(), 1);
    assert_eq!(market.sent(), 1);
}

#[test]
fn a_refund_claims_what_is_charged_first() {
    let market = Market::embedded();
    let seller = market.seller();
    let buyer = market.buyer(1, 1_000);
    let config = buyer.config(1);
    let channel = seller.opens(&buyer, &config, 1_000);
    seller.charges(&buyer, &config, 250);
    let refund = ChannelRefund {
        channel,
        config: config.clone(),
        amount: Amount(750),
        refund_nonce: 0,
        charged: Amount(250),
        voucher_max: Amount(250),
        voucher_signature: buyer.voucher(&config, 250),
        party: buyer.address(),
        is_signed: true,
        fee: None,
    };
    let done = seller.wait(seller.desk.refund(&refund)).unwrap();
    assert_eq!(sums(&done.view.clone().unwrap()), (250, 250, false, 1));
    assert_eq!(market.balance(buyer.address()), 750);
    let again = seller.wait(seller.desk.refund(&refund)).unwrap();
    let MinedResult { tx, view } = again;
    assert_eq!(
        (tx.as_str(), view.map(|it| sums(&it))),
        ("", Some((250, 250, false, 1)))
    );
    assert_eq!(market.sent(), 2);
    let facts = [seller.events("claimed"), seller.events("refunded")].concat();
    let amounts: Vec<_> = facts
        .iter()
        .map(|fact| (fact["tx"].clone(), fact["amount"].clone()))
        .collect();
    assert_eq!(facts[0]["rows"][0]["total"], "250");
    assert_eq!(amounts[1], (json!(done.tx), json!("750")));
    let book = seller.ledger.ledger();
    assert_eq!(book.channels[&channel_key(channel)].unclaimed(), Amount(0));
    assert_eq!(book.breaches, Vec::<String>::new());
}

#[test]
fn accounts_without_code_accept_nothing() {
    let market = Market::embedded();
    let seller = market.seller();
    let buyer = market.buyer(1, 1);
    let digest = channel_id(&buyer.config(1));
    let asked = seller.desk.accepts(buyer.address(), digest, &[1; 65]);
    assert_eq!(seller.wait(asked), Ok(false));
    let wallet = crate::devnet_support::NOBODY;
    // Returns ERC-1271's yes to whoever asks, then something else, then nothing.
    for (code, expected) in [
        (
            "0x7f1626ba7e0000000000000000000000000000000000000000000000000000000060005260206000f3",
            true,
        ),
        (
            "0x7f1626ba7f0000000000000000000000000000000000000000000000000000000060005260206000f3",
            false,
        ),
        ("0x00", false),
        ("0xfe", false),
    ] {
        market.rpc.ok("anvil_setCode", json!([wallet, code]));
        let asked = seller
            .desk
            .accepts(wallet.parse().unwrap(), digest, &[1; 65]);
        assert_eq!(seller.wait(asked), Ok(expected), "{code}");
    }
}

#[test]
fn a_deposit_counts_once_it_is_deep() {
    let market = Market::embedded();
    let seller = market.seller_through(market.chain.url(), |options| {
        options.confirmations = 2;
        options.poll = std::time::Duration::from_millis(10);
        options.fresh = std::time::Duration::ZERO;
    });
    let buyer = market.buyer(1, 1_000);
    let deposit = buyer.deposit(&buyer.config(1), 800, 1);
    let desk = &seller.desk;
    let (sent, view) = (std::cell::Cell::new(false), desk.channel(deposit.channel));
    let waiting = async {
        // Mined, and not yet deep enough.
        waiting::until("the transaction to be mined", async || {
            !seller.events("transaction_settled").is_empty()
        })
        .await;
        let early = view.await.unwrap();
        assert_eq!(sums(&early), (0, 0, false, 0));
        assert!(!sent.get());
        let rpc = &market.rpc.url;
        let mine = json!({ "jsonrpc": "2.0", "id": 1, "method": "anvil_mine", "params": ["0x2"] });
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        client.post(rpc).json(&mine).send().await.unwrap();
    };
    let depositing = async {
        let done = desk.deposit(&deposit).await.unwrap();
        sent.set(true);
        done
    };
    let (_, done) = seller.wait(async { tokio::join!(waiting, depositing) });
    assert_eq!(sums(&done.view.unwrap()), (800, 0, false, 0));
    let view = seller.wait(desk.channel(deposit.channel)).unwrap();
    assert_eq!(sums(&view), (800, 0, false, 0));
}
