//! Limits the number of open connections, and selects which one to close when there are too many.
//!
//! A connection can be closed for a new one if it waits for a request or if its request is not paid
//! for. Connections that never sent a complete request are closed first, then those idle longest,
//! of the address that holds the most. Connections with work in progress are kept.

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use tokio_util::sync::CancellationToken;

use super::{client::ClientAddress, sent_bytes::SentBytes};

/// The limits on connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    pub total: usize,
    /// Limit per address. Loopback, where proxies run, has only the total limit.
    pub per_address: usize,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            total: 2048,
            per_address: 128,
        }
    }
}

/// All open connections of a server.
#[derive(Debug)]
pub struct Connections {
    limits: ConnectionLimits,
    table: Mutex<ConnectionTable>,
}

#[derive(Debug, Default)]
struct ConnectionTable {
    /// Orders arrivals and the times at which connections became idle.
    clock: u64,
    open: BTreeMap<u64, OpenConnection>,
    /// Connections that may be closed; the first one of an address is closed first.
    idle: BTreeSet<IdleOrder>,
    per_address: BTreeMap<ClientAddress, usize>,
}

#[derive(Debug)]
struct OpenConnection {
    address: ClientAddress,
    /// Its position among idle connections; `None` while it is in use.
    idle: Option<IdleOrder>,
    close: CancellationToken,
}

/// By address, then never served before served, then by idle time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct IdleOrder {
    address: ClientAddress,
    served: bool,
    since: u64,
    id: u64,
}

/// A connection's slot, which is freed with the last clone of this.
#[derive(Clone, Debug)]
pub struct Connection(Arc<ConnectionPlace>);

#[derive(Debug)]
struct ConnectionPlace {
    id: u64,
    connections: Arc<Connections>,
    close: CancellationToken,
    sent: Arc<SentBytes>,
}

impl Connections {
    pub fn new(limits: ConnectionLimits) -> Self {
        Self {
            limits,
            table: Mutex::default(),
        }
    }

    /// Adds a connection, and closes another one if there is no room. `None` if all others are
    /// busy.
    pub fn admit(self: &Arc<Self>, address: ClientAddress) -> Option<Connection> {
        let mut table = self.lock();
        let of_address = table.per_address.get(&address).copied().unwrap_or(0);
        if !address.is_shared() && of_address >= self.limits.per_address {
            table.evict(address).then_some(())?;
        }
        if table.open.len() >= self.limits.total {
            table.evict_greediest().then_some(())?;
        }
        let id = table.tick();
        let close = CancellationToken::new();
        table.open.insert(
            id,
            OpenConnection {
                address,
                idle: None,
                close: close.clone(),
            },
        );
        *table.per_address.entry(address).or_default() += 1;
        table.rest(id, false);
        drop(table);
        Some(Connection(Arc::new(ConnectionPlace {
            id,
            connections: Arc::clone(self),
            close,
            sent: Arc::default(),
        })))
    }

    /// Closes up to `count` idle connections when the system has no room for more.
    pub fn make_room(&self, count: usize) {
        let mut table = self.lock();
        for _ in 0..count {
            if !table.evict_greediest() {
                return;
            }
        }
    }

    pub fn count(&self) -> usize {
        self.lock().open.len()
    }

    fn lock(&self) -> MutexGuard<'_, ConnectionTable> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ConnectionTable {
    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    /// Closes the first idle connection of an address.
    fn evict(&mut self, address: ClientAddress) -> bool {
        let first = IdleOrder {
            address,
            served: false,
            since: 0,
            id: 0,
        };
        let found = self.idle.range(first..).next().copied();
        match found.filter(|idle| idle.address == address) {
            Some(idle) => {
                if let Some(open) = self.remove(idle.id) {
                    open.close.cancel();
                }
                true
            }
            None => false,
        }
    }

    /// The same, for the address with the most connections that has an idle one.
    fn evict_greediest(&mut self) -> bool {
        let mut greediest: Option<(usize, ClientAddress)> = None;
        let mut next = self.idle.first().copied();
        while let Some(idle) = next {
            let count = self.per_address.get(&idle.address).copied().unwrap_or(0);
            if greediest.is_none_or(|(most, _)| count > most) {
                greediest = Some((count, idle.address));
            }
            let last = IdleOrder {
                served: true,
                since: u64::MAX,
                id: u64::MAX,
                ..idle
            };
            let behind = (std::ops::Bound::Excluded(last), std::ops::Bound::Unbounded);
            next = self.idle.range(behind).next().copied();
        }
        greediest.is_some_and(|(_, address)| self.evict(address))
    }

    fn remove(&mut self, id: u64) -> Option<OpenConnection> {
        let open = self.open.remove(&id)?;
        if let Some(idle) = &open.idle {
            self.idle.remove(idle);
        }
        if let Some(count) = self.per_address.get_mut(&open.address) {
            *count -= 1;
            if *count == 0 {
                self.per_address.remove(&open.address);
            }
        }
        Some(open)
    }

    fn work(&mut self, id: u64) {
        let idle = self.open.get_mut(&id).and_then(|open| open.idle.take());
        if let Some(idle) = idle {
            self.idle.remove(&idle);
        }
    }

    fn rest(&mut self, id: u64, served: bool) {
        self.work(id);
        let since = self.tick();
        let Some(open) = self.open.get_mut(&id) else {
            return;
        };
        let idle = IdleOrder {
            address: open.address,
            served,
            since,
            id,
        };
        open.idle = Some(idle);
        self.idle.insert(idle);
    }
}

impl Connection {
    /// Keeps the connection open until its answer is sent, because work has begun for it.
    pub fn keep_open(&self) {
        self.0.connections.lock().work(self.0.id);
    }

    /// Records that an answer was sent.
    pub fn served(&self) {
        self.0.connections.lock().rest(self.0.id, true);
    }

    /// The bytes of answers that it has passed on.
    pub fn sent(&self) -> &Arc<SentBytes> {
        &self.0.sent
    }

    /// How many connections the server has.
    pub fn all(&self) -> usize {
        self.0.connections.count()
    }

    pub fn close(&self) {
        self.0.close.cancel();
    }

    pub async fn closed(&self) {
        self.0.close.cancelled().await;
    }
}

impl Drop for ConnectionPlace {
    fn drop(&mut self) {
        self.connections.lock().remove(self.id);
    }
}

/// A body that notifies its connection when it was sent.
pub struct WatchedBody {
    body: Body,
    connection: Connection,
}

impl WatchedBody {
    pub fn body(body: Body, connection: Connection) -> Body {
        Body::new(Self { body, connection })
    }
}

impl HttpBody for WatchedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for WatchedBody {
    fn drop(&mut self) {
        self.connection.served();
    }
}
