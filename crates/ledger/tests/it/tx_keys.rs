//! Keys of transactions: their form in the journal, and the labels of versions without keys.

use openlora_core::{Address, Amount, Word};
use openlora_ledger::{PoolTxAction, TxKey, UnknownTxLabel, event::TxIntent};
use serde_json::{Value, json};

const CHANNEL: &str = "0xa06ca99595747bf251fc37f58708a52882658d5ba961103ec221d35727315880";
const NONCE: &str = "0x00000000000000000000000000000000000000000000000000000000000000ff";
const REQUEST: &str = "0x4fc755dbced62f7fd21f7a59cd9c512c47dd17e0deda3875ba6bf9d95dbbe892";
const TOKEN: &str = "0x903435F41dCfC99e1444Dd667a1d160E01D25Df1";
const PAYER: &str = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
const SPLITTER: &str = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A";

fn word(text: &str) -> Word {
    text.parse().unwrap()
}

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

/// An intent as versions without keys wrote it.
fn intent(label: &str) -> TxIntent {
    let value = json!({
        "tx": NONCE, "chain_id": 31_337, "from": PAYER, "to": TOKEN, "nonce": 3, "purpose": label,
        "raw": "0x02", "replaces": null,
    });
    serde_json::from_value(value).unwrap()
}

fn read(label: &str) -> Result<Option<TxKey>, UnknownTxLabel> {
    intent(label).read_key()
}

fn deposit(request: Option<Word>) -> TxKey {
    TxKey::Deposit {
        channel: word(CHANNEL),
        amount: Amount(1_000),
        nonce: word(NONCE),
        request,
    }
}

fn transfer(request: Option<Word>) -> TxKey {
    TxKey::Transfer {
        token: address(TOKEN),
        from: address(PAYER),
        to: address(SPLITTER),
        amount: Amount(30),
        nonce: word(NONCE),
        request,
    }
}

#[test]
fn labels_that_name_one_transaction_are_read_as_its_key() {
    let refund = TxKey::Refund {
        channel: word(CHANNEL),
        amount: Amount(7),
        refund_nonce: None,
    };
    let of_deposit = format!("a deposit of 1000 into channel {CHANNEL} by authorization {NONCE}");
    let of_transfer =
        format!("a transfer of 30 from {PAYER} to {SPLITTER} by authorization {NONCE}");
    let of_request = format!(" for the request {REQUEST}");
    let request = Some(word(REQUEST));
    for (label, key) in [
        (of_deposit.clone(), deposit(None)),
        (format!("{of_deposit}{of_request}"), deposit(request)),
        (of_transfer.clone(), transfer(None)),
        (format!("{of_transfer}{of_request}"), transfer(request)),
        (
            format!("a refund of 7 from channel {CHANNEL}, 12 of which is charged"),
            refund,
        ),
    ] {
        assert_eq!(read(&label), Ok(Some(key)), "{label}");
    }
}

/// Each form that a version has written, with the texts that it had at the blanks.
#[test]
fn labels_that_name_a_kind_are_known() {
    for label in [
        format!("a claim of 90 from channel {CHANNEL}"),
        "a claim of 5013 from 99 channels".to_owned(),
        "a claim before its call for others".to_owned(),
        "a claim for others".to_owned(),
        "a settlement for others".to_owned(),
        "a refund for others".to_owned(),
        format!("settling what is claimed for {SPLITTER}"),
        format!("releasing the share of {PAYER} from {SPLITTER}"),
        format!("anchoring 50 calls as {REQUEST}"),
        format!("fetching 12 for {PAYER} from the pool {SPLITTER}"),
        format!("activating proposal 2 of the pool {SPLITTER}"),
        format!("proposing {REQUEST} to the pool {SPLITTER}"),
        format!("contesting what is proposed to the pool {SPLITTER}"),
        format!("demanding a proposal to the pool {SPLITTER}"),
        format!("dividing by static shares what the pool {SPLITTER} left unanswered"),
        "creating OpenLoraRegistry".to_owned(),
        "creating the splitter of tone on sepolia".to_owned(),
        "creating the contributors' pool of tone 1.0.0".to_owned(),
        "registering tone 1.0.0".to_owned(),
        "publishing my model 1.1.0".to_owned(),
        format!("authorising {PAYER} to serve tone"),
        format!("funding {PAYER}"),
        "depositing 0.5 USDC".to_owned(),
        "making 1000 USDC".to_owned(),
        format!("taking 0.25 USDC back from channel {CHANNEL} on `local`"),
        format!("ending the withdrawal from channel {CHANNEL}"),
    ] {
        assert_eq!(read(&label), Ok(None), "{label}");
    }
}

