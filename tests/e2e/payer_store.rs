//! A payer's purse: what it writes down before it pays, which channels it takes, what it believes
//! of a server, and what it counts as spent.

use alloy::{primitives::Bytes, sol_types::SolCall};
use openlora_chain::{
    balance::amount,
    development,
    network::{Network, NetworkOptions as NetworkWish, PaymentToken},
    provider::Chain,
    registry::DevelopmentToken,
};
use openlora_contracts::ESCROW;
use openlora_core::{Amount, Word};
use openlora_ledger::PaymentScheme;
use openlora_payments::{
    payer::{
        CallOrder, DepositStage, DisputedCharge, FinishedPayment, Payer, PayerChannel,
        PayerChannelState, PayerError, PayerStore, PaymentOffer, PaymentRecord, PaymentStatus,
        SchemeChoice, SellerRoute, SentPayment, choose,
    },
    x402::{
        binding::{
            BindingDomain, RefundRequest, RequestBinding, extension, is_marked, request_hash,
        },
        digest::EscrowDomain,
        signature::{self, recover},
        wire::{
            BatchPayload, PaymentPayload, PaymentRequired, SchemePayload, SettleResponse,
            VoucherAction,
        },
    },
};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::{
    deploy_support::contract,
    devnet_support::{Devnet, FIRST},
};

const RECEIVER: &str = "0x976EA74026E726554dB657fA54763abd0C3a0aa9";
const SHOP: &str = "http://shop.example";
/// More than any deposit here.
const FREE: Amount = Amount(u128::MAX);
const MISMATCH: &str = "invalid_batch_settlement_evm_cumulative_amount_mismatch";

fn token() -> PaymentToken {
    PaymentToken {
        address: contract("DevelopmentToken").parse().unwrap(),
        symbol: "dUSD".into(),
        decimals: 6,
        name: "OpenLoRA Development USD".into(),
        version: "1".into(),
    }
}

fn seller() -> SellerRoute {
    SellerRoute {
        server: SHOP.into(),
        adapter: "tone".into(),
        route: format!("{SHOP}/v1/chat/completions"),
    }
}

/// Development account 3 with money, on a chain of its own.
struct Desk {
    runtime: Runtime,
    dir: tempfile::TempDir,
    devnet: Devnet,
}

impl Desk {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let desk = Self {
            runtime: Runtime::new().unwrap(),
            devnet: Devnet::start(dir.path(), 31_337),
            dir,
        };
        let payer = desk.payer(0).account.address();
        let mint = DevelopmentToken::mintCall {
            to: payer.into(),
            amount: amount(1_000_000),
        };
        let (to, data) = (contract("DevelopmentToken"), Bytes::from(mint.abi_encode()));
        let call = json!([{ "from": FIRST, "to": to, "data": data }]);
        desk.devnet.rpc.ok("eth_sendTransaction", call);
        desk
    }

    fn network(&self) -> Network {
        let wish = NetworkWish {
            rpc: Some(self.devnet.rpc.url.clone()),
            ..NetworkWish::default()
        };
        Network::resolve("local", &wish).unwrap()
    }

    /// As a process of its own has it.
    fn payer(&self, budget: u128) -> Payer {
        let network = self.network();
        Payer {
            store: PayerStore::open(self.dir.path()).unwrap(),
            account: development::account(&network, 3).unwrap(),
            chain: self.runtime.block_on(Chain::connect(&network)).unwrap(),
            token: token(),
            budget: Amount(budget),
            max_locked: Amount(u128::MAX),
            max_refund_fee: Amount(50),
            clock_lead: 0,
        }
    }

    fn choose(
        &self,
        required: &PaymentRequired,
        wish: SchemeChoice,
    ) -> Result<PaymentOffer, PayerError> {
        choose(required, SHOP, &self.network(), &token(), wish)
    }

    fn try_pay(
        &self,
        payer: &Payer,
        required: &PaymentRequired,
    ) -> Result<SentPayment, PayerError> {
        self.try_pay_within(payer, required, FREE)
    }

    /// As a call does that may put no more than `free` into channels of its own accord.
    fn try_pay_within(
        &self,
        payer: &Payer,
        required: &PaymentRequired,
        free: Amount,
    ) -> Result<SentPayment, PayerError> {
        let offer = self.choose(required, SchemeChoice::Auto)?;
        let order = CallOrder {
            request_id: format!("call-{}", payer.store.payment_records()?.len()),
            seller: seller(),
            path: "/v1/chat/completions".into(),
            body: "{}".into(),
            caller: None,
        };
        let prepared = self.runtime.block_on(payer.prepare(offer, order, free))?;
        payer.sign_payment(prepared, required)
    }

    fn correct(
        &self,
        payer: &Payer,
        sent: SentPayment,
        required: &PaymentRequired,
    ) -> Result<SentPayment, PayerError> {
        let offer = sent.offer().renewed(required).unwrap();
        let corrected = payer.correct(sent, required, offer, FREE);
        payer.sign_payment(self.runtime.block_on(corrected)?, required)
    }

    #[track_caller]
    fn pay(&self, payer: &Payer, required: &PaymentRequired) -> SentPayment {
        self.try_pay(payer, required).unwrap()
    }

    fn settle(
        &self,
        payer: &Payer,
        sent: SentPayment,
        said: &str,
    ) -> Result<FinishedPayment, PayerError> {
        self.runtime.block_on(payer.read_response(sent, said))
    }
}

