//! Whether the process lives, and whether it is worth sending requests to.

use std::sync::Arc;

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
    match door.why_not_ready() {
        None => (StatusCode::OK, "ready\n".to_owned()),
        Some(why) => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("not ready: {why}\n"),
        ),
    }
}
