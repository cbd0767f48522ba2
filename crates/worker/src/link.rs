//! The server's side of a worker that comes and goes: where it is reached, and what confines it.

use std::{
    io,
    os::fd::OwnedFd,
    path::Path,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::Duration,
};

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::{io::BufReader, net::UnixStream, time::timeout};

use crate::wire::{WorkerFacts, WorkerReply, WorkerRequest, receive, send};
use openlora_engine::{EngineError, EngineIsolation, IsolationLimit};

/// How long a worker may take to read a request.
const SENDING: Duration = Duration::from_secs(30);

/// How long it may take to begin an answer.
pub(crate) const BEGINNING: Duration = Duration::from_secs(60);

/// How long it may compute before each part of an answer. Calls that are paid have deadlines of their own.
pub(crate) const COMPUTING: Duration = Duration::from_secs(600);

/// Opens a connection to a running worker. The worker owns the folder of its socket, so the one who
/// starts it says how the socket is found there.
pub trait Connector: Send + Sync {
    /// Calls `connect` with a path that leads to the socket.
    ///
    /// # Errors
    ///
    /// There is no socket.
    fn with_socket(
        &self,
        connect: &dyn Fn(&Path) -> io::Result<std::os::unix::net::UnixStream>,
    ) -> io::Result<std::os::unix::net::UnixStream>;
}

/// A worker of one adapter, whether or not it is running.
pub struct WorkerLink {
    name: String,
    state: RwLock<LinkState>,
}

#[derive(Default)]
struct LinkState {
    connector: Option<Arc<dyn Connector>>,
    /// Why it is not running.
    reason: String,
    isolation: Option<EngineIsolation>,
}

impl WorkerLink {
    /// A worker that does not run yet.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            state: RwLock::new(LinkState {
                reason: "it is being started".to_owned(),
                ..LinkState::default()
            }),
        }
    }

    /// The adapter's name in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn read(&self) -> RwLockReadGuard<'_, LinkState> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, LinkState> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The worker runs and is reached so, confined by these limits.
    pub fn running(
        &self,
        connector: Arc<dyn Connector>,
        runtime: &str,
        limits: Vec<IsolationLimit>,
    ) {
        let mut state = self.write();
        let restarts = state.isolation.as_ref().map_or(0, |it| it.restarts + 1);
        state.connector = Some(connector);
        state.isolation = Some(EngineIsolation {
            runtime: runtime.to_owned(),
            is_running: true,
            restarts,
            limits,
        });
    }

    /// The worker ended.
    pub fn ended(&self, reason: &str) {
        let mut state = self.write();
        state.connector = None;
        reason.clone_into(&mut state.reason);
        if let Some(isolation) = &mut state.isolation {
            isolation.is_running = false;
        }
    }

    /// What confines it, as it was read back when it was started last.
    pub fn isolation(&self) -> EngineIsolation {
        let known = self.read().isolation.clone();
        known.unwrap_or_else(|| EngineIsolation {
            runtime: String::new(),
            is_running: false,
            restarts: 0,
            limits: Vec::new(),
        })
    }

    /// Whether calls can be taken.
    ///
    /// # Errors
    ///
    /// It is not running; the error is that of an engine that may take the call later.
    pub fn require_running(&self) -> Result<(), EngineError> {
        let state = self.read();
        match &state.connector {
            Some(_) => Ok(()),
            None => Err(self.busy(&state.reason)),
        }
    }

    fn busy(&self, reason: &str) -> EngineError {
        self.unavailable(&format!("the process that runs it ended: {reason}"))
    }

    fn unavailable(&self, reason: &str) -> EngineError {
        EngineError::Busy {
            name: self.name.clone(),
            reason: reason.to_owned(),
        }
    }

    /// What the worker has loaded.
    ///
    /// # Errors
    ///
    /// It does not answer, or not as expected.
    pub async fn facts(&self) -> Result<WorkerFacts, EngineError> {
        let mut stream = self.ask(&WorkerRequest::Facts).await?;
        match self.next(&mut stream, BEGINNING).await? {
            Some(WorkerReply::Facts(facts)) => Ok(facts),
            _ => Err(EngineError::Failed(format!(
                "the worker of {} does not say what it has loaded",
                self.name
            ))),
        }
    }

    /// Begins an operation.
    pub(crate) async fn ask(
        &self,
        request: &WorkerRequest,
    ) -> Result<BufReader<UnixStream>, EngineError> {
        let connector = {
            let state = self.read();
            match &state.connector {
                Some(connector) => Arc::clone(connector),
                None => return Err(self.busy(&state.reason)),
            }
        };
        let opened = connector.with_socket(&connected);
        let mut stream = match opened.and_then(UnixStream::from_std) {
            Ok(stream) => stream,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(self.unavailable("it takes no further connections now"));
            }
            Err(error) => return Err(self.busy(&error.to_string())),
        };
        let sent = timeout(SENDING, send(&mut stream, request)).await;
        let sent = sent.map_err(|_| self.broken("it does not read what it is asked"))?;
        sent.map_err(|error| self.broken(&error.to_string()))?;
        Ok(BufReader::new(stream))
    }

    /// The next reply; `None` at the end. A worker that is silent for longer than `patience` has failed.
    pub(crate) async fn next(
        &self,
        stream: &mut BufReader<UnixStream>,
        patience: Duration,
    ) -> Result<Option<WorkerReply>, EngineError> {
        let reply = timeout(patience, receive(stream)).await;
        let silent = || self.broken(&format!("it says nothing for {} s", patience.as_secs()));
        let reply = reply.map_err(|_| silent())?;
        reply.map_err(|error| self.broken(&error.to_string()))
    }

    pub(crate) fn broken(&self, problem: &str) -> EngineError {
        EngineError::Failed(format!("the worker of {}: {problem}", self.name))
    }
}

/// Connects without waiting: a worker that accepts nothing would hold the thread. An error of the kind
/// `WouldBlock` means that as many connections wait as may.
fn connected(path: &Path) -> io::Result<std::os::unix::net::UnixStream> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.connect(&SockAddr::unix(path)?)?;
    Ok(OwnedFd::from(socket).into())
}
