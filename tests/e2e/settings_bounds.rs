//! A project file that somebody else wrote lowers what its reader spends, and raises nothing.

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::{Arc, Mutex},
    thread,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use openlora::commands::{
    CommandContext, network,
    printer::{ColorChoice, Printer, Verbosity},
    settings::{SettingLayers, read_file},
};
use openlora_runtime::home::AppDirs;

use crate::support::{Run, openlora};

fn write(dir: &Path, project: &str, own: &str) {
    let config = dir.join("home/config");
    fs::create_dir_all(&config).unwrap();
    let file = config.join("config.toml");
    fs::write(&file, own).unwrap();
    for (path, mode) in [(dir.join("home"), 0o700), (config, 0o700), (file, 0o600)] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    fs::write(dir.join("openlora.toml"), project).unwrap();
}

fn show(dir: &Path, variable: Option<(&str, &str)>) -> Run {
    let mut shown = openlora(dir).args(["--json", "config", "show"]);
    if let Some((name, value)) = variable {
        shown = shown.env(name, value);
    }
    shown.run()
}

#[track_caller]
fn value(run: Run, key: &str) -> String {
    let shown: Value = serde_json::from_str(&run.succeeds().stdout).unwrap();
    let value = &shown["settings"][key]["value"];
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// A server that asks everybody for a payment.
fn asks() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let terms = json!({
        "x402Version": 2, "error": null, "resource": { "url": url }, "accepts": [],
    });
    let terms = STANDARD.encode(terms.to_string());
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let _ = client.read(&mut [0; 4096]);
            let answer = format!(
                "HTTP/1.1 402 Payment Required\r\npayment-required: {terms}\r\n\
                 content-type: application/json\r\ncontent-length: 2\r\n\
                 connection: close\r\n\r\n{{}}"
            );
            let _ = client.write_all(answer.as_bytes());
        }
    });
    url
}

/// Key, what a project may say, what it may not, the reader's own, and what that allows.
const LIMITS: [(&str, &str, &str, &str, &str); 14] = [
    (
        "call.budget",
        "\"0.5\"",
        "\"1.000001\"",
        "",
        "at most \"1\" (default)",
    ),
    (
        "call.budget",
        "\"1.000\"",
        "\"10\"",
        "",
        "at most \"1\" (default)",
    ),
    (
        "call.budget",
        "\"1.9\"",
        "\"2.1\"",
        "\"2\"",
        "at most \"2\" (OWN)",
    ),
    (
        "call.budget",
        "\"0.1\"",
        "\"0.3\"",
        "\"0.2\"",
        "at most \"0.2\" (OWN)",
    ),
    (
        "call.budget",
        "\"007\"",
        "\"1e3\"",
        "\"9\"",
        "at most \"9\" (OWN)",
    ),
    (
        "call.max_locked",
        "\"2.99\"",
        "\"3.01\"",
        "",
        "at most \"3\" (default)",
    ),
    (
        "call.ask_above",
        "\"0.009\"",
        "\"0.1\"",
        "",
        "at most \"0.01\" (default)",
    ),
    (
        "call.max_deposit",
        "\"0.01\"",
        "\"0.011\"",
        "",
        "at most \"0.01\" (default)",
    ),
    (
        "call.max_deposit",
        "\"4\"",
        "\"6\"",
        "\"5\"",
        "at most \"5\" (OWN)",
    ),
    (
        "call.max_delay",
        "900",
        "86401",
        "",
        "at most 86400 (default)",
    ),
    (
        "call.max_delay",
        "86401",
        "90001",
        "90000",
        "at most 90000 (OWN)",
    ),
    (
        "call.max_refund_fee",
        "\"0.01\"",
        "\"0.02\"",
        "",
        "at most \"0.01\" (default)",
    ),
    (
        "deploy.max_fee",
        "\"1.5\"",
        "\"200\"",
        "\"2\"",
        "at most \"2\" (OWN)",
    ),
    (
        "wallet.account",
        "\"alice\"",
        "\"savings\"",
        "\"alice\"",
        "\"alice\" (OWN)",
    ),
];

