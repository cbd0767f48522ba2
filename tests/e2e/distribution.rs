//! Packages on their way: through a real registry and foreign clients, to a second home, and to a
//! server that fetches what the chain registers.
//!
//! Needs apt-get and dpkg-deb with Debian's packages of docker-registry and skopeo.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use openlora_ledger::event::Event;
use openlora_package::{
    build::{PackageMetadata, RevenueSplitOptions},
    manifest::Digest,
};
use openlora_runtime::daily_bytes::DailyBytes;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    deploy_support::{Chain, Desk, contract, own_about, package, package_by},
    devnet_support::Rpc,
    keys::{ADDRESS, KEY, OWN, account},
    live::{Live, golden, serve_on},
    packages::{model_signed, packaged},
    sdk::{installed, python, run, suite},
    support::{Run, openlora},
    waiting::{wait_for, wait_until},
};

/// The files below a folder.
fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        match path.is_dir() {
            true => found.extend(
                contents(&path)
                    .into_iter()
                    .map(|(inner, bytes)| (format!("{name}/{inner}"), bytes)),
            ),
            false => drop(found.insert(name, fs::read(&path).unwrap())),
        }
    }
    found
}

fn json_of(run: Run) -> Value {
    serde_json::from_str(&run.succeeds().stdout).unwrap()
}

/// Debian's programs, unpacked into a folder of the tests.
pub struct DebianTools {
    root: PathBuf,
}

impl DebianTools {
    pub fn unpacked() -> Self {
        let pins = suite("registry").join("debian.txt");
        let names = fs::read_to_string(&pins).unwrap();
        let root = installed("registry-debian", &pins, |folder| {
            let mut fetch = Command::new("apt-get");
            fetch.args(["download", "-qq"]).args(names.lines());
            run(fetch.current_dir(folder));
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.extension().is_some_and(|it| it == "deb") {
                    let root = folder.join("root");
                    run(Command::new("dpkg-deb").arg("-x").arg(&path).arg(root));
                }
            }
        });
        Self {
            root: root.join("root"),
        }
    }

    pub fn command(&self, name: &str) -> Command {
        let libraries = ["usr/lib", "lib"].map(|dir| {
            let folder = self
                .root
                .join(dir)
                .join(format!("{}-linux-gnu", std::env::consts::ARCH));
            folder.display().to_string()
        });
        let mut command = Command::new(self.root.join("usr/bin").join(name));
        command.env("LD_LIBRARY_PATH", libraries.join(":"));
        command
    }

    fn skopeo(&self, args: &[&str]) -> String {
        run(self.command("skopeo").arg("--insecure-policy").args(args))
    }
}

/// A registry on a free port, which ends with the test.
struct DockerRegistry {
    child: Child,
    host: String,
}

