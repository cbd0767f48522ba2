//! Buys a call without asking anybody: within fixed limits, at one server, with one payment that is
//! repeated until its outcome is known. Nothing is paid before the payment is recorded, and a call is
//! not bought elsewhere once its payment has left.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use reqwest::{Response, StatusCode, header};
use serde_json::Value;

use crate::{
    catalog::AdapterRoute,
    error::MarketError,
    http::{LARGEST, MarketHttp, ServerAddress, bounded, broken, json},
    retries::{RetryPlan, RetryStep},
};
use openlora_core::{Amount, private::foreign_text::clean_line};
use openlora_ledger::CallCharge;
use openlora_payments::{
    payer::{
        CallOrder, CallerAllowance, FinishedPayment, Payer, PayerError, PaymentAttempt,
        PaymentNumber, PaymentOffer, PaymentStatus, PreparedPayment, SchemeChoice, SellerRoute,
        SentPayment, TokenAmount, choose, leaves_channel,
    },
    x402::wire::{PAYMENT_REQUIRED, PAYMENT_RESPONSE, PAYMENT_SIGNATURE, PaymentRequired},
};

/// How often a payment is corrected after a 402.
const CORRECTIONS: u32 = 2;
/// How often the same payment is sent again; the first pause, which doubles; and the longest one.
const REPEATS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(200);
const PATIENCE: Duration = Duration::from_secs(10);

/// How long the outcome of one unanswered call is waited for.
const SETTLE_PATIENCE: Duration = Duration::from_secs(120);

/// The largest error answer that is read, in bytes.
const LARGEST_ERROR: usize = 1 << 20;

/// What one call may cost.
#[derive(Clone, Copy, Debug)]
pub struct PurchaseLimits {
    pub max_price: Amount,
    /// The most that one call puts into channels.
    pub max_deposit: Amount,
    /// The longest that a deposit may wait when it is taken back, in seconds.
    pub max_delay: u64,
    /// The longest that an answer may take.
    pub longest: Duration,
}

/// One call that is to be bought.
#[derive(Clone, Debug)]
pub struct DemandedCall {
    /// The path on the server.
    pub path: &'static str,
    pub body: String,
    pub caller: Option<CallerAllowance>,
}

/// Why a call was not bought or not answered.
#[derive(Debug, thiserror::Error)]
pub enum PurchaseError {
    #[error(transparent)]
    Payer(#[from] PayerError),
    #[error(transparent)]
    Payee(#[from] MarketError),
    /// Nothing was paid.
    #[error("the server at {server} {problem}")]
    Unreachable { server: String, problem: String },
    /// The server's own error. The call cost nothing.
    #[error("the server at {server} refused: {}", clean_line(message_of(envelope)))]
    Refused {
        server: String,
        status: StatusCode,
        envelope: Value,
    },
    /// Nothing was paid.
    #[error(
        "what answers at {server} is no server of adapters: {}",
        clean_line(problem)
    )]
    Foreign { server: String, problem: String },
    #[error(
        "the server at {server} has a payment of at most {quote} for this call and does not answer \
         it: {}",
        clean_line(problem)
    )]
    Unanswered {
        server: String,
        request_id: String,
        quote: TokenAmount,
        problem: String,
    },
    /// The server has a payment, which it could still use, and does not answer the call.
    #[error(transparent)]
    AfterPayment(Box<Self>),
}

impl PurchaseError {
    /// Whether the same call may be bought from another server: no payment has left for this one,
    /// and the fault is its own.
    pub fn is_servers_own(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Foreign { .. } => true,
            Self::Refused { status, .. } => {
                status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS
            }
            Self::Payee(_) | Self::Payer(_) | Self::Unanswered { .. } | Self::AfterPayment(_) => {
                false
            }
        }
    }
}

fn message_of(envelope: &Value) -> &str {
    let message = envelope.pointer("/error/message").and_then(Value::as_str);
    message.unwrap_or("it gives no reason")
}

