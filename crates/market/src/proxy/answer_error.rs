//! Errors of the proxy in OpenAI's envelope. What a buyer can do about a payment stands in plain words
//! in the message, because programs show nothing else.

use axum::{
    Json,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use crate::{error::MarketError, purchase::PurchaseError};
use openlora_core::{error::Explain, private::redact};
use openlora_payments::payer::PayerError;
use openlora_release::deploy::DeployError;

/// Tells the OpenAI SDKs whether a retry can succeed.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// An error answer of the proxy.
#[derive(Clone, Debug, PartialEq)]
pub struct ProxyError {
    pub status: StatusCode,
    pub kind: &'static str,
    pub code: String,
    pub message: String,
    pub param: Option<String>,
    /// Whether the same request may succeed soon without costing twice.
    pub retry: bool,
}

impl ProxyError {
    pub fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        let kind = match status.as_u16() {
            402 => "insufficient_quota",
            429 => "rate_limit_error",
            500.. => "server_error",
            _ => "invalid_request_error",
        };
        Self {
            status,
            kind,
            code: code.to_owned(),
            message: message.into(),
            param: None,
            retry: false,
        }
    }

    /// 400: the request itself is wrong.
    pub fn invalid(code: &str, param: Option<&str>, message: impl Into<String>) -> Self {
        Self {
            param: param.map(str::to_owned),
            ..ProxyError::new(StatusCode::BAD_REQUEST, code, message)
        }
    }

    /// 502: what the server answered cannot be passed on.
    pub fn upstream(problem: &str) -> Self {
        let message = format!("The server's answer cannot be read: {problem}.");
        ProxyError::new(StatusCode::BAD_GATEWAY, "upstream_invalid", message)
    }

    fn retried(mut self) -> Self {
        self.retry = true;
        self
    }

    /// The message without secrets.
    pub fn public_message(&self) -> String {
        redact::scrub(&self.message).into_owned()
    }

    /// The envelope as JSON, also used inside event streams.
    pub fn envelope(&self) -> Value {
        json!({ "error": {
            "message": self.public_message(),
            "type": self.kind,
            "param": self.param,
            "code": self.code,
        } })
    }
}

impl IntoResponse for ProxyError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.envelope())).into_response();
        let retry = if self.retry { "true" } else { "false" };
        let headers = response.headers_mut();
        headers.insert(SHOULD_RETRY, HeaderValue::from_static(retry));
        if self.status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer realm=\"openlora\"");
            headers.insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}

/// A message and its hint as sentences.
fn explained(error: &impl Explain) -> String {
    let sentence = |text: &str| {
        let mut letters = text.chars();
        let first = letters.next().map(|it| it.to_uppercase().to_string());
        format!("{}{}", first.unwrap_or_default(), letters.as_str())
    };
    match error.hint() {
        Some(hint) => format!("{}. {}.", sentence(&error.to_string()), sentence(&hint)),
        None => format!("{}.", sentence(&error.to_string())),
    }
}

impl From<MarketError> for ProxyError {
    fn from(error: MarketError) -> Self {
        let (status, code) = match &error {
            MarketError::UnknownAdapter { .. }
            | MarketError::Registry(DeployError::NoAdapter { .. })
            | MarketError::Paused { .. }
            | MarketError::UnknownName { .. }
            | MarketError::AmbiguousName { .. } => (StatusCode::NOT_FOUND, "model_not_found"),
            MarketError::ForeignSplitter { .. } => (StatusCode::BAD_GATEWAY, "foreign_splitter"),
            MarketError::NoServer { .. } | MarketError::ServersDown { .. } => {
                (StatusCode::SERVICE_UNAVAILABLE, "no_server_answers")
            }
            _ => (StatusCode::SERVICE_UNAVAILABLE, "registry_unreachable"),
        };
        let answer = ProxyError::new(status, code, explained(&error));
        match status {
            StatusCode::NOT_FOUND => Self {
                param: Some("model".to_owned()),
                ..answer
            },
            StatusCode::SERVICE_UNAVAILABLE => answer.retried(),
            _ => answer,
        }
    }
}

impl From<PayerError> for ProxyError {
    fn from(error: PayerError) -> Self {
        let (status, code) = match &error {
            PayerError::Budget { .. }
            | PayerError::CallerBudget { .. }
            | PayerError::Locked { .. }
            | PayerError::Deposit { .. }
            | PayerError::Funds { .. } => (StatusCode::PAYMENT_REQUIRED, "insufficient_quota"),
            PayerError::Price { .. } => (StatusCode::PAYMENT_REQUIRED, "price_above_limit"),
            PayerError::Store { .. } | PayerError::Format { .. } => {
                (StatusCode::INTERNAL_SERVER_ERROR, "payment_store")
            }
            _ => (StatusCode::BAD_GATEWAY, "payment_failed"),
        };
        ProxyError::new(status, code, explained(&error))
    }
}

impl From<PurchaseError> for ProxyError {
    fn from(error: PurchaseError) -> Self {
        let message = format!("{error}.");
        match error {
            PurchaseError::Payer(error) => error.into(),
            PurchaseError::Payee(error) => error.into(),
            // Another payment for the same call could cost a second time.
            PurchaseError::AfterPayment(error) => Self {
                retry: false,
                ..(*error).into()
            },
            PurchaseError::Unreachable { .. } => {
                let status = StatusCode::SERVICE_UNAVAILABLE;
                ProxyError::new(status, "no_server_answers", message).retried()
            }
            PurchaseError::Foreign { .. } => {
                ProxyError::new(StatusCode::BAD_GATEWAY, "upstream_invalid", message)
            }
            PurchaseError::Unanswered { request_id, .. } => {
                let message = format!(
                    "{message} The same answer can be fetched with the same payment: \
                     openlora call --again {request_id}"
                );
                ProxyError::new(StatusCode::BAD_GATEWAY, "answer_lost", message)
            }
            PurchaseError::Refused {
                status, envelope, ..
            } => passed_on(status, &envelope["error"]),
        }
    }
}

/// The server's own error.
fn passed_on(status: StatusCode, error: &Value) -> ProxyError {
    let text = |name: &str| error[name].as_str().map(str::to_owned);
    let code = text("code").unwrap_or_else(|| "upstream_refused".to_owned());
    let message = text("message").unwrap_or_else(|| "The server gives no reason.".to_owned());
    let retry = matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
    );
    ProxyError {
        param: text("param"),
        retry,
        ..ProxyError::new(status, &code, message)
    }
}
