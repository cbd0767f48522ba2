//! A local endpoint in OpenAI's form that pays: a program that knows nothing of payments asks it, and
//! it buys the call from a server of the model, within the budget of the day and of the caller's key.

mod answer_error;
mod caller_keys;
mod event_lines;
mod gatekeeper;
mod model_names;
mod relay;
mod tools;

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::{
    Json, Router,
    body::to_bytes,
    extract::{Path, Request, State},
    http::StatusCode,
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get, post},
    serve::ListenerExt,
};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::sync::CancellationToken;

use self::{answer_error::ProxyError, gatekeeper::admit, model_names::ModelNames, relay::pass_on};
use crate::{
    catalog::Catalog,
    error::MarketError,
    http::{MarketHttp, ServerAddress},
    purchase::{Buyer, DemandedCall, PurchaseError},
};
use openlora_core::error::describe_io;
use openlora_payments::payer::CallerAllowance;

pub use caller_keys::{CallerKey, CallerKeys};
pub use tools::serve_tools_on_stdio;

/// The largest request body, in bytes.
const LARGEST_BODY: usize = 16 << 20;
/// The most calls at the same time.
const MOST_CALLS: usize = 512;
/// Where agents find the adapters as tools.
const TOOLS_PATH: &str = "/mcp";
/// How often calls without a known outcome are asked about.
const SETTLE_EVERY: Duration = Duration::from_secs(60);

/// One route of the proxy.
#[derive(Clone, Copy)]
pub struct ProxyRoute {
    pub method: &'static str,
    pub path: &'static str,
    pub about: &'static str,
    mount: fn() -> MethodRouter<ProxyState>,
}

/// Every route of the proxy.
pub const PROXY_ROUTES: &[ProxyRoute] = &[
    paid("/v1/chat/completions", "chat, whole or streamed", || {
        post(|state, request| buy(state, "/v1/chat/completions", request))
    }),
    paid(
        "/v1/completions",
        "continue a text, whole or streamed",
        || post(|state, request| buy(state, "/v1/completions", request)),
    ),
    paid("/v1/classify", "probability of every label", || {
        post(|state, request| buy(state, "/v1/classify", request))
    }),
    paid("/v1/moderations", "content filter in OpenAI's form", || {
        post(|state, request| buy(state, "/v1/moderations", request))
    }),
    paid(
        "/v1/images/generations",
        "pictures from a prompt, in OpenAI's form",
        || post(|state, request| buy(state, "/v1/images/generations", request)),
    ),
    free("/v1/models", "the adapters that can be bought", || {
        get(list_models)
    }),
    free("/v1/models/{*id}", "one of them", || get(get_model)),
    free("/health", "the process is alive", || get(health)),
];

const fn paid(
    path: &'static str,
    about: &'static str,
    mount: fn() -> MethodRouter<ProxyState>,
) -> ProxyRoute {
    ProxyRoute {
        method: "POST",
        path,
        about,
        mount,
    }
}

const fn free(
    path: &'static str,
    about: &'static str,
    mount: fn() -> MethodRouter<ProxyState>,
) -> ProxyRoute {
    ProxyRoute {
        method: "GET",
        path,
        about,
        mount,
    }
}

/// What a proxy is made of.
pub struct ProxyInputs {
    pub buyer: Arc<Buyer>,
    pub catalog: Catalog,
    pub http: MarketHttp,
    /// The server of plain model names; without one, they are looked up in the registry.
    pub server: Option<ServerAddress>,
    pub keys: CallerKeys,
}

/// What handlers share.
#[derive(Clone)]
struct ProxyState(Arc<ProxyParts>);

struct ProxyParts {
    buyer: Arc<Buyer>,
    names: ModelNames,
    keys: CallerKeys,
    calls: Arc<Semaphore>,
}

impl ProxyParts {
    fn new(inputs: ProxyInputs) -> Self {
        Self {
            buyer: inputs.buyer,
            names: ModelNames::new(inputs.catalog, inputs.http, inputs.server),
            keys: inputs.keys,
            calls: Arc::new(Semaphore::new(MOST_CALLS)),
        }
    }

    /// The turn of a call, until its answer has been passed on.
    fn turn(&self) -> Result<OwnedSemaphorePermit, ProxyError> {
        let turn = Arc::clone(&self.calls).try_acquire_owned();
        turn.map_err(|_| {
            let message = format!("{MOST_CALLS} calls are running; try again in a moment.");
            let status = StatusCode::TOO_MANY_REQUESTS;
            let busy = ProxyError::new(status, "too_many_calls", message);
            ProxyError {
                retry: true,
                ..busy
            }
        })
    }

