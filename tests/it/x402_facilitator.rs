//! The facilitator on a real chain: what another seller asks it to check and to put there.

use openlora::{
    runtime::{
        ledger::{Address, Amount, ChannelConfig},
        ports::{Facilitator, Unserved},
    },
    wallet::x402::{
        Clearing, Reason,
        digest::{ClaimEntry, EscrowDomain},
        signature::sign,
        wire::Deed,
    },
};
use serde_json::{Value, json};

use crate::{
    deploy_support::{OWN, account},
    settlement_support::{Buyer, channel_id},
    wallet::{ADDRESS, KEY},
    x402_support::{Stand, TOKEN_NAME, batch, deposit, exact, state, voucher},
};

/// Another seller, who has no chain of its own.
const SHOP: Address = Address([0x55; 20]);

struct Seller {
    stand: Stand,
    clearing: Clearing,
    buyer: Buyer,
    config: ChannelConfig,
}

impl Seller {
    fn new() -> Self {
        let stand = Stand::new();
        let clearing = Clearing::new(stand.counters(), OWN.parse().unwrap());
        let buyer = stand.market.buyer(1, 100_000);
        let config = ChannelConfig {
            receiver: SHOP,
            receiver_authorizer: ADDRESS.parse().unwrap(),
            withdraw_delay: 3_600,
            ..buyer.config(1)
        };
        Self {
            stand,
            clearing,
            buyer,
            config,
        }
    }

    fn offer(&self, scheme: &str) -> Value {
        json!({
            "scheme": scheme,
            "network": "eip155:31337",
            "amount": "1000",
            "asset": self.stand.market.token.to_string().to_lowercase(),
            "payTo": SHOP,
            "maxTimeoutSeconds": 60,
            "extra": {
                "name": TOKEN_NAME,
                "version": "1",
                "receiverAuthorizer": ADDRESS,
                "withdrawDelay": 3_600,
            },
        })
    }

    fn body(&self, scheme: &str, payload: &Value) -> Value {
        let offer = self.offer(scheme);
        json!({
            "x402Version": 2,
            "paymentPayload": { "x402Version": 2, "accepted": offer, "payload": payload },
            "paymentRequirements": offer,
        })
    }

    fn verify(&self, body: Value) -> Result<Value, Unserved> {
        self.stand.wait(self.clearing.verify(body))
    }

    fn settle(&self, body: Value) -> Result<Value, Unserved> {
        self.stand.wait(self.clearing.settle(body))
    }

    /// A row of a claim, and the authorizer's signature over it alone.
    fn claimed(&self, max: u128, total: u128) -> (Value, Value) {
        let row = json!({
            "voucher": {
                "channel": voucher(&self.buyer, &self.config, max)["channelConfig"],
                "maxClaimableAmount": Amount(max),
            },
            "signature": self.buyer.voucher(&self.config, max),
            "totalClaimed": Amount(total),
        });
        let entry = ClaimEntry {
            channel: channel_id(&self.config),
            max: Amount(max),
            claimed: Amount(total),
        };
        (
            row,
            authorized(EscrowDomain::of(31_337).claim_batch(&[entry])),
        )
    }
}

fn authorized(digest: openlora::runtime::ledger::Word) -> Value {
    json!(alloy::hex::encode_prefixed(
        sign(&account(KEY), digest).unwrap()
    ))
}

fn invalid(payer: &Buyer, reason: Reason) -> Value {
    json!({
        "isValid": false,
        "invalidReason": reason.code(),
        "invalidMessage": reason.message(),
        "payer": payer.address(),
    })
}

fn failed(reason: Reason) -> Value {
    json!({
        "success": false,
        "errorReason": reason.code(),
        "errorMessage": reason.message(),
        "transaction": "",
        "network": "eip155:31337",
    })
}

/// As the facilitator tells of a channel: it knows nothing of charges.
fn seen(channel: openlora::runtime::ledger::Word, balance: u128, claimed: u128) -> Value {
    let mut seen = state(channel, balance, claimed, 0);
    seen.as_object_mut()
        .unwrap()
        .remove("chargedCumulativeAmount");
    seen
}

#[test]
fn both_schemes_are_supported_and_no_authorizer_is_lent() {
    let seller = Seller::new();
    let kind =
        |scheme: &str| json!({ "x402Version": 2, "scheme": scheme, "network": "eip155:31337" });
    let expected = json!({
        "kinds": [kind("batch-settlement"), kind("exact")],
        "extensions": [],
        "signers": { "eip155:*": [OWN] },
    });
    assert_eq!(seller.clearing.supported(), expected);
}

#[test]
fn an_exact_payment_is_cleared_for_another_seller() {
    let seller = Seller::new();
    let mut transfer = seller.buyer.transfer(1_000, 1);
    transfer.to = SHOP;
    let said = openlora::wallet::x402::wire::Authorization {
        from: transfer.from,
        to: SHOP,
        value: transfer.value,
        valid_after: transfer.valid_after,
        valid_before: transfer.valid_before,
        nonce: transfer.nonce,
    };
    let domain = crate::x402_support::token_domain(seller.stand.market.token);
    transfer.signature = crate::x402_support::signed(&seller.buyer, domain.transfer(&said));
    let body = seller.body("exact", &exact(&transfer));
    let valid = json!({ "isValid": true, "payer": seller.buyer.address() });
    assert_eq!(seller.verify(body.clone()), Ok(valid));
    let settled = seller.settle(body).unwrap();
    let expected = json!({
        "success": true,
        "payer": seller.buyer.address(),
        "transaction": settled["transaction"],
        "network": "eip155:31337",
        "amount": "1000",
    });
    assert_eq!(settled, expected);
    assert_eq!(seller.stand.market.balance(SHOP), 1_000);

    let mut short = seller.body("exact", &exact(&transfer));
    short["paymentRequirements"]["amount"] = json!("1001");
    let answer = seller.verify(short);
    assert_eq!(answer, Ok(invalid(&seller.buyer, Reason::ExactValue)));
    let mut named = seller.body("exact", &exact(&transfer));
    named["paymentRequirements"]["extra"]["name"] = json!("USD");
    let answer = seller.verify(named);
    assert_eq!(answer, Ok(invalid(&seller.buyer, Reason::TokenName)));
}

