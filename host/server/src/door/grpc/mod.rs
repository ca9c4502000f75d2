//! The gRPC port: calls of TensorFlow's services and of the V2 protocol's go to the gateway
//! component, the standard services (health, reflection) are answered here, and so is what the V2
//! protocol asks of the server's own health.
//!
//! ```text
//! HTTP/2 --> headers --> message (frame, size, memory, encoding) --> permit --> Handler
//!                                                                       |
//!        trailers <-- frame <-- encoding <-- size, memory <-------------+
//! ```
//!
//! **Invariant:** the message is bytes here; the door undoes frame and compression and nothing
//! more.
//! **Cancellation:** a client that resets its stream drops the call's future, and the run that is
//! queued for it.

mod answer;
mod descriptors;
mod encoding;
mod health;
mod message;
mod reflection;
pub(super) mod timeout;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version, header};
use tensorgate_edge::GrpcRequest;
use tensorgate_types::{Deadline, Error, ErrorCode};
use tokio::sync::Semaphore;
use tower::ServiceExt as _;

use super::terms::{self, Timing};
use super::{Door, Handler, Terms, log, request_id};
pub(crate) use encoding::Encoding;
use message::Limits;

/// Whose methods the component answers: every service of TensorFlow's packages, and of the V2
/// protocol's.
const COMPONENT: [&str; 2] = ["/tensorflow.", "/inference."];

/// What the gRPC port is told.
#[derive(Debug, Clone)]
pub(crate) struct GrpcOptions {
    /// Bytes of a message that comes, unpacked.
    pub(crate) max_receive_bytes: usize,
    /// Bytes of a message that goes, unpacked; `None` for as many as the budget has.
    pub(crate) max_send_bytes: Option<usize>,
    /// How answers are packed when the client can unpack them.
    pub(crate) answers: Encoding,
    /// How many calls are handled at a time; `None` leaves it to the sandbox.
    pub(crate) concurrent_calls: Option<usize>,
    /// Whether there is a health service.
    pub(crate) health: bool,
    /// What reflection shows besides: encoded `FileDescriptorSet`s.
    pub(crate) descriptors: Vec<&'static [u8]>,
}

impl Default for GrpcOptions {
    fn default() -> Self {
        Self {
            max_receive_bytes: 1 << 30,
            max_send_bytes: None,
            answers: Encoding::Identity,
            concurrent_calls: None,
            health: false,
            descriptors: Vec::new(),
        }
    }
}

/// What all calls share.
struct Port<H> {
    door: Arc<Door<H>>,
    options: GrpcOptions,
    /// A call that has none waits, with its message, until its deadline. The budget bounds what
    /// waits.
    permits: Option<Semaphore>,
    /// Health and reflection. Whatever else is asked for is `UNIMPLEMENTED` there.
    standard: Router,
}

/// Everything that the gRPC port answers.
///
/// # Errors
/// When the descriptors are none.
pub(crate) fn routes<H: Handler>(
    door: &Arc<Door<H>>,
    options: GrpcOptions,
) -> Result<Router, Error> {
    let mut standard = tonic::service::Routes::default();
    if options.health {
        standard = standard.add_service(health::service(door));
    }
    let standard = reflection::add(standard, &options)?;
    let port = Port {
        door: Arc::clone(door),
        permits: options.concurrent_calls.map(Semaphore::new),
        standard: standard.into_axum_router(),
        options,
    };
    Ok(Router::new().fallback(call::<H>).with_state(Arc::new(port)))
}

async fn call<H: Handler>(State(port): State<Arc<Port<H>>>, request: Request) -> Response {
    if let Some(refusal) = refuse_other_protocols(&request) {
        return refusal;
    }
    let path = request.uri().path();
    if let Some(answer) = health::of_v2(&port.door, path) {
        return answer::answered(
            vec![answer],
            Encoding::Identity,
            port.door.budget.reserve_nothing(),
        );
    }
    if !COMPONENT.iter().any(|prefix| path.starts_with(prefix)) {
        return standard(&port, request).await;
    }
    let (parts, body) = request.into_parts();
    let id = request_id::of(&parts.headers);
    let timing = Timing::of(&parts.headers);
    let mut response = match port.answer(&parts, body, timing.as_ref()).await {
        Ok(response) => response,
        Err(error) => {
            log::failed(&error, &id);
            answer::failed(&error)
        }
    };
    response.headers_mut().insert(request_id::HEADER, id);
    if let Some(timing) = timing {
        timing.put(response.headers_mut());
    }
    response
}

