//! A journal that takes nothing while calls are paid: nothing is answered and nothing costs, and
//! when there is room again the same payment buys the same call.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use openlora_journal::{
    AppendOutcome, JournalEntry, JournalError, JournalHead, JournalStore, SqliteStore, StoreReader,
};
use openlora_ledger::event::{Event, EventRecord};
use serde_json::{Value, json};

use super::shop::{COST, Call, Payer, QUOTE, Setup, Shop, charges, cost};
#[cfg(target_os = "linux")]
use crate::support::{on_small_disk, small_disk};
use crate::{serve_support::Reply, settlement_support::Market, waiting};

/// Which events find no room any more.
#[derive(Clone, Default)]
struct Room {
    full: Arc<AtomicBool>,
    /// Only counts find none.
    counts: Arc<AtomicBool>,
}

struct Fragile {
    store: SqliteStore,
    room: Room,
}

impl JournalStore for Fragile {
    fn append(
        &mut self,
        now_ms: u64,
        batch: &[JournalEntry],
    ) -> Result<Vec<AppendOutcome>, JournalError> {
        let counts = |entry: &JournalEntry| matches!(entry.event, Event::CallMetered { .. });
        let refused = self.room.full.load(Ordering::SeqCst)
            || self.room.counts.load(Ordering::SeqCst) && batch.iter().any(counts);
        match refused {
            true => Err(JournalError::Full {
                path: "journal.sqlite".into(),
            }),
            false => self.store.append(now_ms, batch),
        }
    }

    fn head(&self) -> JournalHead {
        self.store.head()
    }

    fn reader(&self) -> Result<Box<dyn StoreReader>, JournalError> {
        self.store.reader()
    }
}

fn fragile(market: &Market) -> (Shop, Room) {
    let room = Room::default();
    let store = SqliteStore::open(&market.dir.path().join("shop.sqlite")).unwrap();
    let store = Fragile {
        store,
        room: room.clone(),
    };
    let network = market.network(market.chain.url());
    let setup = Setup::over(Box::new(store), network, market.splitter);
    (Shop::open(&market.runtime, setup), room)
}

#[track_caller]
fn refused(reply: &Reply, code: &str, message: &str) {
    let expected = json!({ "error": {
        "message": message,
        "type": "server_error",
        "param": Value::Null,
        "code": code,
    }});
    assert_eq!((reply.status, reply.json()), (503, expected));
    assert!(reply.header("retry-after").is_some(), "{reply:?}");
}

const UNCOUNTED: (&str, &str) = (
    "journal_unavailable",
    "Calls cannot be counted now, so none is answered.",
);

#[test]
fn a_full_disk_serves_and_charges_nothing() {
    let market = Market::embedded();
    let (shop, room) = fragile(&market);
    let old = Payer::new(&market, 1, 10_000);
    let new = Payer::new(&market, 2, 10_000);
    let once = Payer::new(&market, 3, 10_000);
    let call = Call::usual();
    shop.buys(&call, &old.deposit(QUOTE, 2_000));
    let payments = [
        shop.payment(&call, &old.voucher(COST + QUOTE)),
        shop.payment(&call, &new.deposit(QUOTE, 2_000)),
        shop.payment(&call, &once.exact(QUOTE, 1)),
    ];
    // The first call's attribution is written after its answer.
    let attributed = |it: &EventRecord| matches!(it.event, Event::Attributed(_));
    waiting::wait_until("the first call's attribution", || {
        shop.records().iter().any(attributed)
    });
    let (sent, begun, written) = (market.sent(), shop.begun(), shop.records().len());
    room.full.store(true, Ordering::SeqCst);
    for _ in 0..2 {
        let [voucher, deposit, exact] = payments.each_ref().map(|it| shop.send(&call, Some(it)));
        refused(&voucher, UNCOUNTED.0, UNCOUNTED.1);
        let unwritten = "Payments cannot be written down now.";
        refused(&deposit, "payment_unavailable", unwritten);
        // For which request it is comes before it is sent.
        refused(&exact, "payment_unavailable", unwritten);
    }
    let after = (market.sent(), shop.begun(), shop.records().len());
    assert_eq!(after, (sent, begun, written));
    assert_eq!(shop.charged(old.channel()), COST);
    let balances = [&new, &once].map(|it| market.balance(it.address()));
    assert_eq!(balances, [10_000, 10_000]);
    room.full.store(false, Ordering::SeqCst);
    let costs = payments
        .each_ref()
        .map(|it| cost(&shop.send(&call, Some(it))));
    assert_eq!(costs, [COST, COST, QUOTE]);
    let charged = [&old, &new].map(|it| shop.charged(it.channel()));
    assert_eq!(charged, [2 * COST, COST]);
    assert_eq!(market.balance(once.address()), 10_000 - QUOTE);
    let figures = shop.settled().remove(0);
    assert_eq!((figures.charged.0, figures.exact.0), (3 * COST, QUOTE));
    shop.close();
}

