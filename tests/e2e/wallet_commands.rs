//! `openlora wallet` as a person meets it, whole messages compared.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    path::{Path, PathBuf},
    process::Stdio,
};

use tempfile::TempDir;

use crate::{
    keys::{ADDRESS, KEY},
    live::{golden, write_adapters},
    support::{Run, openlora},
    terminal::{at_a_terminal, secret},
    waiting,
};

/// A home with a password file and, when asked for, the account `dev`.
fn home(account: bool) -> TempDir {
    let home = TempDir::new().unwrap();
    fs::write(home.path().join("pw"), "correct horse\n").unwrap();
    fs::write(home.path().join("key"), KEY).unwrap();
    if account {
        wallet(
            home.path(),
            &["import", "dev", "--from", "key", "--password-file", "pw"],
        )
        .succeeds();
    }
    home
}

fn wallet(home: &Path, args: &[&str]) -> Run {
    openlora(home)
        .args(["wallet"])
        .args(args.iter().copied())
        .run()
}

fn keystore(home: &Path, name: &str) -> PathBuf {
    home.join(format!("home/data/keystores/{name}.json"))
}

#[test]
fn new_prints_the_address_and_how_to_keep_it() {
    let home = home(false);
    let run = wallet(home.path(), &["new", "alice", "--password-file", "pw"]).succeeds();
    let file = keystore(home.path(), "alice");
    let address = run.stdout.trim_end();
    assert!(address.starts_with("0x") && address.len() == 42);
    let path = file.display();
    assert_eq!(
        run.stderr,
        format!(
            "the key is in {path}\nhint: back up {path} and its password: without both the \
             account is lost for good\n"
        )
    );
    wallet(home.path(), &["new", "alice", "--password-file", "pw"]).fails(
        8,
        &format!(
            "error: the account `alice` exists already: {path}\nhint: choose another name; \
             nothing is overwritten\n"
        ),
    );
    let list = wallet(home.path(), &["list"]).succeeds();
    assert_eq!(list.stdout, format!("* {:<20} {address}\n", "alice"));
}

#[test]
fn a_password_comes_from_a_file_a_variable_or_standard_input() {
    let home = home(true);
    let export = ["wallet", "export", "dev", "--yes"];
    let by_variable = openlora(home.path())
        .args(export)
        .env("OPENLORA_PASSWORD_FILE", "pw")
        .run()
        .succeeds();
    assert_eq!(by_variable.stdout, format!("{KEY}\n"));
    let mut command = openlora(home.path())
        .args(export)
        .args(["--password-file", "-"])
        .into_command();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"correct horse").unwrap();
    drop(stdin);
    let output = waiting::finished(child);
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        format!("{KEY}\n")
    );
    wallet(home.path(), &["export", "dev", "--yes", "--no-input"]).fails(
        8,
        "error: a password is needed and --no-input forbids asking for it\nhint: give a file \
         with --password-file or OPENLORA_PASSWORD_FILE\n",
    );
    fs::write(home.path().join("two"), "a\nb\n").unwrap();
    wallet(
        home.path(),
        &["export", "dev", "--yes", "--password-file", "two"],
    )
    .fails(
        8,
        "error: two has more than one line, expected a password\n",
    );
    fs::write(home.path().join("none"), "").unwrap();
    wallet(home.path(), &["new", "bob", "--password-file", "none"])
        .fails(8, "error: the password is empty\nhint: use several words\n");
    wallet(
        home.path(),
        &["import", "bob", "--from", "-", "--password-file", "-"],
    )
    .fails(
        2,
        "error: --from - and --password-file - both read standard input\nhint: give one of them \
         a file\n",
    );
}

