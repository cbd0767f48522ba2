//! The facilitator on a real chain: what another seller asks it to check and to put there.

use alloy::primitives::U256;
use openlora_core::{Address, Amount};
use openlora_ledger::ChannelTerms;
use openlora_payments::{
    settlement::{ChainSettlement, TransferPermit},
    x402::{FacilitatorService, Reason, signature::sign, wire::VoucherAction},
};
use openlora_ports::{Facilitator, FacilitatorError, PaymentGateway};
use serde_json::{Value, json};

use crate::{
    deploy_support::{Act, Proxy},
    keys::{ADDRESS, KEY, OWN, account},
    settlement_support::{Buyer, channel_id},
    x402_support::{
        ClaimBatch, ClaimEntry, Refund, Stand, TOKEN_NAME, batch, deposit, escrow_digest, exact,
        header, moved, refusal, sale, state, submission, voucher,
    },
};

/// Another seller, who has no chain of its own.
pub const SHOP: Address = Address([0x55; 20]);

pub struct Seller {
    pub stand: Stand,
    pub clearing: FacilitatorService,
    pub buyer: Buyer,
    pub config: ChannelTerms,
}

impl Seller {
    pub fn new() -> Self {
        Self::at(Stand::new())
    }

    fn at(stand: Stand) -> Self {
        let clearing = FacilitatorService::new(stand.counters(), OWN.parse().unwrap());
        let buyer = stand.market.buyer(1, 100_000);
        let config = ChannelTerms {
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

    /// The same after a restart.
    fn again(self) -> Self {
        let Self {
            stand,
            clearing,
            buyer,
            config,
        } = self;
        drop(clearing);
        let stand = stand.again();
        Self {
            clearing: FacilitatorService::new(stand.counters(), OWN.parse().unwrap()),
            stand,
            buyer,
            config,
        }
    }

    /// A transfer to somebody.
    pub fn transfer(&self, nonce: u64, to: Address) -> TransferPermit {
        let mut transfer = self.buyer.transfer(1_000, nonce);
        transfer.to = to;
        let said = openlora_payments::x402::wire::TransferAuthorization {
            from: transfer.from,
            to,
            value: transfer.value,
            valid_after: transfer.valid_after,
            valid_before: transfer.valid_before,
            nonce: transfer.nonce,
        };
        let domain = crate::x402_support::token_domain(self.stand.market.token);
        transfer.signature = crate::x402_support::signed(&self.buyer, domain.transfer(&said));
        transfer
    }

    /// A request for something that the other seller sells.
    fn request(&self, thing: &str, scheme: &str, payload: &Value) -> Value {
        let mut body = self.body(scheme, payload);
        body["paymentPayload"]["resource"] = json!({ "url": thing });
        body
    }

    /// Both routes say that the authorization is used.
    #[track_caller]
    fn is_used(&self, body: &Value) {
        let verified = self.verify(body.clone());
        assert_eq!(verified, Ok(invalid(&self.buyer, Reason::ExactUsed)));
        let mut expected = failed(Reason::ExactUsed);
        expected["payer"] = json!(self.buyer.address());
        assert_eq!(self.settle(body.clone()), Ok(expected));
    }

    pub fn offer(&self, scheme: &str) -> Value {
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

    pub fn body(&self, scheme: &str, payload: &Value) -> Value {
        let offer = self.offer(scheme);
        json!({
            "x402Version": 2,
            "paymentPayload": { "x402Version": 2, "accepted": offer, "payload": payload },
            "paymentRequirements": offer,
        })
    }

    fn verify(&self, body: Value) -> Result<Value, FacilitatorError> {
        self.stand.wait(self.clearing.verify(body))
    }

    pub fn settle(&self, body: Value) -> Result<Value, FacilitatorError> {
        self.stand.wait(self.clearing.settle_payment(body))
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
            channelId: channel_id(&self.config).into(),
            maxClaimableAmount: max,
            totalClaimed: total,
        };
        let claims = vec![entry];
        (
            row,
            authorized(escrow_digest(31_337, &ClaimBatch { claims })),
        )
    }
}

fn authorized(digest: openlora_core::Word) -> Value {
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
fn seen(channel: openlora_core::Word, balance: u128, claimed: u128) -> Value {
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
    let transfer = seller.transfer(1, SHOP);
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

    let transfer = seller.transfer(2, SHOP);
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
    let settled = seller.settle(body.clone()).unwrap();
    let expected = json!({
        "success": true,
        "payer": buyer.address(),
        "transaction": settled["transaction"],
        "network": "eip155:31337",
        "amount": "5000",
        "extra": { "channelState": seen(channel, 5_000, 0) },
    });
    assert_eq!(settled, expected);
    // It is confirmed once.
    seller.is_used(&body);

    let paid = seller.body(scheme, &voucher(buyer, config, 2_000));
    assert_eq!(seller.verify(paid), Ok(valid(5_000, 0)));
    let dear = seller.body(scheme, &voucher(buyer, config, 5_001));
    let answer = seller.verify(dear);
    assert_eq!(answer, Ok(invalid(buyer, Reason::AboveBalance)));
    let forged = batch(
        config,
        2_000,
        buyer.voucher(config, 1_999),
        VoucherAction::Voucher,
    );
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
    let refund = Refund {
        channelId: channel.into(),
        nonce: U256::ZERO,
        amount: 9_999,
    };
    let digest = escrow_digest(31_337, &refund);
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
    let malformed = Err(FacilitatorError::Malformed {
        message: message.into(),
    });
    assert_eq!(seller.verify(json!({})), malformed);
    assert_eq!(seller.settle(json!({})), malformed);
    let nothing = seller.settle(body).unwrap();
    assert_eq!(nothing["errorReason"], Reason::ChannelNotFound.code());
}

#[test]
fn a_payment_is_confirmed_once_whatever_is_bought() {
    let seller = Seller::new();
    let paid = exact(&seller.transfer(1, SHOP));
    let first = seller.request("http://shop/1", "exact", &paid);
    assert_eq!(seller.settle(first.clone()).unwrap()["success"], true);
    for thing in ["http://shop/1", "http://shop/2", "http://shop/3"] {
        seller.is_used(&seller.request(thing, "exact", &paid));
    }
    let seller = seller.again();
    seller.is_used(&first);
    seller.is_used(&seller.request("http://shop/4", "exact", &paid));
    assert_eq!(seller.stand.market.balance(SHOP), 1_000);

    // A hundred at once, for a hundred things.
    let paid = exact(&seller.transfer(2, SHOP));
    let bodies: Vec<Value> = (0..100)
        .map(|it| seller.request(&format!("http://shop/{it}"), "exact", &paid))
        .collect();
    let answers = seller.stand.wait(async {
        let all = bodies
            .iter()
            .map(|it| seller.clearing.settle_payment(it.clone()));
        futures::future::join_all(all).await
    });
    let told = answers.iter().map(|it| it.as_ref().unwrap());
    let (good, bad): (Vec<&Value>, Vec<&Value>) = told.partition(|it| it["success"] == true);
    assert_eq!((good.len(), bad.len()), (1, 99));
    assert!(
        bad.iter()
            .all(|it| it["errorReason"] == Reason::ExactUsed.code())
    );
    assert_eq!(seller.stand.market.balance(SHOP), 2_000);
}

#[test]
fn what_others_have_used_is_not_confirmed() {
    let seller = Seller::new();
    let market = &seller.stand.market;
    // A transfer that somebody else has submitted, and a cancelled one.
    let strange = seller.transfer(1, SHOP);
    let data = submission(&strange);
    crate::settlement_support::send(&market.rpc, market.token, &data);
    seller.is_used(&seller.body("exact", &exact(&strange)));
    let void = seller.transfer(2, SHOP);
    seller.stand.cancel(&seller.buyer, void.nonce);
    seller.is_used(&seller.body("exact", &exact(&void)));
    assert_eq!(market.balance(SHOP), 1_000);
    assert_eq!(market.sent(), 0);
    // Nor a deposit that is there.
    let paid = seller.buyer.deposit(&seller.config, 5_000, 1);
    let (_, again) = seller.stand.wait(async {
        let made = seller.stand.seller.desk.deposit(&paid).await.unwrap();
        (made, seller.stand.seller.desk.check_deposit(&paid).await)
    });
    again.unwrap();
    let payload = deposit(&seller.buyer, &seller.config, 1_000, (5_000, 1));
    seller.is_used(&seller.body("batch-settlement", &payload));
}

#[test]
fn one_transfer_pays_a_call_here_or_is_confirmed_to_another() {
    let seller = Seller::new();
    let (stand, ours) = (&seller.stand, seller.stand.market.splitter);
    let to_us = |body: Value| {
        let mut body = body;
        for path in ["/paymentPayload/accepted", "/paymentRequirements"] {
            body.pointer_mut(path).unwrap()["payTo"] = json!(ours);
        }
        body
    };
    // Called first.
    let paid = exact(&seller.transfer(1, ours));
    stand.call(&sale(1_000), &paid, 1_000).unwrap();
    seller.is_used(&to_us(seller.body("exact", &paid)));
    // Paid for a call that was not answered yet.
    let owed = exact(&seller.transfer(2, ours));
    let mut tab = stand.open(&sale(1_000), &owed).ok().unwrap();
    stand.wait(tab.commit()).unwrap();
    drop(tab);
    seller.is_used(&to_us(seller.body("exact", &owed)));
    // Cleared first.
    let paid = exact(&seller.transfer(3, ours));
    let settled = seller.settle(to_us(seller.body("exact", &paid))).unwrap();
    assert_eq!(settled["success"], true);
    let late = sale(1_000);
    assert_eq!(
        stand.refused(&late, &paid),
        stand.because(&late, Reason::ExactUsed)
    );
    let sale = sale(1_000);
    let header = header(&stand.offers(&sale)[1], &paid);
    let seller = seller.again();
    let stand = &seller.stand;
    let opened = stand.wait(stand.till.open(&sale, &header));
    let unpaid = match opened {
        Err(unpaid) => unpaid,
        Ok(mut tab) => stand.wait(tab.commit()).unwrap_err(),
    };
    assert_eq!(refusal(unpaid), stand.because(&sale, Reason::ExactUsed));
    // To whomever a nonce was spent.
    let elsewhere = exact(&seller.transfer(4, SHOP));
    let settled = seller.settle(seller.body("exact", &elsewhere)).unwrap();
    assert_eq!(settled["success"], true);
    let twin = exact(&seller.transfer(4, ours));
    let stand = &seller.stand;
    assert_eq!(
        stand.refused(&sale, &twin),
        stand.because(&sale, Reason::ExactUsed)
    );
}

#[test]
fn the_same_request_goes_on_after_an_unknown_outcome_and_no_other_does() {
    for restart in [false, true] {
        let market = crate::settlement_support::Market::embedded();
        let lost = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
        let on = std::sync::Arc::clone(&lost);
        let proxy = Proxy::new(market.chain.url(), move |method, _, _| {
            let is_lost = on.load(std::sync::atomic::Ordering::SeqCst);
            match method {
                "eth_getTransactionReceipt" if is_lost => {
                    Act::Refuse(json!({ "code": -32000, "message": "overloaded" }))
                }
                _ => Act::Forward,
            }
        });
        let stand = Stand::through(market, &proxy.url, |_| {});
        let mut seller = Seller::at(stand);
        let paid = exact(&seller.transfer(1, SHOP));
        let first = seller.request("http://shop/1", "exact", &paid);
        let other = seller.request("http://shop/2", "exact", &paid);
        let pending = seller.settle(first.clone()).unwrap();
        assert_eq!(pending["errorReason"], Reason::Pending.code());
        seller.is_used(&other);
        lost.store(false, std::sync::atomic::Ordering::SeqCst);
        if restart {
            seller = seller.again();
        }
        seller.is_used(&other);
        let valid = json!({ "isValid": true, "payer": seller.buyer.address() });
        assert_eq!(seller.verify(first.clone()), Ok(valid));
        let settled = seller.settle(first.clone()).unwrap();
        assert_eq!(
            (&settled["success"], &settled["transaction"]),
            (&json!(true), &pending["transaction"])
        );
        seller.is_used(&first);
        seller.is_used(&other);
        assert_eq!(seller.stand.market.balance(SHOP), 1_000);
        assert_eq!(seller.stand.market.sent(), 1);
    }
}

#[test]
fn a_request_that_sent_nothing_leaves_its_authorization_free() {
    let seller = Seller::new();
    let paid = exact(&seller.transfer(1, SHOP));
    let (token, rpc) = (seller.stand.market.token, &seller.stand.market.rpc);
    let (buyer, friend) = (seller.buyer.address(), Address([0x56; 20]));
    moved(rpc, token, (buyer, friend), 100_000);
    let body = seller.request("http://shop/1", "exact", &paid);
    let refused = seller.settle(body).unwrap();
    assert_eq!(refused["errorReason"], Reason::ExactRefused.code());
    moved(rpc, token, (friend, buyer), 100_000);
    let other = seller.request("http://shop/2", "exact", &paid);
    assert_eq!(seller.settle(other).unwrap()["success"], true);
}
