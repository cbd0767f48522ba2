//! How an adapter is found: the server's pages in a browser, and its identity in the registry of
//! agents of a chain (ERC-8004).

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use openlora_chain::registry::IdentityRegistry;
use openlora_package::{
    build::{PackageParts, draft},
    manifest::EvalMetric,
    release::SigningDomain,
    whole::WholeNumber,
    write,
};
use openlora_release::eip712::AccountSigner;
use serde_json::{Value, json};

use crate::{
    deploy_support::{Act, Chain, Desk, Proxy},
    devnet_support::{Rpc, number},
    keys::OWN,
    live::{Live, golden, serve_on},
    packages::{self, base_facts, run_facts},
    sdk::{javascript, run, suite},
    support::openlora,
    waiting,
};

/// What a name would do if it were markup.
const MARKUP: &str = "<img src=x onerror=alert(1)><script>alert(2)</script>";

/// A signed package in `dir/tone`, of which one contributor's name is markup.
fn write_package(dir: &Path) {
    let mut facts = run_facts();
    facts.sources[1].contributor = MARKUP.to_owned();
    facts.training.eval_metrics = vec![EvalMetric {
        name: "accuracy".to_owned(),
        value: 0.9125,
        rows: WholeNumber(80),
        base: Some(0.5),
    }];
    let drafted = draft(&PackageParts {
        about: &packages::about(),
        adapter: &packages::adapter(),
        base: &base_facts(),
        run: Some(&facts),
    });
    let domain = SigningDomain::for_registry(31_337, None);
    let signer = packages::account();
    let signature = Some((&domain, &AccountSigner(&signer) as _));
    write(&dir.join("tone"), &drafted.unwrap(), signature).unwrap();
}

/// A free server of the package in `dir/NAME`.
fn serve_free(dir: &Path, adapter: &str) -> Live {
    let base = golden("llama").display().to_string();
    let more = ["--local", "--free", "--json", "--adapter", adapter];
    Live::of(openlora(dir).args(serve_on(&base, "0")).args(more))
}

/// The browser of Debian's package `chromium`, or another of that name.
fn chromium() -> String {
    let mac = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome";
    if Path::new(mac).exists() {
        return mac.to_owned();
    }
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<_> = std::env::split_paths(&folders).collect();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let mut places = names
        .iter()
        .flat_map(|name| folders.iter().map(move |it| it.join(name)));
    let found = places.find(|path| path.is_file());
    let found = found.expect("chromium is missing: install chromium");
    found.display().to_string()
}

