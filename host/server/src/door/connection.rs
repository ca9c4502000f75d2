//! One connection, from its first byte to its end.
//!
//! ```text
//! accepted --> TLS --> first bytes: HTTP/1 or HTTP/2 --> requests --> end
//!          (handshake)  (idle)                  (idle, age, keepalive, shutdown)
//! ```
//!
//! **Invariant:** whatever a client does or leaves undone, there is a clock that ends it.

use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use bytes::{Buf as _, Bytes, BytesMut};
use http::{HeaderValue, Version, header};
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio_io_timeout::TimeoutStream;

use super::authority::Authorities;
use super::tls_failures::Tls;

/// How a client begins to speak HTTP/2.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What connections on one port have in common.
pub(crate) struct Connections {
    /// TLS, where there is any.
    pub(crate) tls: Option<Tls>,
    /// How long a client may be silent before its first request and between two over HTTP/1, how
    /// long it may take nothing of its answer, and for a handshake. The original's REST port has
    /// 50 s.
    pub(crate) idle: Duration,
    pub(crate) http2: Http2,
}

/// What HTTP/2 connections are told, and when they end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Http2 {
    /// How much of one request may be under way. Large tensors should not wait for a round trip
    /// every 64 KiB.
    pub(crate) stream_window: u32,
    /// The same for all of a connection's.
    pub(crate) connection_window: u32,
    /// Whether windows follow the measured bandwidth instead.
    pub(crate) adaptive_window: bool,
    pub(crate) max_frame: u32,
    pub(crate) max_streams: u32,
    pub(crate) max_header_list: u32,
    pub(crate) max_send_buffer: usize,
    /// How often a silent client is asked whether it lives.
    pub(crate) keepalive: Option<Duration>,
    /// How long it has to say that it does.
    pub(crate) keepalive_timeout: Duration,
    /// A connection without requests for so long is closed.
    pub(crate) max_idle: Option<Duration>,
    /// A connection of this age is closed: nothing new is begun on it.
    pub(crate) max_age: Option<Duration>,
    /// How long requests on it then have.
    pub(crate) max_age_grace: Option<Duration>,
}

impl Default for Http2 {
    fn default() -> Self {
        Self {
            stream_window: 4 << 20,
            connection_window: 16 << 20,
            adaptive_window: false,
            max_frame: 128 << 10,
            max_streams: 1024,
            max_header_list: 16 << 10,
            max_send_buffer: 1 << 20,
            keepalive: Some(Duration::from_secs(50)),
            keepalive_timeout: Duration::from_secs(20),
            max_idle: None,
            max_age: None,
            max_age_grace: None,
        }
    }
}

/// Bytes both ways.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Duplex for S {}

/// TCP or UNIX, with TLS or without.
pub(super) type Stream = Box<dyn Duplex>;

/// What was accepted.
pub(super) struct Accepted {
    pub(super) stream: Stream,
    /// Who it is; none behind a UNIX socket.
    pub(super) peer: Option<SocketAddr>,
    /// Whether it is a UNIX socket's. Its clients have odd names for it.
    pub(super) is_unix: bool,
}

/// How long a port goes on. It only ever moves on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Life {
    Open,
    /// Everything is taken and answered, and answers over HTTP/1 ask for another connection: the
    /// client's next request may then go to another server, and none meets a connection that is
    /// just being closed. HTTP/2 needs no such care: its end tells which requests were taken.
    Leaving,
    /// Connections end with what runs on them.
    Ending,
}

/// Follows the life of the port.
#[derive(Debug, Clone)]
pub(super) struct Stopped(watch::Receiver<Life>);

impl Stopped {
    pub(super) fn new(life: watch::Receiver<Life>) -> Self {
        Self(life)
    }

    /// Returns when the server begins to end.
    pub(super) async fn ending(&mut self) {
        // An error: the port is gone, which is an end, too.
        let _ = self.0.wait_for(|life| *life == Life::Ending).await;
    }

    fn is_leaving(&self) -> bool {
        *self.0.borrow() >= Life::Leaving
    }
}

/// Serves a connection to its end.
pub(super) async fn serve(
    accepted: Accepted,
    service: TowerToHyperService<Router>,
    how: &Connections,
    mut stopped: Stopped,
) {
    let begin = tokio::time::timeout(how.idle, begin(accepted, how.tls.as_ref()));
    let begun = tokio::select! {
        begun = begin => begun,
        () = stopped.ending() => return,
    };
    let (stream, speaks_http2) = match begun {
        Ok(Ok(begun)) => begun,
        Ok(Err(error)) => return tracing::debug!("connection did not begin: {error}"),
        Err(_) => return tracing::debug!("connection did not begin within {:?}", how.idle),
    };
    let mut stream = TimeoutStream::new(stream);
    // An answer that nobody takes is held in memory. Reading has other clocks: while a request
    // runs, a client is rightly silent.
    stream.set_write_timeout(Some(how.idle));
    let stream = TokioIo::new(Box::pin(stream));
    let activity = Arc::new(Activity::new());
    let service = Counted {
        service,
        activity: Arc::clone(&activity),
        stopped: stopped.clone(),
    };
    let builder = how.builder(speaks_http2);
    let mut connection = pin!(builder.serve_connection(stream, service));
    let mut end = pin!(how.http2.end(speaks_http2, &activity));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        grace = async {
            tokio::select! {
                grace = end.as_mut() => grace,
                () = stopped.ending() => None,
            }
        } => {
            connection.as_mut().graceful_shutdown();
            match grace {
                // The server's own limit counts.
                None => connection.await,
                Some(grace) => tokio::time::timeout(grace, connection).await.unwrap_or(Ok(())),
            }
        }
    };
    // What ends a connection early (the client left, it was silent, it spoke no HTTP) is the
    // client's affair, and requests log their own errors.
    if let Err(error) = ended {
        tracing::debug!("connection ended: {error}");
    }
}

