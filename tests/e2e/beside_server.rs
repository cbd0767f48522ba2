//! Commands beside a running server of the same home: they read its journal, and record through it
//! what they do on a chain.

use std::collections::BTreeMap;

use openlora_ledger::event::{Event, EventRecord};
use serde_json::{Value, json};

use crate::{
    deploy_support::{Act, Chain, Desk, Proxy},
    devnet_support::{Devnet, Rpc},
    keys::{ADDRESS, OWN},
    live::{Live, golden, serve_args, serve_on, write_adapters},
    support::Invocation,
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
    // The release is served at once, beside what is served already.
    let served = |name: &str| served_digest(&server, name);
    let digest = served("tone");
    assert!(digest.is_some());
    assert_eq!(desk.count("adapter_loaded"), 3);
    is_answered(&desk, &server, "tone");
    // The next release has the same weights.
    let second = desk.run(&["deploy", "second"]).succeeds();
    let next = format!("the server at {} serves tone already\n", server.url);
    assert!(second.stderr.ends_with(&next), "{}", second.stderr);
    assert_eq!(served("tone"), digest);
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

/// A call of an adapter is answered.
fn is_answered(desk: &Desk, server: &Live, adapter: &str) {
    let call = ["call", "hello", "--adapter", adapter, "--url", &server.url];
    desk.run(&call).succeeds();
}

/// Serves the package `first` under the name of its release.
fn serve_release(desk: &Desk, more: &[&str]) -> Live {
    Live::of(serving_release(desk).args(more.iter().copied()))
}

fn serving_release(desk: &Desk) -> Invocation {
    let base = golden("llama").display().to_string();
    let release = ["--local", "--json", "--adapter", "tone=first"];
    desk.openlora(&serve_on(&base, "0")).args(release)
}

#[test]
fn a_running_server_puts_a_new_splitter_on_its_other_chain() {
    let chain = Chain::embedded();
    let dir = tempfile::tempdir().unwrap();
    let other = Devnet::start(dir.path(), 31_338);
    let desk = Desk::at(chain.url());
    desk.configure(&format!(
        "[network.local]\nrpc = \"{}\"\n[network.local-2]\nrpc = \"{}\"\n\
         [serve]\nnetworks = [\"local-2\"]\n",
        chain.url(),
        other.rpc.url
    ));
    desk.run(&["deploy", "first"]).succeeds();
    let server = serve_release(&desk, &[]);
    let splits = |version: u32| -> BTreeMap<u64, String> {
        let split = |record: EventRecord| match record.event {
            Event::SplitRead(split) if split.version == version => {
                let at = split.receiver;
                Some((at.chain_id, at.receiver.to_string()))
            }
            _ => None,
        };
        desk.journal().into_iter().filter_map(split).collect()
    };
    let deployed = desk.run(&["deploy", "second"]).succeeds();
    let told = format!("the server at {} serves tone already\n", server.url);
    assert!(deployed.stderr.ends_with(&told), "{}", deployed.stderr);
    let second = splits(2);
    let splitter = &second[&31_337];
    let both = BTreeMap::from([(31_337, splitter.clone()), (31_338, splitter.clone())]);
    assert_eq!(second, both);
    assert_ne!(splits(1), second);
    let code = |rpc: &Rpc| rpc.ok("eth_getCode", json!([splitter, "latest"]));
    for rpc in [&chain.rpc(), &other.rpc] {
        assert_ne!(code(rpc), json!("0x"));
    }
    assert_eq!(server.drain().0, 0);
}

#[test]
fn a_release_of_another_account_is_served_once_that_account_permits_it() {
    let chain = Chain::embedded();
    let desk = Desk::at(chain.url());
    desk.run(&["deploy", "first"]).succeeds();
    let as_rich = || serving_release(&desk).env("OPENLORA_WALLET_ACCOUNT", "rich");
    let refused = as_rich().run();
    let expected = format!(
        "error: {ADDRESS} may not serve tone, which {OWN} registered: the registry does not list \
         it as a server\n\
         hint: a server uses one account: let this one serve it too, with {OWN} as NAME: \
         `openlora deploy --account NAME --server {ADDRESS}`; or register it from this account: \
         `openlora package`, then `openlora deploy`; or serve it by itself from the account that \
         registered it: `openlora config set --user wallet.account NAME`\n"
    );
    assert_eq!(refused.code, 8, "{}", refused.stderr);
    let envelope: Value = serde_json::from_str(refused.stderr.lines().last().unwrap()).unwrap();
    let said = format!(
        "error: {}\nhint: {}\n",
        envelope["message"].as_str().unwrap(),
        envelope["hint"].as_str().unwrap()
    );
    assert_eq!(said, expected);
    desk.run(&["deploy", "first", "--account", "own", "--server", ADDRESS])
        .succeeds();
    let server = Live::of(as_rich());
    assert_eq!(server.drain().0, 0);
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
    let served = |server: &Live| {
        let url = &server.url;
        format!("{nothing}the server at {url} serves tone already\n")
    };
    for more in [&["--free"][..], &[]] {
        let server = serve_release(&desk, more);
        assert_eq!(again("first"), served(&server), "{more:?}");
        assert_eq!(server.drain().0, 0);
    }
    // Of a version that is published meanwhile, calls are paid to its own recipients.
    let paid_version = || {
        let version = |record: EventRecord| match record.event {
            Event::SplitRead(split) => Some(split.version),
            _ => None,
        };
        desk.journal().into_iter().rev().find_map(version)
    };
    let server = serve_release(&desk, &[]);
    assert_eq!(paid_version(), Some(1));
    assert_eq!(desk.json(&["deploy", "second"])["version"], 2);
    assert_eq!(paid_version(), Some(2));
    assert_eq!(again("second"), served(&server));
    assert_eq!(server.drain().0, 0);
}

#[test]
fn calls_are_paid_on_a_chain_whose_clock_was_moved() {
    let chain = Chain::embedded();
    let desk = Desk::at(chain.url());
    desk.json(&["deploy", "first"]);
    let server = serve_release(&desk, &[]);
    // As for the challenge period of a proposal.
    chain.rpc().ok("evm_increaseTime", json!([86_401]));
    let call = ["call", "hello", "--adapter", "tone", "--url", &server.url];
    desk.run(&call).succeeds();
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

/// The digest under a name, if it is served.
fn served_digest(server: &Live, name: &str) -> Option<String> {
    let url = format!("{}/v1/models/{name}", server.url);
    let (status, model) = get(&url);
    (status == 200).then(|| model["digest"].as_str().unwrap().to_owned())
}

fn get(url: &str) -> (u16, Value) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let answer = client.get(url).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    })
}

