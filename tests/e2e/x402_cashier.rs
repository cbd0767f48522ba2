//! The till on a real chain: channels and authorizations of honest buyers, and of others. Answers
//! are compared whole.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use alloy::{
    primitives::{Bytes, U256, hex},
    sol_types::{SolCall, SolValue},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use openlora_chain::registry::{BatchSettlementEscrow as Escrow, ChannelVoucher, VoucherClaim};
use openlora_contracts::{COLLECTOR, ESCROW};
use openlora_core::{Address, Amount, Word};
use openlora_ledger::{CallWork, ChannelTerms, DayRange, Earnings, SponsorAllowance};
use openlora_payments::{
    settlement::{ChainSettlement, ChainSettler, SettlementOptions},
    x402::{
        ContractPayers, Reason, SponsorRules, X402Seller,
        binding::{
            BindingDomain, OfferExtension, RefundFee, RefundRequest, RequestBinding, is_marked,
            marked,
        },
        digest::{EscrowDomain, deposit_nonce},
        signature::sign,
        wire::{TransferAuthorization, VoucherAction},
    },
};
use openlora_ports::{OfferedCall, PaymentDemand, PaymentGateway, Presenter, RefundAnswer};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use serde_json::{Value, json};

use crate::{
    deploy_support::{Act, Proxy},
    keys::{ADDRESS, KEY, OWN, OWN_KEY, account, twin},
    settlement_support::{Buyer, Market, channel_id, channel_key, send},
    x402_support::{
        ClaimBatch, ClaimEntry, MIN_DEPOSIT, OTHER_DIGEST, OTHER_SPLITTER, RULES, Refund, Stand,
        TOKEN_NAME, batch, decoded, deposit, deposit_deed, escrow_digest, exact, header, number,
        refund, refusal, sale, signed, state, token_domain, voucher,
    },
};

/// A stand, a buyer, and a channel that holds 10 000 of which nothing is charged.
fn opened() -> (Stand, Buyer, ChannelTerms) {
    let stand = Stand::new();
    let buyer = stand.market.buyer(1, 1_000_000);
    let config = buyer.config(1);
    stand.seller.opens(&buyer, &config, 10_000);
    (stand, buyer, config)
}

fn response(transaction: &Value, amount: &str, charged: u128, state: Value) -> Value {
    json!({
        "success": true,
        "transaction": transaction,
        "network": "eip155:31337",
        "amount": amount,
        "extra": { "chargedAmount": Amount(charged), "channelState": state },
    })
}

/// Without the payer, which is compared by itself.
fn of(payer: &Buyer, mut response: Value) -> Value {
    let named = response.as_object_mut().unwrap().remove("payer");
    assert_eq!(named, Some(json!(payer.address())));
    response
}

fn voucher_state(buyer: &Buyer, config: &ChannelTerms, max: u128) -> Value {
    let signature = buyer.voucher(config, max);
    json!({ "signedMaxClaimable": Amount(max), "signature": signature })
}

#[test]
fn every_chain_and_scheme_is_offered() {
    let stand = Stand::new();
    let sale = sale(1_500);
    let common = |scheme: &str, extra: Value| {
        json!({
            "scheme": scheme,
            "network": "eip155:31337",
            "amount": "1500",
            "asset": stand.market.token,
            "payTo": stand.market.splitter,
            "maxTimeoutSeconds": 300,
            "extra": extra,
        })
    };
    let batch = json!({
        "name": TOKEN_NAME,
        "version": "1",
        "receiverAuthorizer": OWN,
        "withdrawDelay": 900,
        "minDeposit": "1500",
    });
    let exact = json!({ "name": TOKEN_NAME, "version": "1" });
    let expected = [common("batch-settlement", batch), common("exact", exact)];
    assert_eq!(stand.offers(&sale), expected);
    assert_eq!(
        refusal(stand.till.terms(&sale)),
        stand.because(&sale, Reason::PaymentRequired)
    );
    let unknown = OfferedCall {
        adapter_digest: "cc".into(),
        ..sale
    };
    let nobody = json!({
        "unavailable": "Nobody can be paid for this adapter now.",
        "retryAfter": 5,
    });
    assert_eq!(refusal(stand.till.terms(&unknown)), nobody);
}

#[test]
fn a_channel_is_opened_used_topped_up_and_found_again() {
    let stand = Stand::new();
    let buyer = stand.market.buyer(1, 100_000);
    let config = buyer.config(1);
    let channel = channel_id(&config);
    let first = sale(1_000);
    let paid = deposit(&buyer, &config, 1_000, (5_000, 1));
    let told = of(&buyer, stand.call(&first, &paid, 400).unwrap());
    let tx = told["transaction"].clone();
    assert_eq!(tx.as_str().unwrap().len(), 66);
    let after = state(channel, 5_000, 0, 400);
    assert_eq!(told, response(&tx, "5000", 400, after.clone()));
    let kinds: Vec<String> = stand
        .seller
        .records()
        .into_iter()
        .map(|record| serde_json::to_value(record.event).unwrap()["type"].to_string())
        .filter(|kind| kind.contains("channel") || kind.contains("call"))
        .collect();
    let expected = [
        "channel_opened",
        "channel_observed",
        "call_reserved",
        "call_metered",
    ];
    assert_eq!(kinds, expected.map(|kind| format!("\"{kind}\"")));

    // The next voucher is over what was charged, not over what was allowed.
    let stale = voucher(&buyer, &config, 2_000);
    let second = sale(1_000);
    let correction = stand.corrected(
        &second,
        Reason::Cumulative,
        &after,
        &voucher_state(&buyer, &config, 1_000),
    );
    assert_eq!(stand.refused(&second, &stale), correction);
    let told = stand.call(&second, &voucher(&buyer, &config, 1_400), 1_000);
    let after = state(channel, 5_000, 0, 1_400);
    assert_eq!(
        of(&buyer, told.unwrap()),
        response(&json!(""), "", 1_000, after)
    );

    // A payer who echoes an offer with our correction in it has taken the same offer.
    let third = sale(4_000);
    let mut accepted = stand.offers(&third)[0].clone();
    accepted["extra"]["channelState"] = state(channel, 5_000, 0, 1_400);
    accepted["extra"]["voucherState"] = voucher_state(&buyer, &config, 2_000);
    let echoed = header(&accepted, &voucher(&buyer, &config, 5_400));
    let unpaid = stand.wait(stand.till.open(&third, &echoed)).err().unwrap();
    assert_eq!(refusal(unpaid), stand.because(&third, Reason::AboveBalance));

    // After a restart the journal has it all.
    let stand = stand.again();
    let topped = deposit(&buyer, &config, 5_400, (4_000, 2));
    let told = of(&buyer, stand.call(&third, &topped, 1_000).unwrap());
    let tx = told["transaction"].clone();
    let after = state(channel, 9_000, 0, 5_400);
    assert_eq!(told, response(&tx, "4000", 4_000, after));
    let book = stand.seller.ledger.ledger();
    let known = &book.channels[&channel_key(channel)];
    assert_eq!(known.charged.amount(), Amount(5_400));
    assert_eq!(known.authorised.amount(), Amount(5_400));
    assert_eq!(known.calls, 3);
    assert_eq!(book.breaches, Vec::<String>::new());
    assert_eq!(stand.market.sent(), 2);
}

/// A change, and the reason that it is answered with.
type Edit<'a, T> = (&'a dyn Fn(&mut T), Reason);

#[test]
fn other_terms_than_the_current_offer_are_refused() {
    let (stand, buyer, config) = opened();
    let sale = sale(1_000);
    let good = voucher(&buyer, &config, 1_000);
    let offer = stand.offers(&sale)[0].clone();
    let fields: [(&str, &str, Value); 10] = [
        ("amount", "/amount", json!("999")),
        ("asset", "/asset", json!(OTHER_SPLITTER)),
        ("payTo", "/payTo", json!(OTHER_SPLITTER)),
        ("maxTimeoutSeconds", "/maxTimeoutSeconds", json!(301)),
        ("extra.name", "/extra/name", json!("USD")),
        ("extra.version", "/extra/version", json!("2")),
        (
            "extra.receiverAuthorizer",
            "/extra/receiverAuthorizer",
            json!(ADDRESS),
        ),
        ("extra.withdrawDelay", "/extra/withdrawDelay", json!(901)),
        ("extra.minDeposit", "/extra/minDeposit", json!("1")),
        ("extra", "/extra/assetTransferMethod", json!("permit2")),
    ];
    for (field, path, value) in fields {
        let mut accepted = offer.clone();
        accepted["extra"]["assetTransferMethod"] = Value::Null;
        *accepted.pointer_mut(path).unwrap() = value;
        let unpaid = stand.wait(stand.till.open(&sale, &header(&accepted, &good)));
        let message = format!("{} It differs in `{field}`.", Reason::OtherTerms.message());
        assert_eq!(
            refusal(unpaid.err().unwrap()),
            stand.required(&sale, Reason::OtherTerms, &message)
        );
    }
    let elsewhere: [(&str, Value, Reason); 4] = [
        ("/network", json!("eip155:31338"), Reason::BatchNetwork),
        ("/network", json!("eip155:031337"), Reason::BatchNetwork),
        ("/network", json!("solana:mainnet"), Reason::BatchNetwork),
        ("/scheme", json!("upto"), Reason::UnsupportedScheme),
    ];
    for (path, value, reason) in elsewhere {
        let mut accepted = offer.clone();
        *accepted.pointer_mut(path).unwrap() = value;
        let unpaid = stand.wait(stand.till.open(&sale, &header(&accepted, &good)));
        assert_eq!(refusal(unpaid.err().unwrap()), stand.because(&sale, reason));
    }
    // Nothing of all this has touched the channel.
    assert!(stand.open(&sale, &good).is_ok());
}

#[test]
fn a_cheap_calls_payment_buys_no_dear_one() {
    let (stand, buyer, config) = opened();
    let (cheap, dear) = (sale(10), sale(5_000));
    let paid = voucher(&buyer, &config, 10);
    let header = stand.header(&cheap, &paid);
    let unpaid = stand.wait(stand.till.open(&dear, &header)).err().unwrap();
    let message = format!("{} It differs in `amount`.", Reason::OtherTerms.message());
    assert_eq!(
        refusal(unpaid),
        stand.required(&dear, Reason::OtherTerms, &message)
    );
    let empty = state(channel_id(&config), 10_000, 0, 0);
    assert_eq!(
        stand.refused(&dear, &paid),
        stand.corrected(&dear, Reason::Cumulative, &empty, &Value::Null)
    );
    // Nor one of another adapter, whose splitter is another.
    let other = OfferedCall {
        adapter_digest: OTHER_DIGEST.into(),
        ..sale(10)
    };
    let unpaid = stand.wait(stand.till.open(&other, &header)).err().unwrap();
    let message = format!("{} It differs in `payTo`.", Reason::OtherTerms.message());
    assert_eq!(
        refusal(unpaid),
        stand.required(&other, Reason::OtherTerms, &message)
    );
    assert_eq!(
        stand.refused(&other, &paid),
        stand.because(&other, Reason::Receiver)
    );
}

