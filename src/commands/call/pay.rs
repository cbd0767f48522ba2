//! Payment of a call. The price and the deposit are shown, confirmed if they exceed the limits, and
//! then signed. A paid request is repeated with the same payment until its answer has arrived.

use std::time::{Duration, Instant};

use reqwest::Response;

use super::{
    CallRequest,
    client::{CallParams, CallReply, ServerClient, is_id},
    limits::{CallLimits, DepositTarget, LimitFlags},
};
use crate::commands::{CommandContext, payer};
use openlora_core::{
    Amount,
    error::{ExitClass, Failure},
    private::foreign_text::clean_line,
};
use openlora_payments::{
    payer::{
        CallOrder, FinishedPayment, Payer, PayerError, PaymentAttempt, PaymentOffer,
        PreparedPayment, SellerRoute, SentPayment, choose, leaves_channel,
    },
    x402::wire::{PAYMENT_RESPONSE, PaymentRequired},
};
use openlora_serve::PublishedReceipt;

/// How often a payment is corrected after a 402.
const CORRECTIONS: usize = 2;
/// How often the same payment is sent again if the server asks to wait or its answer is lost; the
/// first pause, which doubles each time; and the longest pause.
const REPEATS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(200);
const PATIENCE: Duration = Duration::from_secs(10);

/// An answered call, and its payment.
pub struct PaidResponse {
    pub response: Response,
    pub account: Option<OpenPayment>,
}

/// A payment that the server has, with an unknown outcome.
pub struct OpenPayment {
    payer: Payer,
    sent: SentPayment,
    /// The used part of the limits.
    used: SpentAllowance,
    repeats: u32,
    corrections: usize,
    /// Repeating ends when an answer's time limit has passed.
    began: Instant,
}

/// The part of the limits that a call has used.
#[derive(Clone, Copy, Debug, Default)]
struct SpentAllowance {
    /// The allowed price.
    price: Amount,
    /// What may still be claimed from other channels used by this call.
    elsewhere: Amount,
    /// What the call has deposited into channels.
    deposits: Amount,
}

/// A call whose payment is concluded according to the server, rightly or not.
pub struct ClosedPayment {
    payer: Payer,
    request_id: String,
    paid: FinishedPayment,
}

/// Makes the call, and pays if the server requires it.
pub async fn buy(
    context: &CommandContext,
    client: &ServerClient,
    request: &CallRequest,
    wanted: &CallParams,
) -> Result<PaidResponse, Failure> {
    let id = uuid::Uuid::now_v7().to_string();
    match client.send(wanted, &id, None).await? {
        CallReply::Answer(response) => Ok(PaidResponse {
            response,
            account: None,
        }),
        CallReply::Unpaid(terms) => {
            let shop = CallPurchase {
                context,
                client,
                request,
            };
            let order = CallOrder {
                request_id: id,
                seller: SellerRoute {
                    server: client.place(),
                    adapter: wanted.adapter.clone(),
                    route: client.url(&wanted.path),
                },
                path: wanted.path.clone(),
                body: wanted.body.clone(),
                caller: None,
            };
            shop.pay(order, &terms).await
        }
        CallReply::Later(_, failure) => Err(failure),
    }
}

/// Repeats a call that an earlier process paid.
pub async fn resume(
    context: &CommandContext,
    client: &ServerClient,
    request: &CallRequest,
    attempt: PaymentAttempt,
) -> Result<PaidResponse, Failure> {
    let shop = CallPurchase {
        context,
        client,
        request,
    };
    let payer = payer::open(context, &request.payer).await?;
    let account = OpenPayment {
        used: SpentAllowance {
            price: attempt.quote,
            ..SpentAllowance::default()
        },
        sent: payer.resume(attempt)?,
        payer,
        repeats: REPEATS,
        corrections: CORRECTIONS,
        began: Instant::now(),
    };
    shop.conclude(account).await
}

/// Requests an answer again after it was lost in transit. After too many attempts, prints how to do
/// so later. An unpaid request is not repeated.
pub async fn retry_call(
    account: Option<OpenPayment>,
    context: &CommandContext,
    client: &ServerClient,
    request: &CallRequest,
    failure: Failure,
) -> Result<PaidResponse, Failure> {
    let Some(account) = account else {
        return Err(failure);
    };
    let shop = CallPurchase {
        context,
        client,
        request,
    };
    let account = shop.wait(account, PAUSE, failure).await?;
    shop.conclude(account).await
}

#[derive(Clone, Copy)]
struct CallPurchase<'a> {
    context: &'a CommandContext,
    client: &'a ServerClient,
    request: &'a CallRequest,
}