#[test]
fn export_needs_a_confirmation_and_writes_private_files() {
    let home = home(true);
    wallet(
        home.path(),
        &["export", "dev", "--password-file", "pw", "--no-input"],
    )
    .fails(
        7,
        "error: revealing the private key of `dev` needs a confirmation and --no-input forbids \
         asking for it\nhint: add --yes\n",
    );
    wallet(home.path(), &["export", "dev", "--password-file", "pw"]).fails(
        7,
        "warning: revealing the private key of `dev`; type `dev` to go on\nerror: revealing the \
         private key of `dev`: not confirmed\n",
    );
    let args = [
        "export",
        "dev",
        "--password-file",
        "pw",
        "--yes",
        "--out",
        "out",
    ];
    assert_eq!(wallet(home.path(), &args).succeeds().stdout, "out\n");
    let out = home.path().join("out");
    assert_eq!(fs::read_to_string(&out).unwrap(), format!("{KEY}\n"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(
            fs::metadata(&out).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
    let again = format!("error: cannot write {}: file exists\n", out.display());
    wallet(home.path(), &args).fails(4, &again);
}

#[test]
fn the_account_that_signs_is_the_only_or_the_chosen_one() {
    let home = home(true);
    wallet(home.path(), &["address", "nobody"]).fails(
        8,
        &format!(
            "error: there is no account `nobody` in {}\nhint: accounts here: dev\n",
            home.path().join("home/data/keystores").display()
        ),
    );
    assert_eq!(
        wallet(home.path(), &["address"]).succeeds().stdout,
        format!("{ADDRESS}\n")
    );
    wallet(home.path(), &["new", "alice", "--password-file", "pw"]).succeeds();
    wallet(home.path(), &["address"]).fails(
        8,
        "error: none of the accounts alice, dev is chosen\nhint: name one, or choose it for \
         good: openlora config set --user wallet.account alice\n",
    );
    openlora(home.path())
        .args(["config", "set", "--user", "wallet.account", "dev"])
        .run()
        .succeeds();
    assert_eq!(
        wallet(home.path(), &["address"]).succeeds().stdout,
        format!("{ADDRESS}\n")
    );
    let json = wallet(home.path(), &["address", "--json"])
        .succeeds()
        .stdout;
    let expected = serde_json::json!({
        "name": "dev", "address": ADDRESS,
        "keystore": keystore(home.path(), "dev"), "chosen": true,
    });
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&json).unwrap(),
        expected
    );
}

#[test]
fn a_password_is_changed_and_the_old_one_is_refused() {
    let home = home(true);
    fs::write(home.path().join("new"), "battery staple").unwrap();
    let args = [
        "change-password",
        "dev",
        "--password-file",
        "pw",
        "--new-password-file",
        "new",
    ];
    let run = wallet(home.path(), &args).succeeds();
    assert_eq!(run.stdout, "dev has a new password\n");
    wallet(home.path(), &args).fails(
        8,
        &format!(
            "error: the password does not open {}\nhint: type the password again, or take the \
             file from a backup\n",
            keystore(home.path(), "dev").display()
        ),
    );
}

/// Answers JSON-RPC on loopback, by method, until the test ends.
pub fn rpc(answers: &'static [(&'static str, &'static str)]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.unwrap());
            let mut length = 0;
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                let lower = line.to_lowercase();
                if let Some(value) = lower.strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                if line.trim().is_empty() {
                    break;
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let asked: serde_json::Value = serde_json::from_slice(&body).unwrap();
            let method = asked["method"].as_str().unwrap();
            let answer = answers.iter().find(|(name, _)| *name == method).unwrap().1;
            let body = serde_json::json!({"jsonrpc": "2.0", "id": asked["id"], "result": answer});
            let body = body.to_string();
            let stream = reader.get_mut();
            write!(
                stream,
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
                 connection: close\r\n\r\n{body}",
                body.len()
            )
            .unwrap();
        }
    });
    url
}

fn network(home: &Path, text: &str) {
    fs::write(home.join("openlora.toml"), text).unwrap();
}

