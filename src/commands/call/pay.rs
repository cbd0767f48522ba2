//! Paying for a call: the price is shown, asked for where it is high, and signed once it is
//! allowed.

use std::time::Duration;

use reqwest::Response;
use serde_json::Value;

use super::{
    CallRequest,
    client::{Client, Reply},
};
use crate::{
    commands::{Context, ask, money, payer},
    error::{ExitClass, Failure},
    runtime::serve::PublishedReceipt,
    wallet::{
        purse::{Money, Offer, Order, Paid, Payer, PurseError, Seller, Sent, choose},
        x402::wire::{PAYMENT_RESPONSE, PaymentRequired},
    },
};

/// How often a payment is mended after a 402.
const CORRECTIONS: usize = 2;
/// How often the same payment is sent again to a server that asks for patience, and the longest
/// that is waited each time.
const REPEATS: usize = 5;
const PATIENCE: Duration = Duration::from_secs(10);

/// One call.
pub struct Wanted<'a> {
    pub adapter: &'a str,
    pub path: &'static str,
    pub body: &'a Value,
}

/// A call that was answered, and what pays for it.
pub struct Bought {
    pub response: Response,
    pub account: Option<Account>,
}

/// A payment that the server has and has not said the end of.
pub struct Account {
    payer: Payer,
    sent: Sent,
}

/// What a call cost.
pub struct Settled {
    payer: Payer,
    paid: Paid,
}

/// Makes the call; pays when the server asks for it.
pub async fn buy(
    context: &Context,
    client: &Client,
    request: &CallRequest,
    wanted: &Wanted<'_>,
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
                wanted,
            };
            shop.pay(&id, &terms).await
        }
        Reply::Later(_, failure) => Err(failure),
    }
}

struct Shop<'a> {
    context: &'a Context,
    client: &'a Client,
    request: &'a CallRequest,
    wanted: &'a Wanted<'a>,
}

impl Shop<'_> {
    async fn pay(&self, id: &str, terms: &str) -> Result<Bought, Failure> {
        let required = self.read(terms)?;
        let payer = payer::open(self.context, &self.request.payer).await?;
        let network = (&payer.chain.network, &payer.token);
        let offer = choose(
            &required,
            &self.client.place(),
            network,
            self.request.scheme,
        )?;
        self.approve(&payer, &offer)?;
        let order = Order {
            request_id: id.to_owned(),
            seller: Seller {
                server: self.client.place(),
                adapter: self.wanted.adapter.to_owned(),
                route: self.client.url(self.wanted.path),
            },
        };
        let mut sent = self.sign(&payer, &required, (offer, order)).await?;
        for _ in 0..CORRECTIONS {
            match self.present(id, &sent).await {
                Ok(Reply::Answer(response)) => {
                    let account = Some(Account { payer, sent });
                    return Ok(Bought { response, account });
                }
                Ok(Reply::Unpaid(terms)) => {
                    sent = payer.correct(sent, &self.read(&terms)?).await?;
                }
                Ok(Reply::Later(_, failure)) => return Err(failure),
                Err(failure) => {
                    // The caller's own mistake costs nothing; anything else may have.
                    if matches!(failure.class, ExitClass::Usage | ExitClass::BadInput) {
                        let _ = payer.refused(sent, "refused")?;
                    }
                    return Err(failure);
                }
            }
        }
        match self.present(id, &sent).await? {
            Reply::Answer(response) => {
                let account = Some(Account { payer, sent });
                Ok(Bought { response, account })
            }
            Reply::Unpaid(terms) => {
                let code = self.read(&terms)?.error.unwrap_or_default();
                Err(payer.refused(sent, &code)?.into())
            }
            Reply::Later(_, failure) => Err(failure),
        }
    }

    /// On a development chain, money that is missing is made.
    async fn sign(
        &self,
        payer: &Payer,
        required: &PaymentRequired,
        (offer, order): (Offer, Order),
    ) -> Result<Sent, Failure> {
        match payer.pay(required, offer.clone(), order.clone()).await {
            Err(PurseError::Funds { needed, .. }) if payer.chain.network.is_local() => {
                let desk = payer::Desk::new(self.context, payer)?;
                desk.mint(needed.amount).await?;
                Ok(payer.pay(required, offer, order).await?)
            }
            sent => Ok(sent?),
        }
    }

    /// Sends a payment, again and again while the server does not know yet what became of it.
    async fn present(&self, id: &str, sent: &Sent) -> Result<Reply, Failure> {
        let mut reply = self
            .client
            .send(self.wanted, id, Some(&sent.header))
            .await?;
        for _ in 0..REPEATS {
            let Reply::Later(pause, _) = &reply else {
                break;
            };
            tokio::time::sleep((*pause).min(PATIENCE)).await;
            reply = self
                .client
                .send(self.wanted, id, Some(&sent.header))
                .await?;
        }
        Ok(reply)
    }

    fn read(&self, terms: &str) -> Result<PaymentRequired, Failure> {
        let read = PaymentRequired::decode(terms);
        let required = read.map_err(|problem| PurseError::Wire {
            server: self.client.place(),
            problem,
        });
        Ok(required?)
    }

    /// The price is shown, and asked for above `call.ask_above`.
    fn approve(&self, payer: &Payer, offer: &Offer) -> Result<(), Failure> {
        let context = self.context;
        let quote = offer.terms.amount;
        let price = payer.money(quote);
        let allowed = self.request.max_price.as_deref();
        let allowed = allowed.map(|text| money::flag("--max-price", text, &payer.token));
        let allowed = allowed.transpose()?;
        if let Some(limit) = allowed.filter(|limit| quote > *limit) {
            let limit = payer.money(limit);
            return Err(PurseError::Price { price, limit }.into());
        }
        let adapter = self.wanted.adapter;
        context.printer.note(format!(
            "{adapter} costs up to {price} on {}, paid by {}",
            payer.chain.network.name, offer.terms.scheme
        ));
        let free_hand =
            money::setting(context, "call.ask_above", &payer.token)?.unwrap_or_default();
        if quote <= free_hand || allowed.is_some() {
            return Ok(());
        }
        confirm(context, &price, &payer.money(free_hand))
    }
}

