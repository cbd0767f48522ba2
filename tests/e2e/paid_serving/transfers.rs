//! Payments by `exact`: one transfer that this server has made pays one call of this server,
//! whoever else uses, repeats, or shows the authorization elsewhere.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use alloy::{
    primitives::{Bytes, U256},
    sol,
    sol_types::SolCall,
};
use futures::future::join_all;
use openlora_ledger::event::{Event, EventRecord, FinishReason};
use openlora_payments::x402::{Reason, wire::ExactPayload};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::shop::{CHAIN, Call, Payer, QUOTE, Setup, Shop, cost, offer, required, token};
use crate::{
    devnet_peers::artifact,
    devnet_support::NOBODY,
    keys::account,
    serve_support::{Reply, reply},
    settlement_support::{Market, send},
    waiting,
    x402_support::header,
};

sol! {
    interface Authorized {
        function transferWithAuthorization(address from, address to, uint256 value, uint256 validAfter, uint256 validBefore, bytes32 nonce, bytes signature) external;
    }
    interface Many {
        struct Call3 { address target; bool allowFailure; bytes callData; }
        struct Result { bool success; bytes returnData; }
        function aggregate3(Call3[] calls) external payable returns (Result[] results);
    }
}

/// The account of a second server of the same adapter, with the same splitter.
const OTHER_KEY: &str = "0x2222222222222222222222222222222222222222222222222222222222222222";

/// Submits a payload's transfer, as anybody may.
fn submission(payload: &Value) -> Bytes {
    let exact: ExactPayload = serde_json::from_value(payload.clone()).unwrap();
    let said = exact.authorization;
    let call = Authorized::transferWithAuthorizationCall {
        from: said.from.into(),
        to: said.to.into(),
        value: U256::from(said.value.0),
        validAfter: said.valid_after,
        validBefore: said.valid_before,
        nonce: said.nonce.0.into(),
        signature: exact.signature,
    };
    call.abi_encode().into()
}

/// One server more, with an account and a journal of its own.
fn other_shop(market: &Market) -> Shop {
    let address = account(OTHER_KEY).address().to_string();
    market
        .rpc
        .ok("anvil_setBalance", json!([address, "0x8ac7230489e80000"]));
    let path = market.dir.path().join("other.sqlite");
    let setup = Setup {
        key: OTHER_KEY,
        ..Setup::at(&path, market.network(market.chain.url()), market.splitter)
    };
    Shop::open(&market.runtime, setup)
}

#[track_caller]
fn refused(reply: &Reply) -> String {
    required(reply)["error"].as_str().unwrap().to_owned()
}

/// Hashes of the transactions that a server has sent.
fn sent(records: &[EventRecord]) -> BTreeSet<String> {
    let sent = records.iter().filter_map(|record| match &record.event {
        Event::TransactionIntended(intent) => Some(intent.tx.clone()),
        _ => None,
    });
    sent.collect()
}

/// Transfers to the splitter that are in a journal, all by the server's own transactions.
#[track_caller]
fn received(shop: &Shop, market: &Market) -> usize {
    let records = shop.records();
    let sent = sent(&records);
    let paid = records.iter().filter_map(|record| match &record.event {
        Event::PaymentReceived(paid) if paid.receiver == market.splitter => Some(&paid.tx),
        _ => None,
    });
    let paid: BTreeSet<&String> = paid.collect();
    assert!(paid.iter().all(|tx| sent.contains(*tx)));
    paid.len()
}

/// A stream that was paid whole is owed whole, wherever its connection breaks.
#[test]
fn a_stream_that_a_transfer_paid_is_answered_whole_after_a_lost_connection() {
    let market = Market::embedded();
    let shop = Shop::of(&market);
    let payer = Payer::new(&market, 1, 1_000_000);
    // Hung up on before the first token, and after the second one.
    for (nonce, read) in [(1, 0), (2, 2)] {
        let call = Call::chat(&format!("s{nonce} b !step"))
            .with(json!({ "stream": true, "max_tokens": 9 }))
            .named(&format!("lost-{nonce}"));
        let quote: u128 = shop.required(&call)["accepts"]
            .as_array()
            .unwrap()
            .iter()
            .find(|it| it["scheme"] == "exact")
            .and_then(|it| it["amount"].as_str())
            .unwrap()
            .parse()
            .unwrap();
        let payment = shop.payment(&call, &payer.exact(quote, nonce));
        let begun = shop.begun();
        shop.server.steps.add_permits(read);
        let id = shop.wait(async {
            let request = call.request(&shop.server.client, &shop.server.url(""), Some(&payment));
            let mut response = request.send().await.unwrap();
            let mut text = String::new();
            // The opening chunk has an empty text.
            while text.matches("\"content\":").count() < 1 + read {
                let chunk = response.chunk().await.unwrap().unwrap();
                text.push_str(std::str::from_utf8(&chunk).unwrap());
            }
            drop(response);
            let (_, first) = text.split_once("data: ").unwrap();
            let (first, _) = first.split_once("\n\n").unwrap();
            let first: Value = serde_json::from_str(first).unwrap();
            first["id"].as_str().unwrap().to_owned()
        });
        shop.server.steps.add_permits(9 - read);
        let (usage, finish) = shop.wait(shop.server.metered(&id));
        let counted = (usage.completion_tokens, finish);
        assert_eq!(counted, (9, FinishReason::Length), "{nonce}");
        let again = shop.send(&call, Some(&payment));
        assert_eq!(again.status, 200, "{again:?}");
        assert_eq!(again.header("x-openlora-replayed"), Some("true"));
        assert_eq!(again.text.matches("\"content\":").count(), 10, "{again:?}");
        assert_eq!(cost(&again), quote);
        assert_eq!(shop.begun(), begun + 1);
    }
    assert_eq!(received(&shop, &market), 2);
    shop.close();
}

