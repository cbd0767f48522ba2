//! A payer's purse as a file: which channels it gives to whom, and who may read it.

use std::{collections::BTreeSet, sync::Barrier};

use openlora_chain::network::PaymentToken;
use openlora_core::{Address, Amount, Word};
use openlora_payments::payer::{
    CallOrder, CallerAllowance, ChannelRequirements, DailyBudget, PayerChannel, PayerChannelState,
    PayerError, PayerStore, PaymentAttempt, PaymentEntry, PaymentNumber, PaymentRecord,
    PaymentStatus, SellerRoute, TokenName,
};
use serde_json::json;

fn wanted() -> ChannelRequirements {
    let account = |byte| Address([byte; 20]);
    ChannelRequirements {
        chain_id: 31_337,
        payer: account(1),
        receiver: account(2),
        receiver_authorizer: account(3),
        token: account(4),
        withdraw_delay: 900,
        domain: TokenName {
            name: "Coin".into(),
            version: "1".into(),
        },
        seller: SellerRoute {
            server: "http://shop.example".into(),
            adapter: "tone".into(),
            route: "http://shop.example/v1/chat/completions".into(),
        },
    }
}

#[test]
fn fifty_payers_at_once_take_fifty_channels() {
    let dir = tempfile::tempdir().unwrap();
    let all_hold = Barrier::new(50);
    let take = || {
        let purse = PayerStore::open(dir.path()).unwrap();
        let leased = purse.lease_for(&wanted(), Amount(5), None).unwrap();
        // As the first signature for it does.
        purse.keep_channel(&leased.channel).unwrap();
        all_hold.wait();
        leased.channel.id
    };
    let round = || -> BTreeSet<Word> {
        std::thread::scope(|scope| {
            let payers: Vec<_> = (0..50).map(|_| scope.spawn(take)).collect();
            payers.into_iter().map(|it| it.join().unwrap()).collect()
        })
    };
    let first = round();
    assert_eq!(first.len(), 50);
    // Given back, they are used again.
    assert_eq!(round(), first);
}

#[test]
fn a_channel_with_enough_in_it_goes_first_and_a_refunded_one_never() {
    let dir = tempfile::tempdir().unwrap();
    let purse = PayerStore::open(dir.path()).unwrap();
    let leased: Vec<_> = (0..3)
        .map(|_| purse.lease_for(&wanted(), Amount(5), None).unwrap())
        .collect();
    let change = |at: usize, change: &dyn Fn(&mut PayerChannel)| {
        let mut channel = leased[at].channel.clone();
        change(&mut channel);
        purse.keep_channel(&channel).unwrap();
        channel.id
    };
    let refunded = change(0, &|it| {
        it.balance = Amount(1_000);
        it.state = PayerChannelState::Refunded;
    });
    let rich = change(1, &|it| it.balance = Amount(100));
    let poor = change(2, &|it| it.used_ms += 1_000);
    drop(leased);
    let first = purse.lease_for(&wanted(), Amount(100), None).unwrap();
    let second = purse.lease_for(&wanted(), Amount(100), None).unwrap();
    let third = purse.lease_for(&wanted(), Amount(100), None).unwrap();
    assert_eq!((first.channel.id, second.channel.id), (rich, poor));
    assert!(![refunded, rich, poor].contains(&third.channel.id));
    let busy = purse.lease(31_337, rich).unwrap_err();
    assert_eq!(
        busy.to_string(),
        format!("channel {rich} is used by another call now")
    );
    let other = ChannelRequirements {
        receiver: Address([9; 20]),
        ..wanted()
    };
    drop((first, second, third));
    let fresh = purse.lease_for(&other, Amount(1), None).unwrap();
    // Those for which nothing was signed leave nothing behind.
    assert_eq!(purse.channels().unwrap().len(), 3);
    assert_eq!(fresh.channel.config.receiver, other.receiver);
}

#[cfg(unix)]
#[test]
fn only_its_owner_can_read_a_purse() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let purse = PayerStore::open(dir.path()).unwrap();
    let _held = purse.lease_for(&wanted(), Amount(5), None).unwrap();
    let mode = |name: &str| {
        let meta = std::fs::metadata(dir.path().join(name)).unwrap();
        meta.permissions().mode() & 0o777
    };
    for name in ["purse.db", "purse.db-wal", "purse.db-shm"] {
        assert_eq!(mode(name), 0o600, "{name}");
    }
    assert_eq!(mode("purse.locks"), 0o700);
}

