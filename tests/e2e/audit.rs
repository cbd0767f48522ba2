//! `earnings --audit` on a chain: what was lost, what differs and what is somebody else's, each by
//! name.

use std::sync::Arc;

use alloy::{primitives::Bytes, sol_types::SolCall};
use openlora::commands::earnings::{AuditRelation, relation_line};
use openlora_chain::registry::{BatchSettlementEscrow as Escrow, ChannelVoucher, VoucherClaim};
use openlora_contracts::ESCROW;
use openlora_core::{Address, Amount, Word};
use openlora_ledger::{
    CallCharge, ChannelTerms, DayRange, Earnings, PaymentScheme, ReceiverKey, TxKey,
    event::{CallKind, Event, FinishReason, TokenUsage},
    findings::{AuditFinding, FindingKind, LedgerAudit, LossCause, Severity},
};
use openlora_payments::{
    payer::{
        PaymentRecord, PaymentStatus,
        audit::{ComparisonResult as Finds, against_chain, agreed},
    },
    settlement::{ChainSettlement, ChainSettler, LeftOut, SettleRound, TxPurpose},
};
use serde_json::{Value, json};

use crate::{
    deploy_support::Desk,
    devnet_support::FIRST,
    settlement_support::{
        Buyer, CHAIN_ID, Market, Seller, channel_id, channel_key, send, send_from,
    },
};

#[test]
fn a_long_relation_is_apart_from_its_sums() {
    let line = |name: &str, ok| {
        let check = AuditRelation {
            name: name.to_owned(),
            left: Amount(100),
            relation: "=",
            right: Amount(100),
            ok,
        };
        relation_line(&check, 6)
    };
    assert_eq!(
        line(
            "charged + refund fees = claimed + claimable + written off + uncollectable",
            true
        ),
        "  ok  charged + refund fees = claimed + claimable + written off + uncollectable  \
         0.0001 = 0.0001"
    );
    assert_eq!(
        line("uncollectable = 0", false),
        format!("  BAD uncollectable = 0{}0.0001 = 0.0001", " ".repeat(30))
    );
}

fn settle(seller: &Seller) -> SettleRound {
    let treasurer = ChainSettler::new(Arc::clone(&seller.desk));
    seller.wait(treasurer.settle_now()).unwrap()
}

#[track_caller]
fn only(mut audits: Vec<LedgerAudit>) -> LedgerAudit {
    assert_eq!(audits.len(), 1, "{audits:#?}");
    audits.remove(0)
}

fn kinds(audit: &LedgerAudit) -> Vec<FindingKind> {
    audit.findings.iter().map(|it| it.kind).collect()
}

fn calls(finding: &AuditFinding) -> Vec<(String, u128)> {
    let calls = finding.calls.iter();
    calls
        .map(|it| (it.request_id.clone(), it.amount.0))
        .collect()
}

fn failed(audit: &LedgerAudit) -> Vec<&'static str> {
    let failed = audit.checks.iter().filter(|check| !check.holds());
    failed.map(|check| check.name).collect()
}

/// Sends from an account whose key is nobody's.
fn sends_as(market: &Market, from: Address, to: Address, data: Vec<u8>) {
    let from = from.to_string();
    market
        .rpc
        .ok("anvil_setBalance", json!([from, "0x8ac7230489e80000"]));
    market.rpc.ok("anvil_impersonateAccount", json!([from]));
    send_from(&market.rpc, &from, to, &Bytes::from(data));
}

/// The payer takes everything unclaimed back, without anybody claiming in between.
fn withdraws(market: &Market, buyer: &Buyer, config: &ChannelTerms, amount: u128) {
    let config = config.into();
    let begin = Escrow::initiateWithdrawCall { config, amount };
    sends_as(market, buyer.address(), ESCROW.into(), begin.abi_encode());
    market.rpc.ok("evm_increaseTime", json!([901]));
    market.rpc.ok("evm_mine", json!([]));
    let end = Escrow::finalizeWithdrawCall {
        config: begin.config,
    };
    sends_as(market, buyer.address(), ESCROW.into(), end.abi_encode());
}

