//! Chains that reorganise, RPCs that are down, stale, or lose answers, and rows that nobody can
//! claim: nothing is lost, nothing happens twice, and nobody is told what is not so.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use openlora_core::{Amount, Word};
use openlora_ledger::ChannelTerms;
use openlora_payments::settlement::{ChainFailure, ChainSettlement, ChainSettler};
use serde_json::{Value, json};

use crate::{
    deploy_support::{Act, Proxy},
    settlement_support::{Buyer, Market, Seller, channel_id, channel_key},
    waiting,
};

fn treasurer(seller: &Seller) -> ChainSettler {
    ChainSettler::new(Arc::clone(&seller.desk))
}

/// The transactions of every `reorganised`, in order.
fn undone(seller: &Seller) -> Vec<String> {
    let events = seller.events("reorganised").into_iter();
    let txs = |event: Value| serde_json::from_value::<Vec<String>>(event["txs"].clone()).unwrap();
    events.flat_map(txs).collect()
}

/// A proxy that misbehaves while the switch is on.
fn troubled(
    market: &Market,
    act: impl Fn(&str, &Value) -> Option<Act> + Send + 'static,
) -> (Proxy, Arc<AtomicBool>) {
    let switch = Arc::new(AtomicBool::new(false));
    let on = Arc::clone(&switch);
    let proxy = Proxy::new(market.chain.url(), move |method, _, params| {
        let act = on.load(Ordering::SeqCst).then(|| act(method, params));
        act.flatten().unwrap_or(Act::Forward)
    });
    (proxy, switch)
}

fn failure() -> Value {
    json!({ "code": -32000, "message": "the upstream is overloaded" })
}

#[test]
fn a_reorganised_deposit_freezes_its_channel_until_it_is_there_again() {
    for market in [Market::embedded(), Market::anvil()] {
        let seller = market.seller();
        let buyer = market.buyer(1, 1_000);
        let config = buyer.config(1);
        let deposit = buyer.deposit(&config, 800, 1);
        let tx = seller.wait(seller.desk.deposit(&deposit)).unwrap().tx;
        seller.wait(seller.opened(&config));
        seller.wait(seller.desk.refresh()).unwrap();
        market.rpc.ok("anvil_reorg", json!([1, []]));
        seller.wait(seller.desk.refresh()).unwrap();
        assert_eq!(undone(&seller), std::slice::from_ref(&tx));
        let view = seller.wait(seller.desk.channel(deposit.channel)).unwrap();
        assert_eq!(view.balance, Amount(0));
        let book = seller.ledger.ledger();
        let known = book.channels[&channel_key(deposit.channel)].view.clone();
        assert_eq!(known.map(|view| view.balance), Some(Amount(0)));
        let done = seller.wait(seller.desk.deposit(&deposit)).unwrap();
        assert_eq!(done.view.unwrap().balance, Amount(800));
        assert_eq!(market.balance(buyer.address()), 200);
    }
}

#[test]
fn a_reorganised_claim_is_claimed_again() {
    for market in [Market::embedded(), Market::anvil()] {
        let seller = market.seller();
        let buyer = market.buyer(1, 1_000);
        let config = buyer.config(1);
        let channel = seller.opens(&buyer, &config, 1_000);
        seller.charges(&buyer, &config, 600);
        let treasurer = treasurer(&seller);
        let first = seller.wait(treasurer.settle_now()).unwrap();
        seller.wait(seller.desk.refresh()).unwrap();
        market.rpc.ok("anvil_reorg", json!([2, []]));
        seller.wait(seller.desk.refresh()).unwrap();
        let txs = [first.claims[0].tx.clone(), first.settles[0].tx.clone()];
        assert_eq!(undone(&seller), txs);
        let view = seller.wait(seller.desk.channel(channel)).unwrap();
        assert_eq!((view.balance, view.claimed), (Amount(1_000), Amount(0)));
        assert_eq!(market.balance(market.splitter), 0);
        let second = seller.wait(treasurer.settle_now()).unwrap();
        assert_eq!(second.claims[0].amount, Amount(600));
        assert_eq!(market.balance(market.splitter), 600);
        let audits = seller.audits();
        assert!(audits[0].holds(), "{audits:#?}");
    }
}

