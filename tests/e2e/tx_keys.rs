//! Transactions of a stopped process are recognised by their keys. Labels may change, labels of
//! earlier versions are read, and a transaction of unknown purpose is never sent again.

use openlora_core::Amount;
use openlora_journal::Journal;
use openlora_ledger::{
    TxKey,
    event::{Event, TxIntent},
};
use openlora_payments::settlement::{ChainFailure, ChainSettlement, ChannelRefund, MinedResult};
use openlora_ports::FactLog;
use serde_json::json;

use crate::{
    deploy_support::{Act, Proxy},
    settlement_support::{Buyer, Market, Seller},
    waiting,
};

/// What a seller does for a buyer, again and again until it knows the outcome.
#[derive(Clone, Copy, Debug)]
enum Work {
    Deposit,
    Transfer,
    Refund,
}

const WORKS: [Work; 3] = [Work::Deposit, Work::Transfer, Work::Refund];

impl Work {
    fn key(self, buyer: &Buyer) -> TxKey {
        match self {
            Self::Deposit => {
                let deposit = buyer.deposit(&buyer.config(1), 800, 1);
                TxKey::Deposit {
                    channel: deposit.channel,
                    amount: Amount(800),
                    nonce: deposit.nonce(),
                    request: None,
                }
            }
            Self::Transfer => {
                let transfer = buyer.transfer(800, 7);
                TxKey::Transfer {
                    token: transfer.token,
                    from: transfer.from,
                    to: transfer.to,
                    amount: Amount(800),
                    nonce: transfer.nonce,
                    request: None,
                }
            }
            Self::Refund => TxKey::Refund {
                channel: refund(buyer).channel,
                amount: Amount(300),
                refund_nonce: Some(0),
            },
        }
    }

    fn run(self, seller: &Seller, buyer: &Buyer) -> Result<MinedResult, ChainFailure> {
        match self {
            Self::Deposit => {
                let deposit = buyer.deposit(&buyer.config(1), 800, 1);
                seller.wait(seller.desk.deposit(&deposit))
            }
            Self::Transfer => seller.wait(seller.desk.transfer(&buyer.transfer(800, 7))),
            Self::Refund => seller.wait(seller.desk.refund(&refund(buyer))),
        }
    }
}

/// A part of what is left, so that the chain's balance alone does not tell whether it was made.
fn refund(buyer: &Buyer) -> ChannelRefund {
    let config = buyer.config(1);
    ChannelRefund {
        channel: crate::settlement_support::channel_id(&config),
        amount: Amount(300),
        refund_nonce: 0,
        charged: Amount(0),
        voucher_max: Amount(0),
        voucher_signature: buyer.voucher(&config, 0),
        party: buyer.address(),
        is_signed: true,
        fee: None,
        config,
    }
}

/// A seller whose last transaction was recorded, and whose process ended before the outcome was
/// known. `lost` says whether the transaction did not reach the chain either.
struct Stopped {
    market: Market,
    buyer: Buyer,
    tx: String,
    /// Transactions that reached the chain.
    sent: u128,
    /// The value of its intent's key.
    key: Option<TxKey>,
}

impl Stopped {
    fn new(work: Work, lost: bool) -> Self {
        let market = Market::embedded();
        let buyer = market.buyer(1, 10_000);
        if matches!(work, Work::Refund) {
            market.seller().opens(&buyer, &buyer.config(1), 1_000);
        }
        let before = market.sent();
        let failure = json!({ "code": -32000, "message": "the upstream is overloaded" });
        let proxy = Proxy::new(market.chain.url(), move |method, _, _| {
            match (method == "eth_sendRawTransaction", lost) {
                (false, _) => Act::Forward,
                (true, false) => Act::ForwardAndRefuse(failure.clone()),
                (true, true) => Act::Refuse(failure.clone()),
            }
        });
        let seller = market.seller_through(&proxy.url, |_| {});
        let ended = work.run(&seller, &buyer).unwrap_err();
        let ChainFailure::Unknown { tx } = ended else {
            panic!("{work:?}: {ended}");
        };
        let intents = intents(&seller);
        let key = intents.last().and_then(|intent| intent.key.clone());
        Self {
            sent: before + u128::from(!lost),
            market,
            buyer,
            tx,
            key,
        }
    }

    /// The seller's next process, whose journal has other intents.
    fn resumed(&self, url: &str, change: impl Fn(&mut TxIntent)) -> Seller {
        let from = self.market.dir.path().join("journal.sqlite");
        let path = self.market.dir.path().join("changed.sqlite");
        let mut events = Vec::new();
        Journal::open_read_only(&from)
            .unwrap()
            .replay(1, |record| events.push(record.event.clone()))
            .unwrap();
        let changed = Journal::open(&path).unwrap();
        for mut event in events {
            if let Event::TransactionIntended(intent) = &mut event {
                change(intent);
            }
            self.market.runtime.block_on(changed.keep(event)).unwrap();
        }
        drop(changed);
        self.open(url)
    }

    /// The process after that one.
    fn again(&self) -> Seller {
        self.open(self.market.chain.url())
    }

    fn open(&self, url: &str) -> Seller {
        let path = self.market.dir.path().join("changed.sqlite");
        let network = self.market.network(url);
        let opened = Seller::open(&network, &path, |_| {});
        let opened = self.market.runtime.block_on(opened);
        opened.on(&self.market.runtime)
    }
}

