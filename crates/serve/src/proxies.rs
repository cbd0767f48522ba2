//! The address that a call comes from: the peer of the connection or, behind a trusted proxy, the
//! address that the proxy names.

use std::{
    net::{IpAddr, Ipv6Addr},
    str::FromStr,
};

use axum::http::{HeaderMap, HeaderName, header};

pub const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
pub const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Headers that proxies add. They are removed from requests of all other peers.
pub const FORWARDING: [HeaderName; 4] = [
    header::FORWARDED,
    FORWARDED_FOR,
    FORWARDED_HOST,
    FORWARDED_PROTO,
];

/// Proxies whose forwarding headers are trusted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<AddressRange>);

/// A range of addresses with a common prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct AddressRange {
    /// IPv4 as `::ffff:a.b.c.d`.
    first: Ipv6Addr,
    bits: u32,
}

/// The error in a text that should name addresses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an address or a range such as 10.0.0.0/8, found `{found}`")]
pub struct RangeProblem {
    pub found: String,
}

fn widened(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    }
}

fn leading(ip: Ipv6Addr, bits: u32) -> u128 {
    u128::from(ip).checked_shr(128 - bits).unwrap_or(0)
}

impl FromStr for AddressRange {
    type Err = RangeProblem;

    fn from_str(text: &str) -> Result<Self, RangeProblem> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let problem = || RangeProblem {
            found: text.to_owned(),
        };
        let ip: IpAddr = address.trim().parse().map_err(|_| problem())?;
        let width = if ip.is_ipv4() { 32 } else { 128 };
        let length = length.map_or(Ok(width), |length| length.trim().parse::<u32>());
        let length = length.ok().filter(|length| *length <= width);
        Ok(Self {
            first: widened(ip),
            bits: 128 - width + length.ok_or_else(problem)?,
        })
    }
}

impl TrustedProxies {
    /// # Errors
    /// Returns the first text that names no addresses.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, RangeProblem> {
        let ranges = texts.into_iter().map(|text| text.trim().parse());
        ranges.collect::<Result<_, _>>().map(Self)
    }

    /// Whether an address is that of a proxy.
    pub fn contains(&self, ip: IpAddr) -> bool {
        let ip = widened(ip);
        let within =
            |range: &AddressRange| leading(range.first, range.bits) == leading(ip, range.bits);
        self.0.iter().any(within)
    }
}

/// The address that a request counts for: the nearest one that is not a trusted proxy. If a proxy's
/// headers are unreadable or contradict each other, the proxy itself is the client.
pub fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &TrustedProxies) -> IpAddr {
    let peer = peer.to_canonical();
    if !trusted.contains(peer) {
        return peer;
    }
    let by_list = named(headers, &FORWARDED_FOR, |part| Some(part.to_owned()));
    let by_standard = named(headers, &header::FORWARDED, |part| pair_of(part, "for"));
    let path = match (by_list, by_standard) {
        (Some(list), Some(standard)) if list != standard => return peer,
        (Some(list), _) => list,
        (None, Some(standard)) => standard,
        (None, None) => return peer,
    };
    // Each proxy appends the address of its peer. Untrusted entries from the client come before
    // those.
    let mut nearest = peer;
    for ip in path.into_iter().rev() {
        let Some(ip) = ip else { return nearest };
        nearest = ip;
        if !trusted.contains(ip) {
            break;
        }
    }
    nearest
}

/// The addresses that a header lists over all its lines, unreadable ones as nothing; `None` without
/// the header.
fn named(
    headers: &HeaderMap,
    name: &HeaderName,
    part: impl Fn(&str) -> Option<String>,
) -> Option<Vec<Option<IpAddr>>> {
    headers.contains_key(name).then(|| {
        let lines = headers.get_all(name).iter();
        let parts = lines.flat_map(|line| line.to_str().unwrap_or("?").split(','));
        parts
            .map(|it| part(it.trim()).and_then(|it| address(&it)))
            .collect()
    })
}

/// A value of the first element of `Forwarded` (RFC 7239).
pub fn forwarded_pair(headers: &HeaderMap, name: &str) -> Option<String> {
    let line = headers.get(header::FORWARDED)?.to_str().ok()?;
    pair_of(line.split(',').next()?, name)
}

/// A value of one element of `Forwarded`.
fn pair_of(element: &str, wanted: &str) -> Option<String> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        let value = value.trim().trim_matches('"');
        name.trim()
            .eq_ignore_ascii_case(wanted)
            .then(|| value.to_owned())
    })
}

/// An address with or without brackets and port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?.0,
        None => text,
    };
    let alone = bare.parse::<IpAddr>().ok();
    let with_port = || bare.parse::<std::net::SocketAddr>().ok().map(|it| it.ip());
    alone.or_else(with_port).map(|ip| ip.to_canonical())
}