#[test]
fn channels_with_other_terms_are_refused() {
    let (stand, buyer, good) = opened();
    let sale = sale(1_000);
    let edits: [Edit<'_, ChannelTerms>; 8] = [
        (&|it| it.receiver = OTHER_SPLITTER, Reason::Receiver),
        (
            &|it| it.receiver_authorizer = it.payer,
            Reason::ReceiverAuthorizer,
        ),
        (
            &|it| it.receiver_authorizer = Address::ZERO,
            Reason::ReceiverAuthorizer,
        ),
        (&|it| it.token = OTHER_SPLITTER, Reason::Token),
        (&|it| it.withdraw_delay = 899, Reason::WithdrawDelayRange),
        (
            &|it| it.withdraw_delay = 2_592_001,
            Reason::WithdrawDelayRange,
        ),
        (&|it| it.withdraw_delay = 901, Reason::WithdrawDelay),
        (&|it| it.salt = number(99), Reason::ChannelNotFound),
    ];
    for (edit, reason) in edits {
        let mut config = good.clone();
        edit(&mut config);
        let paid = voucher(&buyer, &config, 1_000);
        assert_eq!(stand.refused(&sale, &paid), stand.because(&sale, reason));
    }
    let sent = stand.market.sent();
    let mut paid = voucher(&buyer, &good, 1_000);
    paid["channelConfig"]["salt"] = json!(number(98));
    let reason = Reason::ChannelId;
    assert_eq!(stand.refused(&sale, &paid), stand.because(&sale, reason));
    // The same terms on another chain, or of another escrow, are another channel.
    let mut paid = voucher(&buyer, &good, 1_000);
    paid["voucher"]["channelId"] = json!(EscrowDomain::for_chain(31_338).channel_id(&good));
    assert_eq!(stand.refused(&sale, &paid), stand.because(&sale, reason));
    assert_eq!(stand.market.sent(), sent);
    assert_eq!(stand.seller.events("channel_opened").len(), 1);
}

#[test]
fn forged_vouchers_are_refused() {
    let (stand, buyer, config) = opened();
    let other = stand.market.buyer(2, 1);
    let sale = sale(1_000);
    let good: [u8; 65] = buyer.voucher(&config, 1_000)[..].try_into().unwrap();
    let mut compact = good;
    compact[32] |= (good[64] - 27) << 7;
    let mut odd = good;
    odd[64] -= 27;
    let elsewhere = EscrowDomain::for_chain(31_338).voucher(channel_id(&config), Amount(1_000));
    let refund = Refund {
        channelId: channel_id(&config).into(),
        nonce: U256::ZERO,
        amount: 1_000,
    };
    let refunding = escrow_digest(31_337, &refund);
    let signatures: [Bytes; 9] = [
        twin(&good).to_vec().into(),
        compact[..64].to_vec().into(),
        odd.to_vec().into(),
        good[..64].to_vec().into(),
        [&good[..], &[0]].concat().into(),
        Bytes::new(),
        other.voucher(&config, 1_000),
        signed(&buyer, elsewhere),
        signed(&buyer, refunding),
    ];
    for signature in signatures {
        let paid = batch(&config, 1_000, signature, VoucherAction::Voucher);
        assert_eq!(
            stand.refused(&sale, &paid),
            stand.because(&sale, Reason::VoucherSignature)
        );
    }
    // Of another amount.
    let paid = batch(
        &config,
        1_000,
        buyer.voucher(&config, 999),
        VoucherAction::Voucher,
    );
    assert_eq!(
        stand.refused(&sale, &paid),
        stand.because(&sale, Reason::VoucherSignature)
    );
    assert!(stand.open(&sale, &voucher(&buyer, &config, 1_000)).is_ok());
}

#[test]
fn what_is_no_payment_is_malformed() {
    let (stand, buyer, config) = opened();
    let sale = sale(1_000);
    let offer = stand.offers(&sale)[0].clone();
    let good = voucher(&buyer, &config, 1_000);
    let ask = |header: &str| refusal(stand.wait(stand.till.open(&sale, header)).err().unwrap());
    let malformed = |message: &str| json!({ "malformed": format!("Invalid payment: {message}.") });
    let amount = |amount: Value| {
        let mut paid = good.clone();
        paid["voucher"]["maxClaimableAmount"] = amount;
        ask(&header(&offer, &paid))
    };
    for text in ["01", "1e3", "-1", "340282366920938463463374607431768211456"] {
        let message = format!(
            "`payload` is not as expected: expected base units as a decimal number below 2^128 \
             without sign or leading zero, found `{text}`"
        );
        assert_eq!(amount(json!(text)), malformed(&message));
    }
    assert_eq!(
        amount(json!(1000)),
        malformed("`payload` is not as expected: invalid type: integer `1000`, expected a string")
    );
    let mut typed = good.clone();
    typed["type"] = json!("withdraw");
    assert_eq!(
        ask(&header(&offer, &typed)),
        malformed(
            "`payload` is not as expected: unknown variant `withdraw`, expected one of \
             `deposit`, `voucher`, `refund`"
        )
    );
    assert_eq!(
        ask(&"A".repeat(1 << 20)),
        malformed("it has 1048576 bytes, expected at most 12288")
    );
    let flood = (0..10_000).map(|number| format!("!{number}"));
    assert!(
        flood
            .map(|text| ask(&text))
            .all(|answer| answer == malformed("it is not base64"))
    );
    // A refund pays for nothing.
    let paid = refund(&buyer, &config, 0, None);
    assert_eq!(
        stand.refused(&sale, &paid),
        stand.because(&sale, Reason::PayloadType)
    );
}

#[test]
fn a_voucher_pays_once_however_often_it_comes() {
    let (stand, buyer, config) = opened();
    let first = sale(1_000);
    let paid = voucher(&buyer, &config, 1_000);
    stand.call(&first, &paid, 500).unwrap();
    let again = sale(1_000);
    let now = state(channel_id(&config), 10_000, 0, 500);
    let proof = voucher_state(&buyer, &config, 1_000);
    let stale = |sale: &OfferedCall, now: &Value, proof: &Value| {
        stand.corrected(sale, Reason::Cumulative, now, proof)
    };
    // For the same request it is known again, for another one it is worth nothing.
    let used = json!({
        "used": [first.request_id, first.request_hash],
        "otherwise": stale(&first, &now, &proof),
    });
    assert_eq!(stand.refused(&first, &paid), used);
    assert_eq!(stand.refused(&again, &paid), stale(&again, &now, &proof));

    // Fifty at once.
    let header = stand.header(&sale(1_000), &voucher(&buyer, &config, 1_500));
    let sales: Vec<OfferedCall> = (0..50).map(|_| sale(1_000)).collect();
    let calls = sales
        .iter()
        .map(|sale| stand.serve(&stand.till, sale, &header, 1_000));
    let outcomes = stand.wait(futures::future::join_all(calls));
    let served: Vec<usize> = (0..50).filter(|at| outcomes[*at].is_ok()).collect();
    assert_eq!(served.len(), 1);
    let now = state(channel_id(&config), 10_000, 0, 1_500);
    let proof = voucher_state(&buyer, &config, 1_500);
    for (sale, outcome) in sales.iter().zip(outcomes) {
        if let Err(unpaid) = outcome {
            assert_eq!(refusal(unpaid), stale(sale, &now, &proof));
        }
    }
    let book = stand.seller.ledger.ledger();
    assert_eq!(
        book.channels[&channel_key(channel_id(&config))]
            .charged
            .amount(),
        Amount(1_500)
    );
    // After a restart it is still known.
    let stand = stand.again();
    let answer = stand.refused(&first, &paid);
    assert_eq!(
        answer["used"],
        json!([first.request_id, first.request_hash])
    );
}

/// The correction that leads a payer to another total than the one that another request has: by
/// `step` units, in what it is told of the charge and in the price.
fn led_on(
    stand: &Stand,
    sale: &OfferedCall,
    (state, proof): (&Value, &Value),
    (charged, step): (u128, u128),
) -> Value {
    let mut told = state.clone();
    told["chargedCumulativeAmount"] = json!(Amount(charged));
    let mut answer = stand.corrected(sale, Reason::Cumulative, &told, proof);
    let offer = &mut answer["terms"]["accepts"][0];
    offer["amount"] = json!(Amount(sale.quote.0 + step));
    offer["extra"]["minDeposit"] = json!(Amount((sale.quote.0 + step).max(MIN_DEPOSIT)));
    answer
}

#[test]
fn a_total_belongs_to_one_request_for_ever() {
    let (stand, buyer, config) = opened();
    let failed = sale(1_000);
    let paid = voucher(&buyer, &config, 1_000);
    let told = stand.call(&failed, &paid, 0).unwrap();
    assert_eq!(told["extra"]["chargedAmount"], "0");
    // Another request is led to the next total, as often as it comes with that of the first.
    let other = sale(1_000);
    let now = state(channel_id(&config), 10_000, 0, 0);
    let proof = voucher_state(&buyer, &config, 1_000);
    for _ in 0..2 {
        assert_eq!(
            stand.refused(&other, &paid),
            led_on(&stand, &other, (&now, &proof), (1, 1))
        );
    }
    // So it is after a restart.
    let stand = stand.again();
    let led = led_on(&stand, &other, (&now, &proof), (1, 1));
    assert_eq!(stand.refused(&other, &paid), led);
    // A client that repeats with the price it read first and what it is told now pays, and what
    // it pays is what the work costs.
    let told = stand
        .call(&other, &voucher(&buyer, &config, 1_001), 500)
        .unwrap();
    assert_eq!(told["extra"]["chargedAmount"], "500");
    // The request that failed can come again with the total that is its own, as long as that is
    // what it has to be.
    assert_eq!(
        stand.refused(&failed, &paid)["used"],
        json!([failed.request_id, failed.request_hash])
    );

    // A price that shrank by what the last call cost: 500 and 1 500, and 1 000 of it spent.
    let third = sale(1_500);
    stand
        .call(&third, &voucher(&buyer, &config, 2_000), 400)
        .unwrap();
    let shrunk = sale(900);
    let meant = voucher(&buyer, &config, 2_000);
    let now = state(channel_id(&config), 10_000, 0, 1_100);
    let proof = voucher_state(&buyer, &config, 2_000);
    let led = led_on(&stand, &shrunk, (&now, &proof), (1_101, 1));
    assert_eq!(stand.refused(&shrunk, &meant), led);
    // A client that reads the price again pays as well.
    let next = voucher(&buyer, &config, 2_001);
    let header = header(&led["terms"]["accepts"][0], &next);
    let told = stand
        .wait(stand.serve(&stand.till, &shrunk, &header, 1_000))
        .unwrap();
    assert_eq!(told["extra"]["chargedAmount"], "900");
    // The same bytes again are the same call again.
    let again = stand.wait(stand.till.open(&shrunk, &header)).err().unwrap();
    assert_eq!(
        refusal(again)["used"],
        json!([shrunk.request_id, shrunk.request_hash])
    );
    let book = stand.seller.ledger.ledger();
    assert_eq!(book.breaches, Vec::<String>::new());
    let known = &book.channels[&channel_key(channel_id(&config))];
    assert_eq!(known.charged.amount(), Amount(2_000));
    // What can pay for nothing any more is forgotten.
    assert_eq!(
        known.used.keys().collect::<Vec<_>>(),
        [&Amount(2_000), &Amount(2_001)]
    );
}

