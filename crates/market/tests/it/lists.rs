//! Lists of paid resources, as strangers write them.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Json, Router, extract::Query, http::StatusCode, routing::get};
use openlora_market::{DiscoveredResource, MarketHttp, ServerAddress, discovered};
use serde_json::{Value, json};
use tokio::{net::TcpListener, runtime::Runtime};

const TOKEN: &str = "0x5FbDB2315678afecb367f032d93F642f64180aa3";
const PAYEE: &str = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A";

/// What a list with these pages gives, and how often it was asked.
fn listed(
    page: impl Fn(usize) -> (StatusCode, Value) + Clone + Send + Sync + 'static,
) -> (Result<Vec<DiscoveredResource>, String>, usize) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let answer = move |Query(query): Query<HashMap<String, String>>| {
        count.fetch_add(1, Ordering::SeqCst);
        let offset: usize = query["offset"].parse().unwrap();
        let (status, body) = page(offset);
        async move { (status, Json(body)) }
    };
    let app = Router::new().route("/discovery/resources", get(answer));
    let found = Runtime::new().unwrap().block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        let http = MarketHttp::new(true, Duration::from_secs(10)).unwrap();
        let endpoint = ServerAddress::by_user(&url).unwrap();
        let found = discovered(&http, &endpoint, 31_337).await;
        found.map_err(|error| error.to_string().replace(&url, "URL"))
    });
    (found, asked.load(Ordering::SeqCst))
}

fn offer(network: &str, amount: &str) -> Value {
    json!({
        "scheme": "exact", "network": network, "amount": amount, "asset": TOKEN, "payTo": PAYEE,
        "maxTimeoutSeconds": 60,
    })
}

fn item(number: usize) -> Value {
    json!({
        "resource": format!("https://shop.example/{number}"), "type": "http",
        "accepts": [offer("eip155:31337", "7")],
    })
}

#[test]
fn offers_on_the_chain_are_read_in_each_form_and_others_are_left_out() {
    let items = json!([
        item(1),
        // The cheapest of several, with the name of a tool and the words of its service.
        {
            "resource": {
                "url": "https://shop.example/mcp", "description": "weather", "serviceName": "Shop",
            },
            "accepts": [offer("eip155:1", "1"), offer("eip155:31337", "9"), offer("eip155:31337", "8")],
            "extensions": { "bazaar": { "info": { "input": { "type": "mcp", "toolName": "sky" } } } },
        },
        { "resource": "https://shop.example/elsewhere", "accepts": [offer("eip155:1", "1")] },
        { "resource": "https://shop.example/none", "accepts": [] },
        { "resource": 7, "accepts": [offer("eip155:31337", "1")] },
        { "accepts": "nothing" },
        "text",
        // Once is enough.
        item(1),
    ]);
    let resource =
        |url: &str, name: Option<&str>, about: Option<&str>, amount: &str| DiscoveredResource {
            url: url.into(),
            name: name.map(str::to_owned),
            description: about.map(str::to_owned),
            pay_to: PAYEE.into(),
            amount: amount.into(),
            token: TOKEN.into(),
        };
    let expected = vec![
        resource("https://shop.example/1", None, None, "7"),
        resource(
            "https://shop.example/mcp",
            Some("sky"),
            Some("weather"),
            "8",
        ),
    ];
    for name in ["items", "resources"] {
        let body = json!({ "x402Version": 2, name: items });
        let answer = move |_| (StatusCode::OK, body.clone());
        assert_eq!(listed(answer), (Ok(expected.clone()), 1));
    }
}

#[test]
fn long_lists_are_read_by_pages_and_no_further_than_ten() {
    let page = |total: usize| {
        move |offset: usize| {
            let rows: Vec<Value> = (offset..total.min(offset + 100)).map(item).collect();
            let pagination = json!({ "limit": 100, "offset": offset, "total": total });
            (
                StatusCode::OK,
                json!({ "items": rows, "pagination": pagination }),
            )
        }
    };
    for (total, expected, pages) in [(0, 0, 1), (100, 100, 1), (250, 250, 3), (5_000, 1_000, 10)] {
        let (found, asked) = listed(page(total));
        assert_eq!((found.unwrap().len(), asked), (expected, pages), "{total}");
    }
    // One that gives the same page again and again.
    let (found, asked) = listed(move |_| page(100_000)(0));
    assert_eq!((found.unwrap().len(), asked), (100, 2));
}

#[test]
fn what_is_no_list_is_an_error_that_names_the_place() {
    for (status, body, problem) in [
        (StatusCode::OK, json!([]), "the answer has no items"),
        (
            StatusCode::OK,
            json!({ "items": "many" }),
            "the answer has no items",
        ),
        (StatusCode::NOT_FOUND, json!({}), "it answers 404 Not Found"),
    ] {
        let answer = move |_| (status, body.clone());
        let expected = format!("URL does not list resources: {problem}");
        assert_eq!(listed(answer), (Err(expected), 1));
    }
}
