//! Tokens and web pages: who gets in to which route, wherever the call comes from.

use std::net::IpAddr;

use futures::StreamExt;
use openlora_core::{Address, Amount, Word};
use openlora_ledger::{
    CallWork, ChannelKey, ChannelTerms, CheckedPayment, PaymentScheme, PriceList, disclosure,
    event::{CallKind, ChannelOpened, Event, EventRecord, TxIntent, TxOutcome},
};
use openlora_serve::{
    ApiRoute, ROUTES, RouteAudience,
    access::{AccessRules, AccessToken, FacilitatorAccess},
    payment::resource,
    proxies::{TrustedProxies, client_address},
};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use crate::serve_support::{
    LIMITS, OPERATOR, Reply, TestServer, access, operator_client, reply, start_behind, test_journal,
};

fn stranger() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// A request of a route as its method has it.
fn asked(server: &TestServer, route: &ApiRoute) -> reqwest::RequestBuilder {
    let path = route.path.replace("{*id}", "none").replace("{id}", "none");
    match route.method {
        "GET" => stranger().get(server.url(&path)),
        _ => stranger().post(server.url(&path)).json(&json!({})),
    }
}

fn guarded() -> impl Iterator<Item = &'static ApiRoute> {
    ROUTES
        .iter()
        .filter(|it| it.audience != RouteAudience::Anyone)
}

fn error(message: &str, code: &str) -> Value {
    json!({ "error": {
        "message": message, "type": "invalid_request_error", "param": null, "code": code,
    }})
}

fn needs_token() -> Value {
    let message = "This route needs a token: send it as 'Authorization: Bearer TOKEN'. The server \
                   keeps it in its data folder.";
    error(message, "token_required")
}

#[track_caller]
fn assert_refused(found: &Reply, what: &str) {
    assert_eq!((found.status, found.json()), (401, needs_token()), "{what}");
    let scheme = found.header("www-authenticate");
    assert_eq!(scheme, Some("Bearer realm=\"openlora\""), "{what}");
}

#[tokio::test]
async fn this_machine_s_own_address_opens_nothing() {
    let server = start_behind(access(), LIMITS, test_journal()).await;
    let wrong = OPERATOR.replace('0', "1");
    let short = &OPERATOR[..63];
    let values = [
        None,
        Some(format!("Bearer {wrong}")),
        Some(format!("Bearer {short}")),
        Some(format!("Basic {OPERATOR}")),
        Some(OPERATOR.to_owned()),
        Some("Bearer ".to_owned()),
        Some(String::new()),
    ];
    for route in guarded() {
        for value in &values {
            let mut request = asked(&server, route);
            // What a proxy could say of the operator itself.
            request = request.header("x-forwarded-for", "127.0.0.1");
            if let Some(value) = value {
                request = request.header(AUTHORIZATION, value);
            }
            assert_refused(&reply(request).await, &format!("{} {value:?}", route.path));
        }
        let right = format!("Bearer {OPERATOR}");
        let twice = asked(&server, route)
            .header(AUTHORIZATION, &right)
            .header(AUTHORIZATION, &right);
        assert_refused(&reply(twice).await, route.path);
    }
    server.drain().await;
}

#[tokio::test]
async fn the_token_opens_every_guarded_route() {
    let server = start_behind(access(), LIMITS, test_journal()).await;
    let free = "Calls are free on this server, so there is nothing to pay or settle.";
    for route in guarded() {
        let request = asked(&server, route).header(AUTHORIZATION, format!("bearer {OPERATOR}"));
        let answer = request.send().await.unwrap();
        match route.path {
            "/events" | "/metrics" => assert_eq!(answer.status(), 200, "{}", route.path),
            "/operator/facts" => {
                assert_eq!(answer.status(), 400);
                let found: Value = answer.json().await.unwrap();
                let message = "The request body is not an event of the journal.";
                assert_eq!(found, error(message, "invalid_json"));
            }
            "/v1/load_lora_adapter" | "/v1/unload_lora_adapter" => {
                assert_eq!(answer.status(), 400);
                let found: Value = answer.json().await.unwrap();
                assert_eq!(found["error"]["code"], "missing_required_parameter");
            }
            path => {
                assert_eq!(answer.status(), 404, "{path}");
                let found: Value = answer.json().await.unwrap();
                assert_eq!(found, error(free, "not_sold_here"), "{path}");
            }
        }
    }
    server.drain().await;
}

