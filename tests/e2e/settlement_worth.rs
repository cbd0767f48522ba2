//! Claims that cost more gas than they bring: they wait, and what payers withdraw meanwhile is
//! written off by name.

use std::{sync::Arc, time::Duration};

use alloy::sol_types::SolCall;
use openlora_chain::registry::BatchSettlementEscrow as Escrow;
use openlora_contracts::ESCROW;
use openlora_core::{Address, Amount};
use openlora_ledger::{
    ChannelTerms, DayRange, Earnings, EarningsSums,
    findings::{FindingKind, LedgerAudit},
};
use openlora_payments::settlement::{
    ChainSettlement, ChainSettler, ClaimWorth, SettleRound, SettleTriggers, due,
};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::{
    keys::{OWN, OWN_KEY},
    settlement_support::{Buyer, CHAIN_ID, Market, Seller, send_from},
    waiting,
};

/// Gas of a row, and of a claim and its settlement without rows, as the server reckons.
const ROW: u128 = 20_000;
const REST: u128 = 76_000;
const COIN: u128 = 1_000_000_000_000_000_000;

fn settle(seller: &Seller) -> SettleRound {
    let treasurer = ChainSettler::new(Arc::clone(&seller.desk));
    seller.wait(treasurer.settle_now()).unwrap()
}

/// The same seller with other options.
fn again(market: &Market, seller: &Seller, worth: ClaimWorth) -> Seller {
    let network = market.network(market.chain.url());
    let owner = (OWN_KEY, seller.journal.clone());
    let opened = Seller::over(&network, owner, |options| options.worth = worth);
    market.runtime.block_on(opened).on(&market.runtime)
}

fn sums(market: &Market, seller: &Seller) -> EarningsSums {
    let mut earnings = Earnings::default();
    for record in seller.records() {
        earnings.apply(&record);
    }
    earnings.sums(market.receiver(), DayRange::ALL)
}

fn deferred(done: &SettleRound) -> Vec<u128> {
    let mut amounts: Vec<u128> = done.deferred.iter().map(|it| it.amount.0).collect();
    amounts.sort_unstable();
    amounts
}

#[track_caller]
fn audited(seller: &Seller) -> LedgerAudit {
    let mut audits = seller.audits();
    assert_eq!(audits.len(), 1, "{audits:#?}");
    let audit = audits.remove(0);
    assert!(audit.holds(), "{audit:#?}");
    audit
}

/// Channels of a buyer with `amount` charged to each.
fn channels(seller: &Seller, buyer: &Buyer, salts: std::ops::Range<u64>, amount: u128) {
    for salt in salts {
        let config = buyer.config(salt);
        seller.opens(buyer, &config, 5_000);
        seller.charges(buyer, &config, amount);
    }
}

#[test]
fn dust_waits_until_it_is_worth_its_gas() {
    let market = Market::embedded();
    let worth = ClaimWorth {
        least: Amount(100),
        coin: None,
    };
    let seller = market.seller_through(market.chain.url(), |options| options.worth = worth);
    let buyer = market.buyer(1, 1_000_000);
    channels(&seller, &buyer, 1..21, 10);
    let sent = market.sent();
    for _ in 0..3 {
        let done = settle(&seller);
        assert_eq!((done.claims.len(), done.settles.len()), (0, 0));
        assert_eq!((deferred(&done), done.left_out), (vec![10; 20], vec![]));
    }
    assert_eq!(market.sent(), sent);
    // It is told once, and stays claimable.
    let told = seller.events("claims_deferred");
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["channels"].as_array().unwrap().len(), 20);
    let earned = sums(&market, &seller);
    assert_eq!(
        (earned.deferred, earned.pending(), earned.written_off),
        (Amount(200), Amount(200), Amount::ZERO)
    );
    assert_eq!(audited(&seller).figures.claimable, Amount(200));
    let book = seller.ledger.ledger();
    let own = OWN.parse().unwrap();
    let expected = seller
        .wait(due(seller.desk.chain(), &[own], &book, worth))
        .unwrap();
    assert_eq!((expected.claims.len(), expected.deferred.len()), (0, 20));

    // What accumulates is claimed, alone.
    seller.charges(&buyer, &buyer.config(7), 90);
    let done = settle(&seller);
    assert_eq!((done.claims.len(), done.settles.len()), (1, 1));
    assert_eq!(
        (done.claims[0].amount, done.claims[0].channels),
        (Amount(100), 1)
    );
    assert_eq!(deferred(&done), [10; 19]);
    assert_eq!(market.sent(), sent + 2);
    assert_eq!(market.balance(market.splitter), 100);
    let earned = sums(&market, &seller);
    assert_eq!(
        (earned.deferred, earned.settled),
        (Amount(190), Amount(100))
    );
    audited(&seller);
}

