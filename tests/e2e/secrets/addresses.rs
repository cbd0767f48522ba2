//! Addresses with credentials: none of them is printed, logged or kept where others read it.

use std::{fs, path::Path};

use openlora_core::private::redact;

use crate::support::{Run, openlora};

/// In an address, and nowhere in what is said about it.
const USER: &str = "oper4tor-name";
const PASSWORD: &str = "p4ssword-of-the-node";
const KEY: &str = "0a1b2c3d4e5f60718293a4b5c6d7e8f9";
const QUERY: &str = "qu3ry-key-of-the-node";

/// With everything that an address can carry. Nobody listens on port 9.
fn address(path: &str) -> String {
    format!("http://{USER}:{PASSWORD}@127.0.0.1:9{path}/v3/{KEY}?apikey={QUERY}")
}

#[track_caller]
fn assert_silent(run: &Run, what: &str) {
    let said = format!("{}{}", run.stdout, run.stderr);
    for secret in [USER, PASSWORD, KEY, QUERY] {
        assert!(!said.contains(secret), "{what} says {secret}:\n{said}");
    }
}

/// Runs a command as a person, as a program, and with all logs.
fn silent(dir: &Path, args: &[&str]) {
    let what = args.join(" ");
    assert_silent(&openlora(dir).args(args.iter().copied()).run(), &what);
    let json = std::iter::once("--json").chain(args.iter().copied());
    assert_silent(&openlora(dir).args(json).run(), &format!("--json {what}"));
    let logged = openlora(dir)
        .args(args.iter().copied())
        .env("OPENLORA_LOG", "trace");
    assert_silent(&logged.run(), &format!("{what} with all logs"));
}

#[test]
fn an_rpc_s_credentials_are_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let config = format!(
        "[project]\nnetwork = \"node\"\n[network.node]\nchain_id = 5\nrpc = \"{}\"\n\
         token = \"0x036CbD53842c5426634e7929541eC2318f3dCF7e\"\n",
        address("")
    );
    fs::write(dir.path().join("openlora.toml"), config).unwrap();
    fs::write(dir.path().join("password"), "a long enough password\n").unwrap();
    let made = [
        "wallet",
        "new",
        "me",
        "--light-kdf",
        "--password-file",
        "password",
    ];
    openlora(dir.path()).args(made).run().succeeds();
    let release = "0x00000000000000000000000000000000000000000000000000000000000000aa";
    let password = ["--password-file", "password"];
    for args in [
        &["config", "show"][..],
        &["config", "show", "--origin"],
        &["config", "path"],
        &["doctor"],
        &["wallet", "balance", "me"],
        &["explore"],
        &["explore", release],
        &["earnings"],
        &["earnings", "--audit"],
        &["channel", "list"],
        &["settle", "--dry-run"],
        &["withdraw", "--dry-run"],
        &[&["settle"], &password[..]].concat(),
        &["--offline", "wallet", "balance", "me"],
        &["dash"],
    ] {
        silent(dir.path(), args);
    }
}

#[test]
fn a_hub_s_credentials_are_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let config = format!(
        "[base]\nid = \"some/model\"\nendpoint = \"{}\"\n[serve]\nport = 0\n",
        address("")
    );
    fs::write(dir.path().join("openlora.toml"), config).unwrap();
    fs::write(dir.path().join("data.jsonl"), "{\"text\": \"hello\"}\n").unwrap();
    for args in [
        &["config", "show", "--origin"][..],
        &["doctor"],
        &["train", "--data", "data.jsonl"],
        &["--offline", "train", "--data", "data.jsonl"],
        &["data", "preview", "data.jsonl"],
    ] {
        silent(dir.path(), args);
    }
}

