//! What a payer does not get it does not pay for: a wrong adapter, a prompt that does not fit, a full
//! queue, an adapter that was unloaded, and one for which there is no memory, on both engines; and an
//! answer for whose keys and values there is no memory.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use futures::StreamExt;
use openlora_engine::{
    Engine, EngineError, EngineSpec, GenerationStream, ModelLoader, Prompt, Quant, SamplingParams,
};
use openlora_ledger::event::{Event, FinishReason};
use openlora_mistral::MistralLoader;
use openlora_model::{BaseModel, adapter};
use openlora_native::{NativeLoader, NativeSettings};
use openlora_serve::ServeLimits;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::shop::{CHAT, Call, LIMITS, PRICES, Payer, Setup, Shop, cost, required};
use crate::{
    live::golden,
    serve_support::{OPERATOR, Reply, chat, reply, with},
    settlement_support::Market,
    waiting,
    wrapped_engine::{EngineChange, wrapped},
};

const FUNDS: u128 = 1_000_000;

/// The adapters that `persona` and `filter` stand for.
const FACTORS: [&str; 2] = ["llama.all-linear", "llama.rslora"];

/// Each answer waits for a permit.
struct EnginePause {
    permits: Semaphore,
    /// Answers that came to it.
    begun: AtomicUsize,
}

#[async_trait::async_trait]
impl EngineChange for EnginePause {
    async fn generate(
        &self,
        inner: &dyn Engine,
        prompt: Prompt,
        sampling: SamplingParams,
    ) -> Result<GenerationStream, EngineError> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        self.permits.acquire().await.unwrap().forget();
        inner.generate(prompt, sampling).await
    }
}

/// Answers end after some tokens as the native engine's do when the system gives no memory for their
/// keys and values.
struct LittleMemory {
    /// Tokens that still find memory.
    tokens: AtomicUsize,
}

#[async_trait::async_trait]
impl EngineChange for LittleMemory {
    async fn generate(
        &self,
        inner: &dyn Engine,
        prompt: Prompt,
        sampling: SamplingParams,
    ) -> Result<GenerationStream, EngineError> {
        let tokens = self.tokens.load(Ordering::SeqCst);
        let answer = inner.generate(prompt, sampling).await?;
        let starved = EngineError::Busy {
            name: "persona".to_owned(),
            reason: "there is no memory for the keys and values of its tokens".to_owned(),
        };
        let end = futures::stream::once(async { Err(starved) });
        Ok(Box::pin(answer.take(tokens).chain(end)))
    }
}

/// A shop that sells the answers of real engines, one at a time.
struct RealShop {
    market: Market,
    shop: Shop,
    pause: Arc<EnginePause>,
    buyers: AtomicUsize,
}

impl RealShop {
    fn with(loader: &dyn ModelLoader, limits: ServeLimits) -> Self {
        let market = Market::embedded();
        let base = BaseModel::open_dir("llama", &golden("llama")).unwrap();
        let load = async |name: &str| {
            let adapter = adapter::read(&golden(name)).unwrap();
            let spec = EngineSpec {
                name: name.to_owned(),
                base: &base,
                adapter: Some(&adapter),
                quant: Quant::F32,
            };
            loader.load(spec).await.unwrap().engine
        };
        let engines = market.runtime.block_on(async {
            let [persona, filter] = FACTORS;
            [load(persona).await, load(filter).await]
        });
        let pause = Arc::new(EnginePause {
            permits: Semaphore::new(0),
            begun: AtomicUsize::new(0),
        });
        let (paused, made) = (Arc::clone(&pause), AtomicUsize::new(0));
        let setup = Setup {
            limits,
            engine: Box::new(move |words| -> Arc<dyn Engine> {
                // `mood` is nobody's.
                match engines.get(made.fetch_add(1, Ordering::SeqCst)) {
                    Some(engine) => wrapped(Arc::clone(engine), Arc::clone(&paused) as _),
                    None => words,
                }
            }),
            ..Setup::of(&market)
        };
        let shop = Shop::open(&market.runtime, setup);
        Self {
            market,
            shop,
            pause,
            buyers: AtomicUsize::new(1),
        }
    }

    /// A new payer with its payment for a call, at the price of `priced`.
    fn buyer(&self, priced: &Call) -> (Payer, String) {
        let number = self.buyers.fetch_add(1, Ordering::SeqCst) as u64;
        let payer = Payer::new(&self.market, number, FUNDS);
        let offers = self.shop.required(priced);
        let quote = offers["accepts"][0]["amount"].as_str().unwrap();
        let payload = payer.deposit(quote.parse().unwrap(), FUNDS);
        let payment = self.shop.payment(priced, &payload);
        (payer, payment)
    }

