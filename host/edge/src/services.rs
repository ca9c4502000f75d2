//! What a gateway is given beside WASI: models, and the traits behind the WIT interfaces
//! `telemetry`, `management`, `request-log` and `settings`. The server implements them; the tests
//! of this crate fake them.
//!
//! **Invariant:** types and traits only. What a configuration means, and what a log looks like on
//! a disk, is the server's affair.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use tensorgate_types::{Deadline, Error, LogKind, ModelConfig, Result, Settings};

use crate::Usage;
use crate::models::{BoxFuture, Models};

/// Everything that a gateway may ask the house for.
#[derive(Clone)]
pub struct Services {
    /// The models.
    pub models: Arc<dyn Models>,
    /// Takes reports of how requests ended.
    pub telemetry: Arc<dyn Telemetry>,
    /// Takes new configurations.
    pub management: Arc<dyn Management>,
    /// Writes requests down.
    pub request_log: Arc<dyn RequestLog>,
    /// What the operator has set.
    pub settings: Settings,
}

impl Services {
    /// These models, and nothing that an operator could ask for.
    #[must_use]
    pub fn new(models: Arc<dyn Models>, telemetry: Arc<dyn Telemetry>) -> Self {
        Self {
            models,
            telemetry,
            management: Arc::new(Unmanaged),
            request_log: Arc::new(Unlogged),
            settings: Settings::default(),
        }
    }
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Services")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

// --- Telemetry ---

/// How a request ended, as the gateway reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The model that was asked for; empty when none was named.
    pub model: String,
    /// The version that answered.
    pub version: Option<i64>,
    /// `predict`, `status` and so on; empty when it was none.
    pub api: String,
    /// The signature that was run.
    pub signature: String,
    /// Rows in the batch.
    pub rows: u64,
    /// The canonical gRPC code; 0 for success.
    pub code: u32,
}

/// Takes the gateway's reports.
pub trait Telemetry: Send + Sync + 'static {
    /// Called once per request, on the request's task: must be quick and must not block.
    fn report(&self, outcome: Outcome);

    /// Called once for each time that a request went through a processor, on the request's task.
    fn processed(&self, usage: Usage) {
        let _unread = usage;
    }
}

// --- Management ---

/// Tells which models are served, and takes new configurations.
pub trait Management: Send + Sync + 'static {
    /// The names of the models, in alphabetical order; none where there is no list of them. Must
    /// be quick.
    fn models(&self) -> Option<Vec<String>> {
        None
    }

    /// Replaces the list of models, as the WIT function `reload` documents it: by how much each
    /// of the named metrics has grown meanwhile.
    fn reload(
        &self,
        models: Option<Vec<ModelConfig>>,
        metric_names: Vec<String>,
        deadline: Deadline,
    ) -> BoxFuture<'_, Result<Vec<(String, i64)>>>;
}

/// Takes no configurations.
#[derive(Debug)]
pub struct Unmanaged;

impl Management for Unmanaged {
    fn reload(
        &self,
        _models: Option<Vec<ModelConfig>>,
        _metric_names: Vec<String>,
        _deadline: Deadline,
    ) -> BoxFuture<'_, Result<Vec<(String, i64)>>> {
        Box::pin(async {
            Err(Error::unimplemented(
                "this server does not support a change of its configuration by request",
            ))
        })
    }
}

// --- Request log ---

/// A request and its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Which of the logs.
    pub kind: LogKind,
    /// The model that was asked for.
    pub model: String,
    /// The version that answered.
    pub version: i64,
    /// The signature that was run.
    pub signature_name: String,
    /// The serialized request, in pieces; large ones are shared with the message itself.
    pub request: Vec<Bytes>,
    /// The serialized answer, in pieces; large ones are shared with the runtime's outputs.
    pub response: Vec<Bytes>,
}

/// Writes requests down.
pub trait RequestLog: Send + Sync + 'static {
    /// Whether this request to the model is to be written down. Draws lots, so it is asked once
    /// per request. Must be quick.
    fn sampled(&self, model: &str) -> bool;

    /// Takes an entry, to be written soon. Called on the request's task: must not block.
    fn write(&self, entry: LogEntry);
}

/// Writes nothing down.
#[derive(Debug)]
pub struct Unlogged;

impl RequestLog for Unlogged {
    fn sampled(&self, _model: &str) -> bool {
        false
    }

    fn write(&self, _entry: LogEntry) {}
}