#[test]
fn a_project_file_lowers_limits_and_raises_none() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let config = dir.join("home/config/config.toml");
    for (key, may, may_not, own, allows) in LIMITS {
        let (section, name) = key.split_once('.').unwrap();
        let table = |value: &str| format!("[{section}]\n{name} = {value}\n");
        let own = match own {
            "" => String::new(),
            own => table(own),
        };
        write(dir, &table(may), &own);
        assert_eq!(value(show(dir, None), key), may.trim_matches('"'), "{key}");
        write(dir, &table(may_not), &own);
        let (plain, variable) = (
            may_not.trim_matches('"'),
            format!("OPENLORA_{}", key.replace('.', "_").to_uppercase()),
        );
        let allows = allows.replace("OWN", &format!("{}:2", config.display()));
        let hint = format!(
            "hint: take it out of that file; if you mean it yourself: openlora config set --user \
             {key} {may_not}, or {variable}={may_not}\n"
        );
        let shown = openlora(dir).args(["config", "show"]).run();
        shown.fails(
            3,
            &format!(
                "error: {}:2: a project file does not raise what its reader allows: `{key}` must \
                 be {allows}, found {may_not}\n{hint}",
                dir.join("openlora.toml").display()
            ),
        );
        // So it is in a profile that the reader chooses there.
        let profile = format!("[profile.fast.{section}]\n{name} = {may_not}\n");
        write(dir, &profile, &own);
        show(dir, None).succeeds();
        let chosen = openlora(dir)
            .args(["--profile", "fast", "config", "show"])
            .run();
        assert_eq!(chosen.code, 3, "{}", chosen.stderr);
        // The reader's own word is the last, wherever it stands.
        if plain != "1e3" {
            write(dir, &table(may_not), &own);
            let shown = show(dir, Some((&variable, plain)));
            assert_eq!(value(shown, key), plain, "{key}");
            write(dir, "", &own);
            let set = openlora(dir).args(["config", "set", key, plain]).run();
            assert_eq!(set.code, 3, "{}", set.stderr);
            assert_eq!(fs::read_to_string(dir.join("openlora.toml")).unwrap(), "");
            let set = ["config", "set", "--user", key, plain];
            openlora(dir).args(set).run().succeeds();
            write(dir, &table(may_not), &fs::read_to_string(&config).unwrap());
            assert_eq!(value(show(dir, None), key), plain, "{key}");
        }
    }
    // Whoever chose no account leaves that to the project.
    write(dir, "[wallet]\naccount = \"savings\"\n", "");
    assert_eq!(value(show(dir, None), "wallet.account"), "savings");
}

#[test]
fn a_project_file_does_not_say_where_real_money_is() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let tables = [
        ("base", "rpc = \"http://127.0.0.1:1\"\n", "rpc"),
        ("base", "token_decimals = 18\n", "token_decimals"),
        (
            "mine",
            "chain_id = 8453\nrpc = \"http://127.0.0.1:1\"\n",
            "chain_id",
        ),
        ("local", "chain_id = 8453\n", "chain_id"),
        ("local", "rpc = \"http://10.0.0.1:8545\"\n", "rpc"),
        ("local", "mainnet = true\n", "mainnet"),
    ];
    let open = ["channel", "open", "http://127.0.0.1:9", "--amount", "1"];
    for (name, table, field) in tables {
        let text = format!("[project]\nnetwork = \"{name}\"\n[network.{name}]\n{table}");
        write(dir, &text, "");
        let url = asks();
        let open = open.map(|it| {
            if it.starts_with("http") {
                url.as_str()
            } else {
                it
            }
        });
        let refused = openlora(dir).args(open).run();
        refused.fails(
            3,
            &format!(
                "error: {}: a project file does not say where its reader's money is: expected \
                 `network.{name}.{field}` in the reader's own settings\n\
                 hint: if you trust it, copy `[network.{name}]` into {}\n",
                dir.join("openlora.toml").display(),
                dir.join("home/config/config.toml").display()
            ),
        );
        // What its reader says too goes through, as far as there is an account.
        write(dir, &text, &format!("[network.{name}]\n{table}"));
        let run = openlora(dir).args(open).run();
        assert!(!run.stderr.contains("a project file"), "{}", run.stderr);
    }
}

#[test]
fn a_project_file_does_not_name_the_server_that_is_paid() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let call = || openlora(dir).args(["call", "hello"]).run();
    let named = "[serve]\nhost = \"192.0.2.1\"\nport = 9\n";
    write(dir, named, "");
    call().fails(
        3,
        &format!(
            "error: {}: `serve.host` of a project file names another machine: expected an address \
             of this one, found 192.0.2.1\n\
             hint: if you mean to call it, add --url http://192.0.2.1:9/\n",
            dir.join("openlora.toml").display()
        ),
    );
    // Their own address and this machine's are called: nobody is there.
    write(dir, "[serve]\nhost = \"127.0.0.1\"\nport = 9\n", "");
    let run = call();
    assert_eq!(run.code, 5, "{}", run.stderr);
}