    /// What a refused call says. Its payer has all of its money, and nothing of it is recorded.
    #[track_caller]
    fn refused(&self, call: &Call, priced: &Call) -> (u16, Value) {
        let (payer, payment) = self.buyer(priced);
        let (before, sent) = (self.reserved(), self.market.sent());
        let reply = self.shop.send(call, Some(&payment));
        assert_eq!((self.reserved(), self.market.sent()), (before, sent));
        assert_eq!(self.market.balance(payer.address()), FUNDS);
        assert_eq!(self.shop.charged(payer.channel()), 0);
        (reply.status, reply.json())
    }

    fn reserved(&self) -> usize {
        let records = self.shop.records();
        let is = |event: &Event| matches!(event, Event::CallReserved { .. });
        records.iter().filter(|record| is(&record.event)).count()
    }

    /// Runs `meanwhile` while a paid call waits for its permit, and returns the call's answer.
    fn during_a_call(&self, call: &Call, meanwhile: impl FnOnce()) -> Reply {
        let (payer, payment) = self.buyer(call);
        let begun = self.pause.begun.load(Ordering::SeqCst);
        let (client, url) = (self.shop.server.client.clone(), self.shop.server.url(""));
        let (call, sent) = (call.clone(), payment.clone());
        let running = self
            .market
            .runtime
            .spawn(async move { call.ask(&client, &url, Some(&sent)).await.unwrap() });
        waiting::wait_until("the call to begin", || {
            self.pause.begun.load(Ordering::SeqCst) == begun + 1
        });
        meanwhile();
        self.pause.permits.add_permits(1);
        let reply = self.shop.wait(running).unwrap();
        assert_eq!(reply.status, 200, "{reply:?}");
        assert_eq!(self.shop.charged(payer.channel()), cost(&reply));
        assert!(cost(&reply) > 0);
        reply
    }
}

fn call(model: &str, content: &str) -> Call {
    Call {
        path: CHAT,
        body: with(chat(model, content), json!({ "max_tokens": 3 })),
        id: None,
    }
}

fn error(message: &str, kind: &str, param: Value, code: &str) -> Value {
    json!({ "error": { "message": message, "type": kind, "param": param, "code": code } })
}

fn nothing_is_paid_for_what_is_not_delivered(loader: &dyn ModelLoader) {
    let limits = ServeLimits {
        max_concurrent: 1,
        parallel: 1,
        queue: 0,
        ..LIMITS
    };
    let real = RealShop::with(loader, limits);
    let usual = call("persona", "hello");
    // An adapter that is not there.
    let wrong = real.refused(&call("persna", "hello"), &usual);
    let message = "The model 'persna' does not exist. Did you mean 'persona'?";
    let missing = error(
        message,
        "invalid_request_error",
        json!("model"),
        "model_not_found",
    );
    assert_eq!(wrong, (404, missing));
    // A prompt that leaves no room in the context.
    let (status, long) = real.refused(&call("persona", &"hello ".repeat(200)), &usual);
    assert_eq!(
        (status, &long["error"]["code"]),
        (400, &json!("context_length_exceeded")),
        "{long}"
    );
    // A queue without a place.
    let other = call("filter", "hello");
    real.during_a_call(&usual, || {
        let message = "All turns are taken and 0 calls wait; try again shortly.";
        let full = error(message, "rate_limit_error", Value::Null, "queue_full");
        assert_eq!(real.refused(&other, &other), (429, full));
    });
    // An adapter that is unloaded during a call, which is answered and paid for.
    real.during_a_call(&usual, || {
        let unload = real.shop.server.url("/v1/unload_lora_adapter");
        let unload = real.shop.server.client.post(unload).bearer_auth(OPERATOR);
        let unload = unload.json(&json!({ "lora_name": "persona" }));
        assert_eq!(real.shop.wait(reply(unload)).status, 200);
        let message = "The model 'persona' does not exist. Served here: filter, mood.";
        let gone = error(
            message,
            "invalid_request_error",
            json!("model"),
            "model_not_found",
        );
        assert_eq!(real.refused(&usual, &other), (404, gone));
    });
    assert!(required(&real.shop.send(&other, None))["accepts"].is_array());
    real.shop.settled();
    real.shop.close();
}

#[test]
fn the_native_engine_takes_nothing_for_what_it_does_not_deliver() {
    let loader = NativeLoader::new(NativeSettings::default());
    nothing_is_paid_for_what_is_not_delivered(&loader);
}

#[test]
fn mistral_rs_takes_nothing_for_what_it_does_not_deliver() {
    nothing_is_paid_for_what_is_not_delivered(&MistralLoader::new());
}

