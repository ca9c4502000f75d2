//! Clients that never rest: so many connections, each with one request under way, for so long.
//!
//! Invariant: a client keeps nothing of an answer but its status, so that what is measured is the
//! server and not the memory of its clients.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::stats::Samples;

/// Room for answers under way, so that no window of HTTP/2's is what is measured.
const WINDOW: u32 = 64 << 20;

/// What is sent.
#[derive(Debug)]
pub(crate) enum Load {
    /// Over HTTP/1.1 to this path.
    Rest { path: String, body: Bytes },
    /// A call over HTTP/2, with its prefix.
    Grpc { method: String, body: Bytes },
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Of the requests that succeeded.
    pub(crate) times: Vec<Duration>,
    /// How many failed, by what the server said.
    pub(crate) failed: BTreeMap<String, usize>,
    /// From the first request to the end of the last.
    pub(crate) took: Duration,
}

impl Outcome {
    /// Requests per second, and the times, where any request succeeded.
    pub(crate) fn figures(self) -> Option<(f64, Samples)> {
        if self.times.is_empty() {
            return None;
        }
        let rate = self.times.len() as f64 / self.took.as_secs_f64();
        Some((rate, Samples::new(self.times)))
    }
}

/// Runs a load and waits for its end. A twentieth of the time goes by before anything counts.
pub(crate) fn run(
    runtime: &Runtime,
    address: SocketAddr,
    load: &Arc<Load>,
    connections: usize,
    time: Duration,
) -> Result<Outcome> {
    runtime.block_on(async {
        let counted = Instant::now() + time / 20;
        let end = counted + time;
        let mut clients = JoinSet::new();
        for _ in 0..connections {
            clients.spawn(client(address, Arc::clone(load), counted, end));
        }
        let mut outcome = Outcome {
            times: Vec::new(),
            failed: BTreeMap::new(),
            took: Duration::ZERO,
        };
        while let Some(client) = clients.join_next().await {
            let (times, failed) = client??;
            outcome.times.extend(times);
            for (why, count) in failed {
                *outcome.failed.entry(why).or_default() += count;
            }
        }
        outcome.took = counted.elapsed();
        Ok(outcome)
    })
}

type Counts = (Vec<Duration>, BTreeMap<String, usize>);

async fn client(
    address: SocketAddr,
    load: Arc<Load>,
    counted: Instant,
    end: Instant,
) -> Result<Counts> {
    let mut connection = Connection::open(address, &load).await?;
    let (mut times, mut failed) = (Vec::new(), BTreeMap::new());
    loop {
        let start = Instant::now();
        // One request at least, however slow the server is.
        if start > end && !(times.is_empty() && failed.is_empty()) {
            return Ok((times, failed));
        }
        match connection.send(&load).await? {
            Ok(()) if start >= counted => times.push(start.elapsed()),
            Ok(()) => {}
            Err(why) => *failed.entry(why).or_default() += 1,
        }
    }
}

/// A connection of either kind.
enum Connection {
    One(http1::SendRequest<Full<Bytes>>),
    Two(http2::SendRequest<Full<Bytes>>),
}

impl Connection {
    async fn open(address: SocketAddr, load: &Load) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let io = TokioIo::new(stream);
        Ok(match load {
            Load::Rest { .. } => {
                let (sender, connection) = http1::handshake(io).await?;
                // Its errors come out at the requests that they concern.
                tokio::spawn(connection);
                Self::One(sender)
            }
            Load::Grpc { .. } => {
                let (sender, connection) = http2::Builder::new(TokioExecutor::new())
                    .initial_stream_window_size(WINDOW)
                    .initial_connection_window_size(WINDOW)
                    .handshake(io)
                    .await?;
                tokio::spawn(connection);
                Self::Two(sender)
            }
        })
    }

    /// Sends it and reads the answer to its end; the inner error is the server's refusal.
    async fn send(&mut self, load: &Load) -> Result<Result<(), String>> {
        let request = match load {
            Load::Rest { path, body } => Request::post(path.as_str())
                .header("host", "localhost")
                .header("content-type", "application/json")
                .body(Full::new(body.clone()))?,
            Load::Grpc { method, body } => Request::post(format!("http://localhost{method}"))
                .header("te", "trailers")
                .header("content-type", "application/grpc")
                .body(Full::new(body.clone()))?,
        };
        let response = match self {
            Self::One(sender) => {
                sender.ready().await?;
                sender.send_request(request).await?
            }
            Self::Two(sender) => {
                sender.ready().await?;
                sender.send_request(request).await?
            }
        };
        finish(response).await
    }
}

/// Reads an answer and forgets it.
async fn finish(response: Response<Incoming>) -> Result<Result<(), String>> {
    let (head, mut body) = response.into_parts();
    let mut trailers = HeaderMap::new();
    while let Some(frame) = body.frame().await {
        if let Ok(found) = frame?.into_trailers() {
            trailers = found;
        }
    }
    if !head.status.is_success() {
        return Ok(Err(head.status.as_str().to_owned()));
    }
    let is_grpc = head
        .headers
        .get("content-type")
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
    if !is_grpc {
        return Ok(Ok(()));
    }
    let status = trailers
        .get("grpc-status")
        .or_else(|| head.headers.get("grpc-status"))
        .context("a gRPC answer without a status")?;
    Ok(match status.as_bytes() {
        b"0" => Ok(()),
        other => Err(format!("status {}", String::from_utf8_lossy(other))),
    })
}
