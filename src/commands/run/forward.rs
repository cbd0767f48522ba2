//! Takes calls on a port or a socket of this machine and passes them to the socket of a container.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, copy_bidirectional},
    net::{TcpListener, UnixListener, UnixStream},
    sync::Semaphore,
};

use crate::commands::{CommandContext, named_paths, serve};
use openlora_container::jail::HeldSocket;
use openlora_core::error::Failure;
use openlora_serve::ServeError;

/// Connections that are passed on at the same time.
const CONNECTIONS: usize = 256;

/// The pause after a connection could not be taken, because descriptors are short, say.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Where calls arrive.
pub(super) enum CallListener {
    Tcp(TcpListener, SocketAddr),
    Local(UnixListener, PathBuf),
}

impl CallListener {
    /// Binds `socket`, or else the port of the settings, on this machine only.
    pub async fn bind(context: &CommandContext, socket: Option<&Path>) -> Result<Self, Failure> {
        if let Some(path) = socket {
            let path = named_paths::absolute(context, path);
            let bound = UnixListener::bind(&path);
            let bound = bound.map_err(|source| ServeError::BindLocal {
                path: path.clone(),
                source,
            })?;
            return Ok(Self::Local(bound, path));
        }
        let port = context.settings.serve.port;
        let place = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let failed = |source| ServeError::Bind {
            place: place.to_string(),
            port,
            source,
        };
        let bound = TcpListener::bind(place).await.map_err(failed)?;
        let address = bound.local_addr().map_err(failed)?;
        Ok(Self::Tcp(bound, address))
    }

    pub fn url(&self) -> String {
        match self {
            Self::Tcp(_, address) => serve::url_of(*address),
            Self::Local(_, path) => format!("unix:{}", path.display()),
        }
    }
}

impl Drop for CallListener {
    fn drop(&mut self) {
        if let Self::Local(_, path) = self {
            // What is left is in the way of the next one, which says so.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Passes calls on until it is aborted.
pub(super) async fn forward(listener: CallListener, socket: Arc<PathBuf>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let socket = Arc::clone(&socket);
        match &listener {
            CallListener::Tcp(listener, _) => {
                let Ok((client, _)) = listener.accept().await else {
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                };
                tokio::spawn(async move {
                    connect(client, &socket).await;
                    drop(place);
                });
            }
            CallListener::Local(listener, _) => {
                let Ok((client, _)) = listener.accept().await else {
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                };
                tokio::spawn(async move {
                    connect(client, &socket).await;
                    drop(place);
                });
            }
        }
    }
}

/// The container owns the folder of its socket, so only a socket there is used, never a link.
async fn connect(mut client: impl AsyncRead + AsyncWrite + Unpin, socket: &Path) {
    let Ok(held) = HeldSocket::open(socket) else {
        return;
    };
    let Ok(mut server) = UnixStream::connect(held.path()).await else {
        return;
    };
    // Either side may end the connection at any time.
    let _ = copy_bidirectional(&mut client, &mut server).await;
}
