//! The address that a payer is told: the public one, else the one that a trusted proxy names, else
//! the one that was called. And what web pages read of payments.

use openlora_serve::{access::AccessRules, origins::AllowedOrigins, proxies::TrustedProxies};
use serde_json::{Value, json};

use super::shop::{Setup, Shop, required};
use crate::{
    serve_support::{access, chat, reply},
    settlement_support::Market,
};

const CHAT: &str = "/v1/chat/completions";

fn shop(market: &Market, access: AccessRules) -> Shop {
    let setup = Setup {
        access,
        ..Setup::of(market)
    };
    Shop::open(&market.runtime, setup)
}

/// The address in the terms of a call and of a refund; both must be the same.
#[track_caller]
fn told(shop: &Shop, headers: &[(&str, &str)]) -> Value {
    let client = &shop.server.client;
    let address = |mut request: reqwest::RequestBuilder| {
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        required(&shop.wait(reply(request)))["resource"]["url"].clone()
    };
    let called = address(
        client
            .post(shop.server.url(CHAT))
            .json(&chat("persona", "hi")),
    );
    let query = format!("{CHAT}?model=persona");
    assert_eq!(address(client.get(shop.server.url(&query))), called);
    called
}

#[test]
fn the_public_address_is_told_to_every_payer() {
    let market = Market::embedded();
    for stated in ["https://shop.example/api", "https://shop.example/api/"] {
        let access = AccessRules {
            public_url: Some(stated.parse().unwrap()),
            proxies: TrustedProxies::parse(["127.0.0.1"]).unwrap(),
            ..access()
        };
        let shop = shop(&market, access);
        let expected = json!(format!("https://shop.example/api{CHAT}"));
        for headers in [
            &[][..],
            &[("host", "evil.example")],
            &[
                ("x-forwarded-host", "inner.example"),
                ("x-forwarded-proto", "http"),
            ],
        ] {
            assert_eq!(told(&shop, headers), expected, "{headers:?}");
        }
        shop.close();
    }
}

#[test]
fn a_trusted_proxy_says_which_address_was_called() {
    let market = Market::embedded();
    let access = AccessRules {
        proxies: TrustedProxies::parse(["127.0.0.1"]).unwrap(),
        ..access()
    };
    let shop = shop(&market, access);
    let named = json!(format!("https://api.example{CHAT}"));
    let own = json!(shop.server.url(CHAT));
    type Case<'a> = (&'a [(&'a str, &'a str)], &'a Value);
    let cases: [Case; 6] = [
        (
            &[
                ("x-forwarded-host", "api.example"),
                ("x-forwarded-proto", "https"),
            ],
            &named,
        ),
        (
            &[
                ("x-forwarded-host", "api.example, b.example"),
                ("x-forwarded-proto", "HTTPS, http"),
            ],
            &named,
        ),
        (
            &[(
                "forwarded",
                "for=10.0.0.1;Host=\"api.example\";proto=https, for=10.0.0.2",
            )],
            &named,
        ),
        (&[], &own),
        (&[("x-forwarded-host", "a b\"c")], &own),
        (&[("x-forwarded-host", "user@api.example")], &own),
    ];
    for (headers, expected) in cases {
        assert_eq!(told(&shop, headers), *expected, "{headers:?}");
    }
    shop.close();
}

/// A page that pays reads the terms; without the browser's consent it reads nothing.
#[test]
fn an_allowed_page_reads_what_it_is_to_pay() {
    let market = Market::embedded();
    let access = AccessRules {
        origins: AllowedOrigins::parse(["https://app.example"]).unwrap(),
        ..access()
    };
    let shop = shop(&market, access);
    let url = shop.server.url(CHAT);
    let ask = |origin: &str| {
        let request = shop.server.client.post(&url).json(&chat("persona", "hi"));
        shop.wait(reply(request.header("origin", origin)))
    };
    let found = ask("https://app.example");
    assert_eq!(required(&found)["resource"]["url"], json!(url));
    let allowed = found.header("access-control-allow-origin");
    assert_eq!(allowed, Some("https://app.example"));
    let exposed = found.header("access-control-expose-headers").unwrap();
    let exposed: Vec<&str> = exposed.split(", ").collect();
    for name in [
        "payment-required",
        "payment-response",
        "x-request-id",
        "retry-after",
    ] {
        assert!(exposed.contains(&name), "{exposed:?}");
    }
    let found = ask("https://evil.example");
    assert_eq!(found.status, 402);
    assert_eq!(found.header("access-control-allow-origin"), None);
    shop.close();
}

#[test]
fn strangers_do_not_choose_the_address_that_they_called() {
    let market = Market::embedded();
    let shop = Shop::of(&market);
    let path = "/v1/chat/completions";
    let request = || {
        shop.server
            .client
            .post(shop.server.url(path))
            .json(&chat("persona", "hi"))
    };
    let told = request()
        .header("x-forwarded-host", "evil.example")
        .header("x-forwarded-proto", "https")
        .header("x-forwarded-for", "10.0.0.1")
        .header("forwarded", "for=10.0.0.1;host=evil.example;proto=https");
    let (plain, told) = (shop.wait(reply(request())), shop.wait(reply(told)));
    let (plain, told) = (required(&plain), required(&told));
    assert_eq!(plain["resource"], told["resource"]);
    assert_eq!(told["resource"]["url"], json!(shop.server.url(path)));
    shop.close();
}
