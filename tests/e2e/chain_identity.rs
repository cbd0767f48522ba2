//! A chain is its first block, not its id: resets, reverts and other chains under the same id, and
//! what a running server, a journal and its audit make of them.

use std::{fs, time::Duration};

use openlora_chain::{
    network::{Network, NetworkOptions},
    provider::Chain,
    transaction::{TxLimits, TxSender, no_facts, recover},
};
use openlora_core::{
    Amount, Word,
    error::{ExitClass, Failure},
};
use openlora_journal::Journal;
use openlora_ledger::{Ledger, event::Event};
use openlora_payments::settlement::{ChainFailure, ChainSettlement, ChainSettler, identify};
use openlora_ports::FactLog;
use openlora_serve::access::AccessToken;
use serde_json::{Value, json};

use crate::{
    deploy_support::{Act, Desk, Proxy},
    devnet_support::{Home, Rpc},
    keys::{OWN_KEY, account},
    settlement_support::{CHAIN_ID, Market, Seller, channel_id},
    support::openlora,
    waiting,
};

fn genesis(rpc: &Rpc) -> Word {
    let block = rpc.ok("eth_getBlockByNumber", json!(["0x0", false]));
    block["hash"].as_str().unwrap().parse().unwrap()
}

/// What a process that starts makes of a chain.
fn identified(market: &Market, network: &Network, journal: &Journal) -> Result<bool, Failure> {
    market.runtime.block_on(async {
        let state = journal.state().await.unwrap();
        let chain = Chain::connect(network).await.unwrap();
        identify(&chain, &*state, journal).await
    })
}

fn ledger_of(market: &Market, journal: &Journal) -> Ledger {
    let state = market.runtime.block_on(journal.state()).unwrap();
    state.read().ledger.clone()
}

fn kinds(seller: &Seller) -> Vec<String> {
    let records = seller.records().into_iter();
    let kinds = records.map(|record| serde_json::to_value(record.event).unwrap());
    let kinds = kinds.map(|event| event["type"].as_str().unwrap().to_owned());
    kinds.filter(|kind| kind.starts_with("chain_")).collect()
}

#[test]
fn a_chain_that_begins_anew_is_another_chain() {
    let home = Home::new();
    let started = home.devnet(&["start", "--port", "0"]);
    let rpc = Rpc::new(started["url"].as_str().unwrap());
    let mut seen = vec![genesis(&rpc)];
    for _ in 0..3 {
        home.devnet(&["reset", "--yes"]);
        seen.push(genesis(&rpc));
    }
    home.devnet(&["stop"]);
    home.devnet(&["start", "--port", "0"]);
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 4, "{seen:?}");
}

#[test]
fn facts_of_a_chain_that_is_gone_count_no_more() {
    let market = Market::kept();
    let seller = market.seller();
    let buyer = market.buyer(1, 10_000);
    let config = buyer.config(1);
    let channel = seller.opens(&buyer, &config, 5_000);
    seller.charges(&buyer, &config, 600);
    seller
        .wait(seller.desk.transfer(&buyer.transfer(70, 1)))
        .unwrap();
    let first = genesis(&market.rpc);
    assert_eq!(seller.ledger.ledger().genesis[&CHAIN_ID], first);
    assert_eq!(kinds(&seller), ["chain_identified"]);
    market.again();

    // A process that still runs neither reads the new chain as the old one nor sends there.
    let refused = seller.wait(seller.desk.refresh()).unwrap_err();
    let reason = format!(
        "{} answers from another chain with the id of `local` than the one that the journal is \
         about: the hash of its first block is {}, expected {first}",
        market.chain.url(),
        genesis(&market.rpc)
    );
    let trouble = ChainFailure::Unreachable { reason };
    assert_eq!(refused, trouble);
    assert!(!seller.desk.is_fresh());
    let desk = &seller.desk;
    assert_eq!(seller.wait(desk.channel(channel)), Err(trouble.clone()));
    let transfer = buyer.transfer(70, 2);
    assert_eq!(
        seller.wait(desk.check_transfer(&transfer)),
        Err(trouble.clone())
    );
    assert_eq!(
        seller.wait(desk.transfer(&transfer)).map(drop),
        Err(trouble.clone())
    );
    let deposit = buyer.deposit(&config, 100, 2);
    assert_eq!(seller.wait(desk.deposit(&deposit)).map(drop), Err(trouble));
    let treasurer = ChainSettler::new(std::sync::Arc::clone(desk));
    let round = seller.wait(treasurer.settle_now()).unwrap_err().to_string();
    assert!(round.contains("answers from another chain"), "{round}");
    assert_eq!(market.sent(), 0);
    drop(treasurer);

    // The next one begins a new account, and says what the old one was.
    let network = market.network(market.chain.url());
    assert_eq!(identified(&market, &network, &seller.journal), Ok(true));
    assert_eq!(identified(&market, &network, &seller.journal), Ok(false));
    drop(seller);
    let seller = market.seller();
    let expected = ["chain_identified", "chain_ended", "chain_identified"];
    assert_eq!(kinds(&seller), expected);
    let book = seller.ledger.ledger();
    assert_eq!((book.channels.len(), book.exact.len()), (0, 0));
    let former: Vec<_> = book
        .former
        .iter()
        .map(|it| (it.chain_id, it.genesis, it.channels, it.charged))
        .collect();
    assert_eq!(former, [(CHAIN_ID, Some(first), 1, Amount(600))]);
    let buyer = market.buyer(1, 10_000);
    // These tests name a call by its channel, and a name is good once per journal.
    let config = buyer.config(2);
    seller.opens(&buyer, &config, 5_000);
    seller.charges(&buyer, &config, 250);
    let treasurer = ChainSettler::new(std::sync::Arc::clone(&seller.desk));
    seller.wait(treasurer.settle_now()).unwrap();
    let book = seller.ledger.ledger();
    assert_eq!(book.breaches, Vec::<String>::new());
    let audits = seller.audits();
    assert!(audits.iter().all(|it| it.holds()), "{audits:#?}");
    let sums = audits
        .iter()
        .map(|it| (it.figures.charged.0, it.figures.settled.0));
    assert_eq!(sums.collect::<Vec<_>>(), [(250, 250)]);
}

