//! `serve` as a process: what it says, what it refuses, how it ends.

use std::net::TcpListener;

use regex::Regex;
use serde_json::{Value, json};

use crate::{
    live::{Live, golden, serve_args, write_adapters},
    serve_support::reply,
    support::openlora,
};

/// An empty home with the two adapters in it.
fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    write_adapters(home.path());
    home
}

#[test]
fn serve_says_where_it_is_and_drains() {
    let home = home();
    let server = Live::start(home.path(), 0);
    let expected =
        json!({ "url": server.url, "adapters": ["persona", "filter"], "network": "local" });
    assert_eq!(server.ready, expected);
    let url = server.url.clone();
    let (code, rest, said) = server.drain();
    assert_eq!((code, rest.as_str()), (0, ""));
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(
        lines[..3],
        [
            "engine: native (2 adapters share one base in memory)",
            "persona: f32 weights (as asked for)",
            "filter: f32 weights (as asked for)"
        ]
    );
    let expected = [
        format!("serving persona, filter at {url}, free of charge; Ctrl-C drains"),
        format!("  openlora call \"hello\" --adapter persona --url {url}"),
        format!(
            "  curl {url}/v1/chat/completions -H 'content-type: application/json' -d \
             '{{\"model\":\"persona\",\"messages\":[{{\"role\":\"user\",\"content\":\"hello\"}}]}}'"
        ),
        "draining: running calls finish, new ones are refused; again to hurry".to_owned(),
        "drained: every call is counted".to_owned(),
    ];
    assert_eq!(lines[3..], expected);
}

#[test]
fn local_serving_takes_no_money_elsewhere() {
    let home = home();
    openlora(home.path())
        .args(["serve", "--local", "--network", "base-sepolia"])
        .run()
        .fails(
            2,
            "error: --local serves on development chains, not on `base-sepolia`\n\
             hint: leave --local out to serve there, or add `--network local`\n",
        );
}

#[test]
fn calls_are_not_sold_for_nobody() {
    let home = home();
    let args = serve_args(0);
    let args = args
        .iter()
        .map(String::as_str)
        .filter(|arg| !["--json", "--free"].contains(arg));
    let tried = openlora(home.path())
        .args(args)
        .env("OPENLORA_DEVNET_PORT", "0")
        .run();
    openlora(home.path()).args(["devnet", "stop"]).run();
    assert_eq!(tried.code, 3, "{}", tried.stderr);
    let told: Vec<&str> = tried.stderr.lines().rev().take(2).collect();
    assert_eq!(
        told,
        [
            "hint: register it: openlora deploy; or serve without payment: openlora serve --local --free",
            "error: persona is not registered on `local`, so nobody could be paid for its calls",
        ]
    );
}

#[test]
fn a_taken_port_is_exit_4() {
    let home = home();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let args = serve_args(port);
    let args = args
        .iter()
        .map(String::as_str)
        .filter(|arg| *arg != "--json");
    openlora(home.path()).args(args).run().fails(
        4,
        &format!(
            "error: cannot listen on 127.0.0.1:{port}: address already in use\n\
             hint: another program uses port {port}: stop it, or choose another port with --port N \
             (0 takes a free one)\n"
        ),
    );
}

#[test]
fn another_address_needs_a_flag() {
    let home = home();
    openlora(home.path())
        .args(["serve", "--local", "--free", "--host", "0.0.0.0"])
        .run()
        .fails(
            2,
            "error: other machines can reach 0.0.0.0, and calls there would be free\n\
         hint: add --expose if that is meant, or leave --host out\n",
        );
    openlora(home.path())
        .args(["serve", "--local", "--free", "--host", "here"])
        .run()
        .fails(
            2,
            "error: serve.host must be an IP address or localhost, found `here`\n\
         hint: use --host 127.0.0.1 for this machine\n",
        );
}

#[test]
fn one_home_has_one_server() {
    let home = home();
    let server = Live::start(home.path(), 0);
    let args = serve_args(0);
    let args = args
        .iter()
        .map(String::as_str)
        .filter(|arg| *arg != "--json");
    let second = openlora(home.path()).args(args).run();
    assert_eq!((second.code, second.stdout.as_str()), (0, ""));
    // The second command hands its adapters over to the server.
    for name in ["persona", "filter"] {
        let line = format!("the server at {} serves {name} already\n", server.url);
        assert!(second.stderr.contains(&line), "{}", second.stderr);
    }
    assert_eq!(server.drain().0, 0);
}

