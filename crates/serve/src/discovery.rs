//! Lists of paid resources: which ones fit a query, in which order, and one page of them.
//!
//! The parameters and the answers have the form of x402's extension `bazaar`.

use serde::Deserialize;
use serde_json::{Value, json};

use openlora_ports::ListedResource;

/// How many resources a page has if the query does not say, and at most.
const USUAL_PAGE: usize = 20;
const LARGEST_PAGE: usize = 100;

/// The longest text that is searched for, in bytes.
const LONGEST_TEXT: usize = 400;

/// The parameters of both routes. A cursor is the offset of the next page as a text.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct DiscoveryQuery {
    pub query: Option<String>,
    pub r#type: Option<String>,
    pub pay_to: Option<String>,
    pub scheme: Option<String>,
    pub network: Option<String>,
    /// The name of an extension that a resource declares.
    pub extensions: Option<String>,
    pub limit: Option<usize>,
    pub offset: Option<usize>,
    pub cursor: Option<String>,
}

/// A page of the resources that fit a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiscoveryPage {
    pub items: Vec<ListedResource>,
    pub limit: usize,
    pub offset: usize,
    /// How many fit.
    pub total: usize,
}

impl DiscoveryQuery {
    /// # Errors
    /// The parameter at fault, and what was expected of it.
    pub fn page(&self, all: Vec<ListedResource>) -> Result<DiscoveryPage, (&'static str, String)> {
        let limit = self.limit.unwrap_or(USUAL_PAGE);
        if !(1..=LARGEST_PAGE).contains(&limit) {
            let expected = format!("a number from 1 to {LARGEST_PAGE}");
            return Err(("limit", expected));
        }
        let offset = match (&self.cursor, self.offset) {
            (None, offset) => offset.unwrap_or(0),
            (Some(cursor), None) => cursor
                .parse()
                .map_err(|_| ("cursor", "the cursor of an earlier answer".to_owned()))?,
            (Some(_), Some(_)) => {
                return Err(("cursor", "either a cursor or an offset".to_owned()));
            }
        };
        let text = self.query.as_deref().unwrap_or_default();
        if text.len() > LONGEST_TEXT {
            return Err(("query", format!("at most {LONGEST_TEXT} bytes")));
        }
        let fitting = all.into_iter().filter(|resource| self.fits(resource));
        let found = by_text(fitting.collect(), text);
        let total = found.len();
        Ok(DiscoveryPage {
            items: found.into_iter().skip(offset).take(limit).collect(),
            limit,
            offset,
            total,
        })
    }

    fn fits(&self, resource: &ListedResource) -> bool {
        let is = |wanted: &Option<String>, found: &str| {
            let wanted = wanted.as_deref();
            wanted.is_none_or(|wanted| wanted.eq_ignore_ascii_case(found))
        };
        let declared = resource.extensions.as_ref();
        let declares = |name: &str| declared.is_some_and(|all| all.get(name).is_some());
        let is_offered = resource.accepts.iter().any(|offer| {
            let word = |name: &str| offer[name].as_str().unwrap_or_default();
            is(&self.pay_to, word("payTo"))
                && is(&self.scheme, word("scheme"))
                && is(&self.network, word("network"))
        });
        is(&self.r#type, &resource.r#type)
            && self.extensions.as_deref().is_none_or(declares)
            && is_offered
    }
}

/// The resources in which most words of a text occur first. Those with none are left out.
fn by_text(all: Vec<ListedResource>, text: &str) -> Vec<ListedResource> {
    let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
    if words.is_empty() {
        return all;
    }
    let mut found: Vec<(usize, ListedResource)> = all
        .into_iter()
        .map(|resource| {
            let said = said_of(&resource);
            let hits = words.iter().filter(|word| said.contains(word.as_str()));
            (hits.count(), resource)
        })
        .filter(|(hits, _)| *hits > 0)
        .collect();
    // The sort is stable: the order of the list decides between equals.
    found.sort_by_key(|(hits, _)| std::cmp::Reverse(*hits));
    found.into_iter().map(|(_, resource)| resource).collect()
}

/// All that a resource says of itself, in lower case.
fn said_of(resource: &ListedResource) -> String {
    let texts = [&resource.description, &resource.service_name];
    let texts = texts.into_iter().flatten().map(String::as_str);
    let said: Vec<&str> = std::iter::once(resource.resource.as_str())
        .chain(texts)
        .chain(resource.tags.iter().map(String::as_str))
        .collect();
    said.join(" ").to_lowercase()
}

impl DiscoveryPage {
    /// The answer of `GET /discovery/resources`.
    pub fn listed(&self, version: u64) -> Value {
        json!({
            "x402Version": version,
            "items": self.items,
            "pagination": { "limit": self.limit, "offset": self.offset, "total": self.total },
        })
    }

    /// The answer of `GET /discovery/search`.
    pub fn searched(&self, version: u64) -> Value {
        let next = self.offset.saturating_add(self.items.len());
        let cursor = (next < self.total).then(|| next.to_string());
        json!({
            "x402Version": version,
            "resources": self.items,
            "partialResults": cursor.is_some(),
            "pagination": { "limit": self.items.len(), "cursor": cursor },
        })
    }
}