#[test]
fn a_balance_is_read_from_the_chain_that_was_meant() {
    let home = home(false);
    let url = rpc(&[
        ("eth_chainId", "0x7a69"),
        ("eth_getBalance", "0x14d1120d7b160000"),
        (
            "eth_call",
            "0x000000000000000000000000000000000000000000000000000000000016e360",
        ),
    ]);
    network(
        home.path(),
        &format!(
            "[network.local]\nrpc = \"{url}\"\n\
             token = \"0x5FbDB2315678afecb367f032d93F642f64180aa3\"\ntoken_symbol = \"dUSD\"\n"
        ),
    );
    let run = wallet(home.path(), &["balance", ADDRESS]).succeeds();
    assert_eq!(
        run.stdout,
        format!("{ADDRESS} on local\n1.5 ETH\n1.5 dUSD\n")
    );
    let json = wallet(home.path(), &["--json", "balance", ADDRESS]).succeeds();
    let expected = serde_json::json!({
        "address": ADDRESS, "network": "local", "chain_id": 31337,
        "native": "1500000000000000000",
        "token": {
            "address": "0x5FbDB2315678afecb367f032d93F642f64180aa3",
            "symbol": "dUSD", "decimals": 6, "amount": "1500000",
        },
    });
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&json.stdout).unwrap(),
        expected
    );
    let lying = rpc(&[("eth_chainId", "0x1")]);
    network(
        home.path(),
        &format!("[network.local]\nrpc = \"{lying}\"\n"),
    );
    wallet(home.path(), &["balance", ADDRESS]).fails(
        5,
        &format!(
            "error: {lying} is on chain 1, expected 31337 for the network `local`\nhint: correct \
             `rpc` or `chain_id` under `[network.local]`\n"
        ),
    );
}

/// Settings and arguments that name no chain or account, and the whole of what is said.
#[test]
fn wrong_networks_and_addresses_are_told_whole() {
    let mixed = "0xf39fd6e51aad88F6F4ce6aB8827279cffFb92266";
    let cases: &[(&str, &[&str], i32, String)] = &[
        (
            "",
            &["balance", ADDRESS, "--network", "bases"],
            3,
            "error: there is no network `bases`, expected one of local, local-2, base, base-sepolia, \
             optimism, optimism-sepolia, arbitrum, arbitrum-sepolia\nhint: did you mean `base`?\n"
                .into(),
        ),
        (
            "[network.mine]\nrpc = \"http://127.0.0.1:1\"\n",
            &["balance", ADDRESS, "--network", "mine"],
            3,
            "error: network `mine` has no `chain_id`\nhint: add a line `chain_id = …` under \
             `[network.mine]`\n"
                .into(),
        ),
        (
            "[network.local]\nregistry = \"0x12\"\n",
            &["balance", ADDRESS],
            3,
            "error: network `local`: `registry`: expected 0x and 40 hexadecimal digits, found \
             `0x12`\n"
                .into(),
        ),
        (
            "[network.local]\nrpc = \"ftp://127.0.0.1\"\n",
            &["balance", ADDRESS],
            3,
            "error: network `local`: `rpc`: \"ftp://127.0.0.1\" is no http address\n".into(),
        ),
        (
            "",
            &["balance", mixed],
            2,
            format!(
                "error: the address is wrong: the checksum of `{mixed}` does not fit: expected \
                 `{ADDRESS}`\n"
            ),
        ),
        (
            "",
            &["balance", ADDRESS, "--network", "base", "--offline"],
            5,
            "error: https://mainnet.base.org is not on this machine\nhint: leave --offline out\n"
                .into(),
        ),
        (
            "[network.local]\nrpc = \"http://127.0.0.1:1\"\n",
            &["balance", ADDRESS],
            5,
            "error: http://127.0.0.1:1 does not answer eth_chainId: error sending request for \
             url (http://127.0.0.1:1)\nhint: check that the address is right and that something \
             listens there\n"
                .into(),
        ),
    ];
    for (settings, args, code, expected) in cases {
        let home = home(false);
        network(home.path(), settings);
        wallet(home.path(), args).fails(*code, expected);
    }
    let home = home(false);
    network(home.path(), "[network.local]\nregistri = \"x\"\n");
    let file = home.path().join("openlora.toml");
    // A verb that reads no network goes on.
    let listed = wallet(home.path(), &["list"]).succeeds();
    assert_eq!(
        listed.stderr,
        format!(
            "warning: {}:2: unknown key `network.local.registri`; the project file is not used\n\
             hint: did you mean `registry`?\n\
             hint: make an account with `openlora wallet new NAME`\n",
            file.display()
        )
    );
    wallet(home.path(), &["balance", ADDRESS]).fails(
        3,
        &format!(
            "error: {}:2: unknown key `network.local.registri`\nhint: did you mean `registry`?\n",
            file.display()
        ),
    );
}

