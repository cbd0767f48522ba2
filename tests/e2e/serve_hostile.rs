//! Connections that want to do harm to a process: more than it may have files.

use std::{net::SocketAddr, time::Duration};

use tokio::{net::TcpStream, time::timeout};

use crate::{
    live::{Live, write_adapters},
    serve_support::{chat, reply},
};

const CHAT: &str = "/v1/chat/completions";

/// Longer than anything here should take.
const SOON: Duration = Duration::from_secs(20);

/// A client with a connection of its own.
fn fresh() -> reqwest::Client {
    let client = reqwest::Client::builder().no_proxy();
    client.pool_max_idle_per_host(0).build().unwrap()
}

/// More connections than the process may have files: callers are answered at once all the same.
#[tokio::test]
async fn few_file_descriptors_are_enough() {
    let home = tempfile::tempdir().unwrap();
    write_adapters(home.path());
    let server = Live::start_within(home.path(), 110);
    let address: SocketAddr = server.url.strip_prefix("http://").unwrap().parse().unwrap();
    let mut sockets = Vec::new();
    for number in 0..400 {
        sockets.push(TcpStream::connect(address).await.unwrap());
        if number % 100 == 99 {
            let call = fresh().post(format!("{}{CHAT}", server.url));
            let call = reply(call.json(&chat("persona", "ab")));
            let found = timeout(SOON, call).await.expect("it is answered");
            assert_eq!(found.status, 200);
        }
    }
    let (code, _, said) = server.drain();
    assert_eq!(code, 0);
    assert!(!said.contains("not accepted"), "{said}");
}
