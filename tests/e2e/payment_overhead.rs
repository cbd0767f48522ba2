//! What being paid adds to a call, apart from the records that every call writes anyway. A
//! measurement and no test: it needs the tests' till on a chain, and it tells instead of deciding.

use std::{
    io::Write,
    time::{Duration, Instant},
};

use openlora_ledger::event::{FinishReason, TokenUsage};
use openlora_ports::PaymentGateway;

use crate::x402_support::{Stand, deposit, header, sale, voucher};

const CALLS: usize = 5_000;
const QUOTE: u128 = 100;

#[test]
#[ignore = "a measurement: cargo test --release --test e2e -- --ignored --nocapture payment_overhead"]
fn payment_overhead() {
    let stand = Stand::new();
    let funds = QUOTE * (CALLS as u128 + 1);
    let buyer = stand.market.buyer(1, funds);
    let config = buyer.config(1);
    let opening = sale(QUOTE);
    let paid = deposit(&buyer, &config, QUOTE, (funds, 1));
    stand.call(&opening, &paid, 1_000).unwrap();
    let mut times = Vec::with_capacity(CALLS);
    for number in 0..CALLS {
        let sale = sale(QUOTE);
        let max = QUOTE * (number as u128 + 2);
        let [by_channel, _] = stand.offers(&sale);
        let payment = header(&by_channel, &voucher(&buyer, &config, max));
        let usage = TokenUsage {
            prompt_tokens: 0,
            completion_tokens: 1_000,
        };
        let took: Duration = stand.wait(async {
            let started = Instant::now();
            let mut tab = stand.till.open(&sale, &payment).await.unwrap();
            tab.commit().await.unwrap();
            let before = started.elapsed();
            stand.reserve(&sale, &*tab).await;
            let started = Instant::now();
            tab.reserved().await.unwrap();
            let charge = tab.payment().charge(usage, FinishReason::Stop);
            tab.check_charge(&charge).unwrap();
            let told = tab.response(&charge);
            let took = before + started.elapsed();
            assert!(!told.is_empty());
            stand.close(&sale, tab, 1_000).await;
            took
        });
        times.push(took);
    }
    times.sort();
    let at = |permille: usize| times[(CALLS * permille / 1_000).min(CALLS - 1)];
    writeln!(
        std::io::stderr(),
        "payment overhead of {CALLS} calls: p50 {:?}, p99 {:?}, p99.9 {:?}",
        at(500),
        at(990),
        at(999)
    )
    .unwrap();
}