#[test]
fn a_channel_holds_only_so_many_totals() {
    let stand = Stand::new();
    let buyer = stand.market.buyer(1, 1_000_000);
    let config = buyer.config(1);
    stand.seller.opens(&buyer, &config, 50_000);
    // It may cost 10 000 and costs 1.
    let sale = || {
        let mut sale = sale(1_000);
        sale.quote = Amount(10_000);
        sale.work = CallWork::Tokens {
            prompt: 0,
            completion: 10_000,
        };
        sale
    };
    for charged in 0..1_024 {
        let paid = voucher(&buyer, &config, charged + 10_000);
        stand.call(&sale(), &paid, 1).unwrap();
    }
    let next = sale();
    let paid = voucher(&buyer, &config, 11_024);
    assert_eq!(
        stand.refused(&next, &paid),
        stand.because(&next, Reason::Crowded)
    );
    let book = stand.seller.ledger.ledger();
    assert_eq!(
        book.channels[&channel_key(channel_id(&config))].used.len(),
        1_024
    );
}

#[test]
fn a_step_is_for_those_alone_who_are_led() {
    let (stand, buyer, config) = opened();
    let sale = sale(1_000);
    let now = state(channel_id(&config), 10_000, 0, 0);
    let stale = stand.corrected(&sale, Reason::Cumulative, &now, &Value::Null);
    for max in [999, 1_001, 1_016, 1_017, 2_000] {
        let paid = voucher(&buyer, &config, max);
        assert_eq!(stand.refused(&sale, &paid), stale, "{max}");
    }
    let mut dearer = stand.offers(&sale)[0].clone();
    dearer["amount"] = json!("1001");
    dearer["extra"]["minDeposit"] = json!("1001");
    let paid = header(&dearer, &voucher(&buyer, &config, 1_001));
    let unpaid = stand.wait(stand.till.open(&sale, &paid)).err().unwrap();
    let message = format!("{} It differs in `amount`.", Reason::OtherTerms.message());
    assert_eq!(
        refusal(unpaid),
        stand.required(&sale, Reason::OtherTerms, &message)
    );
}

#[test]
fn nothing_of_a_channel_is_told_without_its_payers_signature() {
    let (stand, buyer, config) = opened();
    stand
        .call(&sale(1_000), &voucher(&buyer, &config, 1_000), 400)
        .unwrap();
    let stranger = stand.market.buyer(2, 1);
    let (next, probe) = (sale(1_000), sale(1));
    let nobody = stand.because(&next, Reason::VoucherSignature);
    for max in [0, 1, 400, 1_000, 1_400, u128::MAX] {
        for signature in [Bytes::from_static(&[0]), stranger.voucher(&config, max)] {
            let paid = batch(&config, max, signature.clone(), VoucherAction::Voucher);
            assert_eq!(stand.refused(&next, &paid), nobody, "{max}");
            let asked = batch(
                &config,
                max,
                signature,
                VoucherAction::Refund { amount: None },
            );
            let header = stand.header(&probe, &asked);
            let unpaid = stand.wait(stand.till.refund(&probe, &header)).unwrap_err();
            assert_eq!(
                refusal(unpaid),
                stand.because(&probe, Reason::VoucherSignature),
                "{max}"
            );
        }
    }
    // Of a channel that this server does not know, the same.
    let unknown = buyer.config(77);
    let paid = batch(
        &unknown,
        1,
        Bytes::from_static(&[0]),
        VoucherAction::Voucher,
    );
    assert_eq!(stand.refused(&next, &paid), nobody);
}

/// The same payment with an entry of its extensions.
pub fn extended<E: OfferExtension>(header: &str, entry: &E) -> String {
    let mut payment = decoded(header);
    payment["extensions"] = json!({ E::NAME: entry });
    STANDARD.encode(payment.to_string())
}

#[test]
fn a_payment_that_names_its_request_pays_no_other() {
    let (stand, buyer, config) = opened();
    let (channel, escrow) = (channel_id(&config), ESCROW.into());
    let domain = BindingDomain::for_contract(31_337, escrow);
    let bind = |max: u128, request: Word, by: &Buyer| RequestBinding {
        request_hash: request,
        signature: signed(by, domain.request(channel, Amount(max), request)),
    };
    let (mine, theirs) = (sale(1_000), sale(1_000));
    let plain = stand.header(&mine, &voucher(&buyer, &config, 1_000));
    let stranger = stand.market.buyer(2, 1);
    let bad = [
        bind(1_000, theirs.request, &buyer),
        bind(1_000, mine.request, &stranger),
        bind(999, mine.request, &buyer),
        RequestBinding {
            request_hash: mine.request,
            ..bind(1_000, theirs.request, &buyer)
        },
    ];
    for binding in bad {
        let paid = extended(&plain, &binding);
        let unpaid = stand.wait(stand.till.open(&mine, &paid)).err().unwrap();
        assert_eq!(
            refusal(unpaid),
            stand.because(&mine, Reason::RequestBinding)
        );
    }
    let paid = extended(&plain, &bind(1_000, mine.request, &buyer));
    stand
        .wait(stand.serve(&stand.till, &mine, &paid, 1_000))
        .unwrap();

    // By `exact` it is signed over nonce and value, for the token.
    let domain = BindingDomain::for_contract(31_337, stand.market.token);
    let transfer = buyer.transfer(1_000, 5);
    let plain = stand.header(&mine, &exact(&transfer));
    let bind = |request: Word| RequestBinding {
        request_hash: request,
        signature: signed(
            &buyer,
            domain.request(transfer.nonce, Amount(1_000), request),
        ),
    };
    let paid = extended(&plain, &bind(theirs.request));
    let unpaid = stand.wait(stand.till.open(&mine, &paid)).err().unwrap();
    assert_eq!(
        refusal(unpaid),
        stand.because(&mine, Reason::RequestBinding)
    );
    assert_eq!(stand.market.balance(stand.market.splitter), 0);
    // One that failed is owed to its request, and to another where the payer says so.
    let paid = extended(&plain, &bind(mine.request));
    stand
        .wait(stand.serve(&stand.till, &attempt(&mine), &paid, 0))
        .unwrap();
    let bare = stand.header(&theirs, &exact(&transfer));
    let unpaid = stand.wait(stand.till.open(&theirs, &bare)).err().unwrap();
    assert_eq!(refusal(unpaid), stand.because(&theirs, Reason::ExactUsed));
    let moved = extended(&bare, &bind(theirs.request));
    let told = stand.wait(stand.serve(&stand.till, &theirs, &moved, 1_000));
    assert_eq!(told.unwrap()["extra"]["chargedAmount"], "1000");
    assert_eq!(stand.market.balance(stand.market.splitter), 1_000);
}

/// A channel whose vouchers a development account signs, which can send transactions too.
fn authorised_by_first(buyer: &Buyer) -> ChannelTerms {
    ChannelTerms {
        payer_authorizer: ADDRESS.parse().unwrap(),
        ..buyer.config(5)
    }
}

#[test]
fn a_withdrawal_ends_spending() {
    let stand = Stand::on(Market::embedded(), |options| options.fresh = Duration::ZERO);
    let buyer = stand.market.buyer(1, 100_000);
    let config = authorised_by_first(&buyer);
    let domain = EscrowDomain::for_chain(31_337);
    let vouched = |max: u128, deed: VoucherAction| {
        let digest = domain.voucher(channel_id(&config), Amount(max));
        let signature = sign(&account(KEY), digest).unwrap();
        batch(&config, max, signature.to_vec().into(), deed)
    };
    let funded = deposit_deed(buyer.deposit(&config, 5_000, 1));
    stand
        .call(&sale(1_000), &vouched(1_000, funded), 1_000)
        .unwrap();
    let call = Escrow::initiateWithdrawCall {
        config: (&config).into(),
        amount: 5_000,
    };
    send(&stand.market.rpc, ESCROW.into(), &call.abi_encode().into());
    let sale = sale(1_000);
    assert_eq!(
        stand.refused(&sale, &vouched(2_000, VoucherAction::Voucher)),
        stand.because(&sale, Reason::Withdrawal)
    );
    // Money for more does not change that.
    let more = deposit_deed(buyer.deposit(&config, 5_000, 2));
    assert_eq!(
        stand.refused(&sale, &vouched(2_000, more)),
        stand.because(&sale, Reason::Withdrawal)
    );
}

#[test]
fn deposits_are_checked_before_they_are_made() {
    let stand = Stand::new();
    let buyer = stand.market.buyer(1, 10_000);
    let config = buyer.config(1);
    let sale = sale(1_000);
    let part = "/deposit/authorization/erc3009Authorization";
    let cases: [Edit<'_, Value>; 6] = [
        (
            &|it| it["deposit"]["amount"] = json!("999"),
            Reason::DepositTooSmall,
        ),
        (
            &|it| it["deposit"]["amount"] = json!("5001"),
            Reason::DepositSignature,
        ),
        (
            &|it| it.pointer_mut(part).unwrap()["validBefore"] = json!("1"),
            Reason::DepositExpired,
        ),
        (
            &|it| it.pointer_mut(part).unwrap()["validAfter"] = json!("3999999999"),
            Reason::DepositEarly,
        ),
        (
            &|it| it.pointer_mut(part).unwrap()["salt"] = json!(number(9)),
            Reason::DepositSignature,
        ),
        (
            &|it| it["deposit"]["authorization"] = json!({ "permit2Authorization": {} }),
            Reason::DepositMethod,
        ),
    ];
    for (edit, reason) in cases {
        let mut paid = deposit(&buyer, &config, 1_000, (5_000, 1));
        edit(&mut paid);
        assert_eq!(stand.refused(&sale, &paid), stand.because(&sale, reason));
    }
    assert_eq!(MIN_DEPOSIT, 1_000);
    // More than the payer has.
    let paid = deposit(&buyer, &config, 1_000, (10_001, 1));
    let refused = stand.because(&sale, Reason::DepositRefused);
    assert_eq!(stand.refused(&sale, &paid), refused);
    // Cancelled before, and between the check and the deposit.
    let channel = channel_id(&config);
    stand.cancel(&buyer, deposit_nonce(channel, number(2)));
    let paid = deposit(&buyer, &config, 1_000, (5_000, 2));
    assert_eq!(stand.refused(&sale, &paid), refused);
    let paid = deposit(&buyer, &config, 1_000, (5_000, 3));
    let mut tab = stand.open(&sale, &paid).ok().unwrap();
    stand.cancel(&buyer, deposit_nonce(channel, number(3)));
    let unpaid = stand.wait(tab.commit()).unwrap_err();
    assert_eq!(refusal(unpaid), stand.because(&sale, Reason::DepositFailed));
    assert_eq!(stand.market.sent(), 0);
}