impl DockerRegistry {
    fn start(tools: &DebianTools, dir: &Path) -> Self {
        let storage = dir.join("registry");
        let config = dir.join("registry.yml");
        fs::write(
            &config,
            format!(
                "version: 0.1\nlog:\n  level: info\nstorage:\n  filesystem:\n    rootdirectory: \
                 {}\nhttp:\n  addr: 127.0.0.1:0\n",
                storage.display()
            ),
        )
        .unwrap();
        let mut command = tools.command("docker-registry");
        let mut child = command
            .arg("serve")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = mpsc::channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                // Nobody listens once the address is known; the pipe is read on.
                let _ = sender.send(line);
            }
        });
        let host = wait_for("the registry's address", || {
            let line = lines.try_recv().ok()?;
            let (_, rest) = line.split_once("listening on ")?;
            let end = rest.find(['"', ' ', ',']).unwrap_or(rest.len());
            Some(rest[..end].to_owned())
        });
        Self { child, host }
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_package_goes_through_a_registry_and_foreign_clients_unchanged() {
    let tools = DebianTools::unpacked();
    let home = TempDir::new().unwrap();
    let registry = DockerRegistry::start(&tools, home.path());
    let package = model_signed(&home.path().join("p"));
    let ours = contents(&package);
    let openlora = |args: &[&str]| {
        let command = openlora(home.path()).args(["--json", "-q"]);
        json_of(command.args(args.iter().copied()).run())
    };
    let place = format!("{}/ada/tone", registry.host);
    let pushed = openlora(&["push", "p", &format!("oci://{place}:1.0.0")]);
    let oci = pushed["oci_sha256"].as_str().unwrap().to_owned();
    assert_eq!(pushed["location"], format!("oci://{place}@sha256:{oci}"));
    // Whatever is there is not sent again, and the digest is the same.
    let again = openlora(&["push", "p", &format!("oci://{place}:1.0.0")]);
    assert_eq!(
        (&again["oci_sha256"], &again["sent"]),
        (&json!(oci), &json!(0))
    );

    let docker = format!("docker://{place}:1.0.0");
    let raw = tools.skopeo(&["inspect", "--raw", "--tls-verify=false", &docker]);
    assert_eq!(Digest::hash_bytes(raw.as_bytes()).to_string(), oci);
    let manifest: Value = serde_json::from_str(&raw).unwrap();
    assert_eq!(
        manifest["artifactType"],
        "application/vnd.cncf.model.manifest.v1+json"
    );
    // The signature refers to the package, by the tag that stands for it in such a registry.
    let referrers = format!("docker://{place}:sha256-{oci}");
    let raw = tools.skopeo(&["inspect", "--raw", "--tls-verify=false", &referrers]);
    let index: Value = serde_json::from_str(&raw).unwrap();
    assert_eq!(
        index["manifests"][0]["artifactType"],
        "application/vnd.dev.sigstore.bundle.v0.3+json"
    );
    assert_eq!(index["manifests"].as_array().unwrap().len(), 1);

    let layout = format!("oci:{}:v1", home.path().join("copied").display());
    tools.skopeo(&["copy", "-q", "--src-tls-verify=false", &docker, &layout]);
    let mirror = format!("docker://{}/mirror/tone:v1", registry.host);
    tools.skopeo(&["copy", "-q", "--dest-tls-verify=false", &layout, &mirror]);
    for location in [
        format!("oci://{place}@sha256:{oci}"),
        "oci-layout:copied:v1".to_owned(),
        format!("oci://{}/mirror/tone:v1", registry.host),
    ] {
        let pulled = openlora(&["pull", &location]);
        assert_eq!(pulled["oci_sha256"], json!(oci), "{location}");
        assert_eq!(pulled["manifest_sha256"], pushed["manifest_sha256"]);
        assert_eq!(contents(Path::new(pulled["dir"].as_str().unwrap())), ours);
    }
    // A layout of ours is read by skopeo too.
    openlora(&["push", "p", "oci-layout:mine:v1"]);
    let mine = format!("oci:{}:v1", home.path().join("mine").display());
    let raw = tools.skopeo(&["inspect", "--raw", &mine]);
    assert_eq!(Digest::hash_bytes(raw.as_bytes()).to_string(), oci);

    let folder = home.path().join("oras");
    let script = suite("oras").join("suite.py");
    let mut oras = Command::new(python("oras"));
    oras.arg(script).arg(format!("{place}:1.0.0")).arg(&folder);
    assert_eq!(run(&mut oras), format!("{}\n", ours.len()));
    assert_eq!(contents(&folder), ours);
}

/// A host that publishes the files of a folder, and stops after so many bytes of the weights in its
/// first answer. Returns its address and the ranges that were asked for.
fn halting_host(
    files: BTreeMap<String, Vec<u8>>,
    after: usize,
) -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/tone", listener.local_addr().unwrap());
    let (sender, ranges) = mpsc::channel();
    std::thread::spawn(move || {
        let mut halted = Vec::new();
        for stream in listener.incoming().map_while(Result::ok) {
            if let Some(stream) = answer(stream, &files, &sender, after, halted.is_empty()) {
                // It stays open and says nothing more.
                halted.push(stream);
            }
        }
    });
    (url, ranges)
}