fn earned(seller: &Seller) -> Earnings {
    let mut earnings = Earnings::default();
    for record in seller.records() {
        earnings.apply(&record);
    }
    earnings
}

#[test]
fn what_a_payer_withdrew_first_is_a_loss_with_its_calls() {
    let market = Market::embedded();
    let desk = Desk::new();
    let path = desk.path().join("home/data/journal.sqlite");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let network = market.network(market.chain.url());
    let opened = market
        .runtime
        .block_on(Seller::open(&network, &path, |_| {}));
    let seller = opened.on(&market.runtime);
    let buyer = market.buyer(1, 10_000);
    let config = buyer.config(1);
    let channel = seller.opens(&buyer, &config, 5_000);
    seller.charges(&buyer, &config, 600);
    settle(&seller);
    seller.charges(&buyer, &config, 250);
    seller.charges(&buyer, &config, 150);
    assert!(only(seller.audits()).holds());
    // Half of what is unclaimed is taken back while it can still be claimed.
    withdraws(&market, &buyer, &config, 4_250);
    let audit = only(seller.audits());
    assert_eq!(kinds(&audit), [FindingKind::Uncollectable]);
    let lost = &audit.findings[0];
    assert_eq!(
        (lost.cause, lost.channel),
        (Some(LossCause::Withdrawn), Some(channel))
    );
    assert_eq!((lost.expected, lost.found), (Amount(1_000), Amount(750)));
    let key = channel_key(channel);
    let expected = [(format!("{key}:1"), 100), (format!("{key}:2"), 150)];
    assert_eq!(calls(lost), expected);
    let figures = &audit.figures;
    assert_eq!(
        (
            figures.claimed.0,
            figures.claimable.0,
            figures.uncollectable.0
        ),
        (600, 150, 250)
    );
    assert_eq!(failed(&audit), ["uncollectable = 0"]);

    // A claim of the rest says what it leaves out, and changes nothing of the loss.
    let done = settle(&seller);
    assert_eq!(done.claims[0].amount, Amount(150));
    let reason = "the channel holds 750".to_owned();
    assert_eq!(
        done.left_out,
        [LeftOut {
            channel,
            amount: Amount(250),
            reason,
            claimer: None,
        }]
    );
    // The command says so too.
    drop(seller);
    let token = market.token;
    let url = market.chain.url();
    desk.configure(&format!(
        "[network.local]\nrpc = \"{url}\"\ntoken = \"{token}\"\n"
    ));
    let run = desk
        .openlora(&["--json", "-q", "earnings", "--audit"])
        .run();
    assert_eq!(run.code, 9, "{}", run.stderr);
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    let found = &report["audit"][0]["findings"][0];
    assert_eq!(report["audit_problems"], json!([]));
    assert_eq!(report["audit"][0]["ok"], false);
    assert_eq!(
        (&found["kind"], &found["severity"], &found["cause"]),
        (&json!("uncollectable"), &json!("loss"), &json!("withdrawn"))
    );
    assert_eq!(
        found["calls"],
        json!([
            { "request_id": format!("{key}:1"), "amount": "100" },
            { "request_id": format!("{key}:2"), "amount": "150" },
        ])
    );
    let money = &report["tokens"][0];
    assert_eq!(
        (
            &money["pending"],
            &money["uncollectable"],
            &money["all"]["settled"]
        ),
        (&json!("0"), &json!("250"), &json!("750"))
    );
    let said = desk.run(&["-q", "earnings", "--audit"]);
    assert_eq!(said.code, 9);
    assert!(
        said.stdout.contains("LOSS     0.00025 of 0.001 charged"),
        "{}",
        said.stdout
    );
    assert!(
        said.stdout.contains(&format!("call {key}:2")),
        "{}",
        said.stdout
    );
}

