//! Gas that strangers make a server spend: one guard counts it, bounds it, and keeps what the
//! server's own claims need.

use std::time::Duration;

use futures::future::join_all;
use openlora_core::{Address, Amount, Word};
use openlora_ledger::{
    SponsorAllowance, SponsorLimit, Sponsored, SponsoredBook, SponsoredDeed,
    event::{Event, TxIntent, TxOutcome},
};
use openlora_payments::{
    settlement::{ChainFailure, ChainSettlement, ClaimWorth},
    x402::Reason,
};
use openlora_serve::AddressAllowances;
use serde_json::{Value, json};

use super::shop::{CHAIN, COST, Call, Payer, QUOTE, Setup, Shop, offer, required};
use crate::{
    deploy_support::{Act, Proxy},
    keys::OWN,
    serve_support::Reply,
    settlement_support::Market,
    waiting,
    x402_support::header,
};

/// Gas of a claim from so many channels, at most, as the server reckons.
const fn claiming(channels: u128) -> u128 {
    160_000 + 60_000 * channels
}

fn wei(market: &Market, method: &str, parameters: Value) -> u128 {
    let found = market.rpc.ok(method, parameters);
    let digits = found.as_str().unwrap().trim_start_matches("0x");
    u128::from_str_radix(digits, 16).unwrap()
}

fn held(market: &Market) -> u128 {
    wei(market, "eth_getBalance", json!([OWN, "latest"]))
}

fn hold(market: &Market, wei: u128) {
    market
        .rpc
        .ok("anvil_setBalance", json!([OWN, format!("{wei:#x}")]));
}

fn open(market: &Market, allowance: SponsorAllowance) -> Shop {
    let setup = Setup {
        allowance,
        ..Setup::of(market)
    };
    Shop::open(&market.runtime, setup)
}

#[track_caller]
fn refused(reply: &Reply, reason: Reason) {
    assert_eq!(required(reply)["error"], reason.code(), "{reply:?}");
}

/// Pays for a call of its own, by the offers of a moment ago.
fn pay(shop: &Shop, offers: &Value, payload: &Value, number: u64) -> Reply {
    let call = Call::usual().named(&format!("gas-{number}"));
    let payment = header(offer(offers, CHAIN, payload), payload);
    shop.send(&call, Some(&payment))
}

#[test]
fn transfers_of_a_payer_end_with_the_days_number() {
    let market = Market::embedded();
    let limits = SponsorAllowance {
        transfers_daily: 3,
        ..SponsorAllowance::UNLIMITED
    };
    let shop = open(&market, limits);
    let payer = Payer::new(&market, 1, 100_000);
    let offers = shop.required(&Call::usual())["accepts"].clone();
    for number in 1..=3 {
        assert_eq!(
            pay(&shop, &offers, &payer.exact(QUOTE, number), number).status,
            200
        );
    }
    let (sent, left) = (market.sent(), held(&market));
    for number in 4..=20 {
        let reply = pay(&shop, &offers, &payer.exact(QUOTE, number), number);
        refused(&reply, Reason::TransferLimit);
    }
    // Nobody pays for another one's transfers, and channels are open to all.
    let other = Payer::new(&market, 2, 100_000);
    let reply = pay(&shop, &offers, &other.exact(QUOTE, 1), 21);
    assert_eq!((reply.status, market.sent()), (200, sent + 1));
    shop.buys(&Call::usual(), &payer.deposit(QUOTE, 5_000));
    assert!(held(&market) < left);
    shop.close();

    // A restart brings nothing back.
    let shop = open(&market, limits);
    let sent = market.sent();
    let reply = pay(&shop, &offers, &payer.exact(QUOTE, 30), 30);
    refused(&reply, Reason::TransferLimit);
    assert_eq!(market.sent(), sent);
    shop.close();
}