fn intents(seller: &Seller) -> Vec<TxIntent> {
    let of_record = |event| match event {
        Event::TransactionIntended(intent) => Some(*intent),
        _ => None,
    };
    let records = seller.records().into_iter();
    records.filter_map(|it| of_record(it.event)).collect()
}

/// The seller finds its transaction after a restart, first while receipts cannot be read.
fn recovers(work: Work, lost: bool, change: impl Fn(&mut TxIntent)) {
    let at = format!("{work:?}, lost: {lost}");
    let stopped = Stopped::new(work, lost);
    assert_eq!(stopped.key, Some(work.key(&stopped.buyer)), "{at}");
    let failure = json!({ "code": -32000, "message": "the upstream is overloaded" });
    let proxy = Proxy::new(stopped.market.chain.url(), move |method, _, _| {
        match method == "eth_getTransactionReceipt" {
            true => Act::Refuse(failure.clone()),
            false => Act::Forward,
        }
    });
    let seller = stopped.resumed(&proxy.url, change);
    let tx = stopped.tx.clone();
    let unknown = work.run(&seller, &stopped.buyer);
    assert_eq!(unknown, Err(ChainFailure::Unknown { tx }), "{at}");
    drop(seller);
    let done = work.run(&stopped.again(), &stopped.buyer);
    let done = done.unwrap_or_else(|error| panic!("{at}: {error}"));
    assert_eq!(done.tx, stopped.tx, "{at}");
    let sent = stopped.sent + u128::from(lost);
    assert_eq!(stopped.market.sent(), sent, "{at}");
}

#[test]
fn a_changed_label_is_still_the_same_transaction() {
    for work in WORKS {
        for lost in [false, true] {
            recovers(work, lost, |intent| {
                intent.purpose = "something that no version has ever written".into();
            });
        }
    }
}

/// Labels of today have the forms of earlier versions. Refunds have no number there, so a refund
/// that was made is found by the chain's number.
/// Makes an intent what earlier versions wrote: a label with amounts in base units, and no key.
fn as_earlier(intent: &mut TxIntent) {
    let label = match intent.key.take() {
        Some(TxKey::Deposit {
            channel,
            amount,
            nonce,
            ..
        }) => format!("a deposit of {amount} into channel {channel} by authorization {nonce}"),
        Some(TxKey::Transfer {
            from,
            to,
            amount,
            nonce,
            ..
        }) => format!("a transfer of {amount} from {from} to {to} by authorization {nonce}"),
        Some(TxKey::Refund {
            channel, amount, ..
        }) => format!("a refund of {amount} from channel {channel}, 0 of which is charged"),
        _ => return,
    };
    intent.purpose = label;
}

#[test]
fn a_label_of_an_earlier_version_is_read_as_a_key() {
    for work in [Work::Deposit, Work::Transfer] {
        for lost in [false, true] {
            recovers(work, lost, as_earlier);
        }
    }
    let stopped = Stopped::new(Work::Refund, false);
    let seller = stopped.resumed(stopped.market.chain.url(), as_earlier);
    let refused = Work::Refund.run(&seller, &stopped.buyer);
    let reason = "the escrow has made refund 0 of the channel: its next one is 1";
    assert_eq!(
        refused,
        Err(ChainFailure::Rejected {
            deed: "the refund",
            reason: reason.into()
        })
    );
    assert_eq!(stopped.market.sent(), stopped.sent);
    assert_eq!(stopped.market.balance(stopped.buyer.address()), 9_300);
}

#[test]
fn a_transaction_of_unknown_purpose_is_never_sent_again() {
    for work in WORKS {
        let stopped = Stopped::new(work, true);
        let proxy = Proxy::new(stopped.market.chain.url(), |_, _, _| Act::Forward);
        let seller = stopped.resumed(&proxy.url, |intent| {
            if intent.tx == stopped.tx {
                (intent.key, intent.purpose) = (None, "a gift to a friend".into());
            }
        });
        let error = seller.wait(seller.desk.recover()).unwrap_err();
        let (tx, sent) = (stopped.tx.clone(), stopped.sent);
        assert_eq!(
            error.to_string(),
            format!(
                "the journal does not say in a known way what transaction {tx} is for: `a gift to a \
                 friend`; it is not on `local` yet, and it is not sent again"
            )
        );
        let unknown = work.run(&seller, &stopped.buyer);
        let expected = ChainFailure::Unknown { tx: tx.clone() };
        assert_eq!(unknown, Err(expected), "{work:?}");
        assert_eq!(proxy.asked("eth_sendRawTransaction").len(), 0, "{work:?}");
        assert_eq!(stopped.market.sent(), sent, "{work:?}");
        // Once it is mined after all, its outcome is known, and work goes on.
        let raw = intents(&seller).last().unwrap().raw.clone();
        stopped
            .market
            .rpc
            .ok("eth_sendRawTransaction", json!([raw]));
        waiting::wait_for("the transaction to be mined", || {
            (stopped.market.sent() == sent + 1).then_some(())
        });
        seller.wait(seller.desk.recover()).unwrap();
        match (work, work.run(&seller, &stopped.buyer)) {
            (Work::Refund, done) => assert!(
                matches!(done, Err(ChainFailure::Rejected { .. })),
                "{done:?}"
            ),
            (_, done) => assert_eq!(done.unwrap().tx, tx),
        }
        assert_eq!(stopped.market.sent(), sent + 1, "{work:?}");
    }
}
