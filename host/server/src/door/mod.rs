//! The door: sockets, limits, deadline and request id around the gateway component.
//!
//! In come HTTP requests, out go what the component answered, or a [`fault::Fault`] where the
//! component could not be asked or failed.
//!
//! ```text
//! socket --> route --> body (size, memory) --> deadline --> Handler --> response
//! ```
//!
//! **Invariant:** no body is looked into. Two headers go to the component, since they say
//! something about the body or the answer; the others are the door's own business.
//! **Cancellation:** a client that goes away drops the request's future, and the sandbox with it.

mod authority;
mod body;
mod budget;
mod channel;
mod connection;
mod cors;
mod fault;
mod grpc;
mod health;
mod log;
mod model;
mod pace;
mod pieces;
mod request_id;
mod rest;
mod socket_file;
mod sockets;
mod status;
mod terms;
mod tls;
mod tls_clients;
mod tls_failures;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use tensorgate_edge::{ExchangeResponse, GrpcRequest, RestRequest, RestResponse};
use tensorgate_types::Error;
use tokio::sync::watch;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::SizeAbove;

use crate::metrics::MetricsPage;
use crate::options::ModelLimits;

pub(crate) use budget::Budget;
pub(crate) use channel::ChannelArguments;
pub(crate) use connection::{Connections, Http2};
pub(crate) use fault::Fault;
pub(crate) use grpc::{GrpcOptions, routes as grpc_routes};
pub(crate) use health::{ModelHealth, ModelsHealth};
pub(crate) use pace::Pace;
pub(crate) use sockets::{Listener, Listening};
pub(crate) use status::{
    DeviceView, ProcessView, StatusReport, VersionView, WorkerModelView, WorkerView, tables,
};
pub(crate) use terms::Terms;
#[cfg(test)]
pub(crate) use terms::Timing;
pub(crate) use tls::acceptor as tls_acceptor;
pub(crate) use tls_failures::Tls;

/// How long a client may be silent, or take nothing: the 50 seconds of the original's library.
pub(crate) const IDLE: Duration = Duration::from_secs(50);

/// Shorter answers fit into one packet as they are.
const WORTH_PACKING: u16 = 1400;

/// What the door hands requests to.
pub(crate) trait Handler: Send + Sync + 'static {
    /// Answers a request. An error is answered by the door.
    fn handle(
        &self,
        request: RestRequest,
        terms: Terms,
    ) -> impl Future<Output = Result<RestResponse, Error>> + Send;

    /// Answers a request whose body has tensors as bytes in it. An error is answered by the door.
    fn exchange(
        &self,
        request: RestRequest,
        terms: Terms,
    ) -> impl Future<Output = Result<ExchangeResponse, Error>> + Send;

    /// Answers a gRPC call with the chunks of a message. An error is the status that it ends with.
    fn grpc(
        &self,
        call: GrpcRequest,
        terms: Terms,
    ) -> impl Future<Output = Result<Vec<Bytes>, Error>> + Send;

    /// What keeps the server from being ready, if anything does.
    fn not_ready(&self) -> Option<String>;

    /// The models that do not answer, for whoever asks why.
    fn models(&self) -> ModelsHealth;

    /// What runs where, for whoever asks.
    fn status(&self) -> StatusReport {
        StatusReport::default()
    }

    /// Returns when nothing keeps it from being ready, or something does.
    fn until_ready(&self, ready: bool) -> impl Future<Output = ()> + Send;
}

/// How far the server is in its life. It only ever moves on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// Nobody is behind the door yet.
    Starting,
    Open,
    /// The server says that it is not ready, so that load balancers look elsewhere, and still
    /// answers those that have not heard of it.
    Leaving,
    /// What runs may end; nothing new is accepted.
    Draining,
    /// What still runs is answered at once.
    Cut,
}

/// What the door is told.
#[derive(Debug, Clone)]
pub(crate) struct DoorOptions {
    /// How long a request may take, once it is read.
    pub(crate) timeout: Option<Duration>,
    /// How long a body may be, packed and unpacked.
    pub(crate) max_body_bytes: usize,
    /// How long bodies for a model may be, where it is less.
    pub(crate) model_limits: ModelLimits,
    /// What all bodies may take together.
    pub(crate) max_buffered_bytes: usize,
    /// Whether pages of other origins may call.
    pub(crate) cors: bool,
    /// The page for Prometheus, if there is to be one.
    pub(crate) metrics: Option<MetricsPage>,
    /// How slowly a request may come.
    pub(crate) pace: Pace,
}

/// The state that all requests share.
pub(crate) struct Door<H> {
    options: DoorOptions,
    budget: Budget,
    /// Set once, when the component is ready to be asked. Read by every request.
    handler: OnceLock<H>,
    stage: watch::Sender<Stage>,
}

