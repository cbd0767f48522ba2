//! Headers, digests and signatures of x402: what is read and what is refused.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use openlora_core::{Address, Amount, Word};
use openlora_ledger::ChannelTerms;
use openlora_payments::x402::{
    digest::EscrowDomain,
    signature::{SignatureFault, recover, sign},
    wire::{
        BatchPayload, LONGEST_HEADER, PaymentPayload, PaymentRequired, SchemePayload,
        SettleResponse, WireProblem, chain_id,
    },
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::keys::{ADDRESS, KEY, account, twin};

const TOKEN: &str = "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913";
const MAX: &str = "340282366920938463463374607431768211455";

fn word(byte: u8) -> Word {
    Word([byte; 32])
}

fn header(value: &Value) -> String {
    STANDARD.encode(value.to_string())
}

fn voucher_payload() -> Value {
    let config = ChannelTerms {
        payer: ADDRESS.parse().unwrap(),
        payer_authorizer: ADDRESS.parse().unwrap(),
        receiver: Address([0x11; 20]),
        receiver_authorizer: Address([0x22; 20]),
        token: TOKEN.parse().unwrap(),
        withdraw_delay: 900,
        salt: word(0xab),
    };
    // As some clients write them.
    let lower = |address: &Address| address.to_string().to_lowercase();
    json!({
        "type": "voucher",
        "channelConfig": {
            "payer": lower(&config.payer),
            "payerAuthorizer": lower(&config.payer_authorizer),
            "receiver": lower(&config.receiver),
            "receiverAuthorizer": lower(&config.receiver_authorizer),
            "token": lower(&config.token),
            "withdrawDelay": config.withdraw_delay,
            "salt": config.salt,
        },
        "voucher": {
            "channelId": EscrowDomain::for_chain(31_337).channel_id(&config),
            "maxClaimableAmount": "1000",
            "signature": format!("0x{}", "11".repeat(65)),
        },
    })
}

fn read_batch(payload: &Value) -> Result<BatchPayload, WireProblem> {
    match SchemePayload::parse("batch-settlement", payload)? {
        Some(SchemePayload::Batch(batch)) => Ok(*batch),
        other => panic!("{other:?}"),
    }
}

#[test]
fn signatures_that_the_escrow_refuses_are_refused() {
    let digest = word(0x5a);
    let good = sign(&account(KEY), digest).unwrap();
    assert_eq!(recover(digest, &good).unwrap().to_string(), ADDRESS);

    let with_v = |v: u8| {
        let mut bytes = good;
        bytes[64] = v;
        recover(digest, &bytes)
    };
    for found in [0, 1, 26, 29, 35, 255] {
        assert_eq!(with_v(found), Err(SignatureFault::Parity { found }));
    }
    assert_ne!(
        with_v(if good[64] == 27 { 28 } else { 27 }),
        Ok(ADDRESS.parse().unwrap())
    );
    assert_eq!(recover(digest, &twin(&good)), Err(SignatureFault::HighS));
    // EIP-2098: v in the highest bit of s.
    let mut short = good;
    short[32] |= (good[64] - 27) << 7;
    assert_eq!(
        recover(digest, &short[..64]),
        Err(SignatureFault::Length { found: 64 })
    );
    assert_eq!(
        recover(digest, &[]),
        Err(SignatureFault::Length { found: 0 })
    );
    let mut nothing = [0; 65];
    nothing[64] = 27;
    assert_eq!(recover(digest, &nothing), Err(SignatureFault::NoKey));
    let mut beyond = good;
    beyond[..32].fill(0xff);
    assert_eq!(recover(digest, &beyond), Err(SignatureFault::NoKey));
}

#[test]
fn a_payment_repeats_what_its_terms_say_of_the_resource_and_every_extension() {
    let resource = json!({
        "url": "https://shop.example/v1/chat/completions",
        "description": "Answers",
        "mimeType": "application/json",
        "serviceName": "Shop",
        "tags": ["answers", "of", "a", "later", "version", "too"],
        "iconUrl": 7,
        "unheardOf": { "deep": [1, null, "two"] },
    });
    let extensions = json!({
        "bazaar": { "info": { "input": {} }, "schema": true, "routeTemplate": "/:a" },
        "unheard-of": [{ "a": 1 }],
    });
    let terms = json!({
        "x402Version": 2,
        "resource": resource,
        "accepts": [{ "scheme": "exact" }],
        "extensions": extensions,
    });
    let required = PaymentRequired::decode(&header(&terms)).unwrap();
    let payload = SchemePayload::Batch(Box::new(read_batch(&voucher_payload()).unwrap()));
    let accepted = required.accepts[0].clone();
    let payment = PaymentPayload::answering(&required, accepted, &payload).unwrap();
    assert_eq!(payment.resource, Some(resource));
    assert_eq!(payment.extensions, Some(extensions));
}

#[test]
fn what_is_no_header_is_refused_before_it_is_understood() {
    let shape = |reason: &str| WireProblem::Shape {
        part: "PAYMENT-SIGNATURE",
        reason: reason.to_owned(),
    };
    let whole = json!({ "x402Version": 2, "accepted": {}, "payload": {} });
    assert!(PaymentPayload::decode(&header(&whole)).is_ok());
    let cases = [
        (
            "A".repeat(1 << 20),
            WireProblem::TooLong {
                found: 1 << 20,
                limit: LONGEST_HEADER,
            },
        ),
        (
            "A".repeat(LONGEST_HEADER + 1),
            WireProblem::TooLong {
                found: LONGEST_HEADER + 1,
                limit: LONGEST_HEADER,
            },
        ),
        ("A".repeat(LONGEST_HEADER), WireProblem::Json),
        ("not base64!".into(), WireProblem::Base64),
        ("=".into(), WireProblem::Base64),
        (String::new(), WireProblem::Json),
        (STANDARD.encode(b"\xff\xfe"), WireProblem::Json),
        (STANDARD.encode("{"), WireProblem::Json),
        (STANDARD.encode("[".repeat(4_000)), WireProblem::Json),
        (header(&json!({})), shape("missing field `x402Version`")),
        (
            header(&json!({ "x402Version": "2", "accepted": {}, "payload": {} })),
            shape("invalid type: string \"2\", expected a non-negative whole number"),
        ),
        (
            header(&json!({ "x402Version": 1, "accepted": {}, "payload": {} })),
            WireProblem::Version { found: 1 },
        ),
    ];
    for (text, expected) in cases {
        let shown: String = text.chars().take(60).collect();
        assert_eq!(PaymentPayload::decode(&text), Err(expected), "{shown}");
    }
}

#[test]
fn amounts_are_plain_decimal_texts() {
    let with = |amount: Value| {
        let mut payload = voucher_payload();
        payload["voucher"]["maxClaimableAmount"] = amount;
        read_batch(&payload).map(|batch| batch.voucher.max_claimable_amount)
    };
    assert_eq!(with(json!("0")), Ok(Amount(0)));
    assert_eq!(with(json!(MAX)), Ok(Amount(u128::MAX)));
    let texts = [
        "01",
        "1e3",
        "-1",
        "+1",
        "",
        " 1",
        "1.0",
        "0x10",
        "١",
        "340282366920938463463374607431768211456",
    ];
    for text in texts {
        let reason = format!(
            "expected base units as a decimal number below 2^128 without sign or leading zero, \
             found `{text}`"
        );
        let part = "payload";
        assert_eq!(with(json!(text)), Err(WireProblem::Shape { part, reason }));
    }
    for number in [json!(1000), json!(1e3), json!(null), json!(["1"])] {
        assert!(matches!(
            with(number),
            Err(WireProblem::Shape {
                part: "payload",
                ..
            })
        ));
    }
}

#[test]
fn payloads_are_read_strictly() {
    let edited = |edit: &dyn Fn(&mut Value)| {
        let mut payload = voucher_payload();
        edit(&mut payload);
        read_batch(&payload)
    };
    let good = edited(&|_| {}).unwrap();
    let checksummed = edited(&|it| it["channelConfig"]["token"] = json!(TOKEN));
    assert_eq!(checksummed.as_ref(), Ok(&good));
    let upper = format!("0x{}", TOKEN[2..].to_uppercase());
    let shouted = edited(&|it| it["channelConfig"]["token"] = json!(upper));
    assert_eq!(shouted.as_ref(), Ok(&good));

    let broken: [&dyn Fn(&mut Value); 14] = [
        &|it| it["type"] = json!("withdraw"),
        &|it| it["type"] = json!("deposit"),
        &|it| it["deposit"] = json!({ "amount": "1", "authorization": {} }),
        &|it| it["amount"] = json!("1"),
        &|it| it["channelConfig"]["token"] = json!(TOKEN.replace("fC", "Fc")),
        &|it| it["channelConfig"]["token"] = json!(TOKEN[2..]),
        &|it| it["channelConfig"]["token"] = json!(&TOKEN[..41]),
        &|it| it["channelConfig"]["withdrawDelay"] = json!("900"),
        &|it| it["channelConfig"]["withdrawDelay"] = json!(900.5),
        &|it| it["channelConfig"]["withdrawDelay"] = json!(-900),
        &|it| it["channelConfig"]["salt"] = json!("0x01"),
        &|it| it["voucher"]["channelId"] = json!("../../etc/passwd"),
        &|it| it["voucher"]["signature"] = json!("0x123"),
        &|it| it["voucher"]["signature"] = json!([1, 2]),
    ];
    for (index, edit) in broken.into_iter().enumerate() {
        let read = edited(edit);
        let refused = matches!(
            read,
            Err(WireProblem::Shape {
                part: "payload",
                ..
            })
        );
        assert!(refused, "{index}: {read:?}");
    }
    assert_eq!(SchemePayload::parse("upto", &voucher_payload()), Ok(None));
}

#[test]
fn networks_have_one_spelling() {
    assert_eq!(chain_id("eip155:31337"), Some(31_337));
    for text in [
        "eip155:",
        "eip155:0",
        "eip155:01",
        "eip155:+1",
        "eip155:1 ",
        "EIP155:1",
        "solana:1",
        "31337",
        "eip155:18446744073709551616",
    ] {
        assert_eq!(chain_id(text), None, "{text}");
    }
}

#[test]
fn answers_of_stock_servers_are_read() {
    let required = json!({
        "x402Version": 2,
        "error": "Payment required",
        "resource": { "url": "http://localhost/", "description": "", "mimeType": "" },
        "accepts": [
            { "scheme": "exact", "network": "solana:x", "amount": "1", "asset": "So1", "payTo": "y",
              "maxTimeoutSeconds": 60, "extra": {} },
            { "scheme": "exact", "network": "eip155:31337", "amount": "1500",
              "asset": TOKEN.to_lowercase(), "payTo": ADDRESS, "maxTimeoutSeconds": 300,
              "extra": { "name": "USD Coin", "version": "2", "unheard": 1 } },
        ],
    });
    let required = PaymentRequired::decode(&header(&required)).unwrap();
    let offers: Vec<_> = required.offers().collect();
    assert_eq!(offers.len(), 1);
    let (raw, offer) = &offers[0];
    assert_eq!(raw["extra"]["unheard"], 1);
    assert_eq!(offer.asset.to_string(), TOKEN);
    assert_eq!(offer.amount, Amount(1_500));

    let response = json!({
        "success": true, "payer": ADDRESS, "transaction": "", "network": "eip155:31337",
        "amount": "",
        "extra": {
            "channelState": { "channelId": word(1), "balance": "5000", "totalClaimed": "0",
                "withdrawRequestedAt": 0, "refundNonce": "0", "chargedCumulativeAmount": "1500" },
            "chargedAmount": "1500",
        },
    });
    let read = SettleResponse::decode(&header(&response)).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), response);
    assert_eq!(SettleResponse::decode(&read.encode().unwrap()), Ok(read));
}

proptest! {
    #[test]
    fn no_header_upsets_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let text = String::from_utf8_lossy(&bytes);
        prop_assert!(PaymentPayload::decode(&text).is_err());
        prop_assert!(PaymentPayload::decode(&STANDARD.encode(&bytes)).is_err());
    }

    #[test]
    fn no_signature_upsets_recovery(digest: [u8; 32], bytes in proptest::collection::vec(any::<u8>(), 0..70)) {
        if let Ok(signer) = recover(Word(digest), &bytes) {
            let words = (digest.into(), &bytes[..]);
            let parsed = alloy::primitives::Signature::from_raw(words.1).unwrap();
            let other = parsed.recover_address_from_prehash(&words.0).unwrap();
            prop_assert_eq!(Address::from(other), signer);
        }
    }

    #[test]
    fn every_signature_names_its_maker(digest: [u8; 32]) {
        let signature = sign(&account(KEY), Word(digest)).unwrap();
        prop_assert_eq!(recover(Word(digest), &signature).unwrap().to_string(), ADDRESS);
        prop_assert_eq!(recover(Word(digest), &twin(&signature)), Err(SignatureFault::HighS));
    }
}