#[test]
fn a_reorganisation_while_nobody_looked_is_found_at_the_start() {
    let market = Market::embedded();
    let seller = market.seller();
    let buyer = market.buyer(1, 1_000);
    let transfer = buyer.transfer(500, 3);
    let tx = seller.wait(seller.desk.transfer(&transfer)).unwrap().tx;
    assert_eq!(seller.ledger.ledger().exact.len(), 1);
    drop(seller);
    market.rpc.ok("anvil_reorg", json!([1, []]));
    let seller = market.seller();
    seller.wait(seller.desk.refresh()).unwrap();
    assert_eq!(undone(&seller), [tx]);
    assert_eq!(seller.ledger.ledger().exact.len(), 0);
    assert_eq!(
        seller.wait(seller.desk.check_transfer(&transfer)),
        Ok(false)
    );
    seller.wait(seller.desk.transfer(&transfer)).unwrap();
    assert_eq!(market.balance(market.splitter), 500);
    assert_eq!(seller.ledger.ledger().exact.len(), 1);
}

#[test]
fn a_lost_receipt_is_found_later_and_nothing_is_sent_again() {
    let market = Market::embedded();
    let (proxy, lost) = troubled(&market, |method, _| {
        (method == "eth_getTransactionReceipt").then(|| Act::Refuse(failure()))
    });
    let seller = market.seller_through(&proxy.url, |_| {});
    let buyer = market.buyer(1, 1_000);
    let deposit = buyer.deposit(&buyer.config(1), 800, 1);
    lost.store(true, Ordering::SeqCst);
    let first = seller.wait(seller.desk.deposit(&deposit)).unwrap_err();
    let ChainFailure::Unknown { tx } = first.clone() else {
        panic!("{first}");
    };
    // Asking again while it cannot be found out changes nothing.
    assert_eq!(seller.wait(seller.desk.deposit(&deposit)), Err(first));
    lost.store(false, Ordering::SeqCst);
    let done = seller.wait(seller.desk.deposit(&deposit)).unwrap();
    assert_eq!((done.tx, market.sent()), (tx, 1));
    assert_eq!(done.view.unwrap().balance, Amount(800));
    assert_eq!(seller.events("transaction_settled").len(), 1);
}

#[test]
fn a_transaction_that_was_taken_and_denied_is_found_later() {
    for restart in [false, true] {
        let market = Market::embedded();
        let (proxy, denied) = troubled(&market, |method, _| {
            (method == "eth_sendRawTransaction").then(|| Act::ForwardAndRefuse(failure()))
        });
        let mut seller = market.seller_through(&proxy.url, |_| {});
        let buyer = market.buyer(1, 1_000);
        let transfer = buyer.transfer(800, 1);
        denied.store(true, Ordering::SeqCst);
        let first = seller.wait(seller.desk.transfer(&transfer)).unwrap_err();
        let ChainFailure::Unknown { tx } = first else {
            panic!("{first}");
        };
        denied.store(false, Ordering::SeqCst);
        if restart {
            drop(seller);
            seller = market.seller_through(&proxy.url, |_| {});
        }
        let done = seller.wait(seller.desk.transfer(&transfer)).unwrap();
        assert_eq!((done.tx, market.sent()), (tx, 1));
        assert_eq!(seller.events("payment_received").len(), 1);
        assert_eq!(market.balance(market.splitter), 800);
    }
}

fn opened(market: &Market, seller: &Seller) -> (Buyer, Word) {
    let buyer = market.buyer(1, 10_000);
    let channel = seller.opens(&buyer, &buyer.config(1), 5_000);
    (buyer, channel)
}

