//! A server that dies at one point of a paid call and is started again over the same files. The
//! payer repeats the very same request with the same payment, and goes on with another call: no
//! voucher is charged twice, nothing is answered that is neither charged nor owed, and at the end
//! ledger and chain agree to the unit.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use futures::StreamExt;
use openlora_chain::network::{Network, NetworkOptions};
use openlora_engine::{Engine, EngineError, GenerationStream, Prompt, SamplingParams};
use openlora_journal::{
    AppendOutcome, JournalEntry, JournalError, JournalHead, JournalStore, SqliteStore, StoreReader,
};
use openlora_ledger::{CallCharge, CheckedPayment};
use openlora_ports::{OfferedCall, PaymentDemand, PaymentGateway, PaymentGuard, RefundAnswer};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::shop::{COST, Call, Payer, QUOTE, Setup, Shop, charges, client, cost, token};
use crate::{
    deploy_support::{Act, Proxy},
    settlement_support::Market,
    waiting,
    wrapped_engine::{EngineChange, wrapped},
};

const JOURNAL: &str = "OPENLORA_TEST_PAID_JOURNAL";
const RPC: &str = "OPENLORA_TEST_PAID_RPC";
const SPLITTER: &str = "OPENLORA_TEST_PAID_SPLITTER";
const POINT: &str = "OPENLORA_TEST_PAID_POINT";

/// What the repeated request finds after the death.
#[derive(Clone, Copy, Debug, PartialEq)]
enum After {
    /// No call: it runs.
    Fresh,
    /// A call that delivered nothing and cost nothing: the payment still buys one.
    Owed,
    /// A call that cost so much; the payment is used up.
    Charged(u128),
}

use After::{Charged, Fresh, Owed};

