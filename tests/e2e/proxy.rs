//! The proxy that pays, search, and calls by name and registry: creators serve in homes of their own, a
//! buyer has nothing but a chain, and nobody types another party's address.

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
};

use alloy::sol_types::SolCall;
use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use openlora_chain::registry::ServerDirectory;
use openlora_package::build::PackageMetadata;
use openlora_payments::x402::wire::PaymentRequired;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::{
    deploy_support::{A1, Act, Chain, Desk, Proxy as ChainProxy, contract, own_about, package_by},
    keys::{ADDRESS, KEY, OWN, account},
    live::{Live, golden, serve_on},
    sdk::{javascript, python, run, suite},
    settlement_support::send_from,
    support::{Invocation, openlora},
    waiting,
};

/// A free port, which another program could take in the meantime.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// A creator's home, whose adapter is registered and served at an address that the chain has.
struct Creator {
    desk: Desk,
    name: &'static str,
    account: &'static str,
    port: u16,
}

impl Creator {
    /// `own` or `rich` publishes and serves.
    fn new(chain: &Chain, name: &'static str, account_name: &'static str) -> Self {
        let desk = Desk::at(chain.url());
        if account_name == "rich" {
            let about = PackageMetadata {
                publisher: Some(ADDRESS.parse().unwrap()),
                ..own_about("1.0.0")
            };
            fs::remove_dir_all(desk.path().join("first")).unwrap();
            package_by(&account(KEY), &desk.path().join("first"), &about);
        }
        let creator = Self {
            desk,
            name,
            account: account_name,
            port: free_port(),
        };
        let deploy = ["--json", "-q", "deploy", "first"];
        creator.openlora(&deploy).run().succeeds();
        creator
    }

    fn openlora(&self, args: &[&str]) -> Invocation {
        self.desk
            .openlora(args)
            .env("OPENLORA_WALLET_ACCOUNT", self.account)
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn serving(&self) -> Invocation {
        self.silent().env("OPENLORA_SERVE_PUBLIC_URL", &self.url())
    }

    /// The same without an address of its own.
    fn silent(&self) -> Invocation {
        let (base, port) = (golden("llama").display().to_string(), self.port.to_string());
        let adapter = format!("{}=first", self.name);
        self.openlora(&serve_on(&base, &port))
            .args(["--local", "--json", "--adapter", &adapter])
    }

    fn serve(&self) -> Live {
        Live::of(self.serving())
    }
}

fn model(name: &str) -> String {
    format!("{name}@{}", contract("OpenLoraRegistry"))
}

/// A home that knows the chain and nothing else.
fn buyer(chain: &Chain) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let text = format!("[network.local]\nrpc = \"{}\"\n", chain.url());
    fs::write(dir.path().join("openlora.toml"), text).unwrap();
    dir
}

/// A running `openlora proxy`.
struct PayingProxy {
    live: Live,
}

impl PayingProxy {
    fn start(dir: &Path, more: &[&str]) -> Self {
        let args = ["--json", "proxy", "--listen", "127.0.0.1:0"];
        let proxy = openlora(dir).args(args).args(more.iter().copied());
        // The line of a server has its address under another name.
        Self {
            live: Live::named(proxy, "base_url"),
        }
    }

    fn post(&self, runtime: &Runtime, path: &str, body: &Value, key: Option<&str>) -> (u16, Value) {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut request = client.post(format!("{}{path}", self.live.url)).json(body);
        if let Some(key) = key {
            request = request.bearer_auth(key);
        }
        runtime.block_on(async {
            let response = request.send().await.unwrap();
            let status = response.status().as_u16();
            (status, response.json().await.unwrap())
        })
    }

    fn chat(&self, runtime: &Runtime, model: &str, key: Option<&str>) -> (u16, Value) {
        self.post(runtime, "/chat/completions", &chat(model), key)
    }
}

fn chat(model: &str) -> Value {
    let messages = json!([{ "role": "user", "content": "hello" }]);
    json!({ "model": model, "messages": messages, "max_tokens": 4, "temperature": 0 })
}