/// What calls cost and who is paid for them is the server's own to record.
#[tokio::test]
async fn only_transactions_are_recorded_for_others() {
    let journal = test_journal();
    let server = start_behind(access(), LIMITS, journal.clone()).await;
    let client = operator_client();
    let state = async |event: Event| {
        let request = client.post(server.url("/operator/facts"));
        reply(request.json(&json!({ "event": event }))).await
    };
    let genesis = Word([7; 32]);
    let confirmed = Event::TransactionConfirmed {
        tx: "0x01".to_owned(),
        status: TxOutcome::Succeeded,
        gas_used: Some(21_000),
        block: Some(3),
        fee: Some(Amount(42)),
    };
    let taken = [
        Event::ChainIdentified {
            chain_id: 31_337,
            genesis,
        },
        confirmed,
    ];
    for event in &taken {
        let answer = state(event.clone()).await;
        assert_eq!(
            (answer.status, answer.json()),
            (200, json!({ "recorded": true }))
        );
    }
    let refused = [
        Event::ServerStopped {
            session: "s".to_owned(),
        },
        Event::Reorganised {
            chain_id: 31_337,
            txs: vec!["0x01".to_owned()],
        },
        Event::CallCheckpointed {
            request_id: "r".to_owned(),
            completion_tokens: 1,
        },
    ];
    let message = "This event is not recorded for others: expected a step of a transaction, a \
                   deployed release, or a payment of a pool.";
    for event in refused {
        let answer = state(event).await;
        let expected = error(message, "fact_not_accepted");
        assert_eq!((answer.status, answer.json()), (403, expected));
    }
    server.drain().await;
    let mut kept = Vec::new();
    journal
        .replay(1, |record| kept.push(record.event.clone()))
        .unwrap();
    let stated = kept.iter().filter(|event| {
        matches!(
            event,
            Event::ChainIdentified { .. }
                | Event::TransactionConfirmed { .. }
                | Event::Reorganised { .. }
        )
    });
    assert_eq!(stated.collect::<Vec<_>>(), taken.iter().collect::<Vec<_>>());
}

#[tokio::test]
async fn web_pages_get_nothing_even_with_the_token() {
    let mut access = access();
    access.public_url = Some("https://ops.example".parse().unwrap());
    let server = start_behind(access, LIMITS, test_journal()).await;
    let ask = |name: &str, value: &str| {
        let request = server.client.get(server.url("/metrics"));
        reply(request.header(name, value))
    };
    let message = "This route answers no web pages, and only under localhost, a numeric address \
                   or the host of serve.public_url.";
    for (name, value) in [
        ("origin", "http://127.0.0.1:8080"),
        ("origin", "null"),
        ("host", "evil.example"),
        ("host", "evil.example:8080"),
        ("host", "localhost.evil.example"),
        ("host", "ops.example.evil.example"),
    ] {
        let found = ask(name, value).await;
        let expected = error(message, "operator_only");
        assert_eq!(
            (found.status, found.json()),
            (403, expected),
            "{name}: {value}"
        );
    }
    for host in [
        "localhost",
        "LOCALHOST:1",
        "127.0.0.1",
        "[::1]:80",
        "ops.example",
        "ops.example:443",
    ] {
        assert_eq!(ask("host", host).await.status, 200, "{host}");
    }
    server.drain().await;
}