/// Streams of these services last as long as their clients like, so they are ended when the
/// server begins to end.
async fn standard<H: Handler>(port: &Port<H>, mut request: Request) -> Response {
    reflection::as_v1(request.uri_mut());
    let Ok(response) = port.standard.clone().oneshot(request).await;
    let draining = port.door.draining();
    response.map(|body| Body::new(answer::Until::new(body, draining)))
}

/// What speaks to this port and is no gRPC gets the HTTP statuses that gRPC names for it.
fn refuse_other_protocols(request: &Request) -> Option<Response> {
    let headers = request.headers();
    let (status, text) = if request.version() != Version::HTTP_2 {
        (
            StatusCode::BAD_REQUEST,
            "This port is for gRPC, over HTTP/2. The REST API has a port of its own.\n",
        )
    } else if request.method() != Method::POST {
        (
            StatusCode::METHOD_NOT_ALLOWED,
            "gRPC calls are sent with POST.\n",
        )
    } else if !is_grpc(headers) {
        (
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "gRPC calls have the content-type application/grpc or application/grpc+proto.\n",
        )
    } else {
        return None;
    };
    let plain = [(header::CONTENT_TYPE, "text/plain")];
    let mut response = (status, plain, text).into_response();
    if status == StatusCode::METHOD_NOT_ALLOWED {
        let post = HeaderValue::from_static("POST");
        response.headers_mut().insert(header::ALLOW, post);
    }
    Some(response)
}

/// `application/grpc`, with or without `+proto` and parameters. Not `-web`, which frames otherwise,
/// nor `+json`.
fn is_grpc(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .and_then(|kind| kind.split(';').next())
        .is_some_and(|kind| {
            let kind = kind.trim();
            kind.eq_ignore_ascii_case("application/grpc")
                || kind.eq_ignore_ascii_case("application/grpc+proto")
        })
}

impl<H: Handler> Port<H> {
    async fn answer(
        &self,
        parts: &Parts,
        body: Body,
        timing: Option<&Timing>,
    ) -> Result<Response, Error> {
        let deadline = timeout::of(&parts.headers)?;
        let encoding = Encoding::of(&parts.headers)?;
        let terms = Terms {
            deadline,
            priority: terms::priority(&parts.headers)?,
            timing: timing.cloned(),
        };
        let work = self.handle(parts, body, encoding, terms);
        let chunks = self.door.unless_cut(work).await??;
        self.send(chunks, &parts.headers).await
    }

    async fn handle(
        &self,
        parts: &Parts,
        body: Body,
        encoding: Encoding,
        terms: Terms,
    ) -> Result<Vec<Bytes>, Error> {
        let handler = self.door.handler()?;
        let prepare = async {
            let limits = Limits {
                max: self.options.max_receive_bytes,
                pace: self.door.options.pace,
            };
            let message = message::read(body, encoding, limits, &self.door.budget).await?;
            let permit = match &self.permits {
                // It is never closed.
                Some(permits) => permits.acquire().await.ok(),
                None => None,
            };
            Ok::<_, Error>((message, permit))
        };
        let (message, _permit) = before(terms.deadline, prepare).await?;
        let method = parts.uri.path().to_owned();
        handler.grpc(GrpcRequest { method, message }, terms).await
    }

    async fn send(&self, chunks: Vec<Bytes>, headers: &HeaderMap) -> Result<Response, Error> {
        let length: usize = chunks.iter().map(Bytes::len).sum();
        let frame = u32::MAX as usize;
        let max = self
            .options
            .max_send_bytes
            .map_or(frame, |max| max.min(frame));
        if length > max {
            return Err(Error::resource_exhausted(format!(
                "Sent message larger than max ({length} vs. {max})"
            )));
        }
        // A small message can ask for a large answer, and a client need not read it.
        let mut reserved = self.door.budget.reserve_nothing();
        if !reserved.grow_to(length) {
            return Err(Error::unavailable(format!(
                "the answer has {length} bytes, and all requests and answers together may take {} \
                 (--max_buffered_bytes); try again later",
                self.door.budget.limit()
            )));
        }
        let packing = self.options.answers;
        if packing == Encoding::Identity || !packing.is_accepted(headers) {
            return Ok(answer::answered(chunks, Encoding::Identity, reserved));
        }
        let packed = Bytes::from(packing.pack(chunks).await?);
        Ok(answer::answered(vec![packed], packing, reserved))
    }
}

/// What comes before the component obeys the deadline too, which counts from the first header.
async fn before<T>(
    deadline: Deadline,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let late = || Error::new(ErrorCode::DeadlineExceeded, "Deadline Exceeded");
    let done = match deadline.instant() {
        None => work.await,
        Some(at) => tokio::time::timeout_at(at.into(), work)
            .await
            .map_err(|_| late())?,
    };
    if deadline.has_passed() {
        return Err(late());
    }
    done
}
