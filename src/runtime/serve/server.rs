//! The listening socket, its connections, and how they end.
//!
//! Draining stops accepting, lets running calls finish, then metering; hurrying cuts running
//! calls short. Either way every reserved call is metered before [`Server::run`] returns.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, extract::Request};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::{
    ServeError,
    access::Access,
    attribution::{Attributions, Keeping},
    gate::Gate,
    hosted::{Hosted, Shelf},
    meter::Meter,
    metrics::Metrics,
    payment::Sales,
    routes::{App, Parts, Peer, router},
    stall::Impatient,
};
use crate::runtime::{event::Event, journal::Journal};

/// Longest time for a request's head to arrive, and for a connection to idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// Read buffer of a connection; a longer head is answered with 431 without an envelope.
const HEAD_BUFFER: usize = 64 * 1024;

/// Longest time without progress in writing to a client.
const WRITE_PATIENCE: Duration = Duration::from_secs(30);

/// Most connections at once.
const MAX_CONNECTIONS: usize = 1024;

/// Bound on answers held for repeated request ids, in bytes.
const HELD_ANSWERS: usize = 32 << 20;

/// After hurrying, the longest wait for the last counts to reach the journal.
const LAST_COUNTS: Duration = Duration::from_secs(10);

/// Sizes that bound what callers can ask of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServeLimits {
    /// Calls on engines at once.
    pub max_concurrent: usize,
    /// Calls waiting for a turn.
    pub queue: usize,
    /// Largest request body in bytes.
    pub max_body: usize,
    /// Answer length in tokens when the caller sets none.
    pub max_tokens: usize,
}

/// How a running server is told to stop; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    /// No new calls; running ones finish.
    pub draining: CancellationToken,
    /// Running calls end now.
    pub hurry: CancellationToken,
}

/// A socket that listens; calls wait in its backlog until a [`Server`] takes it.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    pub address: SocketAddr,
}

impl Bound {
    /// Binds before anything is loaded, so that a taken port is known at once.
    pub async fn new(host: &str, port: u16) -> Result<Self, ServeError> {
        let place = if host.contains(':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        };
        let bound = match TcpListener::bind(&place).await {
            Ok(listener) => listener
                .local_addr()
                .map(|address| Self { listener, address }),
            Err(source) => Err(source),
        };
        bound.map_err(|source| ServeError::Bind {
            place,
            port,
            source,
        })
    }
}

/// What a server has to offer.
pub struct Goods {
    pub adapters: Vec<Hosted>,
    /// Absent where calls are free.
    pub sales: Option<Sales>,
    pub keeping: Keeping,
    pub access: Access,
}

/// A server about to run.
pub struct Server {
    bound: Bound,
    app: App,
}

impl Server {
    /// Opens the meter, which counts what an earlier process left open, and names the adapters in
    /// the journal.
    pub async fn new(
        bound: Bound,
        goods: Goods,
        journal: Journal,
        limits: ServeLimits,
        stop: Stop,
    ) -> Result<Self, ServeError> {
        let shelf = Shelf::new(goods.adapters)?;
        let gate = Gate::new(limits.max_concurrent, limits.queue, stop.draining.clone());
        let gate = Arc::new(gate);
        let keeping = goods.keeping;
        let attributions = Attributions::open(journal.clone(), &shelf, keeping).await?;
        let metrics = Metrics::new(Arc::clone(&gate), shelf.len(), attributions.clone());
        let counted = (attributions.clone(), metrics.clone());
        let meter = Meter::open(journal.clone(), counted, HELD_ANSWERS).await?;
        for adapter in shelf.iter() {
            journal
                .append(Event::AdapterLoaded {
                    name: adapter.name.clone(),
                    adapter_digest: adapter.digest.clone(),
                    base_digest: adapter.base_digest.clone(),
                })
                .await?;
        }
        let app = App::new(Parts {
            shelf,
            meter,
            gate,
            metrics,
            journal,
            limits,
            stop,
            attributions,
            sales: goods.sales,
            access: goods.access,
        });
        Ok(Self { bound, app })
    }

    pub fn address(&self) -> SocketAddr {
        self.bound.address
    }

    /// Serves until told to stop, then until every call is metered.
    pub async fn run(self) -> Result<(), ServeError> {
        let Self { bound, app } = self;
        let router = router(app.clone());
        let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let mut connections = JoinSet::new();
        let closing = CancellationToken::new();
        let (attributions, closed) = (app.attributions.clone(), closing.clone());
        let worker = tokio::spawn(async move { attributions.run(closed).await });
        loop {
            let accepted = tokio::select! {
                accepted = accept(&bound.listener, &room) => accepted,
                () = app.stop.draining.cancelled() => break,
                () = app.stop.hurry.cancelled() => break,
                Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            };
            if let Some((stream, peer, permit)) = accepted {
                let work = serve(stream, peer, router.clone(), app.stop.clone());
                connections.spawn(async move {
                    work.await;
                    drop(permit);
                });
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
    app: &App,
    mut connections: JoinSet<()>,
    closing: &CancellationToken,
) -> Result<(), ServeError> {
    while connections.join_next().await.is_some() {}
    let last_counts = async {
        app.stop.hurry.cancelled().await;
        tokio::time::sleep(LAST_COUNTS).await;
    };
    tokio::select! {
        () = app.meter.idle() => {
            // What waits longer than this waits for the next start.
            tokio::select! {
                () = app.attributions.settle_down(LAST_COUNTS) => {}
                () = app.stop.hurry.cancelled() => {}
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

/// The next connection, once there is room for it.
async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let permit = Arc::clone(room).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => Some((stream, peer, permit)),
        Err(error) => {
            // Out of file descriptors, or a client that was gone at once: a pause lets others end.
            tracing::warn!(%error, "a connection was not accepted");
            tokio::time::sleep(Duration::from_millis(50)).await;
            None
        }
    }
}

async fn serve(stream: TcpStream, peer: SocketAddr, router: Router, stop: Stop) {
    // Tokens go out one by one; a delay for fuller packets would be seen by the reader.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        router
            .clone()
            .oneshot(request.map(axum::body::Body::new) as Request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BUFFER)
        .serve_connection(
            TokioIo::new(Impatient::new(stream, WRITE_PATIENCE)),
            service,
        );
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.draining.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, %peer, "a connection ended early");
    }
}
