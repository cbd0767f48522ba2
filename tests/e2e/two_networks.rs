//! Two machines in network namespaces of their own, joined by one link: on one, creators push and deploy
//! and a stranger's node serves from the registry; on the other, a buyer finds both adapters and pays
//! with unmodified SDKs. Nobody names another party's server.
//!
//! Needs root, `ip` of Debian's iproute2, curl, and apt-get and dpkg-deb with Debian's docker-registry.
#![cfg(target_os = "linux")]

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
};

use openlora_model::adapter;
use openlora_package::{
    build::{PackageMetadata, PackageParts, draft},
    release::SigningDomain,
    write,
};
use openlora_release::eip712::AccountSigner;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    deploy_support::{Desk, contract, own_about, package_by},
    distribution::DebianTools,
    keys::{ADDRESS, KEY, OWN, OWN_KEY, account},
    live::{Live, golden, serve_on},
    packages::{base_facts, run_facts},
    sdk::{javascript, python, run, suite},
    support::{Invocation, openlora},
    waiting::{wait_for, wait_until},
};

/// Addresses on the link.
const SELLERS: &str = "10.77.0.1";
const BUYERS: &str = "10.77.0.2";

/// Ports, which nothing else has in the namespaces.
const CHAIN: &str = "8545";
const CHAIN_LINK: &str = "9545";
const REGISTRY: &str = "5000";
const SERVER: &str = "8080";
const PROXY: &str = "8402";

/// Passes connections on, as a node of the same chain on each machine would: `forward.py FROM TO`.
const FORWARD: &str = "import asyncio, sys

async def pipe(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    writer.close()

async def main():
    here, there = (it.rsplit(':', 1) for it in sys.argv[1:3])
    async def passed(reader, writer):
        far_reader, far_writer = await asyncio.open_connection(*there)
        await asyncio.gather(pipe(reader, far_writer), pipe(far_reader, writer))
    server = await asyncio.start_server(passed, *here)
    await server.serve_forever()

asyncio.run(main())
";

/// A network namespace, which goes with the test.
struct Machine {
    name: String,
}

fn ip(args: &[&str]) {
    let done = Command::new("ip").args(args).output();
    let done = done.expect("ip is missing: install iproute2");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(
        done.status.success(),
        "ip {}: {said}\nnetwork namespaces need root",
        args.join(" ")
    );
}

impl Machine {
    fn new(name: &str) -> Self {
        let name = format!("openlora-{}-{name}", std::process::id());
        ip(&["netns", "add", &name]);
        Self { name }
    }

    /// Two machines with a link between them.
    fn pair() -> (Self, Self) {
        let (sellers, buyers) = (Self::new("s"), Self::new("b"));
        let id = std::process::id();
        let (one, other) = (format!("ols{id}"), format!("olb{id}"));
        ip(&["link", "add", &one, "type", "veth", "peer", "name", &other]);
        for (machine, link, address) in [(&sellers, &one, SELLERS), (&buyers, &other, BUYERS)] {
            let name = machine.name.as_str();
            ip(&["link", "set", link, "netns", name]);
            let address = format!("{address}/24");
            ip(&["-n", name, "addr", "add", &address, "dev", link]);
            ip(&["-n", name, "link", "set", link, "up"]);
            ip(&["-n", name, "link", "set", "lo", "up"]);
        }
        (sellers, buyers)
    }

    /// A command on this machine.
    fn command(&self, program: &Command) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]);
        command.arg(program.get_program()).args(program.get_args());
        command.env_clear();
        for (name, value) in std::env::vars_os().filter(|(name, _)| {
            let name = name.to_string_lossy();
            !name.starts_with("OPENLORA_") && !name.to_lowercase().ends_with("_proxy")
        }) {
            command.env(name, value);
        }
        for (name, value) in program.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if let Some(dir) = program.get_current_dir() {
            command.current_dir(dir);
        }
        command
    }

    fn openlora(&self, invocation: Invocation) -> Command {
        self.command(&invocation.into_command())
    }

    /// Runs to the end, and reads what was printed as JSON.
    fn json(&self, invocation: Invocation) -> Value {
        let mut command = self.openlora(invocation);
        serde_json::from_str(&run(&mut command)).unwrap()
    }

    /// Something that runs beside the test.
    fn beside(&self, program: &Command) -> Beside {
        let mut command = self.command(program);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Beside(command.spawn().unwrap())
    }

    fn forward(&self, dir: &Path, from: &str, to: &str) -> Beside {
        let script = dir.join("forward.py");
        fs::write(&script, FORWARD).unwrap();
        let mut program = Command::new("python3");
        program.arg(script).args([from, to]);
        self.beside(&program)
    }

    /// Whether something answers at an address of this machine.
    fn answers(&self, url: &str) -> bool {
        let mut curl = Command::new("curl");
        curl.args(["-s", "-o", "/dev/null", "--max-time", "2", url]);
        self.command(&curl).status().is_ok_and(|it| it.success())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Its links go with it.
        let _ = Command::new("ip")
            .args(["netns", "del", &self.name])
            .status();
    }
}