/// The handshake, and which HTTP is spoken.
async fn begin(accepted: Accepted, tls: Option<&Tls>) -> io::Result<(Stream, bool)> {
    let mut stream = match tls {
        None => accepted.stream,
        Some(tls) => Box::new(tls.accept(accepted.stream, accepted.peer).await?),
    };
    let mut seen = BytesMut::with_capacity(PREFACE.len());
    while seen.len() < PREFACE.len() && PREFACE.starts_with(&seen) {
        let mut limited = (&mut stream).take((PREFACE.len() - seen.len()) as u64);
        if limited.read_buf(&mut seen).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    let speaks_http2 = seen == PREFACE;
    let rewound = Rewound {
        seen: seen.freeze(),
        stream,
        authorities: (accepted.is_unix && speaks_http2).then(Authorities::new),
    };
    Ok((Box::new(rewound), speaks_http2))
}

impl Connections {
    fn builder(&self, speaks_http2: bool) -> auto::Builder<TokioExecutor> {
        let mut builder = auto::Builder::new(TokioExecutor::new());
        if !speaks_http2 {
            builder
                .http1()
                .timer(TokioTimer::new())
                .header_read_timeout(self.idle);
            return builder.http1_only();
        }
        let http2 = &self.http2;
        builder
            .http2()
            .timer(TokioTimer::new())
            .initial_stream_window_size(http2.stream_window)
            .initial_connection_window_size(http2.connection_window)
            .max_frame_size(http2.max_frame)
            .max_concurrent_streams(http2.max_streams)
            .max_header_list_size(http2.max_header_list)
            .max_send_buf_size(http2.max_send_buffer)
            .keep_alive_interval(http2.keepalive)
            .keep_alive_timeout(http2.keepalive_timeout);
        if http2.adaptive_window {
            builder.http2().adaptive_window(true);
        }
        builder.http2_only()
    }
}

impl Http2 {
    /// Returns when the connection is to end, with the time that its requests then have.
    async fn end(&self, speaks_http2: bool, activity: &Activity) -> Option<Duration> {
        if !speaks_http2 {
            return std::future::pending().await;
        }
        let age = async {
            match self.max_age {
                Some(age) => tokio::time::sleep(age).await,
                None => std::future::pending().await,
            }
        };
        let idle = async {
            match self.max_idle {
                Some(idle) => activity.idle_for(idle).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = age => self.max_age_grace,
            () = idle => None,
        }
    }
}

/// A stream whose first bytes were looked at.
struct Rewound {
    seen: Bytes,
    stream: Stream,
    /// What follows all later bytes, where that is needed.
    authorities: Option<Authorities>,
}

impl AsyncRead for Rewound {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.seen.is_empty() {
            let before = buffer.filled().len();
            let read = Pin::new(&mut self.stream).poll_read(context, buffer);
            if let Some(authorities) = &mut self.authorities {
                authorities.pass(&mut buffer.filled_mut()[before..]);
            }
            return read;
        }
        let take = self.seen.len().min(buffer.remaining());
        buffer.put_slice(&self.seen[..take]);
        self.seen.advance(take);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Rewound {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

/// Whether requests run on a connection, and since when none does.
struct Activity {
    running: AtomicUsize,
    /// Only ever held for a moment.
    last: Mutex<Instant>,
}

impl Activity {
    fn new() -> Self {
        Self {
            running: AtomicUsize::new(0),
            last: Mutex::new(Instant::now()),
        }
    }

    async fn idle_for(&self, limit: Duration) {
        loop {
            let last = self.last.lock().map_or_else(|_| Instant::now(), |at| *at);
            let since = if self.running.load(Ordering::Relaxed) > 0 {
                Duration::ZERO
            } else {
                last.elapsed()
            };
            match limit.checked_sub(since) {
                None | Some(Duration::ZERO) => return,
                Some(left) => tokio::time::sleep(left).await,
            }
        }
    }
}

/// One request that runs.
struct Running(Arc<Activity>);

impl Running {
    fn new(activity: &Arc<Activity>) -> Self {
        activity.running.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(activity))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(mut last) = self.0.last.lock() {
            *last = Instant::now();
        }
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Counts the requests that run on a connection, and says when it is the last one.
struct Counted {
    service: TowerToHyperService<Router>,
    activity: Arc<Activity>,
    stopped: Stopped,
}

impl Service<http::Request<Incoming>> for Counted {
    type Response = axum::response::Response;
    type Error = std::convert::Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn call(&self, request: http::Request<Incoming>) -> Self::Future {
        let running = Running::new(&self.activity);
        let stopped = self.stopped.clone();
        let is_http1 = request.version() < Version::HTTP_2;
        let answer = self.service.call(request);
        Box::pin(async move {
            let mut answer = answer.await?;
            drop(running);
            if is_http1 && stopped.is_leaving() {
                let close = HeaderValue::from_static("close");
                answer.headers_mut().insert(header::CONNECTION, close);
            }
            Ok(answer)
        })
    }
}