#[test]
fn claims_bring_more_than_their_gas_at_the_price_of_a_coin() {
    /// Base units that the gas of a row costs.
    const COST: u128 = 100;
    let market = Market::embedded();
    let seller = market.seller();
    let buyer = market.buyer(1, 1_000_000);
    channels(&seller, &buyer, 1..2, COST - 10);
    channels(&seller, &buyer, 2..6, 2 * COST);
    let priced = |seller: &Seller| {
        let fees = seller.wait(seller.desk.chain().fees()).unwrap();
        let coin = COST * COIN / (ROW * fees.max_fee);
        let worth = ClaimWorth {
            least: Amount::ZERO,
            coin: Some(coin),
        };
        again(&market, seller, worth)
    };
    let sent = market.sent();
    // Four rows bring 800 for 400 + 380 of gas, and the fifth costs more than it brings. Half of
    // the rows do not pay for the transaction.
    let seller = priced(&seller);
    const { assert!(8 * COST > 4 * COST + REST * COST / ROW) };
    let done = settle(&seller);
    assert_eq!(done.claims[0].amount, Amount(8 * COST), "{done:?}");
    assert_eq!(
        (done.claims[0].channels, deferred(&done)),
        (4, vec![COST - 10])
    );
    assert_eq!(market.sent(), sent + 2);
    channels(&seller, &buyer, 6..8, 2 * COST);
    let (seller, sent) = (priced(&seller), market.sent());
    let done = settle(&seller);
    assert_eq!(done.claims, []);
    assert_eq!(deferred(&done), [COST - 10, 2 * COST, 2 * COST]);
    assert_eq!(market.sent(), sent);
    audited(&seller);
}

fn escrow(market: &Market, buyer: &Buyer, data: Vec<u8>) {
    let payer = buyer.address().to_string();
    let rich = json!([payer, "0x8ac7230489e80000"]);
    market.rpc.ok("anvil_setBalance", rich);
    market.rpc.ok("anvil_impersonateAccount", json!([payer]));
    send_from(&market.rpc, &payer, Address::from(ESCROW), &data.into());
}

fn begins(market: &Market, buyer: &Buyer, config: &ChannelTerms) {
    let config = config.into();
    let amount = 5_000;
    let call = Escrow::initiateWithdrawCall { config, amount };
    escrow(market, buyer, call.abi_encode());
}

#[test]
fn withdrawals_of_dust_make_the_server_send_nothing() {
    const CHANNELS: u64 = 8;
    let market = Market::embedded();
    let seller = market.seller_through(market.chain.url(), |options| {
        options.poll = Duration::from_millis(20);
        options.worth.least = Amount(100);
    });
    let buyer = market.buyer(1, 1_000_000);
    channels(&seller, &buyer, 1..1 + CHANNELS, 10);
    let stop = CancellationToken::new();
    let (desk, end) = (Arc::clone(&seller.desk), stop.clone());
    let watching = market.runtime.spawn(async move { desk.watch(end).await });
    let (treasurer, end) = (ChainSettler::new(Arc::clone(&seller.desk)), stop.clone());
    let triggers = SettleTriggers {
        threshold: Amount(u128::MAX),
        interval: Duration::from_secs(3600),
    };
    let settling = market
        .runtime
        .spawn(async move { treasurer.run(triggers, end).await });
    let sent = market.sent();
    for salt in 1..1 + CHANNELS {
        begins(&market, &buyer, &buyer.config(salt));
    }
    waiting::wait_until("the dust", || !seller.events("claims_deferred").is_empty());
    assert_eq!(market.sent(), sent);
    // A withdrawal of what is worth it is answered by a claim, of that alone.
    let rich = buyer.config(99);
    let large = seller.opens(&buyer, &rich, 5_000);
    seller.charges(&buyer, &rich, 700);
    let sent = market.sent();
    begins(&market, &buyer, &rich);
    market
        .runtime
        .block_on(waiting::until("the claim", async || {
            let view = seller.desk.channel(large).await.unwrap();
            view.claimed == Amount(700)
        }));
    waiting::wait_until("the settlement", || market.balance(market.splitter) == 700);
    assert_eq!(market.sent(), sent + 2);
    market.rpc.ok("evm_increaseTime", json!([901]));
    market.rpc.ok("evm_mine", json!([]));
    for salt in 1..1 + CHANNELS {
        let config = (&buyer.config(salt)).into();
        let call = Escrow::finalizeWithdrawCall { config };
        escrow(&market, &buyer, call.abi_encode());
    }
    let lost = Amount(10 * u128::from(CHANNELS));
    waiting::wait_until("the loss", || sums(&market, &seller).written_off == lost);
    stop.cancel();
    market.runtime.block_on(watching).unwrap();
    assert!(market.runtime.block_on(settling).unwrap());
    assert_eq!(market.sent(), sent + 2);
    // Later rounds leave it alone.
    let done = settle(&seller);
    assert_eq!(done, SettleRound::default());
    let earned = sums(&market, &seller);
    assert_eq!(
        (earned.pending(), earned.deferred, earned.uncollectable),
        (Amount::ZERO, Amount::ZERO, Amount::ZERO)
    );
    let audit = audited(&seller);
    let figures = &audit.figures;
    assert_eq!(
        (figures.charged, figures.claimed, figures.claimable),
        (Amount(700 + lost.0), Amount(700), Amount::ZERO)
    );
    assert_eq!(
        (figures.written_off, figures.uncollectable),
        (lost, Amount::ZERO)
    );
    // Each is named with its call.
    assert_eq!(audit.findings.len() as u64, CHANNELS);
    for finding in &audit.findings {
        assert_eq!(finding.kind, FindingKind::WrittenOff);
        assert_eq!(finding.calls[0].amount, Amount(10));
    }
    assert_eq!(audit.receiver.chain_id, CHAIN_ID);
}
