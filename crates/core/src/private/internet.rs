//! Which addresses are of the internet, and so may be asked because a stranger names them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether an address is one that every machine reaches: not of a private, local, reserved or
/// documentation range, and not one that stands for an address of version 4.
pub fn is_of_internet(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_global_v4(address),
        IpAddr::V6(address) => is_global_v6(address),
    }
}

/// The special ranges of <https://www.iana.org/assignments/iana-ipv4-special-registry>.
fn is_global_v4(address: Ipv4Addr) -> bool {
    let [first, second, third, _] = address.octets();
    let is_special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation()
        || first == 0
        || first >= 240
        || (first == 100 && second & 0xc0 == 64)
        || (first, second, third) == (192, 0, 0)
        || (first, second, third) == (192, 88, 99)
        || (first, second & 0xfe) == (198, 18);
    !is_special
}

/// Unicast addresses of the internet, without ranges that carry addresses of version 4.
fn is_global_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    // 2000::/3, without Teredo and documentation (2001:0::/32, 2001:db8::/32, 3fff::/20) and 6to4.
    first & 0xe000 == 0x2000
        && !(first == 0x2001 && (second == 0 || second == 0x0db8))
        && first != 0x2002
        && !(first == 0x3fff && second < 0x1000)
}
