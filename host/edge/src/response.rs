//! A component's answer, and the check that it can be sent at all.
//!
//! **Invariant:** what passes is sendable over HTTP as it stands: the server need not expect an
//! error when it builds the message. What the answer *says* is the component's affair.

use bytes::Bytes;

use crate::EdgeError;
use crate::contract::ResponseIn;

/// Headers of one answer. Ours has two or three.
const MAX_HEADERS: usize = 64;

/// Bytes of all headers of one answer, so that they fit what clients take (8 KiB and more).
const MAX_HEADER_BYTES: usize = 16 << 10;

/// An answer that can be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestResponse {
    /// The HTTP status, 200 to 599.
    pub status: u16,
    /// Names in lower case, and values: legal in HTTP, none that belongs to the connection.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

/// An answer that can be sent, its body in pieces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExchangeResponse {
    /// The HTTP status, 200 to 599.
    pub status: u16,
    /// As in [`RestResponse`].
    pub headers: Vec<(String, String)>,
    /// The body, in pieces that follow one another. Large ones are shared with the runtime.
    pub chunks: Vec<Bytes>,
}

/// Checks an answer. Its bytes have left the component already: how much one call may hand over
/// is bounded by the sandbox, to as much as a component can hold.
pub(crate) fn check_response(
    response: ResponseIn,
    limit: usize,
) -> Result<RestResponse, EdgeError> {
    let ResponseIn {
        status,
        headers,
        body,
    } = response;
    let size = check_head(status, &headers)? + body.len();
    if size > limit {
        return Err(EdgeError::ResponseTooLarge { size, limit });
    }
    Ok(RestResponse {
        status,
        headers,
        body,
    })
}

/// Checks what stands before a body; gives the bytes of the headers.
pub(crate) fn check_head(status: u16, headers: &[(String, String)]) -> Result<usize, EdgeError> {
    let bad = |what: String| Err(EdgeError::BadResponse(what));
    if !(200..=599).contains(&status) {
        return bad(format!("{status} is no final HTTP status"));
    }
    if headers.len() > MAX_HEADERS {
        return bad(format!(
            "it has {} headers, at most {MAX_HEADERS} can be sent",
            headers.len()
        ));
    }
    let header_bytes: usize = headers
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    if header_bytes > MAX_HEADER_BYTES {
        return bad(format!(
            "its headers have {header_bytes} bytes, at most {MAX_HEADER_BYTES} can be sent"
        ));
    }
    for (name, value) in headers {
        if let Some(problem) = header_problem(name, value) {
            return bad(format!("header {name:?} {problem}"));
        }
    }
    Ok(header_bytes)
}

/// Headers that say how a message is carried. The server writes them; a component that could
/// would split messages.
const RESERVED: &[&str] = &[
    "connection",
    "content-length",
    "date",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

fn header_problem(name: &str, value: &str) -> Option<&'static str> {
    // RFC 9110, section 5.6.2: a token; in lower case, as HTTP/2 wants it.
    let is_token = |byte: &u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(byte)
    };
    if name.is_empty() || !name.as_bytes().iter().all(is_token) {
        return Some("is no header name in lower case");
    }
    if RESERVED.contains(&name) {
        return Some("is the server's to write");
    }
    // RFC 9110, section 5.5: visible characters, spaces and tabs.
    let is_text = |byte: u8| byte == b'\t' || (byte >= b' ' && byte != 0x7f);
    if !value.bytes().all(is_text) {
        return Some("has a value with control characters");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u16, headers: &[(&str, &str)], body: &'static [u8]) -> ResponseIn {
        ResponseIn {
            status,
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            body: Bytes::from_static(body),
        }
    }

    #[test]
    fn passes_what_can_be_sent() {
        let headers = [("content-type", "application/json")];
        let checked = check_response(response(200, &headers, b"{}"), 100).expect("sendable");
        assert_eq!(checked.status, 200);
        assert_eq!(checked.body, "{}");
    }

    #[test]
    fn refuses_what_cannot_be_sent() {
        let many = vec![("a", "b"); MAX_HEADERS + 1];
        let long = "x".repeat(MAX_HEADER_BYTES);
        type Case<'a> = (u16, &'a [(&'a str, &'a str)], &'a str);
        let cases: &[Case<'_>] = &[
            (100, &[], "100 is no final HTTP status"),
            (0, &[], "0 is no final HTTP status"),
            (600, &[], "600 is no final HTTP status"),
            (200, &many, "it has 65 headers"),
            (200, &[("a", &long)], "its headers have 16385 bytes"),
            (200, &[("", "b")], "is no header name"),
            (200, &[("Content-Type", "b")], "is no header name"),
            (200, &[("a b", "b")], "is no header name"),
            (200, &[("a", "b\r\nc: d")], "control characters"),
            (200, &[("content-length", "1")], "the server's to write"),
            (200, &[("transfer-encoding", "chunked")], "the server's"),
        ];
        for (status, headers, expected) in cases {
            let error = check_response(response(*status, headers, b""), 1 << 20)
                .expect_err("cannot be sent");
            let EdgeError::BadResponse(message) = &error else {
                panic!("{error:?}");
            };
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn refuses_what_is_too_large() {
        assert_eq!(
            check_response(response(200, &[("a", "b")], b"123"), 4),
            Err(EdgeError::ResponseTooLarge { size: 5, limit: 4 })
        );
    }
}