#[test]
fn adapters_are_named_and_found() {
    let home = home();
    let base = golden("llama").display().to_string();
    let serve = |adapters: &[&str]| {
        let fixed = [
            "serve", "--local", "--free", "--port", "0", "--quant", "f32", "--base", &base,
        ];
        let named = adapters.iter().flat_map(|adapter| ["--adapter", adapter]);
        openlora(home.path())
            .args(fixed.into_iter().chain(named))
            .run()
    };
    let hint = "hint: name the model and its folder: --adapter sentiment=runs/…/adapter\n";
    serve(&["persona"]).fails(
        2,
        &format!("error: --adapter persona: expected NAME=PATH\n{hint}"),
    );
    serve(&["a b=persona"]).fails(
        2,
        &format!(
            "error: --adapter a b=persona: expected a name of letters, digits and any of - _ . \
             before the =\n{hint}"
        ),
    );
    let twice = serve(&["x=persona", "x=filter"]);
    assert_eq!((twice.code, twice.stdout.as_str()), (2, ""));
    assert!(
        twice.stderr.ends_with(
            "error: two adapters are named `x`\nhint: give each adapter its own name: --adapter NAME=PATH\n"
        ),
        "{}",
        twice.stderr
    );
    let missing = serve(&["x=nowhere"]);
    assert_eq!(missing.code, 3, "{}", missing.stderr);
}

#[test]
fn a_second_signal_cuts_running_calls() {
    let home = home();
    let mut server = Live::start(home.path(), 0);
    server.signal("INT");
    server.signal("INT");
    // Nothing runs, so the first one already ends it.
    assert_eq!(server.wait().0, 0);
}

#[test]
fn a_home_that_cannot_be_written_is_exit_4() {
    let home = home();
    std::fs::write(
        home.path().join("home"),
        "a file where the folder should be",
    )
    .unwrap();
    let args = serve_args(0);
    let args = args
        .iter()
        .map(String::as_str)
        .filter(|arg| *arg != "--json");
    openlora(home.path()).args(args).run().fails(
        4,
        &format!(
            "error: cannot create the folder {}: not a directory\n",
            home.path().join("home/data").display()
        ),
    );
}

/// `serve` for payment on the development chain, without asking anything.
fn paid(home: &std::path::Path) -> crate::support::Invocation {
    let args = serve_args(0);
    let args = args
        .iter()
        .map(String::as_str)
        .filter(|arg| *arg != "--free" && *arg != "filter=filter");
    // The second `--adapter` has lost its value.
    let args: Vec<&str> = args.collect();
    openlora(home)
        .args(args[..args.len() - 1].iter().copied())
        .env("OPENLORA_DEVNET_PORT", "0")
}

