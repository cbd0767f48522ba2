//! Who is at the other end of a connection, as limits count: an IPv4 address, or the /64 network
//! of an IPv6 address, because whoever has one address of such a network has all of them.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::http::Extensions;

use super::routes::Peer;

/// Leading bits of an IPv6 address that one subscriber shares.
const NETWORK: u128 = !0 << 64;

/// The address that limits are kept by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientAddress(IpAddr);

impl ClientAddress {
    pub fn of(peer: SocketAddr) -> Self {
        match peer.ip().to_canonical() {
            IpAddr::V4(address) => Self(IpAddr::V4(address)),
            IpAddr::V6(address) if address.is_loopback() => Self(IpAddr::V6(address)),
            IpAddr::V6(address) => {
                let network = Ipv6Addr::from_bits(address.to_bits() & NETWORK);
                Self(IpAddr::V6(network))
            }
        }
    }

    /// The address that sent a request; none where no connection brought it.
    pub fn from_request(extensions: &Extensions) -> Option<Self> {
        extensions.get::<Peer>().map(|peer| Self::of(peer.0))
    }

    /// Loopback connections may be a proxy's, which speaks for many clients.
    pub fn is_shared(self) -> bool {
        self.0.is_loopback()
    }
}