/// Buys calls for one account.
pub struct Buyer {
    payer: Payer,
    limits: PurchaseLimits,
    http: MarketHttp,
    /// The server that the user has named. All others are named by strangers.
    own_server: Option<ServerAddress>,
    /// Ids of the calls that this process is paying for now.
    running: Mutex<HashSet<String>>,
    retries: RetryPlan,
}

/// An answered call, and its payment where it is not free.
pub struct BoughtAnswer {
    pub response: Response,
    pub payment: Option<UnsettledCall>,
}

/// Where a server stated the charge.
#[derive(Clone, Debug)]
pub enum ChargeStatement {
    /// The value of the header.
    Header(String),
    /// The JSON of a stream's last event.
    Event(String),
}

impl ChargeStatement {
    pub fn in_header(response: &Response) -> Option<Self> {
        let value = response.headers().get(PAYMENT_RESPONSE)?;
        value
            .to_str()
            .ok()
            .map(|text| Self::Header(text.to_owned()))
    }
}

/// A payment that the server has, with an unknown outcome.
pub struct UnsettledCall {
    buyer: Arc<Buyer>,
    server: ServerAddress,
    sent: SentPayment,
    used: UsedLimits,
    repeats: u32,
    corrections: u32,
    began: Instant,
    _running: RunningCall,
}

/// The part of the limits that a call has used.
#[derive(Clone, Copy, Default)]
struct UsedLimits {
    /// What may still be claimed from other channels used by this call.
    elsewhere: Amount,
    deposits: Amount,
}

/// Keeps a call in the list of running ones.
struct RunningCall {
    buyer: Arc<Buyer>,
    request_id: String,
}

impl Drop for RunningCall {
    fn drop(&mut self) {
        self.buyer.running().remove(&self.request_id);
    }
}

/// A server's response to a call.
enum ServerReply {
    Answer(Response),
    /// Payment required; the value of the header.
    Unpaid(String),
    /// Not decided yet, or an error of the server: the same request may succeed later.
    Later(Duration, PurchaseError),
    Refused(PurchaseError),
}

impl Buyer {
    /// Buys within limits. `own_server` is the one that the user has named, if any.
    pub fn new(
        payer: Payer,
        limits: PurchaseLimits,
        http: MarketHttp,
        own_server: Option<ServerAddress>,
    ) -> Arc<Self> {
        Arc::new(Self {
            payer,
            limits,
            http,
            own_server,
            running: Mutex::default(),
            retries: RetryPlan::default(),
        })
    }

    pub fn payer(&self) -> &Payer {
        &self.payer
    }