fn answer(
    mut stream: TcpStream,
    files: &BTreeMap<String, Vec<u8>>,
    ranges: &mpsc::Sender<String>,
    after: usize,
    halts: bool,
) -> Option<TcpStream> {
    let mut head = String::new();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) <= 2 {
            break;
        }
        head.push_str(&line);
    }
    let path = head.split(' ').nth(1).unwrap_or_default();
    let name = path.trim_start_matches("/tone/");
    let Some(bytes) = files.get(name) else {
        let missing = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        stream.write_all(missing.as_bytes()).unwrap();
        return None;
    };
    let range = head.to_lowercase().lines().find_map(|line| {
        let range = line.strip_prefix("range: bytes=")?.strip_suffix('-')?;
        range.parse::<usize>().ok()
    });
    let start = range.unwrap_or(0);
    let is_weights = name == "adapter_model.safetensors";
    if is_weights {
        ranges.send(format!("{range:?}")).unwrap();
    }
    let (status, more) = match range {
        None => ("200 OK", String::new()),
        Some(start) => (
            "206 Partial Content",
            format!(
                "Content-Range: bytes {start}-{}/{}\r\n",
                bytes.len() - 1,
                bytes.len()
            ),
        ),
    };
    let rest = &bytes[start..];
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n{more}\r\n",
        rest.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    if is_weights && halts {
        stream.write_all(&rest[..after]).unwrap();
        return Some(stream);
    }
    stream.write_all(rest).unwrap();
    None
}

#[test]
fn a_killed_pull_goes_on_where_it_was() {
    let home = TempDir::new().unwrap();
    let package = packaged(home.path());
    let ours = contents(&package);
    let (url, ranges) = halting_host(ours.clone(), 1000);
    let mut command = openlora(home.path()).args(["pull", &url]).into_command();
    let mut pulling = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let store = home.path().join("home/data/store");
    let digest = openlora_package::read(&package).unwrap().manifest_sha256;
    let half = store.join(format!(
        "partial/sha256-{digest}/files/adapter_model.safetensors"
    ));
    wait_until("the first bytes of the weights", || {
        fs::metadata(&half).is_ok_and(|meta| meta.len() == 1000)
    });
    // SIGKILL.
    pulling.kill().unwrap();
    pulling.wait().unwrap();
    assert!(!store.join(format!("sha256-{digest}")).exists());
    let pulled = json_of(
        openlora(home.path())
            .args(["--json", "-q", "pull", &url])
            .run(),
    );
    assert_eq!(contents(Path::new(pulled["dir"].as_str().unwrap())), ours);
    assert_eq!(
        ranges.try_iter().collect::<Vec<_>>(),
        ["None", "Some(1000)"]
    );
}

#[test]
fn a_package_that_the_chain_does_not_register_is_not_stored() {
    let chain = Chain::embedded();
    let desk = Desk::at(chain.url());
    let host = TempDir::new().unwrap();
    let published = host.path().join("tone");
    copy(&desk.path().join("first"), &published);
    let (url, _ranges) = web_of(&published);
    desk.json(&["deploy", "first", "--uri", &url]);
    let (url_of_second, _ranges) = web_of(&desk.path().join("second"));
    let other = desk.run(&["-q", "deploy", "second", "--uri", &url]);
    let digest = |name: &str| {
        let package = openlora_package::read(&desk.path().join(name)).unwrap();
        package.manifest_sha256.to_string()
    };
    other.fails(
        9,
        &format!(
            "error: {url} holds the manifest sha256 {}, expected {}\nhint: do not use it; ask its \
             publisher for the package again\n",
            digest("first"),
            digest("second")
        ),
    );
    desk.run(&["-q", "deploy", "second", "--uri", "dir:second"])
        .fails(
            2,
            "error: --uri dir:second: other machines cannot read this place\nhint: push it first: \
         openlora push PKG oci://HOST/REPOSITORY\n",
        );
    desk.json(&["deploy", "second", "--uri", &url_of_second]);
    let explored = desk.json(&["explore", "tone"]);
    let uris = explored["adapters"][0]["releases"]
        .as_array()
        .unwrap()
        .iter();
    let uris: Vec<&Value> = uris.map(|release| &release["uri"]).collect();
    assert_eq!(uris, [&json!(url), &json!(url_of_second)]);
    let registry = explored["registry"].as_str().unwrap();
    let guest = guest(&chain);
    let pull = |what: &str| {
        openlora(guest.path())
            .args(["--json", "-q", "pull", what])
            .run()
    };
    let pulled = json_of(pull(&format!("tone@{registry}")));
    assert_eq!(pulled["manifest_sha256"], json!(digest("second")));
    assert_eq!(pulled["adapter_id"], explored["adapters"][0]["adapter_id"]);
    // The id alone means the same.
    let id = pulled["adapter_id"].as_str().unwrap();
    assert_eq!(json_of(pull(id))["fetched"], 0);
    pull(&format!("other@{registry}")).fails(
        2,
        &format!(
            "{}\n",
            json!({
                "code": "usage",
                "message": format!("no release of the registry {registry} is named `other`"),
                "hint": "`openlora explore` lists what is registered",
            })
        ),
    );
    // The place holds something else from now on.
    fs::remove_dir_all(guest.path().join("home/data/store")).unwrap();
    fs::remove_dir_all(desk.path().join("second")).unwrap();
    copy(&published, &desk.path().join("second"));
    let refused = pull(id);
    assert_eq!(refused.code, 9, "{}", refused.stderr);
    let error: Value = serde_json::from_str(&refused.stderr).unwrap();
    let expected = explored["adapters"][0]["releases"][1]["manifest_sha256"].as_str();
    assert_eq!(
        error["message"],
        format!(
            "{url_of_second} holds the manifest sha256 {}, expected {}",
            digest("first"),
            expected.unwrap()
        )
    );
    let store = fs::read_dir(guest.path().join("home/data/store"));
    let names = store
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(!names.into_iter().any(|name| name.starts_with("sha256-")));
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for (name, bytes) in contents(from) {
        let target = to.join(name);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::write(target, bytes).unwrap();
    }
}

