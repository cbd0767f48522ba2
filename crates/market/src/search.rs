//! Search over a registry and over lists of paid resources. What the chain says, what servers answer
//! now and what strangers claim stand in fields of their own.

use std::{collections::BTreeMap, time::Duration};

use futures::{StreamExt, stream};
use reqwest::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{
    catalog::{Catalog, SurveyedAdapter, SurveyedServer},
    discovery::{DiscoveredResource, discovered},
    error::MarketError,
    http::{MarketHttp, ServerAddress, bounded},
    repeat_payers::count_payers,
};
use openlora_core::Word;
use openlora_payments::payer::PaymentRecord;

/// Adapters whose facts are completed at the same time.
const AT_ONCE: usize = 8;
/// How long a fact may take that a search can do without.
const PATIENCE: Duration = Duration::from_secs(20);
/// The largest manifest that is read, in bytes.
const LARGEST_MANIFEST: usize = 4 << 20;
/// The manifest's file in a package.
const MANIFEST: &str = "openlora.json";

/// What is searched for.
#[derive(Clone, Debug, Default)]
pub struct SearchQuery {
    /// Words that must all occur; none selects everything.
    pub text: String,
    pub limit: usize,
    /// Servers and facilitators whose lists are searched too.
    pub endpoints: Vec<ServerAddress>,
    /// Calls that were paid from here, for the latency that was seen.
    pub paid: Vec<PaymentRecord>,
}

/// What a search found.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct SearchReport {
    pub network: String,
    pub chain_id: u64,
    /// Null if the chain has no registry.
    pub registry: Option<String>,
    /// Best first.
    pub adapters: Vec<SearchRow>,
    /// What lists of paid resources offer on this chain besides these adapters.
    pub resources: Vec<DiscoveredResource>,
    /// How many were left out because of the limit.
    pub left_out: usize,
    /// Servers and lists that could not be read.
    pub problems: Vec<String>,
}

/// A registered adapter.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct SearchRow {
    /// What its servers call it; null if none answers.
    pub name: Option<String>,
    pub adapter_id: String,
    pub publisher: String,
    /// When it was registered: Unix time in seconds; 0 if the chain does not say.
    pub registered_at: u64,
    /// How many other adapters of the registry are sold under this name. Anyone can register any name.
    pub namesakes: usize,
    /// What it was trained for, as its servers state it.
    pub task: Option<String>,
    /// For 1 000 generated tokens, as registered, in base units of a token with six decimals.
    pub price: String,
    /// The most that the smallest call costs at the cheapest server, in base units of the network's
    /// token.
    pub smallest_call: Option<String>,
    /// Fastest first.
    pub servers: Vec<SearchServer>,
    /// Calls that its servers have anchored, as they state them.
    pub calls: u64,
    /// The share of payers with more than one call, in parts per million, by a server's published
    /// log; null if there is none.
    pub repeat_payers_ppm: Option<u32>,
    /// The evaluation in the manifest, if it can be fetched and is the registered one.
    pub evaluation: Option<Value>,
    pub manifest_sha256: String,
}

/// A server of an adapter.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct SearchServer {
    pub account: String,
    pub url: String,
    /// How long its list of models took now.
    pub latency_ms: u64,
    /// The median time of calls that were paid from here, by their receipts.
    pub answered_ms: Option<u64>,
}

