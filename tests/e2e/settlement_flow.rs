//! From deposits to the recipients' accounts, on the embedded chain and on anvil, with the gas
//! that the receipts say; and what starts a round by itself.

use std::{sync::Arc, time::Duration};

use alloy::{primitives::U256, sol, sol_types::SolCall};
use openlora_chain::registry::BatchSettlementEscrow as Escrow;
use openlora_contracts::ESCROW;
use openlora_core::{Address, Amount};
use openlora_ledger::{
    ChannelTerms,
    findings::{FindingKind, Severity},
    trail::AuditTrail,
};
use openlora_payments::settlement::{
    ChainSettlement, ChainSettler, ClaimWorth, LeftOut, MovedMoney, SettleTriggers,
    SettlementAccounts, due, shares,
};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::{
    devnet_support::FIRST,
    keys::{ADDRESS, KEY, OWN, OWN_KEY, account},
    settlement_support::{
        Buyer, Market, OWN_PPM, Seller, channel_id, channel_key, send, send_from,
    },
    waiting,
};

fn treasurer(seller: &Seller) -> ChainSettler {
    ChainSettler::new(Arc::clone(&seller.desk))
}

fn amounts(moved: &[MovedMoney]) -> Vec<(u128, usize)> {
    moved.iter().map(|it| (it.amount.0, it.channels)).collect()
}

/// Every check of the audit holds, with these sums of settled, released and held.
#[track_caller]
fn audited(seller: &Seller, expected: (u128, u128, u128)) {
    let audits = seller.audits();
    assert_eq!(audits.len(), 1);
    let audit = &audits[0];
    assert!(audit.holds(), "{audit:#?}");
    let it = &audit.figures;
    assert_eq!((it.settled.0, it.released.0, it.held.0), expected);
    assert_eq!(it.received.0, it.from_escrow.0 + it.from_exact.0);
}

/// Channels of one buyer, `count` of them, each with so much in it.
fn channels(seller: &Seller, buyer: &Buyer, count: u64, each: u128) {
    for salt in 1..=count {
        seller.opens(buyer, &buyer.config(salt), each);
    }
}

fn charge(seller: &Seller, buyer: &Buyer, salts: std::ops::RangeInclusive<u64>, amount: u128) {
    for salt in salts {
        seller.charges(buyer, &buyer.config(salt), amount);
    }
}

