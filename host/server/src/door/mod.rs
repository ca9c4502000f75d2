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

mod body;
mod budget;
mod cors;
mod fault;
mod grpc;
mod health;
mod request_id;
mod rest;
mod sockets;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use tensorgate_edge::{RestRequest, RestResponse};
use tensorgate_types::{Deadline, Error};

pub(crate) use budget::Budget;
pub(crate) use grpc::service as grpc_service;
pub(crate) use sockets::{Listener, Listening};

use crate::metrics::MetricsPage;

/// What the door hands requests to.
pub(crate) trait Handler: Send + Sync + 'static {
    /// Answers a request. An error is answered by the door.
    fn handle(
        &self,
        request: RestRequest,
        deadline: Deadline,
    ) -> impl Future<Output = Result<RestResponse, Error>> + Send;

    /// What keeps the server from being ready, if anything does.
    fn not_ready(&self) -> Option<String>;
}

/// What the door is told.
#[derive(Debug, Clone)]
pub(crate) struct DoorOptions {
    /// How long a request may take, once it is read.
    pub(crate) timeout: Option<Duration>,
    /// How long a body may be, packed and unpacked.
    pub(crate) max_body_bytes: usize,
    /// What all bodies may take together.
    pub(crate) max_buffered_bytes: usize,
    /// Whether pages of other origins may call.
    pub(crate) cors: bool,
    /// The page for Prometheus, if there is to be one.
    pub(crate) metrics: Option<MetricsPage>,
}

/// The state that all requests share.
pub(crate) struct Door<H> {
    options: DoorOptions,
    budget: Budget,
    /// Set once, when the component is ready to be asked. Read by every request.
    handler: OnceLock<H>,
    /// Set once, when the server begins to end. Only the readiness probe looks at it.
    draining: AtomicBool,
}

impl<H: Handler> Door<H> {
    /// A door with nobody behind it yet.
    pub(crate) fn new(options: DoorOptions) -> Arc<Self> {
        Arc::new(Self {
            budget: Budget::new(options.max_buffered_bytes),
            options,
            handler: OnceLock::new(),
            draining: AtomicBool::new(false),
        })
    }

    /// From now on requests are answered by `handler`. Only the first call counts.
    pub(crate) fn open(&self, handler: H) {
        // Called once, by the start-up; a second handler has nobody to complain to.
        let _ = self.handler.set(handler);
    }

    /// What requests and answers hold together.
    pub(crate) fn budget(&self) -> &Budget {
        &self.budget
    }

    /// From now on the server says that it is not ready.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Everything that the HTTP port answers.
    ///
    /// Health is outside `/v1/`, so that no model's name can collide with it, now or later.
    pub(crate) fn routes(self: &Arc<Self>) -> Router {
        Router::new()
            .route("/health/live", get(health::live))
            .route("/health/ready", get(health::ready::<H>))
            .fallback(rest::handle::<H>)
            .with_state(Arc::clone(self))
    }
}

impl<H> std::fmt::Debug for Door<H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