#[test]
fn a_disk_that_fills_up_during_a_call_gives_its_answer_when_there_is_room() {
    let market = Market::embedded();
    let (shop, room) = fragile(&market);
    let payer = Payer::new(&market, 1, 10_000);
    let call = Call::usual();
    shop.buys(&call, &payer.deposit(QUOTE, 2_000));
    let payment = shop.payment(&call, &payer.voucher(COST + QUOTE));
    room.counts.store(true, Ordering::SeqCst);
    let cut = shop.send(&call, Some(&payment));
    refused(&cut, UNCOUNTED.0, UNCOUNTED.1);
    assert_eq!(shop.charged(payer.channel()), COST);
    room.counts.store(false, Ordering::SeqCst);
    // The same payment waits for the count, and finds the answer that was held back.
    let begun = shop.begun();
    let found = shop.send(&call, Some(&payment));
    assert_eq!((found.status, cost(&found)), (200, COST), "{found:?}");
    assert_eq!(found.header("x-openlora-replayed"), Some("true"));
    assert_eq!(shop.begun(), begun);
    assert_eq!(shop.charged(payer.channel()), 2 * COST);
    let costs: Vec<Vec<u128>> = charges(&shop.records())
        .into_iter()
        .map(|it| it.2)
        .collect();
    assert_eq!(costs, [[COST], [COST]]);
    shop.buys(&call, &payer.voucher(2 * COST + QUOTE));
    assert_eq!(shop.settled().remove(0).charged.0, 3 * COST);
    shop.close();
}

#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_is_really_full_loses_no_charge() {
    on_small_disk("size=2m", "paid_serving::disk::with_a_disk_that_fills_up");
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "a_disk_that_is_really_full_loses_no_charge runs it"]
fn with_a_disk_that_fills_up() {
    let disk = small_disk();
    let market = Market::embedded();
    let payer = Payer::new(&market, 1, 100_000);
    let path = disk.join("shop.sqlite");
    let network = market.network(market.chain.url());
    let shop = Shop::open(&market.runtime, Setup::at(&path, network, market.splitter));
    let call = Call::usual();
    shop.buys(&call, &payer.deposit(QUOTE, 50_000));
    let filler = disk.join("filler");
    let full = std::fs::write(&filler, vec![1; 4 << 20]).unwrap_err();
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    // A few calls may still fit into blocks that the journal has.
    let mut charged = COST;
    let payment = loop {
        let payment = shop.payment(&call, &payer.voucher(charged + QUOTE));
        let reply = shop.send(&call, Some(&payment));
        if reply.status != 200 {
            refused(&reply, UNCOUNTED.0, UNCOUNTED.1);
            break payment;
        }
        charged += COST;
        assert!(charged < 100 * COST, "the disk was never full");
    };
    assert_eq!(shop.charged(payer.channel()), charged);
    std::fs::remove_file(&filler).unwrap();
    // Whether it was reserved before the disk was full or not.
    let reply = shop.send(&call, Some(&payment));
    assert_eq!((reply.status, cost(&reply)), (200, COST), "{reply:?}");
    let rows = charges(&shop.records());
    assert!(rows.iter().all(|it| it.2 == [COST]), "{rows:?}");
    charged += COST;
    assert_eq!(shop.charged(payer.channel()), charged);
    shop.buys(&call, &payer.voucher(charged + QUOTE));
    assert_eq!(shop.settled().remove(0).charged.0, charged + COST);
    shop.close();
}
