//! `--attach` where no openlora server answers: an error at once, with what was tried.

use std::{
    io::{Read, Write},
    net::TcpListener,
};

use crate::{dash_terminal::on_terminal, support::openlora};

const HINT: &str = "hint: start one with `openlora serve --local`, or name with --attach the \
                    address that it printed\n";

/// A home with a token, so that an address is asked.
fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("token"), "0".repeat(64)).unwrap();
    home
}

/// Another program: it answers each request with `answer`.
fn other_program(answer: &'static str) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
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
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    url
}

const UNKNOWN: &str = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
const OTHER: &str = "HTTP/1.1 200 OK\r\ncontent-length: 15\r\nconnection: close\r\n\r\n\
                     {\"status\":\"ok\"}";

fn attach(url: &str) -> [&str; 7] {
    [
        "dash",
        "--attach",
        url,
        "--token-file",
        "token",
        "--record",
        "out.jsonl",
    ]
}

#[test]
fn an_address_without_an_openlora_server_is_an_error_at_once() {
    let home = home();
    for (url, found) in [
        (
            "http://127.0.0.1:9".to_owned(),
            "Connection refused (os error 111)",
        ),
        (other_program(UNKNOWN), "404 Not Found"),
        (other_program(OTHER), "the answer of another program"),
    ] {
        let expected =
            format!("error: no openlora server answers at {url}: GET /health: {found}\n{HINT}");
        let plain = openlora(home.path()).args(["--accessible"]);
        plain.args(attach(&url)).run().fails(5, &expected);
        // The drawn dashboard does not take the screen.
        let screen = on_terminal(home.path(), (200, 24), &attach(&url));
        let (status, restored, text) = screen.end();
        assert_eq!((status, restored), (5, true), "{text}");
        assert_eq!(text.trim_end(), expected.trim_end());
        assert!(!home.path().join("out.jsonl").exists());
    }
}
