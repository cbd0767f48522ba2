//! The pages for people, whole: who gets one, what it shows, and what a hostile text can do there.

use std::sync::{Arc, atomic::AtomicUsize};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use openlora_core::{Address, Amount};
use openlora_serve::{
    AdapterProfile, BoundSocket, ServeInputs, Server, StandingsSource, StopHandle,
    adapter_profile::{DatasetProfile, EvaluationProfile, PartyShare},
    attribution::AttributionConfig,
    payment::Currency,
    standings::{AdapterIncome, AdapterStanding, AgentIdentity, RecipientIncome},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use crate::serve_support::{
    LIMITS, Reply, TestServer, access, adapters, operator_client, reply, start, test_journal,
};

const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
/// What a name would do if it were markup.
const MARKUP: &str = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'";

fn account(last: u8) -> Address {
    Address([last; 20])
}

fn profile() -> AdapterProfile {
    AdapterProfile {
        title: Some("tone".to_owned()),
        release: Some("1.2.0".to_owned()),
        maker: Some(MARKUP.to_owned()),
        signer: Some(account(0xa1)),
        weights_sha256: Some("weights".to_owned()),
        manifest_sha256: Some("manifest0digest".to_owned()),
        license: Some("MIT".to_owned()),
        datasets: vec![DatasetProfile {
            id: "letters".to_owned(),
            contributor: MARKUP.to_owned(),
            records: 1200,
            license: Some("CC0-1.0".to_owned()),
        }],
        contributors: vec![
            PartyShare {
                name: MARKUP.to_owned(),
                address: Some(account(0xb2)),
                ppm: 750_000,
            },
            PartyShare {
                name: "Ada".to_owned(),
                address: None,
                ppm: 250_000,
            },
        ],
        split: vec![PartyShare {
            name: "creator".to_owned(),
            address: Some(account(0xa1)),
            ppm: 1_000_000,
        }],
        evaluations: vec![EvaluationProfile {
            metric: "accuracy".to_owned(),
            value: 0.875,
            base: Some(0.5),
            rows: 80,
        }],
    }
}

/// The sums of one adapter, and nothing of the others.
struct Sums;

impl StandingsSource for Sums {
    fn standing(&self, adapter: &str, weights_sha256: Option<&str>) -> AdapterStanding {
        if adapter != "persona" {
            return AdapterStanding::default();
        }
        assert_eq!(weights_sha256, Some("weights"));
        AdapterStanding {
            calls: 41,
            payers: 3,
            returning: 2,
            incomes: vec![AdapterIncome {
                network: "local".to_owned(),
                currency: Currency {
                    symbol: "dUSD".to_owned(),
                    decimals: 6,
                },
                charged: Amount(1_234_567),
                recipients: vec![RecipientIncome {
                    account: account(0xb2),
                    earned: Amount(900_000),
                    paid: Amount(250_000),
                }],
            }],
            registered: None,
            agents: vec![AgentIdentity {
                chain_id: 31_337,
                registry: "0x8004A169FB4a3325136EB29fA0ceB6D2e539a432".to_owned(),
                agent_id: "7".to_owned(),
            }],
        }
    }
}

/// A server whose first adapter has a package, and whose second has markup for a name.
async fn storefront() -> TestServer {
    let (steps, begun) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut all = adapters(&steps, &begun);
    all[0].profile = profile();
    all[1].name = MARKUP.to_owned();
    let inputs = ServeInputs {
        adapters: all,
        sales: None,
        attribution: AttributionConfig::default(),
        access: access(),
        loader: None,
        transparency: None,
        standings: Some(Arc::new(Sums)),
        on_demand: None,
        prompt_filter: None,
    };
    let bound = BoundSocket::new("127.0.0.1", 0).await.unwrap();
    let (journal, stop) = (test_journal(), StopHandle::default());
    let server = Server::new(bound, inputs, journal.clone(), LIMITS, stop.clone())
        .await
        .unwrap();
    TestServer {
        address: server.address(),
        journal,
        stop,
        steps,
        begun,
        running: tokio::spawn(server.run()),
        client: operator_client(),
    }
}

async fn page(server: &TestServer, path: &str) -> Reply {
    reply(
        server
            .client
            .get(server.url(path))
            .header("accept", BROWSER),
    )
    .await
}

/// The text between two marks.
fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let rest = text.split_once(from).unwrap().1;
    rest.split_once(to).unwrap().0
}

