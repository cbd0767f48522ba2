//! Asks the servers of paid resources for their payment terms, by HTTP.
//!
//! The payer names the URL, so it is a stranger's. Only addresses of the internet are asked, or, where
//! all chains are development chains, only those of this machine; the name is looked up once and the
//! address found is the one that is asked. Redirects are not followed. No request has a body: a server
//! that charges for calls says so before it reads one. A server of openlora needs the body to know the
//! adapter, and is asked for its list of paid resources.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use reqwest::{Client, Response, StatusCode, Url, header::CONTENT_LENGTH, redirect::Policy};
use serde_json::{Value, json};

use openlora_core::private::internet::is_of_internet;
use openlora_payments::x402::{
    ResourceCall, ResourceProbe,
    wire::{PAYMENT_REQUIRED, PaymentRequired},
};

/// How long a server may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The path of a server's list of paid resources, and the largest list that is read, in bytes.
const LISTED: &str = "/discovery/resources?limit=100";
const LARGEST_LIST: usize = 1 << 20;

/// The addresses that may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeReach {
    /// Addresses that every machine reaches.
    Internet,
    /// Loopback addresses.
    ThisMachine,
}

/// Asks by HTTP.
#[derive(Clone, Copy, Debug)]
pub struct HttpResourceProbe {
    pub reach: ProbeReach,
}

#[async_trait::async_trait]
impl ResourceProbe for HttpResourceProbe {
    async fn terms(&self, call: &ResourceCall) -> Result<Vec<String>, String> {
        let url = Url::parse(&call.url).map_err(|error| error.to_string())?;
        let client = self.client_for(&url).await?;
        let answer = match call.method.as_str() {
            "POST" => client.post(url.clone()).header(CONTENT_LENGTH, 0),
            _ => client.get(url.clone()),
        };
        let answer = answer.send().await;
        let answer = answer.map_err(|error| error.without_url().to_string())?;
        if answer.status() == StatusCode::PAYMENT_REQUIRED {
            let terms = answer.headers().get(PAYMENT_REQUIRED);
            let terms = terms.and_then(|value| value.to_str().ok());
            let none = || "its server's answer has no payment terms".to_owned();
            return terms.map(|it| vec![it.to_owned()]).ok_or_else(none);
        }
        let refusal = || format!("its server answers {}", answer.status().as_u16());
        let listed = listed(&client, &url, call).await;
        listed.filter(|it| !it.is_empty()).ok_or_else(refusal)
    }
}

/// The terms of a resource in the list of its own server.
async fn listed(client: &Client, url: &Url, call: &ResourceCall) -> Option<Vec<String>> {
    let list = url.join(LISTED).ok()?;
    let answer = client.get(list).send().await.ok()?;
    if answer.status() != StatusCode::OK {
        return None;
    }
    let list: Value = serde_json::from_slice(&bounded(answer).await?).ok()?;
    let items = list["items"].as_array()?.iter();
    let items = items.filter(|it| it["resource"] == call.url.as_str());
    Some(items.filter_map(terms_of).collect())
}

/// The header with the terms that a list has of a resource.
fn terms_of(item: &Value) -> Option<String> {
    let mut resource = json!({ "url": item["resource"] });
    for name in ["description", "mimeType", "serviceName", "tags", "iconUrl"] {
        if !item[name].is_null() {
            resource[name] = item[name].clone();
        }
    }
    let terms: PaymentRequired = serde_json::from_value(json!({
        "x402Version": item["x402Version"],
        "resource": resource,
        "accepts": item["accepts"],
        "extensions": item["extensions"],
    }))
    .ok()?;
    terms.encode().ok()
}

/// A body of bounded size.
async fn bounded(mut answer: Response) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(piece) = answer.chunk().await.ok()? {
        bytes.extend_from_slice(&piece);
        if bytes.len() > LARGEST_LIST {
            return None;
        }
    }
    Some(bytes)
}

impl HttpResourceProbe {
    /// A client that reaches the host of this URL only at addresses that may be asked.
    async fn client_for(self, url: &Url) -> Result<Client, String> {
        let host = url.host_str().unwrap_or_default();
        let port = url.port_or_known_default().unwrap_or(80);
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let found = tokio::net::lookup_host((bare, port)).await;
        let found: Vec<SocketAddr> = found
            .map_err(|error| format!("{host} was not found: {error}"))?
            .collect();
        if found.is_empty() || !found.iter().all(|it| self.reach.includes(it.ip())) {
            return Err(format!("{host} is at no address that is asked"));
        }
        let client = Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .timeout(PATIENCE)
            .resolve_to_addrs(host, &found)
            .build();
        client.map_err(|error| error.to_string())
    }
}

impl ProbeReach {
    /// Whether an address may be asked.
    pub fn includes(self, address: IpAddr) -> bool {
        match self {
            Self::ThisMachine => address.to_canonical().is_loopback(),
            Self::Internet => is_of_internet(address),
        }
    }
}
