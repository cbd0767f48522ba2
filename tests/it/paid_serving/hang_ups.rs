//! Work is paid for: callers who hang up, send without paying, or do not read.

use std::sync::Arc;

use openlora_engine::{
    Engine, EngineError, EngineLimits, GenerationStream, LabelProbabilities, Prompt, SamplingParams,
};
use openlora_ledger::event::FinishReason;
use openlora_ports::{OfferedCall, PaymentDemand, PaymentGateway, PaymentGuard, RefundAnswer};
use serde_json::json;
use tokio::sync::Semaphore;

use super::shop::{COST, Call, Payer, QUOTE, Setup, Shop, cost};
use crate::settlement_support::Market;
use crate::waiting;

/// Classifies once it is let; says when it was asked.
struct Gated {
    engine: Arc<dyn Engine>,
    asked: Arc<Semaphore>,
    let_go: Arc<Semaphore>,
}

#[async_trait::async_trait]
impl Engine for Gated {
    fn limits(&self) -> EngineLimits {
        self.engine.limits()
    }

    async fn count_prompt(&self, prompt: &Prompt) -> Result<u64, EngineError> {
        self.engine.count_prompt(prompt).await
    }

    async fn generate(
        &self,
        prompt: Prompt,
        sampling: SamplingParams,
    ) -> Result<GenerationStream, EngineError> {
        self.engine.generate(prompt, sampling).await
    }

    async fn classify(
        &self,
        prompt: Prompt,
        labels: &[String],
    ) -> Result<LabelProbabilities, EngineError> {
        self.asked.add_permits(1);
        self.let_go.acquire().await.unwrap().forget();
        self.engine.classify(prompt, labels).await
    }
}

/// What a classified text costs.
const TEXT: u128 = 500;

#[test]
fn classifications_that_were_hung_up_on_are_charged_and_kept() {
    let market = Market::embedded();
    let (asked, let_go) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (on_asked, on_let_go) = (Arc::clone(&asked), Arc::clone(&let_go));
    let setup = Setup {
        engine: Box::new(move |engine| {
            Arc::new(Gated {
                engine,
                asked: Arc::clone(&on_asked),
                let_go: Arc::clone(&on_let_go),
            })
        }),
        ..Setup::of(&market)
    };
    let shop = Shop::open(&market.runtime, setup);
    let payer = Payer::new(&market, 1, 100_000);
    let mut charged = 0;
    for number in 0..8 {
        let call = Call {
            path: "/v1/classify",
            body: json!({ "model": "filter", "input": format!("pure spam {number}") }),
            id: Some(format!("hung-{number}")),
        };
        let payload = match number {
            0 => payer.deposit(TEXT, 50_000),
            _ => payer.voucher(charged + TEXT),
        };
        let payment = shop.payment(&call, &payload);
        let (_, finish) = shop.wait(async {
            let request = call.request(&shop.server.client, &shop.server.url(""), Some(&payment));
            let running = tokio::spawn(request.send());
            asked.acquire().await.unwrap().forget();
            running.abort();
            assert!(running.await.is_err());
            let_go.add_permits(1);
            shop.server.metered_nth(number + 1).await
        });
        assert_eq!(finish, FinishReason::Stop);
        charged += TEXT;
        assert_eq!(shop.charged(payer.channel()), charged);
        // The same payment gets what it paid for, without the model.
        let again = shop.send(&call, Some(&payment));
        assert_eq!((again.status, cost(&again)), (200, TEXT));
        assert_eq!(again.json()["label"], "spam");
    }
    assert_eq!(shop.begun(), 8);
    assert_eq!(shop.settled().remove(0).charged.0, 8 * TEXT);
    shop.close();
}

