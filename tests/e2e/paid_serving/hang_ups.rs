//! Work is paid for: callers who hang up, send without paying, or do not read.

use std::{future::poll_fn, sync::Arc, task::Poll, time::Duration};

use axum::{body::Body, http::Request, response::Response};
use openlora_core::Word;
use openlora_engine::{Engine, EngineError, LabelProbabilities, Prompt};
use openlora_ledger::event::{Event, EventRecord, FinishReason, TokenUsage};
use openlora_ports::{OfferedCall, PaymentDemand, PaymentGateway, PaymentGuard, RefundAnswer};
use openlora_serve::AddressAllowances;
use serde_json::json;
use tokio::{io::AsyncWriteExt, net::TcpStream, sync::Semaphore};
use tower::ServiceExt;

use super::shop::{CHAIN, COST, Call, Payer, QUOTE, Setup, Shop, charges, cost, offer};
use crate::settlement_support::Market;
use crate::waiting;
use crate::wrapped_engine::{EngineChange, wrapped};
use crate::x402_support::header;

/// Classifications wait for a permit, and report that they were asked for.
struct Gated {
    asked: Semaphore,
    let_go: Semaphore,
}

#[async_trait::async_trait]
impl EngineChange for Gated {
    async fn classify(
        &self,
        inner: &dyn Engine,
        prompt: Prompt,
        labels: &[String],
    ) -> Result<LabelProbabilities, EngineError> {
        self.asked.add_permits(1);
        self.let_go.acquire().await.unwrap().forget();
        inner.classify(prompt, labels).await
    }
}

/// What a classified text costs.
const TEXT: u128 = 500;

#[test]
fn classifications_that_were_hung_up_on_are_charged_and_kept() {
    let market = Market::embedded();
    let gated = Arc::new(Gated {
        asked: Semaphore::new(0),
        let_go: Semaphore::new(0),
    });
    let change = Arc::clone(&gated);
    let setup = Setup {
        engine: Box::new(move |engine| wrapped(engine, Arc::clone(&change) as _)),
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
            gated.asked.acquire().await.unwrap().forget();
            running.abort();
            assert!(running.await.is_err());
            gated.let_go.add_permits(1);
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

/// How a call is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Stream,
    Whole,
    Classify,
    /// A stream that a transfer pays for.
    Transfer,
}

impl Form {
    /// The `number`th call; all of one form are offered for the same, and cost it.
    fn call(self, number: usize) -> Call {
        match self {
            Self::Classify => Call {
                path: "/v1/classify",
                body: json!({ "model": "filter", "input": format!("spam {number}") }),
                id: None,
            },
            Self::Transfer => {
                let call = Call::chat(&format!("a b t{number}")).with(json!({ "stream": true }));
                call.named(&format!("transfer-{number}"))
            }
            _ => {
                let stream = json!({ "stream": self == Self::Stream });
                Call::chat(&format!("a b c{number}")).with(stream)
            }
        }
    }

    fn price(self) -> u128 {
        match self {
            Self::Classify => TEXT,
            _ => QUOTE,
        }
    }
}

/// A request to the server's routes, whose future is dropped once it was polled so often: at once,
/// or when it was `woken` and would be polled again.
async fn dropped(
    shop: &Shop,
    request: Request<Body>,
    (polls, woken): (usize, bool),
) -> Option<Response> {
    let mut answer = Box::pin(shop.router.clone().oneshot(request));
    let mut left = polls;
    let polled = poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match answer.as_mut().poll(context) {
            Poll::Ready(response) => Poll::Ready(Some(response.unwrap())),
            Poll::Pending if left == 0 && !woken => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    });
    waiting::within("a poll", polled).await
}

fn request(call: &Call, payment: &str) -> Request<Body> {
    let mut request = Request::post(call.path)
        .header("host", "localhost")
        .header("content-type", "application/json")
        .header("payment-signature", payment);
    if let Some(id) = &call.id {
        request = request.header("idempotency-key", id);
    }
    request.body(Body::from(call.body.to_string())).unwrap()
}