#[test]
fn what_a_chain_no_longer_has_is_named_with_its_calls() {
    let market = Market::embedded();
    let seller = market.seller();
    let buyer = market.buyer(1, 10_000);
    let config = buyer.config(1);
    let empty = market.rpc.ok("evm_snapshot", json!([]));
    let channel = seller.opens(&buyer, &config, 5_000);
    seller.charges(&buyer, &config, 600);
    let before = market.rpc.ok("evm_snapshot", json!([]));
    settle(&seller);
    let exact = buyer.transfer(70, 1);
    seller.wait(seller.desk.transfer(&exact)).unwrap();
    exact_call(&seller, "exact-1", &exact.nonce, 70, market.receiver());
    assert!(only(seller.audits()).holds());
    let key = channel_key(channel);
    let named = vec![(format!("{key}:0"), 600)];

    // The claim, the settlement and the payment are gone; the deposit is there.
    market.rpc.ok("evm_revert", json!([before]));
    let audit = only(seller.audits());
    let found: Vec<_> = audit
        .findings
        .iter()
        .map(|it| (it.kind, it.expected.0, it.found.0, calls(it)))
        .collect();
    assert_eq!(
        found,
        [
            (FindingKind::ClaimMissing, 600, 0, named.clone()),
            (FindingKind::SettlementMissing, 600, 0, named.clone()),
            (
                FindingKind::PaymentMissing,
                70,
                0,
                vec![("exact-1".into(), 70)]
            ),
        ]
    );
    assert_eq!(audit.figures.claimable, Amount(600));

    // The whole chain is another one: nothing that was charged can be collected.
    market.rpc.ok("evm_revert", json!([empty]));
    let audit = only(seller.audits());
    let lost = &audit.findings[0];
    assert_eq!(
        (lost.kind, lost.cause, calls(lost)),
        (
            FindingKind::Uncollectable,
            Some(LossCause::AboveBalance),
            named
        )
    );
    assert_eq!(audit.figures.uncollectable, Amount(600));

    // Once the journal knows, what it can do again is no difference; the loss stays one.
    seller
        .wait(seller.ledger.keep(Event::Reorganised {
            chain_id: CHAIN_ID,
            txs: gone(&audit),
        }))
        .unwrap();
    let audit = only(seller.audits());
    assert_eq!(
        kinds(&audit),
        [FindingKind::Uncollectable, FindingKind::PaymentMissing]
    );
    assert!(!audit.holds());
}

fn gone(audit: &LedgerAudit) -> Vec<String> {
    let missing = audit.findings.iter().filter_map(|it| it.tx.clone());
    missing.collect()
}

fn exact_call(seller: &Seller, id: &str, nonce: &Word, amount: u128, receiver: ReceiverKey) {
    let payer = seller
        .trail()
        .state
        .facts
        .payments
        .keys()
        .next()
        .unwrap()
        .payer;
    let charge = CallCharge {
        scheme: PaymentScheme::Exact,
        chain_id: receiver.chain_id,
        token: receiver.token,
        receiver: receiver.receiver,
        payer,
        id: *nonce,
        amount: Amount(amount),
        cumulative: Amount(amount),
    };
    let metered = Event::CallMetered {
        request_id: id.into(),
        adapter: "tone".into(),
        adapter_digest: "00".into(),
        kind: CallKind::Chat,
        usage: TokenUsage::default(),
        finish: FinishReason::Stop,
        milliseconds: 1,
        first_token_milliseconds: None,
        request_hash: "00".into(),
        response_hash: "00".into(),
        charge: Some(Box::new(charge)),
        computation: None,
    };
    seller.wait(seller.ledger.keep(metered)).unwrap();
}