fn the_whole_way(market: &Market) {
    let seller = market.seller();
    let buyer = market.buyer(1, 1_000_000);
    channels(&seller, &buyer, 12, 50_000);
    let desk = &seller.desk;
    let treasurer = treasurer(&seller);
    let own = OWN.parse().unwrap();

    // Three channels, an exact payment, and the first of everything.
    charge(&seller, &buyer, 1..=3, 1_000);
    charge(&seller, &buyer, 1..=1, 500);
    seller.wait(desk.transfer(&buyer.transfer(400, 9))).unwrap();
    let book = seller.ledger.ledger();
    let expected = seller
        .wait(due(desk.chain(), &[own], &book, ClaimWorth::default()))
        .unwrap();
    assert_eq!(
        expected.claims.values().copied().collect::<Vec<_>>(),
        [(Amount(3_500), 3)]
    );
    assert_eq!((expected.settles.len(), expected.left_out.len()), (0, 0));
    let before = market.sent();
    let first = seller.wait(treasurer.settle_now()).unwrap();
    assert_eq!(amounts(&first.claims), [(3_500, 3)]);
    assert_eq!(amounts(&first.settles), [(3_500, 0)]);
    assert_eq!(market.sent(), before + 2);
    audited(&seller, (3_500, 0, 3_900));
    let nothing = seller.wait(treasurer.settle_now()).unwrap();
    assert_eq!(nothing, Default::default());

    let pending = seller.wait(shares(desk.chain(), &[own], market.receiver()));
    let mut pending: Vec<_> = pending
        .unwrap()
        .iter()
        .map(|share| (share.own, share.pool, share.pending.0))
        .collect();
    pending.sort();
    assert_eq!(pending, [(false, true, 1_170), (true, false, 2_730)]);
    let paid = seller.wait(treasurer.withdraw(None)).unwrap();
    assert_eq!(paid.len(), 2);
    assert_eq!(market.balance(own), 2_730);
    assert_eq!(market.balance(market.pool), 1_170);
    audited(&seller, (3_500, 3_900, 0));
    assert_eq!(seller.wait(treasurer.withdraw(None)).unwrap(), []);

    // Everything is warm now: what one channel costs, and what each further one does.
    charge(&seller, &buyer, 1..=1, 10_000);
    let one = seller.wait(treasurer.settle_now()).unwrap();
    charge(&seller, &buyer, 2..=12, 1_000);
    let many = seller.wait(treasurer.settle_now()).unwrap();
    assert_eq!(amounts(&many.claims), [(11_000, 11)]);
    let further = (many.claims[0].gas_used - one.claims[0].gas_used) / 10;
    assert!(further <= 20_000, "{further} gas for each further channel");
    let paid = seller.wait(treasurer.withdraw(None)).unwrap();
    let release = paid.iter().find(|it| it.recipient == Some(own)).unwrap();
    assert!(release.gas_used <= 60_000, "{} gas", release.gas_used);
    let elsewhere = "0x00000000000000000000000000000000000000E1"
        .parse()
        .unwrap();
    assert_eq!(market.balance(elsewhere), 0);
    audited(&seller, (24_500, 24_900, 0));

    // A claim is one voucher, whatever it sums to: what ten thousand calls in a channel cost when
    // eleven such channels are settled together, and when one is alone.
    let moved = |settled: u64, paid: u64| settled + paid;
    let all_paid: u64 = paid.iter().map(|it| it.gas_used).sum();
    let together = moved(many.claims[0].gas_used + many.settles[0].gas_used, all_paid) / 11;
    assert!(together <= 10 * 10_000, "{together} gas for each channel");
    let alone = moved(
        one.claims[0].gas_used + one.settles[0].gas_used,
        release.gas_used,
    );
    assert!(alone <= 17 * 10_000, "{alone} gas for a channel alone");

    charge(&seller, &buyer, 1..=1, 1_000);
    seller.wait(treasurer.settle_now()).unwrap();
    seller.wait(treasurer.withdraw(Some(elsewhere))).unwrap();
    assert_eq!(
        market.balance(elsewhere),
        1_000 * u128::from(OWN_PPM) / 1_000_000
    );
    audited(&seller, (25_500, 25_900, 0));
    assert_eq!(seller.ledger.ledger().breaches, Vec::<String>::new());
}

#[test]
fn the_whole_way_on_the_embedded_chain() {
    the_whole_way(&Market::embedded());
}

#[test]
fn the_whole_way_on_anvil() {
    the_whole_way(&Market::anvil());
}

#[test]
fn an_audit_tells_what_does_not_fit() {
    let market = Market::embedded();
    let seller = market.seller();
    let buyer = market.buyer(1, 10_000);
    let config = buyer.config(1);
    let channel = seller.opens(&buyer, &config, 5_000);
    seller.charges(&buyer, &config, 900);
    seller
        .wait(seller.desk.transfer(&buyer.transfer(70, 1)))
        .unwrap();
    seller.wait(treasurer(&seller).settle_now()).unwrap();
    let found = |trail: &AuditTrail| -> Vec<(FindingKind, u128, u128)> {
        let audits = seller.audits_of(trail);
        let findings = audits[0].findings.iter();
        findings
            .filter(|it| it.severity() != Severity::Note)
            .map(|it| (it.kind, it.expected.0, it.found.0))
            .collect()
    };
    let trail = seller.trail();
    assert_eq!(found(&trail), []);
    // A journal that forgot a call, and one that remembers a larger payment.
    let mut forgot = trail.clone();
    forgot.calls.remove(&channel_key(channel));
    assert_eq!(found(&forgot), [(FindingKind::ClaimedAboveCharged, 0, 900)]);
    assert!(!seller.audits_of(&forgot)[0].holds());
    let mut inflated = trail.clone();
    let payments = inflated.state.facts.payments.values_mut();
    payments
        .filter_map(|it| it.transfer.as_mut())
        .for_each(|paid| paid.amount = Amount(71));
    assert_eq!(found(&inflated), [(FindingKind::PaymentDiffers, 71, 70)]);
    assert!(!seller.audits_of(&inflated)[0].holds());
    // A gift is nobody's charge, and is told apart.
    let gift = Transfers::transferCall {
        to: market.splitter.into(),
        value: U256::from(5),
    };
    market.buyer(3, 0);
    let first: Address = FIRST.parse().unwrap();
    let mint = Transfers::mintCall {
        to: first.into(),
        amount: U256::from(5),
    };
    send(&market.rpc, market.token, &mint.abi_encode().into());
    send(&market.rpc, market.token, &gift.abi_encode().into());
    let audits = seller.audits();
    let figures = &audits[0].figures;
    assert!(audits[0].holds());
    let sums = [figures.from_escrow, figures.from_exact, figures.from_others];
    assert_eq!(sums.map(|it| it.0), [900, 70, 5]);
}

