//! HTTP whose bodies need not enter the component: what a request says beside its body, and an
//! answer in chunks that the host puts together.
//!
//! The types behind the WIT interface `exchange`. The body is the [`Message`](crate::Message) that
//! is being handled, as a gRPC call's is.

use crate::services::Chunk;

/// A request without its body.
#[derive(Debug, Clone, Copy)]
pub struct HttpRequest<'a> {
    /// `GET`, `POST` and so on.
    pub method: &'a str,
    /// Path and query as they were sent (percent-encoded).
    pub path: &'a str,
    /// The headers, with lower-case names.
    pub headers: &'a [(String, String)],
}

impl<'a> HttpRequest<'a> {
    /// The first header of this name, which is in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a str> {
        let mut headers = self.headers.iter();
        headers.find_map(|(known, value)| (known == name).then_some(value.as_str()))
    }

    /// The path without its query.
    #[must_use]
    pub fn path_alone(&self) -> &'a str {
        self.path.split('?').next().unwrap_or_default()
    }
}

/// A response whose body the host puts together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkedResponse {
    /// The HTTP status, 200 to 599.
    pub status: u16,
    /// The headers, with lower-case names, at least `content-type` where there is a body. The host
    /// adds `content-length` and `date`.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<Chunk>,
}

impl ChunkedResponse {
    /// A response whose body is there already.
    #[must_use]
    pub fn new(status: u16, content_type: &str, body: Vec<u8>) -> Self {
        let body = if body.is_empty() {
            vec![]
        } else {
            vec![Chunk::Bytes(body)]
        };
        Self {
            status,
            headers: vec![("content-type".to_owned(), content_type.to_owned())],
            body,
        }
    }
}
