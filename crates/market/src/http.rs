//! HTTP towards servers. Redirects are not followed, and time and size are bounded. Addresses that
//! strangers state do not lead into the buyer's own network, unless the chain is a development chain.

use std::{net::IpAddr, sync::Arc, time::Duration};

use reqwest::{Client, Response, Url};
use serde_json::Value;

use crate::error::MarketError;
use openlora_core::private::{internet::is_of_internet, redact};
use openlora_distribution::InternetResolver;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Read timeout while the model works.
const READ_TIMEOUT: Duration = Duration::from_secs(300);

/// The largest answer that is read, in bytes.
pub const LARGEST: usize = 16 << 20;

/// Where a server is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerAddress {
    root: Url,
    by_user: bool,
}

impl ServerAddress {
    /// An address that the user names.
    ///
    /// # Errors
    ///
    /// It is no HTTP address.
    pub fn by_user(text: &str) -> Result<Self, MarketError> {
        let root = root_of(text).ok_or_else(|| MarketError::ServerUrl {
            what: "the server's address",
            found: text.to_owned(),
        })?;
        Ok(Self {
            root,
            by_user: true,
        })
    }

    /// An address that the server's account states.
    ///
    /// # Errors
    ///
    /// It is no HTTP address.
    pub fn stated(text: &str) -> Result<Self, MarketError> {
        let plain = |url: &Url| url.username().is_empty() && url.password().is_none();
        let root = root_of(text)
            .filter(plain)
            .ok_or_else(|| MarketError::ServerUrl {
                what: "what a server states as its address",
                found: text.to_owned(),
            })?;
        Ok(Self {
            root,
            by_user: false,
        })
    }

    /// The URL of a path on the server.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.root.as_str().trim_end_matches('/'))
    }

    /// The address for people, without credentials.
    pub fn place(&self) -> String {
        redact::address(self.root.as_str().trim_end_matches('/'))
    }
}

/// A server's root in its address, which may be that of its API.
fn root_of(text: &str) -> Option<Url> {
    let mut url = Url::parse(text).ok()?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return None;
    }
    url.set_query(None);
    url.set_fragment(None);
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(path.strip_suffix("/v1").unwrap_or(&path));
    Some(url)
}

/// Clients for both kinds of addresses. Cheap to clone.
#[derive(Clone, Debug)]
pub struct MarketHttp {
    /// For this machine, which no proxy reaches.
    local: Client,
    named: Client,
    strangers: Client,
    inward: bool,
}

impl MarketHttp {
    /// `inward` allows strangers' addresses within the own network; `longest` bounds an answer.
    ///
    /// # Errors
    ///
    /// The TLS library cannot be set up.
    pub fn new(inward: bool, longest: Duration) -> Result<Self, MarketError> {
        let builder = || {
            Client::builder()
                .connect_timeout(CONNECT_TIMEOUT)
                .read_timeout(READ_TIMEOUT)
                .timeout(longest)
                .redirect(reqwest::redirect::Policy::none())
                .no_gzip()
                .no_brotli()
                .no_zstd()
                .no_deflate()
                .user_agent(concat!("openlora/", env!("CARGO_PKG_VERSION")))
        };
        let built = |builder: reqwest::ClientBuilder| {
            builder
                .build()
                .map_err(|error| MarketError::Client(error.to_string()))
        };
        let outward = builder().dns_resolver(Arc::new(InternetResolver));
        Ok(Self {
            local: built(builder().no_proxy())?,
            named: built(builder())?,
            strangers: built(outward)?,
            inward,
        })
    }

    /// The client for calls at an address.
    ///
    /// # Errors
    ///
    /// A stranger states an address of the own network.
    pub fn client_for(&self, address: &ServerAddress) -> Result<Client, MarketError> {
        let place = || address.place();
        let client = self.client(address).cloned();
        client.map_err(|_| MarketError::OwnNetwork { place: place() })
    }

    /// The client that may reach an address.
    ///
    /// # Errors
    ///
    /// A stranger states an address of the own network.
    pub(crate) fn client(&self, address: &ServerAddress) -> Result<&Client, String> {
        let host = address.root.host_str().unwrap_or_default();
        let host = host.trim_matches(['[', ']']);
        let ip = host.parse::<IpAddr>().ok();
        let is_local = host == "localhost" || ip.is_some_and(|ip| ip.is_loopback());
        if !address.by_user && !self.inward {
            if is_local || host.ends_with(".localhost") || ip.is_some_and(|ip| !is_of_internet(ip))
            {
                return Err(format!(
                    "{} is an address of the own network",
                    address.place()
                ));
            }
            return Ok(&self.strangers);
        }
        Ok(if is_local { &self.local } else { &self.named })
    }
}

/// Reads a body up to a size.
pub(crate) async fn bounded(mut response: Response, largest: usize) -> Result<Vec<u8>, String> {
    let mut text = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(piece)) if text.len() + piece.len() > largest => {
                return Err(format!("the answer has more than {largest} bytes"));
            }
            Ok(Some(piece)) => text.extend_from_slice(&piece),
            Ok(None) => return Ok(text),
            Err(error) => return Err(broken(&error)),
        }
    }
}

/// Reads a body as JSON.
pub(crate) async fn json(response: Response, largest: usize) -> Result<Value, String> {
    let text = bounded(response, largest).await?;
    serde_json::from_slice(&text).map_err(|_| "the answer is no JSON".to_owned())
}

/// What went wrong, without the URL, which may hold credentials.
pub(crate) fn broken(error: &reqwest::Error) -> String {
    let what = if error.is_connect() {
        "does not answer"
    } else if error.is_timeout() {
        "said nothing for too long"
    } else {
        "broke off"
    };
    what.to_owned()
}