/// The same request under another id, as a second attempt is counted.
fn attempt(sale: &OfferedCall) -> OfferedCall {
    OfferedCall {
        request_id: format!("{}-again", sale.request_id),
        ..sale.clone()
    }
}

#[test]
fn an_exact_payment_buys_one_call() {
    let stand = Stand::new();
    let buyer = stand.market.buyer(1, 10_000);
    let first = sale(1_000);
    let paid = exact(&buyer.transfer(1_000, 1));
    let told = of(&buyer, stand.call(&first, &paid, 100).unwrap());
    let expected = json!({
        "success": true,
        "transaction": told["transaction"],
        "network": "eip155:31337",
        "amount": "1000",
        "extra": { "chargedAmount": "1000" },
    });
    assert_eq!(told, expected);
    assert_eq!(stand.market.balance(stand.market.splitter), 1_000);
    let again = sale(1_000);
    let used = json!({
        "used": [first.request_id, first.request_hash],
        "namedBy": buyer.address(),
        "otherwise": stand.because(&again, Reason::ExactUsed),
    });
    assert_eq!(stand.refused(&again, &paid), used);

    // Paid, and nothing delivered: the payer is owed this call, also by a new process. The
    // signature is on the chain for everybody, and buys nobody another one.
    let owed = exact(&buyer.transfer(1_000, 2));
    let wanted = sale(1_000);
    let mut tab = stand.open(&wanted, &owed).ok().unwrap();
    stand.wait(tab.commit()).unwrap();
    drop(tab);
    let taken = stand.because(&again, Reason::ExactUsed);
    assert_eq!(stand.refused(&again, &owed), taken);
    let stand = stand.again();
    assert_eq!(stand.refused(&again, &owed), taken);
    assert_eq!(
        stand.call(&wanted, &owed, 0).unwrap()["extra"]["chargedAmount"],
        "0"
    );
    assert_eq!(stand.refused(&again, &owed), taken);
    let stand = stand.again();
    assert_eq!(stand.refused(&again, &owed), taken);
    assert_eq!(stand.refused(&again, &paid)["used"], used["used"]);
    let told = stand.call(&attempt(&wanted), &owed, 1_000).unwrap();
    assert_eq!(told["extra"]["chargedAmount"], "1000");
    let answer = stand.refused(&again, &owed);
    assert_eq!(
        answer["otherwise"],
        stand.because(&again, Reason::ExactUsed)
    );
    assert_eq!(stand.market.balance(stand.market.splitter), 2_000);
    assert_eq!(stand.market.sent(), 2);
    assert_eq!(stand.seller.ledger.ledger().breaches, Vec::<String>::new());
}

#[test]
fn a_copy_of_an_exact_payment_is_not_its_payers() {
    let stand = Stand::new();
    let buyer = stand.market.buyer(1, 10_000);
    let by = |id: &str, address: Option<&str>, sale: &OfferedCall| OfferedCall {
        presenter: Presenter {
            request_id: id.into(),
            address: address.map(str::to_owned),
            ..Presenter::default()
        },
        ..attempt(sale)
    };
    let used = |sale: &OfferedCall, named_by: Option<&Buyer>| {
        let mut used = json!({
            "used": [sale.request_id, sale.request_hash],
            "otherwise": stand.because(sale, Reason::ExactUsed),
        });
        if let Some(buyer) = named_by {
            used["namedBy"] = json!(buyer.address());
        }
        used
    };
    let [answered, owed] = [1, 2].map(|nonce| exact(&buyer.transfer(1_000, nonce)));
    let first = by("secret", Some("home"), &sale(1_000));
    stand.call(&first, &answered, 1_000).unwrap();
    let mut tab = stand.open(&first, &owed).ok().unwrap();
    stand.wait(tab.commit()).unwrap();
    drop(tab);
    let check = |till: &Arc<X402Seller>, is_late: bool| {
        let open = |sale: &OfferedCall, payload: &Value| {
            let payment = stand.header(sale, payload);
            stand.wait(till.open(sale, &payment)).map(drop)
        };
        let told = |sale: &OfferedCall, payload: &Value| refusal(open(sale, payload).unwrap_err());
        let mut own = vec![("secret", Some("elsewhere")), ("secret", None)];
        let mut others = vec![("guess", Some("elsewhere")), ("guess", None), ("", None)];
        match is_late {
            true => others.push(("guess", Some("home"))),
            false => own.push(("guess", Some("home"))),
        }
        for (id, address) in own {
            let sale = by(id, address, &first);
            let mut found = told(&sale, &answered);
            found["used"] = json!([sale.request_id, sale.request_hash]);
            assert_eq!(found, used(&sale, None), "{id} {address:?} {is_late}");
            assert_eq!(open(&sale, &owed), Ok(()), "{id} {address:?} {is_late}");
        }
        for (id, address) in others {
            let sale = by(id, address, &first);
            let mut found = told(&sale, &answered);
            found["used"] = json!([sale.request_id, sale.request_hash]);
            assert_eq!(
                found,
                used(&sale, Some(&buyer)),
                "{id} {address:?} {is_late}"
            );
            let refused = stand.because(&sale, Reason::ExactUsed);
            assert_eq!(told(&sale, &owed), refused, "{id} {address:?} {is_late}");
        }
    };
    check(&stand.till, false);
    // Another process knows it, and the address counts for a short time.
    let mut book = stand.seller.ledger.ledger();
    check(&stand.with(book.clone()), false);
    assert_eq!(book.retries.len(), 2);
    for retry in book.retries.values_mut() {
        let left = retry.until_ms.saturating_sub(now_ms());
        assert!((200_000..=300_000).contains(&left), "{left}");
        retry.until_ms = now_ms();
    }
    check(&stand.with(book.clone()), true);
    // Of what an earlier version wrote down only its payer's own word is taken.
    book.retries.clear();
    let till = stand.with(book);
    let again = by("secret", Some("home"), &first);
    let payment = stand.header(&again, &owed);
    let unpaid = stand.wait(till.open(&again, &payment)).err().unwrap();
    assert_eq!(refusal(unpaid), stand.because(&again, Reason::ExactUsed));
    assert_eq!(stand.market.sent(), 2);
}

fn now_ms() -> u64 {
    let past = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    past.as_millis() as u64
}

#[test]
fn exact_payments_that_pay_otherwise_are_refused() {
    let stand = Stand::new();
    let buyer = stand.market.buyer(1, 10_000);
    let sale = sale(1_000);
    let signed_as = |edit: &dyn Fn(&mut TransferAuthorization)| {
        let mut transfer = buyer.transfer(1_000, 7);
        let mut said = TransferAuthorization {
            from: transfer.from,
            to: transfer.to,
            value: transfer.value,
            valid_after: U256::ZERO,
            valid_before: U256::from(4_000_000_000_u64),
            nonce: transfer.nonce,
        };
        edit(&mut said);
        transfer.signature = signed(&buyer, token_domain(stand.market.token).transfer(&said));
        let mut paid = exact(&transfer);
        paid["authorization"] = serde_json::to_value(said).unwrap();
        paid
    };
    let cases: [Edit<'_, TransferAuthorization>; 6] = [
        (&|it| it.to = OTHER_SPLITTER, Reason::ExactRecipient),
        (&|it| it.value = Amount(999), Reason::ExactValue),
        (&|it| it.value = Amount(1_001), Reason::ExactValue),
        (&|it| it.valid_before = U256::from(1), Reason::ExactExpired),
        (
            &|it| it.valid_after = U256::from(3_999_999_999_u64),
            Reason::ExactEarly,
        ),
        (&|it| it.from = OTHER_SPLITTER, Reason::ExactSignature),
    ];
    for (edit, reason) in cases {
        assert_eq!(
            stand.refused(&sale, &signed_as(edit)),
            stand.because(&sale, reason)
        );
    }
    let good = signed_as(&|_| {});
    let bytes = hex::decode(good["signature"].as_str().unwrap()).unwrap();
    let mut high = good.clone();
    let twin = twin(&bytes.try_into().unwrap());
    high["signature"] = json!(hex::encode_prefixed(twin));
    assert_eq!(
        stand.refused(&sale, &high),
        stand.because(&sale, Reason::ExactSignature)
    );
    // Cancelled between the check and the transfer, and before.
    let mut tab = stand.open(&sale, &good).ok().unwrap();
    stand.cancel(&buyer, number(7));
    let unpaid = stand.wait(tab.commit()).unwrap_err();
    assert_eq!(refusal(unpaid), stand.because(&sale, Reason::ExactUsed));
    drop(tab);
    assert_eq!(
        stand.refused(&sale, &good),
        stand.because(&sale, Reason::ExactUsed)
    );
    // Without the money.
    let poor = stand.market.buyer(2, 999);
    let paid = exact(&poor.transfer(1_000, 1));
    assert_eq!(
        stand.refused(&sale, &paid),
        stand.because(&sale, Reason::ExactRefused)
    );
    assert_eq!(stand.market.sent(), 0);
}

#[test]
fn tokens_that_cheat_buy_nothing() {
    for (name, deposited) in [
        ("FeeToken", Reason::DepositRefused),
        ("FalseToken", Reason::DepositRefused),
    ] {
        let mut market = Market::embedded();
        market.token = Stand::create(&market.rpc, name, &[]);
        let stand = Stand::on(market, |_| {});
        let buyer = stand.market.buyer(1, 100_000);
        let config = buyer.config(1);
        let sale = sale(1_000);
        let paid = deposit(&buyer, &config, 1_000, (5_000, 1));
        assert_eq!(
            stand.refused(&sale, &paid),
            stand.because(&sale, deposited),
            "{name}"
        );
        let mut tab = stand
            .open(&sale, &exact(&buyer.transfer(1_000, 1)))
            .ok()
            .unwrap();
        let unpaid = stand.wait(tab.commit()).unwrap_err();
        assert_eq!(
            refusal(unpaid),
            stand.because(&sale, Reason::ExactFailed),
            "{name}"
        );
        let received = stand.seller.events("payment_received");
        let ours = json!(stand.market.splitter);
        assert!(received.iter().all(|fact| fact["receiver"] != ours));
        // Nor does the journal owe a call for it.
        drop(tab);
        let stand = stand.again();
        let paid = exact(&buyer.transfer(1_000, 1));
        let unpaid = match stand.open(&sale, &paid) {
            Ok(mut tab) => stand.wait(tab.commit()).unwrap_err(),
            Err(unpaid) => unpaid,
        };
        assert_eq!(refusal(unpaid), stand.because(&sale, Reason::ExactUsed));
    }
}