    fn running(&self) -> MutexGuard<'_, HashSet<String>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(self: &Arc<Self>, request_id: &str) -> Option<RunningCall> {
        let fresh = self.running().insert(request_id.to_owned());
        fresh.then(|| RunningCall {
            buyer: Arc::clone(self),
            request_id: request_id.to_owned(),
        })
    }

    /// Makes a call on one server, and pays if the server requires it.
    ///
    /// # Errors
    ///
    /// It was not bought, or is not answered; [`PurchaseError::is_servers_own`] says whether another
    /// server may be tried.
    pub async fn buy(
        self: &Arc<Self>,
        route: &AdapterRoute,
        call: &DemandedCall,
    ) -> Result<BoughtAnswer, PurchaseError> {
        let order = CallOrder {
            request_id: uuid::Uuid::now_v7().to_string(),
            seller: SellerRoute {
                server: route.server.place(),
                adapter: route.model.clone(),
                route: route.server.url(call.path),
            },
            path: call.path.to_owned(),
            body: call.body.clone(),
            caller: call.caller.clone(),
        };
        let reply = self.send(&route.server, &order, None).await;
        let terms = match reply {
            Err(problem) => {
                return Err(PurchaseError::Unreachable {
                    server: route.server.place(),
                    problem,
                });
            }
            Ok(ServerReply::Answer(response)) => {
                return Ok(BoughtAnswer {
                    response,
                    payment: None,
                });
            }
            Ok(ServerReply::Later(_, error) | ServerReply::Refused(error)) => return Err(error),
            Ok(ServerReply::Unpaid(terms)) => terms,
        };
        let required = self.decode(&route.server, &terms)?;
        let offer = self.offer(route, &required)?;
        let running = self.start(&order.request_id);
        let running = running.ok_or_else(|| PurchaseError::Foreign {
            server: route.server.place(),
            problem: "the call is running already".to_owned(),
        })?;
        let mut used = UsedLimits::default();
        let sent = self.pay(offer, order, &required, &mut used).await?;
        let open = UnsettledCall {
            buyer: Arc::clone(self),
            server: route.server.clone(),
            sent,
            used,
            repeats: REPEATS,
            corrections: CORRECTIONS,
            began: Instant::now(),
            _running: running,
        };
        let concluded = open.conclude().await;
        let (response, open) = concluded.map_err(|it| PurchaseError::AfterPayment(Box::new(it)))?;
        Ok(BoughtAnswer {
            response,
            payment: Some(open),
        })
    }

    fn decode(
        &self,
        server: &ServerAddress,
        terms: &str,
    ) -> Result<PaymentRequired, PurchaseError> {
        let read = PaymentRequired::decode(terms);
        let read = read.map_err(|problem| PayerError::Wire {
            server: server.place(),
            problem,
        });
        Ok(read?)
    }

    /// The offer that is taken, after checking whom it pays.
    fn offer(
        &self,
        route: &AdapterRoute,
        required: &PaymentRequired,
    ) -> Result<PaymentOffer, PurchaseError> {
        let place = route.server.place();
        let (network, token) = (&self.payer.chain.network, &self.payer.token);
        let offer = choose(required, &place, network, token, SchemeChoice::Auto)?;
        if let Some(payee) = &route.payee {
            payee.check(&place, &route.model, offer.terms.pay_to)?;
        }
        Ok(offer)
    }

    /// Signs and records a payment within the limits.
    async fn pay(
        &self,
        offer: PaymentOffer,
        order: CallOrder,
        required: &PaymentRequired,
        used: &mut UsedLimits,
    ) -> Result<SentPayment, PurchaseError> {
        self.check_price(&offer, *used)?;
        let free = self.limits.max_deposit.saturating_sub(used.deposits);
        let prepared = self.payer.prepare(offer, order, free).await?;
        self.sign(prepared, required, used)
    }

    fn sign(
        &self,
        prepared: PreparedPayment,
        required: &PaymentRequired,
        used: &mut UsedLimits,
    ) -> Result<SentPayment, PurchaseError> {
        let deposit = prepared.deposit();
        if !deposit.is_zero() {
            used.deposits = used.deposits.saturating_add(deposit);
            self.check_deposit(prepared.offer(), used.deposits)?;
        }
        Ok(self.payer.sign_payment(prepared, required)?)
    }

    fn check_price(&self, offer: &PaymentOffer, used: UsedLimits) -> Result<(), PurchaseError> {
        let price = offer.terms.amount.saturating_add(used.elsewhere);
        if price <= self.limits.max_price {
            return Ok(());
        }
        Err(PurchaseError::Payer(PayerError::Price {
            price: self.payer.money(price),
            limit: self.payer.money(self.limits.max_price),
        }))
    }

    fn check_deposit(&self, offer: &PaymentOffer, all: Amount) -> Result<(), PayerError> {
        let (delay, longest) = (offer.delay(), self.limits.max_delay);
        if delay > longest {
            return Err(PayerError::Terms {
                server: offer.server.clone(),
                field: "extra.withdrawDelay",
                expected: format!("at most {longest} seconds (`call.max_delay`)"),
                found: delay.to_string(),
            });
        }
        if all <= self.limits.max_deposit {
            return Ok(());
        }
        Err(PayerError::Deposit {
            deposit: self.payer.money(all),
            limit: self.payer.money(self.limits.max_deposit),
            receiver: offer.terms.pay_to,
            allowed_by: "call.max_deposit",
        })
    }

    /// Posts a call. The id makes the request idempotent.
    async fn send(
        &self,
        server: &ServerAddress,
        order: &CallOrder,
        payment: Option<&str>,
    ) -> Result<ServerReply, String> {
        let mut request = self
            .http
            .client(server)?
            .post(server.url(&order.path))
            .header("idempotency-key", &order.request_id)
            .header(header::CONTENT_TYPE, "application/json")
            .body(order.body.clone());
        if let Some(payment) = payment {
            request = request.header(PAYMENT_SIGNATURE, payment);
        }
        let response = request.send().await.map_err(|error| broken(&error))?;
        Ok(reply_of(server, response).await)
    }

    /// The server's receipt of a call.
    async fn receipt(&self, server: &ServerAddress, id: &str) -> Option<Value> {
        // The id comes from the server and must not lead to another path than receipts.
        if !is_id(id) {
            return None;
        }
        let client = self.http.client(server).ok()?;
        let asked = client.get(server.url(&format!("/v1/receipts/{id}")));
        let response = asked.send().await.ok()?;
        let found = response.status() == StatusCode::OK;
        match found {
            true => json(response, LARGEST_ERROR).await.ok(),
            false => None,
        }
    }

    /// Stores the server's receipt with its payment, where the server issues one.
    pub async fn keep_receipt(&self, server: &ServerAddress, number: PaymentNumber, id: &str) {
        let Some(receipt) = self.receipt(server, id).await else {
            return;
        };
        let kept = self.payer.store.keep_receipt(number, id, Some(receipt));
        if let Err(error) = kept {
            tracing::warn!(%error, "a receipt was not kept");
        }
    }

    /// Finds out what calls have cost whose answers were never received: those of a killed process,
    /// and those whose server was down. The same payments are sent again, ever more rarely and for a
    /// week; nothing is paid anew. Returns how many remain open.
    ///
    /// # Errors
    ///
    /// The payment store cannot be read.
    pub async fn settle_open(self: &Arc<Self>) -> Result<usize, PayerError> {
        let mut left = 0;
        let attempts = self.payer.store.attempts()?;
        let ids = attempts.iter().map(|it| it.order.request_id.clone());
        let ids: HashSet<String> = ids.collect();
        self.retries.retain(|id| ids.contains(id));
        for attempt in attempts {
            let is_ours = attempt.order.caller.is_some()
                && attempt.chain_id == self.payer.chain.network.chain_id;
            if !is_ours {
                continue;
            }
            let id = attempt.order.request_id.clone();
            if self.retries.step(&id, age_of(&attempt), Instant::now()) != RetryStep::Now {
                left += 1;
                continue;
            }
            // What is wrong with one call does not keep the others from being settled.
            let settled = tokio::time::timeout(SETTLE_PATIENCE, self.settle_attempt(attempt)).await;
            match settled {
                Ok(Ok(true)) => continue,
                Ok(Ok(false)) | Err(_) => {}
                Ok(Err(error)) => {
                    tracing::warn!(%error, request_id = id, "a call was not settled");
                }
            }
            let pause = self.retries.failed(&id, Instant::now()).as_secs();
            tracing::debug!(request_id = id, pause, "a call has no outcome yet");
            left += 1;
        }
        Ok(left)
    }

    /// Where a call was bought. What was not named by the user now is a stranger's address, whatever
    /// named it then.
    fn server_of(&self, attempt: &PaymentAttempt) -> Option<ServerAddress> {
        let place = &attempt.order.seller.server;
        let own = self.own_server.as_ref();
        match own.filter(|own| own.place() == *place) {
            Some(own) => Some(own.clone()),
            None => ServerAddress::stated(place).ok(),
        }
    }

    async fn settle_attempt(self: &Arc<Self>, attempt: PaymentAttempt) -> Result<bool, PayerError> {
        let id = attempt.order.request_id.clone();
        let Some(running) = self.start(&id) else {
            return Ok(true);
        };
        let server = self.server_of(&attempt);
        let sent = match self.payer.resume(attempt) {
            Ok(sent) => sent,
            // Another call uses its channel, and will decide it.
            Err(PayerError::Busy { .. }) => return Ok(false),
            Err(PayerError::OtherPayer { .. } | PayerError::NoAttempt { .. }) => return Ok(true),
            Err(error) => return Err(error),
        };
        if sent.payment_record().status != PaymentStatus::Open {
            // Its caller is gone, so nobody waits for the answer.
            self.payer.store.forget_attempt(&id)?;
            return Ok(true);
        }
        let Some(server) = server else {
            return Ok(false);
        };
        let open = UnsettledCall {
            buyer: Arc::clone(self),
            server,
            sent,
            used: UsedLimits::default(),
            repeats: 0,
            corrections: 0,
            began: Instant::now(),
            _running: running,
        };
        Ok(open.settle_late().await)
    }
}