/// A price above the limit is a person's decision: `--yes` does not stand for it.
fn confirm(context: &Context, price: &Money, limit: &Money) -> Result<(), Failure> {
    if context.yes || context.no_input {
        let message = format!(
            "this call may cost {price}, and above {limit} (`call.ask_above`) a person is asked"
        );
        return Err(
            Failure::new(ExitClass::Unconfirmed, message).with_hint(format!(
                "allow it with --max-price {}",
                price.to_string().split(' ').next().unwrap_or_default()
            )),
        );
    }
    ask::confirm(context, &format!("this call may cost {price}"), "yes")
}

impl Account {
    /// Reads the server's word on what was charged: a header, or the last event of a stream. One
    /// that is missing or wrong leaves the call counted with its whole quote.
    pub async fn settle(self, context: &Context, said: Option<Said>) -> Option<Settled> {
        let quote = self.payer.money(self.sent.spending().quote);
        let settled = match said {
            Some(Said::Header(text)) => self.payer.settle(self.sent, &text).await,
            Some(Said::Event(text)) => self.payer.settle_json(self.sent, &text).await,
            None => {
                context.printer.warn(format!(
                    "the server does not say what it charged; the call counts as {quote}"
                ));
                return None;
            }
        };
        match settled {
            Ok(paid) => Some(Settled {
                payer: self.payer,
                paid,
            }),
            Err(problem) => {
                context
                    .printer
                    .warn(format!("{problem}; the call counts as {quote}"));
                None
            }
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

impl Settled {
    pub fn amount(&self) -> crate::runtime::ledger::Amount {
        self.paid.spending.charged().unwrap_or_default()
    }

    pub fn shown(&self) -> String {
        self.payer.money(self.amount()).to_string()
    }

    /// Keeps the server's receipt; one that says otherwise than the payment is worth a warning.
    pub fn keep(
        self,
        context: &Context,
        id: &str,
        receipt: Option<&PublishedReceipt>,
    ) -> Result<(), Failure> {
        if let Some(receipt) = receipt
            && receipt.payment != self.paid.spending.charge()
        {
            context.printer.warn(format!(
                "the server's receipt {id} says {}, and {} was paid",
                self.payer.money(receipt.paid),
                self.shown()
            ));
        }
        let text = receipt.and_then(|receipt| serde_json::to_value(receipt).ok());
        let Paid { number, spending } = self.paid;
        Ok(self
            .payer
            .purse
            .keep_receipt(number, spending, (id, text))?)
    }
}