fn offer(amount: u128, change: &dyn Fn(&mut Value)) -> Value {
    let mut offer = json!({
        "scheme": "batch-settlement", "network": "eip155:31337", "amount": amount.to_string(),
        "asset": contract("DevelopmentToken"), "payTo": RECEIVER, "maxTimeoutSeconds": 600,
        "extra": {
            "name": "OpenLoRA Development USD", "version": "1", "withdrawDelay": 900,
            "receiverAuthorizer": RECEIVER, "minDeposit": "300",
        },
    });
    change(&mut offer);
    offer
}

fn required(accepts: Value) -> PaymentRequired {
    let asked = json!({
        "x402Version": 2, "error": null, "resource": { "url": SHOP }, "accepts": accepts,
    });
    serde_json::from_value(asked).unwrap()
}

fn asks(amount: u128) -> PaymentRequired {
    required(json!([offer(amount, &|_| {})]))
}

/// What a server reads in the header.
#[track_caller]
fn batch(sent: &SentPayment) -> BatchPayload {
    let payment = PaymentPayload::decode(&sent.header).unwrap();
    match SchemePayload::parse("batch-settlement", &payment.payload).unwrap() {
        Some(SchemePayload::Batch(batch)) => *batch,
        other => panic!("expected a channel's payment, found {other:?}"),
    }
}

fn says(charged: u128, total: u128, channel: Word) -> String {
    let response = json!({
        "success": true, "transaction": "", "network": "eip155:31337", "amount": "",
        "extra": {
            "chargedAmount": charged.to_string(),
            "channelState": {
                "channelId": channel, "balance": "0", "totalClaimed": "0",
                "withdrawRequestedAt": 0, "refundNonce": "0",
                "chargedCumulativeAmount": total.to_string(),
            },
        },
    });
    let response: SettleResponse = serde_json::from_value(response).unwrap();
    response.encode().unwrap()
}

/// A 402 that says how a channel stands.
fn corrects(
    channel: &PayerChannel,
    charged: u128,
    (signed, signature): (u128, &[u8]),
) -> PaymentRequired {
    let mut asked = required(json!([offer(100, &|it| {
        it["extra"]["channelState"] = json!({
            "channelId": channel.id, "balance": "0", "totalClaimed": "0",
            "withdrawRequestedAt": 0, "refundNonce": "0",
            "chargedCumulativeAmount": charged.to_string(),
        });
        it["extra"]["voucherState"] = json!({
            "signedMaxClaimable": signed.to_string(),
            "signature": format!("0x{}", hex::encode(signature)),
        });
    })]));
    asked.error = Some(MISMATCH.into());
    asked
}

fn only_channel(purse: &PayerStore) -> PayerChannel {
    let mut all = purse.channels().unwrap();
    assert_eq!(all.len(), 1);
    all.remove(0)
}

#[test]
fn a_signature_counts_from_before_it_leaves_until_its_end_is_known() {
    let desk = Desk::new();
    let payer = desk.payer(10_000);
    let today = || {
        let time = payer.store.payment_records().unwrap()[0].time_ms;
        payer.store.spent(31_337, token().address, time).unwrap()
    };
    let sent = desk.pay(&payer, &asks(100));
    // Five calls are deposited for; until the chain shows it, all of it may be gone.
    assert_eq!((sent.deposit(), today()), (Amount(500), Amount(500)));
    let paid = batch(&sent);
    assert_eq!(paid.voucher.max_claimable_amount, Amount(100));
    let said = says(40, 40, paid.voucher.channel_id);
    let settled = desk.settle(&payer, sent, &said).unwrap();
    assert_eq!(settled.record.charged(), Some(Amount(40)));
    // What is in the channel is not at hand, so it counts until it is back.
    assert_eq!(today(), Amount(500));
    assert_eq!(only_channel(&payer.store).charged, Amount(40));
    let yesterday = settled.record.time_ms - 86_400_000;
    let spent = payer
        .store
        .spent(31_337, token().address, yesterday)
        .unwrap();
    assert_eq!(spent, Amount::ZERO);
}

#[test]
fn a_process_that_died_after_signing_leaves_one_deposit_and_one_voucher() {
    let desk = Desk::new();
    let first = desk.pay(&desk.payer(10_000), &asks(100));
    let (mut before, spending) = (batch(&first), first.payment_record().clone());
    drop(first);
    let payer = desk.payer(10_000);
    assert_eq!(payer.store.payment_records().unwrap(), [spending]);
    let second = desk.pay(&payer, &asks(100));
    let mut after = batch(&second);
    // The same deposit, and a voucher over the same total: the channel costs no more than that.
    assert_eq!(before, after);
    let VoucherAction::Deposit(_) = &before.action else {
        panic!("expected a deposit, found {:?}", before.action)
    };
    let id = after.voucher.channel_id;
    desk.settle(&payer, second, &says(100, 100, id)).unwrap();
    let fates: Vec<PaymentStatus> = payer
        .store
        .payment_records()
        .unwrap()
        .iter()
        .map(|it| it.status)
        .collect();
    let charged = PaymentStatus::Charged {
        amount: Amount(100),
    };
    // The server went on from zero, so the first one was never charged.
    assert_eq!(fates, [PaymentStatus::Void, charged]);
    // The deposit was not seen on the chain, so it goes out again with the next call.
    after = batch(&desk.pay(&payer, &asks(100)));
    before.voucher = after.voucher.clone();
    assert_eq!(before, after);
}

