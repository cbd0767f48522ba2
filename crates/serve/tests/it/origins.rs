//! Web pages: which of them a browser lets read which route.

use openlora_serve::{
    ApiRoute, ROUTES, RouteAudience,
    access::{AccessRules, FacilitatorAccess},
    origins::AllowedOrigins,
};
use reqwest::{Method, header::HeaderMap};

use crate::serve_support::{
    LIMITS, OPERATOR, Reply, TestServer, access, chat, reply, start, start_behind, test_journal,
};

const APP: &str = "https://app.example";
const EXPOSED: &str = "payment-required, payment-response, x-request-id, x-openlora-replayed, \
                       x-should-retry, retry-after";

async fn open_to(origins: &[&str]) -> TestServer {
    let access = AccessRules {
        origins: AllowedOrigins::parse(origins.iter().copied()).unwrap(),
        facilitation: FacilitatorAccess::Public,
        ..access()
    };
    start_behind(access, LIMITS, test_journal()).await
}

fn path(route: &ApiRoute) -> String {
    route.path.replace("{*id}", "none").replace("{id}", "none")
}

/// The headers of an answer that browsers act on.
fn cors(headers: &HeaderMap) -> Vec<(String, String)> {
    let told = headers.iter().filter(|(name, _)| {
        name.as_str().starts_with("access-control-") || name.as_str() == "vary"
    });
    let mut told: Vec<_> = told
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    told.sort();
    told
}

fn pairs(told: &[(&str, &str)]) -> Vec<(String, String)> {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    told.iter().map(own).collect()
}

/// A browser's question before a page's request.
async fn preflight(server: &TestServer, route: &ApiRoute, origin: &str) -> Reply {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client
        .request(Method::OPTIONS, server.url(&path(route)))
        .header("origin", origin)
        .header("access-control-request-method", route.method)
        .header(
            "access-control-request-headers",
            "content-type,payment-signature",
        );
    reply(request).await
}

async fn read(server: &TestServer, path: &str, origin: &str) -> Reply {
    reply(server.client.get(server.url(path)).header("origin", origin)).await
}

#[tokio::test]
async fn no_page_is_allowed_unless_the_operator_says_so() {
    let server = start().await;
    for route in ROUTES {
        let found = preflight(&server, route, APP).await;
        assert_eq!(cors(&found.headers), [], "{}", route.path);
        assert_ne!(found.status, 204, "{}", route.path);
    }
    let found = read(&server, "/v1/models", APP).await;
    assert_eq!((found.status, cors(&found.headers)), (200, vec![]));
    server.drain().await;
}

#[tokio::test]
async fn a_named_page_may_use_the_routes_for_anyone() {
    let server = open_to(&[APP, "http://localhost:3000"]).await;
    let answered = |origin: &str| {
        pairs(&[
            (
                "access-control-allow-headers",
                "content-type,payment-signature",
            ),
            ("access-control-allow-methods", "GET, POST"),
            ("access-control-allow-origin", origin),
            ("access-control-expose-headers", EXPOSED),
            ("access-control-max-age", "600"),
            ("vary", "origin"),
        ])
    };
    for route in ROUTES {
        for origin in [APP, "http://localhost:3000"] {
            let found = preflight(&server, route, origin).await;
            match route.audience {
                RouteAudience::Anyone => {
                    assert_eq!((found.status, found.text.as_str()), (204, ""));
                    assert_eq!(cors(&found.headers), answered(origin), "{}", route.path);
                }
                _ => {
                    assert_ne!(found.status, 204, "{}", route.path);
                    assert_eq!(cors(&found.headers), [], "{}", route.path);
                }
            }
        }
    }
    let readable = pairs(&[
        ("access-control-allow-origin", APP),
        ("access-control-expose-headers", EXPOSED),
        ("vary", "origin"),
    ]);
    for (path, status) in [
        ("/v1/models", 200),
        ("/v1/receipts/none", 404),
        ("/health", 200),
    ] {
        let found = read(&server, path, APP).await;
        assert_eq!(
            (found.status, cors(&found.headers)),
            (status, readable.clone())
        );
    }
    let request = server.client.post(server.url("/v1/chat/completions"));
    let found = reply(
        request
            .header("origin", APP)
            .json(&chat("persona", "hi !end=1")),
    )
    .await;
    assert_eq!((found.status, cors(&found.headers)), (200, readable));
    server.drain().await;
}

#[tokio::test]
async fn other_pages_and_guarded_routes_stay_closed() {
    let server = open_to(&[APP]).await;
    let unread = pairs(&[("vary", "origin")]);
    for origin in [
        "https://evil.example",
        "https://app.example.evil.example",
        "http://app.example",
        "https://app.example:8443",
        "https://app.example/",
        "null",
        "*",
    ] {
        let found = read(&server, "/v1/models", origin).await;
        assert_eq!(
            (found.status, cors(&found.headers)),
            (200, unread.clone()),
            "{origin}"
        );
        let found = preflight(&server, &ROUTES[0], origin).await;
        assert_eq!(
            (found.status, cors(&found.headers)),
            (405, unread.clone()),
            "{origin}"
        );
    }
    server.drain().await;
    for origins in [&[APP][..], &["*"]] {
        let server = open_to(origins).await;
        for route in ROUTES {
            let token = format!("Bearer {OPERATOR}");
            let request = server.client.get(server.url(&path(route)));
            let request = request.header("origin", APP).header("authorization", token);
            match route.audience {
                RouteAudience::Anyone => {}
                RouteAudience::Sellers => {
                    assert_eq!(cors(&reply(request).await.headers), [], "{}", route.path);
                }
                RouteAudience::Operator => {
                    let found = reply(request).await;
                    assert_eq!((found.status, cors(&found.headers)), (403, vec![]));
                }
            }
        }
        server.drain().await;
    }
}

#[tokio::test]
async fn a_star_allows_every_page() {
    let server = open_to(&["*"]).await;
    for origin in [APP, "null", "https://other.example"] {
        let found = read(&server, "/v1/models", origin).await;
        let told = found.header("access-control-allow-origin");
        assert_eq!((found.status, told), (200, Some("*")), "{origin}");
    }
    server.drain().await;
}

#[test]
fn origins_are_read_as_browsers_write_them() {
    let same = |one: &str, other: &str| {
        let read = |text| AllowedOrigins::parse([text]).unwrap();
        assert_eq!(read(one), read(other), "{one}");
    };
    same("HTTPS://App.Example:443", "https://app.example");
    same(" http://app.example:80", "http://app.example");
    same("http://[::1]:3000", "http://[::1]:3000");
    same("chrome-extension://abcdef", "chrome-extension://abcdef");
    for wrong in [
        "",
        "null",
        "app.example",
        "https://",
        "https://app.example/",
        "https://app.example/path",
        "https://me@app.example",
        "https://*.example/",
        "https://app.example?x",
        "://app.example",
    ] {
        let problem = AllowedOrigins::parse([wrong]).unwrap_err().to_string();
        let expected =
            format!("expected `*` or an origin such as https://app.example, found `{wrong}`");
        assert_eq!(problem, expected);
    }
}
