//! The one place that logs a request's error: rooms behind the door return theirs.

use http::HeaderValue;
use tensorgate_types::Error;

/// Says which request failed, and why with all causes.
pub(super) fn failed(error: &Error, id: &HeaderValue) {
    let id = id.to_str().unwrap_or_default();
    // One line for each: a stack of a component has several of its own.
    let chain = Chain(error).to_string().replace('\n', " ");
    if error.code().is_server_fault() {
        tracing::error!("request {id}: {chain}");
    } else {
        tracing::debug!("request {id}: {chain}");
    }
}

/// An error with its causes.
struct Chain<'a>(&'a (dyn std::error::Error + 'static));

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