/// How long ago a call was paid.
fn age_of(attempt: &PaymentAttempt) -> Duration {
    let paid = UNIX_EPOCH + Duration::from_millis(attempt.time_ms);
    SystemTime::now().duration_since(paid).unwrap_or_default()
}

async fn reply_of(server: &ServerAddress, response: Response) -> ServerReply {
    let status = response.status();
    let header = |name: &str| {
        let value = response.headers().get(name);
        value
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
    };
    if status.is_success() {
        return ServerReply::Answer(response);
    }
    if let (StatusCode::PAYMENT_REQUIRED, Some(terms)) = (status, header(PAYMENT_REQUIRED)) {
        return ServerReply::Unpaid(terms);
    }
    let pause = header("retry-after").and_then(|text| text.parse().ok());
    let waits = matches!(
        status,
        StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::CONFLICT
            | StatusCode::TOO_MANY_REQUESTS
            | StatusCode::TOO_EARLY
    );
    let place = server.place();
    if status.is_redirection() {
        return ServerReply::Refused(PurchaseError::Foreign {
            server: place,
            problem: "it sends callers elsewhere, and payments do not follow".to_owned(),
        });
    }
    let envelope = json(response, LARGEST_ERROR).await.unwrap_or_default();
    let error = match envelope["error"].is_object() {
        true => PurchaseError::Refused {
            server: place,
            status,
            envelope,
        },
        false => PurchaseError::Foreign {
            server: place,
            problem: format!("it answers {status} without an error that can be read"),
        },
    };
    match pause.map(Duration::from_secs) {
        Some(pause) if waits => ServerReply::Later(pause, error),
        _ if status.is_server_error() => ServerReply::Later(PAUSE, error),
        _ => ServerReply::Refused(error),
    }
}

