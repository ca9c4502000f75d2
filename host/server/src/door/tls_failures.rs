//! Handshakes, and a line in the log for those that fail.
//!
//! A client learns little of why it was refused, so the one who runs the server has to be told.
//!
//! **Invariant:** however many clients fail, the log gets [`AT_ONCE`] lines in a [`WHILE`].

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustls::{CertificateError, ServerConfig};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::connection::Stream;

/// Enough to see who and why; a client that tries again and again says the same each time.
const AT_ONCE: u32 = 5;
const WHILE: Duration = Duration::from_secs(10);

/// TLS on a port. Clones share the bound of the log.
#[derive(Clone)]
pub(crate) struct Tls {
    acceptor: TlsAcceptor,
    failures: Arc<Failures>,
}

impl Tls {
    pub(super) fn new(config: ServerConfig) -> Self {
        Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            failures: Arc::default(),
        }
    }

    /// The handshake. What breaks the rules of TLS, or is not trusted on either side, is logged.
    pub(super) async fn accept(
        &self,
        stream: Stream,
        peer: Option<SocketAddr>,
    ) -> io::Result<TlsStream<Stream>> {
        let accepted = self.acceptor.accept(stream).await;
        let reason = accepted
            .as_ref()
            .err()
            .and_then(|error| error.get_ref()?.downcast_ref::<rustls::Error>());
        // Who merely connects and leaves is somebody's probe.
        if let Some(reason) = reason
            && let Some(left_out) = self.failures.count(Instant::now())
        {
            let peer = peer.map_or_else(|| "a UNIX socket".to_owned(), |peer| peer.to_string());
            let more = match left_out {
                0 => String::new(),
                more => format!(" ({more} more failed and were not logged)"),
            };
            let reason = in_words(reason);
            tracing::warn!("TLS handshake with {peer} failed: {reason}{more}");
        }
        accepted
    }
}

/// rustls prints reasons that are not its own as a programmer would.
fn in_words(reason: &rustls::Error) -> String {
    match reason {
        rustls::Error::InvalidCertificate(CertificateError::Other(why)) => {
            format!("invalid peer certificate: {why}")
        }
        other => other.to_string(),
    }
}

/// How many lines were written lately.
#[derive(Default)]
struct Failures(Mutex<Lately>);

#[derive(Default)]
struct Lately {
    since: Option<Instant>,
    logged: u32,
    left_out: u64,
}

impl Failures {
    /// Counts one. When it is to be logged, the number of those before it that were not.
    fn count(&self, now: Instant) -> Option<u64> {
        // A panic elsewhere is no reason to be silent; the counts are whole at any time.
        let mut lately = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if lately.since.is_none_or(|since| now >= since + WHILE) {
            lately.since = Some(now);
            lately.logged = 0;
        }
        if lately.logged == AT_ONCE {
            lately.left_out += 1;
            return None;
        }
        lately.logged += 1;
        Some(std::mem::take(&mut lately.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_failures_are_few_lines() {
        let failures = Failures::default();
        let start = Instant::now();
        let logged = (0..100).filter(|_| failures.count(start).is_some()).count();
        assert_eq!(logged, 5);
        assert_eq!(failures.count(start + WHILE), Some(95));
        assert_eq!(failures.count(start + WHILE), Some(0));
    }
}
