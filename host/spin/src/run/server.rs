//! The socket of an app: HTTP/1 and HTTP/2 without TLS, one task for each connection.
//!
//! **Cancellation:** when the server is told to stop it accepts no more, and what runs is answered
//! or cut off when its time is over.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::uri::Scheme;
use http_body_util::BodyExt as _;
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulConnection, GracefulShutdown};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use wasmtime_wasi_http::Error;

use super::app::App;

/// How long the beginning of a request may take.
const HEADER_TIME: Duration = Duration::from_secs(30);

/// How long nothing is accepted after the system could not.
const BREATH: Duration = Duration::from_millis(50);

/// The app that answers now. Clones share it.
#[derive(Debug, Clone)]
pub struct Current(Arc<ArcSwap<App>>);

impl Current {
    /// This app.
    #[must_use]
    pub fn new(app: App) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(app)))
    }

    /// The app that answers now.
    #[must_use]
    pub fn app(&self) -> App {
        App::clone(&self.0.load())
    }

    /// From now on this one: requests that are under way end with the one that they began with.
    pub fn replace(&self, app: App) {
        self.0.store(Arc::new(app));
    }
}

/// Answers what comes to the listener until `stop` ends, and then for `drain` at most what is
/// under way.
pub async fn serve(
    listener: TcpListener,
    current: Current,
    stop: impl Future<Output = ()>,
    drain: Duration,
) {
    let limit = current.app().around().room.limits.connections;
    let places = Arc::new(Semaphore::new(limit.clamp(1, Semaphore::MAX_PERMITS)));
    let graceful = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let next = async {
            // Nobody closes it.
            let place = Arc::clone(&places).acquire_owned().await.ok();
            (listener.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            next = next => next,
            () = &mut stop => break,
        };
        let (stream, client) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Too many open files, most often: connections that end make room.
                tracing::warn!("a connection could not be accepted: {error}");
                tokio::time::sleep(BREATH).await;
                continue;
            }
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!("a connection keeps its delay: {error}");
        }
        let connection = graceful.watch(connection(stream, client, current.clone()));
        tokio::spawn(async move {
            let _place = place;
            if let Err(error) = connection.await {
                tracing::debug!("a connection ended: {error}");
            }
        });
    }
    drop(listener);
    // Those that are still there after it end with the process.
    let _ = tokio::time::timeout(drain, graceful.shutdown()).await;
}

/// What a connection can end with.
type Broken = Box<dyn std::error::Error + Send + Sync>;

fn connection(
    stream: TcpStream,
    client: SocketAddr,
    current: Current,
) -> impl GracefulConnection<Error = Broken> + Send {
    let service = service_fn(move |request: Request<Incoming>| {
        let app = current.app();
        async move {
            let request = request.map(|body| body.map_err(Error::from).boxed_unsync());
            Ok::<_, Infallible>(app.handle(request, Scheme::HTTP, client).await)
        }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME);
    builder.http2().timer(TokioTimer::new());
    builder
        .serve_connection(TokioIo::new(stream), service)
        .into_owned()
}

/// Listens at an address, or at one of the ten ports from there on.
///
/// # Errors
/// In Spin's words, with the flag of whoever asked.
pub async fn listen(address: SocketAddr, find_free_port: bool) -> Result<TcpListener, String> {
    const TRIES: u16 = 10;
    if !find_free_port {
        return TcpListener::bind(address).await.map_err(|error| {
            if error.kind() == io::ErrorKind::AddrInUse {
                return format!(
                    "{address} is already in use. To have Tensorgate search for a free port, use \
                     the --find-free-port option."
                );
            }
            format!("Unable to listen on {address}: {error}")
        });
    }
    let mut tried = address;
    for _ in 0..TRIES {
        match TcpListener::bind(tried).await {
            Ok(listener) => return Ok(listener),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) => return Err(format!("Unable to listen on {tried}: {error}")),
        }
        let Some(next) = tried.port().checked_add(1) else {
            return Err(
                "Couldn't find a free port as we've reached the maximum port number. Consider \
                 retrying with a lower base port."
                    .to_owned(),
            );
        };
        tried.set_port(next);
    }
    Err(format!(
        "Couldn't find a free port in the range {}-{}. Consider retrying with a different base \
         port.",
        address.port(),
        address.port().saturating_add(TRIES)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_that_is_taken_is_named_or_passed_over() {
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let taken = listen(any, false).await.unwrap();
        let address = taken.local_addr().unwrap();
        let refused = listen(address, false).await.unwrap_err();
        assert!(refused.contains("is already in use"), "{refused}");
        assert!(refused.contains("--find-free-port"), "{refused}");
        let found = listen(address, true).await.unwrap();
        assert!(found.local_addr().unwrap().port() > address.port());
    }
}