#[test]
fn credentials_on_the_command_line_and_in_variables_are_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    // A chain that does not answer, so that no development chain is started.
    let config = "[network.local]\nrpc = \"http://127.0.0.1:9\"\n";
    fs::write(dir.path().join("openlora.toml"), config).unwrap();
    let server = address("");
    for args in [
        &["call", "hello", "--url", &server][..],
        &[
            "--offline",
            "call",
            "hello",
            "--url",
            "http://oper4tor-name:p4ssword-of-the-node@10.0.0.1",
        ],
        &["call", "hello", "surplus", &server],
        &[
            "call",
            "hello",
            "--url",
            "ftp://oper4tor-name:p4ssword-of-the-node@host/",
        ],
        &["--accessible", "dash", "--attach", &server],
        &[
            "dash",
            "--attach",
            "http://oper4tor-name:p4ssword-of-the-node@/",
        ],
        &[
            "--offline",
            "--accessible",
            "dash",
            "--attach",
            "http://oper4tor-name:p4ssword-of-the-node@10.0.0.1",
        ],
        &["channel", "open", "--url", &server],
        &["claim", "--log", &server],
        &["audit", "--log", &server, "x"],
        &["receipts", "show", "x", "--why", "--url", &server],
        &["config", "set", "--user", "base.endpoint", &server],
        &["config", "set", "--user", "base.endpoints", &server],
        &["config", "set", "--user", "train.rank", &server],
        &["config", "show"],
    ] {
        silent(dir.path(), args);
    }
    // It is there all the same, for its owner.
    let user = fs::read_to_string(dir.path().join("home/config/config.toml")).unwrap();
    assert!(user.contains(&server), "{user}");
    for (variable, value) in [
        ("OPENLORA_BASE_ENDPOINT", server.as_str()),
        ("OPENLORA_SERVE_PUBLIC_URL", &server),
        ("OPENLORA_TRAIN_RANK", &server),
        ("HTTPS_PROXY", &server),
    ] {
        let run = openlora(dir.path())
            .args(["config", "show", "--origin"])
            .env(variable, value)
            .run();
        assert_silent(&run, variable);
    }
}

#[test]
fn broken_settings_files_say_nothing_of_their_addresses() {
    let server = address("");
    for text in [
        format!("[network.node]\nrpc = [\"{server}\"]\n"),
        format!("[network.node]\nrpc2 = \"{server}\"\n"),
        format!("[train]\nrank = \"{server}\"\n"),
        format!("[base]\nendpoint = \"{server}\" oops\n"),
        format!("[serve]\nnetworks = [\"{server}\", 3]\n"),
        format!("[project]\nnetwork = \"{server}\"\n"),
        format!("[[data]]\npath = \"{server}\"\ncontributor = 3\n"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("openlora.toml"), &text).unwrap();
        silent(dir.path(), &["config", "show"]);
        silent(dir.path(), &["wallet", "balance"]);
    }
}

#[test]
fn an_address_is_shown_without_what_opens_it() {
    for (address, shown) in [
        ("https://host", "https://host"),
        ("https://host:8080/a/b", "https://host:8080/a/b"),
        (
            "https://host/v1/chat/completions",
            "https://host/v1/chat/completions",
        ),
        ("https://user@host/a", "https://host/a"),
        ("https://user:pass@host/a", "https://host/a"),
        ("https://us@er:p@ss@host/a", "https://host/a"),
        (
            "https://host/v3/0a1b2c3d4e5f60718293a4b5c6d7e8f9",
            "https://host/v3/…",
        ),
        ("https://host/v2/Qw3rTy-UiOp_1234/x", "https://host/v2/…/x"),
        ("https://host/a?apikey=x&b=c", "https://host/a?…"),
        ("https://host/a#token", "https://host/a#…"),
        ("wss://u:p@host?x", "wss://host?…"),
        ("no address", "no address"),
        ("https://", "https://"),
    ] {
        assert_eq!(redact::address(address), shown, "{address}");
    }
    // Even of addresses that nobody gave to this program.
    let text = "cannot reach 'https://a:b@host/x' or (http://c@other)";
    assert_eq!(
        redact::scrub(text),
        "cannot reach 'https://host/x' or (http://other)"
    );
    redact::register_credentials("rpc = \"https://me:Sup3rSecret@node.example/k?key=abcdefgh12\"");
    for (text, scrubbed) in [
        (
            "at https://me:Sup3rSecret@node.example/k?key=abcdefgh12: no",
            "at https://node.example/k?…: no",
        ),
        ("password Sup3rSecret and abcdefgh12", "password … and …"),
        ("Basic bWU6U3VwM3JTZWNyZXQ=", "Basic …"),
        ("nothing", "nothing"),
    ] {
        assert_eq!(redact::scrub(text), scrubbed);
    }
    redact::remember_endpoint("https://short.example/k3y");
    assert_eq!(
        redact::scrub("url=https://short.example/k3y x"),
        "url=https://short.example x"
    );
}
