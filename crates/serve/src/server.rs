//! The listening socket, its connections, and how they end.
//!
//! Draining stops accepting, lets running calls finish, and then finishes metering. Hurrying cuts
//! running calls short. In both cases every reserved call is metered before [`Server::run`]
//! returns.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    extract::Request,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpListener, task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::{
    ServeError,
    access::AccessRules,
    adapter_loader::AdapterLoader,
    adapter_registry::{AdapterRegistry, ServedAdapter},
    allowances::AddressAllowances,
    api_error::ApiError,
    app::{AppParts, AppState, ServeLimits, StopHandle},
    attribution::{AttributionConfig, AttributionService},
    body::BodyMemory,
    client::{ClientAddress, LocalAddress, PeerAddress},
    connections::{Connection, ConnectionLimits, Connections, WatchedBody},
    descriptors,
    gate::{GateLimits, QueueGate},
    guarded_stream::{GuardedStream, LastRequest},
    meter::CallMeter,
    metrics::ServerMetrics,
    on_demand::OnDemandAdapters,
    payment::SalesConfig,
    prompt_filter::PromptFilter,
    quotes::QuoteCounter,
    refused_payments::RefusedPayments,
    routes::router,
    standings::StandingsSource,
    transport::{ClientListener, ClientStream, LOCAL_PEER},
    unread::UnreadAnswers,
};
use openlora_journal::Journal;
use openlora_ledger::event::Event;
use openlora_transparency::TransparencyView;

/// Longest time for a connection to idle.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Buffer of a connection. It holds a head and the next piece.
const BUFFER: usize = 96 * 1024;

/// Longest time that writes to a client may be blocked while it reads almost nothing.
const WRITE_PATIENCE: Duration = Duration::from_secs(30);

/// Time between two requests of a connection after a burst. Clients that wait for their answers
/// never notice it.
const REQUEST_PACE: Duration = Duration::from_millis(10);
const REQUEST_BURST: u32 = 100;

/// How many connections are closed together when the system has no room for a new one.
const MADE_ROOM: usize = 16;

/// Bound on request bodies beyond the small ones, and on answers that are not read yet, in bytes.
const LARGE_BODIES: usize = 64 << 20;
const UNREAD_ANSWERS: usize = 128 << 20;

/// Bound on answers held for repeated request ids, in bytes.
const HELD_ANSWERS: usize = 32 << 20;

/// Longest wait for the last counts to reach the journal after hurrying.
const LAST_COUNTS: Duration = Duration::from_secs(10);

/// How long answers may be read after the last call is counted, and after hurrying.
const LAST_READS: Duration = Duration::from_secs(120);
const HURRIED_READS: Duration = Duration::from_secs(2);

/// A socket that listens; calls wait in its backlog until a [`Server`] takes it.
#[derive(Debug)]
pub struct BoundSocket {
    listener: ClientListener,
    /// For a socket in the file system the address that its clients count as, without a port.
    pub address: SocketAddr,
    /// The socket in the file system, if it is one.
    pub path: Option<PathBuf>,
}