#[test]
fn a_budget_is_refused_in_whole_sentences() {
    let desk = Desk::new();
    let payer = desk.payer(700);
    let sent = desk.pay(&payer, &asks(100));
    assert_eq!(sent.deposit(), Amount(500));
    // A second channel's deposit is as large as the rest of the budget allows, and no smaller than
    // the server takes.
    let refused = desk.try_pay(&payer, &asks(100)).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "this needs 0.0003 dUSD; of the 0.0007 dUSD a day that `call.budget` allows, 0.0005 dUSD \
         are spent and 0.0002 dUSD are left"
    );
    drop(sent);
    assert_eq!(payer.store.payment_records().unwrap().len(), 1);
}

#[test]
fn money_that_is_not_there_is_not_signed_away() {
    let desk = Desk::new();
    let payer = desk.payer(u128::MAX);
    let refused = desk.try_pay(&payer, &asks(2_000_000)).unwrap_err();
    let account = payer.account.address();
    assert_eq!(
        refused.to_string(),
        format!("{account} has 1 dUSD on `local`, and 2 dUSD are needed")
    );
    // What is there is enough for less than five calls.
    assert_eq!(
        desk.pay(&payer, &asks(300_000)).deposit(),
        Amount(1_000_000)
    );
}

#[test]
fn a_server_is_not_believed_beyond_the_quote() {
    let desk = Desk::new();
    let payer = desk.payer(10_000);
    let id = batch(&desk.pay(&payer, &asks(100))).voucher.channel_id;
    let tell = |charged, total| {
        let sent = desk.pay(&payer, &asks(100));
        let settled = desk.settle(&payer, sent, &says(charged, total, id));
        settled.unwrap_err().to_string()
    };
    assert_eq!(
        tell(101, 101),
        format!(
            "{SHOP} says that it charged 0.000101 dUSD, more than the 0.0001 dUSD that was signed \
             for"
        )
    );
    assert_eq!(
        tell(50, 60),
        format!("{SHOP} says that the channel's total is 0.00006 dUSD, expected 0.00005 dUSD")
    );
    let sent = desk.pay(&payer, &asks(100));
    let problem = desk.settle(&payer, sent, "!").unwrap_err();
    assert_eq!(
        problem.to_string(),
        format!("what {SHOP} says about payment cannot be read: it is not base64")
    );
    // All of them count with what they allow, and what was stated is kept with them.
    let records = payer.store.payment_records().unwrap();
    assert!(records.iter().all(|it| it.status == PaymentStatus::Open));
    let disputed = |charged: u128, total: u128, expected_total| DisputedCharge {
        charged: Some(Amount(charged)),
        total: Some(Amount(total)),
        expected_total: Amount(expected_total),
    };
    let kept: Vec<_> = records.iter().map(|it| it.disputed).collect();
    assert_eq!(
        kept,
        [
            None,
            Some(disputed(101, 101, 100)),
            Some(disputed(50, 60, 50)),
            None
        ]
    );
    assert_eq!(only_channel(&payer.store).charged, Amount::ZERO);
    // A later answer that agrees with the total before it settles them.
    let sent = desk.pay(&payer, &asks(100));
    desk.settle(&payer, sent, &says(30, 30, id)).unwrap();
    let records = payer.store.payment_records().unwrap();
    let open = |it: &&PaymentRecord| it.status == PaymentStatus::Open;
    assert_eq!(records.iter().filter(open).count(), 0);
    assert_eq!(records[1].disputed, Some(disputed(101, 101, 100)));
    assert_eq!(only_channel(&payer.store).charged, Amount(30));
}

#[test]
fn a_record_of_an_earlier_version_has_no_disputed_charge() {
    let desk = Desk::new();
    let payer = desk.payer(10_000);
    let sent = desk.pay(&payer, &asks(100));
    let mut written = serde_json::to_value(sent.payment_record()).unwrap();
    assert!(
        written
            .as_object_mut()
            .unwrap()
            .remove("disputed")
            .is_some()
    );
    let read: PaymentRecord = serde_json::from_value(written).unwrap();
    assert_eq!(&read, sent.payment_record());
}