/// An account on a Ledger is known without the device: everything but its key is in the file.
#[test]
fn an_account_on_a_ledger_is_listed_and_keeps_its_key() {
    let home = home(true);
    let file = keystore(home.path(), "nano");
    let text = format!(r#"{{"address":"{ADDRESS}","ledger":{{"path":"m/44'/60'/1'/0/0"}}}}"#);
    fs::write(&file, text).unwrap();
    let list = wallet(home.path(), &["list"]).succeeds();
    assert_eq!(
        list.stdout,
        format!(
            "  {:<20} {ADDRESS}\n  {:<20} {ADDRESS} Ledger\n",
            "dev", "nano"
        )
    );
    let json = wallet(home.path(), &["--json", "address", "nano"]).succeeds();
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&json.stdout).unwrap(),
        serde_json::json!({
            "name": "nano", "address": ADDRESS, "keystore": file, "chosen": false,
            "ledger": "m/44'/60'/1'/0/0",
        })
    );
    let kept = "error: the key of `nano` is on a Ledger, which never gives it away\n";
    wallet(
        home.path(),
        &["export", "nano", "--yes", "--password-file", "pw"],
    )
    .fails(8, kept);
    let change = ["change-password", "nano", "--password-file", "pw"];
    let new = ["--new-password-file", "pw"];
    wallet(home.path(), &[&change[..], &new].concat()).fails(8, kept);
    for (text, problem) in [
        (
            format!(r#"{{"address":"{ADDRESS}","ledger":{{"path":"44/60"}}}}"#),
            "`ledger.path`: expected a derivation path, found 44/60",
        ),
        (
            r#"{"address":"0x12","ledger":{"path":"m/0"}}"#.to_owned(),
            "`address`: expected an account's address, found 0x12",
        ),
    ] {
        fs::write(&file, text).unwrap();
        let said = format!(
            "error: {} is no usable keystore: {problem}\nhint: take the file from a backup\n",
            file.display()
        );
        wallet(home.path(), &["address", "nano"]).fails(8, &said);
    }
}

#[cfg(not(feature = "ledger"))]
#[test]
fn without_the_feature_a_ledger_is_not_reached() {
    let home = home(false);
    let said = "error: this openlora was built without support for Ledger devices\nhint: build it \
                with the feature: cargo install --path . --locked --features ledger\n";
    wallet(home.path(), &["import", "nano", "--ledger"]).fails(4, said);
    let path = ["import", "nano", "--ledger", "--path", "m/x"];
    wallet(home.path(), &path).fails(
        8,
        "error: `m/x` is no derivation path: expected one such as m/44'/60'/0'/0/0\n",
    );
    assert!(!keystore(home.path(), "nano").exists());
}