#[test]
fn any_other_label_is_reported_with_its_transaction() {
    for label in [
        "",
        "a test",
        "a deposit",
        "a claim of  from 3 channels",
        "settling what is claimed for ",
        // No form of its own has what stands at the blanks.
        "a deposit of much into channel 12 by authorization 7",
        &format!(
            "a transfer of 1 from {PAYER} to {PAYER} by authorization {NONCE} for the request 1"
        ),
        &format!("a refund of 07 from channel {CHANNEL}, 1 of which is charged"),
    ] {
        let unknown = read(label).unwrap_err();
        assert_eq!(
            unknown.to_string(),
            format!(
                "the journal does not say in a known way what transaction {NONCE} is for: `{label}`"
            )
        );
    }
}

#[test]
fn a_key_counts_and_not_its_label() {
    for label in [
        "a test",
        &format!("settling what is claimed for {SPLITTER}"),
    ] {
        let changed = TxIntent {
            key: Some(deposit(None)),
            ..intent(label)
        };
        assert_eq!(changed.read_key(), Ok(Some(deposit(None))));
    }
}

#[test]
fn a_refund_without_a_number_may_be_any_of_its_channel() {
    let refund = |channel: &str, refund_nonce| TxKey::Refund {
        channel: word(channel),
        amount: Amount(1),
        refund_nonce,
    };
    let old = refund(CHANNEL, None);
    assert!(old.may_be(&refund(CHANNEL, Some(4))));
    assert!(!old.may_be(&refund(REQUEST, Some(4))));
    assert!(!refund(CHANNEL, Some(3)).may_be(&refund(CHANNEL, Some(4))));
    assert!(!refund(CHANNEL, Some(3)).may_be(&old));
    assert!(!deposit(None).may_be(&deposit(Some(word(REQUEST)))));
}

/// The form in the journal never changes.
#[test]
fn keys_are_written_and_read_in_one_form() {
    let pool = |action: Value| {
        let mut form = json!({ "kind": "pool", "pool": SPLITTER, "token": TOKEN, "round": 3 });
        let fields = form.as_object_mut().unwrap();
        fields.extend(action.as_object().unwrap().clone());
        form
    };
    let forms = [
        json!({ "kind": "deposit", "channel": CHANNEL, "amount": "1000", "nonce": NONCE }),
        json!({ "kind": "transfer", "token": TOKEN, "from": PAYER, "to": SPLITTER,
            "amount": "30", "nonce": NONCE, "request": REQUEST }),
        json!({ "kind": "refund", "channel": CHANNEL, "amount": "5", "refund_nonce": 2 }),
        json!({ "kind": "claim", "totals": { CHANNEL: "5", REQUEST: "7" } }),
        json!({ "kind": "prepaid_claim", "channel": CHANNEL, "maximum": "5" }),
        json!({ "kind": "relay", "calls": REQUEST }),
        json!({ "kind": "settle", "receiver": SPLITTER, "token": TOKEN, "claimed": "5" }),
        json!({ "kind": "release", "splitter": SPLITTER, "token": TOKEN, "recipient": PAYER,
            "released": "0" }),
        json!({ "kind": "anchor", "adapter": "0x1", "root": REQUEST }),
        pool(json!({ "action": "fetch", "contributor": PAYER, "paid": "5" })),
        pool(json!({ "action": "activate" })),
        pool(json!({ "action": "propose", "root": REQUEST })),
        pool(json!({ "action": "contest" })),
        pool(json!({ "action": "demand" })),
        pool(json!({ "action": "divide" })),
        json!({ "kind": "create", "contract": SPLITTER }),
        json!({ "kind": "register", "registry": TOKEN, "manifest": REQUEST }),
        json!({ "kind": "publish", "registry": TOKEN, "manifest": REQUEST }),
        json!({ "kind": "authorise", "registry": TOKEN, "adapter": "0x1", "server": PAYER }),
        json!({ "kind": "start_withdrawal", "channel": CHANNEL, "amount": "5" }),
        json!({ "kind": "finish_withdrawal", "channel": CHANNEL, "started": 17 }),
        json!({ "kind": "mint", "token": TOKEN, "to": PAYER, "amount": "5" }),
        json!({ "kind": "fund", "account": PAYER }),
    ];
    let keys = forms
        .clone()
        .map(|form| serde_json::from_value(form).unwrap());
    assert_eq!(
        (&keys[0], &keys[1]),
        (&deposit(None), &transfer(Some(word(REQUEST))))
    );
    let expected = PoolTxAction::Propose {
        root: word(REQUEST),
    };
    assert!(
        matches!(&keys[11], TxKey::Pool { action, round: 3, .. } if *action == expected),
        "{:?}",
        keys[11]
    );
    for (key, form) in keys.iter().zip(forms) {
        assert_eq!(serde_json::to_value(key).unwrap(), form);
    }
}
