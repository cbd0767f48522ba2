//! Serves the chain over HTTP and WebSocket on loopback. One thread owns the chain and processes
//! jobs in order; the connections only parse bytes and wait.
//!
//! A web page must not reach a chain on this machine: requests must name loopback as their host
//! (against DNS rebinding) and, if the browser sends an origin, come from loopback.

mod guard;
mod socket;

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, mpsc},
    thread::JoinHandle,
};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State, WebSocketUpgrade, rejection::BytesRejection},
    http::{HeaderMap, StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use thiserror::Error;
use tokio::{net::TcpListener, sync::oneshot};
use tokio_util::sync::CancellationToken;

use super::{chain::DevChain, rpc::RpcState};
use openlora_core::error::{ExitClass, Explain};

/// Largest request body: a batch of large deployments.
const LARGEST_BODY: usize = 16 << 20;

/// Header that proves to `/stop` that the client can read the chain's folder.
pub const TOKEN_HEADER: &str = "x-openlora-devnet";

#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ServerError {
    #[error("cannot listen on 127.0.0.1:{port}: {detail}")]
    Bind { port: u16, detail: String },
    #[error("the chain's thread cannot start: {0}")]
    Thread(String),
    #[error("the server on port {port} ended: {detail}")]
    Ended { port: u16, detail: String },
}

impl Explain for ServerError {
    fn class(&self) -> ExitClass {
        ExitClass::Environment
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Bind { .. } => Some("`--port 0` takes a free port".to_owned()),
            _ => None,
        }
    }
}

type NodeJob = Box<dyn FnOnce(&mut RpcState) + Send>;

enum NodeMessage {
    Work(NodeJob),
    Stop,
}

/// A handle to the chain's thread.
#[derive(Clone)]
pub struct NodeHandle {
    jobs: mpsc::Sender<NodeMessage>,
    stop: CancellationToken,
    token: Arc<str>,
}

/// A listening node.
pub struct RunningNode {
    node: NodeHandle,
    listener: TcpListener,
    address: SocketAddr,
    thread: JoinHandle<()>,
}

impl NodeHandle {
    /// Runs a job on the chain's thread; `None` once the node has stopped.
    async fn ask<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut RpcState) -> T + Send + 'static,
    ) -> Option<T> {
        let (sender, receiver) = oneshot::channel();
        let job: NodeJob = Box::new(move |rpc_state| {
            // A closed connection does not wait for its response.
            let _ = sender.send(job(rpc_state));
        });
        self.jobs.send(NodeMessage::Work(job)).ok()?;
        receiver.await.ok()
    }

    /// Answers a JSON-RPC body: an empty text if no response is due, and `None` once the node has
    /// stopped.
    pub async fn answer(&self, body: Bytes) -> Option<String> {
        let answer = self
            .ask(move |rpc_state| rpc_state.answer(&body, &mut |_, _| None))
            .await?;
        Some(answer.map_or_else(String::new, |answer| answer.to_string()))
    }
}

impl RunningNode {
    /// Listens on loopback and moves the chain to its thread. `/stop` requires `token`.
    pub async fn start(chain: DevChain, port: u16, token: &str) -> Result<Self, ServerError> {
        let bind = |error: std::io::Error| ServerError::Bind {
            port,
            detail: openlora_core::error::describe_io(&error),
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .await
            .map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        let (jobs, inbox) = mpsc::channel();
        let stop = CancellationToken::new();
        // The server stops when the thread ends for any reason.
        let ended = stop.clone().drop_guard();
        let thread = std::thread::Builder::new()
            .name("devchain".to_owned())
            .spawn(move || {
                let _ended = ended;
                work(RpcState::new(chain), &inbox);
            })
            .map_err(|error| ServerError::Thread(error.to_string()))?;
        let node = NodeHandle {
            jobs,
            stop,
            token: token.into(),
        };
        Ok(Self {
            node,
            listener,
            address,
            thread,
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn node(&self) -> NodeHandle {
        self.node.clone()
    }

    /// Ends the server when it is cancelled.
    pub fn stop_token(&self) -> CancellationToken {
        self.node.stop.clone()
    }

    /// Serves until stopped; returns after the chain's file is closed.
    pub async fn run(self) -> Result<(), ServerError> {
        let stop = self.node.stop.clone();
        let jobs = self.node.jobs.clone();
        let port = self.address.port();
        let served = axum::serve(self.listener, router(self.node))
            .with_graceful_shutdown(stop.cancelled_owned())
            .await;
        // The thread may have ended already.
        let _ = jobs.send(NodeMessage::Stop);
        let thread = self.thread;
        let joined = tokio::task::spawn_blocking(move || thread.join()).await;
        if !matches!(joined, Ok(Ok(()))) {
            return Err(ServerError::Thread("it ended early".to_owned()));
        }
        served.map_err(|error| ServerError::Ended {
            port,
            detail: error.to_string(),
        })
    }
}

fn work(mut rpc_state: RpcState, inbox: &mpsc::Receiver<NodeMessage>) {
    while let Ok(NodeMessage::Work(job)) = inbox.recv() {
        job(&mut rpc_state);
    }
}

fn router(node: NodeHandle) -> Router {
    Router::new()
        .route("/", post(answer).get(greet))
        .route("/stop", post(stop))
        .route("/health", get(health))
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(middleware::from_fn(guard::local_only))
        .with_state(node)
}

async fn answer(State(node): State<NodeHandle>, body: Result<Bytes, BytesRejection>) -> Response {
    let body = match body {
        Ok(body) => body,
        Err(rejection) => return rejection.into_response(),
    };
    let json = [(header::CONTENT_TYPE, "application/json")];
    match node.answer(body).await {
        Some(answer) => (json, answer).into_response(),
        None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

/// A WebSocket starts with a GET; any other GET comes from a browser.
async fn greet(
    State(node): State<NodeHandle>,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Response {
    match upgrade {
        Ok(upgrade) => upgrade
            .max_message_size(LARGEST_BODY)
            .on_upgrade(move |socket| socket::serve(socket, node)),
        Err(_) => "openlora development chain: send JSON-RPC by POST, or open a WebSocket\n"
            .into_response(),
    }
}

async fn health(State(node): State<NodeHandle>) -> Response {
    match node.ask(|rpc_state| rpc_state.chain.head()).await {
        Some((number, hash)) => {
            axum::Json(serde_json::json!({ "block": number, "hash": hash })).into_response()
        }
        None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

async fn stop(State(node): State<NodeHandle>, headers: HeaderMap) -> StatusCode {
    let given = headers.get(TOKEN_HEADER).map(|value| value.as_bytes());
    if given != Some(node.token.as_bytes()) {
        return StatusCode::FORBIDDEN;
    }
    node.stop.cancel();
    StatusCode::NO_CONTENT
}