impl UnsettledCall {
    pub fn request_id(&self) -> &str {
        &self.sent.order().request_id
    }

    pub fn server(&self) -> &ServerAddress {
        &self.server
    }

    pub fn buyer(&self) -> Arc<Buyer> {
        Arc::clone(&self.buyer)
    }

    /// Sends a payment until it is answered: corrects it if the server proves that the channel's
    /// state differs, and sends the same payment again while its outcome is unknown.
    async fn conclude(mut self) -> Result<(Response, Self), PurchaseError> {
        loop {
            let sent = &self.sent;
            let reply = self
                .buyer
                .send(&self.server, sent.order(), Some(&sent.header));
            match reply.await {
                Ok(ServerReply::Answer(response)) => return Ok((response, self)),
                Ok(ServerReply::Unpaid(terms)) => self = self.mend(&terms).await?,
                Ok(ServerReply::Later(pause, error)) => {
                    self = self.wait(pause, &error.to_string()).await?;
                }
                Ok(ServerReply::Refused(error)) => {
                    if let Some(receipt) = receipt_in(&error) {
                        return Err(self.lost(receipt).await);
                    }
                    // A client error costs nothing.
                    let _ = self.buyer.payer.refused(self.sent, "refused")?;
                    return Err(error);
                }
                Err(problem) => self = self.wait(PAUSE, &problem).await?,
            }
        }
    }

    /// Waits before the same payment is sent again.
    async fn wait(mut self, pause: Duration, problem: &str) -> Result<Self, PurchaseError> {
        self.sent.repeat();
        if self.repeats == 0 || self.began.elapsed() >= self.buyer.limits.longest {
            return Err(self.unanswered(problem));
        }
        self.repeats -= 1;
        let times = REPEATS.saturating_sub(self.repeats + 1);
        tokio::time::sleep(pause.saturating_mul(1 << times).min(PATIENCE)).await;
        Ok(self)
    }