fn receipts(dir: &Path) -> Vec<Value> {
    let listed = openlora(dir).args(["--json", "receipts", "list"]).run();
    serde_json::from_str(&listed.succeeds().stdout).unwrap()
}

#[test]
fn unmodified_sdks_buy_two_adapters_through_the_proxy() {
    let (python, javascript) = (python("python"), javascript("js"));
    let chain = Chain::embedded();
    let creators = [
        Creator::new(&chain, "tone", "own"),
        Creator::new(&chain, "voice", "rich"),
    ];
    let servers = creators.each_ref().map(Creator::serve);
    let dir = buyer(&chain);
    let proxy = PayingProxy::start(dir.path(), &[]);
    let models = ["tone", "voice"].map(model);
    let environment = [
        ("OPENAI_BASE_URL", proxy.live.url.as_str()),
        ("OPENAI_API_KEY", "any"),
        ("NO_PROXY", "127.0.0.1"),
    ];
    let said = run(Command::new(python)
        .arg(suite("python").join("proxied.py"))
        .args(&models)
        .envs(environment));
    let expected = [
        "listed",
        "whole_and_streamed",
        "two_at_once",
        "text_completion",
        "left_early",
        "unknown_model",
    ];
    assert_eq!(said, expected.map(|name| format!("ok {name}\n")).concat());
    let script = javascript.join("proxied.mjs");
    fs::copy(suite("js").join("proxied.mjs"), &script).unwrap();
    let said = run(Command::new("node")
        .arg(script)
        .args(&models)
        .envs(environment));
    let expected = [
        "listed",
        "wholeAndStreamed",
        "twoAtOnce",
        "leftEarly",
        "unknownModel",
    ];
    assert_eq!(said, expected.map(|name| format!("ok {name}\n")).concat());
    // What the buyer recorded is what the servers charged, once the calls that were left early are
    // known.
    waiting::wait_until("the calls that were left early are settled", || {
        let listed = receipts(dir.path());
        listed
            .iter()
            .all(|it| it["state"] == "paid" || it["state"] == "void")
    });
    let listed = receipts(dir.path());
    let paid_at = |creator: &Creator| -> u128 {
        let at = listed.iter().filter(|it| it["server"] == creator.url());
        at.map(|it| it["paid"].as_str().unwrap_or("0").parse::<u128>().unwrap())
            .sum()
    };
    assert_eq!(proxy.live.drain().0, 0);
    for (creator, server) in creators.iter().zip(servers) {
        let (code, _, stderr) = server.drain();
        assert_eq!(code, 0, "{stderr}");
        let explored = creator
            .openlora(&["--json", "-q", "explore"])
            .run()
            .succeeds();
        let explored: Value = serde_json::from_str(&explored.stdout).unwrap();
        let adapters = explored["adapters"].as_array().unwrap();
        let publisher = if creator.account == "own" {
            OWN
        } else {
            ADDRESS
        };
        let own = adapters
            .iter()
            .find(|it| it["publisher"] == publisher)
            .unwrap();
        let stated = json!([{ "server": publisher, "url": creator.url() }]);
        assert_eq!(own["server_urls"], stated);
        let received = &own["releases"][0]["revenue"]["received"];
        assert_eq!(
            *received,
            json!(paid_at(creator).to_string()),
            "{listed:#?}"
        );
        assert!(paid_at(creator) > 0);
    }
}