#[test]
fn transfers_of_all_payers_end_with_the_days_gas_budget() {
    let market = Market::embedded();
    let price = wei(&market, "eth_gasPrice", json!([]));
    let budget = Amount(price * 85_000 * 20);
    let limits = SponsorAllowance {
        gas_budget: Some(budget),
        ..SponsorAllowance::UNLIMITED
    };
    let shop = open(&market, limits);
    let offers = shop.required(&Call::usual())["accepts"].clone();
    let before = held(&market);
    let stopped = (1..=60).find_map(|number| {
        let payer = Payer::new(&market, number, 1_000);
        let reply = pay(&shop, &offers, &payer.exact(QUOTE, 1), number);
        (reply.status != 200).then_some((number, reply))
    });
    let (number, reply) = stopped.expect("nothing ends the transfers");
    assert!(number > 5, "{number}");
    assert_eq!(reply.status, 503, "{reply:?}");
    assert_eq!(reply.json()["error"]["code"], "gas_budget_spent");
    assert!(before - held(&market) <= budget.0);
    shop.close();
}

#[test]
fn a_transfer_is_offered_where_the_price_is_worth_its_gas() {
    let market = Market::embedded();
    let shop = |min_exact: u128| {
        let setup = Setup {
            min_exact: Amount(min_exact),
            ..Setup::of(&market)
        };
        Shop::open(&market.runtime, setup)
    };
    let schemes = |shop: &Shop| {
        let offers = shop.required(&Call::usual())["accepts"].clone();
        let schemes = offers.as_array().unwrap().iter();
        let schemes: Vec<String> = schemes
            .map(|it| it["scheme"].as_str().unwrap().to_owned())
            .collect();
        (offers, schemes)
    };
    let payer = Payer::new(&market, 1, 100_000);
    let open = shop(QUOTE);
    let (offers, found) = schemes(&open);
    assert_eq!(found, ["batch-settlement", "exact"]);
    open.buys(&Call::usual(), &payer.exact(QUOTE, 1));
    open.close();

    let open = shop(QUOTE + 1);
    assert_eq!(schemes(&open).1, ["batch-settlement"]);
    let sent = market.sent();
    let reply = pay(&open, &offers, &payer.exact(QUOTE, 2), 2);
    refused(&reply, Reason::ExactTooSmall);
    assert_eq!(market.sent(), sent);
    open.buys(&Call::usual(), &payer.deposit(QUOTE, 5_000));
    open.close();
}

#[test]
fn a_burst_of_transfers_leaves_the_gas_that_claims_need() {
    const CHANNELS: u128 = 12;
    let market = Market::embedded();
    let shop = open(&market, SponsorAllowance::UNLIMITED);
    for number in 1..=CHANNELS as u64 {
        let payer = Payer::new(&market, number, 5_000);
        shop.buys(&Call::usual(), &payer.deposit(QUOTE, 5_000));
    }
    let price = wei(&market, "eth_gasPrice", json!([]));
    let floor = claiming(CHANNELS) * price;
    hold(&market, 6 * floor);
    let offers = shop.required(&Call::usual())["accepts"].clone();
    let mut served = 0;
    let last = (0..100).find_map(|round: u64| {
        let payers = (0..4).map(|it| Payer::new(&market, 100 + 4 * round + it, 1_000));
        let payers: Vec<Payer> = payers.collect();
        let asked = payers.iter().enumerate().map(|(at, payer)| {
            let call = Call::usual().named(&format!("burst-{round}-{at}"));
            let payload = payer.exact(QUOTE, 1);
            let payment = header(offer(&offers, CHAIN, &payload), &payload);
            let shop = &shop;
            async move { shop.ask(&call, Some(&payment)).await.unwrap() }
        });
        let replies = shop.wait(join_all(asked));
        served += replies.iter().filter(|it| it.status == 200).count();
        let mut refused = replies.into_iter().filter(|it| it.status != 200);
        assert!(held(&market) >= floor);
        refused.next()
    });
    let last = last.expect("nothing ends the transfers");
    assert_eq!(last.status, 503, "{last:?}");
    assert!(served >= 4, "{served}");
    assert!(
        last.text
            .contains("Transactions of payers are not sent now.")
    );
    // It is told at once, and once.
    let ready = shop.wait(shop.server.get("/ready")).json();
    assert_eq!(ready["warnings"].as_array().unwrap().len(), 1, "{ready}");
    let told = shop.records().into_iter();
    let told = told.filter(|it| matches!(it.event, Event::GasLow { .. }));
    assert!(told.count() >= 1);
    // Deposits and refunds are not sent either, and channels go on.
    let stranger = Payer::new(&market, 50, 5_000);
    let reply = pay(&shop, &offers, &stranger.deposit(QUOTE, 5_000), 50);
    assert_eq!(reply.status, 503, "{reply:?}");
    let regular = Payer::to(market.splitter, 1);
    shop.buys(&Call::usual(), &regular.voucher(COST + QUOTE));
    // Everything that was charged is claimed.
    let figures = shop.settled().remove(0);
    assert_eq!(figures.charged.0, COST * (CHANNELS + 1));
    shop.close();
}

