//! EIP-712 digests, compared with those of an implementation that shares no code with this one.

use alloy::primitives::{Bytes, U256};
use openlora_contracts::ESCROW;
use openlora_core::{Address, Amount, Word};
use openlora_ledger::ChannelTerms;
use openlora_payments::x402::{
    binding::{BindingDomain, RefundFee, RefundRequest},
    digest::{EscrowDomain, TokenDomain, deposit_nonce},
    wire::TransferAuthorization,
};

use crate::keys::ADDRESS;

const TOKEN: &str = "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913";
const CHANNEL: &str = "0xe5fedf10b465c7dd804d2fd778809e647a7876d801d1211a6bf4cdbd34762a0c";

fn channel() -> Word {
    CHANNEL.parse().unwrap()
}

#[test]
fn channels_and_vouchers_have_the_digests_of_the_escrow() {
    let terms = ChannelTerms {
        payer: ADDRESS.parse().unwrap(),
        payer_authorizer: ADDRESS.parse().unwrap(),
        receiver: Address([0x11; 20]),
        receiver_authorizer: Address([0x22; 20]),
        token: TOKEN.parse().unwrap(),
        withdraw_delay: 900,
        salt: Word([0xab; 32]),
    };
    let domain = EscrowDomain::for_chain(31_337);
    assert_eq!(domain.channel_id(&terms), channel());
    assert_eq!(
        domain.voucher(channel(), Amount(u128::MAX)).to_string(),
        "0x0a98635c48245b3a6cca9e11a0975b7e5860eb8fc0d30a5ee4cc74127162fb8c"
    );
    assert_eq!(
        deposit_nonce(channel(), Word([0x5a; 32])).to_string(),
        "0x842c53275f15a9142f354bd6ae531bdcf3bf8efbf9b0af944ae6e83361306a8a"
    );
}

#[test]
fn authorizations_have_the_digests_of_the_token() {
    let authorization = TransferAuthorization {
        from: ADDRESS.parse().unwrap(),
        to: Address([0x33; 20]),
        value: Amount(u128::MAX),
        valid_after: U256::ZERO,
        valid_before: U256::MAX,
        nonce: Word([0xcd; 32]),
    };
    let domain = TokenDomain::for_token("USD Coin", "2", 8453, TOKEN.parse().unwrap());
    assert_eq!(
        domain.receive(&authorization).to_string(),
        "0x9482c422a7fbeee3c871b3dd87c7ab309422b338f144b89adea36b01d6640c84"
    );
    assert_eq!(
        domain.transfer(&authorization).to_string(),
        "0xe546e83788b788d52e43166399acd8f716193e3074ae160087b97e9bff316fd2"
    );
}

#[test]
fn requests_have_the_digests_that_earlier_versions_signed() {
    let domain = BindingDomain::for_contract(31_337, ESCROW.into());
    assert_eq!(
        domain
            .request(channel(), Amount(1_000), Word([0x77; 32]))
            .to_string(),
        "0x8705f055e6657c828cac4381eb5f1e3de46ebe086a9e5e88ae9032e926629c9b"
    );
    let refund = |amount, fee| {
        let request = RefundRequest {
            amount,
            refund_nonce: 3,
            valid_before: 1_800_000_000,
            fee,
            signature: Bytes::new(),
        };
        request.digest(domain, channel()).to_string()
    };
    assert_eq!(
        refund(None, None),
        "0x515aa143e42e2dfafe971798129f0ae5af8341343b8ebaa58070e1eca37783f7"
    );
    assert_eq!(
        refund(Some(Amount(7)), None),
        "0xac0102dea7267e3cf95001b4aa6e1a885b46e8788e5606dffb449f19b709e6fc"
    );
    let fee = RefundFee {
        amount: Amount(20),
        max_claimable_amount: Amount(1_020),
        signature: Bytes::new(),
    };
    assert_eq!(
        refund(Some(Amount(7)), Some(fee)),
        "0xe7be1d36acd9a1fc4e5811ee8f77a5a25ac24ab70fb304ea1b99cd097f51849b"
    );
}
