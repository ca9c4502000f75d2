//! What a host's door does round the gateway, as far as a client can see it: which requests are
//! answered without their bodies, how long a body may be, and what every answer has.
//!
//! Plain Rust, so that it is tested natively. Words and statuses are the door's
//! (`host/server/src/door`), where it has some.

use tensorgate_logic::rest::{self, Response};
use tensorgate_types::Priority;

use crate::packed;

/// How long a body may be, packed and unpacked, where nothing else is said.
const MAX_BODY_BYTES: usize = 100 << 20;

/// The environment variable that says something else.
const MAX_BODY_BYTES_NAME: &str = "TENSORGATE_MAX_BODY_BYTES";

/// What is read of a body that has been refused, and thrown away: a client that is cut off while it
/// writes never reads why.
const DISCARD: usize = 16 << 20;

const REQUEST_ID: &str = "x-request-id";

/// Longer ones are not taken over.
const MAX_REQUEST_ID: usize = 128;

const PRIORITY: &str = "x-tensorgate-priority";

/// A request without its body.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    /// `GET`, `POST` and so on.
    pub(crate) method: String,
    /// Path and query as they were sent.
    pub(crate) path: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, Vec<u8>)>,
}

impl Head {
    pub(crate) fn header(&self, name: &str) -> Option<&[u8]> {
        self.all(name).next()
    }

    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        let named = self.headers.iter().filter(move |(known, _)| known == name);
        named.map(|(_, value)| value.as_slice())
    }

    /// Whether KServe's V2 protocol is spoken.
    pub(crate) fn is_v2(&self) -> bool {
        let path = self.path_alone();
        path == "/v2" || path.starts_with("/v2/")
    }

    fn path_alone(&self) -> &str {
        self.path.split('?').next().unwrap_or_default()
    }

    /// The headers that say something about the body or the answer.
    pub(crate) fn passed_on(&self) -> Vec<(String, String)> {
        let named = ["content-type", "accept", "inference-header-content-length"].into_iter();
        named
            .filter_map(|name| Some((name.to_owned(), visible(self.header(name)?)?.to_owned())))
            .collect()
    }
}

/// A header's value where it is text.
fn visible(value: &[u8]) -> Option<&str> {
    let is_visible = |byte: &u8| matches!(byte, b' '..=b'~' | b'\t');
    let is_text = value.iter().all(is_visible);
    str::from_utf8(value).ok().filter(|_| is_text)
}

// --- Before the body ---

/// The answer to a request that is answered whatever its body is.
pub(crate) fn without_body(head: &Head) -> Option<Response> {
    let path = head.path_alone();
    // The edge itself is ready as soon as it answers: what it waits for is the host's affair.
    let health = ["/health/", "/v1/health/", "/v2/health/"].into_iter();
    let mut asked = health.filter_map(|prefix| path.strip_prefix(prefix));
    if asked.any(|what| matches!(what, "live" | "ready")) {
        return Some(live(&head.method));
    }
    let is_v1 = path
        .get(..4)
        .is_some_and(|start| start.eq_ignore_ascii_case("/v1/"));
    if !is_v1 && !head.is_v2() {
        let nothing = format!("nothing is at {path}: the REST API is under /v1/");
        return Some(rest::refusal(404, &nothing));
    }
    if head.method == "OPTIONS" {
        return Some(preflight(head.header("origin")));
    }
    let priority = head.header(PRIORITY)?;
    // Nobody else's requests are here: it is the host's affair, which the edge has no word for.
    if visible(priority).and_then(Priority::parse).is_some() {
        return None;
    }
    let shown = priority.escape_ascii();
    let wrong = format!("{PRIORITY} is low, normal or high, not \"{shown}\"");
    Some(rest::refusal(400, &wrong))
}

/// Lives: it answers.
fn live(method: &str) -> Response {
    if matches!(method, "GET" | "HEAD") {
        return Response {
            status: 200,
            headers: vec![header("content-type", "text/plain; charset=utf-8")],
            body: b"live\n".to_vec(),
        };
    }
    Response {
        status: 405,
        headers: vec![header("allow", "GET,HEAD")],
        body: vec![],
    }
}

/// A browser asks whether it may call. Yes, if it says on whose behalf.
fn preflight(origin: Option<&[u8]>) -> Response {
    let is_web = origin
        .is_some_and(|origin| origin.starts_with(b"http://") || origin.starts_with(b"https://"));
    Response {
        status: if is_web { 200 } else { 400 },
        headers: vec![],
        body: vec![],
    }
}

