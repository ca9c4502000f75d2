//! What the component needs of its surroundings.

use std::time::Duration;

/// A request to the host.
#[derive(Debug)]
pub struct Request<'a> {
    /// The whole address: `http://gpu-box:8501/edge/v1`.
    pub url: &'a str,
    /// Names and values.
    pub headers: &'a [(&'static str, String)],
    /// The body, in pieces that follow one another.
    pub body: &'a [Vec<u8>],
    /// How long to wait, for all of it.
    pub timeout: Duration,
}

/// What comes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The content type, in lower case, without parameters; empty when there is none.
    pub content_type: String,
    /// The body.
    pub body: Vec<u8>,
}

/// Why nothing came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// Nobody could be reached, or the connection broke: another attempt may do better.
    Broken(String),
    /// The time is over.
    Late,
    /// It will never go: the address is none, or it is not allowed.
    Refused(String),
}

/// What the component needs of its surroundings: a clock, HTTP, settings, a store.
pub trait World {
    /// A request on its way.
    type Sent;

    /// Begins a request.
    ///
    /// # Errors
    /// When it cannot even begin.
    fn send(&self, request: &Request<'_>) -> Result<Self::Sent, Failure>;

    /// Waits for the answer of a request, up to `timeout`.
    ///
    /// # Errors
    /// When there is none.
    fn receive(&self, sent: Self::Sent, timeout: Duration) -> Result<Response, Failure>;

    /// A clock that never goes back.
    fn now(&self) -> Duration;

    /// Milliseconds since 1970.
    fn unix_ms(&self) -> u64;

    /// Waits.
    fn sleep(&self, time: Duration);

    /// An environment variable.
    fn environment(&self, name: &str) -> Option<String>;

    /// A variable of the application. The inner error says why there is none that can be used.
    ///
    /// # Errors
    /// When the provider of variables fails.
    fn variable(&self, name: &str) -> Result<Option<String>, String>;

    /// What is kept under this key; nothing where there is no store.
    fn load(&self, store: &str, key: &str) -> Option<Vec<u8>>;

    /// Keeps a value, if it can: what is kept is a convenience.
    fn keep(&self, store: &str, key: &str, value: &[u8]);

    /// Says something to whoever reads the component's log.
    fn log(&self, text: &str);
}
