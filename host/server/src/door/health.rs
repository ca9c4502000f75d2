//! Whether the process lives, and whether it is worth sending requests to.
//!
//! The body of the second is for whoever wonders why: which models are waited for, and which have
//! failed. Probes look at the status alone.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{StatusCode, header};
use serde::Serialize;

use super::{Door, Handler};

/// One version of a model, or a model of which no version is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ModelHealth {
    pub(crate) name: String,
    pub(crate) version: Option<i64>,
    /// `LOADING` and so on, as the status of a model has it; none where there is no version.
    pub(crate) state: Option<&'static str>,
    /// What the last attempt to load it failed with.
    pub(crate) error: Option<String>,
}

/// The models that do not answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct ModelsHealth {
    /// Those whose first load has not ended: what readiness waits for.
    pub(crate) waiting: Vec<ModelHealth>,
    /// Those that have failed, for good or so far, and those that their workers have lost and
    /// cannot load again. The server is ready without them.
    pub(crate) failed: Vec<ModelHealth>,
}

#[derive(Serialize)]
struct Report {
    ready: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(flatten)]
    models: ModelsHealth,
}

/// Lives: it answers.
pub(super) async fn live() -> &'static str {
    "live\n"
}

/// Ready: the component is there, and the first load of every model has ended. A model that
/// cannot be loaded does not count: the others would be taken from their clients because of it.
pub(super) async fn ready<H: Handler>(State(door): State<Arc<Door<H>>>) -> Response {
    let reason = door.why_not_ready();
    let status = match reason {
        None => StatusCode::OK,
        Some(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    let report = Report {
        ready: reason.is_none(),
        reason,
        models: door.handler.get().map(H::models).unwrap_or_default(),
    };
    (status, json(&report)).into_response()
}

/// A report as the body of an answer.
pub(super) fn json<R: Serialize>(report: &R) -> Response {
    let text = serde_json::to_string(report).expect("texts, numbers and lists are JSON");
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}
