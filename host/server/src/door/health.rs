//! Whether the process lives, and whether it is worth sending requests to.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::State;
use http::StatusCode;

use super::{Door, Handler};

/// Lives: it answers.
pub(super) async fn live() -> &'static str {
    "live\n"
}

/// Ready: the component is there, and the first load of every model has ended. A model that
/// cannot be loaded does not count: the others would be taken from their clients because of it.
pub(super) async fn ready<H: Handler>(State(door): State<Arc<Door<H>>>) -> (StatusCode, String) {
    let why_not = if door.draining.load(Ordering::Relaxed) {
        Some("the server is shutting down".to_owned())
    } else {
        match door.handler.get() {
            None => Some("the server is starting".to_owned()),
            Some(handler) => handler.not_ready(),
        }
    };
    match why_not {
        None => (StatusCode::OK, "ready\n".to_owned()),
        Some(why) => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("not ready: {why}\n"),
        ),
    }
}