sol! {
    interface Transfers {
        function transfer(address to, uint256 value) external returns (bool);
        function mint(address to, uint256 amount) external;
    }
}

#[test]
fn others_fetch_their_own_share() {
    let market = Market::embedded();
    let seller = market.seller();
    let buyer = market.buyer(1, 1_000);
    seller
        .wait(seller.desk.transfer(&buyer.transfer(1_000, 1)))
        .unwrap();
    let stranger = "0x00000000000000000000000000000000000000E2"
        .parse()
        .unwrap();
    let found = seller.wait(shares(seller.desk.chain(), &[stranger], market.receiver()));
    let mut found: Vec<_> = found
        .unwrap()
        .iter()
        .map(|share| (share.own, share.pool, share.ppm))
        .collect();
    found.sort();
    assert_eq!(found, [(false, false, OWN_PPM), (false, true, 300_000)]);
}

/// A channel is claimed by the account that it names, and a share is released by its recipient.
#[test]
fn each_account_of_a_home_collects_what_is_its_own() {
    let market = Market::embedded();
    let seller = market.seller();
    let buyer = market.buyer(1, 20_000);
    let other = account(KEY);
    let mine = buyer.config(1);
    let theirs = ChannelTerms {
        receiver_authorizer: other.address(),
        ..buyer.config(2)
    };
    seller.opens(&buyer, &mine, 10_000);
    let channel = seller.opens(&buyer, &theirs, 10_000);
    seller.charges(&buyer, &mine, 700);
    seller.charges(&buyer, &theirs, 300);

    // Without its key, what only the other account may claim is named and waits.
    let alone = seller.wait(treasurer(&seller).settle_now()).unwrap();
    assert_eq!(amounts(&alone.claims), [(700, 1)]);
    assert_eq!(
        alone.left_out,
        [LeftOut {
            channel,
            amount: Amount(300),
            reason: format!("only {ADDRESS} may claim it"),
            claimer: Some(other.address()),
        }]
    );
    let main = Arc::clone(&seller.desk);
    let both = ChainSettler::new(SettlementAccounts::new(main, vec![other]));
    let rest = seller.wait(both.settle_now()).unwrap();
    assert_eq!(amounts(&rest.claims), [(300, 1)]);
    assert_eq!((rest.left_out, rest.deferred), (vec![], vec![]));
    let sender = |moved: &MovedMoney| {
        let sent = market.rpc.ok("eth_getTransactionByHash", json!([moved.tx]));
        sent["from"].as_str().unwrap().to_lowercase()
    };
    assert_eq!(sender(&alone.claims[0]), OWN.to_lowercase());
    assert_eq!(sender(&rest.claims[0]), ADDRESS.to_lowercase());
    audited(&seller, (1_000, 0, 1_000));

    // Another account has nothing of its own here, and says whose the rest is.
    let network = market.network(market.chain.url());
    let elsewhere = Seller::over(&network, (KEY, seller.journal.clone()), |_| {});
    let elsewhere = seller.wait(elsewhere).desk;
    let alone = ChainSettler::new(Arc::clone(&elsewhere));
    seller.wait(alone.fill_pools()).unwrap();
    assert_eq!(seller.wait(alone.withdraw(None)).unwrap(), []);
    let left = seller.wait(alone.unreleased()).unwrap();
    let left: Vec<_> = left.iter().map(|it| (it.recipient, it.pending)).collect();
    assert_eq!(left, [(OWN.parse().unwrap(), Amount(700))]);
    let accounts = SettlementAccounts::new(elsewhere, vec![account(OWN_KEY)]);
    let both = ChainSettler::new(accounts);
    let paid = seller.wait(both.withdraw(None)).unwrap();
    assert_eq!(amounts(&paid), [(700, 0)]);
    assert_eq!(sender(&paid[0]), OWN.to_lowercase());
    assert_eq!(market.balance(OWN.parse().unwrap()), 700);
    assert_eq!(seller.wait(both.unreleased()).unwrap(), []);
    audited(&seller, (1_000, 1_000, 0));
}

