//! The server's side of a worker that comes and goes: where it is reached, and what confines it.

use std::{
    io,
    path::Path,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use tokio::{io::BufReader, net::UnixStream};

use crate::wire::{WorkerFacts, WorkerReply, WorkerRequest, receive, send};
use openlora_engine::{EngineError, EngineIsolation, IsolationLimit};

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
        EngineError::Busy {
            name: self.name.clone(),
            reason: format!("the process that runs it ended: {reason}"),
        }
    }

    /// What the worker has loaded.
    ///
    /// # Errors
    ///
    /// It does not answer, or not as expected.
    pub async fn facts(&self) -> Result<WorkerFacts, EngineError> {
        let mut stream = self.ask(&WorkerRequest::Facts).await?;
        match self.next(&mut stream).await? {
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
        let open = |path: &Path| std::os::unix::net::UnixStream::connect(path);
        let opened = connector.with_socket(&open).and_then(|stream| {
            stream.set_nonblocking(true)?;
            UnixStream::from_std(stream)
        });
        let mut stream = opened.map_err(|error| self.busy(&error.to_string()))?;
        let sent = send(&mut stream, request).await;
        sent.map_err(|error| self.broken(&error.to_string()))?;
        Ok(BufReader::new(stream))
    }

    /// The next reply; `None` at the end.
    pub(crate) async fn next(
        &self,
        stream: &mut BufReader<UnixStream>,
    ) -> Result<Option<WorkerReply>, EngineError> {
        let reply = receive(stream).await;
        reply.map_err(|error| self.broken(&error.to_string()))
    }

    pub(crate) fn broken(&self, problem: &str) -> EngineError {
        EngineError::Failed(format!("the worker of {}: {problem}", self.name))
    }
}
