//! A payer's purse as a file: which channels it gives to whom, and who may read it.

use std::{collections::BTreeSet, sync::Barrier};

use openlora_core::{Address, Amount, Word};
use openlora_payments::payer::{
    ChannelRequirements, PayerChannel, PayerChannelState, PayerStore, SellerRoute, TokenName,
};

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
            "the payment store {} has format 7, expected 3",
            path.display()
        )
    );
}