#[test]
fn an_account_made_after_deploying_without_one_does_not_stop_serving() {
    let home = home();
    let dir = home.path();
    let base = golden("llama").display().to_string();
    let run = |args: &[&str]| {
        openlora(dir)
            .env("OPENLORA_DEVNET_PORT", "0")
            .args(args.iter().copied())
            .run()
    };
    let package = ["package", "persona", "--out", "pkg", "--base", &base];
    run(&package).succeeds();
    run(&["deploy", "pkg"]).succeeds();
    let server = Live::of(paid(dir));
    // The command that the server prints works as it stands.
    let url = server.url.clone();
    let call = format!("  openlora call \"hello\" --adapter persona --url {url}");
    run(&["call", "hello", "--adapter", "persona", "--url", &url]).succeeds();
    let (code, _, said) = server.drain();
    assert_eq!(code, 0);
    let printed: Vec<&str> = said.lines().filter(|it| it.starts_with("  ")).collect();
    let others =
        format!("  other programs pay as https://www.x402.org describes; prices: {url}/v1/models");
    assert_eq!(printed, [call, others]);
    // Amounts are in the token's units.
    let moved =
        Regex::new("^a (deposit|claim) of (.+) (into|from) channel 0x[0-9a-f]{64}.*: sent as 0x");
    let moved = moved.unwrap();
    let moved = said
        .lines()
        .filter_map(|line| Some(moved.captures(line)?[2].to_owned()));
    let moved: Vec<String> = moved.collect();
    assert!(!moved.is_empty(), "{said}");
    let sum = Regex::new(r"^0\.\d+ dUSD$").unwrap();
    assert!(moved.iter().all(|it| sum.is_match(it)), "{moved:?}");
    std::fs::write(dir.join("pw"), "correct horse battery\n").unwrap();
    let new = ["wallet", "new", "me", "--password-file", "pw"];
    run(&new).succeeds();
    let (code, _, said) = Live::of(paid(dir)).drain();
    assert_eq!(code, 0, "{said}");
    let note = "persona was registered without a wallet: signing with the development chain's \
                account 1, 0x70997970C51812dc3A010C7d01b50e0d17dc79C8, whose key everybody knows\n\
                hint: to sell from your own account: `openlora package --account NAME`, then \
                `openlora deploy --account NAME`\n";
    assert!(said.contains(note), "{said}");
    // An account that is named, and the package that the other one signed.
    std::fs::write(dir.join("pw"), "correct horse battery\n").unwrap();
    let other = run(&["deploy", "pkg", "--account", "me", "--password-file", "pw"]);
    let told: Vec<&str> = other.stderr.lines().rev().take(1).collect();
    assert_eq!(
        told,
        [
            "hint: package it again with this account: `openlora package --account NAME`, then \
             `openlora deploy --account NAME`; or deploy with the account that signed it"
        ]
    );
    // What the hint says works, beside a server that signs with the development account too.
    let server = Live::of(paid(dir));
    std::fs::remove_dir_all(dir.join("pkg")).unwrap();
    let own = ["--account", "me", "--password-file", "pw"];
    run(&[&package[..], &own[..]].concat()).succeeds();
    let deployed = run(&[&["deploy", "pkg"][..], &own[..]].concat()).succeeds();
    let development = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
    let url = server.url.clone();
    let accounts: Value = serde_json::from_str(&run(&["wallet", "list", "--json"]).stdout).unwrap();
    let publisher = accounts[0]["address"].as_str().unwrap();
    let refused = format!(
        "warning: persona is deployed and not served: the server at {url} could not do it: \
         {development} may not serve persona, which {publisher} registered: the registry does not \
         list it as a server\n\
         hint: a server uses one account: let this one serve it too, with {publisher} as NAME: \
         `openlora deploy --account NAME --server {development}`; or register it from this \
         account: `openlora package`, then `openlora deploy`; or serve it by itself from the \
         account that registered it: `openlora config set --user wallet.account NAME`\n"
    );
    assert!(deployed.stderr.ends_with(&refused), "{}", deployed.stderr);
    let let_it = ["deploy", "pkg", "--server", development];
    let allowed = run(&[&let_it[..], &own[..]].concat()).succeeds();
    let served = format!("the server at {url} serves persona already\n");
    assert!(allowed.stderr.ends_with(&served), "{}", allowed.stderr);
    assert_eq!(server.drain().0, 0);
    // The new account serves.
    let server = Live::of(paid(dir).env("OPENLORA_PASSWORD_FILE", "pw"));
    let (code, _, said) = server.drain();
    run(&["devnet", "stop"]).succeeds();
    assert_eq!(code, 0, "{said}");
    assert!(!said.contains("without a wallet"), "{said}");
}

#[tokio::test]
async fn the_settings_open_the_server_to_pages_and_name_its_address() {
    let home = home();
    let args = serve_args(0);
    let serve = openlora(home.path())
        .args(args.iter().map(String::as_str))
        .env("OPENLORA_SERVE_ORIGINS", "https://app.example")
        .env("OPENLORA_SERVE_PUBLIC_URL", "https://shop.example/");
    let server = Live::of(serve);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for (path, origin, allowed) in [
        (
            "/v1/models",
            "https://app.example",
            Some("https://app.example"),
        ),
        ("/v1/models", "https://evil.example", None),
        ("/metrics", "https://app.example", None),
    ] {
        let request = client.get(format!("{}{path}", server.url));
        let found = reply(request.header("origin", origin)).await;
        let told = found.header("access-control-allow-origin");
        assert_eq!(told, allowed, "{path} {origin}");
    }
    let (code, _, said) = server.drain();
    assert_eq!(code, 0);
    let told = "others reach it at https://shop.example";
    assert!(said.lines().any(|line| line == told), "{said}");
}