#[test]
fn views_come_from_memory_until_they_are_old() {
    let market = Market::embedded();
    let (proxy, down) = troubled(&market, |_, _| Some(Act::Refuse(failure())));
    let seller = market.seller_through(&proxy.url, |_| {});
    let (buyer, channel) = opened(&market, &seller);
    let asked = || {
        let methods = ["eth_getBlockByNumber", "eth_call", "eth_getLogs"];
        methods.map(|method| proxy.asked(method).len())
    };
    let before = asked();
    for _ in 0..100 {
        let view = seller.wait(seller.desk.channel(channel)).unwrap();
        assert_eq!(view.balance, Amount(5_000));
    }
    assert_eq!(asked(), before, "the hot path asks nobody");
    // What is known is still served while the RPC is down; what is not known is not.
    down.store(true, Ordering::SeqCst);
    seller.wait(seller.desk.channel(channel)).unwrap();
    let reason = format!(
        "{} does not answer eth_getBlockByNumber: the upstream is overloaded",
        proxy.url
    );
    let other = channel_id(&buyer.config(2));
    let refused = seller.wait(seller.desk.channel(other)).unwrap_err();
    assert!(
        matches!(&refused, ChainFailure::Unreachable { reason } if reason.contains("overloaded")),
        "{refused}: expected {reason}"
    );
    let deposit = buyer.deposit(&buyer.config(2), 1, 1);
    let refused = seller.wait(seller.desk.deposit(&deposit)).unwrap_err();
    assert!(
        matches!(refused, ChainFailure::Unreachable { .. }),
        "{refused}"
    );
    assert_eq!(seller.events("transaction_intended").len(), 1);
}

#[test]
fn an_old_view_is_refused_while_the_rpc_is_down() {
    let market = Market::embedded();
    let (proxy, down) = troubled(&market, |_, _| Some(Act::Refuse(failure())));
    let seller = market.seller_through(&proxy.url, |options| options.fresh = Duration::ZERO);
    let (_, channel) = opened(&market, &seller);
    seller.wait(seller.desk.channel(channel)).unwrap();
    down.store(true, Ordering::SeqCst);
    let refused = seller.wait(seller.desk.channel(channel)).unwrap_err();
    assert!(
        matches!(refused, ChainFailure::Unreachable { .. }),
        "{refused}"
    );
    let asked = proxy.asked("eth_getBlockByNumber").len();
    let again = seller.wait(seller.desk.channel(channel)).unwrap_err();
    assert_eq!(again, refused);
    assert_eq!(
        proxy.asked("eth_getBlockByNumber").len(),
        asked,
        "a chain that just failed is not asked for every call"
    );
}

#[test]
fn an_rpc_that_stands_behind_is_not_believed() {
    let market = Market::embedded();
    let block = market
        .rpc
        .ok("eth_getBlockByNumber", json!(["latest", false]));
    let height = market.height();
    let (proxy, behind) = troubled(&market, move |method, params| {
        let newest = method == "eth_getBlockByNumber" && params[0] == "latest";
        newest.then(|| Act::Answer(block.clone()))
    });
    let seller = market.seller_through(&proxy.url, |options| {
        options.fresh = Duration::ZERO;
        options.lag = Duration::from_secs(600);
    });
    let (_, channel) = opened(&market, &seller);
    let seen = market.height();
    behind.store(true, Ordering::SeqCst);
    let refused = seller.wait(seller.desk.channel(channel)).unwrap_err();
    let reason = format!("its newest block is {height}, and block {seen} was seen before");
    assert_eq!(refused, ChainFailure::Unreachable { reason });
    assert_eq!(seller.events("reorganised").len(), 0);
    behind.store(false, Ordering::SeqCst);
    seller.wait(seller.desk.refresh()).unwrap();
    seller.wait(seller.desk.channel(channel)).unwrap();
}