type Point = (&'static str, After);

const VOUCHER: &[Point] = &[
    ("before open", Fresh),
    ("after open", Fresh),
    ("before secure", Fresh),
    ("before channel_opened", Fresh),
    ("after channel_opened", Fresh),
    ("after secure", Fresh),
    ("before call_reserved", Fresh),
    ("after call_reserved", Owed),
    ("generate", Owed),
    ("token 0", Owed),
    ("token 1", Owed),
    ("before call_metered", Owed),
    ("after call_metered", Charged(COST)),
    ("before close", Charged(COST)),
    ("after close", Charged(COST)),
];

/// A streamed answer of which one token is checkpointed: 50 for the prompt, 100 for the token.
const STREAM: &[Point] = &[
    ("after call_checkpointed", Charged(150)),
    ("token 0", Owed),
    ("after call_metered", Charged(COST)),
    ("after close", Charged(COST)),
];

const DEPOSIT: &[Point] = &[
    ("before channel_opened", Fresh),
    ("after channel_opened", Fresh),
    ("before transaction_intended", Fresh),
    ("after transaction_intended", Fresh),
    ("rpc eth_sendRawTransaction", Fresh),
    ("rpc eth_getTransactionReceipt", Fresh),
    ("before transaction_settled", Fresh),
    ("after transaction_settled", Fresh),
    ("after secure", Fresh),
    ("after call_reserved", Owed),
    ("token 0", Owed),
    ("before call_metered", Owed),
    ("after call_metered", Charged(COST)),
    ("after close", Charged(COST)),
];

/// By `exact` the whole quote is paid, and a whole answer is owed for it.
const EXACT_STREAM: &[Point] = &[("after call_checkpointed", Owed), ("token 1", Owed)];

/// By `exact` the whole quote is paid.
const EXACT: &[Point] = &[
    ("after open", Fresh),
    ("before transaction_intended", Fresh),
    ("after transaction_intended", Fresh),
    ("rpc eth_sendRawTransaction", Fresh),
    ("rpc eth_getTransactionReceipt", Fresh),
    ("before payment_received", Fresh),
    ("after payment_received", Fresh),
    ("after secure", Fresh),
    ("before call_reserved", Fresh),
    ("after call_reserved", Owed),
    ("token 0", Owed),
    ("before call_metered", Owed),
    ("after call_metered", Charged(QUOTE)),
    ("after close", Charged(QUOTE)),
];

fn dies(point: &str, here: &str) {
    if point == here {
        // No destructor runs, nothing is flushed: as with SIGKILL.
        std::process::abort();
    }
}

/// A journal that dies around the commit of an event.
struct DeadlyStore {
    store: SqliteStore,
    point: Arc<str>,
}

impl DeadlyStore {
    fn dies(&self, when: &str, batch: &[JournalEntry]) {
        for JournalEntry { event, .. } in batch {
            let kind = serde_json::to_value(event).unwrap()["type"].clone();
            dies(&self.point, &format!("{when} {}", kind.as_str().unwrap()));
        }
    }
}

impl JournalStore for DeadlyStore {
    fn append(
        &mut self,
        now_ms: u64,
        batch: &[JournalEntry],
    ) -> Result<Vec<AppendOutcome>, JournalError> {
        self.dies("before", batch);
        let appended = self.store.append(now_ms, batch);
        self.dies("after", batch);
        appended
    }

    fn head(&self) -> JournalHead {
        self.store.head()
    }

    fn reader(&self) -> Result<Box<dyn StoreReader>, JournalError> {
        self.store.reader()
    }
}

struct DeadlyCashier {
    cashier: Arc<dyn PaymentGateway>,
    point: Arc<str>,
}

#[async_trait::async_trait]
impl PaymentGateway for DeadlyCashier {
    fn terms(&self, sale: &OfferedCall) -> PaymentDemand {
        self.cashier.terms(sale)
    }

    async fn open(
        &self,
        sale: &OfferedCall,
        payment: &str,
    ) -> Result<Box<dyn PaymentGuard>, PaymentDemand> {
        dies(&self.point, "before open");
        let tab = self.cashier.open(sale, payment).await?;
        dies(&self.point, "after open");
        let point = Arc::clone(&self.point);
        Ok(Box::new(DeadlyTab {
            tab,
            point,
            ends: AtomicBool::new(false),
            last: DiesLast(None),
        }))
    }

    async fn refund(
        &self,
        sale: &OfferedCall,
        payment: &str,
    ) -> Result<RefundAnswer, PaymentDemand> {
        self.cashier.refund(sale, payment).await
    }
}

struct DeadlyTab {
    tab: Box<dyn PaymentGuard>,
    point: Arc<str>,
    ends: AtomicBool,
    /// Dropped after the tab.
    last: DiesLast,
}

#[async_trait::async_trait]
impl PaymentGuard for DeadlyTab {
    fn name(&mut self, request_id: &str) {
        self.tab.name(request_id);
    }

    async fn reserved(&mut self) -> Result<(), PaymentDemand> {
        self.tab.reserved().await
    }

    async fn commit(&mut self) -> Result<(), PaymentDemand> {
        dies(&self.point, "before secure");
        self.tab.commit().await?;
        dies(&self.point, "after secure");
        Ok(())
    }

    fn payment(&self) -> &CheckedPayment {
        self.tab.payment()
    }

    fn response(&self, charge: &CallCharge) -> String {
        self.tab.response(charge)
    }

    fn time_limit(&self) -> Option<std::time::Duration> {
        self.tab.time_limit()
    }

    fn check_charge(&self, charge: &CallCharge) -> Result<(), (String, Box<CallCharge>)> {
        self.ends.store(true, Ordering::SeqCst);
        self.tab.check_charge(charge)
    }
}

/// A call that ended lets go of its channel; the answer is not yet written.
impl Drop for DeadlyTab {
    fn drop(&mut self) {
        if self.ends.load(Ordering::SeqCst) {
            dies(&self.point, "before close");
            self.last.0 = Some(Arc::clone(&self.point));
        }
    }
}

struct DiesLast(Option<Arc<str>>);

impl Drop for DiesLast {
    fn drop(&mut self) {
        if let Some(point) = &self.0 {
            dies(point, "after close");
        }
    }
}

struct DeadlyEngine {
    point: Arc<str>,
}

#[async_trait::async_trait]
impl EngineChange for DeadlyEngine {
    async fn generate(
        &self,
        inner: &dyn Engine,
        prompt: Prompt,
        sampling: SamplingParams,
    ) -> Result<GenerationStream, EngineError> {
        dies(&self.point, "generate");
        let generation = inner.generate(prompt, sampling).await?;
        let point = Arc::clone(&self.point);
        let generation = generation.enumerate().map(move |(index, step)| {
            dies(&point, &format!("token {index}"));
            step
        });
        Ok(generation.boxed())
    }
}

#[test]
#[ignore = "the process that the tests of this file kill"]
fn child_sells_until_it_dies() {
    let path = std::env::var_os(JOURNAL).expect("another test starts this one");
    let point: Arc<str> = std::env::var(POINT).unwrap().into();
    let at = Arc::clone(&point);
    let rule = move |method: &str, _: usize, _: &Value| {
        dies(&at, &format!("rpc {method}"));
        Act::Forward
    };
    let proxy = Proxy::new(&std::env::var(RPC).unwrap(), rule);
    let wish = NetworkOptions {
        rpc: Some(proxy.url.clone()),
        token: Some(token().to_string()),
        ..NetworkOptions::default()
    };
    let network = Network::resolve("local", &wish).unwrap();
    let store = DeadlyStore {
        store: SqliteStore::open(Path::new(&path)).unwrap(),
        point: Arc::clone(&point),
    };
    let splitter = std::env::var(SPLITTER).unwrap().parse().unwrap();
    let (at_till, at_engine) = (Arc::clone(&point), point);
    let setup = Setup {
        cashier: Box::new(move |cashier| -> Arc<dyn PaymentGateway> {
            let point = Arc::clone(&at_till);
            Arc::new(DeadlyCashier { cashier, point })
        }),
        engine: Box::new(move |engine| {
            let point = Arc::clone(&at_engine);
            wrapped(engine, Arc::new(DeadlyEngine { point }))
        }),
        ..Setup::over(Box::new(store), network, splitter)
    };
    let shop = Shop::open(&Arc::new(Runtime::new().unwrap()), setup);
    shop.server.steps.add_permits(1);
    announce(&shop.server.url(""));
    // Until whoever started this is gone.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

/// Bypasses the test harness, which keeps what tests print until they end.
fn announce(url: &str) {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    writeln!(out, "\nserves {url}").unwrap();
    out.flush().unwrap();
}

/// A server in a process of its own, which ends with the test.
struct Doomed {
    child: Child,
    url: String,
}

impl Doomed {
    fn start(market: &Market, journal: &Path, point: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture", "--test-threads=1"])
            .arg("paid_serving::faults::child_sells_until_it_dies")
            .env(JOURNAL, journal)
            .env(RPC, market.chain.url())
            .env(SPLITTER, market.splitter.to_string())
            .env(POINT, point)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let url = lines
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("serves ").map(str::to_owned));
        Self {
            url: url.unwrap_or_else(|| panic!("{point}: the server never began")),
            child,
        }
    }

    /// Waits until it died by itself.
    fn died(mut self) -> bool {
        waiting::ended("the server that was to die", &mut self.child)
            .code()
            .is_none()
    }
}

impl Drop for Doomed {
    fn drop(&mut self) {
        // Usually dead already; a failed test must not leave it behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One journal and chain for all points of a kind of payment.
struct Round {
    market: Market,
    journal: PathBuf,
    points: usize,
    /// What every payer of channels was charged in all, and of `exact` payments.
    by_channel: u128,
    by_exact: u128,
}

impl Round {
    fn new() -> Self {
        let market = Market::embedded();
        Self {
            journal: market.dir.path().join("shop.sqlite"),
            market,
            points: 0,
            by_channel: 0,
            by_exact: 0,
        }
    }

    fn payer(&mut self) -> Payer {
        self.points += 1;
        Payer::new(&self.market, self.points as u64, 10_000)
    }

    /// A server that has as many tokens as a call asks for.
    fn shop(&self) -> Shop {
        let shop = Shop::of(&self.market);
        shop.server.steps.add_permits(64);
        shop
    }

    /// The server dies on a call; the next one answers its repeats. Returns the server and what
    /// the payment has cost in the end.
    fn killed(
        &self,
        shop: Shop,
        (point, after): Point,
        (call, payload): (&Call, &Value),
    ) -> (Shop, u128) {
        let payment = shop.payment(call, payload);
        let written = shop.records().len();
        shop.close();
        let doomed = Doomed::start(&self.market, &self.journal, point);
        let client = client();
        let asked = call.ask(&client, &doomed.url, Some(&payment));
        let answer = self.market.runtime.block_on(asked);
        assert!(answer.is_none(), "{point}: {answer:?}");
        assert!(doomed.died(), "{point}");
        let shop = self.shop();
        assert!(shop.records().len() > written, "{point}");
        let repeated = shop.send(call, Some(&payment));
        let cost = match after {
            Fresh => {
                assert_eq!(repeated.status, 200, "{point}: {repeated:?}");
                cost(&repeated)
            }
            // What was paid and not answered is answered, under the same id.
            Owed => {
                assert_eq!(repeated.status, 200, "{point}: {repeated:?}");
                assert_eq!(repeated.header("x-openlora-replayed"), None, "{point}");
                cost(&repeated)
            }
            Charged(amount) => {
                if point == "after call_checkpointed" {
                    // Half an answer died with the process.
                    let found = metered(point, &repeated);
                    assert_eq!(found, (amount, json!("recovered")), "{point}");
                } else {
                    assert_eq!(cost(&repeated), amount, "{point}");
                    assert_eq!(repeated.header("x-openlora-replayed"), Some("true"));
                }
                // The payment alone finds the call too, under whatever id.
                let renamed = call.clone().named(&format!("again-{}", self.points));
                let found = shop.send(&renamed, Some(&payment));
                if repeated.status == 200 {
                    assert_eq!(
                        (found.status, &found.text),
                        (200, &repeated.text),
                        "{point}"
                    );
                } else {
                    // The receipt gets its attribution meanwhile.
                    assert_eq!(metered(point, &found), metered(point, &repeated));
                }
                amount
            }
        };
        if after != Fresh {
            // Once more: whatever it was, it is charged now.
            let renamed = call.clone().named(&format!("more-{}", self.points));
            let begun = shop.begun();
            let found = shop.send(&renamed, Some(&payment));
            let expected = if after == Owed { 200 } else { repeated.status };
            assert_eq!((found.status, shop.begun()), (expected, begun), "{point}");
        }
        (shop, cost)
    }

    /// Every voucher and authorization has cost something once.
    fn close(self, shop: Shop) {
        let rows = charges(&shop.records());
        assert_eq!(rows.len(), 2 * self.points);
        let mut sums: BTreeMap<usize, usize> = BTreeMap::new();
        for (id, max, charges) in rows {
            let costly = charges.iter().filter(|it| **it > 0).count();
            assert_eq!(costly, 1, "{id} {max}: {charges:?}");
            *sums.entry(charges.len()).or_default() += 1;
        }
        // At most the attempt that was cut off came before.
        assert!(sums.keys().all(|calls| *calls <= 2), "{sums:?}");
        let figures = match self.by_channel {
            0 => shop.audited().remove(0),
            _ => shop.settled().remove(0),
        };
        let found = (figures.charged.0, figures.settled.0);
        assert_eq!(found, (self.by_channel, self.by_channel));
        assert_eq!(figures.exact.0, self.by_exact);
        assert_eq!(figures.exact_charged.0, self.by_exact);
        let all = self.by_channel + self.by_exact;
        assert_eq!(self.market.balance(self.market.splitter), all);
        shop.close();
    }
}

/// Cost and end of a call that was counted before.
fn metered(point: &str, reply: &crate::serve_support::Reply) -> (u128, Value) {
    let error = &reply.json()["error"];
    let found = (reply.status, error["code"].as_str());
    assert_eq!(found, (409, Some("already_metered")), "{point}: {reply:?}");
    let receipt = &error["receipt"];
    let paid = receipt["paid"].as_str().unwrap().parse().unwrap();
    (paid, receipt["finish"].clone())
}

fn killed_with_vouchers(points: &[Point], call: impl Fn(&str) -> Call) {
    let mut round = Round::new();
    let mut shop = round.shop();
    for point in points {
        let payer = round.payer();
        payer.fills(&round.market, 2_000);
        let call = call(point.0).named(&format!("call-{}", round.points));
        let payload = payer.voucher(QUOTE);
        let (next, cost) = round.killed(shop, *point, (&call, &payload));
        shop = next;
        assert_eq!(shop.charged(payer.channel()), cost, "{point:?}");
        shop.buys(&Call::usual(), &payer.voucher(cost + QUOTE));
        assert_eq!(shop.charged(payer.channel()), cost + COST, "{point:?}");
        round.by_channel += cost + COST;
        shop.audited();
    }
    round.close(shop);
}

#[test]
fn killed_on_a_voucher_call() {
    killed_with_vouchers(VOUCHER, |_| Call::usual());
}

#[test]
fn killed_on_a_stream() {
    killed_with_vouchers(STREAM, |point| {
        // One token comes, and then none: what is checkpointed is known.
        let content = match point {
            "after call_checkpointed" => "a b !step",
            _ => "a b !end=2",
        };
        Call::chat(content).with(json!({ "stream": true }))
    });
}

#[test]
fn killed_on_a_deposit_call() {
    let mut round = Round::new();
    let mut shop = round.shop();
    for point in DEPOSIT {
        let payer = round.payer();
        let sent = round.market.sent();
        let call = Call::usual().named(&format!("call-{}", round.points));
        let payload = payer.deposit(QUOTE, 2_000);
        let (next, cost) = round.killed(shop, *point, (&call, &payload));
        shop = next;
        assert_eq!(round.market.sent() - sent, 1, "{point:?}");
        assert_eq!(round.market.balance(payer.address()), 8_000, "{point:?}");
        assert_eq!((cost, shop.charged(payer.channel())), (COST, COST));
        shop.buys(&Call::usual(), &payer.voucher(COST + QUOTE));
        assert_eq!(shop.charged(payer.channel()), 2 * COST, "{point:?}");
        round.by_channel += 2 * COST;
        shop.audited();
    }
    round.close(shop);
}

#[test]
fn killed_on_an_exact_call() {
    killed_with_exact(EXACT, |_| Call::usual());
}

#[test]
fn killed_on_an_exact_stream() {
    killed_with_exact(EXACT_STREAM, |point| {
        let content = match point {
            "after call_checkpointed" => "a b !step",
            _ => "a b !end=2",
        };
        Call::chat(content).with(json!({ "stream": true }))
    });
}

fn killed_with_exact(points: &[Point], call: impl Fn(&str) -> Call) {
    let mut round = Round::new();
    let mut shop = round.shop();
    for point in points {
        let payer = round.payer();
        let sent = round.market.sent();
        let call = call(point.0).named(&format!("call-{}", round.points));
        let nonce = 2 * round.points as u64;
        let payload = payer.exact(QUOTE, nonce);
        let (next, cost) = round.killed(shop, *point, (&call, &payload));
        shop = next;
        assert_eq!(round.market.sent() - sent, 1, "{point:?}");
        assert_eq!(cost, QUOTE, "{point:?}");
        assert_eq!(round.market.balance(payer.address()), 10_000 - QUOTE);
        shop.buys(&Call::usual(), &payer.exact(QUOTE, nonce + 1));
        let left = round.market.balance(payer.address());
        assert_eq!(left, 10_000 - 2 * QUOTE, "{point:?}");
        round.by_exact += 2 * QUOTE;
        shop.audited();
    }
    round.close(shop);
}