#[test]
fn an_empty_account_is_reported_before_a_payer_asks() {
    let market = Market::embedded();
    let limits = SponsorAllowance {
        min_gas: Amount(1_000_000_000_000_000),
        ..SponsorAllowance::UNLIMITED
    };
    let shop = open(&market, limits);
    let warned = || {
        let ready = shop.wait(shop.server.get("/ready")).json();
        ready["warnings"].as_array().map_or(0, Vec::len)
    };
    assert_eq!(warned(), 0);
    let full = held(&market);
    hold(&market, 0);
    waiting::wait_until("a warning", || warned() == 1);
    let told = |shop: &Shop| {
        let records = shop.records().into_iter();
        records
            .filter(|it| matches!(it.event, Event::GasLow { .. }))
            .count()
    };
    waiting::wait_until("an event", || told(&shop) == 1);
    hold(&market, full);
    waiting::wait_until("no warning", || warned() == 0);
    assert_eq!(told(&shop), 1);
    shop.close();
}

#[test]
fn calls_that_could_not_be_claimed_are_refused() {
    let market = Market::embedded();
    let shop = open(&market, SponsorAllowance::UNLIMITED);
    let (due, new) = (Payer::new(&market, 1, 5_000), Payer::new(&market, 2, 5_000));
    shop.buys(&Call::usual(), &due.deposit(QUOTE, 5_000));
    new.fills(&market, 5_000);
    let first = shop.payment(&Call::usual(), &new.voucher(QUOTE));
    let next = shop.payment(&Call::usual(), &due.voucher(COST + QUOTE));
    let warnings = || {
        let ready = shop.wait(shop.server.get("/ready")).json();
        let warnings = ready["warnings"].as_array().cloned().unwrap_or_default();
        warnings.iter().map(Value::to_string).collect::<String>()
    };
    let full = held(&market);
    let price = shop.wait(shop.desks[0].chain().fees()).unwrap().max_fee;

    // Enough for the channel that owes, and not for another one.
    hold(&market, (claiming(1) + 30_000) * price);
    waiting::wait_until("a warning", || warnings().contains("new channels"));
    let begun = shop.begun();
    let reply = shop.send(&Call::usual(), Some(&first));
    assert_eq!((reply.status, shop.begun()), (503, begun), "{reply:?}");
    assert_eq!(reply.json()["error"]["code"], "gas_account_low");
    assert_eq!(shop.charged(new.channel()), 0);
    let reply = shop.send(&Call::usual(), Some(&next));
    assert_eq!(reply.status, 200, "{reply:?}");

    // Nothing for anybody.
    hold(&market, 0);
    waiting::wait_until("a warning", || warnings().contains("calls from channels"));
    let (begun, more) = (shop.begun(), due.voucher(2 * COST + QUOTE));
    let more = shop.payment(&Call::usual(), &more);
    for payment in [&first, &more] {
        let reply = shop.send(&Call::usual(), Some(payment));
        assert_eq!((reply.status, shop.begun()), (503, begun), "{reply:?}");
    }
    // What was answered is answered again, and a filled account takes the same payments.
    let reply = shop.send(&Call::usual(), Some(&next));
    assert_eq!((reply.status, shop.begun()), (200, begun), "{reply:?}");
    hold(&market, full);
    waiting::wait_until("no warning", || warnings().is_empty());
    for payment in [&first, &more] {
        let reply = shop.send(&Call::usual(), Some(payment));
        assert_eq!(reply.status, 200, "{reply:?}");
    }
    shop.settled();
    shop.close();
}