#[test]
fn another_total_needs_our_own_signature() {
    let desk = Desk::new();
    let payer = desk.payer(100_000);
    let sign = |account: u32, max: u128| {
        let channel = only_channel(&payer.store);
        let account = development::account(&desk.network(), account).unwrap();
        let digest = EscrowDomain::for_chain(31_337).voucher(channel.id, Amount(max));
        signature::sign(&account, digest).unwrap()
    };
    drop(desk.pay(&payer, &asks(100)));
    let channel = only_channel(&payer.store);
    let correct = |charged, (signed, signature): (u128, &[u8])| {
        let sent = desk.pay(&payer, &asks(100));
        let asked = corrects(&channel, charged, (signed, signature));
        desk.correct(&payer, sent, &asked)
    };
    let unproven = |reason: &str| {
        format!(
            "{SHOP} says that channel {} stands otherwise and does not prove it: {reason}",
            channel.id
        )
    };
    let ours = sign(3, 100);
    let theirs = sign(4, 100);
    let address = |at| development::account(&desk.network(), at).unwrap().address();
    assert_eq!(
        correct(100, (100, &theirs)).unwrap_err().to_string(),
        unproven(&format!(
            "the voucher was signed by {}, expected {}",
            address(4),
            address(3)
        ))
    );
    assert_eq!(
        correct(101, (100, &ours)).unwrap_err().to_string(),
        unproven("101 charged is more than 100 signed")
    );
    let forged = correct(50, (101, &ours)).unwrap_err().to_string();
    assert!(
        forged.starts_with(&unproven("the voucher was signed by 0x")),
        "{forged}"
    );
    assert_eq!(only_channel(&payer.store).charged, Amount::ZERO);
    let mended = correct(60, (100, &ours)).unwrap();
    assert_eq!(batch(&mended).voucher.max_claimable_amount, Amount(160));
    drop(mended);
    let fates: Vec<PaymentStatus> = payer
        .store
        .payment_records()
        .unwrap()
        .iter()
        .map(|it| it.status)
        .collect();
    let doubted = PaymentStatus::Charged { amount: Amount(60) };
    // The first one, which nobody answered, is what the server proves; the refused ones are void.
    assert_eq!(
        fates,
        [
            doubted,
            PaymentStatus::Void,
            PaymentStatus::Void,
            PaymentStatus::Void,
            PaymentStatus::Void,
            PaymentStatus::Open
        ]
    );
}

#[test]
fn offers_that_nobody_should_sign_are_refused() {
    let desk = Desk::new();
    let refused = |accepts: Value, wish| {
        let chosen = desk.choose(&required(accepts), wish);
        chosen.unwrap_err().to_string()
    };
    let exact = offer(7, &|it| it["scheme"] = json!("exact"));
    let both = required(json!([exact, offer(9, &|_| {})]));
    let scheme = |wish| desk.choose(&both, wish).unwrap().scheme;
    assert_eq!(scheme(SchemeChoice::Auto), PaymentScheme::BatchSettlement);
    assert_eq!(
        scheme(SchemeChoice::Only(PaymentScheme::Exact)),
        PaymentScheme::Exact
    );
    let only = desk
        .choose(&required(json!([exact])), SchemeChoice::Auto)
        .unwrap();
    assert_eq!(only.scheme, PaymentScheme::Exact);
    let here = contract("DevelopmentToken");
    let elsewhere = offer(9, &|it| it["network"] = json!("eip155:8453"));
    assert_eq!(
        refused(json!([elsewhere]), SchemeChoice::Auto),
        format!(
            "{SHOP} offers nothing that can be paid: expected batch-settlement or exact on \
             eip155:31337 in dUSD {here}, found batch-settlement on eip155:8453 in {here}"
        )
    );
    assert_eq!(
        refused(json!([]), SchemeChoice::Only(PaymentScheme::Exact)),
        format!(
            "{SHOP} offers nothing that can be paid: expected exact on eip155:31337 in dUSD \
             {here}, found no offer"
        )
    );
    let other_token = offer(9, &|it| it["asset"] = json!(RECEIVER));
    assert!(refused(json!([other_token]), SchemeChoice::Auto).ends_with(&format!("in {RECEIVER}")));
    let terms = |field: &str, expected: &str, found: &str| {
        format!(
            "{SHOP} asks for terms that are not taken: `{field}`: expected {expected}, found {found}"
        )
    };
    for delay in [899, 2_592_001] {
        let offered = offer(9, &|it| it["extra"]["withdrawDelay"] = json!(delay));
        assert_eq!(
            refused(json!([offered]), SchemeChoice::Auto),
            terms(
                "extra.withdrawDelay",
                "900 to 2592000 seconds",
                &delay.to_string()
            )
        );
    }
    let nobody = offer(9, &|it| {
        it["extra"]["receiverAuthorizer"] = json!("0x0000000000000000000000000000000000000000");
    });
    assert_eq!(
        refused(json!([nobody]), SchemeChoice::Auto),
        terms("extra.receiverAuthorizer", "an account", "none")
    );
    for (field, known) in [("name", "OpenLoRA Development USD"), ("version", "1")] {
        let renamed = offer(9, &|it| it["extra"][field] = json!("2"));
        let expected = terms(&format!("extra.{field}"), &format!("`{known}`"), "`2`");
        assert_eq!(refused(json!([renamed]), SchemeChoice::Auto), expected);
    }
    let nameless = offer(9, &|it| it["extra"]["name"] = Value::Null);
    assert_eq!(
        refused(json!([nameless]), SchemeChoice::Auto),
        terms("extra.name", "the token's name and version", "none")
    );
}

/// What counts against today's budget.
fn today(purse: &PayerStore) -> Amount {
    let time = purse.payment_records().unwrap().last().unwrap().time_ms;
    purse.spent(31_337, token().address, time).unwrap()
}

