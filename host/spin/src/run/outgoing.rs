//! Requests of guests to other servers: whether they may, over connections that are kept.
//!
//! ```text
//! guest -> allowed_outbound_hosts -> http://<component>.spin.internal: this app, in process
//!                               \--> any other: a connection that is idle, or a new one
//! ```
//!
//! **Invariant:** nothing leaves that the component's manifest does not allow.

use std::error::Error as StdError;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::{Instant, Sleep, sleep_until, timeout};
use tower_service::Service;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use super::app::Chain;
use super::state::Settings;
use super::{Console, RunError};
use crate::hosts;

/// How long anything may take that a guest sets no limit for: wasmtime's own default.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(600);

/// How long a connection is kept that nobody uses.
const IDLE: Duration = Duration::from_secs(60);

/// Idle connections that are kept to one server.
const MAX_IDLE: usize = 128;

tokio::task_local! {
    /// How long the request of this task waits for a connection.
    static CONNECT_TIMEOUT: Duration;
}

/// Sends requests. Clones share its connections.
#[derive(Clone)]
pub(super) struct Sender(Client<Connector, WasiBody>);

impl Sender {
    pub(super) fn new() -> Result<Self, RunError> {
        let mut http = HttpConnector::new();
        http.set_nodelay(true);
        http.enforce_http(false);
        let https = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(rustls::crypto::ring::default_provider());
        let https = match https {
            Ok(builder) => builder.https_or_http().enable_http1().wrap_connector(http),
            // A container without certificates: https fails where it is asked for, and says why.
            Err(error) => {
                tracing::debug!("the system has no certificates to trust: {error}");
                let nobody = rustls::ClientConfig::builder_with_provider(Arc::new(
                    rustls::crypto::ring::default_provider(),
                ))
                .with_safe_default_protocol_versions()
                .map_err(|error| RunError::because("cannot set up TLS", error))?
                .with_root_certificates(rustls::RootCertStore::empty())
                .with_no_client_auth();
                HttpsConnectorBuilder::new()
                    .with_tls_config(nobody)
                    .https_or_http()
                    .enable_http1()
                    .wrap_connector(http)
            }
        };
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(MAX_IDLE)
            .pool_timer(TokioTimer::new())
            .build(Connector(https));
        Ok(Self(client))
    }

    async fn send(
        &self,
        request: Request<WasiBody>,
        options: RequestOptions,
    ) -> Result<Response<WasiBody>, Error> {
        let or_default = |limit: Option<Duration>| limit.unwrap_or(DEFAULT_TIMEOUT);
        let connect = or_default(options.connect_timeout);
        let first_byte = or_default(options.first_byte_timeout);
        let between = or_default(options.between_bytes_timeout);
        let sent = CONNECT_TIMEOUT.scope(connect, self.0.request(request));
        // The connector keeps to its own limit.
        let response = match timeout(connect.saturating_add(first_byte), sent).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(told(&error)),
            Err(_) => return Err(Error::ConnectionReadTimeout),
        };
        Ok(response.map(|body| Timed::new(body, between).boxed_unsync()))
    }
}

/// Connects within the time that the request has for it.
#[derive(Clone)]
struct Connector(HttpsConnector<HttpConnector>);

type Connecting<T> =
    Pin<Box<dyn Future<Output = Result<T, Box<dyn StdError + Send + Sync>>> + Send>>;

impl Service<Uri> for Connector {
    type Response = <HttpsConnector<HttpConnector> as Service<Uri>>::Response;
    type Error = Box<dyn StdError + Send + Sync>;
    type Future = Connecting<Self::Response>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let limit = CONNECT_TIMEOUT.try_with(|limit| *limit);
        let connecting = self.0.call(uri);
        Box::pin(async move {
            let limit = limit.unwrap_or(DEFAULT_TIMEOUT);
            match timeout(limit, connecting).await {
                Ok(connected) => connected,
                Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
            }
        })
    }
}

