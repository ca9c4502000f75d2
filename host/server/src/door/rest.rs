//! The way of one HTTP request through the door.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use tensorgate_edge as edge;
use tensorgate_types::{Deadline, Error};

use super::body::Limits;
use super::budget::Budget;
use super::fault::Fault;
use super::pieces::Pieces;
use super::terms::{self, Timing};
use super::{Door, Handler, Terms, body, cors, log, model, request_id};

/// The headers that the component gets: what says something about the body or the answer.
const PASSED_ON: [HeaderName; 3] = [
    header::CONTENT_TYPE,
    header::ACCEPT,
    // How much of a body is JSON, before the tensors (KServe's V2 protocol).
    HeaderName::from_static("inference-header-content-length"),
];

/// What a path is answered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// The body goes into the component: JSON.
    Rest,
    /// The body stays outside, for the tensors that are in it.
    Exchange,
}

impl Way {
    /// TensorFlow Serving's API matches its prefix in upper case too, as the original does.
    fn of(path: &str) -> Option<Self> {
        let below = |prefix: &str| {
            let rest = path.strip_prefix(prefix);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let start = path.as_bytes().get(..4);
        if start.is_some_and(|start| start.eq_ignore_ascii_case(b"/v1/")) {
            Some(Self::Rest)
        } else if below("/v2") || path == "/edge/v1" {
            Some(Self::Exchange)
        } else {
            None
        }
    }
}

/// Answers everything that has no route of its own.
pub(super) async fn handle<H: Handler>(
    State(door): State<Arc<Door<H>>>,
    request: axum::extract::Request,
) -> Response {
    // Its path is an operator's choice, and so none that could be in the table of routes.
    let page = door.options.metrics.as_ref();
    if let Some(page) = page.and_then(|page| page.answer(request.uri())) {
        return page;
    }
    let id = request_id::of(request.headers());
    let timing = Timing::of(request.headers());
    let answered = answer(&door, request, &id, timing.clone());
    let mut response = match door.unless_cut(answered).await {
        Ok(answered) => answered.unwrap_or_else(Fault::into_response),
        Err(error) => Fault::from(&error).into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(request_id::HEADER, id);
    if let Some(timing) = timing {
        timing.put(headers);
    }
    if door.options.cors {
        cors::allow(headers);
    }
    response
}

async fn answer<H: Handler>(
    door: &Door<H>,
    request: axum::extract::Request,
    id: &HeaderValue,
    timing: Option<Timing>,
) -> Result<Response, Fault> {
    let (parts, body) = request.into_parts();
    let Some(way) = Way::of(parts.uri.path()) else {
        let path = parts.uri.path();
        let nothing = format!("nothing is at {path}: the REST API is under /v1/");
        let fault = Fault::new(StatusCode::NOT_FOUND, nothing);
        return Err(body::refuse(body, &parts.headers, fault).await);
    };
    if parts.method == Method::OPTIONS {
        return Ok(cors::preflight(&parts.headers));
    }
    let handler = match door.handler() {
        Ok(handler) => handler,
        Err(error) => return Err(body::refuse(body, &parts.headers, error.into()).await),
    };
    let asked = terms::priority(&parts.headers)
        .and_then(|priority| Ok((priority, terms::timeout(&parts.headers)?)));
    let (priority, timeout) = match asked {
        Ok(asked) => asked,
        Err(error) => return Err(body::refuse(body, &parts.headers, error.into()).await),
    };
    let options = &door.options;
    let name = if options.model_limits.is_empty() {
        None
    } else {
        model::of_path(parts.uri.path())
    };
    let most = name
        .as_deref()
        .and_then(|name| options.model_limits.of(name).body_bytes)
        .filter(|most| *most < options.max_body_bytes);
    let limits = Limits {
        max: most.unwrap_or(options.max_body_bytes),
        model: most.and(name.as_deref()),
        pace: options.pace,
    };
    let held = body::read(body, &parts.headers, limits, &door.budget).await?;
    // From here on, and not from the first byte: the original's timeout does not cover the
    // upload either, and a slow network is not a slow model.
    let timeout = [options.timeout, timeout].into_iter().flatten().min();
    let deadline = timeout.map_or(Deadline::NEVER, Deadline::after);
    let request = edge::RestRequest {
        method: parts.method.as_str().to_owned(),
        path: path_and_query(&parts),
        headers: passed_on(&parts.headers),
        body: held.bytes.clone(),
    };
    let terms = Terms {
        deadline,
        priority,
        timing,
    };
    let answer = match way {
        Way::Rest => handler.handle(request, terms).await.map(Answer::from),
        Way::Exchange => handler.exchange(request, terms).await.map(Answer::from),
    };
    match answer {
        Ok(answer) => {
            // The request's bytes are done with; what is held from now on is the answer.
            drop(held);
            into_http(answer, &door.budget)
        }
        Err(error) => {
            log::failed(&error, id);
            Err(Fault::from(&error))
        }
    }
}

/// What the component answered, either way.
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    pieces: Vec<Bytes>,
}

impl From<edge::RestResponse> for Answer {
    fn from(response: edge::RestResponse) -> Self {
        Self {
            status: response.status,
            headers: response.headers,
            pieces: vec![response.body],
        }
    }
}

impl From<edge::ExchangeResponse> for Answer {
    fn from(response: edge::ExchangeResponse) -> Self {
        Self {
            status: response.status,
            headers: response.headers,
            pieces: response.chunks,
        }
    }
}

fn path_and_query(parts: &Parts) -> String {
    parts
        .uri
        .path_and_query()
        .map_or_else(|| parts.uri.path().to_owned(), ToString::to_string)
}

fn passed_on(headers: &HeaderMap) -> Vec<(String, String)> {
    PASSED_ON
        .into_iter()
        .filter_map(|name| {
            // Without bytes that are no text: the component reads strings.
            let value = headers.get(&name)?.to_str().ok()?.to_owned();
            Some((name.as_str().to_owned(), value))
        })
        .collect()
}

/// A small body can ask for a large answer, and a client need not read it: answers count against
/// the same budget as bodies.
fn hold(pieces: Vec<Bytes>, budget: &Budget) -> Result<Body, Fault> {
    let length = pieces.iter().map(Bytes::len).sum();
    let mut reserved = budget.reserve_nothing();
    if !reserved.grow_to(length) {
        return Err(Fault::from(&Error::unavailable(format!(
            "the answer has {length} bytes, and all requests and answers together may take {} \
             (--max_buffered_bytes); try again later",
            budget.limit()
        ))));
    }
    Ok(Body::new(Pieces::new(pieces, reserved)))
}

fn into_http(answer: Answer, budget: &Budget) -> Result<Response, Fault> {
    let broken = |what: String| {
        Fault::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("the gateway component answered with {what}"),
        )
    };
    let mut http = Response::new(hold(answer.pieces, budget)?);
    *http.status_mut() = StatusCode::from_u16(answer.status)
        .map_err(|_| broken(format!("the status {}", answer.status)))?;
    for (name, value) in answer.headers {
        let pair = HeaderName::try_from(&name)
            .ok()
            .zip(HeaderValue::try_from(value).ok());
        let (key, value) = pair.ok_or_else(|| broken(format!("a bad header: {name:?}")))?;
        http.headers_mut().append(key, value);
    }
    Ok(http)
}

#[cfg(test)]
mod tests {
    use super::Way;

    #[test]
    fn paths_lead_where_their_prefix_says() {
        for (path, way) in [
            ("/v1/models/m", Some(Way::Rest)),
            ("/V1/models/m", Some(Way::Rest)),
            ("/v1", None),
            ("/v2", Some(Way::Exchange)),
            ("/v2/models/m/infer", Some(Way::Exchange)),
            ("/v22/models", None),
            ("/edge/v1", Some(Way::Exchange)),
            ("/edge/v1/x", None),
            ("/edge/v2", None),
            ("/", None),
        ] {
            assert_eq!(Way::of(path), way, "{path}");
        }
    }
}