#[test]
fn a_journal_that_names_no_chain_is_believed_as_far_as_its_blocks_stand() {
    let market = Market::kept();
    let network = market.network(market.chain.url());
    let seller = market.seller();
    let buyer = market.buyer(1, 10_000);
    seller
        .wait(seller.desk.transfer(&buyer.transfer(70, 1)))
        .unwrap();
    // As an earlier version has written it.
    let old: Vec<Event> = seller
        .records()
        .into_iter()
        .map(|record| record.event)
        .filter(|event| !matches!(event, Event::ChainIdentified { .. }))
        .collect();
    let written = |name: &str| {
        let journal = Journal::open(&market.dir.path().join(name)).unwrap();
        for event in &old {
            market
                .runtime
                .block_on(journal.keep(event.clone()))
                .unwrap();
        }
        journal
    };
    let journal = written("same.sqlite");
    assert_eq!(identified(&market, &network, &journal), Ok(true));
    let book = ledger_of(&market, &journal);
    assert_eq!((book.exact.len(), book.former.len()), (1, 0));
    assert_eq!(book.genesis[&CHAIN_ID], genesis(&market.rpc));
    let (local, real) = (written("local.sqlite"), written("real.sqlite"));
    market.again();
    assert_eq!(identified(&market, &network, &local), Ok(true));
    let book = ledger_of(&market, &local);
    assert_eq!(book.exact.len(), 0);
    // Real money is not written off: nothing is taken there until somebody looks.
    let mut public = network.clone();
    public.mainnet = true;
    for journal in [&real, &journal] {
        let refused = identified(&market, &public, journal).unwrap_err();
        assert_eq!(refused.class, ExitClass::Network);
        assert!(
            refused.message.contains("answers from another chain"),
            "{refused:?}"
        );
        assert_eq!(ledger_of(&market, journal).exact.len(), 1);
    }
}

#[test]
fn a_revert_is_a_reorganisation_and_serves_nobody_meanwhile() {
    let market = Market::embedded();
    let seller = market.seller_through(market.chain.url(), |options| {
        options.lag = Duration::from_millis(200);
    });
    let buyer = market.buyer(1, 10_000);
    let snapshot = market.rpc.ok("evm_snapshot", json!([]));
    let config = buyer.config(1);
    let channel = seller.opens(&buyer, &config, 800);
    seller
        .wait(seller.desk.transfer(&buyer.transfer(70, 1)))
        .unwrap();
    let (last, desk) = (market.height(), &seller.desk);
    seller.wait(desk.refresh()).unwrap();
    assert_eq!(market.rpc.ok("evm_revert", json!([snapshot])), true);
    let now = market.height();
    assert!(now < last);
    // Memory would be good for half a minute; a lower head ends that at once.
    let reason = format!("its newest block is {now}, and block {last} was seen before");
    let refused = Err(ChainFailure::Unreachable {
        reason: reason.clone(),
    });
    assert_eq!(seller.wait(desk.refresh()), refused);
    assert!(!desk.is_fresh());
    let refused = Err(ChainFailure::Unreachable { reason });
    assert_eq!(seller.wait(desk.channel(channel)), refused);
    assert_eq!(seller.events("reorganised").len(), 0);
    // One that stays is what the chain has now.
    seller.wait(waiting::until(
        "the shorter chain to be believed",
        async || desk.refresh().await.is_ok(),
    ));
    assert!(desk.is_fresh());
    assert_eq!(seller.events("reorganised").len(), 1);
    let book = seller.ledger.ledger();
    assert_eq!(book.exact.len(), 0);
    let view = seller.wait(desk.channel(channel)).unwrap();
    assert_eq!(view.balance, Amount(0));
    // And it goes on.
    seller.opens(&buyer, &config, 800);
    seller.charges(&buyer, &config, 300);
    let treasurer = ChainSettler::new(std::sync::Arc::clone(desk));
    seller.wait(treasurer.settle_now()).unwrap();
    let audits = seller.audits();
    assert!(audits.iter().all(|it| it.holds()), "{audits:#?}");
}

