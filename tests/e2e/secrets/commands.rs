//! Commands beside a running server: they find its token by themselves, and show it to nobody else.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::Stdio,
    sync::{Arc, Mutex},
};

use crate::{
    live::{Live, serve_args, write_adapters},
    support::{Run, openlora},
    waiting,
};

fn token(home: &Path) -> String {
    let text = std::fs::read_to_string(home.join("home/data/operator.token")).unwrap();
    text.trim().to_owned()
}

fn settle(home: &Path) -> Run {
    openlora(home).args(["settle"]).run()
}

fn status(url: &str, token: &str) -> u16 {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let asked = client.get(format!("{url}/metrics")).bearer_auth(token);
    runtime.block_on(asked.send()).unwrap().status().as_u16()
}

#[test]
fn a_command_shows_the_server_its_token_by_itself() {
    let home = tempfile::tempdir().unwrap();
    write_adapters(home.path());
    let server = Live::start(home.path(), 0);
    let message = format!(
        "error: the server at {} could not do it: Calls are free on this server, so there is \
         nothing to pay or settle.\nhint: look at the server's own messages\n",
        server.url
    );
    settle(home.path()).fails(5, &message);
    let logged = openlora(home.path())
        .args(["settle"])
        .env("OPENLORA_LOG", "trace")
        .run();
    assert!(logged.stderr.contains(&message), "{}", logged.stderr);
    assert!(
        !logged.stderr.contains(&token(home.path())),
        "{}",
        logged.stderr
    );
    assert_eq!(status(&server.url, &token(home.path())), 200);
    assert_eq!(status(&server.url, &"0".repeat(64)), 401);
    assert_eq!(server.drain().0, 0);
}

#[test]
fn a_server_without_the_token_at_hand_is_named() {
    let home = tempfile::tempdir().unwrap();
    write_adapters(home.path());
    let server = Live::start(home.path(), 0);
    let file = home.path().join("home/data/operator.token");
    let own = std::fs::read(&file).unwrap();
    let hint = "hint: restart the server: it takes the token in the file, or makes a new one where \
                the file was removed\n";
    let message = |found: &str| {
        format!(
            "error: the server at {} does not have this operator token: {} {found}\n{hint}",
            server.url,
            file.display()
        )
    };
    std::fs::write(&file, format!("{}\n", "0".repeat(64))).unwrap();
    settle(home.path()).fails(4, &message("is another"));
    std::fs::remove_file(&file).unwrap();
    settle(home.path()).fails(4, &message("is not there"));
    std::fs::write(&file, own).unwrap();
    assert_eq!(settle(home.path()).code, 5);
    assert_eq!(server.drain().0, 0);
}

/// Hands every connection on to another port, and keeps what clients said.
fn relay(port: u16) -> (u16, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap().port();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&heard);
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.unwrap();
            let mut server = TcpStream::connect(("127.0.0.1", port)).unwrap();
            let (mut back, mut from) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut from, &mut back));
            let kept = Arc::clone(&kept);
            std::thread::spawn(move || {
                let mut piece = [0; 4096];
                while let Ok(length @ 1..) = client.read(&mut piece) {
                    kept.lock().unwrap().extend_from_slice(&piece[..length]);
                    server.write_all(&piece[..length]).unwrap();
                }
            });
        }
    });
    (own, heard)
}

/// Whoever hands the challenge on to the true server has its answer, and is still no server.
#[test]
fn whoever_hands_a_challenge_on_is_not_shown_the_token() {
    let home = tempfile::tempdir().unwrap();
    write_adapters(home.path());
    let server = Live::start(home.path(), 0);
    let (port, heard) = relay(server.port);
    let sign = home.path().join("home/data/serve.json");
    let text = std::fs::read_to_string(&sign).unwrap();
    let between = format!("http://127.0.0.1:{port}");
    std::fs::write(&sign, text.replace(&server.url, &between)).unwrap();
    let run = settle(home.path());
    assert_eq!(run.code, 4, "{}", run.stderr);
    let attach = ["--accessible", "dash", "--attach", &between];
    let run = openlora(home.path()).args(attach).run();
    assert_eq!(run.code, 5, "{}", run.stderr);
    let heard = String::from_utf8_lossy(&heard.lock().unwrap()).to_lowercase();
    assert_eq!(heard.matches("get /health").count(), 2, "{heard}");
    assert!(!heard.contains("authorization"), "{heard}");
    assert_eq!(server.drain().0, 0);
}