#[test]
fn a_contract_pays_as_its_code_says() {
    let stand = Stand::on(Market::embedded(), |options| options.fresh = Duration::ZERO);
    let owner = stand.market.buyer(1, 0);
    let arguments = owner.signer.address().abi_encode();
    let wallet = Stand::create(&stand.market.rpc, "Wallet", &arguments);
    let mint = alloy::primitives::keccak256("mint(address,uint256)")[..4].to_vec();
    let to: alloy::primitives::Address = wallet.into();
    let mint = [mint, (to, U256::from(50_000)).abi_encode_params()].concat();
    send(&stand.market.rpc, stand.market.token, &mint.into());
    let config = ChannelTerms {
        payer: wallet,
        payer_authorizer: Address::ZERO,
        ..owner.config(1)
    };
    let domain = EscrowDomain::for_chain(31_337);
    let vouched = |max: u128, by: &Buyer, deed: VoucherAction| {
        let digest = domain.voucher(channel_id(&config), Amount(max));
        batch(&config, max, signed(by, digest), deed)
    };
    let refused = sale(1_000);
    assert_eq!(
        stand.refused(&refused, &vouched(1_000, &owner, VoucherAction::Voucher)),
        stand.because(&refused, Reason::ContractPayer)
    );
    let stand = stand.ruled(SponsorRules {
        contract_payers: ContractPayers::Settle,
        ..RULES
    });
    let mut funds = owner.deposit(&config, 5_000, 1);
    let said = TransferAuthorization {
        from: wallet,
        to: COLLECTOR.into(),
        value: Amount(5_000),
        valid_after: funds.valid_after,
        valid_before: funds.valid_before,
        nonce: deposit_nonce(channel_id(&config), number(1)),
    };
    funds.signature = signed(&owner, token_domain(stand.market.token).receive(&said));
    let paid = vouched(1_000, &owner, deposit_deed(funds));
    // All that the voucher allows is claimed before the call, and charged.
    let told = stand.call(&sale(1_000), &paid, 400).unwrap();
    assert_eq!(told["payer"], json!(wallet));
    assert_eq!(
        told["extra"]["channelState"],
        state(channel_id(&config), 5_000, 1_000, 1_000)
    );
    // One that comes to nothing is paid and owed: the same request runs for it.
    let owed = sale(1_000);
    let paid = vouched(2_000, &owner, VoucherAction::Voucher);
    let told = stand.call(&owed, &paid, 0).unwrap();
    assert_eq!(told["extra"]["chargedAmount"], "1000");
    let stand = stand.again().ruled(SponsorRules {
        contract_payers: ContractPayers::Settle,
        ..RULES
    });
    let another = sale(1_000);
    assert_eq!(
        stand.refused(&another, &paid)["code"],
        Reason::Cumulative.code()
    );
    let told = stand.call(&attempt(&owed), &paid, 1_000).unwrap();
    assert_eq!(told["extra"]["chargedAmount"], "0");
    assert_eq!(stand.seller.ledger.ledger().breaches, Vec::<String>::new());
    let stranger = stand.market.buyer(2, 0);
    let next = sale(1_000);
    assert_eq!(
        stand.refused(&next, &vouched(3_000, &stranger, VoucherAction::Voucher)),
        stand.because(&next, Reason::VoucherSignature)
    );
    let view = stand
        .wait(stand.seller.desk.channel(channel_id(&config)))
        .unwrap();
    assert_eq!(view.claimed, Amount(2_000));
}

/// Claims all of a voucher on the chain, by the seller's signature.
fn claim(stand: &Stand, config: &ChannelTerms, max: u128, signature: Bytes) {
    let entry = ClaimEntry {
        channelId: channel_id(config).into(),
        maxClaimableAmount: max,
        totalClaimed: max,
    };
    let claims = vec![entry];
    let digest = escrow_digest(31_337, &ClaimBatch { claims });
    let call = Escrow::claimWithSignatureCall {
        voucherClaims: vec![VoucherClaim {
            voucher: ChannelVoucher {
                channel: config.into(),
                maxClaimableAmount: max,
            },
            signature,
            totalClaimed: max,
        }],
        authorizerSignature: sign(&account(OWN_KEY), digest).unwrap().to_vec().into(),
    };
    send(&stand.market.rpc, ESCROW.into(), &call.abi_encode().into());
}

#[test]
fn what_the_journal_lost_begins_at_what_the_chain_has() {
    let stand = Stand::on(Market::embedded(), |options| options.fresh = Duration::ZERO);
    let buyer = stand.market.buyer(1, 100_000);
    let config = buyer.config(1);
    stand.seller.opens(&buyer, &config, 10_000);
    stand
        .call(&sale(1_000), &voucher(&buyer, &config, 1_000), 1_000)
        .unwrap();
    stand
        .call(&sale(1_000), &voucher(&buyer, &config, 2_000), 700)
        .unwrap();
    claim(&stand, &config, 1_000, buyer.voucher(&config, 1_000));
    let till = stand.forgetful();
    let sale = sale(500);
    let stale = stand.header(&sale, &voucher(&buyer, &config, 2_200));
    let unpaid = stand.wait(till.open(&sale, &stale)).err().unwrap();
    let known = state(channel_id(&config), 10_000, 1_000, 1_000);
    assert_eq!(
        refusal(unpaid),
        stand.corrected(&sale, Reason::Cumulative, &known, &Value::Null)
    );
    let right = stand.header(&sale, &voucher(&buyer, &config, 1_500));
    let tab = stand.wait(till.open(&sale, &right)).ok().unwrap();
    assert_eq!(tab.payment().before, Amount(1_000));
}

#[test]
fn a_refund_returns_what_calls_have_not_cost() {
    let stand = Stand::new();
    let buyer = stand.market.buyer(1, 10_000);
    let config = buyer.config(1);
    let channel = channel_id(&config);
    let paid = deposit(&buyer, &config, 1_000, (6_000, 1));
    stand.call(&sale(1_000), &paid, 1_000).unwrap();
    let probe = sale(1);
    let ask = |payload: &Value| {
        let header = stand.header(&probe, payload);
        stand.wait(stand.till.refund(&probe, &header))
    };
    let told = |asked: Option<u128>, amount: &str, balance: u128, nonce: &str| {
        let refunded = ask(&refund(&buyer, &config, 1_000, asked)).unwrap();
        let response = of(&buyer, decoded(&refunded.response));
        let tx = response["transaction"].clone();
        let mut state = state(channel, balance, 1_000, 1_000);
        state["refundNonce"] = json!(nonce);
        let expected = json!({
            "success": true,
            "transaction": tx,
            "network": "eip155:31337",
            "amount": amount,
            "extra": { "channelState": state },
        });
        assert_eq!(response, expected);
        assert_eq!(refunded.body["transaction"], tx);
    };
    let refused = |payload: &Value| refusal(ask(payload).unwrap_err());
    let mut held = state(channel, 6_000, 0, 1_000);
    let proof = voucher_state(&buyer, &config, 1_000);
    assert_eq!(
        refused(&refund(&buyer, &config, 0, None)),
        stand.corrected(&probe, Reason::Cumulative, &held, &proof)
    );
    assert_eq!(
        refused(&refund(&buyer, &config, 1_000, Some(0))),
        stand.because(&probe, Reason::RefundAmount)
    );
    assert_eq!(
        refused(&voucher(&buyer, &config, 1_001)),
        stand.because(&probe, Reason::PayloadType)
    );
    told(Some(2_000), "2000", 4_000, "1");
    assert_eq!(stand.market.balance(buyer.address()), 6_000);
    // The voucher is claimed now, for everybody to see: it asks for nothing more.
    let sent = stand.market.sent();
    assert_eq!(
        refused(&refund(&buyer, &config, 1_000, None)),
        stand.because(&probe, Reason::RefundClaimed)
    );
    assert_eq!(stand.market.sent(), sent);
    // Its payer does.
    let signed = |request: &RefundRequest| {
        let header = stand.header(&probe, &refund(&buyer, &config, 1_000, None));
        let header = extended(&header, request);
        stand.wait(stand.till.refund(&probe, &header))
    };
    let rest = signed(&asked(&stand, (&buyer, &config), |_| {})).unwrap();
    assert_eq!(rest.body["amount"], "3000");
    assert_eq!(stand.market.balance(buyer.address()), 9_000);
    assert_eq!(
        refusal(signed(&asked(&stand, (&buyer, &config), |_| {})).unwrap_err()),
        stand.because(&probe, Reason::RefundEmpty)
    );
    // The channel goes on where it was, when there is money in it again.
    let paid = deposit(&buyer, &config, 2_000, (3_000, 2));
    let reply = stand.call(&sale(1_000), &paid, 1_000).unwrap();
    held = state(channel, 4_000, 1_000, 2_000);
    held["refundNonce"] = json!("2");
    assert_eq!(reply["extra"]["channelState"], held);
    assert_eq!(stand.seller.ledger.ledger().breaches, Vec::<String>::new());
}

/// A request of now for the refund that is next, but for what `edit` does to it.
pub fn asked(
    stand: &Stand,
    (by, config): (&Buyer, &ChannelTerms),
    edit: impl FnOnce(&mut RefundRequest),
) -> RefundRequest {
    let channel = channel_id(config);
    let view = stand.wait(stand.seller.desk.channel(channel)).unwrap();
    let now = SystemTime::now();
    let now = now.duration_since(UNIX_EPOCH).unwrap().as_secs();
    let mut request = RefundRequest {
        amount: None,
        refund_nonce: view.refund_nonce,
        valid_before: now + 300,
        fee: None,
        signature: Bytes::new(),
    };
    edit(&mut request);
    let domain = BindingDomain::for_contract(31_337, ESCROW.into());
    request.signature = signed(by, request.digest(domain, channel));
    request
}

/// What a payer pays for a refund, of whose channel so much is charged.
pub fn fee_of((buyer, config): (&Buyer, &ChannelTerms), charged: u128, fee: u128) -> RefundFee {
    RefundFee {
        amount: Amount(fee),
        max_claimable_amount: Amount(charged + fee),
        signature: buyer.voucher(config, charged + fee),
    }
}

