//! Which addresses lead out of the own network: those that strangers may have a server ask.

use std::net::{IpAddr, Ipv4Addr};

/// Whether an address is outside private, local and reserved ranges (RFC 6890).
pub fn is_outward(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => is_outward_v4(ip),
        IpAddr::V6(ip) => {
            let first = ip.segments()[0];
            !(ip.is_loopback()
                || ip.is_unspecified()
                || ip.is_multicast()
                || first & 0xfe00 == 0xfc00
                || first & 0xffc0 == 0xfe80
                // Addresses that stand for IPv4 ones: NAT64 and 6to4.
                || (first == 0x64 && ip.segments()[1] == 0xff9b)
                || first == 0x2002)
        }
    }
}

fn is_outward_v4(ip: Ipv4Addr) -> bool {
    let [first, second, third, _] = ip.octets();
    !(ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_broadcast()
        || ip.is_documentation()
        || ip.is_multicast()
        || first == 0
        || first >= 240
        || (first == 100 && (64..128).contains(&second))
        || (first == 192 && second == 0 && third == 0)
        || (first == 198 && (18..20).contains(&second)))
}
