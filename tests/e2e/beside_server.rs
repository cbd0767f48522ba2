//! Commands beside a running server of the same home: they read its journal, and record through it
//! what they do on a chain.

use serde_json::{Value, json};

use crate::{
    deploy_support::{Act, Chain, Desk, Proxy},
    keys::OWN,
    live::{Live, golden, serve_args, write_adapters},
};

/// A home on its own chain, in which a server answers calls for free.
struct ServingDesk {
    _chain: Chain,
    desk: Desk,
    server: Live,
}

impl ServingDesk {
    fn start() -> Self {
        let chain = Chain::embedded();
        let desk = Desk::at(chain.url());
        write_adapters(desk.path());
        let server = Live::start(desk.path(), 0);
        Self {
            _chain: chain,
            desk,
            server,
        }
    }
}

#[test]
fn a_release_is_deployed_while_its_home_serves() {
    let ServingDesk {
        _chain,
        desk,
        server,
    } = ServingDesk::start();
    let dry = desk.json(&["deploy", "first", "--dry-run"]);
    assert_eq!(dry["from"], OWN, "{dry}");
    assert_eq!(desk.count("transaction_intended"), 0);
    let deployed = desk.json(&["deploy", "first"]);
    assert_eq!(deployed["done"], "registered", "{deployed}");
    assert_eq!(desk.count("deployed"), 1);
    // The coins of the development chain, the contributors' pool, and the registration.
    assert_eq!(desk.count("transaction_intended"), 3);
    assert_eq!(desk.count("transaction_settled"), 3);
    let second = desk.run(&["deploy", "second"]).succeeds();
    let next = format!(
        "hint: the server at {} goes on with what it loaded; to serve this release, stop it with \
         Ctrl-C, which ends running calls in order, and run `openlora serve` again\n",
        server.url
    );
    assert!(second.stderr.ends_with(&next), "{}", second.stderr);
    let again = desk.json(&["deploy", "second"]);
    assert_eq!(
        (&again["done"], &again["version"]),
        (&json!("nothing"), &json!(2))
    );
    assert_eq!(desk.count("deployed"), 2);
    let explored = desk.json(&["explore", "tone"]);
    let adapter = &explored["adapters"][0];
    assert_eq!(
        (&adapter["name"], &adapter["adapter_id"]),
        (&json!("tone"), &again["adapter_id"])
    );
    // The beginning of the id is enough.
    let id = adapter["adapter_id"].as_str().unwrap();
    assert_eq!(
        desk.json(&["explore", &id[..10]])["adapters"],
        explored["adapters"]
    );
    assert_eq!(server.drain().0, 0);
    // What the server recorded is what a command without it finds.
    assert_eq!(desk.json(&["deploy", "second"]), again);
}

/// Serves the package `first` under the name of its release.
fn serve_release(desk: &Desk, more: &[&str]) -> Live {
    let base = golden("llama").display().to_string();
    let args = [
        "serve",
        "--local",
        "--json",
        "--port",
        "0",
        "--base",
        &base,
        "--quant",
        "f32",
        "--adapter",
        "tone=first",
    ];
    Live::of(desk.openlora(&args).args(more.iter().copied()))
}

#[test]
fn a_release_that_the_server_has_loaded_needs_no_restart() {
    let chain = Chain::embedded();
    let desk = Desk::at(chain.url());
    let deployed = desk.json(&["deploy", "first"]);
    let id = deployed["adapter_id"].as_str().unwrap();
    let nothing = format!(
        "the registry has this release already; nothing was sent\n\
         hint: look at it with `openlora explore {id}`\n"
    );
    let again = |package: &str| desk.run(&["deploy", package]).succeeds().stderr;
    for more in [&["--free"][..], &[]] {
        let server = serve_release(&desk, more);
        assert_eq!(again("first"), nothing, "{more:?}");
        assert_eq!(server.drain().0, 0);
    }
    // A version that was published since then is not paid for by its own recipients yet.
    let server = serve_release(&desk, &[]);
    assert_eq!(desk.json(&["deploy", "second"])["version"], 2);
    let restart = format!(
        "{nothing}hint: the server at {} goes on with what it loaded; to serve this release, stop \
         it with Ctrl-C, which ends running calls in order, and run `openlora serve` again\n",
        server.url
    );
    assert_eq!(again("second"), restart);
    assert_eq!(server.drain().0, 0);
    let server = serve_release(&desk, &[]);
    assert_eq!(again("second"), nothing);
    assert_eq!(server.drain().0, 0);
}

#[test]
fn forecasts_and_contracts_need_no_server_to_stop() {
    let ServingDesk {
        _chain,
        desk,
        server,
    } = ServingDesk::start();
    let settle = desk.json(&["settle", "--dry-run"]);
    assert_eq!(
        (&settle["claims"], &settle["settles"]),
        (&json!([]), &json!([]))
    );
    let withdraw = desk.json(&["withdraw", "--dry-run"]);
    assert_eq!(withdraw["releases"], json!([]));
    let contracts = desk.deploy_contracts();
    let all = contracts["contracts"].as_array().unwrap();
    assert!(all.iter().all(|it| it["tx"] == Value::Null), "{contracts}");
    assert_eq!(server.drain().0, 0);
}

#[test]
fn a_second_server_of_a_home_says_what_works() {
    let ServingDesk {
        _chain,
        desk,
        server,
    } = ServingDesk::start();
    let args = serve_args(0);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let plain: Vec<&str> = args.iter().copied().filter(|it| *it != "--json").collect();
    let journal = desk.path().join("home/data/journal.sqlite");
    desk.run(&plain).fails(
        4,
        &format!(
            "error: this home has a server at {} already, which alone writes the journal {}\n\
             hint: serve both from one process: stop that server with Ctrl-C and start it with \
             every adapter, `openlora serve --adapter NAME=RUN --adapter NAME=RUN`; or serve this \
             one free of charge from a home of its own: `OPENLORA_HOME=DIR openlora serve --local \
             --free --port 0`\n",
            server.url,
            journal.display()
        ),
    );
    // The second way, as it is written.
    let other = desk.path().join("other");
    let beside = desk
        .openlora(&args)
        .env("OPENLORA_HOME", other.to_str().unwrap());
    let second = Live::of(beside);
    assert_ne!(second.url, server.url);
    assert_eq!(second.drain().0, 0);
    assert_eq!(server.drain().0, 0);
}

/// A server may send from the same account between the reading of the nonce and the sending.
#[test]
fn a_nonce_that_another_process_used_is_read_again() {
    let chain = Chain::embedded();
    let used = json!({ "code": -32000, "message": "nonce too low: next nonce 1, tx nonce 0" });
    let proxy = Proxy::new(chain.url(), move |method, nth, _| match (method, nth) {
        ("eth_sendRawTransaction", 1 | 2) => Act::Refuse(used.clone()),
        _ => Act::Forward,
    });
    let desk = Desk::at(&proxy.url);
    let deployed = desk.json(&["deploy", "first"]);
    assert_eq!(deployed["done"], "registered", "{deployed}");
    let outcomes: Vec<Value> = desk
        .journal()
        .iter()
        .map(|record| serde_json::to_value(&record.event).unwrap())
        .filter(|event| event["type"] == "transaction_settled")
        .map(|event| event["status"].clone())
        .collect();
    let expected = ["refused", "refused", "succeeded", "succeeded", "succeeded"];
    assert_eq!(outcomes, expected);
    assert_eq!(desk.count("transaction_intended"), 5);
    assert_eq!(desk.count("deployed"), 1);
}