/// Of two adapters that do not fit into memory together, the one that is called comes back before it
/// takes money, and takes none if it cannot.
#[test]
fn an_adapter_without_memory_takes_nothing() {
    let measured = NativeLoader::new(NativeSettings::default());
    let sizes = FACTORS.map(|name| {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let base = BaseModel::open_dir("llama", &golden("llama")).unwrap();
            let adapter = adapter::read(&golden(name)).unwrap();
            let spec = EngineSpec {
                name: name.to_owned(),
                base: &base,
                adapter: Some(&adapter),
                quant: Quant::F32,
            };
            let loaded = measured.load(spec).await.unwrap();
            let bytes = measured.memory().await.adapters;
            drop(loaded);
            bytes
        })
    });
    let budget = sizes[0].max(sizes[1]);
    let loader = NativeLoader::new(NativeSettings {
        adapter_bytes: Some(budget),
        ..NativeSettings::default()
    });
    let real = RealShop::with(&loader, LIMITS);
    let [persona, filter] = [call("persona", "hello"), call("filter", "hello")];
    real.during_a_call(&persona, || {
        let message = format!(
            "{} takes no further call now: its factors take {} bytes, and adapters in use take {} of \
             {budget} bytes, which `serve.adapter_memory` allows",
            FACTORS[1], sizes[1], sizes[0]
        );
        let busy = error(&message, "server_error", Value::Null, "engine_busy");
        assert_eq!(real.refused(&filter, &filter), (503, busy));
    });
    // It comes back when the other one is idle, and both stay listed.
    real.during_a_call(&filter, || {});
    real.during_a_call(&persona, || {});
    let models = real
        .shop
        .server
        .client
        .get(real.shop.server.url("/v1/models"));
    let models = real.shop.wait(reply(models)).json();
    let names = models["data"].as_array().unwrap().iter();
    let names: Vec<&str> = names.map(|it| it["id"].as_str().unwrap()).collect();
    assert_eq!(names, ["persona", "filter", "mood"]);
    real.shop.settled();
    real.shop.close();
}

/// A call that runs out of memory for keys and values costs what it delivered: nothing, unless a stream
/// had tokens before.
#[test]
fn an_answer_without_memory_for_keys_and_values_costs_what_was_delivered() {
    let market = Market::embedded();
    let base = BaseModel::open_dir("llama", &golden("llama")).unwrap();
    let loader = NativeLoader::new(NativeSettings::default());
    let spec = EngineSpec {
        name: "persona".to_owned(),
        base: &base,
        adapter: None,
        quant: Quant::F32,
    };
    let loaded = market.runtime.block_on(loader.load(spec)).unwrap();
    let memory = Arc::new(LittleMemory {
        tokens: AtomicUsize::new(0),
    });
    let change = Arc::clone(&memory);
    let setup = Setup {
        engine: Box::new(move |_| wrapped(Arc::clone(&loaded.engine), Arc::clone(&change) as _)),
        ..Setup::of(&market)
    };
    let shop = Shop::open(&market.runtime, setup);
    let message = "persona takes no further call now: there is no memory for the keys and values of \
                   its tokens";
    let busy = error(message, "server_error", Value::Null, "engine_busy");
    let usual = Call {
        path: CHAT,
        body: with(
            chat("persona", "hello"),
            json!({ "max_tokens": 3, "min_tokens": 3 }),
        ),
        id: None,
    };
    let streamed = Call {
        body: with(usual.body.clone(), json!({ "stream": true })),
        ..usual.clone()
    };
    // Whether the answer is a stream, and the tokens before the memory ends.
    let cases = [(&usual, 0), (&usual, 2), (&streamed, 0), (&streamed, 2)];
    for (number, (call, delivered)) in cases.into_iter().enumerate() {
        memory.tokens.store(delivered, Ordering::SeqCst);
        let payer = Payer::new(&market, number as u64 + 1, FUNDS);
        let offers = shop.required(call);
        let quote = offers["accepts"][0]["amount"].as_str().unwrap();
        let payload = payer.deposit(quote.parse().unwrap(), FUNDS);
        let reply = shop.send(call, Some(&shop.payment(call, &payload)));
        let streams = std::ptr::eq(call, &streamed);
        if streams {
            let (pieces, done) = reply.chunks();
            assert!(!done);
            assert_eq!(
                (reply.status, pieces.last()),
                (200, Some(&busy)),
                "{reply:?}"
            );
        } else {
            assert_eq!((reply.status, reply.json()), (503, busy.clone()));
        }
        let records = shop.records();
        let metered = records.iter().rev().find_map(|it| match &it.event {
            Event::CallMetered { usage, finish, .. } => Some((*usage, *finish)),
            _ => None,
        });
        let (usage, finish) = metered.unwrap();
        // A piece of a stream has a token at least.
        let counted = usage.completion_tokens;
        let least = if streams { delivered as u64 } else { 0 };
        assert!(
            counted >= least && (counted > 0) == (least > 0),
            "{usage:?}"
        );
        assert_eq!(finish, FinishReason::Failed);
        let prices = PRICES;
        let price = usage.prompt_tokens as u128 * prices.prompt.0
            + usage.completion_tokens as u128 * prices.completion.0;
        assert_eq!(shop.charged(payer.channel()), price / 1_000);
        assert_eq!(counted == 0, price == 0);
    }
    shop.settled();
    shop.close();
}
