//! How a call is answered: a message with trailers, or a status alone.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, HttpBody};
use axum::response::Response;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use hyper::body::Frame;
use tensorgate_types::Error;

use super::encoding::{ACCEPT, ACCEPTED, ENCODING, Encoding};
use crate::door::budget::Reserved;

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");

/// Where the original cuts messages, and what it puts behind the cut. Headers have a limit in
/// every client's library.
const MAX_MESSAGE: usize = 1024;
const CUT: &str = "...TRUNCATED";

/// A status and nothing else ("trailers only").
pub(super) fn failed(error: &Error) -> Response {
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, GRPC);
    // Whoever sent an encoding that we have not learns which we have.
    headers.insert(ACCEPT, ACCEPTED);
    headers.insert(STATUS, HeaderValue::from(error.code().number()));
    headers.insert(MESSAGE, encode(&cut(error.message())));
    response
}

/// A message, in the chunks that it came in, and the status `OK`.
///
/// `reserved` is let go with the last of the chunks.
pub(super) fn answered(chunks: Vec<Bytes>, packed_with: Encoding, reserved: Reserved) -> Response {
    let length: usize = chunks.iter().map(Bytes::len).sum();
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    let mut prefix = [0; 5];
    prefix[0] = u8::from(packed_with != Encoding::Identity);
    prefix[1..].copy_from_slice(&length.to_be_bytes());
    let mut pieces = VecDeque::with_capacity(chunks.len() + 1);
    pieces.push_back(Bytes::copy_from_slice(&prefix));
    pieces.extend(chunks.into_iter().filter(|chunk| !chunk.is_empty()));
    let mut response = Response::new(Body::new(Message {
        pieces,
        ended: false,
        _reserved: reserved,
    }));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, GRPC);
    headers.insert(ACCEPT, ACCEPTED);
    if packed_with != Encoding::Identity {
        headers.insert(ENCODING, packed_with.name());
    }
    response
}

/// The pieces of a message, then the trailers that say that all is well.
struct Message {
    pieces: VecDeque<Bytes>,
    ended: bool,
    _reserved: Reserved,
}

impl HttpBody for Message {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(piece) = self.pieces.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        if self.ended {
            return Poll::Ready(None);
        }
        self.ended = true;
        Poll::Ready(Some(Ok(Frame::trailers(trailers("0", "")))))
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}

/// A body of a standard service, ended with `UNAVAILABLE` when the server begins to end and the
/// service has nothing more to say.
pub(super) struct Until {
    body: Body,
    /// `None` when it has come.
    end: Option<BoxFuture<'static, ()>>,
    /// Whether trailers of ours were the last.
    ended: bool,
}

impl Until {
    pub(super) fn new(body: Body, end: impl Future<Output = ()> + Send + 'static) -> Self {
        let end = Some(Box::pin(end) as BoxFuture<'static, ()>);
        Self {
            body,
            end,
            ended: false,
        }
    }
}

impl HttpBody for Until {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if let Some(end) = &mut self.end
            && end.as_mut().poll(context).is_ready()
        {
            self.end = None;
        }
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if frame.is_ready() || self.end.is_some() {
            return frame;
        }
        self.ended = true;
        let trailers = trailers("14", "the server is shutting down");
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.body.is_end_stream()
    }
}

/// Trailers with a status and a message that needs no escape.
fn trailers(status: &'static str, message: &'static str) -> HeaderMap {
    HeaderMap::from_iter([
        (STATUS, HeaderValue::from_static(status)),
        (MESSAGE, HeaderValue::from_static(message)),
    ])
}

fn cut(message: &str) -> std::borrow::Cow<'_, str> {
    // The gateway cuts too; what is cut already stays as it is.
    if message.len() <= MAX_MESSAGE
        || (message.len() <= MAX_MESSAGE + CUT.len() && message.ends_with(CUT))
    {
        return message.into();
    }
    let end = message.floor_char_boundary(MAX_MESSAGE);
    format!("{}{CUT}", &message[..end]).into()
}

/// Percent-encoding as gRPC has it: everything but printable ASCII, and the percent sign.
fn encode(message: &str) -> HeaderValue {
    let mut encoded = String::with_capacity(message.len());
    for byte in message.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => encoded.push(char::from(byte)),
            _ => {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    HeaderValue::try_from(encoded).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use tensorgate_types::ErrorCode;

    use super::super::super::budget::Budget;
    use super::*;

    #[test]
    fn errors_are_a_status_alone() {
        let response = failed(&Error::not_found("no \"ä\"\n100%"));
        assert_eq!(response.status(), 200);
        let headers = response.headers();
        assert_eq!(headers["content-type"], "application/grpc");
        assert_eq!(headers["grpc-status"], "5");
        assert_eq!(headers["grpc-message"], "no \"%C3%A4\"%0A100%25");
        assert!(response.body().is_end_stream());
        for code in ErrorCode::ALL {
            let response = failed(&Error::new(*code, ""));
            let status = code.number().to_string();
            assert_eq!(response.headers()["grpc-status"], status);
        }
    }

    #[test]
    fn long_messages_are_cut_as_in_the_original() {
        let message = |text: String| {
            let response = failed(&Error::internal(text));
            response.headers()["grpc-message"]
                .to_str()
                .unwrap()
                .to_owned()
        };
        let full = "m".repeat(1024);
        assert_eq!(message(full.clone()), full);
        let cut = format!("{full}...TRUNCATED");
        assert_eq!(message("m".repeat(1025)), cut);
        assert_eq!(message(cut.clone()), cut);
        // Never in the middle of a character.
        let wide = message(format!("{}ä", "m".repeat(1023)));
        assert_eq!(wide, format!("{}...TRUNCATED", "m".repeat(1023)));
    }

    #[tokio::test]
    async fn messages_have_a_prefix_and_trailers() {
        let budget = Budget::new(100);
        let mut reserved = budget.reserve_nothing();
        assert!(reserved.grow_to(4));
        let chunks = vec![Bytes::from_static(b"ab"), Bytes::new(), "cd".into()];
        let response = answered(chunks, Encoding::Identity, reserved);
        assert!(!response.headers().contains_key("grpc-encoding"));
        let collected = response.into_body().collect().await.unwrap();
        assert_eq!(collected.trailers().unwrap()["grpc-status"], "0");
        assert_eq!(collected.to_bytes(), &b"\0\0\0\0\x04abcd"[..]);
        assert_eq!(budget.used(), 0);
    }
}
