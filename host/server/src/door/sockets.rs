//! Listening, connections and their end.
//!
//! **Ordering:** on shutdown, first nobody is accepted any more, then idle connections are closed
//! and the others told to close after their answer, then the time limit counts.

use std::convert::Infallible;
use std::io::{self, ErrorKind::AddrInUse, ErrorKind::PermissionDenied};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::BoxError;
use axum::body::HttpBody;
use bytes::Bytes;
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio_io_timeout::TimeoutStream;

/// How long a connection may be silent before a request, and how long a client may take nothing
/// of its answer, as in the original.
const IDLE: Duration = Duration::from_secs(50);

/// How many connections there may be on one port. More wait in the kernel's queue: each costs a
/// file descriptor and some kilobytes, and a client that opens thousands is mistaken.
const MAX_CONNECTIONS: usize = 16_384;

/// How many connections may wait in the kernel to be accepted.
const BACKLOG: i32 = 1024;

/// How long to rest when the system has no descriptor left for a connection that waits.
const OUT_OF_DESCRIPTORS: Duration = Duration::from_millis(100);

/// A port that is taken and not yet served.
#[derive(Debug)]
pub(crate) struct Listener {
    listener: TcpListener,
    address: SocketAddr,
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
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// The port that was taken.
    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Serves connections from now on.
    pub(crate) fn serve<S, B>(self, service: S) -> Listening
    where
        S: Service<http::Request<Incoming>, Response = http::Response<B>, Error = Infallible>
            + Clone
            + Send
            + 'static,
        S::Future: Send + 'static,
        B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let (stop, stopped) = watch::channel(());
        let accepting = tokio::spawn(accept(self.listener, service, stopped));
        Listening { stop, accepting }
    }
}

/// A port that is served.
#[derive(Debug)]
pub(crate) struct Listening {
    stop: watch::Sender<()>,
    accepting: JoinHandle<GracefulShutdown>,
}

impl Listening {
    /// Stops accepting, and waits until the requests that run are answered. Put a time limit
    /// round it; what still runs then ends with the process.
    pub(crate) async fn shut_down(self) {
        drop(self.stop);
        if let Ok(connections) = self.accepting.await {
            connections.shutdown().await;
        }
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

async fn accept<S, B>(
    listener: TcpListener,
    service: S,
    mut stopped: watch::Receiver<()>,
) -> GracefulShutdown
where
    S: Service<http::Request<Incoming>, Response = http::Response<B>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send + 'static,
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let connections = GracefulShutdown::new();
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let next = async {
            let slot = Arc::clone(&slots).acquire_owned().await;
            (slot, listener.accept().await)
        };
        let (slot, accepted) = tokio::select! {
            next = next => next,
            // Its sender is dropped to stop us; nothing is ever sent.
            _ = stopped.changed() => return connections,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!("cannot accept a connection: {error}");
                tokio::time::sleep(OUT_OF_DESCRIPTORS).await;
                continue;
            }
        };
        let watcher = connections.watcher();
        let service = service.clone();
        let mut stopped = stopped.clone();
        tokio::spawn(async move {
            // Until the first byte the HTTP library has no clock running, so we have one.
            let speaks = tokio::select! {
                speaks = tokio::time::timeout(IDLE, stream.readable()) => speaks.is_ok(),
                _ = stopped.changed() => false,
            };
            if speaks {
                serve_connection(stream, service, watcher).await;
            }
            drop(slot);
        });
    }
}

async fn serve_connection<S, B>(
    stream: TcpStream,
    service: S,
    watcher: hyper_util::server::graceful::Watcher,
) where
    S: Service<http::Request<Incoming>, Response = http::Response<B>, Error = Infallible>
        + Send
        + 'static,
    S::Future: Send + 'static,
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    // Without it, small answers on a live connection wait for the client's delayed acknowledgement:
    // 40 ms and more.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!("cannot set TCP_NODELAY: {error}");
    }
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(IDLE);
    let mut stream = TimeoutStream::new(stream);
    // An answer that nobody takes is held in memory. Reading has other clocks: while a request
    // runs, a client is rightly silent.
    stream.set_write_timeout(Some(IDLE));
    let connection = builder
        .serve_connection(TokioIo::new(Box::pin(stream)), service)
        .into_owned();
    // What ends a connection early (the client left, it was silent, it spoke no HTTP) is the
    // client's affair, and requests log their own errors.
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!("connection ended: {error}");
    }
}
