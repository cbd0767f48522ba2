//! `GET /discovery/resources` and `GET /discovery/search`: the paid routes of this server, and the
//! resources of other sellers whose payments it settled (x402's extension `bazaar`).

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    http::HeaderMap,
};
use serde_json::Value;

use super::{AppState, refund::least_call};
use crate::{
    adapter_registry::ServedAdapter,
    answer::FinishedAnswer,
    api_error::ApiError,
    discovery::{DiscoveryPage, DiscoveryQuery},
    listing::paths,
    payment::SalesConfig,
};
use openlora_core::calendar::rfc3339;
use openlora_ports::ListedResource;

/// The version of x402.
const VERSION: u64 = 2;

type WantedResources = Result<Query<DiscoveryQuery>, QueryRejection>;

pub async fn list(
    State(app): State<AppState>,
    wanted: WantedResources,
    headers: HeaderMap,
) -> Result<Json<Value>, ApiError> {
    Ok(Json(page(&app, wanted, &headers)?.listed(VERSION)))
}

pub async fn search(
    State(app): State<AppState>,
    wanted: WantedResources,
    headers: HeaderMap,
) -> Result<Json<Value>, ApiError> {
    if let Ok(Query(asked)) = &wanted
        && asked.query.as_deref().is_none_or(|it| it.trim().is_empty())
    {
        return Err(wrong("query", "the words to search for"));
    }
    Ok(Json(page(&app, wanted, &headers)?.searched(VERSION)))
}

fn page(
    app: &AppState,
    wanted: WantedResources,
    headers: &HeaderMap,
) -> Result<DiscoveryPage, ApiError> {
    let Query(wanted) = wanted.map_err(|problem| {
        let message = format!("Invalid query: {}.", problem.body_text());
        ApiError::invalid("invalid_query", "query", message)
    })?;
    let mut all = own_resources(app, headers);
    if let Some(sales) = &app.sales {
        let own: Vec<String> = all.iter().map(|it| it.resource.clone()).collect();
        let others = sales.facilitator.catalogued().into_iter();
        all.extend(others.filter(|it| !own.contains(&it.resource)));
    }
    let page = wanted.page(all);
    page.map_err(|(parameter, expected)| wrong(parameter, &expected))
}

fn wrong(parameter: &'static str, expected: &str) -> ApiError {
    let message = format!("Invalid query: '{parameter}' should be {expected}.");
    ApiError::invalid("invalid_query", parameter, message)
}

/// The paid routes of the served adapters; none if calls are free.
fn own_resources(app: &AppState, headers: &HeaderMap) -> Vec<ListedResource> {
    let Some(sales) = &app.sales else {
        return Vec::new();
    };
    let adapters = app.adapters.all();
    let each = adapters.iter().flat_map(|adapter| {
        paths(adapter).into_iter().filter_map(move |path| {
            let resource = app.access.resource(headers, path);
            own_resource(sales, adapter, path, resource)
        })
    });
    each.collect()
}

fn own_resource(
    sales: &SalesConfig,
    adapter: &ServedAdapter,
    path: &str,
    resource: String,
) -> Option<ListedResource> {
    let sale = least_call(adapter, path, resource);
    let accepts = sales.gateway.offers(&sale);
    let listing = sale.listing;
    (!accepts.is_empty()).then_some(ListedResource {
        resource: sale.resource,
        r#type: "http".to_owned(),
        x402_version: VERSION,
        accepts,
        last_updated: rfc3339(adapter.created),
        description: listing.description,
        mime_type: Some(FinishedAnswer::JSON.to_owned()),
        service_name: listing.service_name,
        tags: listing.tags,
        icon_url: listing.icon_url,
        extensions: listing.extensions,
    })
}
