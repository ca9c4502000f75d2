//! What is passed on to the Tensorgate host, and what a client is told when it cannot be reached.
//! Plain Rust, so that it is tested natively.

use tensorgate_types::ErrorCode;

/// Headers that mean something to the next hop only, and those that the sender of a request
/// makes itself (RFC 9110, section 7.6.1).
const HOP_BY_HOP: &[&str] = &[
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Whether a header goes on to the host, or back to the client. Headers that Spin adds for the
/// component (`spin-path-info` and so on) are the component's own business.
pub(crate) fn passes(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    !HOP_BY_HOP.contains(&name.as_str()) && !name.starts_with("spin-")
}

/// The address at the host: its base URL, and the path and query as the client sent them.
pub(crate) fn target(base: &str, path_and_query: &str) -> String {
    format!("{}{path_and_query}", base.trim_end_matches('/'))
}

/// The status and body for a host that cannot be reached: `UNAVAILABLE`, in the envelope that
/// every error of the REST API has.
pub(crate) fn unreachable() -> (u16, String) {
    let code = ErrorCode::Unavailable;
    let message = "the Tensorgate host cannot be reached: is it running, is the variable \
                   tensorgate_url right, and does allowed_outbound_hosts name it?";
    (
        code.http_status(),
        format!("{{\n    \"error\": \"{message}\"\n}}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_on_what_concerns_the_body_and_nothing_of_the_connection() {
        for name in ["Content-Type", "accept", "x-request-id", "authorization"] {
            assert!(passes(name), "{name}");
        }
        for name in ["Host", "connection", "Transfer-Encoding", "spin-full-url"] {
            assert!(!passes(name), "{name}");
        }
    }

    #[test]
    fn keeps_path_and_query_as_they_came() {
        for base in ["http://127.0.0.1:8501", "http://127.0.0.1:8501/"] {
            assert_eq!(
                target(base, "/v1/models/a%2Fb:predict?x=1"),
                "http://127.0.0.1:8501/v1/models/a%2Fb:predict?x=1"
            );
        }
    }
}
