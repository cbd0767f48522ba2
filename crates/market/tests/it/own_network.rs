//! Addresses that strangers state.

use std::time::Duration;

use openlora_market::{MarketHttp, ServerAddress, discovered};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    runtime::Runtime,
};

/// A list on this machine; how often it was asked cannot be seen by a buyer who does not come.
async fn listing() -> (String, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let answering = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            assert_ne!(socket.read_buf(&mut request).await.unwrap(), 0);
        }
        let body = "{\"items\": []}";
        let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length:";
        let answer = format!("{head} {}\r\n\r\n{body}", body.len());
        socket.write_all(answer.as_bytes()).await.unwrap();
    });
    (format!("127.0.0.1:{port}"), answering)
}

#[test]
fn strangers_do_not_lead_into_the_own_network() {
    Runtime::new().unwrap().block_on(async {
        let outward = MarketHttp::new(false, Duration::from_secs(5)).unwrap();
        for url in [
            "http://127.0.0.1:1",
            "http://localhost:1",
            "http://sub.localhost:1",
            "http://[::1]:1",
            "http://[::ffff:10.0.0.1]:1",
            "http://10.1.2.3",
            "http://172.16.0.1",
            "http://192.168.0.1",
            "http://169.254.169.254",
            "http://100.64.0.1",
            "http://0.0.0.0:1",
            "http://[fd00::1]",
            "http://[fe80::1]",
            "http://[fec0::1]",
            "http://[::127.0.0.1]:1",
            "http://[64:ff9b::a00:1]",
            "http://[2002:a00:1::1]",
            "http://[2001:db8::1]",
            "http://192.88.99.1",
            "http://2130706433",
        ] {
            let stated = ServerAddress::stated(url).unwrap();
            let refused = discovered(&outward, &stated, 1).await.unwrap_err();
            let expected = format!("{} is an address of the own network", stated.place());
            assert!(refused.to_string().ends_with(&expected), "{url}: {refused}");
        }
        // Where the user names it, and on a development chain, this machine is reached.
        let inward = MarketHttp::new(true, Duration::from_secs(5)).unwrap();
        let (place, answering) = listing().await;
        let named = ServerAddress::by_user(&format!("http://{place}/v1")).unwrap();
        assert_eq!(discovered(&outward, &named, 1).await.unwrap(), []);
        answering.await.unwrap();
        let (place, answering) = listing().await;
        let stated = ServerAddress::stated(&format!("http://{place}")).unwrap();
        assert_eq!(discovered(&inward, &stated, 1).await.unwrap(), []);
        answering.await.unwrap();
    });
}

#[test]
fn an_address_is_http_and_of_strangers_without_credentials() {
    for text in ["", "tone", "ftp://host", "file:///etc/passwd", "http://"] {
        assert!(ServerAddress::by_user(text).is_err(), "{text}");
        assert!(ServerAddress::stated(text).is_err(), "{text}");
    }
    assert!(ServerAddress::stated("http://me:secret@host").is_err());
    let named = ServerAddress::by_user("https://host:8080/v1/?key=1#part").unwrap();
    assert_eq!(named.url("/v1/models"), "https://host:8080/v1/models");
    let below = ServerAddress::stated("https://host/below/").unwrap();
    assert_eq!(below.url("/v1/models"), "https://host/below/v1/models");
}
