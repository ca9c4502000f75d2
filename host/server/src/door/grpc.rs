//! The gRPC port, which is reserved: every call is answered at once, with a status that says that
//! nobody serves it yet. A port that accepts and stays silent would leave clients hanging.

use std::convert::Infallible;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, Version, header};
use http_body_util::Full;

/// `UNIMPLEMENTED`.
const STATUS: &str = "12";
/// Percent-encoded, as gRPC has it: only spaces need no escape here.
const MESSAGE: &str = "Tensorgate does not serve gRPC yet: use the REST API";

/// Answers a call with a status and nothing else ("trailers only").
pub(crate) async fn service<B: Send>(
    request: Request<B>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response;
    if request.version() == Version::HTTP_2 {
        response = Response::new(Full::default());
        let headers = response.headers_mut();
        for (name, value) in [
            ("content-type", "application/grpc"),
            ("grpc-status", STATUS),
            ("grpc-message", MESSAGE),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
    } else {
        let text = "This port is for gRPC, over HTTP/2. The REST API has a port of its own.\n";
        response = Response::new(Full::from(text));
        *response.status_mut() = StatusCode::BAD_REQUEST;
        let plain = HeaderValue::from_static("text/plain");
        response.headers_mut().insert(header::CONTENT_TYPE, plain);
    }
    Ok(response)
}
