//! What a facilitator lists of the resources whose payments it settles: a shop answers by HTTP, and its
//! clients repeat what it declared, or something else.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path as UrlPath, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{any, get},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use openlora_payments::x402::{FacilitatorService, ResourceCatalogue, schema};
use openlora_ports::{Facilitator, ListedResource};
use openlora_runtime::resource_probe::{HttpResourceProbe, ProbeReach};
use serde_json::{Value, json};

use crate::{
    keys::OWN,
    waiting::wait_until,
    x402_facilitator::{SHOP, Seller},
    x402_support::exact,
};

/// A shop at an address of this machine.
struct AnsweringShop {
    url: String,
    offer: Value,
    asked: AtomicUsize,
    /// Bytes of all bodies that were received.
    received: AtomicUsize,
}

fn declaration(body: &Value) -> Value {
    json!({ "bazaar": {
        "info": {
            "input": { "type": "http", "method": "POST", "bodyType": "json", "body": body },
            "output": { "type": "json", "example": { "answer": 42 } },
        },
        "schema": {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {
                "input": {
                    "type": "object",
                    "properties": {
                        "type": { "const": "http" },
                        "method": { "enum": ["POST"] },
                        "bodyType": { "enum": ["json"] },
                        "body": {
                            "type": "object",
                            "properties": { "question": { "type": "string" } },
                            "required": ["question"],
                        },
                    },
                    "required": ["type", "method", "bodyType", "body"],
                    "additionalProperties": false,
                },
            },
            "required": ["input"],
        },
    } })
}

fn question() -> Value {
    json!({ "question": "What is it?" })
}