#[test]
fn flags_that_a_running_server_does_not_take_are_refused() {
    let home = tempfile::tempdir().unwrap();
    write_adapters(home.path());
    let server = Live::start(home.path(), 0);
    for command in ["settle", "withdraw"] {
        for (flag, value) in [("--account", "other"), ("--max-fee", "1")] {
            let expected = format!(
                "error: {flag} needs the journal, which the server at {} is writing\n\
                 hint: stop the server first, or leave {flag} out\n",
                server.url
            );
            let args = [command, flag, value];
            openlora(home.path()).args(args).run().fails(4, &expected);
        }
    }
    assert_eq!(server.drain().0, 0);
}

#[test]
fn a_token_lasts_until_it_is_rotated_and_is_never_logged() {
    let home = tempfile::tempdir().unwrap();
    write_adapters(home.path());
    let serve = |more: &[&str]| {
        let args = serve_args(0);
        let args = args.iter().map(String::as_str).chain(more.iter().copied());
        let mut command = openlora(home.path())
            .args(args)
            .env("OPENLORA_LOG", "trace")
            .into_command();
        let child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        Logged::of(child.unwrap())
    };
    let first = serve(&[]);
    let old = token(home.path());
    assert_eq!((old.len(), status(&first.url, &old)), (64, 200));
    let said = first.end();
    assert!(said.contains("openlora"), "{said}");
    assert!(!said.contains(&old), "{said}");
    let second = serve(&[]);
    assert_eq!(
        (token(home.path()), status(&second.url, &old)),
        (old.clone(), 200)
    );
    second.end();
    let third = serve(&["--rotate-operator-token"]);
    let new = token(home.path());
    assert_ne!(new, old);
    assert_eq!(
        (status(&third.url, &old), status(&third.url, &new)),
        (401, 200)
    );
    assert!(!third.end().contains(&new));
    // Deleting the file does the same.
    std::fs::remove_file(home.path().join("home/data/operator.token")).unwrap();
    let fourth = serve(&[]);
    assert_eq!(status(&fourth.url, &new), 401);
    fourth.end();
}

/// A server whose log is read.
struct Logged {
    child: std::process::Child,
    stdout: std::io::BufReader<std::process::ChildStdout>,
    log: std::thread::JoinHandle<String>,
    url: String,
}

impl Logged {
    fn of(mut child: std::process::Child) -> Self {
        let mut stderr = child.stderr.take().unwrap();
        let log = std::thread::spawn(move || {
            let mut text = Vec::new();
            stderr.read_to_end(&mut text).unwrap();
            String::from_utf8_lossy(&text).into_owned()
        });
        let mut stdout = std::io::BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        std::io::BufRead::read_line(&mut stdout, &mut line).unwrap();
        let ready: serde_json::Value = serde_json::from_str(&line).unwrap();
        let url = ready["url"].as_str().unwrap().to_owned();
        Self {
            child,
            stdout,
            log,
            url,
        }
    }

    fn end(mut self) -> String {
        let id = self.child.id().to_string();
        let killed = std::process::Command::new("kill")
            .args(["-TERM", &id])
            .status();
        assert!(killed.unwrap().success());
        let ended = waiting::ended("the server", &mut self.child);
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        assert_eq!(ended.code(), Some(0));
        self.log.join().unwrap()
    }
}

/// Answers everything with 200 and `body`, and keeps what it was sent.
fn impostor(port: u16, body: &'static str) -> Arc<Mutex<Vec<String>>> {
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&heard);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = Vec::new();
            let mut piece = [0; 4096];
            while !request.windows(4).any(|it| it == b"\r\n\r\n") {
                match stream.read(&mut piece) {
                    Ok(0) | Err(_) => break,
                    Ok(length) => request.extend_from_slice(&piece[..length]),
                }
            }
            kept.lock()
                .unwrap()
                .push(String::from_utf8_lossy(&request).into_owned());
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
                 connection: close\r\n\r\n{body}"
            );
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    heard
}

