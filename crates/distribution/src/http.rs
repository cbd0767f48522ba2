//! HTTP with strangers: bounded answers, patience, and redirects that are followed by hand, so that
//! no secret goes to another host and nothing leads from the network to this machine.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use reqwest::{
    Client, ClientBuilder, Method, RequestBuilder, Response, StatusCode, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, LOCATION, RANGE},
    redirect::Policy,
};

use super::{
    error::DistributionError,
    origin::{OriginSecret, is_loopback_host},
};
use openlora_core::private::{foreign_text::clean_line, internet::is_of_internet, redact};

/// Patience for a connection, and for the next piece of an answer.
const CONNECT: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_secs(30);

/// Redirects that are followed.
const REDIRECTS: usize = 5;

/// Bytes of a refusal that are shown.
const SHOWN: usize = 300;

/// Sends requests. Cheap to clone.
#[derive(Clone, Debug)]
pub struct HttpFetcher {
    client: Client,
    /// For hosts of this machine, which no proxy reaches.
    local: Client,
    /// Only this machine may be asked.
    offline: bool,
    /// Where strangers name the places: only hosts of the internet are asked.
    strangers: Option<InternetOnly>,
    /// Bytes of archives that have arrived, whatever became of them.
    archived: Arc<AtomicU64>,
}

/// Asks hosts of the internet, and one that the user has named.
#[derive(Clone, Debug)]
struct InternetOnly {
    client: Client,
    trusted: Option<String>,
}

impl InternetOnly {
    fn trusts(&self, url: &Url) -> bool {
        self.trusted.is_some() && self.trusted.as_deref() == url.host_str()
    }

    /// Whether a host can be asked as far as its name tells; names are resolved later.
    fn admits(&self, url: &Url) -> bool {
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let is_inward = |ip: IpAddr| !is_of_internet(ip);
        self.trusts(url) || !(is_loopback_host(url) || host.parse().is_ok_and(is_inward))
    }
}

/// Resolves names to addresses of the internet only, for hosts that strangers name.
#[derive(Clone, Copy, Debug, Default)]
pub struct InternetResolver;

impl Resolve for InternetResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let outward: Vec<SocketAddr> = found.filter(|it| is_of_internet(it.ip())).collect();
            if outward.is_empty() {
                return Err("the name has no address outside the own network".into());
            }
            Ok(Box::new(outward.into_iter()) as Addrs)
        })
    }
}

fn client_builder() -> ClientBuilder {
    Client::builder()
        .connect_timeout(CONNECT)
        .read_timeout(PAUSE)
        .redirect(Policy::none())
        .user_agent(concat!("openlora/", env!("CARGO_PKG_VERSION")))
}

fn built(builder: ClientBuilder) -> Result<Client, DistributionError> {
    builder
        .build()
        .map_err(|error| DistributionError::Unreachable {
            place: "HTTP".to_owned(),
            reason: error.to_string(),
        })
}

/// A request that can be sent again to where it is redirected.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FetchRequest<'a> {
    pub accept: Option<&'a str>,
    /// The first byte that is wanted.
    pub from: u64,
    /// `If-Range`: the state that the bytes must be of.
    pub state: Option<&'a str>,
    pub secret: Option<&'a OriginSecret>,
}

impl HttpFetcher {
    /// # Errors
    ///
    /// The system has no usable certificates.
    pub fn new(offline: bool) -> Result<Self, DistributionError> {
        Ok(Self {
            client: built(client_builder())?,
            local: built(client_builder().no_proxy())?,
            offline,
            strangers: None,
            archived: Arc::default(),
        })
    }

    /// The same for places that strangers name: it asks no host of the own network, whatever a name
    /// resolves to and wherever a redirect leads, besides the host of `trusted`.
    ///
    /// # Errors
    ///
    /// The system has no usable certificates.
    pub fn for_strangers(&self, trusted: &str) -> Result<Self, DistributionError> {
        let host = Url::parse(trusted).ok();
        let host = host.and_then(|url| url.host_str().map(str::to_owned));
        let resolver = Arc::new(InternetResolver);
        Ok(Self {
            strangers: Some(InternetOnly {
                client: built(client_builder().dns_resolver(resolver))?,
                trusted: host,
            }),
            ..self.clone()
        })
    }

