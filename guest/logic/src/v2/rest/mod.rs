//! V2 over HTTP: one request in, one response out, the body in chunks.
//!
//! **Invariant:** every request gets a response and an outcome.

mod answer;
mod describe;
mod infer;
mod reader;
mod request;
mod route;

use tensorgate_types::{Error, ErrorCode, Result};

use super::models;
use crate::exchange::{ChunkedResponse, HttpRequest};
use crate::grpc::source::Source;
use crate::inference::Range;
use crate::json::write::push_string;
use crate::outcome::Outcome;
use crate::rest::percent_decode;
use crate::services::{Message, Services};
use reader::Reader;
use route::{Of, Route, route};

const JSON: &str = "application/json";

/// Answers a request to a path of `/v2`.
pub fn handle(
    request: &HttpRequest<'_>,
    message: &impl Message,
    services: &impl Services,
) -> (ChunkedResponse, Outcome) {
    let mut outcome = Outcome::default();
    if request.method == "OPTIONS" {
        return (preflight(request), outcome);
    }
    let route = route(request.path_alone());
    let expected = route.as_ref().and_then(Route::method);
    if let Some(expected) = expected.filter(|expected| *expected != request.method) {
        outcome.code = ErrorCode::Unimplemented.number();
        return (wrong_method(request, expected), outcome);
    }
    let response = match route {
        None => Err(Error::not_found(format!(
            "there is nothing at {}: expected a path of the V2 inference protocol",
            request.path_alone().chars().take(200).collect::<String>()
        ))),
        Some(route) => dispatch(route, request, message, services, &mut outcome),
    };
    let response = response.unwrap_or_else(|error| {
        outcome.code = error.code().number();
        failed(error.code().http_status(), error.message())
    });
    (response, outcome)
}

fn dispatch(
    route: Route,
    request: &HttpRequest<'_>,
    message: &impl Message,
    services: &impl Services,
    outcome: &mut Outcome,
) -> Result<ChunkedResponse> {
    let json = |bytes| Ok(ChunkedResponse::new(200, JSON, bytes));
    let signature = || query(request, super::SIGNATURE_NAME);
    match route {
        Route::Server => json(describe::server()),
        // Who is asked here is: what is known of all models is the server's to tell, and it
        // answers this one before it gets here.
        Route::Live | Route::Ready => Ok(ChunkedResponse {
            status: 200,
            headers: vec![],
            body: vec![],
        }),
        Route::Index => {
            let only_ready = only_ready(message)?;
            let index = models::index(services.models(), only_ready, services)?;
            json(describe::index(&index))
        }
        Route::Model(spec, of) => {
            outcome.model.clone_from(&spec.name);
            outcome.api = match of {
                Of::Metadata | Of::Config => "metadata",
                Of::Ready => "status",
                Of::Infer => "infer",
            };
            let spec = spec.checked()?;
            match of {
                Of::Metadata => {
                    let signature = signature();
                    let metadata =
                        models::metadata(&spec, signature.as_deref(), services, outcome)?;
                    json(describe::metadata(&metadata))
                }
                Of::Config => {
                    let signature = signature();
                    let config = models::config(&spec, signature.as_deref(), services, outcome)?;
                    json(describe::config(&config))
                }
                // Why it is not ready is worth a body; probes look at the status alone.
                Of::Ready => super::open(services, &spec, outcome).map(|_| ChunkedResponse {
                    status: 200,
                    headers: vec![],
                    body: vec![],
                }),
                Of::Infer => infer::infer(&spec, request, message, services, outcome),
            }
        }
        Route::NotImplemented(what) => {
            Err(Error::unimplemented(format!("{what} is not implemented")))
        }
    }
}

/// The value of this name in the query, decoded.
fn query(request: &HttpRequest<'_>, name: &str) -> Option<String> {
    let (_, query) = request.path.split_once('?')?;
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find_map(|(known, value)| (known == name).then(|| percent_decode(value)))
}

/// `{"ready": true}` asks for models that are ready only. The body may be missing.
fn only_ready(message: &impl Message) -> Result<bool> {
    /// There is little that can be asked for.
    const MAX_LENGTH: u64 = 64 << 10;
    let length = message.length();
    if length > MAX_LENGTH {
        return Err(Error::resource_exhausted(format!(
            "the body of a request for the index has {length} bytes: at most {MAX_LENGTH} are \
             possible"
        )));
    }
    let body = Source::new(message).copy(Range { offset: 0, length })?;
    let mut ready = false;
    if body.is_empty() {
        return Ok(ready);
    }
    let mut reader = Reader::new(&body);
    reader.object("the request", |reader, name| match name {
        b"ready" => {
            ready = reader.boolean("'ready'")?;
            Ok(())
        }
        _ => reader.skip(),
    })?;
    reader.end()?;
    Ok(ready)
}

/// The body of every error.
fn failed(status: u16, message: &str) -> ChunkedResponse {
    let mut json = b"{\"error\":".to_vec();
    push_string(message.as_bytes(), &mut json);
    json.push(b'}');
    ChunkedResponse::new(status, JSON, json)
}

fn wrong_method(request: &HttpRequest<'_>, expected: &str) -> ChunkedResponse {
    let method: String = request.method.chars().take(20).collect();
    let mut response = failed(
        405,
        &format!(
            "{method} is no method of {}: expected {expected}",
            request.path_alone()
        ),
    );
    response
        .headers
        .push(("allow".to_owned(), expected.to_owned()));
    response
}

/// A browser asks whether it may call. Yes, if it says on whose behalf; the headers that let it
/// are the server's to add.
fn preflight(request: &HttpRequest<'_>) -> ChunkedResponse {
    let comes_from_a_page = request
        .header("origin")
        .is_some_and(|origin| origin.starts_with("http://") || origin.starts_with("https://"));
    ChunkedResponse {
        status: if comes_from_a_page { 200 } else { 400 },
        headers: vec![],
        body: vec![],
    }
}
