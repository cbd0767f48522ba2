//! Paying for a call: the price and what goes into a channel are shown, asked for where they are
//! high, and signed once they are allowed. What was paid is asked for again, with the same payment,
//! until its answer is here.

use std::time::{Duration, Instant};

use reqwest::Response;

use super::{
    CallRequest,
    client::{Client, Reply, Wanted, is_id},
    limits::{Destination, Limits},
};
use crate::{
    commands::{Context, payer},
    error::{ExitClass, Failure},
    runtime::{ledger::Amount, serve::PublishedReceipt},
    wallet::{
        purse::{
            Attempt, Offer, Order, Paid, Payer, Prepared, PurseError, Seller, Sent, choose,
            leaves_channel,
        },
        x402::wire::{PAYMENT_RESPONSE, PaymentRequired},
    },
};

/// How often a payment is mended after a 402.
const CORRECTIONS: usize = 2;
/// How often the same payment is sent again to a server that asks for patience or whose answer was
/// lost, the pause before the first time, which doubles, and the longest that is waited each time.
const REPEATS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(200);
const PATIENCE: Duration = Duration::from_secs(10);

/// A call that was answered, and what pays for it.
pub struct Bought {
    pub response: Response,
    pub account: Option<Account>,
}

/// A payment that the server has and has not said the end of.
pub struct Account {
    payer: Payer,
    sent: Sent,
    /// What of the limits is used.
    used: Used,
    repeats: u32,
    corrections: usize,
    /// Repeating ends when an answer's longest time is over.
    began: Instant,
}

/// What a call has taken of what was allowed.
#[derive(Clone, Copy, Debug, Default)]
struct Used {
    /// The price that was allowed.
    price: Amount,
    /// What may still be claimed from channels that the call has left.
    elsewhere: Amount,
    /// What the call has put into channels.
    deposits: Amount,
}

/// A call whose payment has come to its end, as far as the server says.
pub struct Closed {
    payer: Payer,
    request_id: String,
    paid: Option<Paid>,
}

/// Makes the call; pays when the server asks for it.
pub async fn buy(
    context: &Context,
    client: &Client,
    request: &CallRequest,
    wanted: &Wanted,
) -> Result<Bought, Failure> {
    let id = uuid::Uuid::now_v7().to_string();
    match client.send(wanted, &id, None).await? {
        Reply::Answer(response) => Ok(Bought {
            response,
            account: None,
        }),
        Reply::Unpaid(terms) => {
            let shop = Shop {
                context,
                client,
                request,
            };
            let order = Order {
                request_id: id,
                seller: Seller {
                    server: client.place(),
                    adapter: wanted.adapter.clone(),
                    route: client.url(&wanted.path),
                },
                path: wanted.path.clone(),
                body: wanted.body.clone(),
            };
            shop.pay(order, &terms).await
        }
        Reply::Later(_, failure) => Err(failure),
    }
}

/// Asks once more for the answer to a call that an earlier process paid.
pub async fn resume(
    context: &Context,
    client: &Client,
    request: &CallRequest,
    attempt: Attempt,
) -> Result<Bought, Failure> {
    let shop = Shop {
        context,
        client,
        request,
    };
    let payer = payer::open(context, &request.payer).await?;
    let account = Account {
        used: Used {
            price: attempt.quote,
            ..Used::default()
        },
        sent: payer.resume(attempt)?,
        payer,
        repeats: REPEATS,
        corrections: CORRECTIONS,
        began: Instant::now(),
    };
    shop.conclude(account).await
}

/// Asks for an answer again after it was lost on its way; says how to do so later when that has
/// been tried often enough. What was not paid is not asked for again.
pub async fn again(
    account: Option<Account>,
    context: &Context,
    client: &Client,
    (request, failure): (&CallRequest, Failure),
) -> Result<Bought, Failure> {
    let Some(account) = account else {
        return Err(failure);
    };
    let shop = Shop {
        context,
        client,
        request,
    };
    let account = shop.wait(account, PAUSE, failure).await?;
    shop.conclude(account).await
}

#[derive(Clone, Copy)]
struct Shop<'a> {
    context: &'a Context,
    client: &'a Client,
    request: &'a CallRequest,
}