#[tokio::test]
async fn programs_get_at_the_root_what_they_always_got() {
    let server = start().await;
    let expected = json!({ "error": {
        "message": "There is no route GET /.",
        "type": "invalid_request_error",
        "param": null,
        "code": "unknown_url",
    }});
    for accepted in [
        None,
        Some("*/*"),
        Some("application/json"),
        Some("application/json, text/html;q=0.9"),
        Some("text/html;q=0"),
    ] {
        let mut request = server.client.get(server.url("/"));
        if let Some(accepted) = accepted {
            request = request.header("accept", accepted);
        }
        let answer = reply(request).await;
        assert_eq!(
            (answer.status, answer.json()),
            (404, expected.clone()),
            "{accepted:?}"
        );
    }
    let answer = server.post("/", &json!({})).await;
    assert_eq!(answer.status, 405, "{}", answer.text);
    let answer = server.get("/v2").await;
    assert_eq!(answer.json()["error"]["code"], "unknown_url");
    server.drain().await;
}

#[tokio::test]
async fn a_page_fetches_nothing_and_runs_only_its_own_script() {
    let server = storefront().await;
    for path in ["/", "/adapters/persona"] {
        let answer = page(&server, path).await;
        assert_eq!(answer.status, 200);
        assert_eq!(
            answer.header("content-type"),
            Some("text/html; charset=utf-8")
        );
        let hash = |text: &str| STANDARD.encode(Sha256::digest(text));
        let style = hash(between(&answer.text, "<style>", "</style>"));
        let policy = answer.header("content-security-policy").unwrap();
        let script = between(policy, "script-src 'sha256-", "'");
        let expected = format!(
            "default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{script}'; img-src \
             'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        );
        assert_eq!(policy, expected);
        if path != "/" {
            assert_eq!(hash(between(&answer.text, "<script>", "</script>")), script);
        }
        // Besides links that a person may follow, everything is of this server.
        let foreign = [
            "src=\"http",
            "src=\"//",
            "@import",
            "url(",
            "<iframe",
            "<link rel=\"style",
        ];
        for text in foreign {
            assert!(!answer.text.contains(text), "{path}: {text}");
        }
        assert!(!answer.text.contains(" style="), "{path}");
    }
    let icon = server.get("/icon.svg").await;
    assert_eq!(icon.header("content-type"), Some("image/svg+xml"));
    server.drain().await;
}

#[tokio::test]
async fn texts_with_markup_stay_text() {
    let server = storefront().await;
    let encoded =
        "%3Cscript%3Ealert%281%29%3C%2Fscript%3E%3Cimg%20src%3Dx%20onerror%3Dalert%282%29%3E%22%27";
    for path in ["/", "/adapters/persona", &format!("/adapters/{encoded}")] {
        let answer = page(&server, path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        assert!(!answer.text.contains("<script>alert"), "{path}");
        assert!(!answer.text.contains("<img src=x"), "{path}");
        assert!(answer.text.contains("&lt;script&gt;alert(1)"), "{path}");
    }
    // In the programs, the name is a literal of each language.
    let answer = page(&server, &format!("/adapters/{encoded}")).await;
    let curl = between(&answer.text, "id=\"code-curl\"><code>", "</code>");
    assert!(
        curl.contains(r"onerror=alert(2)&gt;\&quot;&#x27;\&#x27;&#x27;&quot;"),
        "{curl}"
    );
    server.drain().await;
}

#[tokio::test]
async fn the_facts_of_an_adapter_are_there_for_people_and_programs() {
    let server = storefront().await;
    let facts = server.get("/adapters/persona").await.json();
    let picked =
        |names: &[&str]| -> Value { names.iter().map(|name| facts[*name].clone()).collect() };
    let names = [
        "name",
        "page",
        "summary",
        "title",
        "release",
        "license",
        "signer",
        "is_free",
        "prices",
        "calls",
        "payers",
        "returning",
        "manifest_sha256",
        "path",
    ];
    let expected = json!([
        "persona",
        "/adapters/persona",
        "Answers in a conversation. Trained on 1200 examples from 2 contributors.",
        "tone",
        "1.2.0",
        "MIT",
        account(0xa1),
        true,
        [],
        41,
        3,
        2,
        "manifest0digest",
        "/v1/chat/completions",
    ]);
    assert_eq!(picked(&names), expected);
    let lists = picked(&[
        "contributors",
        "evaluations",
        "incomes",
        "agents",
        "datasets",
    ]);
    let expected = json!([
        [
            { "name": MARKUP, "address": account(0xb2), "share": "75 %", "ppm": 750_000, "width": 750 },
            { "name": "Ada", "address": null, "share": "25 %", "ppm": 250_000, "width": 250 },
        ],
        [{ "metric": "accuracy", "value": "0.8750", "base": "0.5000", "rows": 80 }],
        [{
            "network": "local",
            "charged": "1.234567 dUSD",
            "recipients": [
                { "name": MARKUP, "account": account(0xb2), "earned": "0.9 dUSD", "paid": "0.25 dUSD" },
            ],
        }],
        [{ "registry": "eip155:31337:0x8004A169FB4a3325136EB29fA0ceB6D2e539a432", "agent_id": "7" }],
        [{ "id": "letters", "contributor": MARKUP, "records": 1200, "license": "CC0-1.0" }],
    ]);
    assert_eq!(lists, expected);
    let shown = page(&server, "/adapters/persona").await.text;
    for fact in [
        "1.2.0",
        "Ada",
        "0.8750",
        "1.234567 dUSD",
        "0.25 dUSD",
        "manifest0digest",
        "41",
    ] {
        assert!(shown.contains(fact), "{fact}");
    }
    let unknown = page(&server, "/adapters/nobody").await;
    assert_eq!(unknown.json()["error"]["code"], "model_not_found");
    server.drain().await;
}

#[tokio::test]
async fn the_registration_file_has_the_fields_of_the_erc() {
    let server = storefront().await;
    let path = "/.well-known/agent-registration.json";
    let root = server.url("");
    let expected = json!({
        "type": "https://eips.ethereum.org/EIPS/eip-8004#registration-v1",
        "name": "persona",
        "description": "Answers in a conversation. Trained on 1200 examples from 2 contributors.",
        "image": format!("{root}/icon.svg"),
        "services": [
            { "name": "web", "endpoint": format!("{root}/adapters/persona") },
            { "name": "OpenAI", "endpoint": format!("{root}/v1"), "version": "v1", "model": "persona" },
        ],
        "x402Support": false,
        "active": true,
        "registrations": [{
            "agentId": 7,
            "agentRegistry": "eip155:31337:0x8004A169FB4a3325136EB29fA0ceB6D2e539a432",
        }],
        "supportedTrust": ["reputation", "re-execution"],
    });
    let file = server.get(&format!("{path}?adapter=persona")).await;
    assert_eq!(file.json(), expected);
    let all = server.get(path).await.json();
    assert_eq!(all["registrations"], expected["registrations"]);
    assert_eq!(all["name"], root.strip_prefix("http://").unwrap());
    let wrong = server.get(&format!("{path}?adapters=persona")).await;
    assert_eq!(wrong.json()["error"]["code"], "invalid_query");
    let unknown = server.get(&format!("{path}?adapter=nobody")).await;
    assert_eq!(unknown.status, 404);
    server.drain().await;
}

#[tokio::test]
async fn a_free_server_lists_no_paid_resource() {
    let server = start().await;
    let listed = server.get("/discovery/resources").await;
    let expected = json!({
        "x402Version": 2,
        "items": [],
        "pagination": { "limit": 20, "offset": 0, "total": 0 },
    });
    assert_eq!(listed.json(), expected);
    for (query, parameter) in [
        ("/discovery/resources?limit=0", "limit"),
        ("/discovery/resources?limit=101", "limit"),
        ("/discovery/resources?cursor=x", "cursor"),
        ("/discovery/resources?colour=red", "query"),
        ("/discovery/search", "query"),
        ("/discovery/search?query=%20", "query"),
    ] {
        let refused = server.get(query).await;
        assert_eq!(refused.status, 400, "{query}");
        let error = &refused.json()["error"];
        assert_eq!(
            (&error["code"], &error["param"]),
            (&json!("invalid_query"), &json!(parameter)),
            "{query}"
        );
    }
    server.drain().await;
}