fn header(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

// --- The body ---

/// How long a body may be.
///
/// # Errors
/// The answer to every request, where the setting is no number.
pub(crate) fn max_body_bytes(setting: Option<&str>) -> Result<usize, Response> {
    let Some(setting) = setting else {
        return Ok(MAX_BODY_BYTES);
    };
    setting.trim().parse().map_err(|_| {
        let shown: String = setting.chars().take(64).collect();
        let wrong = format!("{MAX_BODY_BYTES_NAME} is {shown:?}; expected a number of bytes");
        rest::refusal(500, &wrong)
    })
}

/// The setting, where there is one.
pub(crate) fn max_body_bytes_setting() -> Option<String> {
    std::env::var(MAX_BODY_BYTES_NAME).ok()
}

/// A body on its way in.
#[derive(Debug)]
pub(crate) struct Incoming {
    max: usize,
    /// Announced, and no more than may come.
    announced: usize,
    bytes: Vec<u8>,
    /// How much was thrown away, once it is refused.
    discarded: Option<usize>,
    refusal: Option<Response>,
}

impl Incoming {
    /// For a request whose body may have `max` bytes.
    pub(crate) fn new(head: &Head, max: usize) -> Self {
        let announced = head
            .header("content-length")
            .and_then(|length| str::from_utf8(length).ok()?.parse::<usize>().ok())
            .unwrap_or(0);
        let refusal =
            packed::refuse_others(head).or_else(|| (announced > max).then(|| too_long(max)));
        Self {
            max,
            announced: announced.min(max),
            bytes: Vec::new(),
            discarded: refusal.as_ref().map(|_| 0),
            refusal,
        }
    }

    /// Whether more of the body is to be read.
    pub(crate) fn wants_more(&self, head: &Head) -> bool {
        match self.discarded {
            None => true,
            // A client that has asked first is told no, and never sends it.
            Some(0) if head.header("expect").is_some() => false,
            Some(discarded) => discarded < DISCARD,
        }
    }

    /// A piece of the body.
    pub(crate) fn push(&mut self, piece: Vec<u8>) {
        if let Some(discarded) = &mut self.discarded {
            *discarded += piece.len();
            return;
        }
        if piece.len() > self.max - self.bytes.len() {
            self.bytes = Vec::new();
            self.discarded = Some(piece.len());
            self.refusal = Some(too_long(self.max));
            return;
        }
        if self.bytes.is_empty() {
            // Most bodies come in one piece, which is kept as it is.
            self.bytes = piece;
            return;
        }
        if self.bytes.len() + piece.len() > self.bytes.capacity() {
            // What was announced may never come: memory follows what is there, fourfold.
            let wanted = self.announced.min(self.bytes.len().saturating_mul(4));
            self.bytes
                .reserve(wanted.saturating_sub(self.bytes.len()).max(piece.len()));
        }
        self.bytes.extend_from_slice(&piece);
    }

    /// The body, unpacked.
    ///
    /// # Errors
    /// The answer, where it cannot be taken.
    pub(crate) fn finish(self, head: &Head) -> Result<Vec<u8>, Response> {
        if let Some(refusal) = self.refusal {
            return Err(refusal);
        }
        if packed::is_gzip(head) {
            return packed::unpack(&self.bytes, self.max).ok_or_else(|| too_long(self.max));
        }
        Ok(self.bytes)
    }
}

fn too_long(max: usize) -> Response {
    let message = format!("the request body is longer than {max} bytes ({MAX_BODY_BYTES_NAME})");
    rest::refusal(413, &message)
}

// --- The answer ---

/// What every answer has: its length, and the id of its request, the client's own where it has
/// sent a sensible one. Probes have none.
pub(crate) fn complete(response: &mut Response, head: &Head, fresh: impl FnOnce() -> u64) {
    let length = response.body.len().to_string();
    response.headers.push(header("content-length", &length));
    if head.path_alone().contains("/health/") {
        return;
    }
    let is_sensible = |id: &&[u8]| {
        (1..=MAX_REQUEST_ID).contains(&id.len()) && id.iter().all(u8::is_ascii_graphic)
    };
    let own = head.header(REQUEST_ID).filter(is_sensible);
    let id = own.and_then(|id| str::from_utf8(id).ok());
    let id = id.map_or_else(|| format!("{:016x}-0", fresh()), str::to_owned);
    response.headers.push((REQUEST_ID.to_owned(), id));
}

#[cfg(test)]
mod tests;