#[test]
fn one_transfer_among_many_used_authorizations_pays_nobody() {
    let market = Market::embedded();
    let shop = Shop::of(&market);
    let payer = Payer::new(&market, 1, 1_000);
    let multicall = NOBODY;
    let artifact = fs::read(artifact("DevelopmentMulticall")).unwrap();
    let artifact: Value = serde_json::from_slice(&artifact).unwrap();
    let code = &artifact["deployedBytecode"];
    market.rpc.ok("anvil_setCode", json!([multicall, code]));
    // All nonces are used in one transaction, and one of them with money.
    let call = |payload: &Value| Many::Call3 {
        target: token().into(),
        allowFailure: false,
        callData: submission(payload),
    };
    let to_oneself = Payer::to(payer.address(), 1);
    let uses = (1..=8).map(|nonce| match nonce {
        1 => call(&payer.exact(QUOTE, nonce)),
        nonce => call(&to_oneself.exact(0, nonce)),
    });
    let data = Many::aggregate3Call {
        calls: uses.collect(),
    };
    send(
        &market.rpc,
        multicall.parse().unwrap(),
        &data.abi_encode().into(),
    );
    assert_eq!(market.balance(market.splitter), QUOTE);
    let sent = market.sent();
    for nonce in 1..=8 {
        let call = Call::chat(&format!("w{nonce} b !end=2"));
        let payment = shop.payment(&call, &payer.exact(QUOTE, nonce));
        let reply = shop.send(&call, Some(&payment));
        assert_eq!(refused(&reply), Reason::ExactUsed.code(), "{nonce}");
    }
    assert_eq!((shop.begun(), market.sent()), (0, sent));
    assert_eq!(shop.book().exact.len(), 0);
    // What is not used yet still pays.
    shop.buys(&Call::usual(), &payer.exact(QUOTE, 9));
    assert_eq!(received(&shop, &market), 1);
    shop.close();
}

#[test]
fn one_payment_shown_to_two_servers_pays_one() {
    let market = Market::embedded();
    let (one, two) = (Shop::of(&market), other_shop(&market));
    let payer = Payer::new(&market, 1, 100 * QUOTE);
    for nonce in 1..=20 {
        let payload = payer.exact(QUOTE, nonce);
        let call = Call::chat(&format!("w{nonce} b !end=2"));
        let payments = [&one, &two].map(|shop| shop.payment(&call, &payload));
        let (first, second) = one.wait(async {
            tokio::join!(
                one.ask(&call, Some(&payments[0])),
                two.ask(&call, Some(&payments[1]))
            )
        });
        let replies = [first.unwrap(), second.unwrap()];
        let paid = replies.iter().filter(|it| it.status == 200).count();
        assert_eq!(paid, 1, "{replies:?}");
        // Whoever lost says so, then and ever after.
        for (shop, (payment, reply)) in [&one, &two].into_iter().zip(payments.iter().zip(&replies))
        {
            if reply.status == 200 {
                continue;
            }
            assert_eq!(refused(reply), Reason::ExactUsed.code());
            let again = shop.send(&call, Some(payment));
            assert_eq!(refused(&again), Reason::ExactUsed.code());
        }
    }
    assert_eq!(market.balance(market.splitter), 20 * QUOTE);
    let calls = one.begun() + two.begun();
    assert_eq!(calls, 20);
    assert_eq!(received(&one, &market) + received(&two, &market), 20);
    two.close();
    one.close();
}