#[test]
fn nobody_begins_to_be_served_on_an_old_view() {
    let market = Market::embedded();
    let down = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let is_down = std::sync::Arc::clone(&down);
    let proxy = Proxy::new(market.chain.url(), move |_, _, _| {
        match is_down.load(std::sync::atomic::Ordering::SeqCst) {
            true => Act::Refuse(json!({ "code": -32000, "message": "overloaded" })),
            false => Act::Forward,
        }
    });
    let seller = market.seller_through(&proxy.url, |_| {});
    let buyer = market.buyer(1, 10_000);
    let (used, new) = (buyer.config(1), buyer.config(2));
    let used = seller.opens(&buyer, &used, 800);
    // A channel with money that no call was ever paid from.
    seller
        .wait(seller.desk.deposit(&buyer.deposit(&new, 800, 1)))
        .unwrap();
    let new = channel_id(&new);
    let held = seller.wait(seller.desk.channel(new)).unwrap();
    assert_eq!(held.balance, Amount(800));
    down.store(true, std::sync::atomic::Ordering::SeqCst);
    seller.wait(seller.desk.channel(used)).unwrap();
    let refused = seller.wait(seller.desk.channel(new)).unwrap_err();
    assert!(
        matches!(refused, ChainFailure::Unreachable { .. }),
        "{refused}"
    );
    down.store(false, std::sync::atomic::Ordering::SeqCst);
}

#[test]
fn a_payment_counts_once_it_is_deep() {
    let market = Market::embedded();
    let seller = market.seller_through(market.chain.url(), |options| {
        options.confirmations = 2;
        options.poll = Duration::from_millis(10);
    });
    let transfer = market.buyer(1, 1_000).transfer(800, 1);
    let taken = std::cell::Cell::new(false);
    let mined = async {
        waiting::until("the transaction to be mined", async || {
            !seller.events("transaction_settled").is_empty()
        })
        .await;
        assert!(!taken.get());
        let mine = json!({ "jsonrpc": "2.0", "id": 1, "method": "anvil_mine", "params": ["0x2"] });
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        client
            .post(&market.rpc.url)
            .json(&mine)
            .send()
            .await
            .unwrap();
    };
    let taking = async {
        seller.desk.transfer(&transfer).await.unwrap();
        taken.set(true);
    };
    seller.wait(async { tokio::join!(mined, taking) });
    assert_eq!(market.balance(market.splitter), 800);
}

#[test]
fn networks_of_others_wait_for_blocks_on_top() {
    for preset in openlora_chain::network::PRESETS {
        let network = Network::resolve(preset.name, &NetworkOptions::default()).unwrap();
        assert_eq!(
            network.confirmations == 0,
            network.is_local(),
            "{}",
            preset.name
        );
    }
    // The id of a development chain does not make it one.
    let wish = NetworkOptions {
        rpc: Some("https://rpc.example".to_owned()),
        ..NetworkOptions::default()
    };
    assert_eq!(Network::resolve("local", &wish).unwrap().confirmations, 2);
}

#[test]
fn a_reset_is_asked_for_and_leaves_an_audit_that_is_right() {
    let desk = Desk::new();
    desk.run(&["devnet", "start", "--port", "0"]).succeeds();
    desk.run(&["deploy", "first"]).succeeds();
    assert_eq!(desk.count("chain_identified"), 1);
    desk.run(&["devnet", "reset", "--no-input"]).fails(
        7,
        "error: deleting the development chain 31337 and all that is on it needs a confirmation \
         and --no-input forbids asking for it\nhint: add --yes\n",
    );
    assert_eq!(desk.count("chain_ended"), 0);
    desk.run(&["devnet", "reset", "--yes"]).succeeds();
    assert_eq!(desk.count("chain_ended"), 1);
    let audited = desk.json(&["earnings", "--audit"]);
    assert_eq!(audited["audit"], json!([]));
    // The new chain has no release yet.
    desk.run(&["deploy", "first"]).succeeds();
    assert_eq!(
        (desk.count("deployed"), desk.count("chain_identified")),
        (2, 2)
    );
}