#[test]
fn the_pages_in_a_browser_show_the_manifest_and_call_the_adapter() {
    let home = tempfile::tempdir().unwrap();
    write_package(home.path());
    let server = serve_free(home.path(), "tone=tone");
    let folder = javascript("page");
    let script = folder.join("page.mjs");
    fs::copy(suite("page").join("page.mjs"), &script).unwrap();
    let shots = home.path().join("shots");
    fs::create_dir(&shots).unwrap();
    let mut program = Command::new("node");
    program.arg(script).arg(chromium());
    program.args([&server.url, "tone"]).arg(&shots);
    let seen: Value = serde_json::from_str(&run(program.env("NO_PROXY", "127.0.0.1"))).unwrap();
    // Nothing but this server, no dialog, no violation of the policy.
    let root = &server.url;
    let requests: Vec<&str> = seen["requests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it.as_str().unwrap())
        .collect();
    let allowed = [
        format!("GET {root}/"),
        format!("GET {root}/icon.svg"),
        format!("GET {root}/adapters/tone"),
        format!("POST {root}/v1/completions"),
    ];
    let foreign = requests
        .iter()
        .filter(|it| !allowed.iter().any(|one| one == *it));
    assert_eq!(foreign.collect::<Vec<_>>(), Vec::<&&str>::new());
    assert!(requests.contains(&allowed[3].as_str()), "{requests:?}");
    assert_eq!(
        (&seen["dialogs"], &seen["problems"]),
        (&json!([]), &json!([]))
    );
    assert_eq!(seen["cards"], json!(["tone"]));
    assert_eq!(seen["heading"], "tone");
    // The script of the page is the only one.
    assert_eq!(seen["scripts"], 1);
    assert_eq!(seen["overflow"], 0);
    let facts = seen["facts"].as_str().unwrap();
    let publisher = packages::account().address().to_string();
    for fact in [
        "tone 1.0.0",
        "Ada",
        MARKUP,
        "0.9125",
        "0.5000",
        "20 rows of Ada, CC0-1.0",
        "CC-BY-4.0",
        &publisher,
        packages::ADA,
    ] {
        assert!(facts.contains(fact), "{fact} in {facts}");
    }
    let codes = &seen["codes"];
    let curl = codes["curl"].as_str().unwrap();
    assert!(
        curl.starts_with(&format!("curl '{root}/v1/completions'")),
        "{curl}"
    );
    // The programs that the page shows do what they say.
    let shell = run(Command::new("sh")
        .args(["-c", curl])
        .env("NO_PROXY", "127.0.0.1"));
    let answered: Value = serde_json::from_str(&shell).unwrap();
    assert_eq!(answered["object"], "text_completion");
    let code = codes["javascript"].as_str().unwrap();
    let said = run(Command::new("node").args(["--input-type=module", "-e", code]));
    assert!(!said.trim().is_empty());
    let answer = &seen["answer"];
    let state = answer["state"].as_str().unwrap();
    assert!(state.contains(" tokens in "), "{answer}");
    assert_ne!(answer["text"], "");
    for name in ["home.png", "adapter.png", "phone.png"] {
        assert!(
            fs::metadata(shots.join(name)).unwrap().len() > 5_000,
            "{name}"
        );
    }
}

/// How many agents were registered on a chain.
fn registered_agents(rpc: &Rpc) -> usize {
    use alloy::sol_types::SolEvent;
    let topic = IdentityRegistry::Registered::SIGNATURE_HASH;
    let filter = json!([{ "fromBlock": "0x0", "topics": [topic] }]);
    rpc.ok("eth_getLogs", filter).as_array().unwrap().len()
}

#[test]
fn a_registered_agent_resolves_to_the_file_of_its_server() {
    let chain = Chain::embedded();
    let desk = Desk::at(chain.url());
    let server = serve_free(desk.path(), "tone=first");
    let said = desk.json(&["deploy", "first", "--agent"]);
    let uri = format!(
        "{}/.well-known/agent-registration.json?adapter=tone",
        server.url
    );
    let agent = &said["agent"];
    assert_eq!(
        (&agent["agent_id"], &agent["uri"], &agent["done"]),
        (&json!("0"), &json!(uri), &json!("registered")),
        "{said}"
    );
    let registry = agent["registry"].as_str().unwrap();
    let call = |data: Vec<u8>| {
        let data = alloy::hex::encode_prefixed(data);
        let found = chain.rpc().ok(
            "eth_call",
            json!([{ "to": registry, "data": data }, "latest"]),
        );
        alloy::hex::decode(found.as_str().unwrap()).unwrap()
    };
    use alloy::{primitives::U256, sol_types::SolCall};
    let asked = IdentityRegistry::tokenURICall {
        tokenId: U256::ZERO,
    };
    let found = IdentityRegistry::tokenURICall::abi_decode_returns(&call(asked.abi_encode()));
    assert_eq!(found.unwrap(), uri);
    let asked = IdentityRegistry::ownerOfCall {
        tokenId: U256::ZERO,
    };
    let owner = IdentityRegistry::ownerOfCall::abi_decode_returns(&call(asked.abi_encode()));
    assert_eq!(owner.unwrap().to_string(), OWN);
    // What the chain names leads to a file that names the chain's entry.
    let rpc = Rpc::new(&server.url);
    let path = uri.strip_prefix(&server.url).unwrap();
    let file = waiting::wait_for("the file to name its registration", || {
        let (_, text) = rpc.http("GET", path, &[], "");
        let file: Value = serde_json::from_str(&text).unwrap();
        (file["registrations"] != json!([])).then_some(file)
    });
    let expected = json!([{ "agentId": 0, "agentRegistry": format!("eip155:31337:{registry}") }]);
    assert_eq!(file["registrations"], expected);
    assert_eq!(
        file["type"],
        "https://eips.ethereum.org/EIPS/eip-8004#registration-v1"
    );
    assert_eq!(
        file["services"][1]["endpoint"],
        format!("{}/v1", server.url)
    );
    // Again, and with another version: the same identity.
    let again = desk.json(&["deploy", "first", "--agent"]);
    assert_eq!(
        (&again["agent"]["agent_id"], &again["agent"]["done"]),
        (&json!("0"), &json!("nothing"))
    );
    let next = desk.json(&["deploy", "second", "--agent"]);
    assert_eq!(
        (&next["agent"]["agent_id"], &next["agent"]["done"]),
        (&json!("0"), &json!("nothing"))
    );
    let moved = desk
        .openlora(&["--json", "-q", "deploy", "second", "--agent"])
        .env("OPENLORA_SERVE_PUBLIC_URL", "https://tone.example")
        .run()
        .succeeds();
    let moved: Value = serde_json::from_str(&moved.stdout).unwrap();
    assert_eq!(
        (
            &moved["agent"]["agent_id"],
            &moved["agent"]["done"],
            &moved["agent"]["uri"]
        ),
        (
            &json!("0"),
            &json!("moved"),
            &json!("https://tone.example/.well-known/agent-registration.json?adapter=tone")
        )
    );
    assert_eq!(registered_agents(&chain.rpc()), 1);
    drop(server);
}

#[test]
fn a_token_that_was_burned_does_not_hide_the_others() {
    use alloy::sol_types::SolCall;
    let chain = Chain::embedded();
    let asked = alloy::hex::encode_prefixed(IdentityRegistry::ownerOfCall::SELECTOR);
    // Of a burned token a contract gives no owner, but reverts.
    let proxy = Proxy::new(chain.url(), move |method, _, params| {
        let data = &params[0]["input"];
        let data = data
            .as_str()
            .or(params[0]["data"].as_str())
            .unwrap_or_default();
        let is_first = data.ends_with("0000");
        match method == "eth_call" && data.starts_with(&asked) && is_first {
            true => Act::Refuse(json!({
                "code": 3,
                "message": "execution reverted: ERC721NonexistentToken(0)",
            })),
            false => Act::Forward,
        }
    });
    let desk = Desk::at(chain.url());
    let first = desk.json(&["deploy", "first", "--agent"]);
    assert_eq!(first["agent"]["agent_id"], "0");
    desk.points_to(&proxy.url);
    // The first one is gone, so there is a second one, which is found from then on.
    let second = desk.json(&["deploy", "first", "--agent"]);
    let agent = |said: &Value| {
        (
            said["agent"]["agent_id"].clone(),
            said["agent"]["done"].clone(),
        )
    };
    assert_eq!(agent(&second), (json!("1"), json!("registered")));
    let again = desk.json(&["deploy", "first", "--agent"]);
    assert_eq!(agent(&again), (json!("1"), json!("nothing")));
    assert_eq!(registered_agents(&chain.rpc()), 2);
}

/// Where the process dies: before the n-th request of a method reaches the chain, or after it did
/// and before the answer is back. The gift, the pool and the release come before.
const DEATHS: &[(&str, usize, bool)] = &[
    ("eth_sendRawTransaction", 4, false),
    ("eth_sendRawTransaction", 4, true),
    ("eth_getTransactionReceipt", 4, true),
];

#[test]
fn killed_at_any_moment_it_registers_one_agent() {
    for (method, nth, after) in DEATHS {
        let chain = Chain::embedded();
        let proxy = Proxy::new(chain.url(), move |asked, count, _| {
            match (asked == *method && count == *nth, after) {
                (false, _) => Act::Forward,
                (true, false) => Act::Hang,
                (true, true) => Act::ForwardAndHang,
            }
        });
        let desk = Desk::at(&proxy.url);
        let deploy = desk.openlora(&["--json", "deploy", "first", "--agent"]);
        let mut command = deploy.into_command();
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        assert_eq!(proxy.wait_until_it_hangs(), *method);
        child.kill().unwrap();
        waiting::ended("the killed deploy", &mut child);
        let at = format!("{method} {nth} {after}");
        desk.points_to(chain.url());
        let said = desk.json(&["deploy", "first", "--agent"]);
        assert_eq!(said["agent"]["agent_id"], "0", "{at}");
        let rpc = chain.rpc();
        assert_eq!(registered_agents(&rpc), 1, "{at}");
        let sent = number(&rpc.ok("eth_getTransactionCount", json!([OWN, "latest"])));
        assert_eq!(sent, 3, "{at}: a pool, a release and an agent");
        assert_eq!(desk.count("agent_registered"), 1, "{at}");
    }
}

#[test]
fn an_agent_needs_a_registry_and_an_address() {
    let chain = Chain::embedded();
    let desk = Desk::at(chain.url());
    let nowhere = "0x00000000000000000000000000000000000000b2";
    desk.configure(&format!(
        "[network.local]\nrpc = \"{}\"\nidentity_registry = \"{nowhere}\"\n",
        chain.url()
    ));
    let refused = desk.run(&["-q", "deploy", "first", "--agent"]);
    refused.fails(
        5,
        "error: the network `local` has no registry of agents at \
         0x00000000000000000000000000000000000000b2\n\
         hint: name another as `identity_registry` under `[network.local]`; a development chain of an \
         earlier version has none until `openlora devnet reset`\n",
    );
}
