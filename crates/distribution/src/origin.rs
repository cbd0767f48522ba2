//! Whose machine a URL leads to: what may be asked without encryption, and where a secret may go.

use std::{fmt, net::IpAddr};

use reqwest::{Url, header::HeaderValue};

/// Whether the host of a URL is this machine.
pub fn is_loopback_host(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    // The unspecified address leads here, too.
    let is_loopback = |ip: IpAddr| {
        let ip = ip.to_canonical();
        ip.is_loopback() || ip.is_unspecified()
    };
    host == "localhost" || host.parse().is_ok_and(is_loopback)
}

/// Whether two URLs have the same scheme, host and port.
pub fn is_same_origin(one: &Url, other: &Url) -> bool {
    let port = |url: &Url| url.port_or_known_default();
    one.scheme() == other.scheme() && one.host_str() == other.host_str() && port(one) == port(other)
}

/// Whether two hosts are one, or belong to one domain, such as `registry.example.org` and
/// `auth.example.org`.
pub fn is_same_site(one: &Url, other: &Url) -> bool {
    if one.scheme() != other.scheme() {
        return false;
    }
    let (Some(one), Some(other)) = (one.host_str(), other.host_str()) else {
        return false;
    };
    one == other || domain(one).is_some_and(|it| domain(other) == Some(it))
}

/// The last labels of a host's name: two, or three where the second last is too short to be
/// somebody's own, as in `example.co.uk`. None for an address, or where there are fewer.
fn domain(host: &str) -> Option<String> {
    if host.starts_with('[') || host.parse::<IpAddr>().is_ok() {
        return None;
    }
    let labels: Vec<&str> = host.rsplit('.').take(3).collect();
    let kept = match labels.get(1) {
        Some(second) if second.len() <= 3 => 3,
        _ => 2,
    };
    (labels.len() >= kept).then(|| labels[..kept].join("."))
}

/// A value of `Authorization`, and the only origin that may receive it.
#[derive(Clone)]
pub struct OriginSecret {
    origin: Url,
    value: HeaderValue,
}

impl OriginSecret {
    /// None if the secret has characters that no header can have.
    pub fn new(origin: &Url, value: &str) -> Option<Self> {
        let mut value = HeaderValue::from_str(value).ok()?;
        value.set_sensitive(true);
        let origin = origin.clone();
        Some(Self { origin, value })
    }

    /// The value, if `url` is of its origin.
    pub fn for_url(&self, url: &Url) -> Option<HeaderValue> {
        is_same_origin(&self.origin, url).then(|| self.value.clone())
    }
}

impl fmt::Debug for OriginSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "OriginSecret({})",
            self.origin.origin().ascii_serialization()
        )
    }
}