#[test]
fn a_whole_answer_that_was_hung_up_on_is_charged_for_every_token() {
    let market = Market::embedded();
    let shop = Shop::of(&market);
    let payer = Payer::new(&market, 1, 10_000);
    let call = Call::chat("a b !step").with(json!({ "max_tokens": 9 }));
    let call = call.named("hung");
    let payment = shop.payment(&call, &payer.deposit(950, 2_000));
    let (usage, finish) = shop.wait(async {
        let request = call.request(&shop.server.client, &shop.server.url(""), Some(&payment));
        let running = tokio::spawn(request.send());
        waiting::until("the call to begin", async || shop.begun() > 0).await;
        running.abort();
        assert!(running.await.is_err());
        shop.server.steps.add_permits(9);
        shop.server.metered_nth(1).await
    });
    assert_eq!((usage.completion_tokens, finish), (9, FinishReason::Length));
    assert_eq!(shop.charged(payer.channel()), 950);
    let again = shop.send(&call, Some(&payment));
    assert_eq!((again.status, cost(&again)), (200, 950));
    shop.close();
}

/// A flood of large requests without payment, from the payer's own address.
#[test]
fn unpaid_requests_use_up_an_allowance_and_payers_go_on() {
    let market = Market::embedded();
    let shop = Shop::of(&market);
    let payer = Payer::new(&market, 1, 10_000);
    let call = Call::usual();
    let first = shop.payment(&call, &payer.deposit(QUOTE, 2_000));
    let second = shop.payment(&call, &payer.voucher(COST + QUOTE));
    assert_eq!(shop.send(&call, Some(&first)).status, 200);
    let large = Call::chat(&"x".repeat(7_000));
    let refused = (0..5_000).find_map(|_| {
        let found = shop.send(&large, None);
        match found.status {
            402 => None,
            429 => Some(found),
            other => panic!("{other}: {found:?}"),
        }
    });
    let refused = refused.expect("the allowance ends");
    assert_eq!(refused.json()["error"]["code"], "unpaid_limit");
    assert!(refused.header("retry-after").is_some());
    let served = shop.send(&call, Some(&second));
    assert_eq!((served.status, cost(&served)), (200, COST));
    assert_eq!(shop.begun(), 2);
    shop.close();
}

/// A till whose chains were not heard of for long.
struct Deaf(Arc<dyn PaymentGateway>);

#[async_trait::async_trait]
impl PaymentGateway for Deaf {
    fn terms(&self, sale: &OfferedCall) -> PaymentDemand {
        self.0.terms(sale)
    }

    async fn open(
        &self,
        sale: &OfferedCall,
        payment: &str,
    ) -> Result<Box<dyn PaymentGuard>, PaymentDemand> {
        self.0.open(sale, payment).await
    }

    fn ready(&self) -> Result<(), String> {
        self.0.ready()?;
        Err("Nothing was heard.".to_owned())
    }

    async fn refund(
        &self,
        sale: &OfferedCall,
        payment: &str,
    ) -> Result<RefundAnswer, PaymentDemand> {
        self.0.refund(sale, payment).await
    }
}

#[test]
fn a_server_whose_chain_is_silent_says_that_it_is_not_ready() {
    let market = Market::embedded();
    let shop = Shop::of(&market);
    let payer = Payer::new(&market, 1, 10_000);
    // A payment looks at the chain.
    shop.buys(&Call::usual(), &payer.deposit(QUOTE, 2_000));
    assert_eq!(shop.wait(shop.server.get("/ready")).status, 200);
    shop.close();
    let setup = Setup {
        cashier: Box::new(|cashier| Arc::new(Deaf(cashier))),
        ..Setup::of(&market)
    };
    let shop = Shop::open(&market.runtime, setup);
    shop.buys(&Call::usual(), &payer.voucher(COST + QUOTE));
    let ready = shop.wait(shop.server.get("/ready"));
    let error = ready.json()["error"].clone();
    assert_eq!(
        (ready.status, error["code"].as_str()),
        (503, Some("chain_unavailable"))
    );
    assert_eq!(error["message"], "Nothing was heard.");
    assert_eq!(ready.header("retry-after"), Some("1"));
    shop.close();
}
