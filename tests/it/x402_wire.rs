//! Headers, digests and signatures of x402: what is read and refused, and that every digest is
//! the one of the stock packages, of viem and of the escrow as it runs on the embedded chain.

use std::{fs, process::Command};

use alloy::{
    primitives::{Bytes, FixedBytes, U256, hex},
    sol,
    sol_types::SolCall,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use openlora_contracts::{COLLECTOR, ESCROW};
use openlora_core::{Address, Amount, Word};
use openlora_ledger::ChannelTerms;
use openlora_payments::x402::{
    digest::{ClaimEntry, EscrowDomain, TokenDomain, deposit_nonce},
    signature::{SignatureFault, recover, sign},
    wire::{
        BatchPayload, Erc3009, LONGEST_HEADER, PaymentPayload, PaymentRequired, SchemePayload,
        SettleResponse, TransferAuthorization, VoucherAction, WireProblem, chain_id,
    },
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    deploy_support::account,
    devnet_support::Local,
    sdk::{javascript, run, suite},
    wallet::{ADDRESS, KEY},
};

sol! {
    struct Terms {
        address payer;
        address payerAuthorizer;
        address receiver;
        address receiverAuthorizer;
        address token;
        uint40 withdrawDelay;
        bytes32 salt;
    }
    struct Ceiling { Terms channel; uint128 maxClaimableAmount; }
    struct Row { Ceiling voucher; bytes signature; uint128 totalClaimed; }
    function getChannelId(Terms config) external view returns (bytes32);
    function getVoucherDigest(bytes32 channelId, uint128 max) external view returns (bytes32);
    function getRefundDigest(bytes32 channelId, uint256 nonce, uint128 amount) external view returns (bytes32);
    function getClaimBatchDigest(Row[] claims) external view returns (bytes32);
}

const TOKEN: &str = "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913";
const MAX: &str = "340282366920938463463374607431768211455";

fn word(byte: u8) -> Word {
    Word([byte; 32])
}

fn config(payer: Address, delay: u64) -> ChannelTerms {
    ChannelTerms {
        payer,
        payer_authorizer: payer,
        receiver: Address([0x11; 20]),
        receiver_authorizer: Address([0x22; 20]),
        token: TOKEN.parse().unwrap(),
        withdraw_delay: delay,
        salt: word(0xab),
    }
}

fn terms(config: &ChannelTerms) -> Terms {
    Terms {
        payer: config.payer.into(),
        payerAuthorizer: config.payer_authorizer.into(),
        receiver: config.receiver.into(),
        receiverAuthorizer: config.receiver_authorizer.into(),
        token: config.token.into(),
        withdrawDelay: config.withdraw_delay.try_into().unwrap(),
        salt: config.salt.0.into(),
    }
}

fn authorization() -> TransferAuthorization {
    TransferAuthorization {
        from: ADDRESS.parse().unwrap(),
        to: Address([0x33; 20]),
        value: Amount(u128::MAX),
        valid_after: U256::ZERO,
        valid_before: U256::MAX,
        nonce: word(0xcd),
    }
}

/// One set of inputs, and what the domains here make of it.
struct Case {
    chain_id: u64,
    config: ChannelTerms,
    max: Amount,
}

impl Case {
    const REFUND: (u64, Amount) = (7, Amount(1_234_567));
    const CLAIMED: [u128; 2] = [0, 900];

    fn all() -> Vec<Self> {
        let payer = ADDRESS.parse().unwrap();
        let case = |chain_id, config, max| Self {
            chain_id,
            config,
            max: Amount(max),
        };
        let contract = ChannelTerms {
            payer_authorizer: Address::ZERO,
            ..config(payer, 2_592_000)
        };
        vec![
            case(31_337, config(payer, 900), 1_000),
            case(8453, config(payer, 86_400), u128::MAX),
            case(31_338, contract, 1),
        ]
    }

    /// With addresses as some clients write them: in lower case.
    fn input(&self) -> Value {
        let lower = |address: &Address| address.to_string().to_lowercase();
        let config = &self.config;
        let auth = authorization();
        json!({
            "requirements": {
                "scheme": "exact",
                "network": format!("eip155:{}", self.chain_id),
                "amount": "1500",
                "asset": lower(&config.token),
                "payTo": lower(&config.receiver),
                "maxTimeoutSeconds": 60,
                "extra": { "name": "USD Coin", "version": "2" },
            },
            "config": {
                "payer": lower(&config.payer),
                "payerAuthorizer": lower(&config.payer_authorizer),
                "receiver": lower(&config.receiver),
                "receiverAuthorizer": lower(&config.receiver_authorizer),
                "token": lower(&config.token),
                "withdrawDelay": config.withdraw_delay,
                "salt": config.salt,
            },
            "max": self.max,
            "refund": { "nonce": Self::REFUND.0.to_string(), "amount": Self::REFUND.1 },
            "claimed": Self::CLAIMED.map(Amount),
            "authorization": auth,
        })
    }

    fn entries(&self, channel: Word) -> Vec<ClaimEntry> {
        let entry = |claimed| ClaimEntry {
            channel,
            max: self.max,
            claimed: Amount(claimed),
        };
        Self::CLAIMED.map(entry).to_vec()
    }

    fn token_domain(&self) -> TokenDomain {
        TokenDomain::for_token("USD Coin", "2", self.chain_id, self.config.token)
    }

    fn output(&self) -> Value {
        let domain = EscrowDomain::for_chain(self.chain_id);
        let channel = domain.channel_id(&self.config);
        let voucher = domain.voucher(channel, self.max);
        json!({
            "channelId": channel,
            "voucher": voucher,
            "refund": domain.refund(channel, Self::REFUND.0, Self::REFUND.1),
            "claimBatch": domain.claim_batch(&self.entries(channel)),
            "transfer": self.token_domain().transfer(&authorization()),
            "receive": self.token_domain().receive(&authorization()),
            "signature": hex::encode_prefixed(sign(&account(KEY), voucher).unwrap()),
        })
    }
}

/// What the script of the suite prints for these inputs.
fn stock(cases: &[Case]) -> Vec<Value> {
    let folder = javascript("x402");
    let script = folder.join("digests.mjs");
    fs::copy(suite("x402").join("digests.mjs"), &script).unwrap();
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("input.json");
    let inputs: Vec<Value> = cases.iter().map(Case::input).collect();
    fs::write(&path, json!({ "key": KEY, "cases": inputs }).to_string()).unwrap();
    let said = run(Command::new("node").arg(script).arg(path));
    serde_json::from_str(&said).unwrap()
}

#[test]
fn digests_signatures_and_headers_equal_those_of_the_stock_packages() {
    let cases = Case::all();
    for (case, mut said) in cases.iter().zip(stock(&cases)) {
        let headers = said.as_object_mut().unwrap();
        let deposit = headers.remove("depositHeader").unwrap();
        let exact = headers.remove("exactHeader").unwrap();
        assert_eq!(said, case.output());
        check_deposit(case, deposit.as_str().unwrap());
        check_exact(case, exact.as_str().unwrap());
    }
}

fn check_deposit(case: &Case, header: &str) {
    let payment = PaymentPayload::decode(header).unwrap();
    let accepted = payment.accepted().unwrap();
    assert_eq!(chain_id(&accepted.network), Some(case.chain_id));
    let batch = SchemePayload::parse("batch-settlement", &payment.payload).unwrap();
    let Some(SchemePayload::Batch(batch)) = batch else {
        panic!("{batch:?}")
    };
    let VoucherAction::Deposit(deposit) = &batch.action else {
        panic!("{batch:?}")
    };
    let found = ChannelTerms::from(batch.config.clone());
    assert_eq!(found, case.config);
    let domain = EscrowDomain::for_chain(case.chain_id);
    let channel = domain.channel_id(&found);
    assert_eq!(batch.voucher.channel_id, channel);
    let digest = domain.voucher(channel, case.max);
    assert_eq!(
        recover(digest, &batch.voucher.signature).unwrap(),
        found.payer
    );
    let Some(Erc3009 {
        valid_after,
        valid_before,
        salt,
        signature,
    }) = deposit.authorization.erc3009.clone()
    else {
        panic!("{deposit:?}")
    };
    let authorization = TransferAuthorization {
        from: found.payer,
        to: COLLECTOR.into(),
        value: deposit.amount,
        valid_after,
        valid_before,
        nonce: deposit_nonce(channel, salt),
    };
    let digest = case.token_domain().receive(&authorization);
    assert_eq!(recover(digest, &signature).unwrap(), found.payer);
    repeats(&payment, &SchemePayload::Batch(batch));
}

fn check_exact(case: &Case, header: &str) {
    let payment = PaymentPayload::decode(header).unwrap();
    let exact = SchemePayload::parse("exact", &payment.payload).unwrap();
    let Some(SchemePayload::Exact(exact)) = exact else {
        panic!("{exact:?}")
    };
    let digest = case.token_domain().transfer(&exact.authorization);
    assert_eq!(
        recover(digest, &exact.signature).unwrap(),
        case.config.payer
    );
    assert_eq!(exact.authorization.value, Amount(1_500));
    repeats(&payment, &SchemePayload::Exact(exact));
}

/// What was read is written with the same values; only the case of addresses may differ.
fn repeats(payment: &PaymentPayload, payload: &SchemePayload) {
    let lower = |value: &Value| value.to_string().to_lowercase();
    let written = serde_json::to_value(payload).unwrap();
    let sorted = |value: &Value| -> Value {
        // Object keys are compared without their order.
        serde_json::from_str(&lower(value)).unwrap()
    };
    assert_eq!(sorted(&written), sorted(&payment.payload));
    let again = PaymentPayload::decode(&payment.encode().unwrap()).unwrap();
    assert_eq!(&again, payment);
}

#[test]
fn digests_equal_what_the_escrow_computes() {
    let home = tempfile::tempdir().unwrap();
    let chain = Local::with_contracts(home.path());
    let ask = |data: Vec<u8>| -> Word {
        let call = json!({ "to": ESCROW, "data": hex::encode_prefixed(data) });
        let said = chain.ok("eth_call", json!([call, "latest"]));
        said.as_str().unwrap().parse().unwrap()
    };
    let domain = EscrowDomain::for_chain(31_337);
    for case in Case::all() {
        let config = terms(&case.config);
        let channel = domain.channel_id(&case.config);
        assert_eq!(ask(getChannelIdCall { config }.abi_encode()), channel);
        let (channel_id, max) = (FixedBytes(channel.0), case.max.0);
        let voucher = getVoucherDigestCall {
            channelId: channel_id,
            max,
        };
        assert_eq!(ask(voucher.abi_encode()), domain.voucher(channel, case.max));
        let (nonce, amount) = Case::REFUND;
        let refund = getRefundDigestCall {
            channelId: channel_id,
            nonce: U256::from(nonce),
            amount: amount.0,
        };
        assert_eq!(
            ask(refund.abi_encode()),
            domain.refund(channel, nonce, amount)
        );
        let row = |claimed| Row {
            voucher: Ceiling {
                channel: terms(&case.config),
                maxClaimableAmount: max,
            },
            signature: Bytes::new(),
            totalClaimed: claimed,
        };
        let claims = Case::CLAIMED.map(row).to_vec();
        assert_eq!(
            ask(getClaimBatchDigestCall { claims }.abi_encode()),
            domain.claim_batch(&case.entries(channel))
        );
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

/// The equal signature with the other s.
pub fn twin(signature: &[u8; 65]) -> [u8; 65] {
    let order = "0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
    let order: U256 = order.parse().unwrap();
    let s = order - U256::from_be_slice(&signature[32..64]);
    let mut twin = *signature;
    twin[32..64].copy_from_slice(&s.to_be_bytes::<32>());
    twin[64] = 55 - signature[64];
    twin
}

fn header(value: &Value) -> String {
    STANDARD.encode(value.to_string())
}

fn voucher_payload() -> Value {
    let case = &Case::all()[0];
    let channel = EscrowDomain::for_chain(31_337).channel_id(&case.config);
    json!({
        "type": "voucher",
        "channelConfig": case.input()["config"],
        "voucher": {
            "channelId": channel,
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
            shape("invalid type: string \"2\", expected u64"),
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