    fn unanswered(&self, problem: &str) -> PurchaseError {
        PurchaseError::Unanswered {
            server: self.server.place(),
            request_id: self.request_id().to_owned(),
            quote: self.buyer.payer.money(self.sent.payment_record().quote),
            problem: problem.to_owned(),
        }
    }

    /// Makes another payment after a 402. The server's answer never raises the limits.
    async fn mend(self, terms: &str) -> Result<Self, PurchaseError> {
        let required = self.buyer.decode(&self.server, terms)?;
        let Self {
            buyer,
            server,
            sent,
            mut used,
            repeats,
            corrections,
            began,
            _running,
        } = self;
        let (id, repeated) = (sent.order().request_id.clone(), sent.is_repeated());
        let corrected = async {
            let code = required.error.as_deref();
            let payer = &buyer.payer;
            if corrections == 0 {
                return Err(payer.refused(sent, code.unwrap_or_default())?.into());
            }
            let offer = sent.offer().renewed(&required);
            let offer = offer.unwrap_or_else(|| sent.offer().clone());
            if leaves_channel(code) {
                used.elsewhere = used.elsewhere.saturating_add(sent.payment_record().quote);
            }
            buyer.check_price(&offer, used)?;
            let free = buyer.limits.max_deposit.saturating_sub(used.deposits);
            let prepared = payer.correct(sent, &required, offer, free).await?;
            buyer.sign(prepared, &required, &mut used)
        };
        match corrected.await {
            Ok(sent) => Ok(Self {
                sent,
                buyer,
                server,
                used,
                repeats,
                corrections: corrections - 1,
                began,
                _running,
            }),
            Err(error) => {
                let error: PurchaseError = error;
                if !repeated {
                    // The payment was refused, so there is no answer to request later.
                    buyer.payer.store.forget_attempt(&id)?;
                }
                Err(error)
            }
        }
    }

    /// Asks for the whole answer again after it broke off in transit.
    ///
    /// # Errors
    ///
    /// It does not come; its payment stays open.
    pub async fn ask_again(self, problem: &str) -> Result<(Response, Self), PurchaseError> {
        self.wait(PAUSE, problem).await?.conclude().await
    }

    /// Records the charge that the server states. If the statement is missing or wrong, the call
    /// counts with its full quote until a later call of the channel decides it.
    pub async fn settle_charge(self, stated: Option<ChargeStatement>) -> Option<FinishedPayment> {
        let payer = &self.buyer.payer;
        let settled = match stated {
            Some(ChargeStatement::Header(text)) => payer.read_response(self.sent, &text).await,
            Some(ChargeStatement::Event(text)) => payer.settle_json(self.sent, &text).await,
            None => return None,
        };
        settled
            .inspect_err(|error| tracing::warn!(%error, "a charge was not accepted"))
            .ok()
    }

    /// Records the charge from the server's receipt, where the answer's end was not received. The
    /// receipt may take a moment.
    pub async fn settle_by_receipt(self, id: &str) {
        let mut pause = PAUSE;
        for _ in 0..REPEATS {
            tokio::time::sleep(pause).await;
            pause = pause.saturating_mul(2).min(PATIENCE);
            let Some(receipt) = self.buyer.receipt(&self.server, id).await else {
                continue;
            };
            if let Err(error) = self.take_receipt(receipt).await {
                tracing::warn!(%error, "a receipt was not accepted");
            }
            return;
        }
    }

    /// Records the charge that a receipt states, and the receipt. Returns the charge.
    async fn take_receipt(self, receipt: Value) -> Result<Option<Amount>, PayerError> {
        let charge = serde_json::from_value::<CallCharge>(receipt["payment"].clone());
        let Ok(charge) = charge else {
            return Ok(None);
        };
        let (buyer, number) = (Arc::clone(&self.buyer), self.sent.number());
        let request_id = self.request_id().to_owned();
        let settled = buyer.payer.settle_receipt(self.sent, &charge).await?;
        let store = &buyer.payer.store;
        let id = receipt["id"].as_str().filter(|id| is_id(id));
        let id = id.unwrap_or(&request_id).to_owned();
        store.keep_receipt(number, &id, Some(receipt))?;
        store.forget_attempt(&request_id)?;
        Ok(settled.record.charged())
    }