#[test]
fn agents_buy_with_tools_within_the_budget() {
    let python = python("mcp");
    let chain = Chain::embedded();
    let creator = Creator::new(&chain, "tone", "own");
    let server = creator.serve();
    let dir = buyer(&chain);
    let tone = model("tone");
    let said = |kind: &str, target: &str| {
        run(Command::new(&python)
            .arg(suite("mcp").join("suite.py"))
            .args([tone.as_str(), kind, target])
            .env("NO_PROXY", "127.0.0.1"))
    };
    let tools = |more: &[&str]| {
        let mcp = openlora(dir.path())
            .args(["mcp"])
            .args(more.iter().copied());
        command(mcp).to_string()
    };
    let poor = tools(&["--budget", "0.0001"]);
    assert_eq!(said("poor", &poor), "ok over_budget\n");
    assert_eq!(receipts(dir.path()), Vec::<Value>::new());
    let expected = "ok listed\nok asked\nok refused\n";
    assert_eq!(said("stdio", &tools(&[])), expected);
    assert_eq!(receipts(dir.path()).len(), 2);
    let proxy = PayingProxy::start(dir.path(), &[]);
    let url = proxy.live.url.replace("/v1", "/mcp");
    assert_eq!(said("url", &url), expected);
    assert_eq!(proxy.live.drain().0, 0);
    let listed = receipts(dir.path());
    assert_eq!(listed.len(), 4);
    assert!(listed.iter().all(|it| it["state"] == "paid"), "{listed:#?}");
    server.drain();
}

#[test]
fn adapters_of_one_name_are_told_apart() {
    let chain = Chain::embedded();
    let creators = ["own", "rich"].map(|name| Creator::new(&chain, "tone", name));
    let servers = creators.each_ref().map(Creator::serve);
    let dir = buyer(&chain);
    let call = |adapter: &str| {
        let args = ["--json", "-q", "-y", "call", "hello", "--max-tokens", "4"];
        openlora(dir.path())
            .args(args)
            .args(["--adapter", adapter])
            .run()
    };
    let refused = call(&model("tone"));
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    let error: Value = serde_json::from_str(&refused.stderr).unwrap();
    let message = error["message"].as_str().unwrap();
    let registry = contract("OpenLoraRegistry");
    let beginning = format!("2 adapters of the registry {registry} are named tone: 0x");
    assert!(message.starts_with(&beginning), "{message}");
    let hint = error["hint"].as_str().unwrap();
    assert!(hint.contains("--adapter 0xPUBLISHER/tone"), "{hint}");
    for publisher in [OWN, ADDRESS] {
        assert!(
            message.contains(&format!(" of {publisher}, registered 20")),
            "{message}"
        );
        let paid = call(&format!("{publisher}/{}", model("tone")))
            .succeeds()
            .stdout;
        let paid: Value = serde_json::from_str(&paid).unwrap();
        assert_ne!(paid["paid"], "0", "{paid}");
    }
    let found = openlora(dir.path())
        .args(["--json", "search"])
        .run()
        .succeeds();
    let found: Value = serde_json::from_str(&found.stdout).unwrap();
    let rows = found["adapters"].as_array().unwrap();
    assert_eq!(rows.len(), 2, "{found}");
    for row in rows {
        assert_eq!(
            (&row["name"], &row["namesakes"]),
            (&json!("tone"), &json!(1))
        );
        assert!(row["registered_at"].as_u64().unwrap() > 0);
    }
    let shown = openlora(dir.path())
        .args(["search"])
        .run()
        .succeeds()
        .stdout;
    let id = rows[0]["adapter_id"].as_str().unwrap();
    assert!(
        shown.contains("  same name   1 more in this registry\n"),
        "{shown}"
    );
    assert!(
        shown.contains(&format!("openlora call --adapter {id}@{registry} TEXT")),
        "{shown}"
    );
    for server in servers {
        server.drain();
    }
}

/// The addresses that the chain has of the servers of `tone`.
fn stated(creator: &Creator) -> Value {
    let explored = creator.openlora(&["--json", "explore"]).run().succeeds();
    let explored: Value = serde_json::from_str(&explored.stdout).unwrap();
    explored["adapters"][0]["server_urls"].clone()
}

