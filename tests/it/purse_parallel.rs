//! Fifty processes that pay at once, from one purse, to a server that answers none of them before
//! it has heard all.

use std::{
    collections::BTreeSet,
    fs,
    process::{Child, Stdio},
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use openlora_core::{Amount, Word};
use openlora_payments::{
    payer::PayerStore,
    x402::wire::{PaymentPayload, PaymentRequired, SchemePayload, SettleResponse},
};
use serde_json::json;
use tokio::{runtime::Runtime, sync::Barrier};

use crate::waiting;
use crate::{deploy_support::contract, devnet_support::Devnet, support::openlora};

const COUNT: usize = 50;
const ACCOUNT: &str = "0x976EA74026E726554dB657fA54763abd0C3a0aa9";

/// Asks for 100 base units, charges 60, and puts no deposit on the chain.
struct Server {
    all_here: Barrier,
    /// Channel and total of every voucher, as they came.
    vouchers: Mutex<Vec<(Word, Amount)>>,
}

impl Server {
    fn open(runtime: &Runtime) -> (Arc<Self>, String) {
        let server = Arc::new(Self {
            all_here: Barrier::new(COUNT),
            vouchers: Mutex::new(Vec::new()),
        });
        let models = json!({ "object": "list", "data": [{ "id": "tone" }] });
        let app = Router::new()
            .route("/v1/models", get(|| async { Json(models) }))
            .route("/v1/chat/completions", post(sell))
            .with_state(Arc::clone(&server));
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"));
        let listener = listener.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        runtime.spawn(async move { axum::serve(listener, app).await.unwrap() });
        (server, url)
    }

    fn take(&self) -> Vec<(Word, Amount)> {
        std::mem::take(&mut *self.vouchers.lock().unwrap())
    }
}

async fn sell(State(server): State<Arc<Server>>, headers: HeaderMap) -> Response {
    let Some(payment) = headers.get("payment-signature") else {
        let asked: PaymentRequired = serde_json::from_value(json!({
            "x402Version": 2, "resource": { "url": "http://shop.example" },
            "accepts": [{
                "scheme": "batch-settlement", "network": "eip155:31337", "amount": "100",
                "asset": contract("DevelopmentToken"), "payTo": ACCOUNT, "maxTimeoutSeconds": 600,
                "extra": {
                    "name": "OpenLoRA Development USD", "version": "1", "withdrawDelay": 900,
                    "receiverAuthorizer": ACCOUNT,
                },
            }],
        }))
        .unwrap();
        let header = [("payment-required", asked.encode().unwrap())];
        return (StatusCode::PAYMENT_REQUIRED, header, Json(json!({}))).into_response();
    };
    let payment = PaymentPayload::decode(payment.to_str().unwrap()).unwrap();
    let Ok(Some(SchemePayload::Batch(batch))) =
        SchemePayload::parse("batch-settlement", &payment.payload)
    else {
        panic!("expected a channel's payment, found {}", payment.payload)
    };
    let voucher = batch.voucher;
    let max = voucher.max_claimable_amount;
    server
        .vouchers
        .lock()
        .unwrap()
        .push((voucher.channel_id, max));
    server.all_here.wait().await;
    let said: SettleResponse = serde_json::from_value(json!({
        "success": true, "transaction": "", "network": "eip155:31337",
        "extra": { "chargedAmount": "60" },
    }))
    .unwrap();
    let answer = json!({
        "id": format!("{}-{max}", voucher.channel_id),
        "choices": [{ "message": { "content": "yes" } }],
        "usage": { "prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2 },
    });
    let header = [("payment-response", said.encode().unwrap())];
    (header, Json(answer)).into_response()
}

#[test]
fn fifty_processes_pay_from_fifty_channels_and_the_purse_knows_all() {
    let dir = tempfile::tempdir().unwrap();
    let devnet = Devnet::start(dir.path(), 31_337);
    let rpc = format!("[network.local]\nrpc = \"{}\"\n", devnet.rpc.url);
    fs::write(dir.path().join("openlora.toml"), rpc).unwrap();
    let runtime = Runtime::new().unwrap();
    let (server, url) = Server::open(&runtime);
    let round = || {
        let calls: Vec<Child> = (0..COUNT)
            .map(|_| {
                let args = ["--json", "-q", "call", "hello", "--url", &url];
                let mut call = openlora(dir.path()).args(args).into_command();
                call.stdout(Stdio::null()).spawn().unwrap()
            })
            .collect();
        for mut call in calls {
            assert!(waiting::ended("a call", &mut call).success());
        }
        let vouchers = server.take();
        assert_eq!(vouchers.len(), COUNT);
        vouchers
    };
    let channels = |vouchers: &[(Word, Amount)]| -> BTreeSet<Word> {
        vouchers.iter().map(|(channel, _)| *channel).collect()
    };
    let first = round();
    let known = channels(&first);
    assert_eq!(known.len(), COUNT);
    assert!(first.iter().all(|(_, max)| *max == Amount(100)));
    let second = round();
    assert_eq!(channels(&second), known);
    assert!(second.iter().all(|(_, max)| *max == Amount(160)));
    let purse = PayerStore::open(&dir.path().join("home/data")).unwrap();
    let spendings = purse.payment_records().unwrap();
    assert_eq!(spendings.len(), 2 * COUNT);
    assert!(spendings.iter().all(|it| it.charged() == Some(Amount(60))));
    let channels = purse.channels().unwrap();
    assert_eq!(channels.len(), COUNT);
    assert!(channels.iter().all(|it| it.charged == Amount(120)));
}