#[tokio::test]
async fn sellers_have_a_token_of_their_own() {
    for facilitation in [
        FacilitatorAccess::Off,
        FacilitatorAccess::Token,
        FacilitatorAccess::Public,
    ] {
        let access = AccessRules {
            facilitation,
            ..access()
        };
        let sellers = access.sellers.bearer();
        let server = start_behind(access, LIMITS, test_journal()).await;
        for route in guarded() {
            let open = reply(asked(&server, route)).await;
            let request = asked(&server, route).header(AUTHORIZATION, sellers.clone());
            let with_token = reply(request).await;
            let what = format!("{facilitation:?} {}", route.path);
            if route.audience == RouteAudience::Operator {
                assert_refused(&open, &what);
                assert_refused(&with_token, &what);
                continue;
            }
            let closed =
                "This server clears no payments for other sellers (serve.facilitator is off).";
            let free = "Calls are free on this server, so there is nothing to pay or settle.";
            let (closed, free) = (
                error(closed, "facilitator_off"),
                error(free, "not_sold_here"),
            );
            match facilitation {
                FacilitatorAccess::Off => {
                    assert_eq!([open.json(), with_token.json()], [closed.clone(), closed])
                }
                FacilitatorAccess::Token => {
                    assert_refused(&open, &what);
                    assert_eq!(with_token.json(), free, "{what}");
                }
                FacilitatorAccess::Public => {
                    assert_eq!([open.json(), with_token.json()], [free.clone(), free])
                }
            }
        }
        server.drain().await;
    }
}

const SIGNATURE: &str = "0xabcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef01\
                         23456789abcdef0123456789abcdef0123456789abcdef0123456789ab1c";
const SALT: [u8; 32] = [0x5a; 32];
const RAW: &str = "02f8b1827a69808459682f0085";

fn secrets() -> Vec<Event> {
    let payment = CheckedPayment {
        scheme: PaymentScheme::BatchSettlement,
        chain_id: 31_337,
        token: Address([1; 20]),
        receiver: Address([2; 20]),
        payer: Address([3; 20]),
        id: Word([4; 32]),
        before: Amount(5),
        quote: Amount(6),
        collected: false,
        party: None,
        signature: SIGNATURE.to_owned(),
        prices: PriceList::default(),
        work: CallWork::Classifications { texts: 1 },
    };
    let config = ChannelTerms {
        payer: Address([3; 20]),
        payer_authorizer: Address([3; 20]),
        receiver: Address([2; 20]),
        receiver_authorizer: Address([7; 20]),
        token: Address([1; 20]),
        withdraw_delay: 900,
        salt: Word(SALT),
    };
    vec![
        Event::CallReserved {
            request_id: "r1".to_owned(),
            session: "s".to_owned(),
            adapter: "persona".to_owned(),
            adapter_digest: "d".to_owned(),
            kind: CallKind::Chat,
            prompt_tokens: 1,
            request_hash: "h".to_owned(),
            payment: Some(Box::new(payment)),
        },
        Event::ChannelOpened(Box::new(ChannelOpened {
            key: ChannelKey {
                chain_id: 31_337,
                channel: Word([4; 32]),
            },
            config,
        })),
        Event::TransactionIntended(Box::new(TxIntent {
            tx: "0x01".to_owned(),
            chain_id: 31_337,
            genesis: None,
            from: "0x02".to_owned(),
            to: "0x03".to_owned(),
            nonce: 0,
            purpose: "claim".to_owned(),
            key: None,
            raw: RAW.to_owned(),
            replaces: None,
            sponsored: None,
        })),
    ]
}