#[test]
fn dust_does_not_raise_what_the_account_must_hold() {
    const CHANNELS: u64 = 12;
    let market = Market::embedded();
    let setup = Setup {
        worth: ClaimWorth {
            least: Amount(COST + 1),
            coin: None,
        },
        ..Setup::of(&market)
    };
    let shop = Shop::open(&market.runtime, setup);
    for number in 1..=CHANNELS {
        let payer = Payer::new(&market, number, 5_000);
        shop.buys(&Call::usual(), &payer.deposit(QUOTE, 5_000));
    }
    // As much as a deposit and one claim take, however many channels have dust.
    let price = shop.wait(shop.desks[0].chain().fees()).unwrap().max_fee;
    hold(&market, (claiming(1) + 3 * 160_000) * price);
    let payer = Payer::new(&market, 100, 5_000);
    shop.buys(&Call::usual(), &payer.deposit(QUOTE, 5_000));
    shop.close();
}

#[test]
fn refused_payments_ask_the_chain_within_an_allowance() {
    let market = Market::embedded();
    let proxy = Proxy::new(market.chain.url(), |_, _, _| Act::Forward);
    let setup = Setup {
        networks: vec![market.network(&proxy.url)],
        // Nothing comes back, however long the requests take.
        unpaid: AddressAllowances {
            refusals_per_second: 0,
            ..AddressAllowances::default()
        },
        ..Setup::of(&market)
    };
    let shop = Shop::open(&market.runtime, setup);
    let regular = Payer::new(&market, 1, 50_000);
    shop.buys(&Call::usual(), &regular.deposit(QUOTE, 50_000));
    let offers = shop.required(&Call::usual())["accepts"].clone();
    let limited = (1..2_000).find_map(|number| {
        let nobody = Payer::to(market.splitter, 1_000 + number);
        let reply = pay(&shop, &offers, &nobody.voucher(QUOTE), number);
        if reply.status == 402 {
            refused(&reply, Reason::ChannelNotFound);
            return None;
        }
        Some((number, reply))
    });
    let (number, reply) = limited.expect("nothing ends the questions");
    assert_eq!(number, 257);
    assert_eq!(reply.status, 503, "{reply:?}");
    assert_eq!(reply.json()["error"]["code"], "refused_limit");
    // Strangers' payments of every kind are refused without a question by then.
    let rich = Payer::new(&market, 2, 50_000);
    let before = proxy.asked("eth_getCode").len();
    for (number, payload) in (5_000..).zip([
        rich.deposit(QUOTE, 5_000),
        rich.exact(QUOTE, 1),
        Payer::to(market.splitter, 5_000).exact(QUOTE, 1),
    ]) {
        let reply = pay(&shop, &offers, &payload, number);
        assert_eq!(reply.status, 503, "{reply:?}");
        assert_eq!(reply.json()["error"]["code"], "refused_limit");
    }
    assert_eq!(proxy.asked("eth_getCode").len(), before);
    // A channel in use pays on from the same address.
    for number in 1..=20 {
        shop.buys(&Call::usual(), &regular.voucher(number * COST + QUOTE));
    }
    shop.close();
}

/// A contract whose check of signatures never ends.
fn endless(market: &Market, number: u8) -> Address {
    let at = Address([number; 20]);
    market.rpc.ok("anvil_setCode", json!([at, "0x5b600056"]));
    at
}

