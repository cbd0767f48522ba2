//! One server that sells on two chains: the same splitter is paid on both, and each chain's money
//! is accounted for by itself.

use openlora_chain::{
    network::{Network, NetworkOptions},
    provider::Chain,
};
use openlora_core::Address;
use openlora_ledger::event::Event;
use openlora_payments::x402::{Reason, digest::EscrowDomain};
use openlora_release::deploy::payee;
use serde_json::json;

use super::shop::{CHAIN, COST, Call, Payer, QUOTE, Setup, Shop, cost, token};
use crate::{
    deploy_support::{Desk, OWN, contract},
    devnet_peers::Anvil,
    devnet_support::{Devnet, Rpc},
    settlement_support::{Market, put_contracts, send},
};

const SECOND: u64 = 31_338;

fn network(name: &str, url: &str) -> Network {
    let wish = NetworkOptions {
        rpc: Some(url.to_owned()),
        token: Some(token().to_string()),
        registry: Some(contract("OpenLoraRegistry")),
        splitter_factory: Some(contract("RevenueSplitterFactory")),
        pool_factory: Some(contract("ContributorPoolFactory")),
        ..NetworkOptions::default()
    };
    Network::resolve(name, &wish).unwrap()
}

/// Money for the seller's gas.
fn enrich(rpc: &Rpc) {
    rpc.ok("anvil_setBalance", json!([OWN, "0x8ac7230489e80000"]));
}

/// Deploys an adapter at home and puts its splitter on the other chain too.
fn splitter(market: &Market, other: &Rpc, networks: &[Network; 2]) -> Address {
    let desk = Desk::at(market.chain.url());
    desk.run(&["deploy", "first"]).succeeds();
    let mut deployments = desk.journal().into_iter().filter_map(|it| match it.event {
        Event::Deployed(deployment) => Some(*deployment),
        _ => None,
    });
    let deployment = deployments.next_back().unwrap();
    let [home, away] = networks.each_ref().map(|network| {
        let connected = market.runtime.block_on(Chain::connect(network));
        connected.unwrap()
    });
    let found = payee(&home, &deployment, OWN.parse().unwrap());
    let payee = market.runtime.block_on(found).unwrap();
    let missing = |chain| market.runtime.block_on(payee.missing_on(chain)).unwrap();
    assert_eq!(missing(&home), None);
    let step = missing(&away).unwrap();
    send(other, step.to, &step.data);
    // Where it was to be, which is where it is at home.
    assert_eq!(missing(&away), None);
    payee.splitter
}

#[test]
fn one_server_is_paid_on_two_embedded_chains() {
    let dir = tempfile::tempdir().unwrap();
    let other = Devnet::start(dir.path(), SECOND);
    one_server_is_paid_on_two_chains(&Market::embedded(), &other.rpc);
}

#[test]
fn one_server_is_paid_on_two_anvils() {
    let other = Anvil::of(SECOND);
    let rpc = Rpc::new(&other.url);
    put_contracts(&rpc);
    one_server_is_paid_on_two_chains(&Market::anvil(), &rpc);
}

fn one_server_is_paid_on_two_chains(market: &Market, other: &Rpc) {
    enrich(other);
    let networks = [
        network("local", market.chain.url()),
        network("local-2", &other.url),
    ];
    let splitter = splitter(market, other, &networks);
    let path = market.dir.path().join("shop.sqlite");
    let setup = Setup {
        networks: networks.to_vec(),
        ..Setup::at(&path, networks[0].clone(), splitter)
    };
    let mut shop = Shop::open(&market.runtime, setup);
    let payer = Payer::to(splitter, 1);
    payer.funded(&market.rpc, 10_000);
    payer.funded(other, 10_000);
    let call = Call::usual();
    let offers = shop.required(&call)["accepts"].clone();
    let offered: Vec<String> = offers
        .as_array()
        .unwrap()
        .iter()
        .map(|it| {
            assert_eq!(it["payTo"], json!(splitter));
            format!("{} {}", it["scheme"].as_str().unwrap(), it["network"])
        })
        .collect();
    let expected = [
        "batch-settlement \"eip155:31337\"",
        "batch-settlement \"eip155:31338\"",
        "exact \"eip155:31337\"",
        "exact \"eip155:31338\"",
    ];
    assert_eq!(offered, expected);
    let buys = |shop: &Shop, chain_id, payload| {
        let payment = shop.payment_on(chain_id, &call, &payload);
        let reply = shop.send(&call, Some(&payment));
        assert_eq!(reply.status, 200, "{reply:?}");
        cost(&reply)
    };
    for chain_id in [CHAIN, SECOND] {
        let paid = buys(&shop, chain_id, payer.deposit_on(chain_id, QUOTE, 3_000));
        assert_eq!(paid, COST);
    }
    // The second chain has one call more.
    assert_eq!(
        buys(&shop, SECOND, payer.voucher_on(SECOND, COST + QUOTE)),
        COST
    );
    for chain_id in [CHAIN, SECOND] {
        let paid = buys(&shop, chain_id, payer.exact_on(chain_id, QUOTE, chain_id));
        assert_eq!(paid, QUOTE);
    }
    // A voucher of one chain is worth nothing on the other.
    let strange = payer.voucher_on(SECOND, 2 * COST + QUOTE);
    let payment = shop.payment_on(CHAIN, &call, &strange);
    let refused = shop.send(&call, Some(&payment));
    let reason = Reason::ChannelId.code();
    assert_eq!(
        (refused.status, &refused.json()["error"]["param"]),
        (402, &json!(reason))
    );

    // After a restart both are as they were.
    shop.close();
    let setup = Setup {
        networks: networks.to_vec(),
        ..Setup::at(&path, networks[0].clone(), splitter)
    };
    shop = Shop::open(&market.runtime, setup);
    let voucher = payer.voucher_on(CHAIN, COST + QUOTE);
    assert_eq!(buys(&shop, CHAIN, voucher), COST);
    let voucher = payer.voucher_on(SECOND, 2 * COST + QUOTE);
    assert_eq!(buys(&shop, SECOND, voucher), COST);
    let charged = [CHAIN, SECOND].map(|chain_id| {
        let channel = EscrowDomain::for_chain(chain_id).channel_id(&payer.config);
        shop.charged_on(chain_id, channel)
    });
    assert_eq!(charged, [2 * COST, 3 * COST]);
    let figures = shop.settled();
    let sums = figures
        .iter()
        .map(|it| (it.settled.0, it.exact.0, it.held.0));
    let expected = [
        (2 * COST, QUOTE, 2 * COST + QUOTE),
        (3 * COST, QUOTE, 3 * COST + QUOTE),
    ];
    assert_eq!(sums.collect::<Vec<_>>(), expected);
    shop.close();
}