/// A host that publishes a folder as it is at each moment.
fn web_of(dir: &Path) -> (String, std::thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/tone", listener.local_addr().unwrap());
    let dir = dir.to_owned();
    let serving = std::thread::spawn(move || {
        let (sender, ranges) = mpsc::channel();
        for stream in listener.incoming().map_while(Result::ok) {
            drop(answer(stream, &contents(&dir), &sender, 0, false));
            ranges.try_iter().for_each(drop);
        }
    });
    (url, serving)
}

/// A home that knows the chain, and pays with an account of the development chain.
fn visitor(chain: &Chain) -> TempDir {
    let home = TempDir::new().unwrap();
    fs::write(
        home.path().join("openlora.toml"),
        format!("[network.local]\nrpc = \"{}\"\n", chain.url()),
    )
    .unwrap();
    home
}

/// The same with an account of its own.
fn guest(chain: &Chain) -> TempDir {
    let home = visitor(chain);
    fs::write(home.path().join("pw"), "correct horse battery\n").unwrap();
    let new = [
        "wallet",
        "new",
        "guest",
        "--light-kdf",
        "--password-file",
        "pw",
    ];
    openlora(home.path()).args(new).run().succeeds();
    home
}

#[test]
fn a_project_file_has_no_packages_fetched() {
    let home = TempDir::new().unwrap();
    let project = home.path().join("openlora.toml");
    fs::write(&project, "[serve]\nfrom_registry = \"network\"\n").unwrap();
    let serve = ["serve", "--local", "--free", "--port", "0"];
    openlora(home.path()).args(serve).run().fails(
        3,
        &format!(
            "error: {}: `serve.from_registry` of a project file lets callers have packages \
             fetched\nhint: if you mean it, add --from-registry\n",
            project.display()
        ),
    );
}

/// A payment of the right form that pays nothing.
fn unsigned_payment() -> String {
    let payment = json!({
        "x402Version": 2,
        "accepted": {
            "scheme": "exact", "network": "eip155:31337", "amount": "1000",
            "asset": OWN, "payTo": OWN, "maxTimeoutSeconds": 60, "extra": {},
        },
        "payload": {
            "signature": format!("0x{}", "00".repeat(65)),
            "authorization": {
                "from": OWN, "to": OWN, "value": "1000", "validAfter": "0",
                "validBefore": "4000000000", "nonce": format!("0x{}", "00".repeat(32)),
            },
        },
    });
    STANDARD.encode(payment.to_string())
}

/// A release of `tone` by an account, with a place where its package is.
fn registered(chain: &Chain, account_name: &str) -> (Desk, std::thread::JoinHandle<()>, Value) {
    let desk = Desk::at(chain.url());
    if account_name == "rich" {
        let about = PackageMetadata {
            publisher: Some(ADDRESS.parse().unwrap()),
            ..own_about("1.0.0")
        };
        fs::remove_dir_all(desk.path().join("first")).unwrap();
        package_by(&account(KEY), &desk.path().join("first"), &about);
    }
    let (url, serving) = web_of(&desk.path().join("first"));
    let deployed = desk
        .openlora(&["--json", "-q", "deploy", "first", "--uri", &url])
        .env("OPENLORA_WALLET_ACCOUNT", account_name)
        .run();
    let deployed = json_of(deployed);
    (desk, serving, deployed)
}