fn fates(purse: &PayerStore) -> Vec<PaymentStatus> {
    let all = purse.payment_records().unwrap();
    all.iter().map(|it| it.status).collect()
}

#[test]
fn money_in_a_channel_counts_until_it_is_back() {
    let desk = Desk::new();
    let payer = desk.payer(700);
    let sent = desk.pay(&payer, &asks(100));
    let id = batch(&sent).voucher.channel_id;
    desk.settle(&payer, sent, &says(40, 40, id)).unwrap();
    assert_eq!(today(&payer.store), Amount(500));
    // Calls from the channel cost what is in it, which counts already.
    let mut channel = only_channel(&payer.store);
    channel.balance = Amount(500);
    channel.pending = None;
    payer.store.keep_channel(&channel).unwrap();
    for number in 1..=4_u128 {
        let sent = desk.pay(&payer, &asks(100));
        assert_eq!(sent.deposit(), Amount::ZERO);
        let said = says(100, 40 + 100 * number, id);
        desk.settle(&payer, sent, &said).unwrap();
        assert_eq!(today(&payer.store), Amount(500));
    }
    // The next one needs a deposit of 300, and 200 of the budget are left.
    let refused = desk.try_pay(&payer, &asks(100)).unwrap_err();
    assert!(matches!(refused, PayerError::Budget { .. }), "{refused}");
    let channel = only_channel(&payer.store);
    payer.store.returned(&channel, Amount(60)).unwrap();
    assert_eq!(today(&payer.store), Amount(440));
    // Nothing that comes back makes calls free.
    payer.store.returned(&channel, Amount(1_000)).unwrap();
    assert_eq!(today(&payer.store), Amount(440));
}

#[test]
fn a_deposit_counts_until_the_chain_shows_that_it_can_no_longer_be_fetched() {
    let desk = Desk::new();
    let payer = desk.payer(10_000);
    drop(desk.pay(&payer, &asks(100)));
    let now = payer.now();
    assert_eq!(payer.store.expired_deposits(31_337, now).unwrap(), []);
    let ended = payer.store.expired_deposits(31_337, now + 601).unwrap();
    let [(number, deposit)] = ended.as_slice() else {
        panic!("expected one deposit, found {ended:?}")
    };
    assert_eq!(
        (deposit.amount, deposit.stage),
        (Amount(500), DepositStage::Open)
    );
    let mut deposit = deposit.clone();
    deposit.stage = DepositStage::Void;
    payer.store.settle_deposit(*number, &deposit).unwrap();
    // What is left is the voucher, which is worth something where the channel has money.
    assert_eq!(today(&payer.store), Amount(100));
}

#[test]
fn of_its_own_accord_a_call_puts_in_no_more_than_it_may() {
    let desk = Desk::new();
    let payer = desk.payer(10_000);
    let within = |free| {
        let prepared = desk.try_pay_within(&payer, &asks(100), Amount(free));
        prepared.unwrap().deposit()
    };
    // At least what the server takes, at most five calls.
    assert_eq!(within(350), Amount(350));
    let other = required(json!([offer(100, &|it| {
        it["payTo"] = json!("0x0000000000000000000000000000000000000777");
    })]));
    let deposit = |free| {
        let sent = desk.try_pay_within(&payer, &other, Amount(free)).unwrap();
        sent.deposit()
    };
    assert_eq!(deposit(10), Amount(300));
}

#[test]
fn a_purse_of_the_first_format_opens_and_its_deposit_counts() {
    let desk = Desk::new();
    let payer = desk.payer(10_000);
    let sent = desk.pay(&payer, &asks(100));
    let (spending, channel) = (sent.payment_record().clone(), only_channel(&payer.store));
    drop((sent, payer));
    let dir = tempfile::tempdir().unwrap();
    let file = rusqlite::Connection::open(dir.path().join("purse.db")).unwrap();
    let schema = include_str!("../../crates/payments/src/payer/schema.sql");
    file.execute_batch(schema).unwrap();
    file.pragma_update(None, "application_id", 0x6f6c_7075)
        .unwrap();
    file.pragma_update(None, "user_version", 1).unwrap();
    let body = serde_json::to_string(&channel).unwrap();
    let row = rusqlite::params![31_337, channel.id.to_string(), "open", 1, body];
    let insert = "INSERT INTO channels (chain_id, id, state, used_ms, body) \
                  VALUES (?1, ?2, ?3, ?4, ?5)";
    file.execute(insert, row).unwrap();
    let body = serde_json::to_string(&spending).unwrap();
    let day = i64::try_from(spending.time_ms / 86_400_000).unwrap();
    let (asset, word) = (spending.token.to_string(), spending.word.to_string());
    let row = rusqlite::params!["call-0", 31_337, asset, word, day, true, "500", body];
    let insert = "INSERT INTO spendings \
                  (request_id, chain_id, token, word, day, open, counted, body) \
                  VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    file.execute(insert, row).unwrap();
    drop(file);
    for _ in 0..2 {
        let purse = PayerStore::open(dir.path()).unwrap();
        assert_eq!(purse.channels().unwrap(), std::slice::from_ref(&channel));
        assert_eq!(
            purse.payment_records().unwrap(),
            std::slice::from_ref(&spending)
        );
        assert_eq!(today(&purse), Amount(500));
        assert_eq!(purse.attempts().unwrap(), []);
    }
}

