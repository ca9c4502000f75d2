//! On what terms a request is handled: until when, and how urgently. Both are in headers, so the
//! door reads them.

use http::HeaderMap;
use tensorgate_types::{Deadline, Error, Priority, Result};

/// The header of HTTP requests, and the metadata of gRPC calls, that says how urgent one is.
const PRIORITY: &str = "x-tensorgate-priority";

/// Until when a request is worth an answer, and how urgent it is against others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) deadline: Deadline,
    pub(crate) priority: Priority,
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

#[cfg(test)]
mod tests {
    use super::*;

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