/// Every charge of a channel begins where the one before it ended, and the ledger ends where the
/// last one did. Returns how many calls never began.
#[track_caller]
fn in_line(shop: &Shop, channel: Word) -> usize {
    let all_counted = async || {
        let is = |record: &EventRecord, kind: fn(&Event) -> bool| kind(&record.event);
        let records = shop.records();
        let count = |kind| records.iter().filter(|it| is(it, kind)).count();
        count(|it| matches!(it, Event::CallReserved { .. }))
            == count(|it| matches!(it, Event::CallMetered { .. }))
    };
    shop.wait(waiting::until("every call to be counted", all_counted));
    let (mut total, mut never_began) = (0, 0);
    for record in shop.records() {
        let Event::CallMetered {
            usage,
            finish,
            charge: Some(charge),
            ..
        } = record.event
        else {
            continue;
        };
        if usage == TokenUsage::default() {
            assert_eq!((finish, charge.amount.0), (FinishReason::Failed, 0));
            never_began += 1;
        }
        if charge.id == channel {
            assert_eq!(charge.cumulative.0 - charge.amount.0, total, "{charge:?}");
            total = charge.cumulative.0;
        }
    }
    assert_eq!(shop.charged(channel), total);
    never_began
}

/// Every payment that came is charged at most once.
#[track_caller]
fn charged_once(shop: &Shop) {
    for (id, max, charges) in charges(&shop.records()) {
        let paid = charges.iter().filter(|it| **it > 0).count();
        assert!(paid <= 1, "{id} {max}: {charges:?}");
    }
}

#[test]
fn a_call_that_is_dropped_at_any_point_is_charged_in_journal_and_ledger_or_in_neither() {
    let market = Market::embedded();
    let shop = Shop::of(&market);
    let payer = Payer::new(&market, 1, 1_000_000);
    shop.buys(&Form::Whole.call(0), &payer.deposit(QUOTE, 500_000));
    let mut number = 0;
    for form in [Form::Stream, Form::Whole, Form::Classify, Form::Transfer] {
        let offers = shop.required(&form.call(0))["accepts"].clone();
        let before = in_line(&shop, payer.channel());
        let mut never_began = before;
        // Which polls fall between a call's reservation and its begin depends on the machine's load.
        for round in 1.. {
            let mut answers = 0;
            for polls in 1.. {
                answers = 0;
                for woken in [false, true] {
                    number += 1;
                    let call = form.call(number);
                    let payload = match form {
                        Form::Transfer => payer.exact(QUOTE, number as u64),
                        _ => payer.voucher(shop.charged(payer.channel()) + form.price()),
                    };
                    let payment = header(offer(&offers, CHAIN, &payload), &payload);
                    let answer =
                        shop.wait(dropped(&shop, request(&call, &payment), (polls, woken)));
                    answers += usize::from(answer.is_some());
                    // Nobody reads what came.
                    drop(answer);
                    // The same request with the same payment gets its answer, and is charged once.
                    let again = shop.send(&call, Some(&payment));
                    assert_eq!(again.status, 200, "{form:?} {polls} {woken}: {again:?}");
                    never_began = in_line(&shop, payer.channel());
                    charged_once(&shop);
                }
                if answers == 2 {
                    break;
                }
                assert!(polls < 1_000, "it never ends");
            }
            assert_eq!(answers, 2);
            if form != Form::Stream || never_began > before {
                break;
            }
            assert!(round < 10, "no stream was left before it began");
        }
    }
    shop.settled();
    shop.close();
}