    /// Notes that a part of an archive has arrived.
    pub(crate) fn count_archived(&self, bytes: usize) {
        self.archived.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// The bytes of archives that have arrived since this was asked last, unpacked or not.
    pub fn take_archived(&self) -> u64 {
        self.archived.swap(0, Ordering::Relaxed)
    }

    /// Whether only this machine may be asked.
    pub fn is_offline(&self) -> bool {
        self.offline
    }

    /// Whether a host may be asked at all.
    ///
    /// # Errors
    ///
    /// It is another machine, and the program is to stay offline; or without encryption.
    pub(crate) fn admit(&self, url: &Url) -> Result<(), DistributionError> {
        let is_local = is_loopback_host(url);
        if self.offline && !is_local {
            return Err(DistributionError::Offline { place: shown(url) });
        }
        if self.strangers.as_ref().is_some_and(|it| !it.admits(url)) {
            return Err(DistributionError::Redirect {
                place: shown(url),
                reason: "it is an address of the own network".to_owned(),
            });
        }
        match url.scheme() {
            "https" => Ok(()),
            "http" if is_local => Ok(()),
            other => Err(DistributionError::Redirect {
                place: shown(url),
                reason: format!("{other}:// is for this machine only, expected https://"),
            }),
        }
    }

    /// A request to a host that was admitted.
    pub(crate) fn request(&self, method: Method, url: &Url) -> RequestBuilder {
        let client = match &self.strangers {
            Some(strangers) if !strangers.trusts(url) => &strangers.client,
            _ if is_loopback_host(url) => &self.local,
            _ => &self.client,
        };
        client.request(method, url.clone())
    }

    /// Sends one request without following redirects.
    pub(crate) async fn send(
        &self,
        url: &Url,
        request: RequestBuilder,
    ) -> Result<Response, DistributionError> {
        self.admit(url)?;
        let sent = request.header(ACCEPT_ENCODING, "identity").send().await;
        sent.map_err(|error| unreachable(url, &error))
    }

    /// Follows redirects of a `GET`. The secret goes to its own origin only.
    pub(crate) async fn get(
        &self,
        start: &Url,
        wanted: FetchRequest<'_>,
    ) -> Result<Response, DistributionError> {
        let mut url = start.clone();
        for _ in 0..=REDIRECTS {
            let mut request = self.request(Method::GET, &url);
            if let Some(accept) = wanted.accept {
                request = request.header(ACCEPT, accept);
            }
            if wanted.from > 0 {
                request = request.header(RANGE, format!("bytes={}-", wanted.from));
                if let Some(state) = wanted.state {
                    request = request.header("if-range", state);
                }
            }
            if let Some(value) = wanted.secret.and_then(|secret| secret.for_url(&url)) {
                request = request.header(AUTHORIZATION, value);
            }
            let answer = self.send(&url, request).await?;
            if !answer.status().is_redirection() || answer.status() == StatusCode::NOT_MODIFIED {
                return Ok(answer);
            }
            url = self.next(&url, &answer)?;
        }
        Err(DistributionError::Redirect {
            place: shown(start),
            reason: format!("more than {REDIRECTS} redirects"),
        })
    }

    fn next(&self, url: &Url, answer: &Response) -> Result<Url, DistributionError> {
        let refuse = |reason: String| DistributionError::Redirect {
            place: shown(url),
            reason,
        };
        let location = answer.headers().get(LOCATION);
        let location = location.and_then(|it| it.to_str().ok());
        let next = location.and_then(|it| url.join(it).ok());
        let next = next.ok_or_else(|| refuse("it redirects to nowhere".to_owned()))?;
        if is_loopback_host(&next) && !is_loopback_host(url) {
            return Err(refuse("it redirects to this machine".to_owned()));
        }
        if next.scheme() != "https" && !is_loopback_host(&next) {
            let to = shown(&next);
            return Err(refuse(format!("it redirects to {to}, expected https://")));
        }
        Ok(next)
    }
}

/// The whole body of an answer, of at most `limit` bytes.
pub(crate) async fn read_bounded(
    url: &Url,
    mut answer: Response,
    limit: u64,
) -> Result<Vec<u8>, DistributionError> {
    let too_large = |found: u64| DistributionError::TooLarge {
        what: shown(url),
        found,
        limit,
    };
    if let Some(length) = answer.content_length().filter(|length| *length > limit) {
        return Err(too_large(length));
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|e| unreachable(url, &e))? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() as u64 > limit {
            return Err(too_large(bytes.len() as u64));
        }
    }
    Ok(bytes)
}

/// The refusal of a server, with the beginning of what it says.
pub(crate) async fn refusal(url: &Url, answer: Response) -> DistributionError {
    let status = answer.status().as_u16();
    let mut answer = answer;
    let body = answer.chunk().await.ok().flatten().unwrap_or_default();
    let text = String::from_utf8_lossy(&body[..body.len().min(SHOWN)]).into_owned();
    let text = clean_line(text.trim()).into_owned();
    DistributionError::Status {
        place: shown(url),
        status,
        reason: match text.is_empty() {
            true => String::new(),
            false => format!(": {text}"),
        },
    }
}

/// The error of a request or of a body that broke off.
pub(crate) fn unreachable(url: &Url, error: &reqwest::Error) -> DistributionError {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let what = if error.is_timeout() {
        "no answer in time".to_owned()
    } else {
        let text = cause.to_string();
        match text.split_once(" (os error") {
            Some((words, _)) => words.to_lowercase(),
            None => text,
        }
    };
    DistributionError::Unreachable {
        place: shown(url),
        reason: what,
    }
}

/// A URL for messages, without what could be a secret: signed addresses have theirs in the query.
pub(crate) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    redact::scrub(url.as_str()).into_owned()
}