    /// Buys a call from the first server that can be reached, and passes its answer on.
    async fn buy(
        &self,
        turn: OwnedSemaphorePermit,
        path: &'static str,
        mut body: Value,
        caller: Option<CallerAllowance>,
    ) -> Result<Response, ProxyError> {
        let name = body["model"].as_str().map(str::to_owned);
        let name = name.ok_or_else(|| {
            let message = "The request names no model.";
            ProxyError::invalid("missing_model", Some("model"), message)
        })?;
        let mut last = None;
        for route in self.names.routes(&name).await? {
            body["model"] = json!(route.model);
            let call = DemandedCall {
                path,
                body: body.to_string(),
                caller: caller.clone(),
            };
            match self.buyer.buy(&route, &call).await {
                Ok(bought) => return pass_on(bought, turn).await,
                Err(error) if error.is_servers_own() => {
                    if matches!(error, PurchaseError::Unreachable { .. }) {
                        self.names.forget(&name);
                    }
                    last = Some(error);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(last.map_or_else(|| no_model(&name), ProxyError::from))
    }
}

/// A bound socket, before anything is answered.
#[derive(Debug)]
pub struct ProxyListener {
    listener: TcpListener,
    pub address: SocketAddr,
}

impl ProxyListener {
    /// # Errors
    ///
    /// The address cannot be listened on.
    pub async fn bind(host: IpAddr, port: u16) -> Result<Self, MarketError> {
        let failed = |error: std::io::Error| MarketError::Listen {
            address: SocketAddr::new(host, port).to_string(),
            problem: describe_io(&error),
        };
        let listener = TcpListener::bind((host, port)).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }

    /// Answers until `stop`; then running calls finish.
    ///
    /// # Errors
    ///
    /// The socket fails.
    pub async fn run(
        self,
        inputs: ProxyInputs,
        stop: CancellationToken,
    ) -> Result<(), MarketError> {
        let settling = tokio::spawn(settle_now_and_then(Arc::clone(&inputs.buyer)));
        let router = router(inputs, stop.clone());
        // Each event of a stream leaves at once.
        let listener = self.listener.tap_io(|stream| {
            let _ = stream.set_nodelay(true);
        });
        let served = axum::serve(listener, router)
            .with_graceful_shutdown(async move { stop.cancelled().await })
            .await;
        settling.abort();
        served.map_err(|error| MarketError::Listen {
            address: self.address.to_string(),
            problem: describe_io(&error),
        })
    }
}

async fn settle_now_and_then(buyer: Arc<Buyer>) {
    loop {
        if let Err(error) = buyer.settle_open().await {
            tracing::warn!(%error, "calls without an answer were not settled");
        }
        tokio::time::sleep(SETTLE_EVERY).await;
    }
}

fn router(inputs: ProxyInputs, stop: CancellationToken) -> Router {
    let state = ProxyState(Arc::new(ProxyParts::new(inputs)));
    let mut router = Router::new();
    for route in PROXY_ROUTES {
        router = router.route(route.path, (route.mount)());
    }
    router
        .route_service(TOOLS_PATH, tools::http_service(Arc::clone(&state.0), stop))
        .method_not_allowed_fallback(wrong_method)
        .fallback(unknown)
        .layer(middleware::from_fn_with_state(state.clone(), pass))
        .with_state(state)
}

/// Admits a request and notes its caller.
async fn pass(State(state): State<ProxyState>, mut request: Request, next: Next) -> Response {
    match admit(&state.0.keys, request.headers()) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(refusal) => refusal.into_response(),
    }
}

async fn wrong_method(request: Request) -> ProxyError {
    let (method, path) = (request.method(), request.uri().path());
    let message = format!("{method} {path} is not possible.");
    let status = StatusCode::METHOD_NOT_ALLOWED;
    ProxyError::new(status, "method_not_allowed", message)
}

async fn unknown(request: Request) -> ProxyError {
    let (method, path) = (request.method(), request.uri().path());
    let with_version = format!("/v1{path}");
    let known = PROXY_ROUTES.iter().find(|it| it.path == with_version);
    let hint = known.map_or(String::new(), |it| {
        format!(" Did you mean {}? The base URL ends in /v1.", it.path)
    });
    let message = format!("There is no route {method} {path}.{hint}");
    ProxyError::new(StatusCode::NOT_FOUND, "unknown_url", message)
}

async fn health() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

async fn list_models(State(state): State<ProxyState>) -> Result<Json<Value>, ProxyError> {
    let data = state.0.names.list().await?;
    Ok(Json(json!({ "object": "list", "data": data })))
}

async fn get_model(
    State(state): State<ProxyState>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ProxyError> {
    let models = state.0.names.list().await?;
    let found = models.into_iter().find(|it| it["id"] == id.as_str());
    found.map(Json).ok_or_else(|| no_model(&id))
}

fn no_model(name: &str) -> ProxyError {
    let message = format!("The model `{name}` does not exist, or no server of it answers.");
    ProxyError {
        param: Some("model".to_owned()),
        ..ProxyError::new(StatusCode::NOT_FOUND, "model_not_found", message)
    }
}

async fn buy(
    State(state): State<ProxyState>,
    path: &'static str,
    request: Request,
) -> Result<Response, ProxyError> {
    let caller = request.extensions().get::<CallerAllowance>().cloned();
    let turn = state.0.turn()?;
    let body = read_body(request).await?;
    state.0.buy(turn, path, body, caller).await
}

async fn read_body(request: Request) -> Result<Value, ProxyError> {
    let read = to_bytes(request.into_body(), LARGEST_BODY).await;
    let bytes = read.map_err(|_| {
        let message = format!("A request has at most {LARGEST_BODY} bytes.");
        ProxyError::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message)
    })?;
    let body: Option<Value> = serde_json::from_slice(&bytes).ok();
    body.filter(Value::is_object).ok_or_else(|| {
        let message = "The request body must be a JSON object.";
        ProxyError::invalid("invalid_json", None, message)
    })
}