/// Runs the watcher and the treasurer by themselves while something happens, until the chain
/// has paid `claimed` of the first channel.
fn by_itself(triggers: SettleTriggers, happens: impl FnOnce(&Market, &Seller, &Buyer)) {
    let market = Market::embedded();
    let seller = market.seller_through(market.chain.url(), |options| {
        options.poll = Duration::from_millis(20);
    });
    let buyer = market.buyer(1, 100_000);
    let config = buyer.config(1);
    let channel = seller.opens(&buyer, &config, 50_000);
    seller.charges(&buyer, &config, 700);
    let stop = CancellationToken::new();
    let (desk, end) = (Arc::clone(&seller.desk), stop.clone());
    let watching = market.runtime.spawn(async move { desk.watch(end).await });
    let (treasurer, end) = (treasurer(&seller), stop.clone());
    let settling = market
        .runtime
        .spawn(async move { treasurer.run(triggers, end).await });
    happens(&market, &seller, &buyer);
    market
        .runtime
        .block_on(waiting::until("the claim", async || {
            let view = seller.desk.channel(channel).await.unwrap();
            view.claimed == Amount(700)
        }));
    stop.cancel();
    market.runtime.block_on(watching).unwrap();
    market.runtime.block_on(settling).unwrap();
    assert_eq!(market.balance(market.splitter), 700);
}

const NEVER: SettleTriggers = SettleTriggers {
    threshold: Amount(u128::MAX),
    interval: Duration::from_secs(3600),
};

#[test]
fn a_withdrawal_that_starts_is_answered_by_a_claim() {
    by_itself(NEVER, |market, _, buyer| {
        let payer = buyer.address().to_string();
        let rich = json!([payer, "0x8ac7230489e80000"]);
        market.rpc.ok("anvil_setBalance", rich);
        market.rpc.ok("anvil_impersonateAccount", json!([payer]));
        let call = Escrow::initiateWithdrawCall {
            config: (&buyer.config(1)).into(),
            amount: 50_000,
        };
        send_from(
            &market.rpc,
            &payer,
            ESCROW.into(),
            &call.abi_encode().into(),
        );
    });
}

#[test]
fn a_sum_that_is_worth_it_is_claimed() {
    let triggers = SettleTriggers {
        threshold: Amount(700),
        ..NEVER
    };
    by_itself(triggers, |_, _, _| {});
}

#[test]
fn time_that_passed_is_a_reason_to_claim() {
    let triggers = SettleTriggers {
        interval: Duration::from_millis(50),
        ..NEVER
    };
    by_itself(triggers, |_, _, _| {});
}

#[test]
fn a_server_that_stops_claims_what_is_left() {
    let market = Market::embedded();
    let seller = market.seller();
    let buyer = market.buyer(1, 1_000);
    let config = buyer.config(1);
    seller.opens(&buyer, &config, 1_000);
    seller.charges(&buyer, &config, 300);
    let stop = CancellationToken::new();
    stop.cancel();
    seller.wait(treasurer(&seller).run(NEVER, stop));
    assert_eq!(market.balance(market.splitter), 300);
    let view = seller
        .wait(seller.desk.channel(channel_id(&config)))
        .unwrap();
    assert_eq!(view.claimed, Amount(300));
}