/// Searches the registry of the catalog's chain and the named lists.
///
/// # Errors
///
/// The chain does not answer. Lists and servers that do not are reported as problems.
pub async fn search(
    catalog: &Catalog,
    http: &MarketHttp,
    query: &SearchQuery,
) -> Result<SearchReport, MarketError> {
    let (report, adapters) = catalog.survey().await?;
    let mut problems: Vec<String> = Vec::new();
    problems.extend(adapters.iter().flat_map(|it| it.problems.clone()));
    let lists = query.endpoints.iter();
    let lists: Vec<_> = lists
        .map(|it| discovered(http, it, report.chain_id))
        .collect();
    let lists: Vec<_> = stream::iter(lists).buffered(AT_ONCE).collect().await;
    let mut resources = Vec::new();
    for list in lists {
        match list {
            Ok(found) => resources.extend(found),
            Err(error) => problems.push(error.to_string()),
        }
    }
    resources.sort();
    resources.dedup();
    // What the registry has is shown as an adapter, with more facts.
    resources.retain(|it| !is_registered(it, &adapters));
    let words: Vec<String> = query
        .text
        .split_whitespace()
        .map(str::to_lowercase)
        .collect();
    let mut adapters: Vec<SurveyedAdapter> = adapters;
    let sold = sold_names(&adapters);
    adapters.retain(|it| matches(&words, &facts_of(it)));
    resources.retain(|it| matches(&words, &claims_of(it)));
    adapters.sort_by_cached_key(|it| {
        let calls = std::cmp::Reverse(calls_of(it));
        (
            it.servers.is_empty(),
            calls,
            it.cheapest(),
            it.view.adapter_id.clone(),
        )
    });
    let all = adapters.len() + resources.len();
    adapters.truncate(query.limit);
    resources.truncate(query.limit.saturating_sub(adapters.len()));
    let left_out = all - adapters.len() - resources.len();
    let seen = answered_ms(&query.paid);
    let rows: Vec<_> = adapters
        .iter()
        .map(|it| completed(catalog, http, it, &seen, &sold))
        .collect();
    let rows = stream::iter(rows).buffered(AT_ONCE).collect().await;
    problems.sort();
    problems.dedup();
    Ok(SearchReport {
        network: report.network,
        chain_id: report.chain_id,
        registry: Some(report.registry),
        adapters: rows,
        resources,
        left_out,
        problems,
    })
}

/// How many adapters are sold under each name.
pub(crate) fn sold_names(adapters: &[SurveyedAdapter]) -> BTreeMap<String, usize> {
    let mut sold = BTreeMap::new();
    for name in adapters.iter().filter_map(SurveyedAdapter::name) {
        *sold.entry(name.to_owned()).or_default() += 1;
    }
    sold
}

fn is_registered(resource: &DiscoveredResource, adapters: &[SurveyedAdapter]) -> bool {
    let Ok(pay_to) = resource.pay_to.parse() else {
        return false;
    };
    let mut adapters = adapters.iter();
    adapters.any(|it| it.payee.splitters.contains(&pay_to))
}

fn matches(words: &[String], text: &str) -> bool {
    let text = text.to_lowercase();
    words.iter().all(|word| text.contains(word))
}

fn facts_of(adapter: &SurveyedAdapter) -> String {
    let view = &adapter.view;
    let mut facts = vec![view.adapter_id.as_str(), view.publisher.as_str()];
    for server in &adapter.servers {
        facts.push(&server.model.name);
        facts.extend(task_of(server));
        facts.extend(server.model.listed["parent"].as_str());
    }
    facts.join(" ")
}

fn claims_of(resource: &DiscoveredResource) -> String {
    let texts = [&resource.name, &resource.description];
    let texts = texts.into_iter().flatten().map(String::as_str);
    let texts: Vec<&str> = texts.chain([resource.url.as_str()]).collect();
    texts.join(" ")
}

fn task_of(server: &SurveyedServer) -> Option<&str> {
    let kind = server.model.listed.pointer("/task/kind");
    kind.and_then(Value::as_str)
}

fn calls_of(adapter: &SurveyedAdapter) -> u64 {
    let anchored = adapter.view.anchored.iter();
    anchored.fold(0_u64, |sum, it| sum.saturating_add(it.calls))
}

/// Median times in milliseconds, by server and model.
type AnswerTimes = BTreeMap<(String, String), u64>;

