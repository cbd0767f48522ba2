//! Payers who withdraw while a call of theirs runs: what it costs is claimed before they can have
//! it back.

use std::{sync::Arc, time::Duration};

use alloy::sol_types::SolCall;
use openlora_chain::registry::BatchSettlementEscrow as Escrow;
use openlora_contracts::ESCROW;
use openlora_core::Amount;
use openlora_ledger::{
    CallCharge, CheckedPayment,
    event::{FinishReason, TokenUsage},
};
use openlora_payments::{
    settlement::{ChainSettlement, ChainSettler, SettleTriggers},
    x402::Reason,
};
use openlora_ports::{OfferedCall, PaymentDemand, PaymentGateway, PaymentGuard, RefundAnswer};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::shop::{COST, Call, Payer, QUOTE, Setup, Shop, required};
use crate::{
    settlement_support::{Market, send_from},
    waiting::until,
    x402_support::{deposit, sale},
};

/// Nothing but a withdrawal starts a round.
const NEVER: SettleTriggers = SettleTriggers {
    threshold: Amount(u128::MAX),
    interval: Duration::from_secs(3_600),
};

/// A payer that can pay for gas.
fn rich(market: &Market, payer: &Payer) -> String {
    let address = payer.address().to_string();
    let wealth = json!([address, "0x8ac7230489e80000"]);
    market.rpc.ok("anvil_setBalance", wealth);
    market.rpc.ok("anvil_impersonateAccount", json!([address]));
    address
}

fn begin_withdrawal(market: &Market, payer: &Payer) {
    let call = Escrow::initiateWithdrawCall {
        config: (&payer.config).into(),
        amount: 2_000,
    };
    let from = rich(market, payer);
    send_from(&market.rpc, &from, ESCROW.into(), &call.abi_encode().into());
}

fn end_withdrawal(market: &Market, payer: &Payer) {
    let delay = payer.config.withdraw_delay + 1;
    market.rpc.ok("evm_increaseTime", json!([delay]));
    market.rpc.ok("evm_mine", json!([]));
    let call = Escrow::finalizeWithdrawCall {
        config: (&payer.config).into(),
    };
    let from = rich(market, payer);
    send_from(&market.rpc, &from, ESCROW.into(), &call.abi_encode().into());
}

#[test]
fn a_call_that_runs_when_its_payer_withdraws_is_claimed() {
    let market = Market::embedded();
    let shop = Shop::of(&market);
    let payer = Payer::new(&market, 1, 10_000);
    shop.buys(&Call::usual(), &payer.deposit(QUOTE, 2_000));
    let stop = CancellationToken::new();
    let (treasurer, end) = (ChainSettler::new(Arc::clone(&shop.desks[0])), stop.clone());
    let settling = market
        .runtime
        .spawn(async move { treasurer.run(NEVER, end).await });
    let call = Call::chat("a b !step").with(json!({ "stream": true, "max_tokens": 9 }));
    let call = call.named("running");
    let payment = shop.payment(&call, &payer.voucher(COST + 950));
    let request = call.request(&shop.server.client, &shop.server.url(""), Some(&payment));
    let mut response = shop.wait(request.send()).unwrap();
    shop.server.steps.add_permits(1);
    assert_eq!(response.status(), 200);
    let channel = payer.channel();
    let claimed = async || shop.desks[0].channel(channel).await.unwrap();

    // What was charged before is claimed at once; the running call costs nothing yet.
    begin_withdrawal(&market, &payer);
    shop.wait(until("the claim", async || {
        claimed().await.claimed == Amount(COST)
    }));
    let other = Call::usual();
    let late = shop.payment(&other, &payer.voucher(COST + 950 + QUOTE));
    shop.server.steps.add_permits(8);
    let text = shop.wait(async {
        let mut text = Vec::new();
        while let Some(chunk) = response.chunk().await.unwrap() {
            text.extend_from_slice(&chunk);
        }
        String::from_utf8(text).unwrap()
    });
    assert!(text.contains("[DONE]"), "{text}");
    // The call's end is reason enough to claim again.
    let all = COST + 950;
    assert_eq!(shop.charged(channel), all);
    shop.wait(until("the claim", async || {
        claimed().await.claimed == Amount(all)
    }));
    // Nothing new is begun meanwhile.
    let refused = shop.send(&other, Some(&late));
    assert_eq!(required(&refused)["error"], Reason::Withdrawal.code());

    end_withdrawal(&market, &payer);
    assert_eq!(market.balance(payer.address()), 10_000 - all);
    stop.cancel();
    market.runtime.block_on(settling).unwrap();
    let figures = shop.settled().remove(0);
    assert_eq!((figures.charged.0, figures.settled.0), (all, all));
    assert_eq!(market.balance(market.splitter), all);
    shop.close();
}