#[tokio::test]
async fn events_tell_nothing_that_could_be_spent() {
    let journal = test_journal();
    for event in secrets() {
        journal.append(event).await.unwrap();
    }
    let server = start_behind(access(), LIMITS, journal).await;
    let records = server.records().await;
    let answer = server.client.get(server.url("/events")).send();
    let mut stream = answer.await.unwrap().bytes_stream();
    let mut text = String::new();
    while text.matches("\nid: ").count() < records.len() || !text.ends_with("\n\n") {
        text.push_str(std::str::from_utf8(&stream.next().await.unwrap().unwrap()).unwrap());
    }
    let salt = hex::encode(SALT);
    for secret in [&SIGNATURE[2..], salt.as_str(), RAW] {
        assert!(!text.contains(secret), "{text}");
    }
    // They are read back as records all the same, and differ in nothing else.
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let told: Vec<EventRecord> = data.map(|it| serde_json::from_str(it).unwrap()).collect();
    assert_eq!(told.len(), records.len());
    for (told, record) in told.iter().zip(&records) {
        assert_eq!((told.sequence, &told.hash), (record.sequence, &record.hash));
        let blanked = |record: &EventRecord| {
            let text = serde_json::to_string(record).unwrap();
            let zeros = |it: &str| "0".repeat(it.len());
            text.replace(&SIGNATURE[2..], &zeros(&SIGNATURE[2..]))
                .replace(&salt, &zeros(&salt))
                .replace(RAW, &zeros(RAW))
        };
        assert_eq!(serde_json::to_string(told).unwrap(), blanked(record));
        assert_eq!(
            disclosure::public_record(record),
            serde_json::to_value(told).unwrap()
        );
    }
    server.drain().await;
}

#[tokio::test]
async fn metrics_and_receipts_name_no_payer_s_signature() {
    let journal = test_journal();
    for event in secrets() {
        journal.append(event).await.unwrap();
    }
    let server = start_behind(access(), LIMITS, journal).await;
    for path in [
        "/metrics",
        "/v1/receipts/r1",
        "/v1/attributions/r1",
        "/ready",
        "/health",
    ] {
        let found = server.get(path).await;
        for secret in [&SIGNATURE[2..], RAW, OPERATOR] {
            assert!(!found.text.contains(secret), "{path}: {}", found.text);
        }
    }
    server.drain().await;
}

#[test]
fn a_proof_needs_the_token_and_fits_one_challenge() {
    let token: AccessToken = OPERATOR.parse().unwrap();
    let other = AccessToken::random().unwrap();
    let proof = token.proof("abc");
    assert!(token.proves("abc", &proof));
    assert!(!token.proves("abd", &proof));
    assert!(!other.proves("abc", &proof));
    for wrong in ["", "zz", &proof[..62], OPERATOR] {
        assert!(!token.proves("abc", wrong), "{wrong}");
    }
    assert_eq!(
        format!("{token:?} {:?}", token.bearer()),
        "Token(hidden) Sensitive"
    );
    for wrong in [
        "",
        "abc",
        &OPERATOR[1..],
        &format!("{OPERATOR}0"),
        &OPERATOR.replace('a', "g"),
    ] {
        let refused = wrong.parse::<AccessToken>().unwrap_err().to_string();
        assert_eq!(refused, "expected a token of 64 hexadecimal digits");
    }
}

fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    let line = |(name, value): &(&'static str, &str)| {
        (
            HeaderName::from_static(name),
            HeaderValue::from_str(value).unwrap(),
        )
    };
    let mut all = HeaderMap::new();
    lines.iter().map(line).for_each(|(name, value)| {
        all.append(name, value);
    });
    all
}

const LIST: &str = "x-forwarded-for";
const STANDARD: &str = "forwarded";