impl CallPurchase<'_> {
    async fn pay(&self, order: CallOrder, terms: &str) -> Result<PaidResponse, Failure> {
        let required = self.read(terms)?;
        let payer = payer::open(self.context, &self.request.payer).await?;
        let limits = self.limits(&payer)?;
        let (network, token) = (&payer.chain.network, &payer.token);
        let server = self.client.place();
        let offer = choose(&required, &server, network, token, self.request.scheme)?;
        if let Some(payee) = &self.request.payee {
            payee.check(&server, &order.seller.adapter, offer.terms.pay_to)?;
        }
        let quote = offer.terms.amount;
        limits.allow_price(quote, || shown_price(&payer, &offer, &order))?;
        let mut used = SpentAllowance {
            price: quote,
            ..SpentAllowance::default()
        };
        let prepared = self.prepare(&payer, offer, order, limits.free()).await?;
        let sent = self.sign(&payer, prepared, &required, &mut used)?;
        self.conclude(OpenPayment {
            payer,
            sent,
            used,
            repeats: REPEATS,
            corrections: CORRECTIONS,
            began: Instant::now(),
        })
        .await
    }

    fn limits<'b>(&'b self, payer: &'b Payer) -> Result<CallLimits<'b>, Failure> {
        let flags = LimitFlags {
            price: self.request.max_price.as_deref(),
            deposit: self.request.max_deposit.as_deref(),
        };
        CallLimits::resolve(self.context, payer, flags)
    }

    /// On a development chain, missing funds are minted.
    async fn prepare(
        &self,
        payer: &Payer,
        offer: PaymentOffer,
        order: CallOrder,
        free: Amount,
    ) -> Result<PreparedPayment, Failure> {
        let first = payer.prepare(offer.clone(), order.clone(), free).await;
        match first {
            Err(PayerError::Funds { needed, .. }) if payer.chain.network.is_local() => {
                let desk = payer::PayerTxContext::new(self.context, payer)?;
                desk.mint(needed.amount).await?;
                Ok(payer.prepare(offer, order, free).await?)
            }
            prepared => Ok(prepared?),
        }
    }

    /// Signs a payment within the limits.
    fn sign(
        &self,
        payer: &Payer,
        prepared: PreparedPayment,
        required: &PaymentRequired,
        used: &mut SpentAllowance,
    ) -> Result<SentPayment, Failure> {
        let deposit = prepared.deposit();
        if !deposit.is_zero() {
            let limits = self.limits(payer)?;
            let to = DepositTarget::from_offer(prepared.offer());
            limits.allow_deposit(deposit, used.deposits, to)?;
            used.deposits = used.deposits.saturating_add(deposit);
        }
        Ok(payer.sign_payment(prepared, required)?)
    }

    /// Sends a payment until it is answered: corrects it if the server proves that the channel
    /// state differs, and sends the same payment again while its outcome is unknown.
    async fn conclude(&self, mut account: OpenPayment) -> Result<PaidResponse, Failure> {
        loop {
            let sent = &account.sent;
            match self.client.repeat(sent.order(), &sent.header).await {
                Ok(CallReply::Answer(response)) => {
                    let account = Some(account);
                    return Ok(PaidResponse { response, account });
                }
                Ok(CallReply::Unpaid(terms)) => account = self.mend(account, &terms).await?,
                Ok(CallReply::Later(pause, failure)) => {
                    account = self.wait(account, pause, failure).await?;
                }
                Err(failure) if matches!(failure.class, ExitClass::Usage | ExitClass::BadInput) => {
                    // A client error costs nothing.
                    let _ = account.payer.refused(account.sent, "refused")?;
                    return Err(failure);
                }
                Err(failure) => account = self.wait(account, PAUSE, failure).await?,
            }
        }
    }

    /// Waits before the same payment is sent again.
    async fn wait(
        &self,
        mut account: OpenPayment,
        pause: Duration,
        failure: Failure,
    ) -> Result<OpenPayment, Failure> {
        account.sent.repeat();
        let id = &account.sent.order().request_id;
        let late = account.began.elapsed() >= self.client.longest;
        if late || account.repeats == 0 || failure.class != ExitClass::Network {
            return Err(failure.with_hint(format!(
                "its payment, at most {}, may have arrived; ask for the same answer with the same \
                 payment: openlora call --again {id}",
                account.payer.money(account.sent.payment_record().quote)
            )));
        }
        account.repeats -= 1;
        self.context.printer.note(format!(
            "{}; asking again with the same payment",
            failure.message
        ));
        let times = REPEATS.saturating_sub(account.repeats + 1);
        tokio::time::sleep(pause.saturating_mul(1 << times).min(PATIENCE)).await;
        Ok(account)
    }

    /// Makes another payment after a 402. The server's answer never raises the limits.
    async fn mend(&self, account: OpenPayment, terms: &str) -> Result<OpenPayment, Failure> {
        let required = self.read(terms)?;
        let OpenPayment {
            payer,
            sent,
            mut used,
            repeats,
            corrections,
            began,
        } = account;
        let (id, repeated) = (sent.order().request_id.clone(), sent.is_repeated());
        let corrected = async {
            let code = required.error.as_deref();
            if corrections == 0 {
                let code = code.unwrap_or_default();
                return Err(Failure::from(payer.refused(sent, code)?));
            }
            let offer = sent.offer().renewed(&required);
            let offer = offer.unwrap_or_else(|| sent.offer().clone());
            if leaves_channel(code) {
                used.elsewhere = used.elsewhere.saturating_add(sent.payment_record().quote);
            }
            let limits = self.limits(&payer)?;
            let price = offer.terms.amount.saturating_add(used.elsewhere);
            if price > used.price {
                limits.allow_price(price, || shown_price(&payer, &offer, sent.order()))?;
                used.price = price;
            }
            let free = limits.free().saturating_sub(used.deposits);
            let prepared = payer.correct(sent, &required, offer, free).await?;
            self.sign(&payer, prepared, &required, &mut used)
        };
        match corrected.await {
            Ok(sent) => Ok(OpenPayment {
                payer,
                sent,
                used,
                repeats,
                corrections: corrections - 1,
                began,
            }),
            Err(failure) => {
                if !repeated {
                    // The payment was refused, so there is no answer to request later.
                    payer.store.forget_attempt(&id)?;
                }
                Err(failure)
            }
        }
    }

    fn read(&self, terms: &str) -> Result<PaymentRequired, Failure> {
        let read = PaymentRequired::decode(terms);
        let required = read.map_err(|problem| PayerError::Wire {
            server: self.client.place(),
            problem,
        });
        Ok(required?)
    }
}

