//! The client address that limits count by: an IPv4 address, or the /64 network of an IPv6 address,
//! because a client with one address of such a network has all of them.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::http::Extensions;

use super::proxies::TrustedProxies;

/// Leading bits of an IPv6 address that one subscriber shares.
const NETWORK: u128 = !0 << 64;

/// The peer address of the connection.
#[derive(Clone, Copy, Debug)]
pub struct PeerAddress(pub SocketAddr);

/// The address of this server that the connection was made to.
#[derive(Clone, Copy, Debug)]
pub struct LocalAddress(pub SocketAddr);

/// The client that a request counts for; see [`client_address`](super::proxies::client_address).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestClient(pub IpAddr);

/// Marks a request from a peer that forwards for other clients and is not a trusted proxy. Its
/// address stands for clients that are unrelated to each other.
#[derive(Clone, Copy, Debug)]
pub struct Relayed;

/// The address that limits count by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientAddress {
    network: IpAddr,
    is_shared: bool,
}

impl ClientAddress {
    /// The address of a connection's peer, which may be a trusted proxy.
    pub fn of_peer(peer: SocketAddr, trusted: &TrustedProxies) -> Self {
        let mut address = Self::from_ip(peer.ip());
        address.is_shared |= trusted.contains(peer.ip().to_canonical());
        address
    }

    fn from_ip(address: IpAddr) -> Self {
        let canonical = address.to_canonical();
        let network = match canonical {
            IpAddr::V6(address) if !address.is_loopback() => {
                IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & NETWORK))
            }
            address => address,
        };
        Self {
            network,
            is_shared: canonical.is_loopback(),
        }
    }

    /// The client that a request counts for; `None` if it came over no connection.
    pub fn from_request(extensions: &Extensions) -> Option<Self> {
        extensions
            .get::<RequestClient>()
            .map(|client| Self::from_ip(client.0))
    }

    /// A text that identifies it.
    pub fn text(self) -> String {
        self.network.to_string()
    }

    /// Loopback connections and those of trusted proxies stand for many clients.
    pub fn is_shared(self) -> bool {
        self.is_shared
    }
}
