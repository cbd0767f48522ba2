//! Error answers in the OpenAI error envelope.
//!
//! Every status other than 2xx leaves the server through [`ApiError`], so that the envelope has
//! one shape: `{"error":{"message","type","param","code"}}`, with `receipt` beside them where a
//! call was already metered, `price` where it must be paid, `amounts` where the message tells some, and
//! `hint` where the operator can do something about it. It must not know which route it came from.

use axum::{
    Json,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};

use openlora_core::private::redact;
use openlora_engine::EngineError;

/// The payment terms of a 402 answer.
pub const PAYMENT_REQUIRED: HeaderName = HeaderName::from_static("payment-required");

/// Marks an answer that is repeated for the same id.
pub const REPLAYED: HeaderName = HeaderName::from_static("x-openlora-replayed");

/// Tells the OpenAI SDKs whether a retry can succeed.
pub const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// An error answer.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiError {
    pub status: StatusCode,
    pub code: &'static str,
    pub message: Box<str>,
    /// The parameter at fault, as the caller wrote it.
    pub param: Option<Box<str>>,
    /// Seconds after which the same request may succeed.
    pub retry_after: Option<u64>,
    /// What was metered under this request id.
    pub receipt: Option<Box<Value>>,
    /// The accepted payments: the value of `PAYMENT-REQUIRED`.
    pub terms: Option<Box<str>>,
    /// What the call costs at most, and where payments are explained.
    pub price: Option<Box<Value>>,
    /// Further fields of the envelope.
    pub details: Option<Box<Map<String, Value>>>,
}

impl ApiError {
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<Box<str>>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            param: None,
            retry_after: None,
            receipt: None,
            terms: None,
            price: None,
            details: None,
        }
    }

    /// 400: the request itself is wrong.
    pub fn invalid(code: &'static str, param: &str, message: impl Into<Box<str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message).with_param(param)
    }

    /// 503: this server cannot serve now.
    pub fn unavailable(code: &'static str, message: impl Into<Box<str>>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message).retry_after(1)
    }

    pub fn with_param(mut self, param: impl Into<Box<str>>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// The same with another sentence.
    pub fn adding(mut self, sentence: &str) -> Self {
        self.message = format!("{} {sentence}", self.message).into();
        self
    }

    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    pub fn with_terms(mut self, terms: impl Into<Box<str>>) -> Self {
        self.terms = Some(terms.into());
        self
    }

    pub fn with_price(mut self, price: Value) -> Self {
        self.price = Some(Box::new(price));
        self
    }

    /// Adds the amounts in the message by their names, in base units.
    pub fn with_amounts(self, amounts: Value) -> Self {
        self.with_detail("amounts", amounts)
    }

    /// Adds what the caller can do.
    pub fn with_hint(self, hint: &str) -> Self {
        self.with_detail("hint", json!(redact::scrub(hint)))
    }

    fn with_detail(mut self, name: &str, value: Value) -> Self {
        let details = self.details.get_or_insert_default();
        details.insert(name.to_owned(), value);
        self
    }

    pub fn with_receipt(mut self, receipt: Value) -> Self {
        self.receipt = Some(Box::new(receipt));
        self
    }

    /// Maps an engine error. A request that the engine refuses is the caller's error. Any other
    /// error is ours, and its details stay in the log.
    pub fn from_engine(error: &EngineError) -> Self {
        match error {
            EngineError::Invalid { message, parameter } => {
                let refusal =
                    Self::new(StatusCode::BAD_REQUEST, "invalid_request", message.clone());
                parameter.map_or(refusal.clone(), |parameter| refusal.with_param(parameter))
            }
            EngineError::Busy { .. } => Self::unavailable("engine_busy", error.to_string()),
            EngineError::Load { name, .. } => {
                tracing::error!(%error, "an adapter did not come back into memory");
                let message =
                    format!("The adapter {name} cannot be loaded now; the server's log says why.");
                Self::unavailable("adapter_not_loaded", message)
            }
            other => {
                tracing::error!(error = %other, "engine failure");
                Self::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "engine_failed",
                    "The model failed while answering; the server's log says why.",
                )
            }
        }
    }

    fn kind(&self) -> &'static str {
        match self.status.as_u16() {
            402 => "payment_error",
            429 => "rate_limit_error",
            500.. => "server_error",
            _ => "invalid_request_error",
        }
    }

    /// The envelope as JSON, also used inside event streams.
    pub fn envelope(&self) -> Value {
        let mut error = json!({
            "message": redact::scrub(&self.message),
            "type": self.kind(),
            "param": self.param,
            "code": self.code,
        });
        let Some(fields) = error.as_object_mut() else {
            return json!({ "error": error });
        };
        for (name, value) in [("receipt", &self.receipt), ("price", &self.price)] {
            let value = value.as_deref().cloned();
            fields.extend(value.map(|value| (name.to_owned(), value)));
        }
        fields.extend(self.details.iter().flat_map(|it| Map::clone(it)));
        json!({ "error": error })
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.envelope())).into_response();
        let headers = response.headers_mut();
        let terms = self.terms.and_then(|it| HeaderValue::from_str(&it).ok());
        if let Some(terms) = terms {
            headers.insert(PAYMENT_REQUIRED, terms);
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer realm=\"openlora\"");
            headers.insert(header::WWW_AUTHENTICATE, scheme);
        }
        match self.retry_after {
            Some(seconds) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            // The SDKs repeat every 409 unless this header says that it is final.
            None if self.status == StatusCode::CONFLICT => {
                headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
            }
            None => {}
        }
        response
    }
}