#[test]
fn a_chain_that_stopped_is_not_believed() {
    let market = Market::embedded();
    let mut block = market
        .rpc
        .ok("eth_getBlockByNumber", json!(["latest", false]));
    block["timestamp"] = json!("0x5");
    let proxy = Proxy::new(market.chain.url(), move |method, _, params| {
        let newest = method == "eth_getBlockByNumber" && params[0] == "latest";
        if newest {
            Act::Answer(block.clone())
        } else {
            Act::Forward
        }
    });
    // The development chain may stand still; another may not.
    let seller = market.seller_through(&proxy.url, |_| {});
    seller.wait(seller.desk.refresh()).unwrap();
    drop(seller);
    let mut network = market.network(&proxy.url);
    network.mainnet = true;
    let path = market.dir.path().join("journal.sqlite");
    let refused = market.runtime.block_on(async {
        let seller = Seller::open(&network, &path, |_| {}).await;
        seller.desk.refresh().await.unwrap_err()
    });
    let said = refused.to_string();
    let (start, end) = said.split_once(" is ").unwrap();
    assert!(start.starts_with("the chain cannot be asked now: its newest block "));
    assert!(end.ends_with(" s old"), "{said}");
}

#[test]
fn one_poisoned_row_among_a_hundred_stops_nobody() {
    let market = Market::embedded();
    let seller = market.seller();
    let buyer = market.buyer(1, 1_000_000);
    let forger = market.buyer(2, 1);
    for salt in 1..=100 {
        let config = buyer.config(salt);
        seller.opens(&buyer, &config, 1_000);
        // Somebody else's name under one voucher, as if the journal had been tampered with.
        let signer = if salt == 37 { &forger } else { &buyer };
        seller.charges(signer, &config, u128::from(salt));
    }
    let treasurer = treasurer(&seller);
    let before = market.sent();
    let done = seller.wait(treasurer.settle_now()).unwrap();
    let claims: Vec<_> = done
        .claims
        .iter()
        .map(|it| (it.amount.0, it.channels))
        .collect();
    assert_eq!(claims, [(5_050 - 37, 99)]);
    let left_out: Vec<_> = done
        .left_out
        .iter()
        .map(|out| (out.channel, out.amount.0, out.reason.as_str()))
        .collect();
    let poisoned = channel_id(&buyer.config(37));
    assert_eq!(left_out, [(poisoned, 37, "InvalidSignature()")]);
    assert_eq!(market.sent(), before + 2);
    assert_eq!(market.balance(market.splitter), 5_050 - 37);
    // Nothing is tried on the chain for what cannot pass.
    let again = seller.wait(treasurer.settle_now()).unwrap();
    assert_eq!((again.claims.len(), again.left_out.len()), (0, 1));
    assert_eq!(market.sent(), before + 2);
}

#[test]
fn many_deposits_at_once_each_get_a_nonce() {
    let market = Market::embedded();
    let seller = market.seller();
    let buyer = market.buyer(1, 1_000_000);
    let deposits: Vec<_> = (1..=32)
        .map(|salt| buyer.deposit(&buyer.config(salt), 100, 1))
        .collect();
    let done = seller.wait(async {
        let each = deposits.iter().map(|deposit| seller.desk.deposit(deposit));
        futures::future::join_all(each).await
    });
    for done in done {
        assert_eq!(done.unwrap().view.unwrap().balance, Amount(100));
    }
    assert_eq!(market.sent(), 32);
    assert_eq!(seller.events("transaction_intended").len(), 32);
}