impl Shop<'_> {
    async fn pay(&self, order: Order, terms: &str) -> Result<Bought, Failure> {
        let required = self.read(terms)?;
        let payer = payer::open(self.context, &self.request.payer).await?;
        let limits = self.limits(&payer)?;
        let network = (&payer.chain.network, &payer.token);
        let server = self.client.place();
        let offer = choose(&required, &server, network, self.request.scheme)?;
        let quote = offer.terms.amount;
        limits.allow_price(quote, || shown_price(&payer, &offer, &order))?;
        let mut used = Used {
            price: quote,
            ..Used::default()
        };
        let prepared = self.prepare(&payer, (offer, order), limits.free()).await?;
        let sent = self.sign(&payer, prepared, &required, &mut used)?;
        self.conclude(Account {
            payer,
            sent,
            used,
            repeats: REPEATS,
            corrections: CORRECTIONS,
            began: Instant::now(),
        })
        .await
    }

    fn limits<'b>(&'b self, payer: &'b Payer) -> Result<Limits<'b>, Failure> {
        let flags = (
            self.request.max_price.as_deref(),
            self.request.max_deposit.as_deref(),
        );
        Limits::settle(self.context, payer, flags)
    }

    /// On a development chain, money that is missing is made.
    async fn prepare(
        &self,
        payer: &Payer,
        (offer, order): (Offer, Order),
        free: Amount,
    ) -> Result<Prepared, Failure> {
        let first = payer.prepare(offer.clone(), order.clone(), free).await;
        match first {
            Err(PurseError::Funds { needed, .. }) if payer.chain.network.is_local() => {
                let desk = payer::Desk::new(self.context, payer)?;
                desk.mint(needed.amount).await?;
                Ok(payer.prepare(offer, order, free).await?)
            }
            prepared => Ok(prepared?),
        }
    }

    /// Signs what is allowed.
    fn sign(
        &self,
        payer: &Payer,
        prepared: Prepared,
        required: &PaymentRequired,
        used: &mut Used,
    ) -> Result<Sent, Failure> {
        let deposit = prepared.deposit();
        if !deposit.is_zero() {
            let limits = self.limits(payer)?;
            let to = Destination::of(prepared.offer());
            limits.allow_deposit((deposit, used.deposits), to)?;
            used.deposits = used.deposits.saturating_add(deposit);
        }
        Ok(payer.sign_payment(prepared, required)?)
    }

    /// Sends a payment until it is answered: mends it where the server proves that it must be
    /// otherwise, and sends the same again while nobody knows what became of it.
    async fn conclude(&self, mut account: Account) -> Result<Bought, Failure> {
        loop {
            let sent = &account.sent;
            match self.client.repeat(sent.order(), &sent.header).await {
                Ok(Reply::Answer(response)) => {
                    let account = Some(account);
                    return Ok(Bought { response, account });
                }
                Ok(Reply::Unpaid(terms)) => account = self.mend(account, &terms).await?,
                Ok(Reply::Later(pause, failure)) => {
                    account = self.wait(account, pause, failure).await?;
                }
                Err(failure) if matches!(failure.class, ExitClass::Usage | ExitClass::BadInput) => {
                    // The caller's own mistake costs nothing.
                    let _ = account.payer.refused(account.sent, "refused")?;
                    return Err(failure);
                }
                Err(failure) => account = self.wait(account, PAUSE, failure).await?,
            }
        }
    }

    /// Lets some time pass before the same payment is sent again.
    async fn wait(
        &self,
        mut account: Account,
        pause: Duration,
        failure: Failure,
    ) -> Result<Account, Failure> {
        account.sent.repeat();
        let id = &account.sent.order().request_id;
        let late = account.began.elapsed() >= self.client.longest;
        if late || account.repeats == 0 || failure.class != ExitClass::Network {
            return Err(failure.with_hint(format!(
                "its payment, at most {}, may have arrived; ask for the same answer with the same \
                 payment: openlora call --again {id}",
                account.payer.money(account.sent.spending().quote)
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

    /// Another payment after a 402 to one. Nothing in the answer widens what was allowed.
    async fn mend(&self, account: Account, terms: &str) -> Result<Account, Failure> {
        let required = self.read(terms)?;
        let Account {
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
                used.elsewhere = used.elsewhere.saturating_add(sent.spending().quote);
            }
            let limits = self.limits(&payer)?;
            let price = offer.terms.amount.saturating_add(used.elsewhere);
            if price > used.price {
                limits.allow_price(price, || shown_price(&payer, &offer, sent.order()))?;
                used.price = price;
            }
            let free = limits.free().saturating_sub(used.deposits);
            let prepared = payer.correct(sent, &required, (offer, free)).await?;
            self.sign(&payer, prepared, &required, &mut used)
        };
        match corrected.await {
            Ok(sent) => Ok(Account {
                payer,
                sent,
                used,
                repeats,
                corrections: corrections - 1,
                began,
            }),
            Err(failure) => {
                if !repeated {
                    // It was refused, so there is no answer to ask for again.
                    payer.purse.forget_attempt(&id)?;
                }
                Err(failure)
            }
        }
    }

    fn read(&self, terms: &str) -> Result<PaymentRequired, Failure> {
        let read = PaymentRequired::decode(terms);
        let required = read.map_err(|problem| PurseError::Wire {
            server: self.client.place(),
            problem,
        });
        Ok(required?)
    }
}

fn shown_price(payer: &Payer, offer: &Offer, order: &Order) -> String {
    format!(
        "{} costs up to {} on {}, paid by {}",
        order.seller.adapter,
        payer.money(offer.terms.amount),
        payer.chain.network.name,
        offer.terms.scheme
    )
}

impl Account {
    /// Reads the server's word on what was charged: a header, or the last event of a stream. One
    /// that is missing or wrong leaves the call counted with its whole quote.
    pub async fn settle(self, context: &Context, said: Option<Said>) -> Closed {
        let Self { payer, sent, .. } = self;
        let request_id = sent.order().request_id.clone();
        let quote = payer.money(sent.spending().quote);
        let settled = match said {
            Some(Said::Header(text)) => Some(payer.settle(sent, &text).await),
            Some(Said::Event(text)) => Some(payer.settle_json(sent, &text).await),
            None => None,
        };
        let problem = match settled {
            Some(Ok(paid)) => {
                return Closed {
                    payer,
                    request_id,
                    paid: Some(paid),
                };
            }
            Some(Err(problem)) => problem.to_string(),
            None => "the server does not say what it charged".to_owned(),
        };
        context
            .printer
            .warn(format!("{problem}; the call counts as {quote}"));
        Closed {
            payer,
            request_id,
            paid: None,
        }
    }
}

/// Where a server said what it charged.
pub enum Said {
    Header(String),
    Event(String),
}

impl Said {
    pub fn in_header(response: &Response) -> Option<Self> {
        let value = response.headers().get(PAYMENT_RESPONSE)?;
        value
            .to_str()
            .ok()
            .map(|text| Self::Header(text.to_owned()))
    }
}

impl Closed {
    /// What the call cost; none while nobody knows.
    pub fn amount(&self) -> Option<Amount> {
        self.paid.as_ref().and_then(|paid| paid.spending.charged())
    }

    pub fn shown(&self) -> Option<String> {
        self.amount()
            .map(|amount| self.payer.money(amount).to_string())
    }

    /// Keeps the server's receipt; one that says otherwise than the payment is worth a warning.
    pub fn keep(
        &self,
        context: &Context,
        id: &str,
        receipt: Option<&PublishedReceipt>,
    ) -> Result<(), Failure> {
        let Some(Paid { number, spending }) = &self.paid else {
            return Ok(());
        };
        if let Some(receipt) = receipt
            && receipt.payment != spending.charge()
        {
            context.printer.warn(format!(
                "the server's receipt {id} says {}, and {} was paid",
                self.payer.money(receipt.paid),
                self.shown().unwrap_or_default()
            ));
        }
        let id = if is_id(id) { id } else { &self.request_id };
        let text = receipt.and_then(|receipt| serde_json::to_value(receipt).ok());
        let purse = &self.payer.purse;
        Ok(purse.keep_receipt(*number, spending.clone(), (id, text))?)
    }

    /// The answer has been shown: it need not be asked for again.
    pub fn shown_to_caller(&self) -> Result<(), Failure> {
        Ok(self.payer.purse.forget_attempt(&self.request_id)?)
    }
}