#[test]
fn a_seller_that_counts_the_payment_that_it_refuses_is_not_followed() {
    let desk = Desk::new();
    let payer = desk.payer(10_000);
    let sent = desk.pay(&payer, &asks(100));
    let voucher = batch(&sent).voucher;
    let lie = corrects(&only_channel(&payer.store), 100, (100, &voucher.signature));
    let refused = desk.correct(&payer, sent, &lie).unwrap_err();
    assert_eq!(
        refused.to_string(),
        format!(
            "{SHOP} refuses a payment from channel {}, whose total there is another (0.0001 dUSD \
             more): the channel is in use from another home with the same account, or the server \
             counts what it refuses",
            voucher.channel_id
        )
    );
    // It may be used, so it counts, and nothing more was signed.
    let charged = PaymentStatus::Charged {
        amount: Amount(100),
    };
    assert_eq!(fates(&payer.store), [charged]);
    let signed = only_channel(&payer.store).signed.unwrap();
    assert_eq!(signed.max, Amount(100));
}

#[test]
fn a_payment_that_was_not_used_is_made_anew_and_one_that_was_is_not() {
    let desk = Desk::new();
    let payer = desk.payer(10_000);
    let first = batch(&desk.pay(&payer, &asks(100))).voucher;
    let resume = || {
        let attempt = payer.store.attempt_named("call-0").unwrap();
        payer.resume(attempt).unwrap()
    };
    // Another refusal than one about totals proves nothing.
    let mut denied = asks(100);
    denied.error = Some("invalid_payload".into());
    let refused = desk.correct(&payer, resume(), &denied).unwrap_err();
    assert!(matches!(refused, PayerError::Refused { .. }), "{refused}");
    assert_eq!(fates(&payer.store), [PaymentStatus::Open]);
    // The server has charged nothing: the next voucher takes the place of the first.
    let signature = first.signature.clone();
    let proof = (100, signature.as_ref());
    let unused = corrects(&only_channel(&payer.store), 0, proof);
    let anew = desk.correct(&payer, resume(), &unused).unwrap();
    assert_eq!(batch(&anew).voucher, first);
    assert_eq!(anew.order().request_id, "call-0");
    assert_eq!(
        fates(&payer.store),
        [PaymentStatus::Void, PaymentStatus::Open]
    );
    drop(anew);
    let used = corrects(&only_channel(&payer.store), 60, proof);
    let lost = desk.correct(&payer, resume(), &used).unwrap_err();
    assert_eq!(
        lost.to_string(),
        format!(
            "{SHOP} has taken 0.00006 dUSD for this call and does not give its answer again \
             (the voucher is not for what is charged plus the amount of the offer; code {MISMATCH})"
        )
    );
    let charged = PaymentStatus::Charged { amount: Amount(60) };
    assert_eq!(fates(&payer.store), [PaymentStatus::Void, charged]);
    assert_eq!(payer.store.attempts().unwrap(), []);
}

/// After two crashes, two payments from the same total have no answer. Whatever is learnt of them and
/// in whichever order, they count together with what the channel's total grew by.
#[test]
fn two_payments_from_one_total_are_counted_once() {
    let charged = PaymentStatus::Charged { amount: Amount(60) };
    let opened = || {
        let desk = Desk::new();
        let payer = desk.payer(10_000);
        drop(desk.pay(&payer, &asks(100)));
        let second = batch(&desk.pay(&payer, &asks(100))).voucher;
        let used = corrects(
            &only_channel(&payer.store),
            60,
            (100, second.signature.as_ref()),
        );
        assert_eq!(fates(&payer.store), [PaymentStatus::Open; 2]);
        (desk, payer, used)
    };
    let resume = |payer: &Payer, id: &str| {
        let attempt = payer.store.attempt_named(id).unwrap();
        payer.resume(attempt).unwrap()
    };
    let (first, second) = ("call-0", "call-1");
    for (refused, answered, expected) in [
        (first, second, [PaymentStatus::Void, charged]),
        (second, first, [charged, PaymentStatus::Void]),
    ] {
        let (desk, payer, used) = opened();
        let lost = desk.correct(&payer, resume(&payer, refused), &used);
        let lost = lost.unwrap_err();
        assert!(matches!(lost, PayerError::Lost { .. }), "{lost}");
        // The charge was not that of the one that was refused, as the answer to the other shows.
        let id = only_channel(&payer.store).id;
        let sent = resume(&payer, answered);
        desk.settle(&payer, sent, &says(60, 60, id)).unwrap();
        assert_eq!(fates(&payer.store), expected);
        assert_eq!(only_channel(&payer.store).charged, Amount(60));
    }
    // Both are refused: one of them was charged.
    let (desk, payer, used) = opened();
    let lost = desk.correct(&payer, resume(&payer, first), &used);
    assert!(matches!(lost, Err(PayerError::Lost { .. })), "{lost:?}");
    let anew = desk.correct(&payer, resume(&payer, second), &used).unwrap();
    assert_eq!(anew.payment_record().before, Amount(60));
    assert_eq!(
        fates(&payer.store),
        [charged, PaymentStatus::Void, PaymentStatus::Open]
    );
    // A third call learns the total.
    let (desk, payer, used) = opened();
    let sent = desk.pay(&payer, &asks(100));
    let anew = desk.correct(&payer, sent, &used).unwrap();
    assert_eq!(anew.payment_record().before, Amount(60));
    assert_eq!(
        fates(&payer.store),
        [
            charged,
            PaymentStatus::Void,
            PaymentStatus::Void,
            PaymentStatus::Open
        ]
    );
}