#[test]
fn a_name_that_several_registered_is_told_apart_by_its_publisher() {
    let chain = Chain::embedded();
    let (_own, _served, first) = registered(&chain, "own");
    let (_other, _too, second) = registered(&chain, "rich");
    let buyer = visitor(&chain);
    let registry = contract("OpenLoraRegistry");
    let pull = |what: &str| {
        openlora(buyer.path())
            .args(["--json", "-q", "pull", &format!("{what}@{registry}")])
            .run()
    };
    let refused = pull("tone");
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    let error: Value = serde_json::from_str(&refused.stderr).unwrap();
    let message = error["message"].as_str().unwrap();
    let beginning = format!("2 adapters of the registry {registry} are named `tone`: ");
    let listed = message.strip_prefix(&beginning).unwrap();
    let listed: Vec<&str> = listed.split("; ").collect();
    for (said, deployed) in listed.iter().zip([&first, &second]) {
        let (id, publisher) = (&deployed["adapter_id"], &deployed["publisher"]);
        let (id, publisher) = (id.as_str().unwrap(), publisher.as_str().unwrap());
        let beginning = format!("{id} of {publisher}, registered 20");
        assert!(said.starts_with(&beginning), "{said}");
    }
    let hint = error["hint"].as_str().unwrap();
    assert!(hint.contains("`0xPUBLISHER/tone`"), "{hint}");
    for deployed in [&first, &second] {
        let publisher = deployed["publisher"].as_str().unwrap();
        let pulled = json_of(pull(&format!("{publisher}/tone")));
        assert_eq!(pulled["adapter_id"], deployed["adapter_id"]);
    }
    let stranger = pull("0x00000000000000000000000000000000000000b2/tone");
    assert_eq!(stranger.code, 2, "{}", stranger.stderr);
}

#[test]
fn the_bytes_of_a_day_are_on_disk_and_not_overrun() {
    let home = TempDir::new().unwrap();
    let file = home.path().join("fetched-bytes.json");
    let open = || DailyBytes::open(file.clone(), 100);
    let budget = open();
    let first = budget.reserve(7, 60).unwrap();
    assert_eq!(first.bytes, 60);
    // A second fetch at the same time gets what is left, a third one nothing; so after a restart.
    let second = budget.reserve(7, 60).unwrap();
    assert_eq!(second.bytes, 40);
    let refused = open().reserve(7, 1).unwrap_err();
    assert_eq!(
        refused.message,
        "100 bytes were fetched for calls today, and `serve.registry_daily` allows 100"
    );
    // What was not fetched is free again. The first one was cut off by a crash, and counts.
    budget.record(second, 10).unwrap();
    assert_eq!(open().reserve(7, 100).unwrap().bytes, 30);
    // A clock that goes back gives nothing anew; the next day does.
    assert!(open().reserve(6, 1).is_err());
    assert_eq!(open().reserve(8, 100).unwrap().bytes, 100);
    // What ends on the next day was of the day before.
    budget.record(first, 1).unwrap();
    assert!(open().reserve(8, 1).is_err());
}