#[test]
fn a_channel_is_cleared_from_deposit_to_refund() {
    let seller = Seller::new();
    let (buyer, config) = (&seller.buyer, &seller.config);
    let channel = channel_id(config);
    let scheme = "batch-settlement";
    let body = seller.body(scheme, &deposit(buyer, config, 1_000, (5_000, 1)));
    let valid = |balance, claimed| {
        json!({
            "isValid": true,
            "payer": buyer.address(),
            "extra": seen(channel, balance, claimed),
        })
    };
    assert_eq!(seller.verify(body.clone()), Ok(valid(0, 0)));
    let settled = seller.settle(body).unwrap();
    let expected = json!({
        "success": true,
        "payer": buyer.address(),
        "transaction": settled["transaction"],
        "network": "eip155:31337",
        "amount": "5000",
        "extra": { "channelState": seen(channel, 5_000, 0) },
    });
    assert_eq!(settled, expected);

    let paid = seller.body(scheme, &voucher(buyer, config, 2_000));
    assert_eq!(seller.verify(paid), Ok(valid(5_000, 0)));
    let dear = seller.body(scheme, &voucher(buyer, config, 5_001));
    let answer = seller.verify(dear);
    assert_eq!(answer, Ok(invalid(buyer, Reason::AboveBalance)));
    let forged = batch(config, 2_000, buyer.voucher(config, 1_999), Deed::Voucher);
    let answer = seller.verify(seller.body(scheme, &forged));
    assert_eq!(answer, Ok(invalid(buyer, Reason::VoucherSignature)));

    let (row, signature) = seller.claimed(2_000, 1_500);
    let mut claim = json!({ "type": "claim", "claims": [row] });
    let unsigned = seller.settle(seller.body(scheme, &claim));
    assert_eq!(unsigned, Ok(failed(Reason::AuthorizerMissing)));
    claim["claimAuthorizerSignature"] = seller.claimed(2_000, 1_499).1;
    let forged = seller.settle(seller.body(scheme, &claim));
    assert_eq!(forged, Ok(failed(Reason::ClaimRefused)));
    claim["claimAuthorizerSignature"] = signature;
    let settle = json!({ "type": "settle", "receiver": SHOP, "token": config.token });
    let early = seller.settle(seller.body(scheme, &settle));
    assert_eq!(early, Ok(failed(Reason::NothingToSettle)));
    let claimed = seller.settle(seller.body(scheme, &claim)).unwrap();
    assert_eq!(claimed["success"], true);
    let sent = seller.settle(seller.body(scheme, &settle)).unwrap();
    assert_eq!(
        (&sent["success"], &sent["amount"]),
        (&json!(true), &json!("1500"))
    );
    assert_eq!(seller.stand.market.balance(SHOP), 1_500);

    let (row, signature) = seller.claimed(2_000, 2_000);
    let digest = EscrowDomain::of(31_337).refund(channel, 0, Amount(9_999));
    let mut refund = voucher(buyer, config, 2_000);
    refund["type"] = json!("refund");
    refund["amount"] = json!("9999");
    refund["refundNonce"] = json!("0");
    refund["claims"] = json!([row]);
    refund["claimAuthorizerSignature"] = signature;
    refund["refundAuthorizerSignature"] = authorized(digest);
    let told = seller.settle(seller.body(scheme, &refund)).unwrap();
    assert_eq!(
        (&told["success"], &told["amount"]),
        (&json!(true), &json!("3000"))
    );
    assert_eq!(seller.stand.market.balance(buyer.address()), 98_000);
}

#[test]
fn requests_for_other_things_are_told_apart() {
    let seller = Seller::new();
    let paid = voucher(&seller.buyer, &seller.config, 1_000);
    let body = seller.body("batch-settlement", &paid);
    let cases = [
        (
            "/paymentRequirements/scheme",
            json!("exact"),
            Reason::ExactScheme,
        ),
        (
            "/paymentPayload/accepted/scheme",
            json!("exact"),
            Reason::BatchScheme,
        ),
        (
            "/paymentRequirements/scheme",
            json!("upto"),
            Reason::UnsupportedScheme,
        ),
        (
            "/paymentRequirements/network",
            json!("eip155:1"),
            Reason::BatchNetwork,
        ),
        ("/paymentRequirements/asset", json!(SHOP), Reason::Token),
    ];
    for (path, value, reason) in cases {
        let mut body = body.clone();
        *body.pointer_mut(path).unwrap() = value;
        let mut expected = invalid(&seller.buyer, reason);
        expected.as_object_mut().unwrap().remove("payer");
        assert_eq!(seller.verify(body), Ok(expected), "{path}");
    }
    let message = "Invalid request: `body` is not as expected: missing field `paymentPayload`.";
    let malformed = Err(Unserved::Malformed {
        message: message.into(),
    });
    assert_eq!(seller.verify(json!({})), malformed);
    assert_eq!(seller.settle(json!({})), malformed);
    let nothing = seller.settle(body).unwrap();
    assert_eq!(nothing["errorReason"], Reason::ChannelNotFound.code());
}
