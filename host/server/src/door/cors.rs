//! Calls from pages of other origins, as the original answers them.

use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};

/// The answer to `OPTIONS`: an empty body, and 200 when an origin asks.
pub(super) fn preflight(headers: &HeaderMap) -> Response {
    let origin = headers.get(header::ORIGIN).map(HeaderValue::as_bytes);
    let is_web = origin
        .is_some_and(|origin| origin.starts_with(b"http://") || origin.starts_with(b"https://"));
    let status = if is_web {
        StatusCode::OK
    } else {
        StatusCode::BAD_REQUEST
    };
    status.into_response()
}

/// The three headers that let a page read the answer; errors carry them too.
pub(super) fn allow(headers: &mut HeaderMap) {
    for (name, value) in [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::ACCESS_CONTROL_ALLOW_METHODS, "POST, GET"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "Content-Type"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}
