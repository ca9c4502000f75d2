//! What is sent, and the connections that send it.
//!
//! Invariant: an answer counts as one only when it was read to its end.

use std::net::SocketAddr;

use anyhow::Result;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::{frames, hpack};

/// One request, to be sent many times.
#[derive(Debug)]
pub(crate) enum Load {
    /// Over HTTP/1.1.
    Rest(Request<Full<Bytes>>),
    /// A call over HTTP/2: its header block, and its message with the prefix.
    Grpc { block: Vec<u8>, body: Bytes },
}

impl Load {
    /// JSON over HTTP/1.1 to this path.
    ///
    /// # Errors
    /// When it is no path.
    pub(crate) fn rest(path: &str, body: Bytes) -> Result<Self> {
        let request = Request::post(path)
            .header("host", "localhost")
            .header("content-type", "application/json")
            .body(Full::new(body))?;
        Ok(Self::Rest(request))
    }

    /// A call over HTTP/2; the message has its prefix.
    pub(crate) fn grpc(method: &str, body: Bytes) -> Self {
        Self::Grpc {
            block: hpack::call(method),
            body,
        }
    }
}

/// A connection of either kind.
#[derive(Debug)]
pub(crate) enum Connection {
    One(http1::SendRequest<Full<Bytes>>),
    Two(frames::Connection),
}

impl Connection {
    /// Connects for this load.
    ///
    /// # Errors
    /// When nobody answers.
    pub(crate) async fn open(address: SocketAddr, load: &Load) -> Result<Self> {
        Ok(match load {
            Load::Rest(_) => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
                // Its errors come out at the requests that they concern.
                tokio::spawn(connection);
                Self::One(sender)
            }
            Load::Grpc { .. } => Self::Two(frames::Connection::open(address).await?),
        })
    }

    /// Sends it and reads the answer to its end; the inner error is the server's refusal.
    ///
    /// # Errors
    /// When there was no answer.
    ///
    /// # Panics
    /// When the load is not of the kind that the connection was opened for.
    pub(crate) async fn send(&mut self, load: &Load) -> Result<Result<(), String>> {
        match (self, load) {
            (Self::One(sender), Load::Rest(request)) => {
                sender.ready().await?;
                let response = sender.send_request(request.clone()).await?;
                let (head, mut body) = response.into_parts();
                while let Some(frame) = body.frame().await {
                    frame?;
                }
                Ok(if head.status.is_success() {
                    Ok(())
                } else {
                    Err(head.status.as_str().to_owned())
                })
            }
            (Self::Two(connection), Load::Grpc { block, body }) => {
                connection.call(block, body).await
            }
            _ => panic!("a connection sends the load that it was opened for"),
        }
    }
}