#[test]
fn an_address_that_cannot_be_stated_does_not_keep_a_server_from_serving() {
    let chain = Chain::embedded();
    let creator = Creator::new(&chain, "tone", "own");
    let long = format!("http://shop.example/{}", "a".repeat(300));
    let server = Live::of(creator.serving().env("OPENLORA_SERVE_PUBLIC_URL", &long));
    let (code, _, stderr) = server.drain();
    assert_eq!(code, 0, "{stderr}");
    let reason = "is not on the chain: it has 320 bytes, expected at most 256";
    assert!(stderr.contains(reason), "{stderr}");
    assert!(!stderr.contains("tried again"), "{stderr}");
    assert_eq!(stated(&creator), json!([]));
    // Of a project file, which may be another's.
    let text = format!(
        "[network.local]\nrpc = \"{}\"\n[serve]\npublic_url = \"{}\"\n",
        chain.url(),
        creator.url()
    );
    creator.desk.configure(&text);
    let server = Live::of(creator.silent());
    let (code, _, stderr) = server.drain();
    assert_eq!(code, 0, "{stderr}");
    let said = "`serve.public_url` of a project file is not stated on the chain";
    assert!(stderr.contains(said), "{stderr}");
    assert_eq!(stated(&creator), json!([]));
    // A chain that takes the transaction later.
    let proxy = ChainProxy::new(chain.url(), |method, count, _| {
        match method == "eth_sendRawTransaction" && count == 1 {
            true => Act::Refuse(json!({ "code": -32000, "message": "insufficient funds for gas" })),
            false => Act::Forward,
        }
    });
    creator.desk.points_to(&proxy.url);
    let server = creator.serve();
    waiting::wait_until("the address to be on the chain", || {
        let urls = stated(&creator);
        urls[0]["url"] == json!(creator.url())
    });
    let (code, _, stderr) = server.drain();
    assert_eq!(code, 0, "{stderr}");
    assert!(stderr.contains("; tried again in 5 s"), "{stderr}");
}

