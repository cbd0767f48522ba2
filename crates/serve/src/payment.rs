//! Payments over HTTP: the headers, and the answer to a missing or wrong payment.
//!
//! Schemes, chains and signatures belong to the payment gateway; here a payment is the text of a
//! header.

use std::sync::Arc;

use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderName, StatusCode, header, uri::Authority},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;

use super::{api_error::ApiError, proxies};
use openlora_core::{Amount, units::in_units};
use openlora_ports::{Facilitator, PaymentDemand, PaymentGateway, Settler};

/// The header with a caller's payment.
pub const PAYMENT_SIGNATURE: HeaderName = HeaderName::from_static("payment-signature");
/// The header with the result of a payment.
pub const PAYMENT_RESPONSE: HeaderName = HeaderName::from_static("payment-response");

/// Where payments of this kind, and clients that make them, are explained.
const DOCUMENTATION: &str = "https://www.x402.org";

/// The currency of prices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Currency {
    pub symbol: String,
    pub decimals: u8,
}

/// A server with paid calls.
#[derive(Clone)]
pub struct SalesConfig {
    pub gateway: Arc<dyn PaymentGateway>,
    pub facilitator: Arc<dyn Facilitator>,
    pub settler: Arc<dyn Settler>,
    pub currency: Currency,
}

/// The payment in a request.
pub fn payment_header(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
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
    // The edge keeps the forwarding headers only if a trusted proxy wrote them.
    let forwarded = |list: &HeaderName, pair| {
        let list = headers.get(list).and_then(|value| value.to_str().ok());
        let first = list.and_then(|list| list.split(',').next());
        let first = first.map(|text| text.trim().to_owned());
        first.or_else(|| proxies::forwarded_pair(headers, pair))
    };
    let host = headers.get(header::HOST);
    let host = host.and_then(|value| value.to_str().ok().map(str::to_owned));
    let hosts = [forwarded(&proxies::FORWARDED_HOST, "host"), host];
    let host = hosts.into_iter().flatten().find(|host| is_host(host));
    let scheme = match forwarded(&proxies::FORWARDED_PROTO, "proto") {
        Some(proto) if proto.eq_ignore_ascii_case("https") => "https",
        _ => "http",
    };
    format!(
        "{scheme}://{}{path}",
        host.as_deref().unwrap_or("localhost")
    )
}

fn is_host(text: &str) -> bool {
    let host = text.parse::<Authority>();
    host.is_ok_and(|it| !it.host().is_empty()) && !text.contains('@')
}

/// The value of `PAYMENT-RESPONSE` as the last event of a stream, after the end that the SDKs
/// expect.
pub fn closing_event(response: &str) -> Bytes {
    let json = STANDARD.decode(response).unwrap_or_default();
    let json = String::from_utf8(json).unwrap_or_default();
    format!("event: payment-response\ndata: {json}\n\n").into()
}

/// The HTTP answer to a missing or wrong payment.
pub fn unpaid(why: PaymentDemand) -> ApiError {
    match why {
        PaymentDemand::Malformed { message } => malformed(message),
        PaymentDemand::Required {
            code,
            message,
            amounts,
            terms,
            ..
        } => {
            let error = ApiError::new(StatusCode::PAYMENT_REQUIRED, "payment_required", message)
                .with_param(code)
                .with_terms(terms);
            match amounts.is_empty() {
                true => error,
                false => error.with_amounts(json!(amounts)),
            }
        }
        PaymentDemand::Used { otherwise, .. } => unpaid(*otherwise),
        PaymentDemand::Unavailable {
            message,
            retry_after,
        } => ApiError::unavailable("payment_unavailable", message).retry_after(retry_after),
        PaymentDemand::Stopped {
            code,
            message,
            retry_after,
        } => ApiError::unavailable(code, message).retry_after(retry_after),
    }
}

/// The same for a call whose price is known: a 402 also states it in token units, so that a person
/// who reads the answer needs no decoder.
pub fn unpaid_at(why: PaymentDemand, currency: &Currency, quote: Amount) -> ApiError {
    let error = unpaid(why);
    if error.status != StatusCode::PAYMENT_REQUIRED {
        return error;
    }
    let price = json!({
        "at_most": in_units(quote, currency.decimals),
        "currency": currency.symbol,
        "documentation": DOCUMENTATION,
    });
    error.with_price(price)
}

fn malformed(message: impl Into<Box<str>>) -> ApiError {
    ApiError::invalid("invalid_payment", PAYMENT_SIGNATURE.as_str(), message)
}
