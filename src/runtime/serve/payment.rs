//! How a call is paid: the terms for it, the payer's tab, and what goes wrong as HTTP says it.
//!
//! Schemes, chains and signatures are the cashier's; here a payment is the text of a header.

use std::sync::Arc;

use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderName, StatusCode, header},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{
    answer::Answer, calls::Slot, gate::Pass, intake::Intake, meter::Admission, refusal::Refusal,
    request_id::RequestId, routes::App,
};
use crate::runtime::{
    ledger::Work,
    ports::{Cashier, Facilitator, Sale, Tab, Treasury, Unpaid},
};

/// What a caller pays with.
pub const PAYMENT_SIGNATURE: HeaderName = HeaderName::from_static("payment-signature");
/// What a caller has to pay, on a 402.
pub const PAYMENT_REQUIRED: HeaderName = HeaderName::from_static("payment-required");
/// What a caller has paid.
pub const PAYMENT_RESPONSE: HeaderName = HeaderName::from_static("payment-response");

/// The money that prices are in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Currency {
    pub symbol: String,
    pub decimals: u8,
}

/// A server that sells its calls.
#[derive(Clone)]
pub struct Sales {
    pub cashier: Arc<dyn Cashier>,
    pub facilitator: Arc<dyn Facilitator>,
    pub treasury: Arc<dyn Treasury>,
    pub currency: Currency,
}

/// A call that may go on.
pub enum Opened {
    Run(Ticket),
    /// The call was answered before.
    Repeated(Answer),
}

/// What a call needs to run: its id, its turn, and a tab where calls are paid.
pub struct Ticket {
    pub slot: Slot,
    pub pass: Pass,
    pub tab: Option<Box<dyn Tab>>,
}

/// The payment that came with a request.
pub fn presented(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let mut values = headers.get_all(&PAYMENT_SIGNATURE).iter();
    let (first, second) = (values.next(), values.next());
    if second.is_some() {
        let message = "Invalid header 'payment-signature': expected one, found several.";
        return Err(malformed(message));
    }
    let Some(value) = first else { return Ok(None) };
    match value.to_str() {
        Ok(text) => Ok(Some(text.to_owned())),
        Err(_) => Err(malformed(
            "Invalid header 'payment-signature': expected base64.",
        )),
    }
}

/// The address that was called, as the caller wrote it.
pub fn resource(headers: &HeaderMap, path: &str) -> String {
    use super::proxies;
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    // The edge leaves these only where a trusted proxy wrote them.
    let host = text(proxies::FORWARDED_HOST).or(text(header::HOST));
    let secure = text(proxies::FORWARDED_PROTO).is_some_and(|it| it.eq_ignore_ascii_case("https"));
    let scheme = if secure { "https" } else { "http" };
    format!("{scheme}://{}{path}", host.unwrap_or("localhost"))
}

impl App {
    /// Whether a free call runs or was answered before. Ids of paid calls are their payers' own,
    /// so nothing is known of one before its payment is: nothing is answered by its id.
    pub async fn admit(&self, intake: &Intake) -> Result<Option<Admission>, Refusal> {
        match self.sales {
            Some(_) => Ok(None),
            None => self
                .meter
                .admit(&intake.id, &intake.id, &intake.imprint)
                .await
                .map(Some),
        }
    }

