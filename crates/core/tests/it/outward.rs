//! Addresses that strangers may have a server ask.

use openlora_core::outward::is_outward;

#[test]
fn only_addresses_of_the_internet_are_outward() {
    let outward = |text: &str| is_outward(text.parse().unwrap());
    for address in ["8.8.8.8", "172.32.0.1", "2606:4700::1111"] {
        assert!(outward(address), "{address}");
    }
    for address in [
        "0.0.0.0",
        "10.0.0.1",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "192.168.1.1",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "fd00::1",
        "fe80::1",
    ] {
        assert!(!outward(address), "{address}");
    }
}