/// A free server of an adapter that continues texts, which answers nothing else.
fn text_server(runtime: &Runtime) -> String {
    let models = || async {
        let task = json!({ "kind": "text", "labels": [] });
        Json(
            json!({ "object": "list", "data": [{ "id": "poem", "object": "model", "task": task }] }),
        )
    };
    let continued = |Json(asked): Json<Value>| async move {
        let prompt = asked["prompt"].as_str().unwrap();
        let text = format!("{prompt} {}", asked["max_tokens"]);
        let choice = json!({ "index": 0, "text": text, "finish_reason": "stop" });
        let usage = json!({ "prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2 });
        Json(json!({
            "id": "poem-1",
            "object": "text_completion",
            "created": 1,
            "model": "poem",
            "choices": [choice],
            "usage": usage,
        }))
    };
    let routes = Router::new()
        .route("/v1/models", get(models))
        .route("/v1/completions", post(continued));
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"));
    let listener = listener.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    runtime.spawn(async move { axum::serve(listener, routes).await });
    url
}

#[test]
fn agents_have_texts_continued_by_adapters_for_texts() {
    let python = python("mcp");
    let chain = Chain::embedded();
    let runtime = Runtime::new().unwrap();
    let url = text_server(&runtime);
    let dir = buyer(&chain);
    let mcp = openlora(dir.path()).args(["mcp", "--url", &url]);
    let said = run(Command::new(&python)
        .arg(suite("mcp").join("suite.py"))
        .args(["poem", "text", &command(mcp).to_string()])
        .env("NO_PROXY", "127.0.0.1"));
    assert_eq!(said, "ok continued\n");
}

#[test]
fn the_budget_of_a_day_and_of_a_key_hold() {
    let chain = Chain::embedded();
    let creator = Creator::new(&chain, "tone", "own");
    let server = creator.serve();
    let runtime = Runtime::new().unwrap();
    let dir = buyer(&chain);
    let tone = model("tone");
    let refused = |answer: (u16, Value), code: &str| -> String {
        let (status, body) = answer;
        assert_eq!(status, 402, "{body}");
        let error = &body["error"];
        assert_eq!(
            (&error["type"], &error["code"], &error["param"]),
            (&json!("insufficient_quota"), &json!(code), &Value::Null)
        );
        error["message"].as_str().unwrap().to_owned()
    };
    let poor = PayingProxy::start(dir.path(), &["--max-price", "0.000001"]);
    let message = refused(poor.chat(&runtime, &tone, None), "price_above_limit");
    assert!(
        message.contains("more than the 0.000001 dUSD of --max-price"),
        "{message}"
    );
    poor.live.drain();
    let poor = PayingProxy::start(dir.path(), &["--budget", "0.0001"]);
    let message = refused(poor.chat(&runtime, &tone, None), "insufficient_quota");
    assert!(message.contains("of the 0.0001 dUSD a day"), "{message}");
    poor.live.drain();
    assert_eq!(receipts(dir.path()), Vec::<Value>::new());
    // A key of its own, with less than a second call may cost.
    let made = openlora(dir.path())
        .args(["--json", "proxy", "--new-key", "alice"])
        .run();
    let made: Value = serde_json::from_str(&made.succeeds().stdout).unwrap();
    let entry = format!("[\"{}:0.00003\"]", made["setting"].as_str().unwrap());
    let set = ["config", "set", "--user", "proxy.keys", &entry];
    openlora(dir.path()).args(set).run().succeeds();
    let proxy = PayingProxy::start(dir.path(), &[]);
    for key in [None, Some("other")] {
        let (status, body) = proxy.chat(&runtime, &tone, key);
        assert_eq!(
            (status, &body["error"]["code"]),
            (401, &json!("invalid_api_key"))
        );
    }
    let key = made["key"].as_str();
    let mut answers = 0;
    let message = loop {
        let answer = proxy.chat(&runtime, &tone, key);
        if answer.0 != 200 {
            break refused(answer, "insufficient_quota");
        }
        answers += 1;
    };
    assert!(message.contains("the key `alice` may spend"), "{message}");
    assert!(answers > 0);
    let paid: u128 = receipts(dir.path())
        .iter()
        .map(|it| it["paid"].as_str().unwrap().parse::<u128>().unwrap())
        .sum();
    assert!((1..=30).contains(&paid), "{paid}");
    proxy.live.drain();
    server.drain();
}

/// A server of strangers, which the second account states as its own.
struct StrangeServer {
    url: String,
    /// Whom it wants paid.
    pay_to: Mutex<String>,
}

impl StrangeServer {
    fn open(runtime: &Runtime, name: &'static str) -> Arc<Self> {
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"));
        let listener = listener.unwrap();
        let server = Arc::new(Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            pay_to: Mutex::new(A1.to_owned()),
        });
        let models = json!({ "object": "list", "data": [{ "id": name }] });
        let app = Router::new()
            .route("/v1/models", get(|| async { Json(models) }))
            .route("/v1/chat/completions", post(strange))
            .with_state(Arc::clone(&server));
        runtime.spawn(async move { axum::serve(listener, app).await.unwrap() });
        server
    }
}

/// Asks for payment, and answers a payment with garbage.
async fn strange(State(server): State<Arc<StrangeServer>>, headers: HeaderMap) -> Response {
    if headers.contains_key("payment-signature") {
        return (StatusCode::OK, "<html>welcome</html>").into_response();
    }
    let pay_to = server.pay_to.lock().unwrap().clone();
    let asked: PaymentRequired = serde_json::from_value(json!({
        "x402Version": 2, "resource": { "url": "http://shop.example" },
        "accepts": [{
            "scheme": "batch-settlement", "network": "eip155:31337", "amount": "100",
            "asset": contract("DevelopmentToken"), "payTo": pay_to, "maxTimeoutSeconds": 600,
            "extra": {
                "name": "OpenLoRA Development USD", "version": "1", "withdrawDelay": 900,
                "receiverAuthorizer": A1,
            },
        }],
    }))
    .unwrap();
    let header = [("payment-required", asked.encode().unwrap())];
    (StatusCode::PAYMENT_REQUIRED, header, Json(json!({}))).into_response()
}

/// The second account states where it serves, without a server of ours.
fn states(chain: &Chain, url: &str) {
    let call = ServerDirectory::announceCall {
        url: url.to_owned(),
    };
    let directory = contract("ServerDirectory").parse().unwrap();
    send_from(&chain.rpc(), ADDRESS, directory, &call.abi_encode().into());
}

#[test]
fn another_server_is_tried_and_foreign_payees_and_garbage_are_refused() {
    let chain = Chain::embedded();
    let creator = Creator::new(&chain, "tone", "own");
    let server = creator.serve();
    let also = ["deploy", "first", "--server", ADDRESS];
    creator.openlora(&also).run().succeeds();
    let (runtime, dir, tone) = (Runtime::new().unwrap(), buyer(&chain), model("tone"));
    // One of the two servers is down.
    states(&chain, "http://127.0.0.1:1");
    let call = |adapter: &str| {
        let args = ["call", "hello", "--adapter", adapter, "--max-tokens", "4"];
        openlora(dir.path()).args(args).run()
    };
    let said = call(&tone).succeeds();
    let at = format!("calling tone at {}\n", creator.url());
    assert!(said.stderr.contains(&at), "{}", said.stderr);
    let proxy = PayingProxy::start(dir.path(), &[]);
    assert_eq!(proxy.chat(&runtime, &tone, None).0, 200);
    assert_eq!(receipts(dir.path()).len(), 2);
    // The only server that is left wants somebody else paid.
    let explored = creator
        .openlora(&["--json", "-q", "explore"])
        .run()
        .succeeds();
    let explored: Value = serde_json::from_str(&explored.stdout).unwrap();
    let adapter = &explored["adapters"][0];
    let id = adapter["adapter_id"].as_str().unwrap();
    let splitter = adapter["releases"][0]["splitter"].as_str().unwrap();
    let said = call(id).succeeds();
    assert!(said.stderr.contains(&at), "{}", said.stderr);
    server.drain();
    proxy.live.drain();
    let stranger = StrangeServer::open(&runtime, "tone");
    states(&chain, &stranger.url);
    let refusal = format!(
        "error: {} offers tone and wants {A1} paid, which is no splitter of a registered release: \
         expected {splitter} of adapter {id}\n\
         hint: nothing was paid; a call there would pay somebody else than the release says\n",
        stranger.url
    );
    call(&tone).fails(9, &refusal);
    call(id).fails(9, &refusal);
    let proxy = PayingProxy::start(dir.path(), &[]);
    let (status, body) = proxy.chat(&runtime, &tone, None);
    assert_eq!(
        (status, &body["error"]["code"]),
        (502, &json!("foreign_splitter"))
    );
    assert_eq!(receipts(dir.path()).len(), 3);
    // It pays the right splitter now, and answers garbage.
    *stranger.pay_to.lock().unwrap() = splitter.to_owned();
    let (status, body) = proxy.chat(&runtime, &tone, None);
    assert_eq!(
        (status, body),
        (
            502,
            json!({ "error": {
                "message": "The server's answer cannot be read: it is no JSON object.",
                "type": "server_error", "param": null, "code": "upstream_invalid",
            } })
        )
    );
    // What a page asks, and what is not there.
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let asked = |path: &str, header: Option<(&'static str, &str)>| {
        let root = proxy.live.url.trim_end_matches("/v1");
        let mut request = client.get(format!("{root}{path}"));
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        runtime.block_on(async {
            let response = request.send().await.unwrap();
            let status = response.status().as_u16();
            let body: Value = response.json().await.unwrap();
            (status, body["error"]["code"].clone())
        })
    };
    assert_eq!(asked("/v1/images", None), (404, json!("unknown_url")));
    assert_eq!(
        asked("/v1/chat/completions", None),
        (405, json!("method_not_allowed"))
    );
    for header in [
        ("origin", "https://page.example"),
        ("host", "page.example"),
        ("sec-fetch-site", "cross-site"),
    ] {
        let refused = asked("/v1/models", Some(header));
        assert_eq!(refused, (403, json!("no_web_pages")), "{header:?}");
    }
    assert_eq!(proxy.live.drain().0, 0);
}

#[test]
fn search_shows_what_the_registry_and_lists_of_resources_offer() {
    let chain = Chain::embedded();
    let creator = Creator::new(&chain, "tone", "own");
    let server = creator.serve();
    let (runtime, dir) = (Runtime::new().unwrap(), buyer(&chain));
    let item = json!({
        "resource": { "url": "https://other.example/v1/chat", "description": "A\u{1b}[31mred" },
        "type": "http", "x402Version": 2, "lastUpdated": "2026-01-01T00:00:00Z",
        "accepts": [{
            "scheme": "exact", "network": "eip155:31337", "amount": "500",
            "asset": contract("DevelopmentToken"), "payTo": A1, "maxTimeoutSeconds": 60,
        }],
        "extensions": { "bazaar": { "info": { "input": {
            "type": "http", "method": "POST", "bodyType": "json", "body": { "model": "red" },
        } } } },
    });
    let list = json!({
        "x402Version": 2, "items": [item],
        "pagination": { "limit": 100, "offset": 0, "total": 1 },
    });
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"));
    let listener = listener.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let app = Router::new().route("/discovery/resources", get(|| async { Json(list) }));
    runtime.spawn(async move { axum::serve(listener, app).await.unwrap() });
    let call = [
        "call",
        "hello",
        "--adapter",
        &model("tone"),
        "--max-tokens",
        "4",
    ];
    openlora(dir.path()).args(call).run().succeeds();
    let search = |more: &[&str]| {
        let args = ["--json", "search", "--discovery", &endpoint];
        let found = openlora(dir.path())
            .args(args)
            .args(more.iter().copied())
            .run();
        serde_json::from_str::<Value>(&found.succeeds().stdout).unwrap()
    };
    let found = search(&[]);
    let row = &found["adapters"][0];
    assert_eq!(found["adapters"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&row["name"], &row["publisher"], &row["calls"]),
        (&json!("tone"), &json!(OWN), &json!(0))
    );
    assert_eq!(row["servers"][0]["url"], creator.url());
    assert!(row["servers"][0]["latency_ms"].is_u64());
    assert!(row["servers"][0]["answered_ms"].is_u64(), "{row}");
    assert!(row["smallest_call"].is_string(), "{row}");
    let resource = json!({
        "url": "https://other.example/v1/chat", "name": "red", "description": "A\u{1b}[31mred",
        "pay_to": A1, "amount": "500", "token": contract("DevelopmentToken"),
    });
    assert_eq!(found["resources"], json!([resource]));
    assert_eq!(found["problems"], json!([]));
    let found = search(&["red"]);
    assert_eq!(
        (&found["adapters"], found["left_out"].as_u64()),
        (&json!([]), Some(0))
    );
    // On a terminal the stranger's text cannot paint.
    let args = ["search", "red", "--discovery", &endpoint];
    let shown = openlora(dir.path()).args(args).run().succeeds().stdout;
    let expected = format!(
        "red, by a list of paid resources\n  at          https://other.example/v1/chat\n  \
         about       A\u{fffd}[31mred\n  price       at most 0.0005 dUSD\n  pays        {A1}\n"
    );
    assert_eq!(shown, expected);
    server.drain();
}

#[test]
fn a_project_file_does_not_open_the_proxy() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().canonicalize().unwrap().join("openlora.toml");
    let proxy = |text: &str, more: &[&str]| {
        fs::write(&place, text).unwrap();
        openlora(dir.path())
            .args(["proxy"])
            .args(more.iter().copied())
            .run()
    };
    let file = place.display();
    for (text, key, what) in [
        (
            "[proxy]\nlisten = \"0.0.0.0:0\"\n",
            "proxy.listen",
            "opens the proxy to other machines",
        ),
        (
            "[proxy]\nkeys = [\"a=00\"]\n",
            "proxy.keys",
            "says who may spend your money",
        ),
        (
            "[proxy]\nserver = \"http://shop.example\"\n",
            "proxy.server",
            "chooses the server that is paid",
        ),
    ] {
        proxy(text, &[]).fails(
            3,
            &format!(
                "error: {file}: `{key}` of a project file {what}\n\
                 hint: if you mean it, set it yourself: openlora config set --user {key} VALUE\n"
            ),
        );
    }
    let raised = proxy("[proxy]\nmax_price = \"5\"\n", &[]);
    assert_eq!(raised.code, 3, "{}", raised.stderr);
    assert!(
        raised.stderr.contains("`proxy.max_price`"),
        "{}",
        raised.stderr
    );
    // Whoever opens it on the command line needs keys too.
    proxy("", &["--listen", "0.0.0.0:0"]).fails(
        2,
        "error: other machines can reach 0.0.0.0, and calls there spend your money\n\
         hint: add --expose if that is meant, or listen on 127.0.0.1\n",
    );
    proxy("", &["--listen", "0.0.0.0:0", "--expose"]).fails(
        2,
        "error: other machines can reach 0.0.0.0, and no caller has a key\n\
         hint: make a key first: openlora proxy --new-key NAME\n",
    );
    proxy("", &["--listen", "8402"]).fails(
        2,
        "error: `proxy.listen` must be an IP address and a port, found `8402`\n\
         hint: use --listen 127.0.0.1:8402 for this machine\n",
    );
}