#[test]
fn the_store_is_bounded_and_keeps_what_is_kept() {
    let desk = Desk::new();
    let place = |name: &str| format!("dir:{name}");
    let list = || -> Vec<Value> {
        let listed = json_of(desk.run(&["--json", "store", "list"]));
        listed.as_array().unwrap().clone()
    };
    let versions = |listed: &[Value]| -> Vec<String> {
        let versions = listed
            .iter()
            .map(|it| it["version"].as_str().unwrap().to_owned());
        versions.collect()
    };
    desk.json(&["pull", &place("first")]);
    desk.json(&["pull", &place("second")]);
    let listed = list();
    assert_eq!(versions(&listed), ["1.1.0", "1.0.0"]);
    let bytes: u64 = listed.iter().map(|it| it["bytes"].as_u64().unwrap()).sum();
    // A third one needs the room of one. The first is used again, so the second one goes.
    desk.json(&["pull", &place("first")]);
    package(desk.path(), "third", &own_about("1.2.0"));
    let pull = |name: &str, most: u64| {
        desk.openlora(&["--json", "-q", "pull", &place(name)])
            .env("OPENLORA_STORE_MAX_BYTES", &most.to_string())
            .run()
    };
    json_of(pull("third", bytes + 10));
    assert_eq!(versions(&list()), ["1.2.0", "1.0.0"]);
    // What is kept does not go; where that leaves no room, nothing is pulled.
    for version in list() {
        let digest = version["manifest_sha256"].as_str().unwrap();
        let kept = desk.json(&["store", "keep", &digest[..12]]);
        assert_eq!(kept[0]["kept"], true);
    }
    let refused = pull("second", bytes + 10);
    assert_eq!(refused.code, 4, "{}", refused.stderr);
    assert!(
        refused.stderr.contains("has no room for"),
        "{}",
        refused.stderr
    );
    assert_eq!(versions(&list()), ["1.2.0", "1.0.0"]);
    let first = &list()[1]["manifest_sha256"];
    let first = first.as_str().unwrap().to_owned();
    desk.json(&["store", "keep", &first, "--no-longer"]);
    json_of(pull("second", bytes + 10));
    assert_eq!(versions(&list()), ["1.1.0", "1.2.0"]);
    // By name only if one package has it.
    let several = desk.run(&["store", "remove", "tone"]);
    assert_eq!(several.code, 2, "{}", several.stderr);
    let digest = list()[0]["manifest_sha256"].as_str().unwrap().to_owned();
    desk.json(&["store", "remove", &digest]);
    assert_eq!(versions(&list()), ["1.2.0"]);
    desk.configure("[store]\nmax_bytes = 5\n");
    let refused = desk.run(&["store", "list"]);
    assert_eq!(refused.code, 3, "{}", refused.stderr);
}

#[test]
fn a_stranger_serves_from_the_registry_and_the_publisher_is_paid() {
    let chain = Chain::embedded();
    let desk = Desk::at(chain.url());
    let (url, _serving) = web_of(&desk.path().join("first"));
    let (stranger, buyer) = (guest(&chain), visitor(&chain));
    let address = openlora(stranger.path()).args(["wallet", "address"]).run();
    let address = address.succeeds().stdout.trim().to_owned();
    let deploy = ["deploy", "first", "--uri", &url, "--server", &address];
    let deployed = desk.json(&deploy);
    assert_eq!(deployed["publisher"], OWN);
    let base = golden("llama").display().to_string();
    let serve = openlora(stranger.path())
        .env("OPENLORA_PASSWORD_FILE", "pw")
        .args(serve_on(&base, "0"))
        .args(["--local", "--json", "--from-registry"]);
    let server = Live::of(serve);
    assert_eq!(server.ready["adapters"], json!([]));
    // What is for sale is listed and has its terms, and nobody has it fetched for nothing.
    let store = stranger.path().join("home/data/store");
    let is_fetched = || {
        let names = fs::read_dir(&store).into_iter().flatten().flatten();
        names
            .map(|it| it.file_name())
            .any(|it| it.to_string_lossy().starts_with("sha256-"))
    };
    let rpc = Rpc::new(&server.url);
    let (_, listed) = rpc.http("GET", "/v1/models", &[], "");
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed["data"].as_array().unwrap().len(), 1, "{listed}");
    assert_eq!(
        (&listed["data"][0]["id"], &listed["data"][0]["loaded"]),
        (&json!("tone"), &json!(false))
    );
    let id = deployed["adapter_id"].as_str().unwrap();
    let (payment, header) = (unsigned_payment(), "payment-signature");
    for name in ["tone", id] {
        let asked = json!({ "model": name, "messages": [{ "role": "user", "content": "hello" }] });
        let json = ("content-type", "application/json");
        for headers in [&[json][..], &[json, (header, payment.as_str())]] {
            let path = "/v1/chat/completions";
            let answer = rpc.post(path, headers, &asked.to_string());
            assert_eq!(answer.status().as_u16(), 402, "{name} {headers:?}");
            let terms = answer.headers()["payment-required"].as_bytes();
            let answer: Value = serde_json::from_slice(&STANDARD.decode(terms).unwrap()).unwrap();
            let offer = &answer["accepts"][0];
            assert_eq!(offer["payTo"], deployed["splitter"], "{answer}");
        }
    }
    assert!(!is_fetched());
    let call = |adapter: &str| {
        openlora(buyer.path())
            .args(["--json", "-q", "-y", "call", "hello", "--max-tokens", "8"])
            .args(["--adapter", adapter, "--url", &server.url])
            .run()
    };
    let unknown = call("nobody");
    assert_eq!(unknown.code, 2, "{}", unknown.stderr);
    let paid = json_of(call("tone"));
    assert!(paid["receipt"].is_object(), "{paid}");
    assert!(is_fetched());
    let spent = fs::read_to_string(stranger.path().join("home/data/fetched-bytes.json"));
    let spent: Value = serde_json::from_str(&spent.unwrap()).unwrap();
    assert!(spent["bytes"].as_u64().unwrap() > 0, "{spent}");
    // By its id it is another model of the same weights.
    json_of(call(id));
    assert_eq!(server.drain().0, 0);
    let journal = stranger.path().join("home/data/journal.sqlite");
    let mut reader = openlora_journal::Journal::open_read_only(&journal).unwrap();
    let mut served = Vec::new();
    reader
        .replay(1, |record| {
            if let Event::ReleaseServed(release) = &record.event {
                served.push(release.splitter.clone());
            }
        })
        .unwrap();
    assert_eq!(served, [deployed["splitter"].as_str().unwrap()]);
    let explored = desk.json(&["explore", "tone"]);
    let revenue = &explored["adapters"][0]["releases"][0]["revenue"];
    let received: u128 = revenue["received"].as_str().unwrap().parse().unwrap();
    assert!(received > 0, "{explored}");
}

