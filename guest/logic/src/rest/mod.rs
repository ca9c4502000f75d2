//! TensorFlow Serving's REST API: one request in, one response out.
//!
//! **Invariant:** every request gets a response and an outcome; errors keep the order of the
//! original, which checks the path, then the body, then the model, its signature and the tensors.

mod examples;
mod log;
mod metadata;
mod predict;
mod printer;
mod route;
mod status;
mod type_spec;

use tensorgate_types::{Error, ErrorCode};

use crate::examples::Method;
use crate::json::write::Pretty;
use crate::outcome::Outcome;
use crate::services::Services;
pub(crate) use route::percent_decode;
use route::{Api, Route};

/// A request, whole.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// `GET`, `POST` and so on.
    pub method: &'a str,
    /// Path and query as they were sent.
    pub path: &'a str,
    /// Headers with lower-case names: `origin`, `content-type` and `accept` matter here.
    pub headers: &'a [(String, String)],
    /// The body.
    pub body: &'a [u8],
}

impl<'a> Request<'a> {
    /// The header of this name.
    fn header(&self, name: &str) -> Option<&'a str> {
        let mut headers = self.headers.iter();
        headers.find_map(|(known, value)| (known == name).then_some(value.as_str()))
    }

    /// The value of this name in the query, decoded.
    fn query(&self, name: &str) -> Option<String> {
        let (_, query) = self.path.split_once('?')?;
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find_map(|(known, value)| (known == name).then(|| route::percent_decode(value)))
    }
}

/// What an answer carries.
#[derive(Debug)]
struct Content {
    content_type: String,
    bytes: Vec<u8>,
}

impl Content {
    fn json(bytes: Vec<u8>) -> Self {
        Self {
            content_type: "application/json".to_owned(),
            bytes,
        }
    }
}

/// A response, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    fn new(status: u16, content_type: &str, body: Vec<u8>) -> Self {
        Self {
            status,
            headers: vec![("content-type".to_owned(), content_type.to_owned())],
            body,
        }
    }
}

/// What the original's HTTP library answers where nobody listens.
const NOT_FOUND: &[u8] = b"<HTML><HEAD>\n<TITLE>404 Not Found</TITLE>\n</HEAD><BODY>\n\
    <H1>Not Found</H1>\n</BODY></HTML>\n";

/// Answers a request.
pub fn handle(request: &Request<'_>, services: &impl Services) -> (Response, Outcome) {
    let mut outcome = Outcome::default();
    let path = request.path.split('?').next().unwrap_or_default();
    if !path
        .get(..4)
        .is_some_and(|start| start.eq_ignore_ascii_case("/v1/"))
    {
        outcome.code = ErrorCode::NotFound.number();
        return (Response::new(404, "text/html", NOT_FOUND.to_vec()), outcome);
    }
    if request.method == "OPTIONS" {
        return (preflight(request), outcome);
    }
    let answer = route::route(request.method, path)
        .map_err(|error| error.into_error(request))
        .and_then(|route| dispatch(&route, request, services, &mut outcome));
    let response = match answer {
        Ok(content) => Response::new(200, &content.content_type, content.bytes),
        Err(error) => {
            outcome.code = error.code().number();
            error_response(&error)
        }
    };
    (response, outcome)
}

fn dispatch(
    route: &Route,
    request: &Request<'_>,
    services: &impl Services,
    outcome: &mut Outcome,
) -> Result<Content, Error> {
    outcome.model.clone_from(&route.spec.name);
    outcome.api = route.api.name();
    let (spec, body) = (&route.spec, request.body);
    let json = match route.api {
        Api::Predict => return predict::predict(spec, request, services, outcome),
        Api::Classify => examples::answer(Method::Classify, spec, body, services, outcome),
        Api::Regress => examples::answer(Method::Regress, spec, body, services, outcome),
        Api::Status => status::status(spec, services),
        Api::Metadata => metadata::metadata(spec, services, outcome),
    };
    json.map(Content::json)
}

fn error_response(error: &Error) -> Response {
    refusal(error.code().http_status(), error.message())
}

/// An error, in the envelope that every error of this API has. For who stands before
/// [`handle`] and refuses a request in its place.
#[must_use]
pub fn refusal(status: u16, message: &str) -> Response {
    let mut writer = Pretty::new();
    writer.start_object();
    writer.string(b"error");
    writer.string(message.as_bytes());
    writer.end_object();
    Response::new(status, "application/json", writer.into_bytes())
}

/// A browser asks whether it may call. Yes, if it says on whose behalf; the headers that let it
/// are the server's to add, since they are a setting of the server.
fn preflight(request: &Request<'_>) -> Response {
    let comes_from_a_page = request.headers.iter().any(|(name, value)| {
        name == "origin" && (value.starts_with("http://") || value.starts_with("https://"))
    });
    Response {
        status: if comes_from_a_page { 200 } else { 400 },
        headers: vec![],
        body: vec![],
    }
}

#[cfg(test)]
mod conformance_tests;
#[cfg(test)]
#[path = "tests.rs"]
mod tests;