fn shown_price(payer: &Payer, offer: &PaymentOffer, order: &CallOrder) -> String {
    format!(
        "{} costs up to {} on {}, paid by {}",
        clean_line(&order.seller.adapter),
        payer.money(offer.terms.amount),
        payer.chain.network.name,
        offer.terms.scheme
    )
}

impl OpenPayment {
    /// Reads the charge that the server reports: a header, or the last event of a stream. If it is
    /// missing or wrong, the call counts with its full quote.
    pub async fn close_payment(
        self,
        context: &CommandContext,
        said: Option<ChargeSource>,
    ) -> Result<ClosedPayment, Failure> {
        let Self { payer, sent, .. } = self;
        let request_id = sent.order().request_id.clone();
        let number = sent.number();
        let quote = payer.money(sent.payment_record().quote);
        let settled = match said {
            Some(ChargeSource::Header(text)) => Some(payer.read_response(sent, &text).await),
            Some(ChargeSource::Event(text)) => Some(payer.settle_json(sent, &text).await),
            None => None,
        };
        let problem = match settled {
            Some(Ok(paid)) => {
                return Ok(ClosedPayment {
                    payer,
                    request_id,
                    paid,
                });
            }
            Some(Err(problem)) => problem.to_string(),
            None => "the server does not say what it charged".to_owned(),
        };
        context
            .printer
            .warn(format!("{problem}; the call counts as {quote}"));
        let record = payer.store.numbered(number)?;
        Ok(ClosedPayment {
            payer,
            request_id,
            paid: FinishedPayment { number, record },
        })
    }
}

/// Where a server reported the charge.
pub enum ChargeSource {
    Header(String),
    Event(String),
}

impl ChargeSource {
    pub fn in_header(response: &Response) -> Option<Self> {
        let value = response.headers().get(PAYMENT_RESPONSE)?;
        value
            .to_str()
            .ok()
            .map(|text| Self::Header(text.to_owned()))
    }
}

impl ClosedPayment {
    /// The charge; none while it is unknown.
    pub fn amount(&self) -> Option<Amount> {
        self.paid.record.charged()
    }

    pub fn payment_summary(&self) -> String {
        match self.amount() {
            Some(amount) => self.payer.money(amount).to_string(),
            None => format!("at most {}", self.payer.money(self.paid.record.quote)),
        }
    }

    /// Stores the server's receipt, and warns if it contradicts the payment. Returns the id under
    /// which the payment is kept.
    pub fn store_receipt(
        &self,
        context: &CommandContext,
        id: &str,
        receipt: Option<&PublishedReceipt>,
    ) -> Result<String, Failure> {
        let FinishedPayment { number, record } = &self.paid;
        if let Some(receipt) = receipt
            && receipt.payment != record.charge()
        {
            context.printer.warn(format!(
                "the server's receipt {id} says {}, and {} was paid",
                self.payer.money(receipt.paid),
                self.payment_summary()
            ));
        }
        let id = if is_id(id) { id } else { &self.request_id };
        let text = receipt.and_then(|receipt| serde_json::to_value(receipt).ok());
        Ok(self.payer.store.keep_receipt(*number, id, text)?)
    }

    /// The answer has been shown and need not be requested again.
    pub fn shown_to_caller(&self) -> Result<(), Failure> {
        Ok(self.payer.store.forget_attempt(&self.request_id)?)
    }
}