#[test]
fn a_project_file_does_not_make_real_money_a_toy() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let context = |project: &str, own: &str| {
        write(dir, project, own);
        let layers = SettingLayers {
            user: read_file(&dir.join("home/config/config.toml"), None).unwrap(),
            project: read_file(&dir.join("openlora.toml"), None).unwrap(),
            working_dir: dir.to_owned(),
            ..SettingLayers::default()
        };
        CommandContext {
            printer: Printer::new(false, Verbosity::Quiet, ColorChoice::Never, true),
            settings: layers.resolve().unwrap(),
            dirs: AppDirs::discover(Some(&dir.join("home"))).unwrap(),
            offline: true,
            no_input: true,
            yes: false,
        }
    };
    let lowered = "[network.base]\nmainnet = false\n";
    let mine = "[network.mine]\nchain_id = 8453\nrpc = \"http://127.0.0.1:1\"\n";
    for (name, project, own, mainnet) in [
        ("base", lowered, "", true),
        ("base", lowered, lowered, false),
        ("mine", mine, "", true),
        ("mine", &format!("{mine}mainnet = false\n"), "", true),
        ("mine", mine, "[network.mine]\nmainnet = false\n", false),
    ] {
        let found = network::named(&context(project, own), name).unwrap();
        assert_eq!(found.mainnet, mainnet, "{project}{own}");
    }
}

/// A Hub that has nothing and keeps the heads of requests.
fn hub() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let heads = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&heads);
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let mut buffer = [0; 16_384];
            let read = client.read(&mut buffer).unwrap_or_default();
            let head = String::from_utf8_lossy(&buffer[..read]).to_lowercase();
            kept.lock().unwrap().push(head);
            let answer = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            let _ = client.write_all(answer.as_bytes());
        }
    });
    (url, heads)
}

#[test]
fn a_hub_that_only_a_project_file_names_is_not_sent_the_token() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let (url, heads) = hub();
    let named = format!("[base]\nid = \"somebody/base\"\nendpoint = \"{url}\"\n");
    fs::write(
        dir.join("rows.jsonl"),
        "{\"prompt\": \"a\", \"completion\": \"b\"}\n",
    )
    .unwrap();
    let train = || {
        heads.lock().unwrap().clear();
        let train = openlora(dir).args(["train", "--data", "rows.jsonl"]);
        let run = train.env("HF_TOKEN", "hf_secret_of_mine").run();
        assert_ne!(run.code, 0);
        let shown = heads.lock().unwrap().clone();
        assert!(!shown.is_empty(), "{}", run.stderr);
        let with = shown.iter().filter(|it| it.contains("hf_secret_of_mine"));
        (with.count() == shown.len(), run.stderr)
    };
    write(dir, &named, "");
    let (sent, said) = train();
    assert!(!sent);
    assert!(
        said.contains(&format!("HF_TOKEN is not sent to {url}")),
        "{said}"
    );
    assert!(
        heads
            .lock()
            .unwrap()
            .iter()
            .all(|it| !it.contains("hf_secret_of_mine"))
    );
    write(dir, &named, &format!("[base]\nendpoint = \"{url}\"\n"));
    let (sent, said) = train();
    assert!(sent && !said.contains("HF_TOKEN"), "{said}");
}