/// The median time of paid calls by server and model.
fn answered_ms(paid: &[PaymentRecord]) -> AnswerTimes {
    let mut times: BTreeMap<(String, String), Vec<u64>> = BTreeMap::new();
    for record in paid {
        let time = record.receipt.as_ref().map(|it| &it["milliseconds"]);
        if let Some(time) = time.and_then(Value::as_u64) {
            let key = (record.server.clone(), record.adapter.clone());
            times.entry(key).or_default().push(time);
        }
    }
    let median = |mut times: Vec<u64>| {
        times.sort_unstable();
        times.get(times.len() / 2).copied().unwrap_or_default()
    };
    times
        .into_iter()
        .map(|(key, it)| (key, median(it)))
        .collect()
}

async fn completed(
    catalog: &Catalog,
    http: &MarketHttp,
    adapter: &SurveyedAdapter,
    seen: &AnswerTimes,
    sold: &BTreeMap<String, usize>,
) -> SearchRow {
    let view = &adapter.view;
    let release = view.releases.last();
    let servers = adapter.servers.iter().map(|it| {
        let url = it.address.place();
        let key = (url.clone(), it.model.name.clone());
        SearchServer {
            account: it.account.clone(),
            url,
            latency_ms: it.latency_ms,
            answered_ms: seen.get(&key).copied(),
        }
    });
    SearchRow {
        name: adapter.name().map(str::to_owned),
        adapter_id: view.adapter_id.clone(),
        publisher: view.publisher.clone(),
        registered_at: catalog.registered_at(view).await.unwrap_or_default(),
        namesakes: adapter
            .name()
            .and_then(|name| sold.get(name))
            .map_or(0, |count| count.saturating_sub(1)),
        task: adapter.servers.first().and_then(task_of).map(str::to_owned),
        price: release.map_or_else(|| "0".to_owned(), |it| it.price.clone()),
        smallest_call: adapter.cheapest().map(|it| it.to_string()),
        servers: servers.collect(),
        calls: calls_of(adapter),
        repeat_payers_ppm: in_time(repeat_payers(http, adapter)).await,
        evaluation: match release {
            Some(release) => {
                in_time(evaluation(http, &release.uri, &release.manifest_sha256)).await
            }
            None => None,
        },
        manifest_sha256: release.map_or_else(String::new, |it| it.manifest_sha256.clone()),
    }
}

/// A fact that a stranger's server gives in time.
async fn in_time<T>(fact: impl Future<Output = Option<T>>) -> Option<T> {
    tokio::time::timeout(PATIENCE, fact).await.ok().flatten()
}

/// By the log of the first server that publishes one.
async fn repeat_payers(http: &MarketHttp, adapter: &SurveyedAdapter) -> Option<u32> {
    for server in &adapter.servers {
        let mut anchored = adapter.view.anchored.iter();
        let root = anchored.find(|it| it.server == server.account);
        let root: Option<Word> = root.and_then(|it| it.root.parse().ok());
        let Some(root) = root else { continue };
        if let Some(counts) = count_payers(http, &server.address, root).await {
            return counts.share_ppm();
        }
    }
    None
}

/// The evaluation in the manifest at a place of download; `None` if the manifest there is not the
/// registered one.
async fn evaluation(http: &MarketHttp, uri: &str, sha256: &str) -> Option<Value> {
    let place = ServerAddress::stated(uri).ok()?;
    let asked = http
        .client(&place)
        .ok()?
        .get(place.url(&format!("/{MANIFEST}")));
    let response = asked.send().await.ok()?;
    if response.status() != StatusCode::OK {
        return None;
    }
    let text = bounded(response, LARGEST_MANIFEST).await.ok()?;
    if hex::encode(Sha256::digest(&text)) != sha256 {
        return None;
    }
    let manifest: Value = serde_json::from_slice(&text).ok()?;
    let metrics = manifest.pointer("/training/eval_metrics")?;
    let is_there = metrics.as_array().is_some_and(|it| !it.is_empty());
    is_there.then(|| metrics.clone())
}