#[test]
fn a_transfer_that_was_sent_is_not_made_anew_while_it_can_be_used() {
    let desk = Desk::new();
    let payer = desk.payer(10_000);
    let asked = required(json!([offer(70, &|it| it["scheme"] = json!("exact"))]));
    drop(desk.pay(&payer, &asked));
    let attempt = payer.store.attempt_named("call-0").unwrap();
    let mut denied = asked.clone();
    denied.error = Some("invalid_exact_evm_payload".into());
    let resumed = payer.resume(attempt).unwrap();
    let until = resumed.payment_record().valid_before + 120;
    let refused = desk.correct(&payer, resumed, &denied).unwrap_err();
    assert_eq!(
        refused.to_string(),
        format!(
            "{SHOP} refuses the payment (reason code invalid_exact_evm_payload) and may still use it \
             until {}",
            openlora_core::calendar::moment(until)
        )
    );
    assert_eq!(fates(&payer.store), [PaymentStatus::Open]);
    assert_eq!(payer.store.attempts().unwrap().len(), 1);
}

#[test]
fn a_payment_names_the_one_request_that_it_is_for() {
    let desk = Desk::new();
    let payer = desk.payer(10_000);
    let hash = request_hash("POST", "/v1/chat/completions", b"{}");
    let bound = |header: &str| -> RequestBinding {
        let payment = PaymentPayload::decode(header).unwrap();
        extension(payment.extensions.as_ref()).unwrap().unwrap()
    };
    // What the server has in its extensions stays there.
    let mut asked = asks(100);
    asked.extensions = Some(json!({ "theirs": { "a": 1 } }));
    let sent = desk.pay(&payer, &asked);
    let voucher = batch(&sent).voucher;
    let binding = bound(&sent.header);
    assert_eq!(binding.request_hash, hash);
    let domain = BindingDomain::for_contract(31_337, ESCROW.into());
    let digest = domain.request(voucher.channel_id, Amount(100), hash);
    let account = payer.account.address();
    assert_eq!(recover(digest, &binding.signature), Ok(account));
    // Both say that it cannot be left out.
    assert!(is_marked(only_channel(&payer.store).config.salt));
    let payment = PaymentPayload::decode(&sent.header).unwrap();
    assert_eq!(payment.extensions.unwrap()["theirs"], json!({ "a": 1 }));
    drop(sent);
    let asked = required(json!([offer(70, &|it| it["scheme"] = json!("exact"))]));
    let sent = desk.pay(&payer, &asked);
    let binding = bound(&sent.header);
    let domain = BindingDomain::for_contract(31_337, token().address);
    assert!(is_marked(sent.payment_record().word));
    let digest = domain.request(sent.payment_record().word, Amount(70), hash);
    assert_eq!(recover(digest, &binding.signature), Ok(account));
}

#[test]
fn a_wish_for_a_refund_is_signed_for_now_and_once() {
    let desk = Desk::new();
    let payer = desk.payer(10_000);
    drop(desk.pay(&payer, &asks(100)));
    let id = only_channel(&payer.store).id;
    let mut leased = payer.store.lease(31_337, id).unwrap();
    let offered = desk.choose(&asks(100), SchemeChoice::Auto).unwrap();
    let (asked, now) = (asks(100), payer.now());
    let asked = payer.ask_refund(&mut leased, &asked, &offered);
    let header = desk.runtime.block_on(asked).unwrap();
    let payment = PaymentPayload::decode(&header).unwrap();
    let request: RefundRequest = extension(payment.extensions.as_ref()).unwrap().unwrap();
    assert_eq!((request.amount, request.refund_nonce), (None, 0));
    assert!((now + 300..=now + 305).contains(&request.valid_before));
    let domain = BindingDomain::for_contract(31_337, ESCROW.into());
    let digest = domain.refund(id, None, 0, request.valid_before);
    let account = payer.account.address();
    assert_eq!(recover(digest, &request.signature), Ok(account));
}

