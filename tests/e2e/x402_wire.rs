//! Headers, digests and signatures of x402: what is read and refused, and that every digest is
//! the one of the stock packages, of viem and of the escrow as it runs on the embedded chain.

use std::{fs, process::Command};

use alloy::{
    primitives::{Bytes, FixedBytes, U256, hex},
    sol,
    sol_types::SolCall,
};
use openlora_contracts::{COLLECTOR, ESCROW};
use openlora_core::{Address, Amount, Word};
use openlora_ledger::ChannelTerms;
use openlora_payments::x402::{
    digest::{EscrowDomain, TokenDomain, deposit_nonce},
    signature::{recover, sign},
    wire::{
        Erc3009, PaymentPayload, SchemePayload, TransferAuthorization, VoucherAction, chain_id,
    },
};
use serde_json::{Value, json};

use crate::{
    devnet_support::Local,
    keys::{ADDRESS, KEY, account},
    sdk::{javascript, run, suite},
    x402_support::{ClaimBatch, ClaimEntry, Refund, escrow_digest},
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

    fn claim_batch(&self, chain_id: u64, channel: Word) -> Word {
        let entry = |claimed| ClaimEntry {
            channelId: channel.into(),
            maxClaimableAmount: self.max.0,
            totalClaimed: claimed,
        };
        let claims = Self::CLAIMED.map(entry).to_vec();
        escrow_digest(chain_id, &ClaimBatch { claims })
    }

    fn refund(chain_id: u64, channel: Word) -> Word {
        let (nonce, amount) = Self::REFUND;
        let refund = Refund {
            channelId: channel.into(),
            nonce: U256::from(nonce),
            amount: amount.0,
        };
        escrow_digest(chain_id, &refund)
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
            "refund": Self::refund(self.chain_id, channel),
            "claimBatch": self.claim_batch(self.chain_id, channel),
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
        assert_eq!(ask(refund.abi_encode()), Case::refund(31_337, channel));
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
            case.claim_batch(31_337, channel)
        );
    }
}