#[test]
fn questions_to_contracts_have_a_gas_limit_and_refusals_are_remembered() {
    let market = Market::embedded();
    let proxy = Proxy::new(market.chain.url(), |_, _, _| Act::Forward);
    let seller = market.seller_through(&proxy.url, |options| {
        options.remember = Duration::from_secs(600);
    });
    let at = endless(&market, 0xbb);
    let asked = |signature: u8, times: usize| {
        for _ in 0..times {
            let signature = [signature; 65];
            let question = seller.desk.accepts(at, Word([1; 32]), &signature);
            assert_eq!(seller.wait(question), Ok(false));
        }
        let calls = proxy.asked("eth_call").into_iter();
        let calls = calls.filter(|it| it[0]["to"] == at.to_string().to_lowercase());
        calls.map(|it| it[0]["gas"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(asked(1, 50), [json!("0x7a120")]);
    assert_eq!(asked(2, 50).len(), 2);
    assert_eq!(asked(1, 50).len(), 2);
}

#[test]
fn few_questions_to_contracts_are_asked_at_once() {
    const PLACES: usize = 4;
    let market = Market::embedded();
    let proxy = Proxy::new(market.chain.url(), |method, _, params| {
        let is_question = method == "eth_call" && params[0]["gas"] == "0x7a120";
        match is_question {
            true => Act::Hang,
            false => Act::Forward,
        }
    });
    let seller = market.seller_through(&proxy.url, |_| {});
    let buyer = market.buyer(1, 10_000);
    let channel = seller.opens(&buyer, &buyer.config(1), 5_000);
    let contracts = (1..=20).map(|number| endless(&market, number));
    let contracts: Vec<Address> = contracts.collect();
    let questions = contracts
        .iter()
        .map(|at| seller.desk.accepts(*at, Word::default(), &[1; 65]));
    let meanwhile = async {
        // Channels in use are served while the questions hang.
        let view = seller.desk.channel(channel).await.unwrap();
        assert_eq!(view.balance, Amount(5_000));
    };
    let (answers, ()) = seller.wait(futures::future::join(join_all(questions), meanwhile));
    assert!(
        answers
            .iter()
            .all(|it| matches!(it, Err(ChainFailure::Unreachable { .. }))),
        "{answers:?}"
    );
    let asked = proxy.asked("eth_call").into_iter();
    let asked = asked.filter(|it| it[0]["gas"] == "0x7a120");
    assert_eq!(asked.count(), PLACES);
}

/// A wallet that agrees to every signature after so many rounds of a loop; a liar does only where
/// gas has no price, as in a simulation.
fn wallet(market: &Market, number: u64, rounds: u32, lies: bool) -> Payer {
    let condition = match lies {
        true => "3a15",
        false => "6001",
    };
    let code = format!(
        "0x62{rounds:06x}5b6001900380600457{condition}6015575f5ffd5b631626ba7e60e01b5f5260205ff3"
    );
    let mut payer = Payer::to(market.splitter, number);
    let mut at = [0x77; 20];
    at[12..].copy_from_slice(&number.to_be_bytes());
    payer.config.payer = Address(at);
    market
        .rpc
        .ok("anvil_setCode", json!([payer.config.payer, code]));
    payer.funded(&market.rpc, 100_000);
    payer
}

#[test]
fn contracts_cannot_burn_the_servers_gas() {
    let market = Market::embedded();
    let burner = wallet(&market, 1, 300_000, false);
    let liar = wallet(&market, 2, 1, true);
    let plain = wallet(&market, 3, 1, false);
    let shop = open(&market, SponsorAllowance::UNLIMITED);
    let offers = shop.required(&Call::usual())["accepts"].clone();
    let sent = market.sent();
    // One takes more gas than a question about a signature has, the other one refuses what is sent.
    let [burns, lies] = [
        (Reason::ExactSignature, Reason::DepositSignature),
        (Reason::ExactRefused, Reason::DepositRefused),
    ];
    for (number, payer, (exact, deposit)) in [(1, &burner, burns), (2, &liar, lies)] {
        let reply = pay(&shop, &offers, &payer.exact(QUOTE, number), number);
        refused(&reply, exact);
        let reply = pay(&shop, &offers, &payer.deposit(QUOTE, 5_000), 10 + number);
        refused(&reply, deposit);
    }
    assert_eq!(market.sent(), sent);
    // One that takes little is served, where contracts are.
    let reply = pay(&shop, &offers, &plain.exact(QUOTE, 3), 3);
    assert_eq!((reply.status, market.sent()), (200, sent + 1), "{reply:?}");
    shop.close();

    let limits = SponsorAllowance {
        refuses_contracts: true,
        ..SponsorAllowance::UNLIMITED
    };
    let shop = open(&market, limits);
    for payload in [plain.exact(QUOTE, 4), plain.deposit(QUOTE, 5_000)] {
        let reply = pay(&shop, &offers, &payload, 4);
        refused(&reply, Reason::ContractPayer);
    }
    assert_eq!(market.sent(), sent + 1);
    let payer = Payer::new(&market, 4, 10_000);
    shop.buys(&Call::usual(), &payer.exact(QUOTE, 1));
    shop.close();
}

#[test]
fn one_balance_pays_for_one_transaction_however_many_come_at_once() {
    const MANY: u64 = 20;
    let market = Market::embedded();
    let shop = open(&market, SponsorAllowance::UNLIMITED);
    let offers = shop.required(&Call::usual())["accepts"].clone();
    let at_once = |name: &str, payloads: Vec<Value>| {
        let sent = market.sent();
        let asked = payloads.iter().enumerate().map(|(at, payload)| {
            let call = Call::usual().named(&format!("{name}-{at}"));
            let payment = header(offer(&offers, CHAIN, payload), payload);
            let shop = &shop;
            async move { shop.ask(&call, Some(&payment)).await.unwrap() }
        });
        let replies = shop.wait(join_all(asked));
        let served = replies.iter().filter(|it| it.status == 200).count();
        let refused = replies.iter().filter(|it| it.status == 402).count();
        assert_eq!((served, refused), (1, payloads.len() - 1), "{replies:?}");
        assert_eq!(market.sent(), sent + 1);
    };
    let payer = Payer::new(&market, 1, QUOTE);
    at_once(
        "transfer",
        (1..=MANY).map(|it| payer.exact(QUOTE, it)).collect(),
    );
    let funds = Payer::new(&market, 2, 5_000);
    let deposits = (1..=MANY).map(|salt| {
        let mut payer = Payer::to(market.splitter, 2);
        payer.config.salt.0[31] = salt as u8;
        payer.config.salt.0[30] = 0xaa;
        payer.deposit(QUOTE, 5_000)
    });
    at_once("deposit", deposits.collect());
    assert_eq!(funds.address(), Payer::to(market.splitter, 2).address());
    shop.close();
}

#[test]
fn what_fails_counts_against_its_payer_and_the_budget() {
    let party = Address([5; 20]);
    let asked = |deed| Sponsored {
        deed,
        party: Some(party),
        channel: None,
        day: 20_000,
        reserve: Amount(700),
    };
    let intent = |tx: &str, deed| TxIntent {
        tx: tx.to_owned(),
        chain_id: CHAIN,
        genesis: None,
        from: OWN.to_owned(),
        to: OWN.to_owned(),
        nonce: 0,
        purpose: String::new(),
        key: None,
        raw: String::new(),
        replaces: None,
        sponsored: Some(asked(deed)),
    };
    let limits = SponsorAllowance {
        transfers_daily: 2,
        gas_budget: Some(Amount(2_000)),
        ..SponsorAllowance::UNLIMITED
    };
    let mut book = SponsoredBook::default();
    // Claims before a call and what is cleared for others are transfers, too.
    for (tx, deed) in [
        ("0x1", SponsoredDeed::PrepaidClaim),
        ("0x2", SponsoredDeed::Clearing),
    ] {
        let transfer = asked(SponsoredDeed::Transfer);
        assert_eq!(book.check(CHAIN, &transfer, &limits), Ok(()));
        book.apply(&Event::TransactionIntended(Box::new(intent(tx, deed))));
        book.apply(&Event::TransactionConfirmed {
            tx: tx.to_owned(),
            status: TxOutcome::Reverted,
            gas_used: Some(1),
            block: Some(1),
            fee: Some(Amount(600)),
        });
    }
    for deed in [
        SponsoredDeed::Transfer,
        SponsoredDeed::PrepaidClaim,
        SponsoredDeed::Clearing,
    ] {
        let checked = book.check(CHAIN, &asked(deed), &limits);
        assert_eq!(checked, Err(SponsorLimit::Transfers));
    }
    assert_eq!(book.gas(CHAIN, 20_000).spent, Amount(1_200));
    let deposit = Sponsored {
        reserve: Amount(801),
        ..asked(SponsoredDeed::Deposit)
    };
    let checked = book.check(CHAIN, &deposit, &limits);
    assert!(matches!(checked, Err(SponsorLimit::GasBudget { .. })));
}