#[test]
fn no_chain_is_reset_under_a_server() {
    let desk = Desk::new();
    desk.run(&["devnet", "start", "--port", "0"]).succeeds();
    let token = AccessToken::at(&desk.path().join("home/data/operator.token")).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let listener = runtime
        .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
        .unwrap();
    let here = listener.local_addr().unwrap();
    let health = move |headers: axum::http::HeaderMap| async move {
        let challenge = headers["openlora-challenge"].to_str().unwrap();
        axum::Json(json!({ "status": "alive", "proof_here": token.proof_at(challenge, here) }))
    };
    let server = axum::Router::new().route("/health", axum::routing::get(health));
    let url = format!("http://{}", listener.local_addr().unwrap());
    runtime.spawn(async move { axum::serve(listener, server).await.unwrap() });
    let sign = desk.path().join("home/data/serve.json");
    let put_up = |chains: Value| {
        let text = json!({ "url": url, "chains": chains }).to_string();
        fs::write(&sign, text).unwrap();
    };
    put_up(json!([31_337, 10]));
    let expected = format!(
        "error: the server at {url} takes money on the development chain 31337\nhint: stop it first\n"
    );
    desk.run(&["devnet", "reset", "--yes"]).fails(4, &expected);
    desk.run(&["devnet", "stop"]).fails(4, &expected);
    // One that takes none there is no reason.
    put_up(json!([10]));
    desk.run(&["devnet", "reset", "--yes"]).succeeds();
}

#[test]
fn settlements_are_far_more_frequent_than_withdrawals_are_long() {
    let home = Home::new();
    let serve = |every: &str, delay: &str| {
        openlora(home.path())
            .args(["serve", "--port", "0"])
            .env("OPENLORA_SERVE_SETTLE_EVERY", every)
            .env("OPENLORA_SERVE_WITHDRAW_DELAY", delay)
            .run()
    };
    serve("3600", "3600").fails(
        3,
        "error: `serve.settle_every` is 3600 s and `serve.withdraw_delay` 3600 s: payers could take \
         back what calls have cost before it is claimed; expected at most a quarter of the delay, \
         900 s\nhint: lower `serve.settle_every` to 900, or raise `serve.withdraw_delay` to 14400\n",
    );
    serve("226", "900").fails(
        3,
        "error: `serve.settle_every` is 226 s and `serve.withdraw_delay` 900 s: payers could take \
         back what calls have cost before it is claimed; expected at most a quarter of the delay, \
         225 s\nhint: lower `serve.settle_every` to 225, or raise `serve.withdraw_delay` to 904\n",
    );
    // What fits goes on to the next question.
    let next = serve("225", "900");
    assert!(!next.stderr.contains("settle_every"), "{}", next.stderr);
}

#[test]
fn a_transaction_of_a_chain_that_is_gone_is_sent_to_no_other() {
    let market = Market::kept();
    let proxy = Proxy::new(market.chain.url(), |method, _, _| match method {
        "eth_sendRawTransaction" => Act::Refuse(json!({ "code": -32000, "message": "overloaded" })),
        _ => Act::Forward,
    });
    let seller = market.seller_through(&proxy.url, |_| {});
    let buyer = market.buyer(1, 1_000);
    let sent = seller.wait(seller.desk.transfer(&buyer.transfer(70, 1)));
    assert!(
        matches!(sent, Err(ChainFailure::Unknown { .. })),
        "{sent:?}"
    );
    let intents = seller.records().into_iter();
    let open: Vec<_> = intents
        .filter_map(|record| match record.event {
            Event::TransactionIntended(intent) => Some(*intent),
            _ => None,
        })
        .collect();
    assert_eq!(open.len(), 1);
    assert_eq!(open[0].genesis, Some(genesis(&market.rpc)));
    market.again();
    let recovered = |network: &Network| {
        market.runtime.block_on(async {
            let chain = Chain::connect(network).await.unwrap();
            let sender = TxSender {
                chain: &chain,
                account: &account(OWN_KEY),
                facts: &seller.journal,
                limits: TxLimits {
                    max_fee: None,
                    patience: Duration::from_secs(5),
                },
                progress: &|_| {},
                harvest: &no_facts,
            };
            recover(&sender, &open).await
        })
    };
    // Where it is not known to be gone, somebody has to look.
    let mut public = market.network(market.chain.url());
    public.mainnet = true;
    let refused = recovered(&public).unwrap_err().to_string();
    assert!(refused.contains("answers from another chain"), "{refused}");
    assert_eq!(seller.events("transaction_settled").len(), 0);
    let mined = recovered(&market.network(market.chain.url())).unwrap();
    assert_eq!((mined.len(), market.sent()), (0, 0));
    let settled = seller.events("transaction_settled");
    assert_eq!(
        (settled.len(), &settled[0]["status"]),
        (1, &json!("refused"))
    );
}