#[test]
fn what_names_its_request_cannot_be_shown_without_the_name() {
    let stand = Stand::new();
    let buyer = stand.market.buyer(1, 20_000);
    let config = ChannelTerms {
        salt: marked(),
        ..buyer.config(1)
    };
    assert!(is_marked(config.salt) && !is_marked(buyer.config(1).salt));
    let channel = channel_id(&config);
    let domain = BindingDomain::for_contract(31_337, ESCROW.into());
    let sent = stand.market.sent();
    let call = sale(1_000);
    let bare = stand.header(&call, &deposit(&buyer, &config, 1_000, (6_000, 1)));
    let binding = RequestBinding {
        request_hash: call.request,
        signature: signed(&buyer, domain.request(channel, Amount(1_000), call.request)),
    };
    let open = |header: &str| stand.wait(stand.till.open(&call, header));
    // With the request's own name taken away, a copy pays nothing, and gets no answer again.
    let stripped = || refusal(open(&bare).err().unwrap());
    assert_eq!(stripped(), stand.because(&call, Reason::RequestBinding));
    assert_eq!(stand.market.sent(), sent);
    let named = extended(&bare, &binding);
    stand
        .wait(stand.serve(&stand.till, &call, &named, 1_000))
        .unwrap();
    assert_eq!(stripped(), stand.because(&call, Reason::RequestBinding));
    let again = refusal(open(&named).err().unwrap());
    assert_eq!(again["used"], json!([call.request_id, call.request_hash]));
    // A refund is signed for by itself.
    let probe = sale(1);
    let bare = stand.header(&probe, &refund(&buyer, &config, 1_000, None));
    assert_eq!(
        refusal(stand.wait(stand.till.refund(&probe, &bare)).unwrap_err()),
        stand.because(&probe, Reason::RefundRequest)
    );
    let request = asked(&stand, (&buyer, &config), |_| {});
    let asked = extended(&bare, &request);
    let refunded = stand.wait(stand.till.refund(&probe, &asked)).unwrap();
    assert_eq!(refunded.body["amount"], "5000");

    // So it is with transfers.
    let mut transfer = buyer.transfer(1_000, 5);
    transfer.nonce = marked();
    let said = TransferAuthorization {
        from: transfer.from,
        to: transfer.to,
        value: transfer.value,
        valid_after: transfer.valid_after,
        valid_before: transfer.valid_before,
        nonce: transfer.nonce,
    };
    let token = stand.market.token;
    transfer.signature = signed(&buyer, token_domain(token).transfer(&said));
    let bare = stand.header(&call, &exact(&transfer));
    assert_eq!(
        refusal(open(&bare).err().unwrap()),
        stand.because(&call, Reason::RequestBinding)
    );
    let digest = BindingDomain::for_contract(31_337, token);
    let binding = RequestBinding {
        request_hash: call.request,
        signature: signed(
            &buyer,
            digest.request(transfer.nonce, Amount(1_000), call.request),
        ),
    };
    assert!(open(&extended(&bare, &binding)).is_ok());
}

#[test]
fn a_refund_that_its_payer_signs_is_made_once_and_at_once() {
    let stand = Stand::new().ruled(SponsorRules {
        refund_pause: Duration::from_secs(3_600),
        ..RULES
    });
    let buyer = stand.market.buyer(1, 10_000);
    let config = buyer.config(1);
    let paid = deposit(&buyer, &config, 1_000, (6_000, 1));
    stand.call(&sale(1_000), &paid, 1_000).unwrap();
    let probe = sale(1);
    // Any voucher of the channel's says which one it is.
    let header = stand.header(&probe, &refund(&buyer, &config, 17, None));
    let ask = |request: &RefundRequest| {
        let paid = extended(&header, request);
        stand.wait(stand.till.refund(&probe, &paid))
    };
    let stranger = stand.market.buyer(2, 1);
    let mut bad = vec![
        asked(&stand, (&stranger, &config), |_| {}),
        asked(&stand, (&buyer, &config), |it| it.refund_nonce = 1),
        asked(&stand, (&buyer, &config), |it| it.valid_before -= 301),
        asked(&stand, (&buyer, &config), |it| it.valid_before += 400),
    ];
    let mut changed = asked(&stand, (&buyer, &config), |_| {});
    changed.amount = Some(Amount(1));
    bad.push(changed);
    for request in bad {
        assert_eq!(
            refusal(ask(&request).unwrap_err()),
            stand.because(&probe, Reason::RefundRequest)
        );
    }
    let some = asked(&stand, (&buyer, &config), |it| {
        it.amount = Some(Amount(2_000))
    });
    assert_eq!(ask(&some).unwrap().body["amount"], "2000");
    assert_eq!(stand.market.balance(buyer.address()), 6_000);
    assert_eq!(
        refusal(ask(&some).unwrap_err()),
        stand.because(&probe, Reason::RefundRequest)
    );
    let rest = asked(&stand, (&buyer, &config), |_| {});
    assert_eq!(ask(&rest).unwrap().body["amount"], "3000");
    assert_eq!(stand.market.balance(buyer.address()), 9_000);
}

#[test]
fn a_call_ends_a_refund_that_a_stranger_may_have_asked_for() {
    let pause = Duration::from_secs(2);
    let stand = Stand::new().ruled(SponsorRules {
        refund_pause: pause,
        ..RULES
    });
    let buyer = stand.market.buyer(1, 10_000);
    let config = buyer.config(1);
    let paid = deposit(&buyer, &config, 1_000, (6_000, 1));
    stand.call(&sale(1_000), &paid, 1_000).unwrap();
    // The voucher that paid the call is for all that is charged: it is in the next claim.
    let probe = sale(1);
    let replayed = stand.header(&probe, &refund(&buyer, &config, 1_000, None));
    let sent = stand.market.sent();
    let next = sale(1_000);
    let header = stand.header(&next, &voucher(&buyer, &config, 2_000));
    let ask = || stand.till.refund(&probe, &replayed);
    // One at a time: who is told so knows that the other one waits. That one is refused, because a
    // call is paid meanwhile.
    let (second, first) = stand.wait(async {
        let both = futures::future::select(ask(), ask());
        let (second, waiting) = both.await.factor_first();
        let served = stand.serve(&stand.till, &next, &header, 1_000).await;
        served.unwrap();
        (second, waiting.await)
    });
    let busy = json!({ "unavailable": "Another call uses this channel.", "retryAfter": 5 });
    assert_eq!(refusal(second.unwrap_err()), busy);
    let cancelled = Reason::RefundCancelled.code();
    assert_eq!(refusal(first.unwrap_err())["code"], cancelled);
    assert_eq!(stand.market.sent(), sent);

    // Nobody pays: then it is made, once the pause is over, also for whoever went away and came
    // again.
    let replayed = stand.header(&probe, &refund(&buyer, &config, 2_000, None));
    let started = std::time::Instant::now();
    let given_up = stand.wait(async {
        let short = Duration::from_millis(100);
        tokio::time::timeout(short, stand.till.refund(&probe, &replayed)).await
    });
    assert!(given_up.is_err());
    let refunded = stand.wait(stand.till.refund(&probe, &replayed)).unwrap();
    assert!(started.elapsed() >= pause);
    assert_eq!(refunded.body["amount"], "4000");
    // A voucher for a total that no call has had is new: nobody but the payer has it.
    let other = buyer.config(2);
    let paid = deposit(&buyer, &other, 1_000, (5_000, 2));
    stand.call(&sale(1_000), &paid, 400).unwrap();
    let started = std::time::Instant::now();
    let own = stand.header(&probe, &refund(&buyer, &other, 400, None));
    let refunded = stand.wait(stand.till.refund(&probe, &own)).unwrap();
    assert_eq!(refunded.body["amount"], "4600");
    assert!(started.elapsed() < pause);
}

#[test]
fn what_is_done_at_our_cost_has_limits() {
    let limits = SponsorAllowance {
        refunds_daily: 2,
        deposits_daily: 3,
        ..SponsorAllowance::UNLIMITED
    };
    let stand = Stand::on(Market::embedded(), |options| options.allowance = limits);
    let probe = sale(1);
    let cycle = |buyer: &Buyer, number: u64| {
        let config = buyer.config(number);
        let call = sale(1_000);
        let paid = deposit(buyer, &config, 1_000, (2_000, number));
        let header = stand.header(&call, &paid);
        if let Err(unpaid) = stand.wait(stand.serve(&stand.till, &call, &header, 400)) {
            assert_eq!(refusal(unpaid), stand.because(&call, Reason::DepositLimit));
            return "no deposit";
        }
        let header = stand.header(&probe, &refund(buyer, &config, 400, None));
        match stand.wait(stand.till.refund(&probe, &header)) {
            Ok(_) => "refunded",
            Err(unpaid) => {
                assert_eq!(refusal(unpaid), stand.because(&probe, Reason::RefundLimit));
                "no refund"
            }
        }
    };
    let buyer = stand.market.buyer(1, 100_000);
    let found = [1, 2, 3, 4].map(|number| cycle(&buyer, number));
    assert_eq!(found, ["refunded", "refunded", "no refund", "no deposit"]);
    assert_eq!(stand.market.sent(), 5);
    // Nobody pays for another one's cycles.
    let other = stand.market.buyer(2, 100_000);
    assert_eq!(cycle(&other, 11), "refunded");
}

#[test]
fn a_refund_that_nobody_can_sign_for_leaves_its_fee_in_the_channel() {
    let limits = SponsorAllowance {
        unsigned_refunds_daily: 1,
        ..SponsorAllowance::UNLIMITED
    };
    let stand = Stand::on(Market::embedded(), |options| options.allowance = limits);
    let buyer = stand.market.buyer(1, 10_000);
    let config = buyer.config(1);
    let paid = deposit(&buyer, &config, 1_000, (6_000, 1));
    let stand = stand.charging(Amount(500));
    stand.call(&sale(1_000), &paid, 400).unwrap();
    let probe = sale(1);
    let offer = stand.offers(&probe)[0].clone();
    assert_eq!(offer["extra"]["refundFee"], "500");
    let ask = |charged: u128, part: Option<u128>| {
        let header = stand.header(&probe, &refund(&buyer, &config, charged, part));
        stand.wait(stand.till.refund(&probe, &header))
    };
    let refunded = ask(400, Some(100)).unwrap();
    assert_eq!(
        (&refunded.body["amount"], &refunded.body["fee"]),
        (&json!("100"), &json!("0"))
    );
    // It pays for calls, and once a day is all that a channel gets so.
    stand
        .call(&sale(500), &voucher(&buyer, &config, 900), 1_000)
        .unwrap();
    let sent = stand.market.sent();
    // The first refund's claim has published a voucher over 1000, which is above this one.
    assert_eq!(
        refusal(ask(900, None).unwrap_err()),
        stand.because(&probe, Reason::RefundClaimed)
    );
    stand
        .call(&sale(500), &voucher(&buyer, &config, 1_400), 1_000)
        .unwrap();
    assert_eq!(
        refusal(ask(1_400, None).unwrap_err()),
        stand.because(&probe, Reason::ChannelRefundLimit)
    );
    assert_eq!(stand.market.sent(), sent);
    assert_eq!(stand.market.balance(buyer.address()), 4_100);
    assert_eq!(stand.seller.events("refund_charged").len(), 0);
}