/// The pages that a reader allows to call the server may become fewer, not more.
#[test]
fn a_project_file_opens_the_server_to_no_further_page() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let config = dir.join("home/config/config.toml");
    let table = |value: &str| format!("[serve]\norigins = {value}\n");
    let two = "[\"https://a.example\", \"https://b.example\"]";
    for (project, own, shown) in [
        ("[]", "", "[]"),
        ("[\"https://b.example\"]", two, "[\"https://b.example\"]"),
        (
            "[\"https://c.example\"]",
            "[\"*\"]",
            "[\"https://c.example\"]",
        ),
    ] {
        let own = match own {
            "" => String::new(),
            own => table(own),
        };
        write(dir, &table(project), &own);
        assert_eq!(value(show(dir, None), "serve.origins"), shown);
    }
    let place = dir.join("openlora.toml");
    for (project, own, allowed, typed) in [
        ("[\"*\"]", "", "[] (default)".to_owned(), "\"*\""),
        (
            "[\"https://a.example\", \"https://c.example\"]",
            two,
            format!("part of {two} ({}:2)", config.display()),
            "\"https://a.example,https://c.example\"",
        ),
    ] {
        let own = match own {
            "" => String::new(),
            own => table(own),
        };
        write(dir, &table(project), &own);
        let shown = openlora(dir).args(["config", "show"]).run();
        shown.fails(
            3,
            &format!(
                "error: {}:2: a project file does not raise what its reader allows: \
                 `serve.origins` must be {allowed}, found {project}\nhint: take it out of that \
                 file; if you mean it yourself: openlora config set --user serve.origins {typed}, \
                 or OPENLORA_SERVE_ORIGINS={typed}\n",
                place.display()
            ),
        );
        let variable = ("OPENLORA_SERVE_ORIGINS", typed.trim_matches('"'));
        show(dir, Some(variable)).succeeds();
    }
}

/// Who may use the server and who is believed is the reader's to say.
#[test]
fn a_project_file_opens_the_server_to_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let config = dir.join("home/config/config.toml");
    // Key, what a project may say, what it may not, the reader's own, and what that allows.
    let cases = [
        (
            "facilitator",
            "\"off\"",
            "\"public\"",
            "",
            "off or token (default)",
        ),
        ("facilitator", "\"token\"", "", "\"public\"", ""),
        (
            "facilitator",
            "\"off\"",
            "\"token\"",
            "\"off\"",
            "off (OWN)",
        ),
        (
            "trusted_proxies",
            "[]",
            "[\"10.0.0.0/8\"]",
            "",
            "[] (default)",
        ),
        (
            "trusted_proxies",
            "[\"10.0.0.1\"]",
            "[\"10.0.0.2\"]",
            "[\"10.0.0.1\"]",
            "part of [\"10.0.0.1\"] (OWN)",
        ),
        (
            "gas_budget",
            "\"0.01\"",
            "\"0.03\"",
            "\"0.02\"",
            "at most \"0.02\" (OWN)",
        ),
        ("gas_budget", "\"0.01\"", "", "", ""),
    ];
    for (name, may, may_not, own, allows) in cases {
        let table = |value: &str| match value {
            "" => String::new(),
            value => format!("[serve]\n{name} = {value}\n"),
        };
        write(dir, &table(may), &table(own));
        let shown = value(show(dir, None), &format!("serve.{name}"));
        assert_eq!(shown, may.trim_matches('"'), "{name}");
        if may_not.is_empty() {
            continue;
        }
        write(dir, &table(may_not), &table(own));
        let allows = allows.replace("OWN", &format!("{}:2", config.display()));
        let refused = openlora(dir).args(["config", "show"]).run();
        let (first, _) = refused.stderr.split_once('\n').unwrap();
        assert_eq!(
            first,
            format!(
                "error: {}:2: a project file does not raise what its reader allows: \
                 `serve.{name}` must be {allows}, found {may_not}",
                dir.join("openlora.toml").display()
            )
        );
        assert_eq!(refused.code, 3);
    }
    for host in ["0.0.0.0", "192.0.2.1", "::"] {
        write(dir, &format!("[serve]\nhost = \"{host}\"\n"), "");
        let serve = ["serve", "--local", "--free", "--expose"];
        openlora(dir).args(serve).run().fails(
            3,
            &format!(
                "error: {}: `serve.host` of a project file opens the server to other machines: \
                 expected an address of this one, found {host}\n\
                 hint: if you mean it, add --host {host} --expose; or once for all: openlora config \
                 set --user serve.host {host}\n",
                dir.join("openlora.toml").display()
            ),
        );
    }
    // A server of this machine is the project's to place, and other hosts are the reader's.
    for (project, own) in [
        ("[serve]\nhost = \"127.0.0.2\"\n", ""),
        (
            "[serve]\nhost = \"0.0.0.0\"\n",
            "[serve]\nhost = \"0.0.0.0\"\n",
        ),
    ] {
        write(dir, project, own);
        let run = openlora(dir)
            .args(["serve", "--local", "--free", "--expose", "--port", "0"])
            .run();
        assert!(!run.stderr.contains("opens the server"), "{}", run.stderr);
    }
}