struct Beside(Child);

impl Drop for Beside {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn registry_of(tools: &DebianTools, sellers: &Machine, dir: &Path) -> Beside {
    let config = dir.join("registry.yml");
    let storage = dir.join("registry");
    let text = format!(
        "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: \
         127.0.0.1:{REGISTRY}\n",
        storage.display()
    );
    fs::write(&config, text).unwrap();
    let mut program = tools.command("docker-registry");
    program.arg("serve").arg(&config);
    let registry = sellers.beside(&program);
    let url = format!("http://127.0.0.1:{REGISTRY}/v2/");
    wait_until("the registry to answer", || sellers.answers(&url));
    registry
}

/// A home on the machine of the chain.
fn at_chain(dir: &Path) {
    let text = format!("[network.local]\nrpc = \"http://127.0.0.1:{CHAIN}\"\n");
    fs::write(dir.join("openlora.toml"), text).unwrap();
}

/// Creators with a package each, in one home: `tone` of `own` and `voice` of `rich`.
fn creators() -> Desk {
    let desk = Desk::new();
    for name in ["first", "second"] {
        fs::remove_dir_all(desk.path().join(name)).unwrap();
    }
    package_by(
        &account(OWN_KEY),
        &desk.path().join("tone"),
        &own_about("1.0.0"),
    );
    let voice = PackageMetadata {
        name: "voice".into(),
        publisher: Some(ADDRESS.parse().unwrap()),
        ..own_about("1.0.0")
    };
    // Of other weights: the same ones are served for one payee only.
    let weights = adapter::read(&golden("llama.all-linear")).unwrap();
    let drafted = draft(&PackageParts {
        about: &voice,
        adapter: &weights,
        base: &base_facts(),
        run: Some(&run_facts()),
    });
    let registry = contract("OpenLoraRegistry").parse().unwrap();
    let domain = SigningDomain::for_registry(31_337, Some(registry));
    let (place, signer) = (desk.path().join("voice"), account(KEY));
    let signature = Some((&domain, &AccountSigner(&signer) as _));
    write(&place, &drafted.unwrap(), signature).unwrap();
    at_chain(desk.path());
    desk
}

/// The balance of an account in the chain's token, asked on the machine of the chain.
fn balance(sellers: &Machine, token: &str, holder: &str) -> u128 {
    let data = format!("0x70a08231{:0>64}", holder.trim_start_matches("0x"));
    let call = json!({
        "jsonrpc": "2.0", "id": 1, "method": "eth_call",
        "params": [{ "to": token, "data": data }, "latest"],
    });
    let mut curl = Command::new("curl");
    curl.args(["-s", "-H", "content-type: application/json", "-d"]);
    curl.arg(call.to_string())
        .arg(format!("http://127.0.0.1:{CHAIN}"));
    let answer: Value = serde_json::from_str(&run(&mut sellers.command(&curl))).unwrap();
    let result = answer["result"].as_str().unwrap();
    u128::from_str_radix(result.trim_start_matches("0x"), 16).unwrap()
}

fn serving(sellers: &Machine, stranger: &TempDir) -> Live {
    let base = golden("llama").display().to_string();
    let serve = openlora(stranger.path())
        .env("OPENLORA_PASSWORD_FILE", "pw")
        .env(
            "OPENLORA_SERVE_PUBLIC_URL",
            &format!("http://{SELLERS}:{SERVER}"),
        )
        .args(serve_on(&base, SERVER))
        .args(["--local", "--json", "--host", SELLERS, "--expose"])
        .args(["--from-registry", "--isolate"]);
    Live::of_command(sellers.openlora(serve), "url")
}

/// The unmodified SDKs, with nothing but the proxy's address.
fn buy_with_sdks(buyers: &Machine, listen: &str, (python, javascript): (&Path, &Path)) {
    let registry = contract("OpenLoraRegistry");
    let models = ["tone", "voice"].map(|name| format!("{name}@{registry}"));
    let environment = [
        ("OPENAI_BASE_URL", format!("http://{listen}/v1")),
        ("OPENAI_API_KEY", "any".to_owned()),
    ];
    let mut program = Command::new(python);
    program
        .arg(suite("python").join("proxied.py"))
        .args(&models);
    let said = run(&mut buyers.command(program.envs(environment.clone())));
    let checks = [
        "listed",
        "whole_and_streamed",
        "two_at_once",
        "text_completion",
        "left_early",
    ];
    let expected: String = checks.iter().map(|name| format!("ok {name}\n")).collect();
    assert_eq!(said, expected + "ok unknown_model\n");
    let script = javascript.join("proxied.mjs");
    fs::copy(suite("js").join("proxied.mjs"), &script).unwrap();
    let mut program = Command::new("node");
    program.arg(script).args(&models);
    let said = run(&mut buyers.command(program.envs(environment)));
    let checks = [
        "listed",
        "wholeAndStreamed",
        "twoAtOnce",
        "leftEarly",
        "unknownModel",
    ];
    let expected: String = checks.iter().map(|name| format!("ok {name}\n")).collect();
    assert_eq!(said, expected);
}

#[test]
fn a_buyer_on_another_machine_finds_and_pays_what_a_stranger_serves() {
    let (python, javascript) = (python("python"), javascript("js"));
    let tools = DebianTools::unpacked();
    let (sellers, buyers) = Machine::pair();
    let work = tempfile::tempdir().unwrap();
    let desk = creators();
    let devnet = ["devnet", "start", "--foreground", "--port", CHAIN];
    let _chain = sellers.beside(&openlora(work.path()).args(devnet).into_command());
    let at_chain_url = format!("http://127.0.0.1:{CHAIN}");
    wait_until("the chain to answer", || sellers.answers(&at_chain_url));
    let chain = format!("127.0.0.1:{CHAIN}");
    let link = format!("{SELLERS}:{CHAIN_LINK}");
    let _outward = sellers.forward(work.path(), &link, &chain);
    let _inward = buyers.forward(work.path(), &chain, &link);
    wait_until("the chain to answer the buyers", || {
        buyers.answers(&at_chain_url)
    });
    let _registry = registry_of(&tools, &sellers, work.path());
    // The stranger.
    let stranger = tempfile::tempdir().unwrap();
    at_chain(stranger.path());
    fs::write(stranger.path().join("pw"), "correct horse battery\n").unwrap();
    let new = [
        "wallet",
        "new",
        "guest",
        "--light-kdf",
        "--password-file",
        "pw",
    ];
    openlora(stranger.path()).args(new).run().succeeds();
    let address = openlora(stranger.path()).args(["wallet", "address"]).run();
    let address = address.succeeds().stdout.trim().to_owned();
    // The creators push, deploy, and authorise the stranger.
    for (name, signer) in [("tone", "own"), ("voice", "rich")] {
        let place = format!("oci://127.0.0.1:{REGISTRY}/{name}:1.0.0");
        sellers.json(desk.openlora(&["--json", "-q", "push", name, &place]));
        let deploy = ["--json", "-q", "deploy", name, "--server", &address];
        let deploy = desk
            .openlora(&deploy)
            .env("OPENLORA_WALLET_ACCOUNT", signer);
        sellers.json(deploy);
    }
    let server = serving(&sellers, &stranger);
    // The buyer knows the chain only.
    let buyer = tempfile::tempdir().unwrap();
    at_chain(buyer.path());
    let search = ["--json", "-q", "search"];
    let found = buyers.json(openlora(buyer.path()).args(search));
    let rows = found["adapters"].as_array().unwrap();
    let names: Vec<&str> = rows.iter().filter_map(|it| it["name"].as_str()).collect();
    assert!(
        names.len() == 2 && names.contains(&"tone") && names.contains(&"voice"),
        "{found:#}"
    );
    for row in rows {
        assert_eq!(
            row["servers"][0]["url"],
            format!("http://{SELLERS}:{SERVER}")
        );
    }
    let listen = format!("127.0.0.1:{PROXY}");
    let proxy = openlora(buyer.path()).args(["--json", "proxy", "--listen", &listen]);
    let proxy = Live::of_command(buyers.openlora(proxy), "base_url");
    buy_with_sdks(&buyers, &listen, (&python, &javascript));
    let receipts = || buyers.json(openlora(buyer.path()).args(["--json", "receipts", "list"]));
    let paid = wait_for("every call to be settled", || {
        let listed = receipts();
        let listed = listed.as_array().unwrap();
        let are_settled = listed
            .iter()
            .all(|it| it["state"] == "paid" || it["state"] == "void");
        are_settled.then(|| {
            let paid = listed.iter().filter_map(|it| it["paid"].as_str());
            paid.map(|it| it.parse::<u128>().unwrap()).sum::<u128>()
        })
    });
    assert!(paid > 0);
    proxy.drain();
    // The last settlement moves what is owed into the splitters.
    let (code, _, stderr) = server.drain();
    assert_eq!(code, 0, "{stderr}");
    assert!(stderr.contains("tone: in a process of its own"), "{stderr}");
    money_arrived(&sellers, &desk, paid);
}

/// What was paid is in the splitters, and reaches the creators and the pools of the contributors.
fn money_arrived(sellers: &Machine, desk: &Desk, paid: u128) {
    let explore = || sellers.json(desk.openlora(&["--json", "-q", "explore"]));
    let explored = explore();
    let adapters = explored["adapters"].as_array().unwrap();
    let revenue = |adapter: &Value, field: &str| -> u128 {
        let revenue = &adapter["releases"][0]["revenue"];
        revenue[field].as_str().unwrap().parse().unwrap()
    };
    let received: u128 = adapters.iter().map(|it| revenue(it, "received")).sum();
    assert_eq!(received, paid, "{explored:#}");
    assert!(
        adapters.iter().all(|it| revenue(it, "received") > 0),
        "{explored:#}"
    );
    let token = adapters[0]["releases"][0]["revenue"]["token"]
        .as_str()
        .unwrap();
    let pools: Vec<&str> = adapters
        .iter()
        .flat_map(|it| it["releases"][0]["shares"].as_array().unwrap())
        .filter(|it| it["pool"].is_object())
        .map(|it| it["recipient"].as_str().unwrap())
        .collect();
    assert!(!pools.is_empty(), "{explored:#}");
    // Each creator takes what is theirs; the pools of the contributors are filled.
    for (signer, holder) in [("own", OWN), ("rich", ADDRESS)] {
        let before = balance(sellers, token, holder);
        let withdraw = desk.openlora(&["--json", "-q", "-y", "withdraw"]);
        let report = sellers.json(withdraw.env("OPENLORA_WALLET_ACCOUNT", signer));
        let after = balance(sellers, token, holder);
        let is_own = |it: &&Value| it["recipient"] == holder;
        let released = report["releases"].as_array().unwrap().iter().filter(is_own);
        let released = released.map(|it| it["amount"].as_str().unwrap().parse::<u128>().unwrap());
        let released: u128 = released.sum();
        assert!(released > 0 || after > before, "{report:#}");
    }
    for pool in pools {
        assert!(balance(sellers, token, pool) > 0, "{pool}: {explored:#}");
    }
    let left: u128 = explore()["adapters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| revenue(it, "pending"))
        .sum();
    // Shares of the base's maker and the like wait for their recipients; nothing is lost.
    assert!(left < received, "{left} of {received}");
}