#[test]
fn a_refund_pays_its_fee_to_the_receiver() {
    let stand = Stand::new();
    let buyer = stand.market.buyer(1, 10_000);
    let config = buyer.config(1);
    let channel = channel_id(&config);
    let paid = deposit(&buyer, &config, 1_000, (6_000, 1));
    let stand = stand.charging(Amount(500));
    stand.call(&sale(1_000), &paid, 400).unwrap();
    let probe = sale(1);
    let by = (&buyer, &config);
    let header = stand.header(&probe, &refund(&buyer, &config, 400, None));
    let ask = |edit: &dyn Fn(&mut RefundRequest)| {
        let request = asked(&stand, by, edit);
        stand.wait(stand.till.refund(&probe, &extended(&header, &request)))
    };
    let sent = stand.market.sent();
    let mut expected = stand.required(
        &probe,
        Reason::RefundFee,
        "A refund costs 0.0005 dUSD, and the request does not pay it: sign a voucher over 0.0009 \
         dUSD in it. 0.0056 dUSD is left in the channel.",
    );
    expected["amounts"] = json!({ "fee": "500", "left": "5600", "voucher": "900" });
    // No fee, and another than the offer states.
    for fee in [None, Some(fee_of(by, 400, 499)), Some(fee_of(by, 400, 501))] {
        let refused = ask(&|it| it.fee = fee.clone()).unwrap_err();
        assert_eq!(refusal(refused), expected);
    }
    // Above what is charged, or signed by somebody else.
    let stranger = stand.market.buyer(2, 1);
    for (fee, reason) in [
        (fee_of(by, 401, 500), Reason::Cumulative),
        (
            fee_of((&stranger, &config), 400, 500),
            Reason::VoucherSignature,
        ),
    ] {
        let refused = ask(&|it| it.fee = Some(fee.clone())).unwrap_err();
        assert_eq!(refusal(refused)["code"], reason.code());
    }
    // Put on another request than it was signed for.
    let mut moved = asked(&stand, by, |it| it.amount = Some(Amount(1)));
    moved.fee = Some(fee_of(by, 400, 500));
    let moved = stand.wait(stand.till.refund(&probe, &extended(&header, &moved)));
    assert_eq!(
        refusal(moved.unwrap_err()),
        stand.because(&probe, Reason::RefundRequest)
    );
    assert_eq!(stand.market.sent(), sent);
    assert_eq!(stand.seller.events("refund_charged").len(), 0);

    let paid = |charged: u128, part: Option<u128>| {
        ask(&|it| {
            it.amount = part.map(Amount);
            it.fee = Some(fee_of(by, charged, 500));
        })
    };
    let first = paid(400, Some(100)).unwrap();
    assert_eq!(
        (&first.body["amount"], &first.body["fee"]),
        (&json!("100"), &json!("500"))
    );
    let told = decoded(&first.response);
    let mut expected = state(channel, 5_900, 900, 900);
    expected["refundNonce"] = json!("1");
    assert_eq!(told["extra"]["channelState"], expected);
    // Each refund costs a fee of its own, and all of the rest comes back.
    let rest = paid(900, None).unwrap();
    assert_eq!(rest.body["amount"], "4500");
    let view = stand.wait(stand.seller.desk.channel(channel)).unwrap();
    assert_eq!((view.balance, view.claimed), (Amount(1_400), Amount(1_400)));
    assert_eq!(stand.market.balance(buyer.address()), 8_600);
    // One transaction each, after the deposit's.
    assert_eq!(stand.market.sent(), sent + 2);

    what_is_left_is_named((&stand, &probe), by, &paid);
    fees_are_their_own_facts(&stand);
}

/// Of a channel that was charged 1 400, and holds no more than that.
fn what_is_left_is_named(
    (stand, probe): (&Stand, &OfferedCall),
    (buyer, config): (&Buyer, &ChannelTerms),
    paid: &dyn Fn(u128, Option<u128>) -> Result<RefundAnswer, PaymentDemand>,
) {
    let topped = deposit(buyer, config, 1_800, (1_000, 2));
    stand.call(&sale(400), &topped, 1_000).unwrap();
    let few = "A refund costs 0.0005 dUSD, and 0.0005 dUSD is left in the channel: withdraw from \
               the escrow.";
    let mut expected = stand.required(probe, Reason::RefundFee, few);
    expected["amounts"] = json!({ "fee": "500", "left": "500" });
    stand
        .call(&sale(100), &voucher(buyer, config, 1_900), 1_000)
        .unwrap();
    assert_eq!(refusal(paid(1_900, None).unwrap_err()), expected);
}

/// After two refunds, and calls for 900: the seller's books are exact.
fn fees_are_their_own_facts(stand: &Stand) {
    let book = stand.seller.ledger.ledger();
    assert_eq!(book.breaches, Vec::<String>::new());
    let known = book.channels.values().next().unwrap();
    assert_eq!(
        (known.refund_fees, known.charged.amount()),
        (Amount(1_000), Amount(1_900))
    );
    for audit in stand.seller.audits() {
        assert!(audit.holds(), "{audit:#?}");
        let it = &audit.figures;
        assert_eq!((it.charged, it.refund_fees), (Amount(900), Amount(1_000)));
        assert_eq!(it.claimed, Amount(1_400));
    }
    let mut earnings = Earnings::default();
    for record in stand.seller.records() {
        earnings.apply(&record);
    }
    let sums = earnings.sums(stand.market.receiver(), DayRange::ALL);
    assert_eq!(
        (sums.charged, sums.refund_fees),
        (Amount(900), Amount(1_000))
    );
    assert_eq!(
        (sums.claimed, sums.pending()),
        (Amount(1_400), Amount(1_900))
    );
}

/// A refund whose server dies right after its fee was written down.
#[test]
fn a_fee_is_taken_once_whatever_becomes_of_its_refund() {
    let market = Market::embedded();
    let dead = Arc::new(AtomicBool::new(false));
    let silent = Arc::clone(&dead);
    let proxy = Proxy::new(market.chain.url(), move |method, _, _| {
        match method == "eth_sendRawTransaction" && silent.load(Ordering::SeqCst) {
            true => Act::Refuse(json!({ "code": -32_000, "message": "out of order" })),
            false => Act::Forward,
        }
    });
    let fee = Amount(500);
    let stand = Stand::through(market, &proxy.url, |_| {}).charging(fee);
    let buyer = stand.market.buyer(1, 10_000);
    let config = buyer.config(1);
    let paid = deposit(&buyer, &config, 1_000, (6_000, 1));
    stand.call(&sale(1_000), &paid, 400).unwrap();
    let probe = sale(1);
    let ask = |stand: &Stand, fee: Option<RefundFee>| {
        let header = stand.header(&probe, &refund(&buyer, &config, 400, None));
        let request = asked(stand, (&buyer, &config), |it| it.fee = fee);
        stand.wait(stand.till.refund(&probe, &extended(&header, &request)))
    };
    let own = || Some(fee_of((&buyer, &config), 400, 500));
    dead.store(true, Ordering::SeqCst);
    let sent = stand.market.sent();
    assert!(ask(&stand, own()).is_err());
    assert_eq!(stand.seller.events("refund_charged").len(), 1);
    assert_eq!(stand.market.sent(), sent);
    dead.store(false, Ordering::SeqCst);
    // Another process, which knows the journal alone. The same request again, or one without a
    // fee, is made for what was paid.
    let stand = stand.again().charging(fee);
    let again = ask(&stand, own()).unwrap();
    assert_eq!(
        (&again.body["amount"], &again.body["fee"]),
        (&json!("5100"), &json!("0"))
    );
    assert_eq!(stand.seller.events("refund_charged").len(), 1);
    let view = stand
        .wait(stand.seller.desk.channel(channel_id(&config)))
        .unwrap();
    assert_eq!(
        (view.balance, view.claimed, view.refund_nonce),
        (Amount(900), Amount(900), 1)
    );
    assert_eq!(stand.market.balance(buyer.address()), 9_100);
    assert_eq!(stand.seller.ledger.ledger().breaches, Vec::<String>::new());
    for audit in stand.seller.audits() {
        assert!(audit.holds(), "{audit:#?}");
    }
}