    /// Lets a call go on that is free or paid for. Whoever waits for a payer's channel gives its
    /// turn to others meanwhile.
    pub async fn open(
        &self,
        intake: &mut Intake,
        (admission, pass): (Option<Admission>, Option<Pass>),
        work: Work,
        media_type: &'static str,
    ) -> Result<Opened, Refusal> {
        match admission {
            Some(Admission::Repeated(answer)) => return Ok(Opened::Repeated(answer)),
            Some(Admission::Fresh(slot)) => {
                let pass = match pass {
                    Some(pass) => pass,
                    None => self.gate.enter(&intake.adapter.name, work.tokens()).await?,
                };
                let tab = None;
                return Ok(Opened::Run(Ticket { slot, pass, tab }));
            }
            None => {}
        }
        let Some(sales) = &self.sales else {
            return Err(Refusal::unavailable(
                "payment_unavailable",
                "Nothing is sold here.",
            ));
        };
        let sale = intake.sale(work, media_type);
        let Some(payment) = &intake.payment else {
            return Err(unpaid(sales.cashier.terms(&sale)));
        };
        let mut tab = match sales.cashier.open(&sale, payment).await {
            Ok(tab) => tab,
            Err(Unpaid::Used {
                request_id,
                request_hash,
                otherwise,
            }) => {
                return self
                    .used(intake, &request_id, &request_hash, *otherwise)
                    .await;
            }
            Err(why) => return Err(unpaid(why)),
        };
        let admitted = self
            .meter
            .admit_paid(&intake.id, tab.payment(), &intake.imprint);
        let slot = match admitted.await? {
            Admission::Repeated(answer) => return Ok(Opened::Repeated(answer)),
            Admission::Fresh(slot) => slot,
        };
        intake.id = slot.id().clone();
        tab.name(intake.id.as_str());
        self.attributions.check_room(Some(tab.payment().party()))?;
        let adapter = &intake.adapter.name;
        let pass = self.gate.enter(adapter, work.tokens()).await?;
        tab.secure().await.map_err(unpaid)?;
        let tab = Some(tab);
        Ok(Opened::Run(Ticket { slot, pass, tab }))
    }

    /// A turn on an engine where calls are free: there nothing else bounds the work before a call.
    pub async fn turn_if_free(
        &self,
        intake: &Intake,
        tokens: u64,
    ) -> Result<Option<Pass>, Refusal> {
        if self.sales.is_some() {
            return Ok(None);
        }
        self.attributions.check_room(None)?;
        Ok(Some(self.gate.enter(&intake.adapter.name, tokens).await?))
    }

    /// A payment that was used for the same request gets the same answer.
    async fn used(
        &self,
        intake: &Intake,
        request_id: &str,
        request_hash: &str,
        otherwise: Unpaid,
    ) -> Result<Opened, Refusal> {
        let id = RequestId::parse(request_id).filter(|_| request_hash == intake.imprint.hash);
        let Some(id) = id else {
            return Err(unpaid(otherwise));
        };
        match self.meter.admit(&id, &intake.id, &intake.imprint).await? {
            Admission::Repeated(answer) => Ok(Opened::Repeated(answer)),
            Admission::Fresh(_) => Err(unpaid(otherwise)),
        }
    }
}

impl Intake {
    fn sale(&self, work: Work, media_type: &'static str) -> Sale {
        Sale {
            adapter: self.adapter.name.clone(),
            adapter_digest: self.adapter.digest.clone(),
            resource: self.resource.clone(),
            media_type,
            request_id: self.id.as_str().to_owned(),
            request_hash: self.imprint.hash.clone(),
            request: self.digest,
            work,
            prices: self.adapter.prices,
            quote: self.adapter.prices.of(work),
        }
    }
}

/// The value of `PAYMENT-RESPONSE` as the last event of a stream, after the SDKs' own end.
pub fn closing_event(response: &str) -> Bytes {
    let json = STANDARD.decode(response).unwrap_or_default();
    let json = String::from_utf8(json).unwrap_or_default();
    format!("event: payment-response\ndata: {json}\n\n").into()
}

/// A missing or wrong payment as HTTP says it.
pub fn unpaid(why: Unpaid) -> Refusal {
    match why {
        Unpaid::Malformed { message } => malformed(message),
        Unpaid::Required {
            code,
            message,
            terms,
        } => Refusal::new(StatusCode::PAYMENT_REQUIRED, "payment_required", message)
            .on(code)
            .with_terms(terms),
        Unpaid::Used { otherwise, .. } => unpaid(*otherwise),
        Unpaid::Unavailable {
            message,
            retry_after,
        } => Refusal::unavailable("payment_unavailable", message).retry_after(retry_after),
        Unpaid::Stopped {
            code,
            message,
            retry_after,
        } => Refusal::unavailable(code, message).retry_after(retry_after),
    }
}

fn malformed(message: impl Into<Box<str>>) -> Refusal {
    Refusal::invalid("invalid_payment", PAYMENT_SIGNATURE.as_str(), message)
}
