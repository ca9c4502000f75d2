//! What the door answers when the gateway component cannot: refused at the door, or the component
//! failed.
//!
//! This is the one place in the host that writes JSON to a client, and all that it writes is the
//! envelope round a message. Clients of TensorFlow Serving read errors from it.

use std::fmt::Write as _;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use tensorgate_edge::EdgeError;
use tensorgate_types::Error;

/// An answer that is not the component's.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) status: StatusCode,
    pub(crate) message: String,
}

impl Fault {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
        }
    }
}

impl From<&Error> for Fault {
    fn from(error: &Error) -> Self {
        let status = if is_too_large(error) {
            StatusCode::PAYLOAD_TOO_LARGE
        } else {
            StatusCode::from_u16(error.code().http_status())
                .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
        };
        Self::new(status, error.message())
    }
}

/// Whether it was the length of the request that met a bound. The canonical code for that is the
/// one for having too many requests, too; 429 would have the client send it again.
fn is_too_large(error: &Error) -> bool {
    let source = std::error::Error::source(error);
    matches!(
        source.and_then(|source| source.downcast_ref()),
        Some(
            EdgeError::RequestTooLarge { .. }
                | EdgeError::OutOfMemory {
                    answering: false,
                    ..
                }
        )
    )
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::from(&error)
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let mut response = Response::new(envelope(&self.message).into());
        *response.status_mut() = self.status;
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        response
    }
}

/// The original's error body, in its spacing and with its escapes.
fn envelope(message: &str) -> String {
    let mut text = String::with_capacity(message.len() + 20);
    text.push_str("{\n    \"error\": \"");
    for character in message.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\u{8}' => text.push_str("\\b"),
            '\u{c}' => text.push_str("\\f"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\0'..' ' => {
                // Infallible: a String takes everything.
                let _ = write!(text, "\\u{:04X}", u32::from(character));
            }
            other => text.push(other),
        }
    }
    text.push_str("\"\n}");
    text
}

#[cfg(test)]
mod tests {
    use tensorgate_types::ErrorCode;

    use super::*;

    #[test]
    fn writes_the_envelope_of_the_original() {
        assert_eq!(
            envelope("Bad key: \"key\"\n\u{1b}/é"),
            "{\n    \"error\": \"Bad key: \\\"key\\\"\\n\\u001B/é\"\n}"
        );
    }

    #[test]
    fn every_code_has_the_status_of_the_rest_api() {
        for code in ErrorCode::ALL {
            let fault = Fault::from(&Error::new(*code, "m"));
            assert_eq!(fault.status.as_u16(), code.http_status());
        }
    }

    #[test]
    fn a_request_that_takes_too_much_memory_is_413_and_an_answer_is_not() {
        for (answering, status) in [(false, 413), (true, 429)] {
            let error = EdgeError::OutOfMemory {
                limit: 1,
                answering,
                fault: tensorgate_edge::GuestFault {
                    description: String::new(),
                    output: String::new(),
                },
            };
            let fault = Fault::from(Error::from(error));
            assert_eq!(fault.status.as_u16(), status);
        }
    }
}