#[test]
fn what_is_spent_on_gas_for_strangers_ends_with_the_days_budget() {
    let market = Arc::new(Market::embedded());
    let price: u128 = {
        let price = market.rpc.ok("eth_gasPrice", json!([]));
        u128::from_str_radix(price.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
    };
    // Room for some ten of them.
    let budget = Amount(price * 3 * 150_000 * 10);
    let limits = SponsorAllowance {
        gas_budget: Some(budget),
        ..SponsorAllowance::UNLIMITED
    };
    let adjust = |options: &mut SettlementOptions| options.allowance = limits;
    let stand = Stand::on(Arc::clone(&market), adjust);
    let held = || {
        let wei = market.rpc.ok("eth_getBalance", json!([OWN, "latest"]));
        u128::from_str_radix(wei.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
    };
    let before = held();
    let regular = market.buyer(950, 5_000);
    let config = regular.config(950);
    stand.seller.opens(&regular, &config, 5_000);
    let probe = sale(1);
    // A key of its own for every cycle.
    let cycle = |stand: &Stand, number: u64| {
        let buyer = stand.market.buyer(number, 2_000);
        let config = buyer.config(number);
        let call = sale(1_000);
        let paid = deposit(&buyer, &config, 1_000, (2_000, number));
        let header = stand.header(&call, &paid);
        stand.wait(stand.serve(&stand.till, &call, &header, 400))?;
        let header = stand.header(&probe, &refund(&buyer, &config, 400, None));
        stand.wait(stand.till.refund(&probe, &header)).map(drop)
    };
    let first = (1..200).find_map(|it| cycle(&stand, it).err().map(|unpaid| (it, unpaid)));
    let (ended_at, unpaid) = first.expect("nothing ends the cycles");
    assert!(ended_at > 2, "{ended_at}");
    let stopped = |unpaid: PaymentDemand| {
        let told = refusal(unpaid);
        assert_eq!(told["stopped"], "gas_budget_spent", "{told}");
        assert!((1..=86_400).contains(&told["retryAfter"].as_u64().unwrap()));
    };
    stopped(unpaid);
    let spent = || before - held();
    let sent = market.sent();
    assert!(spent() <= budget.0);
    // The alarm is told once a day, by the journal and to whoever runs the server.
    stopped(cycle(&stand, 900).unwrap_err());
    assert_eq!(stand.seller.events("gas_budget_spent").len(), 1);
    assert_eq!(stand.till.warnings().len(), 1);
    let told = stand.till.sponsorships()[0];
    assert!(told.gas.is_exhausted && told.budget == Some(budget));
    assert_eq!(
        (told.gas.spent.0, told.gas.in_flight),
        (spent(), Amount::ZERO)
    );
    // Calls from channels go on, and so do claims.
    stand
        .call(&sale(1_000), &voucher(&regular, &config, 1_000), 400)
        .unwrap();
    let treasurer = ChainSettler::new(Arc::clone(&stand.seller.desk));
    let settled = stand.wait(treasurer.settle_now()).unwrap();
    assert!(!settled.claims.is_empty() && settled.left_out.is_empty());
    assert!(market.sent() > sent);
    // A restart brings nothing back.
    drop(treasurer);
    let Stand { seller, till, .. } = stand;
    drop((seller, till));
    let stand = Stand::on(Arc::clone(&market), adjust);
    let sent = market.sent();
    for number in 960..970 {
        stopped(cycle(&stand, number).unwrap_err());
    }
    assert_eq!(market.sent(), sent);
    assert_eq!(stand.seller.events("gas_budget_spent").len(), 1);
}

#[test]
fn a_restart_gives_no_payer_its_limits_anew() {
    let limits = SponsorAllowance {
        refunds_daily: 1,
        deposits_daily: 2,
        ..SponsorAllowance::UNLIMITED
    };
    let market = Arc::new(Market::embedded());
    let adjust = |options: &mut SettlementOptions| options.allowance = limits;
    let stand = Stand::on(Arc::clone(&market), adjust);
    let buyer = stand.market.buyer(1, 100_000);
    let pay = |stand: &Stand, number: u64| {
        let config = buyer.config(number);
        let call = sale(1_000);
        let header = stand.header(&call, &deposit(&buyer, &config, 1_000, (2_000, number)));
        stand
            .wait(stand.serve(&stand.till, &call, &header, 400))
            .map(drop)
    };
    let probe = sale(1);
    let back = |stand: &Stand, number: u64| {
        let payload = refund(&buyer, &buyer.config(number), 400, None);
        let header = stand.header(&probe, &payload);
        stand.wait(stand.till.refund(&probe, &header)).map(drop)
    };
    pay(&stand, 1).unwrap();
    pay(&stand, 2).unwrap();
    back(&stand, 1).unwrap();
    let Stand { seller, till, .. } = stand;
    drop((seller, till));
    let stand = Stand::on(Arc::clone(&market), adjust);
    let sent = market.sent();
    let refused = refusal(pay(&stand, 3).unwrap_err());
    assert_eq!(refused["code"], Reason::DepositLimit.code());
    let refused = refusal(back(&stand, 2).unwrap_err());
    assert_eq!(refused["code"], Reason::RefundLimit.code());
    assert_eq!(market.sent(), sent);
}

#[test]
fn a_low_account_sends_nothing_for_payers() {
    let floor = 10_u128.pow(18);
    let limits = SponsorAllowance {
        min_gas: Amount(floor),
        ..SponsorAllowance::UNLIMITED
    };
    let stand = Stand::on(Market::embedded(), |options| options.allowance = limits);
    let buyer = stand.market.buyer(1, 10_000);
    let config = buyer.config(1);
    let paid = deposit(&buyer, &config, 1_000, (6_000, 1));
    let once = exact(&buyer.transfer(1_000, 1));
    let channel = buyer.config(2);
    stand.seller.opens(&buyer, &channel, 3_000);
    assert_eq!(stand.till.warnings(), Vec::<String>::new());
    // Nothing but the floor is left.
    let left = json!([OWN, format!("{floor:#x}")]);
    stand.market.rpc.ok("anvil_setBalance", left);
    let sent = stand.market.sent();
    let stopped = json!({
        "unavailable": "Transactions of payers are not sent now.",
        "retryAfter": 5,
    });
    for payload in [&paid, &once] {
        let unpaid = stand.call(&sale(1_000), payload, 1_000).unwrap_err();
        assert_eq!(refusal(unpaid), stopped);
    }
    // Channels with money are served, and not emptied.
    stand
        .call(&sale(1_000), &voucher(&buyer, &channel, 1_000), 400)
        .unwrap();
    let probe = sale(1);
    let header = stand.header(&probe, &refund(&buyer, &channel, 400, None));
    let unpaid = stand.wait(stand.till.refund(&probe, &header)).unwrap_err();
    assert_eq!(refusal(unpaid), stopped);
    assert_eq!(stand.market.sent(), sent);
    assert_eq!(stand.seller.events("gas_low").len(), 1);
    assert_eq!(stand.till.warnings().len(), 1);
}

#[test]
fn trouble_with_the_chain_is_no_402() {
    let market = Market::embedded();
    let silent = Arc::new(AtomicBool::new(false));
    let broken = Arc::clone(&silent);
    let proxy = Proxy::new(market.chain.url(), move |method, _, _| {
        let about = method == "eth_getTransactionReceipt" || method == "eth_getTransactionByHash";
        match about && broken.load(Ordering::SeqCst) {
            true => Act::Refuse(json!({ "code": -32_000, "message": "out of order" })),
            false => Act::Forward,
        }
    });
    let stand = Stand::through(market, &proxy.url, |options| {
        options.limits.patience = Duration::from_millis(200);
    });
    let buyer = stand.market.buyer(1, 100_000);
    let config = buyer.config(1);
    let sale = sale(1_000);
    let paid = deposit(&buyer, &config, 1_000, (5_000, 1));
    silent.store(true, Ordering::SeqCst);
    let unknown = json!({
        "unavailable": "It is not known yet what became of the payment.",
        "retryAfter": 5,
    });
    assert_eq!(
        refusal(stand.call(&sale, &paid, 1_000).unwrap_err()),
        unknown
    );
    silent.store(false, Ordering::SeqCst);
    // The same request again: the deposit is found, not repeated.
    let told = stand.call(&sale, &paid, 1_000).unwrap();
    let after = state(channel_id(&config), 5_000, 0, 1_000);
    assert_eq!(told["extra"]["channelState"], after);
    assert_eq!(stand.market.sent(), 1);
    assert_eq!(stand.market.balance(buyer.address()), 95_000);
    // Nor is it refused for coming too late, while its money is there.
    let mut late = deposit(&buyer, &config, 2_000, (5_000, 1));
    let part = late.pointer_mut("/deposit/authorization/erc3009Authorization");
    part.unwrap()["validBefore"] = json!("1");
    let later = OfferedCall {
        request_id: "later".into(),
        ..sale
    };
    assert!(stand.call(&later, &late, 1_000).is_ok());
    assert_eq!(stand.market.sent(), 1);
}

#[test]
fn a_chain_that_does_not_answer_is_no_402() {
    let market = Market::embedded();
    let silent = Arc::new(AtomicBool::new(false));
    let broken = Arc::clone(&silent);
    let proxy = Proxy::new(market.chain.url(), move |_, _, _| {
        match broken.load(Ordering::SeqCst) {
            true => Act::Refuse(json!({ "code": -32_000, "message": "http://secret@rpc is down" })),
            false => Act::Forward,
        }
    });
    let stand = Stand::through(market, &proxy.url, |options| options.fresh = Duration::ZERO);
    let buyer = stand.market.buyer(1, 100_000);
    let config = buyer.config(1);
    stand.seller.opens(&buyer, &config, 10_000);
    silent.store(true, Ordering::SeqCst);
    let sale = sale(1_000);
    let down = json!({
        "unavailable": "The payment's chain cannot be asked now.",
        "retryAfter": 5,
    });
    assert_eq!(stand.refused(&sale, &voucher(&buyer, &config, 1_000)), down);
    assert_eq!(
        stand.refused(&sale, &exact(&buyer.transfer(1_000, 1))),
        down
    );
}

/// What buyers and the server do to one of three channels.
#[derive(Clone, Debug)]
enum Step {
    /// A voucher for `quote` more than is charged, and `off` beside it.
    Open {
        quote: u128,
        off: i64,
        tokens: u64,
    },
    Close,
    Drop,
}

fn steps() -> impl Strategy<Value = Vec<(usize, Step)>> {
    let off = prop_oneof![4 => Just(0_i64), 1 => -500_i64..500];
    let open = (1_u128..900, off, 0_u64..=1_000).prop_map(|(quote, off, tokens)| Step::Open {
        quote,
        off,
        tokens,
    });
    let step = prop_oneof![3 => open, 2 => Just(Step::Close), 1 => Just(Step::Drop)];
    proptest::collection::vec((0_usize..3, step), 1..40)
}

#[test]
fn no_interleaving_charges_more_than_is_signed() {
    const HELD: u128 = 3_000;
    let stand = Stand::new();
    let buyer = stand.market.buyer(1, u128::from(u64::MAX));
    let salts = std::sync::atomic::AtomicU64::new(100);
    let config = Config {
        cases: 12,
        failure_persistence: None,
        ..Config::default()
    };
    let play = |steps: Vec<(usize, Step)>| {
        let salt = salts.fetch_add(3, Ordering::Relaxed);
        let configs = [0, 1, 2].map(|at| buyer.config(salt + at));
        for config in &configs {
            stand.seller.opens(&buyer, config, HELD);
        }
        let mut charged = [0_u128; 3];
        let mut used = [const { BTreeSet::new() }; 3];
        let mut tabs = [None, None, None];
        for (at, step) in steps {
            match step {
                Step::Close => {
                    let Some((sale, tab, tokens)) = tabs[at].take() else {
                        continue;
                    };
                    let told = stand.wait(stand.close(&sale, tab, tokens));
                    let amount: Amount =
                        told["extra"]["chargedAmount"].as_str().unwrap().parse()?;
                    charged[at] += amount.0;
                    let total = &told["extra"]["channelState"]["chargedCumulativeAmount"];
                    prop_assert_eq!(total, &json!(Amount(charged[at])));
                }
                Step::Drop => drop(tabs[at].take()),
                Step::Open { quote, off, tokens } => {
                    let sale = sale(quote);
                    let max = u128::try_from((charged[at] + quote) as i128 + i128::from(off));
                    let max = max.unwrap_or_default();
                    let header = stand.header(&sale, &voucher(&buyer, &configs[at], max));
                    let opening = stand.till.open(&sale, &header);
                    let patience = Duration::from_millis(20);
                    if tabs[at].is_some() {
                        let second = stand
                            .wait(async { tokio::time::timeout(patience, opening).await.is_ok() });
                        prop_assert!(!second, "two tabs on one channel");
                        continue;
                    }
                    // Every request is another one, so a total that was used is led on from.
                    let plain = charged[at] + quote;
                    let good = match used[at].contains(&plain) {
                        true => (plain + 1..=plain + 16).contains(&max) && !used[at].contains(&max),
                        false => max == plain,
                    };
                    let good = good && max <= HELD;
                    match stand.wait(opening) {
                        Ok(mut tab) if good => {
                            stand.wait(tab.commit()).unwrap();
                            stand.wait(stand.reserve(&sale, &*tab));
                            stand.wait(tab.reserved()).unwrap();
                            used[at].insert(max);
                            prop_assert_eq!(tab.payment().before, Amount(charged[at]));
                            tabs[at] = Some((sale, tab, tokens));
                        }
                        Ok(_) => prop_assert!(false, "{max} is taken over {}", charged[at]),
                        Err(why) => prop_assert!(!good, "{why:?}"),
                    }
                }
            }
        }
        let book = stand.seller.ledger.ledger();
        prop_assert_eq!(&book.breaches, &Vec::<String>::new());
        for (config, charged) in configs.iter().zip(charged) {
            let known = &book.channels[&channel_key(channel_id(config))];
            prop_assert_eq!(known.charged.amount(), Amount(charged));
            prop_assert!(known.authorised.amount() >= known.charged.amount());
        }
        Ok(())
    };
    TestRunner::new(config).run(&steps(), play).unwrap();
}