/// A command as the load script runs it.
fn command(invocation: Invocation) -> Value {
    let command = invocation.into_command();
    let text = |it: &std::ffi::OsStr| it.to_str().unwrap().to_owned();
    let args = std::iter::once(command.get_program()).chain(command.get_args());
    let environment = command.get_envs();
    let environment: serde_json::Map<String, Value> = environment
        .filter_map(|(name, value)| Some((text(name), json!(text(value?)))))
        .collect();
    json!({
        "args": args.map(text).collect::<Vec<_>>(),
        "cwd": command.get_current_dir().unwrap(),
        "env": environment,
    })
}

/// `tests/sdk/load/proxied.py` with few calls; `OPENLORA_PROXIED_CALLS` names another number.
#[test]
fn killed_proxies_and_servers_leave_one_sum_in_all_books() {
    let calls = std::env::var("OPENLORA_PROXIED_CALLS").ok();
    let calls: usize = calls.map_or(60, |calls| calls.parse().unwrap());
    let chain = Chain::embedded();
    let creator = Creator::new(&chain, "tone", "own");
    let dir = buyer(&chain);
    let port = free_port();
    let listen = format!("127.0.0.1:{port}");
    // Enough for the calls, and not for many more channels.
    let budget = 6_000.max(calls * 15);
    let spent = format!("0.{budget:06}");
    let proxy = ["--json", "proxy", "--listen", &listen, "--budget", &spent];
    let buys = |args: &[&str]| command(openlora(dir.path()).args(args.iter().copied()));
    let plan = json!({
        "serve": command(creator.serving()),
        "proxy": buys(&proxy),
        "settle": command(creator.openlora(&["--json", "-q", "settle"])),
        "explore": command(creator.openlora(&["--json", "-q", "explore"])),
        "receipts": buys(&["--json", "-q", "receipts", "list"]),
        "model": model("tone"), "calls": calls, "kills": (calls / 20).max(4), "budget": budget,
    });
    let file = dir.path().join("plan.json");
    fs::write(&file, plan.to_string()).unwrap();
    let said = run(Command::new("python3")
        .arg(suite("load").join("proxied.py"))
        .arg(&file)
        .stdin(Stdio::null()));
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["spent"], said["received"]);
    let answered = said["results"]["answered"].as_u64().unwrap();
    assert!(answered > 0, "{said}");
}
