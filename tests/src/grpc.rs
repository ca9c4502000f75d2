//! The smallest gRPC client that can send what no other would: any bytes as a message, any frame
//! round it.
//!
//! Knows HTTP/2 (hyper's) and gRPC's framing, and nothing of messages.

use std::net::Ipv4Addr;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

use crate::PATIENCE;

/// A call's end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// HTTP's own status: 200, unless what was sent was no gRPC.
    pub http: StatusCode,
    /// `grpc-status`, from the trailers or, where there is no message, from the headers.
    pub status: Option<u32>,
    /// `grpc-message` as it was sent (percent-encoded).
    pub message: String,
    /// The body with its frames.
    pub body: Bytes,
}

impl Reply {
    /// The one message of the body.
    ///
    /// # Panics
    /// When the call failed, or the body is not one whole uncompressed message.
    #[must_use]
    pub fn into_message(self) -> Bytes {
        assert_eq!(self.status, Some(0), "{}", self.message);
        assert_eq!(
            self.body.get(..5),
            Some(&frame(0, self.body.len() - 5)[..]),
            "not one message"
        );
        self.body.slice(5..)
    }
}

/// A connection that is kept.
#[derive(Debug)]
pub struct Client {
    runtime: Runtime,
    sender: SendRequest<Full<Bytes>>,
}

impl Client {
    /// Connects to a port of this machine.
    ///
    /// # Panics
    /// When nobody listens there.
    #[must_use]
    pub fn connect(port: u16) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime can be made");
        let sender = runtime.block_on(async {
            let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))
                .await
                .expect("the port is open");
            stream.set_nodelay(true).expect("a socket takes it");
            let (sender, connection) = http2::Builder::new(TokioExecutor::new())
                .initial_stream_window_size(1 << 24)
                .initial_connection_window_size(1 << 24)
                .handshake(TokioIo::new(stream))
                .await
                .expect("it speaks HTTP/2");
            // Its errors come out at the calls that they concern.
            tokio::spawn(connection);
            sender
        });
        Self { runtime, sender }
    }

    /// Calls a method (`/package.Service/Method`) with a message.
    ///
    /// # Panics
    /// When the connection breaks or nothing comes.
    pub fn call(&mut self, method: &str, message: &[u8]) -> Reply {
        let mut body = BytesMut::with_capacity(message.len() + 5);
        body.put_slice(&frame(0, message.len()));
        body.put_slice(message);
        self.send(method, &[], body.freeze())
            .unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// Sends a body as it is, with more headers.
    ///
    /// # Errors
    /// When the server ends the stream or the connection.
    ///
    /// # Panics
    /// When nothing comes at all.
    pub fn send(
        &mut self,
        method: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Reply, hyper::Error> {
        let uri: Uri = format!("http://localhost{method}")
            .parse()
            .expect("a method is a path");
        let mut request = Request::post(uri)
            .header("te", "trailers")
            .header("content-type", "application/grpc");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body)).expect("the headers are some");
        let Self { runtime, sender } = self;
        runtime.block_on(async {
            let answer = async {
                sender.ready().await?;
                let response = sender.send_request(request).await?;
                let (head, body) = response.into_parts();
                let body = body.collect().await?;
                let value = |name: &str| {
                    let trailers = body.trailers().and_then(|trailers| trailers.get(name));
                    let value = trailers.or_else(|| head.headers.get(name))?;
                    Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
                };
                Ok(Reply {
                    http: head.status,
                    status: value("grpc-status").and_then(|status| status.parse().ok()),
                    message: value("grpc-message").unwrap_or_default(),
                    body: body.to_bytes(),
                })
            };
            tokio::time::timeout(PATIENCE, answer)
                .await
                .expect("the server answers")
        })
    }

    /// Waits until the server has closed the connection, or for so long.
    pub fn is_closed_within(&mut self, time: Duration) -> bool {
        let Self { runtime, sender } = self;
        runtime.block_on(async {
            let closed = async {
                while !sender.is_closed() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            tokio::time::timeout(time, closed).await.is_ok()
        })
    }
}

/// The five bytes before a message.
///
/// # Panics
/// When the length does not fit.
#[must_use]
pub fn frame(flag: u8, length: usize) -> [u8; 5] {
    let length = u32::try_from(length).expect("messages are shorter");
    let [a, b, c, d] = length.to_be_bytes();
    [flag, a, b, c, d]
}

/// Protobuf by hand, for messages of tests.
pub mod wire {
    /// A number, as protobuf writes it.
    #[must_use]
    pub fn varint(mut value: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        while value >= 0x80 {
            bytes.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        bytes.push(value.to_le_bytes()[0]);
        bytes
    }

    /// A field of bytes, text or a message.
    #[must_use]
    pub fn bytes(number: u64, value: &[u8]) -> Vec<u8> {
        let length = u64::try_from(value.len()).expect("a length fits");
        let mut field = varint(number << 3 | 2);
        field.extend(varint(length));
        field.extend(value);
        field
    }

    /// A field with a number.
    #[must_use]
    pub fn number(number: u64, value: u64) -> Vec<u8> {
        let mut field = varint(number << 3);
        field.extend(varint(value));
        field
    }

    /// A `TensorProto` with this shape; `elements` are its other fields.
    #[must_use]
    pub fn tensor(dtype: u64, shape: &[u64], elements: &[u8]) -> Vec<u8> {
        let dims: Vec<u8> = shape
            .iter()
            .flat_map(|size| bytes(2, &number(1, *size)))
            .collect();
        [&number(1, dtype), &bytes(2, &dims), elements].concat()
    }

    /// A tensor of floats in `tensor_content`.
    #[must_use]
    pub fn floats(values: &[f32]) -> Vec<u8> {
        let content: Vec<u8> = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        let length = u64::try_from(values.len()).expect("a length fits");
        tensor(1, &[length], &bytes(4, &content))
    }

    /// A `ModelSpec`.
    #[must_use]
    pub fn spec(model: &str, signature: &str) -> Vec<u8> {
        [bytes(1, model.as_bytes()), bytes(3, signature.as_bytes())].concat()
    }

    /// A `PredictRequest`.
    #[must_use]
    pub fn predict(model: &str, signature: &str, inputs: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let mut message = bytes(1, &spec(model, signature));
        for (name, tensor) in inputs {
            let entry = [bytes(1, name.as_bytes()), bytes(2, tensor)].concat();
            message.extend(bytes(2, &entry));
        }
        message
    }
}