impl BoundSocket {
    /// Binds before anything is loaded, so that a port conflict is reported at once.
    pub async fn new(host: &str, port: u16) -> Result<Self, ServeError> {
        let place = if host.contains(':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        };
        let bound = match TcpListener::bind(&place).await {
            Ok(listener) => listener.local_addr().map(|address| Self {
                listener: ClientListener::Tcp(listener),
                address,
                path: None,
            }),
            Err(source) => Err(source),
        };
        bound.map_err(|source| ServeError::Bind {
            place,
            port,
            source,
        })
    }

    /// Binds a socket in the file system, which only its owner may connect to. It is removed when
    /// the server ends.
    pub fn local(path: &Path) -> Result<Self, ServeError> {
        match ClientListener::bind_local(path) {
            Ok(listener) => Ok(Self {
                listener,
                address: LOCAL_PEER,
                path: Some(path.to_owned()),
            }),
            Err(source) => Err(ServeError::BindLocal {
                path: path.to_owned(),
                source,
            }),
        }
    }
}

impl Drop for BoundSocket {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // What is left is replaced by the next server.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// The parts of a server.
pub struct ServeInputs {
    pub adapters: Vec<ServedAdapter>,
    /// Absent if calls are free.
    pub sales: Option<SalesConfig>,
    pub attribution: AttributionConfig,
    pub access: AccessRules,
    /// The published log of the journal; absent if there is none.
    pub transparency: Option<TransparencyView>,
    /// Loads further adapters on request; absent if the server keeps those that it has.
    pub loader: Option<Arc<dyn AdapterLoader>>,
    /// Absent if pages show no sums.
    pub standings: Option<Arc<dyn StandingsSource>>,
    /// Fetches adapters when they are first called; absent if none are.
    pub on_demand: Option<OnDemandAdapters>,
    /// Reads prompts for pictures before they are answered; absent if none are refused.
    pub prompt_filter: Option<PromptFilter>,
}

/// A server about to run.
pub struct Server {
    bound: BoundSocket,
    app: AppState,
    connections: ConnectionLimits,
}

impl Server {
    /// Opens the meter, which counts the calls that an earlier process left open, and records the
    /// adapters in the journal.
    pub async fn new(
        bound: BoundSocket,
        inputs: ServeInputs,
        journal: Journal,
        limits: ServeLimits,
        stop: StopHandle,
    ) -> Result<Self, ServeError> {
        let adapters = AdapterRegistry::new(inputs.adapters)?;
        let prompt_filter = inputs.prompt_filter.map(|filter| filter.check(&adapters));
        let prompt_filter = prompt_filter.transpose()?;
        let bounds = GateLimits {
            concurrent: limits.max_concurrent,
            parallel: limits.parallel,
            queue: limits.queue,
        };
        let gate = Arc::new(QueueGate::new(bounds, stop.draining.clone()));
        let config = inputs.attribution;
        let attributions = AttributionService::open(journal.clone(), &adapters, config).await?;
        let metrics = ServerMetrics::new(Arc::clone(&gate), adapters.clone(), attributions.clone());
        let (attributed, counted) = (attributions.clone(), metrics.clone());
        let meter = CallMeter::open(journal.clone(), attributed, counted, HELD_ANSWERS).await?;
        for adapter in adapters.all() {
            journal
                .append(Event::AdapterLoaded {
                    name: adapter.name.clone(),
                    adapter_digest: adapter.digest.clone(),
                    base_digest: adapter.base_digest.clone(),
                })
                .await?;
        }
        // If calls are paid, prompts are counted one at a time, which leaves the processor to paid
        // calls.
        let counting = match inputs.sales {
            Some(_) => 1,
            None => limits.max_concurrent,
        };
        let app = AppState::new(AppParts {
            bodies: BodyMemory::new(LARGE_BODIES.max(2 * limits.max_body)),
            quotes: QuoteCounter::new(counting),
            refused: RefusedPayments::default(),
            unread: Arc::new(UnreadAnswers::new(UNREAD_ANSWERS)),
            adapters,
            meter,
            gate,
            metrics,
            journal,
            limits,
            stop,
            attributions,
            sales: inputs.sales,
            access: inputs.access,
            transparency: inputs.transparency,
            loader: inputs.loader,
            standings: inputs.standings,
            on_demand: inputs.on_demand,
            prompt_filter,
            loading: tokio::sync::Mutex::default(),
        });
        Ok(Self {
            bound,
            app,
            connections: ConnectionLimits::default(),
        })
    }

    /// Sets other limits on connections.
    pub fn with_connections(mut self, limits: ConnectionLimits) -> Self {
        self.connections = limits;
        self
    }

    /// Sets other allowances of each address.
    pub fn with_allowances(self, allowances: AddressAllowances) -> Self {
        self.app.quotes.limit(allowances);
        self.app.refused.limit(allowances);
        self
    }

    pub fn address(&self) -> SocketAddr {
        self.bound.address
    }

    /// The routes, for callers that use them without a socket.
    pub fn router(&self) -> Router {
        router(self.app.clone())
    }