#[test]
fn two_calls_for_one_transfer_are_a_loss() {
    let market = Market::embedded();
    let seller = market.seller();
    let buyer = market.buyer(1, 10_000);
    seller.opens(&buyer, &buyer.config(1), 100);
    let transfer = buyer.transfer(70, 1);
    seller.wait(seller.desk.transfer(&transfer)).unwrap();
    let owed = only(seller.audits());
    assert_eq!(kinds(&owed), [FindingKind::PaymentOwed]);
    assert!(owed.holds());
    for id in ["one", "two"] {
        exact_call(&seller, id, &transfer.nonce, 70, market.receiver());
    }
    let audit = only(seller.audits());
    assert_eq!(kinds(&audit), [FindingKind::PaymentReused]);
    let expected = [("one".to_owned(), 70), ("two".to_owned(), 70)];
    assert_eq!(calls(&audit.findings[0]), expected);
    assert_eq!(failed(&audit), ["exact on chain ≥ charged of it"]);
    let all = earned(&seller).sums(market.receiver(), DayRange::ALL);
    assert_eq!(
        (all.charged.0, all.settled.0, all.pending().0),
        (140, 70, 70)
    );
}

/// What another server of the same adapter claims, with its own account and channel.
fn claims_elsewhere(market: &Market, seller: &Seller, buyer: &Buyer, amount: u128) {
    let config = ChannelTerms {
        receiver_authorizer: FIRST.parse().unwrap(),
        ..buyer.config(99)
    };
    let deposit = buyer.deposit(&config, 4_000, 99);
    seller.wait(seller.desk.deposit(&deposit)).unwrap();
    let claim = Escrow::claimCall {
        voucherClaims: vec![VoucherClaim {
            voucher: ChannelVoucher {
                channel: (&config).into(),
                maxClaimableAmount: amount,
            },
            signature: buyer.voucher(&config, amount),
            totalClaimed: amount,
        }],
    };
    send(&market.rpc, ESCROW.into(), &claim.abi_encode().into());
}

#[test]
fn what_other_servers_claim_is_not_ours() {
    let market = Market::embedded();
    let seller = market.seller();
    let buyer = market.buyer(1, 10_000);
    let config = buyer.config(1);
    seller.opens(&buyer, &config, 1_000);
    seller.charges(&buyer, &config, 300);
    claims_elsewhere(&market, &seller, &buyer, 2_000);
    // Our settlement sends theirs on too.
    settle(&seller);
    assert_eq!(market.balance(market.splitter), 2_300);
    let audit = only(seller.audits());
    assert!(audit.holds(), "{audit:#?}");
    assert_eq!(kinds(&audit), [FindingKind::ClaimedByOthers]);
    assert_eq!(audit.findings[0].found, Amount(2_000));
    let figures = &audit.figures;
    assert_eq!(
        (
            figures.settled.0,
            figures.settled_of_ours.0,
            figures.settled_of_others().0
        ),
        (2_300, 300, 2_000)
    );
    let all = earned(&seller).sums(market.receiver(), DayRange::ALL);
    assert_eq!(
        (all.charged.0, all.claimed.0, all.settled.0),
        (300, 300, 300)
    );
    assert_eq!(all.pending(), Amount(0));
}

