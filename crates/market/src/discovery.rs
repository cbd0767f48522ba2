//! Lists of paid resources that servers and facilitators publish (x402 extension `bazaar`,
//! `GET /discovery/resources`). Everything in them is the word of strangers.

use std::collections::BTreeSet;

use reqwest::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::{
    error::MarketError,
    http::{MarketHttp, ServerAddress, broken, json},
};
use openlora_payments::x402::wire::{PaymentRequirements, network};

/// The resources on a page, and the most pages of one list.
const PAGE: usize = 100;
const MOST_PAGES: usize = 10;
/// The largest page, in bytes.
const LARGEST_PAGE: usize = 8 << 20;
/// The longest text that is kept of a field.
const LONGEST_TEXT: usize = 200;

/// A resource of a list that is sold on the chain.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub struct DiscoveredResource {
    /// The address that sells it.
    pub url: String,
    /// The tool's or the model's name, or the service's.
    pub name: Option<String>,
    pub description: Option<String>,
    /// Whom its cheapest offer pays.
    pub pay_to: String,
    /// What it asks for at most, in base units of the token.
    pub amount: String,
    /// The address of the token.
    pub token: String,
}

/// The resources of a list that are sold on a chain, in the list's order.
///
/// # Errors
///
/// The list cannot be fetched, or is none.
pub async fn discovered(
    http: &MarketHttp,
    endpoint: &ServerAddress,
    chain_id: u64,
) -> Result<Vec<DiscoveredResource>, MarketError> {
    let failed = |problem: String| MarketError::Discovery {
        endpoint: endpoint.place(),
        problem,
    };
    let here = network(chain_id);
    let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
    for page in 0..MOST_PAGES {
        let offset = page * PAGE;
        let path = format!("/discovery/resources?limit={PAGE}&offset={offset}");
        let client = http.client(endpoint).map_err(failed)?;
        let sent = client.get(endpoint.url(&path)).send().await;
        let response = sent.map_err(|error| failed(broken(&error)))?;
        if response.status() != StatusCode::OK {
            return Err(failed(format!("it answers {}", response.status())));
        }
        let answer = json(response, LARGEST_PAGE).await.map_err(failed)?;
        let items = ["items", "resources"].map(|name| answer[name].as_array());
        let Some(items) = items.into_iter().flatten().next() else {
            return Err(failed("the answer has no items".to_owned()));
        };
        // A list that ignores the offset would be read again and again.
        let before = seen.len();
        seen.extend(items.iter().map(Value::to_string));
        if seen.len() == before {
            break;
        }
        found.extend(items.iter().filter_map(|it| resource(it, &here)));
        let total = answer.pointer("/pagination/total").and_then(Value::as_u64);
        let is_last = total.is_some_and(|total| total <= (offset + items.len()) as u64);
        if items.len() < PAGE || is_last {
            break;
        }
    }
    let mut listed = BTreeSet::new();
    found.retain(|it: &DiscoveredResource| listed.insert((it.url.clone(), it.name.clone())));
    Ok(found)
}

/// An item of a list, if it is sold on the chain.
fn resource(item: &Value, here: &str) -> Option<DiscoveredResource> {
    let resource = &item["resource"];
    let url = resource.as_str().or_else(|| resource["url"].as_str())?;
    let offers = item["accepts"].as_array()?.iter();
    let terms = offers.filter_map(|it| PaymentRequirements::from_value(it.clone()).ok());
    let cheapest = terms
        .filter(|terms| terms.network == here)
        .min_by_key(|terms| terms.amount)?;
    let text = |value: &Value| value.as_str().filter(|it| !it.is_empty()).map(shortened);
    let places = [&item["extensions"], &item["metadata"], item];
    let info = places.iter().map(|it| &it["bazaar"]["info"]);
    let mut info = info.filter(|it| it.is_object());
    let input = info.next().map(|it| &it["input"]);
    let name = input.and_then(|it| text(&it["toolName"]).or_else(|| text(&it["body"]["model"])));
    let fields = [resource, &item["metadata"], item];
    let field = |name: &str| fields.iter().find_map(|it| text(&it[name]));
    Some(DiscoveredResource {
        url: shortened(url),
        name: name.or_else(|| field("serviceName")),
        description: field("description"),
        pay_to: cheapest.pay_to.to_string(),
        amount: cheapest.amount.to_string(),
        token: cheapest.asset.to_string(),
    })
}

fn shortened(text: &str) -> String {
    text.chars().take(LONGEST_TEXT).collect()
}