impl AnsweringShop {
    fn open(seller: &Seller) -> Arc<Self> {
        let runtime = &seller.stand.market.runtime;
        let bound = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"));
        let listener = bound.unwrap();
        let shop = Arc::new(Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            offer: seller.offer("exact"),
            asked: AtomicUsize::new(0),
            received: AtomicUsize::new(0),
        });
        let routes = Router::new()
            .route("/{path}", any(terms))
            .route("/discovery/resources", get(list))
            .with_state(Arc::clone(&shop));
        runtime.spawn(async move { axum::serve(listener, routes).await });
        shop
    }

    /// What the shop says of a resource: `stranger` is paid to somebody else, `free` costs nothing,
    /// `moved` is said to be elsewhere.
    fn terms(&self, path: &str) -> Value {
        let mut offer = self.offer.clone();
        if path == "stranger" {
            offer["payTo"] = json!(OWN);
        }
        let place = if path == "moved" { "elsewhere" } else { path };
        json!({
            "x402Version": 2,
            "resource": {
                "url": format!("{}/{place}?from=shop", self.url),
                "description": "Answers\nto questions",
                "mimeType": "application/json",
                "serviceName": "Answers",
                "tags": ["answers", "ANSWERS", "", "questions", "a", "b", "c", "d"],
                "iconUrl": format!("{}/icon.png", self.url),
            },
            "accepts": [offer],
            "extensions": declaration(&question()),
        })
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// The list of a server that needs a body to know what is bought: two things at one address, of which
/// the second is paid as the tests pay.
async fn list(State(shop): State<Arc<AnsweringShop>>) -> Json<Value> {
    let item = |path: &str| {
        let mut item = shop.terms(path);
        let resource = item["resource"].take();
        for (name, value) in resource.as_object().unwrap() {
            item[name] = value.clone();
        }
        item["resource"] = json!(format!("{}/unnamed", shop.url));
        item
    };
    Json(json!({ "items": [item("stranger"), item("unnamed"), item("other")] }))
}

async fn terms(
    State(shop): State<Arc<AnsweringShop>>,
    UrlPath(path): UrlPath<String>,
    body: Bytes,
) -> Response {
    shop.asked.fetch_add(1, Ordering::SeqCst);
    shop.received.fetch_add(body.len(), Ordering::SeqCst);
    if path == "unnamed" {
        return StatusCode::BAD_REQUEST.into_response();
    }
    if path == "free" {
        return StatusCode::OK.into_response();
    }
    let header = STANDARD.encode(shop.terms(&path).to_string());
    (StatusCode::PAYMENT_REQUIRED, [("payment-required", header)]).into_response()
}

fn catalogue(file: &Path) -> ResourceCatalogue {
    let probe = HttpResourceProbe {
        reach: ProbeReach::ThisMachine,
    };
    ResourceCatalogue::open(Some(file.to_owned()), Arc::new(probe))
}

/// A facilitator with a catalogue.
fn listing_seller(file: &Path) -> Seller {
    let seller = Seller::new();
    let own = OWN.parse().unwrap();
    Seller {
        clearing: FacilitatorService::new(seller.stand.counters(), own)
            .with_catalogue(catalogue(file)),
        ..seller
    }
}

/// A settled payment of a client that repeats this.
#[track_caller]
fn pay(seller: &Seller, nonce: u64, resource: Value, extensions: Value) {
    let transfer = seller.transfer(nonce, SHOP);
    let mut body = seller.body("exact", &exact(&transfer));
    body["paymentPayload"]["resource"] = resource;
    body["paymentPayload"]["extensions"] = extensions;
    let settled = seller.settle(body).unwrap();
    assert_eq!(settled["success"], true, "{settled}");
}

fn paths(shop: &AnsweringShop, listed: &[ListedResource]) -> Vec<String> {
    let listed = listed.iter();
    let paths = listed.map(|it| it.resource.strip_prefix(&shop.url).unwrap().to_owned());
    paths.collect()
}

#[test]
fn a_resource_is_listed_as_its_own_server_declares_it() {
    let dir = tempfile::tempdir().unwrap();
    let seller = listing_seller(&dir.path().join("resources.json"));
    let shop = AnsweringShop::open(&seller);
    assert_eq!(seller.clearing.supported()["extensions"], json!(["bazaar"]));
    let at = |path: &str| json!({ "url": format!("{}/{path}", shop.url) });
    // What the client says of it is not what it is.
    let mut poisoned = at("answers?of=client");
    poisoned["description"] = json!("Free money");
    poisoned["serviceName"] = json!("Bank");
    let other = json!({ "question": "Send me your key" });
    pay(&seller, 1, poisoned, declaration(&other));
    wait_until("the shop to be listed", || {
        seller.clearing.catalogued().len() == 1
    });
    let mut listed = serde_json::to_value(seller.clearing.catalogued()).unwrap();
    let seen = listed[0]["lastUpdated"].take();
    assert!(seen.as_str().unwrap().ends_with('Z'), "{seen}");
    let expected = json!([{
        "resource": format!("{}/answers", shop.url),
        "type": "http",
        "x402Version": 2,
        "accepts": [seller.offer("exact")],
        "lastUpdated": null,
        "description": "Answers to questions",
        "mimeType": "application/json",
        "serviceName": "Answers",
        "tags": ["answers", "questions", "a", "b", "c"],
        "extensions": declaration(&question()),
    }]);
    assert_eq!(listed, expected);
    assert_eq!(shop.asked(), 1);
    // A listed one is not asked again at once.
    pay(&seller, 2, at("answers"), declaration(&question()));
    // Not listed: other payees, no terms, another place, a declaration that breaks its own schema,
    // none at all, no plain URL.
    for (nonce, path) in [(3, "stranger"), (4, "free"), (5, "moved")] {
        pay(&seller, nonce, at(path), declaration(&question()));
    }
    pay(
        &seller,
        6,
        at("unfit"),
        declaration(&json!({ "question": 7 })),
    );
    pay(&seller, 7, at("undeclared"), json!({ "other": {} }));
    let url = shop.url.replace("http://", "http://user:password@");
    pay(&seller, 8, json!({ "url": url }), declaration(&question()));
    pay(&seller, 9, at("last"), declaration(&question()));
    wait_until("the last resource to be listed", || {
        paths(&shop, &seller.clearing.catalogued()) == ["/last", "/answers"]
    });
    assert_eq!(shop.asked(), 5);
}

#[test]
fn nothing_that_a_payer_declares_is_sent() {
    let dir = tempfile::tempdir().unwrap();
    let seller = listing_seller(&dir.path().join("resources.json"));
    let shop = AnsweringShop::open(&seller);
    let at = |path: &str| json!({ "url": format!("{}/{path}", shop.url) });
    for (nonce, method) in [(1, "PUT"), (2, "PATCH"), (3, "DELETE")] {
        let mut declared = declaration(&question());
        declared["bazaar"]["info"]["input"]["method"] = json!(method);
        declared["bazaar"]["schema"] = json!({});
        pay(&seller, nonce, at("changes"), declared);
    }
    // A server that cannot say its price without a body is asked for its list.
    pay(&seller, 4, at("unnamed"), declaration(&question()));
    wait_until("the listed resource", || {
        paths(&shop, &seller.clearing.catalogued()) == ["/unnamed"]
    });
    let listed = seller.clearing.catalogued();
    assert_eq!(listed[0].accepts, [seller.offer("exact")]);
    assert_eq!(shop.asked(), 1);
    assert_eq!(shop.received.load(Ordering::SeqCst), 0);
}

#[test]
fn one_seller_does_not_fill_the_list() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("resources.json");
    let seller = listing_seller(&file);
    let shop = AnsweringShop::open(&seller);
    for number in 1..=34 {
        let resource = json!({ "url": format!("{}/r{number}", shop.url) });
        pay(&seller, number, resource, declaration(&question()));
        let newest = format!("/r{number}");
        wait_until("the resource to be listed", || {
            paths(&shop, &seller.clearing.catalogued()).first() == Some(&newest)
        });
    }
    let expected: Vec<String> = (3..=34).rev().map(|number| format!("/r{number}")).collect();
    let listed = seller.clearing.catalogued();
    assert_eq!(paths(&shop, &listed), expected);
    // It outlives the process, and a damaged file is an empty list.
    let again = || catalogue(&file).listed();
    assert_eq!(again(), listed);
    std::fs::write(&file, "[{").unwrap();
    assert_eq!(again(), []);
}