/// A till whose tabs run out of time soon.
struct HastyCashier(Arc<dyn PaymentGateway>);

struct HastyTab(Box<dyn PaymentGuard>);

#[async_trait::async_trait]
impl PaymentGateway for HastyCashier {
    fn terms(&self, sale: &OfferedCall) -> PaymentDemand {
        self.0.terms(sale)
    }

    async fn open(
        &self,
        sale: &OfferedCall,
        payment: &str,
    ) -> Result<Box<dyn PaymentGuard>, PaymentDemand> {
        let tab = self.0.open(sale, payment).await?;
        Ok(Box::new(HastyTab(tab)))
    }

    async fn refund(
        &self,
        sale: &OfferedCall,
        payment: &str,
    ) -> Result<RefundAnswer, PaymentDemand> {
        self.0.refund(sale, payment).await
    }
}

#[async_trait::async_trait]
impl PaymentGuard for HastyTab {
    fn name(&mut self, request_id: &str) {
        self.0.name(request_id);
    }

    async fn reserved(&mut self) -> Result<(), PaymentDemand> {
        self.0.reserved().await
    }

    async fn commit(&mut self) -> Result<(), PaymentDemand> {
        self.0.commit().await
    }

    fn payment(&self) -> &CheckedPayment {
        self.0.payment()
    }

    fn response(&self, charge: &CallCharge) -> String {
        self.0.response(charge)
    }

    fn time_limit(&self) -> Option<Duration> {
        assert_eq!(self.0.time_limit(), Some(Duration::from_secs(225)));
        Some(Duration::from_secs(1))
    }

    fn check_charge(&self, charge: &CallCharge) -> Result<(), (String, Box<CallCharge>)> {
        self.0.check_charge(charge)
    }
}

#[test]
fn a_call_ends_while_what_it_costs_can_be_claimed() {
    let market = Market::embedded();
    let setup = Setup {
        cashier: Box::new(|cashier| -> Arc<dyn PaymentGateway> { Arc::new(HastyCashier(cashier)) }),
        ..Setup::of(&market)
    };
    let shop = Shop::open(&market.runtime, setup);
    let payer = Payer::new(&market, 1, 10_000);
    payer.fills(&market, 2_000);
    // Two tokens come, and no more ever.
    let calls = [("streamed", true, 0), ("whole", false, 250)];
    for (number, (name, stream, max)) in calls.into_iter().enumerate() {
        let call = Call::chat("a b !step").with(json!({ "stream": stream, "max_tokens": 9 }));
        let call = call.named(name);
        let payment = shop.payment(&call, &payer.voucher(max + 950));
        shop.server.steps.add_permits(2);
        let reply = shop.send(&call, Some(&payment));
        assert_eq!(reply.status, 200, "{reply:?}");
        let two = TokenUsage {
            prompt_tokens: 5,
            completion_tokens: 2,
        };
        let counted = shop.wait(shop.server.metered_nth(number + 1));
        assert_eq!(counted, (two, FinishReason::Length));
        assert_eq!(shop.charged(payer.channel()), max + 250);
    }
    shop.settled();
    shop.close();
}

#[test]
fn a_call_that_waited_for_its_turn_until_its_payer_withdrew_is_refused() {
    let stand = crate::x402_support::Stand::new();
    let buyer = stand.market.buyer(1, 100_000);
    let config = buyer.config(1);
    let first = sale(1_000);
    let paid = deposit(&buyer, &config, 1_000, (5_000, 1));
    stand.call(&first, &paid, 1_000).unwrap();
    let second = sale(1_000);
    let voucher = crate::x402_support::voucher(&buyer, &config, 2_000);
    let mut tab = stand.open(&second, &voucher).ok().unwrap();
    assert_eq!(tab.time_limit(), Some(Duration::from_secs(225)));
    let payer = buyer.address().to_string();
    let wealth = json!([payer, "0x8ac7230489e80000"]);
    stand.market.rpc.ok("anvil_setBalance", wealth);
    stand
        .market
        .rpc
        .ok("anvil_impersonateAccount", json!([payer]));
    let call = Escrow::initiateWithdrawCall {
        config: (&config).into(),
        amount: 5_000,
    };
    let data = call.abi_encode().into();
    send_from(&stand.market.rpc, &payer, ESCROW.into(), &data);
    stand.wait(stand.seller.desk.refresh()).unwrap();
    let unpaid = stand.wait(tab.commit()).unwrap_err();
    let expected = stand.because(&second, Reason::Withdrawal);
    assert_eq!(crate::x402_support::refusal(unpaid), expected);
}