#[test]
fn streams_that_are_hung_up_on_at_once_leave_one_total_per_call() {
    let market = Market::embedded();
    let shop = Shop::of(&market);
    let payer = Payer::new(&market, 1, 1_000_000);
    shop.buys(&Form::Whole.call(0), &payer.deposit(QUOTE, 500_000));
    let offers = shop.required(&Form::Stream.call(0))["accepts"].clone();
    let mut answered = QUOTE;
    for number in 1..=60_usize {
        let (first, other) = (Form::Stream.call(number), Form::Whole.call(1_000 + number));
        let total = shop.charged(payer.channel()) + QUOTE;
        let payload = payer.voucher(total);
        let payment = header(offer(&offers, CHAIN, &payload), &payload);
        let body = first.body.to_string();
        let head = format!(
            "POST {} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             payment-signature: {payment}\r\ncontent-length: {}\r\n\r\n{body}",
            first.path,
            body.len()
        );
        let pause = Duration::from_micros((number as u64 * 613) % 4_000);
        shop.wait(async {
            let mut socket = TcpStream::connect(shop.server.address).await.unwrap();
            socket.write_all(head.as_bytes()).await.unwrap();
            tokio::time::sleep(pause).await;
        });
        // Of two requests with one total one is answered, whichever comes first.
        let taken = shop.send(&other, Some(&payment)).status == 200;
        let again = shop.send(&first, Some(&payment));
        let fetched = again.status == 200;
        assert!(!(taken && fetched), "one total paid two calls: {again:?}");
        in_line(&shop, payer.channel());
        charged_once(&shop);
        answered = answered.max(shop.charged(payer.channel()));
    }
    // A call that costs all that is allowed is claimed like any other.
    let total = shop.charged(payer.channel()) + QUOTE;
    let payload = payer.voucher(total);
    let payment = header(offer(&offers, CHAIN, &payload), &payload);
    let dear = shop.send(&Form::Whole.call(5_000), Some(&payment));
    assert_eq!((dear.status, cost(&dear)), (200, QUOTE));
    assert!(shop.charged(payer.channel()) > answered);
    let figures = shop.settled().remove(0);
    assert_eq!(figures.claimed.0, shop.charged(payer.channel()));
    shop.close();
}

#[test]
fn a_refund_whose_asker_hangs_up_leaves_no_call_unpaid() {
    let market = Market::embedded();
    let shop = Shop::of(&market);
    let terms = shop.required(&Form::Whole.call(0));
    let offers = &terms["accepts"];
    for polls in 1.. {
        let mut answers = 0;
        for woken in [false, true] {
            let number = 2 * polls + usize::from(woken);
            let payer = Payer::new(&market, number as u64, 10_000);
            shop.buys(&Form::Whole.call(number), &payer.deposit(QUOTE, 5_000));
            let payload = payer.refund(QUOTE);
            let refund = Request::get("/v1/chat/completions?model=persona")
                .header("host", "localhost")
                .header(
                    "payment-signature",
                    header(offer(offers, CHAIN, &payload), &payload),
                );
            let refund = refund.body(Body::empty()).unwrap();
            let answer = shop.wait(dropped(&shop, refund, (polls, woken)));
            answers += usize::from(answer.is_some());
            // Paid, or refused because the money is on its way back.
            let payload = payer.voucher(2 * QUOTE);
            let payment = header(offer(offers, CHAIN, &payload), &payload);
            let next = shop.send(&Form::Whole.call(10_000 + number), Some(&payment));
            assert!(
                [200, 402].contains(&next.status),
                "{polls} {woken}: {next:?}"
            );
            in_line(&shop, payer.channel());
        }
        if answers == 2 {
            break;
        }
        assert!(polls < 1_000, "it never ends");
    }
    shop.settled();
    shop.close();
}

/// A flood of large requests without payment, from the payer's own address.
#[test]
fn unpaid_requests_use_up_an_allowance_and_payers_go_on() {
    let market = Market::embedded();
    let setup = Setup {
        // As good as nothing comes back, however long the requests take.
        unpaid: AddressAllowances {
            unpaid_bytes_per_second: 1,
            ..AddressAllowances::default()
        },
        ..Setup::of(&market)
    };
    let shop = Shop::open(&market.runtime, setup);
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