#[test]
fn a_payment_of_ours_that_came_back_after_a_reorganisation_still_pays() {
    let market = Market::embedded();
    let shop = Shop::of(&market);
    let payer = Payer::new(&market, 1, 10 * QUOTE);
    let broken = Call::chat("a b !fail=0");
    let payment = shop.payment(&broken, &payer.exact(QUOTE, 1));
    assert_eq!(shop.send(&broken, Some(&payment)).status, 500);
    let raw = shop
        .records()
        .iter()
        .find_map(|record| match &record.event {
            Event::TransactionIntended(intent) => Some(intent.raw.clone()),
            _ => None,
        });
    market.rpc.ok("anvil_reorg", json!([1, []]));
    shop.wait(waiting::until("the transfer to be undone", async || {
        shop.book().exact.values().count() == 0
    }));
    // The very transaction is mined after all.
    market
        .rpc
        .ok("eth_sendRawTransaction", json!([raw.unwrap()]));
    assert_eq!(market.balance(market.splitter), QUOTE);
    let call = Call::usual();
    let payment = payer.exact_for(&shop, &call, (QUOTE, 1));
    let served = shop.send(&call, Some(&payment));
    assert_eq!(served.status, 200, "{served:?}");
    assert_eq!(market.balance(market.splitter), QUOTE);
    assert_eq!(received(&shop, &market), 1);
    let other = Call::chat("b a !end=2");
    let reply = shop.send(&other, Some(&payment));
    assert_eq!(refused(&reply), Reason::RequestBinding.code());
    let unnamed = shop.payment(&other, &payer.exact(QUOTE, 1));
    let reply = shop.send(&other, Some(&unnamed));
    assert_eq!(refused(&reply), Reason::ExactUsed.code());
    shop.audited();
    shop.close();
}

/// Asks from another address of this machine.
fn from_elsewhere(shop: &Shop, call: &Call, payment: &str, relayed: Option<&str>) -> Reply {
    let elsewhere = reqwest::Client::builder()
        .no_proxy()
        .local_address(Some([127, 0, 0, 2].into()));
    let client = match relayed {
        Some(_) => shop.server.client.clone(),
        None => elsewhere.build().unwrap(),
    };
    let mut request = call.request(&client, &shop.server.url(""), Some(payment));
    if let Some(address) = relayed {
        request = request.header("x-forwarded-for", address);
    }
    shop.wait(reply(request))
}

/// Whoever reads a payment from its chain and guesses what it bought gets no answer by it: not what
/// was answered, nor what is owed, in this process or the next.
#[test]
fn a_copy_from_calldata_and_a_guess_fetch_no_answer() {
    let market = Market::embedded();
    let shop = Shop::of(&market);
    let payer = Payer::new(&market, 1, 10_000);
    let (plain, named) = (Call::usual(), Call::usual().named("a-secret-of-mine"));
    let broken = Call::chat("a b !fail=0");
    let payments = [
        shop.payment(&plain, &payer.exact(QUOTE, 1)),
        shop.payment(&named, &payer.exact(QUOTE, 2)),
        shop.payment(&broken, &payer.exact(QUOTE, 3)),
    ];
    let first = shop.send(&plain, Some(&payments[0]));
    let second = shop.send(&named, Some(&payments[1]));
    let owed = shop.send(&broken, Some(&payments[2]));
    assert_eq!((first.status, second.status, owed.status), (200, 200, 500));
    let secret = |reply: &Reply| reply.header("x-request-id").unwrap().to_owned();
    assert_eq!(secret(&second), "a-secret-of-mine");
    let (begun, sent) = (shop.begun(), market.sent());
    // What a copy shows: another address, one behind a relay that nobody named, guessed ids, and
    // the id that the answer has inside, which receipts and logs know.
    let inside = first.json()["id"].as_str().unwrap().to_owned();
    let check = |shop: &Shop| {
        for guess in ["guess", inside.as_str()] {
            for relayed in [None, Some("127.0.0.1")] {
                let calls = [
                    plain.clone().named(guess),
                    plain.clone(),
                    broken.clone().named(guess),
                ];
                let shown = [&payments[0], &payments[1], &payments[2]];
                for (call, payment) in calls.iter().zip(shown) {
                    let found = from_elsewhere(shop, call, payment, relayed);
                    assert_eq!(refused(&found), Reason::ExactUsed.code());
                    assert_eq!(found.header("x-openlora-replayed"), None);
                }
            }
        }
        // Its payer has the id, wherever it asks from, or the address.
        for (reply, payment) in [(&first, &payments[0]), (&second, &payments[1])] {
            let call = plain.clone().named(&secret(reply));
            let again = from_elsewhere(shop, &call, payment, None);
            assert_eq!((again.status, &again.text), (200, &reply.text));
            let again = shop.send(&plain, Some(payment));
            assert_eq!((again.status, &again.text), (200, &reply.text));
        }
    };
    check(&shop);
    assert_eq!((shop.begun(), market.sent()), (begun, sent));
    // What is owed is tried again for its payer alone.
    let call = broken.clone().named(&secret(&owed));
    assert_eq!(from_elsewhere(&shop, &call, &payments[2], None).status, 500);
    assert_eq!(shop.send(&broken, Some(&payments[2])).status, 500);
    shop.close();
    let shop = Shop::of(&market);
    check(&shop);
    assert_eq!((shop.begun(), market.sent()), (0, sent));
    assert_eq!(market.balance(payer.address()), 10_000 - 3 * QUOTE);
    shop.audited();
    shop.close();
}

