//! Addresses that strangers may name.

use std::net::IpAddr;

use openlora_core::private::internet::is_of_internet;

#[test]
fn only_addresses_that_every_machine_reaches_are_of_the_internet() {
    let of_internet = |text: &str| is_of_internet(text.parse::<IpAddr>().unwrap());
    for text in [
        "1.1.1.1",
        "100.63.255.255",
        "100.128.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "198.17.255.255",
        "223.255.255.255",
        "::ffff:1.1.1.1",
        "2606:4700::1111",
        "2001:4860::1",
    ] {
        assert!(of_internet(text), "{text}");
    }
    for text in [
        "0.0.0.0",
        "10.0.0.1",
        "100.64.0.0",
        "100.127.255.255",
        "127.0.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.8",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.19.255.255",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "2001::1",
        "2001:db8::1",
        "2002:a00:1::1",
        "3fff::1",
        "fc00::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ] {
        assert!(!of_internet(text), "{text}");
    }
}