#[test]
fn a_payer_who_went_away_does_not_stop_the_deposit() {
    let market = Market::embedded();
    let seller = market.seller();
    let buyer = market.buyer(1, 1_000);
    let deposit = buyer.deposit(&buyer.config(1), 800, 1);
    let intended = waiting::until("the transaction to be written down", async || {
        !seller.events("transaction_intended").is_empty()
    });
    // Dropped as soon as the transaction is written down; the work goes on without it.
    seller.wait(async {
        tokio::select! {
            biased;
            () = intended => {}
            done = seller.desk.deposit(&deposit) => panic!("{done:?}"),
        }
    });
    let done = seller.wait(seller.desk.deposit(&deposit)).unwrap();
    assert_eq!(done.view.unwrap().balance, Amount(800));
    assert_eq!(market.sent(), 1);
    assert_eq!(seller.events("transaction_intended").len(), 1);
}

/// Code that answers ERC-1271's yes to everybody, and code that answers something else.
const AGREES: &str =
    "0x7f1626ba7e0000000000000000000000000000000000000000000000000000000060005260206000f3";
const DENIES: &str =
    "0x7f1626ba7f0000000000000000000000000000000000000000000000000000000060005260206000f3";

#[test]
fn a_wallet_contract_that_changes_its_mind_stops_nobody() {
    let market = Market::embedded();
    let seller = market.seller();
    let buyer = market.buyer(1, 10_000);
    let wallet = market.buyer(2, 10_000);
    let at = wallet.address().to_string();
    market.rpc.ok("anvil_setCode", json!([at, AGREES]));
    let by_key = buyer.config(1);
    let mut by_contract = wallet.config(1);
    by_contract.payer_authorizer = Default::default();
    for (buyer, config) in [(&buyer, &by_key), (&wallet, &by_contract)] {
        seller.opens(buyer, config, 5_000);
        seller.charges(buyer, config, 600);
    }
    market.rpc.ok("anvil_setCode", json!([at, DENIES]));
    let treasurer = treasurer(&seller);
    let done = seller.wait(treasurer.settle_now()).unwrap();
    let claims: Vec<_> = done
        .claims
        .iter()
        .map(|it| (it.amount.0, it.channels))
        .collect();
    assert_eq!(claims, [(600, 1)]);
    let reasons: Vec<_> = done.left_out.iter().map(|it| it.reason.as_str()).collect();
    assert_eq!(reasons, ["InvalidSignature()"]);
    market.rpc.ok("anvil_setCode", json!([at, AGREES]));
    let done = seller.wait(treasurer.settle_now()).unwrap();
    assert_eq!(
        (done.claims[0].amount, done.left_out.len()),
        (Amount(600), 0)
    );
    assert_eq!(market.balance(market.splitter), 1_200);
}

/// Code that agrees while its first storage slot is cold, which is once per transaction: it measures
/// the gas of reading the slot.
const AGREES_ONCE: &str = "0x5a5f54505a90036103e810631626ba7e60e01b025f5260205ff3";

#[test]
fn claims_that_pass_alone_and_fail_together_stop_nobody() {
    let market = Market::embedded();
    let seller = market.seller();
    let buyer = market.buyer(1, 10_000);
    let wallet = market.buyer(2, 10_000);
    let at = wallet.address().to_string();
    market.rpc.ok("anvil_setCode", json!([at, AGREES_ONCE]));
    let by_contract = |salt| ChannelTerms {
        payer_authorizer: Default::default(),
        ..wallet.config(salt)
    };
    let channels = [
        (&wallet, by_contract(1)),
        (&wallet, by_contract(2)),
        (&buyer, buyer.config(1)),
    ];
    for (buyer, config) in &channels {
        seller.opens(buyer, config, 3_000);
        seller.charges(buyer, config, 600);
    }
    let done = seller.wait(treasurer(&seller).settle_now()).unwrap();
    let claimed: u128 = done.claims.iter().map(|it| it.amount.0).sum();
    let rows: usize = done.claims.iter().map(|it| it.channels).sum();
    assert_eq!((claimed, rows, done.left_out), (1_800, 3, vec![]));
    assert_eq!(market.balance(market.splitter), 1_800);
}
