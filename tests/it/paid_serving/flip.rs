//! A payer that is a contract and changes its mind: what it has allowed may be worth nothing when
//! it is claimed.

use alloy::{
    primitives::{Address as RawAddress, Bytes, U256},
    sol,
    sol_types::SolCall,
};
use openlora_chain::registry::{BatchSettlementEscrow as Escrow, DevelopmentToken};
use openlora_contracts::ESCROW;
use openlora_core::{Address, Amount, Word};
use openlora_ledger::ChannelTerms;
use openlora_payments::{
    settlement::ChainSettlement,
    x402::{
        ContractPayers, Reason, SponsorRules,
        digest::EscrowDomain,
        wire::{BatchPayload, SchemePayload, Voucher, VoucherAction},
    },
};
use serde_json::{Value, json};

use super::shop::{CHAIN, Call, Payer, QUOTE, Setup, Shop, cost, required, token};
use crate::{
    devnet_support::FIRST,
    settlement_support::{Market, send},
    x402_support::RULES,
};

sol! {
    interface Flip {
        function set(bool v) external;
        function exec(address t, bytes d) external returns (bytes);
    }
}

/// The wallet of `tests/data/contracts/FlipWallet.sol`, which answers for every signature alike.
struct Wallet<'a> {
    market: &'a Market,
    at: Address,
    config: ChannelTerms,
}

impl<'a> Wallet<'a> {
    /// One with a channel of its own that holds `amount`.
    fn open(market: &'a Market, amount: u128) -> Self {
        let code = include_str!("../../data/contracts/FlipWallet.bin");
        let fields =
            json!({ "from": FIRST, "data": format!("0x{}", code.trim()), "gas": "0x989680" });
        let hash = market.rpc.ok("eth_sendTransaction", json!([fields]));
        let receipt = loop {
            let receipt = market.rpc.ok("eth_getTransactionReceipt", json!([hash]));
            if !receipt.is_null() {
                break receipt;
            }
        };
        let at: Address = receipt["contractAddress"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        let config = ChannelTerms {
            payer: at,
            payer_authorizer: Address::default(),
            ..Payer::to(market.splitter, 1).config
        };
        let mint = DevelopmentToken::mintCall {
            to: at.into(),
            amount: U256::from(amount),
        };
        send(&market.rpc, token(), &mint.abi_encode().into());
        let wallet = Self { market, at, config };
        // It is its own collector, so nobody's signature is needed for its money.
        let deposit = Escrow::depositCall {
            config: (&wallet.config).into(),
            amount,
            collector: RawAddress::from(at),
            collectorData: Bytes::new(),
        };
        let call = Flip::execCall {
            t: ESCROW,
            d: deposit.abi_encode().into(),
        };
        wallet.send(&call);
        wallet
    }

    fn send(&self, call: &impl SolCall) {
        send(&self.market.rpc, self.at, &call.abi_encode().into());
    }

    fn channel(&self) -> Word {
        EscrowDomain::for_chain(CHAIN).channel_id(&self.config)
    }

    fn voucher(&self, max: u128) -> Value {
        let batch = BatchPayload {
            config: self.config.clone().into(),
            voucher: Voucher {
                channel_id: self.channel(),
                max_claimable_amount: Amount(max),
                signature: Bytes::from(vec![1; 65]),
            },
            action: VoucherAction::Voucher,
        };
        serde_json::to_value(SchemePayload::Batch(Box::new(batch))).unwrap()
    }

    fn claimed(&self, shop: &Shop) -> u128 {
        let view = shop.wait(shop.desks[0].channel(self.channel())).unwrap();
        view.claimed.0
    }
}

fn shop(market: &Market, contract_payers: ContractPayers) -> Shop {
    let setup = Setup {
        rules: SponsorRules {
            contract_payers,
            ..RULES
        },
        ..Setup::of(market)
    };
    Shop::open(&market.runtime, setup)
}

#[test]
fn a_wallet_that_flips_is_refused_before_any_work() {
    let market = Market::embedded();
    let wallet = Wallet::open(&market, 5_000);
    let shop = shop(&market, ContractPayers::Refuse);
    let call = Call::usual();
    let payment = shop.payment(&call, &wallet.voucher(QUOTE));
    for ok in [true, false] {
        wallet.send(&Flip::setCall { v: ok });
        let told = required(&shop.send(&call, Some(&payment)));
        assert_eq!(told["error"], Reason::ContractPayer.code());
    }
    assert_eq!(
        (shop.begun(), market.sent(), wallet.claimed(&shop)),
        (0, 0, 0)
    );
    shop.close();
}

#[test]
fn a_wallet_that_flips_has_paid_for_every_answer() {
    let market = Market::embedded();
    let wallet = Wallet::open(&market, 5_000);
    let shop = shop(&market, ContractPayers::Settle);
    let mut paid = 0;
    for round in 1..=2 {
        let call = Call::chat(&format!("w{round} b !end=2"));
        let payment = shop.payment(&call, &wallet.voucher(paid + QUOTE));
        let reply = shop.send(&call, Some(&payment));
        assert_eq!(reply.status, 200, "{reply:?}");
        paid += cost(&reply);
        // Whatever it says from now on, the chain has its money.
        assert_eq!(wallet.claimed(&shop), paid);
    }
    assert_eq!(paid, 2 * QUOTE);
    wallet.send(&Flip::setCall { v: false });
    let (begun, sent) = (shop.begun(), market.sent());
    let call = Call::usual();
    for max in [paid, paid + QUOTE] {
        let payment = shop.payment(&call, &wallet.voucher(max));
        let told = required(&shop.send(&call, Some(&payment)));
        assert_eq!(told["error"], Reason::VoucherSignature.code());
    }
    assert_eq!((shop.begun(), market.sent()), (begun, sent));
    // What it lets happen again is paid again.
    wallet.send(&Flip::setCall { v: true });
    let payment = shop.payment(&call, &wallet.voucher(paid + QUOTE));
    assert_eq!(cost(&shop.send(&call, Some(&payment))), QUOTE);
    assert_eq!(wallet.claimed(&shop), paid + QUOTE);
    shop.settled();
    shop.close();
}