/// One thing that happens to an authorization.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Shown to a server for one of three calls.
    Shown { server: usize, call: usize },
    /// Used by a stranger, who pays the splitter or not.
    Used { honestly: bool },
}

fn step(random: &mut ChaCha8Rng) -> Step {
    match random.random_range(0..6) {
        0 => Step::Used {
            honestly: random.random(),
        },
        _ => Step::Shown {
            server: random.random_range(0..2),
            call: random.random_range(0..3),
        },
    }
}

/// However authorizations are shown, repeated, raced and used by strangers: no server answers
/// more calls than transfers it has made, and no authorization pays two calls.
#[test]
fn no_more_calls_than_transfers_whatever_happens_to_authorizations() {
    const RUNS: u64 = 1_000;
    const AT_ONCE: u64 = 20;
    let market = Market::embedded();
    let shops = [Shop::of(&market), other_shop(&market)];
    let payer = Payer::new(&market, 1, 2 * u128::from(RUNS) * QUOTE);
    let to_oneself = Payer::to(payer.address(), 1);
    let calls: Vec<Call> = (0..3)
        .map(|call| Call::chat(&format!("w{call} b !end=2")))
        .collect();
    let offers = shops
        .each_ref()
        .map(|shop| shop.required(&calls[0])["accepts"].clone());
    let mut random = ChaCha8Rng::seed_from_u64(12);
    // Distinct answers by authorization.
    let mut answers: BTreeMap<u64, BTreeSet<(usize, String)>> = BTreeMap::new();
    for first in (0..RUNS).step_by(AT_ONCE as usize) {
        let batch = first..first + AT_ONCE;
        let mut plans: Vec<(u64, Vec<Step>)> = batch
            .map(|nonce| {
                let steps = random.random_range(1..5);
                (nonce, (0..steps).map(|_| step(&mut random)).collect())
            })
            .collect();
        // Two steps at a time of each authorization, and all authorizations at once.
        while !plans.is_empty() {
            let mut shown = Vec::new();
            for (nonce, steps) in &mut plans {
                for step in steps.drain(..steps.len().min(2)) {
                    let payload = payer.exact(QUOTE, *nonce);
                    match step {
                        Step::Used { honestly } => {
                            let used = match honestly {
                                true => payload,
                                false => to_oneself.exact(0, *nonce),
                            };
                            let data = submission(&used);
                            let fields = json!({
                                "from": crate::devnet_support::FIRST, "gas": "0x989680",
                                "to": token().to_string(), "data": data,
                            });
                            // One that is used already is reverted.
                            market.rpc.ok("eth_sendTransaction", json!([fields]));
                        }
                        Step::Shown { server, call } => {
                            let payment = header(offer(&offers[server], CHAIN, &payload), &payload);
                            shown.push((*nonce, server, call, payment));
                        }
                    }
                }
            }
            plans.retain(|(_, steps)| !steps.is_empty());
            let asked = shown.iter().map(|(nonce, server, call, payment)| {
                let (shops, calls) = (&shops, &calls);
                async move {
                    let reply = shops[*server].ask(&calls[*call], Some(payment)).await;
                    (*nonce, *server, reply.unwrap())
                }
            });
            for (nonce, server, reply) in shops[0].wait(join_all(asked)) {
                match reply.status {
                    200 => {
                        let id = reply.json()["id"].to_string();
                        answers.entry(nonce).or_default().insert((server, id));
                    }
                    // Somebody else has it, or it is being found out.
                    402 | 503 => {}
                    other => panic!("{other}: {reply:?}"),
                }
            }
        }
    }
    assert!(answers.values().all(|it| it.len() == 1), "{answers:?}");
    for (server, shop) in shops.iter().enumerate() {
        let of = answers.values().flatten().filter(|it| it.0 == server);
        let (answered, received) = (of.count(), received(shop, &market));
        assert!(answered > 100, "{answered}");
        assert!(
            answered <= received,
            "{answered} answers, {received} transfers"
        );
        assert_eq!(shop.begun(), answered);
    }
    for shop in shops {
        shop.close();
    }
}