#[test]
fn a_second_serve_hands_its_adapters_to_the_running_server() {
    let ServingDesk {
        _chain,
        desk,
        server,
    } = ServingDesk::start();
    let url = &server.url;
    let args = serve_args(0);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    // Of the adapters that it names, one is served already.
    let more = [&args[..], &["--adapter", "extra=filter"]].concat();
    let run = desk.run(&more).succeeds();
    let ready: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(
        ready,
        json!({ "url": url, "adapters": ["persona", "filter", "extra"], "network": "local" })
    );
    assert_eq!(
        run.stderr,
        format!(
            "the server at {url} serves persona already\n\
             the server at {url} serves filter already\n\
             the server at {url} serves extra too, from now on\n\
             that server keeps its own settings: --base, --quant changed nothing\n"
        )
    );
    assert_eq!(
        served_digest(&server, "extra"),
        served_digest(&server, "filter")
    );
    is_answered(&desk, &server, "extra");
    // Another adapter under the name.
    let swap = ["serve", "--local", "--free", "--adapter", "extra=persona"];
    let said = desk.run(&swap).succeeds().stderr;
    assert_eq!(
        said,
        format!("the server at {url} serves this extra from now on, instead of the former one\n")
    );
    assert_eq!(
        served_digest(&server, "extra"),
        served_digest(&server, "persona")
    );
    assert_eq!(server.drain().0, 0);
}

#[test]
fn what_a_running_server_cannot_serve_is_told_and_disturbs_nobody() {
    let ServingDesk {
        _chain,
        desk,
        server,
    } = ServingDesk::start();
    let url = &server.url;
    let serve = |more: &[&str]| desk.run(&[&["serve", "--local"], more].concat());
    let hint = "hint: stop that server with Ctrl-C first; or serve free of charge from a home of \
                its own: `OPENLORA_HOME=DIR openlora serve --local --free --port 0`\n";
    serve(&["--adapter", "persona=persona"]).fails(
        4,
        &format!(
            "error: this home has a server at {url} already, which answers calls free of charge\n\
             {hint}"
        ),
    );
    serve(&[
        "--free",
        "--rotate-operator-token",
        "--adapter",
        "a=persona",
    ])
    .fails(
        4,
        &format!(
            "error: this home has a server at {url} already, which makes new tokens only when it \
             starts\n{hint}"
        ),
    );
    // One that was trained on another base.
    let card = desk.path().join("filter/openlora_task.json");
    let text = std::fs::read_to_string(&card).unwrap();
    let mut other: Value = serde_json::from_str(&text).unwrap();
    other["base_digest"] = json!("ab".repeat(32));
    std::fs::write(&card, other.to_string()).unwrap();
    let refused = serve(&["--free", "--adapter", "other=filter"]);
    let (first, _) = refused.stderr.split_once('\n').unwrap();
    let base = served_base(&server);
    assert_eq!(
        first,
        format!(
            "error: the server at {url} could not do it: adapter {}: it was trained on base llama with \
             digest {}, this base has digest {base}",
            desk.path().join("filter").display(),
            "ab".repeat(32),
        )
    );
    assert_eq!(refused.code, 3);
    assert_eq!(served_digest(&server, "other"), None);
    is_answered(&desk, &server, "filter");
    // A home of its own, as the hint says.
    let args = serve_args(0);
    let home = desk.path().join("other");
    std::fs::write(&card, text).unwrap();
    let beside = desk
        .openlora(&args.iter().map(String::as_str).collect::<Vec<_>>())
        .env("OPENLORA_HOME", home.to_str().unwrap());
    let second = Live::of(beside);
    assert_ne!(second.url, server.url);
    assert_eq!(second.drain().0, 0);
    assert_eq!(server.drain().0, 0);
}

fn served_base(server: &Live) -> String {
    let (_, model) = get(&format!("{}/v1/models/persona", server.url));
    model["base_digest"].as_str().unwrap().to_owned()
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
