//! On what terms a request is handled: until when, how urgently, and whether its client wants to
//! know what took how long. All are in headers, so the door reads them.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use tensorgate_types::{Deadline, Error, Priority, Result};

use super::grpc::timeout;

/// The header of HTTP requests, and the metadata of gRPC calls, that says how urgent one is.
const PRIORITY: &str = "x-tensorgate-priority";

/// The header of HTTP requests that says how long the client waits, written as gRPC writes it:
/// `250m` for 250 milliseconds. A gRPC call has its own.
const TIMEOUT: &str = "x-tensorgate-timeout";

/// The header, or the metadata, by which a client asks for times. Any value will do.
const TIMING: &str = "x-tensorgate-timing";

/// Where it gets them (W3C Server Timing).
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// Until when a request is worth an answer, and how urgent it is against others.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    pub(crate) deadline: Deadline,
    pub(crate) priority: Priority,
    /// Where to say what took how long, if anybody wants to know.
    pub(crate) timing: Option<Timing>,
}

/// What took how long, once that is known: the value of a `Server-Timing` header.
#[derive(Debug, Clone, Default)]
pub(crate) struct Timing(Arc<OnceLock<String>>);

impl Timing {
    /// For a client that asks for it.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        headers.contains_key(TIMING).then(Self::default)
    }

    /// Says it. Only the first word counts.
    pub(crate) fn say(&self, text: String) {
        let _ = self.0.set(text);
    }

    /// Puts what was said into an answer.
    pub(crate) fn put(&self, headers: &mut HeaderMap) {
        let value = self
            .0
            .get()
            .map(|text| HeaderValue::try_from(text.as_str()));
        if let Some(Ok(value)) = value {
            headers.insert(SERVER_TIMING, value);
        }
    }
}

/// How urgent a request is; normal, when it does not say.
///
/// # Errors
/// `INVALID_ARGUMENT` for a value that is no priority.
pub(super) fn priority(headers: &HeaderMap) -> Result<Priority> {
    let Some(value) = headers.get(PRIORITY) else {
        return Ok(Priority::default());
    };
    let known = value.to_str().ok().and_then(Priority::parse);
    known.ok_or_else(|| {
        Error::invalid_argument(format!("{PRIORITY} is low, normal or high, not {value:?}"))
    })
}

/// How long the client of an HTTP request waits; none when it does not say.
///
/// # Errors
/// `INVALID_ARGUMENT` for a value that is no time.
pub(super) fn timeout(headers: &HeaderMap) -> Result<Option<Duration>> {
    let Some(value) = headers.get(TIMEOUT) else {
        return Ok(None);
    };
    let known = value.to_str().ok().and_then(timeout::parse);
    known.ok_or_else(|| {
        Error::invalid_argument(format!(
            "{TIMEOUT} is a number and one of H, M, S, m, u, n (250m for 250 milliseconds), not \
             {value:?}"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_how_long_a_client_waits() {
        let mut headers = HeaderMap::new();
        assert_eq!(timeout(&headers).unwrap(), None);
        headers.insert(TIMEOUT, "250m".parse().unwrap());
        let waits = Some(Duration::from_millis(250));
        assert_eq!(timeout(&headers).unwrap(), waits);
        headers.insert(TIMEOUT, "soon".parse().unwrap());
        let message = timeout(&headers).unwrap_err().message().to_owned();
        assert!(message.ends_with("not \"soon\""), "{message}");
    }

    #[test]
    fn reads_how_urgent_a_request_is() {
        let mut headers = HeaderMap::new();
        assert_eq!(priority(&headers).unwrap(), Priority::Normal);
        headers.insert(PRIORITY, "High".parse().unwrap());
        assert_eq!(priority(&headers).unwrap(), Priority::High);
        headers.insert(PRIORITY, "9".parse().unwrap());
        assert_eq!(
            priority(&headers).unwrap_err().message(),
            "x-tensorgate-priority is low, normal or high, not \"9\""
        );
    }
}
