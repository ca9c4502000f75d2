//! Listening: TCP ports and UNIX sockets, and their end.
//!
//! **Ordering:** where there is time to leave, answers first ask their clients to come back by another
//! connection. On shutdown, first nobody is accepted any more, then idle connections are closed
//! and the others told to close after their answer, then the time limit counts.

use std::io::{self, ErrorKind::AddrInUse, ErrorKind::PermissionDenied};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::service::TowerToHyperService;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

use super::connection::{self, Accepted, Connections, Life, Stopped};
use super::socket_file::SocketFile;

/// How many connections there may be on one port. More wait in the kernel's queue: each costs a
/// file descriptor and some kilobytes, and a client that opens thousands is mistaken.
const MAX_CONNECTIONS: usize = 16_384;

/// How many connections may wait in the kernel to be accepted.
const BACKLOG: i32 = 1024;

/// How long to rest when the system has no descriptor left for a connection that waits.
const OUT_OF_DESCRIPTORS: Duration = Duration::from_millis(100);

/// A port or socket that is taken and not yet served.
#[derive(Debug)]
pub(crate) struct Listener {
    listener: Kind,
    port: u16,
    file: Option<SocketFile>,
}

#[derive(Debug)]
enum Kind {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    /// Takes `port` (0 for any) at `address`, or everywhere: IPv6 and IPv4 with one socket, or
    /// IPv4 alone where the system has nothing else.
    pub(crate) fn bind(address: Option<IpAddr>, port: u16) -> io::Result<Self> {
        let socket = match address {
            Some(address) => bind_to(SocketAddr::new(address, port))?,
            None => bind_to((Ipv6Addr::UNSPECIFIED, port).into()).or_else(|error| {
                if matches!(error.kind(), AddrInUse | PermissionDenied) {
                    // IPv6 is there, the port is not: half a server would hide that.
                    return Err(error);
                }
                bind_to((Ipv4Addr::UNSPECIFIED, port).into())
            })?,
        };
        let listener = TcpListener::from_std(socket.into())?;
        let port = listener.local_addr()?.port();
        Ok(Self {
            listener: Kind::Tcp(listener),
            port,
            file: None,
        })
    }

    /// Takes the UNIX socket at `path`, in the place of one that a server left behind.
    pub(crate) fn bind_unix(path: &Path) -> io::Result<Self> {
        let (listener, file) = SocketFile::bind(path)?;
        Ok(Self {
            listener: Kind::Unix(UnixListener::from_std(listener)?),
            port: 0,
            file: Some(file),
        })
    }

    /// The port that was taken; 0 for a UNIX socket.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Serves connections from now on.
    pub(crate) fn serve(self, routes: Router, how: Arc<Connections>) -> Listening {
        let (life, stopped) = watch::channel(Life::Open);
        let stopped = Stopped::new(stopped);
        let accepting = tokio::spawn(accept(self.listener, routes, how, stopped));
        Listening {
            life,
            accepting,
            file: self.file,
        }
    }
}

/// A port that is served.
#[derive(Debug)]
pub(crate) struct Listening {
    life: watch::Sender<Life>,
    accepting: JoinHandle<()>,
    /// Removes the file when the server has ended, however that came.
    file: Option<SocketFile>,
}

impl Listening {
    /// Goes on as before, and asks clients over HTTP/1 to come back by another connection.
    pub(crate) fn leave(&self) {
        self.life.send_replace(Life::Leaving);
    }

    /// Stops accepting, and waits until the requests that run are answered. Put a time limit
    /// round it; what still runs then ends with the process.
    pub(crate) async fn shut_down(self) {
        // The next server may take its place while this one still answers.
        drop(self.file);
        self.life.send_replace(Life::Ending);
        // It ends at once; an error is a panic of its own.
        let _ = self.accepting.await;
        // Every connection holds a receiver.
        self.life.closed().await;
    }
}

fn bind_to(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    // A restart must not wait for old connections to time out.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

async fn accept(listener: Kind, routes: Router, how: Arc<Connections>, mut stopped: Stopped) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let service = TowerToHyperService::new(routes);
    loop {
        let next = async {
            let slot = Arc::clone(&slots).acquire_owned().await;
            (slot, listener.accept().await)
        };
        let (slot, accepted) = tokio::select! {
            next = next => next,
            () = stopped.ending() => return,
        };
        let accepted = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!("cannot accept a connection: {error}");
                tokio::time::sleep(OUT_OF_DESCRIPTORS).await;
                continue;
            }
        };
        let (service, how, stopped) = (service.clone(), Arc::clone(&how), stopped.clone());
        // Handshakes and silence are each connection's own affair: they hold up no other.
        tokio::spawn(async move {
            connection::serve(accepted, service, &how, stopped).await;
            drop(slot);
        });
    }
}

impl Kind {
    async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                // Without it, small answers on a live connection wait for the client's delayed
                // acknowledgement: 40 ms and more.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!("cannot set TCP_NODELAY: {error}");
                }
                Ok(Accepted {
                    stream: Box::new(stream),
                    peer: Some(peer),
                    is_unix: false,
                })
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok(Accepted {
                    stream: Box::new(stream),
                    peer: None,
                    is_unix: true,
                })
            }
        }
    }
}