#[test]
fn a_stranger_may_settle() {
    let market = Market::embedded();
    let seller = market.seller();
    let buyer = market.buyer(1, 10_000);
    let config = buyer.config(1);
    let channel = seller.opens(&buyer, &config, 1_000);
    seller.charges(&buyer, &config, 300);
    let claim = Escrow::claimCall {
        voucherClaims: vec![VoucherClaim {
            voucher: ChannelVoucher {
                channel: (&config).into(),
                maxClaimableAmount: 300,
            },
            signature: buyer.voucher(&config, 300),
            totalClaimed: 300,
        }],
    };
    let data = Bytes::from(claim.abi_encode());
    let purpose = TxPurpose {
        key: TxKey::Claim {
            totals: [(channel, Amount(300))].into(),
        },
        label: "a claim".into(),
    };
    let sent = seller.desk.carry_out(ESCROW.into(), data, purpose);
    seller.wait(sent).unwrap();
    let settling = Escrow::settleCall {
        receiver: market.splitter.into(),
        token: market.token.into(),
    };
    send(&market.rpc, ESCROW.into(), &settling.abi_encode().into());
    let audit = only(seller.audits());
    assert!(audit.holds(), "{audit:#?}");
    assert_eq!(kinds(&audit), [FindingKind::SettledByOthers]);
    assert_eq!(
        earned(&seller)
            .sums(market.receiver(), DayRange::ALL)
            .settled,
        Amount(0)
    );
    seller
        .wait(seller.desk.observe_receiver(market.receiver()))
        .unwrap();
    let all = earned(&seller).sums(market.receiver(), DayRange::ALL);
    assert_eq!((all.settled, all.pending()), (Amount(300), Amount(0)));

    // A claim that this journal did not make is told, for nobody else should be able to.
    seller.charges(&buyer, &config, 100);
    let claim = Escrow::claimCall {
        voucherClaims: vec![VoucherClaim {
            voucher: ChannelVoucher {
                channel: (&config).into(),
                maxClaimableAmount: 400,
            },
            signature: buyer.voucher(&config, 400),
            totalClaimed: 400,
        }],
    };
    sends_as(
        &market,
        config.receiver_authorizer,
        ESCROW.into(),
        claim.abi_encode(),
    );
    let audit = only(seller.audits());
    let unrecorded = &audit.findings[0];
    assert_eq!(
        (unrecorded.kind, unrecorded.channel, unrecorded.found),
        (FindingKind::ClaimUnrecorded, Some(channel), Amount(100))
    );
    assert_eq!(
        failed(&audit),
        ["claimed on chain = claimed in the journal"]
    );
}

#[test]
fn receipts_of_other_sellers_are_no_income() {
    let market = Market::embedded();
    let seller = market.seller();
    let buyer = market.buyer(1, 10_000);
    let config = buyer.config(1);
    seller.opens(&buyer, &config, 1_000);
    seller.charges(&buyer, &config, 300);
    // As a facilitator: a transfer to another seller, and a settlement for it.
    let elsewhere: Address = "0x00000000000000000000000000000000000000E3"
        .parse()
        .unwrap();
    let other = buyer.paying(elsewhere);
    seller
        .wait(seller.desk.transfer(&other.transfer(4_000, 7)))
        .unwrap();
    let theirs = ChannelTerms {
        receiver_authorizer: FIRST.parse().unwrap(),
        ..other.config(5)
    };
    let deposit = other.deposit(&theirs, 2_000, 5);
    seller.wait(seller.desk.deposit(&deposit)).unwrap();
    let claim = Escrow::claimCall {
        voucherClaims: vec![VoucherClaim {
            voucher: ChannelVoucher {
                channel: (&theirs).into(),
                maxClaimableAmount: 900,
            },
            signature: other.voucher(&theirs, 900),
            totalClaimed: 900,
        }],
    };
    send(&market.rpc, ESCROW.into(), &claim.abi_encode().into());
    let settling = Escrow::settleCall {
        receiver: elsewhere.into(),
        token: market.token.into(),
    };
    let settling = vec![Bytes::from(settling.abi_encode())];
    seller
        .wait(seller.desk.relay("a settlement", settling))
        .unwrap();
    assert_eq!(market.balance(elsewhere), 4_900);
    assert_eq!(seller.events("settled").len(), 1);
    settle(&seller);
    let earnings = earned(&seller);
    assert_eq!(
        earnings.receivers().into_iter().collect::<Vec<_>>(),
        [market.receiver()]
    );
    let all = earnings.sums(market.receiver(), DayRange::ALL);
    assert_eq!((all.charged.0, all.settled.0), (300, 300));
    let audit = only(seller.audits());
    assert!(audit.holds(), "{audit:#?}");
    assert_eq!(audit.findings, []);
    assert_eq!(audit.receiver, market.receiver());
    assert_ne!(channel_id(&theirs), channel_id(&config));
}

#[test]
fn a_withdrawal_that_has_begun_is_a_warning() {
    let market = Market::embedded();
    let seller = market.seller();
    let buyer = market.buyer(1, 10_000);
    let config = buyer.config(1);
    seller.opens(&buyer, &config, 1_000);
    seller.charges(&buyer, &config, 300);
    let begin = Escrow::initiateWithdrawCall {
        config: (&config).into(),
        amount: 1_000,
    };
    sends_as(&market, buyer.address(), ESCROW.into(), begin.abi_encode());
    let audit = only(seller.audits());
    assert_eq!(kinds(&audit), [FindingKind::WithdrawalPending]);
    assert_eq!(audit.findings[0].severity(), Severity::Note);
    assert!(audit.holds());
}