#[test]
fn a_file_of_another_format_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    drop(PayerStore::open(dir.path()).unwrap());
    let path = dir.path().join("purse.db");
    let file = rusqlite::Connection::open(&path).unwrap();
    file.pragma_update(None, "user_version", 7).unwrap();
    drop(file);
    assert_eq!(
        PayerStore::open(dir.path()).unwrap_err().to_string(),
        format!(
            "the payment store {} has format 7, expected 4",
            path.display()
        )
    );
}

/// Records a payment of `quote` for a caller with a limit of 100, within a budget of 1000.
fn records(purse: &PayerStore, caller: &str, quote: u128) -> Result<PaymentNumber, PayerError> {
    let account = |byte: u8| Address([byte; 20]);
    let word = Word([quote.to_le_bytes()[0]; 32]);
    let payment: PaymentRecord = serde_json::from_value(json!({
        "request_id": format!("{caller}-{quote}"), "time_ms": 86_400_000_u64, "server": "http://shop",
        "adapter": "tone", "scheme": "exact", "chain_id": 31_337, "token": account(4),
        "receiver": account(2), "payer": account(1), "word": word, "before": "0",
        "quote": quote.to_string(), "deposit": "0", "signature": "0x", "valid_before": 0,
        "fate": { "is": "open" }, "receipt": null, "caller": caller,
    }))
    .unwrap();
    let offer = json!({
        "server": "http://shop", "scheme": "exact", "raw": {},
        "terms": {
            "scheme": "exact", "network": "eip155:31337", "amount": quote.to_string(),
            "asset": account(4), "payTo": account(2), "maxTimeoutSeconds": 60,
        },
        "token": { "name": "Coin", "version": "1" },
    });
    let attempt = PaymentAttempt {
        time_ms: payment.time_ms,
        order: CallOrder {
            request_id: payment.request_id.clone(),
            seller: wanted().seller,
            path: "/v1/chat/completions".into(),
            body: "{}".into(),
            caller: Some(CallerAllowance {
                caller: caller.into(),
                daily: Some(Amount(100)),
            }),
        },
        offer: serde_json::from_value(offer).unwrap(),
        header: String::new(),
        chain_id: 31_337,
        quote: Amount(quote),
    };
    let token = PaymentToken {
        address: account(4),
        symbol: "USD".into(),
        decimals: 0,
        name: "Coin".into(),
        version: "1".into(),
    };
    let entry = PaymentEntry {
        payment: &payment,
        channel: None,
        deposit: None,
        attempt: &attempt,
    };
    let budget = DailyBudget {
        limit: Amount(1_000),
        locked: Amount(1_000),
        token: &token,
    };
    purse.record(&entry, budget)
}

#[test]
fn each_caller_has_a_limit_of_its_own_that_counts_what_a_call_may_cost() {
    let dir = tempfile::tempdir().unwrap();
    let purse = PayerStore::open(dir.path()).unwrap();
    let token = Address([4; 20]);
    let spent = |caller: &str| purse.spent_by(31_337, token, 86_400_001, caller).unwrap();
    let number = records(&purse, "alice", 70).unwrap();
    let refused = records(&purse, "alice", 40).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "this needs 40 USD; of the 100 USD a day that the key `alice` may spend, 70 USD are spent \
         and 30 USD are left"
    );
    // Nothing of a refused payment is kept.
    assert_eq!(purse.attempts().unwrap().len(), 1);
    assert_eq!((spent("alice"), spent("bob")), (Amount(70), Amount::ZERO));
    records(&purse, "bob", 100).unwrap();
    // Once it is known that the first cost less, there is room.
    let mut record = purse.numbered(number).unwrap();
    record.status = PaymentStatus::Charged { amount: Amount(10) };
    purse.finish_payment(number, &record, None).unwrap();
    records(&purse, "alice", 40).unwrap();
    assert_eq!((spent("alice"), spent("bob")), (Amount(50), Amount(100)));
    let tomorrow = purse.spent_by(31_337, token, 2 * 86_400_000, "alice");
    assert_eq!(tomorrow.unwrap(), Amount::ZERO);
}