#[test]
fn only_a_named_proxy_says_where_a_call_comes_from() {
    let proxies = TrustedProxies::parse(["10.0.0.0/8", "127.0.0.1", "fd00::/8"]).unwrap();
    type Case = (
        &'static str,
        &'static [(&'static str, &'static str)],
        &'static str,
    );
    let cases: &[Case] = &[
        // Nobody named it.
        ("192.0.2.1", &[], "192.0.2.1"),
        ("192.0.2.1", &[(LIST, "198.51.100.7")], "192.0.2.1"),
        ("192.0.2.1", &[(STANDARD, "for=198.51.100.7")], "192.0.2.1"),
        ("11.0.0.1", &[(LIST, "198.51.100.7")], "11.0.0.1"),
        // A proxy's word.
        ("10.1.2.3", &[], "10.1.2.3"),
        ("10.1.2.3", &[(LIST, "198.51.100.7")], "198.51.100.7"),
        ("127.0.0.1", &[(LIST, "198.51.100.7:4711")], "198.51.100.7"),
        (
            "::ffff:127.0.0.1",
            &[(LIST, "198.51.100.7")],
            "198.51.100.7",
        ),
        ("fd00::1", &[(LIST, "[2001:db8::7]:80")], "2001:db8::7"),
        (
            "10.1.2.3",
            &[(STANDARD, "for=\"[2001:db8::7]:4711\";proto=https")],
            "2001:db8::7",
        ),
        (
            "10.1.2.3",
            &[(STANDARD, "proto=https;For=198.51.100.7")],
            "198.51.100.7",
        ),
        // What a stranger wrote stands before what the proxy added.
        (
            "10.1.2.3",
            &[(LIST, "203.0.113.9, 198.51.100.7")],
            "198.51.100.7",
        ),
        (
            "10.1.2.3",
            &[(LIST, "203.0.113.9"), (LIST, "198.51.100.7")],
            "198.51.100.7",
        ),
        (
            "10.1.2.3",
            &[(LIST, "127.0.0.1, 198.51.100.7, 10.9.9.9")],
            "198.51.100.7",
        ),
        // All the way through trusted proxies.
        ("10.1.2.3", &[(LIST, "10.0.0.2, 10.0.0.3")], "10.0.0.2"),
        // Unreadable or contradicting: the proxy itself.
        ("10.1.2.3", &[(LIST, "nonsense")], "10.1.2.3"),
        ("10.1.2.3", &[(LIST, "203.0.113.9, unknown")], "10.1.2.3"),
        ("10.1.2.3", &[(STANDARD, "by=203.0.113.43")], "10.1.2.3"),
        (
            "10.1.2.3",
            &[(LIST, "198.51.100.7"), (STANDARD, "for=203.0.113.9")],
            "10.1.2.3",
        ),
        (
            "10.1.2.3",
            &[(LIST, "198.51.100.7"), (STANDARD, "for=198.51.100.7")],
            "198.51.100.7",
        ),
    ];
    for (peer, lines, expected) in cases {
        let found = client_address(peer.parse().unwrap(), &headers(lines), &proxies);
        assert_eq!(
            found,
            expected.parse::<IpAddr>().unwrap(),
            "{peer} {lines:?}"
        );
    }
    let nobody = client_address(
        "127.0.0.1".parse().unwrap(),
        &headers(&[(LIST, "198.51.100.7")]),
        &TrustedProxies::default(),
    );
    assert_eq!(nobody, "127.0.0.1".parse::<IpAddr>().unwrap());
    for wrong in [
        "",
        "proxy.example",
        "10.0.0.0/33",
        "::/129",
        "10.0.0.0/-1",
        "10.0.0/8",
    ] {
        let problem = TrustedProxies::parse([wrong]).unwrap_err().to_string();
        let expected =
            format!("expected an address or a range such as 10.0.0.0/8, found `{wrong}`");
        assert_eq!(problem, expected);
    }
    let everybody = TrustedProxies::parse(["::/0"]).unwrap();
    assert!(everybody.contains("203.0.113.9".parse().unwrap()));
}

#[test]
fn the_address_that_was_called_is_the_proxy_s_where_one_is_trusted() {
    let told = [
        ("host", "inner:8080"),
        ("x-forwarded-host", "api.example"),
        ("x-forwarded-proto", "https"),
    ];
    assert_eq!(
        resource(&headers(&told), "/v1/x"),
        "https://api.example/v1/x"
    );
    assert_eq!(
        resource(&headers(&told[..1]), "/v1/x"),
        "http://inner:8080/v1/x"
    );
}
