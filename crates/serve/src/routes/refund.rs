//! `GET` on a metered route: the payment terms of a call there, and refunds, which are not metered.
//!
//! x402's clients request the refund of their channel from the route that they paid, without a
//! body. The adapter is then in the query.

use axum::{
    Extension,
    extract::{Query, Request, State, rejection::QueryRejection},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;

use super::AppState;
use crate::{
    adapter_registry::ServedAdapter,
    answer::FinishedAnswer,
    api_error::ApiError,
    client::ClientAddress,
    generate::respond,
    listing::listing,
    on_demand_loading::find_or_announced,
    payment::{payment_header, unpaid},
    request_id::RequestId,
    wire::images::IMAGES_PATH,
};
use openlora_core::Word;
use openlora_ledger::CallWork;
use openlora_ports::{OfferedCall, Presenter};

#[derive(Deserialize)]
pub struct RefundParams {
    model: Option<String>,
}

pub async fn terms(
    State(app): State<AppState>,
    wanted: Result<Query<RefundParams>, QueryRejection>,
    id: Option<Extension<RequestId>>,
    request: Request,
) -> Result<Response, ApiError> {
    let Some(sales) = &app.sales else {
        return Ok(free(&request));
    };
    let Query(wanted) = wanted.map_err(|_| unreadable())?;
    let adapter = chosen(&app, wanted.model.as_deref()).await?;
    let address = ClientAddress::from_request(request.extensions());
    let path = request.uri().path();
    let resource = app.access.resource(request.headers(), path);
    let sale = OfferedCall {
        request_id: id.map_or_else(String::new, |id| id.0.as_str().to_owned()),
        presenter: Presenter {
            is_limited: app.refused.is_limited(address),
            ..Presenter::default()
        },
        ..least_call(&adapter, path, resource)
    };
    match payment_header(request.headers())? {
        None => {
            app.quotes.spend(address.filter(|it| !it.is_shared()), 0)?;
            Err(unpaid(sales.gateway.terms(&sale)))
        }
        Some(payment) => {
            let refunded = sales.gateway.refund(&sale, &payment).await;
            let refunded = refunded.map_err(|why| {
                app.count_refusal(&why, address);
                unpaid(why)
            })?;
            Ok(respond(
                FinishedAnswer::json(&refunded.body).paid(Some(refunded.response)),
            ))
        }
    }
}

/// The least call of an adapter on a paid path: its price is the minimum, or that of one picture.
pub fn least_call(adapter: &ServedAdapter, path: &str, resource: String) -> OfferedCall {
    let work = match path {
        IMAGES_PATH => CallWork::Images { pictures: 1 },
        _ => CallWork::Tokens {
            prompt: 0,
            completion: 0,
        },
    };
    OfferedCall {
        adapter: adapter.name.clone(),
        adapter_digest: adapter.digest.clone(),
        media_type: FinishedAnswer::JSON,
        listing: listing(adapter, path, &resource),
        resource,
        request_id: String::new(),
        request_hash: String::new(),
        request: Word::default(),
        presenter: Presenter::default(),
        work,
        prices: adapter.prices,
        quote: adapter.prices.price_of(work),
    }
}

fn unreadable() -> ApiError {
    let message = "Invalid query: expected ?model=NAME, once.";
    ApiError::invalid("invalid_query", "model", message)
}

async fn chosen(
    app: &AppState,
    model: Option<&str>,
) -> Result<std::sync::Arc<ServedAdapter>, ApiError> {
    let mut all = app.adapters.all().into_iter();
    match (model, all.next(), all.next()) {
        // Also one that was called here and is not loaded any more.
        (Some(name), ..) => find_or_announced(app, name).await,
        (None, Some(only), None) => Ok(only),
        _ => Err(ApiError::invalid(
            "missing_required_parameter",
            "model",
            "Several models are served here: name one with ?model=.",
        )),
    }
}

/// Without prices there is nothing to refund: only `POST` has a meaning.
fn free(request: &Request) -> Response {
    let message = format!(
        "{} {} is not possible: this path answers POST.",
        request.method(),
        request.uri().path()
    );
    let status = StatusCode::METHOD_NOT_ALLOWED;
    let mut response = ApiError::new(status, "method_not_allowed", message).into_response();
    let headers = response.headers_mut();
    headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
    response
}