    /// Serves until it is stopped, and then until every call is metered.
    pub async fn run(self) -> Result<(), ServeError> {
        let Self {
            bound,
            app,
            connections: limits,
        } = self;
        let router = router(app.clone());
        let room = descriptors::room_for_connections().unwrap_or(limits.total);
        let limits = ConnectionLimits {
            total: limits.total.min(room),
            ..limits
        };
        let open = Arc::new(Connections::new(limits));
        let mut connections = JoinSet::new();
        let closing = CancellationToken::new();
        let (attributions, closed) = (app.attributions.clone(), closing.clone());
        let worker = tokio::spawn(async move { attributions.run(closed).await });
        loop {
            let accepted = tokio::select! {
                accepted = bound.listener.accept() => accepted,
                () = app.stop.draining.cancelled() => break,
                () = app.stop.force_stop.cancelled() => break,
                Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            };
            match accepted {
                Ok((stream, peer)) => {
                    match open.admit(ClientAddress::of_peer(peer, &app.access.proxies)) {
                        Some(connection) => {
                            let work = serve(stream, peer, connection, router.clone(), app.clone());
                            connections.spawn(work);
                        }
                        None => turn_away(stream),
                    }
                }
                Err(error) => {
                    // The process has no file descriptors left, or the client has already
                    // disconnected.
                    tracing::warn!(%error, open = open.count(), "a connection was not accepted");
                    open.make_room(MADE_ROOM);
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
        drop(bound);
        app.stop.draining.cancel();
        let finished = finish(&app, connections, &closing).await;
        closing.cancel();
        // A worker that panicked has nothing left to attribute.
        let _ = worker.await;
        finished
    }
}

async fn finish(
    app: &AppState,
    mut connections: JoinSet<()>,
    closing: &CancellationToken,
) -> Result<(), ServeError> {
    let closed = async { while connections.join_next().await.is_some() {} };
    tokio::select! {
        () = closed => {}
        () = last_reads(app) => tracing::info!("answers that nobody read in time are cut off"),
    }
    connections.abort_all();
    let last_counts = async {
        app.stop.force_stop.cancelled().await;
        tokio::time::sleep(LAST_COUNTS).await;
    };
    tokio::select! {
        () = app.meter.idle() => {
            // Calls that wait longer than this are attributed after the next start.
            tokio::select! {
                () = app.attributions.settle_down(LAST_COUNTS) => {}
                () = app.stop.force_stop.cancelled() => {}
            }
            closing.cancel();
            app.meter.close().await
        }
        () = last_counts => {
            tracing::error!("the journal did not take the last counts; the next start will");
            Ok(())
        }
    }
}

/// Waits while clients may still read the answers of a server that is stopping.
async fn last_reads(app: &AppState) {
    let counted = async {
        app.meter.idle().await;
        tokio::time::sleep(LAST_READS).await;
    };
    let hurried = async {
        app.stop.force_stop.cancelled().await;
        tokio::time::sleep(HURRIED_READS).await;
    };
    tokio::select! {
        () = counted => {}
        () = hurried => {}
    }
}

/// Tells a client that every connection is busy.
fn turn_away(stream: ClientStream) {
    let message = "All connections of this server are in use; try again shortly.";
    let body = ApiError::unavailable("too_many_connections", message).envelope();
    let body = body.to_string();
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nretry-after: 1\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    // It fits into the empty buffer of a new socket; a disconnected client needs no answer.
    let _ = stream.send_and_close(answer.as_bytes());
}

async fn serve(
    stream: ClientStream,
    peer: SocketAddr,
    place: Connection,
    router: Router,
    app: AppState,
) {
    // A connection that was only opened uses no buffers.
    tokio::select! {
        begun = tokio::time::timeout(IDLE_TIMEOUT, stream.readable()) => match begun {
            Ok(Ok(())) => {}
            _ => return,
        },
        () = place.closed() => return,
        () = app.stop.draining.cancelled() => return,
    }
    // Tokens are sent one by one; the reader would notice a delay for fuller packets.
    let _ = stream.set_nodelay();
    let last = LastRequest::default();
    let here = stream.local_address();
    let sent = Arc::clone(place.sent());
    let stream = GuardedStream::new(stream, WRITE_PATIENCE, last.clone(), sent);
    let (requests, connection) = (AtomicU64::new(0), place.clone());
    let pace = Arc::new(RequestPace::default());
    let stop = app.stop.clone();
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        let number = requests.fetch_add(1, Ordering::Relaxed) + 1;
        request.extensions_mut().insert(PeerAddress(peer));
        if let Some(here) = here {
            request.extensions_mut().insert(LocalAddress(here));
        }
        request.extensions_mut().insert(connection.clone());
        let request = request.map(axum::body::Body::new);
        let (last, pace) = (last.refusal_for(number), Arc::clone(&pace));
        let (router, app, connection) = (router.clone(), app.clone(), connection.clone());
        async move {
            pace.wait().await;
            answer(request, last, router, app, connection).await
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE_TIMEOUT)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = place.closed() => return,
        () = stop.draining.cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = connection => ended,
                () = place.closed() => return,
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, %peer, "a connection ended early");
    }
}

/// Limits the rate of requests on one connection (generic cell rate algorithm).
#[derive(Default)]
struct RequestPace(Mutex<Option<Instant>>);

impl RequestPace {
    async fn wait(&self) {
        tokio::time::sleep_until(self.next()).await;
    }

    fn next(&self) -> Instant {
        let now = Instant::now();
        let mut due = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let earliest = now.checked_sub(REQUEST_PACE * REQUEST_BURST).unwrap_or(now);
        let next = due.map_or(earliest, |due| due.max(earliest)) + REQUEST_PACE;
        *due = Some(next);
        next
    }
}

/// Answers one request of a connection; after the last one the connection ends.
async fn answer(
    request: Request,
    last: Option<Option<ApiError>>,
    router: Router,
    app: AppState,
    connection: Connection,
) -> Result<Response, std::convert::Infallible> {
    let ends = last.is_some();
    let mut response = match last.flatten() {
        Some(refusal) => {
            app.metrics.responded("malformed", refusal.status.as_u16());
            refusal.into_response()
        }
        None => router.oneshot(request).await?,
    };
    if ends {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    Ok(response.map(|body| WatchedBody::body(body, connection)))
}
