//! Asks the servers of paid resources for their payment terms, by HTTP.
//!
//! The payer names the URL, so it is a stranger's. Only addresses of the internet are asked, or, where
//! all chains are development chains, only those of this machine; the name is looked up once and the
//! address found is the one that is asked. Redirects are not followed, and of the answer only its head
//! is read.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use reqwest::{Client, Method, Url, redirect::Policy};

use openlora_core::private::internet::is_of_internet;
use openlora_payments::x402::{ResourceCall, ResourceProbe, wire::PAYMENT_REQUIRED};

/// How long a server may take.
const PATIENCE: Duration = Duration::from_secs(10);

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
    async fn terms(&self, call: &ResourceCall) -> Result<String, String> {
        let url = Url::parse(&call.url).map_err(|error| error.to_string())?;
        let client = self.client_for(&url).await?;
        let method = Method::from_bytes(call.method.as_bytes());
        let mut request = client.request(method.map_err(|error| error.to_string())?, url);
        if let Some(body) = &call.body {
            request = request.json(body);
        }
        let answer = request.send().await;
        let answer = answer.map_err(|error| error.without_url().to_string())?;
        if answer.status() != reqwest::StatusCode::PAYMENT_REQUIRED {
            return Err(format!("its server answers {}", answer.status().as_u16()));
        }
        let terms = answer.headers().get(PAYMENT_REQUIRED);
        let terms = terms.and_then(|value| value.to_str().ok());
        let none = || "its server's answer has no payment terms".to_owned();
        terms.map(str::to_owned).ok_or_else(none)
    }
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