/// A client's error in the words of `wasi:http`.
fn told(error: &hyper_util::client::legacy::Error) -> Error {
    let mut cause: Option<&(dyn StdError + 'static)> = error.source();
    while let Some(found) = cause {
        if let Some(tls) = found.downcast_ref::<rustls::Error>() {
            tracing::debug!("TLS: {tls}");
            return match tls {
                rustls::Error::InvalidCertificate(_) => Error::TlsCertificateError,
                _ => Error::TlsProtocolError,
            };
        }
        if let Some(error) = found.downcast_ref::<io::Error>() {
            // TLS errors are inside of some of these.
            if let Some(tls) = error
                .get_ref()
                .and_then(|inner| inner.downcast_ref::<rustls::Error>())
            {
                tracing::debug!("TLS: {tls}");
                return match tls {
                    rustls::Error::InvalidCertificate(_) => Error::TlsCertificateError,
                    _ => Error::TlsProtocolError,
                };
            }
            match error.kind() {
                io::ErrorKind::TimedOut => return Error::ConnectionTimeout,
                io::ErrorKind::ConnectionRefused => return Error::ConnectionRefused,
                io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                    return Error::ConnectionTerminated;
                }
                io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
                    return Error::DestinationUnavailable;
                }
                _ => {}
            }
        }
        if let Some(http) = found.downcast_ref::<hyper::Error>() {
            if http.is_incomplete_message() || http.is_canceled() || http.is_closed() {
                return Error::ConnectionTerminated;
            }
            if http.is_timeout() {
                return Error::HttpResponseTimeout;
            }
        }
        cause = found.source();
    }
    tracing::debug!("a request failed: {error:?}");
    if error.is_connect() {
        // What is left there is names that nobody knows.
        return Error::DnsError {
            rcode: Some("name cannot be resolved".to_owned()),
            info_code: None,
        };
    }
    Error::HttpProtocolError
}

/// A body whose pieces must not be too far apart.
struct Timed {
    body: Incoming,
    limit: Duration,
    alarm: Pin<Box<Sleep>>,
}

impl Timed {
    fn new(body: Incoming, limit: Duration) -> Self {
        Self {
            body,
            limit,
            alarm: Box::pin(sleep_until(Instant::now() + limit)),
        }
    }
}

impl Body for Timed {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(frame) => {
                let next = Instant::now() + self.limit;
                self.alarm.as_mut().reset(next);
                Poll::Ready(frame.map(|frame| frame.map_err(Error::from)))
            }
            Poll::Pending => self
                .alarm
                .as_mut()
                .poll(context)
                .map(|()| Some(Err(Error::ConnectionReadTimeout))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The host that stands for the app itself.
const OWN: &str = "self.alt";

/// Where a request goes.
enum Way {
    /// To the app's own routes.
    Own,
    /// To a component of the app: `<component>.spin.internal`.
    Component(String),
    Out,
}

/// What one instance sends with.
pub(super) struct Outgoing {
    pub(super) component: Arc<Settings>,
    pub(super) sender: Sender,
    pub(super) chain: Chain,
    pub(super) console: Console,
}

type Sent = (
    Response<WasiBody>,
    Box<dyn Future<Output = Result<(), Error>> + Send>,
);

impl WasiHttpHooks for Outgoing {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _processed: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Result<Sent, Error>> + Send> {
        let uri = request.uri();
        let scheme = uri.scheme_str().unwrap_or("https");
        let host = uri.host().unwrap_or_default();
        let way = if host == OWN {
            Way::Own
        } else if let Some(component) = hosts::internal_component(host) {
            Way::Component(component.to_owned())
        } else {
            Way::Out
        };
        let allowed = match way {
            Way::Own => self.component.hosts.allows_own(scheme),
            Way::Component(_) | Way::Out => {
                self.component.hosts.allows(scheme, host, uri.port_u16())
            }
        };
        if !allowed {
            let authority = uri.authority().map_or("", |authority| authority.as_str());
            self.console.disallowed(scheme, authority);
            return Box::new(async { Err(Error::HttpRequestDenied) });
        }
        let (sender, chain) = (self.sender.clone(), self.chain.clone());
        Box::new(async move {
            let response = match way {
                Way::Own => chain.own(request).await?,
                Way::Component(component) => chain.call(&component, request).await?,
                Way::Out => sender.send(request, options.unwrap_or_default()).await?,
            };
            let nothing: Box<dyn Future<Output = Result<(), Error>> + Send> =
                Box::new(async { Ok(()) });
            Ok((response, nothing))
        })
    }
}