    /// The call was counted, and its answer is not given again.
    async fn lost(self, receipt: Value) -> PurchaseError {
        let (buyer, server) = (Arc::clone(&self.buyer), self.server.place());
        let unanswered = self.unanswered("it has counted the call and no longer has the answer");
        match self.take_receipt(receipt).await {
            Ok(Some(charged)) => PurchaseError::Payer(PayerError::Lost {
                server,
                charged: buyer.payer.money(charged),
                code: "already_metered".to_owned(),
            }),
            Ok(None) => unanswered,
            Err(error) => error.into(),
        }
    }

    /// Sends the payment of an earlier process once more; whether its outcome is now known.
    async fn settle_late(self) -> bool {
        let (buyer, server) = (Arc::clone(&self.buyer), self.server.clone());
        let (id, number) = (self.request_id().to_owned(), self.sent.number());
        let sent = &self.sent;
        match buyer.send(&server, sent.order(), Some(&sent.header)).await {
            Ok(ServerReply::Answer(response)) => {
                let header = ChargeStatement::in_header(&response);
                let Ok(text) = bounded(response, LARGEST).await else {
                    return false;
                };
                let (stated, answer_id) = match header {
                    Some(header) => (Some(header), id_in(&text)),
                    None => statement_in(&text),
                };
                if self.settle_charge(stated).await.is_none() {
                    return false;
                }
                if let Some(answer_id) = answer_id {
                    buyer.keep_receipt(&server, number, &answer_id).await;
                }
                buyer.payer.store.forget_attempt(&id).is_ok()
            }
            Ok(ServerReply::Unpaid(terms)) => {
                // Correcting it decides the old payment. The new one is planned and never signed.
                let Ok(required) = buyer.decode(&server, &terms) else {
                    return false;
                };
                let offer = self.sent.offer().clone();
                let planned = buyer
                    .payer
                    .correct(self.sent, &required, offer, Amount::ZERO);
                let _ = planned.await;
                let decided = buyer.payer.store.numbered(number);
                let decided = decided.is_ok_and(|it| it.status != PaymentStatus::Open);
                decided && buyer.payer.store.forget_attempt(&id).is_ok()
            }
            Ok(ServerReply::Refused(error)) => match receipt_in(&error) {
                Some(receipt) => self
                    .take_receipt(receipt)
                    .await
                    .is_ok_and(|it| it.is_some()),
                None => false,
            },
            Ok(ServerReply::Later(..)) | Err(_) => false,
        }
    }
}

/// The receipt in the refusal of a call that was counted and whose answer is no longer there.
fn receipt_in(error: &PurchaseError) -> Option<Value> {
    let PurchaseError::Refused { envelope, .. } = error else {
        return None;
    };
    let receipt = envelope.pointer("/error/receipt")?;
    receipt.is_object().then(|| receipt.clone())
}

/// The id of a whole answer.
fn id_in(text: &[u8]) -> Option<String> {
    let answer: Value = serde_json::from_slice(text).ok()?;
    answer["id"].as_str().map(str::to_owned)
}

/// The charge and the id in a stream that was received whole.
fn statement_in(text: &[u8]) -> (Option<ChargeStatement>, Option<String>) {
    let text = String::from_utf8_lossy(text);
    let (mut stated, mut id, mut is_payment) = (None, None, false);
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("event: ") {
            is_payment = name == "payment-response";
        } else if let Some(data) = line.strip_prefix("data: ") {
            match is_payment {
                true => stated = Some(ChargeStatement::Event(data.to_owned())),
                false => id = id.or_else(|| id_in(data.as_bytes())),
            }
        } else if line.is_empty() {
            is_payment = false;
        }
    }
    (stated, id)
}

/// Whether a text has the characters of a request id.
fn is_id(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:~".contains(&byte);
    (1..=128).contains(&text.len()) && text.bytes().all(plain) && text != ".."
}