#[test]
fn weights_that_are_registered_again_pay_whom_they_paid() {
    let chain = Chain::embedded();
    let desk = Desk::at(chain.url());
    let (stranger, buyer) = (guest(&chain), visitor(&chain));
    let address = openlora(stranger.path()).args(["wallet", "address"]).run();
    let address = address.succeeds().stdout.trim().to_owned();
    // Somebody else's release of the same weights, whose calls would pay somebody else.
    let thief = account(KEY);
    let about = PackageMetadata {
        name: "copy".to_owned(),
        publisher: Some(thief.address()),
        split: RevenueSplitOptions {
            creator_address: Some(thief.address()),
            ..own_about("1.0.0").split
        },
        ..own_about("1.0.0")
    };
    package_by(&thief, &desk.path().join("copy"), &about);
    let mut splitters = Vec::new();
    let mut hosts = Vec::new();
    for (package, by) in [("first", "own"), ("copy", "rich")] {
        let (url, serving) = web_of(&desk.path().join(package));
        hosts.push(serving);
        let deploy = [
            "deploy",
            package,
            "--uri",
            &url,
            "--server",
            &address,
            "--account",
            by,
        ];
        let deployed = desk.json(&deploy);
        splitters.push(deployed["splitter"].as_str().unwrap().to_owned());
    }
    assert_ne!(splitters[0], splitters[1]);
    let base = golden("llama").display().to_string();
    let serve = openlora(stranger.path())
        .env("OPENLORA_PASSWORD_FILE", "pw")
        .args(serve_on(&base, "0"))
        .args(["--local", "--json", "--from-registry"]);
    let server = Live::of(serve);
    let call = |adapter: &str| {
        openlora(buyer.path())
            .args(["--json", "-q", "-y", "call", "hello", "--max-tokens", "8"])
            .args(["--adapter", adapter, "--url", &server.url])
            .run()
    };
    json_of(call("tone"));
    let refused = call("copy");
    assert_ne!(refused.code, 0, "{}", refused.stdout);
    json_of(call("tone"));
    assert_eq!(server.drain().0, 0);
    let journal = stranger.path().join("home/data/journal.sqlite");
    let mut reader = openlora_journal::Journal::open_read_only(&journal).unwrap();
    let mut paid = Vec::new();
    reader
        .replay(1, |record| match &record.event {
            Event::ReleaseServed(release) => paid.push(release.splitter.clone()),
            Event::CallMetered { charge, .. } => {
                paid.push(charge.as_ref().unwrap().receiver.to_string());
            }
            _ => {}
        })
        .unwrap();
    assert!(paid.len() >= 3, "{paid:?}");
    assert!(
        paid.iter().all(|to| to == &splitters[0]),
        "{paid:?}, {splitters:?}"
    );
}