#[test]
fn a_refunds_fee_is_signed_for_within_limits_and_counted_once() {
    let desk = Desk::new();
    let payer = desk.payer(10_000);
    let sent = desk.pay(&payer, &asks(100));
    let id = batch(&sent).voucher.channel_id;
    desk.settle(&payer, sent, &says(40, 40, id)).unwrap();
    let charging = |fee: u128| {
        let asked = offer(100, &|it| it["extra"]["refundFee"] = json!(fee.to_string()));
        required(json!([asked]))
    };
    let channel = || only_channel(&payer.store);
    // What was deposited is there.
    let mut held = channel();
    held.balance = Amount(500);
    payer.store.keep_channel(&held).unwrap();
    let ask = |fee: u128| {
        let mut leased = payer.store.lease(31_337, id).unwrap();
        let offered = desk.choose(&charging(fee), SchemeChoice::Auto).unwrap();
        let price = payer.refund_price(&leased.channel, &offered);
        let price = desk.runtime.block_on(price);
        let terms = charging(fee);
        let asked = payer.ask_refund(&mut leased, &terms, &offered);
        (price, desk.runtime.block_on(asked))
    };
    let spent = || {
        payer
            .store
            .spent(31_337, token().address, payer.now() * 1_000)
            .unwrap()
    };
    let before = (spent(), payer.store.payment_records().unwrap().len());
    // Above the limit nothing is signed.
    let (price, header) = ask(51);
    for refused in [price.err(), header.err()] {
        let refused = refused.unwrap();
        assert!(matches!(refused, PayerError::RefundFee { .. }), "{refused}");
    }
    assert_eq!(
        (spent(), payer.store.payment_records().unwrap().len()),
        before
    );
    assert_eq!(channel().signed.unwrap().max, Amount(100));
    for _ in 0..2 {
        let (price, header) = ask(50);
        assert_eq!(price.unwrap(), Amount(50));
        let payment = PaymentPayload::decode(&header.unwrap()).unwrap();
        let request: RefundRequest = extension(payment.extensions.as_ref()).unwrap().unwrap();
        let domain = BindingDomain::for_contract(31_337, ESCROW.into());
        let account = payer.account.address();
        let digest = request.digest(domain, id);
        assert_eq!(recover(digest, &request.signature), Ok(account));
        // The signature is over the fee.
        let mut cheaper = request.clone();
        cheaper.fee.as_mut().unwrap().amount = Amount(49);
        assert_ne!(
            recover(cheaper.digest(domain, id), &request.signature),
            Ok(account)
        );
        let fee = request.fee.unwrap();
        assert_eq!(
            (fee.amount, fee.max_claimable_amount),
            (Amount(50), Amount(90))
        );
        let voucher = EscrowDomain::for_chain(31_337).voucher(id, Amount(90));
        assert_eq!(recover(voucher, &fee.signature), Ok(account));
        // Written down once, and open until the chain or the server says more.
        let all = payer.store.payment_records().unwrap();
        assert_eq!(all.len(), before.1 + 1);
        let last = all.last().unwrap();
        assert_eq!(
            (last.before, last.quote, last.status),
            (Amount(40), Amount(50), PaymentStatus::Open)
        );
    }
    // A refusal means that it was not taken.
    let mut leased = payer.store.lease(31_337, id).unwrap();
    payer.keep_open(&mut leased.channel).unwrap();
    drop(leased);
    assert_eq!(
        payer
            .store
            .payment_records()
            .unwrap()
            .last()
            .unwrap()
            .status,
        PaymentStatus::Void
    );
    // Not worth it.
    let mut held = channel();
    held.balance = Amount(90);
    payer.store.keep_channel(&held).unwrap();
    let refused = ask(50).1.unwrap_err();
    assert!(
        matches!(refused, PayerError::RefundRest { .. }),
        "{refused}"
    );
    assert!(refused.to_string().contains("0.00005"), "{refused}");
}

#[test]
fn a_refunds_fee_counts_against_the_budget() {
    let desk = Desk::new();
    let payer = desk.payer(600);
    let sent = desk.pay(&payer, &asks(100));
    let id = batch(&sent).voucher.channel_id;
    desk.settle(&payer, sent, &says(100, 100, id)).unwrap();
    let mut held = only_channel(&payer.store);
    held.balance = Amount(10_000);
    // Other calls of the day.
    held.charged = Amount(590);
    payer.store.settle_doubts(&held, Amount(100)).unwrap();
    let asked = offer(100, &|it| it["extra"]["refundFee"] = json!("20"));
    let terms = required(json!([asked]));
    let mut leased = payer.store.lease(31_337, id).unwrap();
    let offered = desk.choose(&terms, SchemeChoice::Auto).unwrap();
    let refused = payer.ask_refund(&mut leased, &terms, &offered);
    let refused = desk.runtime.block_on(refused).unwrap_err();
    assert!(matches!(refused, PayerError::Budget { .. }), "{refused}");
    assert_eq!(only_channel(&payer.store).state, PayerChannelState::Open);
}

#[test]
fn a_servers_id_takes_no_other_calls_place() {
    let desk = Desk::new();
    let payer = desk.payer(10_000);
    let pay = || {
        let sent = desk.pay(&payer, &asks(100));
        let id = batch(&sent).voucher.channel_id;
        let total = only_channel(&payer.store).charged.0 + 40;
        desk.settle(&payer, sent, &says(40, total, id)).unwrap()
    };
    for (said, kept) in [("theirs", "theirs"), ("theirs", "call-1")] {
        let FinishedPayment { number, .. } = pay();
        let receipt = Some(json!({ "for": kept }));
        let under = payer.store.keep_receipt(number, said, receipt).unwrap();
        assert_eq!(under, kept);
        let found: PaymentRecord = payer.store.payment_record(kept).unwrap().unwrap();
        assert_eq!(found.receipt, Some(json!({ "for": kept })));
    }
}