/// The purse's record of a payment that allowed `quote`, as the purse stores it.
fn spending(charge: &CallCharge, quote: u128) -> PaymentRecord {
    let spending = json!({
        "request_id": "one", "time_ms": 1_000, "server": "http://shop", "adapter": "tone",
        "scheme": charge.scheme, "chain_id": charge.chain_id, "token": charge.token,
        "receiver": charge.receiver, "payer": charge.payer, "word": charge.id,
        "before": "0", "quote": quote.to_string(), "deposit": "0", "signature": "0x",
        "valid_before": 0, "fate": { "is": "charged", "amount": charge.amount }, "receipt": null,
    });
    serde_json::from_value(spending).unwrap()
}

#[test]
fn a_buyer_sees_what_a_seller_claims_beyond_its_charges() {
    let market = Market::embedded();
    let seller = market.seller();
    let buyer = market.buyer(1, 10_000);
    let config = buyer.config(1);
    let channel = seller.opens(&buyer, &config, 1_000);
    let charge = CallCharge {
        scheme: PaymentScheme::BatchSettlement,
        chain_id: CHAIN_ID,
        token: market.token,
        receiver: market.splitter,
        payer: buyer.address(),
        id: channel,
        amount: Amount(300),
        cumulative: Amount(300),
    };
    let signed = spending(&charge, 500);
    let open = PaymentRecord {
        status: PaymentStatus::Open,
        ..signed.clone()
    };
    assert_eq!(agreed(std::slice::from_ref(&signed), &charge), Amount(300));
    assert_eq!(agreed(&[signed.clone(), open], &charge), Amount(800));
    let in_dollars = |sum: Amount| format!("{} USD", openlora_core::in_units(sum.0, 6));
    let claims = |total: u128| {
        let claim = Escrow::claimCall {
            voucherClaims: vec![VoucherClaim {
                voucher: ChannelVoucher {
                    channel: (&config).into(),
                    maxClaimableAmount: 500,
                },
                signature: buyer.voucher(&config, 500),
                totalClaimed: total,
            }],
        };
        sends_as(
            &market,
            config.receiver_authorizer,
            ESCROW.into(),
            claim.abi_encode(),
        );
        let chain = seller.desk.chain();
        let found = against_chain(&charge, &signed, Amount(300), chain, &in_dollars);
        seller.wait(found).unwrap().1
    };
    assert_eq!(claims(300), Finds::Fits);
    assert_eq!(
        claims(500),
        Finds::Differs(
            "0.0005 USD of the channel are claimed, more than 0.0003 USD charged".into()
        )
    );

    // An exact payment is a transfer to the one who was signed for, not a used nonce.
    let transfer = buyer.transfer(70, 1);
    let exact = CallCharge {
        scheme: PaymentScheme::Exact,
        id: transfer.nonce,
        amount: Amount(70),
        cumulative: Amount(70),
        ..charge.clone()
    };
    let holds = |signed: &PaymentRecord| {
        let chain = seller.desk.chain();
        let found = against_chain(&exact, signed, Amount(70), chain, &in_dollars);
        seller.wait(found).unwrap().1
    };
    let signed = spending(&exact, 70);
    assert_eq!(
        holds(&signed),
        Finds::Differs("the chain has not seen its authorization".into())
    );
    seller.wait(seller.desk.transfer(&transfer)).unwrap();
    assert_eq!(holds(&signed), Finds::Fits);
    let splitter = market.splitter;
    assert_eq!(
        holds(&spending(&exact, 71)),
        Finds::Differs(format!(
            "its authorization was used: expected a transfer of 0.000071 USD to {splitter}, found \
             0.00007 USD to {splitter}"
        ))
    );
}