/// A killed server leaves its address behind, and another user's program takes the port.
#[test]
fn whoever_takes_a_dead_server_s_port_is_not_shown_the_token() {
    for body in [
        r#"{"status":"alive","version":"0.1.0"}"#,
        r#"{"status":"alive","proof":""}"#,
        r#"{"status":"alive","proof":"0000000000000000000000000000000000000000000000000000000000000000"}"#,
        "[]",
    ] {
        let home = tempfile::tempdir().unwrap();
        write_adapters(home.path());
        // A chain that does not answer, so that no development chain is started.
        let config = "[network.local]\nrpc = \"http://127.0.0.1:9\"\n";
        std::fs::write(home.path().join("openlora.toml"), config).unwrap();
        let server = Live::start(home.path(), 0);
        let port = server.port;
        server.kill();
        assert!(home.path().join("home/data/serve.json").is_file());
        let heard = impostor(port, body);
        // As without a server.
        let run = openlora(home.path()).args(["settle"]).run();
        let heard = heard.lock().unwrap().join("\n").to_lowercase();
        assert!(heard.contains("get /health"), "{heard}");
        assert!(!heard.contains("authorization"), "{heard}");
        assert!(!heard.contains(&token(home.path())), "{heard}");
        assert!(!run.stderr.contains("could not do it"), "{}", run.stderr);
    }
}

#[test]
fn the_dashboard_says_when_a_token_is_missing_or_wrong() {
    let home = tempfile::tempdir().unwrap();
    let attach = ["--accessible", "dash", "--attach", "http://127.0.0.1:9"];
    openlora(home.path()).args(attach).run().fails(
        2,
        "error: --attach needs the operator token of the server, and this home has none\n\
         hint: copy operator.token from the data folder of the server's home, and name the copy \
         with --token-file\n",
    );
    std::fs::write(home.path().join("token"), "short\n").unwrap();
    openlora(home.path())
        .args(attach)
        .env("OPENLORA_TOKEN_FILE", "token")
        .run()
        .fails(
            4,
            "error: cannot use the token in token: expected a token of 64 hexadecimal digits\n\
             hint: delete the file and start the server again: it makes a new token\n",
        );
    write_adapters(home.path());
    let server = Live::start(home.path(), 0);
    std::fs::write(home.path().join("token"), "0".repeat(64)).unwrap();
    let args = [
        "--accessible",
        "dash",
        "--attach",
        &server.url,
        "--token-file",
        "token",
    ];
    let run = openlora(home.path()).args(args).run();
    let said = format!("{}{}", run.stdout, run.stderr);
    let expected = format!(
        "the server at {} does not have this operator token",
        server.url
    );
    assert!(said.contains(&expected), "{said}");
    assert_eq!(run.code, 5, "{said}");
    assert_eq!(server.drain().0, 0);
}

#[test]
fn settings_of_access_are_checked() {
    let home = tempfile::tempdir().unwrap();
    write_adapters(home.path());
    let args = serve_args(0);
    let serve = || openlora(home.path()).args(args.iter().map(String::as_str));
    serve()
        .env("OPENLORA_SERVE_TRUSTED_PROXIES", "10.0.0.1, proxy.example")
        .run()
        .fails(
            3,
            "{\"code\":\"bad_input\",\"message\":\"serve.trusted_proxies: expected an address or a \
             range such as 10.0.0.0/8, found `proxy.example`\",\"hint\":\"name the proxy's own \
             address, as the server sees it\"}\n",
        );
    serve()
        .env("OPENLORA_SERVE_ORIGINS", "https://app.example, app.example")
        .run()
        .fails(
            3,
            "{\"code\":\"bad_input\",\"message\":\"serve.origins: expected `*` or an origin such as \
             https://app.example, found `app.example`\",\"hint\":\"an origin has a scheme and a \
             host, and a port if it is unusual; no path\"}\n",
        );
    serve()
        .env("OPENLORA_SERVE_FACILITATOR", "friends")
        .run()
        .fails(
            3,
            "{\"code\":\"bad_input\",\"message\":\"OPENLORA_SERVE_FACILITATOR: `serve.facilitator` \
             must be one of off, token, public, found \\\"friends\\\"\",\"hint\":null}\n",
        );
    serve()
        .env("OPENLORA_SERVE_PUBLIC_URL", "https://me:secret-word@api.example?key=abc")
        .run()
        .fails(
            3,
            "{\"code\":\"bad_input\",\"message\":\"serve.public_url must be an http address without \
             user, password and query, found https://api.example?…\",\"hint\":\"everybody reads it: \
             name the address as strangers may have it\"}\n",
        );
}