#[test]
fn a_schema_of_a_stranger_is_checked_and_bounded() {
    let fits = |value: Value, wanted: Value| schema::check(&value, &wanted);
    let person = json!({
        "type": "object",
        "properties": {
            "name": { "type": "string", "minLength": 1, "maxLength": 5 },
            "age": { "type": ["integer", "null"], "minimum": 0, "maximum": 150 },
            "tags": { "type": "array", "items": { "enum": ["a", "b"] }, "maxItems": 2 },
            "friend": { "$ref": "#" },
        },
        "required": ["name"],
        "additionalProperties": false,
        "title": "A person",
    });
    let good =
        json!({ "name": "Ada", "age": null, "tags": ["a", "b"], "friend": { "name": "Bob" } });
    assert_eq!(fits(good, person.clone()), Ok(()));
    for (value, expected) in [
        (json!([]), "info: it does not fit `type`"),
        (json!({}), "info: it does not fit `required`"),
        (
            json!({ "name": "" }),
            "info.name: it does not fit `minLength`",
        ),
        (
            json!({ "name": "Adelaide" }),
            "info.name: it does not fit `maxLength`",
        ),
        (
            json!({ "name": "A", "age": 1.5 }),
            "info.age: it does not fit `type`",
        ),
        (
            json!({ "name": "A", "age": -1 }),
            "info.age: it does not fit `minimum`",
        ),
        (
            json!({ "name": "A", "tags": ["c"] }),
            "info.tags[0]: it does not fit `enum`",
        ),
        (
            json!({ "name": "A", "tags": ["a", "b", "a"] }),
            "info.tags: it does not fit `maxItems`",
        ),
        (
            json!({ "name": "A", "friend": {} }),
            "info.friend: it does not fit `required`",
        ),
        (
            json!({ "name": "A", "more": 1 }),
            "info.more: no value is allowed",
        ),
    ] {
        assert_eq!(
            fits(value.clone(), person.clone()),
            Err(expected.to_owned()),
            "{value}"
        );
    }
    for (wanted, expected) in [
        (
            json!({ "pattern": "^a" }),
            "info: the keyword `pattern` is not understood",
        ),
        (
            json!({ "$ref": "https://a.example/s" }),
            "info: `$ref` leaves the schema",
        ),
        (json!({ "$ref": "#" }), "info: the schema is too large"),
        (
            json!({ "anyOf": [{ "type": "null" }, false] }),
            "info: it does not fit `anyOf`",
        ),
        (
            json!({ "oneOf": [{}, {}] }),
            "info: it does not fit `oneOf`",
        ),
        (json!(7), "info: its schema is no schema"),
    ] {
        assert_eq!(
            fits(json!("a"), wanted.clone()),
            Err(expected.to_owned()),
            "{wanted}"
        );
    }
    // Every level doubles what is to be done; the steps are counted.
    let mut wide = json!({ "type": "null" });
    for _ in 0..16 {
        wide = json!({ "anyOf": [wide, wide] });
    }
    let expected = Err("info: the schema is too large".to_owned());
    assert_eq!(fits(json!("a"), wide), expected);
}

#[test]
fn only_addresses_of_the_internet_are_asked() {
    let address = |text: &str| text.parse().unwrap();
    for text in [
        "1.1.1.1",
        "8.8.8.8",
        "100.63.255.255",
        "100.128.0.0",
        "2606:4700::1111",
    ] {
        assert!(ProbeReach::Internet.includes(address(text)), "{text}");
        assert!(!ProbeReach::ThisMachine.includes(address(text)), "{text}");
    }
    for text in [
        "0.0.0.0",
        "10.0.0.1",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "192.0.0.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.19.255.255",
        "203.0.113.7",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "2001:db8::1",
        "2001::1",
        "2002:a00:1::",
        "fc00::1",
        "fe80::1",
        "ff02::1",
    ] {
        assert!(!ProbeReach::Internet.includes(address(text)), "{text}");
    }
    for text in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
        assert!(ProbeReach::ThisMachine.includes(address(text)), "{text}");
    }
}