impl<H: Handler> Door<H> {
    /// A door with nobody behind it yet.
    pub(crate) fn new(options: DoorOptions) -> Arc<Self> {
        Arc::new(Self {
            budget: Budget::new(options.max_buffered_bytes),
            options,
            handler: OnceLock::new(),
            stage: watch::Sender::new(Stage::Starting),
        })
    }

    /// From now on requests are answered by `handler`. Only the first call counts.
    pub(crate) fn open(&self, handler: H) {
        // Called once, by the start-up; a second handler has nobody to complain to.
        let _ = self.handler.set(handler);
        self.enter(Stage::Open);
    }

    /// What requests and answers hold together.
    pub(crate) fn budget(&self) -> &Budget {
        &self.budget
    }

    /// From now on the server says that it is not ready, and answers as before.
    pub(crate) fn leave(&self) {
        self.enter(Stage::Leaving);
    }

    /// The server ends: what outlives requests is ended, too.
    pub(crate) fn drain(&self) {
        self.enter(Stage::Draining);
    }

    /// Requests that still run are answered now, with an error.
    pub(crate) fn cut(&self) {
        self.enter(Stage::Cut);
    }

    fn enter(&self, stage: Stage) {
        self.stage.send_if_modified(|now| {
            let moves_on = *now < stage;
            *now = stage.max(*now);
            moves_on
        });
    }

    fn handler(&self) -> Result<&H, Error> {
        let starting = || Error::unavailable("the server is starting");
        self.handler.get().ok_or_else(starting)
    }

    fn is_draining(&self) -> bool {
        *self.stage.borrow() >= Stage::Draining
    }

    /// Returns when the server begins to end.
    fn draining(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut stage = self.stage.subscribe();
        async move {
            // An error: the door is gone, which is an end, too.
            let _ = stage.wait_for(|stage| *stage >= Stage::Draining).await;
        }
    }

    /// Does `work`, unless the server ends before it is done.
    async fn unless_cut<T>(&self, work: impl Future<Output = T>) -> Result<T, Error> {
        let mut stage = self.stage.subscribe();
        tokio::select! {
            done = work => Ok(done),
            _ = stage.wait_for(|stage| *stage == Stage::Cut) => {
                Err(Error::unavailable("the server is shutting down"))
            }
        }
    }

    fn why_not_ready(&self) -> Option<String> {
        if *self.stage.borrow() >= Stage::Leaving {
            return Some("the server is shutting down".to_owned());
        }
        match self.handler.get() {
            None => Some("the server is starting".to_owned()),
            Some(handler) => handler.not_ready(),
        }
    }

    /// Returns when the server is ready, or is not. A server that ends is never ready again.
    async fn until_ready(&self, ready: bool) {
        loop {
            let mut stage = self.stage.subscribe();
            if self.why_not_ready().is_none() == ready {
                return;
            }
            let stage_now = *stage.borrow();
            match self.handler.get() {
                Some(handler) if stage_now == Stage::Open => tokio::select! {
                    () = handler.until_ready(ready) => {}
                    _ = stage.changed() => {}
                },
                // The sender is ours: there is no error.
                _ => drop(stage.changed().await),
            }
        }
    }

    /// Everything that the HTTP port answers.
    ///
    /// Health is outside `/v1/`, so that no model's name can collide with it, now or later; under
    /// `/v1/` too, for those who let nothing else through. The original has models alone there.
    /// Under `/v2/` it is part of the protocol: what is known of all models is known here, and no
    /// body is to be read for it.
    pub(crate) fn routes(self: &Arc<Self>) -> Router {
        Router::new()
            .route("/health/live", get(health::live))
            .route("/health/ready", get(health::ready::<H>))
            .route("/health/status", get(status::status::<H>))
            .route("/v1/health/live", get(health::live))
            .route("/v1/health/ready", get(health::ready::<H>))
            .route("/v1/health/status", get(status::status::<H>))
            .route("/v2/health/live", get(health::live))
            .route("/v2/health/ready", get(health::ready::<H>))
            .fallback(rest::handle::<H>)
            .layer(packed_answers())
            .with_state(Arc::clone(self))
    }
}

/// Packs answers for clients that ask for it with `accept-encoding`. The fastest levels: numbers as
/// text shrink by a third at any of them.
fn packed_answers() -> CompressionLayer<SizeAbove> {
    CompressionLayer::new()
        .quality(CompressionLevel::Fastest)
        .compress_when(SizeAbove::new(WORTH_PACKING))
}

impl<H> std::fmt::Debug for Door<H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod leaving_tests;
#[cfg(test)]
mod standard_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tls_certificate_tests;
#[cfg(test)]
mod tls_tests;
#[cfg(test)]
mod wire_tests;