#[test]
fn a_password_is_typed_twice_and_never_shown() {
    let home = home(false);
    let (new, again) = ("Password for the account typed: ", "Repeat it: ");
    let make = ["wallet", "new", "typed"];
    // A weak one is refused before it is to be repeated, and there are three tries in all.
    let (code, shown) = at_a_terminal(
        home.path(),
        &make,
        &[
            secret(new, "one two"),
            secret(new, "one one one one"),
            secret(new, "one two three"),
            secret(again, "one two tree"),
        ],
    );
    assert_eq!(
        (code, shown.as_str()),
        (
            8,
            "Password for the account typed: \n\
             warning: the password is too easy to guess: it has 7 characters, expected at least 8\n\
             hint: use several words\n\
             Password for the account typed: \n\
             warning: the password is too easy to guess: it repeats few characters, expected at least \
             5 different ones\n\
             hint: use several words\n\
             Password for the account typed: \nRepeat it: \n\
             error: the two passwords differ\nhint: type them again\n"
        )
    );
    assert!(!keystore(home.path(), "typed").exists());
    let (code, shown) = at_a_terminal(
        home.path(),
        &make,
        &[
            secret(new, "one two three"),
            secret(again, "one two tree"),
            secret(new, "one two three"),
            secret(again, "one two three"),
        ],
    );
    assert_eq!(code, 0, "{shown}");
    assert!(!shown.contains("one two"), "{shown}");
    let account = wallet(home.path(), &["address", "typed"]).succeeds();
    fs::write(home.path().join("typed-pw"), "one two three\n").unwrap();
    let export = ["export", "typed", "--yes", "--password-file", "typed-pw"];
    let key = wallet(home.path(), &export).succeeds().stdout;
    let asked = "Password of typed: ";
    let (code, shown) = at_a_terminal(
        home.path(),
        &["wallet", "export", "typed", "--yes"],
        &[secret(asked, "another one"), secret(asked, "one two three")],
    );
    assert_eq!(
        (code, shown),
        (
            0,
            format!("{asked}\nwarning: this is not the account's password\n{asked}\n{key}")
        )
    );
    let wrong = [secret(asked, "another one"); 3];
    let (code, shown) = at_a_terminal(home.path(), &["wallet", "export", "typed", "--yes"], &wrong);
    let warned = format!("{asked}\nwarning: this is not the account's password\n").repeat(2);
    let path = keystore(home.path(), "typed");
    let refused = format!(
        "{warned}{asked}\nerror: the password does not open {}\n\
         hint: type the password again, or take the file from a backup\n",
        path.display()
    );
    assert_eq!((code, shown), (8, refused));
    assert_eq!(account.stdout.len(), 43);
}

#[test]
fn a_weak_password_in_a_file_is_refused_too() {
    let home = home(false);
    fs::write(home.path().join("weak"), "12345\n").unwrap();
    wallet(home.path(), &["new", "bob", "--password-file", "weak"]).fails(
        8,
        "error: the password of weak is too easy to guess: it has 5 characters, expected at least 8\n\
         hint: use several words\n",
    );
    assert!(!keystore(home.path(), "bob").exists());
}

#[cfg(target_os = "linux")]
#[test]
fn an_unlocked_account_signs_without_its_password_until_it_is_locked() {
    let home = home(true);
    let dir = home.path();
    write_adapters(dir);
    let base = golden("llama").display().to_string();
    let package = |out: &str| {
        let args = [
            "package",
            "persona",
            "--no-input",
            "--base",
            &base,
            "--out",
            out,
        ];
        openlora(dir).args(args).run()
    };
    let asks = "error: a password is needed and --no-input forbids asking for it\nhint: give a file \
                with --password-file or OPENLORA_PASSWORD_FILE\n";
    package("before").fails(8, asks);
    wallet(dir, &["unlock", "--for", "2d", "--password-file", "pw"]).fails(
        2,
        "error: --for 2d: expected a time such as 30m or 1h, at most 24h\n",
    );
    let unlock = ["unlock", "--for", "10m", "--password-file", "pw"];
    let run = wallet(dir, &unlock).succeeds();
    assert_eq!(run.stdout, "dev is unlocked for 10m\n");
    package("while").succeeds();
    // Revealing the key is asked for in any case.
    wallet(dir, &["export", "dev", "--yes", "--no-input"]).fails(8, asks);
    assert_eq!(wallet(dir, &["lock"]).succeeds().stdout, "locked dev\n");
    assert_eq!(
        wallet(dir, &["lock"]).succeeds().stdout,
        "no account was unlocked\n"
    );
    package("after").fails(8, asks);
    // A new password locks the account.
    wallet(dir, &unlock).succeeds();
    fs::write(dir.join("new"), "battery staple").unwrap();
    let change = [
        "change-password",
        "dev",
        "--password-file",
        "pw",
        "--new-password-file",
        "new",
    ];
    wallet(dir, &change).succeeds();
    package("changed").fails(8, asks);
}
